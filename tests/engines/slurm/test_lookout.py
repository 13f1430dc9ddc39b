"""The lookout: whoever asks has the newest look at once, and the site is asked at its own pace."""

import threading
from collections.abc import Callable, Iterator
from time import monotonic, sleep

import pytest

from intertie.engines.protocol import EngineUnavailable
from intertie.engines.slurm.lookout import Lookout
from intertie.engines.slurm.parsing import Job

JOB = Job(7, 0, "RUNNING", 100, 0, "n1", "intertie-1", "None")
DEADLINE_S = 30.0


class Site:
    """Answers with one job, when it is let to; or is away, or breaks."""

    def __init__(self) -> None:
        self.asked, self.told = 0, 0
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.error: Exception | None = None
        self.is_needed = True

    def ask(self) -> list[Job]:
        self.asked += 1
        self.may_answer.wait(DEADLINE_S)
        if self.error:
            raise self.error
        return [JOB]

    def tell(self) -> None:
        self.told += 1


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def lookout(site: Site) -> Iterator[Lookout]:
    made = Lookout(site.ask, 0.1, lambda: site.is_needed, lambda: False, site.tell)
    yield made
    made.end()
    site.may_answer.set()


def until(holds: Callable[[], object]) -> None:
    ends = monotonic() + DEADLINE_S
    while not holds():
        assert monotonic() < ends, "it did not come to pass"
        sleep(0.01)


def test_nobody_waits_for_a_look_that_goes_on(site: Site, lookout: Lookout) -> None:
    first = lookout.newest()
    assert first.jobs == {(7, 0): JOB}
    site.may_answer.clear()
    lookout.begin()
    until(lambda: site.asked == 2)
    assert lookout.newest() is first
    site.may_answer.set()
    until(lambda: lookout.newest().taken_s > first.taken_s)
    until(lambda: site.told)


def test_a_look_is_taken_only_if_the_last_one_is_too_old(site: Site, lookout: Lookout) -> None:
    first = lookout.look(0.0)
    assert lookout.look(3600.0) is first
    assert lookout.look(0.0).taken_s > first.taken_s
    assert site.asked == 2


def test_while_the_site_is_away_whoever_asks_is_told(site: Site, lookout: Lookout) -> None:
    lookout.newest()
    site.error = EngineUnavailable("slurmctld is down")
    lookout.begin()
    until(lambda: site.asked > 1 and site.told)
    with pytest.raises(EngineUnavailable, match="slurmctld is down"):
        lookout.newest()
    site.error = None
    lookout.look(0.0)
    assert lookout.newest().jobs


def test_a_site_of_which_nothing_is_to_be_known_is_left_alone(site: Site, lookout: Lookout) -> None:
    site.is_needed = False
    lookout.begin()
    sleep(0.5)
    assert site.asked == 0
