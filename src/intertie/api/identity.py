"""Who knocks: bearers by role, agents by signature, attempts by their short tokens."""

import base64
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fastapi import Depends, Path, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from intertie.api import tickets
from intertie.api.door import Door, TheDoor
from intertie.api.problems import Wrong, not_found
from intertie.control.clock import now_ms
from intertie.model.ids import decode
from intertie.model.lease import Lease
from intertie.store import reading
from intertie.store.appending import find_credential, hash_of

OPERATOR, PROJECT, PROVIDER = "operator", "project", "provider"
BELIEVED_S = 10.0
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="intertie"'}

_SCHEME = HTTPBearer(
    auto_error=False, scheme_name="bearer", description="a token of an operator, project, provider"
)
_ATTEMPT = HTTPBearer(
    auto_error=False, scheme_name="attempt", description="the `attempt_token` of a lease's body"
)
_SIGNATURE = APIKeyHeader(
    name="X-Intertie-Signature",
    auto_error=False,
    scheme_name="signature",
    description='base64 of the Ed25519 signature over "<METHOD> <path>\\n" and the body',
)
Credentials = HTTPAuthorizationCredentials | None


@dataclass(frozen=True)
class Bearer:
    """Who holds a token. `subject` is the project's or provider's number, 0 for an operator."""

    role: str
    subject: int

    def may_see(self, role: str, subject: int) -> bool:
        """Return whether this is an operator or that very project or provider."""
        return self.role == OPERATOR or (self.role == role and self.subject == subject)


@dataclass(frozen=True)
class Holder:
    """Who moves bulk: a project, or one attempt on its behalf."""

    project: int
    lease: Lease | None = None


def needs(*roles: str) -> Callable[[Door, Request, Credentials], Awaitable[Bearer]]:
    """Return the dependency that lets only these roles in."""

    async def bearer(
        door: TheDoor, request: Request, given: Annotated[Credentials, Security(_SCHEME)]
    ) -> Bearer:
        found = await bearer_of(door, given)
        if found.role not in roles:
            raise Wrong(403, "not_allowed", "needs_role", roles=", ".join(roles), role=found.role)
        if request.method == "POST" and found.role == PROJECT:
            door.gate.take(found.subject)
        return found

    return bearer


def number_of(noun: str, text: str) -> int:
    """Return the number in a public id, or the 404 that says how one looks."""
    try:
        return decode(noun, text)
    except ValueError:
        raise Wrong(404, "bad_id", "bad_id", id=text, noun=noun) from None


async def holder(door: TheDoor, given: Annotated[Credentials, Security(_SCHEME)]) -> Holder:
    """Return who may move blobs: a project, or an attempt for its project."""
    if given is not None and given.credentials.startswith(tickets.PREFIX):
        lease = await door.run(_attempt, door, given)
        return Holder(lease.project, lease)
    found = await bearer_of(door, given)
    if found.role != PROJECT:
        raise Wrong(403, "not_allowed", "needs_role", roles=PROJECT, role=found.role)
    return Holder(found.subject)


def attempt(
    door: TheDoor,
    agent: Annotated[str, Path()],
    lease: Annotated[str, Path()],
    given: Annotated[Credentials, Security(_ATTEMPT)],
) -> Lease:
    """Return the lease whose attempt writes; its token is for this lease and agent only."""
    found = _attempt(door, given)
    if found.id != number_of("lease", lease) or found.pool != number_of("agent", agent):
        raise Wrong(403, "not_allowed", "other_attempt")
    return found


async def signed(
    door: TheDoor,
    request: Request,
    agent: Annotated[str, Path(description="the agent's id, such as agent-000c")],
    signature: Annotated[str | None, Security(_SIGNATURE)],
) -> int:
    """Return the number of the pool whose key signed this very request."""
    pool, key = await key_of(door, agent)
    body = await request.body()
    if not is_signed(key, signature or "", request.method, request.scope["path"], body):
        raise Wrong(401, "bad_signature", "bad_signature", headers=_CHALLENGE)
    return pool


async def key_of(door: Door, agent: str) -> tuple[int, Ed25519PublicKey]:
    """Return the number of an agent's pool and the key that speaks for it, or the 404."""
    pool = number_of("agent", agent)
    key = door.keys.get(pool)
    if key is None:
        known = await door.run(_public_key, door, pool)
        if known is None:
            raise not_found("agent", agent)
        if not known:
            raise Wrong(410, "agent_left", "agent_left")
        key = door.keys[pool] = public_key(known)
    return pool, key


def public_key(text: str) -> Ed25519PublicKey:
    """Return the Ed25519 key whose raw bytes a base64 text holds; ValueError if it holds none."""
    return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))


def is_signed(key: Ed25519PublicKey, signature: str, method: str, path: str, body: bytes) -> bool:
    """Return whether a signature (base64) fits method, path and body under a key."""
    try:
        signed = base64.b64decode(signature, validate=True)
        key.verify(signed, f"{method} {path}\n".encode() + body)
    except (InvalidSignature, ValueError):
        return False
    return True


async def bearer_of(door: Door, given: Credentials) -> Bearer:
    """Return who holds a token; what was found is believed for a while, what was not never is."""
    if given is None:
        raise Wrong(401, "no_token", "no_token", headers=_CHALLENGE)
    name, now_s = hash_of(given.credentials), time.monotonic()
    known = door.bearers.get(name)
    if known is not None and now_s < known[2]:
        return Bearer(known[0], known[1])
    found = await door.run(find_credential, door.engine, given.credentials)
    if found is None or found[0] not in (OPERATOR, PROJECT, PROVIDER):
        challenge = {"WWW-Authenticate": f'{_CHALLENGE["WWW-Authenticate"]}, error="invalid_token"'}
        raise Wrong(401, "bad_token", "bad_token", headers=challenge)
    door.bearers[name] = (*found, now_s + BELIEVED_S)
    return Bearer(*found)


def _attempt(door: Door, given: Credentials) -> Lease:
    if given is None:
        raise Wrong(401, "no_token", "no_token", headers=_CHALLENGE)
    ticket = tickets.read(given.credentials, door.network.secret, now_ms())
    found = None
    if ticket is not None:
        with reading.snapshot(door.engine) as connection:
            found = reading.find(connection, Lease, ticket.lease)
    if ticket is None or found is None or found.token != ticket.token:
        raise Wrong(401, "bad_token", "bad_token", headers=_CHALLENGE)
    return found


def _public_key(door: Door, pool: int) -> str | None:
    with reading.snapshot(door.engine) as connection:
        found = reading.document(connection, "agent", pool)
    return str(found.public_key) if found else None


Operator = Annotated[Bearer, Depends(needs(OPERATOR))]
Project = Annotated[Bearer, Depends(needs(PROJECT))]
ProjectOrOperator = Annotated[Bearer, Depends(needs(PROJECT, OPERATOR))]
ProviderOrOperator = Annotated[Bearer, Depends(needs(PROVIDER, OPERATOR))]
Anyone = Annotated[Bearer, Depends(needs(OPERATOR, PROJECT, PROVIDER))]
SignedPool = Annotated[int, Depends(signed)]
BlobHolder = Annotated[Holder, Depends(holder)]
Attempt = Annotated[Lease, Depends(attempt)]
