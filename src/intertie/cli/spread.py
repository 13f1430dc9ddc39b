"""Pieces of a comparison, run in this process, in several, or as jobs of a Ray cluster."""

from __future__ import annotations

import os
import shlex
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from intertie.cli.session import Session
    from intertie.simulator.piece import Piece
    from intertie.simulator.running import Outcome

QUIET_S = 2.0  # what is done sooner shows no progress
ASK_EACH_S = 0.5
TOKEN_FILE = "RAY_AUTH_TOKEN_PATH"  # Ray's own name for it
PIECES = "pieces"


def run_here(session: Session, pieces: list[Piece]) -> list[Outcome]:
    """Return the outcome of each piece, one after another; as `run_piece` raises."""
    from intertie.control.kernels import prepare_kernels
    from intertie.simulator.piece import run_piece

    prepare_kernels()
    outcomes = []
    for piece in pieces:
        with session.waiting("cli.simulate.running"):
            outcomes.append(run_piece(piece))
    return outcomes


def run_in_processes(session: Session, pieces: list[Piece]) -> list[Outcome]:
    """Return the outcome of each piece, as many at a time as this machine has processors."""
    from multiprocessing import get_context

    from intertie.control.kernels import prepare_kernels
    from intertie.simulator.piece import run_piece

    most = min(len(pieces), len(os.sched_getaffinity(0)))
    pool = ProcessPoolExecutor(most, get_context("spawn"), initializer=prepare_kernels)
    with pool, session.progress("cli.simulate.running", is_bytes=False) as tell:
        futures = [pool.submit(run_piece, piece) for piece in pieces]
        try:
            _watch((1 for _ in as_completed(futures)), len(futures), tell)
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def run_on_ray(session: Session, pieces: list[Piece], address: str, out: Path) -> list[Outcome]:
    """Return the outcome of each piece, each a job of the Ray cluster at `address`.

    The cluster's nodes see the traces, `out` and this Python under the same paths. Raises
    EngineUnavailable where Ray does not answer, and BadTrace with what a job ended with.
    """
    from intertie.engines.ray.api import RayApi
    from intertie.simulator.piece import read_outcome, write_piece

    token = os.environ.get(TOKEN_FILE)
    folders = [out.resolve() / PIECES / f"{at:04}" for at in range(len(pieces))]
    for piece, folder in zip(pieces, folders, strict=True):
        write_piece(piece, folder)
    with closing(RayApi(address, Path(token) if token else None)) as ray:
        for folder in folders:
            ray.submit(_document(folder))
        with session.progress("cli.simulate.running", is_bytes=False) as tell:
            _watch(_ended(ray, folders), len(folders), tell)
    return [read_outcome(folder) for folder in folders]


def _document(folder: Path) -> dict[str, object]:
    """Return what Ray is told of a piece: this Python runs it, with the modules that are seen here.

    The submission is named for the folder: asked again, Ray finds what it was given already.
    """
    words = [sys.executable, "-m", "intertie.simulator.piece", str(folder)]
    return {
        "entrypoint": shlex.join(words),
        "submission_id": f"intertie-piece-{_named(folder)}",
        "entrypoint_num_cpus": 1,
        "runtime_env": {"env_vars": {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}},
    }


def _named(folder: Path) -> str:
    from hashlib import sha256

    asked = sorted(folder.glob("piece.json"))
    seen = b"".join(path.read_bytes() for path in asked)
    return sha256(str(folder).encode() + seen + str(os.getpid()).encode()).hexdigest()[:24]


def _ended(ray: object, folders: list[Path]) -> Iterator[int]:
    """Yield once for each piece that has ended; BadTrace names one that Ray could not run."""
    from intertie.engines.ray.api import RayApi
    from intertie.simulator.piece import ANSWER
    from intertie.simulator.traces.trace import BadTrace

    assert isinstance(ray, RayApi)
    left = dict.fromkeys(folders)
    while left:
        for folder in list(left):
            if (folder / ANSWER).exists():
                del left[folder]
                yield 1
                continue
            job = ray.job(f"intertie-piece-{_named(folder)}")
            if (job is None or not job.is_alive) and not (folder / ANSWER).exists():
                raise BadTrace(f"Ray ended {folder.name}: {job.message if job else 'unknown'}")
        sleep(ASK_EACH_S if left else 0)


def _watch(done: Iterator[int], total: int, tell: Callable[[int, int], None]) -> None:
    """Tell how many of all are done, once that takes longer than a moment."""
    began, count = monotonic(), 0
    for each in done:
        count += each
        if monotonic() - began > QUIET_S:
            tell(count, total)
