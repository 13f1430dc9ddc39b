"""The log of a task: what its attempts printed, one after the other, as one run of bytes."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from intertie.api.door import Door
from intertie.model.job import Task
from intertie.model.lease import Lease
from intertie.model.states import LeaseState, TaskState
from intertie.model.units import MIB
from intertie.store import reading

PIECE_BYTES = MIB // 4
_OVER = (LeaseState.ENDED, LeaseState.SETTLED)


@dataclass(frozen=True)
class Piece:
    """Bytes at an offset, and what is known of what comes after them.

    `is_over` when nothing more comes: to this attempt where there are bytes, to the whole log
    where there are none. `lease` is whose log it is, 0 before the first attempt; `round` the
    last round that was seen.
    """

    content: bytes
    is_over: bool
    lease: int
    round: int


@dataclass(frozen=True)
class TaskLog:
    """All attempts of a task, or one of them (1 the first)."""

    task: int
    attempt: int | None = None

    def leases(self, door: Door) -> list[Lease]:
        """Return the leases whose logs these are, in order."""
        with reading.snapshot(door.engine) as connection:
            column = reading.column
            conditions = [column(Lease, "task") == self.task]
            if self.attempt is not None:
                conditions.append(column(Lease, "token") == self.attempt)
            return reading.rows(connection, Lease, *conditions)

    def size(self, door: Door) -> int:
        """Return how many bytes there are now."""
        return sum(door.logs.size(lease.id) for lease in self.leases(door))

    def read(self, door: Door, offset: int) -> Piece:
        """Return what there is from `offset` on, at most one piece of it.

        Only the last attempt grows: the next one begins when the one before is over.
        """
        with reading.snapshot(door.engine) as connection:
            number = reading.last_round(connection)[0]
            task = reading.find(connection, Task, self.task)
        assert task is not None, "tasks are never deleted"
        leases, begins = self.leases(door), 0
        for lease in leases:
            size = door.logs.size(lease.id)
            if offset < begins + size:
                content = door.logs.read(lease.id, offset - begins, PIECE_BYTES)
                is_end = offset + len(content) >= begins + size
                return Piece(content, is_end and lease.state in _OVER, lease.id, number)
            begins += size
        last = leases[-1] if leases else None
        is_over = last is None or last.state in _OVER
        if self.attempt is None:
            is_over = is_over and task.state == TaskState.ENDED
        return Piece(b"", is_over, last.id if last else 0, number)


async def read_log(door: Door, log: TaskLog, offset: int) -> AsyncIterator[bytes]:
    """Yield everything there is now from `offset` on."""
    while piece := (await door.run(log.read, door, offset)).content:
        offset += len(piece)
        yield piece
