"""Public ids: a noun's name and a number, so that a person can read and a program can sort them."""

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u.
WIDTH = 4


def encode(noun: str, number: int) -> str:
    """Return the public id of a number, such as ``job-000c``."""
    assert number >= 0, "ids are never negative"
    digits = ""
    while number:
        number, digit = divmod(number, 32)
        digits = ALPHABET[digit] + digits
    return f"{noun}-{digits.rjust(WIDTH, '0')}"


def decode(noun: str, text: str) -> int:
    """Return the number in a public id; raise ValueError that names what was expected."""
    prefix, dash, digits = text.strip().lower().rpartition("-")
    if not dash or prefix != noun or not digits or any(d not in ALPHABET for d in digits):
        raise ValueError(f"{text!r} is not a {noun} id; one looks like {encode(noun, 12)}")
    number = 0
    for digit in digits:
        number = number * 32 + ALPHABET.index(digit)
    if number >= 2**63:
        raise ValueError(f"{text!r} is not a {noun} id: it is too long")
    return number
