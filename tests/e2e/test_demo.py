"""`intertie demo` tells its story to the end, and the network's own records bear it out."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.servers.slurm import SlurmCluster, slurm_beta

__all__ = ["slurm_beta"]
NOWHERE = "/nonexistent/slurm.conf"  # a site that is here already is not asked


def run(out: Path, slurm_conf: str, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "intertie.cli.main", "demo", "--out", str(out), *options],
        env=os.environ | {"SLURM_CONF": slurm_conf},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def told(out: Path, slurm_conf: str) -> tuple[dict[str, Any], str]:
    """Return the facts that a demo left, and the story that it told."""
    done = run(out, slurm_conf)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    found: dict[str, Any] = json.loads((out / "receipt.json").read_text())
    return found, done.stdout


@pytest.mark.timeout(600)
def test_the_demo_pays_three_providers_resumes_a_task_and_proves_its_books(tmp_path: Path) -> None:
    found, story = told(tmp_path / "demo-out", NOWHERE)
    paid = {each["name"]: each["paid_micro"] for each in found["providers"]}
    assert set(paid) == {"lab", "west", "night"}
    assert min(paid.values()) > 0
    assert found["books_ok"] is True
    assert found["tasks_resumed"] >= 1
    assert found["tasks_total"] == 18
    assert found["accuracy_best"] >= 0.95
    refused = found["refusals"][0]
    assert refused["code"]
    assert refused["relaxation"]["code"]
    assert found["disputes"] == 0
    for step in ("Supply", "quote", "place", "Run", "Meter", "Settle", "accuracy"):
        assert step in story
    assert "Slurm" not in story


@pytest.mark.timeout(600)
def test_a_slurm_cluster_that_is_here_takes_part_in_the_demo_and_is_paid(
    slurm_beta: SlurmCluster, tmp_path: Path
) -> None:
    found, story = told(tmp_path / "demo-out", str(slurm_beta.conf))
    paid = {each["name"]: each["paid_micro"] for each in found["providers"]}
    assert set(paid) == {"lab", "west", "night", "centre"}
    assert min(paid.values()) > 0
    assert found["books_ok"] is True
    assert found["tasks_resumed"] >= 1
    assert found["tasks_total"] == 22
    assert found["disputes"] == 0
    assert "A Slurm cluster is here" in story
    assert len(list((tmp_path / "demo-out" / "results" / "statistics").rglob("*.out"))) == 4


def test_a_slurm_cluster_that_does_not_answer_ends_the_demo_before_it_begins(
    tmp_path: Path,
) -> None:
    conf = tmp_path / "slurm.conf"
    conf.write_text("ClusterName=nowhere\n")
    done = run(tmp_path / "demo-out", NOWHERE, "--slurm", str(conf))
    assert done.returncode == 2
    assert str(conf) in done.stderr.replace("\n", "")
    assert not (tmp_path / "demo-out").exists()
