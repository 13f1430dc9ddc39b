"""The operators' page: who leads, how rounds go, what waits, and what needs attention."""

from collections.abc import Sequence
from typing import Any

from nicegui import ui

from intertie.client import Intertie
from intertie.console.frame import Frame
from intertie.console.network import AXIS, COLOURS, GREY
from intertie.console.parts import STATE_COLOURS, bar, facts, heading, note, section
from intertie.console.speech import DASH, Speech, credits_of, number_of
from intertie.console.tables import Cell, Column, Row, Table, by_number
from intertie.wire.operations import AgentState, CountsView, OperationsView, RoundSpan

SPAN_MS, SPANS = 5_000, 60
WAIT_MS_MAX = 5_000
BEHIND_MAX = 100
POOL_COLOURS = {
    "joining": "#90a4ae",
    "online": "#2e8b57",
    "draining": "#f0b429",
    "lost": "#c62828",
    "left": "#c3ceca",
}


def build(frame: Frame) -> None:
    """Build the page."""
    _Page(frame)


class _Page:
    """Parts that are drawn again when what they show has changed; charts move on in place."""

    def __init__(self, frame: Frame) -> None:
        self._speech = frame.speech
        say = frame.say
        heading(say("operations.title"))
        self._attention = ui.column().classes("w-full gap-1").props("role=status")
        self._facts = ui.column().classes("w-full")
        with ui.element("div").classes("console-charts"):
            with ui.element("div"):
                section(say("operations.rates"))
                self._rates = ui.echart(_chart()).classes("console-chart")
            with ui.element("div"):
                section(say("operations.times"))
                self._times = ui.echart(_chart()).classes("console-chart")
        self._states = ui.element("div").classes("console-charts")
        section(say("operations.agents"), say("operations.agents_note"))
        self._agents = Table(_agent_columns(frame.speech), say("network.no_pools"))
        with ui.element("div").classes("console-charts"):
            with ui.element("div"):
                section(say("operations.refusals"), say("operations.refusals_note"))
                self._refusals = Table(_refusal_columns(frame.speech), say("operations.none"))
            with ui.element("div"):
                section(say("operations.money"), say("operations.money_note"))
                self._money = Table(_money_columns(frame.speech), say("operations.uncounted"))
        frame.live(Intertie.operations, self._show, every_s=3.0)

    def _show(self, found: OperationsView) -> None:
        speech, counts = self._speech, found.counts
        self._attention.clear()
        with self._attention:
            _attention(found, speech)
        self._facts.clear()
        with self._facts:
            facts(_facts(found, speech))
        self._states.clear()
        with self._states:
            if counts is not None:
                _states(counts, speech)
        spans = counts.rounds if counts is not None else []
        _draw_rates(self._rates, spans, _ats(found), speech)
        _draw_times(self._times, spans, _ats(found), speech)
        self._agents.show([_agent_row(agent, found.now, speech) for agent in found.agents])
        refusals = counts.refusals if counts is not None else {}
        self._refusals.show([_refusal_row(code, count) for code, count in refusals.items()])
        balances = counts.balances_micro if counts is not None else {}
        self._money.show([_money_row(kind, micro, speech) for kind, micro in balances.items()])


def _attention(found: OperationsView, speech: Speech) -> None:
    """Say what an operator should look at, or that there is nothing."""
    said = _troubles(found, speech)
    if not said:
        note(speech.say("operations.well"))
    for line in said:
        ui.label(line).classes("console-banner")


