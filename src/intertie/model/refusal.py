"""A "no" as a value: a code, what it was about, and the smallest change that would make it a "yes"."""

from dataclasses import dataclass, field

Value = int | str


@dataclass(frozen=True)
class Relaxation:
    """The smallest change to the request that would help; its text is in the catalogue."""

    code: str
    values: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Refusal:
    """Why something was not sized, quoted, matched, placed or admitted. Never prose."""

    code: str
    values: dict[str, Value] = field(default_factory=dict)
    relaxation: Relaxation | None = None
