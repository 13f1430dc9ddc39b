"""The digits example keeps its promises: it resumes to the same bits, and chooses honestly."""

import gzip
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"
STOPPED = 75
EPOCHS = 200


def a_task(folder: Path, **known: str) -> list[str]:
    """Return the command of a short training that keeps its files in a folder."""
    folder.mkdir(exist_ok=True)
    options = {
        "epochs": str(EPOCHS),
        "every": "10",
        "hidden": "24",
        "checkpoint": str(folder / "checkpoint.npz"),
        "result": str(folder / "result.json"),
    } | known
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return [sys.executable, str(DIGITS / "train.py"), *words]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def stop_after_lines(command: list[str], lines: int) -> int:
    """Start a task, send SIGTERM once it has printed some epochs, and return its exit status."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as task:
        assert task.stdout is not None
        seen = 0
        for line in task.stdout:
            seen += line.startswith("epoch")
            if seen == lines:
                task.send_signal(signal.SIGTERM)
                seen += 1
    return task.returncode


def result_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return found


def arrays_of(folder: Path) -> dict[str, bytes]:
    """Return every saved array as bytes; the header with its clock is left out."""
    with np.load(folder / "checkpoint.npz") as saved:
        return {name: saved[name].tobytes() for name in saved.files if name != "known"}


def test_a_run_stopped_twice_and_resumed_ends_in_the_same_bits(tmp_path: Path) -> None:
    whole, parts = a_task(tmp_path / "whole"), a_task(tmp_path / "parts")
    assert run(whole).returncode == 0

    assert stop_after_lines(parts, lines=2) == STOPPED
    assert not (tmp_path / "parts" / "result.json").exists()
    assert stop_after_lines(parts, lines=2) == STOPPED
    assert run(parts).returncode == 0

    resumed, straight = result_of(tmp_path / "parts"), result_of(tmp_path / "whole")
    assert arrays_of(tmp_path / "parts") == arrays_of(tmp_path / "whole")
    assert 40 <= resumed["resumed_from_epoch"] < EPOCHS
    assert straight["resumed_from_epoch"] is None
    for name in ("val_accuracy", "test_accuracy", "epochs"):
        assert resumed[name] == straight[name]


def test_a_run_killed_without_warning_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    command = a_task(tmp_path)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as task:
        assert task.stdout is not None
        next(line for line in task.stdout if line.startswith("epoch"))
        task.kill()

    assert run(command).returncode == 0
    assert result_of(tmp_path)["resumed_from_epoch"] >= 10


def test_a_checkpoint_of_another_choice_is_refused_by_name(tmp_path: Path) -> None:
    assert run(a_task(tmp_path, epochs="2")).returncode == 0
    refused = run(a_task(tmp_path, epochs="2", rate="0.2"))
    assert refused.returncode == 1
    assert "name another --checkpoint" in refused.stderr


def test_hyper_parameters_may_come_from_the_environment(tmp_path: Path) -> None:
    command = [sys.executable, str(DIGITS / "train.py")]
    given = {"RATE": "0.02", "HIDDEN": "16", "DECAY": "0.01", "SEED": "3", "EPOCHS": "2"}
    environment = os.environ | given
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)

    found = result_of(tmp_path)
    assert (found["rate"], found["hidden"], found["decay"]) == (0.02, 16, 0.01)
    assert (found["seed"], found["epochs"]) == (3, 2)


def test_the_winner_is_chosen_by_validation_and_never_by_test(tmp_path: Path) -> None:
    chosen = {"rate": 0.1, "hidden": 64, "decay": 0.001, "val_accuracy": 0.98}
    other = chosen | {"val_accuracy": 0.97, "test_accuracy": 0.999}
    for name, one in (("a", chosen | {"test_accuracy": 0.95}), ("b", other)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text(json.dumps(one))

    told = run([sys.executable, str(DIGITS / "best.py"), str(tmp_path), "--json"])
    assert json.loads(told.stdout)["test_accuracy"] == 0.95


def test_a_folder_without_results_is_named_in_the_error(tmp_path: Path) -> None:
    told = run([sys.executable, str(DIGITS / "best.py"), str(tmp_path)])
    assert told.returncode == 1
    assert str(tmp_path) in told.stderr


def test_even_a_short_training_reads_most_digits(tmp_path: Path) -> None:
    assert run(a_task(tmp_path, hidden="64", rate="0.1")).returncode == 0
    assert result_of(tmp_path)["test_accuracy"] >= 0.95


def test_the_data_is_what_its_page_says() -> None:
    page = (DIGITS / "README.md").read_text(encoding="utf-8")
    content = (DIGITS / "digits.csv.gz").read_bytes()
    assert hashlib.sha256(content).hexdigest() in page
    rows = gzip.decompress(content).decode().splitlines()
    assert len(rows) == 1_797
    assert {len(row.split(",")) for row in rows} == {65}
    assert "CC BY 4.0" in page
    assert "10.24432/C50P49" in page


@pytest.mark.parametrize("name", ["RATE", "HIDDEN", "DECAY"])
def test_each_name_in_the_grid_is_one_that_training_reads(name: str) -> None:
    spec = yaml.safe_load((DIGITS / "digits.yaml").read_text(encoding="utf-8"))
    assert name in spec["array"]["grid"]
    assert re.search(rf'given\.get\("{name}"', (DIGITS / "train.py").read_text(encoding="utf-8"))
