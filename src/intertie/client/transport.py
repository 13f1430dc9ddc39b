"""One HTTP conversation with the network: retries, idempotency keys, problems, pages, streams."""

import json
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from intertie.client.errors import Unreachable, error_of, problem_from, problem_of
from intertie.client.pinning import split_address, trust, why_not_trusted
from intertie.client.streams import ServerEvent, parse

if TYPE_CHECKING:
    from websockets.http11 import Response
    from websockets.sync.client import ClientConnection

Body = Mapping[str, Any]
Headers = Mapping[str, str]

TRIES = 4
FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 10.0
STREAM_SILENCE_S = 45.0
DIAL_S = 75.0  # a door waits that long for an agent, and a little
RETRIED = (429, 502, 503, 504)


class Transport:
    """Sends requests to one network as one bearer; its address may pin its certificate.

    Every request is safe to repeat: a create carries an Idempotency-Key that stays the same
    over its retries. Connection errors and 429/502/503/504 are tried `TRIES` times in all.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        lang: str | None = None,
        timeout_s: float = 30.0,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        headers = {"Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if lang:
            headers["Accept-Language"] = lang
        self.url, self.fingerprint = _checked_address(url)
        self.sleep = sleep
        self._address = url
        self._tls = trust(self.fingerprint)
        self._known = (token, lang, timeout_s, transport)
        self._told = [name for name in headers if name != "Accept"]
        self._http = httpx.Client(
            base_url=self.url,
            headers=headers,
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 5.0)),
            transport=transport,
            verify=self._tls,
            trust_env=not _is_here(self.url),
        )
        # Notebooks never call close; streams may outlive the `Intertie` that began them.
        self._closed_with = weakref.finalize(self, self._http.close)

    def another(self) -> "Transport":
        """Return a conversation of its own with the same network, as the same bearer."""
        return Transport(self._address, *self._known, self.sleep)

    def close(self) -> None:
        self._closed_with()

    def get(self, path: str, params: Body | None = None) -> Any:
        """Return the JSON of an answer."""
        return _json(self.ask("GET", path, params=params))

    def post(self, path: str, body: Any = None, key: str | None = None) -> Any:
        """Return the JSON of an answer; the idempotency key is kept over retries."""
        headers = {"Idempotency-Key": key or uuid4().hex}
        return _json(self.ask("POST", path, json=body or {}, headers=headers))

    def pages(self, path: str, params: Body | None = None) -> Iterator[Any]:
        """Return the items of every page, asking for the next page only when it is needed."""
        after: str | None = None
        while True:
            page = self.get(path, {**(params or {}), **({"after": after} if after else {})})
            yield from page["items"]
            following = page.get("next")
            if not following or following == after:
                return
            after = following

    def ask(
        self,
        method: str,
        path: str,
        *,
        accept: tuple[int, ...] = (),
        params: Body | None = None,
        json: Any = None,
        content: bytes | None = None,
        headers: Headers | None = None,
    ) -> httpx.Response:
        """Return a successful answer, or one whose status is in `accept`; raise a named error."""
        request = self._http.build_request(
            method, f"/v1/{path}", params=params, json=json, content=content, headers=headers
        )
        for left in range(TRIES - 1, -1, -1):
            waited_s = FIRST_WAIT_S * 2 ** (TRIES - 1 - left)
            try:
                response = self._http.send(request)
            except httpx.TransportError as error:
                if not left or why_not_trusted(error):
                    raise self._unreachable(error) from error
                self.sleep(waited_s)
                continue
            if response.is_success or response.status_code in accept:
                return response
            if response.status_code not in RETRIED or not left:
                raise _error_in(response)
            self.sleep(_retry_after_s(response, waited_s))
        raise AssertionError("the last try returns or raises")

    def dial(self, path: str) -> "ClientConnection":
        """Open a WebSocket to a route, once; raise the named error of whoever refuses."""
        from websockets.exceptions import InvalidHandshake, InvalidStatus
        from websockets.sync.client import connect

        try:
            dialling = connect(
                f"ws{self.url.removeprefix('http')}/v1/{path}",
                ssl=self._tls if self.url.startswith("https") else None,
                additional_headers={name: self._http.headers[name] for name in self._told},
                compression=None,
                proxy=None if _is_here(self.url) else True,
                open_timeout=DIAL_S,
            )
            return dialling.__enter__()  # later versions connect only now
        except InvalidStatus as error:
            raise _error_in(_as_httpx(error.response)) from None
        except (OSError, InvalidHandshake, EOFError) as error:
            raise self._unreachable(error) from error

    def save(self, path: str, place: Path) -> str:
        """Write the bytes of an answer into a file and return their SHA-256."""
        for left in range(TRIES - 1, -1, -1):
            try:
                return self._save(path, place)
            except httpx.TransportError as error:
                if not left:
                    raise self._unreachable(error) from error
            self.sleep(FIRST_WAIT_S * 2 ** (TRIES - 1 - left))
        raise AssertionError("the last try returns or raises")

    def listen(
        self,
        path: str,
        resume: Callable[[ServerEvent | None], tuple[Body, Headers]],
        is_over: Callable[[], bool],
        silence_s: float = STREAM_SILENCE_S,
        tick: Callable[[], None] = lambda: None,
    ) -> Iterator[ServerEvent]:
        """Return the events of a stream, reconnecting where it broke, until its event ``end``.

        `resume` turns the last event into the parameters and headers that continue after it. A
        stream that closes, or is silent for `silence_s`, is over when `is_over` says so. `tick`
        is called whenever anything arrives, heartbeats too; it ends the wait by raising.
        """
        last: ServerEvent | None = None
        failures = 0
        while True:
            params, headers = resume(last)
            try:
                for event in self._events(path, params, headers, silence_s, tick):
                    failures = 0
                    if event.event == "end":
                        return
                    last = event
                    yield event
            except httpx.ReadTimeout:
                tick()
            except httpx.TransportError as error:
                failures += 1
                if failures >= TRIES:
                    raise self._unreachable(error) from error
            if not failures and is_over():
                return
            self.sleep(min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**failures))

    def _events(
        self, path: str, params: Body, headers: Headers, silence_s: float, tick: Callable[[], None]
    ) -> Iterator[ServerEvent]:
        timeout = httpx.Timeout(10.0, read=silence_s)
        wanted = {"Accept": "text/event-stream", **headers}
        with self._http.stream(
            "GET", f"/v1/{path}", params=params, headers=wanted, timeout=timeout
        ) as response:
            if response.status_code in RETRIED:
                raise httpx.ConnectError(f"HTTP {response.status_code}")
            if not response.is_success:
                response.read()
                raise _error_in(response)
            yield from parse(_ticking(response.iter_bytes(), tick))

    def _save(self, path: str, place: Path) -> str:
        digest = sha256()
        with self._http.stream("GET", f"/v1/{path}") as response:
            if not response.is_success:
                response.read()
                raise _error_in(response)
            with place.open("wb") as file:
                for chunk in response.iter_bytes():
                    digest.update(chunk)
                    file.write(chunk)
        return digest.hexdigest()

    def _unreachable(self, error: Exception) -> Unreachable:
        if why := why_not_trusted(error):
            detail = f"{self.url}: {why}"
            return Unreachable(problem_of("untrusted", "The network is not who it says", detail))
        detail = f"{self.url} did not answer ({str(error) or type(error).__name__})"
        return Unreachable(problem_of("unreachable", "The network cannot be reached", detail))


def _ticking(chunks: Iterator[bytes], tick: Callable[[], None]) -> Iterator[bytes]:
    for chunk in chunks:
        tick()
        yield chunk


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except json.JSONDecodeError:
        kind = response.headers.get("content-type", "")
        raise error_of(problem_from(response.status_code, kind, None)) from None


def _error_in(response: httpx.Response) -> Exception:
    kind = response.headers.get("content-type", "")
    try:
        body = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        body = None
    return error_of(problem_from(response.status_code, kind, body))


def _as_httpx(response: "Response") -> httpx.Response:
    headers = list(response.headers.raw_items())
    return httpx.Response(
        response.status_code, headers=headers, content=bytes(response.body or b"")
    )


def _retry_after_s(response: httpx.Response, otherwise_s: float) -> float:
    told = response.headers.get("retry-after", "")
    return min(LONGEST_WAIT_S, float(told)) if told.isdigit() else otherwise_s


def _checked_address(address: str) -> tuple[str, str]:
    """Return the URL and the pinned fingerprint, or nothing, of an address."""
    parts = urlsplit(address)
    try:
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"write an address such as http://127.0.0.1:8800, not {address!r}")
        return split_address(address)
    except ValueError as error:
        title = "The address of the network is wrong"
        raise Unreachable(problem_of("no_network", title, str(error))) from None


def _is_here(url: str) -> bool:
    """Return whether an address is this machine's own: a proxy never helps to reach it."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")
