"""Ends all of a server when whoever started it says so, or is gone: nothing outlives its test.

Run as a program with a server's folder. Its input is a pipe that only the starter holds, which
ends with the starter however that went. A line is a command, as JSON, that undoes something.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

MARK = "INTERTIE_TEST_SERVER"  # in the environment of all that a server starts: its folder
PATIENCE_S = 60.0


def marked(folder: Path) -> set[int]:
    """Return the processes that carry a folder's mark, and whatever runs below one."""
    word = f"\0{MARK}={folder}\0".encode()
    found: set[int] = set()
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if word in b"\0" + (path / "environ").read_bytes():
                found |= {int(path.name), *below(int(path.name))}
    return found


def below(root: int) -> set[int]:
    """Return the children of a process, and theirs."""
    found: set[int] = set()
    for path in Path(f"/proc/{root}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, path.read_text().split()):
                found |= {child, *below(child)}
    return found


def kill(folder: Path) -> None:
    """Kill all of a server at once, and return when it is gone."""
    ends = time.monotonic() + PATIENCE_S
    while (pids := marked(folder)) and time.monotonic() < ends:
        kill_each(pids)
        time.sleep(0.05)


def kill_each(pids: Iterable[int]) -> None:
    """Kill processes at once, of which some may be gone: none sees another one die before it."""
    found = list(pids)
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def _unmount(folder: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted(mounts, reverse=True):
        if mount.startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)


def main(folder: Path) -> None:
    """Wait for the end of the input, then clear everything away."""
    undo = [json.loads(line) for line in sys.stdin]
    kill(folder)
    _unmount(folder)
    for command in reversed(undo):
        subprocess.run(command, check=False, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