def _troubles(found: OperationsView, speech: Speech) -> list[str]:
    say, counts = speech.say, found.counts
    lost = counts.pools.get("lost", 0) if counts is not None else 0
    failing, behind = found.webhooks.get("failing", 0), found.webhook_events_behind
    troubles = {
        "operations.no_leader": not found.leader.is_led,
        "operations.slow": found.inbox_oldest_ms > WAIT_MS_MAX,
        "operations.lost": lost,
        "operations.failing": failing,
        "operations.behind": 0 if failing else behind > BEHIND_MAX,
        "operations.disputes": counts.disputes if counts is not None else 0,
    }
    values = {
        "oldest_s": number_of(found.inbox_oldest_ms / 1000, 1),
        "waiting": found.inbox_waiting,
        "lost": lost,
        "failing": failing,
        "behind": behind,
        "disputes": counts.disputes if counts is not None else 0,
    }
    return [say(key, **values) for key, is_so in troubles.items() if is_so]


def _facts(found: OperationsView, speech: Speech) -> list[tuple[str, str]]:
    say, counts, leader = speech.say, found.counts, found.leader
    last = counts.rounds[-1] if counts is not None and counts.rounds else None
    # Rounds of a minute ago say nothing about now.
    is_now = last is not None and found.now - last.at < 4 * SPAN_MS
    return [
        (say("operations.leader"), leader.holder if leader.is_led else say("operations.nobody")),
        (say("operations.term"), number_of(leader.term)),
        (say("operations.round"), number_of(found.round)),
        (say("operations.round_at"), speech.moment(found.round_at)),
        (say("operations.rounds_per_s"), number_of(last.rounds_per_s if last and is_now else 0)),
        (say("operations.inbox_waiting"), number_of(found.inbox_waiting)),
        (say("operations.inbox_oldest"), number_of(found.inbox_oldest_ms / 1000, 1)),
        (say("operations.cores"), _cores(counts, speech)),
        (say("operations.webhooks"), number_of(sum(found.webhooks.values()))),
        (say("operations.webhooks_failing"), number_of(found.webhooks.get("failing", 0))),
        (say("operations.webhooks_behind"), number_of(found.webhook_events_behind)),
        (say("operations.expected"), _coverage(counts)),
        (say("operations.disputed"), number_of(counts.disputes if counts else None)),
    ]


def _coverage(counts: CountsView | None) -> str:
    """Return how many of the expected starts that were shown had the start in their range."""
    scored = sum(counts.expected_starts.values()) if counts is not None else 0
    if counts is None or not scored:
        return DASH
    share = 100 * counts.expected_starts.get("within", 0) / scored
    return f"{number_of(share, 1)} % ({number_of(scored)})"


def _cores(counts: CountsView | None, speech: Speech) -> str:
    if counts is None:
        return DASH
    held, lent = number_of(counts.held_cores), number_of(counts.lent_cores)
    return speech.say("value.of", part=held, whole=lent)


def _states(counts: CountsView, speech: Speech) -> None:
    for key, found, colours in (
        ("operations.jobs", counts.jobs, STATE_COLOURS),
        ("operations.tasks", counts.tasks, STATE_COLOURS),
        ("operations.leases", counts.leases, STATE_COLOURS),
        ("operations.pools", counts.pools, POOL_COLOURS),
    ):
        with ui.element("div"):
            section(speech.say(key))
            parts = [
                (speech.word("state", state), count, colours.get(state, GREY))
                for state, count in found.items()
                if state != "settled"  # they have left the river, and would hide the others
            ]
            bar(parts)
            if not any(count for _, count, _ in parts):
                note(speech.say("operations.none"))


def _agent_columns(speech: Speech) -> list[Column]:
    say = speech.say
    return [
        Column("provider", say("column.provider")),
        Column("pool", say("column.pool")),
        Column("state", say("column.state")),
        Column("silent", say("column.silent_s"), is_number=True),
        Column("seen", speech.clock("column.seen_at")),
        Column("lent", say("column.lent_cpus"), is_number=True),
        Column("id", say("column.agent_id")),
    ]


