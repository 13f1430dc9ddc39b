"""The console as people meet it: a real browser on a real network."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from intertie.wire.jobs import JobView
from tests.console.conftest import Console
from tests.support.live import wait_until

pytestmark = pytest.mark.browser

Open = Callable[..., Page]
LIGHT = {"cpus": "0.1", "memory": "64MiB", "disk": "50MiB"}
MARKUP = "<script>document.title='taken'</script><img src=x onerror=alert(1)>"


def a_job(console: Console, project: str = "alpha", **known: Any) -> JobView:
    spec: dict[str, Any] = {
        "name": "shown",
        "script": "echo hello console; echo 42 > answer.txt",
        "results": ["answer.txt"],
        "time_limit": "1m",
        "resources": LIGHT,
    }
    return console.client(project).submit(spec | known)


def a_finished_job(console: Console, **known: Any) -> JobView:
    job = console.client("alpha").wait(a_job(console, **known))
    assert (job.state, job.outcome) == ("settled", "done")
    return job


def heading(page: Page, name: str) -> Any:
    return page.get_by_role("heading", name=name, exact=True)


def test_a_wrong_token_is_refused_in_the_networks_own_words(
    console: Console, open_page: Open
) -> None:
    page = open_page()
    page.goto(console.url)
    page.locator("input[name=token]").fill("itk_project_wrong")
    page.locator("form button[type=submit]").click()
    expect(page.get_by_role("alert")).to_contain_text("The token is not known here")
    assert "itk_project_wrong" not in page.url
    page.reload()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_no_page_opens_before_signing_in(console: Console, open_page: Open) -> None:
    page = open_page()
    for path in (
        "/",
        "/network",
        "/jobs",
        "/jobs/job-0001",
        "/submit",
        "/ledger",
        "/projects",
        "/operations",
        "/join",
    ):
        page.goto(f"{console.url}{path}")
        assert page.url == f"{console.url}/sign-in"


def test_the_session_cookie_is_no_script_s_business_and_ends_with_the_session(
    console: Console, open_page: Open
) -> None:
    page = console.sign_in(open_page(), "alpha")
    cookie = next(c for c in page.context.cookies() if c["name"].startswith("intertie_"))
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"
    assert console.token("alpha") not in cookie["value"]
    page.get_by_text("Sign out").click()
    page.wait_for_url("**/sign-in")
    page.context.add_cookies([cookie])
    page.goto(f"{console.url}/jobs")
    assert page.url.endswith("/sign-in")


def test_signing_out_in_one_tab_closes_the_other(console: Console, open_page: Open) -> None:
    first = console.sign_in(open_page(), "alpha")
    second = first.context.new_page()
    second.goto(f"{console.url}/jobs")
    expect(heading(second, "Jobs")).to_be_visible()
    first.get_by_text("Sign out").click()
    second.wait_for_url("**/sign-in")


def test_offers_are_shown_with_price_score_and_units(console: Console, open_page: Open) -> None:
    page = console.sign_in(open_page(), "alpha")
    page.get_by_role("link", name="Network", exact=True).click()
    for header in ("List price (credits/unit·h)", "Price (credits/SU)", "Score (SU/unit·h)"):
        expect(page.get_by_role("columnheader", name=header)).to_be_visible()
    offer = page.get_by_role("row", name=re.compile("lab workstation online 0.20")).first
    expect(offer).to_contain_text("(measured)")
    expect(offer).to_contain_text("(unverified)")
    expect(page.locator(".console-chart canvas")).to_have_count(2)
    for table in page.locator(".console-table .q-table__middle").all():
        assert table.evaluate("it => it.scrollWidth <= it.clientWidth"), "nothing is cut off"


def test_a_finished_job_shows_its_log_its_receipt_and_its_files(
    console: Console, open_page: Open
) -> None:
    job = a_finished_job(console)
    receipt = console.client("alpha").receipt(job)
    page = console.sign_in(open_page(), "alpha")
    page.get_by_role("link", name="shown").first.wait_for()
    page.goto(f"{console.url}/jobs/{job.id}")
    expect(heading(page, "shown")).to_be_visible()
    expect(page.get_by_role("log")).to_contain_text("hello console")
    expect(heading(page, "Receipt")).to_be_visible()
    line = receipt.lines[0]
    for meter_s in (line.agent_s, line.network_s):
        shown = f"{meter_s:.3f}".rstrip("0").rstrip(".")
        expect(page.get_by_role("cell", name=shown, exact=True).first).to_be_visible()
    facts = page.locator(".console-facts").nth(1)
    expect(facts).to_contain_text(f"{receipt.paid_micro / 1_000_000:.6f}".rstrip("0"))
    expect(facts).to_contain_text("Sum of all postings (credits)")
    expect(page.locator(".console-events")).to_contain_text("settled")
    with page.expect_download() as download:
        page.get_by_role("link", name="answer.txt").click()
    assert download.value.suggested_filename == "answer.txt"
    assert Path(download.value.path()).read_text() == "42\n"


def test_markup_in_logs_files_and_values_stays_text(console: Console, open_page: Open) -> None:
    name = "<img src=x onerror=alert(2)>.txt"
    job = a_finished_job(
        console,
        script='echo "$MARKUP"; echo "$CHOICE" > "$FILE"',
        environment={"MARKUP": MARKUP, "FILE": name},
        array={"values": [{"CHOICE": "<b>one</b>"}, {"CHOICE": "{{ 7 * 7 }}"}]},
        results=["*.txt"],
    )
    page = console.sign_in(open_page(), "alpha")
    page.goto(f"{console.url}/jobs/{job.id}")
    expect(page.get_by_role("log")).to_contain_text(MARKUP)
    expect(page.get_by_role("link", name=name).first).to_be_visible()
    page.get_by_role("combobox").click()
    expect(page.get_by_role("option").nth(0)).to_contain_text("<b>one</b>")
    expect(page.get_by_role("option").nth(1)).to_contain_text("{{ 7 * 7 }}")
    page.keyboard.press("Escape")
    page.get_by_text("Job spec (YAML)").click()
    expect(page.locator(".console-spec")).to_contain_text("onerror=alert(1)")
    with page.expect_download() as download:
        page.get_by_role("link", name=name).first.click()
    assert Path(download.value.path()).read_text() == "<b>one</b>\n"
    assert page.title() == "Job · Intertie"
    assert page.locator("img[src=x]").count() == 0


def test_a_page_is_chinese_where_the_browser_asks_or_the_visitor_chooses(
    console: Console, open_page: Open
) -> None:
    page = open_page("zh-CN")
    page.goto(f"{console.url}/sign-in")
    expect(page.get_by_text("开放算力网络")).to_be_visible()
    console.sign_in(page, "alpha")
    expect(heading(page, "作业")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.get_by_role("link", name="English", exact=True).click()
    expect(heading(page, "Jobs")).to_be_visible()
    page.get_by_role("link", name="中文", exact=True).click()
    page.get_by_role("link", name="网络", exact=True).click()
    for header in ("算力提供方", "挂牌价（点/单位·时）", "折算系数（SU/单位·时）"):
        expect(page.get_by_role("columnheader", name=header).first).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("未实测")).first).to_be_visible()


def test_the_language_link_never_leads_to_another_site(console: Console, open_page: Open) -> None:
    page = open_page()
    for back in ("https://example.org/", "//example.org", "/\\example.org", "javascript:alert(1)"):
        page.goto(f"{console.url}/language/en?back={back}")
        assert page.url == f"{console.url}/sign-in"


def test_the_example_is_quoted_submitted_and_followed_to_its_end(
    console: Console, open_page: Open
) -> None:
    page = console.sign_in(open_page(), "alpha")
    page.get_by_role("link", name="New job").click()
    page.get_by_role("button", name="Quote", exact=True).click()
    expect(page.get_by_text(re.compile("Firm for another"))).to_be_visible()
    page.get_by_role("button", name=re.compile("Submit: .*chosen, .* credits")).click()
    page.wait_for_url("**/jobs/job-*")
    expect(page.get_by_role("log")).to_contain_text("hello from task 0")
    expect(page.get_by_role("log")).to_contain_text("step 5")
    expect(page.locator(".console-facts").first).to_contain_text("settled")
    expect(page.get_by_role("link", name="answer.txt")).to_have_count(2)
    expect(heading(page, "Quote")).to_be_visible()


def test_wrong_fields_are_named_beside_the_editor_and_nothing_is_made(
    console: Console, open_page: Open
) -> None:
    before = len(list(console.client("beta").jobs()))
    page = console.sign_in(open_page(), "beta")
    page.goto(f"{console.url}/submit")
    editor = page.get_by_label("Job spec (YAML)")
    alert = page.get_by_role("alert")
    for written, told in (
        ("name: x\nscript: 'true'\nbudget: -1", "budget"),
        ("name: '<script>x</script>'\nscript: 'true'", "name"),
        ("name: x\nscript: [", "not valid YAML at line 2"),
        ("script: 'true'\nworkdir: /etc", "a page cannot read your folders"),
        ("a: &a [1]\nb: *a", "anchors and aliases"),
        ("script: 'true'\nresources: {cpus: 4000}", "fewer"),
    ):
        editor.fill(written)
        page.get_by_role("button", name="Submit without a quote").click()
        if told == "fewer":
            expect(alert).to_contain_text("4000")
        else:
            expect(alert).to_contain_text(told)
    assert len(list(console.client("beta").jobs())) == before


def test_a_job_that_waits_says_why_and_can_be_cancelled(console: Console, open_page: Open) -> None:
    busy = a_job(console, script="sleep 600", time_limit="20m", resources={**LIGHT, "cpus": 2})
    wait_until(lambda: console.client("alpha").job(busy).state == "running", console.network)
    waiting = a_job(console, name="waiting", resources={**LIGHT, "cpus": 2})
    page = console.sign_in(open_page(), "alpha")
    page.goto(f"{console.url}/jobs/{waiting.id}")
    expect(page.get_by_role("row", name=re.compile("lab workstation .*no room"))).to_be_visible()
    page.goto(f"{console.url}/jobs/{busy.id}")
    expect(page.locator(".console-facts").first).to_contain_text("running")
    page.get_by_role("button", name="Cancel the job").click()
    page.get_by_role("button", name="Let it run").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Cancel the job").click()
    page.get_by_role("button", name="Yes, cancel").click()
    expect(page.locator(".console-facts").first).to_contain_text("cancelled")
    assert console.client("alpha").wait(busy).outcome == "cancelled"
    assert console.client("alpha").wait(waiting).outcome == "done"


def test_another_projects_job_is_not_found(console: Console, open_page: Open) -> None:
    job = a_finished_job(console)
    page = console.sign_in(open_page(), "beta")
    page.goto(f"{console.url}/jobs/{job.id}")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(heading(page, "shown")).to_have_count(0)
    answer = page.context.request.get(f"{console.url}/jobs/{job.id}/files/0/answer.txt")
    assert answer.status == 404


def test_the_ledger_shows_the_trial_balance_and_proves_the_books(
    console: Console, open_page: Open
) -> None:
    a_finished_job(console)
    page = console.sign_in(open_page(), "alpha")
    page.get_by_role("link", name="Ledger").click()
    expect(page.get_by_text("Trial balance credited: 50.00 credits.")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("alpha wallet 49.9"))).to_be_visible()
    expect(page.get_by_text("The books are right.")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("charge")).first).to_be_visible()


def test_operator_and_provider_see_what_is_theirs(console: Console, open_page: Open) -> None:
    a_finished_job(console)
    operator = console.sign_in(open_page(), "operator")
    operator.get_by_role("link", name="Projects").click()
    for project in ("alpha", "beta"):
        expect(operator.get_by_role("row", name=re.compile(project))).to_be_visible()
    operator.get_by_role("link", name="Jobs").click()
    expect(operator.get_by_role("row", name=re.compile("shown .*alpha")).first).to_be_visible()
    provider = console.sign_in(open_page(), "lab")
    expect(provider.get_by_role("columnheader", name="Earned (credits)")).to_be_visible()
    for link in ("Jobs", "New job", "Projects"):
        expect(provider.get_by_role("link", name=link, exact=True)).to_have_count(0)


def test_a_provider_is_given_the_one_command_with_which_a_machine_joins(
    console: Console, open_page: Open
) -> None:
    page = console.sign_in(open_page(), "lab")
    page.get_by_role("link", name="Join", exact=True).click()
    expect(heading(page, "Join the network")).to_be_visible()
    tokens = set()
    for _ in range(2):
        page.get_by_role("button", name="Make a join line").click()
        line = page.locator("code").filter(has_not_text=next(iter(tokens), "no token yet"))
        expect(line).to_contain_text(f"intertie join {console.url} --token itk_enrol_")
        tokens.add(line.inner_text().split("--token ")[1].strip())
    assert len(tokens) == 2, "each line has a token of its own"
    assert "token" not in page.url


def test_an_operator_makes_a_join_line_for_the_provider_that_is_chosen(
    console: Console, open_page: Open
) -> None:
    page = console.sign_in(open_page("zh-CN"), "operator")
    page.goto(f"{console.url}/join")
    button = page.get_by_role("button", name="生成接入命令")
    expect(button).to_be_disabled()
    page.get_by_role("combobox").click()
    page.get_by_role("option", name="lab").click()
    button.click()
    expect(page.locator("code")).to_contain_text("--token itk_enrol_")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    mine = console.sign_in(open_page(), "alpha")
    expect(mine.get_by_role("link", name="Join", exact=True)).to_have_count(0)


def test_no_page_is_wider_than_a_telephone(console: Console, open_page: Open) -> None:
    job = a_finished_job(console)
    page = console.sign_in(open_page(width=390), "alpha")
    for path, title in (("network", "Network"), (f"jobs/{job.id}", "shown"), ("ledger", "Ledger")):
        page.goto(f"{console.url}/{path}")
        expect(heading(page, title)).to_be_visible()
        expect(page.locator(".console-table").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
