"""The Ray engine on a real head: what only Ray does, and what may happen to it."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from intertie.engines.probe import EngineProbe
from intertie.engines.protocol import EngineUnavailable, Observed
from intertie.engines.ray.engine import RayEngine, open_engine
from intertie.engines.registry import EngineSettings
from intertie.engines.shim import attempts
from tests.engines.hosting import LEASE, a_body
from tests.servers.ray import RayCluster, a_ray_cluster

pytestmark = pytest.mark.timeout(300)
KIT = EngineProbe()
OVER_ASKED = {"device_class": "a100", "device_count": 20}


def settings(folder: Path, cluster: RayCluster, **table: Any) -> EngineSettings:
    known = {
        "url": cluster.url,
        "token_file": str(cluster.token_file),
        "resources": {"a100": "nv_a100", "rtx3090": "GPU"},
    }
    return EngineSettings(folder / "pool", table=known | table)


@pytest.fixture
def engine(tmp_path: Path, ray_cluster: RayCluster) -> Iterator[RayEngine]:
    with closing(open_engine(settings(tmp_path, ray_cluster))) as made:
        yield made


@contextmanager
def closing(engine: RayEngine) -> Iterator[RayEngine]:
    """End what an engine started, and let go of it."""
    try:
        yield engine
    finally:
        KIT.clean(engine)
        engine.close()


def until(engine: RayEngine, holds: Callable[[], Any], what: str) -> Any:
    return KIT.until(engine, holds, what)


def see(engine: RayEngine, token: int = 1) -> Observed:
    seen = KIT.see(engine, LEASE, token)
    assert seen is not None
    return seen


def jobs(cluster: RayCluster, engine: RayEngine) -> dict[str, Any]:
    """What Ray says of this engine's jobs, by the name of their folder."""
    told = {each["submission_id"]: each for each in cluster.ask("/api/jobs/") or []}
    prefix = f"intertie-{engine.id}-"
    return {id_.removeprefix(prefix): job for id_, job in told.items() if id_.startswith(prefix)}


def test_its_groups_and_devices_are_what_the_head_has(engine: RayEngine) -> None:
    facts = engine.facts()
    (node,) = facts.nodes
    assert (node.cpus_milli, node.device_class, node.device_count) == (8000, "a100", 8)
    assert node.machine_count == 1
    assert [stack.name for stack in facts.software] == ["ray"]
    assert facts.abilities == ()


def test_a_job_sees_the_devices_that_ray_chose_and_not_rays_token(
    engine: RayEngine, tmp_path: Path, ray_cluster: RayCluster
) -> None:
    body = a_body("env", device_class="rtx3090", device_count=2)
    KIT.run(engine, LEASE, body)
    told = (engine.folder(LEASE, 1) / "log").read_text()
    chosen = [row for row in told.splitlines() if row.startswith("CUDA_VISIBLE_DEVICES=")]
    assert len(chosen[0].partition("=")[2].split(",")) == 2
    assert "RAY_ADDRESS=" in told
    assert ray_cluster.token not in told
    table = {"passes_on": ["RAY_AUTH_"], "runtime_env": {"env_vars": {"FROM_THE_OWNER": "1"}}}
    with closing(open_engine(settings(tmp_path / "open", ray_cluster, **table))) as open_handed:
        KIT.run(open_handed, LEASE, body)
        told = (open_handed.folder(LEASE, 1) / "log").read_text()
    assert f"RAY_AUTH_TOKEN={ray_cluster.token}" in told
    assert "FROM_THE_OWNER=1" in told


def test_rays_own_account_holds_the_run_and_not_the_wait(engine: RayEngine) -> None:
    whole = {"device_class": "a100", "device_count": 8}
    engine.start(LEASE, 1, a_body("sleep", "4", **whole))
    KIT.until_state(engine, LEASE, "running", 1)
    engine.start(LEASE, 2, a_body("sleep", "1", **whole))
    ends = [KIT.until_over(engine, LEASE, token) for token in (1, 2)]
    for seen in ends:
        assert seen.site_ms >= seen.ran_ms > 0
        assert seen.node
    waited = ends[1].started_at - ends[0].started_at
    assert waited >= ends[0].ran_ms
    assert ends[1].site_ms < waited + ends[1].ran_ms


def test_what_asks_for_more_than_there_is_stays_pending_and_can_be_withdrawn(
    engine: RayEngine, ray_cluster: RayCluster
) -> None:
    engine.start(LEASE, 1, a_body("true", **OVER_ASKED))
    KIT.run(engine, LEASE, a_body("true"), 2)
    seen = see(engine)
    assert seen.state == "pending"
    assert "waiting for resources" in seen.detail
    assert jobs(ray_cluster, engine)[f"{LEASE}-1"]["status"] == "PENDING"
    engine.forget(LEASE, 1)
    assert see(engine).state == "pending"
    engine.stop(LEASE, 1, "cancelled", 0)
    seen = see(engine)
    assert (seen.state, seen.cause, seen.ran_ms) == ("over", "cancelled", 0)


def test_what_ray_gave_up_to_wait_for_is_submitted_again(tmp_path: Path) -> None:
    with (
        a_ray_cluster(patience_s=5) as impatient,
        closing(open_engine(settings(tmp_path, impatient))) as engine,
    ):
        engine.start(LEASE, 1, a_body("true", **OVER_ASKED))
        first = jobs(impatient, engine)[f"{LEASE}-1"]["start_time"]

        def is_submitted_again() -> bool:
            assert see(engine).state == "pending"
            known = jobs(impatient, engine).get(f"{LEASE}-1")
            return bool(known and known["start_time"] > first)

        until(engine, is_submitted_again, "a second submission")


