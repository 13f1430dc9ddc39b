"""Place tasks that hold parts of devices, each where a score says, so that little is stranded.

The kernel. Its specification is `SlowFragments` in tests/support/slow_fragments.py, which groups
and remembers nothing. One loop serves all scores; what fits somewhere is placed under each.
"""

import numpy as np
from numba import njit

from intertie.placement.fraction_scores import chance, fixed_loss, level_of, steps_of
from intertie.placement.fractions import (
    DEVICE_MILLI,
    FGD,
    LEAST_STRANDED,
    NOWHERE,
    RANDOM,
    Index,
    Machines,
    Outlook,
    Shapes,
    States,
)
from intertie.placement.given import Ints

_UNKNOWN = -2
_NEVER = 2**62


def place_tasks(
    tasks: Ints, shapes: Shapes, machines: Machines, outlook: Outlook, score: int, seed: int = 0
) -> tuple[Ints, Ints]:
    """Return the (node, device) of each task in the order given, NOWHERE if it fits none.

    `tasks` are rows of `shapes`. Of equal losses the lowest node wins, and there the lowest
    device. What is placed is taken from `machines`, in the arrays given. Only RANDOM reads the
    seed. A task that wants several devices holds the lowest ones that are whole.
    """
    nodes = len(machines.cpu)
    fields = [*machines[:2], machines.kind, *machines.device.T, *machines.hosted.T]
    if score == RANDOM:
        fields = [np.arange(nodes)]  # each node has a chance of its own
    rows = np.column_stack(fields)
    _, first, group = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    group = group.reshape(-1).astype(np.int64)
    groups, height = len(first), len(first) + nodes + 1  # the last is where placements are tried
    free = Machines(*(_tall(column, first, height) for column in machines))
    loss = np.zeros((height, len(shapes.cpu)), np.int64)
    states = States(free, np.full(height, _NEVER), loss, np.full_like(loss, _UNKNOWN))
    members = np.argsort(group, kind="stable").astype(np.int64)
    ends = np.cumsum(np.bincount(group, minlength=groups)).astype(np.int64)
    heads = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    none = np.zeros(1, np.int64)
    index = Index(members, heads, ends, np.empty(nodes, np.int64), none, group.copy())
    placed = _place(tasks, shapes, states, index, outlook, score, seed)
    touched = index.touched[: int(index.used[0])]
    for mine, theirs in zip(machines, free, strict=True):
        mine[touched] = theirs[groups + touched]
    return placed