def _agent_row(agent: AgentState, now: int, speech: Speech) -> Row:
    silent_s = None if agent.seen_at is None else max(0, now - agent.seen_at) / 1000
    return {
        "provider": agent.provider,
        "pool": agent.pool,
        "state": speech.word("state", agent.state),
        "silent": by_number(silent_s, number_of(silent_s, 0)),
        "seen": Cell(speech.moment(agent.seen_at), agent.seen_at or 0),
        "lent": by_number(agent.lent_cores, number_of(agent.lent_cores)),
        "id": agent.id,
    }


def _refusal_columns(speech: Speech) -> list[Column]:
    return [
        Column("code", speech.say("column.reason"), is_wrapped=True),
        Column("count", speech.say("column.times"), is_number=True),
    ]


def _refusal_row(code: str, count: int) -> Row:
    return {"code": code, "count": by_number(count, number_of(count))}


def _money_columns(speech: Speech) -> list[Column]:
    return [
        Column("kind", speech.say("column.account")),
        Column("balance", speech.say("column.balance"), is_number=True),
    ]


def _money_row(kind: str, micro: int, speech: Speech) -> Row:
    return {
        "kind": speech.word("account", kind),
        "balance": by_number(micro, credits_of(micro)),
    }


def _draw_rates(chart: ui.echart, spans: list[RoundSpan], ats: list[int], speech: Speech) -> None:
    by_at = {span.at: span for span in spans}
    rounds = [by_at[at].rounds_per_s if at in by_at else 0 for at in ats]
    rows = [by_at[at].rows_per_s if at in by_at else 0 for at in ats]
    names = (speech.say("operations.line_rounds"), speech.say("operations.line_rows"))
    _draw(chart, ats, dict(zip(names, (rounds, rows), strict=True)), speech, "operations.per_s")


def _draw_times(chart: ui.echart, spans: list[RoundSpan], ats: list[int], speech: Speech) -> None:
    by_at = {span.at: span for span in spans}
    decide = [by_at[at].decide_ms if at in by_at else None for at in ats]
    commit = [by_at[at].commit_ms if at in by_at else None for at in ats]
    names = (speech.say("operations.line_decide"), speech.say("operations.line_commit"))
    _draw(chart, ats, dict(zip(names, (decide, commit), strict=True)), speech, "operations.ms")


def _ats(found: OperationsView) -> list[int]:
    """Return the instants of the spans that are shown, oldest first; the last one is over."""
    now = found.now
    if found.counts is not None and now - found.counts.at < 2 * SPAN_MS:
        now = found.counts.at  # what came since was not counted yet, and is not nothing
    last = now - now % SPAN_MS - SPAN_MS
    return [last - back * SPAN_MS for back in range(SPANS - 1, -1, -1)]


def _draw(
    chart: ui.echart,
    ats: list[int],
    lines: dict[str, Sequence[float | None]],
    speech: Speech,
    unit: str,
) -> None:
    chart.options["xAxis"]["data"] = [speech.moment(at)[-8:] for at in ats]
    chart.options["yAxis"]["name"] = speech.say(unit)
    chart.options["series"] = [
        {
            "type": "line",
            "name": name,
            "data": list(values),
            "showSymbol": False,
            "connectNulls": True,
            "lineStyle": {"width": 2},
            "itemStyle": {"color": colour},
        }
        for (name, values), colour in zip(lines.items(), COLOURS, strict=False)
    ]
    chart.update()


def _chart() -> dict[str, Any]:
    return {
        "tooltip": {"trigger": "axis", "renderMode": "richText"},
        "legend": {
            "bottom": 0,
            "icon": "roundRect",
            "itemHeight": 4,
            "itemWidth": 16,
            "textStyle": {"color": GREY},
        },
        "grid": {"left": 8, "right": 12, "top": 36, "bottom": 36, "containLabel": True},
        "xAxis": {
            "type": "category",
            "data": [],
            "axisLabel": {"color": GREY, "hideOverlap": True},
        },
        "yAxis": {"type": "value", "min": 0, **AXIS},
        "series": [],
        "animation": False,
    }
