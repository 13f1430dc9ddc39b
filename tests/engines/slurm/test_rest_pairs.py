"""What is rendered for slurmrestd, and what is read from its real, recorded answers."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from intertie.engines.slurm import rest_parsing, rest_rendering, supply
from intertie.engines.slurm.commands import Ask, Submission
from intertie.engines.slurm.parsing import NodeRow, Partition, Queued
from intertie.engines.slurm.settings import SlurmSettings, read_table

ASK = Ask(("main", "spot"), 2, 512, "a100", 2, 10)
PARTITIONS = ("main", "spot")


def recorded(name: str) -> Any:
    return json.loads((Path(__file__).parent / "recorded" / "rest" / f"{name}.json").read_text())


def rendered(ask: Ask = ASK, names: tuple[str, ...] = ("lease-1-1",), **own: Any) -> Any:
    told = Submission("intertie-1", names, ask, "/pool", "/pool/out")
    return rest_rendering.submission(SlurmSettings(**own), told, "#!/bin/sh\n")


def test_a_submission_says_what_slurmrestd_wants_in_its_own_types() -> None:
    document = rendered(account="lab", qos="low", extra=("--constraint=ib", "--nice"))
    job = document["job"]
    assert document["script"] == "#!/bin/sh\n"
    assert (job["name"], job["comment"]) == ("intertie-1", "lease-1-1")
    assert (job["partition"], job["gres"]) == ("main,spot", "gpu:a100:2")
    assert (job["memory_per_node"], job["time_limit"], job["cpus_per_task"]) == ("512", 10, 2)
    assert (job["account"], job["qos"]) == ("lab", "low")
    assert (job["constraints"], job["nice"]) == ("ib", "100")
    assert job["environment"]
    assert job["no_requeue"]


def test_what_is_not_asked_for_is_not_in_the_document() -> None:
    job = rendered(Ask(("main",), 1, 1, "", 0, 1))["job"]
    assert not {"gres", "account", "qos", "array"} & set(job)
    assert rendered(names=("lease-1-1", "lease-2-1"))["job"]["array"] == "0-1"


def test_a_gang_is_one_job_of_as_many_tasks_and_no_array() -> None:
    job = rendered(replace(ASK, members=3, machines=2), ("a-1", "b-1", "c-1"))["job"]
    assert (job["nodes"], job["tasks"], job["tasks_per_node"]) == (2, 3, 2)
    assert (job["memory_per_node"], job["gres"]) == ("1024", "gpu:a100:4")
    assert "array" not in job


def test_own_jobs_are_read_with_their_times_and_each_task_of_an_array() -> None:
    jobs = {job.id: job for job in rest_parsing.own_jobs(recorded("jobs"))}
    assert set(jobs) == {"1", "2_0", "2_1", "2_2", "2_3", "2_7"}
    failed, running, waiting = jobs["1"], jobs["2_0"], jobs["2_7"]
    assert (failed.is_over, failed.state, failed.reason) == (True, "FAILED", "NonZeroExitCode")
    assert failed.elapsed_s == failed.end_s - failed.start_s
    assert (running.is_running, running.node, running.elapsed_s) == (True, "rho-gpu1", 0)
    assert running.start_s > 1_700_000_000
    assert (waiting.is_waiting, waiting.reason) == (True, "JobArrayTaskLimit")


def test_everybodys_jobs_are_read_with_what_they_take_of_the_partitions() -> None:
    jobs = rest_parsing.queued(recorded("jobs"), ("spot",))
    assert jobs == [
        Queued("PENDING", 2, 1024, 1, "own", "Resources"),
        Queued("PENDING", 2, 512, 4, "own-two", "Priority"),
    ]
    assert len(rest_parsing.queued(recorded("jobs"), PARTITIONS)) == 2 + 5


def test_a_spread_array_counts_each_of_its_steps() -> None:
    [row] = [row for row in recorded("jobs")["jobs"] if row["job_id"] == 2]
    row["array_task_string"] = "0-8:4,11%2"
    assert [job.index for job in rest_parsing.own_jobs({"jobs": [row]})] == [0, 4, 8, 11]


def test_nodes_are_read_in_each_partition_with_what_is_used_of_them() -> None:
    rows = rest_parsing.node_rows(recorded("nodes"), ("main",))
    assert rows == [
        NodeRow("rho-cpu1", "main", False, 32, 0, 128000, 0, "", 0, 0),  # it is drained
        NodeRow("rho-gpu1", "main", True, 64, 2, 512000, 512, "a100", 4, 2),
    ]
    assert len(rest_parsing.node_rows(recorded("nodes"), PARTITIONS)) == 4


def test_room_over_rest_is_what_is_up_and_not_taken_by_the_sites_own_users() -> None:
    rows = rest_parsing.node_rows(recorded("nodes"), ("main",))
    queue = rest_parsing.queued(recorded("jobs"), ("main",))
    room = supply.room(rows, ("main",), queue, own_jobs_first=False)
    assert (room.cpus_milli, room.device_count) == (64_000, 4)


def test_partitions_are_read_with_their_limits() -> None:
    assert rest_parsing.partitions(recorded("partitions")) == {
        "main": Partition("main", True, 0, 0),
        "spot": Partition("spot", False, 20, 2160),
    }


def test_a_submission_is_read_by_its_id_and_a_refusal_by_its_words() -> None:
    assert rest_parsing.submitted(recorded("submitted")) == 1
    assert rest_parsing.errors(recorded("submitted")) == ""
    assert rest_parsing.errors(recorded("refused")) == "Invalid partition name specified"
    assert "Invalid job id" in rest_parsing.errors(recorded("unknown_job"))


def test_a_submission_that_was_taken_with_a_warning_is_no_refusal() -> None:
    document = recorded("node_not_there")
    assert document["errors"]
    assert (rest_parsing.submitted(document), rest_parsing.errors(document)) == (1, "")


def test_an_answer_that_says_nothing_is_told_apart_from_one_that_says_no() -> None:
    assert rest_parsing.has_no_word(recorded("denied"))
    assert not rest_parsing.has_no_word(recorded("refused"))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"rest": "127.0.0.1:6820"}, "rest: say where slurmrestd is, as"),
        ({"rest": "http://127.0.0.1:6820/slurm/v0.0.38"}, "rest: say where"),
        ({"rest": "http://127.0.0.1:6820"}, "token_file: rest wants one"),
        ({"token_file": "/no/such/file"}, "token_file: there is no file '/no/such/file'"),
        (
            {"rest": "http://h", "token_file": __file__, "extra": ["--exclude=n1"]},
            "extra: slurmrestd takes no '--exclude=n1'",
        ),
    ],
)
def test_a_wrong_setting_of_rest_is_named_with_its_fix(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_table(table)
