"""Retries, idempotency keys, pages and problems."""

import httpx
import pytest

from intertie.client import BadInput, Intertie, NoAccess, NotFound, Refused, Unreachable
from tests.client.answers import URL, Answers, page, problem
from tests.client.samples import a_job, a_project, an_offer

SPEC = {"command": ["true"]}


def test_a_create_keeps_its_idempotency_key_over_retries() -> None:
    answers = Answers().on("POST", "jobs", httpx.ConnectError("gone"), problem(503, "x"), a_job())
    answers.client().submit(SPEC)
    keys = {each.headers["Idempotency-Key"] for each in answers.sent("POST", "jobs")}
    assert len(answers.sent("POST", "jobs")) == 3
    assert len(keys) == 1


def test_two_creates_have_different_idempotency_keys() -> None:
    answers = Answers().on("POST", "jobs", a_job())
    network = answers.client()
    network.submit(SPEC)
    network.submit(SPEC)
    keys = [each.headers["Idempotency-Key"] for each in answers.sent("POST", "jobs")]
    assert keys[0] != keys[1]


def test_a_caller_may_give_the_key_of_a_create() -> None:
    answers = Answers().on("POST", "jobs", a_job())
    answers.client().submit(SPEC, key="mine")
    assert answers.sent("POST", "jobs")[0].headers["Idempotency-Key"] == "mine"


def test_retry_after_is_waited_for_when_the_network_says_it() -> None:
    slow = problem(429, "too_many_requests")
    slow.headers["Retry-After"] = "3"
    answers = Answers().on("GET", "jobs/job-000c", slow, a_job())
    assert answers.client().job("job-000c").name == "digits"
    assert answers.slept_s == [3.0]


def test_a_network_that_never_answers_is_unreachable_after_bounded_tries() -> None:
    answers = Answers().on("GET", "me", httpx.ConnectError("refused"))
    with pytest.raises(Unreachable, match="did not answer"):
        answers.client().me()
    assert len(answers.requests) == 4


@pytest.mark.parametrize(
    ("status", "kind"), [(401, NoAccess), (403, NoAccess), (404, NotFound), (422, BadInput)]
)
def test_each_status_is_raised_under_its_own_name(status: int, kind: type[Exception]) -> None:
    answers = Answers().on("GET", "me", problem(status, "some_code", "why"))
    with pytest.raises(kind, match="why"):
        answers.client().me()


def test_a_refusal_is_raised_with_its_reason_and_its_way_out() -> None:
    way_out = {"code": "raise_budget", "values": {"to_micro": 5}, "text": "Raise the budget."}
    refusal = {"code": "over_budget", "values": {}, "text": "Too dear.", "relaxation": way_out}
    answers = Answers().on("POST", "jobs", problem(409, "refused", refusal=refusal))
    with pytest.raises(Refused) as caught:
        answers.client().submit(SPEC)
    assert caught.value.refusal is not None
    assert caught.value.refusal.code == "over_budget"
    assert "Raise the budget." in str(caught.value)


@pytest.mark.parametrize(("status", "code"), [(503, "network_busy"), (429, "asks_too_fast")])
def test_a_network_that_is_busy_is_unreachable_for_now_and_says_why(status: int, code: str) -> None:
    refusal = {"code": code, "values": {}, "text": "Too much at once."}
    answers = Answers().on("POST", "jobs", problem(status, "unavailable", refusal=refusal))
    with pytest.raises(Unreachable, match="Too much at once") as caught:
        answers.client().submit(SPEC)
    assert caught.value.refusal is not None
    assert caught.value.refusal.code == code


def test_an_answer_that_is_no_problem_document_still_says_its_status() -> None:
    answers = Answers().on("GET", "me", httpx.Response(418, html="<p>teapot</p>"))
    with pytest.raises(BadInput, match="HTTP 418 with text/html"):
        answers.client().me()


def test_an_error_is_not_asked_again() -> None:
    answers = Answers().on("GET", "me", problem(404, "not_found"))
    with pytest.raises(NotFound):
        answers.client().me()
    assert len(answers.requests) == 1


def test_pages_are_read_to_the_last_and_only_as_far_as_needed() -> None:
    first = page(an_offer(id="offer-0001"), an_offer(id="offer-0002"), following="offer-0002")
    answers = Answers().on("GET", "offers", first, page(an_offer(id="offer-0003")))
    offers = answers.client().offers()
    assert next(offers).id == "offer-0001"
    assert len(answers.requests) == 1
    assert [offer.id for offer in offers] == ["offer-0002", "offer-0003"]
    assert answers.requests[1].url.params["after"] == "offer-0002"


def test_bearer_and_language_go_with_every_request() -> None:
    answers = Answers().on("GET", "projects/project-0002", a_project())
    answers.client(lang="zh-CN").project("project-0002")
    assert answers.requests[0].headers["Authorization"] == "Bearer secret"
    assert answers.requests[0].headers["Accept-Language"] == "zh-CN"


def test_a_project_may_be_named_by_its_name() -> None:
    answers = Answers().on("GET", "projects", page(a_project()))
    answers.on("POST", "projects/project-0002/top-up", a_project(wallet_micro=2_500_000))
    assert answers.client().top_up("lab", "2.50").wallet_micro == 2_500_000
    assert answers.body("POST", "projects/project-0002/top-up") == {"amount": "2.5"}


def test_a_project_that_nobody_knows_is_not_found() -> None:
    answers = Answers().on("GET", "projects", page())
    with pytest.raises(NotFound, match="no project 'nobody'"):
        answers.client().top_up("nobody", 1)


def test_a_negative_amount_is_refused_before_it_is_sent() -> None:
    answers = Answers()
    with pytest.raises(BadInput, match="negative"):
        answers.client().top_up("project-0002", -1)
    assert answers.requests == []


def test_an_address_without_a_scheme_is_refused_with_its_form() -> None:
    with pytest.raises(Unreachable, match="write an address such as"):
        Intertie("localhost", "t")
    assert Intertie(f"{URL}/v1/", "t")._transport.url == URL
