"""What an attempt's folder holds before the site runs it: launcher, script, `spec.json`."""

import os
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intertie.engines.shim.procfs import write_new
from intertie.wire.sync import LeaseBody

VARIABLE = re.compile(r"^[A-Za-z_]\w*$", re.ASCII)
PATH = "/usr/local/bin:/usr/bin:/bin"
# What the site tells a job of itself and of the devices that it may use.
PASSED_ON = (
    "SLURM_",
    "CUDA_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "GPU_DEVICE_ORDINAL",
    "ZE_AFFINITY_MASK",
    "TMPDIR",
)


@dataclass(frozen=True)
class Launch:
    """What all attempts have in common: where Python is, and how long things may take."""

    python: str
    log_bytes_max: int
    grace_s: int
    term_grace_s: int

    def prepare(self, folder: Path, body: LeaseBody) -> dict[str, Any]:
        """Write the launcher and the script; return the specification that the shim reads.

        Values travel in a file that only we may read, not on a command line. ValueError names a
        variable that cannot be set.
        """
        job, work = folder / "job", folder / "work"
        job.mkdir(mode=0o700, exist_ok=True)
        work.mkdir(exist_ok=True)
        values = self._variables(work, body)
        rows = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
        write_new(job / "launch", "\n".join(["ulimit -c 0", *rows, 'exec "$@"', ""]))
        if body.script:
            write_new(job / "script", body.script, 0o700)
        return {
            "argv": ["/bin/sh", str(job / "launch"), *_program(job / "script", body)],
            "environment": {"PATH": self._path(), "LANG": "C.UTF-8"},
            "passes_on": PASSED_ON,
            "cwd": str(work),
            "work": str(work),
            "seccomp": "",
            "is_sandboxed": False,
            "groups": {},
            "poke": "",
            "clock": "wall",
            "session": str(folder.parent / "session") if body.on_partition == "move" else "",
            "time_limit_s": body.time_limit_s,
            "disk_bytes": body.disk_bytes,
            "log_bytes_max": self.log_bytes_max,
            "grace_s": self.grace_s,
            "term_grace_s": self.term_grace_s,
        }

    def _path(self) -> str:
        own = str(Path(self.python).parent)
        return PATH if own in PATH.split(":") else f"{own}:{PATH}"

    def _variables(self, work: Path, body: LeaseBody) -> dict[str, str]:
        threads = str(max(1, body.cpus_milli // 1000))
        told = {
            "HOME": str(work),
            "TZ": "UTC",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "INTERTIE_JOB": body.job,
            "INTERTIE_TASK_INDEX": str(body.task_index),
            "INTERTIE_ATTEMPT": str(body.attempt),
            "INTERTIE_CHECKPOINT": body.checkpoint_path,
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
        }
        for name, value in body.environment.items():
            if not VARIABLE.match(name) or "\0" in value:
                raise ValueError(f"environment: {name!r} cannot be set; use letters, digits and _")
        return told | body.environment


def remove_tree(folder: Path) -> None:
    """Remove an attempt's folder, with what its program has shut."""
    for root, names, _ in os.walk(folder):
        for path in (Path(root, name) for name in names):
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _program(script: Path, body: LeaseBody) -> list[str]:
    plain = [] if body.script.startswith("#!") else ["/bin/sh"]
    return body.command or [*plain, str(script)]
