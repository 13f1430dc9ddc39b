"""The owner's policy, decided on values: what is not admitted, what goes first on reclaim."""

from collections.abc import Sequence

from intertie.agent.book import Record
from intertie.agent.owner import Lent
from intertie.wire.sync import LeaseBody


def why_not(
    body: LeaseBody,
    held: Sequence[LeaseBody],
    lent: Lent,
    abilities: Sequence[str],
    projects: Sequence[str],
) -> str:
    """Return the code of the reason why a lease is declined; nothing if it is admitted."""
    if not set(body.requires) <= set(abilities):
        return "not_enforced"
    if projects and body.project not in projects:
        return "provider_does_not_admit"
    cpus_milli = body.cpus_milli + sum(each.cpus_milli for each in held)
    memory_bytes = body.memory_bytes + sum(each.memory_bytes for each in held)
    if cpus_milli > lent.cpus_milli or memory_bytes > lent.memory_bytes:
        return "owner_reclaimed" if lent.reclaimed_at else "pool_full"
    return ""


def to_reclaim(staying: Sequence[Record], lent: Lent) -> list[Record]:
    """Return the leases to stop so that the rest fits: the latest first, they lose the least."""
    kept = [record for record in staying if record.body]
    evicted = []
    while kept and not _fits([record.body for record in kept if record.body], lent):
        evicted.append(kept.pop())
    return evicted


def _fits(bodies: Sequence[LeaseBody], lent: Lent) -> bool:
    cpus_milli = sum(body.cpus_milli for body in bodies)
    memory_bytes = sum(body.memory_bytes for body in bodies)
    return cpus_milli <= lent.cpus_milli and memory_bytes <= lent.memory_bytes
