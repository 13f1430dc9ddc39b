"""The agent's exchange with a network, over real HTTP, with real processes on both sides."""

import io
import signal
import tarfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from intertie.agent import owner
from intertie.agent.windows import DAYS
from intertie.wire.sync import LeaseObservation, ResumeFile
from tests.agent.agents import AgentProcess
from tests.agent.network import Network
from tests.engines.hosting import a_body

MakeAgent = Callable[..., AgentProcess]
LEASE = "lease-0001"
STEPS_OF_A_JOB = 10  # at least so many changes of the disk, journal entries and starts
COUNT_UP = """
import os, signal, sys, time
done = int(open("saved").read()) if os.path.exists("saved") else 0
def save():
    with open("saved.new", "w") as file:
        file.write(str(done))
    os.replace("saved.new", "saved")
def stop(*_):
    save()
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("from", done, flush=True)
while done < 1000:
    done += 1
    if done % 5 == 0:
        save()
        time.sleep(2)
    time.sleep(0.01)
"""


def a_tar(**files: str) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name.replace("__", "/").replace("_py", ".py"))
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return made.getvalue()


def states(network: Network, lease: str = LEASE) -> list[str]:
    told = [seen.state for _, seen in network.history if seen.lease == lease]
    return [state for i, state in enumerate(told) if i == 0 or told[i - 1] != state]


def is_ended(network: Network, lease: str) -> bool:
    return lease in network.seen and network.seen[lease].state == "ended"


def test_it_enrols_once_and_tells_its_pool(network: Network, agent: AgentProcess) -> None:
    network.until(lambda: network.syncs, "a first sync")
    pool = network.pool
    assert pool is not None
    assert (pool.name, pool.engine, pool.latency_source) == ("lab", "host", "declared")
    assert pool.terms.price_micro_per_unit_h == 2_500_000
    assert pool.terms.lent_cpus_milli == 4000
    assert [score.profile for score in pool.scores] == ["cpu@1"]
    assert len(pool.scores[0].runs) == 9
    assert (agent.folder / "agent.key").stat().st_mode & 0o777 == 0o600
    assert agent.kill() == -signal.SIGKILL
    agent.start()
    network.until(lambda: network.epoch == 2, "a second session without the token")


def test_a_job_runs_and_all_of_it_comes_back(network: Network, agent: AgentProcess) -> None:
    script = "echo hello; mkdir out; echo 7 > out/result.txt; echo no > other; sleep 0.3; echo bye"
    network.want(LEASE, a_body(script=script, results=["out/*.txt", "missing/**"]))
    network.until_state(LEASE, "running")
    network.until(lambda: "hello" in network.log(LEASE), "the log while it runs")
    ended = network.until_state(LEASE, "ended")
    assert (ended.cause, ended.exit_code) == ("exited", 0)
    assert ended.ran_ms >= 300
    assert [(file.path, file.kind) for file in ended.files] == [("out/result.txt", "result")]
    assert network.blobs[ended.files[0].sha256] == b"7\n"
    assert network.log(LEASE) == "hello\nbye\n"
    assert states(network)[0] == "pending"
    assert states(network)[-1] == "ended"
    assert network.bodies_sent == [LEASE]


def test_what_is_booked_is_forgotten(network: Network, agent: AgentProcess) -> None:
    network.want(LEASE, a_body("true"))
    network.until_state(LEASE, "ended")
    network.drop(LEASE)
    network.until(lambda: not agent.work(LEASE).parent.exists(), "the folder is gone")
    network.until(lambda: agent.entries()[-1]["kind"] == "forgotten", "it is known no more")
    assert agent.kill(signal.SIGTERM) == 0
    agent.start()
    network.until(lambda: network.epoch == 2 and network.syncs[-1].epoch == 2)
    assert [entry["kind"] for entry in agent.entries()] == ["ended", "forgotten"]  # in the past
    assert network.syncs[-1].leases == []


def test_inputs_are_laid_in_before_it_starts(network: Network, agent: AgentProcess) -> None:
    workdir = network.put(a_tar(main_py="print(open('data/x').read())", data__x="17"))
    saved = network.put(b"progress")
    resume = ResumeFile(path="deep/saved", sha256=saved, size_bytes=8)
    body = a_body(
        script="python3 main.py; cat deep/saved; touch deep/new",
        workdir=workdir,
        resume=[resume],
    )
    network.want(LEASE, body)
    assert network.until_state(LEASE, "ended").exit_code == 0
    assert network.log(LEASE) == "17\nprogress"


