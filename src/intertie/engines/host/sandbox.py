"""The sandbox: the bubblewrap command line of one attempt, as root and as an ordinary user.

As root the mounts are made by real root (a Python below /root can then be shown to jobs) and
`setpriv` drops to a user id of the attempt's own before the program starts. As an ordinary user a
user namespace does the same, and further ones are refused. Where neither works, programs run
directly, and the pool's abilities say so.
"""

import os
import shutil
import subprocess
import sys
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from intertie.engines.shim import laying
from intertie.engines.shim.procfs import write_new

PYTHON_HOME = "/opt/intertie/python"  # where jobs see the agent's virtual environment
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
LAUNCH_ENVIRONMENT = {"PATH": SYSTEM_PATH, "LANG": "C.UTF-8"}
FIRST_UID = 200_000
UID_COUNT = 60_000
NOBODY_UID = 65_534
TMP_BYTES_MIN = 64 << 20
SHOWN_ETC = ("alternatives", "ld.so.cache", "ld.so.conf", "localtime", "mime.types", "protocols")
SHOWN_ETC_ONLINE = ("resolv.conf", "nsswitch.conf", "ssl", "ca-certificates", "services")
OWN_ETC = ("passwd", "group", "hosts")
LOCALHOST = "127.0.0.1 localhost\n::1 localhost\n"
LINKS = ("bin", "sbin", "lib", "lib64", "lib32")
OWN_FOLDERS = ("/work/", "/job/", "/tmp/", "/etc/", "/proc/", "/dev/")  # of the sandbox itself
IMAGE = "/image"  # where root mounts an image, before a program is shut into it
IMAGE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What an image must have for the sandbox to lay its own over, parents first.
IMAGE_FOLDERS = ("dev", "proc", "tmp", "job", "work", "etc", "var", "var/tmp")
IMAGE_FILES = ("etc/passwd", "etc/group", "etc/resolv.conf", "etc/hosts")


@dataclass(frozen=True)
class Box:
    """What one attempt's sandbox depends on: its folder, limits that are files, and the network.

    `image` is the root of the image that it runs in; None for this machine's own programs.
    """

    folder: Path
    hostname: str
    memory_bytes: int
    network: bool
    seccomp: Path | None
    image: Path | None = None

    @property
    def uid(self) -> int:
        """Return the user id of this attempt: its own, so that no two jobs share files."""
        if _last_uid() < FIRST_UID + UID_COUNT:
            return NOBODY_UID
        return FIRST_UID + zlib.crc32(self.folder.name.encode()) % UID_COUNT


def find_bubblewrap() -> str:
    """Return the path of a bubblewrap that works here, or nothing: it is tried, not trusted."""
    path = shutil.which("bwrap") or ""
    if not path:
        return ""
    return path if run_briefly(path, ["true"]) is not None else ""


