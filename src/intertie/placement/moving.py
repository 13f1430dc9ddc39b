"""Moving: which of a job's data are not where it would run, and what bringing them takes."""

from intertie.model.links import Link, travel_micro, travel_ms
from intertie.model.request import DataReference, Request


def to_move(request: Request, datasets: tuple[str, ...]) -> list[DataReference]:
    """Return what a job reads that a pool with these datasets does not have."""
    return [data for data in request.data if data.name not in datasets]


def move(request: Request, datasets: tuple[str, ...], link: Link | None) -> tuple[int, int]:
    """Return (milliseconds, micro-credits) until all that a job reads is there, over one link.

    Without a link nothing is known of it: it is taken to be near, and costs nothing.
    """
    if link is None:
        return 0, 0
    size_bytes = sum(data.size_bytes for data in to_move(request, datasets))
    return travel_ms(size_bytes, link), travel_micro(size_bytes, link)
