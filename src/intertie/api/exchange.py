"""One exchange with an agent: what of it goes into the inbox, and what is answered from the store.

Protocol 2 answers what changed after the round that the agent has heard of; protocol 1, and who
has heard of nothing, are told all that is wanted.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, or_

from intertie.api.bodies import bodies
from intertie.api.door import Door
from intertie.api.problems import Wrong
from intertie.control.clock import now_ms
from intertie.model.ids import decode, encode
from intertie.model.lease import Lease
from intertie.model.parties import Pool
from intertie.model.policy import Policy
from intertie.model.states import ENDED, Cause, LeaseState, PoolState
from intertie.model.units import MILLI
from intertie.run.reconciling import ALIVE
from intertie.store import reading
from intertie.wire.base import FieldError, plain
from intertie.wire.digest import digest_text, wanted_digest
from intertie.wire.sync import CallBody, ExplicitStop, LeaseBody, Sync, SyncAnswer, WantedLease

WANTED = (LeaseState.PLACED, LeaseState.RUNNING)
_FIRST_WITH_DELTAS = 2


@dataclass(frozen=True)
class Told:
    """An answer, and the pool as of the round that it shows."""

    answer: SyncAnswer
    pool: Pool


@dataclass(frozen=True)
class _Shown:
    """What an answer shows: the pool and the network as of a round."""

    pool: Pool
    round: int
    incarnation: int
    is_full: bool


@dataclass(frozen=True)
class _Orders:
    """What the network wants of an agent: leases to run, to stop, to give up, to forget."""

    leases: tuple[Lease, ...]
    stops: tuple[ExplicitStop, ...]
    gone: tuple[str, ...]
    forget: tuple[str, ...]


def check_message(said: Sync) -> None:
    """Refuse ids that no round could read: the decider believes what it takes."""
    named = [("leases", each.lease) for each in said.leases]
    named += [("declines", each.lease) for each in said.declines]
    named += [("known", each) for each in said.known] + [("lacks", each) for each in said.lacks]
    for field, lease in named:
        try:
            decode("lease", lease)
        except ValueError as error:
            errors = [FieldError(field=field, message=str(error))]
            raise Wrong(422, "bad_request", errors=errors) from None


def row_of(said: Sync) -> dict[str, Any]:
    """Return what a round needs of a message: the body of its inbox row, as small as it may be."""
    return {
        "protocol": said.protocol,
        "epoch": said.epoch,
        "sequence": said.sequence,
        "digest": said.digest,
        "leases": [plain(each) for each in said.leases],
        "declines": [plain(each) for each in said.declines],
        "owner": plain(said.owner),
    }


def check_session(pool: Pool, said: Sync) -> None:
    """Refuse whose session is not the pool's latest: 409 `fenced_out` where a newer one speaks.

    `session_unknown`: the network was restored from a backup, and a new session is to be opened.
    410 `agent_left`: its key was struck off.
    """
    if pool.state == PoolState.LEFT:
        raise Wrong(410, "agent_left", "agent_left")
    if pool.epoch > said.epoch:
        raise Wrong(409, "fenced_out", "fenced_out", epoch=pool.epoch)
    if pool.epoch < said.epoch:
        raise Wrong(409, "session_unknown", "session_unknown", epoch=said.epoch)


def needs_store(said: Sync, incarnation: int) -> bool:
    """Return whether a message needs an answer from the store, whatever has changed."""
    is_whole = said.is_full or not said.heard_round or said.incarnation != incarnation
    return bool(is_whole or said.lacks or said.declines or _ended(said))


def is_news(pool: Pool, said: Sync) -> bool:
    """Return whether a pool's row says that the agent should hear (protocol 2)."""
    wants_full = bool(pool.wants_full) and not said.is_full
    is_other = digest_text(pool.wanted_digest) != said.wanted_digest
    return is_other or wants_full or pool.epoch != said.epoch


def brings_news(told: Told, said: Sync) -> bool:
    """Return whether an answer should go out at once."""
    answer = told.answer
    if said.protocol < _FIRST_WITH_DELTAS:
        is_overtaken = told.pool.sequence > said.sequence
        return is_overtaken or answer.wants_full or answer.wanted_digest != said.wanted_digest
    has_orders = bool(answer.stops or answer.forget or said.lacks or answer.is_full)
    return has_orders or is_news(told.pool, said)


def has_moved(told: Told, pool: Pool) -> bool:
    """Return whether another answer might be due than the one that was read (protocol 1)."""
    return _mark(told.pool) != _mark(pool)


def nothing_new(door: Door, pool: Pool, said: Sync) -> SyncAnswer:
    """Return the answer for who knows all, without a look at the store."""
    rounds = door.rounds
    shown = _Shown(pool, rounds.number, rounds.incarnation, is_full=False)
    return _answer(door, said, shown, _Orders((), (), (), ()), {})


def read_answer(door: Door, pool: int, said: Sync) -> Told:
    """Return what the store says now to an agent that has said this."""
    with reading.snapshot(door.engine) as connection:
        number = reading.last_round(connection)[0]
        incarnation = reading.network_facts(connection).incarnation
        row = reading.find(connection, Pool, pool)
        assert row is not None, "a pool whose agent signs is in the store"
        since = _since(said, number, incarnation)
        orders = _orders(connection, pool, said, since)
        sent = bodies(connection, door, _bodiless(orders.leases, said))
    shown = _Shown(row, number, incarnation, is_full=since is None)
    return Told(_answer(door, said, shown, orders, sent), row)


