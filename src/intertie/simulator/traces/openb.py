"""Alibaba's cluster-trace-gpu-v2023 (github.com/hkust-adsl/kubernetes-scheduler-simulator).

Apache-2.0. Two tables: pods that ask for parts of devices, and the nodes that they ran on.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from intertie.placement.fractions import DEVICE_MILLI, FAMILIES, Machines, Shapes
from intertie.simulator.traces.table import texts
from intertie.simulator.traces.trace import BadTrace, Ints, checked

NEEDED = ("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli")
NODES = ("sn", "cpu_milli", "memory_mib", "gpu", "model")
MOST_DEVICES = FAMILIES - 1


@dataclass(frozen=True)
class Pods:
    """Tasks by name; axes [pod] and [shape].

    asked[shape, part] is cpu_milli, gpu_milli, devices and memory_mib; `classes`[shape] are the
    device classes that it may have, any where there are none. `shape` is each pod's.
    """

    name: tuple[str, ...]
    shape: Ints
    asked: Ints
    classes: tuple[frozenset[str], ...]

    def __len__(self) -> int:
        return len(self.name)

    @property
    def held_milli(self) -> Ints:
        """Return the thousandths of devices that each shape holds; axes [shape]."""
        held: Ints = self.asked[:, 1] * self.asked[:, 2]
        return held

    def on(self, classes: tuple[str, ...]) -> Shapes:
        """Return what the shapes ask for, on nodes whose device classes are these, in order."""
        allowed = [[not own or each in own for each in classes] for own in self.classes]
        cpu, milli, devices, memory = self.asked.T.copy()
        return Shapes(cpu, memory, devices, milli, np.array(allowed, np.bool_))


@dataclass(frozen=True)
class Fleet:
    """Nodes by name, idle, with the device classes that `machines.kind` counts; axes [node]."""

    name: tuple[str, ...]
    machines: Machines
    classes: tuple[str, ...]

    @property
    def capacity_milli(self) -> int:
        return int(self.machines.device.sum())

    def ordered(self, order: NDArray[np.int64]) -> "Fleet":
        """Return the same nodes, idle, in another order."""
        names = tuple(self.name[at] for at in order)
        return Fleet(names, Machines(*(column[order] for column in self.machines)), self.classes)


def read_openb(path: Path) -> Pods:
    """Return the pods of a list by name; BadTrace names the line and the field that is wrong."""
    rows = sorted(_pod(where, row) for where, row in texts(path, NEEDED))
    if not rows:
        raise BadTrace(f"{path.name}: there is no pod in it")
    shapes = sorted({asked for _, asked in rows})
    number = {asked: at for at, asked in enumerate(shapes)}
    return Pods(
        tuple(name for name, _ in rows),
        np.array([number[asked] for _, asked in rows], np.int64),
        np.array(
            [[cpu, milli, count, memory] for cpu, milli, count, _, memory in shapes], np.int64
        ),
        tuple(frozenset(filter(None, spec.split("|"))) for _, _, _, spec, _ in shapes),
    )


def _pod(where: str, row: dict[str, str]) -> tuple[str, tuple[int, int, int, str, int]]:
    cpu, memory, devices, milli = _whole(where, row, NEEDED[1:])
    is_part = milli < DEVICE_MILLI
    if devices > MOST_DEVICES or milli > DEVICE_MILLI or (devices > 1 and is_part):
        raise BadTrace(
            f"{where}: {devices} devices of {milli} thousandths; it must be a part of one device,"
            f" or at most {MOST_DEVICES} whole ones"
        )
    held = milli if devices else 0
    return row["name"], (cpu, held, devices if held else 0, row.get("gpu_spec") or "", memory)


def _whole(where: str, row: dict[str, str], names: tuple[str, ...]) -> list[int]:
    try:
        return checked(where, **{name: float(row[name]) for name in names})
    except (TypeError, ValueError) as error:
        raise error if isinstance(error, BadTrace) else BadTrace(f"{where}: {error}") from error


def read_fleet(path: Path) -> Fleet:
    """Return the nodes of a list by name; BadTrace names the line and the field that is wrong."""
    rows = sorted((row["sn"], where, row) for where, row in texts(path, NODES))
    if not rows:
        raise BadTrace(f"{path.name}: there is no node in it")
    classes = tuple(sorted({row["model"] for _, _, row in rows}))
    told = [_whole(where, row, NODES[1:4]) for _, where, row in rows]
    cpu, memory, devices = np.array(told, np.int64).T.copy()
    if devices.max() > MOST_DEVICES:
        where = rows[int(devices.argmax())][1]
        raise BadTrace(f"{where}: gpu is {devices.max()}; it must be at most {MOST_DEVICES}")
    free = np.where(np.arange(MOST_DEVICES) < devices[:, None], DEVICE_MILLI, 0).astype(np.int64)
    kind = np.array([classes.index(row["model"]) for _, _, row in rows], np.int64)
    hosted = np.zeros((len(rows), FAMILIES), np.int64)
    names = tuple(name for name, _, _ in rows)
    return Fleet(names, Machines(cpu, memory, free, kind, hosted), classes)
