"""Submissions on disk: written before the site is told, so that no crash loses or repeats one.

`<id>.json` is the manifest: which attempt each index of the array, or each task of a gang's job,
is; the shim finds its folder by it. `<id>.job` is the site's number, once it is known. Between the
two a submission is looked up by its name before it is repeated.
"""

import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from intertie.engines.shim.procfs import write_new
from intertie.engines.slurm.commands import Ask


@dataclass(frozen=True)
class Batch:
    """One submission; `job` is the site's number, 0 while it is unknown."""

    id: str
    names: tuple[str, ...]
    ask: Ask
    job: int = 0

    @property
    def job_name(self) -> str:
        return f"intertie-{self.id}"

    def index_of(self, name: str) -> int:
        """Return an attempt's place in the array; -1 where there is no array."""
        is_array = len(self.names) > 1 and not self.ask.members
        return self.names.index(name) if is_array else -1


class Batches:
    """The folder of all submissions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def new(self, names: Sequence[str], ask: Ask) -> Batch:
        """Write a submission down, on the disk and not only in its cache, and return it."""
        self.folder.mkdir(mode=0o755, exist_ok=True)
        number = f"{time.time_ns():016x}-{os.urandom(3).hex()}"  # later ones sort later
        batch = Batch(number, tuple(names), ask)
        write_new(self.manifest(batch), json.dumps({"names": names, "ask": asdict(ask)}))
        for path in (self.manifest(batch), self.folder):
            _sync(path)
        return batch

    def told(self, batch: Batch, job: int) -> Batch:
        """Note the site's number."""
        write_new(self.folder / f"{batch.id}.job", str(job))
        return Batch(batch.id, batch.names, batch.ask, job)

    def load(self) -> list[Batch]:
        """Return every submission."""
        return [self._read(path) for path in sorted(self.folder.glob("*.json"))]

    def manifest(self, batch: Batch) -> Path:
        return self.folder / f"{batch.id}.json"

    def output(self, batch: Batch) -> Path:
        """Return where the site writes what the batch script itself says."""
        return self.folder / f"{batch.id}.out"

    def last_words(self, batch: Batch) -> str:
        """Return the end of what the batch script said: why a shim did not start."""
        with suppress(OSError):
            lines = self.output(batch).read_text(errors="replace").strip().splitlines()
            return lines[-1][:500] if lines else ""
        return ""

    def remove(self, batch: Batch) -> None:
        for path in self.folder.glob(f"{batch.id}.*"):
            path.unlink(missing_ok=True)

    def _read(self, path: Path) -> Batch:
        told = json.loads(path.read_text())
        ask = told["ask"] | {"partitions": tuple(told["ask"]["partitions"])}
        job = 0
        with suppress(OSError, ValueError):
            job = int(path.with_suffix(".job").read_text())
        return Batch(path.stem, tuple(told["names"]), Ask(**ask), job)


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
