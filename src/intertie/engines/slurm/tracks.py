"""What the engine remembers of each attempt between two looks, and of the site at one look."""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from intertie.engines.protocol import Observed
from intertie.engines.shim import attempts
from intertie.engines.shim.procfs import write_new
from intertie.engines.slurm.batches import Batch
from intertie.engines.slurm.commands import Ask
from intertie.engines.slurm.judging import View
from intertie.engines.slurm.parsing import Job

END = "end.json"  # the engine's last word on an attempt; from then on nothing changes it
AGAIN = "again"  # written by a shim that found the attempt begun by another
Place = tuple[int, int]


@dataclass(frozen=True)
class Look:
    """Our jobs as the site had them at one instant of the steady clock, by id and index."""

    taken_s: float = 0.0
    jobs: dict[Place, Job] = field(default_factory=dict)

    @classmethod
    def of(cls, taken_s: float, jobs: Iterable[Job]) -> "Look":
        return cls(taken_s, {(job.base, job.index): job for job in jobs})

    def bases_named(self, name: str) -> list[int]:
        """Return the ids of all submissions of that name, the first one first."""
        return sorted({job.base for job in self.jobs.values() if job.name == name})


@dataclass(frozen=True)
class Order:
    """An order to stop, as it lies in the attempt's folder. `at_ms` is wall time."""

    cause: str
    grace_s: int
    at_ms: int


class Track:
    """One attempt. Instants are seconds of the agent's steady clock."""

    def __init__(self, folder: Path, lease: str, token: int, now_s: float) -> None:
        self.folder, self.lease, self.token = folder, lease, token
        self.batch: Batch | None = None
        self.told_s = 0.0
        self.away_s: float | None = None
        self.over_s: float | None = None
        self.begun_s = 0.0
        self.changed_s = now_s
        self.status: dict[str, Any] | None = None
        self._stamp: tuple[int, int] | None = None
        self.is_signalled = False
        self.dropped: set[str] = set()
        self.end = self._read_end()

    @property
    def place(self) -> Place | None:
        """Return where its job is among the site's; None while the site has not said."""
        if self.batch is None or not self.batch.job:
            return None
        return self.batch.job, self.batch.index_of(self.folder.name)

    @property
    def is_begun(self) -> bool:
        return self.status is not None

    @property
    def is_withdrawn(self) -> bool:
        """Return whether it ended without ever beginning."""
        return self.status is not None and self.is_over and not self.status["started_at"]

    @property
    def is_over(self) -> bool:
        return self.end is not None or (self.status is not None and self.status["state"] == "over")

    def refresh(self, now_s: float) -> bool:
        """Read what the shim wrote since; return whether its state changed."""
        try:
            found = (self.folder / "status.json").stat()
        except OSError:
            return False
        stamp = (found.st_mtime_ns, found.st_ino)
        if stamp == self._stamp:
            return False
        before = self.status["state"] if self.status else ""
        self.begun_s = self.begun_s or now_s
        self._stamp, self.changed_s = stamp, now_s
        self.status = attempts.read_status(self.folder)
        if self.is_over and self.over_s is None:
            self.over_s = now_s
        return self.status is not None and self.status["state"] != before

    def view(self, look: Look, now_s: float) -> View:
        """Return all that is known of it now."""
        place = self.place
        is_submitted = place is not None and look.taken_s > self.told_s
        job = look.jobs.get(place) if place is not None and is_submitted else None
        if is_submitted:
            self._note_away(job, look.taken_s)
        order = self.order()
        return View(
            status=self.status,
            ordered=order.cause if order else "",
            job=job,
            is_submitted=is_submitted,
            quiet_s=now_s - self.changed_s,
            away_s=look.taken_s - self.away_s if self.away_s is not None else 0.0,
            over_s=now_s - self.over_s if self.over_s is not None else 0.0,
            is_repeated=(self.folder / AGAIN).exists(),
        )

    def ask(self) -> Ask:
        """Return what it needs of the site, as its start was written down."""
        told = self._spec["ask"]
        return Ask(**told | {"partitions": tuple(told["partitions"])})

    @property
    def gang(self) -> str:
        """Return which gang it begins with; empty where it begins alone."""
        is_alone = self.batch is not None and not self.batch.ask.members
        return "" if is_alone else self._spec.get("gang", {}).get("id", "")

    @property
    def rank(self) -> int:
        """Return its place in its gang."""
        found: int = self._spec["gang"]["rank"]
        return found

    @property
    def is_free(self) -> bool:
        """Return whether it waits to be handed to the site."""
        return self.batch is None and self.end is None and not self.is_begun

    @cached_property
    def _spec(self) -> dict[str, Any]:
        told = json.loads((self.folder / "spec.json").read_text())
        return {"ask": told["ask"], "gang": told.get("gang", {})}

    def drop_batch(self) -> None:
        """Have it handed over anew: the site has lost the submission that it was in."""
        if self.batch is not None:
            self.dropped.add(self.batch.id)
        self.batch, self.away_s = None, None

    def order(self) -> Order | None:
        """Return the order to stop it, if there is one."""
        with suppress(OSError, ValueError, KeyError):
            return Order(**json.loads((self.folder / "stop").read_text()))
        return None

    def conclude(self, seen: Observed) -> None:
        """Write the last word down, so that a later agent says the same."""
        write_new(self.folder / END, json.dumps(asdict(seen)))
        self.end = seen

    def _note_away(self, job: Job | None, taken_s: float) -> None:
        """Note since which look the site has not had it where it should be."""
        is_there = job is not None and (job.is_running or (job.is_waiting and not self.is_begun))
        if is_there:
            self.away_s = None
        elif self.away_s is None:
            self.away_s = taken_s

    def _read_end(self) -> Observed | None:
        with suppress(OSError, ValueError, TypeError):
            return Observed(**json.loads((self.folder / END).read_text()))
        return None


def write_order(folder: Path, cause: str, grace_s: int, now_ms: int) -> None:
    """Leave an order to stop; the cause of the first one stands, a shorter grace counts."""
    with suppress(OSError, ValueError, KeyError):
        cause = json.loads((folder / "stop").read_text())["cause"]
    write_new(folder / "stop", json.dumps(asdict(Order(cause, grace_s, now_ms))))


def claim_spec(folder: Path, spec: dict[str, Any]) -> bool:
    """Write `spec.json` unless it is there; whoever writes it hands the attempt to the site."""
    new = folder / f"spec.{os.getpid()}.{os.urandom(4).hex()}"
    write_new(new, json.dumps(spec))
    try:
        os.link(new, folder / "spec.json")
    except FileExistsError:
        return False
    finally:
        new.unlink()
    return True


def id_of(place: Place | None) -> str:
    """Return what the site's commands call a place."""
    assert place is not None, "the site has not said what it calls it"
    base, index = place
    return f"{base}_{index}" if index >= 0 else str(base)
