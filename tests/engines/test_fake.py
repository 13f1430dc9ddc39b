"""The fake engine keeps the Engine protocol: time passes, and nothing else happens."""

from pathlib import Path

import pytest

from intertie.engines.fake.engine import FakeEngine, FakeSettings
from intertie.engines.protocol import Engine, Observed
from intertie.model.parties import NodeFacts
from intertie.wire.sync import LeaseBody

LEASE, TOKEN = "lease-0001", 7
GIB = 1 << 30


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(tmp_path: Path, clock: Clock) -> FakeEngine:
    return an_engine(tmp_path, clock)


def an_engine(folder: Path, clock: Clock, score_millionths: int = 1_000_000) -> FakeEngine:
    nodes = (NodeFacts("n", 4000, 8 * GIB, 99 * GIB),)
    settings = FakeSettings(folder / "attempts", nodes, score_millionths, startup_ms=100)
    made: Engine = FakeEngine(settings, clock)
    assert isinstance(made, FakeEngine)
    return made


def a_body(**known: object) -> LeaseBody:
    told = {
        "job": "job-0001",
        "task_index": 0,
        "attempt": 1,
        "project": "p",
        "name": "j",
        "command": ["true"],
        "script": "",
        "workdir": "",
        "environment": {"WORK_MS": "1000"},
        "cpus_milli": 2000,
        "memory_bytes": GIB,
        "disk_bytes": GIB,
        "time_limit_s": 60,
        "network": False,
        "requires": [],
        "results": [],
        "attempt_token": "",
    }
    return LeaseBody.model_validate(told | known)


def seen(engine: FakeEngine) -> Observed:
    (only,) = engine.observe()
    return only


def test_an_attempt_is_pending_then_runs_then_is_over(engine: FakeEngine, clock: Clock) -> None:
    engine.start(LEASE, TOKEN, a_body())
    assert seen(engine).state == "pending"
    clock.now += 100
    assert seen(engine).state == "running"
    clock.now += 600
    assert (seen(engine).ran_ms, seen(engine).cpu_ms) == (600, 1200)
    clock.now += 600
    over = seen(engine)
    assert (over.state, over.cause, over.exit_code) == ("over", "exited", 0)
    assert (over.started_at, over.ran_ms) == (1_000_100, 1000)


def test_an_attempt_is_started_once_however_often_it_is_asked_for(
    engine: FakeEngine, clock: Clock
) -> None:
    engine.start(LEASE, TOKEN, a_body())
    clock.now += 500
    engine.start(LEASE, TOKEN, a_body())
    assert seen(engine).started_at == 1_000_100


def test_a_pool_of_half_the_speed_takes_twice_as_long(tmp_path: Path, clock: Clock) -> None:
    engine = an_engine(tmp_path, clock, score_millionths=500_000)
    engine.start(LEASE, TOKEN, a_body())
    clock.now += 2_099
    assert seen(engine).state == "running"
    clock.now += 1
    assert seen(engine).ran_ms == 2000


@pytest.mark.parametrize(
    ("environment", "cause", "exit_code"),
    [
        ({"WORK_MS": "10", "EXIT_CODE": "3"}, "exited", 3),
        ({"START": "failed"}, "start_failed", None),
        ({"WORK_MS": "70000"}, "timed_out", None),
    ],
)
def test_the_environment_says_how_an_attempt_ends(
    engine: FakeEngine,
    clock: Clock,
    environment: dict[str, str],
    cause: str,
    exit_code: int | None,
) -> None:
    engine.start(LEASE, TOKEN, a_body(environment=environment))
    clock.now += 100_000
    assert (seen(engine).cause, seen(engine).exit_code) == (cause, exit_code)


def test_a_stop_ends_an_attempt_within_its_grace(engine: FakeEngine, clock: Clock) -> None:
    engine.start(LEASE, TOKEN, a_body())
    clock.now += 400
    engine.stop(LEASE, TOKEN, "cancelled", 5)
    engine.stop(LEASE, TOKEN, "reclaimed", 0)  # the first cause stays
    assert seen(engine).state == "running"
    clock.now += 200
    over = seen(engine)
    assert (over.state, over.cause, over.signal, over.ran_ms) == ("over", "cancelled", 15, 500)


def test_an_attempt_that_was_stopped_before_its_start_never_starts(
    engine: FakeEngine, clock: Clock
) -> None:
    engine.extend(LEASE, TOKEN, 60_000)
    engine.stop(LEASE, TOKEN, "cancelled", 5)
    engine.start(LEASE, TOKEN, a_body())
    clock.now += 60_000
    assert (seen(engine).state, seen(engine).cause, seen(engine).ran_ms) == ("over", "cancelled", 0)


def test_a_stop_of_an_unknown_attempt_is_fine(engine: FakeEngine) -> None:
    engine.stop(LEASE, TOKEN, "cancelled", 5)
    assert engine.observe() == []


def test_the_engine_keeps_to_the_end_of_a_lease_without_the_agent(
    engine: FakeEngine, clock: Clock
) -> None:
    engine.extend(LEASE, TOKEN, 300)
    engine.start(LEASE, TOKEN, a_body())
    clock.now += 250
    engine.extend(LEASE, TOKEN, 300)
    clock.now += 299
    assert seen(engine).state == "running"
    clock.now += 1
    engine.extend(LEASE, TOKEN, 300)  # too late: it is over
    assert (seen(engine).state, seen(engine).cause) == ("over", "expired")


def test_only_an_attempt_that_may_move_ends_with_the_session(
    engine: FakeEngine, clock: Clock
) -> None:
    engine.start("lease-0001", 1, a_body(on_partition="move"))
    engine.start("lease-0002", 1, a_body(on_partition="keep"))
    engine.renew(200)
    clock.now += 150
    engine.renew(200)
    clock.now += 199
    assert [each.state for each in engine.observe()] == ["running", "running"]
    clock.now += 1
    engine.renew(200)  # too late for the one that moved
    assert [each.cause for each in engine.observe()] == ["lost", "none"]


def test_a_later_engine_of_the_same_folder_sees_what_an_earlier_one_started(
    engine: FakeEngine, clock: Clock, tmp_path: Path
) -> None:
    engine.extend(LEASE, TOKEN, 300)
    engine.start(LEASE, TOKEN, a_body())
    engine.close()
    clock.now += 200
    later = an_engine(tmp_path, clock)
    later.start(LEASE, TOKEN, a_body())
    assert seen(later) == Observed(
        LEASE,
        TOKEN,
        "running",
        started_at=1_000_100,
        ran_ms=100,
        cpu_ms=200,
        memory_peak_bytes=GIB // 2,
    )
    clock.now += 100
    assert seen(later).cause == "expired"


def test_what_runs_is_not_forgotten_and_what_is_over_leaves_nothing(
    engine: FakeEngine, clock: Clock
) -> None:
    engine.start(LEASE, TOKEN, a_body())
    clock.now += 200
    engine.forget(LEASE, TOKEN)
    assert seen(engine).state == "running"
    clock.now += 2_000
    engine.forget(LEASE, TOKEN)
    assert engine.observe() == []
    assert not engine.folder(LEASE, TOKEN).exists()


def test_waiting_returns_at_the_instant_of_the_next_change(tmp_path: Path) -> None:
    engine = FakeEngine(FakeSettings(tmp_path, (), startup_ms=0))
    engine.start(LEASE, TOKEN, a_body(environment={"WORK_MS": "50"}))
    while seen(engine).state != "over":
        engine.wait(60.0)
    assert seen(engine).ran_ms == 50
