"""Queue and shares: who waits in which order and until about when, and who used how much."""

from nicegui import ui

from intertie.client import Intertie
from intertie.console.frame import Frame
from intertie.console.parts import heading, note, section
from intertie.console.problems import relaxation_of
from intertie.console.speech import DASH, Speech, number_of
from intertie.console.tables import Cell, Column, Row, Table, by_number
from intertie.wire.queue import QueueView, ShareView, SoonerView, StartView, WaitingView

EVERY_S = 10.0


def build(frame: Frame) -> None:
    """Build the page."""
    _Page(frame)


class _Page:
    """Two tables that are filled again when the queue has moved."""

    def __init__(self, frame: Frame) -> None:
        self._speech = frame.speech
        say = frame.say
        heading(say("queue.title"))
        section(say("queue.waiting"), say("queue.waiting_note"))
        self._cut = ui.column().classes("w-full gap-1").props("role=status")
        is_operator = frame.who.role == "operator"
        self._waiting = Table(_waiting_columns(frame.speech, is_operator), say("queue.none"))
        section(say("queue.shares"), say("queue.shares_note"))
        self._shares = Table(_share_columns(frame.speech), say("queue.no_shares"))
        frame.live(Intertie.queue, self._show, every_s=EVERY_S)

    def _show(self, found: QueueView) -> None:
        speech = self._speech
        self._cut.clear()
        with self._cut:
            for line in _cuts(found, speech):
                note(line)
        self._waiting.show([_waiting_row(each, found.at, speech) for each in found.waiting])
        self._shares.show([_share_row(each, speech) for each in found.shares])


def start_text(start: StartView, now: int, speech: Speech) -> str:
    """Return when a job is expected to start, from now on, and the range of instants."""
    if start.likely_at is None or start.low_at is None or start.high_at is None:
        after_at = start.low_at or start.seen_until
        if after_at is None:
            return speech.say("queue.never")
        return speech.say("queue.after", after=speech.moment(after_at))
    return speech.say(
        "queue.starts",
        about_s=_about_s(start.likely_at - now),
        low=speech.moment(start.low_at)[-8:],
        high=speech.moment(start.high_at)[-8:],
    )


def sooner_text(sooner: SoonerView | None, now: int, speech: Speech) -> str:
    """Return the smallest change that would start a job sooner, and by how much."""
    if sooner is None:
        return DASH
    change = sooner.relaxation.text or sooner.relaxation.code
    in_s = _about_s(sooner.starts_at - now)
    if sooner.gained_s is None:
        return speech.say("queue.sooner_else", change=change, in_s=in_s)
    return speech.say("queue.sooner", change=change, in_s=in_s, gained_s=sooner.gained_s)


def _about_s(ms: int) -> int:
    """Return a time to come in seconds, of a longer one whole minutes: nobody knows it closer."""
    seconds = max(0, ms) // 1000
    return seconds if seconds < 600 else seconds // 60 * 60


def _cuts(found: QueueView, speech: Speech) -> list[str]:
    """Return what the table does not hold."""
    lines = []
    if found.count > len(found.waiting):
        lines.append(speech.say("queue.cut", shown=len(found.waiting), count=found.count))
    if any(each.job and each.nearest is None for each in found.waiting):
        lines.append(speech.say("queue.explained", explained=found.explained))
    return lines


def _waiting_columns(speech: Speech, is_operator: bool) -> list[Column]:
    say = speech.say
    columns = [
        Column("position", say("column.position"), is_number=True),
        Column("job", say("column.job"), is_link=True),
        Column("tasks", say("column.tasks_waiting"), is_number=True),
        Column("start", speech.clock("column.expected_start"), is_wrapped=True),
        Column("why", say("column.reason"), is_wrapped=True),
        Column("helps", say("column.sooner"), is_wrapped=True),
    ]
    return [*columns, Column("project", say("column.project"))] if is_operator else columns


def _waiting_row(each: WaitingView, now: int, speech: Speech) -> Row:
    start, name = each.start, each.name or speech.say("queue.other")
    sorts = start.likely_at or start.low_at or 2**53
    nearest = each.nearest
    reason = DASH if nearest is None else nearest.text or nearest.code
    return {
        "position": by_number(each.position, str(each.position)),
        "job": Cell(name, href=f"/jobs/{each.job}" if each.job else ""),
        "tasks": by_number(each.tasks, number_of(each.tasks, 0)),
        "start": Cell(start_text(start, now, speech), sorts),
        "why": reason,
        "helps": _helps(each, now, speech),
        "project": each.project or DASH,
    }


def _helps(each: WaitingView, now: int, speech: Speech) -> str:
    """Return what would start a job sooner, else what a pool asks of it; to wait is neither."""
    change = each.nearest.relaxation if each.nearest is not None else None
    if each.sooner is not None or change is None or change.code == "wait":
        return sooner_text(each.sooner, now, speech)
    return relaxation_of(each.nearest, DASH)


def _share_columns(speech: Speech) -> list[Column]:
    say = speech.say
    return [
        Column("project", say("column.project")),
        Column("weight", say("column.weight"), is_number=True),
        Column("used", say("column.used_of_late"), is_number=True),
        Column("by_weight", say("column.used_by_weight"), is_number=True),
        Column("waiting", say("column.tasks_waiting"), is_number=True),
        Column("running", say("column.tasks_running"), is_number=True),
    ]


def _share_row(share: ShareView, speech: Speech) -> Row:
    return {
        "project": share.project or speech.say("queue.other"),
        "weight": by_number(share.weight, number_of(share.weight, 0)),
        "used": by_number(share.used_su, number_of(share.used_su, 4)),
        "by_weight": by_number(share.used_su_by_weight, number_of(share.used_su_by_weight, 4)),
        "waiting": by_number(share.waiting_tasks, number_of(share.waiting_tasks, 0)),
        "running": by_number(share.running_tasks, number_of(share.running_tasks, 0)),
    }
