"""A decider watched from inside: rounds timed step by step, and what the World holds counted.

Numbers go to the metrics, job lines to the log, and every few seconds one row to the store, from
which any door answers `GET /v1/operations`.
"""

import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from prometheus_client import Gauge
from sqlalchemy import Engine

from intertie.control import metrics
from intertie.control.clock import now_ms
from intertie.control.logs import log, tell_round
from intertie.cycle.inbox import InboxRow
from intertie.model.ids import encode
from intertie.model.ledger import AccountKind
from intertie.model.states import JobState, LeaseState, PoolState, TaskState
from intertie.model.units import MILLI
from intertie.run.reconciling import ALIVE
from intertie.store.operations import Queues, read_queues
from intertie.world.changes import Changes
from intertie.world.table import Table
from intertie.world.world import World

LOOK_S = 2.0
# A board that says nothing new is written all the same, so that doors see that it is kept.
REST_S = 30.0
# Prometheus keeps a series for each pool that is named: the largest are enough to look at.
POOLS_MAX = 200
SPAN_MS = 5_000
SPANS = 60
MINUTES = 60
_MINUTE_MS = 60_000
_DISPUTED = "disputed"
# What became of the expected starts that were shown.
VERDICTS = ("within", "early", "late")
Counts = dict[str, int]
_OF_LEADER = (
    metrics.JOBS,
    metrics.TASKS,
    metrics.LEASES,
    metrics.POOLS,
    metrics.BALANCE,
    metrics.WEBHOOKS,
    metrics.POOL_LENT_CORES,
    metrics.POOL_HELD_CORES,
)
_TOTALS_OF_LEADER = (
    metrics.LENT_CORES,
    metrics.HELD_CORES,
    metrics.INBOX_WAITING,
    metrics.INBOX_OLDEST,
    metrics.WEBHOOK_BEHIND,
)


