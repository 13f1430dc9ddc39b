"""A job while it runs: how far it is, and what each provider does for it."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from intertie.catalogue.texts import text
from intertie.cli.render.base import Columns, credit_cells, seconds_cell, short_duration
from intertie.cli.render.jobs import done_count, job_state
from intertie.wire.jobs import JobView, TaskView

EVICTED = ("reclaimed", "lost", "expired", "superseded", "declined", "start_failed")


@dataclass
class ProviderProgress:
    """What one provider does and did for one job."""

    running: int = 0
    done: int = 0
    failed: int = 0
    moved: int = 0
    agent_s: float = 0
    cost_micro: int = 0


def live_view(
    job: JobView, tasks: Sequence[TaskView], elapsed_s: float, lang: str, note: str = ""
) -> RenderableType:
    """Return the job's line, its bar and one row for each provider; `note` is the last event."""
    done, waiting = done_count(job), job.tasks_by_state.get("queued", 0)
    head = Text(f"{job.id} {job.name} · ", style="bold").append(job_state(job, lang))
    told = {"done": done, "total": job.task_count, "waiting": waiting}
    head.append(" · " + text(lang, "cli.live.tasks", **told), style="not bold")
    head.append(" · " + short_duration(int(elapsed_s), lang), style="not bold")
    head.append(" · " + text(lang, "cli.run.cost", cost_micro=job.spent_micro), style="not bold")
    parts: list[RenderableType] = [
        head,
        ProgressBar(total=job.task_count, completed=done, width=60),
    ]
    if tasks or job.running_by_provider:
        parts.append(by_provider_table(job, tasks, lang))
    if note:
        parts.append(Text(note, style="dim"))
    return Group(*parts)


def by_provider_table(job: JobView, tasks: Sequence[TaskView], lang: str) -> Table:
    """Return one row for each provider: tasks running, done and moved away, time and cost."""
    progress = by_provider(tasks)
    for provider, running in job.running_by_provider.items():
        progress.setdefault(provider, ProviderProgress()).running = running
    names = sorted(progress)
    costs = credit_cells([progress[name].cost_micro for name in names])
    columns = Columns(lang).word("provider").number("running").number("done").number("failed")
    columns.number("moved").number("agent_time").number("cost")
    return columns.rows(
        [
            name,
            Text(str(progress[name].running), style="cyan"),
            Text(str(progress[name].done), style="green"),
            str(progress[name].failed),
            Text(str(progress[name].moved), style="yellow"),
            seconds_cell(progress[name].agent_s),
            cost,
        ]
        for name, cost in zip(names, costs, strict=True)
    )


def by_provider(tasks: Sequence[TaskView]) -> dict[str, ProviderProgress]:
    """Return what each provider did, from the attempts of the tasks."""
    found: dict[str, ProviderProgress] = {}
    for task in tasks:
        for attempt in task.attempts:
            entry = found.setdefault(attempt.provider, ProviderProgress())
            entry.agent_s += attempt.agent_s
            entry.cost_micro += attempt.amount_micro
            if attempt.state in ("running", "stopping"):
                entry.running += 1
            elif attempt.cause in EVICTED:
                entry.moved += 1
        if task.attempts and task.state == "ended":
            last = found[task.attempts[-1].provider]
            last.done += task.outcome == "done"
            last.failed += task.outcome == "failed"
    return found
