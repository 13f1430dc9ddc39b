"""Quotes as the contract shows them."""

from sqlalchemy import Connection

from intertie.api.speech import spoken_refusal
from intertie.model.ids import encode
from intertie.model.quote import LostOffer, Option, PricedPool, Quote, QuoteTerms
from intertie.model.sizing import Sizing
from intertie.model.states import QuoteState
from intertie.model.units import MICRO, MILLI, price_micro_per_su
from intertie.store import reading
from intertie.wire.market import (
    LostOfferView,
    OptionView,
    PricedPoolView,
    QuoteView,
    SizingView,
)

Names = dict[int, tuple[str, str]]


def quote_views(connection: Connection, quotes: list[Quote], lang: str) -> list[QuoteView]:
    """Return quotes with every option and every lost offer, reasons spoken in `lang`."""
    terms = reading.documents(connection, "quote", [quote.id for quote in quotes])
    projects = reading.documents(connection, "project", [quote.project for quote in quotes])
    names = reading.pool_names(connection)
    return [
        _quote(quote, terms[quote.id], projects[quote.project].name, names, lang)
        for quote in quotes
    ]


def _quote(quote: Quote, terms: QuoteTerms, project: str, names: Names, lang: str) -> QuoteView:
    return QuoteView(
        id=encode("quote", quote.id),
        project=project,
        state=QuoteState(quote.state).name.lower(),
        made_at=quote.made_at,
        until=quote.until,
        sizing=_sizing(terms.sizing),
        options=[
            _option(at, option, terms, names, lang) for at, option in enumerate(terms.options)
        ],
        lost=[_lost(each, names, lang) for each in terms.lost],
    )


def _sizing(sizing: Sizing) -> SizingView:
    return SizingView(
        task_count=sizing.task_count,
        expected_s=sizing.expected_s,
        service_units=sizing.service_units_micro / MICRO,
        profile=sizing.profile,
        source=sizing.source,
        samples=sizing.samples,
    )


def _option(at: int, option: Option, terms: QuoteTerms, names: Names, lang: str) -> OptionView:
    return OptionView(
        code=option.code,
        pools=[_pool(pool, names) for pool in option.pools],
        cost_micro=option.cost_micro,
        fee_micro=option.fee_micro,
        starts_in_s=option.starts_in_s,
        finishes_in_s=option.finishes_in_s,
        is_cheapest=at == terms.cheapest,
        is_soonest=at == terms.soonest,
        is_chosen=at == terms.chosen,
        lost_because=spoken_refusal(option.lost, lang) if option.lost else None,
    )


def _pool(pool: PricedPool, names: Names) -> PricedPoolView:
    provider, name = names[pool.pool]
    price = pool.price_micro_per_unit_h
    has_score = pool.score_millionths > 0
    return PricedPoolView(
        provider=provider,
        pool=name,
        price_micro_per_unit_h=price,
        price_version=pool.price_version,
        price_micro_per_su=price_micro_per_su(price, pool.score_millionths) if has_score else None,
        units=pool.units_milli / MILLI,
        task_s=pool.task_s,
        task_micro=pool.task_micro,
        task_count=pool.task_count,
        expected_wait_s=pool.wait_s,
    )


def _lost(lost: LostOffer, names: Names, lang: str) -> LostOfferView:
    provider, pool = names[lost.pool]
    return LostOfferView(provider=provider, pool=pool, refusal=spoken_refusal(lost.refusal, lang))
