"""What the network wants of one agent, from the store: leases, stops, what may be forgotten."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, or_

from intertie.api.marks import Mark, mark_of
from intertie.model.ids import decode, encode
from intertie.model.lease import Lease
from intertie.model.parties import Pool
from intertie.model.states import Cause, LeaseState
from intertie.run.observing import ENDED
from intertie.run.reconciling import ALIVE
from intertie.store import reading
from intertie.wire.digest import wanted_digest
from intertie.wire.sync import ExplicitStop, Sync

WANTED = (LeaseState.PLACED, LeaseState.RUNNING)


@dataclass(frozen=True)
class Wanted:
    """One reading of the store for one agent. `round` is the last round it shows."""

    round: int
    incarnation: int
    pool: Pool
    leases: tuple[Lease, ...]
    stops: tuple[ExplicitStop, ...]
    forget: tuple[str, ...]
    mark: Mark
    is_busy: bool

    def digest(self) -> str:
        """Return what the agent echoes to say that it knows all this."""
        return wanted_digest(
            ((encode("lease", each.id), each.token, each.until) for each in self.leases),
            ((stop.lease, stop.cause) for stop in self.stops),
            self.forget,
            bool(self.pool.is_draining),
        )


def read_wanted(connection: Connection, pool: int, said: Sync) -> Wanted:
    """Return what is wanted of a pool whose agent has just said this."""
    named = sorted(_named(said))
    column = reading.column
    is_alive = (column(Lease, "pool") == pool) & column(Lease, "state").in_(sorted(ALIVE))
    is_named = column(Lease, "id").in_([decode("lease", lease) for lease in named])
    found = {row.id: row for row in reading.rows(connection, Lease, or_(is_alive, is_named))}
    row = reading.find(connection, Pool, pool)
    assert row is not None, "a pool whose agent signs is in the store"
    alive = [each for each in found.values() if each.pool == pool and each.state in ALIVE]
    stops, forget = _told_off(pool, said, found, named)
    stops += [
        _stop(each, Cause(each.stop_cause), each.grace_s)
        for each in alive
        if each.state == LeaseState.STOPPING
    ]
    return Wanted(
        round=reading.last_round(connection)[0],
        incarnation=reading.network_facts(connection).incarnation,
        pool=row,
        leases=tuple(each for each in alive if each.state in WANTED),
        stops=tuple(stops),
        forget=tuple(forget),
        mark=mark_of(row, alive),
        is_busy=bool(alive),
    )


def _told_off(
    pool: int, said: Sync, found: dict[int, Lease], named: Iterable[str]
) -> tuple[list[ExplicitStop], list[str]]:
    """Return the stops and the forgettings for leases that the agent has and should not.

    A lease that the store has never heard of is only forgotten once it has ended: after a restore
    from backup it may be good work, and a restore kills nothing (DESIGN §5).
    """
    tokens = {each.lease: each.token for each in said.leases}
    tokens |= {each.lease: each.token for each in said.declines}
    over = {each.lease for each in said.leases if each.state == "ended"}
    over |= {each.lease for each in said.declines}
    stops: list[ExplicitStop] = []
    forget: list[str] = []
    for lease in named:
        row = found.get(decode("lease", lease))
        is_ours = row is not None and row.pool == pool
        is_ours = is_ours and row is not None and tokens.get(lease, row.token) == row.token
        if is_ours and row is not None and row.state in ALIVE:
            continue
        if lease in over or (is_ours and row is not None and row.observed == ENDED):
            forget.append(lease)
        elif row is not None:
            stops.append(
                ExplicitStop(
                    lease=lease,
                    token=tokens.get(lease, row.token),
                    cause="superseded",
                    grace_s=row.grace_s,
                )
            )
    return stops, forget


def _stop(lease: Lease, cause: Cause, grace_s: int) -> ExplicitStop:
    return ExplicitStop.model_validate(
        {
            "lease": encode("lease", lease.id),
            "token": lease.token,
            "cause": cause.name.lower(),
            "grace_s": grace_s,
        }
    )


def _named(said: Sync) -> set[str]:
    return {
        *said.known,
        *(each.lease for each in said.leases),
        *(each.lease for each in said.declines),
    }
