"""Kubernetes' quantities: `250m`, `64Mi`, `1e3`, as whole numbers."""

from decimal import Decimal, InvalidOperation

SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    **{letter: Decimal(1000) ** (index + 1) for index, letter in enumerate("kMGTPE")},
    **{f"{letter}i": Decimal(1024) ** (index + 1) for index, letter in enumerate("KMGTPE")},
}


def whole(text: str) -> int:
    """Return a quantity rounded down to a whole number of its unit; ValueError if it is none."""
    return int(_number(text))


def milli(text: str) -> int:
    """Return a quantity in thousandths, rounded down, as CPUs are counted here."""
    return int(_number(text) * 1000)


def _number(text: str) -> Decimal:
    digits = text.rstrip("EPTGMKkimun")
    try:
        return Decimal(digits) * SUFFIXES[text[len(digits) :]]
    except (InvalidOperation, KeyError):
        raise ValueError(f"{text!r} is not a quantity") from None
