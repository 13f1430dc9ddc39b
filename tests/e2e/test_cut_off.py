"""An agent of a real Slurm cluster that is cut off from the network, and what becomes of a task."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from intertie.client import Intertie
from intertie.model.policy import Policy
from intertie.wire.jobs import AttemptView, JobView
from tests.engines.slurm.slurming import active
from tests.faults.checks import processes_of
from tests.faults.proxy import Loop, Proxy
from tests.servers.slurm import SlurmCluster, slurm_alpha, slurm_beta
from tests.support.federation import Federation, a_federation
from tests.support.live import wait_until

__all__ = ["slurm_alpha", "slurm_beta"]
PATIENCE_S = 150.0
CUT_S = 600.0  # until it is healed
# Long enough for what ends during a cut to end before its lease does, even on a busy machine.
POLICY = Policy(lease_s=60, lease_s_min=60, renew_for_s=10, grace_s=2, margin_s=3, slice_s=5)
# Each attempt has a file to which it writes the time while it runs, until it is let go.
BEATS = (
    'until [ -e "$SITE/go" ]; do date +%s%3N >> "$SITE/beats-$INTERTIE_ATTEMPT"; sleep 0.2; done'
)


@dataclass
class Site:
    """Two Slurm clusters in one network, of which the cheaper one's agent can be cut off."""

    there: Federation
    clusters: dict[str, SlurmCluster]
    line: Proxy
    folder: Path

    @property
    def client(self) -> Intertie:
        return self.there.client

    def submit(self, on_partition: str) -> JobView:
        """Submit what beats, and return when it runs at the cheaper one."""
        job = self.client.submit(
            {
                "name": on_partition,
                "script": BEATS,
                "environment": {"SITE": str(self.folder)},
                "resources": {"cpus": 1, "memory": "32MiB", "disk": "16MiB"},
                "time_limit": "30m",
                "on_partition": on_partition,
            }
        )
        self.until(lambda: self.attempts(job) and self.attempts(job)[0].state == "running")
        self.until(lambda: self.beats(1) and self.attempts(job)[0].agent_s > 1)
        assert self.attempts(job)[0].pool == "alpha"
        return job

    def attempts(self, job: JobView) -> list[AttemptView]:
        [task] = self.client.tasks(job)
        return task.attempts

    def beats(self, attempt: int) -> list[int]:
        """Return when an attempt was seen to run, in ms by the machine's clock."""
        path = self.folder / f"beats-{attempt}"
        return [int(row) for row in path.read_text().split()] if path.exists() else []

    def until_ms(self, job: JobView) -> int:
        """Return what the site was told last of the first attempt's end."""
        lease = self.attempts(job)[0].lease
        [told] = (self.there.folder / "alpha").rglob(f"{lease}-1/until")
        return int(told.read_text())

    def let_go(self) -> None:
        (self.folder / "go").touch()

    def until(self, is_so: Callable[[], object]) -> None:
        wait_until(is_so, self.there.network, PATIENCE_S)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the agent that can be cut off."""
        os.kill(self.there.network.agents["alpha"].pid, number)


@pytest.fixture
def site(slurm_alpha: SlurmCluster, slurm_beta: SlurmCluster) -> Iterator[Site]:
    with ExitStack() as stack:
        folder = slurm_alpha.shared / f"cut-off-{time.monotonic_ns()}"
        (folder / "site").mkdir(parents=True)
        there = stack.enter_context(a_federation(folder, POLICY))
        network = there.network
        loop = Loop()
        stack.callback(loop.close)
        line = Proxy(loop, "127.0.0.1", lambda: [network.port], [])
        stack.callback(line.close)
        clusters = {each.name: each for each in (slurm_alpha, slurm_beta)}
        doors, lines = network.url, {"alpha": f"http://127.0.0.1:{line.port}"}
        for (name, cluster), price in zip(clusters.items(), ("0.10", "0.40"), strict=True):
            network.url = lines.get(name, doors)
            there.join(name, "slurm", price, 2, conf=cluster.conf, poll_s=1)
        made = Site(there, clusters, line, folder / "site")
        yield made
        made.let_go()


def _stop(site: Site) -> Callable[[], object]:
    """Stop the agent itself: only the site is left to end what it runs; return what heals."""
    site.signal(signal.SIGSTOP)
    return partial(site.signal, signal.SIGCONT)


def _cut(site: Site) -> Callable[[], object]:
    """Cut the line between agent and door; return what heals."""
    site.line.cut(CUT_S)
    return site.line.heal


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("on_partition", "part"), [("move", _stop), ("keep", _stop), ("keep", _cut)]
)
def test_what_outlives_its_lease_beyond_a_cut_is_ended_by_its_site_and_runs_once_elsewhere(
    site: Site, on_partition: str, part: Callable[[Site], Callable[[], object]]
) -> None:
    job = site.submit(on_partition)
    heal = part(site)
    until_ms = site.until_ms(job)
    try:
        site.until(lambda: site.beats(2))
        assert not active(site.clusters["alpha"]), "the site itself ended it"
        last_ms = site.beats(1)[-1]
        # From then on the network is sure of it.
        assert last_ms < until_ms + (POLICY.grace_s + POLICY.margin_s) * 1000
        assert last_ms < site.beats(2)[0]
    finally:
        heal()
    site.until(lambda: _hears(site))
    site.let_go()
    assert site.client.wait(job, timeout_s=PATIENCE_S).outcome == "done"
    first, second = site.attempts(job)
    assert (first.pool, first.cause) == ("alpha", "lost")
    assert (second.pool, second.cause) == ("beta", "exited")
    _is_paid_right(site, job)


@pytest.mark.timeout(600)
def test_what_ends_at_its_site_beyond_a_cut_is_told_when_the_line_is_back_and_paid_once(
    site: Site,
) -> None:
    job = site.submit("keep")
    heal = _cut(site)
    site.until(lambda: not _hears(site))
    before = len(site.beats(1))
    site.until(lambda: len(site.beats(1)) > before)  # it runs on, though its agent counts as lost
    site.let_go()
    site.until(lambda: not active(site.clusters["alpha"]))
    assert site.client.job(job).state == "running"
    heal()
    assert site.client.wait(job, timeout_s=PATIENCE_S).outcome == "done"
    [only] = site.attempts(job)
    assert (only.pool, only.cause) == ("alpha", "exited")
    _is_paid_right(site, job)


def _hears(site: Site) -> bool:
    """Return whether the network hears the agent that can be cut off."""
    offers = site.there.operator.offers()
    return any((each.provider, each.pool_state) == ("alpha", "online") for each in offers)


def _is_paid_right(site: Site, job: JobView) -> None:
    """What ran was paid once, to whoever ran it, and nothing is left of it anywhere."""
    receipt = site.client.receipt(job)
    assert [line.outcome for line in receipt.lines].count("done") == 1
    assert len({line.lease for line in receipt.lines}) == len(receipt.lines)
    for attempt, line in enumerate(receipt.lines, 1):
        beats = site.beats(attempt)
        assert 0 < line.paid_s <= min(line.agent_s, line.network_s) + 0.001
        assert line.amount_micro > 0
        # A shim sees the beginning and the end of its program a moment earlier and later.
        assert line.paid_s <= (beats[-1] - beats[0]) / 1000 + 2.0
    assert sum(line.amount_micro for line in receipt.lines) == receipt.paid_micro
    assert (receipt.sum_micro, receipt.held_micro) == (0, 0)
    proof = site.there.operator.ledger_check()
    assert (proof.ok, proof.open_holds) == (True, 0), proof.faults
    site.until(lambda: not any(map(active, site.clusters.values())))
    site.until(lambda: not processes_of(site.folder))
