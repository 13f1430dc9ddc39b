"""What a door need not read twice: requests, which never change once they are taken."""

from collections.abc import Iterable

from sqlalchemy import Connection

from intertie.api.door import Door
from intertie.model.request import Request
from intertie.store import reading

# About 100 MiB: the values of one task take some 250 bytes.
VALUES_MAX = 400_000


def requests_of(connection: Connection, door: Door, jobs: Iterable[int]) -> dict[int, Request]:
    """Return the request of each job; that of a hundred thousand tasks takes a second to read."""
    wanted = set(jobs)
    known = {job: kept for job in wanted if (kept := door.requests.get(job)) is not None}
    missing = wanted - known.keys()
    if not missing:
        return known
    found: dict[int, Request] = reading.documents(connection, "request", missing)
    size = sum(1 + len(each.values) for each in [*door.requests.copy().values(), *found.values()])
    if size > VALUES_MAX:
        door.requests.clear()
    door.requests.update(found)
    return known | found
