"""A door's errands: rows are appended in groups, and one look a round answers all who wait.

A row is durable before its asker hears of it. Rows that arrive while a commit is under way share
the next one; nobody who waits holds a thread or asks the store alone.
"""

import asyncio
import contextlib
import json
import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from intertie.control.clock import now_ms
from intertie.control.logs import tell_append
from intertie.control.metrics import APPENDED, ROUND_WAIT_SECONDS, ROUND_WAITS_GIVEN_UP
from intertie.control.wake import Wake
from intertie.model.job import Rejected
from intertie.model.plain import from_plain
from intertie.model.refusal import Refusal
from intertie.store.appending import Appended, Waited, append_many, waited_many

ROUND_TIMEOUT_S = 10.0
GROUP_MAX = 1_000
# Rounds take the oldest rows first: more than a round can take need not be asked for.
LOOK_MAX = 2_000

Asked = tuple[int, dict[str, Any]]


class NotDecided(Exception):
    """No round has taken the row in time. It stays in the inbox and will be taken."""

    def __init__(self, number: int) -> None:
        super().__init__(f"inbox row {number} waits for a round")
        self.number = number


class Refused(Exception):
    """The round refused, and this is why; `pools` holds each pool's own reason."""

    def __init__(self, refusal: Refusal, rejected: Rejected | None = None) -> None:
        super().__init__(f"{refusal.code} {json.dumps(refusal.values)}")
        self.refusal = refusal
        self.pools = rejected.pools if rejected else ()


@dataclass(frozen=True)
class _Errand:
    """One row on its way: who waits for its number, and for its answer where one is wanted."""

    row: Appended
    number: asyncio.Future[int]
    answer: asyncio.Future[Waited] | None


class Clerk:
    """Appends and waits for everybody in one process, on one event loop.

    Who follows the rounds calls `look` in a thread after each, and `tell` on the loop.
    """

    def __init__(self, engine: Engine, wake: Wake) -> None:
        self._engine, self._wake = engine, wake
        self._errands: list[_Errand] = []
        self._appending: asyncio.Task[None] | None = None
        self._awaited: dict[int, list[asyncio.Future[Waited]]] = defaultdict(list)
        self._lock = threading.Lock()

    async def append(
        self, kind: str, actor: int, body: dict[str, Any], key: str | None = None
    ) -> int:
        """Append an inbox row and return its number; raises KeyReused."""
        return await self._enter(Appended(kind, actor, now_ms(), body, key), None)

    async def ask(
        self,
        kind: str,
        actor: int,
        body: dict[str, Any],
        key: str | None = None,
        timeout_s: float = ROUND_TIMEOUT_S,
    ) -> Asked:
        """Return an inbox row's number and its answer: {"values": {...}, "document": ...}.

        Raises Refused with the reason, NotDecided when no round came, KeyReused.
        """
        answer = asyncio.get_running_loop().create_future()
        number = await self._enter(Appended(kind, actor, now_ms(), body, key), answer)
        began_s = time.perf_counter()
        try:
            found = await asyncio.wait_for(answer, timeout_s)
            ROUND_WAIT_SECONDS.labels(kind).observe(time.perf_counter() - began_s)
        except TimeoutError:
            ROUND_WAITS_GIVEN_UP.inc()
            raise NotDecided(number) from None
        finally:
            self._leave(number, answer)
        return number, answer_of(found)

    def look(self) -> dict[int, Waited]:
        """Return what rounds have answered of what is awaited; one query for all who wait."""
        with self._lock:
            numbers = sorted(self._awaited)[:LOOK_MAX]
        if not numbers:
            return {}
        found = waited_many(self._engine, numbers)
        return {number: each for number, each in found.items() if each.is_taken}

    def tell(self, found: dict[int, Waited]) -> None:
        """Give each answer to those who wait for it."""
        with self._lock:
            answers = [(self._awaited.pop(number, []), each) for number, each in found.items()]
        for waiting, each in answers:
            for future in waiting:
                if not future.done():
                    future.set_result(each)

    async def _enter(self, row: Appended, answer: asyncio.Future[Waited] | None) -> int:
        loop = asyncio.get_running_loop()
        errand = _Errand(row, loop.create_future(), answer)
        self._errands.append(errand)
        if self._appending is None or self._appending.done():
            self._appending = loop.create_task(self._append_groups())
        number = await errand.number
        APPENDED.labels(row.kind).inc()
        tell_append(row.kind, row.actor, number, row.body)
        return number

    async def _append_groups(self) -> None:
        while self._errands:
            group, self._errands = self._errands[:GROUP_MAX], self._errands[GROUP_MAX:]
            numbers = await self._try(group)
            if len(group) > 1 and isinstance(numbers[0], UnicodeEncodeError):
                # One body that no store can keep must not take the others with it.
                numbers = [number for errand in group for number in await self._try([errand])]
            for errand, number in zip(group, numbers, strict=True):
                _give(errand.number, number)

    async def _try(self, group: list[_Errand]) -> list[int | BaseException]:
        """Return a number for each errand, or what went wrong with it."""
        work = asyncio.to_thread(self._append, group)
        [done] = await asyncio.gather(work, return_exceptions=True)
        return [done] * len(group) if isinstance(done, BaseException) else done

    def _append(self, group: list[_Errand]) -> list[int | BaseException]:
        numbers = append_many(self._engine, [errand.row for errand in group])
        with self._lock:  # before the poke: the look that it causes must ask for them
            for errand, number in zip(group, numbers, strict=True):
                if errand.answer is not None and isinstance(number, int):
                    self._awaited[number].append(errand.answer)
        self._wake.poke()
        return list(numbers)

    def _leave(self, number: int, answer: asyncio.Future[Waited]) -> None:
        with self._lock:
            waiting = self._awaited.get(number, [])
            with contextlib.suppress(ValueError):
                waiting.remove(answer)
            if not waiting:
                self._awaited.pop(number, None)


def answer_of(found: Waited) -> dict[str, Any]:
    """Return what a round answered; raises Refused where it refused."""
    answer = found.answer or {"refusal": None, "values": {}, "document": None}
    if answer["refusal"] is not None:
        pools = answer["document"]
        rejected = from_plain(Rejected, pools) if pools else None
        raise Refused(from_plain(Refusal, answer["refusal"]), rejected)
    return answer


def _give(future: asyncio.Future[int], number: int | BaseException) -> None:
    if future.done():  # who asked has gone; the row is kept all the same
        return
    if isinstance(number, int):
        future.set_result(number)
    else:
        future.set_exception(number)
