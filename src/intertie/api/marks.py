"""By what a door tells that something is new for an agent, without reading all of it."""

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import Connection

from intertie.model.lease import Lease
from intertie.model.parties import Pool
from intertie.run.reconciling import ALIVE
from intertie.store import reading

Mark = tuple[object, ...]


def pool_marks(connection: Connection, pools: list[int]) -> dict[int, Mark]:
    """Return the mark of each pool: it changes whenever an answer to its agent would."""
    column = reading.column
    leases: dict[int, list[Lease]] = defaultdict(list)
    for lease in reading.rows(
        connection,
        Lease,
        column(Lease, "pool").in_(pools),
        column(Lease, "state").in_(sorted(ALIVE)),
    ):
        leases[lease.pool].append(lease)
    found = reading.by_id(connection, Pool, pools)
    return {number: mark_of(pool, leases[number]) for number, pool in found.items()}


def mark_of(pool: Pool, alive: Iterable[Lease]) -> Mark:
    """Return the mark of one pool with its leases alive."""
    leases = (
        (each.id, each.token, each.until, each.state, each.stop_cause, each.grace_s)
        for each in alive
    )
    session = (pool.epoch, pool.sequence, pool.wants_full, pool.is_draining)
    return (*session, *sorted(leases))
