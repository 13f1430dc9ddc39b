"""What must hold after a seed, seen from outside: by the API, the trace, /proc and the folders.

Each check returns sentences about what is wrong. Nothing here asks the network's own code whether
it was right, but for its proof of the books, which is done a second time from the postings.
"""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from intertie.client import Intertie
from intertie.wire.jobs import JobView, Receipt, TaskView
from intertie.wire.money import AccountView, TransactionView
from tests.faults.network import POLICY, Ground
from tests.faults.plan import Plan
from tests.faults.users import Record

BROKEN = ("lost", "expired", "start_failed", "declined", "cancelled", "signalled")
# A shim sees the end of its task a moment later, and meters that too; both cores may be busy.
TRUTH_S = 2.0
TICKS = os.sysconf("SC_CLK_TCK")
Attempt = tuple[str, int, int]


@dataclass
class Seen:
    """What the network says of everything, asked once."""

    jobs: list[JobView]
    tasks: dict[str, list[TaskView]]
    receipts: dict[str, Receipt]
    accounts: list[AccountView]
    transactions: list[TransactionView]
    results: dict[str, dict[int, list[str]]]

    @property
    def causes(self) -> Counter[str]:
        """Return how many attempts ended in each way."""
        tasks = [task for found in self.tasks.values() for task in found]
        return Counter(attempt.cause for task in tasks for attempt in task.attempts)


@dataclass
class Life:
    """One attempt as it wrote of itself: when it was forked, and first and last seen to run."""

    first_s: float
    last_s: float
    forked_s: float = 0.0
    has_ended: bool = False
    starts: int = 0

    @property
    def ran_s(self) -> float:
        return self.last_s - (self.forked_s or self.first_s)


def look(operator: Intertie, records: list[Record], folder: Path) -> Seen:
    """Ask the network for everything that the checks read."""
    jobs = list(operator.jobs(limit=500))
    results: dict[str, dict[int, list[str]]] = {}
    for job in jobs:
        found: dict[int, list[str]] = defaultdict(list)
        place = folder / "results" / job.id
        operator.results(job, place)
        for file in operator.files(job):
            if file.kind == "result":
                own = place / str(file.task) if job.task_count > 1 else place
                found[file.task].append((own / file.path).read_text().strip())
        results[job.id] = found
    return Seen(
        jobs=jobs,
        tasks={job.id: list(operator.tasks(job)) for job in jobs},
        receipts={job.id: operator.receipt(job) for job in jobs},
        accounts=list(operator.accounts()),
        transactions=list(operator.transactions(limit=500)),
        results=results,
    )


def check(
    plan: Plan, ground: Ground, operator: Intertie, records: list[Record], seen: Seen
) -> list[str]:
    """Return everything that is wrong."""
    lives = read_trace(ground.trace)
    proof = operator.ledger_check()
    return [
        *(f"books: {fault}" for fault in proof.faults),
        *([f"books: {proof.open_holds} holds are open"] if proof.open_holds else []),
        *check_jobs(plan, records, seen),
        *check_results(seen),
        *check_overlap(lives),
        *check_books(seen),
        *check_usage(plan, seen, lives),
        *check_folders(plan, ground),
    ]


def check_jobs(plan: Plan, records: list[Record], seen: Seen) -> Iterator[str]:
    """Each acknowledged job is there once, settled, and ended as it may."""
    named: dict[str, list[JobView]] = defaultdict(list)
    for job in seen.jobs:
        named[job.name].append(job)
    for record in records:
        name, found = record.ask.name, named.pop(record.ask.name, [])
        if len(record.acks) > 1:
            yield f"{name} was acknowledged as {sorted(record.acks)}"
        if len(found) > 1 or [job.id for job in found] != sorted(record.acks):
            yield f"{name} is there as {[j.id for j in found]}, told was {sorted(record.acks)}"
        for job in found:
            yield from _check_end(plan, record, job, seen)
    for name in named:
        yield f"nobody submitted {name}"


def _check_end(plan: Plan, record: Record, job: JobView, seen: Seen) -> Iterator[str]:
    tasks = seen.tasks[job.id]
    if job.state != "settled" or job.held_micro:
        yield f"{job.id} is {job.state} and holds {job.held_micro}"
    allowed = set(record.ask.outcomes)
    if any(first.name == record.ask.after and first.outcome != "done" for first in seen.jobs):
        allowed = {"cancelled"}
    if "done" in allowed and not record.is_cancelled:
        allowed.discard("cancelled")
    for task in tasks:
        for attempt in task.attempts:
            if attempt.state != "settled":
                yield f"{job.id} task {task.index}: lease {attempt.lease} is {attempt.state}"
        broken = sum(
            attempt.cause in BROKEN and not (record.is_cancelled and attempt.cause == "cancelled")
            for attempt in task.attempts
        )
        if POLICY.failures_max <= broken <= plan.attempts_broken_max:
            allowed.add("failed")
    if job.outcome not in allowed:
        causes = [[a.cause for a in task.attempts] for task in tasks]
        yield f"{job.id} ({record.ask.name}) is {job.outcome}, not {sorted(allowed)}: {causes}"
    if len(tasks) != record.ask.tasks:
        yield f"{job.id} has {len(tasks)} tasks, not {record.ask.tasks}"


