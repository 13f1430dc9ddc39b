"""Sessions: a user's WebSocket and an agent's are joined here; what they carry is theirs.

The user waits at this door. The call is written down, so that whichever door the agent polls
tells it; the agent dials the door that the call names, and that door knows the nonce.
"""

import asyncio
import os
import secrets
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from fastapi import APIRouter, WebSocket
from fastapi.security import HTTPAuthorizationCredentials
from fastapi.security.utils import get_authorization_scheme_param
from starlette.websockets import WebSocketDisconnect, WebSocketState

from intertie.api.door import Door, door_of
from intertie.api.identity import PROJECT, bearer_of, is_signed, key_of
from intertie.api.jobs import find_job
from intertie.api.problems import Wrong, not_found
from intertie.control.clock import now_ms
from intertie.control.metrics import OPEN, RECEIVED, SENT
from intertie.cycle.admitting import KINDS
from intertie.model.job import Job
from intertie.model.lease import Lease
from intertie.model.states import JobState, LeaseState
from intertie.model.units import MILLI
from intertie.store import reading
from intertie.store.calls import Call, add_call, end_call

router = APIRouter()

URL_VARIABLE = "INTERTIE_DOOR_URL"
CALL_S = 60
# Connections of all jobs at one door: each holds two sockets and a few messages.
CONNECTIONS_MAX = 2_000
# A browser opens several connections at once; each is a call of its own.
PER_JOB_MAX = 64
TRY_AGAIN = 1013


@dataclass(frozen=True)
class Waiting:
    """A user who waits at this door, and whom the agent that dials finds by the nonce."""

    call: Call
    agent: asyncio.Future[WebSocket]
    is_over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Switchboard:
    """Everybody who waits at this door, and how many each job has here."""

    waiting: dict[str, Waiting] = field(default_factory=dict)
    open: Counter[int] = field(default_factory=Counter)


@router.websocket("/jobs/{job}/session")
async def open_session(socket: WebSocket, job: str) -> None:
    """Join a user with the program of a session. The handshake ends once the agent is there.

    Refused like any request: 401, 403, 404; 409 `session_waits` before it runs and `session_over`
    after; 429 above 64 connections of one job; 503 above 2 000 in all, and `agent_silent` when its
    agent does not dial.
    """
    door = door_of(socket)
    bearer = await bearer_of(door, _credentials(socket))
    if bearer.role != PROJECT:
        raise Wrong(403, "not_allowed", "needs_role", roles=PROJECT, role=bearer.role)
    door.gate.take(bearer.subject)
    known = await door.run(find_job, door, bearer, job)
    lease = await door.run(_lease, door, known, job)
    board = _board(socket)
    if board.open.total() >= CONNECTIONS_MAX:
        raise Wrong(503, "unavailable", headers={"Retry-After": "1"})
    if board.open[known.id] >= PER_JOB_MAX:
        headers = {"Retry-After": "1"}
        raise Wrong(429, "too_many_connections", "limit_of_job", headers=headers, max=PER_JOB_MAX)
    board.open[known.id] += 1
    try:
        await _join(door, board, socket, lease)
    finally:
        board.open[known.id] -= 1
        board.open += Counter()  # drops who has none


@router.websocket("/agents/{agent}/calls/{nonce}")
async def answer_call(socket: WebSocket, agent: str, nonce: str) -> None:
    """Let in the agent that was called, once; 404 where no user waits at this door."""
    door, waiting = door_of(socket), _board(socket).waiting
    pool, key = await key_of(door, agent)
    signature = socket.headers.get("x-intertie-signature", "")
    if not is_signed(key, signature, "GET", socket.scope["path"], b""):
        raise Wrong(401, "bad_signature", "bad_signature")
    found = waiting.get(nonce)
    if found is None or found.call.pool != pool or found.call.until <= now_ms():
        raise not_found("call", nonce)
    del waiting[nonce]
    await socket.accept()
    if not found.agent.done():
        found.agent.set_result(socket)
        await found.is_over.wait()


