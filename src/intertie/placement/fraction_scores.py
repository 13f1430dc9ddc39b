"""What placing a task costs: published scores of fragmentation and packing, and our own.

`level_of` rates a state by itself, FGD by what no task drawn from the workload could use now (Weng
et al., USENIX ATC 2023), least-stranded by what is left over once tasks of the workload have filled
it; a placement costs what it adds. The others rate the placement at once. All are whole numbers, so
that a replay decides alike everywhere; those of others are truncated as they published them.
"""

import numpy as np
from numba import njit

from intertie.placement.fractions import (
    BEST_FIT,
    DEVICE_MILLI,
    DOT_PRODUCT,
    FAMILIES,
    FGD,
    GPU_PACKING,
    Machines,
    Outlook,
    Shapes,
)
from intertie.placement.given import Ints

_MILLIONTHS = 1_000_000


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def level_of(shapes: Shapes, free: Machines, state: int, outlook: Outlook, score: int) -> int:
    """Return a state's level: thousandths of devices × tasks of the workload, or × draws."""
    if score == FGD:
        return _fragment(shapes, free, state, outlook)
    return _stranded(shapes, free, state, outlook)


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def steps_of(rise: int, outlook: Outlook, score: int) -> int:
    """Return a rise of the level in the steps that count."""
    if score == FGD:
        percent = 0
        while percent < outlook.steps.shape[0] and outlook.steps[percent] <= -rise:
            percent += 1
        return -percent
    return rise // outlook.grain


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def idle_milli(free: Machines, state: int) -> int:
    """Return the thousandths of devices that are free in a state."""
    found = 0
    for device in range(free.device.shape[1]):
        found += int(free.device[state, device])
    return found


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _fragment(shapes: Shapes, free: Machines, state: int, outlook: Outlook) -> int:
    """Return F_n(M) × tasks: what of the free devices each task could not use, summed over M.

    All of it where the task does not fit, else the devices that have too little for it. Memory is
    not looked at, as in the published runs.
    """
    total, fragment = idle_milli(free, state), 0
    for at in range(outlook.typical.shape[0]):
        shape, enough, rest = outlook.typical[at], 0, 0
        for device in range(free.device.shape[1]):
            left = free.device[state, device]
            if left >= shapes.device_milli[shape]:
                enough += 1
            else:
                rest += left
        may_run = shapes.devices[shape] > 0 and shapes.allowed[shape, free.kind[state]]
        is_able = free.cpu[state] >= shapes.cpu[shape] and enough >= shapes.devices[shape]
        fragment += outlook.tasks[at] * (rest if may_run and is_able else total)
    return fragment


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _stranded(shapes: Shapes, free: Machines, state: int, outlook: Outlook) -> int:
    """Return what is left of the devices when tasks have come in each drawn order, summed.

    Of each order, whatever fits is placed, a part on the device with the least that is enough.
    """
    width = free.device.shape[1]
    device = np.empty(width, np.int64)
    stranded, total = 0, idle_milli(free, state)
    for sequence in range(outlook.draws.shape[0] if total else 0):
        cpu, memory, left = free.cpu[state], free.memory[state], total
        for at in range(width):
            device[at] = free.device[state, at]
        for place in range(outlook.draws.shape[1]):
            shape = outlook.draws[sequence, place]
            if shapes.cpu[shape] > cpu or shapes.memory[shape] > memory:
                continue
            held = shapes.devices[shape] * shapes.device_milli[shape]
            if held > left or not shapes.allowed[shape, free.kind[state]]:
                continue
            if not _fill(device, shapes.devices[shape], shapes.device_milli[shape]):
                continue
            cpu, memory, left = cpu - shapes.cpu[shape], memory - shapes.memory[shape], left - held
            if left == 0:
                break
        stranded += left
    return stranded


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _fill(device: Ints, devices: int, milli: int) -> bool:
    """Take so many devices, or a part of the one with the least that is enough, if they are."""
    if milli < DEVICE_MILLI:
        found = -1
        for at in range(device.shape[0]):
            if device[at] >= milli and (found < 0 or device[at] < device[found]):
                found = at
        if found >= 0:
            device[found] -= milli
        return found >= 0
    whole = 0
    for at in range(device.shape[0]):
        whole += device[at] == DEVICE_MILLI
    if whole < devices:
        return False
    for at in range(device.shape[0]):
        if devices and device[at] == DEVICE_MILLI:
            device[at] = 0
            devices -= 1
    return True


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def fixed_loss(
    shape: int,
    shapes: Shapes,
    free: Machines,
    state: int,
    slot: int,
    outlook: Outlook,
    score: int,
) -> int:
    """Return what a placement costs by a score that looks at this task and this node alone.

    Minus the published scores, which run from 0 to 100.
    """
    largest_cpu, largest = outlook.largest[0], outlook.largest[1]
    held = shapes.devices[shape] * shapes.device_milli[shape]
    left, cpu = idle_milli(free, state), free.cpu[state]
    if score == BEST_FIT:
        after = (cpu - shapes.cpu[shape]) * largest + (left - held) * largest_cpu
        return -int((200 * largest * largest_cpu - 100 * after) // (2 * largest * largest_cpu))
    if score == DOT_PRODUCT:
        dot = cpu * shapes.cpu[shape] * _MILLIONTHS // largest_cpu**2
        dot += left * held * _MILLIONTHS // largest**2
        return -int((100 * _MILLIONTHS - 50 * dot) // _MILLIONTHS)
    if shapes.devices[shape] == 0:
        return 0
    if score == GPU_PACKING:
        return -_packing(shape, shapes, free, state, slot)
    return -_clustering(shape, shapes, free, state, largest)


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _packing(shape: int, shapes: Shapes, free: Machines, state: int, slot: int) -> int:
    """Rate shared devices above whole ones, and those of used nodes above those of idle ones.

    Weng et al., NSDI 2022: of shared devices the fullest, of whole ones the fewest.
    """
    whole, hosted = 0, 0
    for device in range(free.device.shape[1]):
        whole += free.device[state, device] == DEVICE_MILLI
    for family in range(FAMILIES):
        hosted += free.hosted[state, family]
    if hosted == 0:
        return max(33 - whole, whole)
    left = free.device[state, slot]
    if left == DEVICE_MILLI:
        return max(50 - int(shapes.devices[shape]), 33)
    return max(100 - int(left) // 100, 50)


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _clustering(shape: int, shapes: Shapes, free: Machines, state: int, largest: int) -> int:
    """Rate nodes that host tasks of the same family alone, then among others, then idle nodes.

    Xiao et al., OSDI 2018, as rewritten for FGD's comparison: among equals the fullest.
    """
    part = shapes.device_milli[shape] < DEVICE_MILLI
    mine = free.hosted[state, 0 if part else shapes.devices[shape]]
    families = 0
    for family in range(FAMILIES):
        families += free.hosted[state, family] > 0
    fullness = int(25 * (largest - idle_milli(free, state)) // largest)
    if mine > 0:
        return fullness + (75 if families == 1 else 50)
    return fullness + (25 if families == 0 else 0)


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def chance(seed: int, at: int) -> int:
    """Return a number from 0 to 2⁶² that looks drawn (SplitMix64, Steele et al. 2014)."""
    z = np.uint64(seed) + np.uint64(at + 1) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return int(np.int64((z ^ (z >> np.uint64(31))) >> np.uint64(2)))
