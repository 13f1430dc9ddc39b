"""Commands about jobs that exist: list, show, why, logs, cancel, results, receipt."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from intertie.cli.session import Session

JobId = Annotated[str, typer.Argument(help="cli.option.job", metavar="JOB")]
STATES = "held|queued|running|ended|settled"


def jobs(
    session: Session,
    state: Annotated[
        str | None, typer.Option("--state", help="cli.option.state", metavar=STATES)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", help="cli.option.limit", min=1)] = 20,
) -> None:
    """List jobs, as many as `limit`."""
    found = session.network.jobs(state, limit=min(limit, 500))
    listed = list(itertools.islice(found, limit))
    if not listed and not session.as_json:
        session.say("cli.jobs.none")
        return

    from intertie.cli.render.jobs import jobs_table

    session.show(listed, lambda: jobs_table(listed, session.lang))


def job(session: Session, job_id: JobId) -> None:
    """Show one job with its tasks."""
    from intertie.cli.render.jobs import job_view

    found = session.network.job(job_id)
    tasks = [] if session.as_json else list(itertools.islice(session.network.tasks(found), 1000))
    session.show(found, lambda: job_view(found, tasks, session.lang))


def why(session: Session, job_id: JobId) -> None:
    """Say why a job waits, failed or was refused."""
    from intertie.cli.render.jobs import why_view

    found = session.network.why(job_id)
    session.show(found, lambda: why_view(found, session.lang))


def queue(session: Session) -> None:
    """Show who waits in which order, until about when, and what would help."""
    from intertie.cli.render.queue import queue_view

    found = session.network.queue()
    session.show(found, lambda: queue_view(found, session.lang))


def logs(
    session: Session,
    job_id: JobId,
    task: Annotated[int, typer.Option("--task", "-t", help="cli.option.task", min=0)] = 0,
    attempt: Annotated[int | None, typer.Option("--attempt", help="cli.option.attempt")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="cli.option.follow")] = False,
) -> None:
    """Print the output of one task as it came."""
    for piece in session.network.logs(job_id, task, follow=follow, attempt=attempt):
        line = {"job": job_id, "task": task, "text": piece}
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n" if session.as_json else piece)
        sys.stdout.flush()


def cancel(session: Session, job_id: JobId) -> None:
    """Cancel a job; what ran until now is paid."""
    found = session.network.cancel(job_id)
    is_over = found.outcome not in ("none", "cancelled")
    key = "cli.jobs.over" if is_over else "cli.jobs.cancelling"
    session.show(found, lambda: session.text(key, job=found.id, outcome=found.outcome))


def results(
    session: Session,
    job_id: JobId,
    to: Annotated[Path | None, typer.Option("--to", help="cli.option.to", metavar="FOLDER")] = None,
    only_list: Annotated[bool, typer.Option("--list", help="cli.option.list")] = False,
) -> None:
    """Bring a job's result files here, or list them."""
    from intertie.cli.render.jobs import files_table

    if only_list or session.as_json:
        files = list(session.network.files(job_id))
    if only_list:
        session.show(files, lambda: files_table(files, session.lang))
        return
    with session.progress("cli.results.fetching") as say:
        paths = session.network.results(job_id, to, on_progress=say)
    if session.as_json:
        session.show(files, lambda: "")
    elif paths:
        folder = str(to or Path("results") / job_id)
        session.say("cli.results.saved", files=len(paths), to=folder)
    else:
        session.say("cli.results.none", job=job_id)


def receipt(session: Session, job_id: JobId) -> None:
    """Show what a job used and cost, from both meters."""
    from intertie.cli.render.receipt import receipt_view

    found = session.network.receipt(job_id)
    session.show(found, lambda: receipt_view(found, session.lang))
