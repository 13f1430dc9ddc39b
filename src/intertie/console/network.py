"""The network page: who offers what, at which price and speed, and how much of it is free."""

from typing import Any

from nicegui import ui

from intertie.client import Intertie
from intertie.console.frame import Frame
from intertie.console.parts import heading, note, section
from intertie.console.speech import DASH, Speech, credits_of, gib_of, number_of
from intertie.console.tables import Cell, Column, Row, Table, by_number
from intertie.wire.market import OfferView
from intertie.wire.parties import PoolView, ProviderView

Found = tuple[list[OfferView], list[ProviderView]]
GREY = "#7b8a89"  # legible on light and on dark
# Grey at a third of its strength, which suits light and dark.
AXIS = {
    "axisLabel": {"color": GREY, "interval": 0},
    "nameTextStyle": {"color": GREY},
    "splitLine": {"lineStyle": {"color": "rgba(128, 128, 128, 0.3)"}},
}
COLOURS = ("#1f6fd1", "#2e8b57", "#c3ceca")


def build(frame: Frame) -> None:
    """Build the page."""
    say = frame.say
    heading(say("network.title"))
    charts = ui.element("div").classes("console-charts")
    section(say("network.offers"), say("network.offers_note"))
    offers = Table(_offer_columns(frame.speech), say("network.no_offers"))
    section(say("network.abilities"))
    abilities = Table(_ability_columns(frame.speech), "")
    section(say("network.pools"))
    pools = Table(_pool_columns(frame.speech), say("network.no_pools"))
    earned = ui.column().classes("w-full")

    def show(found: Found) -> None:
        offered, providers = found
        offers.show([_offer_row(offer, frame.speech) for offer in offered])
        abilities.show([_ability_row(offer, frame.speech) for offer in offered])
        pools.show([_pool_row(p, pool, frame.speech) for p in providers for pool in p.pools])
        charts.clear()
        with charts:
            _charts(offered, providers, frame.speech)
        earned.clear()
        with earned:
            _earnings(providers, frame)

    frame.live(_load, show, every_s=4.0)


def _load(network: Intertie) -> Found:
    return list(network.offers()), list(network.providers())


def _offer_columns(speech: Speech) -> list[Column]:
    say = speech.say
    return [
        Column("provider", say("column.provider")),
        Column("pool", say("column.pool")),
        Column("state", say("column.state")),
        Column("price", say("column.price_unit_h"), is_number=True),
        Column("price_su", say("column.price_su"), is_number=True),
        Column("score", say("column.score"), is_number=True),
        Column("free", say("column.units_free"), is_number=True),
        Column("wait", say("column.wait_s"), is_number=True),
        Column("latency", say("column.latency_ms"), is_number=True),
        Column("region", say("column.region")),
        Column("device", say("column.device_class")),
        Column("grace", say("column.grace_s"), is_number=True),
    ]


def _ability_columns(speech: Speech) -> list[Column]:
    say = speech.say
    return [
        Column("provider", say("column.provider")),
        Column("pool", say("column.pool")),
        Column("abilities", say("column.abilities"), is_wrapped=True),
        Column("not_enforced", say("column.not_enforced"), is_wrapped=True),
        Column("software", say("column.software"), is_wrapped=True),
    ]


def _offer_row(offer: OfferView, speech: Speech) -> Row:
    per_su = offer.price_micro_per_su
    free = speech.say(
        "value.of", part=number_of(offer.units_free), whole=number_of(offer.units_total)
    )
    return {
        "provider": offer.provider,
        "pool": offer.pool,
        "state": speech.word("state", offer.pool_state),
        "price": by_number(offer.price_micro_per_unit_h, credits_of(offer.price_micro_per_unit_h)),
        "price_su": by_number(per_su, credits_of(per_su)),
        "score": _marked(offer.score, number_of(offer.score, 3), offer.score_source, speech),
        "free": by_number(offer.units_free, free),
        "wait": by_number(offer.expected_wait_s, str(offer.expected_wait_s)),
        "latency": _marked(offer.latency_ms, str(offer.latency_ms), offer.latency_source, speech),
        "region": offer.region or DASH,
        "device": offer.device_class or speech.say("network.cpu_core"),
        "grace": by_number(offer.grace_s, str(offer.grace_s)),
    }


def _ability_row(offer: OfferView, speech: Speech) -> Row:
    return {
        "provider": offer.provider,
        "pool": offer.pool,
        "abilities": speech.words("ability", offer.abilities),
        "not_enforced": speech.words("ability", offer.not_enforced),
        "software": speech.say("list.comma").join(
            f"{stack} {version}" for stack, version in offer.software.items()
        )
        or DASH,
    }


def _marked(value: float | None, shown: str, source: str, speech: Speech) -> Cell:
    """Return a cell that says where its number comes from."""
    if value is None:
        return by_number(None, DASH)
    return by_number(value, speech.say("value.sourced", value=shown, source=source))


