"""Pages of lists: at most `limit` items, then `next` to read on."""

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from fastapi import Query

from intertie.api.identity import number_of
from intertie.wire.base import Page

Item = TypeVar("Item")
View = TypeVar("View")

Limit = Annotated[int, Query(ge=1, le=500, description="items on a page")]
After = Annotated[
    str | None, Query(description="`next` of the page before; absent for the first page")
]


def page(
    found: Sequence[Item], limit: int, view: list[View], mark: Callable[[Item], str]
) -> Page[View]:
    """Return a page of the views of `found[:limit]`; `found` holds one more when there is more.

    `mark` names the last item, from which the next page goes on.
    """
    has_more = len(found) > limit
    return Page(items=view, next=mark(found[limit - 1]) if has_more else None)


def after_number(noun: str, after: str | None) -> int | None:
    """Return the number to go on after; None for the first page."""
    return None if after is None else number_of(noun, after)
