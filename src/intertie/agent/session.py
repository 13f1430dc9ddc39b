"""The one repeated exchange with the network: what is seen goes up, what is wanted comes down.

Two threads may be in an exchange at once: the long poll, and one that has news. Each message has
the next number; an answer to an older number than one already taken in is dropped, since every
message says all that was not yet answered and every answer says all that is wanted.
"""

import time
from collections.abc import Callable
from threading import Lock

from intertie.agent.book import Book, Name, Record
from intertie.agent.door import Door
from intertie.agent.log import event
from intertie.agent.owner import Lent
from intertie.engines.protocol import Engine
from intertie.wire.sync import (
    LeaseBody,
    LeaseObservation,
    OpenSession,
    OwnerState,
    PoolBody,
    Sync,
    SyncAnswer,
    WantedLease,
)

WAIT_MS_MAX = 60_000


class Session:
    """One epoch of speaking for the pool."""

    def __init__(
        self,
        door: Door,
        agent: str,
        book: Book,
        engine: Engine,
        lent: Callable[[], Lent],
        admits: Callable[[LeaseBody], str],
        carry: Callable[[Record], None],
    ) -> None:
        self.door, self.agent, self.book, self.engine = door, agent, book, engine
        self.lent, self.admits, self.carry = lent, admits, carry
        self.epoch = 0
        self.sequence = 0
        self.answered = 0
        self.next_poll_ms = 0
        self.wanted_digest = ""
        self.wants_full = True
        self.told: dict[Name, LeaseObservation] = {}
        self._numbering = Lock()

    @property
    def is_open(self) -> bool:
        return self.epoch > 0

    def open(self, pool: PoolBody) -> None:
        """Begin to speak for the pool; whoever spoke before is fenced out."""
        opened = self.door.open_session(self.agent, OpenSession(pool=pool))
        with self._numbering, self.book.changed:
            self.epoch, self.sequence, self.answered = opened.epoch, 0, 0
            self.wants_full, self.wanted_digest, self.told = True, "", {}
        event("session open", epoch=opened.epoch, incarnation=opened.incarnation)

    def close(self) -> None:
        """Speak no more until a new session is open."""
        self.epoch = 0

    def exchange(self, wait_ms: int) -> bool:
        """Say what changed, take in what is wanted; wait for it up to `wait_ms`.

        Return True if the answer brought nothing new, though no later message made it hurry.
        """
        sent_at = time.monotonic()
        message, said = self._message(min(wait_ms, WAIT_MS_MAX))
        answer = self.door.sync(self.agent, message)
        with self.book.changed:
            if message.epoch != self.epoch or message.sequence <= self.answered:
                return False
            is_idle = answer.wanted_digest == message.wanted_digest and not answer.wants_full
            self.answered = message.sequence
            self._note_told(said)
            self.wants_full = answer.wants_full
            self.wanted_digest, self.next_poll_ms = answer.wanted_digest, answer.next_poll_ms
            self._take_in(answer, sent_at)
            return is_idle and message.sequence == self.sequence

    def _message(self, wait_ms: int) -> tuple[Sync, dict[Name, LeaseObservation]]:
        with self._numbering, self.book.changed:
            self.sequence += 1
            lent = self.lent()
            now = self.book.observations()
            changed = {n: o for n, o in now.items() if self.wants_full or self.told.get(n) != o}
            message = Sync(
                epoch=self.epoch,
                sequence=self.sequence,
                is_full=self.wants_full,
                digest=self.book.digest(),
                leases=list(changed.values()),
                declines=self.book.declines(),
                known=self.book.known(),
                owner=OwnerState(
                    lent_cpus_milli=lent.cpus_milli, lent_memory_bytes=lent.memory_bytes
                ),
                wanted_digest="" if self.wants_full else self.wanted_digest,
                wait_ms=0 if self.wants_full else wait_ms,
            )
            return message, changed

    def _note_told(self, said: dict[Name, LeaseObservation]) -> None:
        self.told |= said
        self.told = {name: told for name, told in self.told.items() if name in self.book.records}

    def _take_in(self, answer: SyncAnswer, sent_at: float) -> None:
        """Do what the network asks; each part may be asked again and is then done already."""
        left_ms = answer.renew_for_s * 1000 - int((time.monotonic() - sent_at) * 1000)
        self.engine.renew(max(0, left_ms))
        for order in answer.stops:
            self._stop(order.lease, order.token, order.cause, order.grace_s)
        for wanted in answer.leases:
            self._want(wanted)
        self._drop_declined({(wanted.lease, wanted.token) for wanted in answer.leases})
        for lease in answer.forget:
            for record in [r for r in self.book.records.values() if r.lease == lease]:
                self._forget(record)

    def _stop(self, lease: str, token: int, cause: str, grace_s: int) -> None:
        record = self.book.records.get((lease, token))
        if record is None:  # stopped before it came: from now on it can never start here
            self.book.records[lease, token] = record = Record(lease, token)
            self.book.order_stop(record, cause, grace_s)
            self._end_unknown(record, cause)
            return
        if record.ended or record.stop == (cause, grace_s):
            return
        event("stop", lease=lease, cause=cause, grace_s=grace_s)
        self.book.order_stop(record, cause, grace_s)
        self.engine.stop(lease, token, cause, grace_s)

    def _end_unknown(self, record: Record, cause: str) -> None:
        ended = LeaseObservation(lease=record.lease, token=record.token, state="ended")
        self.book.end(record, ended.model_copy(update={"cause": cause}))
        event("withdrawn before it came", lease=record.lease, cause=cause)

    def _want(self, wanted: WantedLease) -> None:
        record = self.book.records.get((wanted.lease, wanted.token))
        if record is not None and record.until != wanted.until and record.holds_room:
            record.until = wanted.until
            self.engine.extend(wanted.lease, wanted.token, wanted.until)
        if wanted.body is None or (record is not None and (record.body or record.declined)):
            return
        if record is not None and record.ended:
            return
        if record is None and (reason := self.admits(wanted.body)):
            self.book.decline(wanted.lease, wanted.token, reason)
            event("declined", lease=wanted.lease, reason=reason)
            return
        event("taken", lease=wanted.lease, token=wanted.token, job=wanted.body.job)
        self.carry(self.book.take(wanted.lease, wanted.token, wanted.until, wanted.body))

    def _drop_declined(self, wanted: set[Name]) -> None:
        """Forget a declined lease once the network no longer asks for it."""
        for record in list(self.book.records.values()):
            if record.declined and record.name not in wanted:
                self.book.forget(record)

    def _forget(self, record: Record) -> None:
        if record.holds_room and record.seen is not None and record.seen.state == "running":
            return  # it runs: the network will see that, and say stop
        self.engine.forget(record.lease, record.token)
        self.book.forget(record)
        self.told.pop(record.name, None)