def check_results(seen: Seen) -> Iterator[str]:
    """A task that is done has one result, and an attempt that ended well wrote it."""
    for job, tasks in seen.tasks.items():
        for task in tasks:
            found = seen.results[job].get(task.index, [])
            if task.outcome == "done":
                good = {f"{job} {task.index} {a.token}" for a in task.attempts if a.exit_code == 0}
                if len(found) != 1 or found[0] not in good:
                    yield f"{job} task {task.index}: result {found}, good attempts {sorted(good)}"
            elif len(found) > 1:
                yield f"{job} task {task.index}: {len(found)} results"


def read_trace(path: Path) -> dict[Attempt, Life]:
    """Return each attempt's life from the lines that it wrote, by (job, task, number)."""
    lives: dict[Attempt, Life] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        job, task, number, what, up = line.split()
        life = lives.setdefault((job, int(task), int(number)), Life(float(up), float(up)))
        life.first_s, life.last_s = min(life.first_s, float(up)), max(life.last_s, float(up))
        life.has_ended = life.has_ended or what == "end"
        what, _, ticks = what.partition("=")
        if what == "start":
            life.starts, life.forked_s = life.starts + 1, float(ticks or 0) / TICKS
    return lives


def check_overlap(lives: dict[Attempt, Life]) -> Iterator[str]:
    """No task ran two attempts at once, and none was started twice under one lease."""
    by_task: dict[tuple[str, int], list[tuple[int, Life]]] = defaultdict(list)
    for (job, task, number), life in lives.items():
        by_task[job, task].append((number, life))
        if life.starts != 1:
            yield f"{job} task {task} attempt {number} was started {life.starts} times"
    for (job, task), attempts in by_task.items():
        ordered = sorted(attempts, key=lambda each: each[1].first_s)
        for (one, before), (other, after) in pairwise(ordered):
            if after.first_s < before.last_s:
                both_s = before.last_s - after.first_s
                yield f"{job} task {task}: attempts {one} and {other} ran together {both_s:.2f} s"


def check_books(seen: Seen) -> Iterator[str]:
    """Balances are their postings' sums, holds came back, and no slice was charged twice."""
    balances: dict[str, int] = defaultdict(int)
    left: dict[str, int] = defaultdict(int)
    slices: set[tuple[str, int, int]] = set()
    escrow = {account.id for account in seen.accounts if account.kind == "escrow"}
    for booked in seen.transactions:
        for posting in booked.postings:
            balances[posting.source] -= posting.amount_micro
            balances[posting.destination] += posting.amount_micro
            if booked.lease is not None:
                left[booked.lease] += posting.amount_micro * (posting.destination in escrow)
                left[booked.lease] -= posting.amount_micro * (posting.source in escrow)
        if booked.kind == "charge":
            name = (str(booked.lease), booked.token, booked.slice_index)
            if name in slices:
                yield f"slice {name} was charged twice"
            slices.add(name)
    for account in seen.accounts:
        if balances[account.id] != account.balance_micro:
            yield f"{account.id}: {account.balance_micro} kept, {balances[account.id]} posted"
        if account.kind == "escrow" and account.balance_micro:
            yield f"escrow {account.id} still holds {account.balance_micro}"
        if account.kind == "wallet" and account.balance_micro < 0:
            yield f"wallet {account.id} is at {account.balance_micro}"
    for lease, micro in left.items():
        if micro:
            yield f"{lease}: {micro} of its hold neither charged nor released"


def check_usage(plan: Plan, seen: Seen, lives: dict[Attempt, Life]) -> Iterator[str]:
    """Nobody pays for longer than the attempt ran, by its own clock; each lease pays once."""
    asleep_s = sum(f.seconds for f in plan.faults if f.kind == "shim" and f.what == "pause")
    lives_by_lease = {
        attempt.lease: lives.get((job, task.index, attempt.token))
        for job, tasks in seen.tasks.items()
        for task in tasks
        for attempt in task.attempts
    }
    for job, receipt in seen.receipts.items():
        if len({line.lease for line in receipt.lines}) != len(receipt.lines):
            yield f"{job}: a lease has two lines in its receipt"
        if receipt.sum_micro:
            yield f"{job}: the receipt does not sum to zero"
        for line in receipt.lines:
            life = lives_by_lease.get(line.lease)
            ran_s = life.ran_s if life else 0.0
            if line.paid_s > ran_s + TRUTH_S + asleep_s:
                yield f"{job} {line.lease}: paid {line.paid_s:.2f} s, ran {ran_s:.2f} s"
            if line.amount_micro and life is None and line.paid_s > TRUTH_S:
                yield f"{job} {line.lease}: paid, though it never ran"


def check_folders(plan: Plan, ground: Ground) -> Iterator[str]:
    """No agent has an attempt that is not over."""
    for agent in plan.agents:
        for folder in (ground.agent_folder(agent) / "attempts").glob("*-*"):
            with suppress(OSError, ValueError):
                status = json.loads((folder / "status.json").read_text())
                if status["state"] != "over":
                    yield f"{agent}: {folder.name} is {status['state']}"


def processes_of(folder: Path) -> list[str]:
    """Return every process that carries a seed's mark: its environment, command or folder."""
    mark = str(folder).encode()
    found = []
    for pid in _pids():
        with suppress(OSError):
            process = Path("/proc") / pid
            command = (process / "cmdline").read_bytes()
            where = os.readlink(process / "cwd").encode()  # noqa: PTH115  a name, not a path
            told = (process / "environ").read_bytes()
            if command and (mark in command or mark in told or where.startswith(mark)):
                found.append(f"{pid} {command.replace(bytes(1), b' ').decode(errors='replace')}")
    return found


def _pids() -> Iterable[str]:
    return [path.name for path in Path("/proc").iterdir() if path.name.isdigit()]
