"""The slow twin of the kernels `claim` and `take_back`: their specification, written to be read."""

from __future__ import annotations

from dataclasses import dataclass, replace

from intertie.placement.given import LARGEST
from tests.support.slow_fill import Instance, SlowFill


@dataclass(frozen=True)
class Guest:
    """What runs on the pool of another; those of one group end together, and lose `loss` in all."""

    node: int
    size: list[int]
    group: int
    loss: int


@dataclass
class Claim:
    """Tasks of one job that its owner would start now: where, and when."""

    job: int
    nodes: list[int]
    when: str


class SlowPreempt:
    """Owners start as if there were no guests; then guests make way where one could not else start.

    `told.rank` is of owners' pools alone. `now` is what is free, `soon` what will be when what
    leaves has left; both go below zero where guests are in the way of a claim, so that nobody else
    comes in.
    """

    def __init__(self, told: Instance, leaving: list[list[int]], guests: list[Guest]) -> None:
        self.told, self.guests, self.ended = told, guests, set[int]()
        rich = replace(
            told, budget=[LARGEST] * len(told.budget), wallet=[LARGEST] * len(told.wallet)
        )
        self.budget = list(told.budget)
        self.now, self.soon, alone = SlowFill(rich), SlowFill(rich), SlowFill(told)
        for node, size in enumerate(leaving):
            for room in (self.soon, alone):
                self._move(room, node, size, 1)
        for guest in guests:
            self._move(alone, guest.node, guest.size, 1)
        self.alone = SlowFill(replace(told, free=alone.free, lent=alone.lent))

    def run(self) -> tuple[list[Claim], set[int]]:
        """Return the claims that are met, and the rows of the guests that end."""
        claims = [self._claim(job, nodes) for job, nodes in self._as_if_alone()]
        met = [claim for claim in claims if claim.when != "taken" or self._take_back(claim)]
        for row in sorted(self.ended, key=lambda row: (-self.guests[row].loss, row)):
            self._spare(self._members(row) & self.ended)
        return met, self.ended

    def _as_if_alone(self) -> list[tuple[int, list[int]]]:
        """Return (job, nodes) as they start alone: each task by itself, a gang whole."""
        placed, found = self.alone.run(), list[tuple[int, list[int]]]()
        while placed:
            job = placed[0][0]
            count = self.told.tasks[job] if self.told.is_gang[self.told.kin[job]] else 1
            found.append((job, [node for _, node in placed[:count]]))
            placed = placed[count:]
        return found

    def _claim(self, job: int, nodes: list[int]) -> Claim:
        for when, room in (("now", self.now), ("soon", self.soon)):
            chosen = room._nodes_for(job, len(nodes))
            if chosen is not None:
                self._book(job, chosen, 1)
                self._pay(job, chosen if when == "now" else [])
                return Claim(job, chosen, when)
        self._book(job, nodes, 1)
        return Claim(job, nodes, "taken")

    def _take_back(self, claim: Claim) -> bool:
        """End whom it needs to; False where nothing helps."""
        self._book(claim.job, claim.nodes, -1)
        if not self._make_room(claim):
            return False
        chosen = self.soon._nodes_for(claim.job, len(claim.nodes))
        assert chosen is not None
        self._book(claim.job, chosen, 1)
        claim.nodes = chosen
        return True

    def _make_room(self, claim: Claim) -> bool:
        """End, for one more task and another, who would lose least; nobody if it is no use."""
        pool, wanted = self.told.node_pool[claim.nodes[0]], len(claim.nodes)
        trial, ended = self.soon._copy(), set[int]()
        while self._fitting(trial, claim.job, pool, range(len(trial.free))) < wanted:
            found = self._cheapest(trial, claim.job, pool, wanted, ended)
            if not found:
                return False
            for row in found:
                self._move(trial, self.guests[row].node, self.guests[row].size, 1)
            ended |= found
        self.soon, self.ended = trial, self.ended | ended
        return True

    def _fitting(self, room: SlowFill, job: int, pool: int, nodes: range) -> int:
        """Return how many tasks fit these nodes of a pool and what its owner lends."""
        by_node = sum(self._at_node(room, job, node) for node in nodes if self._is_of(pool, node))
        return min(by_node, self._times(job, room.lent[pool]))

    def _at_node(self, room: SlowFill, job: int, node: int) -> int:
        return self._times(job, room.free[node]) if self._could_hold(job, node) else 0

    def _cheapest(
        self, room: SlowFill, job: int, pool: int, wanted: int, ended: set[int]
    ) -> set[int]:
        """Return who makes room for one more task at the least loss, with those of their groups."""
        there = {
            row
            for row, guest in enumerate(self.guests)
            if self._is_of(pool, guest.node) and row not in ended | self.ended
        }
        need = self.told.need[self.told.kin[job]]
        nodes = [node for node in range(len(room.free)) if self._is_of(pool, node)]
        if sum(self._at_node(room, job, node) for node in nodes) >= wanted:
            short = [
                max(0, wanted * n - left) for n, left in zip(need, room.lent[pool], strict=True)
            ]
            covers = [self._cover(short, there)]
        else:
            covers = []
            for node in filter(lambda node: self._could_hold(job, node), nodes):
                count = 1 + self._times(job, room.free[node])
                short = [
                    max(0, count * n - left) for n, left in zip(need, room.free[node], strict=True)
                ]
                here = {row for row in there if self.guests[row].node == node}
                covers.append(self._cover(short, here))
        useful = [cover for cover in covers if cover]
        if not useful:
            return set()
        best = min(useful, key=lambda cover: (self._loss(cover), len(cover)))
        return {other for row in best for other in self._members(row) & there}

    def _cover(self, short: list[int], who: set[int]) -> set[int]:
        """Return of whom to end so that nothing is short; nobody where all are not enough.

        The group that loses least for the thousandths of what is short that it gives, again and
        again; or one alone, where no more is lost so. A group is told by its first row.
        """
        groups: dict[int, list[int]] = {}
        for row in sorted(who):
            groups.setdefault(self.guests[row].group, []).append(row)
        firsts = {rows[0]: self._held(rows) for rows in groups.values()}
        picked, left = set[int](), list(short)
        while any(amount > 0 for amount in left):
            gains = {row: self._gain(size, left) for row, size in firsts.items()}
            useful = [row for row, gain in gains.items() if gain and row not in picked]
            if not useful:
                return set()
            best = useful[0]
            for row in useful:
                if self.guests[row].loss * gains[best] < self.guests[best].loss * gains[row]:
                    best = row
            picked.add(best)
            left = [a - b for a, b in zip(left, firsts[best], strict=True)]
        enough = [
            row
            for row, size in firsts.items()
            if all(lack <= has for lack, has in zip(short, size, strict=True))
        ]
        single = min(enough, key=lambda row: self.guests[row].loss, default=None)
        if single is not None and self.guests[single].loss <= self._loss(picked):
            return {single}
        return picked

    def _held(self, rows: list[int]) -> list[int]:
        sizes = (self.guests[row].size for row in rows)
        return [sum(amounts) for amounts in zip(*sizes, strict=True)]

    def _gain(self, size: list[int], left: list[int]) -> int:
        pairs = zip(size, left, strict=True)
        return sum(-(-1000 * min(has, lack) // lack) for has, lack in pairs if lack > 0)

    def _loss(self, rows: set[int]) -> int:
        return sum(self.guests[row].loss for row in rows)

    def _spare(self, members: set[int]) -> None:
        """Let a group stay that fits what is left when everybody has his room."""
        for row in members:
            self._move(self.soon, self.guests[row].node, self.guests[row].size, -1)
        touched = [self.guests[row].node for row in members]
        rooms = [self.soon.free[node] for node in touched]
        rooms += [self.soon.lent[self.told.node_pool[node]] for node in touched]
        if all(amount >= 0 for room in rooms for amount in room):
            self.ended -= members
            return
        for row in members:
            self._move(self.soon, self.guests[row].node, self.guests[row].size, 1)

    def _members(self, row: int) -> set[int]:
        group = self.guests[row].group
        return {other for other, guest in enumerate(self.guests) if guest.group == group}

    def _times(self, job: int, room: list[int]) -> int:
        need = self.told.need[self.told.kin[job]]
        if any(left < 0 and not n for n, left in zip(need, room, strict=True)):
            return 0
        times = [max(0, left // n) for n, left in zip(need, room, strict=True) if n]
        return min(times, default=10**6)

    def _could_hold(self, job: int, node: int) -> bool:
        kin = self.told.kin[job]
        pairs = zip(self.told.need[kin], self.told.whole[node], strict=True)
        return self.told.wants[kin] in (0, self.told.node_class[node]) and all(
            n <= whole for n, whole in pairs
        )

    def _is_of(self, pool: int, node: int) -> bool:
        return self.told.node_pool[node] == pool

    def _book(self, job: int, nodes: list[int], sign: int) -> None:
        need = self.told.need[self.told.kin[job]]
        for node in nodes:
            self._move(self.now, node, need, -sign)
            self._move(self.soon, node, need, -sign)

    def _pay(self, job: int, nodes: list[int]) -> None:
        """What starts now is paid from its job's budget."""
        for node in nodes:
            self.budget[job] -= self.told.hold[self.told.kin[job]][self.told.node_pool[node]]

    def _move(self, room: SlowFill, node: int, size: list[int], sign: int) -> None:
        for resource, amount in enumerate(size):
            room.free[node][resource] += sign * amount
            room.lent[self.told.node_pool[node]][resource] += sign * amount
