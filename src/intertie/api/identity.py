"""Who knocks: bearers by role, agents by signature, attempts by their short tokens."""

import base64
import binascii
from collections.abc import Callable
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
from intertie.store.appending import find_credential

OPERATOR, PROJECT, PROVIDER = "operator", "project", "provider"
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


def needs(*roles: str) -> Callable[[Door, Credentials], Bearer]:
    """Return the dependency that lets only these roles in."""

    def bearer(door: TheDoor, given: Annotated[Credentials, Security(_SCHEME)]) -> Bearer:
        found = _bearer(door, given)
        if found.role not in roles:
            raise Wrong(403, "not_allowed", "needs_role", roles=", ".join(roles), role=found.role)
        return found

    return bearer


def number_of(noun: str, text: str) -> int:
    """Return the number in a public id, or the 404 that says how one looks."""
    try:
        return decode(noun, text)
    except ValueError:
        raise Wrong(404, "bad_id", "bad_id", id=text, noun=noun) from None


def holder(door: TheDoor, given: Annotated[Credentials, Security(_SCHEME)]) -> Holder:
    """Return who may move blobs: a project, or an attempt for its project."""
    if given is not None and given.credentials.startswith(tickets.PREFIX):
        lease = _attempt(door, given)
        return Holder(lease.project, lease)
    found = _bearer(door, given)
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
    pool = number_of("agent", agent)
    body = await request.body()
    key = await door.run(_public_key, door, pool)
    if key is None:
        raise not_found("agent", agent)
    if not is_signed(key, signature or "", request.method, request.url.path, body):
        raise Wrong(401, "bad_signature", "bad_signature", headers=_CHALLENGE)
    return pool


def is_signed(key: str, signature: str, method: str, path: str, body: bytes) -> bool:
    """Return whether a signature fits method, path and body under an Ed25519 key, all base64."""
    try:
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key, validate=True))
        public.verify(
            base64.b64decode(signature, validate=True), f"{method} {path}\n".encode() + body
        )
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _bearer(door: Door, given: Credentials) -> Bearer:
    if given is None:
        raise Wrong(401, "no_token", "no_token", headers=_CHALLENGE)
    found = find_credential(door.engine, given.credentials)
    if found is None or found[0] not in (OPERATOR, PROJECT, PROVIDER):
        challenge = {"WWW-Authenticate": f'{_CHALLENGE["WWW-Authenticate"]}, error="invalid_token"'}
        raise Wrong(401, "bad_token", "bad_token", headers=challenge)
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
