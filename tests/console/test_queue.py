"""The page of queue and shares in a real browser, on a real network with jobs that wait."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import Console
from tests.support.live import wait_until

pytestmark = pytest.mark.browser

Open = Callable[..., Page]
WIDER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


def spec(name: str, cpus: float, seconds: int) -> dict[str, Any]:
    resources = {"cpus": cpus, "memory": "64MiB", "disk": "50MiB"}
    told: dict[str, Any] = {
        "name": name,
        "script": "sleep 600",
        "resources": resources,
        "budget": "5",
    }
    return told | {"time_limit": f"{2 * seconds}s", "expected": f"{seconds}s"}


@pytest.fixture(scope="module")
def full(console: Console) -> Iterator[Console]:
    """A pool of two cores that alpha holds for long, with one job of each project behind."""
    alpha, beta = console.client("alpha"), console.client("beta")
    holding = alpha.submit(spec("holding", 2, 600))
    wait_until(lambda: alpha.job(holding).state == "running", console.network)
    waiting = [alpha.submit(spec("my-own", 2, 300)), beta.submit(spec("secret", 2, 300))]
    yield console
    for owner, job in ((alpha, holding), (alpha, waiting[0]), (beta, waiting[1])):
        owner.cancel(job)


def test_a_user_sees_positions_starts_and_what_would_help_and_nobody_elses_names(
    full: Console, open_page: Open
) -> None:
    page = full.sign_in(open_page(), "alpha")
    page.get_by_role("link", name="Queue", exact=True).click()
    expect(page.get_by_role("heading", name="Queue and shares", exact=True)).to_be_visible()
    # Beta has used nothing: it is served first.
    rows = page.locator("table").first.locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("(another project)")
    own = rows.nth(1)
    expect(own).to_contain_text("my-own")
    expect(own).to_contain_text(
        re.compile(r"in about \d+ (min|h).*\(\d\d:\d\d:\d\d–\d\d:\d\d:\d\d\)")
    )
    expect(own).to_contain_text("Pool lab/workstation has no room free")
    [mine] = [w for w in full.client("alpha").queue().waiting if w.job]
    assert mine.start.likely_at is not None
    # Behind both, on a machine of whatever speed: no later than by their limits.
    assert 600 < (mine.start.likely_at - full.client("alpha").queue().at) / 1000 < 1_900
    shares = page.locator("table").nth(1)
    expect(shares.get_by_role("row", name=re.compile(r"^alpha 1 \d"))).to_be_visible()
    expect(page.locator("body")).not_to_contain_text("secret")
    expect(page.locator("body")).not_to_contain_text("beta")


def test_an_operator_sees_every_job_with_its_project(full: Console, open_page: Open) -> None:
    page = full.sign_in(open_page(), "operator")
    page.goto(f"{full.url}/queue")
    expect(page.get_by_role("row", name=re.compile(r"secret.*beta"))).to_be_visible()
    expect(page.get_by_role("row", name=re.compile(r"my-own.*alpha"))).to_be_visible()


@pytest.mark.parametrize(("lang", "title"), [("en", "Queue and shares"), ("zh-CN", "队列与份额")])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_phones_and_desks_in_both_languages(
    full: Console, open_page: Open, lang: str, title: str, width: int
) -> None:
    page = full.sign_in(open_page(lang, width), "alpha")
    page.goto(f"{full.url}/queue")
    expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
    expect(page.get_by_text("my-own")).to_be_visible()
    assert page.evaluate(WIDER) <= 0


def test_the_page_of_a_job_that_waits_says_when_and_what_would_be_sooner(
    full: Console, open_page: Open
) -> None:
    page = full.sign_in(open_page(), "alpha")
    page.goto(f"{full.url}/queue")
    page.get_by_role("link", name="my-own").click()
    expect(page.get_by_text(re.compile(r"^Expected start: in about \d+ (min|h)"))).to_be_visible()
    expect(page.get_by_text("The smallest change that helps")).to_be_visible()
