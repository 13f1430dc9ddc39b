"""The webhook commands as a person meets them."""

import json

import pytest

from intertie.cli import exits
from intertie.wire.webhooks import WebhookPing, WebhookView
from tests.cli.conftest import Call
from tests.client.answers import Answers, page
from tests.client.samples import AT

HOOK = WebhookView(
    id="webhook-0003",
    project="project-0002",
    url="https://example.org/hook",
    codes=["task_ended"],
    state="failing",
    failures=4,
    next_try_at=AT,
    last_error="HTTP 500 not today",
    created_at=AT,
)


def test_adding_prints_the_secret_and_asks_for_the_events_that_were_named(
    answers: Answers, call: Call
) -> None:
    answers.on("POST", "webhooks", HOOK.model_copy(update={"secret": "whsec_abc"}))
    words = ("webhook", "add", HOOK.url, "--event", "task_ended", "--event", "job_settled")
    found = call(*words)
    assert found.exit_code == exits.DONE
    assert "whsec_abc" in found.stdout
    assert answers.body("POST", "webhooks") == {
        "url": HOOK.url,
        "codes": ["task_ended", "job_settled"],
    }


def test_the_list_shows_state_and_last_error(answers: Answers, call: Call) -> None:
    answers.on("GET", "webhooks", page(HOOK))
    found = call("webhook", "list", lang="zh-CN")
    for word in ("webhook-0003", "失败，将重试", "not today", "task_ended"):
        assert word in found.stdout
    assert json.loads(call("webhook", "--json").stdout) == [HOOK.model_dump()]


def test_an_empty_list_says_how_to_add_one(answers: Answers, call: Call) -> None:
    answers.on("GET", "webhooks", page())
    assert "webhook add" in call("webhook").stdout
    assert json.loads(call("webhook", "--json").stdout) == []


def test_removing_a_webhook_says_so(answers: Answers, call: Call) -> None:
    answers.on("DELETE", "webhooks/webhook-0003", HOOK.model_copy(update={"state": "ended"}))
    assert "webhook-0003" in call("webhook", "remove", "webhook-0003").stdout
    assert len(answers.sent("DELETE", "webhooks/webhook-0003")) == 1


@pytest.mark.parametrize(
    ("ping", "code", "said"),
    [
        (WebhookPing(is_delivered=True, status=204, took_ms=31), exits.DONE, "HTTP 204, 31 ms"),
        (
            WebhookPing(is_delivered=False, status=0, took_ms=9, error="no route"),
            exits.JOB_FAILED,
            "no route",
        ),
    ],
)
def test_the_exit_code_of_a_test_says_whether_it_was_taken(
    ping: WebhookPing, code: int, said: str, answers: Answers, call: Call
) -> None:
    answers.on("POST", "webhooks/webhook-0003/test", ping)
    found = call("webhook", "test", "webhook-0003")
    assert found.exit_code == code
    assert said in found.stdout
