"""Owners come first on their own pools, and guests make way with grace, through the whole river."""

from intertie.catalogue.texts import text
from intertie.model.lease import Lease
from intertie.model.policy import Policy
from intertie.model.request import Checkpoint, Resources
from intertie.model.states import Cause, JobState, LeaseState, TaskState
from intertie.model.units import GIB
from intertie.simulator.recording import replay
from tests.builders import ANetwork, a_node, job_of, leases_of, some_terms
from tests.property.laws import Watch

GRACE_S = 20
WORK = (("WORK_MS", "600000"),)


class ALab:
    """One machine of four cores, whose owner lends all of it and has none of it just now."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.network = ANetwork(policy or Policy())
        self.owner = self.network.project("owner")
        self.guest = self.network.project("guest")
        size = {"cpus_milli": 4000, "memory_bytes": 16 * GIB}
        lent = {f"lent_{name}": amount for name, amount in size.items()}
        terms = some_terms(grace_s=GRACE_S, own_project="owner", **lent)
        self.pool = self.network.pool("lab", nodes=(a_node(**size),), terms=terms)

    def job(self, project: int, cores: int = 1, **known: object) -> int:
        usual = {"expected_s": 600, "time_limit_s": 900, "environment": WORK}
        resources = Resources(cpus_milli=1000 * cores)
        return self.network.job(project, **(usual | known), resources=resources)

    def lease(self, job: int) -> Lease:
        """The latest lease of a job of one task, as its last change left it."""
        return max((x for x in leases_of(self.network) if x.job == job), key=lambda x: x.token)

    def stopping(self) -> list[int]:
        """The jobs whose leases are told to stop."""
        leases = self.network.world.leases.where(state=LeaseState.STOPPING)
        return sorted(lease.job for lease in leases)

    def events(self, job: int) -> list[tuple[str, dict[str, object]]]:
        told = [event for changes in self.network.changes for event in changes.events]
        return [(event.code, event.values) for event in told if event.job == job]


def test_an_owner_takes_back_from_a_guest_with_the_grace_of_the_offer() -> None:
    lab = ALab()
    guest = lab.job(lab.guest, 4)
    lab.network.pass_s(10)
    owner = lab.job(lab.owner, 2)
    lease = lab.lease(guest)
    assert (lease.state, lease.stop_cause) == (LeaseState.STOPPING, Cause.RECLAIMED)
    assert lease.grace_s == GRACE_S
    told = dict(lab.events(guest))["task_stopping"]
    assert text("en", "cause.reclaimed") == "reclaimed by the owner"
    assert (told["cause"], told["grace_s"]) == (Cause.RECLAIMED, GRACE_S)
    lab.network.pass_s(GRACE_S + 5)
    assert job_of(lab.network, owner).state == JobState.RUNNING
    waiting = lab.network.world.tasks.where(job=guest)
    assert [task.state for task in waiting] == [TaskState.QUEUED]


def test_where_there_is_room_beside_them_no_guest_is_ended() -> None:
    lab = ALab()
    lab.job(lab.guest, 2)
    lab.network.pass_s(10)
    owner = lab.job(lab.owner, 2)
    lab.network.pass_s(5)
    assert job_of(lab.network, owner).state == JobState.RUNNING
    assert lab.stopping() == []


def test_no_more_guests_are_ended_than_must_and_those_who_lose_least() -> None:
    lab = ALab()
    old = [lab.job(lab.guest) for _ in range(2)]
    lab.network.pass_s(100)
    young = [lab.job(lab.guest) for _ in range(2)]
    lab.network.pass_s(10)
    lab.job(lab.owner, 2)
    assert lab.stopping() == young
    assert not set(old) & set(lab.stopping())


def test_a_guest_that_saves_within_the_grace_goes_before_one_that_loses_its_work() -> None:
    lab = ALab()
    saves = lab.job(lab.guest, 2, checkpoint=Checkpoint("state", GRACE_S))
    lab.network.pass_s(100)
    lab.job(lab.guest, 2, checkpoint=Checkpoint("state", GRACE_S + 1))
    lab.network.pass_s(10)
    lab.job(lab.owner, 2)
    assert lab.stopping() == [saves]


def test_room_that_is_being_made_is_for_the_owner_and_made_once() -> None:
    """Nobody slips in while guests leave, and nobody more is ended for the same job."""
    lab = ALab()
    first = lab.job(lab.guest, 3)
    lab.network.pass_s(10)
    owner = lab.job(lab.owner, 4)
    slip = lab.job(lab.guest, 1)
    for _ in range(GRACE_S):
        lab.network.pass_s(1)
        assert lab.stopping() in ([first], [])
        assert job_of(lab.network, slip).state == JobState.QUEUED
    lab.network.pass_s(10)
    assert job_of(lab.network, owner).state == JobState.RUNNING
    assert len([x for x in leases_of(lab.network) if x.stop_cause == Cause.RECLAIMED]) == 1


def test_for_a_job_that_would_not_fit_even_so_nobody_is_ended() -> None:
    """Another of the owner's own is in its way, and that one stays."""
    lab = ALab()
    own = lab.job(lab.owner, 2)
    lab.job(lab.guest, 2)
    lab.network.pass_s(10)
    large = lab.job(lab.owner, 4)
    lab.network.pass_s(60)
    assert lab.stopping() == []
    assert job_of(lab.network, own).state == JobState.RUNNING
    assert job_of(lab.network, large).state == JobState.QUEUED


def test_the_guest_waits_at_the_place_of_its_age_and_pays_for_what_it_used() -> None:
    lab = ALab()
    guest = lab.job(lab.guest, 4)
    lab.network.pass_s(100)
    lab.job(lab.owner, 2, expected_s=30, environment=(("WORK_MS", "30000"),))
    late = lab.job(lab.guest, 4)
    lab.network.pass_s(GRACE_S + 60)
    assert job_of(lab.network, guest).state == JobState.RUNNING
    assert job_of(lab.network, late).state == JobState.QUEUED
    first = next(x for x in leases_of(lab.network) if x.job == guest)
    assert first.state == LeaseState.SETTLED
    assert 100_000 - 10_000 <= first.charged_ms <= 100_000 + (GRACE_S + 1) * 1000


def test_a_gang_of_guests_makes_way_as_a_whole_and_waits_as_a_whole() -> None:
    lab = ALab()
    gang = lab.job(lab.guest, 1, task_count=3, is_gang=1)
    lab.network.pass_s(10)
    owner = lab.job(lab.owner, 2)
    lab.network.pass_s(GRACE_S + 5)
    assert job_of(lab.network, owner).state == JobState.RUNNING
    states = {task.state for task in lab.network.world.tasks.where(job=gang)}
    assert states == {TaskState.QUEUED}


def test_what_owners_take_back_is_decided_the_same_when_it_is_replayed() -> None:
    lab = ALab(Policy(backfill="easy"))
    lab.job(lab.guest, 3)
    lab.network.pass_s(30)
    lab.job(lab.owner, 2)
    lab.network.pass_s(GRACE_S + 30)
    assert len(leases_of(lab.network)) >= 2
    assert replay(lab.network.recording).differing == ()


def test_no_law_is_broken_while_an_owner_comes_and_goes() -> None:
    lab = ALab()
    watch = Watch(lab.network)
    for at in range(8):
        lab.job((lab.owner, lab.guest)[at % 2], 1 + at % 3, expected_s=40, environment=())
        lab.network.pass_s(15)
        watch.round(lab.network.world)
