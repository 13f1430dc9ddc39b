"""The share tree as tables: everybody's standing, and who holds, borrows and lends what."""

from collections.abc import Iterator, Sequence

from rich.table import Table

from intertie.catalogue.texts import size_of, text
from intertie.cli.render.base import Columns, number_cell
from intertie.wire.shares import HeldShareView, SharesView, ShareView


def shares_tables(shares: Sequence[ShareView], lang: str) -> list[Table]:
    """Return who stands where, each cohort followed by its members; and what each holds."""
    columns = Columns(lang, text(lang, "cli.shares.title")).word("member").word("id", fixed=True)
    columns.number("weight").number("used_decayed").number("share_now").number("floor")
    columns.number("waiting")
    held = Columns(lang).word("member").word("resource", fixed=True).number("held_now")
    held.number("quota").number("borrowed").number("lent_out")
    rows, amounts = [], []
    for depth, share in _by_tree(shares):
        name = "  " * depth + share.name
        parts = [number_cell(share.used_su, 4), _percent(share.share), _percent(share.floor)]
        rows.append([name, share.id, str(share.weight), *parts, str(share.waiting_tasks)])
        amounts += [
            [name, each.resource, *_amounts(each)]
            for each in share.resources
            if each.held or each.quota is not None
        ]
    return [columns.rows(rows), *([held.rows(amounts)] if amounts else [])]


def evenness_line(found: SharesView, lang: str) -> str:
    """Return how even the shares are."""
    numbers = {"used": f"{found.used_gini:.3f}", "held": f"{found.held_gini:.3f}"}
    return text(lang, "cli.shares.evenness", **numbers)


def _by_tree(shares: Sequence[ShareView]) -> Iterator[tuple[int, ShareView]]:
    """Yield everybody with their depth, members behind their cohort."""
    there = {share.id for share in shares}

    def below(cohort: str | None, depth: int) -> Iterator[tuple[int, ShareView]]:
        for share in shares:
            above = share.cohort if share.cohort in there else None
            if above == cohort:
                yield depth, share
                if share.kind == "cohort":
                    yield from below(share.id, depth + 1)

    yield from below(None, 0)


def _amounts(held: HeldShareView) -> list[str]:
    def shown(value: float | None) -> str:
        if value is None:
            return "–"
        return size_of(int(value)) if held.resource == "memory" else f"{value:g}"

    return [
        f"{shown(held.held)}/{shown(held.total)}",
        shown(held.quota),
        f"{shown(held.borrowed)}/{shown(held.borrow)}",
        f"{shown(held.lent)}/{shown(held.lend)}",
    ]


def _percent(share: float) -> str:
    return number_cell(100 * share, 1)