@pytest.mark.parametrize("content", [None, b"not a tar", a_tar(__etc__evil="x")])
def test_what_it_cannot_be_given_is_a_failed_start(
    network: Network, agent: AgentProcess, content: bytes | None
) -> None:
    workdir = sha256(b"missing").hexdigest() if content is None else network.put(content)
    network.want(LEASE, a_body("true", workdir=workdir))
    ended = network.until_state(LEASE, "ended")
    assert (ended.cause, ended.ran_ms, ended.started_at) == ("start_failed", 0, 0)
    assert ended.detail


def test_leases_against_the_owners_policy_are_declined(
    network: Network, make_agent: MakeAgent
) -> None:
    agent = make_agent(projects=["lab"], sandbox=False, lent_cpus=2)
    network.want("lease-0002", a_body("true", requires=["sandbox"]))
    network.want("lease-0003", a_body("true", cpus_milli=3000))
    network.want("lease-0004", a_body("true", project="another"))
    network.until(lambda: len(network.declined) == 3, "three are declined")
    assert network.declined == {
        "lease-0002": "not_enforced",
        "lease-0003": "pool_full",
        "lease-0004": "provider_does_not_admit",
    }
    assert not agent.work("lease-0002").exists()
    for lease in network.declined:
        network.drop(lease)
    network.until(lambda: not network.syncs[-1].declines, "declines are told no more")


def test_a_checkpoint_is_saved_while_it_runs_and_resumed(
    network: Network, agent: AgentProcess
) -> None:
    body = a_body("python3", "-c", COUNT_UP, checkpoint_path="saved", checkpoint_grace_s=5)
    network.want(LEASE, body)
    network.until(lambda: (seen := network.seen.get(LEASE)) and seen.files, "a first checkpoint")
    assert network.seen[LEASE].state == "running"
    network.stop(LEASE, "reclaimed", grace_s=20)
    ended = network.until_state(LEASE, "ended")
    assert ended.cause == "reclaimed"
    saved = [file for file in ended.files if file.kind == "checkpoint"]
    assert [file.path for file in saved] == ["saved"]
    done = int(network.blobs[saved[0].sha256])
    network.drop(LEASE)
    resume = ResumeFile(path="saved", sha256=saved[0].sha256, size_bytes=saved[0].size_bytes)
    network.want("lease-0002", body.model_copy(update={"resume": [resume], "attempt": 2}), token=2)
    network.until(lambda: f"from {done}\n" in network.log("lease-0002"), "it goes on from there")
    assert done > 0


def test_a_stop_is_done_and_reported_with_its_cause(network: Network, agent: AgentProcess) -> None:
    network.want(LEASE, a_body("sleep", "60"))
    network.until_state(LEASE, "running")
    network.stop(LEASE, "cancelled", grace_s=1)
    assert network.until_state(LEASE, "ended").cause == "cancelled"


def test_a_stop_that_comes_first_means_it_never_starts(
    network: Network, agent: AgentProcess
) -> None:
    network.stop(LEASE, "cancelled")
    ended = network.until_state(LEASE, "ended")
    assert (ended.cause, ended.started_at, ended.ran_ms) == ("cancelled", 0, 0)
    network.want(LEASE, a_body("touch", "started"))
    network.want("lease-0002", a_body("true"))
    network.until_state("lease-0002", "ended")
    assert not agent.work(LEASE).exists()


def test_a_lease_that_is_not_mentioned_runs_on(network: Network, agent: AgentProcess) -> None:
    network.want(LEASE, a_body("sleep", "1.5"))
    network.until_state(LEASE, "running")
    network.unmention()
    assert network.until_state(LEASE, "ended").cause == "exited"


def test_a_renewed_lease_runs_to_its_new_end(network: Network, agent: AgentProcess) -> None:
    network.want(LEASE, a_body("sleep", "9"), for_s=6)
    network.until_state(LEASE, "running")
    network.want(LEASE, a_body("sleep", "9"), for_s=600)
    network.want("lease-0002", a_body("sleep", "60"), for_s=6)
    assert network.until_state("lease-0002", "ended").cause == "expired"
    assert network.until_state(LEASE, "ended").cause == "exited"


@pytest.mark.parametrize("ahead_ms", [3_600_000, -3_600_000])
def test_leases_end_by_the_network_s_clock_on_a_machine_whose_own_is_wrong(
    network: Network, agent: AgentProcess, ahead_ms: int
) -> None:
    network.ahead_ms = ahead_ms
    network.want(LEASE, a_body("sleep", "2"), for_s=600)
    network.want("lease-0002", a_body("sleep", "60"), for_s=3)
    assert network.until_state(LEASE, "ended").cause == "exited"
    assert network.until_state("lease-0002", "ended").cause == "expired"


