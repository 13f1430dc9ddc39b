"""Builders that hide what does not matter to a test."""

from typing import Any

from intertie.model.job import Job
from intertie.model.lease import Lease
from intertie.model.parties import NodeFacts, Pool, PoolFacts, Score, Stack, Terms
from intertie.model.plain import to_plain
from intertie.model.request import Request
from intertie.model.states import LeaseState, PoolState
from intertie.model.units import GIB, MICRO
from intertie.simulator.link import Link
from intertie.simulator.network import SimulatedNetwork

NOW = 1_000_000
SLOW = (("WORK_MS", "600000"),)


def a_node(**known: Any) -> NodeFacts:
    """A node of two cores, 8 GiB of memory and 100 GiB of disk."""
    usual: dict[str, Any] = {
        "name": "n1",
        "cpus_milli": 2000,
        "memory_bytes": 8 * GIB,
        "disk_bytes": 100 * GIB,
    }
    return NodeFacts(**(usual | known))


def some_terms(**known: Any) -> Terms:
    """One credit by core and hour; two cores and 8 GiB lent, back within five seconds."""
    usual: dict[str, Any] = {
        "price_micro_per_unit_h": MICRO,
        "grace_s": 5,
        "lent_cpus_milli": 2000,
        "lent_memory_bytes": 8 * GIB,
    }
    return Terms(**(usual | known))


def some_facts(**known: Any) -> PoolFacts:
    """A pool of one node at the reference speed, that lends all of it."""
    usual: dict[str, Any] = {
        "name": "pool",
        "engine": "fake",
        "region": "cn-east",
        "country": "CN",
        "latency_ms": 5,
        "latency_source": "declared",
        "nodes": (a_node(),),
        "terms": some_terms(),
        "scores": (Score("cpu@1", MICRO, "measured"),),
        "software": (Stack("python", "3.11.7"),),
        "abilities": ("sandbox", "gangs"),
    }
    return PoolFacts(**(usual | known))


def a_request(**known: Any) -> Request:
    """One task of one core that takes ten seconds and may take sixty."""
    usual: dict[str, Any] = {
        "name": "job",
        "command": ("true",),
        "expected_s": 10,
        "time_limit_s": 60,
    }
    return Request(**(usual | known))


def a_pool(**known: Any) -> Pool:
    """An online pool that was heard at NOW and lends two cores."""
    usual: dict[str, Any] = {
        "id": 1,
        "provider": 1,
        "state": PoolState.ONLINE,
        "epoch": 1,
        "sequence": 1,
        "seen_at": NOW,
        "renew_for_s": 20,
        "wants_full": 0,
        "lent_cpus_milli": 2000,
        "lent_memory_bytes": 8 * GIB,
        "is_draining": 0,
    }
    return Pool(**(usual | known))


def a_lease(**known: Any) -> Lease:
    """A running lease of one core at one credit an hour, placed at NOW for five minutes."""
    usual: dict[str, Any] = dict.fromkeys(Lease.__dataclass_fields__, 0)
    usual |= {"id": 1, "token": 1, "job": 1, "task": 1, "project": 1, "pool": 1, "node": 1}
    usual |= {
        "state": LeaseState.RUNNING,
        "grace_s": 5,
        "exit_code": -1,
        "cpus_milli": 1000,
        "memory_bytes": GIB,
        "units_milli": 1000,
        "offer": 1,
        "price_micro_per_unit_h": 3_600_000,
        "score_millionths": MICRO,
        "placed_at": NOW,
        "until": NOW + 300_000,
        "observed": 1,
        "is_taken": 1,
    }
    return Lease(**(usual | known))


class ANetwork(SimulatedNetwork):
    """A simulated network that names its parties."""

    def project(self, name: str, whole_credits: int = 10, weight: int = 1) -> int:
        """Create a project with credits on trial."""
        return self.create("project", name, whole_credits * MICRO, weight)

    def pool(self, name: str, link: Link | None = None, **known: Any) -> int:
        """Create a provider with one pool of the same name."""
        facts = some_facts(**({"name": name} | known))
        return self.join(self.create("provider", name), facts, link=link)

    def job(self, project: int, **known: Any) -> int:
        """Submit a job that must be admitted."""
        number = self.submit(project, a_request(**known))
        assert isinstance(number, int), number
        return number

    def cancel(self, project: int, job: int) -> None:
        """Cancel a job."""
        self.ask("cancel", project, {"job": job})

    def pass_s(self, seconds: float) -> None:
        """Let the clock run on."""
        self.run_until(self.now + round(seconds * 1000))


def quoting(request: Request) -> dict[str, Any]:
    """The body of an inbox row that asks for a quote."""
    return {"request": to_plain(request)}


def job_of(network: ANetwork, number: int) -> Job:
    return network.world.jobs.get(number)


def leases_of(network: ANetwork) -> list[Lease]:
    """Every lease there ever was, as its last change left it: settled ones leave the World."""
    rows = {key: row for changes in network.changes for key, row in changes.rows.items()}
    return [row for (noun, _), row in sorted(rows.items()) if noun == "Lease"]


def a_leased_network(**known: Any) -> tuple[ANetwork, int, Lease]:
    """One job of one task that runs on one pool, seen running."""
    network = ANetwork()
    project = network.project("p")
    network.pool("lab")
    job = network.job(project, **known)
    network.pass_s(1)
    [lease] = network.world.leases.where(job=job)
    assert lease.state == LeaseState.RUNNING
    return network, job, lease
