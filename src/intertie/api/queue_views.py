"""Expected starts and the queue, as the contract shows them."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from intertie.api.speech import spoken_refusal, spoken_relaxation
from intertie.model.forecast import Queue, Share, Sooner, Start, Waiting
from intertie.model.ids import encode
from intertie.model.plain import from_plain
from intertie.model.units import MICRO
from intertie.store import reading
from intertie.wire.queue import QueueView, ShareView, SoonerView, StartView, WaitingView


def queue_view(connection: Connection, answer: dict[str, Any], at: int, lang: str) -> QueueView:
    """Return what a round told of the queue, with the names of what may be named."""
    queue = from_plain(Queue, answer["document"])
    requests = reading.documents(connection, "request", _known(w.job for w in queue.waiting))
    projects = {*(w.project for w in queue.waiting), *(s.project for s in queue.shares)}
    named = reading.documents(connection, "project", _known(projects))
    names = {number: document.name for number, document in named.items()}
    return QueueView(
        at=at,
        count=queue.count,
        explained=queue.explained,
        waiting=[
            _waiting(each, requests[each.job].name if each.job else "", names, lang)
            for each in queue.waiting
        ],
        shares=[_share(each, names) for each in queue.shares],
    )


def start_view(start: Start) -> StartView:
    """Return an expected start; what is not known is absent."""
    return StartView(
        low_at=start.low_at or None,
        likely_at=start.likely_at or None,
        high_at=start.high_at or None,
        seen_until=start.seen_until if start.is_cut else None,
    )


def sooner_view(sooner: Sooner | None, lang: str) -> SoonerView | None:
    """Return the smallest change that starts a job sooner, if one is known."""
    if sooner is None:
        return None
    return SoonerView(
        relaxation=spoken_relaxation(sooner.relaxation, lang),
        starts_at=sooner.starts_at,
        gained_s=sooner.gained_s or None,
    )


def _waiting(each: Waiting, name: str, names: dict[int, str], lang: str) -> WaitingView:
    return WaitingView(
        position=each.position,
        start=start_view(each.start),
        job=encode("job", each.job) if each.job else None,
        name=name,
        project=names.get(each.project, ""),
        tasks=each.tasks or None,
        nearest=spoken_refusal(each.nearest, lang) if each.nearest else None,
        sooner=sooner_view(each.sooner, lang),
    )


def _share(each: Share, names: dict[int, str]) -> ShareView:
    return ShareView(
        project=names.get(each.project),
        weight=each.weight,
        used_su=each.used_micro_su / MICRO,
        used_su_by_weight=each.used_micro_su / MICRO / each.weight,
        waiting_tasks=each.waiting_tasks,
        running_tasks=each.running_tasks,
    )


def _known(numbers: Iterable[int]) -> list[int]:
    return [number for number in numbers if number]
