"""The clerk: hands attempts to the site, and tells it to end what must not go on.

It works from what lies in the folders, in a thread of its own: whatever a crash or a silent
controller interrupted is done by the next round, and nothing is done twice without a look.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
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
LEFT = "another task of its gang will not begin"


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
        gangs = _gangs(tracks)
        for members in gangs:
            self._close_ranks(members)
        for ask, names in (*self._alone(tracks), *self._whole(gangs)):
            batch = self.batches.new(names, ask)
            _assign(tracks, [batch])
            self._submit(batch)
        if not self._need.is_set():  # what has come meanwhile is handed over first
            self._end_all(tracks)

    def _alone(self, tracks: Iterable[Track]) -> Iterator[tuple[Ask, list[str]]]:
        """Return what waits to be handed over and needs nobody else, in arrays of like ones."""
        alike: dict[Ask, list[str]] = {}
        for track in tracks:
            if track.is_free and not track.gang and self._may_claim(track):
                alike.setdefault(track.ask(), []).append(track.folder.name)
        size = self._array_max()
        for ask, names in alike.items():
            for first in range(0, len(names), size):
                yield ask, names[first : first + size]

    def _whole(self, gangs: Iterable[list[Track]]) -> Iterator[tuple[Ask, list[str]]]:
        """Return the gangs of which every member waits here: each becomes one job.

        One that waits for a member waits on: where it will not come, the network stops the rest.
        """
        for members in gangs:
            ask = members[0].ask()
            is_whole = len(members) == ask.members and all(each.is_free for each in members)
            # Of two engines of this folder the one that took the last member on comes first.
            last = min(members, key=lambda each: (_age_s(each.folder / "spec.json"), each.rank))
            if is_whole and self._may_claim(last):
                yield ask, [each.folder.name for each in members]

    def _may_claim(self, track: Track) -> bool:
        return track.folder.name in self.mine or _age_s(track.folder) > ADOPT_S

    def _close_ranks(self, members: list[Track]) -> None:
        """A gang of which one will never begin does not begin: the network places it again."""
        if any(each.is_withdrawn for each in members):
            for each in members:
                if not each.is_begun:
                    attempts.withdraw(each.folder, "", "superseded", LEFT)

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
        else:
            self._submit(batch)

    def _is_any_use(self, batch: Batch) -> bool:
        """Return whether a submission could still begin anything: a gang as a whole, or nothing."""
        enough = all if batch.ask.members else any
        return enough(self._is_wanted(name) for name in batch.names)

    def _is_wanted(self, name: str) -> bool:
        folder = self.root / name
        return (folder / "spec.json").exists() and not (folder / "status.json").exists()

    def _submit(self, batch: Batch) -> None:
        if not self._is_any_use(batch):
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
        placed: dict[Place, list[Track]] = {}
        for track in tracks:
            if track.place:
                placed.setdefault(track.place, []).append(track)
        signals = [track for track in tracks if track.place and _wants_signal(track)]
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
            if self._is_doomed(job, placed.get((job.base, job.index), []), look.taken_s)
        ]
        if doomed:
            for job in doomed:
                self._cancelled_s[job.base, job.index] = now_s
            self.site.cancel([job.id for job in doomed])
        self._sweep(batches, {job.base for job in ours})

    def _is_doomed(self, job: Job, tracks: list[Track], taken_s: float) -> bool:
        """Return whether the site must end a job that it has, waiting or running.

        The members of a gang are in one: it waits for the last of them.
        """
        cancelled_s = self._cancelled_s.get((job.base, job.index))
        if cancelled_s is not None and time.monotonic() - cancelled_s < REPEAT_S:
            return False
        if not tracks:  # it is over and forgotten
            return job.is_waiting
        if job.is_waiting:  # the look may be older than the beginning
            return any(
                track.is_withdrawn or (track.is_begun and taken_s > track.begun_s + SETTLE_S)
                for track in tracks
            )
        return all(map(_is_overdue, tracks))

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
    return commands.script([*(commands.srun(batch.ask) if batch.ask.members else []), *words])


def _assign(tracks: Iterable[Track], batches: Iterable[Batch]) -> None:
    """Tell each attempt its latest submission."""
    of_name = {name: batch for batch in batches for name in batch.names}
    for track in tracks:
        batch = of_name.get(track.folder.name)
        if batch is not None and batch != track.batch and batch.id not in track.dropped:
            track.batch, track.told_s = batch, time.monotonic()


def _gangs(tracks: Iterable[Track]) -> list[list[Track]]:
    """Return the members of each gang that are here, in order of rank."""
    found: dict[str, list[Track]] = {}
    for track in tracks:
        if track.gang:
            found.setdefault(track.gang, []).append(track)
    return [sorted(members, key=lambda each: each.rank) for members in found.values()]


def _is_overdue(track: Track) -> bool:
    """Return whether an attempt is done, or should be by its orders, and its job goes on."""
    if track.is_over:
        return time.monotonic() - (track.over_s or 0.0) > 2 * HOLD_S
    order = track.order()
    margin_s = STOP_MARGIN_S + (order.grace_s if order else 0)
    return order is not None and time.time() * 1000 > order.at_ms + 1000 * margin_s


def _wants_signal(track: Track) -> bool:
    """Return whether the batch script, a shim, should read its order now.

    Not in a gang's job: the script is srun, which would end all; its shims read within a second.
    """
    if track.gang:
        return False
    is_running = track.status is not None and track.status["state"] == "running"
    return is_running and not track.is_over and not track.is_signalled and bool(track.order())


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0
