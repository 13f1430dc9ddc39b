"""Random lives of a network: what its people, owners, agents and links do, as a list of values."""

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from intertie.cycle import river
from intertie.model.job import Job
from intertie.model.parties import PoolFacts, Score
from intertie.model.policy import Policy
from intertie.model.request import Checkpoint, DataReference, Request, Resources
from intertie.model.states import JobState, TaskState
from intertie.model.units import GIB, MICRO
from intertie.simulator.link import FaultyLink
from intertie.world.apply import apply
from intertie.world.changes import Changes
from intertie.world.world import World
from tests.builders import ANetwork, a_node, a_request, quoting, some_facts, some_terms
from tests.property.derived import decides_alike_afresh
from tests.property.laws import Watch

POLICY = Policy(lease_s=80, slice_s=10, quote_s=30, busy_poll_ms=2_000, retain_s=600)
PROJECTS = (("small", 60_000, 1), ("large", 10 * MICRO, 1), ("heavy", MICRO, 3))
POOLS = ("lab", "west", "night")


@dataclass(frozen=True)
class Act:
    """One thing that happens: what, to whom (an index), and how."""

    what: str
    whom: int = 0
    how: Any = None


def some_pools() -> tuple[PoolFacts, ...]:
    """Three unlike pools: two nodes of which not all is lent, a slow cheap one of `heavy`, a far one."""
    lab = some_facts(
        name="lab",
        nodes=(
            a_node(device_class="a100", device_count=2),
            a_node(name="n2", device_class="t4", device_count=1),
        ),
        terms=some_terms(lent_cpus_milli=3000, lent_memory_bytes=12 * GIB),
    )
    west = some_facts(
        name="west",
        latency_ms=40,
        scores=(Score("cpu@1", 500_000, "measured"),),
        terms=some_terms(price_micro_per_unit_h=300_000, grace_s=2, own_project="heavy"),
    )
    night = some_facts(
        name="night",
        region="us-west",
        country="US",
        # Two machines of half a core each, behind a site's own scheduler.
        nodes=(a_node(cpus_milli=1000, memory_bytes=6 * GIB, machine_count=2),),
        scores=(Score("cpu@1", 900_000, "measured"),),
        terms=some_terms(
            price_micro_per_unit_h=250_000, lent_cpus_milli=1000, lent_memory_bytes=4 * GIB
        ),
    )
    return lab, west, night


