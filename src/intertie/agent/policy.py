"""The owner's policy, decided on values: what is lent now, who is let in, what goes first."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from intertie.agent.book import Record
from intertie.agent.owner import Lent, Reclaim
from intertie.agent.sessions import KIND
from intertie.agent.windows import Windows
from intertie.engines.protocol import SESSIONS, Room
from intertie.wire.sync import LeaseBody

SHUT = Reclaim(cpus_milli=0, memory_bytes=0)


@dataclass(frozen=True)
class Guests:
    """Whom the owner admits: by name, everyone where none is named, but never the `refused`."""

    admitted: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    def admit(self, project: str) -> bool:
        """Return whether a project may come."""
        is_named = not self.admitted or project in self.admitted
        return is_named and project not in self.refused


def lent_now(
    terms: Lent, windows: Windows, room: Room | None, order: Reclaim | None, now: int
) -> Lent:
    """Return what is lent at `now` (ms): never more than the terms, nothing outside the windows.

    An order of the owner's takes some of it back, and the pool's own users leave only `room`.
    """
    if not windows.is_open(now):
        return replace(_less(terms, SHUT), is_reclaimed=True)
    is_ordered = order is not None and (order.until is None or now < order.until)
    will = _less(terms, order) if order and is_ordered else terms
    if room is None:
        return will
    devices = will.device_count
    return replace(
        will,
        cpus_milli=min(will.cpus_milli, room.cpus_milli),
        memory_bytes=min(will.memory_bytes, room.memory_bytes),
        device_count=None if devices is None else min(devices, room.device_count),
    )


def room_with_guests(room: Room | None, held: Sequence[LeaseBody]) -> Room | None:
    """Return the room for guests, at least what they hold: it takes nothing back from them.

    A lease that waits in the site's queue behind the site's own users stays there; only the
    owner's word ends what was begun.
    """
    if room is None:
        return None
    return Room(
        max(room.cpus_milli, sum(body.cpus_milli for body in held)),
        max(room.memory_bytes, sum(body.memory_bytes for body in held)),
        max(room.device_count, sum(body.device_count for body in held)),
    )


def why_not(
    body: LeaseBody,
    held: Sequence[LeaseBody],
    lent: Lent,
    abilities: Sequence[str],
    guests: Guests,
) -> str:
    """Return the code of the reason why a lease is declined; nothing if it is admitted."""
    if not set(body.requires) <= set(abilities):
        return "not_enforced"
    if body.kind == KIND and SESSIONS not in abilities:
        return "no_sessions"
    if not guests.admit(body.project):
        return "provider_does_not_admit"
    if lent.is_draining:
        return "pool_draining"
    if not _fits([body, *held], lent):
        return "owner_reclaimed" if lent.is_reclaimed else "pool_full"
    return ""


def to_reclaim(staying: Sequence[Record], will: Lent) -> list[Record]:
    """Return the leases to stop so that the rest fits what the owner lends.

    Those go first that do not run yet, then the latest: they lose the least.
    """
    known = [record for record in staying if record.body]
    kept = sorted(known, key=lambda record: not record.is_running)
    evicted = []
    while kept and not _fits([record.body for record in kept if record.body], will):
        evicted.append(kept.pop())
    return evicted


def _less(terms: Lent, order: Reclaim) -> Lent:
    cpus_milli = min(terms.cpus_milli, order.cpus_milli)
    memory_bytes = order.memory_bytes
    if memory_bytes is None:
        memory_bytes = terms.memory_bytes * cpus_milli // max(1, terms.cpus_milli)
    devices = terms.device_count
    return replace(
        terms,
        cpus_milli=cpus_milli,
        memory_bytes=min(terms.memory_bytes, memory_bytes),
        device_count=None if devices is None else devices * cpus_milli // max(1, terms.cpus_milli),
        is_reclaimed=True,
    )


def _fits(bodies: Sequence[LeaseBody], lent: Lent) -> bool:
    cpus_milli = sum(body.cpus_milli for body in bodies)
    memory_bytes = sum(body.memory_bytes for body in bodies)
    devices = sum(body.device_count for body in bodies)
    has_devices = lent.device_count is None or devices <= lent.device_count
    return cpus_milli <= lent.cpus_milli and memory_bytes <= lent.memory_bytes and has_devices
