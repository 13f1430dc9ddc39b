"""One seed: a whole control plane with its users, owners, agents and machines, and what goes wrong.

`Simulation(seed, folder).run()` lives through troubled minutes, heals everything, lets all come to
an end, and asks the auditor whether the books are what they must be.
"""

import json
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from intertie.api import exchange
from intertie.control import clock as control_clock
from intertie.control.bootstrap import open_network, raise_incarnation
from intertie.control.clock import WallClock
from intertie.model.parties import NodeFacts, Score
from intertie.model.plain import to_plain
from intertie.model.policy import Policy
from intertie.model.units import GIB, MICRO
from intertie.store.database import open_database
from intertie.wire.sync import NodeBody, PoolBody, ScoreBody, TermsBody
from tests.simulation.agents import Link, Site, on_simulated_time
from tests.simulation.auditor import Auditor, Truth
from tests.simulation.clockwork import Clockwork
from tests.simulation.doors import Away, Doors
from tests.simulation.machines import Machines, Run
from tests.simulation.processes import DeciderProcess, on_simulated_leadership
from tests.simulation.troubles import Troubles
from tests.simulation.users import Ask, Users

BEGUN_AT = 1_700_000_000_000
DECIDERS = 2
ROOM = ("pool_full", "pool_offline", "pool_draining", "owner_reclaimed")
PROJECTS = (("small", 60_000, 1), ("large", 10 * MICRO, 1), ("heavy", MICRO, 3))
POOLS = (
    ("lab", 2, 2000, 8 * GIB, MICRO, 900_000, 5),
    ("west", 1, 2000, 8 * GIB, 500_000, 300_000, 2),
    ("night", 1, 1000, 4 * GIB, 900_000, 250_000, 5),
)


@dataclass
class Report:
    """What one run was. The same seed gives the same `digest`."""

    seed: int
    digest: str = ""
    complaints: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    log: list[str] = field(default_factory=list)


