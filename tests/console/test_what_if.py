"""A what-if on a real network: asked for by command and on a page, lived through by its worker."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from typer.testing import CliRunner

from intertie.cli import exits, session
from intertie.cli.commands import build
from intertie.cli.main import COMMANDS
from intertie.client.errors import BadInput, IntertieError, NoAccess
from tests.console.conftest import Console

pytestmark = pytest.mark.browser

Open = Callable[..., Page]
WIDER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
LIGHT = {"cpus": "0.1", "memory": "64MiB", "disk": "50MiB"}


@pytest.fixture(scope="module")
def lived(console: Console) -> Console:
    """A network in which two jobs have run."""
    alpha = console.client("alpha")
    spec: dict[str, Any] = {"script": "true", "time_limit": "1m", "resources": LIGHT}
    for job in [alpha.submit(spec) for _ in range(2)]:
        assert alpha.wait(job).outcome == "done"
    return console


def test_the_command_shows_what_was_beside_what_would_have_been(
    lived: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "connect", lambda options: lived.client("operator"))
    words = ["what-if", "--set", "backfill=fcfs", "--days", "1"]
    told = CliRunner().invoke(build(COMMANDS, "en"), words, prog_name="intertie")
    assert told.exit_code == exits.DONE, told.output
    assert "What if backfill=fcfs" in told.output
    for words in ("what happened", "again as it is", "mean wait", "alpha"):
        assert words in told.output
    found = next(lived.client("operator").what_ifs())
    assert found.state == "done"
    assert [found.measures[way]["jobs"] for way in ("was", "as_is", "what_if")] == [2, 2, 2]
    assert found.done == found.total == 4


def test_a_field_that_is_none_of_placement_is_refused_with_the_list(lived: Console) -> None:
    operator = lived.client("operator")
    for policy, message in (
        ({"fee_ppm": 0}, "is none of ageing_s, backfill"),
        ({"backfill": "best"}, "'best' is none of fcfs, first-fit"),
        ({"ageing_s": "soon"}, "must be int"),
        ({"ageing_s": -1}, "must be from 0"),
    ):
        with pytest.raises(BadInput) as told:
            operator.ask_what_if(policy, 60)
        assert message in told.value.problem.errors[0].message
        assert told.value.problem.errors[0].field == f"policy.{next(iter(policy))}"


def test_asking_again_under_the_same_key_asks_once(lived: Console) -> None:
    operator = lived.client("operator")
    one, same = (operator.ask_what_if({"ageing_s": 5}, 60, key="once") for _ in range(2))
    assert one.id == same.id
    with pytest.raises(IntertieError, match="Idempotency-Key"):
        operator.ask_what_if({"ageing_s": 6}, 60, key="once")


def test_only_operators_may_ask(lived: Console) -> None:
    with pytest.raises(NoAccess):
        lived.client("alpha").ask_what_if({}, 60)
    with pytest.raises(NoAccess):
        list(lived.client("lab").what_ifs())


@pytest.mark.parametrize(
    ("lang", "title", "ask"), [("en", "What if", "Live it again"), ("zh-CN", "策略假设", "重演")]
)
def test_an_operator_asks_on_the_page_and_reads_the_answer(
    lived: Console, open_page: Open, lang: str, title: str, ask: str
) -> None:
    page = lived.sign_in(open_page(lang), "operator")
    page.get_by_role("link", name=title, exact=True).click()
    expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
    page.get_by_label("ageing_s").fill("60")
    page.get_by_role("button", name=ask).click()
    expect(page.get_by_role("heading", name="ageing_s=60").first).to_be_visible()
    row = page.get_by_role("row", name="alpha").first
    expect(row).to_be_visible(timeout=60_000)
    assert page.evaluate(WIDER) <= 0