PROGRAMS = (
    *((),) * 7,
    (("WORK_MS", "90000"),),
    (("EXIT_CODE", "3"),),
    (("START", "failed"),),
    (("START", "declined"),),
    (("WORK_MS", "90000"),),
)
RARELY = (0, 0, 0, 1)
requests = st.builds(
    a_request,
    task_count=st.sampled_from((1, 2, 3, 5)),
    is_gang=st.sampled_from(RARELY),
    expected_s=st.sampled_from((12, 45, 3, 0)),
    time_limit_s=st.sampled_from((60, 150, 150, 20, 5)),
    budget_micro=st.sampled_from((900_000, 900_000, 0, 80_000, 20_000)),
    prefer=st.sampled_from(("cheapest", "soonest")),
    on_partition=st.sampled_from(("keep", "move")),
    latency_ms_max=st.sampled_from((0, 0, 0, 10)),
    residency=st.sampled_from(((), (), (), ("CN",))),
    data=st.sampled_from(((), (), (), (DataReference("secret", 0, ("west",)),))),
    checkpoint=st.sampled_from((None, Checkpoint("state", 1))),
    environment=st.sampled_from(PROGRAMS),
    resources=st.builds(
        lambda cpus_milli, memory_bytes, devices: Resources(
            cpus_milli, memory_bytes, GIB, *devices
        ),
        cpus_milli=st.sampled_from((1000, 500, 2000)),
        memory_bytes=st.sampled_from((GIB, 3 * GIB)),
        devices=st.sampled_from((*(("", 0),) * 5, ("a100", 1), ("a100", 2), ("t4", 1))),
    ),
)
project = st.integers(0, len(PROJECTS) - 1)
pool = st.integers(0, len(POOLS) - 1)
limits = st.builds(
    lambda resource, quota, borrow, lend: {
        "resource": resource, "quota": quota, "borrow": borrow, "lend": lend,
    },
    resource=st.just("cpus"),
    quota=st.sampled_from((2000, 1000, 500, 0)),
    borrow=st.sampled_from((None, None, 0, 1000)),
    lend=st.sampled_from((None, None, 0, 1000)),
)  # fmt: skip
shares = st.fixed_dictionaries(
    {"limits": st.one_of(st.just([]), st.lists(limits, min_size=1, max_size=1))},
    optional={
        "is_together": st.booleans(),
        "weight": st.integers(1, 3),
        "floor_ppm": st.sampled_from((0, 100_000, 300_000)),
    },
)
submits = st.builds(Act, st.just("submit"), project, requests)
troubles = st.one_of(
    st.builds(Act, st.just("lend"), pool, st.sampled_from((0, 500, 1000, 2000, 3000))),
    st.builds(Act, st.just("lend_devices"), pool, st.sampled_from((0, 1, 2, 3))),
    st.builds(Act, st.just("queue"), pool, st.sampled_from((0, 5, 50, 200))),
    st.builds(Act, st.just("silence"), pool, st.sampled_from((True, True, False))),
    st.builds(Act, st.just("silence"), pool, st.just(True)),
    st.builds(Act, st.just("fault"), pool, st.sampled_from(("lose", "answer", "repeat", "delay"))),
    st.builds(Act, st.just("restart"), pool, st.sampled_from((200_000, 900_000, 4_000_000))),
    st.builds(Act, st.just("drain"), pool, st.booleans()),
    st.builds(Act, st.just("cancel"), st.integers(0, 5)),
    st.builds(Act, st.just("block"), project, st.booleans()),
    st.builds(Act, st.just("share"), project, shares),
    st.builds(Act, st.just("share"), project, shares),
)
others = st.one_of(
    st.builds(Act, st.just("submit_after"), project, st.tuples(requests, st.integers(0, 3))),
    st.builds(Act, st.just("quote"), project, requests),
    st.builds(Act, st.just("top_up"), project, st.sampled_from((1, 5_000, 300_000))),
)
passes = st.builds(Act, st.just("pass"), st.just(0), st.sampled_from((1, 4, 11, 45, 45)))
chapters = st.tuples(
    st.lists(submits, min_size=1, max_size=3), troubles, passes, st.one_of(troubles, others), passes
).map(lambda chapter: [*chapter[0], *chapter[1:]])
lives = st.lists(chapters, min_size=1, max_size=3).map(
    lambda told: [act for c in told for act in c]
)


