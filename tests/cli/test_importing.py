"""Scripts and task files from elsewhere on the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Call
from tests.cli.test_commands import a_whole_network
from tests.client.answers import Answers

SCRIPT = """\
#!/bin/bash
#SBATCH --job-name=train --gres=gpu:2 --mail-type=END --mem=1G
#SBATCH --output=out.txt --time=10 --export=MODE=fast
./train "$@"
"""
TASK = "resources: {cpus: 2+}\nnum_nodes: 2\nrun: ./go\nfile_mounts: {/data: s3://b/x}\n"


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "train.sh"
    path.write_text(SCRIPT)
    return str(path)


@pytest.fixture
def task(tmp_path: Path) -> str:
    path = tmp_path / "task.yaml"
    path.write_text(TASK)
    return str(path)


def submitted(call: Call, answers: Answers, *words: str) -> Any:
    a_whole_network(answers)
    found = call("run", "-d", *words)
    assert found.exit_code == 0, found.output
    return answers.body("POST", "jobs")["spec"]


def test_a_script_is_submitted_with_the_options_over_it(
    call: Call, answers: Answers, script: str
) -> None:
    words = ["--device", "a100:2", "--result", "model/*", "-e", "X=1", "--name", "mine", script]
    spec = submitted(call, answers, *words)
    assert spec["name"] == "mine"
    assert spec["resources"]["devices"] == {"class": "a100", "count": 2}
    assert spec["resources"]["memory"] == 2**30
    assert spec["results"] == ["out.txt", "model/*"]
    assert spec["environment"]["SLURM_JOB_NAME"] == "train"
    assert (spec["environment"]["MODE"], spec["environment"]["X"]) == ("fast", "1")


def test_words_after_a_script_are_its_arguments(call: Call, answers: Answers, script: str) -> None:
    spec = submitted(call, answers, "--device", "a100", "--", script, "a", "b c", "--lr=1")
    assert "slurm_script\" a 'b c' --lr=1" in spec["script"]


def test_a_task_file_is_told_from_a_job_spec_by_its_fields(
    call: Call, answers: Answers, task: str
) -> None:
    spec = submitted(call, answers, task)
    assert (spec["gang"], spec["array"]) == (True, {"count": 2})


def test_what_does_not_hold_is_told_before_the_job_is_submitted(
    call: Call, answers: Answers, script: str
) -> None:
    a_whole_network(answers)
    said = " ".join(call("run", "-d", "--device", "a100:2", script).stderr.split())
    assert "--mail-type=END" in said
    assert "not honoured" in said
    assert "No folder goes along" in said
    chinese = call("run", "-d", "--device", "a100:2", script, "--lang", "zh-CN").stderr
    assert "未满足" in chinese


def test_devices_without_a_class_are_asked_for(call: Call, answers: Answers, script: str) -> None:
    a_whole_network(answers)
    found = call("run", "-d", script)
    assert found.exit_code == 2
    assert "--device CLASS:2" in " ".join(found.stderr.split())
    assert "resources.devices.class: it is missing" in found.stderr
    assert answers.requests == []


def test_strict_refuses_what_cannot_be_honoured(call: Call, answers: Answers, script: str) -> None:
    a_whole_network(answers)
    found = call("run", "--strict", script)
    assert found.exit_code == 2
    assert "--mail-type=END" in found.stderr
    assert answers.requests == []


def test_strict_takes_a_script_of_which_all_holds(
    call: Call, answers: Answers, tmp_path: Path
) -> None:
    path = tmp_path / "plain.sbatch"
    path.write_text("#!/bin/sh\n#SBATCH --time=1 --mem=64M\ntrue\n")
    assert submitted(call, answers, "--strict", str(path))["time_limit"] == 60


def test_a_dry_run_shows_spec_and_notes_and_sends_nothing(
    call: Call, answers: Answers, script: str
) -> None:
    found = call("run", "--dry-run", script)
    assert found.exit_code == 0
    assert "--job-name=train" in found.stdout
    assert "time_limit: 600" in found.stdout
    told = json.loads(call("run", "--dry-run", "--json", script).stdout)
    assert told["spec"]["time_limit"] == 600
    [mail] = [note for note in told["notes"] if note["code"] == "no_mail"]
    assert (mail["line"], mail["level"], mail["asked"]) == (2, "unmet", "--mail-type=END")
    assert answers.requests == []


def test_a_dry_run_of_a_spec_of_ours_has_nothing_to_note(call: Call, answers: Answers) -> None:
    told = json.loads(call("run", "--dry-run", "--json", "--cpus", "2", "--", "ls").stdout)
    assert told["spec"] == {"name": "ls", "command": ["ls"], "resources": {"cpus": "2"}}
    assert told["notes"] == []
    assert answers.requests == []


def test_with_json_the_notes_are_json_on_stderr(call: Call, answers: Answers, script: str) -> None:
    a_whole_network(answers)
    found = call("run", "-d", "--json", "--device", "a100:2", script)
    assert json.loads(found.stdout)["id"]
    assert {note["code"] for note in json.loads(found.stderr)["notes"]} >= {"no_mail", "time"}


def test_a_wrong_script_is_told_by_line_in_the_language(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "wrong.sbatch"
    path.write_text("#!/bin/bash\n#SBATCH --time=soon\ntrue\n")
    found = call("run", str(path), "--lang", "zh-CN")
    assert found.exit_code == 2
    assert "line 2: --time: 应为分钟" in found.stderr
    assert "无法将该文件读作作业" in found.stderr


def test_a_program_that_is_no_sbatch_script_is_a_command(
    call: Call, answers: Answers, tmp_path: Path
) -> None:
    path = tmp_path / "plain.sh"
    path.write_text("#!/bin/sh\n# SBATCH is not meant\ntrue\n")
    assert submitted(call, answers, "--", str(path))["command"] == [str(path)]


def test_submit_is_run_that_does_not_follow(call: Call, answers: Answers, script: str) -> None:
    a_whole_network(answers)
    found = call("submit", "--device", "a100:2", script)
    assert found.exit_code == 0
    assert "submitted" in found.stdout
    assert answers.body("POST", "jobs")["spec"]["name"] == "train"
