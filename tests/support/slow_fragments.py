"""The slow twin of placement's kernel of fractional devices: its formulas, written to be read."""

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction

WHOLE = 1000
NOWHERE = -1


@dataclass(frozen=True)
class Task:
    """What a task asks for; `devices` whole ones, or a part of one of `milli` thousandths."""

    cpu: int
    memory: int
    devices: int
    milli: int
    classes: frozenset[int]

    @property
    def is_part(self) -> bool:
        return self.devices == 1 and self.milli < WHOLE


@dataclass
class Node:
    """What a node has free, and which families of tasks it hosts: 0 for parts, else devices."""

    cpu: int
    memory: int
    device: list[int]
    kind: int
    hosted: list[int] = field(default_factory=list)

    def copy(self) -> "Node":
        return replace(self, device=list(self.device), hosted=list(self.hosted))

    def has_room(self, task: Task) -> bool:
        if self.cpu < task.cpu or self.memory < task.memory:
            return False
        if not task.devices:
            return True
        enough = [left for left in self.device if left >= task.milli]
        return self.kind in task.classes and len(enough) >= task.devices

    def enough(self, task: Task) -> list[int]:
        """Return the devices that a part may go to, the tightest first."""
        able = [at for at, left in enumerate(self.device) if left >= task.milli]
        return sorted(able, key=lambda at: (self.device[at], at))

    def take(self, task: Task, device: int) -> None:
        self.cpu -= task.cpu
        self.memory -= task.memory
        if task.is_part:
            self.device[device] -= task.milli
        else:
            for at in [at for at, left in enumerate(self.device) if left == WHOLE][: task.devices]:
                self.device[at] = 0
        if task.devices:
            self.hosted.append(0 if task.is_part else task.devices)


@dataclass
class SlowFragments:
    """`place_tasks` as its specification: every node and device tried anew for every task.

    `workload` are the tasks that FGD draws from with how many there are; `orders` those in which
    least-stranded lets tasks come; what both ask about is the state after, less the one before.
    """

    nodes: list[Node]
    workload: list[tuple[Task, int]]
    orders: list[list[Task]]
    grain: int
    largest: tuple[int, int]
    score: str

    def place(self, task: Task) -> tuple[int, int]:
        """Return the node and device that cost least, the lowest of equals, and take them."""
        able = [at for at, node in enumerate(self.nodes) if node.has_room(task)]
        tried = [(*self.best(self.nodes[at], task), at) for at in able]
        if not tried:
            return NOWHERE, NOWHERE
        _, device, at = min(tried, key=lambda each: (each[0], each[2]))
        self.nodes[at].take(task, device)
        return at, device

    def best(self, node: Node, task: Task) -> tuple[int, int]:
        """Return what the task costs on this node, and the device for it."""
        tightest = node.enough(task)[0] if task.devices else 0
        if self.score in ("fgd", "least-stranded"):
            tried = range(len(node.device)) if task.is_part else [tightest]
            able = [at for at in tried if not task.is_part or node.device[at] >= task.milli]
            return min((self.rise(node, task, at), at) for at in able)
        return -self.fixed(node, task, tightest), tightest

    def rise(self, node: Node, task: Task, device: int) -> int:
        after = node.copy()
        after.take(task, device)
        if self.score == "least-stranded":
            return (self.stranded(after) - self.stranded(node)) // self.grain
        tasks = sum(count for _, count in self.workload)
        fall = Fraction(self.fragment(node) - self.fragment(after), tasks * WHOLE)
        return -math.floor(100 / (1 + math.exp(-fall)))

    def fragment(self, node: Node) -> int:
        """Return F_n(M) times the tasks of M (ATC 2023, section 3): memory is not looked at."""
        found = 0
        for task, count in self.workload:
            unseen = replace(task, memory=-(10**9))
            is_able = task.devices > 0 and node.has_room(unseen)
            rest = [left for left in node.device if left < task.milli or not is_able]
            found += count * sum(rest)
        return found

    def stranded(self, node: Node) -> int:
        """Return what is left of the devices after each order, summed."""
        found = 0
        for order in self.orders:
            after = node.copy()
            for task in order:
                if after.has_room(task):
                    after.take(task, after.enough(task)[0] if task.devices else 0)
            found += sum(after.device)
        return found

    def fixed(self, node: Node, task: Task, device: int) -> int:
        """Return the published score of a placement, from 0 to 100."""
        cpu, milli = self.largest
        held, left = task.devices * task.milli, sum(node.device)
        if self.score == "best-fit":
            after = Fraction(node.cpu - task.cpu, cpu) + Fraction(left - held, milli)
            return math.floor(100 * (1 - after / 2))
        if self.score == "dot-product":
            dots = (Fraction(node.cpu * task.cpu, cpu**2), Fraction(left * held, milli**2))
            dot = sum(Fraction(math.floor(each * 10**6), 10**6) for each in dots)
            return math.floor(100 * (1 - dot / 2))
        if not task.devices:
            return 0
        if self.score == "gpu-packing":
            whole = node.device.count(WHOLE)
            if not node.hosted:
                return max(33 - whole, whole)
            if node.device[device] == WHOLE:
                return max(50 - task.devices, 33)
            return max(100 - node.device[device] // 100, 50)
        families = set(node.hosted)
        fullness = 25 * (milli - left) // milli
        if (0 if task.is_part else task.devices) in families:
            return fullness + (75 if len(families) == 1 else 50)
        return fullness + (0 if families else 25)
