"""What the shim and the engine read: /proc, small files, control groups, the clock of boot."""

import ctypes
import os
import time
from contextlib import suppress
from os import PathLike

CHILDREN = "/proc/thread-self/children"  # a kernel may be built without it
NAME_BYTES = 4096  # what a file system spends on an empty file or folder, about


def ticks_of(pid: int) -> int:
    """Return when a process started, in clock ticks since boot; 0 if it is gone."""
    try:
        return int(stat_fields(pid)[19])
    except (OSError, IndexError):
        return 0


def boot_ms() -> int:
    """Return milliseconds since boot; they count on while the machine sleeps."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def boot_id() -> str:
    """Return the id of this boot: process numbers of another boot mean nothing."""
    with suppress(OSError):
        return read_text("/proc/sys/kernel/random/boot_id").strip()
    return ""


def is_alive(pid: int, ticks: int) -> bool:
    """Return whether that very process still runs: no zombie, no other with its number."""
    try:
        fields = stat_fields(pid)
        return int(fields[19]) == ticks and fields[0] not in "ZX"
    except (OSError, IndexError):
        return False


def descendants(root: int) -> list[int]:
    """Return every process below `root`, parents first.

    One that ends meanwhile may hide a brother: whoever kills asks again until there is none.
    """
    below = None if os.path.exists(CHILDREN) else _by_parent()
    found = _children(root, below)
    for pid in found:
        found.extend(_children(pid, below))
    return found


def _children(pid: int, below: "dict[int, list[int]] | None") -> list[int]:
    """Return what the kernel lists as a process's children, or `below` where it lists none."""
    if below is not None:
        return list(below.get(pid, ()))
    found: list[int] = []
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError):
                found += map(int, read_text(f"/proc/{pid}/task/{task}/children").split())
    return found


def _by_parent() -> dict[int, list[int]]:
    """Return the children of every process of this machine: a walk of all of /proc."""
    below: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError, IndexError, ValueError):
                below.setdefault(int(stat_fields(int(name))[1]), []).append(int(name))
    return below


def stat_fields(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the name: state is 0, parent is 1."""
    return read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()


def disk_bytes(folder: str) -> int:
    """Return what the files below a folder take on disk; a name alone takes something too."""
    total = 0
    for root, folders, names in os.walk(folder):
        total += NAME_BYTES * len(folders)
        for name in names:
            with suppress(OSError):
                total += max(NAME_BYTES, os.lstat(os.path.join(root, name)).st_blocks * 512)
    return total


def nameless_bytes(pids: list[int], folder: str) -> int:
    """Return what files without a name take on a folder's disk: removed, but still held open."""
    device = os.stat(folder).st_dev
    held: dict[int, int] = {}
    for pid in pids:
        with suppress(OSError):
            for number in os.listdir(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    found = os.stat(f"/proc/{pid}/fd/{number}")
                    if found.st_nlink == 0 and found.st_dev == device:
                        held[found.st_ino] = found.st_blocks * 512
    return sum(held.values())


def remove_group(path: str) -> None:
    """Remove a control group; it is no error if it is gone, or cannot go yet."""
    for _ in range(50):  # the kernel lets go of the last process a little later
        try:
            os.rmdir(path)
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.005)
        else:
            return


def prctl(option: int, value: int) -> None:
    """Set one property of this process, where the system has it."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def read_text(path: str) -> str:
    """Return a small file; bytes that are no text are replaced."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def write_text(path: str, text: str) -> None:
    """Write a small file, such as a control of the kernel."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


# In quotes: the Python of a site's nodes may be too old to join types by a stroke.
def write_new(path: "str | PathLike[str]", text: str, mode: int = 0o600) -> None:
    """Replace a small file as a whole, whoever else does so, or laid a link there."""
    new = f"{os.fspath(path)}.{os.urandom(6).hex()}"
    made = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(made, "w", encoding="utf-8", newline="") as file:
        if mode & 0o077:  # a umask may have taken from what others shall have
            os.fchmod(made, mode)
        file.write(text)
    os.replace(new, path)
