"""What one decision may do: rows, documents, bookings, events and answers. Nothing else."""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import orjson

from intertie.model.ledger import Transaction
from intertie.model.meter import UsageRecord
from intertie.model.refusal import Refusal
from intertie.world.table import Ints


@dataclass(frozen=True)
class Event:
    """Something a user may watch: a code and values about one job."""

    job: int
    code: str
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What the door tells whoever wrote an inbox row."""

    inbox: int
    refusal: Refusal | None = None
    values: dict[str, int] = field(default_factory=dict)
    document: Any = None


@dataclass
class Changes:
    """One step's decisions, in order. `rows` holds columnar nouns by noun name and id.

    `blocks` holds new rows as (noun, columns) with axes [column, row]; they are written first, so
    that `rows` may change a row that came in a block of the same round.
    """

    blocks: list[tuple[str, Ints]] = field(default_factory=list)
    rows: dict[tuple[str, int], Any] = field(default_factory=dict)
    documents: dict[tuple[str, int], Any] = field(default_factory=dict)
    retired: list[tuple[str, int]] = field(default_factory=list)
    transactions: list[Transaction] = field(default_factory=list)
    usage: list[UsageRecord] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    def put(self, *rows: Any) -> None:
        """Write rows, new or not; the last write of a row counts."""
        for row in rows:
            self.rows[type(row).__name__, row.id] = row

    def document(self, kind: str, number: int, value: Any) -> None:
        """Write the document of one row."""
        self.documents[kind, number] = value

    def retire(self, noun: str, *numbers: int) -> None:
        """Take rows out of the World; the store keeps them."""
        self.retired += [(noun, number) for number in numbers]

    def event(self, job: int, code: str, /, **values: Any) -> None:
        """Tell whoever watches the job."""
        self.events.append(Event(job, code, values))

    def extend(self, later: "Changes") -> None:
        """Append what a later step decided."""
        self.blocks += later.blocks
        self.rows.update(later.rows)
        self.documents.update(later.documents)
        self.retired += later.retired
        self.transactions += later.transactions
        self.usage += later.usage
        self.events += later.events
        self.answers += later.answers

    def answer(
        self,
        inbox: int,
        refusal: Refusal | None = None,
        document: Any = None,
        **values: int,
    ) -> None:
        """Tell whoever wrote an inbox row what became of it."""
        self.answers.append(Answer(inbox, refusal, values, document))

    def __bool__(self) -> bool:
        return any(
            (self.blocks, self.rows, self.documents, self.retired, self.transactions, self.usage)
        ) or bool(self.events or self.answers)

    def digest(self) -> str:
        """Return the hash by which a replay is compared with what was decided."""
        hashed = sha256()
        for noun, block in self.blocks:
            hashed.update(f"{noun} {block.shape}".encode())
            hashed.update(block.astype("<i8").tobytes())
        parts = (
            [(noun, *vars(row).values()) for (noun, _), row in sorted(self.rows.items(), key=_key)],
            sorted(self.documents.items(), key=_key),
            sorted(self.retired),
            self.transactions,
            self.usage,
            self.events,
            self.answers,
        )
        hashed.update(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS))
        return hashed.hexdigest()


def _key(item: tuple[tuple[str, int], Any]) -> tuple[str, int]:
    return item[0]
