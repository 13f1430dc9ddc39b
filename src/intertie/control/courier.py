"""The courier: tells webhooks what happened, in order, at least once, from their cursors.

It runs beside the decider while that leads, in a thread with an event loop of its own, so that a
receiver that hangs costs neither a round nor another receiver anything. The event table is the
outbox: what was told is a number in the webhook's row, written after the telling. Whoever takes
over tells the rest, and repeats what was told but not noted, with the same id.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TypeVar

import httpx
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from intertie.control.clock import now_ms
from intertie.control.delivering import Delivery, Message, Reach, client, deliver
from intertie.control.logs import log
from intertie.control.wake import Wake
from intertie.model.ids import encode
from intertie.store import feed, reading, webhooks
from intertie.store.feed import Happened
from intertie.store.webhooks import Webhook
from intertie.wire.webhooks import WebhookEvent

FIRST_WAIT_S, LONGEST_WAIT_S = 1, 3_600
GIVE_UP_S = 3 * 86_400
EVENTS_MAX = 50
NOTED_EACH_S = 1.0
TICK_S = 0.5
PAUSE_S = 0.05
# Who is deposed does not wait for a database that hangs: what is told twice has the same id.
STOP_S = 5.0
# A failure that could not be written down must not be tried again at once, for ever.
REST_S = 10.0
THREADS = 4
AT_ONCE_MAX = 64
# A cursor that nothing was told to is written only when it lags so far behind.
LAG_MAX = 10_000
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Errand:
    """What one webhook is to be told now, and the number up to which nothing else concerns it."""

    webhook: Webhook
    events: list[Happened]
    upto: int


class Courier:
    """Delivers until told to stop. `clock` gives ms since 1970; tests turn it forward."""

    def __init__(
        self,
        engine: Engine,
        wake: Wake,
        reach: Reach | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._engine = engine
        self._wake = wake
        self._reach = reach or Reach()
        self._clock = clock
        self._upto: dict[int, int] = {}
        self._busy: dict[int, asyncio.Task[None]] = {}
        self._rests_until_s: dict[int, float] = {}
        with reading.snapshot(engine) as connection:
            self._incarnation = reading.network_facts(connection).incarnation

    def run(self, should_stop: threading.Event) -> None:
        """Tell webhooks what happens until `should_stop`; what was not noted is told again."""
        # Threads of its own: those of the loop may all wait for names that do not resolve.
        with ThreadPoolExecutor(THREADS, "courier") as self._threads:
            asyncio.run(self._live(should_stop))

    @contextmanager
    def working(self) -> Iterator[None]:
        """Run in a thread of its own while the block lasts: the block of who leads.

        Each time anew: what an earlier term had in hand, or left hanging, is not taken up.
        """
        fresh = Courier(self._engine, self._wake, self._reach, self._clock)
        should_stop = threading.Event()
        told = (should_stop,)
        thread = threading.Thread(target=fresh.run, args=told, name="courier", daemon=True)
        thread.start()
        try:
            yield
        finally:
            should_stop.set()
            thread.join(STOP_S)

    async def _live(self, should_stop: threading.Event) -> None:
        self._slots = asyncio.Semaphore(AT_ONCE_MAX)
        hearing: asyncio.Future[None] | None = None
        async with client(self._reach) as http:
            while not should_stop.is_set():
                seen = self._wake.seen()
                for errand in await self._look():
                    self._send_out(http, errand)
                if hearing is None or hearing.done():
                    hearing = asyncio.ensure_future(self._apart(self._wake.wait, seen, TICK_S))
                await asyncio.sleep(PAUSE_S)
                await asyncio.wait(
                    {hearing, *self._busy.values()}, return_when=asyncio.FIRST_COMPLETED
                )
            for task in self._busy.values():
                task.cancel()
            await asyncio.gather(*self._busy.values(), return_exceptions=True)

    async def _look(self) -> list[Errand]:
        """Return an errand for each webhook that may be told and has something to hear."""
        try:
            return await self._apart(self._errands, frozenset(self._busy))
        except DBAPIError as error:
            log.warning("the courier cannot look", reason=str(error.orig))
            return []

    def _errands(self, busy: frozenset[int]) -> list[Errand]:
        found = []
        with reading.snapshot(self._engine) as connection:
            due, now_s = webhooks.due(connection, self._clock()), time.monotonic()
            waiting = [w for w in due if self._rests_until_s.get(w.id, now_s) <= now_s]
            waiting = [w for w in waiting if w.id not in busy]
            newest = feed.head(connection) if waiting else 0
            for webhook in waiting:
                since = max(webhook.cursor, self._upto.get(webhook.id, 0))
                if since >= newest:
                    continue
                events = feed.after(connection, webhook.project, since, EVENTS_MAX)
                upto = events[-1].number if len(events) == EVENTS_MAX else newest
                wanted = [event for event in events if webhook.wants(event.code)]
                found.append(Errand(webhook, wanted, upto))
        return found

    def _send_out(self, http: httpx.AsyncClient, errand: Errand) -> None:
        """Start an errand; where there is nothing to tell only the number is kept, in memory."""
        number = errand.webhook.id
        if not errand.events and errand.upto - errand.webhook.cursor <= LAG_MAX:
            self._upto[number] = errand.upto
            return
        task = asyncio.create_task(self._tell(http, errand))
        self._busy[number] = task
        task.add_done_callback(partial(self._done, number))

    def _done(self, number: int, task: asyncio.Task[None]) -> None:
        del self._busy[number]
        if not task.cancelled() and (error := task.exception()):
            self._rests_until_s[number] = time.monotonic() + REST_S
            log.error("webhook not told", webhook=encode("webhook", number), exc_info=error)

    async def _tell(self, http: httpx.AsyncClient, errand: Errand) -> None:
        """Tell events in order, up to the first that is not taken; note how far it got."""
        webhook, noted_s, told = errand.webhook, time.monotonic(), 0
        for event in errand.events:
            message = message_of(event, webhook.project, self._incarnation)
            async with self._slots:
                done = await deliver(http, webhook.url, webhook.secret, message, self._reach)
            if done.error:
                await self._note(webhook, told)
                await self._apart(self._fail, webhook, 1 if told else webhook.failures + 1, done)
                return
            told = event.number
            if time.monotonic() - noted_s >= NOTED_EACH_S:
                await self._note(webhook, told)
                noted_s = time.monotonic()
        await self._note(webhook, errand.upto)

    async def _note(self, webhook: Webhook, upto: int) -> None:
        if upto:
            self._upto[webhook.id] = upto
            await self._apart(webhooks.move_on, self._engine, webhook.id, upto)

    def _fail(self, webhook: Webhook, failures: int, done: Delivery) -> None:
        """Note a failure, by how many there were in a row with this one."""
        now = self._clock()
        ended_at = now if done.is_gone or gives_up(failures) else 0
        next_at = now + wait_s(failures) * 1000
        webhooks.note_failure(self._engine, webhook.id, done.error, failures, next_at, ended_at)
        say = log.warning if ended_at else log.info
        what = "webhook given up" if ended_at else "webhook failed"
        say(what, webhook=encode("webhook", webhook.id), failures=failures, reason=done.error)

    def _apart(self, work: Callable[P, T], *given: P.args, **named: P.kwargs) -> Awaitable[T]:
        """Do blocking work in a thread of the courier's own."""
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._threads, partial(work, *given, **named))