def test_a_killed_agent_loses_nothing_and_starts_nothing_twice(
    network: Network, agent: AgentProcess
) -> None:
    script = "echo one; echo x >> count; sleep 1.5; echo two; sleep 0.5"
    network.want(LEASE, a_body(script=script, results=["count"]))
    network.want("lease-0002", a_body(script="echo done", results=["count"]))
    network.until_state(LEASE, "running")
    network.until(lambda: "one" in network.log(LEASE), "some of the log")
    agent.kill()
    with (agent.folder / "journal.jsonl").open("a") as journal:
        journal.write('{"kind":"ended","lea')  # cut off in the middle of a write
    time.sleep(2)  # the job ends while nobody watches
    agent.start()
    ended = network.until_state(LEASE, "ended")
    assert (ended.cause, ended.exit_code) == ("exited", 0)
    assert ended.ran_ms >= 2000
    assert network.log(LEASE) == "one\ntwo\n"
    assert network.blobs[ended.files[0].sha256] == b"x\n"
    assert network.until_state("lease-0002", "ended").exit_code == 0
    assert network.bodies_sent.count(LEASE) == 1


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_restored_network_is_told_how_an_attempt_ended_and_starts_it_no_second_time(
    network: Network, agent: AgentProcess, is_killed: bool
) -> None:
    body = a_body(script="echo x >> count", results=["count"])
    network.want(LEASE, body)
    first = network.until_state(LEASE, "ended")
    network.drop(LEASE)
    network.until(lambda: not list((agent.folder / "attempts").glob("lease*")), "it is forgotten")
    if is_killed:
        agent.kill()
        agent.start()
    network.seen.clear()
    network.forget.clear()
    network.want(LEASE, body)  # as yesterday's backup knows it
    assert network.until_state(LEASE, "ended") == first
    assert network.log(LEASE) == ""
    assert not list((agent.folder / "attempts").glob("lease*"))


@pytest.mark.parametrize("first", range(1, 26, 5))
def test_an_agent_killed_between_any_two_steps_still_runs_each_job_once(
    network: Network, make_agent: MakeAgent, first: int
) -> None:
    agent = make_agent()
    for step in range(first, first + 5):
        ended = end_of_a_job_whose_agent_dies(network, agent, step)
        assert (ended.cause, ended.exit_code) == ("exited", 0)
        assert network.blobs[ended.files[0].sha256] == b"x\n"


def end_of_a_job_whose_agent_dies(
    network: Network, agent: AgentProcess, step: int
) -> LeaseObservation:
    lease = f"lease-{step:04d}"
    agent.kill()
    agent.start(dying_at=step)
    network.want(lease, a_body(script="echo x >> count", results=["count"], cpus_milli=100))
    network.until(lambda: agent.has_ended() or is_ended(network, lease), "dead or done")
    assert step > STEPS_OF_A_JOB or agent.has_ended()
    agent.kill()
    agent.start()
    return network.until_state(lease, "ended")


def test_an_agent_that_is_asked_to_stop_leaves_its_jobs(
    network: Network, agent: AgentProcess
) -> None:
    network.want(LEASE, a_body(script="sleep 2; echo survived"))
    network.until_state(LEASE, "running")
    assert agent.kill(signal.SIGTERM) == 0
    agent.start()
    assert network.until_state(LEASE, "ended").exit_code == 0
    assert network.log(LEASE) == "survived\n"


def test_the_older_of_two_agents_is_fenced_out_and_its_jobs_run_on(
    network: Network, agent: AgentProcess
) -> None:
    network.want(LEASE, a_body(script="sleep 3; echo survived"))
    network.until_state(LEASE, "running")
    agent.start()
    assert agent.processes[0].wait(30) == 3
    assert network.until_state(LEASE, "ended").exit_code == 0
    assert network.log(LEASE) == "survived\n"
    assert agent.processes[1].poll() is None


def test_a_digest_that_does_not_fit_brings_everything(
    network: Network, agent: AgentProcess
) -> None:
    network.want(LEASE, a_body("sleep", "60"))
    network.until_state(LEASE, "running")
    network.want("lease-0002", a_body("sleep", "60"))
    network.until_state("lease-0002", "running")
    with network.changed:
        before = len(network.syncs)
        network.seen.clear()
    network.until(lambda: any(sync.is_full for sync in network.syncs[before:]), "a full sync")
    network.until_state(LEASE, "running")
    network.until_state("lease-0002", "running")


