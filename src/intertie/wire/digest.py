"""Digests that both sides of the access standard compute alike."""

from collections.abc import Iterable
from hashlib import sha256


def observation_digest(leases: Iterable[tuple[str, int]]) -> str:
    """Return the digest of (lease id, token) of all leases seen as pending or running."""
    text = "\n".join(f"{lease} {token}" for lease, token in sorted(leases))
    return sha256(text.encode()).hexdigest()[:16]


def wanted_digest(
    leases: Iterable[tuple[str, int, int]],
    stops: Iterable[tuple[str, str]],
    forget: Iterable[str],
    is_draining: bool,
) -> str:
    """Return the digest of what the network wants of one agent; the agent only echoes it."""
    rows = [f"w {a} {b} {c}" for a, b, c in sorted(leases)]
    rows += [f"s {a} {b}" for a, b in sorted(stops)] + [f"f {a}" for a in sorted(forget)]
    rows.append(f"d {int(is_draining)}")
    return sha256("\n".join(rows).encode()).hexdigest()[:16]
