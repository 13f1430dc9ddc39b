"""The Slurm engine: attempts are batch jobs of one user of the site; implements `Engine`.

The attempts' folder is on a file system that the nodes see. A job is the shim, which launches
the program there and writes its end there; the site only finds a node for it.
"""

import shutil
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

from intertie.engines.protocol import EngineFacts, Observed, Room
from intertie.engines.registry import EngineSettings
from intertie.engines.shim import attempts
from intertie.engines.shim.archive import write_shim
from intertie.engines.shim.laying import remove_tree
from intertie.engines.shim.procfs import write_new
from intertie.engines.slurm import supply
from intertie.engines.slurm.about import About
from intertie.engines.slurm.batches import Batch
from intertie.engines.slurm.clerk import Clerk, shim_script
from intertie.engines.slurm.judging import HOLD_S, Verdict, judge
from intertie.engines.slurm.launching import Launch
from intertie.engines.slurm.lookout import Lookout
from intertie.engines.slurm.parsing import Job
from intertie.engines.slurm.rest_site import RestSite
from intertie.engines.slurm.settings import SlurmSettings, read_table
from intertie.engines.slurm.site import CommandSite, Site
from intertie.engines.slurm.tracks import Look, Track, claim_spec, id_of, write_order
from intertie.wire.sync import LeaseBody

STEP_S = 0.1
WAIT_MINUTES = 60  # the job that `waits` asks about


