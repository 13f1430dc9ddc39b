"""Jobs, their tasks, their reasons and their files as tables and lines."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from intertie.catalogue.texts import credits_of, has_text, moment_of, size_of, text
from intertie.cli.render.base import (
    Columns,
    credit_cells,
    refusal_text,
    relaxation_text,
    seconds_cell,
    short_duration,
    state_text,
    where,
)
from intertie.cli.render.queue import sooner_text, start_text
from intertie.wire.jobs import FileView, JobEvent, JobView, TaskView, WhyView

ROWS_MAX = 60


def jobs_table(jobs: Sequence[JobView], lang: str) -> Table:
    """Return one line for each job: where it is, how far, what it has cost."""
    several = len({job.project for job in jobs}) > 1
    columns = Columns(lang).word("job", fixed=True).word("name")
    if several:
        columns.word("project")
    columns.word("state", fixed=True).number("tasks_done").number("cost").word(
        "submitted", fixed=True
    ).number("took")
    costs = credit_cells([job.spent_micro for job in jobs])
    rows = []
    for job, cost in zip(jobs, costs, strict=True):
        row: list[str | Text] = [job.id, job.name]
        row += [job.project] if several else []
        row += [job_state(job, lang), f"{done_count(job)}/{job.task_count}", cost]
        took = seconds_cell((job.ended_at - job.submitted_at) / 1000) if job.ended_at else "–"
        rows.append([*row, moment_of(job.submitted_at), took])
    return columns.rows(rows)


def job_view(job: JobView, tasks: Sequence[TaskView], lang: str) -> RenderableType:
    """Return a job's facts and its tasks."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold")
    facts.add_column()
    for key, value in _facts(job, lang):
        facts.add_row(text(lang, f"cli.fact.{key}"), value)
    return Group(facts, tasks_table(tasks, lang)) if tasks else facts


def tasks_table(tasks: Sequence[TaskView], lang: str) -> Table:
    """Return one line for each task with its latest attempt; the first `ROWS_MAX` of many."""
    left = len(tasks) - ROWS_MAX
    caption = text(lang, "cli.more_rows", left=left) if left > 0 else ""
    columns = Columns(lang, caption=caption).code("task").word("state", fixed=True).word("provider")
    columns.word("values").number("attempts").number("resumes").word("cause")
    columns.code("exit_code").number("ran").number("cost")
    shown = tasks[:ROWS_MAX]
    costs = credit_cells([sum(a.amount_micro for a in task.attempts) for task in shown])
    return columns.rows(
        _task_cells(task, cost, lang) for task, cost in zip(shown, costs, strict=True)
    )


def why_view(why: WhyView, lang: str) -> RenderableType:
    """Return why a job is where it is: each pool's reason, and the smallest change that helps."""
    head = Text(why.job + " · ", style="bold") + state_text(why.state, lang)
    lines: list[RenderableType] = [head, Text(why.summary)]
    if why.queue_position is not None:
        lines.append(Text(text(lang, "cli.why.position", position=why.queue_position)))
    if why.start is not None:
        lines.append(Text(start_text(why.start, lang)))
    if why.pools:
        columns = Columns(lang).word("pool").word("why_not").word("would_help")
        lines.append(
            columns.rows(
                [
                    where(pool.provider, pool.pool),
                    refusal_text(pool.refusal, lang),
                    relaxation_text(pool.refusal.relaxation, lang) or "–",
                ]
                for pool in why.pools
            )
        )
    if why.nearest is not None:
        if not why.pools:
            lines.append(Text(refusal_text(why.nearest, lang)))
        helps = relaxation_text(why.nearest.relaxation, lang)
        if helps:
            lines.append(Text(text(lang, "cli.why.nearest", helps=helps), style="green"))
    if why.sooner is not None:
        lines.append(Text(sooner_text(why.sooner, lang), style="green"))
    return Group(*lines)


def files_table(files: Sequence[FileView], lang: str) -> Table:
    """Return the files that a job left."""
    columns = Columns(lang).code("task").word("path").word("file_kind").number("size")
    return columns.rows(
        [str(file.task), file.path, text(lang, f"cli.file.{file.kind}"), str(file.size_bytes)]
        for file in files
    )


