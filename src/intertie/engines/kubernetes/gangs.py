"""Gangs whole or absent at a site whose scheduler knows none. Pure.

The Jobs of a gang are made when all its members are here. Their containers wait at a barrier,
which opens once every one of them is up: none computes alone. A gang that does not come up gives
back what it has, and tries again after a pause that grows: two halves never wait for each other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from intertie.engines.kubernetes.parse import Document, is_up

PAUSE_S, PAUSE_MAX_S = 2.0, 300.0


@dataclass(frozen=True)
class Member:
    """One attempt of a gang: `is_over` before the barrier opened; its own pod, if it has one."""

    name: str
    is_over: bool = False
    is_created: bool = False
    pod: Document | None = None


@dataclass(frozen=True)
class Gathering:
    """How far a gang has come. Instants are seconds of the agent's steady clock."""

    size: int
    since_s: float | None = None
    tries: int = 0
    not_before_s: float = 0.0


def step(known: Gathering, members: Sequence[Member], now_s: float, hold_off_s: float) -> str:
    """Return what is to be done for a gang whose barrier is shut; empty if nothing.

    `disband`: one will never begin, so none will. `create`: make its Jobs. `open`: all are up.
    `give_back`: remove its Jobs, for they have not all found a node in time.
    """
    if any(each.is_over for each in members):
        return "disband"
    if len(members) < known.size:
        return ""
    if not all(each.is_created for each in members):
        return "create" if known.since_s is not None or now_s >= known.not_before_s else ""
    if all(each.pod is not None and is_up(each.pod) for each in members):
        return "open"
    is_late = known.since_s is not None and now_s - known.since_s > hold_off_s
    # Those that have their nodes hold no more by waiting for an image than they must.
    return "give_back" if is_late and not all_have_nodes(members) else ""


def all_have_nodes(members: Iterable[Member]) -> bool:
    """Return whether the site has found a node for each member."""
    return all(bool((each.pod or {}).get("spec", {}).get("nodeName")) for each in members)


def gave_back(known: Gathering, now_s: float, chance: float) -> Gathering:
    """Return a gang that pauses; `chance`, from 0 to 1, sets it apart from others that do."""
    pause_s = min(PAUSE_MAX_S, PAUSE_S * 2 ** min(known.tries, 10)) * (0.5 + chance)
    tries = known.tries + 1
    return replace(known, since_s=None, tries=tries, not_before_s=now_s + pause_s)


def next_to_gather(waiting: Iterable[tuple[str, Gathering]]) -> str:
    """Return whose turn it is: the one that tried least. One at a time, so that none holds two."""
    return min(waiting, key=lambda each: (each[1].tries, each[1].not_before_s, each[0]))[0]
