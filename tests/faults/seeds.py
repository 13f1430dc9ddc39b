"""One seed from its plan to its verdict, and many of them, side by side and resumable."""

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from queue import SimpleQueue
from threading import Lock

from intertie.client import Intertie
from tests.faults.checks import check, look, processes_of
from tests.faults.network import (
    FILE,
    PROJECTS,
    Ground,
    make_network,
    make_parties,
    prepare_once,
    wait_until_ready,
)
from tests.faults.nursery import ROOT, Nursery
from tests.faults.places import is_root
from tests.faults.plan import KINDS, Plan, make_plan
from tests.faults.proxy import Loop
from tests.faults.stage import Stage
from tests.faults.users import Users, caller
from tests.support.databases import PostgresServer, binaries

TICK_S = 0.01
JOIN_S = 60.0
AFTER_S = 0.8  # faults go on so long after the last submission
SETTLE_S = 90.0
GONE_S = 10.0


@dataclass
class Verdict:
    """What one seed showed."""

    seed: int
    database: str
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        return not self.wrong


class Slot:
    """What one seed after another uses: a nursery, an event loop, a PostgreSQL server."""

    def __init__(self, has_postgres: bool) -> None:
        self.nursery = Nursery()
        self.loop = Loop()
        self.parts = self.nursery, self.loop
        found = binaries()
        assert found or not has_postgres, "no PostgreSQL here"
        self.server = PostgresServer(found) if found and has_postgres else None

    def close(self) -> None:
        self.nursery.close()
        self.loop.close()
        if self.server is not None:
            self.server.remove()


def run_seed(plan: Plan, slot: Slot, root: Path) -> Verdict:
    """Run one plan below a folder and return the verdict; a clean seed leaves nothing there."""
    began = time.monotonic()
    folder = root / f"{plan.database}-{plan.seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps(plan.plain(), indent=1))
    is_served = plan.database == "postgresql"
    server = slot.server if is_served else None
    url = server.make() if server else f"sqlite:///{folder / 'data' / FILE}"
    ground = Ground(folder, url, server)
    verdict = Verdict(plan.seed, plan.database)
    stage = Stage(plan, ground, *slot.parts)
    try:
        _play(plan, ground, stage, verdict)
    except Exception as error:  # noqa: BLE001  one seed more that went wrong, and the next goes on
        verdict.wrong.append(f"{type(error).__name__}: {error}")
    finally:
        stage.close()
        verdict.wrong += _left_over(folder)
        stage.remove_disks()
        if server:
            server.drop(url)
    if verdict.is_clean:
        shutil.rmtree(folder, ignore_errors=True)
    verdict.seconds = round(time.monotonic() - began, 2)
    return verdict


def _play(plan: Plan, ground: Ground, stage: Stage, verdict: Verdict) -> None:
    operator_token = make_network(ground)
    stage.arm(is_armed=False)
    stage.start_doors()
    for url in stage.urls():
        wait_until_ready(url)
    with caller(stage.urls, operator_token) as ask_network:
        tokens = ask_network(lambda network: make_parties(network, plan.agents))
        stage.start_agents(tokens)
        _until(stage, lambda: _joined(ask_network) == len(plan.agents), "agents join", JOIN_S)
        users = Users(ground, [tokens[name] for name in PROJECTS], plan.jobs, stage.urls)
        stage.arm(is_armed=True)
        users.start()
        _until(stage, users.are_done, "users are answered", SETTLE_S)
        _during(stage, AFTER_S)
        if plan.is_patient:
            _until(stage, lambda: not stage.is_breaking(), "what is broken is mended", SETTLE_S)
        stage.heal()
        verdict.wrong += users.errors
        _until(stage, lambda: ask_network(_all_settled), "every job settles", SETTLE_S)
        _until(stage, lambda: not _attempts(plan, ground), "agents forget", SETTLE_S)
        seen = ask_network(lambda network: look(network, users.records, ground.folder))
        verdict.wrong += ask_network(lambda n: check(plan, ground, n, users.records, seen))
    verdict.notes += [f"{what} {times}×" for what, times in stage.unplanned.items()]
    verdict.notes += [f"{r.ask.name} refused: {r.refusal}" for r in users.records if r.refusal]
    verdict.counts = _counted(plan, stage) | {
        "jobs": len(seen.jobs),
        "tasks": sum(map(len, seen.tasks.values())),
        "leases": seen.causes.total(),
        "transactions": len(seen.transactions),
        **{f"leases {cause}": number for cause, number in seen.causes.items()},
    }


