"""Both catalogues say the same things, and values look alike everywhere."""

import re

import pytest

from intertie.catalogue.texts import (
    credits_of,
    duration_of,
    keys,
    languages,
    moment_of,
    negotiate,
    number_of_milli,
    placeholders,
    size_of,
    text,
)
from intertie.model import states


def test_every_language_has_the_same_keys_with_the_same_placeholders() -> None:
    first, *others = languages()
    for other in others:
        assert set(keys(first)) == set(keys(other))
        differ = [
            key
            for key in keys(first)
            if placeholders(keys(first)[key]) != placeholders(keys(other)[key])
        ]
        assert differ == []


def test_no_text_is_empty_or_left_in_the_other_language() -> None:
    same = []
    for key, chinese in keys("zh-CN").items():
        assert chinese.strip()
        if not re.search(r"[一-鿿]", chinese) and len(re.sub(r"\{.*?\}", "", chinese)) > 3:
            same.append(key)
    assert same == []


@pytest.mark.parametrize("lang", languages())
def test_every_state_outcome_and_cause_of_the_model_has_a_word(lang: str) -> None:
    known = keys(lang)
    for table in states.NEXT:
        for state in table:
            assert f"state.{state.name.lower()}" in known
    for outcome in states.Outcome:
        assert f"outcome.{outcome.name.lower()}" in known
    for cause in states.Cause:
        assert f"cause.{cause.name.lower()}" in known


def test_a_missing_key_or_value_raises() -> None:
    with pytest.raises(KeyError):
        text("en", "refusal.no_such_code")
    with pytest.raises(KeyError):
        text("en", "refusal.over_budget", needs_micro=1)
    with pytest.raises(KeyError):
        text("xx", "refusal.no_offers")


def test_the_last_word_of_a_placeholder_is_its_unit() -> None:
    said = text("en", "refusal.over_budget", needs_micro=2_500_000, budget_micro=1)
    assert said == "The job would cost 2.50 credits; its budget is 0.000001 credits."
    assert "1.5 GiB" in text("en", "relaxation.less_memory", to_bytes=3 * 2**29)
    assert "2 h 5 min" in text("en", "relaxation.wait", about_s=7503)
    assert "2 小时 5 分" in text("zh-CN", "relaxation.wait", about_s=7503)
    assert "0.5 cpus" in text("en", "relaxation.fewer_cpus", to_milli=500)
    assert "20 ms" in text("en", "relaxation.allow_latency", to_ms=20)


def test_counts_agree_with_their_noun() -> None:
    assert "1 task ahead" in text("en", "refusal.queued_behind", ahead=1)
    assert "2 tasks ahead" in text("en", "refusal.queued_behind", ahead=2)


def test_words_of_the_contract_are_spoken_in_the_language() -> None:
    assert "内存限额" in text("zh-CN", "refusal.not_enforced", ability="memory_limit")
    assert "magic" in text("zh-CN", "refusal.not_enforced", ability="magic")


def test_an_empty_value_leaves_no_gap() -> None:
    said = text("en", "refusal.needs_software", stack="python", version="")
    assert said == "The software python is not offered here."


@pytest.mark.parametrize(
    ("header", "lang"),
    [
        ("zh-TW,zh;q=0.9,en;q=0.1", "zh-CN"),
        ("en-GB,zh;q=0.5", "en"),
        ("fr,zh;q=0.5", "zh-CN"),
        ("zh_CN.UTF-8", "zh-CN"),
        ("C.UTF-8", "en"),
        ("zh;q=0, en", "en"),
        ("*;q=..,;;,", "en"),
        (None, "en"),
    ],
)
def test_the_best_language_is_negotiated(header: str | None, lang: str) -> None:
    assert negotiate(header) == lang


def test_values_look_alike_everywhere() -> None:
    assert credits_of(1_234_567_891_000, "en") == "1,234,567.891 credits"
    assert credits_of(-5, None) == "-0.000005"
    assert [size_of(n) for n in (5, 2048, 2**30)] == ["5 B", "2 KiB", "1 GiB"]
    assert [duration_of(s) for s in (0, 0.44, 60, 3600, 90_061)] == [
        "0 s",
        "0.4 s",
        "1 min",
        "1 h",
        "1 d 1 h",
    ]
    assert [number_of_milli(n) for n in (500, 4000, 10_000_000)] == ["0.5", "4", "10000"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", moment_of(0))
