"""The replay and the live decision are one kernel: a constant that is changed in it moves both."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import intertie
from tests.support import moved

SOURCE = Path(intertie.__file__).parent
RULE = "until > kept.at[0]"


def test_one_constant_changed_in_a_kernel_moves_the_replay_and_the_live_decision(
    tmp_path: Path,
) -> None:
    """Who lasts an hour longer than what is kept is let through: in both."""
    copy = tmp_path / "intertie"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    kernel = copy / "placement/choosing.py"
    text = kernel.read_text()
    assert text.count(RULE) == 2, "the rule is read where room is looked for and where it is taken"
    kernel.write_text(text.replace(RULE, f"{RULE} + 3_600_000"))
    plain = {"NUMBA_DISABLE_JIT": "1"}  # the same words, and no minute of compilation
    paths = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])}
    told = subprocess.run(
        [sys.executable, "-m", "tests.support.moved"],
        env=os.environ | plain | paths,
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    edited = json.loads(told.stdout)
    assert edited["replay"] != moved.replayed()
    assert edited["live"] != moved.decided()
