"""What every route of a door stands on: the store, the wake-ups, blobs, logs and threads."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

from anyio import CapacityLimiter, to_thread
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fastapi import Depends, Header
from sqlalchemy import Engine
from starlette.requests import HTTPConnection

from intertie.api.bells import Bell
from intertie.api.overload import Gate
from intertie.api.rounds import Rounds
from intertie.api.speech import language_of
from intertie.control.waiting import Asked, Clerk
from intertie.control.wake import Wake
from intertie.model.policy import Policy
from intertie.model.request import Request
from intertie.store.blobs import Blobs, FolderBlobs
from intertie.store.logs import LogStore
from intertie.store.reading import NetworkFacts

P = ParamSpec("P")
T = TypeVar("T")
# Few: threads that compute keep the event loop from its turn, and refusals must be quick.
READING_MAX = 6
# Threads that move blobs wait for a store: while it is away, they must not keep readers waiting.
MOVING_MAX = 8


@dataclass(frozen=True)
class Door:
    """One door. `reading` holds the threads that read the store, `moving` those that move blobs.

    `keys` are the public keys of agents by pool: they never change. `bearers` is who holds a
    token, by the token's hash, with the instant (s, monotonic) until which that is believed.
    `requests` are those of the jobs that were asked for lately. `work` wakes the process that
    lives through what-ifs.
    """

    engine: Engine
    wake: Wake
    network: NetworkFacts
    policy: Policy
    blobs: Blobs
    logs: LogStore
    clerk: Clerk
    rounds: Rounds
    gate: Gate
    printed: Bell
    reading: CapacityLimiter
    moving: CapacityLimiter
    keys: dict[int, Ed25519PublicKey] = field(default_factory=dict)
    bearers: dict[str, tuple[str, int, float]] = field(default_factory=dict)
    requests: dict[int, Request] = field(default_factory=dict)
    work: Callable[[], None] = field(default=lambda: None)

    async def ask(
        self, kind: str, actor: int, body: dict[str, Any], key: str | None = None
    ) -> Asked:
        """Append an inbox row and return its id and answer; raises what `Clerk.ask` raises."""
        await self.rounds.ready()
        return await self.clerk.ask(kind, actor, body, key)

    def close(self) -> None:
        """Answer every long poll and end every stream; call it when the process is to end."""
        self.rounds.close()

    async def run(self, work: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        """Return what blocking work returns, done in a thread so that nobody else waits for it."""
        return await to_thread.run_sync(partial(work, *given, **named), limiter=self.reading)

    async def move(self, work: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        """Return what work on blobs returns, done in a thread of those that may wait long."""
        return await to_thread.run_sync(partial(work, *given, **named), limiter=self.moving)


def make_door(
    engine: Engine,
    wake: Wake,
    data: Path,
    network: NetworkFacts,
    policy: Policy,
    blobs: Blobs | None = None,
    work: Callable[[], None] = lambda: None,
) -> Door:
    """Return the door of a data folder; blobs are kept there too unless they are told."""
    clerk = Clerk(engine, wake)
    rounds = Rounds(engine, wake, clerk)
    return Door(
        engine=engine,
        wake=wake,
        network=network,
        policy=policy,
        blobs=blobs or FolderBlobs(data),
        logs=LogStore(data),
        clerk=clerk,
        rounds=rounds,
        gate=Gate(policy, rounds),
        printed=Bell(),
        reading=CapacityLimiter(READING_MAX),
        moving=CapacityLimiter(MOVING_MAX),
        work=work,
    )


def door_of(request: HTTPConnection) -> Door:
    """Return the door that a request came to."""
    found: Door = request.app.state.door
    return found


async def _door(request: HTTPConnection) -> Door:  # what is not async costs a thread each time
    return door_of(request)


async def _language(request: HTTPConnection) -> str:
    return language_of(request)


TheDoor = Annotated[Door, Depends(_door)]
Language = Annotated[str, Depends(_language)]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="The same key and body returns the first answer; with another body 409.",
    ),
]