def _pool_columns(speech: Speech) -> list[Column]:
    say = speech.say
    return [
        Column("provider", say("column.provider")),
        Column("pool", say("column.pool")),
        Column("state", say("column.state")),
        Column("engine", say("column.engine")),
        Column("used", say("column.used_cpus"), is_number=True),
        Column("lent", say("column.lent_cpus"), is_number=True),
        Column("cpus", say("column.cpus"), is_number=True),
        Column("devices", say("column.devices"), is_number=True),
        Column("memory", say("column.memory_gib"), is_number=True),
        Column("leases", say("column.leases"), is_number=True),
        Column("seen", speech.clock("column.seen_at")),
    ]


def _pool_row(provider: ProviderView, pool: PoolView, speech: Speech) -> Row:
    blocked = speech.say("network.blocked") if provider.is_blocked else ""
    part, whole = str(pool.used_devices), str(pool.lent_devices)
    devices = speech.say("value.of", part=part, whole=whole) if pool.devices else DASH
    return {
        "provider": f"{provider.name}{blocked}",
        "pool": pool.name,
        "state": speech.word("state", pool.state),
        "engine": pool.engine,
        "used": by_number(pool.used_cpus, number_of(pool.used_cpus)),
        "lent": by_number(pool.lent_cpus, number_of(pool.lent_cpus)),
        "cpus": by_number(pool.cpus, number_of(pool.cpus)),
        "devices": by_number(pool.lent_devices, devices),
        "memory": by_number(pool.memory_bytes, gib_of(pool.memory_bytes)),
        "leases": by_number(pool.leases, str(pool.leases)),
        "seen": Cell(speech.moment(pool.seen_at), pool.seen_at or 0),
    }


def _earnings(providers: list[ProviderView], frame: Frame) -> None:
    """Show what providers have earned, to whom the network tells it."""
    told = [provider for provider in providers if provider.earned_micro is not None]
    if not told:
        return
    section(frame.say("network.earned"))
    columns = [
        Column("provider", frame.say("column.provider")),
        Column("earned", frame.say("column.earned"), is_number=True),
    ]
    rows: list[Row] = [
        {"provider": p.name, "earned": by_number(p.earned_micro, credits_of(p.earned_micro))}
        for p in told
    ]
    Table(columns, "").show(rows)


def _charts(offers: list[OfferView], providers: list[ProviderView], speech: Speech) -> None:
    priced = [offer for offer in offers if offer.price_micro_per_su is not None]
    if priced:
        with ui.element("div"):
            section(speech.say("network.chart_price"))
            ui.echart(_price_chart(priced, speech)).classes("console-chart")
    pools = [(provider.name, pool) for provider in providers for pool in provider.pools]
    if pools:
        with ui.element("div"):
            section(speech.say("network.chart_capacity"))
            ui.echart(_capacity_chart(pools, speech)).classes("console-chart")
    if not offers and not pools:
        note(speech.say("network.no_pools"))


def _price_chart(offers: list[OfferView], speech: Speech) -> dict[str, Any]:
    values = [(offer.price_micro_per_su or 0) / 1_000_000 for offer in offers]
    bars = {
        "type": "bar",
        "name": speech.say("column.price_su"),
        "data": values,
        "barMaxWidth": 48,
        "itemStyle": {"color": COLOURS[1]},
        "label": {"show": True, "position": "top", "color": GREY},
    }
    names = [f"{offer.provider}\n{offer.pool}" for offer in offers]
    return _chart(names, [bars], speech.say("unit.credits_su"))


def _capacity_chart(pools: list[tuple[str, PoolView]], speech: Speech) -> dict[str, Any]:
    parts = {
        "network.cpus_used": [pool.used_cpus for _, pool in pools],
        "network.cpus_free": [max(0.0, pool.lent_cpus - pool.used_cpus) for _, pool in pools],
        "network.cpus_kept": [max(0.0, pool.cpus - pool.lent_cpus) for _, pool in pools],
    }
    series = [
        {
            "type": "bar",
            "stack": "cpus",
            "name": speech.say(key),
            "data": [round(value, 3) for value in values],
            "barMaxWidth": 48,
            "itemStyle": {"color": colour},
        }
        for (key, values), colour in zip(parts.items(), COLOURS, strict=True)
    ]
    names = [f"{provider}\n{pool.name}" for provider, pool in pools]
    options = _chart(names, series, speech.say("unit.cores"))
    return options | {"legend": {"bottom": 0, "type": "scroll", "textStyle": {"color": GREY}}}


def _chart(names: list[str], series: list[dict[str, Any]], unit: str) -> dict[str, Any]:
    return {
        # richText draws on the canvas: a provider's name is never read as HTML.
        "tooltip": {"trigger": "axis", "renderMode": "richText", "axisPointer": {"type": "shadow"}},
        "grid": {"left": 8, "right": 8, "top": 36, "bottom": 36, "containLabel": True},
        "xAxis": {"type": "category", "data": names, **AXIS},
        "yAxis": {"type": "value", "name": unit, **AXIS},
        "series": series,
        "animation": False,
    }