def next_poll_ms(policy: Policy, pools: int, is_busy: bool) -> int:
    """Return when an agent should ask again, so that all of them ask no more often than may be.

    An agent is heard at least twice in the time for which its session is renewed.
    """
    usual_ms = policy.busy_poll_ms if is_busy else policy.poll_s * MILLI
    stretched_ms = pools * MILLI // policy.syncs_per_s_max
    return min(max(usual_ms, stretched_ms), max(usual_ms, policy.renew_for_s * MILLI // 2))


def _since(said: Sync, number: int, incarnation: int) -> int | None:
    """Return the round after which the agent knows nothing; None if it is to be told everything."""
    if said.protocol < _FIRST_WITH_DELTAS or said.incarnation != incarnation:
        return None
    return said.heard_round if 0 < said.heard_round <= number else None


def _orders(connection: Connection, pool: int, said: Sync, since: int | None) -> _Orders:
    column = reading.column
    is_alive = column(Lease, "state").in_(sorted(ALIVE))
    is_due = is_alive if since is None else column(Lease, "changed_round") > since
    condition: ColumnElement[bool] = (column(Lease, "pool") == pool) & is_due
    named = _named(said, is_all=since is None or said.is_full)
    if named:
        numbers = [decode("lease", lease) for lease in sorted(named)]
        condition = or_(condition, column(Lease, "id").in_(numbers))
    found = {row.id: row for row in reading.rows(connection, Lease, condition)}
    ours = [each for each in found.values() if each.pool == pool]
    changed = {encode("lease", each.id) for each in ours if each.state not in ALIVE}
    stops, forget = _told_off(pool, said, found, named | changed)
    stopping = [_stop(each) for each in ours if each.state == LeaseState.STOPPING]
    return _Orders(
        leases=tuple(each for each in ours if each.state in WANTED),
        stops=(*stops, *stopping),
        gone=tuple(stop.lease for stop in stops),
        forget=tuple(forget),
    )


def _named(said: Sync, is_all: bool) -> set[str]:
    """Return the leases of a message whose rows are to be looked at, changed or not."""
    spoken = {each.lease for each in said.leases} if is_all else _ended(said)
    return {*spoken, *said.known, *said.lacks, *(each.lease for each in said.declines)}


def _ended(said: Sync) -> set[str]:
    return {each.lease for each in said.leases if each.state == "ended"}


def _told_off(
    pool: int, said: Sync, found: dict[int, Lease], named: Iterable[str]
) -> tuple[list[ExplicitStop], list[str]]:
    """Return the stops and the forgettings for leases that the agent has and should not.

    A lease that the store has never heard of is only forgotten once it has ended: after a restore
    from backup it may be good work, and a restore kills nothing (DESIGN §5).
    """
    tokens = {each.lease: each.token for each in said.leases}
    tokens |= {each.lease: each.token for each in said.declines}
    over = _ended(said) | {each.lease for each in said.declines}
    stops: list[ExplicitStop] = []
    forget: list[str] = []
    for lease in sorted(named):
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


def _stop(lease: Lease) -> ExplicitStop:
    return ExplicitStop.model_validate(
        {
            "lease": encode("lease", lease.id),
            "token": lease.token,
            "cause": Cause(lease.stop_cause).name.lower(),
            "grace_s": lease.grace_s,
        }
    )


def _bodiless(leases: Iterable[Lease], said: Sync) -> list[Lease]:
    """Return the leases whose bodies the agent has not."""
    if said.protocol < _FIRST_WITH_DELTAS:
        known = set(said.known)
        return [each for each in leases if encode("lease", each.id) not in known]
    lacking = {decode("lease", lease) for lease in said.lacks}
    return [each for each in leases if not each.is_taken or each.id in lacking]


def _answer(
    door: Door, said: Sync, shown: _Shown, orders: _Orders, sent: dict[int, LeaseBody]
) -> SyncAnswer:
    has_deltas, pool = said.protocol >= _FIRST_WITH_DELTAS, shown.pool
    is_busy = bool(orders.leases or orders.stops or pool.wanted_digest)
    return SyncAnswer(
        incarnation=shown.incarnation,
        epoch=pool.epoch,
        sequence=said.sequence,
        now=now_ms(),
        round=shown.round,
        is_full=shown.is_full,
        wanted_digest=digest_text(pool.wanted_digest) if has_deltas else _digest(pool, orders),
        # Protocol 1 knows no other way to say that it was told everything just now.
        wants_full=bool(pool.wants_full) and (has_deltas or not said.is_full),
        leases=[
            WantedLease(
                lease=encode("lease", each.id),
                token=each.token,
                until=each.until,
                body=sent.get(each.id),
            )
            for each in orders.leases
        ],
        stops=list(orders.stops),
        gone=list(orders.gone),
        forget=list(orders.forget),
        drain=bool(pool.is_draining),
        calls=[
            CallBody(
                nonce=each.nonce,
                lease=encode("lease", each.lease),
                token=each.token,
                url=each.url,
            )
            for each in door.rounds.calls.get(pool.id, ())
        ],
        renew_for_s=pool.renew_for_s,
        next_poll_ms=next_poll_ms(door.policy, door.rounds.heard, is_busy),
    )


def _digest(pool: Pool, orders: _Orders) -> str:
    """Return what a protocol 1 agent echoes to say that it knows all this."""
    return wanted_digest(
        ((encode("lease", each.id), each.token, each.until) for each in orders.leases),
        ((stop.lease, stop.cause) for stop in orders.stops),
        orders.forget,
        bool(pool.is_draining),
    )


def _mark(pool: Pool) -> tuple[int, ...]:
    session = (pool.epoch, pool.sequence, pool.wants_full, pool.is_draining)
    return (*session, pool.wanted_digest)
