"""Rounds of the pure river, in process: no store, no HTTP, agents that only write sync bodies.

`fill` makes a World with N live jobs over 20 pools, some running for long, most waiting.
`push` takes tasks through all states in a steady stream: each round a batch is placed, the one
before is seen running, and the one before that ends and is settled. Times are of the processor, so
that neighbours on a shared machine disturb them little; what lives long is frozen for the garbage
collector, as a decider does with a World that it has loaded.
"""

import cProfile
import gc
import pstats
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import process_time
from typing import Any

from benchmarks import table
from intertie.cycle.inbox import InboxRow
from intertie.cycle.river import flow
from intertie.model.ids import encode
from intertie.model.job import Task
from intertie.model.lease import Lease
from intertie.model.parties import NodeFacts, PoolFacts, Score, Terms
from intertie.model.plain import to_plain
from intertie.model.policy import Policy
from intertie.model.request import Request, Resources
from intertie.model.states import JobState, LeaseState, Outcome, TaskState
from intertie.model.units import GIB, MIB, MICRO
from intertie.run.observing import RUNNING
from intertie.wire.digest import digest_text, lease_mark
from intertie.world.apply import apply
from intertie.world.changes import Changes
from intertie.world.world import World

WHAT = "decision time of rounds and of one task's whole river, in process, by live jobs"
POOLS, PROJECTS, SHAPES = 20, 10, 5
LONG, STREAM_CORES = 2_000, 20
BATCH = POOLS * STREAM_CORES // 2
ROUND_MS = 200
LIVE = (1_000, 10_000, 100_000)
TASKS = 20_000
RUNS = 30


def measure() -> table.Outcome:
    """Return the times of idle and steady rounds, and what one task costs altogether."""
    rows = []
    for live in LIVE:
        network = fill(live, tasks=RUNS * BATCH)
        rows.append(table.row(f"idle round, {live} live jobs", network.idle(RUNS)))
        steady = network.push(RUNS * BATCH)
        rows.append(table.row(f"round of {BATCH} tasks, {live} live jobs", steady))
    single = fill(TASKS + 2_000).push(TASKS)
    array = fill(2_000, tasks=TASKS).push(TASKS)
    rows.append(table.row("admission of 200 jobs of one task", fill(2_000).admit(RUNS)))
    rows.append(table.row("admission of an array of 100 000", fill(2_000).admit(1, 100_000)))
    figure = (
        f"whole river of one task, digest included: {_each_us(single):.0f} µs as single jobs, "
        f"{_each_us(array):.0f} µs in an array"
    )
    return table.Outcome(tuple(rows), figure)


