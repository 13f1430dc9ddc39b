"""The command as a person meets it: help, exit codes, JSON, two languages."""

import json
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from intertie.catalogue.texts import text
from intertie.cli import exits, main
from intertie.cli.commands import startup_language
from intertie.cli.main import COMMANDS
from intertie.wire.base import Problem
from intertie.wire.jobs import FileView, JobView, Receipt, WhyView
from intertie.wire.market import OfferView, QuoteView
from intertie.wire.money import AccountView, LedgerCheck, PostingView, TransactionView
from intertie.wire.parties import Created, WhoAmI
from intertie.wire.queue import QueueView
from intertie.wire.shares import HeldShareView, SharesView, ShareView
from tests.cli.conftest import Call
from tests.client.answers import Answers, page, problem, stream
from tests.client.samples import (
    AT,
    a_job,
    a_project,
    a_provider,
    a_queue,
    a_quote,
    a_receipt,
    a_settled_job,
    a_task,
    an_attempt,
    an_event,
    an_offer,
)

CHECK = LedgerCheck(
    ok=True,
    transactions=2,
    postings=2,
    accounts=2,
    sum_micro=0,
    open_holds=0,
    open_holds_micro=0,
    recomputed_charges=1,
)


def a_whole_network(answers: Answers) -> Answers:
    job, settled = a_job(), a_settled_job()
    answers.on("GET", "me", WhoAmI(role="project", name="lab", network="n", version="1"))
    answers.on("GET", "offers", page(an_offer()))
    answers.on("GET", "providers", page(a_provider()))
    answers.on("GET", "projects", page(a_project()))
    answers.on("POST", "quotes", a_quote())
    answers.on("POST", "jobs", job)
    answers.on("GET", "jobs", page(job, settled))
    answers.on("GET", "jobs/job-000c", settled)
    answers.on("GET", "jobs/job-000c/tasks", page(a_task(0, an_attempt(), values={"lr": "0.1"})))
    answers.on("GET", "jobs/job-000c/why", WhyView(job="job-000c", state="queued", summary="waits"))
    answers.on("GET", "queue", a_queue())
    answers.on("GET", "jobs/job-000c/files", page(a_file()))
    answers.on("GET", "jobs/job-000c/files/0/a.json", httpx.Response(200, content=b"{}"))
    answers.on("GET", "jobs/job-000c/receipt", a_receipt())
    answers.on("POST", "jobs/job-000c/cancel", job)
    answers.on("GET", "jobs/job-000c/tasks/0/logs", httpx.Response(200, text="hello\n"))
    answers.on("GET", "jobs/job-000c/events", ended_stream())
    answers.on("GET", "ledger/check", CHECK)
    answers.on("GET", "ledger/accounts", page(*accounts()))
    answers.on("GET", "ledger/transactions", page(*transactions()))
    created = Created(id="project-0002", name="lab", token="t0k3n")
    answers.on("POST", "projects", created).on("POST", "providers", created)
    answers.on("POST", "providers/provider-0003/enrol-tokens", created)
    answers.on("POST", "projects/project-0002/top-up", a_project())
    answers.on("GET", "shares", SharesView(shares=some_shares(), used_gini=0.25, held_gini=0))
    answers.on("POST", "cohorts", some_shares()[0])
    answers.on("POST", "projects/project-0002/share", some_shares()[1])
    return answers.on("POST", "projects/project-0002/block", a_project(is_blocked=True))


def a_file() -> FileView:
    digest = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    return FileView(task=0, path="a.json", size_bytes=2, sha256=digest, kind="result")


def some_shares() -> list[ShareView]:
    cohort = ShareView(
        id="cohort-0009", kind="cohort", name="faculty", weight=3, floor=0.1, used_su=2.5,
        share=0.25, waiting_tasks=4,
    )  # fmt: skip
    memory = HeldShareView(resource="memory", held=2**33, total=2**40)
    cpus = HeldShareView(resource="cpus", held=8, total=64, quota=6, borrow=4, borrowed=2)
    told = {"id": "project-0002", "kind": "project", "name": "lab", "cohort": cohort.id}
    return [cohort, cohort.model_copy(update=told | {"resources": [cpus, memory]})]


def accounts() -> list[AccountView]:
    return [AccountView(id="account-0001", kind="wallet", owner="lab", balance_micro=5)]


def transactions() -> list[TransactionView]:
    posting = PostingView(source="account-0001", destination="account-0009", amount_micro=5)
    return [TransactionView(id="transaction-1", kind="charge", at=AT, postings=[posting], job="j")]


def ended_stream() -> httpx.Response:
    started = an_event(1, "task_started", task=0, provider="west")
    return stream(("1", "job", started.model_dump(mode="json")), ("", "end", {}))


