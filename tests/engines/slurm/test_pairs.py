"""What is rendered for Slurm's commands, and what is read from real, recorded output."""

from pathlib import Path

import pytest

from intertie.engines.protocol import EngineUnavailable, Room
from intertie.engines.slurm import commands, parsing, supply
from intertie.engines.slurm.batches import Batch
from intertie.engines.slurm.commands import Ask, Submission
from intertie.engines.slurm.runner import Runner, SiteRefuses, environment, failure
from intertie.engines.slurm.settings import SlurmSettings, read_table
from intertie.model.units import MIB

ODD = "a b;$(touch x)'\"\n"


def recorded(name: str) -> str:
    return (Path(__file__).parent / "recorded" / f"{name}.txt").read_text()


def an_ask(**known: object) -> Ask:
    plain = {"partitions": ("main",), "cpus": 2, "memory_mib": 512, "minutes": 10}
    return Ask(**(plain | {"gres_type": "", "gres_count": 0} | known))  # type: ignore[arg-type]


def test_a_submission_names_its_leases_and_what_they_need() -> None:
    ask = an_ask(partitions=("main", "spot"), gres_type="a100", gres_count=2)
    told = Submission("intertie-1", ("lease-1-1", "lease-2-7"), ask, "/pool", "/pool/out")
    own = SlurmSettings(account="lab", qos="low", extra=("--constraint=ib",))
    argv = commands.sbatch(own, told)
    for word in (
        "--no-requeue",
        "--job-name=intertie-1",
        "--comment=lease-1-1,lease-2-7",
        "--array=0-1",
        "--cpus-per-task=2",
        "--mem=512M",
        "--time=10",
        "--gres=gpu:a100:2",
        "--partition=main,spot",
        "--account=lab",
        "--qos=low",
        "--constraint=ib",
    ):
        assert word in argv


def test_one_attempt_alone_needs_no_array_and_one_without_devices_no_gres() -> None:
    argv = commands.sbatch(
        SlurmSettings(), Submission("n", ("lease-1-1",), an_ask(), "/pool", "/pool/out")
    )
    assert not [word for word in argv if word.startswith(("--array", "--gres", "--account"))]


def test_a_gang_is_one_job_of_as_many_tasks_and_no_array() -> None:
    ask = an_ask(members=3, machines=3, gres_type="a100", gres_count=2)
    names = ("lease-1-1", "lease-2-1", "lease-3-1")
    argv = commands.sbatch(SlurmSettings(), Submission("n", names, ask, "/pool", "/pool/out"))
    for word in ("--nodes=3", "--ntasks=3", "--ntasks-per-node=1", "--mem=512M"):
        assert word in argv
    assert "--gres=gpu:a100:2" in argv
    assert not [word for word in argv if word.startswith("--array")]
    assert Batch("b", names, ask, 7).index_of("lease-2-1") == -1
    assert commands.srun(ask) == [
        "srun", "--wait=0", "--kill-on-bad-exit=0", "--input=none", "--mpi=none",
        "--cpus-per-task=2",
    ]  # fmt: skip


def test_members_that_share_machines_ask_for_what_one_machine_gives_to_all_on_it() -> None:
    ask = an_ask(members=5, machines=3, gres_type="a100", gres_count=2)
    argv = commands.sbatch(SlurmSettings(), Submission("n", ("a-1",) * 5, ask, "/pool", "/out"))
    for word in ("--nodes=3", "--ntasks=5", "--ntasks-per-node=2", "--mem=1024M"):
        assert word in argv
    assert "--gres=gpu:a100:4" in argv
    assert "--gpus-per-task=2" in commands.srun(ask)


@pytest.mark.parametrize(
    ("members", "found"),
    [
        (1, (("main", "big"), 1)),
        (2, (("main", "big"), 2)),
        (3, (("big",), 3)),
        (5, (("big",), 3)),
        (6, (("big",), 3)),
        (7, ((), 0)),
    ],
)
def test_a_gang_has_a_machine_for_each_where_there_are_as_many_and_else_shares_few(
    members: int, found: tuple[tuple[str, ...], int]
) -> None:
    there = [
        supply.Group("main-cpu", "main", 2, 4, 4096, "", 0),
        supply.Group("big-cpu", "big", 2, 8, 8192, "", 0),
        supply.Group("big-a100", "big", 1, 8, 8192, "a100", 8),
    ]
    assert supply.partitions_for((4, 1024, "", 0), there, members) == found


