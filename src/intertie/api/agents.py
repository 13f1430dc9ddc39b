"""The access standard's door: enrolment, sessions and the one repeated exchange."""

import time
from functools import partial
from typing import Annotated

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fastapi import APIRouter, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from intertie.api.bounds import check_numbers
from intertie.api.contract import problems, signed_body
from intertie.api.door import Door, Key, TheDoor, door_of
from intertie.api.exchange import (
    brings_news,
    check_message,
    check_session,
    has_moved,
    is_news,
    needs_store,
    nothing_new,
    read_answer,
    row_of,
)
from intertie.api.identity import SignedPool, is_signed, public_key, signed
from intertie.api.problems import Wrong
from intertie.control.clock import now_ms
from intertie.model.ids import encode
from intertie.model.parties import Pool
from intertie.model.units import MILLI
from intertie.store import reading
from intertie.store.appending import find_credential, hash_of, spend_credential
from intertie.wire.base import PROTOCOL_MAX, PROTOCOL_MIN, FieldError, plain
from intertie.wire.sync import (
    Enrol,
    Enrolled,
    Leave,
    Left,
    OpenSession,
    SessionOpened,
    Sync,
    SyncAnswer,
)

router = APIRouter(prefix="/agents", tags=["agents"])

WAIT_MS_MAX = 55_000


@router.post(
    "",
    status_code=201,
    summary="Enrol an agent's key with a one-time token",
    responses=problems(401, 409, 413, 422, 503),
)
async def enrol(
    door: TheDoor,
    request: Request,
    message: Enrol,
    key: Key = None,
    signature: Annotated[
        str | None,
        Header(
            alias="X-Intertie-Signature",
            description="optional: shows at once that the agent holds the key it names",
        ),
    ] = None,
) -> Enrolled:
    """Spend the token: the key speaks for this pool of the token's provider from now on.

    Asked again with the same Idempotency-Key, token and key, the answer is the same.
    """
    public, body = _check_key(message.public_key), await request.body()
    if signature and not is_signed(public, signature, "POST", request.url.path, body):
        raise Wrong(401, "bad_signature", "bad_signature")
    provider = await door.run(_spend, door, message.token)
    asked = {"pool": message.pool, "public_key": message.public_key}
    asked["token_hash"] = hash_of(message.token)
    if provider is None:
        provider = await door.run(_spent_by, door, asked, key)
    _, answer = await door.ask("agent", provider, asked, key or asked["token_hash"])
    network = door.network
    return Enrolled(
        agent=encode("agent", answer["values"]["agent"]),
        network=network.name,
        incarnation=network.incarnation,
    )


@router.post(
    "/{agent}/sessions",
    status_code=201,
    summary="Begin to speak for the pool",
    responses=problems(401, 404, 410, 413, 422, 503),
)
async def open_session(
    door: TheDoor, pool: SignedPool, message: OpenSession, key: Key = None
) -> SessionOpened:
    """Open a session with all that the agent says of its pool; the older session is fenced out."""
    _check_protocol(message.protocol_min, message.protocol_max)
    said = plain(message.pool)
    check_numbers(said, "pool")
    _, answer = await door.ask("session", pool, {"pool": said}, key)
    return SessionOpened(
        agent=encode("agent", pool),
        epoch=answer["values"]["epoch"],
        incarnation=door.network.incarnation,
        protocol=min(message.protocol_max, PROTOCOL_MAX),
        renew_for_s=door.policy.renew_for_s,
    )


@router.post(
    "/{agent}/leave",
    summary="Leave the network: strike the agent's own key off",
    responses=problems(401, 404, 409, 410, 413, 422, 503),
)
async def leave(door: TheDoor, pool: SignedPool, message: Leave, key: Key = None) -> Left:
    """Leave, once no lease of the pool runs: 409 until then, so drain first.

    Asked again the answer is the same, or 410 `agent_left`, which says that it is done.
    """
    await door.ask("leave", pool, {}, key)
    return Left(agent=encode("agent", pool))


