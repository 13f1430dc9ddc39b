"""The operators' page in a real browser, on a real network."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from intertie.client.errors import Refused
from tests.console.conftest import Console
from tests.support.live import wait_until

pytestmark = pytest.mark.browser

Open = Callable[..., Page]
WIDER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def busy(console: Console) -> Console:
    """A network that ran a job and refused another, as its leader has told by now."""
    light = {"cpus": "0.1", "memory": "64MiB", "disk": "50MiB"}
    alpha, operator = console.client("alpha"), console.client("operator")
    alpha.wait(alpha.submit({"script": "true", "time_limit": "1m", "resources": light}))
    too_large: dict[str, Any] = {"script": "true", "time_limit": "1m", "resources": {"cpus": 4_000}}
    with pytest.raises(Refused):
        alpha.submit(too_large)

    def is_told() -> bool:
        counts = operator.operations().counts
        return bool(counts and counts.refusals and counts.rounds)

    wait_until(is_told, console.network)
    return console


def test_an_operator_sees_who_leads_what_there_is_and_what_was_refused(
    busy: Console, open_page: Open
) -> None:
    page = busy.sign_in(open_page(), "operator")
    page.get_by_role("link", name="Operations", exact=True).click()
    expect(page.get_by_role("heading", name="Operations", exact=True)).to_be_visible()
    expect(page.get_by_text("Nothing needs attention.")).to_be_visible()
    facts = page.locator(".console-facts")
    expect(facts).to_contain_text(busy.client("operator").operations().leader.holder)
    expect(facts).to_contain_text("of 2")
    expect(page.locator(".console-chart canvas")).to_have_count(2)
    expect(page.get_by_role("row", name="lab workstation online")).to_be_visible()
    expect(page.get_by_role("row", name="not_enough_cpus 1")).to_be_visible()
    expect(page.get_by_role("row", name="issuance -100.00")).to_be_visible()


def test_the_page_moves_on_by_itself(busy: Console, open_page: Open) -> None:
    page = busy.sign_in(open_page(), "operator")
    page.goto(f"{busy.url}/operations")
    before = page.get_by_role("row", name="lab workstation").inner_text()
    busy.client("operator").create_project("later", trial=1)
    expect(page.get_by_role("row", name="issuance -101.00")).to_be_visible()
    assert page.get_by_role("row", name="lab workstation").inner_text() != before


@pytest.mark.parametrize(("lang", "title"), [("en", "Operations"), ("zh-CN", "运维")])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_phones_and_desks_in_both_languages(
    busy: Console, open_page: Open, lang: str, title: str, width: int
) -> None:
    page = busy.sign_in(open_page(lang, width), "operator")
    page.goto(f"{busy.url}/operations")
    expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
    expect(page.locator(".console-chart canvas")).to_have_count(2)
    expect(page.get_by_role("row", name="not_enough_cpus")).to_be_visible()
    assert page.evaluate(WIDER) <= 0


def test_who_is_no_operator_finds_no_way_there_and_is_told_so(
    busy: Console, open_page: Open
) -> None:
    page = busy.sign_in(open_page(), "alpha")
    expect(page.get_by_role("link", name="Operations", exact=True)).to_have_count(0)
    page.goto(f"{busy.url}/operations")
    expect(page.get_by_role("alert")).to_contain_text("This token may not do that")
    expect(page.locator(".console-facts")).to_have_count(0)
