"""A quote: each option with its cost and finish, and why the others lost."""

from collections.abc import Callable
from typing import Any

from nicegui import ui

from intertie.console.parts import facts, section
from intertie.console.reasons import show_reasons
from intertie.console.speech import DASH, Speech, credits_of, number_of
from intertie.console.tables import Column, Row, Table, by_number
from intertie.wire.market import OptionView, QuoteView

OnChoose = Callable[[str], Any]


def show_sizing(speech: Speech, quote: QuoteView) -> None:
    """Show what the job needs, and where its duration comes from."""
    say, sizing = speech.say, quote.sizing
    facts(
        [
            (say("sizing.tasks"), str(sizing.task_count)),
            (say("sizing.expected_s"), number_of(sizing.expected_s, 0)),
            (say("receipt.su", profile=sizing.profile), number_of(sizing.service_units, 6)),
            (say("sizing.source"), speech.word("source", sizing.source)),
        ]
    )


def show_options(speech: Speech, quote: QuoteView, on_choose: OnChoose | None = None) -> None:
    """Show the options; with `on_choose`, each with a button that takes it."""
    say = speech.say
    Table(_columns(speech), say("quote.no_options")).show(
        [_row(option, speech) for option in quote.options]
    )
    if on_choose is not None and quote.options:
        with ui.row():
            for option in quote.options:
                _button(option, speech, on_choose)
    if quote.lost:
        section(say("quote.lost"))
        show_reasons(quote.lost, speech)


def _button(option: OptionView, speech: Speech, on_choose: OnChoose) -> None:
    words = {"name": name_of(option, speech), "cost": credits_of(option.cost_micro)}
    button = ui.button(
        speech.say("quote.submit_at", **words), on_click=lambda: on_choose(option.code)
    )
    button.props("no-caps unelevated" if option.is_chosen else "no-caps outline")


def name_of(option: OptionView, speech: Speech) -> str:
    """Return what an option is: cheapest, soonest, chosen, or all of them."""
    marks = {
        "quote.cheapest": option.is_cheapest,
        "quote.soonest": option.is_soonest,
        "quote.chosen": option.is_chosen,
    }
    said = [speech.say(key) for key, is_so in marks.items() if is_so]
    return speech.say("list.comma").join(said) or speech.word("console.option", option.code)


def _columns(speech: Speech) -> list[Column]:
    say = speech.say
    return [
        Column("option", say("column.option")),
        Column("cost", say("column.cost"), is_number=True),
        Column("fee", say("column.fee_in_it"), is_number=True),
        Column("starts", say("column.starts_in_s"), is_number=True),
        Column("finishes", say("column.finishes_in_s"), is_number=True),
        Column("pools", say("column.option_pools"), is_wrapped=True),
        Column("lost", say("column.lost_because"), is_wrapped=True),
    ]


def _row(option: OptionView, speech: Speech) -> Row:
    pools = speech.say("list.semicolon").join(
        speech.say(
            "quote.pool_wait" if pool.expected_wait_s else "quote.pool",
            provider=pool.provider,
            pool=pool.pool,
            tasks=pool.task_count,
            price=credits_of(pool.price_micro_per_unit_h),
            per_su=credits_of(pool.price_micro_per_su),
            wait_s=pool.expected_wait_s,
        )
        for pool in option.pools
    )
    lost = option.lost_because
    return {
        "option": name_of(option, speech),
        "cost": by_number(option.cost_micro, credits_of(option.cost_micro)),
        "fee": by_number(option.fee_micro, credits_of(option.fee_micro)),
        "starts": by_number(option.starts_in_s, str(option.starts_in_s)),
        "finishes": by_number(option.finishes_in_s, str(option.finishes_in_s)),
        "pools": pools,
        "lost": (lost.text or lost.code) if lost else DASH,
    }
