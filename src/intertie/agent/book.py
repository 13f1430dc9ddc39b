"""The agent's book: every lease it has taken on, what it sees of each, and what the journal keeps.

Threads share it: whoever reads or writes holds `changed`, the one lock. What is promised is in
the journal before it is acted on, so that an agent that is killed starts nothing twice. How the
last attempts ended is kept after the network has booked it: a network that is restored from a
backup asks for them again, and is told instead.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import RLock
from typing import cast

from intertie.agent.journal import Entry, Journal
from intertie.agent.network_clock import NetworkClock
from intertie.engines.protocol import Observed
from intertie.model.ids import decode
from intertie.wire.base import plain
from intertie.wire.digest import digest_text, lease_mark, observation_digest
from intertie.wire.sync import (
    CauseWord,
    Decline,
    FileBody,
    LeaseBody,
    LeaseObservation,
    LeaseStateWord,
)

Name = tuple[str, int]
PAST_MAX = 10_000
FIRST_WITH_DELTAS = 2  # the protocol since which only changes are said, both ways
STATE_OF: dict[str, LeaseStateWord] = {
    "pending": "pending",
    "running": "running",
    "over": "finishing",
}


@dataclass
class Record:
    """One lease. `body` is absent for an attempt that the engine has and the journal has not."""

    lease: str
    token: int
    body: LeaseBody | None = None
    until: int = 0
    stop: tuple[str, int] | None = None
    declined: str = ""
    seen: Observed | None = None
    saved: dict[str, list[FileBody]] = field(default_factory=dict)
    ended: LeaseObservation | None = None
    is_forgotten: bool = False

    @property
    def name(self) -> Name:
        return (self.lease, self.token)

    @property
    def job(self) -> str:
        """Return the job that it is for; empty where the body is absent."""
        return self.body.job if self.body else ""

    @property
    def state(self) -> LeaseStateWord:
        """Return the network's word for it: what is over is finishing until its files are up."""
        is_over = self.seen is not None and self.seen.state == "over"
        if self.ended or (is_over and self.body is None):  # nothing can be sent without its token
            return "ended"
        return STATE_OF[self.seen.state] if self.seen else "pending"

    @property
    def holds_room(self) -> bool:
        """Return whether it takes, or is about to take, a part of what the owner lends."""
        return not self.declined and self.state in ("pending", "running")

    @property
    def is_final(self) -> bool:
        """Return whether nothing more is to be seen of it: its site's account is there too."""
        return self.seen is not None and self.seen.state == "over" and self.seen.is_final

    @property
    def is_running(self) -> bool:
        """Return whether its program runs."""
        return self.holds_room and self.seen is not None and self.seen.state == "running"

    def observation(self) -> LeaseObservation:
        """Return what the network should know of it now."""
        if self.ended:
            return self.ended
        return self.observed(self.state, [f for files in self.saved.values() for f in files])

    def observed(
        self, state: LeaseStateWord, files: list[FileBody], note: str = ""
    ) -> LeaseObservation:
        """Return an observation with the meters last seen."""
        seen = self.seen or Observed(self.lease, self.token, "pending")
        return LeaseObservation(
            lease=self.lease,
            token=self.token,
            state=state,
            cause=cast(CauseWord, seen.cause),
            exit_code=seen.exit_code,
            signal=seen.signal,
            started_at=seen.started_at,
            ran_ms=seen.ran_ms,
            cpu_ms=seen.cpu_ms,
            memory_peak_bytes=seen.memory_peak_bytes,
            files=files,
            detail=f"{seen.detail} {note}".strip()[:2000],
            site_ms=seen.site_ms,
            expected_start_at=seen.expected_start_at,
            node=seen.node[:200],
            image=seen.image[:200],
        )


