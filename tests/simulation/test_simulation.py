"""A control plane in random trouble, judged by an auditor that knows what truly happened."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.running import run_seed
from tests.simulation.simulation import make_template

SEEDS = range(8)


@pytest.fixture(name="template", scope="module")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template"))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_books_are_what_the_auditor_predicts_whatever_fails(
    seed: int, tmp_path: Path, template: Path
) -> None:
    report = run_seed(seed, tmp_path, template, troubled_s=30)
    assert report.complaints == [], "\n".join(report.log)
    assert report.counts["rounds"] > 30
    assert sum(report.faults.values()) > 3


def test_the_same_seed_gives_the_same_run_also_in_another_process(
    tmp_path: Path, template: Path
) -> None:
    here = run_seed(7, tmp_path, template, troubled_s=15).digest
    script = (
        "from pathlib import Path; import sys, logging\n"
        "from tests.simulation.running import run_seed\n"
        "from tests.simulation.simulation import make_template\n"
        "logging.disable(logging.CRITICAL)\n"
        "folder = Path(sys.argv[1])\n"
        "print(run_seed(7, folder, make_template(folder), 15).digest)\n"
    )
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere = subprocess.run(
        [sys.executable, "-c", script, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "4711", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert here
    assert elsewhere.stdout.split()[-1] == here
