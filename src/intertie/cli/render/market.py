"""Offers, quotes and providers as tables."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from intertie.catalogue.texts import text
from intertie.cli.render.base import (
    Columns,
    abilities_in_words,
    credit_cells,
    number_cell,
    refusal_text,
    relaxation_text,
    seconds_cell,
    state_text,
    where,
)
from intertie.model.units import GIB
from intertie.wire.market import LostOfferView, OfferView, OptionView, PricedPoolView, QuoteView
from intertie.wire.parties import PoolView, ProviderView

UNVERIFIED = "*"


def offers_table(offers: Sequence[OfferView], lang: str) -> Table:
    """Return what every pool offers now: price by unit and by SU, speed, room, distance."""
    unit = "core" if all(not offer.device_class for offer in offers) else "unit"
    calm = all(o.pool_state == "online" and o.state == "listed" for o in offers)
    doubtful = any("declared" in (o.score_source, o.latency_source) for o in offers)
    caption = text(lang, "cli.offers.unverified") if doubtful else ""
    columns = Columns(lang, text(lang, "cli.offers.title"), caption).word("pool")
    columns.number(f"price_{unit}").number("price_su").number(f"speed_{unit}")
    columns.number(f"free_{unit}").number("memory_free").number("latency").number("grace")
    if not calm:
        columns.word("state", fixed=True)
    prices = credit_cells([offer.price_micro_per_unit_h for offer in offers])
    by_su = credit_cells([offer.price_micro_per_su for offer in offers])
    rows = []
    for offer, price, price_su in zip(offers, prices, by_su, strict=True):
        row: list[str | Text] = [_where(offer, unit, lang)]
        row += [price, price_su, _speed(offer), _free(offer)]
        row += [number_cell(offer.memory_free_bytes / GIB, 1), _latency(offer)]
        row += [str(offer.grace_s)] + ([] if calm else [_offer_state(offer, lang)])
        rows.append(row)
    return columns.rows(rows)


def quote_view(quote: QuoteView, lang: str) -> RenderableType:
    """Return a quote: what the job needs, every option with its marks, and who cannot take it."""
    sizing = quote.sizing
    parts: list[RenderableType] = [
        Text(text(lang, "cli.quote.title", quote=quote.id, until_at=quote.until), style="bold"),
        Text(
            text(
                lang,
                "cli.quote.sizing",
                tasks=sizing.task_count,
                expected_s=sizing.expected_s,
                source=sizing.source,
                service_units=number_cell(sizing.service_units, 4),
                profile=sizing.profile,
            )
        ),
        options_table(quote.options, lang),
    ]
    if quote.lost:
        parts.append(lost_table(quote.lost, lang))
    return Group(*parts)


def options_table(options: Sequence[OptionView], lang: str) -> Table:
    """Return each way to run the job; one line for each pool in it."""
    columns = (
        Columns(lang).word("option", fixed=True).word("placed_at").number("tasks").number("each")
    )
    columns.number("price_su").number("cost")
    waits = any(pool.expected_wait_s for option in options for pool in option.pools)
    if waits:
        columns.number("site_wait")
    columns.number("starts").number("finishes").word("marks")
    costs = credit_cells([option.cost_micro for option in options])
    all_pools = [pool for option in options for pool in option.pools]
    by_su = iter(credit_cells([pool.price_micro_per_su for pool in all_pools]))
    rows: list[list[str | Text]] = []
    for option, cost in zip(options, costs, strict=True):
        prices = [next(by_su) for _ in option.pools]
        wait = "\n".join(seconds_cell(pool.expected_wait_s) for pool in option.pools)
        rows.append(
            [
                Text(option.code, style="bold green" if option.is_chosen else ""),
                "\n".join(_on_one_line(pool) for pool in option.pools),
                "\n".join(str(pool.task_count) for pool in option.pools),
                "\n".join(seconds_cell(pool.task_s) for pool in option.pools),
                "\n".join(prices),
                cost,
                *([wait] if waits else []),
                seconds_cell(option.starts_in_s),
                seconds_cell(option.finishes_in_s),
                _marks(option, lang),
            ]
        )
    return columns.rows(rows)


def lost_table(lost: Sequence[LostOfferView], lang: str) -> Table:
    """Return the offers that cannot take the job, why, and what would change that."""
    columns = Columns(lang, text(lang, "cli.quote.lost")).word("pool")
    columns.word("why_not").word("would_help")
    return columns.rows(
        [
            where(offer.provider, offer.pool),
            refusal_text(offer.refusal, lang),
            relaxation_text(offer.refusal.relaxation, lang) or "–",
        ]
        for offer in lost
    )


def providers_table(providers: Sequence[ProviderView], lang: str) -> Table:
    """Return every pool of every provider: heard or not, what it lends and what is used."""
    columns = Columns(lang, text(lang, "cli.providers.title"))
    columns.word("pool").word("state", fixed=True).word("engine").word("region")
    columns.number("cores").number("lent").number("used").number("tasks").number("score")
    columns.number("earned")
    earned = credit_cells([provider.earned_micro for provider in providers])
    rows: list[list[str | Text]] = []
    for provider, credit in zip(providers, earned, strict=True):
        pools = [_pool_cells(provider, pool, lang) for pool in provider.pools]
        nothing: list[list[str | Text]] = [[provider.name, *["–"] * 8]]
        for at, cells in enumerate(pools or nothing):
            rows.append([*cells, credit if not at else ""])
    return columns.rows(rows)


def not_enforced_lines(providers: Sequence[ProviderView], lang: str) -> Text:
    """Return what each pool says that it cannot enforce; empty where all can."""
    lines = []
    for provider in providers:
        for pool in provider.pools:
            if pool.not_enforced:
                what = abilities_in_words(pool.not_enforced, lang)
                told = {"pool": f"{provider.name}/{pool.name}", "what": what}
                lines.append(text(lang, "cli.providers.not_enforced", **told))
    return Text("\n".join(lines), style="yellow")


def _where(offer: OfferView, unit: str, lang: str) -> Text:
    """Return the pool, and below it what one unit is where pools differ in it."""
    cell = Text(where(offer.provider, offer.pool))
    if unit == "unit":
        cell.append("\n" + (offer.device_class or text(lang, "cli.core")), style="dim")
    return cell


def _speed(offer: OfferView) -> str:
    if offer.score is None:
        return "–"
    return f"{offer.score:.2f}" + (UNVERIFIED if offer.score_source == "declared" else "")


def _free(offer: OfferView) -> str:
    return f"{number_cell(offer.units_free, 1)}/{number_cell(offer.units_total, 1)}"


def _latency(offer: OfferView) -> str:
    return f"{offer.latency_ms}" + (UNVERIFIED if offer.latency_source == "declared" else "")


def _offer_state(offer: OfferView, lang: str) -> Text:
    return state_text(offer.state if offer.pool_state == "online" else offer.pool_state, lang)


def _on_one_line(pool: PricedPoolView) -> str:
    return where(pool.provider, pool.pool).replace("\n", "")


def _marks(option: OptionView, lang: str) -> Text:
    marks = Text()
    for is_so, key, style in (
        (option.is_chosen, "chosen", "bold green"),
        (option.is_cheapest, "cheapest", "green"),
        (option.is_soonest, "soonest", "cyan"),
    ):
        if is_so:
            marks.append((" · " if marks else "") + text(lang, f"cli.quote.{key}"), style=style)
    why = refusal_text(option.lost_because, lang)
    if why:
        marks.append(("\n" if marks else "") + why, style="dim")
    return marks


def _pool_cells(provider: ProviderView, pool: PoolView, lang: str) -> list[str | Text]:
    score = "–" if pool.score is None else f"{pool.score:.2f}"
    return [
        where(provider.name, pool.name),
        state_text(pool.state, lang),
        pool.engine,
        pool.region,
        number_cell(pool.cpus, 1),
        number_cell(pool.lent_cpus, 1),
        number_cell(pool.used_cpus, 1),
        str(pool.leases),
        score + (UNVERIFIED if pool.score_source == "declared" else ""),
    ]
