"""From values to what Ray reads: a submission id and the document of one job. Pure."""

import shlex
from collections.abc import Mapping
from typing import Any

from intertie.engines.ray.settings import ACCELERATOR, GPU
from intertie.wire.sync import LeaseBody

SITE_GRACE_S = 5
A_TRACE = 0.001


def submission_id(pool: str, name: str) -> str:
    """Return the job's id at the site: of this pool, and of this lease and token."""
    return f"{prefix(pool)}{name}"


def prefix(pool: str) -> str:
    """Return what the ids of all jobs of a pool begin with."""
    return f"intertie-{pool}-"


def actor_name(submission: str) -> str:
    """Return the name of the actor under which Ray runs a submitted job."""
    return f"_ray_internal_job_actor_{submission}"


def job(
    submission: str,
    argv: list[str],
    body: LeaseBody,
    classes: Mapping[str, str],
    runtime_env: Mapping[str, Any],
    grace_s: int,
) -> dict[str, Any]:
    """Return the document that submits one attempt. `argv` is made of our own paths only.

    Raises ValueError for a device class for which Ray has no name.
    """
    # Whoever stops the job at the site gives it as much grace as we do.
    told = {"RAY_JOB_STOP_WAIT_TIME_S": str(grace_s + SITE_GRACE_S)}
    variables = dict(runtime_env.get("env_vars", {})) | told
    return {
        "submission_id": submission,
        "entrypoint": f"exec {shlex.join(argv)}",
        "metadata": {"intertie_job": body.job, "intertie_attempt": str(body.attempt)},
        "runtime_env": dict(runtime_env) | {"env_vars": variables},
        "entrypoint_num_cpus": body.cpus_milli / 1000,
        "entrypoint_memory": body.memory_bytes,
        **_devices(body.device_class, body.device_count, classes),
    }


def resource_of(device_class: str, classes: Mapping[str, str]) -> str:
    """Return Ray's name of a device class; ValueError says what to add."""
    if device_class not in classes:
        raise ValueError(f"resources: Ray has no name for {device_class!r}; add it to the table")
    return classes[device_class]


def _devices(device_class: str, count: int, classes: Mapping[str, str]) -> dict[str, Any]:
    if not count:
        return {}
    resource = resource_of(device_class, classes)
    if resource == GPU:
        return {"entrypoint_num_gpus": count}
    if resource.startswith(ACCELERATOR):  # Ray marks a node of such GPUs with one of it
        return {"entrypoint_num_gpus": count, "entrypoint_resources": {resource: A_TRACE}}
    return {"entrypoint_resources": {resource: count}}
