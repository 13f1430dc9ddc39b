"""A small network that speaks the access standard over real HTTP, for the agent's tests."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from intertie.model.ids import decode
from intertie.model.states import Cause
from intertie.wire.base import PROTOCOL_MAX
from intertie.wire.digest import digest_text, lease_mark, observation_digest, wanted_digest
from intertie.wire.sync import (
    Enrol,
    Enrolled,
    ExplicitStop,
    LeaseBody,
    LeaseObservation,
    OpenSession,
    PoolBody,
    SessionOpened,
    Sync,
    SyncAnswer,
    WantedLease,
)

DEADLINE_S = 40.0
ALIVE = ("pending", "running")


class No(Exception):
    def __init__(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(code)
        self.status, self.code, self.headers = status, code, headers or {}


@dataclass
class Wanted:
    body: LeaseBody
    token: int
    until: int


@dataclass
class Network:
    """What a network believes and wants; tests change what it wants and wait for what it sees."""

    protocol: int = PROTOCOL_MAX
    renew_for_s: int = 20
    next_poll_ms: int = 1000
    round: int = 1
    changed_round: dict[str, int] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)
    enrol_tokens: set[str] = field(default_factory=lambda: {"enrol-me"})
    key: Ed25519PublicKey | None = None
    epoch: int = 0
    sequence: int = 0
    pool: PoolBody | None = None
    wanted: dict[str, Wanted] = field(default_factory=dict)
    stops: dict[str, ExplicitStop] = field(default_factory=dict)
    forget: set[str] = field(default_factory=set)
    seen: dict[str, LeaseObservation] = field(default_factory=dict)
    history: list[tuple[float, LeaseObservation]] = field(default_factory=list)
    declined: dict[str, str] = field(default_factory=dict)
    owner: Any = None
    logs: dict[str, bytearray] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    puts: list[str] = field(default_factory=list)
    syncs: list[Sync] = field(default_factory=list)
    bodies_sent: list[str] = field(default_factory=list)
    asks_full: bool = False
    ahead_ms: int = 0
    is_down: bool = False
    url: str = ""

    # What a test does.

    def want(self, lease: str, body: LeaseBody, token: int = 1, for_s: float = 600) -> None:
        with self.changed:
            until = int((time.time() + for_s) * 1000) + self.ahead_ms
            self.wanted[lease] = Wanted(body, token, until)
            self._change(lease)

    def stop(self, lease: str, cause: str = "cancelled", grace_s: int = 1, token: int = 1) -> None:
        with self.changed:
            order = {"lease": lease, "token": token, "cause": cause, "grace_s": grace_s}
            self.stops[lease] = ExplicitStop.model_validate(order)
            self._change(lease)

    def drop(self, lease: str) -> None:
        """Book an ended lease, so that the agent may forget it."""
        with self.changed:
            self.wanted.pop(lease, None)
            self.stops.pop(lease, None)
            self.forget.add(lease)
            self._change(lease)

    def unmention(self) -> None:
        """Want nothing any more, without a word about it."""
        with self.changed:
            self.wanted.clear()
            self.changed.notify_all()

    def put(self, content: bytes) -> str:
        name = hashlib.sha256(content).hexdigest()
        self.blobs[name] = content
        return name

    def until(self, holds: Callable[[], Any], what: str = "") -> Any:
        """Return what `holds` gives once it is true; fail with all that was seen otherwise."""
        deadline = time.monotonic() + DEADLINE_S
        with self.changed:
            while not (found := holds()):
                assert time.monotonic() < deadline, f"never came: {what or holds}: {self.seen}"
                self.changed.wait(0.1)
            return found

    def until_state(self, lease: str, state: str) -> LeaseObservation:
        def holds() -> LeaseObservation | None:
            seen = self.seen.get(lease)
            return seen if seen and seen.state == state else None

        found: LeaseObservation = self.until(holds, f"{lease} {state}")
        return found

    def log(self, lease: str) -> str:
        return bytes(self.logs.get(lease, b"")).decode()

    def _change(self, lease: str) -> None:
        self.round += 1
        self.changed_round[lease] = self.round
        self.changed.notify_all()

    # What an agent is answered.

    def enrol(self, body: bytes) -> Enrolled:
        message = Enrol.model_validate_json(body)
        if message.token not in self.enrol_tokens:
            raise No(403, "enrol_token_unknown")
        self.enrol_tokens.discard(message.token)
        self.key = Ed25519PublicKey.from_public_bytes(base64.b64decode(message.public_key))
        return Enrolled(agent="agent-0001", network="test", incarnation=1)

    def open_session(self, body: bytes) -> SessionOpened:
        with self.changed:
            self.pool = OpenSession.model_validate_json(body).pool
            self.epoch += 1
            self.sequence = 0
            self.changed.notify_all()
            return SessionOpened(
                agent="agent-0001",
                epoch=self.epoch,
                incarnation=1,
                protocol=self.protocol,
                renew_for_s=self.renew_for_s,
            )

    def sync(self, body: bytes) -> SyncAnswer:
        message = Sync.model_validate_json(body)
        with self.changed:
            self._check_epoch(message)
            if message.sequence > self.sequence:
                self.sequence = message.sequence
                self._believe(message)
            self.changed.notify_all()
            until = time.monotonic() + message.wait_ms / 1000
            while not self._is_news(message):
                if time.monotonic() >= until or self.is_down:
                    break
                self.changed.wait(max(0.01, until - time.monotonic()))
            self._check_epoch(message)
            return self._answer(message)

    def _is_news(self, message: Sync) -> bool:
        is_overtaken = self.protocol == 1 and message.sequence != self.sequence
        asks = (self.asks_full and not message.is_full) or bool(message.lacks)
        return is_overtaken or asks or self._digest() != message.wanted_digest

    def _check_epoch(self, message: Sync) -> None:
        if self.is_down:
            raise No(503, "unavailable")
        if message.epoch != self.epoch:
            raise No(409, "fenced_out")

    def _believe(self, message: Sync) -> None:
        self.syncs.append(message)
        self.owner = message.owner
        if message.is_full:
            self.asks_full = False
            self.seen = {}
        for seen in message.leases:
            self.seen[seen.lease] = seen
            self.history.append((time.monotonic(), seen))
        self.declined |= {each.lease: each.reason for each in message.declines}
        alive = [(s.lease, s.token) for s in self.seen.values() if s.state in ALIVE]
        digest = observation_digest(alive)
        if self.protocol > 1:
            digest = digest_text(sum(lease_mark(decode("lease", a), b) for a, b in alive))
        if digest != message.digest:
            self.asks_full = True

    def _answer(self, message: Sync) -> SyncAnswer:
        is_full = self.protocol == 1 or not message.heard_round
        leases = []
        for lease, wanted in self.wanted.items():
            is_changed = is_full or self.changed_round[lease] > message.heard_round
            if not is_changed and lease not in message.lacks:
                continue
            is_known = lease in message.known if self.protocol == 1 else lease in self.seen
            if lease in message.lacks:
                is_known = False
            if not is_known:
                self.bodies_sent.append(lease)
            body = None if is_known else wanted.body
            leases.append(
                WantedLease(lease=lease, token=wanted.token, until=wanted.until, body=body)
            )
        return SyncAnswer(
            incarnation=1,
            epoch=self.epoch,
            sequence=message.sequence,
            now=int(time.time() * 1000) + self.ahead_ms,
            round=self.round,
            is_full=is_full,
            wanted_digest=self._digest(),
            wants_full=self.asks_full,
            leases=leases,
            stops=list(self.stops.values()),
            forget=sorted(self.forget),
            renew_for_s=self.renew_for_s,
            next_poll_ms=self.next_poll_ms,
        )

    def _digest(self) -> str:
        if self.protocol == 1:
            leases = [(lease, w.token, w.until) for lease, w in self.wanted.items()]
            stops = [(lease, stop.cause) for lease, stop in self.stops.items()]
            return wanted_digest(leases, stops, self.forget, False)
        marks = {
            a: lease_mark(decode("lease", a), w.token, w.until) for a, w in self.wanted.items()
        }
        for lease, stop in self.stops.items():
            code = Cause[stop.cause.upper()]
            marks[lease] = lease_mark(decode("lease", lease), stop.token, -code)
        return digest_text(sum(mark for a, mark in marks.items() if a not in self.forget))

    def put_log(self, lease: str, offset: int, data: bytes) -> dict[str, int]:
        with self.changed:
            log = self.logs.setdefault(lease, bytearray())
            if offset != len(log):
                raise No(409, "offset_mismatch", {"X-Intertie-Offset": str(len(log))})
            log += data
            self.changed.notify_all()
            return {"offset": len(log)}

    def put_blob(self, name: str, content: bytes) -> dict[str, str]:
        with self.changed:
            if hashlib.sha256(content).hexdigest() != name:
                raise No(422, "hash_mismatch")
            self.blobs[name] = content
            self.puts.append(name)
            self.changed.notify_all()
            return {"sha256": name}


class Handler(BaseHTTPRequestHandler):
    """Routes of the access standard; the signature and the tokens are really checked."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    network: Network

    def do_POST(self) -> None:
        self._reply(self._post)

    def do_PUT(self) -> None:
        self._reply(self._put)

    def do_GET(self) -> None:
        self._reply(self._get)

    def do_HEAD(self) -> None:
        self._reply(self._get)

    def _post(self, body: bytes) -> Any:
        network = self.network
        if self.path == "/v1/agents":
            return network.enrol(body)
        self._check_signature(body)
        if self.path.endswith("/sessions"):
            return network.open_session(body)
        return network.sync(body)

    def _put(self, body: bytes) -> Any:
        self._check_token()
        url = urlsplit(self.path)
        if url.path.startswith("/v1/blobs/"):
            return self.network.put_blob(url.path.rpartition("/")[2], body)
        lease = url.path.split("/")[5]
        return self.network.put_log(lease, int(parse_qs(url.query)["offset"][0]), body)

    def _get(self, _body: bytes) -> Any:
        self._check_token()
        content = self.network.blobs.get(self.path.rpartition("/")[2])
        if content is None:
            raise No(404, "not_found")
        return content

    def _check_signature(self, body: bytes) -> None:
        signed = base64.b64decode(self.headers["X-Intertie-Signature"] or "")
        assert self.network.key is not None
        try:
            self.network.key.verify(signed, f"{self.command} {self.path}\n".encode() + body)
        except InvalidSignature:
            raise No(401, "bad_signature") from None

    def _check_token(self) -> None:
        if self.network.is_down:
            raise No(503, "unavailable")
        if self.headers["Authorization"] != "Bearer attempt-token":
            raise No(401, "bad_token")

    def _reply(self, route: Callable[[bytes], Any]) -> None:
        body = self._body()
        try:
            answer, status, headers = route(body), 200, {}
        except No as no:
            answer, status, headers = _problem(no), no.status, no.headers
        content = answer if isinstance(answer, bytes) else _json(answer)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            raise AssertionError("the agent says how long a body is")
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def log_message(self, *_: Any) -> None:
        return


class Server(ThreadingHTTPServer):
    """Threads for every connection; a client that hangs up is no error."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        return


@contextmanager
def serve(network: Network) -> Any:
    handler = type("BoundHandler", (Handler,), {"network": network})
    server = Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    network.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield network
    finally:
        with network.changed:
            network.is_down = True
            network.changed.notify_all()
        server.shutdown()
        server.server_close()
        thread.join()


def _json(answer: Any) -> bytes:
    if hasattr(answer, "model_dump_json"):
        text: str = answer.model_dump_json()
        return text.encode()
    return json.dumps(answer).encode()


def _problem(no: No) -> dict[str, Any]:
    return {"type": f"/problems/{no.code}", "title": no.code, "status": no.status, "code": no.code}
