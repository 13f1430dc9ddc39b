"""What an attempt's folder holds before the site runs it: `work/` and what becomes `spec.json`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intertie.engines.shim import laying
from intertie.wire.sync import LeaseBody

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
        """Make the working folder; return the specification that the shim reads.

        ValueError names a variable that cannot be set.
        """
        told = laying.site_spec(folder, body, self.log_bytes_max, self.grace_s)
        (folder / "work").mkdir(exist_ok=True)
        told["environment"] = {"PATH": self._path()} | told["environment"]
        return told | {"passes_on": PASSED_ON, "term_grace_s": self.term_grace_s}

    def _path(self) -> str:
        own = str(Path(self.python).parent)
        return PATH if own in PATH.split(":") else f"{own}:{PATH}"
