"""A simulated agent: it speaks the real protocol, signed, and runs the fake engine's attempts.

It keeps no journal and writes no file, which is why ten thousand of them fit into one process.
"""

import asyncio
import time
from dataclasses import replace
from typing import Any

from intertie.agent.key import Key
from intertie.engines.fake.attempts import FakeAttempt, begin, never, observed, told_to_stop
from intertie.engines.protocol import Observed
from intertie.model.ids import decode
from intertie.model.states import Cause
from intertie.wire.digest import digest_text, lease_mark
from intertie.wire.sync import LeaseBody

Name = tuple[str, int]
Body = dict[str, Any]
PROTOCOL = 2
WORDS = {"pending": "pending", "running": "running", "over": "ended"}
FOREVER = 2**62


def now_ms() -> int:
    """Return this instant in milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


class Speaker:
    """What one agent knows: what runs, what it has told, and what the network wants of it."""

    def __init__(self, pool: str, key: Key, cpus_milli: int, memory_bytes: int) -> None:
        self.pool, self.key = pool, key
        self.cpus_milli, self.memory_bytes = cpus_milli, memory_bytes
        self.agent = ""
        self.epoch = self.sequence = self.answered = 0
        self.heard_round = self.incarnation = self.next_poll_ms = 0
        self.wants_full = True
        self.attempts: dict[Name, FakeAttempt] = {}
        self.told: dict[Name, str] = {}
        self.wanted: dict[str, tuple[int, int]] = {}  # the token and the mark of each lease
        self.taken = self.ended = self.mismatches = 0
        self.arrivals: dict[str, int] = {}
        self.news = asyncio.Event()
        self.telling = asyncio.Lock()

    def pool_body(self, price_micro: int, nodes: int) -> Body:
        """Return what is said of the pool when a session begins; its nodes are alike."""
        each = {"cpus_milli": self.cpus_milli // nodes, "disk_bytes": 1 << 50}
        each["memory_bytes"] = self.memory_bytes // nodes
        return {
            "name": self.pool,
            "engine": "fake",
            "region": "here",
            "country": "",
            "latency_ms": 0,
            "latency_source": "declared",
            "nodes": [{"name": f"n{index}", **each} for index in range(nodes)],
            "terms": {
                "price_micro_per_unit_h": price_micro,
                "grace_s": 5,
                "lent_cpus_milli": self.cpus_milli,
                "lent_memory_bytes": self.memory_bytes,
            },
            "scores": [{"profile": "cpu@1", "millionths": 1_000_000, "source": "declared"}],
        }

    def opened(self, answer: Body) -> None:
        """Begin to speak under a new epoch: everything is said anew."""
        assert answer["protocol"] == PROTOCOL, answer
        self.epoch, self.sequence, self.answered = answer["epoch"], 0, 0
        self._begin_anew(answer["incarnation"])
        self.told.clear()

    def has_news(self) -> bool:
        """Return whether something happened that was not told, or a body is lacking."""
        now = now_ms()
        seen = self.attempts.items()
        return any(self.told.get(n) != observed(a, now).state for n, a in seen) or bool(
            self._lacks()
        )

    def next_at(self) -> int:
        """Return the next instant at which an attempt changes by itself."""
        now = now_ms()
        instants = [at for a in self.attempts.values() for at in (a.starts_at, a.ends_at)]
        return min((at for at in instants if at > now), default=FOREVER)

    def message(self, wait_ms: int) -> tuple[Body, dict[Name, str]]:
        """Return the next sync and what it tells; `wait_ms` is how long the answer may wait."""
        self.sequence += 1
        now = now_ms()
        seen = {name: observed(each, now) for name, each in self.attempts.items()}
        saying = {
            name: each.state
            for name, each in seen.items()
            if self.wants_full or self.told.get(name) != each.state
        }
        marks = [_mark(*name) for name, each in seen.items() if each.state != "over"]
        message = {
            "protocol": PROTOCOL,
            "epoch": self.epoch,
            "sequence": self.sequence,
            "is_full": self.wants_full,
            "digest": digest_text(sum(marks)),
            "leases": [_said(seen[name]) for name in saying],
            "lacks": self._lacks(),
            "owner": {
                "lent_cpus_milli": self.cpus_milli,
                "lent_memory_bytes": self.memory_bytes,
            },
            "wanted_digest": self._digest(),
            "heard_round": self.heard_round,
            "incarnation": self.incarnation,
            "wait_ms": 0 if self.wants_full else wait_ms,
        }
        return message, saying

    def hear(self, answer: Body, said: Body, saying: dict[Name, str]) -> None:
        """Take in an answer, unless a later message was answered before."""
        if said["epoch"] != self.epoch or said["sequence"] <= self.answered:
            return
        self.answered = said["sequence"]
        self.ended += sum(s == "over" != self.told.get(name) for name, s in saying.items())
        self.told |= saying
        self.next_poll_ms, self.wants_full = answer["next_poll_ms"], answer["wants_full"]
        if answer["incarnation"] != self.incarnation or answer["is_full"]:
            self._begin_anew(answer["incarnation"])
            self.wants_full = answer["wants_full"]
        if answer["round"] > self.heard_round:
            self._take_in(answer)
            if self._digest() != answer["wanted_digest"]:
                self.mismatches += 1
                self._begin_anew(answer["incarnation"])

    def _begin_anew(self, incarnation: int) -> None:
        self.incarnation, self.heard_round, self.wants_full = incarnation, 0, True
        self.wanted.clear()

    def _take_in(self, answer: Body) -> None:
        self.heard_round = answer["round"]
        for wanted in answer["leases"]:
            mark = _mark(wanted["lease"], wanted["token"], wanted["until"])
            self.wanted[wanted["lease"]] = (wanted["token"], mark)
            self._want(wanted)
        for order in answer["stops"]:
            cause = Cause[order["cause"].upper()]
            mark = _mark(order["lease"], order["token"], -cause)
            self.wanted[order["lease"]] = (order["token"], mark)
            self._stop(order["lease"], order["token"], order["cause"], order["grace_s"])
        for lease in answer["gone"]:
            for name in [each for each in self.attempts if each[0] == lease]:
                self._stop(*name, "superseded", 0)
            self.wanted.pop(lease, None)
        forgotten = set(answer["forget"])
        for lease in forgotten:
            self.wanted.pop(lease, None)
        for name in [each for each in self.attempts if each[0] in forgotten]:
            del self.attempts[name]
            self.told.pop(name, None)

    def _stop(self, lease: str, token: int, cause: str, grace_s: int) -> None:
        running = self.attempts.get((lease, token))
        if running is None:
            self.attempts[lease, token] = never(lease, token, cause, now_ms())
        else:
            self.attempts[lease, token] = told_to_stop(running, cause, grace_s, now_ms())

    def _want(self, wanted: Body) -> None:
        name = wanted["lease"], wanted["token"]
        if name in self.attempts:
            self.attempts[name] = replace(self.attempts[name], until=wanted["until"])
        elif wanted["body"] is not None:
            body = LeaseBody.model_validate(wanted["body"])
            self.attempts[name] = begin(*name, body, now_ms(), 1_000_000, 0)
            self.taken += 1
            self.arrivals.setdefault(body.job, time.monotonic_ns())

    def _lacks(self) -> list[str]:
        return [
            lease
            for lease, (token, _) in self.wanted.items()
            if (lease, token) not in self.attempts
        ]

    def _digest(self) -> str:
        return digest_text(sum(mark for _, mark in self.wanted.values()))


def _mark(lease: str, *numbers: int) -> int:
    return lease_mark(decode("lease", lease), *numbers)


def _said(each: Observed) -> Body:
    return {
        "lease": each.lease,
        "token": each.token,
        "state": WORDS[each.state],
        "cause": each.cause,
        "exit_code": each.exit_code,
        "signal": each.signal,
        "started_at": each.started_at,
        "ran_ms": each.ran_ms,
        "cpu_ms": each.cpu_ms,
        "memory_peak_bytes": each.memory_peak_bytes,
    }