def _joined(ask_network: Callable[[Callable[[Intertie], int]], int]) -> int:
    return ask_network(lambda network: sum(offer.score is not None for offer in network.offers()))


def _all_settled(network: Intertie) -> bool:
    return all(job.state == "settled" for job in network.jobs(limit=500))


def _attempts(plan: Plan, ground: Ground) -> list[Path]:
    found: list[Path] = []
    for agent in plan.agents:
        found += (ground.agent_folder(agent) / "attempts").glob("*-*")
    return found


def _until(stage: Stage, is_so: Callable[[], bool], what: str, patience_s: float) -> None:
    """Keep the stage going until something holds; fail when it does not in time."""
    ends, next_look = time.monotonic() + patience_s, 0.0
    while True:
        stage.tick()
        now = time.monotonic()
        if now >= next_look:
            if is_so():
                return
            next_look = now + 0.1
        assert now < ends, f"it did not come to pass in {patience_s:.0f} s that {what}"
        time.sleep(TICK_S)


def _during(stage: Stage, seconds: float) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        stage.tick()
        time.sleep(TICK_S)


def _left_over(folder: Path) -> list[str]:
    """Return which processes of a seed do not go away."""
    ends = time.monotonic() + GONE_S
    while (found := processes_of(folder)) and time.monotonic() < ends:
        time.sleep(0.1)
    return [f"still running: {each}" for each in found]


def _counted(plan: Plan, stage: Stage) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for role in plan.parts:
        counts[f"steps of {role.partition('-')[0]}s"] += stage.counts.of(role)
    counts["messages"] = sum(proxy.messages for proxy in stage.proxies.values())
    counts["starts"] = sum(stage.starts.values())
    counts["planned faults"] = len(plan.faults) + len(plan.reclaims)
    counts.update(f"{fault.kind} {fault.what}" for fault in stage.met)
    return dict(counts)


class Runner:
    """Runs seeds on several slots; remembers finished ones in a file, so as to go on from it.

    The file is that of this very code: what was clean yesterday is tried again after a change.
    """

    def __init__(
        self,
        root: Path,
        databases: Callable[[int], tuple[str, ...]],
        kinds: tuple[str, ...] = KINDS,
    ) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self._done = root / f"done-{_sources()}.jsonl"
        self._databases, self._kinds = databases, kinds
        self._is_root = is_root()
        self._slots: SimpleQueue[Slot] = SimpleQueue()
        self._all: list[Slot] = []
        self._lock = Lock()

    def remember(self, verdict: Verdict) -> None:
        """Keep a verdict for later runs."""
        with self._lock, self._done.open("a") as done:
            done.write(json.dumps(asdict(verdict)) + "\n")

    def finished(self) -> list[Verdict]:
        """Return the verdicts of earlier runs."""
        if not self._done.exists():
            return []
        return [Verdict(**json.loads(line)) for line in self._done.read_text().splitlines()]

    def run(self, seeds: range, jobs: int, tell: Callable[[Verdict], None]) -> list[Verdict]:
        """Return a verdict for each seed and database, the earlier ones included."""
        prepare_once(self.root)
        known = {(v.seed, v.database): v for v in self.finished() if v.is_clean}
        wanted = [(seed, database) for seed in seeds for database in self._databases(seed)]
        left = [each for each in wanted if each not in known]
        for _ in range(min(jobs, len(left))):
            slot = Slot(any(database == "postgresql" for _, database in left))
            self._all.append(slot)
            self._slots.put(slot)
        pool = ThreadPoolExecutor(jobs)
        try:
            for verdict in pool.map(lambda each: self._one(*each), left):
                known[verdict.seed, verdict.database] = verdict
                tell(verdict)
        finally:
            pool.shutdown(cancel_futures=True)  # who is interrupted ends what is under way
            for slot in self._all:
                slot.close()
        return [known[each] for each in wanted]

    def _one(self, seed: int, database: str) -> Verdict:
        plan = make_plan(seed, database, self._kinds, self._is_root)
        slot = self._slots.get()
        try:
            verdict = run_seed(plan, slot, self.root)
        finally:
            self._slots.put(slot)
        self.remember(verdict)
        return verdict


def _sources() -> str:
    """Return what names the code that is tried, and that which tries it."""
    digest = sha256()
    for folder in (ROOT / "src", ROOT / "tests" / "faults"):
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
