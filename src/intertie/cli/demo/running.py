"""The demo while it runs: a live picture by provider, and the owner who takes `night` back."""

import time
from collections.abc import Iterable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from intertie.agent.owner import reclaim
from intertie.catalogue.texts import text
from intertie.cli.demo.staging import POOLS, Stage
from intertie.cli.render.jobs import event_line
from intertie.cli.render.live import live_view
from intertie.wire.jobs import JobEvent, JobView, TaskView

RECLAIMED = "night"
RECLAIM_S = 25.0
LOOK_S = 0.5
LINES = 6
TIMEOUT_S = 600.0
TOLD = ("task_stopping", "task_requeued", "task_started", "task_ended", "job_ended")


class Watch:
    """What is seen of the two jobs, refreshed from the network a few times a second."""

    def __init__(self, stage: Stage, lang: str) -> None:
        self.stage, self.lang = stage, lang
        self.jobs: dict[str, JobView] = dict(stage.jobs)
        self.tasks: dict[str, list[TaskView]] = {name: [] for name in stage.jobs}
        self.lines: list[str] = []
        self.events: list[JobEvent] = []
        self.reclaimed_at: float = 0.0
        self._last = dict.fromkeys(stage.jobs, 0)
        self._begun = time.monotonic()

    def look(self) -> None:
        """Ask the network where both jobs are, and let the owner act when it is time."""
        for name, client in self.stage.projects.items():
            self.jobs[name] = client.job(self.jobs[name])
            self.tasks[name] = list(client.tasks(self.jobs[name]))
            for event in client.events(self.jobs[name], last=self._last[name]):
                self._last[name] = event.number
                self.events.append(event)
                if event.code in TOLD:
                    self.lines.append(f"{name}: {event_line(event, self.lang)}")
        if not self.reclaimed_at and self._is_mid_run():
            reclaim(self.stage.network.agent_folder(POOLS[RECLAIMED]), 0, RECLAIM_S)
            self.reclaimed_at = time.monotonic() - self._begun
            self.lines.append(text(self.lang, "demo.run.reclaim", by_s=RECLAIM_S))

    def is_over(self) -> bool:
        """Return whether both jobs have settled."""
        return all(job.state == "settled" for job in self.jobs.values())

    def view(self) -> RenderableType:
        """Return one screen: each job by provider, then the last lines."""
        elapsed_s = time.monotonic() - self._begun
        parts = [
            live_view(job, self.tasks[name], elapsed_s, self.lang)
            for name, job in self.jobs.items()
        ]
        return Group(*parts, Text("\n".join(self.lines[-LINES:]), style="dim"))

    def _is_mid_run(self) -> bool:
        """Return whether `night` has done a task and is some seconds into another."""
        now_ms = time.time() * 1000
        attempts = [
            (task, attempt)
            for task in _all(self.tasks.values())
            for attempt in task.attempts
            if attempt.provider == RECLAIMED
        ]
        has_done = any(task.outcome == "done" for task, _ in attempts)
        return has_done and any(
            attempt.state == "running" and now_ms - (attempt.started_at or now_ms) > 3000
            for _, attempt in attempts
        )


def follow(stage: Stage, console: Console, lang: str) -> Watch:
    """Show the run until both jobs have settled, and return what was seen."""
    watch = Watch(stage, lang)
    ends = time.monotonic() + TIMEOUT_S
    told = 0
    with Live(
        get_renderable=watch.view,
        console=console,
        refresh_per_second=4,
        transient=True,
        auto_refresh=console.is_terminal,
    ):
        while not watch.is_over() and time.monotonic() < ends:
            watch.look()
            if not console.is_terminal:
                for line in watch.lines[told:]:
                    console.print(f"  {line}", markup=False)
                told = len(watch.lines)
            time.sleep(LOOK_S)
    console.print(watch.view())
    return watch


def _all(lists: Iterable[list[TaskView]]) -> list[TaskView]:
    return [task for tasks in lists for task in tasks]
