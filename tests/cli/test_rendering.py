"""Tables: a unit in every header of numbers, exact credits, the same facts in both languages."""

import ast
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from intertie.catalogue.texts import keys, languages
from intertie.cli.render import jobs, live, market, queue, receipt
from intertie.cli.render.base import Columns, credit_cells, refusal_text
from intertie.wire.base import RefusalBody
from tests.client.samples import (
    a_job,
    a_provider,
    a_queue,
    a_quote,
    a_receipt,
    a_task,
    an_attempt,
    an_event,
    an_offer,
)

CLI = Path("src/intertie/cli")


def drawn(view: RenderableType, width: int = 100) -> str:
    console = Console(width=width, force_terminal=False)
    with console.capture() as captured:
        console.print(view)
    return captured.get()


def number_columns() -> set[str]:
    """Return the key of every column of numbers in the code."""
    found = set()
    for path in CLI.glob("render/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr == "number" and isinstance(node.args[0], ast.Constant):
                found.add(str(node.args[0].value))
    return found | {f"{key}_{unit}" for key in ("price", "speed", "free") for unit in UNITS}


UNITS = ("core", "unit")


@pytest.mark.parametrize("lang", languages())
def test_no_header_of_numbers_is_without_its_unit(lang: str) -> None:
    headers = keys(lang)
    assert len(number_columns()) > 30
    bare = [key for key in number_columns() if headers[f"cli.column.{key}"][-1] not in ")）"]
    assert bare == []


@pytest.mark.parametrize("lang", languages())
@pytest.mark.parametrize(
    "view",
    [
        lambda lang: market.offers_table([an_offer(), an_offer(provider="lab")], lang),
        lambda lang: market.offers_table(
            [an_offer(device_class="a100-80g-sxm", pool_state="lost")], lang
        ),
        lambda lang: market.quote_view(a_quote(), lang),
        lambda lang: market.providers_table([a_provider(earned_micro=123_456)], lang),
        lambda lang: receipt.receipt_view(a_receipt(), lang),
        lambda lang: queue.queue_view(a_queue(), lang),
        lambda lang: jobs.tasks_table([a_task(3, an_attempt(), resumes=1)], lang),
        lambda lang: live.live_view(a_job(task_count=8), [], 65, lang, "note"),
    ],
)
def test_tables_fit_a_hundred_columns_and_cut_nothing_off(view: object, lang: str) -> None:
    text = drawn(view(lang))  # type: ignore[operator]
    assert "…" not in text
    assert Console(width=100).measure(text).maximum <= 100


def test_the_queue_shows_a_range_what_would_be_sooner_and_nobody_elses_name() -> None:
    told = " ".join(drawn(queue.queue_view(a_queue(), "en"), 200).split())
    assert "2 job-000c digits" in told
    assert "Ask for 6 cpus a task. It would then start at" in told
    assert "30 min sooner." in told
    assert "1 – (another) >" in told
    assert "2 of 3 jobs are shown." in told


def test_an_offer_shows_both_prices_and_what_was_not_measured() -> None:
    text = drawn(market.offers_table([an_offer()], "en"))
    assert "0.12" in text
    assert "0.24" in text
    assert "30*" in text
    assert "unverified" in text
    assert "未实测" in drawn(market.offers_table([an_offer()], "zh-CN"))


def test_a_quote_marks_its_options_and_says_why_others_lost() -> None:
    text = " ".join(drawn(market.quote_view(a_quote(), "en")).split())
    assert "chosen · soonest" in text
    assert "cheapest" in text
    assert "1 min 30 s" in text
    assert "Allow the data scans to go to night." in text


def test_a_receipt_shows_both_meters_asked_and_used_and_the_zero() -> None:
    text = drawn(receipt.receipt_view(a_receipt(), "en"))
    for shown in ("11.9", "12.1", "85/512", "11.2/11.9", "reclaimed"):
        assert shown in text
    assert "sum of all postings" in text


def test_many_lines_of_a_receipt_are_cut_with_a_count() -> None:
    line = a_receipt().lines[0]
    text = drawn(receipt.receipt_view(a_receipt(lines=[line] * 45), "en"))
    assert "… and 5 more" in text


def test_live_progress_counts_by_provider_from_the_attempts() -> None:
    reclaimed = an_attempt(provider="night", state="settled", cause="reclaimed", agent_s=3)
    done = an_attempt(state="settled", cause="exited", agent_s=9)
    tasks = [a_task(0, reclaimed, done, state="ended", outcome="done"), a_task(1, an_attempt())]
    progress = live.by_provider(tasks)
    assert (progress["night"].moved, progress["night"].done) == (1, 0)
    assert (progress["west"].done, progress["west"].running) == (1, 1)
    assert progress["west"].cost_micro == 2000


def test_amounts_in_one_column_have_their_points_in_line() -> None:
    assert credit_cells([1_500_000, 12, None]) == ["1.500000", "0.000012", "–"]
    assert credit_cells([1_500_000, 0]) == ["1.50", "0.00"]


def test_a_code_that_the_catalogue_lacks_is_shown_in_the_networks_words() -> None:
    newer = RefusalBody(code="brand_new", text="Something newer.")
    assert refusal_text(newer, "en") == "Something newer."
    assert jobs.event_text(an_event(1, "brand_new"), "en") == "brand_new"


def test_a_header_of_numbers_without_a_unit_is_our_mistake() -> None:
    with pytest.raises(AssertionError, match="needs its unit"):
        Columns("en").number("provider")