class Book:
    """All records, by lease and token. Their `until` is the network's, and goes by `clock`."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.clock = NetworkClock()
        self.changed = RLock()
        self.records: dict[Name, Record] = {}
        self.past: dict[Name, LeaseObservation] = {}
        self._forgotten = 0
        self._gathered: list[Entry] | None = None

    @contextmanager
    def together(self) -> Iterator[None]:
        """Gather what is written meanwhile, and sync it once at the end; act on it afterwards."""
        assert self._gathered is None, "what is gathered is written by whoever began"
        self._gathered = []
        try:
            yield
            self.journal.append_many(self._gathered)
        finally:
            self._gathered = None
        if self._forgotten > PAST_MAX:
            self._rewrite()

    def load(self) -> None:
        """Read the journal and rewrite it with what is still needed."""
        for entry in self.journal.read():
            self._fold(entry)
        self._rewrite()

    def take(self, lease: str, token: int, until: int, body: LeaseBody) -> Record:
        """Take a lease on; an attempt that runs already, unknown to the journal, is adopted."""
        self._write(_taken(lease, token, until, body))
        record = self.records.setdefault((lease, token), Record(lease, token))
        record.body, record.until = body, until
        return record

    def decline(self, lease: str, token: int, reason: str) -> None:
        self._write({"kind": "declined", "lease": lease, "token": token, "reason": reason})
        self.records[lease, token] = Record(lease, token, declined=reason)

    def order_stop(self, record: Record, cause: str, grace_s: int) -> None:
        self._write(_stop(record, cause, grace_s))
        record.stop = (cause, grace_s)

    def end(self, record: Record, observation: LeaseObservation) -> None:
        """Close a record: this is the last that the network hears of it, until it forgets it."""
        self._write(_ended(observation))
        record.ended = observation

    def forget(self, record: Record) -> None:
        self._write(_forgotten(record.lease, record.token))
        record.is_forgotten = True
        self._forgotten += 1
        self._pass(record.name)

    def recall(self, name: Name) -> Record | None:
        """Return a record of an attempt that ended here and was booked; None if it never did."""
        ended = self.past.get(name)
        if ended is None:
            return None
        return self.records.setdefault(name, Record(*name, ended=ended))

    def see(self, observed: list[Observed]) -> set[Name]:
        """Fold in what the engine sees; return the leases that changed their state."""
        news: set[Name] = set()
        for seen in observed:
            record = self.records.setdefault(
                (seen.lease, seen.token), Record(seen.lease, seen.token)
            )
            before, record.seen = (record.state, record.is_final), seen
            if (record.state, record.is_final) != before:
                news.add(record.name)
        return news

    def observations(self) -> dict[Name, LeaseObservation]:
        kept = (record for record in self.records.values() if not record.declined)
        return {record.name: record.observation() for record in kept}

    def digest(self, protocol: int) -> str:
        """Return the digest of all leases seen as pending or running."""
        names = [record.name for record in self.records.values() if record.holds_room]
        if protocol < FIRST_WITH_DELTAS:
            return observation_digest(names)
        return digest_text(sum(lease_mark(decode("lease", lease), token) for lease, token in names))

    def declines(self) -> list[Decline]:
        return [
            Decline(lease=record.lease, token=record.token, reason=record.declined)
            for record in self.records.values()
            if record.declined
        ]

    def known(self) -> list[str]:
        """Return the leases whose bodies need not be sent again (protocol 1)."""
        return sorted({r.lease for r in self.records.values() if r.body or r.declined or r.ended})

    def _write(self, entry: Entry) -> None:
        if self._gathered is None:
            self.journal.append_many([entry])
        else:
            self._gathered.append(entry)

    def _pass(self, name: Name) -> None:
        """Let go of a record; of one that ran, its end stays."""
        record = self.records.pop(name, None)
        if record is None or record.ended is None or not record.ended.started_at:
            return
        self.past[name] = record.ended
        if len(self.past) > PAST_MAX:
            del self.past[next(iter(self.past))]

    def _rewrite(self) -> None:
        past = [entry for name, ended in self.past.items() for entry in _passed(name, ended)]
        now = [entry for record in self.records.values() for entry in _entries(record)]
        self.journal.rewrite(past + now)
        self._forgotten = 0

    def _fold(self, entry: Entry) -> None:
        name = (str(entry["lease"]), int(entry["token"]))
        if entry["kind"] == "forgotten":
            self._pass(name)
            return
        record = self.records.setdefault(name, Record(*name))
        if entry["kind"] == "taken":
            record.body = LeaseBody.model_validate(entry["body"])
            record.until = int(entry["until"])
        elif entry["kind"] == "declined":
            record.declined = entry["reason"]
        elif entry["kind"] == "stop":
            record.stop = (entry["cause"], int(entry["grace_s"]))
        elif entry["kind"] == "ended":
            record.ended = LeaseObservation.model_validate(entry["observation"])


def _entries(record: Record) -> list[Entry]:
    """Return the fewest entries from which a record can be read again."""
    if record.ended:
        return [_ended(record.ended)]
    entries: list[Entry] = []
    if record.body:
        entries.append(_taken(record.lease, record.token, record.until, record.body))
    if record.stop:
        entries.append(_stop(record, *record.stop))
    if record.declined:
        told = {"lease": record.lease, "token": record.token, "reason": record.declined}
        entries.append({"kind": "declined"} | told)
    return entries


def _taken(lease: str, token: int, until: int, body: LeaseBody) -> Entry:
    told = {"kind": "taken", "lease": lease, "token": token, "until": until}
    return told | {"body": plain(body)}


def _stop(record: Record, cause: str, grace_s: int) -> Entry:
    told = {"kind": "stop", "lease": record.lease, "token": record.token}
    return told | {"cause": cause, "grace_s": grace_s}


def _ended(observation: LeaseObservation) -> Entry:
    told = {"kind": "ended", "lease": observation.lease, "token": observation.token}
    return told | {"observation": plain(observation)}


def _passed(name: Name, ended: LeaseObservation) -> tuple[Entry, Entry]:
    return _ended(ended), _forgotten(*name)


def _forgotten(lease: str, token: int) -> Entry:
    return {"kind": "forgotten", "lease": lease, "token": token}
