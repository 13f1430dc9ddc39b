"""A job's receipt: every meter, asked against used, and where the money went."""

from intertie.console.parts import facts, section
from intertie.console.speech import DASH, Speech, credits_of, gib_of, number_of
from intertie.console.tables import Column, Row, Table, by_number
from intertie.wire.jobs import Receipt, ReceiptLine, ReceiptProvider


def show_receipt(speech: Speech, receipt: Receipt | None) -> None:
    """Show totals, each provider's part, and every line."""
    if receipt is None or not (receipt.lines or receipt.by_provider):
        return
    say = speech.say
    title = "receipt.title" if receipt.state == "settled" else "receipt.so_far"
    section(say(title), say("receipt.note"))
    facts(_totals(receipt, speech))
    Table(_provider_columns(speech), "").show([_provider_row(p) for p in receipt.by_provider])
    Table(_line_columns(speech), "").show([_line_row(line, speech) for line in receipt.lines])


def _totals(receipt: Receipt, speech: Speech) -> list[tuple[str, str]]:
    say = speech.say
    resumed = say("value.of", part=str(receipt.tasks_resumed), whole=str(receipt.tasks_total))
    return [
        (say("receipt.paid"), credits_of(receipt.paid_micro)),
        (say("receipt.fee"), credits_of(receipt.fee_micro)),
        (say("receipt.quoted"), credits_of(receipt.quoted_micro)),
        (say("receipt.held"), credits_of(receipt.held_micro)),
        (say("receipt.released"), credits_of(receipt.released_micro)),
        (say("receipt.su", profile=receipt.profile), number_of(receipt.service_units, 6)),
        (say("receipt.device_h"), number_of(receipt.device_h, 6)),
        (say("receipt.resumed"), resumed),
        (
            say("receipt.difference"),
            number_of(receipt.meters_difference_percent_max, 2),
        ),
        (say("receipt.sum"), credits_of(receipt.sum_micro)),
    ]


def _provider_columns(speech: Speech) -> list[Column]:
    say = speech.say
    return [
        Column("provider", say("column.provider")),
        Column("tasks", say("column.tasks"), is_number=True),
        Column("attempts", say("column.attempts"), is_number=True),
        Column("agent", say("column.agent_s"), is_number=True),
        Column("network", say("column.network_s"), is_number=True),
        Column("su", say("column.su"), is_number=True),
        Column("charged", say("column.charged"), is_number=True),
        Column("fee", say("column.fee"), is_number=True),
        Column("paid", say("column.provider_paid"), is_number=True),
    ]


def _provider_row(part: ReceiptProvider) -> Row:
    return {
        "provider": part.provider,
        "tasks": by_number(part.tasks, str(part.tasks)),
        "attempts": by_number(part.attempts, str(part.attempts)),
        "agent": by_number(part.agent_s, number_of(part.agent_s, 3)),
        "network": by_number(part.network_s, number_of(part.network_s, 3)),
        "su": by_number(part.service_units, number_of(part.service_units, 6)),
        "charged": by_number(part.charged_micro, credits_of(part.charged_micro)),
        "fee": by_number(part.fee_micro, credits_of(part.fee_micro)),
        "paid": by_number(part.paid_micro, credits_of(part.paid_micro)),
    }


def _line_columns(speech: Speech) -> list[Column]:
    say = speech.say
    return [
        Column("task", say("column.task"), is_number=True),
        Column("provider", say("column.provider")),
        Column("cause", say("column.cause")),
        Column("agent", say("column.agent_s"), is_number=True),
        Column("network", say("column.network_s"), is_number=True),
        Column("site", say("column.site_s"), is_number=True),
        Column("paid", say("column.paid_s"), is_number=True),
        Column("difference", say("column.difference"), is_number=True),
        Column("dispute", say("column.dispute")),
        Column("cpus", say("column.cpus_asked"), is_number=True),
        Column("cpu_s", say("column.cpu_s_used"), is_number=True),
        Column("memory", say("column.memory_asked_gib"), is_number=True),
        Column("peak", say("column.memory_peak_gib"), is_number=True),
        Column("price", say("column.price_unit_h"), is_number=True),
        Column("units", say("column.units"), is_number=True),
        Column("su", say("column.su"), is_number=True),
        Column("amount", say("column.amount"), is_number=True),
        Column("fee", say("column.fee"), is_number=True),
        Column("node", say("column.node")),
        Column("image", say("column.image")),
    ]


def _line_row(line: ReceiptLine, speech: Speech) -> Row:
    disputed = "value.yes" if line.is_disputed else "value.no"
    return {
        "task": by_number(line.task, str(line.task)),
        "provider": line.provider,
        "cause": speech.word("cause", line.cause),
        "agent": by_number(line.agent_s, number_of(line.agent_s, 3)),
        "network": by_number(line.network_s, number_of(line.network_s, 3)),
        "site": by_number(line.site_s, number_of(line.site_s, 3)),
        "paid": by_number(line.paid_s, number_of(line.paid_s, 3)),
        "difference": by_number(line.difference_percent, number_of(line.difference_percent, 2)),
        "dispute": speech.say(disputed),
        "cpus": by_number(line.cpus_asked, number_of(line.cpus_asked)),
        "cpu_s": by_number(line.cpu_s_used, number_of(line.cpu_s_used, 3)),
        "memory": by_number(line.memory_asked_bytes, gib_of(line.memory_asked_bytes)),
        "peak": by_number(line.memory_peak_bytes, gib_of(line.memory_peak_bytes)),
        "price": by_number(line.price_micro_per_unit_h, credits_of(line.price_micro_per_unit_h)),
        "units": by_number(line.units, number_of(line.units, 3)),
        "su": by_number(line.service_units, number_of(line.service_units, 6)),
        "amount": by_number(line.amount_micro, credits_of(line.amount_micro)),
        "fee": by_number(line.fee_micro, credits_of(line.fee_micro)),
        "node": line.site_node or DASH,
        "image": line.image or DASH,
    }
