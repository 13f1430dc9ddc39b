"""The slow twin of `placement/shares.py`: whose turn it is, as a specification to be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from tests.support.slow_fill import Instance, SlowFill

FLOOR, WITHIN, BORROWS = range(3)


@dataclass(frozen=True)
class SharedInstance(Instance):
    """What `fill` is given, with a tree: members are projects, then cohorts, and last the root.

    `parent`, `weight` and `used` by member; `quota`, `borrow` and `lend` by member and resource,
    None where there is no bound; `holds` by project and resource, `amount` by kin and resource.
    `part` by member and `adds` by kin are parts of the network by resource, as numbers to compare;
    whoever has less than its `floor` goes first. `wish` says in which order a project's jobs go.
    """

    parent: list[int] = field(default_factory=list)
    quota: list[list[int | None]] = field(default_factory=list)
    borrow: list[list[int | None]] = field(default_factory=list)
    lend: list[list[int | None]] = field(default_factory=list)
    holds: list[list[int]] = field(default_factory=list)
    amount: list[list[int]] = field(default_factory=list)
    part: list[list[int]] = field(default_factory=list)
    adds: list[list[int]] = field(default_factory=list)
    floor: list[int] = field(default_factory=list)
    wish: list[int] = field(default_factory=list)
    is_dominant: bool = False


class SlowSharedFill(SlowFill):
    """`fill` in a share tree: nothing is remembered, every sum is made again."""

    given: SharedInstance

    def __init__(self, given: SharedInstance) -> None:
        super().__init__(given)
        self.holds = [list(each) for each in given.holds]
        self.part = [list(each) for each in given.part]
        self.root = len(given.parent) - 1
        self.projects = len(given.wallet)

    def run(self) -> list[tuple[int, int]]:
        """Return (job, node) of each task placed, in the order they were placed."""
        while (job := self.next_of(self.root)) is not None:
            tasks = self.left[job] if self._of_kin("is_gang", job) else 1
            if not self.may_hold(job, tasks):
                self.left[job] = 0
                continue
            nodes = self._nodes_for(job, tasks)
            if nodes is None:
                self.left[job] = 0
                if self._is_first_without_room(job):
                    self._keep(job, tasks)
                    if self.later is not None and self.given.backfill == "fcfs":
                        break
                continue
            for node in nodes:
                self._take(job, node)
                self.placed.append((job, node))
            self.left[job] -= tasks
            self._count(job, tasks)
        return self.placed

    def next_of(self, member: int) -> int | None:
        """The job that a member would have placed next: its own, or its most urgent child's."""
        if member < self.projects:
            own = [job for job in range(len(self.left)) if self._is_mine(member, job)]
            return min(own, key=self._wish_of, default=None)
        children = [m for m in range(self.root) if self.given.parent[m] == member]
        waiting = [child for child in children if self.next_of(child) is not None]
        return self.next_of(min(waiting, key=self.turn_of)) if waiting else None

    def turn_of(self, member: int) -> tuple[int, Fraction, int]:
        """Below a floor first, then within quota, then by use and weight, then who came first."""
        job = self.next_of(member)
        assert job is not None
        use = Fraction(self._use_of(member), self.given.weight[member])
        return self.urgency_of(member), use, job

    def urgency_of(self, member: int) -> int:
        """How urgent a member's next job is; who is below a floor hurries all above it."""
        job = self.next_of(member)
        assert job is not None
        if self._is_hurried(member):
            return FLOOR
        tasks = self.left[job] if self._of_kin("is_gang", job) else 1
        before = self.counts(self.holds)
        after = self.counts(self._with(job, tasks))
        for resource, bound in enumerate(self.quotas(member)):
            has, would = before[member][resource], after[member][resource]
            if bound is not None and would > has and would > bound:
                return BORROWS
        return WITHIN

    def may_hold(self, job: int, tasks: int) -> bool:
        """Whether a job's tasks are within what its project may hold."""
        needs = self._of_kin("amount", job)
        project = self._of_kin("project", job)
        counted = self.counts(self.holds)
        return all(
            (most := self.available(project, resource, counted)) is None or need * tasks <= most
            for resource, need in enumerate(needs)
            if need * tasks > 0
        )

    def available(self, member: int, resource: int, counted: list[list[int]]) -> int | None:
        """What a member may hold more of a resource; None: as much as there is."""
        quota, counts = self.quotas(member)[resource], counted[member][resource]
        if quota is None:
            return None
        if self.given.parent[member] == self.root:
            return quota - counts
        own = self.owned(member)[resource]
        assert own is not None
        own_left = max(0, own - counts)
        above = self.available(self.given.parent[member], resource, counted)
        borrow = self.given.borrow[member][resource]
        if borrow is not None:
            drawn, lends = max(0, counts - own), quota - own
            mine = lends - drawn + borrow
            above = mine if above is None else min(above, mine)
        return None if above is None else own_left + max(0, above)

    def quotas(self, member: int) -> list[int | None]:
        """A project's quota; a cohort's is its own and what its members lend to it."""
        told = self.given.quota[member]
        if member < self.projects:
            return told
        sums = [amount or 0 for amount in told]
        for child in self._children(member):
            for resource, quota in enumerate(self.quotas(child)):
                own = self.owned(child)[resource]
                if quota is not None and own is not None:
                    sums[resource] += quota - own
        return list(sums)

    def owned(self, member: int) -> list[int | None]:
        """What of its quota a member lends to nobody; at the top all of it."""
        if self.given.parent[member] == self.root:
            return self.quotas(member)
        return [
            None if quota is None else quota - min(quota, quota if lend is None else lend)
            for quota, lend in zip(self.quotas(member), self.given.lend[member], strict=True)
        ]

    def counts(self, holds: list[list[int]]) -> list[list[int]]:
        """What each member counts as held: a cohort what its members draw beyond their own."""
        found = [list(each) for each in holds]
        for cohort in range(self.projects, self.root):
            drawn = [0] * len(self.given.amount[0])
            for child in self._children(cohort):
                for resource, own in enumerate(self.owned(child)):
                    if own is not None:
                        drawn[resource] += max(0, found[child][resource] - own)
            found.append(drawn)
        return found

    def _children(self, member: int) -> list[int]:
        return [m for m in range(self.root) if self.given.parent[m] == member]

    def _is_mine(self, project: int, job: int) -> bool:
        return self.left[job] > 0 and self._of_kin("project", job) == project

    def _wish_of(self, job: int) -> tuple[int, int]:
        is_by_length = self.later is not None and self.given.backfill == "easy-sjbf"
        place = sorted(range(len(self.left)), key=lambda j: (self.given.wish[j], j)).index(job)
        return (self.given.length[job] if is_by_length else 0), place

    def _use_of(self, member: int) -> int:
        return max(self.part[member]) if self.given.is_dominant else self.used[member]

    def _is_hurried(self, member: int) -> bool:
        waiting = [c for c in self._children(member) if self.next_of(c) is not None]
        if any(self.urgency_of(child) == FLOOR for child in waiting):
            return True
        return max(self.part[member], default=0) < self.given.floor[member]

    def _is_first_without_room(self, job: int) -> bool:
        keeps = self.given.backfill != "first-fit" and self.later is None
        return keeps and self._lacks_room(job)

    def _with(self, job: int, tasks: int) -> list[list[int]]:
        """What projects hold with so many tasks of a job more."""
        found = [list(each) for each in self.holds]
        for resource, need in enumerate(self._of_kin("amount", job)):
            found[self._of_kin("project", job)][resource] += need * tasks
        return found

    def _count(self, job: int, tasks: int) -> None:
        self.holds = self._with(job, tasks)
        member = self._of_kin("project", job)
        while member != self.root:
            self.used[member] += tasks * self._of_kin("use", job)
            for resource, adds in enumerate(self._of_kin("adds", job)):
                self.part[member][resource] += adds * tasks
            member = self.given.parent[member]