def test_our_own_jobs_leave_the_room_as_it_is_and_anothers_take_from_it(
    engine: RayEngine, ray_cluster: RayCluster
) -> None:
    whole = engine.room()
    assert whole is not None
    assert (whole.cpus_milli, whole.device_count) == (8000, 12)
    engine.start(LEASE, 1, a_body("sleep", "100", device_class="a100", device_count=3))
    KIT.until_state(engine, LEASE, "running")
    other = {"entrypoint": "exec sleep 100", "entrypoint_num_cpus": 2, "submission_id": "another"}
    ray_cluster.ask("/api/jobs/", "POST", other)
    try:
        less = replace(whole, cpus_milli=6000)
        until(engine, lambda: engine.room() == less, f"room for {less}")
    finally:
        ray_cluster.ask("/api/jobs/another/stop", "POST")
    until(engine, lambda: engine.room() == whole, "all the room again")


def test_a_job_that_is_stopped_at_the_site_is_lost(
    engine: RayEngine, ray_cluster: RayCluster
) -> None:
    engine.start(LEASE, 1, a_body("sleep", "100"))
    KIT.until_state(engine, LEASE, "running")
    ray_cluster.ask(f"/api/jobs/intertie-{engine.id}-{LEASE}-1/stop", "POST")
    assert KIT.until_over(engine, LEASE).cause == "lost"


def test_a_killed_shim_is_noticed(engine: RayEngine) -> None:
    engine.start(LEASE, 1, a_body("sleep", "100"))
    until(engine, lambda: see(engine).ran_ms > 0, "a heartbeat")
    status = attempts.read_status(engine.folder(LEASE, 1))
    assert status is not None
    os.kill(status["shim"][0], signal.SIGKILL)
    seen = KIT.until_over(engine, LEASE)
    assert (seen.cause, seen.exit_code) == ("lost", None)
    assert seen.ran_ms > 0


def test_what_is_forgotten_leaves_nothing_at_the_site(
    engine: RayEngine, ray_cluster: RayCluster
) -> None:
    for token in (1, 2):
        KIT.run(engine, LEASE, a_body("true"), token)
    assert len(jobs(ray_cluster, engine)) == 2
    for token in (1, 2):
        engine.forget(LEASE, token)
    engine.start(LEASE, 3, a_body("sleep", "100"))

    def is_swept() -> bool:
        engine.observe()
        return set(jobs(ray_cluster, engine)) == {f"{LEASE}-3"}

    until(engine, is_swept, "only the third at the site")


def test_a_head_that_is_restarted_forgets_and_nothing_runs_twice(
    engine: RayEngine, ray_cluster: RayCluster
) -> None:
    before = KIT.run(engine, LEASE, a_body("sh", "-c", "exit 3"), 1)
    engine.start(LEASE, 2, a_body("sh", "-c", "echo begun >> count; sleep 100"))
    KIT.until_state(engine, LEASE, "running", 2)
    until(engine, (engine.folder(LEASE, 2) / "work" / "count").exists, "the second to begin")
    engine.start(LEASE, 3, a_body("true", **OVER_ASKED))
    ray_cluster.kill_head()
    try:
        with pytest.raises(EngineUnavailable, match="does not answer"):
            engine.facts()
        with pytest.raises(EngineUnavailable, match="does not answer"):
            engine.start(LEASE, 4, a_body("sh", "-c", "exit 4"))
        assert see(engine, 1) == before
        assert see(engine, 3).state == "pending"
    finally:
        ray_cluster.start()
    assert KIT.until_over(engine, LEASE, 2).cause == "lost"
    assert (engine.folder(LEASE, 2) / "work" / "count").read_text() == "begun\n"
    engine.start(LEASE, 4, a_body("sh", "-c", "exit 4"))
    assert KIT.until_over(engine, LEASE, 4).exit_code == 4

    def is_third_submitted() -> bool:
        assert see(engine, 3).state == "pending"
        return f"{LEASE}-3" in jobs(ray_cluster, engine)

    until(engine, is_third_submitted, "the third to be submitted again")
    later = open_engine(settings(engine.root.parent, ray_cluster))
    assert see(later, 1) == before
    later.close()


@pytest.mark.parametrize("token", ["wrong", None])
def test_a_wrong_token_is_said_in_clear_words(
    tmp_path: Path, ray_cluster: RayCluster, token: str | None
) -> None:
    known = dict(settings(tmp_path, ray_cluster).table)
    if token is None:
        del known["token_file"]
    else:
        (tmp_path / "token").write_text(token)
        known["token_file"] = str(tmp_path / "token")
    engine = open_engine(EngineSettings(tmp_path / "pool", table=known))
    said = "without a token" if token is None else r"refuses the token in .*/token"
    for act in (engine.facts, engine.room, lambda: engine.start(LEASE, 1, a_body("true"))):
        with pytest.raises(EngineUnavailable, match=said):
            act()
    if token is not None:  # the right one needs no new agent
        (tmp_path / "token").write_text(ray_cluster.token)
        assert KIT.run(engine, LEASE, a_body("true")).exit_code == 0
    KIT.clean(engine)
    engine.close()


def test_where_nothing_answers_or_something_else_does_is_no_ray(tmp_path: Path) -> None:
    table = {"url": "http://127.0.0.1:1"}
    engine = open_engine(EngineSettings(tmp_path / "pool", table=table))
    with pytest.raises(EngineUnavailable, match=r"127\.0\.0\.1:1 does not answer"):
        engine.facts()
    assert engine.observe() == []
    engine.close()
