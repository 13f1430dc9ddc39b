"""The kernel of fractional devices agrees with its slow twin, and keeps what must hold."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intertie.placement.fractions import DEVICE_MILLI, FAMILIES, SCORES, Machines, Outlook, Shapes
from intertie.placement.fragments import place_tasks
from intertie.placement.outlook import Depth, outlook_of
from tests.support.slow_fragments import NOWHERE, Node, SlowFragments, Task

WIDTH, CLASSES = 3, 2
EXACT = [name for name in SCORES if name != "random"]


@dataclass
class Fragments:
    """A world as the kernel and its twin take it: tasks are rows of `kinds`."""

    kinds: list[Task]
    tasks: list[int]
    nodes: list[Node]
    depth: Depth

    @property
    def shapes(self) -> Shapes:
        parts = ("cpu", "memory", "devices", "milli")
        columns = [np.array([getattr(kind, each) for kind in self.kinds]) for each in parts]
        allowed = [[at in kind.classes for at in range(CLASSES)] for kind in self.kinds]
        return Shapes(*columns, np.array(allowed))

    @property
    def machines(self) -> Machines:
        fields = [np.array([getattr(n, each) for n in self.nodes]) for each in ("cpu", "memory")]
        device = np.array([node.device for node in self.nodes])
        hosted = np.zeros((len(self.nodes), FAMILIES), np.int64)
        return Machines(*fields, device, np.array([n.kind for n in self.nodes]), hosted)

    @property
    def outlook(self) -> Outlook:
        count = np.bincount(self.tasks, minlength=len(self.kinds)).astype(np.int64)
        return outlook_of(self.shapes, count, self.machines, self.depth)

    def slow(self, score: str) -> SlowFragments:
        told = self.outlook
        counted = zip(told.typical.tolist(), told.tasks.tolist(), strict=True)
        return SlowFragments(
            [node.copy() for node in self.nodes],
            [(self.kinds[row], count) for row, count in counted],
            [[self.kinds[row] for row in order] for order in told.draws.tolist()],
            told.grain,
            (int(told.largest[0]), int(told.largest[1])),
            score,
        )

    def kernel(self, score: str, seed: int = 0) -> tuple[list[tuple[int, int]], Machines]:
        machines = self.machines
        tasks = np.array(self.tasks, np.int64)
        placed = place_tasks(tasks, self.shapes, machines, self.outlook, SCORES.index(score), seed)
        return list(zip(*(each.tolist() for each in placed), strict=True)), machines


kinds = st.one_of(
    st.builds(
        Task,
        cpu=st.integers(0, 4),
        memory=st.integers(0, 4),
        devices=st.just(1),
        milli=st.sampled_from([100, 300, 470, 500, 810]),
        classes=st.sampled_from([frozenset({0, 1}), frozenset({1})]),
    ),
    st.builds(
        Task,
        cpu=st.integers(0, 4),
        memory=st.integers(0, 4),
        devices=st.integers(1, WIDTH),
        milli=st.just(DEVICE_MILLI),
        classes=st.sampled_from([frozenset({0, 1}), frozenset({0})]),
    ),
    st.builds(
        Task,
        cpu=st.integers(1, 4),
        memory=st.integers(0, 4),
        devices=st.just(0),
        milli=st.just(0),
        classes=st.just(frozenset({0, 1})),
    ),
)
nodes = st.builds(
    lambda cpu, memory, kind, devices: Node(
        cpu, memory, [DEVICE_MILLI if at < devices else 0 for at in range(WIDTH)], kind
    ),
    st.sampled_from([6, 12]),
    st.sampled_from([6, 12]),
    st.integers(0, CLASSES - 1),
    st.integers(0, WIDTH),
)


@st.composite
def fragments(draw: st.DrawFn) -> Fragments:
    told = draw(st.lists(kinds, min_size=1, max_size=5))
    by_memory = sorted(told, key=lambda kind: (kind.cpu, kind.milli, kind.devices, kind.memory))
    tasks = draw(st.lists(st.integers(0, len(told) - 1), min_size=1, max_size=14))
    depth = Depth(draw(st.integers(1, 3)), draw(st.integers(1, 6)), draw(st.sampled_from([1, 40])))
    return Fragments(by_memory, tasks, draw(st.lists(nodes, min_size=1, max_size=5)), depth)


@pytest.mark.parametrize("score", EXACT)
@given(fragments())
def test_every_task_goes_where_the_slow_twin_puts_it(score: str, told: Fragments) -> None:
    slow = told.slow(score)
    assert told.kernel(score)[0] == [slow.place(told.kinds[kind]) for kind in told.tasks]


@pytest.mark.parametrize("score", SCORES)
@given(fragments(), st.integers(0, 9))
def test_nothing_is_held_twice_and_what_fits_somewhere_is_placed(
    score: str, told: Fragments, seed: int
) -> None:
    placed, machines = told.kernel(score, seed)
    left = [node.copy() for node in told.nodes]
    for kind, (node, device) in zip(told.tasks, placed, strict=True):
        task = told.kinds[kind]
        if node == NOWHERE:
            assert not any(each.has_room(task) for each in left)
            continue
        assert left[node].has_room(task)
        assert not task.is_part or left[node].device[device] >= task.milli
        left[node].take(task, device)
    assert machines.device.tolist() == [node.device for node in left]
    assert machines.cpu.tolist() == [node.cpu for node in left]
    assert machines.memory.tolist() == [node.memory for node in left]


@given(fragments())
def test_chance_depends_on_its_seed_alone(told: Fragments) -> None:
    assert told.kernel("random", 3)[0] == told.kernel("random", 3)[0]


@pytest.mark.parametrize("score", ["fgd", "least-stranded"])
def test_a_part_is_not_put_where_it_spoils_what_another_would_fill(score: str) -> None:
    small, large = (Task(1, 1, 1, milli, frozenset({0})) for milli in (300, 700))
    begun, idle = Node(90, 90, [750, 0, 0], 0), Node(90, 90, [1000, 0, 0], 0)
    told = Fragments([small, large], [0, 0, 1, 1], [begun, idle], Depth())
    assert told.kernel(score)[0][0] == (1, 0)


def test_a_workload_without_tasks_is_refused() -> None:
    told = Fragments([Task(1, 1, 1, 500, frozenset({0}))], [0], [Node(1, 1, [1000], 0)], Depth())
    with pytest.raises(ValueError, match="no tasks"):
        outlook_of(told.shapes, np.zeros(1, np.int64), told.machines)