class Life:
    """A network of three projects and three pools, and what a script does to it."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.network = ANetwork(policy)
        self.watch = Watch(self.network)
        self.jobs: list[tuple[int, int]] = []
        self.projects: list[int] = []
        self.pools: list[int] = []
        self.links: list[FaultyLink] = []
        self.facts = list(some_pools())

    def live(self, script: list[Act]) -> None:
        """Live the script to its end, judged at every step."""
        begun = river.apply
        river.apply = self._judged  # type: ignore[assignment]
        try:
            self._settle_in()
            for act in script:
                getattr(self, f"_{act.what}")(act.whom, act.how)
                self._judge()
                self._judge_afresh()
            self._come_to_an_end()
        finally:
            river.apply = begun
        self.watch.end()

    def _judged(self, world: World, changes: Changes) -> None:
        self.watch.step(world, changes)
        apply(world, changes)

    def _judge(self) -> None:
        self.watch.round(self.network.world)
        self.watch.rest(self.network.world)

    def _judge_afresh(self) -> None:
        """A World loaded at this instant decides the same at any later one."""
        river.apply = apply
        for later_ms in (0, 30_000, 200_000):
            now = self.network.now + later_ms
            decides_alike_afresh(self.network.world, self.network.policy, now)
        river.apply = self._judged  # type: ignore[assignment]

    def _settle_in(self) -> None:
        for name, trial_micro, weight in PROJECTS:
            self.projects.append(self.network.create("project", name, trial_micro, weight))
        cohort = {"name": "together", "parent": 0, "weight": 1, "floor_ppm": 0}
        self.cohort = self.network.ask("cohort", 0, cohort).values["cohort"]
        for facts in self.facts:
            link = FaultyLink()
            provider = self.network.create("provider", facts.name)
            self.pools.append(self.network.join(provider, facts, link=link))
            self.links.append(link)

    def _come_to_an_end(self) -> None:
        """All is well again; what still waits after a while is cancelled."""
        for link in self.links:
            link.faults.clear()
        for number, facts in zip(self.pools, self.facts, strict=True):
            agent = self.network.agents[number]
            agent.is_silent, agent.is_draining = False, False
            agent.lent_cpus_milli = facts.terms.lent_cpus_milli
            agent.lent_device_count = facts.most_devices
            agent.queue_ms, agent.waits_s = 0, {}
        for number in self.projects:
            self.network.ask("block", 0, {"project": number, "is_blocked": False})
        self._pass(0, 120)
        self._judge()
        for owner, job in self.jobs:
            self.network.cancel(owner, job)
        self._pass(0, 120)
        self._judge()

    def _submit(self, whom: int, request: Request) -> None:
        owner = self.projects[whom]
        found = self.network.submit(owner, request)
        if isinstance(found, int):
            self.jobs.append((owner, found))

    def _submit_after(self, whom: int, how: tuple[Request, int]) -> None:
        request, index = how
        own = [job for owner, job in self.jobs if owner == self.projects[whom]]
        after = (own[index],) if index < len(own) else ()
        self._submit(whom, replace(request, after=after))

    def _quote(self, whom: int, request: Request) -> None:
        answer = self.network.ask("quote", self.projects[whom], quoting(request))
        if answer.refusal is None:
            self._submit(whom, replace(request, quote=answer.values["quote"]))

    def _cancel(self, whom: int, _: object) -> None:
        if whom < len(self.jobs):
            self.network.cancel(*self.jobs[whom])

    def _block(self, whom: int, is_blocked: bool) -> None:
        body = {"project": self.projects[whom], "is_blocked": is_blocked}
        self.network.ask("block", 0, body)

    def _share(self, whom: int, how: dict[str, Any]) -> None:
        told = {name: value for name, value in how.items() if name != "is_together"}
        if "is_together" in how:
            told["parent"] = self.cohort if how["is_together"] else 0
        body = {"kind": "project", "number": self.projects[whom]} | told
        assert self.network.ask("share", 0, body).refusal is None

    def _top_up(self, whom: int, amount_micro: int) -> None:
        body = {"project": self.projects[whom], "amount_micro": amount_micro}
        self.network.ask("top_up", 0, body)

    def _lend(self, whom: int, cpus_milli: int) -> None:
        most = self.facts[whom].terms.lent_cpus_milli
        self.network.agents[self.pools[whom]].lent_cpus_milli = min(cpus_milli, most)

    def _lend_devices(self, whom: int, count: int) -> None:
        most = self.facts[whom].most_devices
        self.network.agents[self.pools[whom]].lent_device_count = min(count, most)

    def _queue(self, whom: int, queue_s: int) -> None:
        """From now on the site lets tasks wait, and says so of its first node."""
        agent = self.network.agents[self.pools[whom]]
        agent.queue_ms, agent.has_accounts = queue_s * 1000, queue_s > 0
        agent.waits_s = {"n1": queue_s}

    def _drain(self, whom: int, is_draining: bool) -> None:
        self.network.agents[self.pools[whom]].is_draining = is_draining

    def _silence(self, whom: int, is_silent: bool) -> None:
        self.network.agents[self.pools[whom]].is_silent = is_silent

    def _restart(self, whom: int, price_micro: int) -> None:
        """An agent that was started again speaks at a new price; its owner lends all again."""
        facts = self.facts[whom]
        terms = replace(facts.terms, price_micro_per_unit_h=price_micro)
        self.facts[whom] = replace(facts, terms=terms)
        agent = self.network.agents[self.pools[whom]]
        agent.is_silent, agent.is_draining = False, False
        agent.lent_cpus_milli = terms.lent_cpus_milli
        agent.lent_device_count = facts.most_devices
        self.network.rejoin(self.pools[whom], self.facts[whom])

    def _fault(self, whom: int, fault: str) -> None:
        self.links[whom].faults.append(fault)

    def _pass(self, _: int, seconds: float) -> None:
        """Time passes in short breaths, so that every rest in between is judged too."""
        until = self.network.now + round(seconds * 1000)
        while self.network.now < until:
            self.network.run_until(min(until, self.network.now + 5_000))
            self._judge()
            self._ask_why()

    def _ask_why(self) -> None:
        """Whatever waits is told why, by each pool."""
        world = self.network.world
        for owner, job in self.jobs:
            row = world.jobs.find(job)
            if row is None or not self._waits(row):
                continue
            answer = self.network.ask("why", owner, {"job": job})
            assert answer.document is not None
            assert answer.document.nearest is not None, (row, answer)
            silent = row.state == JobState.HELD or world.projects.get(owner).is_blocked
            silent |= answer.document.nearest.code.startswith("over_quota")
            assert silent or len(answer.document.refusals) == len(self.pools), answer

    def _waits(self, job: Job) -> bool:
        tasks = self.network.world.tasks
        return job.state == JobState.HELD or bool(tasks.where(job=job.id, state=TaskState.QUEUED))
