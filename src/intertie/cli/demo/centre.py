"""The fourth provider: a Slurm site that is here already, and the sbatch script for it."""

from typing import Any

from intertie.cli.demo.staging import example
from intertie.client import from_sbatch
from intertie.engines.protocol import EngineUnavailable
from intertie.engines.slurm.runner import Runner, SiteRefuses

PROVIDER, POOL, PROJECT = "centre", "cluster", "statistics"
TRIAL = 5
ANSWERS_WITHIN_S = 10.0
SETTINGS: dict[str, Any] = {
    "engine": "slurm",
    "price": "0.05",
    "region": "cn-south",
    "country": "CN",
    "latency_ms": 20,
    "grace": 3,
    "lent_cpus": 4,
    "lent_memory": "2GiB",
    "lent_devices": 0,
}


def is_here() -> bool:
    """Return whether a Slurm site answers on this machine."""
    try:
        answer = Runner(timeout_s=ANSWERS_WITHIN_S).run(["sinfo", "--noheader", "--format=%R"])
    except (EngineUnavailable, SiteRefuses):
        return False
    return bool(answer.strip())


def spec() -> dict[str, Any]:
    """Return the job that an sbatch script means; it names no pool, and runs where it pays."""
    script = example("importing", "sweep.sbatch").read_text(encoding="utf-8")
    return {**from_sbatch(script).spec, "expected": 4, "prefer": "cheapest", "budget": 1}
