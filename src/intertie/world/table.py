"""One noun as int64 columns.

Rows live in slots, slots are reused, each reuse raises a generation.
"""

import dataclasses
from collections.abc import Hashable, Iterator
from functools import cache
from operator import attrgetter
from typing import Any, Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from intertie.model.rows import made

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Row = TypeVar("Row")
_FIRST_SLOTS = 64
_LATEST = 4096


def columns_of(noun: type[Any]) -> tuple[str, ...]:
    """Return the names of a columnar noun's fields; every one must be a whole number."""
    return _columns_of(cast(Hashable, noun))


@cache
def _columns_of(noun: Any) -> tuple[str, ...]:
    fields = dataclasses.fields(noun)
    assert all(f.type in ("int", int) for f in fields), f"{noun.__name__} is not columnar"
    return tuple(f.name for f in fields)


class Table(Generic[Row]):
    """Rows of one noun. `data` has axes [column, slot]; a slot that is not in use holds zeros.

    After the noun's own columns come `derived` ones: sums that `apply` keeps by the row and that no
    store holds. `indexed` columns answer `where` by a hash index instead of a pass over all slots;
    they say to whom a row belongs, and never change while it lives.
    """

    def __init__(
        self, noun: type[Row], indexed: tuple[str, ...] = (), derived: tuple[str, ...] = ()
    ) -> None:
        self.noun = noun
        self.columns = columns_of(noun)
        self.axis = {name: at for at, name in enumerate((*self.columns, *derived))}
        self.data: Ints = np.zeros((len(self.axis), _FIRST_SLOTS), dtype=np.int64)
        self.generation: Ints = np.zeros(_FIRST_SLOTS, dtype=np.int64)
        self.slots: dict[int, int] = {}
        self.free: list[int] = list(range(_FIRST_SLOTS - 1, -1, -1))
        self.index: dict[str, dict[int, set[int]]] = {name: {} for name in indexed}
        self._values = attrgetter(*self.columns)
        self._latest: dict[int, Row] = {}

    def __len__(self) -> int:
        return len(self.slots)

    def __contains__(self, number: object) -> bool:
        return number in self.slots

    def get(self, number: int) -> Row:
        """Return one row by its id; KeyError if there is none."""
        row = self._latest.get(number)
        if row is None:
            row = self._read(self.slots[number])
            self._remember(number, row)
        return row

    def find(self, number: int) -> Row | None:
        """Return one row by its id, or None."""
        return self.get(number) if number in self.slots else None

    def value(self, number: int, name: str) -> int:
        """Return one value of one row, derived ones too; KeyError if there is no such row."""
        return self.data.item(self.axis[name], self.slots[number])

    def values(self, number: int, names: tuple[str, ...]) -> list[int]:
        """Return some values of one row, derived ones too; KeyError if there is no such row."""
        slot = self.slots[number]
        return [self.data.item(self.axis[name], slot) for name in names]

    def set_value(self, number: int, name: str, value: int) -> None:
        """Write one derived value of one row."""
        self.data[self.axis[name], self.slots[number]] = value

    def rows(self) -> Iterator[Row]:
        """Return every row in order of id, so that decisions never depend on slots."""
        for number in sorted(self.slots):
            yield self._read(self.slots[number])

    def where(self, **equal: int) -> list[Row]:
        """Return the rows whose columns hold exactly these values, in order of id."""
        return [self.get(number) for number in self.numbers_where(**equal)]

    def numbers_where(self, **equal: int) -> list[int]:
        """Return the ids of the rows whose columns hold exactly these values, in order."""
        for name, value in equal.items():
            if name in self.index:
                rest = [(self.axis[n], v) for n, v in equal.items() if n != name]
                return [
                    number
                    for number in sorted(self.index[name].get(value, ()))
                    if all(self.data.item(a, self.slots[number]) == v for a, v in rest)
                ]
        mask = self.used()
        for name, value in equal.items():
            mask &= self.column(name) == value
        return self.numbers(mask)

    def counts(self, column: str, **equal: int) -> dict[int, int]:
        """Return how many rows hold each value of a column, among those that hold `equal`."""
        slots = [self.slots[number] for number in self.numbers_where(**equal)]
        values, counts = np.unique(self.column(column)[slots], return_counts=True)
        return dict(zip(values.tolist(), counts.tolist(), strict=True))

    def column(self, name: str) -> Ints:
        """Return one column over all slots, a view; axes [slot]."""
        return cast(Ints, self.data[self.axis[name]])

    def used(self) -> Mask:
        """Return which slots hold a row; axes [slot]."""
        return self.column("id") > 0

    def numbers(self, mask: Mask) -> list[int]:
        """Return the ids of the rows in these slots, in order; free slots do not count."""
        found = self.column("id")[mask]
        numbers: list[int] = np.sort(found[found > 0]).tolist()
        return numbers

    def put(self, row: Row) -> None:
        """Write one row, new or not."""
        values = self._values(row)
        number = values[0]
        assert number > 0, "ids begin at 1: 0 marks a free slot"
        slot = self.slots.get(number)
        if slot is None:
            [slot] = self._take_slots(1)
            self.slots[number] = slot
            for name, index in self.index.items():
                index.setdefault(values[self.axis[name]], set()).add(number)
        self.data[: len(values), slot] = values
        self._remember(number, row)

    def load(self, block: Ints) -> None:
        """Write many new rows at once; axes [column, row], in the order of the noun's fields."""
        numbers: list[int] = block[0].tolist()
        assert len(set(numbers)) == len(numbers), "a row twice"
        assert not any(number in self.slots or number <= 0 for number in numbers)
        slots = self._take_slots(len(numbers))
        self.slots.update(zip(numbers, slots, strict=True))
        self.data[: len(self.columns), slots] = block
        for name, index in self.index.items():
            for number, value in zip(numbers, block[self.axis[name]].tolist(), strict=True):
                index.setdefault(value, set()).add(number)

    def drop(self, number: int) -> None:
        """Forget one row; its slot may be used again under the next generation."""
        slot = self.slots.pop(number)
        self._latest.pop(number, None)
        for name, index in self.index.items():
            value = self.data.item(self.axis[name], slot)
            index[value].discard(number)
            if not index[value]:
                del index[value]
        self.data[:, slot] = 0
        self.generation[slot] += 1
        self.free.append(slot)

    def _remember(self, number: int, row: Row) -> None:
        """Keep the rows that were used last: the same few are asked for again and again."""
        if len(self._latest) >= _LATEST:
            self._latest.clear()
        self._latest[number] = row

    def _read(self, slot: int) -> Row:
        values = self.data[: len(self.columns), slot].tolist()
        return made(self.noun, dict(zip(self.columns, values, strict=False)))

    def _take_slots(self, count: int) -> list[int]:
        while len(self.free) < count:
            had = self.data.shape[1]
            self.data = np.concatenate([self.data, np.zeros_like(self.data)], axis=1)
            self.generation = np.concatenate([self.generation, np.zeros_like(self.generation)])
            self.free = [*range(2 * had - 1, had - 1, -1), *self.free]
        taken = self.free[: -count - 1 : -1]
        del self.free[-count:]
        return taken
