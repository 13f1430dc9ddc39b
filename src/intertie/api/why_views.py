"""Why: what a round answered, and what the attempts of an ended job say."""

from typing import Any

from sqlalchemy import Connection

from intertie.api.job_views import cause_of
from intertie.api.queue_views import sooner_view, start_view
from intertie.api.speech import spoken, spoken_refusal
from intertie.model.ids import encode
from intertie.model.job import Blocked, Job, Task
from intertie.model.lease import Lease
from intertie.model.plain import from_plain
from intertie.model.states import JobState, Outcome
from intertie.store import reading
from intertie.wire.jobs import PoolRefusal, WhyView

_SHOWN_MAX = 3


def why_view(connection: Connection, job: Job, answer: dict[str, Any], lang: str) -> WhyView:
    """Return each pool's reason, the nearest to a yes, and one sentence that sums it up."""
    blocked = from_plain(Blocked, answer["document"]) if answer["document"] else Blocked(())
    names = reading.pool_names(connection)
    nearest = spoken_refusal(blocked.nearest, lang) if blocked.nearest else None
    state = JobState(job.state).name.lower()
    parts = [spoken(lang, f"state.{state}")]
    if job.outcome in (Outcome.FAILED, Outcome.CANCELLED):
        parts += _ends(connection, job, lang)
    elif nearest is not None:
        parts.append(nearest.text)
        parts += [nearest.relaxation.text] if nearest.relaxation else []
    return WhyView(
        job=encode("job", job.id),
        state=state,
        queue_position=answer["values"].get("queue_position") or None,
        summary=" · ".join(parts),
        pools=[
            PoolRefusal(
                provider=names[pool][0], pool=names[pool][1], refusal=spoken_refusal(refusal, lang)
            )
            for pool, refusal in blocked.refusals
        ],
        nearest=nearest,
        start=start_view(blocked.expected) if blocked.expected else None,
        sooner=sooner_view(blocked.sooner, lang),
    )


def _ends(connection: Connection, job: Job, lang: str) -> list[str]:
    """Return how the first tasks that did not succeed ended."""
    column = reading.column
    bad = column(Task, "outcome").in_([int(Outcome.FAILED), int(Outcome.CANCELLED)])
    tasks = reading.rows(connection, Task, column(Task, "job") == job.id, bad, limit=_SHOWN_MAX)
    leases = reading.by_id(connection, Lease, (task.lease for task in tasks if task.lease))
    names = reading.pool_names(connection)
    found = []
    for task in tasks:
        outcome = Outcome(task.outcome).name.lower()
        lease = leases.get(task.lease)
        told = {"task": task.index, "outcome": outcome, "cause": "none", "provider": "", "pool": ""}
        if lease is not None:
            provider, pool = names[lease.pool]
            told |= {"cause": cause_of(lease), "provider": provider, "pool": pool}
        text = spoken(lang, "event.task_ended", **told)
        if lease is not None:
            cause = spoken(lang, f"cause.{told['cause']}")
            code = f" ({lease.exit_code})" if lease.exit_code > 0 else ""
            text = f"{text}: {cause}{code}"
        found.append(text)
    return found
