"""The queue and the shares as tables, and expected starts as lines."""

from rich.console import Group, RenderableType
from rich.table import Table

from intertie.catalogue.texts import text
from intertie.cli.render.base import (
    Columns,
    number_cell,
    refusal_text,
    relaxation_text,
    short_moment,
)
from intertie.wire.queue import QueueView, SoonerView, StartView, WaitingView


def queue_view(queue: QueueView, lang: str) -> RenderableType:
    """Return who waits in order, and what each project has used."""
    if not queue.waiting:
        return text(lang, "cli.queue.none")
    parts: list[RenderableType] = [_waiting_table(queue, lang)]
    told = {"explained": queue.explained, "count": queue.count, "shown": len(queue.waiting)}
    if any(each.job and not each.nearest for each in queue.waiting):
        parts.append(text(lang, "cli.queue.explained", **told))
    if queue.count > len(queue.waiting):
        parts.append(text(lang, "cli.queue.cut", **told))
    return Group(*parts, _shares_table(queue, lang))


def start_text(start: StartView, lang: str) -> str:
    """Return when a job is expected to start, in a sentence."""
    if start.likely_at is not None and start.low_at is not None and start.high_at is not None:
        values = {"low_at": start.low_at, "likely_at": start.likely_at, "high_at": start.high_at}
        return text(lang, "why.starts", **values)
    after_at = start.low_at or start.seen_until
    if after_at is not None:
        return text(lang, "why.starts_after", after_at=after_at)
    return text(lang, "why.starts_never")


def sooner_text(sooner: SoonerView, lang: str) -> str:
    """Return the smallest change that starts a job sooner, and by how much."""
    change = relaxation_text(sooner.relaxation, lang)
    if sooner.gained_s is None:
        return text(lang, "why.sooner_else", change=change, starts_at=sooner.starts_at)
    values = {"starts_at": sooner.starts_at, "gained_s": sooner.gained_s}
    return text(lang, "why.sooner", change=change, **values)


def _waiting_table(queue: QueueView, lang: str) -> Table:
    columns = Columns(lang).code("position").word("job", fixed=True).word("name")
    columns.word("expected_start", fixed=True).word("why_not").word("would_help")
    return columns.rows(_cells(each, lang) for each in queue.waiting)


def _cells(each: WaitingView, lang: str) -> list[str]:
    who = [str(each.position), each.job or "–", each.name or text(lang, "cli.queue.other")]
    helps = sooner_text(each.sooner, lang) if each.sooner else "–"
    return [*who, _range(each.start), refusal_text(each.nearest, lang) or "–", helps]


def _range(start: StartView) -> str:
    """Return the likely start, and under it the range."""
    if start.likely_at is None or start.low_at is None or start.high_at is None:
        after_at = start.low_at or start.seen_until
        return f"> {short_moment(after_at)}" if after_at else "–"
    low, high = (short_moment(at).partition(" ")[2] for at in (start.low_at, start.high_at))
    return f"{short_moment(start.likely_at)}\n({low}–{high})"


def _shares_table(queue: QueueView, lang: str) -> Table:
    columns = Columns(lang, title=text(lang, "cli.queue.shares")).word("project")
    columns.number("weight").number("used_of_late").number("used_by_weight")
    columns.number("tasks_waiting").number("tasks_running")
    return columns.rows(
        [
            share.project or text(lang, "cli.queue.other"),
            str(share.weight),
            number_cell(share.used_su, 3),
            number_cell(share.used_su_by_weight, 3),
            str(share.waiting_tasks),
            str(share.running_tasks),
        ]
        for share in queue.shares
    )