def test_the_script_quotes_whatever_a_path_holds() -> None:
    assert commands.script(["python", ODD]) == (
        "#!/bin/sh\nexec python 'a b;$(touch x)'\"'\"'\"\n'\n"
    )


def test_a_comment_names_whole_leases_only_and_stays_short() -> None:
    names = [f"lease-{number:04}-1" for number in range(200)]
    text = commands.comment(names)
    assert len(text) <= commands.COMMENT_CHARACTERS + 2
    *whole, rest = text.split(",")
    assert whole == names[: len(whole)]
    assert rest == "…"


def test_own_jobs_are_read_with_their_times_and_ends() -> None:
    jobs = {job.id: job for job in parsing.own_jobs(recorded("squeue_own"))}
    running, failed, waiting = jobs["1_1"], jobs["6"], jobs["3"]
    assert (running.state, running.is_running, running.node) == ("RUNNING", True, "alpha-gpu1")
    assert running.name == "intertie-b1"
    assert running.elapsed_s == 0
    assert (failed.is_over, failed.reason) == (True, "NonZeroExitCode")
    assert failed.elapsed_s == failed.end_s - failed.start_s
    assert (waiting.is_waiting, waiting.reason) == (True, "Resources")
    assert waiting.start_s > 1_700_000_000
    assert jobs["2"].name == "own|job"
    assert jobs["7"].state == "CANCELLED"


def test_accounted_jobs_are_read_with_what_they_lasted() -> None:
    jobs = {job.id: job for job in parsing.accounted(recorded("sacct"))}
    assert (jobs["1_0"].state, jobs["1_0"].elapsed_s, jobs["1_0"].is_over) == ("COMPLETED", 1, True)
    assert (jobs["3"].state, jobs["3"].node) == ("CANCELLED", "delta-cpu1")
    assert (jobs["5"].is_waiting, jobs["5"].end_s) == (True, 0)


def test_nodes_are_read_with_what_is_used_of_them() -> None:
    rows = parsing.node_rows(recorded("sinfo"))
    assert len(rows) == 6
    drained, mixed = rows[0], rows[2]
    assert (drained.name, drained.partition, drained.is_up) == ("alpha-cpu1", "main", False)
    assert (mixed.name, mixed.is_up, mixed.cpus) == ("alpha-gpu1", True, 64)
    assert (mixed.device_type, mixed.devices, mixed.devices_used) == ("a100", 8, 4)


def test_like_nodes_of_a_partition_are_one_group_and_no_node_counts_twice() -> None:
    rows = parsing.node_rows(recorded("sinfo"))
    found = supply.groups(rows, ("main", "spot"))
    assert [(each.name, each.machines, each.devices) for each in found] == [
        ("main-cpu", 1, 0),
        ("main-a100", 2, 8),
    ]
    facts = found[1].facts({"a100": "a100-80g-sxm"}, 10)
    assert (facts.device_class, facts.device_count, facts.machine_count) == ("a100-80g-sxm", 16, 2)
    assert (facts.cpus_milli, facts.memory_bytes) == (128_000, 1_024_000 * MIB)
    assert facts.disk_bytes == 20


def test_room_is_what_is_up_and_not_taken_or_awaited_by_the_sites_own_users() -> None:
    """Two guests hold two A100 each, an own job holds eight, and two own jobs wait for eight."""
    rows = parsing.node_rows(recorded("sinfo"))
    queue = parsing.queued(recorded("squeue_waiting"))
    polite = supply.room(rows, ("main", "spot"), queue, own_jobs_first=True)
    plain = supply.room(rows, ("main", "spot"), queue, own_jobs_first=False)
    assert plain == Room(126_000, (1_024_000 - 3 * 1024) * MIB, 8)
    assert polite == Room(124_000, (1_024_000 - 4 * 1024) * MIB, 0)


def test_the_configuration_and_partitions_are_read() -> None:
    config = parsing.config(recorded("config"))
    assert (config["KillWait"], config["MaxArraySize"]) == ("2 sec", "1001")
    found = parsing.partitions(recorded("partitions"))
    assert found["main"] == parsing.Partition("main", True, 0, 0)
    assert not found["spot"].is_default


