"""The access standard's door: enrolment, sessions and the one repeated exchange."""

import base64
import binascii
import time
from typing import Annotated

from fastapi import APIRouter, Header, Request

from intertie.api.bodies import bodies
from intertie.api.bounds import check_numbers
from intertie.api.contract import problems
from intertie.api.door import Door, Key, TheDoor
from intertie.api.identity import SignedPool, is_signed
from intertie.api.problems import Wrong
from intertie.api.wanting import Wanted, read_wanted
from intertie.control.clock import now_ms
from intertie.model.ids import decode, encode
from intertie.model.units import MILLI
from intertie.store import reading
from intertie.store.appending import find_credential, hash_of, spend_credential
from intertie.wire.base import PROTOCOL_MAX, PROTOCOL_MIN, FieldError, plain
from intertie.wire.sync import (
    Enrol,
    Enrolled,
    LeaseBody,
    OpenSession,
    SessionOpened,
    Sync,
    SyncAnswer,
    WantedLease,
)

router = APIRouter(prefix="/agents", tags=["agents"])

WAIT_MS_MAX = 30_000
_KEY_BYTES = 32


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
    _check_key(message.public_key)
    body = await request.body()
    path = request.url.path
    if signature and not is_signed(message.public_key, signature, "POST", path, body):
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
    responses=problems(401, 404, 413, 422, 503),
)
async def open_session(
    door: TheDoor, pool: SignedPool, message: OpenSession, key: Key = None
) -> SessionOpened:
    """Open a session with all that the agent says of its pool; the older session is fenced out."""
    if message.protocol_min > PROTOCOL_MAX or message.protocol_max < PROTOCOL_MIN:
        ours = f"{PROTOCOL_MIN}-{PROTOCOL_MAX}"
        raise Wrong(422, "protocol_unsupported", "protocol_unsupported", ours=ours)
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
    "/{agent}/sync",
    summary="Say what is observed, hear what is wanted",
    responses=problems(401, 404, 409, 413, 422, 503),
)
async def sync(door: TheDoor, pool: SignedPool, message: Sync) -> SyncAnswer:
    """One exchange, safe to repeat and to lose. A long poll: `wait_ms` at most, 30 s at most.

    409 `fenced_out`: a newer session speaks for this pool.
    """
    if not PROTOCOL_MIN <= message.protocol <= PROTOCOL_MAX:
        ours = f"{PROTOCOL_MIN}-{PROTOCOL_MAX}"
        raise Wrong(422, "protocol_unsupported", "protocol_unsupported", ours=ours)
    said = plain(message)
    check_numbers(said)
    _check_leases(message)
    ends_s = time.monotonic() + min(message.wait_ms, WAIT_MS_MAX) / MILLI
    await door.ask("sync", pool, said)
    while True:
        wanted, sent = await door.run(_read, door, pool, message)
        left_s = ends_s - time.monotonic()
        if _is_news(wanted, message) or left_s <= 0 or door.rounds.is_closed:
            return _answer(door, wanted, sent, message)
        await door.pools.change(wanted.round, pool, wanted.mark, left_s)


def _read(door: Door, pool: int, said: Sync) -> tuple[Wanted, dict[int, LeaseBody]]:
    with reading.snapshot(door.engine) as connection:
        wanted = read_wanted(connection, pool, said)
        known = set(said.known)
        unknown = [each for each in wanted.leases if encode("lease", each.id) not in known]
        return wanted, bodies(connection, door, unknown)


def _is_news(wanted: Wanted, said: Sync) -> bool:
    """Return whether the agent should hear at once. Who was overtaken has no reason to wait."""
    if wanted.pool.epoch > said.epoch:
        raise Wrong(409, "fenced_out", "fenced_out", epoch=wanted.pool.epoch)
    is_overtaken = wanted.pool.sequence > said.sequence
    # After everything was told, a difference lasts until leases end: asking again does not help.
    wants_full = bool(wanted.pool.wants_full) and not said.is_full
    return is_overtaken or wants_full or wanted.digest() != said.wanted_digest


def _answer(door: Door, wanted: Wanted, sent: dict[int, LeaseBody], said: Sync) -> SyncAnswer:
    policy = door.policy
    return SyncAnswer(
        incarnation=wanted.incarnation,
        epoch=wanted.pool.epoch,
        sequence=said.sequence,
        wanted_digest=wanted.digest(),
        wants_full=bool(wanted.pool.wants_full) and not said.is_full,
        leases=[
            WantedLease(
                lease=encode("lease", each.id),
                token=each.token,
                until=each.until,
                body=sent.get(each.id),
            )
            for each in wanted.leases
        ],
        stops=list(wanted.stops),
        forget=list(wanted.forget),
        drain=bool(wanted.pool.is_draining),
        renew_for_s=wanted.pool.renew_for_s,
        next_poll_ms=policy.busy_poll_ms if wanted.is_busy else policy.poll_s * MILLI,
    )


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


def _check_key(text: str) -> None:
    try:
        is_key = len(base64.b64decode(text, validate=True)) == _KEY_BYTES
    except (binascii.Error, ValueError):
        is_key = False
    if not is_key:
        message = "write the raw 32 bytes of an Ed25519 public key in base64"
        raise Wrong(422, "bad_request", errors=[FieldError(field="public_key", message=message)])


def _check_leases(message: Sync) -> None:
    """Refuse ids that no round could read: the decider believes what it takes."""
    said = [("leases", each.lease) for each in message.leases]
    said += [("declines", each.lease) for each in message.declines]
    for field, lease in [*said, *(("known", each) for each in message.known)]:
        try:
            decode("lease", lease)
        except ValueError as error:
            errors = [FieldError(field=field, message=str(error))]
            raise Wrong(422, "bad_request", errors=errors) from None
