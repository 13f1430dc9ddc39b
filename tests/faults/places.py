"""What only root can break: a link between two network namespaces, and a small disk."""

import os
import subprocess
from contextlib import suppress
from itertools import count
from pathlib import Path

_numbers = count(1)
DISK_BYTES = 24 << 20
BALLAST = "ballast"


def is_root() -> bool:
    """Return whether links and small disks can be made here."""
    if os.geteuid() != 0:
        return False
    name = f"itf{os.getpid()}try"
    made = _ip("netns", "add", name)
    _ip("netns", "del", name)
    return made


class Link:
    """A namespace of its own for one agent, and the only line out of it."""

    def __init__(self) -> None:
        number = next(_numbers)
        block = (os.getpid() * 7 + number) % 16_000  # of /30 nets in 169.254.0.0/16
        base = block * 4
        self._name = f"itf{os.getpid()}n{number}"
        self._here = f"itf{os.getpid() % 100_000}h{number}"[-15:]
        self.address = f"169.254.{base // 256}.{base % 256 + 1}"
        inside = f"169.254.{base // 256}.{base % 256 + 2}"
        _must("netns", "add", self._name)
        _must("link", "add", self._here, "type", "veth", "peer", "eth0", "netns", self._name)
        _must("addr", "add", f"{self.address}/30", "dev", self._here)
        _must("link", "set", self._here, "up")
        _must("-n", self._name, "addr", "add", f"{inside}/30", "dev", "eth0")
        _must("-n", self._name, "link", "set", "eth0", "up")
        _must("-n", self._name, "link", "set", "lo", "up")

    @property
    def namespace(self) -> str:
        return f"/run/netns/{self._name}"

    def set(self, is_up: bool) -> None:
        """Cut the line or heal it. Nothing is told to either end: packets are lost."""
        _must("-n", self._name, "link", "set", "eth0", "up" if is_up else "down")

    def remove(self) -> None:
        _ip("link", "del", self._here)
        _ip("netns", "del", self._name)


class Disk:
    """A small file system at a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        size = f"size={DISK_BYTES}"
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", size, "none", str(folder)],
            check=True,
        )

    def fill(self) -> None:
        """Leave no byte free."""
        with suppress(OSError), (self.folder / BALLAST).open("wb", buffering=0) as file:
            while file.write(bytes(65_536)):
                pass

    def free(self) -> None:
        (self.folder / BALLAST).unlink(missing_ok=True)

    def remove(self) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=False)


def _must(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"


def _ip(*words: str) -> bool:
    done = subprocess.run(["ip", *words], capture_output=True, check=False)
    return done.returncode == 0
