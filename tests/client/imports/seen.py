"""What an import came to, written so that a person can check it: the other half of `scripts/`."""

from pathlib import Path
from typing import Any

import yaml

from intertie.client.imports import Imported, from_sbatch, from_sky

SCRIPTS = Path(__file__).parent / "scripts"
JOBS = {"481516": "job-0007", "1001": "job-0008", "1002": "job-0009"}
VARIABLES = {"DATASET": "corpus"}
ALWAYS = {
    "SLURM_CLUSTER_NAME": "intertie",
    "SLURM_NNODES": "1",
    "SLURM_JOB_NUM_NODES": "1",
    "SLURM_NODEID": "0",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_GTIDS": "0",
}


def imported(path: Path) -> Imported:
    """Return what a file becomes, with the same jobs and variables for all."""
    text = path.read_bytes().decode()
    if path.suffix == ".sbatch":
        return from_sbatch(text, path.stem, jobs=JOBS, variables=VARIABLES)
    return from_sky(text, path.stem, VARIABLES)


def seen(found: Imported) -> dict[str, Any]:
    """Return spec and notes in short: no script, sizes in MiB, what is always so left out."""
    spec = {name: value for name, value in found.spec.items() if name != "script"}
    sizes = {
        n: f"{spec['resources'][n] >> 20}MiB" for n in ("memory", "disk") if n in spec["resources"]
    }
    spec["resources"] = spec["resources"] | sizes
    told = spec.pop("environment")
    if "values" in spec.get("array", {}):
        indexes = [row["SLURM_ARRAY_TASK_ID"] for row in spec["array"]["values"]]
        spec["array"] = indexes if len(indexes) < 20 else f"{len(indexes)} from {indexes[0]}"
    spec["environment"] = dict(told.items() - _follows(spec, told).items())
    spec["environment"] = dict(sorted(spec["environment"].items()))
    notes = [f"{note.level} {note.line}: {note.asked} = {note.code}" for note in found.notes]
    return {"spec": spec, "workdir": found.workdir, "notes": notes}


def _follows(spec: dict[str, Any], told: dict[str, str]) -> dict[str, str]:
    """Return the variables that follow from the rest, having checked that they are there."""
    if "SLURM_NTASKS" not in told:
        return {}
    cpus, memory = str(spec["resources"]["cpus"]), spec["resources"]["memory"].removesuffix("MiB")
    follows = ALWAYS | dict.fromkeys(("SLURM_NPROCS", "SLURM_TASKS_PER_NODE"), told["SLURM_NTASKS"])
    follows |= dict.fromkeys(("SLURM_CPUS_ON_NODE", "SLURM_JOB_CPUS_PER_NODE"), cpus)
    follows |= {"SLURM_MEM_PER_NODE": memory}
    if devices := spec["resources"].get("devices"):
        count, listed = devices["count"], ",".join(map(str, range(devices["count"])))
        follows |= dict.fromkeys(("SLURM_GPUS", "SLURM_GPUS_ON_NODE"), str(count))
        follows |= dict.fromkeys(("SLURM_JOB_GPUS", "SLURM_STEP_GPUS"), listed)
    assert follows.items() <= told.items()
    return follows


def written(found: Imported) -> str:
    """Return what was seen as YAML, for a person to check before it is kept."""
    return str(yaml.safe_dump(seen(found), sort_keys=False, allow_unicode=True, width=1000))