def event_line(event: JobEvent, lang: str) -> Text:
    """Return one event with its time; in the network's words where the code is newer."""
    time = moment_of(event.at).partition(" ")[2]
    return Text(f"{time}  ", style="dim").append(event_text(event, lang), style="not dim")


def event_text(event: JobEvent, lang: str) -> str:
    """Return what happened, in this language."""
    key = f"event.{event.code}"
    try:
        return text(lang, key, **event.values)
    except KeyError:
        return event.text or event.code


def job_state(job: JobView, lang: str) -> Text:
    """Return a job's state, or how it ended once it has."""
    over = job.state in ("ended", "settled") and job.outcome != "none"
    return state_text(job.outcome, lang, "outcome") if over else state_text(job.state, lang)


def done_count(job: JobView) -> int:
    """Return how many of a job's tasks have ended."""
    return job.tasks_by_state.get("ended", 0)


def ending_lines(job: JobView, files: Iterable[FileView], saved_to: str, lang: str) -> Text:
    """Return how a job ended, what it cost, and where its results are."""
    took_s = ((job.ended_at or job.submitted_at) - job.submitted_at) / 1000
    lines = Text(job.id, style="bold").append(" · ").append(job_state(job, lang))
    lines.append(" · " + text(lang, "cli.run.took", took=short_duration(took_s, lang)))
    lines.append(" · " + text(lang, "cli.run.cost", cost_micro=job.spent_micro))
    results = [file for file in files if file.kind == "result"]
    if results:
        size = size_of(sum(file.size_bytes for file in results))
        key = "cli.run.saved" if saved_to else "cli.run.results"
        told = {"files": len(results), "size": size, "job": job.id, "to": saved_to}
        lines.append("\n" + text(lang, key, **told))
    if job.outcome == "failed":
        lines.append("\n" + text(lang, "cli.run.failed", job=job.id))
    return lines.append("\n" + text(lang, "cli.run.receipt", job=job.id), style="dim")


def _facts(job: JobView, lang: str) -> Iterable[tuple[str, str | Text]]:
    yield "job", job.id
    yield "name", job.name
    yield "project", job.project
    yield "state", job_state(job, lang)
    counts = [
        f"{state_text(state, lang).plain} {count}"
        for state, count in job.tasks_by_state.items()
        if count
    ]
    yield "tasks", " · ".join(counts) or str(job.task_count)
    if job.running_by_provider:
        yield "running", ", ".join(f"{p} {n}" for p, n in job.running_by_provider.items())
    yield "submitted", moment_of(job.submitted_at)
    if job.ended_at:
        yield "took", short_duration((job.ended_at - job.submitted_at) / 1000, lang)
    yield "cost", credits_of(job.spent_micro, lang)
    if job.held_micro:
        yield "held", credits_of(job.held_micro, lang)
    if job.budget_micro is not None:
        yield "budget", credits_of(job.budget_micro, lang)
    if job.quote:
        yield "quote", job.quote


def _task_cells(task: TaskView, cost: str, lang: str) -> list[str | Text]:
    last: Any = task.attempts[-1] if task.attempts else None
    over = task.state == "ended" and task.outcome != "none"
    known = last is not None and has_text(lang, f"cause.{last.cause}")
    state = state_text(task.outcome, lang, "outcome") if over else state_text(task.state, lang)
    if last is not None and last.expected_start_at:
        state.append("\n" + text(lang, "cli.expected_start", start_at=last.expected_start_at))
    return [
        str(task.index),
        state,
        last.provider if last else "–",
        " ".join(f"{name}={value}" for name, value in task.values.items()),
        str(len(task.attempts)),
        str(task.resumes),
        text(lang, f"cause.{last.cause}") if known else (last.cause if last else "–"),
        "–" if last is None or last.exit_code is None else str(last.exit_code),
        seconds_cell(sum(attempt.agent_s for attempt in task.attempts)),
        cost,
    ]
