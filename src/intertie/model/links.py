"""Links: how far apart two regions are, and what it takes to bring data from one to the other."""

from dataclasses import dataclass

from intertie.model.units import GIB, MILLI, ceil_div

_BITS_PER_MBIT = 1_000_000


@dataclass(frozen=True)
class Link:
    """One way between two regions, and back. `latency_ms` is a round trip."""

    one: str
    other: str
    latency_ms: int
    mbit_per_s: int
    price_micro_per_gib: int = 0

    def joins(self, one: str, other: str) -> bool:
        """Return whether it is between these two."""
        return {one, other} == {self.one, self.other}


def travel_ms(size_bytes: int, link: Link) -> int:
    """Return how long so much data travels over a link, in milliseconds, rounded up."""
    return ceil_div(size_bytes * 8 * MILLI, link.mbit_per_s * _BITS_PER_MBIT)


def travel_micro(size_bytes: int, link: Link) -> int:
    """Return what it costs to send so much data over a link, in micro-credits, rounded up."""
    return ceil_div(size_bytes * link.price_micro_per_gib, GIB)
