"""The Ray engine: what the folder says comes first, then what Ray says, then two looks apart."""

import hashlib
import json
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from intertie.engines.protocol import EngineFacts, EngineUnavailable, Observed, Room
from intertie.engines.ray import launching, parsing, rendering
from intertie.engines.ray.api import RayApi
from intertie.engines.ray.parsing import Job
from intertie.engines.ray.settings import RaySettings, checked
from intertie.engines.registry import EngineSettings
from intertie.engines.shim import attempts
from intertie.engines.shim.archive import write_shim
from intertie.engines.shim.ear import Ear
from intertie.engines.shim.laying import remove_tree
from intertie.engines.shim.procfs import write_new
from intertie.model.parties import Stack
from intertie.wire.sync import LeaseBody

ALL_ABILITIES = ("sandbox", "network_off", "cpu_limit", "memory_limit", "pids_limit")
POLL_S = 1.0
GONE_S = 5.0  # two looks so far apart, before what Ray has given up is believed to be gone
SITE_WAIT_S = 5.0  # how long an end waits for Ray's own account of it
OVERDUE_S = 10.0  # after the grace, before Ray is asked to end what its shim does not
Name = tuple[str, int]


@dataclass
class Attempt:
    """One attempt's folder as it is found: its name, status and what was submitted."""

    folder: Path
    lease: str
    token: int
    status: dict[str, Any] | None


