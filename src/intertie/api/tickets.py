"""Short tokens for one attempt: signed with the network's secret, verified without a table."""

import hmac
from dataclasses import dataclass
from hashlib import sha256

from intertie.model.lease import Lease
from intertie.model.units import MILLI

PREFIX = "ita_"
_DAY_MS = 24 * 3600 * MILLI


@dataclass(frozen=True)
class Ticket:
    """What an attempt's token says: its lease, the lease's fencing token, and until when."""

    lease: int
    token: int
    until: int


def ticket_of(lease: Lease, time_limit_s: int) -> Ticket:
    """Return the ticket of an attempt: good for a day after the latest instant it may run to.

    A body is sent once but its lease is renewed, so the time limit counts and not `until` alone.
    """
    ends_at = max(lease.until, lease.placed_at + time_limit_s * MILLI)
    return Ticket(lease.id, lease.token, ends_at + _DAY_MS)


def written(ticket: Ticket, secret: bytes) -> str:
    """Return a ticket as a bearer token."""
    told = f"{ticket.lease}.{ticket.token}.{ticket.until}"
    return f"{PREFIX}{told}.{_signature(told, secret)}"


def read(token: str, secret: bytes, now: int) -> Ticket | None:
    """Return the ticket in a bearer token; None when it is not ours, was changed or ran out."""
    told, _, signature = token.removeprefix(PREFIX).rpartition(".")
    if not hmac.compare_digest(_signature(told, secret).encode(), signature.encode()):
        return None
    ticket = Ticket(*(int(part) for part in told.split(".")))
    return ticket if now < ticket.until else None


def _signature(told: str, secret: bytes) -> str:
    return hmac.new(secret, f"attempt {told}".encode(), sha256).hexdigest()