def message_of(event: Happened, project: int, incarnation: int) -> Message:
    """Return an event as it is sent: the same event gives the same bytes, whenever it is sent.

    The incarnation is in the id: numbers after yesterday's backup are used a second time.
    """
    number = encode("event", event.number)
    said = WebhookEvent(
        id=f"{number}.{incarnation}",
        number=event.number,
        at=event.at,
        project=encode("project", project),
        job=encode("job", event.job),
        code=event.code,
        values=event.values,
    )
    return Message(said.id, said.model_dump_json().encode())


def ping_of(webhook: Webhook, at: int, nonce: str) -> Message:
    """Return a test message for a webhook; it concerns no job."""
    project = encode("project", webhook.project)
    said = WebhookEvent(id=f"ping-{nonce}", number=0, at=at, project=project, code="ping")
    return Message(said.id, said.model_dump_json().encode())


def wait_s(failures: int) -> int:
    """Return how long to wait after so many failures in a row: 1, 2, 4 … seconds, up to an hour."""
    assert failures > 0, "ask only after a failure"
    return int(min(LONGEST_WAIT_S, FIRST_WAIT_S << min(failures - 1, 12)))


def gives_up(failures: int) -> bool:
    """Return whether all the waiting so far makes three days, in which no try succeeded.

    Counted by tries, so that a network that was down itself gives up nobody for it.
    """
    return sum(wait_s(each) for each in range(1, failures + 1)) > GIVE_UP_S