class Simulation:
    """Everything of one run. `folder` holds the database; `template` an empty network to begin."""

    def __init__(self, seed: int, folder: Path, template: Path, troubled_s: int = 45) -> None:
        self.chance = Random(seed)
        self.troubled_s = troubled_s
        self.clock = Clockwork()
        self.clock.now = BEGUN_AT
        self.path = folder / "network.sqlite"
        self.url = f"sqlite:///{self.path}"
        self.offsets = {"door": 0, "decider": 0}
        self.clocks = {who: self._wall_clock(who) for who in self.offsets}
        self.log: list[str] = []
        self.faults: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.policy = some_policy(self.chance)
        self.path.write_bytes(template.read_bytes())
        _set_policy(self.path, self.policy)
        self.is_poke_lossy = False
        self.deciders: list[DeciderProcess] = []
        self.sites: dict[int, Site] = {}
        self.projects: list[int] = []
        self.backup: tuple[int, bytes] | None = None
        self.restores: list[tuple[int, int]] = []
        self.incarnation = 1
        self.jumps: list[tuple[int, int]] = []
        self.report = Report(seed)

    def run(self) -> Report:
        """Live through it all and return what was found."""
        with (
            patch.object(control_clock, "now_ms", self._now_ms),
            patch.object(exchange, "now_ms", self._door_ms),
            on_simulated_time(self.clock, self.chance),
            on_simulated_leadership(self.clock),
        ):
            return self._run()

    def _run(self) -> Report:
        try:
            self.doors = self._open_doors()
            self.users = Users(self.clock, self.doors, self.chance)
            self.auditor = Auditor(self.path, self.policy)
            for _ in range(DECIDERS):
                self.start_decider()
            self._settle_in()
            self._live()
            self._come_to_an_end()
            self._audit("the end", is_end=True)
        finally:
            self.clock.close()
            for store in (self.doors.store, *(each.store for each in self.deciders)):
                store.close()
        return self._reported()

    def say(self, what: str) -> None:
        """Write a line of the run's log."""
        self.log.append(f"{self.clock.now - BEGUN_AT:>8} {what}")

    def poke(self) -> None:
        """Wake the deciders, unless the poke is lost."""
        if self.is_poke_lossy and self.chance.random() < 0.3:
            self.faults["poke lost"] += 1
            return
        for decider in self.deciders:
            decider.poked.set()

    def start_decider(self) -> None:
        """Start a decider process; two there are, one of which follows."""
        if len(self.deciders) >= DECIDERS:
            return
        self.counts["deciders"] += 1
        self.deciders.append(
            DeciderProcess(
                self.clock,
                f"decider {self.counts['deciders']}",
                self.url,
                self.chance,
                self._committed,
                self._decider_ended,
            )
        )

    def restart_doors(self) -> None:
        """Kill the doors: whoever waits there hears nothing; new ones open."""
        self.doors.close()
        self._tally(self.doors.store.done)
        self.doors = self._open_doors()
        self.users.doors = self.doors
        for site in self.sites.values():
            site.link.doors = self.doors

    def take_backup(self) -> None:
        """Copy the database as it is committed at this instant."""
        with sqlite3.connect(self.path) as live:
            self.backup = (self.clock.now, live.serialize())
        live.close()

    def restore_backup(self) -> None:
        """Put yesterday's database in the place of today's; every process begins again."""
        if self.backup is None:
            return
        at, content = self.backup
        for decider in self.deciders:
            decider.kill()
            self._bury(decider)
        self.deciders = []
        self.doors.close()
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        self.path.write_bytes(content)
        engine = open_database(self.url)
        self.incarnation = raise_incarnation(engine, self.incarnation)
        engine.dispose()
        self.restores.append((at, self.clock.now))
        self.users.forget(self.auditor.keys())
        self.restart_doors()
        for _ in range(DECIDERS):
            self.clock.after(self.chance.randrange(10, 2_000), self.start_decider)

    def jump(self, who: str, ms: int) -> None:
        """Set a wall clock forward or back."""
        self.jumps.append((self.clock.now, ms))
        self.offsets[who] += ms

    def _open_doors(self) -> Doors:
        return Doors(self.clock, self.url, self._door_ms, self.poke)

    def _wall_clock(self, who: str) -> WallClock:
        """Return the clock of a role's machine: its wall clock jumps, the role's time does not."""

        def wall_ns() -> int:
            return (self.clock.now + self.offsets[who]) * 1_000_000

        return WallClock(wall_ns, lambda: self.clock.now * 1_000_000)

    def _door_ms(self) -> int:
        return self.clocks["door"].now_ms()

    def _now_ms(self) -> int:
        return self.clocks["decider"].now_ms()

    def _committed(self) -> None:
        self.counts["rounds"] += 1
        self.doors.after_round()

    def _decider_ended(self, ended: DeciderProcess) -> None:
        """It is started again, unless a restore has swept it away."""
        if ended in self.deciders:
            self.deciders.remove(ended)
            self._bury(ended)
            self.clock.after(self.chance.randrange(50, 6_000), self.start_decider)

    def _bury(self, decider: DeciderProcess) -> None:
        self._tally(decider.store.done)
        self.counts.update({f"decider {why}": n for why, n in decider.ends.items()})

    def _tally(self, done: Counter[str]) -> None:
        self.faults.update(done)
        done.clear()

    def _settle_in(self) -> None:
        """Make the projects, the providers and their pools; nothing is wrong yet."""
        parties = [("project", name, {"weight": w, "trial_micro": t}) for name, t, w in PROJECTS]
        parties += [("provider", pool[0], {}) for pool in POOLS]
        made = [self._asked(kind, 0, {"name": name} | more) for kind, name, more in parties]
        self.projects = [ask.values["project"] for ask in made[: len(PROJECTS)]]
        for ask, pool in zip(made[len(PROJECTS) :], POOLS, strict=True):
            provider = ask.values["provider"]
            key = {"pool": pool[0], "public_key": "key"}
            number = self._asked("agent", provider, key).values["agent"]
            self.sites[number] = self._site(number, *pool)
            self.sites[number].start_agent()
        self.clock.run_until(self.clock.now + 2_000)

    def _asked(self, kind: str, actor: int, body: dict[str, Any]) -> Ask:
        ask = self.users.ask(kind, actor, body)
        while not ask.is_answered:
            self.clock.run_until(self.clock.now + 100)
        return ask

    def _site(
        self, number: int, name: str, nodes: int, cpus: int, memory: int,
        score: int, price: int, grace_s: int,
    ) -> Site:  # fmt: skip
        facts = tuple(NodeFacts(f"n{at}", cpus, memory, 100 * GIB) for at in range(nodes))
        machines = Machines(self.clock, number, facts)
        link = Link(self.clock, self.doors, number, self.chance)
        body = PoolBody(
            name=name, engine="fake", region="cn-east", country="CN",
            latency_ms=5, latency_source="declared",
            nodes=[NodeBody(**to_plain(node)) for node in facts],
            terms=TermsBody(
                price_micro_per_unit_h=price, grace_s=grace_s,
                lent_cpus_milli=nodes * cpus, lent_memory_bytes=nodes * memory,
            ),
            scores=[ScoreBody(**to_plain(Score("cpu@1", score, "measured")))],
            abilities=["sandbox", "gangs"],
        )  # fmt: skip
        return Site(self.clock, f"agent-{name}", machines, link, body, self.chance)

    def _live(self) -> None:
        """Live through the troubled minutes; the auditor looks in now and then."""
        troubles = Troubles(self)
        troubles.schedule(self.troubled_s * 1000)
        ends = self.clock.now + self.troubled_s * 1000
        while self.clock.now < ends:
            self.clock.run_until(min(ends, self.clock.now + 10_000))
            self._audit("on the way")
        troubles.heal()

    def _come_to_an_end(self) -> None:
        """All is well again: what can run runs; what still waits has a reason, and is cancelled."""
        for project in self.projects:
            self._asked("block", 0, {"project": project, "is_blocked": False})
            self._asked("top_up", 0, {"project": project, "amount_micro": 50 * MICRO})
        self._until_settled(600)
        self._ask_why()
        for project, job in self.users.jobs():
            self._asked("cancel", project, {"job": job})
        self._until_settled(600)
        self.clock.run_until(self.clock.now + 15_000)
        # What a restored network knows nothing of runs on to its own end, and to that of its lease.
        ends = self.clock.now + 600_000
        while self.clock.now < ends and any(
            run.began_at and not run.is_over for run in self._runs()
        ):
            self.clock.run_until(self.clock.now + 5_000)

    def _ask_why(self) -> None:
        """What still waits, though nothing is wrong, must have a reason other than want of room."""
        waiting = {job["id"]: job["project"] for job in self.auditor.waiting()}
        for job, project in waiting.items():
            asked = self._asked("why", project, {"job": job})
            nearest = (asked.document or {}).get("nearest")
            if nearest is None or nearest["code"] in ROOM:
                self.users.complaints.append(f"job {job} waits, all is free: {asked.document}")

    def _until_settled(self, seconds: int) -> None:
        ends = self.clock.now + seconds * 1000
        while self.clock.now < ends and not self.auditor.is_all_settled():
            self.clock.run_until(self.clock.now + 5_000)
            self._audit("while it heals")
            if self.auditor.may_only_wait():
                return

    def _runs(self) -> list[Run]:
        return [run for site in self.sites.values() for run in site.machines.history]

    def _audit(self, when: str, is_end: bool = False) -> None:
        """Judge the store; between rounds only what holds at every instant."""
        leading = [each for each in self.deciders if each.is_leading]
        is_resting = len(leading) == 1 and leading[0].is_resting
        truth = Truth(
            now=self.clock.now,
            asks=self.users.asks,
            runs=self._runs(),
            jumps=self.jumps,
            restores=self.restores,
            is_resting=is_resting,
        )
        found = self.auditor.judge(truth, is_end)
        found += self.users.complaints
        if found:
            self.report.complaints += [f"{when}: {each}" for each in found]
            self.users.complaints = []
            raise BadBooks

    def _reported(self) -> Report:
        self._tally(self.doors.store.done)
        for decider in self.deciders:
            self._bury(decider)
        for site in self.sites.values():
            self.faults.update({f"link: {what}": n for what, n in site.link.done.items()})
            self.faults["agent killed"] += site.deaths
        report = self.report
        report.log, report.faults = self.log, self.faults
        self.counts["events"] = self.clock.events
        self.counts["doubled asks"] = self.users.doubled
        self.counts.update(self.auditor.counts())
        report.counts = self.counts
        told = [self.auditor.contents(), [str(run) for run in self._runs()], self.log]
        report.digest = sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
        return report