@router.post(
    "/{agent}/sync",
    summary="Say what is observed, hear what is wanted",
    response_model=SyncAnswer,
    responses=problems(401, 404, 409, 410, 413, 422, 503),
    openapi_extra=signed_body("Sync"),
)
async def sync(request: Request) -> Response:
    """One exchange, safe to repeat and to lose. A long poll: `wait_ms` at most, 55 s at most.

    409 `fenced_out`: a newer session speaks for this pool. 409 `session_unknown`: the network
    was restored from a backup; open a new session.
    """
    # Agents make most requests by far, so this one takes no dependencies (app.py: nor any routing).
    door, signature = door_of(request), request.headers.get("x-intertie-signature")
    pool = await signed(door, request, request.path_params["agent"], signature)
    message = _read(await request.body())
    _check_protocol(message.protocol, message.protocol)
    check_message(message)
    ends_s = time.monotonic() + min(message.wait_ms, WAIT_MS_MAX) / MILLI
    await door.rounds.ready()
    row = door.rounds.pools.get(pool)
    if row is None or row.epoch != message.epoch:  # this door may not have heard of it yet
        row = await door.run(_pool, door, pool)
    check_session(row, message)
    if message.protocol == PROTOCOL_MIN:
        await door.ask("sync", pool, row_of(message))
        answer = await _whole_answer(door, pool, message, ends_s)
    else:
        await door.clerk.append("sync", pool, row_of(message))
        answer = await _answer(door, pool, message, ends_s)
    door.rounds.note_called(call.nonce for call in answer.calls)
    return Response(answer.model_dump_json(), media_type="application/json")


async def _answer(door: Door, pool: int, said: Sync, ends_s: float) -> SyncAnswer:
    """Wait by the pool's row, which is known without a look at the store, until there is news."""
    rounds, news = door.rounds, partial(is_news, said=said)
    after = 0
    while True:
        left_s = ends_s - time.monotonic()
        is_last = left_s <= 0 or rounds.is_closed
        row = rounds.pools.get(pool)
        if row is None or needs_store(said, rounds.incarnation) or is_news(row, said):
            told = await door.run(read_answer, door, pool, said)
            check_session(told.pool, said)
            if is_last or rounds.is_called(pool) or brings_news(told, said):
                return told.answer
            after = told.answer.round
        elif is_last or rounds.is_called(pool):
            return nothing_new(door, row, said)
        await rounds.news(pool, after, news, left_s)


async def _whole_answer(door: Door, pool: int, said: Sync, ends_s: float) -> SyncAnswer:
    """Protocol 1: all that is wanted, once its digest is another one than the agent echoes."""
    while True:
        told = await door.run(read_answer, door, pool, said)
        check_session(told.pool, said)
        left_s = ends_s - time.monotonic()
        if brings_news(told, said) or left_s <= 0 or door.rounds.is_closed:
            return told.answer
        await door.rounds.news(pool, told.answer.round, partial(has_moved, told), left_s)


def _read(body: bytes) -> Sync:
    try:
        return Sync.model_validate_json(body)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None


def _pool(door: Door, pool: int) -> Pool:
    with reading.snapshot(door.engine) as connection:
        row = reading.find(connection, Pool, pool)
    assert row is not None, "a pool whose agent signs is in the store"
    return row


def _check_protocol(least: int, most: int) -> None:
    if least > PROTOCOL_MAX or most < PROTOCOL_MIN:
        ours = f"{PROTOCOL_MIN}-{PROTOCOL_MAX}"
        raise Wrong(422, "protocol_unsupported", "protocol_unsupported", ours=ours)


def _spend(door: Door, token: str) -> int | None:
    """Return the provider of a one-time token that is spent by this very call, or None."""
    found = find_credential(door.engine, token)
    if found is None or found[0] != "enrol" or not spend_credential(door.engine, token, now_ms()):
        return None
    return found[1]


def _spent_by(door: Door, asked: dict[str, str], key: str | None) -> int:
    """Return the provider when this enrolment was asked before, to the letter."""
    with reading.snapshot(door.engine) as connection:
        found = reading.enroller(connection, key or asked["token_hash"], asked)
    if found is None:
        raise Wrong(401, "enrol_token_unknown", "enrol_token_unknown")
    return found


def _check_key(text: str) -> Ed25519PublicKey:
    try:
        return public_key(text)
    except ValueError:
        message = "write the raw 32 bytes of an Ed25519 public key in base64"
        errors = [FieldError(field="public_key", message=message)]
        raise Wrong(422, "bad_request", errors=errors) from None
