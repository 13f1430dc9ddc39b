"""Quotes: what a job would cost and when it would finish, firm until a stated instant."""

from fastapi import APIRouter

from intertie.api.contract import problems
from intertie.api.door import Door, Key, Language, TheDoor
from intertie.api.identity import PROJECT, Bearer, Project, ProjectOrOperator, number_of
from intertie.api.pages import After, Limit, after_number, page
from intertie.api.problems import not_found
from intertie.api.quote_views import quote_views
from intertie.api.submitting import plain_request, request_of
from intertie.model.ids import encode
from intertie.model.quote import Quote
from intertie.store import reading
from intertie.wire.base import Page
from intertie.wire.market import AskQuote, QuoteView

router = APIRouter(prefix="/quotes", tags=["market"])


@router.post(
    "",
    status_code=201,
    summary="Ask what a job would cost and when it would finish",
    responses=problems(401, 403, 409, 413, 422, 503),
)
async def ask_quote(
    door: TheDoor, bearer: Project, message: AskQuote, lang: Language, key: Key = None
) -> QuoteView:
    """Every way to run the job, which is cheapest, soonest and chosen, and why others lost."""
    request = request_of(message.spec, 0, door.policy)
    body = {"request": plain_request(request)}
    number, _ = await door.ask("quote", bearer.subject, body, key)
    return await door.run(_see, door, bearer, encode("quote", number), lang)


@router.get("", summary="List quotes, newest first", responses=problems(401, 403, 422))
def list_quotes(
    door: TheDoor,
    bearer: ProjectOrOperator,
    lang: Language,
    limit: Limit = 100,
    after: After = None,
) -> Page[QuoteView]:
    """The project's quotes; every quote for an operator."""
    column, before = reading.column, after_number("quote", after)
    conditions = [] if before is None else [column(Quote, "id") < before]
    if bearer.role == PROJECT:
        conditions.append(column(Quote, "project") == bearer.subject)
    with reading.snapshot(door.engine) as connection:
        found = reading.rows(connection, Quote, *conditions, limit=limit + 1, newest_first=True)
        views = quote_views(connection, found[:limit], lang)
    return page(found, limit, views, lambda quote: encode("quote", quote.id))


@router.get("/{quote}", summary="See one quote", responses=problems(401, 403, 404, 422))
def see_quote(door: TheDoor, bearer: ProjectOrOperator, quote: str, lang: Language) -> QuoteView:
    """One quote with all its options."""
    return _see(door, bearer, quote, lang)


def _see(door: Door, bearer: Bearer, quote: str, lang: str) -> QuoteView:
    number = number_of("quote", quote)
    with reading.snapshot(door.engine) as connection:
        found = reading.find(connection, Quote, number)
        if found is None or not bearer.may_see(PROJECT, found.project):
            raise not_found("quote", quote)
        return quote_views(connection, [found], lang)[0]
