"""What waits and what runs in a replay, in the orders in which they are asked for.

Bundles of int64 columns that one compiled loop reads and writes: nothing is made anew by the event.
"""

from typing import NamedTuple

import numpy as np

from intertie.placement.given import LARGEST, Ints
from intertie.world.compiling import in_place

# What `Tide.counts` counts: who waits, who runs, how many ends are awaited, who came, who started;
# who came since the last round, whether others may have got room since, how many were asked whether
# they have lost patience; and the instant it is.
WAITING, RUNNING, ENDING, CAME, BEGUN, NEW, GIVEN, ASKED, NOW = range(9)
ABSENT = -1


class Work(NamedTuple):
    """The jobs of a trace and what becomes of them; axes [job], by submission, in milliseconds.

    Given: `submit`, `run` (what is left to run at the next start), `stated` (what its user asked
    for), `units`, `user`, `deadline` (0: none) and `kin`. Written when it comes: `length`, the
    likely one, `reach`, for how long it is counted on to hold its room, and `key`, of which the
    lowest goes first. Written at its start: `start`, `node`, `begun` (the number of the start),
    `end`, and `due`, when it is expected to end; this and `reach` again whenever it outlasts them.
    ABSENT where there is none yet; `due` once it ended.
    """

    submit: Ints
    run: Ints
    stated: Ints
    units: Ints
    user: Ints
    deadline: Ints
    kin: Ints
    length: Ints
    reach: Ints
    key: Ints
    start: Ints
    node: Ints
    begun: Ints
    end: Ints
    due: Ints


class Tide(NamedTuple):
    """`waiting` by key, `running` by expected end, `ending` a heap by (end, begun); axes [job].

    Of two alike the first that came goes first. How many there are is in `counts`, and who came
    last in `newcomer`[0].
    """

    waiting: Ints
    running: Ints
    ending: Ints
    counts: Ints
    newcomer: Ints


def tide_of(jobs: int) -> Tide:
    """Return the tide before the first of so many jobs came."""
    waiting, running, ending = np.empty((3, jobs), np.int64)
    counts = np.zeros(9, np.int64)
    counts[NOW] = ABSENT
    return Tide(waiting, running, ending, counts, np.zeros(1, np.int64))


@in_place
def insert(row: Ints, count: int, keys: Ints, job: int) -> int:
    """Put a job into a row of `count` that is sorted by key, behind its like; return where."""
    first, last = 0, count
    while first < last:
        middle = (first + last) // 2
        if keys[row[middle]] <= keys[job]:
            first = middle + 1
        else:
            last = middle
    for at in range(count, first, -1):
        row[at] = row[at - 1]
    row[first] = job
    return first


@in_place
def remove(row: Ints, count: int, keys: Ints, job: int) -> None:
    """Take a job out of a row of `count` that is sorted by key."""
    first, last = 0, count
    while first < last:
        middle = (first + last) // 2
        if keys[row[middle]] < keys[job]:
            first = middle + 1
        else:
            last = middle
    while row[first] != job:
        first += 1
    for at in range(first + 1, count):
        row[at - 1] = row[at]


@in_place
def next_end(tide: Tide, work: Work) -> int:
    """Return the instant of the next end, LARGEST if none is awaited."""
    return work.end[tide.ending[0]] if tide.counts[ENDING] else LARGEST


@in_place
def await_end(tide: Tide, work: Work, job: int) -> None:
    """Put a job that has started into the heap."""
    heap, at = tide.ending, tide.counts[ENDING]
    tide.counts[ENDING] += 1
    while at > 0 and _is_sooner(work, job, heap[(at - 1) // 2]):
        heap[at] = heap[(at - 1) // 2]
        at = (at - 1) // 2
    heap[at] = job


@in_place
def take_end(tide: Tide, work: Work) -> int:
    """Take the job that ends next from the heap; of two at one instant who started first."""
    tide.counts[ENDING] -= 1
    heap, count, at = tide.ending, tide.counts[ENDING], 0
    taken, job = heap[0], heap[count]
    while 2 * at + 1 < count:
        below = 2 * at + 1
        if below + 1 < count and _is_sooner(work, heap[below + 1], heap[below]):
            below += 1
        if not _is_sooner(work, heap[below], job):
            break
        heap[at] = heap[below]
        at = below
    heap[at] = job
    return int(taken)


@in_place
def _is_sooner(work: Work, one: int, other: int) -> bool:
    if work.end[one] != work.end[other]:
        return bool(work.end[one] < work.end[other])
    return bool(work.begun[one] < work.begun[other])
