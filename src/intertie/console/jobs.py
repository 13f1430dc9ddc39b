"""The list of jobs: where each is, how far it has got, what it has cost."""

from itertools import islice

from nicegui import ui

from intertie.client import Intertie
from intertie.console.frame import Frame
from intertie.console.parts import heading
from intertie.console.speech import DASH, Speech, credits_of
from intertie.console.tables import Cell, Column, Row, Table, by_number
from intertie.wire.jobs import JobView

STATES = ("held", "queued", "running", "ended", "settled")
STEP = 50


class JobList:
    """The page's choices: which state, and how many jobs."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.state = ""
        self.count = STEP
        say = frame.say
        heading(say("jobs.title"))
        choices = {"": say("jobs.every_state")} | {s: frame.speech.word("state", s) for s in STATES}
        ui.select(choices, value="", label=say("column.state"), on_change=self._choose).props(
            "dense outlined options-dense"
        ).classes("w-48")
        empty = say("jobs.none") if frame.who.role == "project" else say("jobs.none_yet")
        self._table = Table(_columns(frame.speech, frame.who.role != "project"), empty)
        self._more = ui.button(say("more"), on_click=self._show_more).props("flat no-caps")
        self._more.set_visibility(False)
        self._refresh = frame.live(self._load, self._show, every_s=3.0)

    def _load(self, network: Intertie) -> list[JobView]:
        found = network.jobs(self.state or None, limit=min(500, self.count + 1))
        return list(islice(found, self.count + 1))

    def _show(self, found: list[JobView]) -> None:
        speech = self.frame.speech
        self._table.show([_row(job, speech) for job in found[: self.count]])
        self._more.set_visibility(len(found) > self.count)

    async def _choose(self, event: object) -> None:
        self.state, self.count = str(getattr(event, "value", "") or ""), STEP
        await self._refresh()

    async def _show_more(self) -> None:
        self.count += STEP
        await self._refresh()


def progress_of(job: JobView) -> int:
    """Return how many tasks have ended."""
    return job.tasks_by_state.get("ended", 0)


def _columns(speech: Speech, with_project: bool) -> list[Column]:
    say = speech.say
    project = [Column("project", say("column.project"))] if with_project else []
    return [
        Column("name", say("column.job"), is_link=True),
        Column("state", say("column.state")),
        Column("outcome", say("column.outcome")),
        Column("progress", say("column.progress"), is_number=True),
        *project,
        Column("spent", say("column.spent"), is_number=True),
        Column("held", say("column.held"), is_number=True),
        Column("submitted", speech.clock("column.submitted_at")),
        Column("id", say("column.job_id")),
    ]


def _row(job: JobView, speech: Speech) -> Row:
    done = progress_of(job)
    shown = speech.say("value.of", part=str(done), whole=str(job.task_count))
    return {
        "name": Cell(job.name, href=f"/jobs/{job.id}"),
        "state": speech.word("state", job.state),
        "outcome": speech.word("outcome", job.outcome) if job.ended_at else DASH,
        "progress": by_number(done / max(1, job.task_count), shown),
        "project": job.project,
        "spent": by_number(job.spent_micro, credits_of(job.spent_micro)),
        "held": by_number(job.held_micro, credits_of(job.held_micro)),
        "submitted": Cell(speech.moment(job.submitted_at), job.submitted_at),
        "id": job.id,
    }
