"""An attempt's folder on the shared volume: what the agent lays in, what the container leaves.

`<lease>-<token>/` holds `work/` and `log`; `job/` (its launcher and script) and `orders/` (`until`
in seconds since the epoch, `stop`), which its container may only read; `end/`, where the container
says that it was begun and how it ended; and, seen by the agent only, `spec.json` (its Job),
`created` once the API server has it, and `status.json`, its last word.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from intertie.engines.kubernetes.parse import Box
from intertie.engines.protocol import Observed
from intertie.engines.shim import laying, procfs
from intertie.wire.sync import LeaseBody

WITHDRAWN = "-"


def prepare(folder: Path, user: int, body: LeaseBody) -> None:
    """Make all that the container mounts, and give it what it may write."""
    for name in ("work", "job", "orders", "end"):
        (folder / name).mkdir(mode=0o755, parents=True, exist_ok=True)
    (folder / "log").touch(mode=0o644)
    values = {"HOME": "/work"} | laying.told(body)
    write_new(folder / "job" / "launch", laying.launcher(values), 0o400)
    if body.script:
        write_new(folder / "job" / "script", body.script, 0o555)
    if os.geteuid() == 0:
        for path in (folder / "log", folder / "end", folder / "job" / "launch"):
            os.chown(path, user, user)
        _give(folder / "work", user)


def read_box(folder: Path) -> Box:
    """Return what the container has left so far."""
    end = folder / "end"
    try:
        begun_at = (end / "begun").stat().st_mtime_ns // 1_000_000
    except OSError:
        return Box()
    box = Box(is_begun=True, begun_at=begun_at)
    pod, node = [*_small(end / "begun" / "pod").split(), "", ""][:2]
    box = replace(box, pod=pod, node=node, cause=_small(end / "cause").strip())
    with suppress(ValueError):
        code, ran_ms, cpu_ms, peak_bytes = (int(word) for word in _small(end / "exit").split())
        box = replace(
            box, exit_code=code, ran_ms=ran_ms, cpu_ms=cpu_ms, memory_peak_bytes=peak_bytes
        )
    return box


def withdraw(folder: Path) -> bool:
    """Make sure that no container can begin; False if one was first."""
    (folder / "end").mkdir(mode=0o755, parents=True, exist_ok=True)
    try:
        (folder / "end" / "begun").mkdir()
    except FileExistsError:
        return _small(folder / "end" / "begun" / "pod").strip() == WITHDRAWN
    write_new(folder / "end" / "begun" / "pod", WITHDRAWN)
    return True


def order_stop(folder: Path, cause: str, grace_s: int) -> None:
    """Leave an order for the container, which reads it within a second."""
    (folder / "orders").mkdir(mode=0o755, exist_ok=True)
    write_new(folder / "orders" / "stop", f"{cause} {grace_s}\n")


def read_stop(folder: Path, now_ms: int) -> tuple[str, int]:
    """Return the cause and grace of an order to stop, or of a lease whose end has come."""
    with suppress(OSError, ValueError):
        cause, grace_s = (folder / "orders" / "stop").read_text().split()
        return cause, int(grace_s)
    return ("expired", 0) if now_ms >= until_ms(folder) else ("", 0)


def write_until(folder: Path, until_ms: int) -> None:
    """Set when the lease ends, by the site's wall clock, in whole seconds rounded up."""
    (folder / "orders").mkdir(mode=0o755, parents=True, exist_ok=True)
    write_new(folder / "orders" / "until", f"{-(-until_ms // 1000)}\n")


def until_ms(folder: Path) -> int:
    """Return when the lease ends; far away if nobody has said."""
    with suppress(OSError, ValueError):
        return int((folder / "orders" / "until").read_text()) * 1000
    return 2**62


def read_spec(folder: Path) -> dict[str, Any] | None:
    """Return the attempt's Job as it was, or is to be, created."""
    with suppress(FileNotFoundError):
        spec: dict[str, Any] = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
        return spec
    return None


def write_spec(folder: Path, spec: dict[str, Any]) -> None:
    """Keep the attempt's Job: from now on it is to be created."""
    write_new(folder / "spec.json", json.dumps(spec))


def read_over(folder: Path) -> Observed | None:
    """Return the last word about an attempt, if it was said."""
    with suppress(FileNotFoundError, ValueError):
        return Observed(**json.loads((folder / "status.json").read_text(encoding="utf-8")))
    return None


def write_over(folder: Path, seen: Observed) -> None:
    """Keep the last word about an attempt."""
    write_new(folder / "status.json", json.dumps(asdict(seen)))


def write_new(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file as a whole; containers, which run as another user, may read it."""
    procfs.write_new(path, text, mode)


def _give(folder: Path, user: int) -> None:
    os.chown(folder, user, user)
    for root, names, files in os.walk(folder):
        for name in (*names, *files):
            os.chown(Path(root, name), user, user, follow_symlinks=False)


def _small(path: Path) -> str:
    """Return a file that the job may have replaced by anything: never follow, never wait."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        return os.read(file, 1000).decode(errors="replace")
    except OSError:
        return ""
    finally:
        os.close(file)
