"""The wrapper runs in the shells that providers have, and does what Slurm would have done."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from intertie.client import from_sbatch

SHELLS = [shell for shell in ("/bin/dash", "/bin/bash") if Path(shell).exists()]


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Ran:
    """One task of an imported script, run here without a network."""

    def __init__(self, shell: str, folder: Path, text: str, task: int = 0, **more: str) -> None:
        found = from_sbatch(text, "job", ("one", "two words")).spec
        rows = found.get("array", {}).get("values", [{}])
        (folder / "script").write_text(found["script"])
        told = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "INTERTIE_JOB": "job-001c",
            "INTERTIE_TASK_INDEX": str(task),
            **found["environment"],
            **{name: str(value) for name, value in rows[task].items()},
            **more,
        }
        self.folder = folder / "work"
        self.folder.mkdir(exist_ok=True)
        self.program = subprocess.Popen(
            [shell, str(folder / "script")],
            cwd=self.folder,
            env=told,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end(self) -> "Ran":
        self.out, self.err = self.program.communicate(timeout=60)
        self.code = self.program.returncode
        return self

    def lines(self) -> list[str]:
        return self.out.splitlines()


def script(*lines: str, options: str = "--time=5 --mem=64M", first: str = "#!/bin/bash") -> str:
    return "\n".join([first, f"#SBATCH {options}", *lines, ""])


def test_the_script_goes_along_untouched_with_its_arguments(shell: str, tmp_path: Path) -> None:
    body = ["cat <<'EOF'", "END $HOME `x` \\", "EOF", 'printf "%s|" "$0" "$@"', "exit 7"]
    ran = Ran(shell, tmp_path, script(*body)).end()
    assert ran.lines()[0] == "END $HOME `x` \\"
    assert ran.out.endswith("slurm_script|one|two words|")
    assert ran.code == 7


def test_a_job_number_is_that_of_its_id(shell: str, tmp_path: Path) -> None:
    ran = Ran(shell, tmp_path, script("echo $SLURM_JOB_ID $SLURM_JOBID $SLURM_JOB_NAME")).end()
    assert ran.lines() == ["44 44 job"]  # 001c in base 32


def test_a_task_of_an_array_has_an_id_of_its_own_and_that_of_the_array(
    shell: str, tmp_path: Path
) -> None:
    told = "echo $SLURM_ARRAY_JOB_ID $SLURM_JOB_ID $SLURM_ARRAY_TASK_ID $SLURM_ARRAY_TASK_COUNT"
    text = script(told, options="--array=3,9-11:2 --output=%A_%3a.out")
    ran = Ran(shell, tmp_path, text, task=2).end()
    assert ran.lines() == ["44 4400002 11 3"]
    assert (ran.folder / "44_011.out").read_text() == ran.out


def test_output_and_error_go_to_their_files_and_to_the_log(shell: str, tmp_path: Path) -> None:
    options = '-o "logs dir/%x-%j.out" -e err/%u.txt -J "a b"'
    ran = Ran(shell, tmp_path, script("echo out; echo err >&2", options=options)).end()
    assert (ran.out, ran.err) == ("out\n", "err\n")
    assert (ran.folder / "logs dir" / "a b-44.out").read_text() == "out\n"
    assert next((ran.folder / "err").iterdir()).read_text() == "err\n"


def test_a_relative_folder_is_where_it_starts_and_input_is_read(shell: str, tmp_path: Path) -> None:
    (tmp_path / "work" / "sub").mkdir(parents=True)
    (tmp_path / "work" / "sub" / "in.txt").write_text("read\n")
    ran = Ran(shell, tmp_path, script("pwd; cat", options="-D sub -i in.txt -o o.txt")).end()
    assert ran.lines() == [str(ran.folder / "sub"), "read"]
    assert (ran.folder / "sub" / "o.txt").read_text() == ran.out


def test_a_program_left_behind_does_not_hold_the_job(shell: str, tmp_path: Path) -> None:
    ran = Ran(shell, tmp_path, script("echo done; sleep 600 & echo $!", options="-o o.txt")).end()
    assert ran.code == 0
    left = int(ran.lines()[1])
    os.kill(left, 9)
    assert (ran.folder / "o.txt").read_text().startswith("done\n")


def test_a_job_told_to_stop_may_still_write_its_last_words(shell: str, tmp_path: Path) -> None:
    body = ["trap 'echo saved; exit 3' TERM", "echo ready", "while :; do sleep 0.1; done"]
    ran = Ran(shell, tmp_path, script(*body, options="-o o.txt"))
    assert ran.program.stdout is not None
    assert ran.program.stdout.readline() == "ready\n"
    os.killpg(ran.program.pid, 15)
    ran.end()
    assert ran.code == 3
    kept = (ran.folder / "o.txt").read_text().splitlines()
    assert (kept[0], kept[-1]) == ("ready", "saved")  # bash may say that its sleep was ended


def test_a_script_is_signalled_before_its_time_ends(shell: str, tmp_path: Path) -> None:
    body = ["trap 'echo warned; exit 0' USR1", "for i in $(seq 300); do sleep 0.1; done"]
    ran = Ran(shell, tmp_path, script(*body, options="-t 1 --signal=B:USR1@59")).end()
    assert ran.lines() == ["warned"]


def test_steps_are_signalled_and_the_script_is_not(shell: str, tmp_path: Path) -> None:
    step = (
        "trap 'echo step; exit 0' USR1; i=0; while [ $i -lt 300 ]; do sleep 0.1; i=$((i+1)); done"
    )
    body = [f'srun bash -c "{step}"'.replace("$", "\\$"), "echo script goes on"]
    ran = Ran(shell, tmp_path, script(*body, options="-t 1 --signal=USR1@58")).end()
    assert ran.lines() == ["step", "script goes on"]


def test_a_task_that_may_not_be_repeated_is_not(shell: str, tmp_path: Path) -> None:
    text = script("echo ran $SLURM_RESTART_COUNT", options="--no-requeue")
    first = Ran(shell, tmp_path, text, INTERTIE_ATTEMPT="1").end()
    second = Ran(shell, tmp_path, text, INTERTIE_ATTEMPT="2").end()
    assert (first.code, first.lines()) == (0, ["ran"])
    assert (second.code, second.lines()) == (1, [])
    assert "not begun again" in second.err
    again = Ran(shell, tmp_path, text.replace("--no-", "--"), INTERTIE_ATTEMPT="3").end()
    assert again.lines() == ["ran 2"]


def test_srun_starts_copies_that_know_their_number(shell: str, tmp_path: Path) -> None:
    body = ["srun sh -c 'echo $SLURM_PROCID/$SLURM_NTASKS'", "srun -n1 -c2 echo alone"]
    ran = Ran(shell, tmp_path, script(*body, options="-n 3")).end()
    assert sorted(ran.lines()[:3]) == ["0/3", "1/3", "2/3"]
    assert ran.lines()[3:] == ["alone"]


def test_srun_ends_with_the_worst_code_and_names_files_by_copy(shell: str, tmp_path: Path) -> None:
    body = ["srun -n 3 -o step%t.txt sh -c 'echo $SLURM_LOCALID; exit $SLURM_PROCID'"]
    ran = Ran(shell, tmp_path, script(*body, options="-n 3")).end()
    assert ran.code == 2
    assert [(ran.folder / f"step{n}.txt").read_text() for n in range(3)] == ["0\n", "1\n", "2\n"]


@pytest.mark.parametrize("words", ["--multi-prog conf", "-n x true", "", "--mpi=none"])
def test_srun_says_what_it_cannot_do(words: str, tmp_path: Path) -> None:
    ran = Ran(SHELLS[0], tmp_path, script(f"srun {words}")).end()
    assert ran.code == 1
    assert ran.err.startswith("srun: ")


def test_srun_is_there_in_a_login_shell_and_outside_bash(tmp_path: Path) -> None:
    login = script("srun echo here", first="#!/bin/bash -l")
    assert "here" in Ran(SHELLS[0], tmp_path, login).end().lines()
    python = "import subprocess; subprocess.run(['srun', 'echo', 'there'], check=True)"
    text = script(python, first="#!/usr/bin/env python3")
    assert Ran(SHELLS[0], tmp_path, text).end().lines() == ["there"]


def test_scontrol_tells_the_machine_and_refuses_the_rest(tmp_path: Path) -> None:
    body = ["scontrol show hostnames", "scontrol show hostnames a,b", "scontrol requeue 1"]
    ran = Ran(SHELLS[0], tmp_path, script(*body)).end()
    assert ran.lines() == [os.uname().nodename.partition(".")[0], "a", "b"]
    assert ran.code == 1
    assert re.search(r"only .* is there", ran.err)
