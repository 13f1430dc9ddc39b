"""The page of one job: state, tasks, reasons, live events and logs, files and receipt."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import quote

import yaml
from nicegui import ui

from intertie.client import Intertie, NotFound, Refused
from intertie.console.attempts import show_attempts
from intertie.console.frame import Frame
from intertie.console.job_live import EventList, LogView
from intertie.console.parts import STATE_COLOURS, bar, facts, heading, note, section
from intertie.console.problems import relaxation_of
from intertie.console.queue import sooner_text, start_text
from intertie.console.quotes import show_options
from intertie.console.reasons import show_reasons
from intertie.console.receipts import show_receipt
from intertie.console.speech import DASH, credits_of, number_of
from intertie.console.tables import Cell, Column, Row, Table, by_number
from intertie.wire.jobs import FileView, JobView, Receipt, TaskView, WhyView
from intertie.wire.market import QuoteView

TASKS_MAX = 500
OVER = ("ended", "settled")


@dataclass(frozen=True)
class Found:
    """All that the page shows of a job at one instant; lists are cut at `TASKS_MAX`."""

    job: JobView
    why: WhyView | None = None
    tasks: list[TaskView] = field(default_factory=list)
    files: list[FileView] = field(default_factory=list)
    receipt: Receipt | None = None
    quote: QuoteView | None = None


class JobPage:
    """One job on a page. It is loaded again at each event, and now and then besides."""

    def __init__(self, frame: Frame, job_id: str) -> None:
        self.frame, self.job_id = frame, job_id
        self._parts: dict[str, ui.column] = {}
        self._drawn: dict[str, Any] = {}
        self._head = ui.column().classes("w-full")
        self._cancel = ui.button(frame.say("job.cancel"), on_click=self._ask_cancel)
        self._cancel.props("outline color=negative no-caps").classes("self-start")
        self._cancel.set_visibility(False)
        for name in ("tasks", "why", "receipt"):
            self._parts[name] = ui.column().classes("w-full")
        self._log = LogView(frame, job_id)
        for name in ("attempts", "files"):
            self._parts[name] = ui.column().classes("w-full")
        self._events = EventList(frame, job_id)
        for name in ("quote", "spec"):
            self._parts[name] = ui.column().classes("w-full")
        refresh = frame.live(self._load, self._show, every_s=3.0)
        self._events.on_news = refresh

    def _load(self, network: Intertie) -> Found:
        job = network.job(self.job_id)
        has_begun = bool(job.spent_micro or job.held_micro or job.state not in ("held", "queued"))
        return Found(
            job=job,
            why=network.why(job) if _needs_why(job) else None,
            tasks=list(islice(network.tasks(job), TASKS_MAX)),
            files=list(islice(network.files(job), TASKS_MAX)),
            receipt=_receipt(network, job) if has_begun else None,
            quote=_quote(network, job),
        )

    def _show(self, found: Found) -> None:
        job = found.job
        self._redraw("head", job, self._head, lambda: _head(self.frame, job))
        self._cancel.set_visibility(job.state not in OVER and self.frame.who.role == "project")
        self._log.offer(found.tasks, job)
        for name, value, draw in (
            ("tasks", job, lambda: _tasks(self.frame, job)),
            ("why", found.why, lambda: _why(self.frame, found.why)),
            ("receipt", found.receipt, lambda: show_receipt(self.frame.speech, found.receipt)),
            ("attempts", found.tasks, lambda: show_attempts(self.frame.speech, found.tasks)),
            ("files", found.files, lambda: _files(self.frame, job, found.files)),
            ("quote", found.quote, lambda: _quoted(self.frame, found.quote)),
            ("spec", job.spec, lambda: _spec(self.frame, job)),
        ):
            self._redraw(name, value, self._parts[name], draw)

    def _redraw(self, name: str, value: Any, place: ui.column, draw: Callable[[], None]) -> None:
        """Draw a part again when what it shows has changed."""
        if name in self._drawn and self._drawn[name] == value:
            return
        self._drawn[name] = value
        place.clear()
        with place:
            draw()

    async def _ask_cancel(self) -> None:
        say = self.frame.say
        with ui.dialog() as dialog, ui.card():
            ui.label(say("job.cancel_question"))
            note(say("job.cancel_note"))
            with ui.row().classes("justify-end w-full"):
                ui.button(say("job.keep"), on_click=lambda: dialog.submit(False)).props(
                    "flat no-caps"
                )
                ui.button(say("job.cancel_yes"), on_click=lambda: dialog.submit(True)).props(
                    "color=negative no-caps unelevated"
                )
        if await dialog:
            await self.frame.ask(lambda network: network.cancel(self.job_id))
            await self._events.on_news()
        dialog.delete()


def _needs_why(job: JobView) -> bool:
    return job.state in ("held", "queued") or job.outcome in ("failed", "cancelled")


def _receipt(network: Intertie, job: JobView) -> Receipt | None:
    try:
        return network.receipt(job)
    except (NotFound, Refused):
        return None


def _quote(network: Intertie, job: JobView) -> QuoteView | None:
    try:
        return network.quote_of(job.quote) if job.quote else None
    except NotFound:
        return None


def _head(frame: Frame, job: JobView) -> None:
    say, speech = frame.say, frame.speech
    heading(job.name)
    facts(
        [
            (say("column.state"), speech.word("state", job.state)),
            (say("column.outcome"), speech.word("outcome", job.outcome)),
            (say("column.project"), job.project),
            (speech.clock("column.submitted_at"), speech.moment(job.submitted_at)),
            (speech.clock("column.ended_at"), speech.moment(job.ended_at)),
            (say("column.spent"), credits_of(job.spent_micro)),
            (say("column.held"), credits_of(job.held_micro)),
            (say("column.budget"), credits_of(job.budget_micro)),
            (say("column.job_id"), job.id),
        ]
    )


def _tasks(frame: Frame, job: JobView) -> None:
    section(frame.say("job.tasks", tasks=job.task_count))
    bar(
        [
            (frame.speech.word("state", state), job.tasks_by_state.get(state, 0), colour)
            for state, colour in STATE_COLOURS.items()
        ]
    )
    if job.running_by_provider:
        places = frame.say("list.comma").join(
            f"{provider} {count}" for provider, count in sorted(job.running_by_provider.items())
        )
        note(frame.say("job.running_at", places=places))


def _why(frame: Frame, why: WhyView | None) -> None:
    if why is None:
        return
    say = frame.say
    section(say("job.why"))
    ui.label(why.summary)
    if why.queue_position is not None:
        note(say("job.queue_position", position=why.queue_position))
    if why.start is not None:
        when = start_text(why.start, int(time.time() * 1000), frame.speech)
        note(say("job.expected", when=when))
    if why.nearest is not None and why.nearest.relaxation is not None:
        with ui.element("div").classes("console-empty"):
            ui.label(say("job.nearest")).style("font-weight: 600")
            ui.label(relaxation_of(why.nearest, DASH))
            if why.sooner is not None:
                ui.label(sooner_text(why.sooner, int(time.time() * 1000), frame.speech))
    if why.pools:
        show_reasons(why.pools, frame.speech)


def _files(frame: Frame, job: JobView, files: list[FileView]) -> None:
    say = frame.say
    section(say("job.files"))
    columns = [
        Column("path", say("column.path"), is_link=True, is_wrapped=True),
        Column("task", say("column.task"), is_number=True),
        Column("size", say("column.size_bytes"), is_number=True),
        Column("kind", say("column.kind")),
    ]
    rows: list[Row] = [
        {
            "path": Cell(
                file.path, href=f"/jobs/{quote(job.id)}/files/{file.task}/{quote(file.path)}"
            ),
            "task": by_number(file.task, str(file.task)),
            "size": by_number(file.size_bytes, number_of(file.size_bytes, 0)),
            "kind": frame.speech.word("console.file_kind", file.kind),
        }
        for file in files
    ]
    Table(columns, say("job.no_files")).show(rows)


def _quoted(frame: Frame, quoted: QuoteView | None) -> None:
    if quoted is None:
        return
    say = frame.say
    section(say("job.quote"), say("quote.made", id=quoted.id, at=frame.speech.moment(quoted.until)))
    show_options(frame.speech, quoted)


def _spec(frame: Frame, job: JobView) -> None:
    if not job.spec:
        return
    with ui.expansion(frame.say("job.spec")).classes("w-full"):
        written = yaml.safe_dump(job.spec, sort_keys=False, allow_unicode=True)
        with ui.element("pre").classes("console-spec"):
            ui.label(written).style("white-space: pre")
