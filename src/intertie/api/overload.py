"""Too much: a door says no before anything is appended, and says when to come again.

429 for a project that asks faster than its share, 503 for users while the network is behind.
Agents are let in before users: what runs must be heard.
"""

import math
import time
from collections.abc import Callable

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from intertie.api.problems import Wrong, problem
from intertie.api.rounds import Rounds
from intertie.model.policy import Policy
from intertie.model.refusal import Refusal, Relaxation

# Requests under way at once: users' with their streams, agents' with their long polls.
USERS_MAX = 2_000
# Of these, how many may ask for something: about a second's work, so that nobody waits for long in
# a queue that no inbox row shows.
ASKS_MAX = 256
AGENTS_MAX = 20_000
BUSY_RETRY_S = 2
_AGENTS = "/v1/agents"


class Gate:
    """Whom a door lets in now. `clock` gives seconds; a project's tokens refill by it."""

    def __init__(
        self, policy: Policy, rounds: Rounds, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._policy, self._rounds, self._clock = policy, rounds, clock
        self._tokens: dict[int, tuple[float, float]] = {}
        self.open = {True: 0, False: 0}
        self.asks = 0

    def check_busy(self, is_agent: bool, asks: bool) -> None:
        """Raise 503 for one request too many, and for what a user asks while the inbox waits."""
        if self.open[is_agent] >= (AGENTS_MAX if is_agent else USERS_MAX):
            raise _busy()
        is_behind = self._rounds.inbox_wait_ms > self._policy.inbox_wait_ms_max
        if asks and not is_agent and (is_behind or self.asks >= ASKS_MAX):
            raise _busy()

    def take(self, project: int) -> None:
        """Take one of the project's tokens; raises 429 when it has none left."""
        rate, now_s = self._policy.asks_per_s_max, self._clock()
        left, at_s = self._tokens.get(project, (float(self._policy.asks_burst), now_s))
        left = min(self._policy.asks_burst, left + (now_s - at_s) * rate)
        if left < 1:
            wait_s = math.ceil((1 - left) / rate)
            refusal = Refusal("asks_too_fast", {"per_s": rate}, Relaxation("ask_slower"))
            headers = {"Retry-After": str(wait_s)}
            raise Wrong(429, "too_many_requests", refusal=refusal, headers=headers)
        self._tokens[project] = (left - 1, now_s)


class Overload:
    """Counts what is under way, and refuses by the gate before a body is read."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self.app(scope, receive, send)
            return
        gate: Gate = scope["app"].state.door.gate
        is_agent, asks = scope["path"].startswith(_AGENTS), scope["method"] == "POST"
        try:
            gate.check_busy(is_agent, asks)
        except Wrong as busy:
            await problem(Request(scope), busy)(scope, receive, send)
            return
        is_ask = asks and not is_agent
        gate.open[is_agent] += 1
        gate.asks += is_ask
        try:
            await self.app(scope, receive, send)
        finally:
            gate.open[is_agent] -= 1
            gate.asks -= is_ask


def _busy() -> Wrong:
    refusal = Refusal("network_busy", {}, Relaxation("wait", {"about_s": BUSY_RETRY_S}))
    return Wrong(503, "unavailable", refusal=refusal, headers={"Retry-After": str(BUSY_RETRY_S)})
