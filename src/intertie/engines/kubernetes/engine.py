"""The kubernetes engine: one Job for each attempt; implements `Engine`."""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event, Lock
from typing import Any

from intertie.engines.kubernetes import folders
from intertie.engines.kubernetes.gathering import Gatherer
from intertie.engines.kubernetes.judging import Sight, judge, own_pod
from intertie.engines.kubernetes.parse import Box, taken_by_events, warning_of
from intertie.engines.kubernetes.render import (
    AGENT,
    GANG,
    LEASE,
    TOKEN,
    job,
    job_name,
    nothing_runs,
)
from intertie.engines.kubernetes.settings import KubernetesSettings, read
from intertie.engines.kubernetes.site import Site
from intertie.engines.kubernetes.supply import Supply
from intertie.engines.kubernetes.watching import Watch
from intertie.engines.protocol import EngineFacts, EngineUnavailable, Observed, Room
from intertie.engines.registry import EngineSettings
from intertie.engines.shim.attempts import NAME, name_of
from intertie.engines.shim.laying import remove_tree
from intertie.wire.sync import LeaseBody

Document = dict[str, Any]
LOOK_AGAIN_S = 2.0
# How much longer than its grace a stopped attempt may take before its pod is deleted.
OVERDUE_MS = 15_000


class KubernetesEngine:
    """Starts and stops attempts as Jobs of one namespace."""

    def __init__(self, settings: KubernetesSettings) -> None:
        self.settings = settings
        self.root = settings.folder
        self.root.mkdir(mode=0o711, parents=True, exist_ok=True)
        (self.root / "session").mkdir(mode=0o755, exist_ok=True)
        self.id = _id_of(self.root)
        self.site = Site(settings.namespace, settings.kubeconfig, settings.context)
        labels = f"{AGENT}={self.id}"
        self._changed = Event()
        self._jobs = Watch(self.site, self.site.jobs, labels, self._changed.set)
        self._pods = Watch(self.site, self.site.pods, labels, self._changed.set)
        self._lock = Lock()
        self._known: dict[str, Observed] = {}
        self._missing_at: dict[str, float] = {}
        self._asked_at: dict[str, float] = {}
        self._supply = Supply(settings, self.site)
        self._gangs = Gatherer(self.root, settings.gang_hold_off_s, self._create, self._remove)
        self._is_gathering = False

    def facts(self) -> EngineFacts:
        """Return groups of like nodes; EngineUnavailable if no node is ready."""
        return self._supply.facts()

    def room(self) -> Room | None:
        """Return what nodes and quotas leave, less the pods of others that we may see."""
        return self._supply.room(self.id)

    def waits(self) -> dict[str, int]:
        """Return nothing: a Kubernetes scheduler does not say when it will have room."""
        return {}

    def folder(self, lease: str, token: int) -> Path:
        return self.root / name_of(lease, token)

    def start(self, lease: str, token: int, body: LeaseBody) -> None:
        """Start the attempt unless it was started before; ValueError says what is wrong with it.

        A gang's begin together, once all of them were started.
        """
        folder = self.folder(lease, token)
        with self._lock:
            if (folder / "status.json").exists() or (folder / "created").exists():
                return
            spec = job(self.settings, self.id, lease, token, body)
            is_alone = GANG not in spec["metadata"]["annotations"]
            if is_alone or not (folder / "spec.json").exists():
                folders.prepare(folder, self.settings.user, body)
                folders.write_spec(folder, spec)
            if is_alone:
                self._create(folder, spec)
            self._changed.set()

    def extend(self, lease: str, token: int, left_ms: int) -> None:
        folders.write_until(self.folder(lease, token), _now_ms() + left_ms)

    def renew(self, left_ms: int) -> None:
        until = -(-(_now_ms() + left_ms) // 1000)
        folders.write_new(self.root / "session" / "until", f"{until}\n")

    def stop(self, lease: str, token: int, cause: str, grace_s: int) -> None:
        folder = self.folder(lease, token)
        if not folder.is_dir() or (folder / "status.json").exists():
            return
        if not (folder / "orders" / "stop").exists():
            folders.order_stop(folder, cause, grace_s)
        if not (folder / "spec.json").exists() and folders.withdraw(folder):
            folders.write_over(folder, Observed(lease, token, "over", cause))
        self._changed.set()

    def observe(self) -> list[Observed]:
        jobs, pods = self._jobs.objects(), self._pods.objects()
        self._remove_orphans(jobs)
        by_job: dict[str, dict[str, Document]] = {}
        for name, pod in pods.items():
            by_job.setdefault(_job_of(pod), {})[name] = pod
        self._is_gathering = self._gangs.tend(by_job)
        return [
            seen
            for path in sorted(self.root.iterdir())
            if (seen := self._observe(path, jobs, by_job)) is not None
        ]

    def forget(self, lease: str, token: int) -> None:
        """Remove the attempt's Job, its pods and its folder, unless it runs."""
        folder = self.folder(lease, token)
        if not folder.is_dir():
            return
        if (folder / "spec.json").exists() and not (folder / "status.json").exists():
            return
        with suppress(EngineUnavailable):  # a Job without a folder is removed when it is seen
            self.site.delete(self.site.jobs, job_name(self.id, lease, token))
        pod = folders.read_box(folder).pod
        remove_tree(folder)
        self._pods.forget([pod])
        for known in (self._known, self._missing_at, self._asked_at):
            known.pop(folder.name, None)

    def listen(self) -> None:
        """Do nothing: the watches tell every engine of this folder."""

    def wait(self, timeout_s: float) -> None:
        limit_s = LOOK_AGAIN_S if self._missing_at or self._is_gathering else timeout_s
        self._changed.wait(min(timeout_s, limit_s))
        self._changed.clear()

    def wake(self) -> None:
        self._changed.set()

    def close(self) -> None:
        self._jobs.close()
        self._pods.close()
        self.site.close()

    def _observe(
        self, folder: Path, jobs: dict[str, Document], pods: dict[str, dict[str, Document]]
    ) -> Observed | None:
        match = NAME.match(folder.name)
        if match is None:
            return None
        known = self._known.get(folder.name)
        if known is None or known.state != "over":
            known = folders.read_over(folder) or known
        if known is not None and known.state == "over":
            self._known[folder.name] = known
            return known
        spec = folders.read_spec(folder)
        if spec is None:
            return None
        name = spec["metadata"]["name"]
        known = known or Observed(match[1], int(match[2]), "pending")
        sight = self._sight(folder, jobs.get(name), pods.get(name, {}))
        seen = self._settle(folder, spec, known, sight)
        self._known[folder.name] = seen
        return seen

    def _sight(self, folder: Path, found: Document | None, pods: dict[str, Document]) -> Sight:
        opened_at = self._gangs.opened_at(self._gangs.gang_of(folder))
        box = replace(folders.read_box(folder), opened_at=opened_at)
        found, pods = self._gangs.own(folder, found, pods)
        now_ms = _now_ms()
        stopped, grace_s = folders.read_stop(folder, now_ms)
        pod, is_gone = own_pod(box, pods, self._pods.departed())
        missing_at = self._missing_at.get(folder.name, 0.0)
        sight = Sight(
            box=box,
            stopped=stopped,
            is_created=(folder / "created").exists(),
            job=found,
            pod=pod,
            is_pod_gone=is_gone,
            missing_ms=int((time.monotonic() - missing_at) * 1000) if missing_at else 0,
            is_fenced=self._is_fenced(folder, box, now_ms),
            now_ms=now_ms,
        )
        if found and stopped and box.is_begun:
            self._hurry(folder, found, grace_s, now_ms)
        return sight

    def _settle(self, folder: Path, spec: Document, known: Observed, sight: Sight) -> Observed:
        """Return what an attempt is, after doing what its judge asks for."""
        verdict = judge(known, sight)
        seen = verdict.seen
        if verdict.asks == "missing":
            self._missing_at.setdefault(folder.name, time.monotonic())
            return seen
        self._missing_at.pop(folder.name, None)
        if verdict.asks == "warnings" and self._may_ask(folder):
            return replace(seen, detail=self._warning(spec["metadata"]["name"])[:1500])
        if verdict.asks == "taken":
            seen = self._taken(seen, sight)
        if verdict.asks == "withdraw" and not folders.withdraw(folder):
            return known  # it has begun just now
        if seen.state == "over":
            self._finish(folder, seen, sight.job)
        return seen

    def _finish(self, folder: Path, seen: Observed, found: Mapping[str, Any] | None) -> None:
        """Keep the last word, and let the site make no other pod of this attempt."""
        folders.write_over(folder, seen)
        if found and not found.get("status", {}).get("conditions"):
            with suppress(EngineUnavailable):
                self.site.patch(self.site.jobs, found["metadata"]["name"], nothing_runs())

    def _create(self, folder: Path, spec: Document) -> None:
        """Have the Job made, or find it made; ValueError if it cannot be."""
        meta = spec["metadata"]
        made = self.site.create(self.site.jobs, spec) or self.site.get(self.site.jobs, meta["name"])
        if made is None:
            raise EngineUnavailable("the Job was there, and is gone")
        told = made["metadata"].get("annotations", {})
        if any(told.get(key) != meta["annotations"][key] for key in (LEASE, TOKEN)):
            raise ValueError(f"the Job {meta['name']} belongs to another lease")
        self._jobs.believe(made)
        folders.write_new(folder / "created", made["metadata"]["uid"])

    def _remove(self, _: Path, spec: Document) -> None:
        self.site.delete(self.site.jobs, spec["metadata"]["name"])

    def _warning(self, name: str) -> str:
        with suppress(EngineUnavailable):
            events, _ = self.site.list(
                self.site.events, fieldSelector=f"involvedObject.name={name}"
            )
            return warning_of(events)
        return ""

    def _taken(self, seen: Observed, sight: Sight) -> Observed:
        """Return the end with who took the pod away, which may be in the events about it."""
        pod = (sight.pod or {}).get("metadata", {}).get("name", "")
        events: list[Document] = []
        with suppress(EngineUnavailable):
            events, _ = self.site.list(self.site.events, fieldSelector=f"involvedObject.name={pod}")
        end = taken_by_events(events)
        return replace(seen, cause=end.cause, detail=end.detail[:1500])

    def _hurry(self, folder: Path, found: Document, grace_s: int, now_ms: int) -> None:
        """Let the site delete the pod of an attempt that should have stopped long ago."""
        with suppress(OSError):
            ordered_ms = int((folder / "orders" / "stop").stat().st_mtime * 1000)
            is_overdue = now_ms > ordered_ms + grace_s * 1000 + OVERDUE_MS
            if is_overdue and self._may_ask(folder):
                with suppress(EngineUnavailable):
                    self.site.patch(self.site.jobs, found["metadata"]["name"], nothing_runs())

    def _is_fenced(self, folder: Path, box: Box, now_ms: int) -> bool:
        """Return whether a pod that is gone cannot run on: its node answers, or its lease ended."""
        if now_ms > folders.until_ms(folder) + self.settings.grace_s * 1000 + OVERDUE_MS:
            return True
        if folder.name not in self._missing_at:
            return False
        with suppress(EngineUnavailable):
            return self._supply.is_ready(box.node)
        return False

    def _may_ask(self, folder: Path) -> bool:
        """Return whether the server was not asked about this attempt just now."""
        now = time.monotonic()
        if now - self._asked_at.get(folder.name, -LOOK_AGAIN_S) < LOOK_AGAIN_S:
            return False
        self._asked_at[folder.name] = now
        return True

    def _remove_orphans(self, jobs: dict[str, Document]) -> None:
        """Remove Jobs whose attempts were forgotten while the server was away."""
        if _read_id(self.root) != self.id:
            raise EngineUnavailable(f"the folder {self.root} is not there, or not ours")
        for name, found in jobs.items():
            told = found["metadata"].get("annotations", {})
            folder = self.root / f"{told.get(LEASE)}-{told.get(TOKEN)}"
            if "deletionTimestamp" not in found["metadata"] and not folder.is_dir():
                with suppress(EngineUnavailable):
                    self.site.delete(self.site.jobs, name)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _job_of(pod: Document) -> str:
    labels: dict[str, str] = pod["metadata"].get("labels", {})
    return labels.get("job-name", "")


def _read_id(root: Path) -> str:
    with suppress(OSError):
        return (root / "agent-id").read_text()
    return ""


def _id_of(root: Path) -> str:
    """Return by what this folder's Jobs are told from all others of the namespace."""
    if not _read_id(root):
        new = root / f".agent-id.{os.getpid()}"
        new.write_text(os.urandom(4).hex())
        with suppress(FileExistsError):
            os.link(new, root / "agent-id")
        new.unlink()
    return _read_id(root)


def open_engine(own: EngineSettings) -> KubernetesEngine:
    """Return the engine for an owner's settings; ValueError names the key and the fix."""
    return KubernetesEngine(read(own))