class BadBooks(Exception):
    """The auditor has found something; the run is over."""


def some_policy(chance: Random) -> Policy:
    """Return a policy under which slices, renewals and lapses happen within minutes."""
    return Policy(
        lease_s=chance.choice((20, 40, 90)),
        lease_s_min=chance.choice((10, 30)),
        slice_s=chance.choice((7, 10, 60)),
        quote_s=15,
        renew_for_s=chance.choice((12, 20)),
        busy_poll_ms=chance.choice((3_000, 5_000)),
        fee_ppm=chance.choice((20_000, 33_333)),
        retain_s=600,
    )


def make_template(folder: Path) -> Path:
    """Return a migrated database with an empty network, the same each time."""
    path = folder / "template.sqlite"
    before = control_clock.now_ms
    engine = open_network(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE network SET secret = x'00', created_at = 4000000000000")
    engine.dispose()
    control_clock.now_ms = before
    with sqlite3.connect(path) as live:
        content = live.serialize()
    live.close()
    path.write_bytes(content)
    return path


def _set_policy(path: Path, policy: Policy) -> None:
    with sqlite3.connect(path) as live:
        live.execute("UPDATE network SET policy = ?", (json.dumps(to_plain(policy)),))
    live.close()


__all__ = ["Away", "BadBooks", "Report", "Simulation", "make_template"]
