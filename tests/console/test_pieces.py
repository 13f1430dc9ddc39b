"""The parts of the console that need no browser."""

import re
from pathlib import Path

import pytest

from intertie.catalogue.texts import has_text, languages, text
from intertie.client import BadInput, Intertie, SpecError
from intertie.console import visitors
from intertie.console.pasted import EXAMPLE, TEXT_MAX, read_pasted
from intertie.console.speech import Speech, credits_of, negotiate, number_of, plain_line, zone_of
from intertie.console.visitors import Visitors
from intertie.wire.parties import WhoAmI

HOUSE = Path(__file__).resolve().parents[2] / "src" / "intertie" / "console"


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every token is known."""
    who = WhoAmI(role="project", id="project-0001", name="alpha", network="n", version="1")
    monkeypatch.setattr(Intertie, "me", lambda self: who)


# Said by a name that a what-if answers with.
WHAT_IF = (
    "what_if.way.",
    "what_if.measure.",
    "what_if.left_out.",
    "what_if.waiting",
    "what_if.running",
)


def test_every_text_of_the_console_is_there_in_every_language() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in HOUSE.glob("*.py"))
    said = set(re.findall(r"(?:say|clock|_tell)\(\s*\"([a-z_.]+)\"", sources))
    said |= set(re.findall(r"\"((?:nav|network|quote|value|unit|jobs|submit)\.[a-z_]+)\"", sources))
    assert len(said) > 100
    missing = [
        (lang, key)
        for lang in languages()
        for key in sorted(said)
        if not has_text(lang, f"console.{key}")
    ]
    assert missing == []


def test_no_text_of_the_console_is_left_over() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in HOUSE.glob("*.py"))
    from intertie.catalogue.texts import keys

    mine = {key.removeprefix("console.") for key in keys("en") if key.startswith("console.")}
    families = ("option.", "role.", "file_kind.", "problem.", "language.", *WHAT_IF)
    unsaid = {key for key in mine if f'"{key}"' not in sources and not key.startswith(families)}
    assert unsaid == set()


def test_an_empty_token_never_borrows_one_from_this_machine(
    monkeypatch: pytest.MonkeyPatch, known: None
) -> None:
    monkeypatch.setenv("INTERTIE_TOKEN", "itk_operator_secret")
    for token in ("", " ", "a b", "令牌", "x" * 513, "a\nb"):
        with pytest.raises(BadInput):
            Visitors("http://127.0.0.1:9").sign_in(token, "en")


def test_a_visitor_is_forgotten_when_idle_and_when_signed_out(known: None) -> None:
    clock = Clock()
    everyone = Visitors("http://127.0.0.1:9", clock)
    key = everyone.sign_in("itk_a", "en")
    clock.now_s += visitors.IDLE_S
    assert everyone.find(key) is not None
    clock.now_s += visitors.IDLE_S + 1
    assert everyone.find(key) is None
    key = everyone.sign_in("itk_a", "en")
    everyone.sign_out(key)
    assert everyone.find(key) is None
    assert everyone.find(None) is None


def test_the_example_is_a_spec_that_the_wire_takes() -> None:
    spec = read_pasted(EXAMPLE)
    assert spec.array is not None
    assert spec.array.tasks()[0] == 2


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("", "write fields"),
        ("- a", "write fields"),
        ("1: a", "write fields"),
        ("script: [", "not valid YAML at line 1"),
        ("script: x\nworkdir: /etc", "page cannot read your folders"),
        ("script: x\nworkdir: " + "../" * 21 + "x", "page cannot read your folders"),
        ("script: x\nworkdir: {a: b}", "page cannot read your folders"),
        ("a: &a [x]\nb: [*a, *a]", "anchors"),
        ("script: !!python/object:os.system x", "not valid YAML"),
        ("a: " + "[" * 5000, "nested too deeply"),
        ("when: 2026-13-45", "valid"),
        ("x" * (TEXT_MAX + 1), "longer"),
        ("script: x\nbudget: -1", "budget"),
    ],
)
def test_a_wrong_text_is_refused_with_its_reason(written: str, told: str) -> None:
    with pytest.raises((SpecError, BadInput)) as refused:
        read_pasted(written)
    assert told in str(refused.value)


def test_terminal_tricks_in_a_log_line_become_plain_text() -> None:
    assert plain_line("\x1b[32mgreen\x1b[0m") == "green"
    assert plain_line(" 10%\r 50%\r100%") == "100%"
    assert plain_line("windows\r") == "windows"
    assert plain_line("\x1b]0;title\x07 <b>") == "0;title <b>"


def test_numbers_are_exact_and_absent_ones_are_a_dash() -> None:
    assert credits_of(1) == "0.000001"
    assert credits_of(2_500_000) == "2.50"
    assert credits_of(1_234_500_000) == "1,234.50"
    assert credits_of(None) == number_of(None) == "–"
    assert number_of(0.5, 3) == "0.5"
    assert number_of(100, 0) == "100"


def test_the_first_language_that_there_is_wins() -> None:
    there = ("en", "zh-CN")
    assert negotiate("zh-TW,zh;q=0.9,en;q=0.5", there) == "zh-CN"
    assert negotiate("fr, en;q=0.3, zh;q=0.7", there) == "zh-CN"
    assert negotiate("fr", there) == negotiate("", there) == "en"


def test_an_instant_is_shown_by_the_visitors_clock() -> None:
    speech = Speech(text, "en", zone_of("Asia/Shanghai"))
    assert speech.moment(0) == "1970-01-01 08:00:00"
    assert speech.clock("column.at") == "Booked (UTC+08:00)"
    assert zone_of("../../etc/passwd") is None
    assert zone_of("No/Where") is None
