"""The way between a fake agent and the network: it may lose, repeat and delay what it carries."""

from dataclasses import dataclass, field
from typing import Any

Body = dict[str, Any]


@dataclass(frozen=True)
class Carried:
    """What of one sync arrives now, and whether the agent will hear its answer."""

    bodies: tuple[Body, ...]
    is_answered: bool


class Link:
    """Carries every sync once and every answer."""

    def carry(self, body: Body) -> Carried:
        """Return what arrives of one sync."""
        return Carried((body,), True)


@dataclass
class FaultyLink(Link):
    """Does to each sync the next of its `faults`, and carries the rest as they are.

    ``lose`` the sync, lose the ``answer``, ``repeat`` it, ``delay`` it until after the next one.
    """

    faults: list[str] = field(default_factory=list)
    _delayed: list[Body] = field(default_factory=list)

    def carry(self, body: Body) -> Carried:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "lose":
            return Carried((), False)
        if fault == "delay":
            self._delayed.append(body)
            return Carried((), False)
        late, self._delayed = tuple(self._delayed), []
        bodies = (body, body, *late) if fault == "repeat" else (body, *late)
        return Carried(bodies, fault != "answer")