def _credentials(socket: WebSocket) -> HTTPAuthorizationCredentials | None:
    scheme, token = get_authorization_scheme_param(socket.headers.get("authorization"))
    if scheme.lower() != "bearer" or not token:
        return None
    return HTTPAuthorizationCredentials(scheme=scheme, credentials=token)


def _board(socket: WebSocket) -> Switchboard:
    """Return the switchboard of this process."""
    board: Switchboard | None = getattr(socket.app.state, "switchboard", None)
    if board is None:
        board = socket.app.state.switchboard = Switchboard()
    return board


def _lease(door: Door, job: Job, known_as: str) -> Lease:
    """Return the lease on which a session runs; raises the 409 that says why there is none."""
    if KINDS[job.kind] != "session":
        raise Wrong(409, "no_session", "no_session", job=known_as, kind=KINDS[job.kind])
    column = reading.column
    with reading.snapshot(door.engine) as connection:
        found = reading.rows(
            connection,
            Lease,
            column(Lease, "job") == job.id,
            column(Lease, "state") == int(LeaseState.RUNNING),
        )
    if found:
        return found[-1]
    if job.state in (JobState.ENDED, JobState.SETTLED):
        raise Wrong(409, "session_over", "session_over", job=known_as)
    raise Wrong(409, "session_waits", "session_waits", job=known_as, headers={"Retry-After": "1"})


async def _join(door: Door, board: Switchboard, user: WebSocket, lease: Lease) -> None:
    """Call the agent, and relay from when it is there until either end goes."""
    await door.rounds.ready()
    now, url = now_ms(), os.environ.get(URL_VARIABLE, "").rstrip("/")
    nonce = secrets.token_urlsafe(24)
    call = Call(nonce, lease.pool, lease.id, lease.token, url, now + CALL_S * MILLI)
    waiting = Waiting(call, asyncio.get_running_loop().create_future())
    board.waiting[nonce] = waiting
    try:
        await door.run(add_call, door.engine, call, now)
        door.wake.poke()
        agent = await _answered(door, waiting)
        await user.accept()
        await _relay(user, agent)
    finally:
        waiting.agent.cancel()
        waiting.is_over.set()
        board.waiting.pop(nonce, None)


async def _answered(door: Door, waiting: Waiting) -> WebSocket:
    """Return the agent's end; the call is over once it has dialled, or nobody will."""
    try:
        return await asyncio.wait_for(waiting.agent, CALL_S)
    except TimeoutError:
        headers = {"Retry-After": "1"}
        raise Wrong(503, "agent_silent", "agent_silent", headers=headers) from None
    finally:
        await door.run(end_call, door.engine, waiting.call.nonce)
        door.wake.poke()


async def _relay(user: WebSocket, agent: WebSocket) -> None:
    """Carry messages both ways, as fast as they are taken, until one end closes."""
    is_open = OPEN.labels("session")
    is_open.inc()
    both = {asyncio.ensure_future(_carry(*each)) for each in ((user, agent), (agent, user))}
    try:
        done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        code, reason = done.pop().result()
    finally:
        is_open.dec()
        for each in both:
            each.cancel()
        await asyncio.gather(*both, return_exceptions=True)
    for end in (user, agent):
        if end.application_state is WebSocketState.CONNECTED:
            with suppress(WebSocketDisconnect, RuntimeError):
                await end.close(code, reason)


async def _carry(source: WebSocket, target: WebSocket) -> tuple[int, str]:
    """Pass on what comes; return the code and reason with which it came to an end."""
    received, sent = RECEIVED.labels("session"), SENT.labels("session")
    while True:
        message = await source.receive()
        if message["type"] == "websocket.disconnect":
            code = message.get("code", 1000)
            return code if code in (1000, 1001, 1011) else TRY_AGAIN, message.get("reason") or ""
        data = message.get("bytes") or (message.get("text") or "").encode()
        received.inc(len(data))
        try:
            await target.send_bytes(data)
        except WebSocketDisconnect:
            return TRY_AGAIN, ""
        sent.inc(len(data))
