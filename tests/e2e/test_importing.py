"""Scripts of other systems on a real network: door, decider, agent and host engine."""

from pathlib import Path

import pytest

from intertie.client import from_sbatch, from_sky
from intertie.client.imports import Imported
from intertie.model.ids import decode
from tests.support.live import River

EXAMPLES = Path(__file__).parents[2] / "examples" / "importing"
SMALL = "#SBATCH --time=1 --mem=96M\n"
TELL = "env | grep '^SLURM_' | sort\n"


class Ended:
    """A job that has run to its end."""

    def __init__(self, river: River, found: Imported, folder: Path, **more: object) -> None:
        self.job = river.client.submit(found.spec | more)
        self.outcome = river.client.wait(self.job, timeout_s=120).outcome
        self.number = decode("job", self.job.id)
        self.river = river
        river.client.results(self.job, folder)
        self.folder = folder

    def log(self, task: int = 0) -> str:
        return "".join(self.river.client.logs(self.job, task))

    def variables(self, task: int = 0) -> dict[str, str]:
        rows = (line.partition("=") for line in self.log(task).splitlines())
        return {name: value for name, equals, value in rows if equals}


def test_a_task_sees_the_variables_that_slurm_would_set(river: River, tmp_path: Path) -> None:
    options = "#SBATCH -J told -c 2 -p short -A me --mem=96M -t 2\n"
    ended = Ended(river, from_sbatch(f"#!/bin/bash\n{options}{TELL}"), tmp_path)
    assert ended.outcome == "done", ended.log()
    told = ended.variables()
    assert (
        told.items()
        >= {
            "SLURM_JOB_ID": str(ended.number),
            "SLURM_JOBID": str(ended.number),
            "SLURM_JOB_NAME": "told",
            "SLURM_CPUS_PER_TASK": "2",
            "SLURM_CPUS_ON_NODE": "2",
            "SLURM_NTASKS": "1",
            "SLURM_NPROCS": "1",
            "SLURM_NNODES": "1",
            "SLURM_JOB_NUM_NODES": "1",
            "SLURM_NODEID": "0",
            "SLURM_PROCID": "0",
            "SLURM_LOCALID": "0",
            "SLURM_MEM_PER_NODE": "96",
            "SLURM_JOB_PARTITION": "short",
            "SLURM_JOB_ACCOUNT": "me",
        }.items()
    )
    begun, ends = int(told["SLURM_JOB_START_TIME"]), int(told["SLURM_JOB_END_TIME"])
    assert ends - begun == 120
    assert not [name for name in told if name.startswith("SLURM_ARRAY")]


def test_an_array_numbers_its_tasks_and_brings_back_its_files(river: River, tmp_path: Path) -> None:
    options = "#SBATCH --array=2-10:4 --job-name=sweep --output=logs/%x_%A_%a.out\n"
    ended = Ended(river, from_sbatch(f"#!/bin/sh\n{options}{SMALL}{TELL}"), tmp_path)
    assert ended.outcome == "done", ended.log()
    for task, index in enumerate((2, 6, 10)):
        told = ended.variables(task)
        assert (
            told.items()
            >= {
                "SLURM_ARRAY_JOB_ID": str(ended.number),
                "SLURM_ARRAY_TASK_ID": str(index),
                "SLURM_ARRAY_TASK_COUNT": "3",
                "SLURM_ARRAY_TASK_MIN": "2",
                "SLURM_ARRAY_TASK_MAX": "10",
                "SLURM_ARRAY_TASK_STEP": "4",
                "SLURM_JOB_ID": str(ended.number * 100_000 + task),
            }.items()
        )
        kept = tmp_path / str(task) / "logs" / f"sweep_{ended.number}_{index}.out"
        assert kept.read_text() == ended.log(task)


def test_output_error_srun_and_the_exit_code_come_back(river: River, tmp_path: Path) -> None:
    text = (
        f"#!/bin/bash -l\n#SBATCH -n 2 -o %j.out -e %x.err -J steps\n{SMALL}"
        "srun sh -c 'echo \"copy $SLURM_PROCID of $SLURM_NTASKS\"'\n"
        "echo wrong >&2\nexit 5\n"
    )
    ended = Ended(river, from_sbatch(text), tmp_path)
    assert ended.outcome == "failed"
    attempt = next(iter(river.client.tasks(ended.job))).attempts[0]
    assert attempt.exit_code == 5
    kept = (tmp_path / f"{ended.number}.out").read_text()
    assert sorted(kept.splitlines()) == ["copy 0 of 2", "copy 1 of 2"]
    assert (tmp_path / "steps.err").read_text() == "wrong\n"
    assert sorted(ended.log().splitlines()) == ["copy 0 of 2", "copy 1 of 2", "wrong"]


@pytest.mark.parametrize("first", ["#!/usr/bin/env python3", "#!/usr/bin/python3 -u"])
def test_a_script_of_another_language_runs_under_it(
    first: str, river: River, tmp_path: Path
) -> None:
    text = f"{first}\n{SMALL}import os\nprint(os.environ['SLURM_JOB_ID'])\n"
    ended = Ended(river, from_sbatch(text), tmp_path)
    assert ended.log() == f"{ended.number}\n"


def test_a_chain_waits_for_the_job_that_stands_for_an_id(river: River, tmp_path: Path) -> None:
    first = river.client.submit(from_sbatch(f"#!/bin/sh\n{SMALL}sleep 1\n").spec)
    text = f"#!/bin/sh\n#SBATCH -d afterok:4711\n{SMALL}echo second\n"
    found = from_sbatch(text, jobs={"4711": first.id})
    assert found.spec["after"] == [first.id]
    assert Ended(river, found, tmp_path).log() == "second\n"
    assert river.client.job(first).state == "settled"


def test_a_warning_signal_lets_a_script_save_before_its_time_ends(
    river: River, tmp_path: Path
) -> None:
    text = (
        "#!/bin/bash\n#SBATCH --signal=B:USR1@57 --output=o.txt\n"
        f"{SMALL}trap 'echo saved; exit 0' USR1\nwhile :; do sleep 0.1; done\n"
    )
    ended = Ended(river, from_sbatch(text), tmp_path)
    assert ended.outcome == "done"
    assert (tmp_path / "o.txt").read_text() == "saved\n"


def test_the_example_of_a_sweep_runs_as_it_stands(river: River, tmp_path: Path) -> None:
    text = (EXAMPLES / "sweep.sbatch").read_text()
    ended = Ended(river, from_sbatch(text), tmp_path)
    assert ended.outcome == "done", ended.log()
    found = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.out"))
    assert [str(path) for path in found] == [
        f"{task}/pi-sweep-{ended.number}_{task + 1}.out" for task in range(4)
    ]
    assert all(3 < float((tmp_path / path).read_text().split()[-1]) < 3.3 for path in found)


def test_a_task_file_does_setup_then_run_on_each_node(river: River, tmp_path: Path) -> None:
    text = (
        "num_nodes: 2\nenvs: {WORD: hello}\n"
        "setup: echo made > made.txt\n"
        "run: |\n  cat made.txt\n  echo $WORD $SKYPILOT_NODE_RANK of $SKYPILOT_NUM_NODES\n"
    )
    light = {"resources": {"cpus": 1, "memory": "96MiB", "disk": "100MiB"}}
    ended = Ended(river, from_sky(text), tmp_path, **light)
    assert ended.outcome == "done", ended.log()
    assert [ended.log(task) for task in (0, 1)] == [
        "made\nhello 0 of 2\n",
        "made\nhello 1 of 2\n",
    ]
