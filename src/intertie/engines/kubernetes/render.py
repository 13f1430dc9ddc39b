"""Values in, documents out: what the API server is asked for. Pure but for the script it reads."""

import hashlib
import re
from importlib.resources import files
from typing import Any

from intertie.engines.kubernetes.settings import Device, KubernetesSettings
from intertie.engines.shim.laying import program
from intertie.wire.sync import LeaseBody

AGENT, LEASE, TOKEN = "intertie/agent", "intertie/lease", "intertie/token"
GANG, GANG_SIZE = "intertie/gang", "intertie/gang-size"
NETWORK = "intertie/network"
SCRIPT = "/intertie/job/script"
BOX = files("intertie.engines.kubernetes").joinpath("box.sh").read_text(encoding="utf-8")
# Names of pods are five characters and a dash longer, and no label is longer than 63.
NAME = re.compile(r"^[a-z0-9][-a-z0-9]{0,36}[a-z0-9]$", re.ASCII)
# Behind the box's own clock: the site ends what the box should have ended long ago. The site's
# clock runs while an image is fetched, too.
SLACK_S = 1800


def job_name(agent: str, lease: str, token: int) -> str:
    """Return the Job's name, by which a start is looked up before it is repeated."""
    said = f"{lease}-{token}"
    if not NAME.match(said):
        said = hashlib.sha256(said.encode()).hexdigest()[:20]
    return f"intertie-{agent}-{said}"


def job(
    own: KubernetesSettings, agent: str, lease: str, token: int, body: LeaseBody
) -> dict[str, Any]:
    """Return the Job of one attempt; ValueError says what of its body cannot be had here."""
    meta = {
        "labels": {
            "app.kubernetes.io/managed-by": "intertie",
            AGENT: agent,
            NETWORK: "on" if body.network else "off",
        },
        "annotations": {LEASE: lease, TOKEN: str(token), "intertie/job": body.job, **gang(body)},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job_name(agent, lease, token), **meta},
        "spec": {
            "backoffLimit": 0,
            "parallelism": 1,
            "completions": 1,
            "template": {"metadata": meta, "spec": _pod(own, f"{lease}-{token}", body)},
        },
    }


def gang(body: LeaseBody) -> dict[str, str]:
    """Return by which annotations an attempt is known to belong to a gang; none if it is alone."""
    if body.gang is None or body.gang.size == 1:
        return {}
    return {GANG: body.gang.id, GANG_SIZE: str(body.gang.size)}


def nothing_runs() -> dict[str, Any]:
    """Return the patch after which a Job has no pod and makes no new one."""
    return {"spec": {"parallelism": 0}}


def _pod(own: KubernetesSettings, folder: str, body: LeaseBody) -> dict[str, Any]:
    device = _device(own, body)
    grace_s = max(own.grace_s, body.checkpoint_grace_s)
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": body.time_limit_s + grace_s + SLACK_S,
        "terminationGracePeriodSeconds": grace_s,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": own.user,
            "runAsGroup": own.user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "nodeSelector": {**own.selector, **device.selector},
        "tolerations": list(own.tolerations),
        "containers": [_container(own, folder, body, device, grace_s)],
        "volumes": [{"name": "attempts", **own.volume}],
    }
    if own.priority_class:
        pod["priorityClassName"] = own.priority_class
    if own.pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in own.pull_secrets]
    return pod


def _device(own: KubernetesSettings, body: LeaseBody) -> Device:
    if not body.device_count:
        return Device("")
    if body.device_class not in own.devices:
        known = ", ".join(own.devices) or "none"
        raise ValueError(f"device_class: no {body.device_class!r} here; there is {known}")
    return own.devices[body.device_class]


def _container(
    own: KubernetesSettings, folder: str, body: LeaseBody, device: Device, grace_s: int
) -> dict[str, Any]:
    sizes = {"cpu": f"{body.cpus_milli}m", "memory": str(body.memory_bytes)}
    if body.device_count:
        sizes[device.resource] = str(body.device_count)
    moves = "move" if body.on_partition == "move" else "keep"
    return {
        "name": "task",
        "image": image(own, body),
        "command": ["/bin/sh", "-c", BOX.replace("$", "$$"), "intertie"],
        "args": [
            str(body.time_limit_s),
            str(grace_s),
            moves,
            "gang" if gang(body) else "alone",
            # `$(NAME)` is Kubernetes' own.
            *(word.replace("$", "$$") for word in program(body, SCRIPT)),
        ],
        "env": [
            _of_pod("INTERTIE_POD", "metadata.name"),
            _of_pod("INTERTIE_NODE", "spec.nodeName"),
        ],
        "resources": {"requests": sizes, "limits": sizes},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": _mounts(own, folder, moves == "move", gang(body).get(GANG, "")),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def image(own: KubernetesSettings, body: LeaseBody) -> str:
    """Return the image of a job: the one it names, that of its stack, or the owner's default."""
    return body.image or own.images.get(body.software.partition(" ")[0], own.image)


def _of_pod(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _mounts(
    own: KubernetesSettings, folder: str, is_moving: bool, gang_id: str
) -> list[dict[str, Any]]:
    """Return what a pod sees of the volume: never what only the agent may write."""
    root = f"{own.prefix}/" if own.prefix else ""
    seen = [("/work", f"{folder}/work", False), ("/intertie/log", f"{folder}/log", False)]
    seen += [("/intertie/end", f"{folder}/end", False)]
    seen += [(f"/intertie/{name}", f"{folder}/{name}", True) for name in ("job", "orders")]
    if is_moving:
        seen.append(("/intertie/session", "session", True))
    if gang_id:
        seen.append(("/intertie/gang", f"gangs/{gang_id}", True))
    return [
        {"name": "attempts", "mountPath": path, "subPath": f"{root}{source}", "readOnly": is_fixed}
        for path, source, is_fixed in seen
    ]
