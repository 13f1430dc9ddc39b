"""Limits of one attempt by control groups: v1, v2, and both at once; whatever is writable here.

What can be enforced is found out by really making a group and writing a limit, never guessed from
a version. An attempt's groups live in `intertie/` of each hierarchy and go when the attempt ends.
"""

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intertie.engines.shim.procfs import remove_group

CGROUP_ROOT = Path("/sys/fs/cgroup")
TOP = "intertie"
ABILITIES = {"cpu": "cpu_limit", "memory": "memory_limit", "pids": "pids_limit"}
PERIODS_US = (20_000, 100_000)  # short periods throttle evenly; the kernel takes no quota < 1 ms
QUOTA_US_MIN = 1_000


@dataclass(frozen=True)
class Limits:
    """The groups that this process may make, one parent folder for each controller."""

    v1: dict[str, Path]
    v2: Path | None
    v2_controllers: frozenset[str]

    @property
    def abilities(self) -> tuple[str, ...]:
        """Return which limits are enforced, in the words of the access standard."""
        found = {*self.v1, *self.v2_controllers}
        return tuple(word for name, word in ABILITIES.items() if name in found)

    def create(self, name: str, caps: "Caps") -> dict[str, Any]:
        """Make the groups of one attempt; return how to join, read, kill and remove them."""
        folders = {controller: parent / name for controller, parent in self.v1.items()}
        if self.v2 is not None:
            folders["v2"] = self.v2 / name
        for folder in folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        for path, value in self._values(folders, caps):
            path.write_text(value)
        return self._told(folders)

    def _values(self, folders: dict[str, Path], caps: "Caps") -> Iterable[tuple[Path, str]]:
        quota_us, period_us = caps.quota_us()
        if cpu := folders.get("cpu"):
            yield cpu / "cpu.cfs_period_us", str(period_us)
            yield cpu / "cpu.cfs_quota_us", str(quota_us)
        if memory := folders.get("memory"):
            yield memory / "memory.limit_in_bytes", str(caps.memory_bytes)
            if (memory / "memory.memsw.limit_in_bytes").exists():
                yield memory / "memory.memsw.limit_in_bytes", str(caps.memory_bytes)
        if pids := folders.get("pids"):
            yield pids / "pids.max", str(caps.pids)
        if "cpu" in self.v2_controllers:
            yield folders["v2"] / "cpu.max", f"{quota_us} {period_us}"
        if "memory" in self.v2_controllers:
            yield folders["v2"] / "memory.max", str(caps.memory_bytes)
            if (folders["v2"] / "memory.swap.max").exists():
                yield folders["v2"] / "memory.swap.max", "0"
        if "pids" in self.v2_controllers:
            yield folders["v2"] / "pids.max", str(caps.pids)

    def _told(self, folders: dict[str, Path]) -> dict[str, Any]:
        v2 = folders.get("v2")
        told = {
            "procs": [folder / "cgroup.procs" for folder in folders.values()],
            "remove": list(folders.values()),
            "kill": _first(v2, "cgroup.kill"),
            "cpu": _first(folders.get("cpuacct"), "cpuacct.usage") or _first(v2, "cpu.stat"),
            "peak": _first(folders.get("memory"), "memory.max_usage_in_bytes"),
            "oom": _first(folders.get("memory"), "memory.oom_control"),
        }
        if "memory" in self.v2_controllers:
            told |= {"peak": _first(v2, "memory.peak"), "oom": _first(v2, "memory.events")}
        return {
            key: [str(item) for item in value] if isinstance(value, list) else str(value or "")
            for key, value in told.items()
        }


@dataclass(frozen=True)
class Caps:
    """The most that one attempt may use."""

    cpus_milli: int
    speed_percent: int
    memory_bytes: int
    pids: int

    def quota_us(self) -> tuple[int, int]:
        """Return CPU time for each period; at half speed a promised core gets half of one."""
        for period_us in PERIODS_US:
            quota_us = self.cpus_milli * self.speed_percent * period_us // 100_000
            if quota_us >= QUOTA_US_MIN:
                break
        return max(quota_us, QUOTA_US_MIN), period_us


