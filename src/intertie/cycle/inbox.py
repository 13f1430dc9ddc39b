"""Inbox rows: what doors and agents appended and a round takes."""

from dataclasses import dataclass
from typing import Any

KINDS = (
    "project",
    "provider",
    "agent",
    "session",
    "sync",
    "top_up",
    "block",
    "quote",
    "job",
    "cancel",
    "why",
)


@dataclass(frozen=True)
class InboxRow:
    """One row. `at` is the door's clock when it arrived; `actor` the project, provider or pool."""

    id: int
    kind: str
    actor: int
    at: int
    body: dict[str, Any]


def of_kind(inbox: list[InboxRow], *kinds: str) -> list[InboxRow]:
    """Return the rows of these kinds, in order."""
    return [row for row in inbox if row.kind in kinds]
