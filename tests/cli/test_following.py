"""Watching a job: whole lines above the live view, exact output elsewhere."""

import io
from typing import Any

import pytest
from rich.console import Console

from intertie.cli import following
from intertie.cli.session import Options, Session
from tests.cli.conftest import Call
from tests.cli.test_commands import a_whole_network
from tests.client.answers import Answers, page, stream
from tests.client.samples import a_job, a_settled_job, a_task, an_attempt, an_event


@pytest.fixture
def terminal(answers: Answers) -> tuple[Session, io.StringIO]:
    """Return a session on a terminal of a hundred columns, and what is on its screen."""
    screen = io.StringIO()
    session = Session(Options("en"))
    session.out = Console(file=screen, force_terminal=True, width=100)
    session.network = a_whole_network(answers).client()
    return session, screen


def test_the_output_of_a_single_task_stands_above_the_view_in_whole_lines(
    terminal: tuple[Session, io.StringIO],
) -> None:
    session, screen = terminal
    write = following._above_the_view(session)
    for piece in ("one\ntw", "o\n", "three"):
        write(piece)
    assert screen.getvalue() == "one\ntwo\n"
    write("")
    assert screen.getvalue() == "one\ntwo\nthree\n"


def test_output_elsewhere_is_passed_on_exactly_and_ends_its_last_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write = following._as_it_is()
    for piece in ("\x1b[1mbold\x1b[0m\r", "half", ""):
        write(piece)
    assert capsys.readouterr().out == "\x1b[1mbold\x1b[0m\rhalf\n"


def test_the_live_view_ends_with_the_last_state_by_provider(
    terminal: tuple[Session, io.StringIO], answers: Answers
) -> None:
    session, screen = terminal
    done = an_attempt(provider="night", state="settled", cause="exited")
    answers.on("GET", "jobs/job-000c", a_settled_job(task_count=2, tasks_by_state={"ended": 2}))
    tasks = [a_task(n, done, state="ended", outcome="done") for n in range(2)]
    answers.on("GET", "jobs/job-000c/tasks", page(*tasks))
    ended = following.watch(session, a_job(task_count=2))
    assert ended.state == "settled"
    last = screen.getvalue().rpartition("job-000c digits")[2]
    assert "2 of 2 tasks ended" in last
    assert "night" in last


def test_without_a_terminal_each_event_is_a_line(call: Call, answers: Answers) -> None:
    a_whole_network(answers)
    rows: list[tuple[str, str, Any]] = [
        (
            str(n),
            "job",
            an_event(n, "task_started", task=n, provider="west").model_dump(mode="json"),
        )
        for n in range(2)
    ]
    answers.on("GET", "jobs/job-000c/events", stream(*rows, ("", "end", {})))
    found = call("run", "--array", "2", "--", "true")
    assert "task 0 running at west" in found.stderr
    assert "task 1 running at west" in found.stderr