def run_briefly(bubblewrap: str, program: list[str]) -> str | None:
    """Return what a short program prints where jobs run; nothing if it fails or cannot start."""
    with TemporaryDirectory() as folder:
        box = Box(Path(folder), "probe", TMP_BYTES_MIN, False, None)
        prepare(box, environment_of_job("/", bool(bubblewrap)), "")
        own(box)
        argv = direct_command(box, program)
        if bubblewrap:
            argv = [word for word in command(bubblewrap, box, program) if "facts_fd" not in word]
            argv.remove("--json-status-fd")
        try:
            tried = subprocess.run(
                argv,
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
                env=LAUNCH_ENVIRONMENT,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return tried.stdout if tried.returncode == 0 else None


def prepare(box: Box, environment: dict[str, str], script: str) -> None:
    """Write what the sandbox shows: at /job launcher and script, in /etc names of users and hosts.

    Values travel in a file that only the job may read, not on a command line that every user
    of the machine sees, and they are set after privileges are dropped (think of LD_PRELOAD).
    """
    job = box.folder / "job"
    job.mkdir(mode=0o755, exist_ok=True)
    (box.folder / "work").mkdir(exist_ok=True)
    uid = box.uid if os.geteuid() == 0 else 1000
    there = ["cd /work"] if box.image is not None else []
    write_new(job / "launch", laying.launcher(environment, *there, laying.EXEC), 0o400)
    if script:
        write_new(job / "script", script, 0o555)
    users, groups = "root:x:0:0::/:/bin/sh\n", "root:x:0:\n"
    if box.image is not None:
        users, groups = (_lines(box.image / "etc" / name) for name in ("passwd", "group"))
    write_new(job / "passwd", f"{users}job:x:{uid}:{uid}::/work:/bin/sh\n", 0o444)
    write_new(job / "group", f"{groups}job:x:{uid}:\n", 0o444)
    known = _lines(Path("/etc/hosts")) if box.network and Path("/etc/hosts").exists() else ""
    write_new(job / "hosts", f"{LOCALHOST}127.0.0.1 {box.hostname}\n{known}", 0o444)


def own(box: Box) -> None:
    """Give the working folder, with all that was laid into it, to the attempt's user id."""
    if os.geteuid() != 0:
        return
    os.chown(box.folder / "job" / "launch", box.uid, box.uid)
    os.chown(box.folder / "work", box.uid, box.uid)
    for root, folders, files in os.walk(box.folder / "work"):
        for name in (*folders, *files):
            os.chown(Path(root) / name, box.uid, box.uid, follow_symlinks=False)


def command(bubblewrap: str, box: Box, program: list[str]) -> list[str]:
    """Return the argument list that runs a program in the sandbox.

    `{facts_fd}` and `{seccomp_fd}` stand for descriptors that only the shim knows.
    """
    argv = [bubblewrap, "--die-with-parent", "--new-session", "--unshare-pid", "--unshare-ipc"]
    argv += ["--unshare-uts", "--unshare-cgroup-try", "--hostname", box.hostname]
    argv += [] if box.network else ["--unshare-net"]
    argv += ["--json-status-fd", "{facts_fd}"]
    argv += _mounts(box) if box.image is None else _image_mounts(box, box.image)
    argv += ["--seccomp", "{seccomp_fd}"] if box.seccomp else []
    launched = ["/bin/sh", "/job/launch", *program]
    if os.geteuid() != 0:
        return [*argv, *_as_user(bubblewrap), "--", *launched]
    if box.image is not None:
        return [*argv, *_as_root("CAP_SYS_CHROOT"), "--", *_shut_in(box.uid), *launched]
    return [*argv, *_as_root(), "--", *_dropped(box.uid), *launched]


def direct_command(box: Box, program: list[str]) -> list[str]:
    """Return the argument list that runs a program without any sandbox."""
    return ["/bin/sh", str(box.folder / "job" / "launch"), *program]


def environment_of_job(home: str, is_sandboxed: bool) -> dict[str, str]:
    """Return the clean environment every job starts from; `python` in it has numpy."""
    prefix = PYTHON_HOME if is_sandboxed and _is_shown(sys.prefix) else sys.prefix
    return {"PATH": f"{prefix}/bin:{SYSTEM_PATH}"} | laying.basics(home)


def image_environment(own: dict[str, str]) -> dict[str, str]:
    """Return the environment that a program in an image starts from: the image's own first."""
    return {"PATH": IMAGE_PATH, "LANG": "C.UTF-8", "TZ": "UTC"} | own | {"HOME": "/work"}


def _mounts(box: Box) -> list[str]:
    argv = [*_system(), "--perms", "0755", "--dir", "/etc"]
    for name in SHOWN_ETC + (SHOWN_ETC_ONLINE if box.network else ()):
        argv += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    for name in OWN_ETC:
        argv += ["--ro-bind", str(box.folder / "job" / name), f"/etc/{name}"]
    for source, target in _pythons():
        argv += [*_parents(target), "--ro-bind", source, target]
    if _is_linked():
        argv += [*_parents(sys.prefix), "--symlink", PYTHON_HOME, sys.prefix]
    return [*argv, *_own_mounts(box, "", ("/tmp", "/dev/shm")), "--chdir", "/work"]


def _image_mounts(box: Box, image: Path) -> list[str]:
    """Return the mounts of an image: as root beside what shuts the program in, else as the root."""
    is_root = os.geteuid() == 0
    at = IMAGE if is_root else ""
    argv = [*_system(), "--ro-bind", str(image), IMAGE] if is_root else []
    argv += [] if is_root else ["--ro-bind", str(image), "/"]
    for name in OWN_ETC:
        argv += ["--ro-bind", str(box.folder / "job" / name), f"{at}/etc/{name}"]
    if box.network:
        argv += ["--ro-bind-try", "/etc/resolv.conf", f"{at}/etc/resolv.conf"]
    argv += _own_mounts(box, at, ("/tmp", "/var/tmp", "/dev/shm"))
    return [*argv, "--chdir", "/" if is_root else "/work"]


def _system() -> list[str]:
    """Return the mounts of this machine's own programs."""
    argv = ["--ro-bind", "/usr", "/usr"]
    for name in LINKS:
        if Path("/", name).is_symlink():
            argv += ["--symlink", f"usr/{name}", f"/{name}"]
        elif Path("/", name).is_dir():
            argv += ["--ro-bind", f"/{name}", f"/{name}"]
    return argv


def _own_mounts(box: Box, at: str, scratch: tuple[str, ...]) -> list[str]:
    """Return the mounts that are a sandbox's own, below the root `at`."""
    tmp_bytes = str(max(TMP_BYTES_MIN, box.memory_bytes // 2))
    argv = ["--proc", f"{at}/proc", "--dev", f"{at}/dev"]
    for folder in scratch:
        argv += ["--perms", "1777", "--size", tmp_bytes, "--tmpfs", at + folder]
    argv += ["--ro-bind", str(box.folder / "job"), f"{at}/job"]
    return [*argv, "--bind", str(box.folder / "work"), f"{at}/work"]


def _pythons() -> list[tuple[str, str]]:
    """Return what to show so that jobs can run the agent's Python with its packages."""
    shown = []
    if _is_shown(sys.base_prefix):
        shown.append((sys.base_prefix, sys.base_prefix))
    if _is_shown(sys.prefix):
        shown.append((sys.prefix, PYTHON_HOME))
    return shown


def _is_shown(prefix: str) -> bool:
    """Return whether a Python must be mounted: it is not in /usr, and not where /work goes."""
    return not prefix.startswith("/usr") and not sys.base_prefix.startswith(OWN_FOLDERS)


def _is_linked() -> bool:
    """Return whether programs of the environment find their Python by the path that they name."""
    is_there = sys.prefix.startswith((f"{sys.base_prefix}/", *OWN_FOLDERS))
    return _is_shown(sys.prefix) and not is_there


def _parents(target: str) -> list[str]:
    """Return the folders above a mount: by itself bubblewrap shuts them to a dropped user."""
    above = [str(parent) for parent in reversed(Path(target).parents)][1:]
    return [word for folder in above for word in ("--perms", "0755", "--dir", folder)]


@cache
def _as_user(bubblewrap: str) -> list[str]:
    argv = ["--unshare-user", "--uid", "1000", "--gid", "1000", "--cap-drop", "ALL"]
    told = subprocess.run([bubblewrap, "--help"], capture_output=True, text=True, check=False)
    return [*argv, "--disable-userns"] if "--disable-userns" in told.stdout else argv


def _as_root(*more: str) -> list[str]:
    """Keep only what dropping privileges needs."""
    kept = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", *more)
    return ["--cap-drop", "ALL", *(word for cap in kept for word in ("--cap-add", cap))]


def _dropped(uid: int) -> list[str]:
    drop = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--no-new-privs"]
    return [*drop, "--inh-caps=-all", "--bounding-set=-all", "--"]


def _shut_in(uid: int) -> list[str]:
    """Make the image the root and then drop privileges, with nothing of the image's own.

    Nothing that is executed later may gain any: no new privileges, and an empty bounding set. The
    three that are inherited serve `chroot`, which loses them as it takes the user id.
    """
    kept = "-all,+setuid,+setgid,+sys_chroot"
    drop = ["setpriv", "--no-new-privs", f"--inh-caps={kept}", "--bounding-set=-all", "--"]
    chroot = shutil.which("chroot", path=IMAGE_PATH) or "chroot"
    return [*drop, chroot, f"--userspec={uid}:{uid}", "--groups=", IMAGE]


def _lines(path: Path) -> str:
    """Return a short text that somebody else wrote, ending with its line."""
    with path.open(encoding="utf-8", errors="replace") as file:
        text = file.read(1 << 20)
    return text if not text or text.endswith("\n") else f"{text}\n"


def _last_uid() -> int:
    """Return the highest user id that exists here: inside a container it may be small."""
    try:
        rows = Path("/proc/self/uid_map").read_text().splitlines()
        return max(int(first) + int(count) - 1 for first, _, count in map(str.split, rows))
    except (OSError, ValueError):
        return NOBODY_UID
