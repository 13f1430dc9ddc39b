"""What every route of a door stands on: the store, the wake-ups, blobs, logs and threads."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Header
from sqlalchemy import Engine
from starlette.requests import HTTPConnection

from intertie.api.bells import Bell
from intertie.api.marks import pool_marks
from intertie.api.rounds import MarkedRounds, Rounds
from intertie.api.speech import language_of
from intertie.control.waiting import ask
from intertie.control.wake import Wake
from intertie.model.policy import Policy
from intertie.store.blobs import BlobStore
from intertie.store.logs import LogStore
from intertie.store.reading import NetworkFacts

P = ParamSpec("P")
T = TypeVar("T")
Asked = tuple[int, dict[str, Any]]

WAITING_MAX = 400
READING_MAX = 24


@dataclass(frozen=True)
class Door:
    """One door. `waiting` holds threads that wait for a round, `reading` those that read."""

    engine: Engine
    wake: Wake
    network: NetworkFacts
    policy: Policy
    blobs: BlobStore
    logs: LogStore
    rounds: Rounds
    pools: MarkedRounds
    printed: Bell
    waiting: CapacityLimiter
    reading: CapacityLimiter

    async def ask(
        self, kind: str, actor: int, body: dict[str, Any], key: str | None = None
    ) -> Asked:
        """Append an inbox row and return its id and answer; raises what `control.ask` raises."""
        errand = partial(ask, self.engine, self.wake, kind, actor, body, key)
        return await to_thread.run_sync(errand, limiter=self.waiting, abandon_on_cancel=True)

    def close(self) -> None:
        """Answer every long poll and end every stream; call it when the process is to end."""
        self.rounds.close()

    async def run(self, work: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        """Return what blocking work returns, done in a thread so that nobody else waits for it."""
        return await to_thread.run_sync(partial(work, *given, **named), limiter=self.reading)


def make_door(
    engine: Engine, wake: Wake, data: Path, network: NetworkFacts, policy: Policy
) -> Door:
    """Return the door of a data folder."""
    rounds = Rounds(engine, wake)
    return Door(
        engine=engine,
        wake=wake,
        network=network,
        policy=policy,
        blobs=BlobStore(data),
        logs=LogStore(data),
        rounds=rounds,
        pools=MarkedRounds(engine, rounds, pool_marks),
        printed=Bell(),
        waiting=CapacityLimiter(WAITING_MAX),
        reading=CapacityLimiter(READING_MAX),
    )


def door_of(request: HTTPConnection) -> Door:
    """Return the door that a request came to."""
    found: Door = request.app.state.door
    return found


TheDoor = Annotated[Door, Depends(door_of)]
Language = Annotated[str, Depends(language_of)]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="The same key and body returns the first answer; with another body 409.",
    ),
]
