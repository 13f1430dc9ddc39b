"""Documents for slurmrestd (OpenAPI v0.0.38), made from values; pure."""

from typing import Any

from intertie.engines.slurm.commands import Submission, comment
from intertie.engines.slurm.settings import REST_EXTRA, SlurmSettings

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
NICE = "100"  # what sbatch takes a bare --nice for


def submission(settings: SlurmSettings, told: Submission, script: str) -> dict[str, Any]:
    """Return the document that submits a script: the same job that `commands.sbatch` makes."""
    ask = told.ask
    job = {
        "name": told.job_name,
        "comment": comment(told.names),
        "no_requeue": True,  # slurmrestd takes "requeue": false for true
        "environment": ENVIRONMENT,
        "current_working_directory": told.folder,
        "standard_input": "/dev/null",
        "standard_output": told.output,
        "open_mode": "append",
        "nodes": ask.machines,
        "tasks": ask.members or 1,
        "cpus_per_task": ask.cpus,
        "memory_per_node": str(ask.per_machine * ask.memory_mib),
        "time_limit": ask.minutes,
        "partition": ",".join(ask.partitions),
    }
    if ask.members:
        job["tasks_per_node"] = ask.per_machine
    elif len(told.names) > 1:
        job["array"] = f"0-{len(told.names) - 1}"
    if ask.gres_count:
        job["gres"] = f"gpu:{ask.gres_type}:{ask.per_machine * ask.gres_count}"
    named = {"account": settings.account, "qos": settings.qos} | _extra(settings)
    return {"script": script, "job": job | {key: value for key, value in named.items() if value}}


def _extra(settings: SlurmSettings) -> dict[str, str]:
    pairs = (option.removeprefix("--").partition("=") for option in settings.extra)
    return {REST_EXTRA[name]: value or NICE for name, _, value in pairs}
