"""What one seed does: its network, its jobs and its faults, all from the seed and nothing else.

A fault happens at a *count*: of steps of a process (before and after each store statement, each
commit, each write, sync and rename of an agent), of messages between an agent and a door, or of
writes of a shim. The same seed gives the same plan. What a count hits depends on how the threads
and processes of the network interleave, which no seed fixes.
"""

from dataclasses import asdict, dataclass
from random import Random
from typing import Any

KINDS = ("kill", "pause", "double", "restart", "message", "link", "disk", "clock", "shim")
DATABASES = ("sqlite", "postgresql")
DECIDERS = ("decider-1", "decider-2")
DOORS = ("door-1", "door-2")
AGENTS = ("agent-1", "agent-2", "agent-3")
ROLES = (*DECIDERS, *DOORS, *AGENTS)
# Up to which step a fault may wait: about what a quiet run of this many jobs makes of them.
STEPS_MAX = {"decider": 800, "door": 1_400, "agent": 120}
MESSAGES_MAX = 25
SHIMS_MAX, SHIM_WRITES_MAX = 20, 6
# Longer than an agent may be silent before what moves is placed again elsewhere.
LONG_S = 9.0
MESSAGE_FAULTS = ("drop_request", "drop_answer", "delay", "hold", "twice", "again_later", "cut")


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong: what, to whom, at which count, and for how long.

    `at` counts the steps of `role`; its messages for `message`; a shim's writes for `shim`,
    where `nth` says which shim of that agent.
    """

    kind: str
    what: str
    role: str
    at: int
    seconds: float = 0.0
    nth: int = 0


@dataclass(frozen=True)
class Ask:
    """One job that a user submits, and what may come of it."""

    name: str
    project: int
    pause_s: float
    tasks: int
    steps: int
    exit_code: int = 0
    saves: bool = False
    gang: bool = False
    after: str = ""
    on_partition: str = "keep"
    cancel_after_s: float = -1.0

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Return how it may end when nothing breaks an attempt of it too often."""
        likely = "failed" if self.exit_code else "done"
        return (likely, "cancelled") if self.cancel_after_s >= 0 else (likely,)


