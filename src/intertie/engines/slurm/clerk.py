"""The clerk: hands attempts to the site, and tells it to end what must not go on.

It works from what lies in the folders, in a thread of its own: whatever a crash or a silent
controller interrupted is done by the next round, and nothing is done twice without a look.
"""

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from intertie.engines.protocol import EngineUnavailable
from intertie.engines.shim import attempts
from intertie.engines.slurm import commands
from intertie.engines.slurm.batches import Batch, Batches
from intertie.engines.slurm.commands import Ask, Submission
from intertie.engines.slurm.judging import HOLD_S, SETTLE_S
from intertie.engines.slurm.parsing import Job
from intertie.engines.slurm.runner import SiteRefuses
from intertie.engines.slurm.site import Site
from intertie.engines.slurm.tracks import Look, Place, Track, id_of

GATHER_S = 0.03  # starts that come within this time go into one array
BACK_OFF_S = (1.0, 2.0, 5.0, 15.0)
ADOPT_S = 5.0  # what another engine of this folder began is left to it for so long
LOOK_UP_S = 2.0  # a command whose answer was lost may reach the controller so much later
STOP_MARGIN_S = 6.0  # what a shim needs beyond the grace to write its last word
REPEAT_S = 10.0


class Clerk:
    """One round is `tend`; `begin` starts the thread that does one whenever there is need."""

    def __init__(
        self,
        root: Path,
        site: Site,
        look: Callable[[bool], Look],
        tracks: Callable[[], list[Track]],
        array_max: Callable[[], int],
        script: Callable[[Batch], str],
    ) -> None:
        self.root, self.site = root, site
        self.batches = Batches(root / ".batches")
        self.mine: set[str] = set()
        self.broken: Exception | None = None
        self._look, self._tracks = look, tracks
        self._array_max, self._script = array_max, script
        self._tried_s: dict[str, float] = {}
        self._cancelled_s: dict[Place, float] = {}
        self._need, self._closing = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="slurm-clerk", daemon=True)
            self._thread.start()

    def call(self) -> None:
        """There is something to do now."""
        self._need.set()

    def end(self) -> None:
        """Let the round that goes on come to its end, if it does soon."""
        self._closing.set()
        self._need.set()
        if self._thread is not None:
            self._thread.join(5.0)

    def _run(self) -> None:
        failures = 0
        while not self._closing.is_set():
            self._need.wait(self.site.settings.poll_s)
            self._need.clear()
            self._closing.wait(GATHER_S)
            try:
                self.tend()
                failures = 0
            except (EngineUnavailable, OSError):
                self._closing.wait(BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)])
                failures += 1
            except Exception as error:
                self.broken = error  # the engine's next verb raises it
                raise

    def tend(self) -> None:
        """Hand over what waits, look up what may have been handed over, end what must end."""
        tracks = self._tracks()
        batches = self.batches.load()
        if not tracks and not batches:
            return
        _assign(tracks, batches)
        for batch in batches:
            if not batch.job and self._is_due(batch):
                self._look_up(batch)
        for ask, names in self._unsubmitted(tracks).items():
            size = self._array_max()
            for first in range(0, len(names), size):
                batch = self.batches.new(names[first : first + size], ask)
                _assign(tracks, [batch])
                self._submit(batch)
        if not self._need.is_set():  # what has come meanwhile is handed over first
            self._end_all(tracks)

    def _unsubmitted(self, tracks: Iterable[Track]) -> dict[Ask, list[str]]:
        alike: dict[Ask, list[str]] = {}
        for track in tracks:
            is_free = track.batch is None and track.end is None and not track.is_begun
            if is_free and (track.folder.name in self.mine or _age_s(track.folder) > ADOPT_S):
                alike.setdefault(track.ask(), []).append(track.folder.name)
        return alike

    def _is_due(self, batch: Batch) -> bool:
        """Return whether a submission without an answer may be looked up by now."""
        tried_s = self._tried_s.get(batch.id)
        if tried_s is not None:
            return time.monotonic() - tried_s > LOOK_UP_S
        return time.time() - self.batches.manifest(batch).stat().st_mtime > ADOPT_S

    def _look_up(self, batch: Batch) -> None:
        """Find a submission by its name; repeat it if the site has none and it is still wanted."""
        bases = self._look(True).bases_named(batch.job_name)
        if bases:
            self._note(batch, bases[0])
            self.site.cancel([str(base) for base in bases[1:]])
        elif any(self._is_wanted(name) for name in batch.names):
            self._submit(batch)
        else:
            self.batches.remove(batch)

    def _is_wanted(self, name: str) -> bool:
        folder = self.root / name
        return (folder / "spec.json").exists() and not (folder / "status.json").exists()

    def _submit(self, batch: Batch) -> None:
        if not any(self._is_wanted(name) for name in batch.names):
            self.batches.remove(batch)
            return
        output = str(self.batches.output(batch))
        told = Submission(batch.job_name, batch.names, batch.ask, str(self.root), output)
        self._tried_s[batch.id] = time.monotonic()
        try:
            self._note(batch, self.site.submit(told, self._script(batch)))
        except SiteRefuses as no:
            for name in filter(self._is_wanted, batch.names):
                attempts.withdraw(self.root / name, "", "start_failed", str(no))
            self.batches.remove(batch)

    def _note(self, batch: Batch, job: int) -> None:
        self._tried_s.pop(batch.id, None)
        known = self.batches.told(batch, job)
        self.mine.difference_update(known.names)
        _assign(self._tracks(), [known])

    def _end_all(self, tracks: Iterable[Track]) -> None:
        """Signal what was ordered to stop; cancel what may not begin, or has not stopped."""
        look = self._look(False)
        placed = {track.place: track for track in tracks if track.place}
        signals = [track for track in placed.values() if _wants_signal(track)]
        for track in signals:
            track.is_signalled = True
        if signals:
            self.site.signal([id_of(track.place) for track in signals])
        now_s = time.monotonic()
        batches = self.batches.load()
        bases = {batch.job for batch in batches if batch.job}
        ours = [job for job in look.jobs.values() if job.base in bases and not job.is_over]
        doomed = [
            job
            for job in ours
            if self._is_doomed(job, placed.get((job.base, job.index)), look.taken_s)
        ]
        if doomed:
            for job in doomed:
                self._cancelled_s[job.base, job.index] = now_s
            self.site.cancel([job.id for job in doomed])
        self._sweep(batches, {job.base for job in ours})

    def _is_doomed(self, job: Job, track: Track | None, taken_s: float) -> bool:
        """Return whether the site must end a job that it has, waiting or running."""
        cancelled_s = self._cancelled_s.get((job.base, job.index))
        if cancelled_s is not None and time.monotonic() - cancelled_s < REPEAT_S:
            return False
        if track is None:  # it is over and forgotten
            return job.is_waiting
        if job.is_waiting and track.is_begun:  # the look may be older than the beginning
            return track.is_withdrawn or taken_s > track.begun_s + SETTLE_S
        if track.is_over:
            return time.monotonic() - (track.over_s or 0.0) > 2 * HOLD_S
        order = track.order()
        return order is not None and time.time() * 1000 > order.at_ms + 1000 * (
            order.grace_s + STOP_MARGIN_S
        )

    def _sweep(self, batches: Iterable[Batch], active: set[int]) -> None:
        """Remove submissions of which nothing is left, neither here nor at the site."""
        for batch in batches:
            is_there = any((self.root / name).exists() for name in batch.names)
            is_new = _age_s(self.batches.manifest(batch)) < 2 * ADOPT_S  # the look may be older
            if batch.job and batch.job not in active and not is_there and not is_new:
                self.batches.remove(batch)


def shim_script(python: str, shim: Path, batches: Batches, batch: Batch, root: Path) -> str:
    """Return the batch script of a submission."""
    words = [python, "-I", "-S", str(shim), str(batches.manifest(batch)), str(root)]
    return commands.script(words)


def _assign(tracks: Iterable[Track], batches: Iterable[Batch]) -> None:
    """Tell each attempt its latest submission."""
    of_name = {name: batch for batch in batches for name in batch.names}
    for track in tracks:
        batch = of_name.get(track.folder.name)
        if batch is not None and batch != track.batch and batch.id not in track.dropped:
            track.batch, track.told_s = batch, time.monotonic()


def _wants_signal(track: Track) -> bool:
    is_running = track.status is not None and track.status["state"] == "running"
    return is_running and not track.is_over and not track.is_signalled and bool(track.order())


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0