EVERY = [
    ("whoami",),
    ("offers",),
    ("providers",),
    ("providers", "list"),
    ("providers", "add", "west"),
    ("providers", "token", "west"),
    ("projects",),
    ("projects", "add", "lab", "--trial", "5"),
    ("projects", "top-up", "lab", "5"),
    ("projects", "block", "lab"),
    ("shares",),
    ("shares", "add", "physics", "--in", "faculty", "--weight", "2"),
    ("shares", "set", "lab", "--floor", "2.5%", "--quota", "cpus=64", "--lend", "cpus=8"),
    ("quote", "--", "true"),
    ("run", "--", "true"),
    ("run", "-d", "--", "true"),
    ("jobs",),
    ("job", "job-000c"),
    ("why", "job-000c"),
    ("logs", "job-000c"),
    ("cancel", "job-000c"),
    ("results", "job-000c"),
    ("receipt", "job-000c"),
    ("ledger", "check"),
    ("ledger", "show"),
    ("version",),
]


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
@pytest.mark.parametrize("lang", ["en", "zh-CN"])
def test_every_command_ends_well_in_each_language(
    words: tuple[str, ...],
    lang: str,
    call: Call,
    answers: Answers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    a_whole_network(answers)
    found = call(*words, lang=lang)
    assert found.exit_code == 0, found.output
    assert found.stdout.strip()
    assert max(map(len, found.stdout.splitlines())) <= 100


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_command_prints_only_json_when_asked(
    words: tuple[str, ...],
    call: Call,
    answers: Answers,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    a_whole_network(answers)
    found = call(words[0], *words[1:2], "--json", *words[2:]) if words[0] in GROUPS else None
    found = found or call(words[0], "--json", *words[1:])
    assert found.exit_code == 0, found.output
    json.loads(found.stdout)
    assert found.stderr == ""


GROUPS = {command.words.split()[0] for command in COMMANDS if " " in command.words}


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (("job", "job-000c"), JobView),
        (("why", "job-000c"), WhyView),
        (("queue",), QueueView),
        (("receipt", "job-000c"), Receipt),
        (("quote", "--", "true"), QuoteView),
        (("ledger", "check"), LedgerCheck),
    ],
)
def test_json_is_the_wire_model_itself(
    words: tuple[str, ...], kind: type[JobView], call: Call, answers: Answers
) -> None:
    a_whole_network(answers)
    assert kind.model_validate_json(call("--json", *words).stdout)


def test_limits_are_sent_by_resource_and_a_floor_as_a_part_of_the_network(
    call: Call, answers: Answers
) -> None:
    a_whole_network(answers)
    words = ("--quota", "cpus=64", "--borrow", "cpus=8", "--quota", "memory=1TiB")
    call("shares", "set", "lab", "--in", "none", "--floor", "2.5%", *words, "--quota", "a100=8")
    assert answers.body("POST", "projects/project-0002/share") == {
        "cohort": "",
        "floor_ppm": 25_000,
        "quota": {
            "cpus": {"quota": "64", "borrow": "8"},
            "memory": {"quota": 2**40},
            "devices": {"a100": {"quota": 8}},
        },
    }


def test_a_list_is_a_json_list_of_wire_models(call: Call, answers: Answers) -> None:
    a_whole_network(answers)
    [offer] = json.loads(call("offers", "--json").stdout)
    assert OfferView.model_validate(offer) == an_offer()


@pytest.mark.parametrize(
    ("status", "code"), [(400, 2), (422, 2), (404, 4), (401, 5), (403, 5), (503, 6), (500, 70)]
)
def test_each_problem_has_its_exit_code(
    status: int, code: int, call: Call, answers: Answers
) -> None:
    answers.on("GET", "offers", problem(status, "some_code", "the detail"))
    found = call("offers")
    assert found.exit_code == code
    assert "the detail" in found.stderr
    assert found.stdout == ""


def test_a_refusal_ends_with_three_and_says_what_helps(call: Call, answers: Answers) -> None:
    way_out = {"code": "raise_budget", "values": {"to_micro": 2_500_000}}
    values = {"needs_micro": 2_500_000, "budget_micro": 1_000_000}
    refusal = {"code": "over_budget", "values": values, "relaxation": way_out}
    answers.on("POST", "jobs", problem(409, "refused", refusal=refusal))
    found = call("run", "--", "true")
    assert found.exit_code == 3
    assert "its budget is 1.00 credits" in found.stderr
    assert "Raise the budget to 2.50 credits." in found.stderr
    assert "把预算提高到 2.50 点" in call("run", "--lang", "zh-CN", "--", "true").stderr


