"""One attempt on disk: its folder, what its shim wrote, and what to do when the shim is gone.

The folder is named `<lease>-<token>`. It holds `work/`, the job's working folder; `log`, its
output; `job/`, shown to the sandbox at /job, or `script`, where there is none; `spec.json`, what
the shim reads; `status.json`, what it writes; `until`, the lease's end in milliseconds; `stop`, an
order to stop.
"""

import json
import os
import re
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

from intertie.engines.protocol import Observed
from intertie.engines.shim.procfs import boot_id, is_alive, remove_group, write_new
from intertie.engines.shim.status import Status

NAME = re.compile(r"^([\w.]+(?:-[\w.]+)*)-(\d+)$", re.ASCII)


def name_of(lease: str, token: int) -> str:
    """Return the folder's name, by which a start is looked up before it is repeated."""
    name = f"{lease}-{token}"
    if not NAME.match(name):
        raise ValueError(f"{lease!r} is not a lease id")
    return name


def read_status(folder: Path) -> dict[str, Any] | None:
    """Return what the shim wrote; nothing if it has not begun."""
    try:
        status: dict[str, Any] = json.loads((folder / "status.json").read_text())
    except FileNotFoundError:
        return None
    except ValueError:  # the machine lost power while it was written: nobody runs it now
        return Status(str(folder), "").values | {"shim": [0, 0]}
    return status


def shim_of(status: dict[str, Any]) -> int:
    """Return the shim's process number while it lives, else 0."""
    pid, ticks = status["shim"]
    return int(pid) if status["boot"] == boot_id() and is_alive(pid, ticks) else 0


def withdraw(folder: Path, poke: str, cause: str, detail: str = "") -> bool:
    """End an attempt that no shim has claimed; False if a shim was first."""
    status = Status(str(folder), poke)
    return status.claim(state="over", cause=cause, detail=detail)


def order_stop(folder: Path, cause: str, grace_s: int) -> None:
    """Leave the order for the shim, and wake it."""
    write_new(folder / "stop", json.dumps({"cause": cause, "grace_s": grace_s}))
    wake_shim(folder)


def wake_shim(folder: Path) -> None:
    """Make a running shim read its orders now rather than within the second."""
    status = read_status(folder)
    if status and status["state"] != "over" and (pid := shim_of(status)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGUSR1)


def bury(folder: Path, status: dict[str, Any], poke: str) -> dict[str, Any]:
    """End an attempt whose shim was killed: its sandbox died with it; the last heartbeat counts.

    While the disk is too full to say so it is as it was: what is over for one reader is for all.
    """
    _kill_rest(folder, status)
    cause = "lost"
    with suppress(OSError, ValueError, KeyError):
        cause = json.loads((folder / "stop").read_text())["cause"]
    last = Status(str(folder), poke)
    last.values = dict(status)
    if not last.set(state="over", cause=cause, detail="the shim of this attempt was killed"):
        return status
    remove_groups(folder)
    return last.values


def remove_groups(folder: Path) -> None:
    """Remove the attempt's control groups, if its shim could not."""
    for path in _groups(folder).get("remove", []):
        remove_group(path)


def observed(lease: str, token: int, status: dict[str, Any] | None) -> Observed:
    """Return an attempt as the agent sees it; one that no shim has claimed yet is pending."""
    if status is None:
        return Observed(lease, token, "pending")
    told = ("state", "cause", "exit_code", "signal", "started_at", "ran_ms", "cpu_ms", "detail")
    known = {key: status[key] for key in (*told, "memory_peak_bytes")}
    return Observed(lease, token, **known)


def _groups(folder: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError, KeyError):
        groups: dict[str, Any] = json.loads((folder / "spec.json").read_text())["groups"]
        return groups
    return {}


def _kill_rest(folder: Path, status: dict[str, Any]) -> None:
    groups = _groups(folder)
    if groups.get("kill"):
        with suppress(OSError):
            Path(groups["kill"]).write_text("1")
    for path in groups.get("procs", []):
        with suppress(OSError):
            for pid in Path(path).read_text().split():
                os.kill(int(pid), signal.SIGKILL)
    pid, ticks = status["program"]
    if pid and status["boot"] == boot_id() and is_alive(pid, ticks):
        with suppress(OSError):
            os.killpg(os.getpgid(pid), signal.SIGKILL)