def _tall(column: Ints, first: Ints, height: int) -> Ints:
    tall = np.zeros((height, *column.shape[1:]), np.int64)
    tall[: len(first)] = column[first]
    return tall


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _place(
    tasks: Ints,
    shapes: Shapes,
    states: States,
    index: Index,
    outlook: Outlook,
    score: int,
    seed: int,
) -> tuple[Ints, Ints]:
    groups = index.ends.shape[0]
    node, device = np.full(tasks.shape[0], NOWHERE), np.full(tasks.shape[0], NOWHERE)
    for at in range(tasks.shape[0]):
        shape, throw = tasks[at], chance(seed, at)
        best = _choose(shape, shapes, states, index, outlook, score, throw)
        if best == NOWHERE:
            continue
        state = index.state[best]
        slot = states.slot[state, shape]
        if score == RANDOM and is_part(shape, shapes):
            slot = _any_device(states.free.device[state], shapes.device_milli[shape], throw)
        if state < groups:
            _touch(states.free, index, state, best)
        take(shape, shapes, states.free, groups + best, slot)
        states.level[groups + best] = _NEVER
        for each in range(states.slot.shape[1]):
            states.slot[groups + best, each] = _UNKNOWN
        node[at], device[at] = best, slot
    return node, device


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _choose(
    shape: int,
    shapes: Shapes,
    states: States,
    index: Index,
    outlook: Outlook,
    score: int,
    throw: int,
) -> int:
    """Return the node that costs least, the lowest of equals, or NOWHERE."""
    groups, best, least = index.ends.shape[0], NOWHERE, _NEVER
    for row in range(groups + index.used[0]):
        if row < groups:
            if index.heads[row] == index.ends[row]:
                continue
            node = index.members[index.heads[row]]
        else:
            node = index.touched[row - groups]
        state = index.state[node]
        if states.slot[state, shape] == _UNKNOWN:
            _learn(shape, shapes, states, state, outlook, score)
        if states.slot[state, shape] == NOWHERE:
            continue
        loss = chance(throw, node) if score == RANDOM else states.loss[state, shape]
        if best == NOWHERE or loss < least or (loss == least and node < best):
            best, least = node, loss
    return best


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _learn(
    shape: int, shapes: Shapes, states: States, state: int, outlook: Outlook, score: int
) -> None:
    """Find what a task of this shape costs in this state, and which device it would take."""
    free, scratch = states.free, states.free.cpu.shape[0] - 1
    slot = room(shape, shapes, free, state)
    states.slot[state, shape] = slot
    if slot == NOWHERE or score == RANDOM:
        return
    if score not in (FGD, LEAST_STRANDED):
        states.loss[state, shape] = fixed_loss(shape, shapes, free, state, slot, outlook, score)
        return
    if states.level[state] == _NEVER:
        states.level[state] = level_of(shapes, free, state, outlook, score)
    is_shared, least = is_part(shape, shapes), _NEVER
    for device in range(free.device.shape[1] if is_shared else 1):
        if is_shared and not _is_worth(free.device[state], device, shapes.device_milli[shape]):
            continue
        _copy(free, state, scratch)
        take(shape, shapes, free, scratch, device)
        rise = level_of(shapes, free, scratch, outlook, score) - states.level[state]
        loss = steps_of(rise, outlook, score)
        if loss < least:
            least, states.slot[state, shape] = loss, device if is_shared else slot
    states.loss[state, shape] = least


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def room(shape: int, shapes: Shapes, free: Machines, state: int) -> int:
    """Return the device with the least that is enough, the first whole one, or NOWHERE."""
    if free.cpu[state] < shapes.cpu[shape] or free.memory[state] < shapes.memory[shape]:
        return NOWHERE
    if shapes.devices[shape] == 0:
        return 0
    if not shapes.allowed[shape, free.kind[state]]:
        return NOWHERE
    found, enough, least = NOWHERE, 0, DEVICE_MILLI + 1
    for device in range(free.device.shape[1]):
        left = free.device[state, device]
        if left >= shapes.device_milli[shape]:
            enough += 1
            if left < least:
                found, least = device, left
    return found if enough >= shapes.devices[shape] else NOWHERE


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def take(shape: int, shapes: Shapes, free: Machines, state: int, slot: int) -> None:
    """Take a task's part of a state: of the device told, or of the lowest whole ones."""
    free.cpu[state] -= shapes.cpu[shape]
    free.memory[state] -= shapes.memory[shape]
    devices = shapes.devices[shape]
    if is_part(shape, shapes):
        free.device[state, slot] -= shapes.device_milli[shape]
        free.hosted[state, 0] += 1
        return
    if devices > 0:
        free.hosted[state, devices] += 1
    for device in range(free.device.shape[1]):
        if devices > 0 and free.device[state, device] == DEVICE_MILLI:
            free.device[state, device] = 0
            devices -= 1


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def is_part(shape: int, shapes: Shapes) -> bool:
    """Return whether a task shares its device with others."""
    return bool(shapes.devices[shape] == 1 and shapes.device_milli[shape] < DEVICE_MILLI)


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _is_worth(device: Ints, tried: int, milli: int) -> bool:
    """Return whether a device has enough, and no lower one as much: that one costs the same."""
    is_new = device[tried] >= milli
    for lower in range(tried):
        is_new = is_new and device[lower] != device[tried]
    return bool(is_new)


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _any_device(device: Ints, milli: int, throw: int) -> int:
    found, least = NOWHERE, 0
    for tried in range(device.shape[0]):
        drawn = chance(throw, -1 - tried)
        if device[tried] >= milli and (found == NOWHERE or drawn < least):
            found, least = tried, drawn
    return found


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _touch(free: Machines, index: Index, state: int, node: int) -> None:
    """Give a node, which is the first of those still untouched in its state, one of its own."""
    own = index.ends.shape[0] + node
    _copy(free, state, own)
    index.heads[state] += 1
    index.touched[index.used[0]] = node
    index.used[0] += 1
    index.state[node] = own


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _copy(free: Machines, state: int, to: int) -> None:
    free.cpu[to], free.memory[to], free.kind[to] = (
        free.cpu[state],
        free.memory[state],
        free.kind[state],
    )
    for device in range(free.device.shape[1]):
        free.device[to, device] = free.device[state, device]
    for family in range(free.hosted.shape[1]):
        free.hosted[to, family] = free.hosted[state, family]
