"""One noun as int64 columns.

Rows live in slots, slots are reused, each reuse raises a generation.
"""

import dataclasses
from collections.abc import Hashable, Iterator
from functools import cache
from typing import Any, Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Row = TypeVar("Row")
_FIRST_SLOTS = 64


def columns_of(noun: type[Any]) -> tuple[str, ...]:
    """Return the names of a columnar noun's fields; every one must be a whole number."""
    return _columns_of(cast(Hashable, noun))


@cache
def _columns_of(noun: Any) -> tuple[str, ...]:
    fields = dataclasses.fields(noun)
    assert all(f.type in ("int", int) for f in fields), f"{noun.__name__} is not columnar"
    return tuple(f.name for f in fields)


class Table(Generic[Row]):
    """Rows of one noun. `data` has axes [column, slot]; a slot that is not in use has id 0."""

    def __init__(self, noun: type[Row]) -> None:
        self.noun = noun
        self.columns = columns_of(noun)
        self.axis = {name: at for at, name in enumerate(self.columns)}
        self.data: Ints = np.zeros((len(self.columns), _FIRST_SLOTS), dtype=np.int64)
        self.generation: Ints = np.zeros(_FIRST_SLOTS, dtype=np.int64)
        self.slots: dict[int, int] = {}
        self.free: list[int] = list(range(_FIRST_SLOTS - 1, -1, -1))

    def __len__(self) -> int:
        return len(self.slots)

    def __contains__(self, number: object) -> bool:
        return number in self.slots

    def get(self, number: int) -> Row:
        """Return one row by its id; KeyError if there is none."""
        return self._read(self.slots[number])

    def find(self, number: int) -> Row | None:
        """Return one row by its id, or None."""
        slot = self.slots.get(number)
        return None if slot is None else self._read(slot)

    def rows(self) -> Iterator[Row]:
        """Return every row in order of id, so that decisions never depend on slots."""
        for number in sorted(self.slots):
            yield self._read(self.slots[number])

    def where(self, **equal: int) -> list[Row]:
        """Return the rows whose columns hold exactly these values, in order of id."""
        return [self._read(slot) for slot in self._slots_where(equal)]

    def numbers_where(self, **equal: int) -> list[int]:
        """Return the ids of the rows whose columns hold exactly these values, in order."""
        ids = self.data[self.axis["id"]]
        return [int(ids[slot]) for slot in self._slots_where(equal)]

    def counts(self, column: str, **equal: int) -> dict[int, int]:
        """Return how many rows hold each value of a column, among those that hold `equal`."""
        slots = np.nonzero(self._mask(equal))[0]
        values, counts = np.unique(self.data[self.axis[column], slots], return_counts=True)
        return dict(zip(values.tolist(), counts.tolist(), strict=True))

    def column(self, name: str) -> Ints:
        """Return one column over the rows in use, in order of id; axes [row]."""
        order = [self.slots[number] for number in sorted(self.slots)]
        return self.data[self.axis[name], order]

    def put(self, row: Row) -> None:
        """Write one row, new or not."""
        number = row.id  # type: ignore[attr-defined]
        assert number > 0, "ids begin at 1: 0 marks a free slot"
        slot = self.slots.get(number)
        if slot is None:
            slot = self._take_slot()
            self.slots[number] = slot
        self.data[:, slot] = [getattr(row, name) for name in self.columns]

    def drop(self, number: int) -> None:
        """Forget one row; its slot may be used again under the next generation."""
        slot = self.slots.pop(number)
        self.data[:, slot] = 0
        self.generation[slot] += 1
        self.free.append(slot)

    def _slots_where(self, equal: dict[str, int]) -> list[int]:
        found = np.nonzero(self._mask(equal))[0]
        ids = self.data[self.axis["id"], found]
        return [int(slot) for slot in found[np.argsort(ids, kind="stable")]]

    def _mask(self, equal: dict[str, int]) -> NDArray[np.bool_]:
        mask: NDArray[np.bool_] = self.data[self.axis["id"]] > 0
        for name, value in equal.items():
            mask &= self.data[self.axis[name]] == value
        return mask

    def _read(self, slot: int) -> Row:
        return self.noun(*self.data[:, slot].tolist())

    def _take_slot(self) -> int:
        if not self.free:
            had = self.data.shape[1]
            self.data = np.concatenate([self.data, np.zeros_like(self.data)], axis=1)
            self.generation = np.concatenate([self.generation, np.zeros_like(self.generation)])
            self.free = list(range(2 * had - 1, had - 1, -1))
        return self.free.pop()