NO_LIMITS = Limits({}, None, frozenset())


def find(root: Path = CGROUP_ROOT) -> Limits:
    """Return the limits that can be enforced here, by trying each."""
    v2_mount = next(
        (p for p in (root, root / "unified") if (p / "cgroup.controllers").exists()), None
    )
    v2 = _v2_parent(v2_mount) if v2_mount else None
    offered = _delegate(v2) if v2 else set()
    v2_controllers = frozenset(c for c in ABILITIES if v2 and c in offered)
    v1 = {}
    for controller in (*ABILITIES, "cpuacct"):
        parent = None if controller in v2_controllers else _v1_parent(root, controller)
        if parent is not None:
            v1[controller] = parent
    return _proved(Limits(v1, v2, v2_controllers))


def _proved(limits: Limits) -> Limits:
    """Return only those limits that can be written: each is tried alone on a real group."""
    caps = Caps(1000, 100, 64 << 20, 64)
    v1 = {
        c: p for c, p in limits.v1.items() if _is_writable(Limits({c: p}, None, frozenset()), caps)
    }
    v2 = limits.v2 if _is_writable(Limits({}, limits.v2, frozenset()), caps) else None
    offered = limits.v2_controllers if v2 else frozenset()
    kept = {c for c in offered if _is_writable(Limits({}, v2, frozenset({c})), caps)}
    return Limits(v1, v2, frozenset(kept))


def _is_writable(limits: Limits, caps: Caps) -> bool:
    name = f"probe-{os.getpid()}"
    folders = [parent / name for parent in (*limits.v1.values(), limits.v2) if parent]
    try:
        joined = limits.create(name, caps)["procs"]
        script = 'for group; do echo 0 > "$group" || exit 1; done'
        done = subprocess.run(
            ["/bin/sh", "-c", script, "sh", *joined], capture_output=True, check=False
        )
        return done.returncode == 0
    except OSError:
        return False
    finally:
        for folder in folders:
            remove_group(str(folder))


def _v1_parent(root: Path, controller: str) -> Path | None:
    for mount in (root / controller, root / "cpu,cpuacct"):
        if controller in mount.name.split(",") and (mount / "tasks").exists():
            return _make_parent(mount, _own_group(controller))
    return None


def _v2_parent(mount: Path) -> Path | None:
    return _make_parent(mount, _own_group(""))


def _make_parent(mount: Path, own: str) -> Path | None:
    """Return a folder for our groups: at the top for root, below the own group for others."""
    for above in (mount, mount / own.strip("/")):
        folder = above / TOP
        try:
            folder.mkdir(exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return None


def _delegate(parent: Path) -> set[str]:
    """Hand controllers down to our v2 folder; return those that its groups really have."""
    for group in (parent.parent, parent):
        for controller in ABILITIES:
            if not _write(group / "cgroup.subtree_control", f"+{controller}"):
                _step_aside(group)
                _write(group / "cgroup.subtree_control", f"+{controller}")
    try:
        return set((parent / "cgroup.subtree_control").read_text().split())
    except OSError:
        return set()


def _step_aside(group: Path) -> None:
    """Leave a v2 group that may only hold groups, if this process is the only one in it."""
    try:
        if (group / "cgroup.procs").read_text().split() == [str(os.getpid())]:
            (group / "agent").mkdir(exist_ok=True)
            _write(group / "agent" / "cgroup.procs", str(os.getpid()))
    except OSError:
        return


def _own_group(controller: str) -> str:
    """Return this process's group in one v1 hierarchy, or in v2 for the empty name."""
    try:
        rows = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return "/"
    for _, controllers, group in (row.split(":", 2) for row in rows):
        if controller in controllers.split(",") and (controller or controllers == ""):
            return group
    return "/"


def _first(folder: Path | None, name: str) -> Path | None:
    return folder / name if folder is not None and (folder / name).exists() else None


def _write(path: Path, text: str) -> bool:
    try:
        path.write_text(text)
    except OSError:
        return False
    return True
