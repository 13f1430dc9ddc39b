"""What a command line means as a job spec."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import Call
from tests.cli.test_commands import a_whole_network
from tests.client.answers import Answers


def submitted(call: Call, answers: Answers, *words: str) -> Any:
    found = call("run", "-d", *words)
    assert found.exit_code == 0, found.output
    return answers.body("POST", "jobs")


@pytest.fixture(autouse=True)
def network(answers: Answers) -> None:
    a_whole_network(answers)


def test_words_after_the_dashes_are_the_command(call: Call, answers: Answers) -> None:
    spec = submitted(call, answers, "--", "python3", "train.py", "--lr", "0.1", "--json")["spec"]
    assert spec == {"name": "python3", "command": ["python3", "train.py", "--lr", "0.1", "--json"]}


def test_options_become_fields_of_the_spec(call: Call, answers: Answers) -> None:
    words = "--cpus 0.5 --memory 1GiB --time-limit 10m --array 3 --budget 2.50 --prefer soonest"
    more = "--name sweep --provider lab --provider west -e A=b=c --result out/* --device h100:2"
    spec = submitted(call, answers, *words.split(), *more.split(), "--", "./go")["spec"]
    assert spec == {
        "name": "sweep",
        "command": ["./go"],
        "resources": {
            "cpus": "0.5",
            "memory": 2**30,
            "devices": {"class": "h100", "count": 2},
        },
        "time_limit": 600,
        "array": {"count": 3},
        "budget": "2.5",
        "prefer": "soonest",
        "providers": ["lab", "west"],
        "environment": {"A": "b=c"},
        "results": ["out/*"],
    }


def test_a_spec_file_is_sent_with_the_options_over_it(
    call: Call, answers: Answers, tmp_path: Path
) -> None:
    path = tmp_path / "job.yaml"
    told = {"command": ["x"], "resources": {"cpus": 4, "memory": "1GiB"}, "name": "file"}
    path.write_text(yaml.safe_dump(told))
    spec = submitted(call, answers, str(path), "--cpus", "1", "--name", "mine")["spec"]
    assert spec["name"] == "mine"
    assert spec["resources"] == {"cpus": "1", "memory": 2**30}


def test_a_quote_and_its_option_go_along(call: Call, answers: Answers) -> None:
    words = ["--quote", "quote-0007", "--option", "soonest", "--", "true"]
    body = submitted(call, answers, *words)
    assert (body["quote"], body["option"]) == ("quote-0007", "soonest")


def test_what_is_wrong_with_a_spec_is_said_in_the_language(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text("command: [ls]\nnmae: x\nprefer: best\nresources: {cpus: many}\n")
    said = call("run", str(path), "--lang", "zh-CN").stderr
    assert "作业说明有误" in said
    assert "没有这个字段" in said
    assert "应为 'cheapest' or 'soonest'" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nothing.yaml"], "there is no file nothing.yaml"),
        (["--cpus", "many", "--", "true"], "resources.cpus: write a number of cpus"),
        (["--budget=-1", "--", "true"], "budget: it is negative"),
        (["--workdir", "nowhere", "--", "true"], "there is no folder nowhere"),
        (["--env", "A", "--", "true"], "write NAME=VALUE"),
        ([], "name a spec file, or write a command after --"),
    ],
)
def test_bad_input_names_the_field_and_the_fix_and_submits_nothing(
    words: list[str], says: str, call: Call, answers: Answers
) -> None:
    found = call("run", *words)
    assert found.exit_code == 2
    assert says in " ".join(found.stderr.split())
    assert answers.requests == []
