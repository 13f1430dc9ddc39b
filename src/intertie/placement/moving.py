"""Moving: which of a job's data are not where it would run, and how long bringing them takes."""

from collections.abc import Iterable

from intertie.model.links import Link, travel_ms
from intertie.model.parties import PoolFacts
from intertie.model.request import Request


def moving_ms(
    request: Request, there: PoolFacts, holders: Iterable[PoolFacts], links: tuple[Link, ...]
) -> int:
    """Return for how long what a job reads travels until it is at a pool, one after another.

    Each comes from the region of a holder that is the fastest. What is in the pool's own region, or
    in none that a link leads to, is taken to be near: nothing is known of it.
    """
    others = list(holders) if links and request.data else []
    total_ms = 0
    for data in request.data if others else ():
        if data.name in there.datasets:
            continue
        regions = {each.region for each in others if data.name in each.datasets}
        if there.region not in regions:
            ways = [link for link in links for at in regions if link.joins(at, there.region)]
            total_ms += min((travel_ms(data.size_bytes, link) for link in ways), default=0)
    return total_ms
