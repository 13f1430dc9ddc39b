"""Who is signed in: tokens live in this process's memory only, behind a key in a signed cookie."""

import re
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from intertie.client import BadInput, Intertie
from intertie.client.errors import problem_of
from intertie.wire.parties import WhoAmI

IDLE_S = 12 * 3600.0
COUNT_MAX = 10_000
TIMEOUT_S = 10.0


@dataclass
class Visitor:
    """One signed-in browser: its token, whose it is, and its connections by language."""

    url: str
    token: str
    who: WhoAmI
    seen_s: float
    is_over: bool = False
    _networks: dict[str, Intertie] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def network(self, lang: str) -> Intertie:
        """Return the visitor's connection that speaks a language; made once, used by threads."""
        with self._lock:
            if lang not in self._networks:
                self._networks[lang] = self.connect(lang)
            return self._networks[lang]

    def connect(self, lang: str, transport: httpx.BaseTransport | None = None) -> Intertie:
        """Return a connection of its own."""
        return Intertie(self.url, self.token, lang=lang, timeout_s=TIMEOUT_S, transport=transport)

    def leave(self) -> None:
        """Close every connection; pages that are still open see `is_over`."""
        with self._lock:
            self.is_over = True
            for network in self._networks.values():
                network.close()


class Visitors:
    """Everyone who is signed in, by the key in their cookie. Idle ones are forgotten."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.url = url
        self._clock = clock
        self._known: dict[str, Visitor] = {}
        self._lock = threading.Lock()

    def sign_in(self, token: str, lang: str) -> str:
        """Return a new key for the bearer of a token; raise what the network says of it.

        An empty token is refused here: the SDK would look for one in this machine's own files.
        """
        if not re.fullmatch(r"[\x21-\x7e]{1,512}", token):
            raise BadInput(problem_of("no_token", "A token is needed", status=401))
        with Intertie(self.url, token, lang=lang, timeout_s=TIMEOUT_S) as network:
            who = network.me()
        key = secrets.token_urlsafe(32)
        with self._lock:
            self._forget_idle()
            self._known[key] = Visitor(self.url, token, who, self._clock())
        return key

    def find(self, key: str | None) -> Visitor | None:
        """Return who holds a key, and note that they are here."""
        with self._lock:
            self._forget_idle()
            visitor = self._known.get(key or "")
            if visitor is not None:
                visitor.seen_s = self._clock()
            return visitor

    def sign_out(self, key: str | None) -> None:
        with self._lock:
            visitor = self._known.pop(key or "", None)
        if visitor is not None:
            visitor.leave()

    def _forget_idle(self) -> None:
        oldest_first = sorted(self._known, key=lambda key: self._known[key].seen_s)
        too_many = oldest_first[: max(0, len(oldest_first) - COUNT_MAX + 1)]
        idle = [key for key in oldest_first if self._clock() - self._known[key].seen_s > IDLE_S]
        for key in {*too_many, *idle}:
            self._known.pop(key).leave()
