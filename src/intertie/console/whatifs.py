"""The what-if page: an operator's own past under another policy, beside what happened."""

from nicegui import ui

from intertie.client import Intertie
from intertie.console.frame import Frame
from intertie.console.parts import heading, note, section
from intertie.console.speech import DASH, Speech, number_of
from intertie.console.tables import Column, Row, Table, by_number
from intertie.wire.whatifs import WhatIfView

WAYS = ("was", "as_is", "what_if")
BACKFILLS = ("fcfs", "first-fit", "easy", "easy-sjbf")
DAY_S = 24 * 3600
SHOWN = 5


def build(frame: Frame) -> None:
    """Build the page."""
    _Page(frame)


class _Page:
    """The question, and the latest answers; what is under way moves on by itself."""

    def __init__(self, frame: Frame) -> None:
        self._frame, say = frame, frame.say
        heading(say("what_if.title"))
        note(say("what_if.note"))
        with ui.row().classes("items-end"):
            self._days = ui.number(say("what_if.days"), value=30, min=0.01).props("outlined")
            self._backfill = ui.select(list(BACKFILLS), label="backfill", clearable=True)
            self._half_life = ui.number("fair_share_half_life_s", min=0, step=3600)
            self._ageing = ui.number("ageing_s", min=0, step=60)
            for each in (self._backfill, self._half_life, self._ageing):
                each.props("outlined").classes("w-48")
            ui.button(say("what_if.ask"), on_click=self._ask).props("no-caps unelevated")
        self._found = ui.column().classes("w-full")
        self._refresh = frame.live(_load, self._show, every_s=2.0)
        self._shown: list[WhatIfView] = []

    async def _ask(self) -> None:
        told = {
            "backfill": self._backfill.value,
            "fair_share_half_life_s": self._half_life.value,
            "ageing_s": self._ageing.value,
        }
        policy = {
            name: value if isinstance(value, str) else int(value)
            for name, value in told.items()
            if value is not None
        }
        span_s = max(1, int(float(self._days.value or 30) * DAY_S))
        await self._frame.ask(lambda network: network.ask_what_if(policy, span_s))
        await self._refresh()

    def _show(self, found: list[WhatIfView]) -> None:
        if found == self._shown:
            return
        self._shown = found
        self._found.clear()
        with self._found:
            for each in found:
                _answer(each, self._frame.speech)


def _load(network: Intertie) -> list[WhatIfView]:
    found = network.what_ifs()
    return [each for _, each in zip(range(SHOWN), found, strict=False)]


def _answer(found: WhatIfView, speech: Speech) -> None:
    say = speech.say
    fields = ", ".join(f"{name}={value}" for name, value in found.policy.items())
    section(fields or say("what_if.nothing"), _span(found, speech))
    if found.state in ("waiting", "running"):
        note(say(f"what_if.{found.state}", done=found.done, total=found.total))
        part = found.done / found.total if found.total else 0
        ui.linear_progress(part, show_value=False).props("aria-label=progress")
        return
    if found.state == "failed":
        ui.label(say("what_if.failed", error=found.error)).classes("console-banner")
        return
    measures = Table(_columns(speech, say("column.measure")), "")
    names = dict.fromkeys(name for way in WAYS for name in found.measures.get(way, {}))
    measures.show([_measure(name, found, speech) for name in names])
    projects = Table(_columns(speech, say("what_if.projects")), "")
    every = sorted({name for way in WAYS for name in found.projects.get(way, {})})
    projects.show([_project(name, found) for name in every])
    for why, jobs in found.left_out.items():
        note(say(f"what_if.left_out.{why}", jobs=jobs))


def _span(found: WhatIfView, speech: Speech) -> str:
    return f"{speech.moment(found.since)} – {speech.moment(found.until)}"


def _columns(speech: Speech, first: str) -> list[Column]:
    ways = [Column(way, speech.say(f"what_if.way.{way}"), is_number=True) for way in WAYS]
    return [Column("name", first, is_wrapped=True), *ways]


def _measure(name: str, found: WhatIfView, speech: Speech) -> Row:
    values = {way: found.measures.get(way, {}).get(name) for way in WAYS}
    shown = {way: by_number(value, _number(value)) for way, value in values.items()}
    return {"name": speech.say(f"what_if.measure.{name}"), **shown}


def _project(name: str, found: WhatIfView) -> Row:
    values = {way: found.projects.get(way, {}).get(name) for way in WAYS}
    return {"name": name} | {way: by_number(each, _number(each)) for way, each in values.items()}


def _number(value: float | None) -> str:
    return DASH if value is None else number_of(value, 0 if value == int(value) else 2)