class RayEngine:
    """Starts and stops attempts as jobs of a Ray cluster; implements `Engine`."""

    def __init__(self, settings: RaySettings) -> None:
        self.settings = settings
        self.root = settings.folder.resolve()
        self.root.mkdir(mode=0o711, parents=True, exist_ok=True)
        self.shim = write_shim(self.root).parent
        self.id = hashlib.sha256(str(self.root).encode()).hexdigest()[:12]
        self.poke = f"intertie-{self.id}"
        self.api = RayApi(settings.url, settings.token_file)
        self._over: dict[str, Observed] = {}
        self._ended_s: dict[str, float] = {}
        self._suspected: dict[str, tuple[float, str]] = {}
        self._jobs: dict[str, Job] | None = None
        self._asked_s = 0.0
        self._nodes: dict[str, str] = {}
        self._ear = Ear(self.poke, blind_s=POLL_S)
        self.listen()

    def facts(self) -> EngineFacts:
        own = self.settings
        disk_bytes = own.disk_bytes or shutil.disk_usage(self.root).free
        groups = parsing.groups(self.api.nodes(), own.resources, disk_bytes)
        if not groups:
            raise EngineUnavailable(f"Ray at {own.url} has no node with CPUs and memory")
        software = (Stack("ray", self.api.version()),)
        return EngineFacts("ray", groups, software, (), ALL_ABILITIES)

    def room(self) -> Room | None:
        """Return what others leave, by what Ray has given out and our own running jobs hold."""
        jobs = self.api.jobs(rendering.prefix(self.id))
        running = [job.id for job in jobs.values() if job.status == "RUNNING"]
        ours = [document for each in running if (document := self._document(each))]
        alive, used = self.api.nodes(), self.api.usage()
        return parsing.room(alive, used, ours, self.settings.resources)

    def waits(self) -> dict[str, int]:
        """Return nothing: Ray foretells no starts."""
        return {}

    def folder(self, lease: str, token: int) -> Path:
        return self.root / attempts.name_of(lease, token)

    def start(self, lease: str, token: int, body: LeaseBody) -> None:
        """Submit the attempt unless it was before; ValueError says what is wrong with it."""
        folder = self.folder(lease, token)
        if attempts.read_status(folder) is not None:
            return
        if not (folder / "spec.json").exists():
            self._prepare(folder, body)
        self._submit(folder)

    def extend(self, lease: str, token: int, left_ms: int) -> None:
        """Set how long the lease lasts; the shim keeps to it on its node."""
        folder = self.folder(lease, token)
        folder.mkdir(mode=0o711, exist_ok=True)
        write_new(folder / "until", str(_clock_ms() + left_ms))
        attempts.wake_shim(folder)

    def renew(self, left_ms: int) -> None:
        """Say how long attempts that may move run on if nothing more is heard of the network."""
        write_new(self.root / "session", str(_clock_ms() + left_ms))

    def stop(self, lease: str, token: int, cause: str, grace_s: int) -> None:
        """Leave the order for the shim; what no shim has claimed can never start afterwards."""
        folder = self.folder(lease, token)
        if not folder.is_dir():
            return
        if attempts.read_status(folder) is None and attempts.withdraw(folder, self.poke, cause):
            with suppress(EngineUnavailable):  # it is swept later; what Ray starts ends at once
                self.api.stop(self._job_id(folder))
            return
        attempts.order_stop(folder, cause, grace_s)

    def observe(self) -> list[Observed]:
        """Return every attempt. While Ray is away the folders' word stands alone."""
        found = self._attempts()
        jobs = self._look() if any(each.folder.name not in self._over for each in found) else None
        return [self._observe(each, jobs) for each in found]

    def forget(self, lease: str, token: int) -> None:
        folder = self.folder(lease, token)
        status = attempts.read_status(folder)
        is_pending = status is None and (folder / "spec.json").exists()
        if is_pending or (status is not None and status["state"] != "over"):
            return
        remove_tree(folder)
        self._over.pop(folder.name, None)
        self._asked_s = 0.0
        with suppress(EngineUnavailable):  # else it is swept with the next look
            self.api.delete(self._job_id(folder))

    def listen(self) -> None:
        """Hear at once of shims on this machine, unless another engine of this folder does."""
        self._ear.open()

    def wait(self, timeout_s: float) -> None:
        """Return when an attempt may have changed, when woken, or when the time is up."""
        self._ear.wait(min(timeout_s, POLL_S))

    def wake(self) -> None:
        """Make `wait` return now."""
        self._ear.wake()

    def close(self) -> None:
        """Let go of the engine; what runs, runs on."""
        self._ear.close()
        self.api.close()

    def _job_id(self, folder: Path) -> str:
        return rendering.submission_id(self.id, folder.name)

    def _document(self, submission: str) -> dict[str, Any] | None:
        """Return what was submitted under an id."""
        folder = self.root / submission.removeprefix(rendering.prefix(self.id))
        with suppress(OSError, ValueError, KeyError):
            document: dict[str, Any] = json.loads((folder / "spec.json").read_text())["ray"]
            return document
        return None

    def _prepare(self, folder: Path, body: LeaseBody) -> None:
        own = self.settings
        argv = launching.shim_argv(own.python, self.shim, folder)
        document = rendering.job(
            self._job_id(folder), argv, body, own.resources, own.runtime_env, own.grace_s
        )
        launching.prepare(folder, body, own, self.poke, document)

    def _submit(self, folder: Path) -> None:
        """Submit what the folder says; where Ray has it already, nothing happens."""
        document = self._document(self._job_id(folder))
        assert document is not None, "the spec is written before the job is submitted"
        self.api.submit(document)
        self._asked_s = 0.0

    def _look(self) -> dict[str, Job] | None:
        """Return Ray's word of our jobs, at most a moment old; None while it is away."""
        now_s = time.monotonic()
        if now_s - self._asked_s >= POLL_S:
            self._asked_s = now_s
            try:
                self._jobs = self.api.jobs(rendering.prefix(self.id))
            except EngineUnavailable:
                self._jobs = None
            else:
                self._sweep(self._jobs)
        return self._jobs

    def _sweep(self, jobs: dict[str, Job]) -> None:
        """Remove from Ray what is over and forgotten here."""
        for submission, job in jobs.items():
            name = submission.removeprefix(rendering.prefix(self.id))
            if not job.is_alive and not (self.root / name).exists():
                with suppress(EngineUnavailable):
                    self.api.delete(submission)

    def _attempts(self) -> list[Attempt]:
        found = []
        for folder in sorted(self.root.iterdir()):
            match = attempts.NAME.match(folder.name)
            if match and (folder / "spec.json").exists():
                status = None
                if folder.name not in self._over:
                    status = attempts.read_status(folder)
                found.append(Attempt(folder, match[1], int(match[2]), status))
        return found

    def _observe(self, each: Attempt, jobs: dict[str, Job] | None) -> Observed:
        name = each.folder.name
        if name in self._over:
            return self._over[name]
        job = jobs.get(self._job_id(each.folder)) if jobs is not None else None
        if each.status is None or each.status["state"] != "over":
            if jobs is None or (job is not None and job.is_alive):
                self._suspected.pop(name, None)
                self._end_overdue(each, job)
            elif self._is_gone(each):
                self._give_up(each, job)
        seen = attempts.observed(each.lease, each.token, each.status)
        if seen.state == "over":
            return self._ended(each, seen, job)
        return self._as_ray_says(seen, job) if job else seen

    def _as_ray_says(self, seen: Observed, job: Job) -> Observed:
        """Return an attempt that is not over with what Ray adds to the folder's word."""
        detail = job.message if job.status == "PENDING" else ""
        return replace(seen, node=self._node_name(job.node), detail=detail)

    def _is_gone(self, each: Attempt) -> bool:
        """Return whether the attempt stood still between two looks while Ray had no such job."""
        name, now_s = each.folder.name, time.monotonic()
        beat = json.dumps(each.status)
        first_s, before = self._suspected.setdefault(name, (now_s, beat))
        if before != beat:
            self._suspected[name] = (now_s, beat)
            return False
        return now_s - first_s >= GONE_S

    def _give_up(self, each: Attempt, job: Job | None) -> None:
        """End what Ray has ended without its shim's word; submit again what it lost unbegun."""
        del self._suspected[each.folder.name]
        if each.status is not None:
            each.status = attempts.bury(each.folder, each.status, self.poke)
        elif job is None or job.has_waited_too_long:
            self._submit_again(each.folder, job)
        else:
            cause = "start_failed" if job.status == "FAILED" else "lost"
            detail = job.message or f"Ray says {job.status}, but nothing was begun"
            attempts.withdraw(each.folder, self.poke, cause, detail)
            each.status = attempts.read_status(each.folder)

    def _submit_again(self, folder: Path, job: Job | None) -> None:
        """Submit what no shim has claimed; should Ray run it twice, the claim decides."""
        with suppress(EngineUnavailable):
            if job is not None:
                self.api.delete(job.id)
            self._submit(folder)

    def _end_overdue(self, each: Attempt, job: Job | None) -> None:
        """Ask Ray to end what was to be gone by now: its shim may hang, or see no order."""
        if job is None or each.status is None:
            return
        with suppress(OSError, ValueError, KeyError):
            order = each.folder / "stop"
            grace_s = float(json.loads(order.read_text())["grace_s"])
            if time.time() > order.stat().st_mtime + grace_s + OVERDUE_S:
                with suppress(EngineUnavailable):
                    self.api.stop(job.id)

    def _ended(self, each: Attempt, seen: Observed, job: Job | None) -> Observed:
        """Return the end with Ray's own account of it, once there is one or it is too late."""
        name = each.folder.name
        ended_s = self._ended_s.setdefault(name, time.monotonic())
        account = self._account(each, job)
        if account is None and time.monotonic() - ended_s < SITE_WAIT_S:
            self._asked_s = 0.0  # Ray notes an end a moment after the shim did
            return replace(seen, is_final=False)
        self._over[name] = replace(seen, **(account or {}))
        del self._ended_s[name]
        return self._over[name]

    def _account(self, each: Attempt, job: Job | None) -> dict[str, Any] | None:
        """Return Ray's account of an attempt that is over; kept, for Ray may forget it."""
        kept = each.folder / "site.json"
        with suppress(OSError, ValueError):
            account: dict[str, Any] = json.loads(kept.read_text())
            return account
        if each.status is not None and not each.status["started_at"]:
            return {}
        if job is None or job.is_alive:
            return None
        try:
            account = {"site_ms": self.api.ran_ms(job.id), "node": self._node_name(job.node)}
        except EngineUnavailable:
            return None
        if not account["site_ms"]:
            return None
        write_new(kept, json.dumps(account))
        return account

    def _node_name(self, node: str) -> str:
        """Return what people call a node, by Ray's id of it."""
        if node and node not in self._nodes:
            with suppress(EngineUnavailable):
                self._nodes = {each.id: each.name for each in self.api.nodes()}
        return self._nodes.get(node, node)


def _clock_ms() -> int:
    """Return this instant of the clock that all machines of the site share, as far as they do."""
    return time.time_ns() // 1_000_000


def open_engine(own: EngineSettings) -> RayEngine:
    """Return the engine for an owner's settings; ValueError names the key that is wrong."""
    return RayEngine(checked(own))
