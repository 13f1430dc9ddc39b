"""The network's door as the agent sees it: signed exchanges, and bulk under an attempt's token."""

import hashlib
import ipaddress
import os
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ValidationError

from intertie.agent.key import Key
from intertie.client.pinning import trust, why_not_trusted
from intertie.wire.base import Problem
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

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

CHUNK_BYTES = 1 << 20
DIALLED_BYTES_MAX = 1 << 21  # in one message
PATIENCE_S = 15.0
RETRY_AFTER_S_MAX = 30.0
A = TypeVar("A", bound=BaseModel)


class Unreachable(Exception):
    """The network did not answer, or is not ready. Nothing was decided by it; try again later."""

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Untrusted(Unreachable):
    """Somebody answered whom we may not believe; nothing was said to them."""


class Refused(Exception):
    """The network said no, and will say so again: status, code and what it told."""

    def __init__(self, status: int, problem: Problem, offset: int | None = None) -> None:
        super().__init__(f"{status} {problem.code} {problem.title} {problem.detail}".strip())
        self.status = status
        self.code = problem.code
        self.offset = offset


class Door:
    """One network. Threads may share it."""

    def __init__(self, url: str, key: Key, fingerprint: str = "") -> None:
        self.key = key
        self.tls = trust(fingerprint)
        self.client = httpx.Client(
            base_url=url,
            verify=self.tls,
            timeout=httpx.Timeout(PATIENCE_S, connect=5.0),
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=32),
            trust_env=not _is_loopback(url),
        )

    def enrol(self, token: str, pool: str) -> Enrolled:
        """Spend the one-time token; asked again with the same key, the answer is the same."""
        message = Enrol(token=token, pool=pool, public_key=self.key.public)
        once = hashlib.sha256(f"{token} {pool} {self.key.public}".encode()).hexdigest()
        return self._exchange("/v1/agents", message, Enrolled, {"Idempotency-Key": once})

    def open_session(self, agent: str, message: OpenSession) -> SessionOpened:
        once = {"Idempotency-Key": os.urandom(16).hex()}
        return self._exchange(f"/v1/agents/{agent}/sessions", message, SessionOpened, once)

    def leave(self, agent: str) -> None:
        """Have the agent's key struck off; Refused with `leases_left` while a lease runs."""
        self._exchange(f"/v1/agents/{agent}/leave", Leave(), Left, {})

    def sync(self, agent: str, message: Sync) -> SyncAnswer:
        patience_s = PATIENCE_S + message.wait_ms / 1000
        return self._exchange(f"/v1/agents/{agent}/sync", message, SyncAnswer, {}, patience_s)

    def put_log(self, agent: str, lease: str, token: str, offset: int, data: bytes) -> None:
        """Append to an attempt's log; Refused has the right offset where it does not continue."""
        path = f"/v1/agents/{agent}/attempts/{lease}/logs?offset={offset}"
        headers = _bearer(token) | {"Content-Type": "application/octet-stream"}
        self._send("PUT", path, headers, content=data)

    def has_blob(self, sha256: str, token: str) -> bool:
        try:
            self._send("HEAD", f"/v1/blobs/{sha256}", _bearer(token))
        except Refused as no:
            if no.status == HTTPStatus.NOT_FOUND:
                return False
            raise
        return True

    def put_blob(self, sha256: str, size_bytes: int, file: IO[bytes], token: str) -> None:
        headers = _bearer(token) | {
            "Content-Length": str(size_bytes),
            "Content-Type": "application/octet-stream",
        }
        self._send("PUT", f"/v1/blobs/{sha256}", headers, content=_chunks(file))

    def get_blob(self, sha256: str, token: str, file: IO[bytes], bytes_max: int) -> None:
        """Write a blob to a file; ValueError if it is not what its name says, or too large."""
        digest, size = hashlib.sha256(), 0
        url = f"/v1/blobs/{sha256}"
        try:
            with self.client.stream("GET", url, headers=_bearer(token)) as response:
                if response.is_error:
                    response.read()
                _raise_for(response)
                for chunk in response.iter_bytes(CHUNK_BYTES):
                    size += len(chunk)
                    if size > bytes_max:
                        raise ValueError(f"it is larger than {bytes_max} bytes")
                    digest.update(chunk)
                    file.write(chunk)
        except httpx.TransportError as error:
            raise _unreachable(error) from error
        if digest.hexdigest() != sha256:
            raise ValueError("its content does not have the promised hash")

    def dial(self, path: str, url: str = "") -> "ClientConnection":
        """Open a WebSocket, signed, at a door's own address or where this network is known."""
        from websockets.sync.client import connect

        base = (url or str(self.client.base_url)).rstrip("/")
        dialling = connect(
            f"ws{base.removeprefix('http')}{path}",
            ssl=self.tls if base.startswith("https") else None,
            additional_headers={"X-Intertie-Signature": self.key.sign("GET", path, b"")},
            compression=None,  # what was encrypted does not shrink, and terminals say little
            max_size=DIALLED_BYTES_MAX,
            proxy=None if _is_loopback(base) else True,
            open_timeout=PATIENCE_S,
        )
        return dialling.__enter__()  # later versions connect only now

    def _exchange(
        self,
        path: str,
        message: BaseModel,
        kind: type[A],
        headers: dict[str, str],
        patience_s: float = PATIENCE_S,
    ) -> A:
        # What is as it would be taken anyway is left out: an older network may not know its name.
        body = message.model_dump_json(exclude_none=True, exclude_defaults=True).encode()
        signed = {
            "X-Intertie-Signature": self.key.sign("POST", path, body),
            "Content-Type": "application/json",
        }
        timeout = httpx.Timeout(patience_s, connect=5.0)
        response = self._send("POST", path, headers | signed, content=body, timeout=timeout)
        try:
            return kind.model_validate_json(response.content)
        except ValidationError as error:
            raise Unreachable(f"the answer is not understood: {error}") from error

    def _send(self, method: str, path: str, headers: dict[str, str], **more: Any) -> httpx.Response:
        try:
            response = self.client.request(method, path, headers=headers, **more)
        except httpx.TransportError as error:
            raise _unreachable(error) from error
        _raise_for(response)
        return response


def _raise_for(response: httpx.Response) -> None:
    busy = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
    if response.is_server_error or response.status_code in busy:
        told = response.headers.get("Retry-After", "")
        wait_s = min(float(told), RETRY_AFTER_S_MAX) if told.isdigit() else 0.0
        raise Unreachable(f"{response.status_code} {response.reason_phrase}", wait_s)
    if not response.is_success:
        problem = _problem(response)
        raise Refused(response.status_code, problem, _offset(response, problem))


def _problem(response: httpx.Response) -> Problem:
    with suppress(ValidationError):
        return Problem.model_validate_json(response.content)
    return Problem(type="", title=response.reason_phrase, status=response.status_code)


def _offset(response: httpx.Response, problem: Problem) -> int | None:
    told = [response.headers.get("X-Intertie-Offset", "")]
    told += [each.message for each in problem.errors if each.field == "offset"]
    return next((int(text) for text in told if text.isdigit()), None)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _unreachable(error: Exception) -> Unreachable:
    if why := why_not_trusted(error):
        return Untrusted(why)
    return Unreachable(str(error) or type(error).__name__)


def _is_loopback(url: str) -> bool:
    """Return whether the network is this machine: then a proxy from the environment is no help."""
    host = urlsplit(url).hostname or ""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
