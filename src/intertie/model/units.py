"""Units and the few divisions that money and time need, each with its rounding in its name.

Money is whole micro-credits (1 credit = 1 000 000). Instants are whole milliseconds since the
Unix epoch; durations carry `_s` or `_ms`. A service unit (SU) is counted in millionths.
"""

MICRO = 1_000_000
MILLI = 1_000
HOUR_MS = 3_600_000
MIB = 1024**2
GIB = 1024**3


def ceil_div(number: int, by: int) -> int:
    """Return number / by, rounded up."""
    return -(-number // by)


def charge_micro(ran_ms: int, units_milli: int, price_micro_per_unit_h: int) -> int:
    """Return the price of `units_milli` thousandths of a unit for `ran_ms`, rounded up.

    Rounded up so that use is never free; callers charge cumulative time, so that the
    rounding happens once for a lease and not once for each slice.
    """
    return ceil_div(ran_ms * units_milli * price_micro_per_unit_h, HOUR_MS * MILLI)


def service_units_micro(ran_ms: int, units_milli: int, score_millionths: int) -> int:
    """Return the capacity delivered, in millionths of a service unit, rounded down."""
    return ran_ms * units_milli * score_millionths // (HOUR_MS * MILLI)


def price_micro_per_su(price_micro_per_unit_h: int, score_millionths: int) -> int:
    """Return the price of one service unit, rounded up; the score must be known."""
    assert score_millionths > 0, "an offer without a score has no price per SU"
    return ceil_div(price_micro_per_unit_h * MICRO, score_millionths)
