"""Digests of lease sets, which two sides compare to know whether they hold the same set.

Since protocol 2 a digest is the sum of one mark per member modulo 2**63, so whoever keeps a set
adds and subtracts marks as members come and go, and never has to read the whole set:

* observation digest: ``lease_mark(lease, token)`` over leases seen as pending or running;
* wanted digest: ``lease_mark(lease, token, until)`` over leases that should run, and
  ``lease_mark(lease, token, -stop_cause)`` over those that are told to stop.
"""

from collections.abc import Iterable
from hashlib import blake2b, sha256

MODULUS = 2**63


def lease_mark(*numbers: int) -> int:
    """Return the mark of a sequence of integers, 0 <= mark < 2**63.

    The same numbers in the same order have the same mark on every machine and release: the
    first 8 bytes, big-endian, of BLAKE2b with an 8-byte digest over the decimal texts joined by
    commas, modulo 2**63.
    """
    text = ",".join(map(str, numbers)).encode("ascii")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big") % MODULUS


def digest_text(total: int) -> str:
    """Return a sum of marks, taken modulo 2**63, as 16 hexadecimal digits."""
    return f"{total % MODULUS:016x}"


def observation_digest(leases: Iterable[tuple[str, int]]) -> str:
    """Return protocol 1's digest of (lease id, token) of all leases seen as pending or running."""
    text = "\n".join(f"{lease} {token}" for lease, token in sorted(leases))
    return sha256(text.encode()).hexdigest()[:16]


def wanted_digest(
    leases: Iterable[tuple[str, int, int]],
    stops: Iterable[tuple[str, str]],
    forget: Iterable[str],
    is_draining: bool,
) -> str:
    """Return protocol 1's digest of what the network wants of an agent, which only echoes it."""
    rows = [f"w {a} {b} {c}" for a, b, c in sorted(leases)]
    rows += [f"s {a} {b}" for a, b in sorted(stops)] + [f"f {a}" for a in sorted(forget)]
    rows.append(f"d {int(is_draining)}")
    return sha256("\n".join(rows).encode()).hexdigest()[:16]
