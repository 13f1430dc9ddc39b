"""Log lines: one object each, one id through the river, no secrets, and cheap."""

import io
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from intertie.control.logs import configure, log, tell_round, without_secrets
from intertie.wire.jobspec import JobSpec
from intertie.world.changes import Changes
from tests.api.network import Agent, Network, wait_until

Line = dict[str, Any]
Lines = Callable[[], list[Line]]
SECRET = "correct-horse-battery"
LATE = 10**9  # a round that no network of these tests comes to


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where log lines go within a test; what was configured before is put back."""
    known, root = structlog.get_config(), logging.getLogger()
    handlers, level, hooks = root.handlers[:], root.level, (sys.excepthook, threading.excepthook)
    yield io.StringIO()
    structlog.configure(**known)
    root.handlers[:], (sys.excepthook, threading.excepthook) = handlers, hooks
    root.setLevel(level)
    logging.getLogger("intertie").setLevel(logging.NOTSET)
    logging.captureWarnings(False)


@pytest.fixture
def lines(stream: io.StringIO) -> Lines:
    configure("door", "debug", True, stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture(scope="module")
def agent(network: Network) -> Agent:
    return network.pool("told")


def test_one_id_follows_a_job_from_its_request_to_its_settlement(
    network: Network, agent: Agent, lines: Lines
) -> None:
    project = network.project("traced")
    answer = project.http.post(
        "/jobs", json={"spec": {"command": ["true"], "time_limit": "1m", "expected": "1s"}}
    )
    job = answer.json()["id"]
    [lease] = agent.take()
    agent.run(lease)
    agent.end(lease)

    def about() -> list[Line]:
        return [line for line in lines() if line.get("job") == job]

    wait_until(lambda: "job settled" in [line["event"] for line in about()])
    told = [(line["level"], line["event"]) for line in about()]
    for expected in ("appended", "job queued", "job started", "job ended", "job settled"):
        assert ("info", expected) in told
    for expected in ("task placed", "task started", "task ended"):
        assert ("debug", expected) in told
    first = about()[0]
    assert first["request"] == answer.headers["X-Intertie-Request"]
    assert first["project"] == project.id
    placed = next(line for line in about() if line["event"] == "task placed")
    assert (placed["lease"], placed["agent"]) == (lease["lease"], agent.id)
    assert placed["round"] > 0
    ended = next(line for line in about() if line["event"] == "job ended")
    assert ended["outcome"] == "done"
    assert all(line["at"].endswith("Z") and line["process"] == "door" for line in lines())


def test_a_refusal_is_told_with_its_code_and_the_job_that_was_asked_for(
    network: Network, lines: Lines
) -> None:
    project = network.project("refused")
    spec = {"command": ["true"], "time_limit": "1m", "resources": {"cpus": 4_000}}
    assert project.http.post("/jobs", json={"spec": spec}).status_code == 422
    [line] = [each for each in lines() if each["event"] == "refused"]
    assert line["code"]
    assert line["job"].startswith("job-")
    assert line["project"] == project.id


def test_no_line_holds_a_token_a_signature_or_an_environment(
    network: Network, agent: Agent, stream: io.StringIO
) -> None:
    configure("door", "debug", True, stream)
    project = network.project("discreet")
    project.submit(environment={"PASSWORD": SECRET})
    [lease] = agent.take()
    agent.run(lease)
    agent.end(lease)
    project.http.get("/nowhere", params={"token": project.token})
    told = stream.getvalue()
    assert "appended" in told
    for secret in (SECRET, project.token, network.operator, lease["body"]["attempt_token"], "itk_"):
        assert secret not in told


def test_an_error_is_told_without_the_values_that_it_repeats(lines: Lines) -> None:
    engine = create_engine("sqlite://")
    try:
        with engine.connect() as connection:
            connection.execute(text("INSERT INTO nowhere VALUES (:body)"), {"body": SECRET})
    except DBAPIError as error:
        log.error("failed", exc_info=error)
    engine.dispose()
    try:
        JobSpec.model_validate({"command": ["true"], "environment": {"A": [SECRET]}})
    except ValueError as error:
        log.error("failed", exc_info=error)
    log.warning(f"went to postgresql://intertie:{SECRET}@localhost/ with itk_project_{SECRET}")
    told = [line for line in lines() if line["level"] in ("error", "warning")]
    assert len(told) == 3
    assert "nowhere" in told[0]["exception"]
    assert "JobSpec" in told[1]["exception"]
    assert SECRET not in json.dumps(told)


def test_secrets_are_taken_out_of_texts_and_nothing_else() -> None:
    kept = "job-000c failed at https://example.org/a with token 3: [parameters] are listed"
    assert without_secrets(kept) == kept
    assert without_secrets("Bearer abc.def") == "Bearer …"
    assert without_secrets("ita_1.2.3.deadbeef!") == "…!"


def test_what_libraries_log_comes_into_the_same_lines(lines: Lines) -> None:
    logging.getLogger("uvicorn.error").warning("%s is odd", "it")
    logging.getLogger("sqlalchemy").info("not heard")
    [line] = lines()
    assert (line["event"], line["logger"], line["level"]) == (
        "it is odd",
        "uvicorn.error",
        "warning",
    )


def test_a_thread_that_breaks_is_one_line(lines: Lines) -> None:
    def break_down() -> None:
        raise ValueError("no")

    thread = threading.Thread(target=break_down, name="fragile")
    thread.start()
    thread.join()
    [line] = [each for each in lines() if "thread" in each]
    assert (line["event"], line["thread"]) == ("a thread broke", "fragile")
    assert line["exception"].endswith("ValueError: no\n")


def test_an_answer_500_names_the_request_under_which_it_was_noted(
    network: Network, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    from intertie.api import network as room

    def break_down(*_: Any) -> Any:
        raise RuntimeError("broken for a test")

    monkeypatch.setattr(room, "offer_views", break_down)
    with network.client(network.operator) as operator:
        answer = operator.get("/offers")
    assert answer.status_code == 500
    known_as = answer.headers["X-Intertie-Request"]
    assert known_as in answer.json()["detail"]
    [line] = [each for each in lines() if each["event"] == "failed"]
    assert line["request"] == known_as
    assert "broken for a test" in line["exception"]


def test_what_happens_to_each_task_is_told_only_when_debugging(stream: io.StringIO) -> None:
    changes = Changes()
    changes.event(12, "job_started")
    for task in range(1_000):
        changes.event(12, "task_started", task=task, pool=3, lease=task + 1)

    def told() -> list[str]:
        every = [json.loads(line) for line in stream.getvalue().splitlines()]
        return [line["event"] for line in every if line.get("round") == LATE]

    configure("decider", "info", True, stream)
    tell_round(LATE, [], changes, 0.001, 0.002)
    assert told() == ["job started"]
    configure("decider", "debug", True, stream)
    tell_round(LATE, [], changes, 0.001, 0.002)
    assert told()[1:] == ["round committed", "job started", *["task started"] * 1_000]


def test_a_level_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="choose one of debug, info, warning, error"):
        configure("door", "loud")


def test_people_get_words_and_pipes_get_objects(stream: io.StringIO) -> None:
    configure("door", "info", False, stream)
    log.info("appended", job="job-000c")
    assert "appended" in stream.getvalue()
    assert not stream.getvalue().startswith("{")
    configure("door", "info", None, stream)  # a StringIO is no terminal
    log.info("appended", job="job-000c")
    assert json.loads(stream.getvalue().splitlines()[-1])["job"] == "job-000c"


def test_two_requests_have_two_ids(network: Network) -> None:
    with network.client() as http:
        found = {http.get("/health").headers["X-Intertie-Request"] for _ in range(3)}
    assert len(found) == 3
