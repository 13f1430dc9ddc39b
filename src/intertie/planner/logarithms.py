"""Logarithms to the base of two in whole 1024ths: the same on every machine, unlike a float's."""

from intertie.world.compiling import in_place

OCTAVE = 1024
_BITS = 10
_FINE = 30
# 2 ** (2 ** -k) for k from 1 to 10, in units of 2 ** -30.
_ROOTS = (
    1518500249,
    1276901416,
    1170923761,
    1121280435,
    1097253708,
    1085434105,
    1079572135,
    1076653033,
    1075196443,
    1074468887,
)


@in_place
def log2(value: int) -> int:
    """Return the logarithm of a value from 1 to below 2**62, rounded down to a 1024th."""
    assert 1 <= value < 2**62
    whole = 0
    while value >> (whole + 1):
        whole += 1
    rest = value << (_FINE - whole) if whole <= _FINE else value >> (whole - _FINE)
    found = whole
    for _ in range(_BITS):
        rest = rest * rest >> _FINE
        found *= 2
        if rest >> (_FINE + 1):
            found += 1
            rest >>= 1
    return found


@in_place
def exp2(logarithm: int) -> int:
    """Return the value of a logarithm from 0 to below 61 octaves, rounded down."""
    assert 0 <= logarithm < 61 * OCTAVE
    whole, rest = logarithm >> _BITS, 1 << _FINE
    for at in range(_BITS):
        if logarithm >> (_BITS - 1 - at) & 1:
            rest = rest * _ROOTS[at] >> _FINE
    return rest << (whole - _FINE) if whole >= _FINE else rest >> (_FINE - whole)
