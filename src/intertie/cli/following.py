"""Watching a job: a live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from rich.live import Live
from rich.text import Text

from intertie.cli.render.jobs import event_line, event_text
from intertie.cli.render.live import live_view
from intertie.client import IntertieError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from intertie.cli.session import Session
    from intertie.wire.jobs import JobEvent, JobView, TaskView

REFRESH_S = 1.0
LOG_WAIT_S = 5.0
TASKS_SHOWN_MAX = 1000


def watch(session: Session, job: JobView) -> JobView:
    """Return the job when it has settled, having shown on the way what happened."""
    if session.as_json:
        return session.network.wait(job)
    if not session.out.is_terminal:
        return _watch_lines(session, job)
    return _watch_live(session, job)


def _watch_lines(session: Session, job: JobView) -> JobView:
    """Print each event as a line on stderr, and the output of a single task on stdout."""
    session.err.print(session.text("cli.run.submitted", job=job.id), markup=False)
    log = _follow_log(session, job, _as_it_is())
    ended = session.network.wait(job, lambda e: session.err.print(event_line(e, session.lang)))
    log.join(LOG_WAIT_S)
    return ended


def _watch_live(session: Session, job: JobView) -> JobView:
    progress = _Progress(session, job)
    is_alone = job.task_count == 1  # then its output is what stays on the screen
    with Live(
        get_renderable=progress.view,
        console=session.out,
        refresh_per_second=4,
        transient=is_alone,
    ):
        log = _follow_log(session, job, _above_the_view(session))
        ended = session.network.wait(job, progress.hear)
        log.join(LOG_WAIT_S)
        progress.end()
    return ended


class _Progress:
    """What the live view shows, refreshed from the network when something happened."""

    def __init__(self, session: Session, job: JobView) -> None:
        self.session, self.job = session, job
        self.tasks: list[TaskView] = []
        self.note = ""
        self.is_stale = True
        self.began_s = time.monotonic()
        self.refreshed_s = 0.0

    def view(self) -> RenderableType:
        """Return the picture of this instant; the network is asked at most once a second."""
        now_s = time.monotonic()
        if self.is_stale and now_s - self.refreshed_s >= REFRESH_S:
            self.is_stale, self.refreshed_s = False, now_s
            with suppress(IntertieError):  # an old picture is better than none
                self._refresh()
        return live_view(self.job, self.tasks, now_s - self.began_s, self.session.lang, self.note)

    def hear(self, event: JobEvent) -> None:
        """Note what happened; the next picture shows what came of it."""
        self.note = event_text(event, self.session.lang)
        self.is_stale = True

    def end(self) -> None:
        """Let the last picture show the end."""
        self.note, self.is_stale, self.refreshed_s = "", True, 0.0

    def _refresh(self) -> None:
        self.job = self.session.network.job(self.job)
        if self.job.task_count <= TASKS_SHOWN_MAX:
            self.tasks = list(self.session.network.tasks(self.job))


def _follow_log(session: Session, job: JobView, write: Callable[[str], None]) -> threading.Thread:
    """Pass on the output of a job with one task while it runs; that of an array is asked for."""

    def copy() -> None:
        with suppress(IntertieError):  # the job goes on; `intertie logs` asks again
            for piece in session.network.logs(job, follow=True):
                write(piece)
        write("")

    thread = threading.Thread(target=copy if job.task_count == 1 else lambda: None, daemon=True)
    thread.start()
    return thread


def _as_it_is() -> Callable[[str], None]:
    """Return what writes pieces on stdout; an empty piece ends the last line."""
    is_open = False

    def write(piece: str) -> None:
        nonlocal is_open
        sys.stdout.write(piece or ("\n" if is_open else ""))
        sys.stdout.flush()
        is_open = bool(piece) and not piece.endswith("\n")

    return write


def _above_the_view(session: Session) -> Callable[[str], None]:
    """Return what prints whole lines above the live view; an empty piece ends the last one."""
    rest = ""

    def write(piece: str) -> None:
        nonlocal rest
        whole, newline, rest = (rest + piece).rpartition("\n")
        if not piece and rest:
            whole, newline, rest = rest, "\n", ""
        if newline:
            session.out.print(Text.from_ansi(whole), soft_wrap=True)

    return write