def test_answers_of_sbatch_are_read() -> None:
    assert parsing.submitted(recorded("sbatch")) == 1
    assert parsing.submitted("12;alpha\n") == 12
    assert parsing.test_start_s(recorded("test_only")) > 1_700_000_000
    with pytest.raises(ValueError, match="invalid literal"):
        parsing.submitted("")


@pytest.mark.parametrize("name", ["no_munge", "no_controller"])
def test_a_site_that_is_away_is_told_apart_from_one_that_says_no(name: str) -> None:
    assert isinstance(failure("squeue", recorded(name)), EngineUnavailable)
    assert isinstance(failure("sbatch", recorded("refused")), SiteRefuses)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("gpu:a100:8(S:0)", ("a100", 8)),
        ("gpu:2", ("gpu", 2)),
        ("gpu:a100:2(IDX:0-1)", ("a100", 2)),
        ("gpu:a100:4,gpu:a100:2", ("a100", 6)),
        ("(null)", ("", 0)),
        ("N/A", ("", 0)),
    ],
)
def test_devices_are_read_from_a_gres(text: str, found: tuple[str, int]) -> None:
    assert parsing.device_of(text) == found


@pytest.mark.parametrize(
    ("text", "mib"), [("512M", 512), ("1.5G", 1536), ("1T", 1024**2), ("0", 0), ("x", 0)]
)
def test_sizes_are_read_in_mebibytes(text: str, mib: int) -> None:
    assert parsing.mebibytes(text) == mib


@pytest.mark.parametrize(
    ("text", "minutes"), [("1-12:00:00", 2160), ("00:30:00", 30), ("UNLIMITED", 0)]
)
def test_time_limits_are_read_in_minutes(text: str, minutes: int) -> None:
    assert parsing.minutes(text) == minutes


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"partition": ["main"]}, "partition: no such setting"),
        ({"partitions": "main"}, r'partitions: give a list of names, such as \["main"\]'),
        ({"partitions": ["a b"]}, "partitions: 'a b' is no name"),
        ({"conf": "/no/such"}, "conf: there is no file"),
        ({"python": "python3"}, "python: give the full path"),
        ({"extra": ["--wrap=x"]}, "extra: '--wrap=x' cannot be passed on"),
        ({"poll_s": 0}, "poll_s: 0 is no number of seconds"),
        ({"own_jobs_first": "yes"}, "own_jobs_first: 'yes' is neither"),
        ({"device_classes": ["a100"]}, "device_classes: give a table"),
    ],
)
def test_a_wrong_setting_is_named_with_its_fix(table: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_table(table)


def test_settings_are_taken_as_they_stand() -> None:
    own = read_table({"partitions": ["main"], "extra": ["--constraint=ib&hdr"], "poll_s": 1})
    assert (own.partitions, own.extra, own.poll_s) == (("main",), ("--constraint=ib&hdr",), 1.0)


def test_commands_see_none_of_the_users_own_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBATCH_PARTITION", "elsewhere")
    monkeypatch.setenv("SLURM_CLUSTERS", "elsewhere")
    monkeypatch.setenv("SLURM_CONF", "/etc/their.conf")
    seen = environment("/etc/slurm.conf")
    assert seen["SLURM_CONF"] == "/etc/slurm.conf"
    assert environment("")["SLURM_CONF"] == "/etc/their.conf"
    assert not {"SBATCH_PARTITION", "SLURM_CLUSTERS"} & set(seen)


def test_a_command_that_hangs_or_is_not_there_is_a_site_that_is_away() -> None:
    with pytest.raises(EngineUnavailable, match=r"no answer in 0 s"):
        Runner(timeout_s=0.2).run(["sleep", "60"])
    with pytest.raises(EngineUnavailable, match="install Slurm's commands"):
        Runner().run(["no-such-squeue"])


def test_what_a_guest_still_completes_is_no_less_room() -> None:
    node = parsing.NodeRow("n1", "main", True, 32, 20, 64_000, 2_000, "", 0, 0)
    ours = [
        parsing.Queued(state, 10, 1_000, 0, "intertie-1", "None")
        for state in ("RUNNING", "COMPLETING")
    ]
    found = supply.room([node], ("main",), ours, own_jobs_first=True)
    assert (found.cpus_milli, found.memory_bytes) == (32_000, 64_000 * MIB)
