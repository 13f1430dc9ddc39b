"""Watching a job: a live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from rich.live import Live
from rich.text import Text

from intertie.cli.render_jobs import event_line, event_text
from intertie.cli.render_live import live_view
from intertie.client import IntertieError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from intertie.cli.session import Session
    from intertie.wire.jobs import JobEvent, JobView, TaskView

REFRESH_S = 1.0
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
    log = _follow_log(session, job)
    ended = session.network.wait(job, lambda e: session.err.print(event_line(e, session.lang)))
    log.join(timeout=5)
    return ended


def _watch_live(session: Session, job: JobView) -> JobView:
    progress = _Progress(session, job)
    with Live(
        get_renderable=progress.view, console=session.out, refresh_per_second=4, transient=True
    ):
        log = _follow_log(session, job)
        ended = session.network.wait(job, progress.hear)
        log.join(timeout=5)
    return ended


class _Progress:
    """What the live view shows, refreshed from the network when something happened."""

    def __init__(self, session: Session, job: JobView) -> None:
        self.session, self.job = session, job
        self.tasks: list[TaskView] = []
        self.note = ""
        self.began_s = self.refreshed_s = time.monotonic()

    def view(self) -> RenderableType:
        elapsed_s = time.monotonic() - self.began_s
        return live_view(self.job, self.tasks, elapsed_s, self.session.lang, self.note)

    def hear(self, event: JobEvent) -> None:
        self.note = event_text(event, self.session.lang)
        if time.monotonic() - self.refreshed_s < REFRESH_S:
            return
        self.job = self.session.network.job(self.job)
        if self.job.task_count <= TASKS_SHOWN_MAX:
            self.tasks = list(self.session.network.tasks(self.job))
        self.refreshed_s = time.monotonic()


def _follow_log(session: Session, job: JobView) -> threading.Thread:
    """Print the output of a job with one task while it runs; that of an array is asked for."""

    def copy() -> None:
        try:
            for piece in session.network.logs(job, follow=True):
                session.out.print(Text.from_ansi(piece), end="", soft_wrap=True)
        except IntertieError:
            return  # the job goes on without its log here; `intertie logs` asks again

    thread = threading.Thread(target=copy if job.task_count == 1 else lambda: None, daemon=True)
    thread.start()
    return thread