class SlurmEngine:
    """Starts and stops attempts on one Slurm cluster."""

    def __init__(self, own: EngineSettings, settings: SlurmSettings, site: Site) -> None:
        self.own, self.settings, self.site = own, settings, site
        self.root = own.folder.resolve()
        self.root.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.about = About(site, settings)
        self._shim = write_shim(self.root)
        self._tracks: dict[str, Track] = {}
        self._lock = threading.RLock()
        self._woken = threading.Event()
        self.lookout = Lookout(
            self._jobs, settings.poll_s, self._is_asked, self._is_urgent, self._woken.set
        )
        self.clerk = Clerk(
            self.root, site, self.look, self.tracks, lambda: self.about.array_max, self._script
        )

    def facts(self) -> EngineFacts:
        there = self.about.read_groups()
        disk_bytes = self.own.disk_bytes or shutil.disk_usage(self.root).free
        part_bytes = disk_bytes // max(1, sum(group.machines for group in there))
        nodes = tuple(group.facts(self.settings.device_classes, part_bytes) for group in there)
        return EngineFacts("slurm", nodes, (), self.about.abilities, self.about.not_enforced)

    def room(self) -> Room | None:
        names = self.about.partitions
        # What guests hold is in it, and they come and go while the nodes are asked about.
        before = self.site.queued(names)
        rows = self.site.nodes(names)
        queue = max(before, self.site.queued(names), key=supply.guests_cpus)
        return supply.room(rows, names, queue, own_jobs_first=self.settings.own_jobs_first)

    def waits(self) -> dict[str, int]:
        rows = self.site.nodes(self.about.partitions)
        found = {}
        for group in self.about.groups:
            if supply.is_idle(group, rows):
                continue
            ask = supply.smallest_ask(group, WAIT_MINUTES)
            start_s = self.site.start_s(ask, "#!/bin/sh\n")
            if (wait_s := start_s - int(time.time())) > 0:
                found[group.name] = wait_s
        return found

    def folder(self, lease: str, token: int) -> Path:
        return self.root / attempts.name_of(lease, token)

    def start(self, lease: str, token: int, body: LeaseBody) -> None:
        """Take the attempt on, unless it was before; the site is told within moments.

        ValueError says what is wrong with it; EngineUnavailable that nothing is known of the site.
        """
        folder = self.folder(lease, token)
        if attempts.read_status(folder) is not None or (folder / "spec.json").exists():
            return
        ask = self.about.ask(body, self.own.grace_s)
        launch = Launch(
            self.settings.python,
            self.own.log_bytes_max,
            self.own.grace_s,
            self.about.term_grace_s(ask.partitions),
        )
        folder.mkdir(mode=0o755, exist_ok=True)
        spec = launch.prepare(folder, body) | {"ask": asdict(ask)}
        if body.gang and ask.members:
            spec["gang"] = {"id": body.gang.id, "rank": body.task_index}
        if claim_spec(folder, spec):
            self.clerk.mine.add(folder.name)
        self._work()

    def extend(self, lease: str, token: int, left_ms: int) -> None:
        folder = self.folder(lease, token)
        folder.mkdir(mode=0o755, exist_ok=True)
        write_new(folder / "until", str(_now_ms() + left_ms))

    def renew(self, left_ms: int) -> None:
        write_new(self.root / "session", str(_now_ms() + left_ms))

    def stop(self, lease: str, token: int, cause: str, grace_s: int) -> None:
        """Withdraw what has not begun; else leave the order, which the clerk follows up."""
        folder = self.folder(lease, token)
        if not folder.is_dir() or (folder / "end.json").exists():
            return
        status = attempts.read_status(folder)
        if status is None and attempts.withdraw(folder, "", cause):
            self._work()
            return
        status = attempts.read_status(folder)
        if status is not None and status["state"] != "over":
            write_order(folder, cause, grace_s, _now_ms())
            self._work()

    def observe(self) -> list[Observed]:
        for helper in (self.clerk, self.lookout):
            if helper.broken:
                raise RuntimeError("a thread of the engine broke") from helper.broken
        self._begin()
        tracks = self.tracks()
        look = self.lookout.newest() if self._is_asked() else Look()
        with self._lock:
            return [self._see(track, look) for track in tracks]

    def forget(self, lease: str, token: int) -> None:
        folder = self.folder(lease, token)
        status = attempts.read_status(folder)
        is_over = (folder / "end.json").exists() or (status and status["state"] == "over")
        if not is_over and (status is not None or (folder / "spec.json").exists()):
            return
        with self._lock:
            self._tracks.pop(folder.name, None)
        remove_tree(folder)
        self.clerk.call()

    def listen(self) -> None:
        """Do nothing: what happens on other machines is seen by looking."""

    def wait(self, timeout_s: float) -> None:
        """Return when an attempt may have changed, when woken, or when the time is up."""
        until_s = time.monotonic() + timeout_s
        while (left_s := until_s - time.monotonic()) > 0:
            if self._woken.wait(min(left_s, STEP_S)):
                self._woken.clear()
                return
            if self._has_news():
                return

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        """Let go of the engine; what runs, runs on."""
        self.lookout.end()
        self.clerk.end()

    def tracks(self) -> list[Track]:
        """Return every attempt that was started here, by whichever agent."""
        now_s = time.monotonic()
        with self._lock:
            names = {path.name for path in self.root.iterdir() if path.name[0] != "."}
            for name in set(self._tracks) - names:
                del self._tracks[name]
            for name in sorted(names - set(self._tracks)):
                found = attempts.NAME.match(name)
                if found and (self.root / name / "spec.json").exists():
                    folder = self.root / name
                    self._tracks[name] = Track(folder, found[1], int(found[2]), now_s)
            tracks = [self._tracks[name] for name in sorted(self._tracks)]
            if self._has_news():
                self._woken.set()  # whoever asked, the agent is to know
            return tracks

    def look(self, is_fresh: bool) -> Look:
        """Return our jobs as the site has them, not older than what may be asked of it."""
        return self.lookout.look(0.0 if is_fresh else self.settings.poll_s)

    def _jobs(self) -> list[Job]:
        """Return our jobs; what the queue has let go of as the accounting has it."""
        jobs = self.site.own_jobs()
        there = {(job.base, job.index) for job in jobs}
        open_ones = [track.place for track in self._open()]
        missing = [id_of(place) for place in open_ones if place and place not in there]
        known = self.site.accounted(missing) if missing and self.about.has_accounting else []
        return [*jobs, *known]

    def _open(self) -> list[Track]:
        """Return the attempts that have not had their last word."""
        with self._lock:
            return [track for track in self._tracks.values() if track.end is None]

    def _is_asked(self) -> bool:
        """Return whether the site has to say something: some attempt was handed to it."""
        return any(track.place for track in self._open())

    def _is_urgent(self) -> bool:
        """Return whether an end waits for the site's own word."""
        now_s = time.monotonic()
        over_s = (track.over_s for track in self._open())
        return any(each is not None and now_s - each < HOLD_S for each in over_s)

    def _has_news(self) -> bool:
        now_s = time.monotonic()
        with self._lock:
            changed = [track for track in self._open() if track.refresh(now_s)]
        return bool(changed)

    def _see(self, track: Track, look: Look) -> Observed:
        if track.end is not None:
            return track.end
        verdict = judge(track.lease, track.token, track.view(look, time.monotonic()))
        return self._act(track, verdict)

    def _act(self, track: Track, verdict: Verdict) -> Observed:
        seen = verdict.seen
        if verdict.act == "end":
            track.conclude(seen)
        elif verdict.act == "withdraw":
            words = self.clerk.batches.last_words(track.batch) if track.batch else ""
            detail = f"{seen.detail}; {words}" if words else seen.detail
            attempts.withdraw(track.folder, "", seen.cause, detail)
            seen = replace(seen, cause="none")  # the next look sees it over
        elif verdict.act == "fence":
            write_order(track.folder, "lost", self.own.grace_s, _now_ms())
        elif verdict.act == "again":
            track.drop_batch()
        if verdict.act:
            self.clerk.call()
        return seen

    def _script(self, batch: Batch) -> str:
        return shim_script(self.settings.python, self._shim, self.clerk.batches, batch, self.root)

    def _work(self) -> None:
        self._begin()
        self.clerk.call()

    def _begin(self) -> None:
        self.clerk.begin()
        self.lookout.begin()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def open_engine(own: EngineSettings) -> SlurmEngine:
    """Return the engine for an owner's settings; ValueError names the key that is wrong."""
    settings = read_table(own.table)
    site = RestSite(settings) if settings.rest else CommandSite(settings)
    return SlurmEngine(own, settings, site)