class Watch:
    """What one decider's process tells of its rounds. Not safe for several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lap = self._begun = self._decided = 0.0
        self._steps: dict[str, float] = {}
        self._spans = Spans()
        self._refusals, self._disputes, self._starts = LastHour(), LastHour(), LastHour()
        self._pools: set[str] = set()
        self._next_look = self._next_write = 0.0
        self._said: dict[str, Any] = {}

    def begin(self) -> None:
        """Note that a round begins to decide."""
        self._begun = self._lap = time.perf_counter()
        self._steps = {}

    def step(self, name: str) -> None:
        """Note that a step of the river is over; the time since the last one was its."""
        now = time.perf_counter()
        self._steps[name] = self._steps.get(name, 0.0) + now - self._lap
        self._lap = now

    def decided(self) -> int:
        """Note that a round has decided and is to be committed; return how long it took (µs)."""
        self._decided = time.perf_counter()
        return round((self._decided - self._begun) * 1_000_000)

    def committed(self, number: int, inbox: Sequence[InboxRow], changes: Changes) -> None:
        """Note a committed round: its times, what it did, and a line for each job."""
        ended = time.perf_counter()
        decide_s, commit_s = self._decided - self._begun, ended - self._decided
        metrics.ROUNDS.inc()
        metrics.ROUND_ROWS.inc(len(inbox))
        metrics.DECIDE_SECONDS.observe(decide_s)
        metrics.COMMIT_SECONDS.observe(commit_s)
        for name, took_s in self._steps.items():
            metrics.STEP_SECONDS.labels(name).inc(took_s)
        _count_changes(changes)
        now = now_ms()
        self._spans.note(now, len(inbox), decide_s, commit_s)
        codes = [answer.refusal.code for answer in changes.answers if answer.refusal is not None]
        self._refusals.note(now, codes)
        for code, count in Counter(codes).items():
            metrics.ROUND_REFUSALS.labels(code).inc(count)
        for code, count in Counter(event.code for event in changes.events).items():
            metrics.JOB_EVENTS.labels(code).inc(count)
        self._note_starts(now, changes)
        disputes = sum(use.is_disputed and use.is_final for use in changes.usage)
        metrics.DISPUTES.inc(disputes)
        self._disputes.note(now, [_DISPUTED] * disputes)
        tell_round(number, inbox, changes, decide_s, commit_s)

    def _note_starts(self, now: int, changes: Changes) -> None:
        """Note how right each expected start was that somebody was shown."""
        scored = [event.values for event in changes.events if event.code == "start_scored"]
        for verdict in VERDICTS:
            count = sum(values[verdict] for values in scored)
            metrics.EXPECTED_STARTS.labels(verdict).inc(count)
            self._starts.note(now, [verdict] * count)

    @contextmanager
    def leading(self, term: int) -> Iterator[None]:
        """Say while it lasts that this process leads; what it counted ends with it."""
        log.info("this process leads", term=term)
        metrics.IS_LEADER.set(1)
        metrics.TERM.set(term)
        metrics.TAKEOVERS.inc()
        try:
            yield
        finally:
            log.info("this process leads no more", term=term)
            metrics.IS_LEADER.set(0)
            for gauge in _OF_LEADER:
                gauge.clear()
            for total in _TOTALS_OF_LEADER:
                total.set(0)

    def look(self, world: World) -> dict[str, Any] | None:
        """Count what the World and the queues hold, unless that was done a moment ago.

        Return what the board should say; None where it says so already.
        """
        now_s = time.monotonic()
        if now_s < self._next_look:
            return None
        self._next_look = now_s + LOOK_S
        with self._engine.connect().execution_options(is_read=True) as connection:
            queues = read_queues(connection)
        found, now = tally(world), now_ms()
        _show(found, queues, now)
        self._show_pools(found)
        said = {
            "jobs": found.jobs,
            "tasks": found.tasks,
            "leases": found.leases,
            "pools": found.pools,
            "lent_cores": found.lent_milli / MILLI,
            "held_cores": found.held_milli / MILLI,
            "balances_micro": found.balances_micro,
            "refusals": self._refusals.counts(now),
            "disputes": self._disputes.counts(now).get(_DISPUTED, 0),
            "expected_starts": self._starts.counts(now),
            "rounds": self._spans.all(now),
        }
        is_news = _without_instants(said) != _without_instants(self._said)
        if not is_news and now_s < self._next_write:
            return None
        self._next_write, self._said = now_s + REST_S, said
        return {"at": now, "since": self._refusals.since, **said}

    def _show_pools(self, found: "Tally") -> None:
        for name in self._pools - found.by_pool.keys():
            metrics.POOL_LENT_CORES.remove(name)
            metrics.POOL_HELD_CORES.remove(name)
        self._pools = set(found.by_pool)
        for name, (lent_milli, held_milli) in found.by_pool.items():
            metrics.POOL_LENT_CORES.labels(name).set(lent_milli / MILLI)
            metrics.POOL_HELD_CORES.labels(name).set(held_milli / MILLI)


@dataclass(frozen=True)
class Tally:
    """What a World holds. `by_pool` has (lent, held) thousandths of cores of the largest pools."""

    jobs: Counts
    tasks: Counts
    leases: Counts
    pools: Counts
    balances_micro: Counts
    lent_milli: int
    held_milli: int
    by_pool: dict[str, tuple[int, int]]


def tally(world: World) -> Tally:
    """Count a World by passes over its columns; nothing is read row by row but accounts."""
    lent = _by_number(world.pools, "id", "lent_cpus_milli")
    alive = np.isin(world.leases.column("state"), sorted(ALIVE)) & world.leases.used()
    held = _by_number(world.leases, "pool", "cpus_milli", alive)
    largest = sorted(lent, key=lambda pool: (-lent[pool], pool))[:POOLS_MAX]
    return Tally(
        jobs=_by_state(world.jobs, JobState),
        tasks=_by_state(world.tasks, TaskState),
        leases=_by_state(world.leases, LeaseState),
        pools=_by_state(world.pools, PoolState),
        balances_micro=_balances(world),
        lent_milli=sum(lent.values()),
        held_milli=sum(held.values()),
        by_pool={encode("agent", pool): (lent[pool], held.get(pool, 0)) for pool in largest},
    )


@dataclass
class Spans:
    """Rounds of the last minutes, added up over spans of a few seconds."""

    _spans: deque[list[float]] = field(default_factory=lambda: deque(maxlen=SPANS))

    def note(self, now: int, rows: int, decide_s: float, commit_s: float) -> None:
        """Add one round."""
        at = now - now % SPAN_MS
        if not self._spans or self._spans[-1][0] != at:
            self._spans.append([at, 0, 0, 0.0, 0.0])
        for place, value in enumerate((1, rows, decide_s, commit_s), 1):
            self._spans[-1][place] += value

    def all(self, now: int) -> list[dict[str, Any]]:
        """Return the spans that had rounds and are over, oldest first: rates and mean times."""
        first = now - now % SPAN_MS - SPANS * SPAN_MS
        per_s = SPAN_MS / MILLI
        return [
            {
                "at": int(at),
                "rounds_per_s": round(rounds / per_s, 2),
                "rows_per_s": round(rows / per_s, 2),
                "decide_ms": round(decide_s / rounds * MILLI, 3),
                "commit_ms": round(commit_s / rounds * MILLI, 3),
            }
            for at, rounds, rows, decide_s, commit_s in self._spans
            if first <= at <= now - SPAN_MS
        ]


class LastHour:
    """How often each of some codes was met within the last hour, to the minute."""

    def __init__(self) -> None:
        self._begun = now_ms()
        self._minutes: deque[tuple[int, Counter[str]]] = deque()

    @property
    def since(self) -> int:
        """Return from when on all is counted."""
        return max(self._begun, now_ms() - MINUTES * _MINUTE_MS)

    def note(self, now: int, codes: Iterable[str]) -> None:
        """Count these codes."""
        found = Counter(codes)
        if not found:
            return
        minute = now // _MINUTE_MS
        if not self._minutes or self._minutes[-1][0] != minute:
            self._minutes.append((minute, Counter()))
        self._minutes[-1][1].update(found)

    def counts(self, now: int) -> Counts:
        """Return the count of each code, the most frequent first."""
        while self._minutes and self._minutes[0][0] <= now // _MINUTE_MS - MINUTES:
            self._minutes.popleft()
        total: Counter[str] = Counter()
        for _, found in self._minutes:
            total.update(found)
        return dict(total.most_common())


def _count_changes(changes: Changes) -> None:
    wrote = {
        "rows": len(changes.rows) + sum(block.shape[1] for _, block in changes.blocks),
        "documents": len(changes.documents),
        "transactions": len(changes.transactions),
        "usage": len(changes.usage),
        "events": len(changes.events),
        "answers": len(changes.answers),
    }
    for kind, count in wrote.items():
        metrics.ROUND_CHANGES.labels(kind).inc(count)


def _show(found: Tally, queues: Queues, now: int) -> None:
    for gauge, counts in (
        (metrics.JOBS, found.jobs),
        (metrics.TASKS, found.tasks),
        (metrics.LEASES, found.leases),
        (metrics.POOLS, found.pools),
        (metrics.BALANCE, found.balances_micro),
    ):
        _set(gauge, counts)
    metrics.LENT_CORES.set(found.lent_milli / MILLI)
    metrics.HELD_CORES.set(found.held_milli / MILLI)
    metrics.INBOX_WAITING.set(queues.inbox_waiting)
    oldest_at = now if queues.inbox_oldest_at is None else queues.inbox_oldest_at
    metrics.INBOX_OLDEST.set(max(0, now - oldest_at) / MILLI)
    _set(metrics.WEBHOOKS, queues.webhooks)
    metrics.WEBHOOK_BEHIND.set(queues.webhook_events_behind)


def _set(gauge: Gauge, counts: Counts) -> None:
    for name, count in counts.items():
        gauge.labels(name).set(count)


def _by_state(table: Table[Any], states: type[IntEnum]) -> Counts:
    counts = np.bincount(table.column("state")[table.used()], minlength=len(states))
    return {state.name.lower(): int(counts[state]) for state in states}


def _by_number(
    table: Table[Any], key: str, added: str, mask: np.ndarray[Any, Any] | None = None
) -> dict[int, int]:
    """Return the sum of a column for each value of another."""
    mask = table.used() if mask is None else mask
    numbers, place = np.unique(table.column(key)[mask], return_inverse=True)
    sums = np.zeros(len(numbers), np.int64)
    np.add.at(sums, place, table.column(added)[mask])
    return dict(zip(numbers.tolist(), sums.tolist(), strict=True))


def _balances(world: World) -> Counts:
    found = dict.fromkeys((kind.name.lower() for kind in AccountKind), 0)
    names = [kind.name.lower() for kind in AccountKind]
    used = world.accounts.used()
    numbers = world.accounts.column("id")[used].tolist()
    for number, kind in zip(numbers, world.accounts.column("kind")[used].tolist(), strict=True):
        found[names[kind]] += world.balances.get(number, 0)
    return found


def _without_instants(said: dict[str, Any]) -> dict[str, Any]:
    """Return what a board says but for the spans, which move by themselves."""
    spans = said.get("rounds", [])
    return said | {"rounds": spans[-1:]}
