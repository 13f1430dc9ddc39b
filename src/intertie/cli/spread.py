"""Pieces of a comparison, run in this process, in several, or as jobs of a Ray cluster."""

from __future__ import annotations

import os
import shlex
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from shutil import rmtree
from time import sleep
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from intertie.cli.session import Session
    from intertie.engines.ray.api import RayApi
    from intertie.simulator.piece import Piece
    from intertie.simulator.running import Outcome

ASK_EACH_S = 0.5
TOKEN_FILE = "RAY_AUTH_TOKEN_PATH"  # Ray's own name for it
KERNELS = "NUMBA_CACHE_DIR"  # where they are compiled already


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

    most = min(len(pieces), os.cpu_count() or 1)
    pool = ProcessPoolExecutor(most, get_context("spawn"), initializer=prepare_kernels)
    with pool, session.progress("cli.simulate.running", is_bytes=False) as tell:
        futures = [pool.submit(run_piece, piece) for piece in pieces]
        try:
            for done, _ in enumerate(as_completed(futures), start=1):
                tell(done, len(futures))
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def run_on_ray(session: Session, pieces: list[Piece], address: str, out: Path) -> list[Outcome]:
    """Return the outcome of each piece, each a job of the Ray cluster at `address`.

    The cluster's nodes see the traces, `out` and this Python under the same paths. Raises
    EngineUnavailable where Ray does not answer, and BadTrace with what a job ended with.
    """
    from intertie.control.kernels import prepare_kernels
    from intertie.engines.ray.api import RayApi
    from intertie.simulator.piece import read_outcome, write_piece

    prepare_kernels()
    token = os.environ.get(TOKEN_FILE)
    run = f"intertie-{token_hex(8)}"
    folders = {f"{run}-{at:04}": out.resolve() / run / f"{at:04}" for at in range(len(pieces))}
    for piece, folder in zip(pieces, folders.values(), strict=True):
        write_piece(piece, folder)
    with closing(RayApi(address, Path(token) if token else None)) as ray:
        try:
            for name, folder in folders.items():
                ray.submit(_document(name, folder))
            with session.progress("cli.simulate.running", is_bytes=False) as tell:
                for done, _ in enumerate(_ended(ray, folders), start=1):
                    tell(done, len(folders))
        except BaseException:
            for name in folders:
                ray.stop(name)
            raise
    outcomes = [read_outcome(folder) for folder in folders.values()]
    rmtree(out.resolve() / run)
    return outcomes


def _document(name: str, folder: Path) -> dict[str, object]:
    """Return what Ray is told of a piece: this Python runs it, with the modules seen here."""
    words = [sys.executable, "-m", "intertie.simulator.piece", str(folder)]
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environment |= {key: os.environ[key] for key in (KERNELS,) if key in os.environ}
    return {
        "entrypoint": shlex.join(words),
        "submission_id": name,
        "entrypoint_num_cpus": 1,
        "runtime_env": {"env_vars": environment},
    }


def _ended(ray: RayApi, folders: dict[str, Path]) -> Iterator[str]:
    """Yield each piece's name when it has ended; BadTrace names one that Ray could not run."""
    from intertie.simulator.piece import ANSWER
    from intertie.simulator.traces.trace import BadTrace

    left = dict(folders)
    while left:
        for name, folder in list(left.items()):
            job = ray.job(name)
            if (folder / ANSWER).exists():
                del left[name]
                yield name
            elif job is None or not job.is_alive:
                raise BadTrace(f"Ray ended {name}: {job.message if job else 'it is unknown'}")
        sleep(ASK_EACH_S if left else 0)
