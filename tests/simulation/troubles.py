"""What happens and what goes wrong in one run, drawn from its seed; and how all is healed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from intertie.model.units import MICRO
from tests.simulation.agents import Site
from tests.simulation.faulty_store import WHERE
from tests.simulation.users import a_top_up, some_request

if TYPE_CHECKING:
    from tests.simulation.processes import DeciderProcess
    from tests.simulation.simulation import Simulation

CUTS_MS = (2_000, 15_000, 30_000, 60_000)
PRICES = (200_000, 250_000, 300_000, 900_000)


class Troubles:
    """The script of one run. Each act is drawn when its time has come."""

    def __init__(self, simulation: Simulation) -> None:
        self.sim = simulation
        self.chance = simulation.chance
        self.is_healed = False
        # Some runs have clocks that jump by minutes: then nobody can promise that no two attempts
        # overlap, and the auditor judges only money and results.
        self.jump_ms_max = self.chance.choice((700, 700, 700, 90_000))
        self._useful: tuple[tuple[int, Callable[[], None]], ...] = (
            (30, self._submit),
            (5, self._quote),
            (6, self._cancel),
            (6, self._top_up),
            (2, self._block),
        )
        self._bad: tuple[tuple[int, Callable[[], None]], ...] = (
            (8, self._store_fault_at_decider),
            (6, self._store_fault_at_doors),
            (4, self._decider_stands_still),
            (3, self._kill_decider),
            (4, self._owner_reclaims),
            (3, self._owner_lends_all),
            (4, self._kill_agent),
            (4, self._kill_agent_at_journal),
            (5, self._cut),
            (5, self._bad_link),
            (2, self._power_loss),
            (3, self._clock_jumps),
            (2, self._poke_lossy),
            (2, self._new_price),
            (2, self._doors_restart),
            (2, self._backup),
            (1, self._restore),
        )

    def schedule(self, ms: int) -> None:
        """Draw when something happens within so many milliseconds."""
        wanted = ms // 3_000
        for acts, count in ((self._useful, wanted), (self._bad, wanted)):
            weights = [weight for weight, _ in acts]
            for _ in range(count):
                act = self.chance.choices(acts, weights)[0][1]
                self.sim.clock.after(self.chance.randrange(ms), lambda act=act: self._do(act))

    def heal(self) -> None:
        """Make everything work again."""
        sim = self.sim
        self.is_healed = True
        sim.is_poke_lossy = False
        sim.doors.store.disarm()
        for decider in sim.deciders:
            decider.store.disarm()
        for site in sim.sites.values():
            site.link.is_cut, site.link.badness, site.lent_percent = False, 0.0, 100
            site.disk.kill_at(0)
            site.start_agent()
        sim.say("all is well")

    def _do(self, act: Callable[[], None]) -> None:
        if not self.is_healed:
            self.sim.say(act.__name__.strip("_"))
            act()

    def _leading(self) -> list[DeciderProcess]:
        return [decider for decider in self.sim.deciders if decider.is_leading]

    def _site(self) -> Site:
        return self.chance.choice(list(self.sim.sites.values()))

    def _project(self) -> int:
        return self.chance.choice(self.sim.projects)

    def _fault(self, what: str) -> None:
        self.sim.faults[what] += 1

    def _submit(self) -> None:
        project = self._project()
        jobs = [job for _, job in self.sim.users.jobs(project)]
        self.sim.users.submit(project, some_request(self.chance, jobs))

    def _quote(self) -> None:
        self.sim.users.quote_and_submit(self._project(), some_request(self.chance, []))

    def _cancel(self) -> None:
        jobs = self.sim.users.jobs()
        if jobs:
            project, job = self.chance.choice(jobs)
            self.sim.users.ask("cancel", project, {"job": job})

    def _top_up(self) -> None:
        self.sim.users.ask("top_up", 0, a_top_up(self.chance, self._project()))

    def _block(self) -> None:
        is_blocked = self.chance.random() < 0.5
        self.sim.users.ask("block", 0, {"project": self._project(), "is_blocked": is_blocked})

    def _store_fault_at_decider(self) -> None:
        for decider in self._leading():
            decider.store.arm(*self._store_fault(("kill", "fail", "away"), 40))

    def _store_fault_at_doors(self) -> None:
        self.sim.doors.store.arm(*self._store_fault(("fail", "away"), 12))

    def _store_fault(self, hows: tuple[str, ...], most: int) -> tuple[str, str, int]:
        where = self.chance.choice(WHERE)
        count = self.chance.randrange(1, most) if where == "statement" else 1
        return self.chance.choice(hows), where, count

    def _decider_stands_still(self) -> None:
        for decider in self._leading():
            decider.store.arm("pause", "begin", 1)

    def _kill_decider(self) -> None:
        for decider in self._leading():
            decider.store.arm("kill", "statement", 1)
            decider.poked.set()

    def _owner_reclaims(self) -> None:
        self._fault("owner reclaims")
        self._site().lent_percent = self.chance.choice((0, 25, 50))

    def _owner_lends_all(self) -> None:
        self._site().lent_percent = 100

    def _kill_agent(self) -> None:
        site = self._site()
        site.kill_agent()
        self.sim.clock.after(self.chance.choice((100, 3_000, 20_000)), site.start_agent)

    def _kill_agent_at_journal(self) -> None:
        self._site().disk.kill_at(self.chance.randrange(1, 5))

    def _cut(self) -> None:
        site = self._site()
        site.link.is_cut = True
        self._fault("link cut")

        def mend() -> None:
            site.link.is_cut = False

        self.sim.clock.after(self.chance.choice(CUTS_MS), mend)

    def _bad_link(self) -> None:
        self._site().link.badness = self.chance.choice((0.05, 0.2, 0.4))

    def _power_loss(self) -> None:
        site = self._site()
        self._fault("power loss")
        site.kill_agent()
        site.machines.lose_power()
        self.sim.clock.after(self.chance.choice((3_000, 20_000)), site.start_agent)

    def _clock_jumps(self) -> None:
        self._fault("clock jump")
        ms = self.chance.randrange(-self.jump_ms_max, self.jump_ms_max)
        who = self.chance.choice(("door", "decider", "machines"))
        if who != "machines":
            self.sim.jump(who, ms)
            return
        self.sim.jumps.append((self.sim.clock.now, ms))
        self._site().machines.jump(ms)

    def _poke_lossy(self) -> None:
        self.sim.is_poke_lossy = True

    def _new_price(self) -> None:
        """The owner asks another price: the agent is started again with it."""
        site = self._site()
        price = self.chance.choice(PRICES) + self.chance.randrange(MICRO // 100)
        terms = site.pool_body.terms.model_copy(update={"price_micro_per_unit_h": price})
        site.pool_body = site.pool_body.model_copy(update={"terms": terms})
        site.kill_agent()
        site.start_agent()

    def _doors_restart(self) -> None:
        self._fault("doors restarted")
        self.sim.restart_doors()

    def _backup(self) -> None:
        self.sim.take_backup()

    def _restore(self) -> None:
        if self.sim.backup is not None:
            self._fault("backup restored")
            self.sim.restore_backup()
