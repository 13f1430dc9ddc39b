"""A receipt: every meter, what was paid, what was asked against used, and where the money went."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from intertie.catalogue.texts import credits_of, text
from intertie.cli.render.base import Columns, credit_cells, number_cell, seconds_cell, state_text
from intertie.model.units import MIB
from intertie.wire.jobs import Receipt, ReceiptLine

ROWS_MAX = 40


def receipt_view(receipt: Receipt, lang: str) -> RenderableType:
    """Return the attempts, then each provider's part, then the sums."""
    head = Text(f"{receipt.job} {receipt.name} · {receipt.project} · ", style="bold")
    head.append(state_text(receipt.outcome, lang, "outcome"))
    parts: list[RenderableType] = [head, lines_table(receipt, lang)]
    if any(line.site_node or line.image for line in receipt.lines):
        parts.append(ran_table(receipt, lang))
    return Group(*parts, providers_table(receipt, lang), totals(receipt, lang))


def lines_table(receipt: Receipt, lang: str) -> Table:
    """Return one row for each attempt; the first `ROWS_MAX` of many."""
    left = len(receipt.lines) - ROWS_MAX
    caption = text(lang, "cli.more_rows", left=left) if left > 0 else ""
    columns = Columns(lang, text(lang, "cli.receipt.attempts"), caption)
    columns.code("task").word("provider").word("ended_by")
    has_site = any(line.site_s is not None for line in receipt.lines)
    columns.number("agent").number("network")
    if has_site:
        columns.number("site")
    columns.number("paid").number("difference").number("cpu_used").number("memory_used").number(
        "cost"
    )
    lines = receipt.lines[:ROWS_MAX]
    costs = credit_cells([line.amount_micro for line in lines])
    return columns.rows(
        _line_cells(line, cost, has_site, lang) for line, cost in zip(lines, costs, strict=True)
    )


def ran_table(receipt: Receipt, lang: str) -> Table:
    """Return the machine that the site chose for each attempt, and the digest of its image."""
    columns = Columns(lang, text(lang, "cli.receipt.ran")).code("task").word("provider")
    columns.word("site_node").word("image")
    return columns.rows(
        [str(line.task), line.provider, line.site_node or "–", line.image or "–"]
        for line in receipt.lines[:ROWS_MAX]
    )


def providers_table(receipt: Receipt, lang: str) -> Table:
    """Return what each provider did for the job, what it charged and what it earned."""
    columns = Columns(lang, text(lang, "cli.receipt.providers")).word("provider")
    columns.number("tasks").number("attempts").number("agent").number("network")
    columns.number("service_units").number("charged").number("fee").number("earned")
    parts = receipt.by_provider
    charged = credit_cells([part.charged_micro for part in parts])
    fees = credit_cells([part.fee_micro for part in parts])
    earned = credit_cells([part.paid_micro for part in parts])
    return columns.rows(
        [
            part.provider,
            str(part.tasks),
            str(part.attempts),
            seconds_cell(part.agent_s),
            seconds_cell(part.network_s),
            number_cell(part.service_units, 4),
            charged[at],
            fees[at],
            earned[at],
        ]
        for at, part in enumerate(parts)
    )


def totals(receipt: Receipt, lang: str) -> Table:
    """Return the sums: paid, its fee, held, released, quoted, used, and the zero that proves it."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(justify="right")
    grid.add_column(style="dim")
    amounts = {
        "paid": receipt.paid_micro,
        "fee": receipt.fee_micro,
        "released": receipt.released_micro,
    }
    if receipt.quoted_micro is not None:
        amounts["quoted"] = receipt.quoted_micro
    if receipt.held_micro:
        amounts["held"] = receipt.held_micro
    unit = text(lang, "cli.credits")
    for key, cell in zip(amounts, credit_cells(list(amounts.values())), strict=True):
        grid.add_row(text(lang, f"cli.receipt.{key}"), cell, unit)
    used = f"{receipt.service_units:.4f}"
    hours = text(lang, "cli.receipt.device_h", hours=number_cell(receipt.device_h, 4))
    grid.add_row(text(lang, "cli.receipt.used"), used, f"SU · {receipt.profile} · {hours}")
    difference = f"{receipt.meters_difference_percent_max:.2f}"
    grid.add_row(text(lang, "cli.receipt.difference"), difference, "%")
    resumed = f"{receipt.tasks_resumed}/{receipt.tasks_total}"
    grid.add_row(text(lang, "cli.receipt.resumed"), resumed, text(lang, "cli.tasks"))
    style = "green" if receipt.sum_micro == 0 else "bold red"
    zero = Text(credits_of(receipt.sum_micro), style=style)
    grid.add_row(text(lang, "cli.receipt.sum"), zero, unit)
    return grid


def _line_cells(line: ReceiptLine, cost: str, has_site: bool, lang: str) -> list[str | Text]:
    cpu_asked_s = line.cpus_asked * line.paid_s
    memory = f"{line.memory_peak_bytes / MIB:,.0f}/{line.memory_asked_bytes / MIB:,.0f}"
    style = "bold yellow" if line.is_disputed else ""
    site = ["–" if line.site_s is None else seconds_cell(line.site_s)] if has_site else []
    ended_by = line.outcome if line.outcome == "done" else line.cause
    return [
        str(line.task),
        line.provider,
        state_text(ended_by, lang, "outcome" if line.outcome == "done" else "cause"),
        seconds_cell(line.agent_s),
        seconds_cell(line.network_s),
        *site,
        seconds_cell(line.paid_s),
        Text(f"{line.difference_percent:.1f}", style=style),
        f"{seconds_cell(line.cpu_s_used)}/{seconds_cell(cpu_asked_s)}",
        memory,
        cost,
    ]