def test_a_network_that_does_not_answer_ends_with_six(call: Call, answers: Answers) -> None:
    answers.on("GET", "offers", httpx.ConnectError("refused"))
    assert call("offers").exit_code == 6


def test_errors_are_problem_json_when_json_is_asked_for(call: Call, answers: Answers) -> None:
    answers.on("GET", "offers", problem(403, "not_allowed", "not yours"))
    found = call("offers", "--json")
    assert found.stdout == ""
    assert Problem.model_validate_json(found.stderr).code == "not_allowed"


def test_a_wrong_option_is_problem_json_when_json_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["intertie", "offers", "--json", "--nope"])
    with pytest.raises(SystemExit) as ended:
        main.app()
    assert ended.value.code == 2
    assert Problem.model_validate_json(capsys.readouterr().err).code == "bad_option"


def test_json_still_ends_with_the_code_of_the_command(
    answers: Answers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers.on("GET", "offers", problem(404, "not_found"))
    monkeypatch.setattr(sys, "argv", ["intertie", "offers", "--json"])
    with pytest.raises(SystemExit) as ended:
        main.app()
    assert ended.value.code == 4
    assert json.loads(capsys.readouterr().err)["status"] == 404


@pytest.mark.parametrize("outcome", [("done", 0), ("failed", 1), ("cancelled", 7)])
def test_run_ends_with_the_outcome_of_the_job(
    outcome: tuple[str, int], call: Call, answers: Answers
) -> None:
    a_whole_network(answers).on("GET", "jobs/job-000c", a_settled_job(outcome=outcome[0]))
    assert call("run", "--", "true").exit_code == outcome[1]


def test_run_says_outcome_cost_and_where_the_results_are(call: Call, answers: Answers) -> None:
    a_whole_network(answers)
    said = call("run", "--", "true").stdout
    assert "done" in said
    assert "0.012345 credits" in said
    assert "intertie results job-000c" in said


def test_interrupting_leaves_the_job_running_and_says_how_to_cancel(
    call: Call, answers: Answers
) -> None:
    def interrupt(request: httpx.Request) -> httpx.Response:
        raise KeyboardInterrupt

    a_whole_network(answers).on("GET", "jobs/job-000c/events", interrupt)
    found = call("run", "--", "true")
    assert found.exit_code == 130
    assert "intertie cancel job-000c" in found.stderr
    assert answers.sent("POST", "jobs/job-000c/cancel") == []


def test_books_that_are_wrong_end_with_one(call: Call, answers: Answers) -> None:
    wrong = CHECK.model_copy(update={"ok": False, "faults": ["transaction 3 does not balance"]})
    answers.on("GET", "ledger/check", wrong)
    found = call("ledger", "check")
    assert found.exit_code == 1
    assert "transaction 3 does not balance" in found.stdout


@pytest.mark.parametrize("lang", ["en", "zh-CN"])
def test_help_names_every_command_and_every_exit_code(lang: str, call: Call) -> None:
    said = call("--help", lang=lang).stdout
    for command in COMMANDS:
        assert command.words.split()[0] in said
    for code in ("0", "1", "2", "3", "4", "5", "6", "7", "130"):
        assert f"{code} " in said


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.words)
@pytest.mark.parametrize("lang", ["en", "zh-CN"])
def test_every_command_has_help_and_offers_json(
    command: main.Command, lang: str, call: Call
) -> None:
    found = call(*command.words.split(), "--help", lang=lang)
    assert found.exit_code == 0
    assert "--json" in found.stdout


def test_the_language_is_told_by_option_then_by_locale() -> None:
    assert startup_language(["--lang", "zh-CN", "jobs"], {}) == "zh-CN"
    assert startup_language(["jobs", "--lang=en"], {"LANG": "zh_CN.UTF-8"}) == "en"
    assert startup_language([], {"LC_ALL": "zh_CN.UTF-8", "LANG": "en_US"}) == "zh-CN"
    assert startup_language(["run", "--", "x", "--lang", "zh-CN"], {}) == "en"
    assert startup_language([], {"LANG": "C.UTF-8"}) == "en"


def test_help_comes_fast_and_without_the_heavy_libraries() -> None:
    code = (
        "import sys; sys.argv = ['intertie', '--help']\n"
        "from intertie.cli.main import app\n"
        "try: app()\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'numba', 'fastapi', 'sqlalchemy', 'httpx', 'pydantic', 'nicegui'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert time.monotonic() - began < 5


def test_the_manual_names_every_command_and_every_exit_code() -> None:
    manual = Path("docs/cli.md").read_text(encoding="utf-8")
    for command in COMMANDS:
        assert f"`{command.words.removesuffix(' list')}" in manual
    for code in exits.CODES:
        assert f"| {code} | {text('en', f'cli.exit.{code}')} |" in manual
