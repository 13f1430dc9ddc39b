"""The slow twin of the kernel `fill`: its specification, written to be read."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from intertie.placement.given import LARGEST, NO_TRADE


@dataclass(frozen=True)
class Instance:
    """What `fill` is given, as plain lists; `need`, `free`, `whole` and `lent` by resource.

    `releases` are (at, node, size by resource).
    """

    kin: list[int]
    tasks: list[int]
    budget: list[int]
    length: list[int]
    need: list[list[int]]
    wants: list[int]
    rank: list[list[int]]
    hold: list[list[int]]
    use: list[int]
    is_gang: list[int]
    project: list[int]
    free: list[list[int]]
    whole: list[list[int]]
    node_class: list[int]
    node_wait: list[int]
    node_pool: list[int]
    lent: list[list[int]]
    used: list[int]
    weight: list[int]
    wallet: list[int]
    releases: list[tuple[int, int, list[int]]]
    backfill: str


class SlowFill:
    """`fill` as its specification: what is left of everything, and nothing remembered.

    Again and again the project with the least use by weight places its first waiting job: one
    task, or a whole gang. What finds no node steps aside until another fill; the first of these
    that would find room later may have it kept.
    """

    def __init__(self, given: Instance) -> None:
        self.given = given
        self.left, self.budget = list(given.tasks), list(given.budget)
        self.free, self.lent = [list(n) for n in given.free], [list(p) for p in given.lent]
        self.used, self.wallet = list(given.used), list(given.wallet)
        self.placed: list[tuple[int, int]] = []
        self.kept_at = LARGEST
        self.later: SlowFill | None = None

    def run(self) -> list[tuple[int, int]]:
        """Return (job, node) of each task placed, in the order they were placed."""
        while waiting := [job for job in range(len(self.left)) if self.left[job] > 0]:
            job = min(waiting, key=self._order_of)
            tasks = self.left[job] if self._of_kin("is_gang", job) else 1
            nodes = self._nodes_for(job, tasks)
            if nodes is None:
                self.left[job] = 0
                if (
                    self.given.backfill != "first-fit"
                    and self.later is None
                    and self._lacks_room(job)
                ):
                    self._keep(job, tasks)
                    if self.later is not None and self.given.backfill == "fcfs":
                        break
                continue
            for node in nodes:
                self._take(job, node)
                self.placed.append((job, node))
            self.left[job] -= tasks
            self.used[self._of_kin("project", job)] += tasks * self._of_kin("use", job)
        return self.placed

    def _order_of(self, job: int) -> tuple[Fraction, int, int]:
        """The project with the least use; of its jobs the first, or of those behind the shortest.

        Two projects alike: whose next job is the earlier one.
        """
        is_by_length = self.later is not None and self.given.backfill == "easy-sjbf"
        own = [
            each
            for each in range(len(self.left))
            if self.left[each] > 0 and self._of_kin("project", each) == self._of_kin("project", job)
        ]
        first = min(own, key=lambda j: (self.given.length[j] if is_by_length else 0, j))
        return self._use_by_weight(job), first, 0 if job == first else 1

    def _lacks_room(self, job: int) -> bool:
        """Whether it is room that it lacks now, and not money."""
        rich = self._copy()
        tasks = self.left[job] or self.given.tasks[job]
        rich.budget[job] = rich.wallet[self._of_kin("project", job)] = LARGEST
        wanted = tasks if self._of_kin("is_gang", job) else 1
        if rich._fitting(job, LARGEST, range(len(self.given.lent))):
            most = min(self.budget[job], self.wallet[self._of_kin("project", job)]) // wanted
            return wanted > 1 and bool(self._fitting(job, most, range(len(self.given.lent))))
        return True

    def _keep(self, job: int, tasks: int) -> None:
        """Keep room from the first instant at which all of it fits."""
        given, then = self.given, self._copy()
        ends = [(at, node, size) for at, node, size in given.releases]
        ends += [(given.length[j], node, self._of_kin("need", j)) for j, node in self.placed]
        for at in sorted({end[0] for end in ends}):
            for _, node, size in (end for end in ends if end[0] == at):
                for resource, amount in enumerate(size):
                    then.free[node][resource] += amount
                    then.lent[given.node_pool[node]][resource] += amount
            nodes = then._nodes_for(job, tasks)
            if nodes is not None:
                for node in nodes:
                    then._occupy(job, node)
                self.kept_at, self.later = at, then
                return

    def _copy(self) -> SlowFill:
        other = SlowFill(self.given)
        for name in ("left", "budget", "free", "lent", "used", "wallet", "placed", "kept_at"):
            setattr(other, name, deepcopy(getattr(self, name)))
        other.later = self.later._copy() if self.later else None
        return other

    def _of_kin(self, name: str, job: int) -> Any:
        return getattr(self.given, name)[self.given.kin[job]]

    def _use_by_weight(self, job: int) -> Fraction:
        project = self._of_kin("project", job)
        return Fraction(self.used[project], self.given.weight[project])

    def _nodes_for(self, job: int, tasks: int) -> list[int] | None:
        """Return a node for each of the tasks, or None if not all of them fit and can be paid.

        All of one pool: of those that can hold them all the one where the first would rather be.
        """
        most = min(self.budget[job], self.wallet[self._of_kin("project", job)]) // tasks
        anywhere = range(len(self.given.lent))
        first_choices = self._fitting(job, most, anywhere)
        for pool in dict.fromkeys(self.given.node_pool[node] for node in first_choices):
            trial = self._copy()
            chosen: list[int] = []
            while len(chosen) < tasks and (nodes := trial._fitting(job, most, [pool])):
                trial._take(job, nodes[0])
                chosen.append(nodes[0])
            if len(chosen) == tasks:
                return chosen
        return None

    def _fitting(self, job: int, most: int, pools: Iterable[int]) -> list[int]:
        """Return the nodes with room for one task that costs at most `most`, the best first."""
        rank, hold = self._of_kin("rank", job), self._of_kin("hold", job)
        fitting = [
            node
            for node, pool in enumerate(self.given.node_pool)
            if pool in pools
            and rank[pool] != NO_TRADE
            and hold[pool] <= most
            and self._has_room(job, node)
        ]
        return sorted(fitting, key=lambda n: (rank[self.given.node_pool[n]], self._order(n)))

    def _order(self, node: int) -> tuple[int, ...]:
        """Least wait, fewest devices free, fullest, first."""
        free = self.free[node]
        return self.given.node_wait[node], free[-1], *free, node

    def _has_room(self, job: int, node: int) -> bool:
        given, need, wants = self.given, self._of_kin("need", job), self._of_kin("wants", job)
        limits = [self.free[node], self.lent[given.node_pool[node]], given.whole[node]]
        if self.later is not None and given.length[job] > self.kept_at:
            limits += [self.later.free[node], self.later.lent[given.node_pool[node]]]
        is_class = not wants or wants == given.node_class[node]
        return is_class and all(
            n <= most for limit in limits for n, most in zip(need, limit, strict=True)
        )

    def _occupy(self, job: int, node: int) -> None:
        for resource, need in enumerate(self._of_kin("need", job)):
            self.free[node][resource] -= need
            self.lent[self.given.node_pool[node]][resource] -= need

    def _take(self, job: int, node: int) -> None:
        pool = self.given.node_pool[node]
        self._occupy(job, node)
        if self.later is not None and self.given.length[job] > self.kept_at:
            self.later._occupy(job, node)
        cost = self._of_kin("hold", job)[pool]
        self.budget[job] -= cost
        self.wallet[self._of_kin("project", job)] -= cost


def an_instance(**known: list[object]) -> Instance:
    """One job of one task of 1 in both resources, one node of 2 in one pool that lends 2."""
    nodes: int = len(known.get("free", [0]))
    kins: int = len(known.get("need", [0]))
    usual: dict[str, list[object]] = {
        "kin": [0],
        "tasks": [1],
        "budget": [100],
        "length": [1] * len(known.get("kin", [0])),
        "need": [[1, 1]],
        "wants": [0] * kins,
        "rank": [[0]],
        "hold": [[1]],
        "use": [1],
        "is_gang": [0],
        "project": [0],
        "free": [[2, 2]],
        "whole": known.get("free", [[2, 2]]),
        "node_class": [0] * nodes,
        "node_wait": [0] * nodes,
        "node_pool": [0],
        "lent": [[2, 2]],
        "used": [0],
        "weight": [1],
        "wallet": [100],
        "releases": [],
        "backfill": "first-fit",
    }
    return Instance(**(usual | known))  # type: ignore[arg-type]