@dataclass
class Rounds:
    """A World in process, its clock, and what its agents will say next."""

    world: World = field(default_factory=World)
    policy: Policy = field(default_factory=lambda: Policy(tasks_max=1_000_000, slice_s=60))
    now: int = 1_000_000
    rows: int = 0
    pools: list[int] = field(default_factory=list)
    news: dict[int, Lease] = field(default_factory=dict)
    alive: dict[int, dict[int, int]] = field(default_factory=dict)
    sequences: dict[int, int] = field(default_factory=dict)
    moved: Counter[str] = field(default_factory=Counter)

    def ask(self, kind: str, actor: int, body: dict[str, Any]) -> int:
        """Decide a round on one row and return the row's id."""
        self.decide([self.inbox_row(kind, actor, body)])
        return self.rows

    def inbox_row(self, kind: str, actor: int, body: dict[str, Any]) -> InboxRow:
        """Return the next inbox row."""
        self.rows += 1
        return InboxRow(self.rows, kind, actor, self.now, body)

    def decide(self, inbox: list[InboxRow]) -> float:
        """Decide one round, digest included, and return the seconds it took."""
        begun = process_time()
        changes = flow(self.world, inbox, self.policy, self.now)
        changes.digest()
        took_s = process_time() - begun
        leases = [row for (noun, _), row in changes.rows.items() if noun == "Lease"]
        for lease in leases:
            self.news.pop(lease.id, None)
            is_told = lease.observed == RUNNING and _is_long(lease)
            if lease.state < LeaseState.ENDED and not is_told:
                self.news[lease.id] = lease
        self.moved = Counter(LeaseState(lease.state).name for lease in leases)
        return took_s

    def idle(self, runs: int) -> list[float]:
        """Return the seconds of rounds in which nothing is said and nothing is due."""
        return [self.decide([]) for _ in range(runs)]

    def push(self, tasks: int) -> list[float]:
        """Return the seconds of the rounds that take this many tasks through all states."""
        for share in (1, 1, 2, 1):  # until the stream is steady: half of it a round behind.
            self.step(share)
        return [self.step() for _ in range(tasks // BATCH)]

    def admit(self, rounds: int, tasks: int = 1) -> list[float]:
        """Return the seconds of rounds that admit 200 jobs of one task, or one array."""
        projects = sorted(self.world.projects.slots)
        seconds = []
        for _ in range(rounds):
            count = BATCH if tasks == 1 else 1
            asked = [replace(a_request(at % SHAPES), task_count=tasks) for at in range(count)]
            bodies = [{"request": to_plain(request), "option": ""} for request in asked]
            owners = [projects[at % PROJECTS] for at in range(count)]
            inbox = [
                self.inbox_row("job", owner, body)
                for owner, body in zip(owners, bodies, strict=True)
            ]
            seconds.append(self.decide(inbox))
        return seconds

    def step(self, share: int = 1) -> float:
        """Let all agents say what is new of each `share`-th lease, and decide it."""
        self.now += ROUND_MS
        said: dict[int, list[Lease]] = {pool: [] for pool in self.pools}
        for lease in self.news.values():
            if lease.id % share == 0:
                said[lease.pool].append(lease)
        return self.decide([self._sync(pool, leases) for pool, leases in said.items()])

    def _sync(self, pool: int, leases: list[Lease]) -> InboxRow:
        alive = self.alive.setdefault(pool, {})
        told = []
        for lease in leases:
            is_over = lease.observed == RUNNING and not _is_long(lease)
            state = "ended" if is_over else "running"
            ran_ms = self.now - lease.placed_at
            told.append(
                {
                    "lease": encode("lease", lease.id),
                    "token": lease.token,
                    "state": state,
                    "cause": "exited" if is_over else "none",
                    "exit_code": 0 if is_over else None,
                    "started_at": lease.placed_at,
                    "ran_ms": ran_ms,
                    "cpu_ms": ran_ms,
                    "memory_peak_bytes": 64 * MIB,
                    "files": [],
                }
            )
            if is_over:
                alive.pop(lease.id, None)
            else:
                alive[lease.id] = lease_mark(lease.id, lease.token)
        self.sequences[pool] = self.sequences.get(pool, 0) + 1
        found = self.world.pools.get(pool)
        body = {
            "epoch": found.epoch,
            "sequence": self.sequences[pool],
            "digest": digest_text(sum(alive.values())),
            "leases": told,
            "declines": [],
            "owner": {
                "lent_cpus_milli": found.lent_cpus_milli,
                "lent_memory_bytes": found.lent_memory_bytes,
                "is_draining": False,
            },
        }
        return self.inbox_row("sync", pool, body)


def fill(live: int, tasks: int = 0) -> Rounds:
    """Return a network with that many live jobs: up to 2 000 run for long, the others wait.

    With `tasks` an array of so many tasks waits too.
    """
    rounds = Rounds()
    running = min(live // 2, LONG) // POOLS * POOLS
    projects = [
        rounds.ask("project", 0, {"name": f"p{i}", "weight": 1, "trial_micro": 10**6 * MICRO})
        for i in range(PROJECTS)
    ]
    for index in range(POOLS):
        provider = rounds.ask("provider", 0, {"name": f"q{index}"})
        pool = rounds.ask("agent", provider, {"pool": f"pool{index}", "public_key": "k"})
        rounds.ask("session", pool, {"pool": to_plain(some_pool(index, running // POOLS))})
        rounds.pools.append(pool)
    long = replace(a_request(0), time_limit_s=80_000, expected_s=80_000, task_count=running)
    rounds.policy = replace(rounds.policy, lease_s=86_400, lease_s_min=7_200)
    rounds.ask("job", projects[0], {"request": to_plain(long), "option": ""})
    rounds.policy = replace(rounds.policy, lease_s=300, lease_s_min=60)
    rounds.step()
    if tasks:
        array = replace(a_request(0), task_count=tasks)
        rounds.ask("job", projects[0], {"request": to_plain(array), "option": ""})
    classes = [
        rounds.ask("job", project, {"request": to_plain(a_request(shape)), "option": ""})
        for project in projects
        for shape in range(SHAPES)
    ]
    _copy(rounds, classes, live - running - len(classes))
    gc.collect()
    gc.freeze()
    return rounds


def a_request(shape: int) -> Request:
    """One short task; a shape differs from others in what it needs and how long it takes."""
    need = Resources(cpus_milli=1000, memory_bytes=(256 + shape) * MIB)
    return Request("job", command=("true",), resources=need, expected_s=10 + shape, time_limit_s=60)


def some_pool(index: int, long: int) -> PoolFacts:
    """A pool of one large node; each is a little dearer and faster than the one before."""
    cores, memory = (long + STREAM_CORES) * 1000, (long + STREAM_CORES) * GIB
    return PoolFacts(
        name=f"pool{index}",
        engine="fake",
        region="here",
        country="",
        latency_ms=1,
        latency_source="declared",
        nodes=(NodeFacts("n", cores, memory, 10**15),),
        terms=Terms(100_000 + index, 5, cores, memory),
        scores=(Score("cpu@1", MICRO + index, "measured"),),
    )


def _copy(rounds: Rounds, jobs: list[int], count: int) -> None:
    """Write `count` more waiting jobs like these in turn, past admission."""
    world, changes = rounds.world, Changes()
    like = [world.jobs.get(job) for job in jobs]
    first = world.next["Task"]
    for at in range(max(0, count)):
        rounds.rows += 1
        model = like[at % len(like)]
        job = replace(model, id=rounds.rows, state=JobState.QUEUED, held_micro=0, spent_micro=0)
        queued_at = job.submitted_at
        waiting = (TaskState.QUEUED, Outcome.NONE, 0, 0, 0, 0, queued_at, 0)
        changes.put(job, Task(first + at, job.id, 0, *waiting))
        for kind in ("request", "contract"):
            changes.document(kind, job.id, world.documents[kind, model.id])
    apply(world, changes)


def _is_long(lease: Lease) -> bool:
    return lease.until - lease.placed_at > 3_600_000


def _each_us(seconds: list[float]) -> float:
    return sum(seconds) / len(seconds) / BATCH * 1e6


def profile(what: Callable[[], object]) -> None:
    """Print where the time goes."""
    profiler = cProfile.Profile()
    profiler.runcall(what)
    pstats.Stats(profiler, stream=sys.stdout).sort_stats("tottime").print_stats(45)


if __name__ == "__main__":
    live, tasks, array = (int(word) for word in sys.argv[1:4])
    network = fill(live, array)
    profile(lambda: network.push(tasks))
