"""Programs that misbehave. Each says what must become of it; all run at the same time."""

from dataclasses import dataclass, field

MIB = 1 << 20

FORKS_AWAY = """
import os, sys, time
for _ in range(20):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for fd in range(3):
                os.close(fd)
            while True:
                time.sleep(60)
        os._exit(0)
print("gone", flush=True)
"""

PRINTS_BINARY = r"""
import sys
out = sys.stdout.buffer
out.write(bytes(range(256)) * 200 + b"\xff\xfe\x00\x1b[2J\x1b]0;title\x07" + b"\xf0\x9f" + b"\n")
out.write("中文".encode("gb18030") + b"\n" + b"x" * 3_000_000)
"""

FILLS_ITS_DISK = """
block = b"x" * (1 << 20)
with open("big", "wb") as file:
    while True:
        file.write(block)
"""

FILLS_ITS_DISK_UNSEEN = """
import os
block = b"x" * (1 << 20)
files = []
while True:
    file = open("hidden", "wb")
    os.unlink("hidden")
    files.append(file)
    for _ in range(8):
        file.write(block)
"""

MAKES_A_MILLION_NAMES = """
import os
n = 0
while True:
    os.makedirs(f"d{n // 500}", exist_ok=True)
    open(f"d{n // 500}/{n}", "w").close()
    n += 1
"""

IGNORES_SIGTERM = """
import os, signal, time
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT):
    signal.signal(number, signal.SIG_IGN)
for _ in range(3):
    os.fork()
print("deaf", flush=True)
while True:
    time.sleep(60)
"""

EXCEEDS_MEMORY = """
kept = []
while True:
    kept.append(bytearray(16 << 20))
"""

BLAMES_THE_KERNEL = """
import os, sys
if os.fork() == 0:
    kept = []
    while True:
        kept.append(bytearray(16 << 20))
os.wait()
sys.exit(0)
"""

PRETENDS_A_SIGNAL = "import sys; sys.exit(137)"

WRITES_ITS_OWN_ENDING = """
import glob, os, sys
told = b'{"exit-code": 0}\\n{"child-pid": 1}\\n'
for fd in range(3, 256):
    try:
        os.write(fd, told)
    except OSError:
        pass
for path in ("status.json", "/job/status.json", "../status.json", "/proc/1/cwd/status.json"):
    try:
        open(path, "w").write('{"state": "over", "cause": "exited", "exit_code": 0}')
    except OSError:
        pass
print("lied", flush=True)
sys.exit(9)
"""

NEVER_STOPS_TALKING = """
import sys
block = b"y" * (1 << 20) + b"\\n"
try:
    for _ in range(10 * 1024):
        sys.stdout.buffer.write(block)
except BrokenPipeError:
    pass
"""

ATTACKS_THE_SANDBOX = r"""
import ctypes, os, socket, subprocess, sys
broken = []
def tried(name, act):
    try:
        found = act()
    except (OSError, PermissionError, subprocess.SubprocessError):
        return
    if found is not False:
        broken.append(f"{name}: {found!r}")
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *given):
    return getattr(libc, name)(*given) == 0
tried("read the shadow", lambda: open("/etc/shadow").read())
tried("read root's home", lambda: open(os.path.join("/", "root", ".bashrc")).read())
tried("read other attempts", lambda: [p for p in os.listdir("/") if p == "attempts"] or False)
tried("see other processes", lambda: [p for p in os.listdir("/proc") if p.isdigit()][8:] or False)
tried("be root", lambda: os.setuid(0) or True)
tried("mount", lambda: call("mount", b"none", b"/work", b"tmpfs", 0, None))
tried("unshare", lambda: call("unshare", 0x10000000 | 0x00020000))
tried("chroot", lambda: os.chroot("/work") or True)
tried("trace its parent", lambda: libc.ptrace(16, os.getppid(), 0, 0) == 0)
tried("write to the system", lambda: open("/usr/bin/hello", "w").write("x"))
tried("write to its launcher", lambda: open("/job/launch", "a").write("x"))
tried("make a device", lambda: os.mknod("disk", 0o60600, os.makedev(8, 0)) or True)
tried("reach the network", lambda: socket.create_connection(("127.0.0.1", {port}), 2))
tried("reach the world", lambda: socket.create_connection(("1.1.1.1", 53), 2))
tried("load a module", lambda: call("syscall", 313, 0, 0, 0))
tried("kill everyone", lambda: os.kill(1, 9) or os.kill(1, 0) or False)
print("broken:", broken, flush=True)
sys.exit(3 if broken else 0)
"""

LEAVES_TRAPS = r"""
import os
os.symlink("/etc/passwd", "secret.txt")
os.symlink("/", "root")
os.mkfifo("pipe.txt")
os.makedirs("deep/" * 40)
open("with\nnewline.txt", "w").write("odd")
open(b"no-text-\xff\xfe.txt", "w").write("odd")
open("-rf.txt", "w").write("dash")
open("good.txt", "w").write("good")
sparse = open("sparse.txt", "wb"); sparse.seek(1 << 30); sparse.write(b"end"); sparse.close()
"""

FORK_BOMB = """
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
"""


@dataclass(frozen=True)
class Program:
    """One program and its end: outcome, the cause of its attempt, and what its log must hold."""

    name: str
    text: str
    outcome: str
    causes: tuple[str, ...]
    log: str = ""
    exit_code: int | None = None
    time_limit: str = "60s"
    is_cancelled: bool = False
    spec: dict[str, object] = field(default_factory=dict)


PROGRAMS = (
    Program("forks-away", FORKS_AWAY, "done", ("exited",), "gone"),
    Program("prints-binary", PRINTS_BINARY, "done", ("exited",)),
    Program("fills-its-disk", FILLS_ITS_DISK, "failed", ("out_of_disk",)),
    Program("fills-its-disk-unseen", FILLS_ITS_DISK_UNSEEN, "failed", ("out_of_disk",)),
    Program("makes-a-million-names", MAKES_A_MILLION_NAMES, "failed", ("out_of_disk",)),
    Program("ignores-sigterm", IGNORES_SIGTERM, "cancelled", (), "deaf", is_cancelled=True),
    Program("ignores-its-time", IGNORES_SIGTERM, "failed", ("timed_out",), "deaf", None, "2s"),
    Program("exceeds-memory", EXCEEDS_MEMORY, "failed", ("out_of_memory",)),
    Program("blames-the-kernel", BLAMES_THE_KERNEL, "done", ("exited",)),
    Program("pretends-a-signal", PRETENDS_A_SIGNAL, "failed", ("exited", "signalled")),
    Program("writes-its-own-ending", WRITES_ITS_OWN_ENDING, "failed", ("exited",), "lied", 9),
    Program("never-stops-talking", NEVER_STOPS_TALKING, "failed", ("timed_out",), "", None, "15s"),
    Program("attacks-the-sandbox", ATTACKS_THE_SANDBOX, "done", ("exited",), "broken: []"),
    Program("leaves-traps", LEAVES_TRAPS, "done", ("exited",), spec={"results": ["**"]}),
    Program("fork-bomb", FORK_BOMB, "failed", ("timed_out",), "", None, "4s"),
)