def test_a_network_that_is_away_ends_no_job_and_hears_of_it_later(
    network: Network, agent: AgentProcess
) -> None:
    network.want(LEASE, a_body(script="sleep 1; echo done > r", results=["r"]))
    network.until_state(LEASE, "running")
    with network.changed:
        network.is_down = True
        network.changed.notify_all()
    network.until((agent.work(LEASE) / "r").exists, "it ends alone")
    time.sleep(0.5)
    network.is_down = False
    ended = network.until_state(LEASE, "ended")
    assert ended.cause == "exited"
    assert network.blobs[ended.files[0].sha256] == b"done\n"


def test_what_may_move_ends_when_the_network_is_silent_and_the_rest_runs_on(
    network: Network, agent: AgentProcess
) -> None:
    network.renew_for_s = 2
    network.want(LEASE, a_body("sleep", "60", on_partition="move"))
    network.want("lease-0002", a_body("sleep", "60", on_partition="keep"))
    network.until_state(LEASE, "running")
    network.until_state("lease-0002", "running")
    with network.changed:
        network.is_down = True
        network.changed.notify_all()
    time.sleep(8)  # four times what the session lasts, for machines that are busy
    network.is_down = False
    assert network.until_state(LEASE, "ended").cause == "lost"
    network.until_state("lease-0002", "running")


def test_the_owner_takes_back_what_was_lent(network: Network, agent: AgentProcess) -> None:
    for number in (1, 2, 3):
        network.want(f"lease-000{number}", a_body("sleep", "60"))
        network.until_state(f"lease-000{number}", "running")
    owner.reclaim(agent.folder, cpus_milli=2000)
    network.until(lambda: network.owner.lent_cpus_milli == 2000, "the network is told")
    ended = network.until_state("lease-0003", "ended")  # this network does nothing about it
    assert ended.cause == "reclaimed"
    assert network.seen["lease-0001"].state == network.seen["lease-0002"].state == "running"
    owner.release(agent.folder)
    network.until(lambda: network.owner.lent_cpus_milli == 4000, "all is lent again")


def test_outside_its_windows_it_lends_nothing_and_takes_nobody(
    network: Network, make_agent: MakeAgent
) -> None:
    elsewhen = DAYS[(datetime.now(UTC).weekday() + 3) % 7]
    make_agent(lend=[elsewhen], time_zone="UTC")
    network.until(lambda: network.owner is not None, "it speaks")
    assert (network.owner.lent_cpus_milli, network.owner.lent_memory_bytes) == (0, 0)
    assert network.pool is not None
    assert network.pool.terms.lent_cpus_milli == 4000  # the terms are what it ever lends
    network.want(LEASE, a_body("true"))
    network.until(lambda: network.declined.get(LEASE) == "owner_reclaimed", "it is declined")


def test_an_agent_that_leaves_says_so_and_takes_nothing_new(
    network: Network, agent: AgentProcess
) -> None:
    network.want(LEASE, a_body("sleep", "60"))
    network.until_state(LEASE, "running")
    owner.leave(agent.folder)
    network.until(lambda: network.owner.is_draining, "the network is told")
    network.want("lease-0002", a_body("true"))
    network.until(lambda: network.declined.get("lease-0002") == "pool_draining", "it is declined")
    assert network.seen[LEASE].state == "running"
    owner.release(agent.folder)
    network.until(lambda: not network.owner.is_draining, "it stays after all")


def test_another_engine_is_spoken_for_in_the_same_way(
    network: Network, make_agent: MakeAgent
) -> None:
    make_agent(engine="fake", score="2.5")
    network.until(lambda: network.syncs, "a first sync")
    assert network.pool is not None
    assert network.pool.engine == "fake"
    [score] = network.pool.scores
    assert (score.millionths, score.source) == (2_500_000, "declared")
    network.want(LEASE, a_body("true"))
    assert network.until_state(LEASE, "ended").cause == "exited"


def test_an_enrol_token_that_is_unknown_ends_the_agent(
    network: Network, make_agent: MakeAgent
) -> None:
    agent = make_agent(enrol_token="stolen")
    assert agent.processes[0].wait(30) == 2
    assert "enrol_token_unknown" in (agent.root / "stderr").read_text()


def test_no_secret_is_written_to_its_log(network: Network, agent: AgentProcess) -> None:
    network.want(LEASE, a_body("true", environment={"PASSWORD": "sesame"}))
    network.until_state(LEASE, "ended")
    log = (agent.root / "stderr").read_text()
    assert not {"sesame", "attempt-token", "enrol-me"} & set(log.split("="))
    assert "sesame" not in log
