"""Inbox rows: what doors and agents appended and a round takes."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from intertie.model.plain import from_plain
from intertie.model.request import Request

KINDS = (
    "project",
    "provider",
    "agent",
    "session",
    "sync",
    "leave",
    "top_up",
    "block",
    "quote",
    "job",
    "cancel",
    "why",
    "queue",
    "cohort",
    "share",
    "shares",
)


@dataclass(frozen=True)
class InboxRow:
    """One row. `at` is the door's clock when it arrived; `actor` the project, provider or pool."""

    id: int
    kind: str
    actor: int
    at: int
    body: dict[str, Any]


def request_in(row: InboxRow) -> Request:
    """Return the request in a row; rows that ask the same share one value."""
    return _request(orjson.dumps(row.body["request"]))


@lru_cache(maxsize=1024)
def _request(text: bytes) -> Request:
    return from_plain(Request, orjson.loads(text))


def of_kind(inbox: list[InboxRow], *kinds: str) -> list[InboxRow]:
    """Return the rows of these kinds, in order."""
    return [row for row in inbox if row.kind in kinds]
