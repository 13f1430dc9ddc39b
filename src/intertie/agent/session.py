"""The one repeated exchange with the network: what is seen goes up, what is wanted comes down.

Two threads may be in an exchange at once: the long poll, and one that has news. Each message has
the next number and says all that was not yet answered. Answers may arrive in any order: each says
what is wanted as of a round, and an older one brings nothing. (Under protocol 1 each answer says
all that is wanted, and one to an older message than the last that was answered is dropped.)
"""

import time
from collections.abc import Callable
from functools import partial
from threading import Lock

from intertie.agent.book import FIRST_WITH_DELTAS, Book, Name, Record
from intertie.agent.door import Door
from intertie.agent.log import event
from intertie.agent.owner import Lent
from intertie.agent.sessions import Calls
from intertie.agent.wanted import WantedSet
from intertie.engines.protocol import Engine
from intertie.wire.base import PROTOCOL_MAX, PROTOCOL_MIN
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

WAIT_MS_MAX = 55_000
METERS_S = 5.0  # the meters of what simply runs on are said no more often
LACKS_MAX = 500
Acts = list[Callable[[], None]]


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
        self.protocol = PROTOCOL_MAX
        self.epoch = 0
        self.sequence = 0
        self.answered = 0
        self.next_poll_ms = 0
        self.wants_full = True
        self.wanted = WantedSet()
        self.lacks: set[str] = set()
        self.told: dict[Name, tuple[LeaseObservation, float]] = {}
        self.calls = Calls(door, agent, book, engine)
        self._renewed_at = 0.0
        self._numbering = Lock()

    @property
    def is_open(self) -> bool:
        return self.epoch > 0

    def open(self, pool: PoolBody) -> None:
        """Begin to speak for the pool; whoever spoke before is fenced out."""
        said = OpenSession(protocol_min=PROTOCOL_MIN, protocol_max=PROTOCOL_MAX, pool=pool)
        opened = self.door.open_session(self.agent, said)
        with self._numbering, self.book.changed:
            self.protocol = opened.protocol
            self.epoch, self.sequence, self.answered = opened.epoch, 0, 0
            self.wants_full, self.wanted, self.told = True, WantedSet(), {}
        event(
            "session open",
            epoch=opened.epoch,
            incarnation=opened.incarnation,
            protocol=opened.protocol,
        )

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
            is_late = message.sequence <= self.answered
            if message.epoch != self.epoch or (is_late and not self._has_deltas):
                return False
            if not is_late:
                self.answered = message.sequence
                self._note_told(said, sent_at)
                self.wants_full, self.next_poll_ms = answer.wants_full, answer.next_poll_ms
            self._take_in(answer, sent_at)
            is_called = self.calls.take(answer.calls)
            self.lacks -= set(message.lacks)
            is_same = answer.wanted_digest == message.wanted_digest and not answer.wants_full
            return is_same and message.sequence == self.sequence and not is_called

    @property
    def _has_deltas(self) -> bool:
        return self.protocol >= FIRST_WITH_DELTAS

    def _message(self, wait_ms: int) -> tuple[Sync, dict[Name, LeaseObservation]]:
        with self._numbering, self.book.changed:
            self.sequence += 1
            lent, wanted, now_s = self.lent(), self.wanted, time.monotonic()
            begins = not wanted.heard_round if self._has_deltas else self.wants_full
            is_full = self.wants_full or begins
            now = self.book.observations()
            changed = {n: o for n, o in now.items() if is_full or self._is_news(n, o, now_s)}
            message = Sync(
                protocol=self.protocol,
                epoch=self.epoch,
                sequence=self.sequence,
                is_full=is_full,
                digest=self.book.digest(self.protocol),
                leases=list(changed.values()),
                declines=self.book.declines(),
                known=[] if self._has_deltas else self.book.known(),
                lacks=sorted(self.lacks)[:LACKS_MAX],
                owner=OwnerState(
                    lent_cpus_milli=lent.cpus_milli,
                    lent_memory_bytes=lent.memory_bytes,
                    lent_device_count=lent.device_count,
                    is_draining=lent.is_draining,
                    waits_s=dict(lent.waits_s),
                ),
                wanted_digest="" if begins else wanted.digest,
                heard_round=wanted.heard_round,
                incarnation=wanted.incarnation,
                wait_ms=0 if begins else wait_ms,
            )
            return message, changed

    def _is_news(self, name: Name, seen: LeaseObservation, now_s: float) -> bool:
        """Return whether the network should hear of a lease now; meters alone can wait a little."""
        told, told_s = self.told.get(name, (None, 0.0))
        if told is None or told == seen:
            return told is None
        is_running_on = told.state == seen.state == "running" and told.files == seen.files
        return not is_running_on or now_s - told_s >= METERS_S

    def _note_told(self, said: dict[Name, LeaseObservation], sent_at: float) -> None:
        self.told |= {name: (seen, sent_at) for name, seen in said.items()}
        self.told = {name: told for name, told in self.told.items() if name in self.book.records}

    def _take_in(self, answer: SyncAnswer, sent_at: float) -> None:
        """Do what the network asks; each part may be asked again and is then done already.

        All of it is in the journal, by one sync, before any of it is done.
        """
        self.book.clock.hear(answer.now)
        self._renew(answer.renew_for_s, sent_at)
        acts: Acts = []
        with self.book.together():
            for order in answer.stops:
                acts += self._stop(order.lease, order.token, order.cause, order.grace_s)
            if self._is_newest(answer):
                for wanted in answer.leases:
                    acts += self._want(wanted)
            acts += self._forget(answer)
        for act in acts:
            act()

    def _renew(self, renew_for_s: int, sent_at: float) -> None:
        """Count the session from the last message that was answered, not from the last answer."""
        if sent_at >= self._renewed_at:
            self._renewed_at = sent_at
            left_ms = renew_for_s * 1000 - int((time.monotonic() - sent_at) * 1000)
            self.engine.renew(max(0, left_ms))

    def _is_newest(self, answer: SyncAnswer) -> bool:
        """Return whether its leases are to be believed: later answers may have said otherwise."""
        if self._has_deltas:
            return self.wanted.take_in(answer)
        self.wanted.digest = answer.wanted_digest
        return True

    def _stop(self, lease: str, token: int, cause: str, grace_s: int) -> Acts:
        record = self._recorded((lease, token))
        if record is None:  # stopped before it came: from now on it can never start here
            self.book.records[lease, token] = record = Record(lease, token)
            self.book.order_stop(record, cause, grace_s)
            self._end_unknown(record, cause)
            return []
        if record.ended or record.stop == (cause, grace_s):
            return []
        event("stop", lease=lease, job=record.job, cause=cause, grace_s=grace_s)
        self.book.order_stop(record, cause, grace_s)
        return [partial(self.engine.stop, lease, token, cause, grace_s)]

    def _extend(self, name: Name, until: int) -> None:
        self.engine.extend(*name, self.book.clock.left_ms(until))

    def _recorded(self, name: Name) -> Record | None:
        """Return what the book has; a restored network asks for what ended here before."""
        return self.book.records.get(name) or self.book.recall(name)

    def _end_unknown(self, record: Record, cause: str) -> None:
        ended = LeaseObservation(lease=record.lease, token=record.token, state="ended")
        self.book.end(record, ended.model_copy(update={"cause": cause}))
        event("withdrawn before it came", lease=record.lease, cause=cause)

    def _want(self, wanted: WantedLease) -> Acts:
        name = (wanted.lease, wanted.token)
        record = self._recorded(name)
        acts: Acts = []
        if record is not None and record.until != wanted.until and record.holds_room:
            record.until = wanted.until
            acts.append(partial(self._extend, name, wanted.until))
        if record is not None and (record.body or record.declined or record.ended):
            return acts
        if wanted.body is None:
            if self._has_deltas:
                self.lacks.add(wanted.lease)
            return acts
        if record is None and (reason := self.admits(wanted.body)):
            self.book.decline(wanted.lease, wanted.token, reason)
            event("declined", lease=wanted.lease, job=wanted.body.job, reason=reason)
            return acts
        event("taken", lease=wanted.lease, token=wanted.token, job=wanted.body.job)
        taken = self.book.take(wanted.lease, wanted.token, wanted.until, wanted.body)
        return [*acts, partial(self.carry, taken)]

    def _forget(self, answer: SyncAnswer) -> Acts:
        """Forget what is booked; under protocol 1 a declined lease that is asked for no more too.

        What runs is not forgotten: the network will see it, and say stop.
        """
        forgotten = set(answer.forget)
        wanted = {(each.lease, each.token) for each in answer.leases}
        acts: Acts = []
        for record in list(self.book.records.values()):
            is_dropped = record.declined and record.name not in wanted and not self._has_deltas
            if is_dropped:
                self.book.forget(record)
            elif record.lease in forgotten and not record.is_running:
                self.book.forget(record)
                self.told.pop(record.name, None)
                acts.append(partial(self.engine.forget, *record.name))
        return acts