@dataclass(frozen=True)
class Plan:
    """All of one seed. `is_patient`: what was broken stays so for its time before all is healed."""

    seed: int
    database: str
    agents: tuple[str, ...]
    doors: tuple[str, ...]
    deciders: tuple[str, ...]
    jobs: tuple[Ask, ...]
    faults: tuple[Fault, ...]
    reclaims: tuple[Fault, ...]
    is_patient: bool = False

    def plain(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def parts(self) -> tuple[str, ...]:
        return (*self.deciders, *self.doors, *self.agents)

    @property
    def attempts_broken_max(self) -> int:
        """Return how often one task's attempts may break under it: once for each agent's fault.

        A full disk may refuse every start until there is room again.
        """
        if any(fault.kind == "disk" for fault in self.faults):
            return 1_000
        met = [fault for fault in self.faults if fault.role in AGENTS and fault.kind != "clock"]
        return len(met) + len(self.reclaims)

    def of(self, role: str, *kinds: str) -> list[Fault]:
        """Return the faults of some kinds that one role meets, the first first."""
        found = [f for f in self.faults if f.role == role and f.kind in kinds]
        return sorted(found, key=lambda fault: fault.at)


def make_plan(seed: int, database: str, kinds: tuple[str, ...] = KINDS, root: bool = True) -> Plan:
    """Return the plan of a seed; `kinds` says which faults there may be, `root` all of them."""
    random = Random(f"{seed} {database}")
    agents = AGENTS[: random.choice((2, 2, 3))]
    doors = DOORS[: random.choice((1, 2, 2))]
    is_spare = database == "postgresql"
    deciders = DECIDERS if is_spare else DECIDERS[:1]
    parts = (*deciders, *doors, *agents)
    usable = [kind for kind in kinds if is_spare or kind != "restart"]
    if not root:
        usable = [kind for kind in usable if kind not in ("link", "disk")]
    chosen = random.sample(usable, min(len(usable), random.choice((1, 2, 3, 3))))
    faults = [
        _fault(random, kind, parts, agents, database)
        for kind in chosen
        for _ in range(random.choice((1, 2, 3)))
    ]
    reclaims = [
        Fault("reclaim", "reclaim", random.choice(agents), random.randint(20, 120), 0.7)
        for _ in range(random.choice((0, 1)))
    ]
    is_patient = random.random() < 0.5
    jobs = (*(_long_jobs(random) if is_patient else ()), *_jobs(random))
    return Plan(
        seed, database, agents, doors, deciders, jobs, tuple(faults), tuple(reclaims), is_patient
    )


def _fault(
    random: Random, kind: str, parts: tuple[str, ...], agents: tuple[str, ...], database: str
) -> Fault:
    role = random.choice(parts)
    agent = random.choice(agents)
    at = random.randint(1, STEPS_MAX[role.partition("-")[0]])
    seconds = round(random.uniform(0.2, 1.2), 2)
    if kind == "kill":
        return Fault(kind, "kill", role, at, seconds)
    if kind == "pause":
        longest = LONG_S if role in AGENTS else 3.5
        return Fault(kind, "pause", role, at, random.choice((0.3, 1.0, 2.5, longest)))
    if kind == "clock":
        return Fault(
            kind, "clock", role, at, random.choice((-3600.0, -5.0, -1.0, 1.0, 5.0, 3600.0))
        )
    if kind == "double":
        role = random.choice([part for part in parts if database != "sqlite" or part[:2] != "de"])
        return Fault(kind, "double", role, random.randint(1, 120), seconds)
    if kind == "restart":
        return Fault(kind, random.choice(("fast", "immediate")), "decider-1", at, seconds)
    if kind == "message":
        what = random.choice(MESSAGE_FAULTS)
        long_s = random.choice((0.3, 1.0, 2.5, LONG_S)) if what in ("cut", "delay") else seconds
        return Fault(kind, what, agent, random.randint(1, MESSAGES_MAX), long_s)
    if kind == "link":
        at = random.randint(1, STEPS_MAX["agent"])
        return Fault(kind, "link", agent, at, random.choice((0.5, 1.5, 3.0, LONG_S)))
    if kind == "disk":
        role = random.choice([*agents, "decider-1"] if database == "sqlite" else list(agents))
        at = random.randint(1, STEPS_MAX[role.partition("-")[0]])
        return Fault(kind, "disk", role, at, seconds)
    assert kind == "shim", kind
    what = random.choice(("kill", "pause"))
    nth, write = random.randint(1, SHIMS_MAX), random.randint(1, SHIM_WRITES_MAX)
    return Fault(kind, what, agent, write, round(random.uniform(0.2, 0.8), 2), nth)


def _long_jobs(random: Random) -> tuple[Ask, ...]:
    """Return jobs that outlast a long fault: of what was broken under them, something is left."""
    return tuple(
        Ask(f"long-{policy}", random.randint(0, 1), 0.0, 3, 80, on_partition=policy)
        for policy in ("keep", "move")
    )


def _jobs(random: Random) -> tuple[Ask, ...]:
    """Return a few jobs of every kind; some are cancelled, one waits for another."""
    jobs: list[Ask] = []
    for number in range(random.randint(5, 8)):
        kind = random.choice(("single", "single", "array", "array", "saving", "failing", "gang"))
        project = random.randint(0, 1)
        own = [job.name for job in jobs if job.project == project]
        after = random.choice(own) if own and random.random() < 0.25 else ""
        is_cancelled = random.random() < 0.15
        jobs.append(
            Ask(
                name=f"job-{number}-{kind}",
                project=project,
                pause_s=round(random.uniform(0.0, 0.3), 2),
                tasks={"array": random.randint(2, 5), "gang": 2}.get(kind, 1),
                steps=random.randint(10, 40) if kind == "saving" else random.choice((1, 3, 6, 25)),
                exit_code=3 if kind == "failing" else 0,
                saves=kind == "saving",
                gang=kind == "gang",
                after=after,
                on_partition=random.choice(("keep", "move")),
                cancel_after_s=round(random.uniform(0.0, 0.8), 2) if is_cancelled else -1.0,
            )
        )
    return tuple(jobs)
