"""What moves on a job's page: its events and the log of one of its tasks."""

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from nicegui import ui

from intertie.client import Intertie, Unreachable
from intertie.console.following import Follower, while_open
from intertie.console.frame import Frame
from intertie.console.parts import section
from intertie.console.problems import title_of
from intertie.console.speech import plain_line
from intertie.wire.jobs import JobEvent, JobView, TaskView

LINES_MAX = 2_000
LINE_MAX = 10_000
EVENTS_MAX = 200
LOOK_S = 0.5


async def _nothing() -> None:
    """Do nothing; stands in until the page says what is to be done at news."""


class EventList:
    """The job's events as they happen, newest first."""

    def __init__(self, frame: Frame, job_id: str) -> None:
        self.on_news: Callable[[], Awaitable[None]] = _nothing
        self._frame, self._job_id = frame, job_id
        self._follower: Follower[JobEvent] | None = None
        self._last = 0
        self._shown: deque[ui.element] = deque()
        section(frame.say("job.events"), frame.say("job.events_note"))
        self._place = ui.element("div").classes("console-events").props("aria-live=polite")
        while_open(self._start, self._stop)
        ui.timer(LOOK_S, self._look)

    def _start(self) -> None:
        if self._follower is not None:
            return
        job_id, last = self._job_id, self._last

        def read(network: Intertie) -> Iterator[JobEvent]:
            return network.events(job_id, follow=True, last=last)

        self._follower = Follower(self._frame.visit.visitor, self._frame.speech.lang, read)

    def _stop(self) -> None:
        if self._follower is not None:
            self._follower.close()
            self._follower = None

    async def _look(self) -> None:
        follower = self._follower
        news = follower.take() if follower else []
        for event in news[-EVENTS_MAX:]:
            self._add(event)
            self._last = max(self._last, event.number)
        if news:
            await self.on_news()
        elif follower and follower.is_over and isinstance(follower.error, Unreachable):
            self._stop()
            self._start()

    def _add(self, event: JobEvent) -> None:
        with self._place, ui.element("div").classes("console-event") as row:
            ui.label(self._frame.speech.moment(event.at)).classes("console-event-at")
            ui.label(event.text or self._frame.speech.word("event", event.code))
        row.move(target_index=0)
        self._shown.append(row)
        while len(self._shown) > EVENTS_MAX:
            self._shown.popleft().delete()


class LogView:
    """The output of one task as it is written; the newest `LINES_MAX` lines of it."""

    def __init__(self, frame: Frame, job_id: str) -> None:
        self._frame, self._job_id = frame, job_id
        self._follower: Follower[str] | None = None
        self._task: int | None = None
        self._is_complete = False
        self._rest = ""
        self._lines = 0
        section(frame.say("job.log"))
        self._choice = ui.select({}, label=frame.say("column.task"), on_change=self._choose)
        self._choice.props("dense outlined options-dense").classes("w-64")
        self._choice.set_visibility(False)
        self._log = ui.log(max_lines=LINES_MAX).classes("console-log")
        self._log.props("role=log").set_visibility(False)
        self._note = ui.label(frame.say("job.log_none")).classes("console-note")
        while_open(self._start, self._stop)
        ui.timer(LOOK_S, self._look)

    def offer(self, tasks: list[TaskView], job: JobView) -> None:
        """Offer the tasks that have begun; follow the first of them."""
        begun = [task for task in tasks if task.attempts]
        names = {task.index: self._name(task) for task in begun}
        if not names:
            return
        self._choice.set_visibility(job.task_count > 1)
        if names != self._choice.options:
            chosen = self._choice.value
            self._choice.set_options(names, value=next(iter(names)) if chosen is None else chosen)

    def _start(self) -> None:
        """Follow the chosen task from its first line on, unless all of it has been shown."""
        if self._follower is not None or self._task is None or self._is_complete:
            return
        task = self._task
        self._rest, self._lines = "", 0

        def read(network: Intertie) -> Iterator[str]:
            return network.logs(self._job_id, task, follow=True)

        self._follower = Follower(self._frame.visit.visitor, self._frame.speech.lang, read)

    def _stop(self) -> None:
        if self._follower is not None:
            self._follower.close()
            self._follower = None

    def _name(self, task: TaskView) -> str:
        values = ", ".join(f"{name}={value}" for name, value in task.values.items())
        state = self._frame.speech.word("state", task.state)
        return f"{task.index} · {state} · {values}" if values else f"{task.index} · {state}"

    def _choose(self, event: Any) -> None:
        if event.value is not None and event.value != self._task:
            self._stop()
            self._task, self._is_complete = int(event.value), False
            self._log.clear()
            self._log.set_visibility(True)
            self._tell("job.log_none")
            self._start()

    def _look(self) -> None:
        follower = self._follower
        if follower is None:
            return
        is_over = follower.is_over
        text = self._rest + "".join(follower.take())
        whole, newline, self._rest = text.rpartition("\n")
        if self._rest and (is_over or len(self._rest) > LINE_MAX):
            whole, newline, self._rest = f"{whole}{newline}{self._rest}", "\n", ""
        if newline:
            self._add(whole)
        if is_over:
            self._finish(follower)

    def _add(self, text: str) -> None:
        if not self._lines:
            # What an earlier connection brought stays until this one brings it again.
            self._log.clear()
        lines = text.split("\n")
        self._lines += len(lines)
        shown = [plain_line(line)[:LINE_MAX] or "\u00a0" for line in lines[-LINES_MAX:]]
        self._log.push("\n".join(shown))
        if self._lines > LINES_MAX:
            self._tell("job.log_cut", lines=LINES_MAX)
        else:
            self._note.set_visibility(False)

    def _finish(self, follower: Follower[str]) -> None:
        self._stop()
        if isinstance(follower.error, Unreachable):
            self._start()
            return
        self._is_complete = True
        if follower.error is not None:
            self._note.set_text(title_of(follower.error.problem, self._frame.speech))
            self._note.set_visibility(True)
        elif not self._lines:
            self._tell("job.log_empty")

    def _tell(self, key: str, **values: int) -> None:
        self._note.set_text(self._frame.say(key, **values))
        self._note.set_visibility(True)
