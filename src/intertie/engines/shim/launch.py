"""One launch of one program, from fork to the last process gone; this is what a shim runs."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from contextlib import suppress

from intertie.engines.shim.meters import Meters
from intertie.engines.shim.output import Log
from intertie.engines.shim.procfs import (
    boot_ms,
    descendants,
    disk_bytes,
    nameless_bytes,
    prctl,
    read_text,
    remove_group,
    ticks_of,
    write_new,
    write_text,
)
from intertie.engines.shim.status import Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TICK_S = 1.0
FIRST_TICK_S = 0.2  # what ends before needs none: orders were read, and its end says what it took
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
WAKING = (signal.SIGCHLD, signal.SIGUSR1, signal.SIGTERM)


def main() -> int:
    """Run the attempt whose folder is the first argument; return 0, its outcome is on disk."""
    run_attempt(sys.argv[1])
    return 0


def run_attempt(folder: str, node: str = "") -> bool:
    """Run the attempt of a folder on this machine; False if somebody else had begun it."""
    os.chdir(folder)
    spec = json.loads(read_text("spec.json"))
    wake = _catch_signals()
    status = Status(".", spec["poke"])
    if not status.claim(node=node):
        return False
    Run(spec, status, wake).run()
    return True


class Run:
    """One launch of one program, from fork to the last process gone."""

    def __init__(self, spec: dict[str, Any], status: Status, wake: int) -> None:
        self.spec = spec
        self.status = status
        self.wake = wake
        self.groups: dict[str, Any] = spec["groups"]
        self.meters = Meters(self.groups)
        self.child = 0
        self.inner = 0
        self.exit_status: int | None = None
        self.forked = 0.0
        self.started = 0.0
        self.cause = ""
        self.kill_at = 0.0
        self.is_set_up = not spec["is_sandboxed"]
        self.is_at_site = spec.get("clock", "boot") == "wall"
        self.disk_at = 0.0
        self.half_line = b""

    def run(self) -> None:
        """Launch, watch and sweep, unless the attempt was stopped before it began."""
        self._read_orders()
        if not self.cause:
            self._launch()
            self._watch()
            self._sweep()
        self._finish()

    def _launch(self) -> None:
        log_read, log_write = os.pipe()
        facts_read, facts_write = os.pipe()
        self.log = Log("log", log_read, self.spec["log_bytes_max"])
        self.facts = facts_read
        for fd in (log_read, facts_read):
            os.set_blocking(fd, False)
        self._fork(log_write, facts_write)
        for fd in (log_write, facts_write):
            os.close(fd)
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        if self.is_set_up:
            self._note_running(self.child)

    def _fork(self, log_write: int, facts_write: int) -> None:
        """Start the program; it dies with this shim, whatever kills it."""
        parent = os.getpid()
        filters = self.spec["seccomp"]
        seccomp = os.open(filters, os.O_RDONLY) if filters else -1
        named = {"{facts_fd}": str(facts_write), "{seccomp_fd}": str(seccomp)}
        argv = [named.get(word, word) for word in self.spec["argv"]]
        self.forked = time.monotonic()
        self.child = os.fork()
        if self.child:
            return
        try:
            os.setsid()
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
            for path in self.groups.get("procs", []):
                write_text(path, "0")
            null = os.open("/dev/null", os.O_RDONLY)
            for source, target in ((null, 0), (log_write, 1), (log_write, 2)):
                os.dup2(source, target)
            for fd in (facts_write, seccomp):
                if fd >= 0:
                    os.set_inheritable(fd, True)
            signal.set_wakeup_fd(-1)
            for number in WAKING:
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            os.umask(0o022)
            if script := self.spec.get("script", ""):
                write_new("script", script, 0o700)
            os.chdir(self.spec["cwd"])
            os.execve(argv[0], [word.encode() for word in argv], self._environment())
        except OSError as error:
            os.write(2, f"intertie: the program could not be started: {error}\n".encode())
            os._exit(126)

    def _environment(self) -> dict[bytes, bytes]:
        """Return what the program starts with, and what the site told this process of devices.

        In bytes: a node's own locale must not write a job's words in another way.
        """
        shown = tuple(name.encode() for name in self.spec.get("passes_on", ()))
        told = {name: os.environb[name] for name in os.environb if name.startswith(shown)}
        own = self.spec["environment"].items()
        return told | {name.encode(): value.encode() for name, value in own}

    def _watch(self) -> None:
        """Wait until the launched process is gone, and enforce the limits meanwhile."""
        poller = select.poll()
        for fd in (self.facts, self.log.source, self.wake):  # the end is read last
            poller.register(fd, select.POLLIN)
        next_tick = time.monotonic() + FIRST_TICK_S
        while self.exit_status is None:
            now = time.monotonic()
            if now >= next_tick:
                self._tick()
                next_tick = now + TICK_S
            for fd, _ in poller.poll(self._timeout_ms(now, next_tick)):
                if not self._read_from(fd):
                    poller.unregister(fd)
            self._enforce()

    def _read_from(self, fd: int) -> bool:
        """Take in what one descriptor has; return False once it will have no more."""
        if fd == self.facts:
            return self._read_facts()
        if fd == self.log.source:
            return self.log.copy()
        self._on_signal(os.read(self.wake, 4096))
        return True

    def _timeout_ms(self, now: float, next_tick: float) -> int:
        ends = [next_tick]
        if self.kill_at:
            ends.append(self.kill_at)
        if self.started and not self.cause:
            ends.append(self.started + self.spec["time_limit_s"])
        return max(1, int((min(ends) - now) * 1000) + 1)

    def _on_signal(self, numbers: bytes) -> None:
        if signal.SIGTERM in numbers:
            self._on_term()
        if signal.SIGUSR1 in numbers:
            self._read_orders()
        while self.exit_status is None:
            pid, status, used = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return
            self.meters.note_peak(used.ru_maxrss * 1024)
            if pid == self.child:
                self.exit_status = status

    def _on_term(self) -> None:
        """Stop: the machine goes down, its site wants it back, or an order came by this signal."""
        self._read_orders()
        if not (self.is_at_site and self.cause):  # an order has its own grace, and its site waits
            self._stop("lost", float(self.spec.get("term_grace_s", self.spec["grace_s"])))

    def _read_facts(self) -> bool:
        """Read what the sandbox says of itself: its first process, then its exit code.

        It says so in pieces: only a whole line counts.
        """
        data = os.read(self.facts, 65536)
        *lines, self.half_line = (self.half_line + data).split(b"\n")
        for line in lines:
            with suppress(ValueError):
                facts = json.loads(line)
                if "child-pid" in facts:
                    self._note_running(facts["child-pid"])
                if "exit-code" in facts:
                    self.is_set_up = True
        return bool(data)

    def _note_running(self, pid: int) -> None:
        self.inner = pid
        self.started = self.forked
        started_at = int((time.time() - (time.monotonic() - self.forked)) * 1000)
        self.status.set(state="running", started_at=started_at, program=[pid, ticks_of(pid)])
        if self.cause:
            self._ask_to_stop()

    def _tick(self) -> None:
        """Once a second: orders, disk, and a heartbeat of the meters."""
        self._read_orders()
        if self.started:
            self._check_disk()
            self.meters.read(self.child)
            self.status.set(**self._metered())

    def _read_orders(self) -> None:
        with suppress(OSError, ValueError):
            order = json.loads(read_text("stop"))
            self._stop(order["cause"], float(order["grace_s"]))
        with suppress(OSError, ValueError):
            if self._now_ms() >= int(read_text("until")):
                self._stop("expired", float(self.spec["grace_s"]))
        if self.spec["session"]:  # a lease that may move ends with its agent's session
            with suppress(OSError, ValueError):
                if self._now_ms() >= int(read_text(self.spec["session"])):
                    self._stop("lost", float(self.spec["grace_s"]))

    def _now_ms(self) -> int:
        """Return now by the clock that whoever wrote the orders reads too.

        It is this machine's steady clock, or the site's wall clock where they wrote elsewhere.
        """
        return int(time.time() * 1000) if self.is_at_site else boot_ms()

    def _check_disk(self) -> None:
        begun = time.monotonic()
        if begun < self.disk_at:
            return
        work = self.spec["work"]
        used = disk_bytes(work) + nameless_bytes(descendants(os.getpid()), work)
        if used > self.spec["disk_bytes"]:
            self._stop("out_of_disk", 0)
        ended = time.monotonic()
        self.disk_at = ended + 20 * (ended - begun)  # never more than a twentieth of a core

    def _enforce(self) -> None:
        now = time.monotonic()
        if self.started and now >= self.started + self.spec["time_limit_s"]:
            self._stop("timed_out", float(self.spec["grace_s"]))
        if self.kill_at and now >= self.kill_at:
            self._kill()
            self.kill_at = now + TICK_S

    def _stop(self, cause: str, grace_s: float) -> None:
        """Ask the program to stop; the first cause stands, a shorter grace counts."""
        kill_at = time.monotonic() + grace_s
        self.kill_at = min(self.kill_at or kill_at, kill_at)
        if self.cause:
            return
        self.cause = cause
        if grace_s > 0:
            self._ask_to_stop()

    def _ask_to_stop(self) -> None:
        """Send SIGTERM to the program and to what it runs in the foreground."""
        if self.inner:
            with suppress(OSError):
                os.killpg(os.getpgid(self.inner), signal.SIGTERM)

    def _kill(self) -> None:
        """Kill all of it: by control group, by the sandbox's first process, by process tree."""
        if path := self.groups.get("kill"):
            with suppress(OSError):
                write_text(path, "1")
        for pid in [self.inner, *descendants(os.getpid())]:
            if pid:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)

    def _sweep(self) -> None:
        """Kill what the program left behind, wait for the last of it, and read its last words."""
        self.meters.read(self.child)
        while True:
            self._kill()
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                time.sleep(0.002)
        self._read_facts_left()
        while self.log.copy():
            pass

    def _read_facts_left(self) -> None:
        with suppress(BlockingIOError):
            while self._read_facts():
                pass

    def _finish(self) -> None:
        metered = self._metered()
        outcome: dict[str, Any] = {"cause": self.cause}
        if self.exit_status is not None:
            outcome = self._outcome(self.exit_status)
            self.log.close()
        for path in self.groups.get("remove", []):
            remove_group(path)
        while not self.status.set(state="over", **(metered | outcome)):
            time.sleep(TICK_S)

    def _metered(self) -> dict[str, int]:
        ran_ms = int((time.monotonic() - self.started) * 1000) if self.started else 0
        cpu_ms = max(self.meters.cpu_ms, 0 if self.exit_status is None else _children_cpu_ms())
        if self.meters.is_exact:
            cpu_ms = self.meters.cpu_ms
        return {"ran_ms": ran_ms, "cpu_ms": cpu_ms, "memory_peak_bytes": self.meters.peak_bytes}

    def _outcome(self, exit_status: int) -> dict[str, Any]:
        code = os.waitstatus_to_exitcode(exit_status)
        if not self.is_set_up and code > 0:  # killed from outside, a sandbox has no last word
            if self.cause:
                return {"cause": self.cause}
            text = self.log.last_line() or f"the sandbox ended with {code}"
            return {"cause": "start_failed", "detail": text, "ran_ms": 0, "started_at": 0}
        # bubblewrap, like a shell, tells a signal as 128 + its number.
        number = -code if code < 0 else code - 128 if self._is_signal(code) else 0
        told = {"signal": number} if number else {"exit_code": code}
        cause = "signalled" if number else "exited"
        if code != 0 and self.meters.oom_kills() > 0:
            cause = "out_of_memory"
        return told | {"cause": self.cause or cause}

    def _is_signal(self, code: int) -> bool:
        return bool(self.spec["is_sandboxed"]) and 128 < code <= 128 + 64


def _catch_signals() -> int:
    """Return the end of a pipe that holds the number of each signal as it arrives."""
    read, write = os.pipe()
    for fd in (read, write):
        os.set_blocking(fd, False)
    for number in WAKING:
        signal.signal(number, lambda _number, _frame: None)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    return read


def _children_cpu_ms() -> int:
    times = os.times()
    return int((times.children_user + times.children_system) * 1000)
