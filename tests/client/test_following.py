"""Following: events and logs survive a broken connection, and waiting ends."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intertie.client import Unreachable, WaitTimeout
from intertie.client.streams import ServerEvent, parse
from tests.client.answers import Answers, problem, stream
from tests.client.samples import a_job, a_settled_job, an_event

EVENTS, LOGS = "jobs/job-000c/events", "jobs/job-000c/tasks/0/logs"


def as_stream(*numbers: int, ends: bool = False) -> httpx.Response:
    rows = [(str(n), "job", an_event(n).model_dump(mode="json")) for n in numbers]
    return stream(*rows, *([("", "end", {})] if ends else []))


def test_an_event_stream_ends_with_its_end() -> None:
    answers = Answers().on("GET", EVENTS, as_stream(1, 2, ends=True))
    events = answers.client().events("job-000c", follow=True)
    assert [event.number for event in events] == [1, 2]


def test_a_broken_stream_is_continued_after_the_last_event() -> None:
    answers = Answers().on("GET", "jobs/job-000c", a_job())
    answers.on("GET", EVENTS, as_stream(1, 2), httpx.ReadError("lost"), as_stream(3, ends=True))
    events = answers.client().events("job-000c", follow=True)
    assert [event.number for event in events] == [1, 2, 3]
    asked = [each.headers.get("Last-Event-ID") for each in answers.sent("GET", EVENTS)]
    assert asked == [None, "2", "2"]


def test_a_stream_that_closes_on_a_settled_job_is_over() -> None:
    answers = Answers().on("GET", EVENTS, as_stream(1)).on("GET", "jobs/job-000c", a_settled_job())
    assert len(list(answers.client().events("job-000c", follow=True))) == 1


def test_a_stream_that_never_opens_is_unreachable() -> None:
    answers = Answers().on("GET", EVENTS, httpx.ConnectError("refused"))
    with pytest.raises(Unreachable):
        list(answers.client().events("job-000c", follow=True))


def test_a_stream_that_is_refused_raises_the_problem() -> None:
    answers = Answers().on("GET", EVENTS, problem(404, "not_found", "no such job"))
    with pytest.raises(Exception, match="no such job"):
        list(answers.client().events("job-000c", follow=True))


def test_waiting_ends_when_the_job_has_settled() -> None:
    heard = []
    answers = Answers().on("GET", EVENTS, as_stream(1, 2, ends=True))
    answers.on("GET", "jobs/job-000c", a_job(state="ended", outcome="done"), a_settled_job())
    job = answers.client().wait("job-000c", heard.append)
    assert job.state == "settled"
    assert [event.number for event in heard] == [1, 2]


def test_waiting_longer_than_asked_says_that_the_job_runs_on() -> None:
    answers = Answers().on("GET", EVENTS, as_stream(1)).on("GET", "jobs/job-000c", a_job())
    with pytest.raises(WaitTimeout, match="runs on"):
        answers.client().wait("job-000c", timeout_s=0)


def test_a_log_is_continued_at_the_byte_where_it_broke() -> None:
    first = stream(("", "log", {"offset": 0, "text": "héllo "}))
    second = stream(("", "log", {"offset": 7, "text": "world"}), ("", "end", {}))
    answers = Answers().on("GET", LOGS, first, second).on("GET", "jobs/job-000c", a_job())
    assert "".join(answers.client().logs("job-000c", follow=True)) == "héllo world"
    assert [each.url.params["offset"] for each in answers.sent("GET", LOGS)] == ["0", "7"]


def test_a_log_without_following_is_one_text() -> None:
    answers = Answers().on("GET", LOGS, httpx.Response(200, text="done\n"))
    assert list(answers.client().logs("job-000c", attempt=2)) == ["done\n"]
    assert answers.requests[0].url.params["attempt"] == "2"


@given(st.lists(st.text(max_size=20), max_size=5), st.data())
def test_events_are_the_same_however_the_bytes_are_cut(
    texts: list[str], data: st.DataObject
) -> None:
    kept = [text.replace("\r", "").replace("\n", "") for text in texts]
    whole = "".join(f": beat\nid: {n}\ndata: {text}\n\n" for n, text in enumerate(kept)).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    chunks = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    found = list(parse(chunks))
    assert found == [ServerEvent("message", text, str(n)) for n, text in enumerate(kept)]
