"""The owner's table `[kubernetes]`, checked; every error names the key and the fix."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from intertie.engines.registry import EngineSettings

NOBODY_UID = 65534
LABEL = re.compile(r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$", re.ASCII)
LABEL_KEY = re.compile(
    r"^([a-z0-9][-a-z0-9.]*/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$", re.ASCII
)
NAME = re.compile(r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", re.ASCII)
VOLUMES = ("hostPath", "persistentVolumeClaim")


@dataclass(frozen=True)
class Device:
    """A device class as the cluster knows it: an extended resource on nodes with these labels."""

    resource: str
    selector: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class KubernetesSettings:
    """What the owner says of the cluster.

    `volume` is a volume source of Kubernetes; `prefix` is where in it the agent's folder is.
    `images` are images by the name of a software stack; `image` is for jobs that ask for none.
    `user` is the uid and gid of every pod. `has_network_policy`: the namespace holds the policy
    of deploy/kubernetes that cuts pods off which may not have a network. `gang_hold_off_s`: for
    how long some pods of a gang may hold their nodes while others have none.
    """

    folder: Path
    image: str
    volume: Mapping[str, Any]
    prefix: str = ""
    namespace: str = "intertie"
    kubeconfig: str = ""
    context: str = ""
    images: Mapping[str, str] = field(default_factory=dict)
    devices: Mapping[str, Device] = field(default_factory=dict)
    selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    priority_class: str = ""
    pull_secrets: tuple[str, ...] = ()
    user: int = NOBODY_UID
    has_network_policy: bool = False
    gang_hold_off_s: int = 60
    grace_s: int = 10
    disk_bytes: int = 0


def read(own: EngineSettings) -> KubernetesSettings:
    """Return the settings of an owner's table; ValueError names the key and the fix."""
    told = dict(own.table)
    read = KubernetesSettings(
        folder=own.folder.resolve(),
        grace_s=own.grace_s,
        disk_bytes=own.disk_bytes,
        image=_text(told, "image", needed="the image of jobs that name none"),
        volume=_volume(told.pop("volume", None)),
        prefix=_text(told, "prefix").strip("/"),
        namespace=_name(told, "namespace", "intertie"),
        kubeconfig=_text(told, "kubeconfig"),
        context=_text(told, "context"),
        images=_texts("images", told.pop("images", {})),
        devices=_devices(told.pop("devices", {})),
        selector=_labels("selector", told.pop("selector", {})),
        tolerations=_tables("tolerations", told.pop("tolerations", [])),
        priority_class=_name(told, "priority_class", ""),
        pull_secrets=_names("pull_secrets", told.pop("pull_secrets", [])),
        user=_user(told.pop("user", os.getuid() or NOBODY_UID)),
        has_network_policy=_flag(told, "has_network_policy"),
        gang_hold_off_s=_seconds(told, "gang_hold_off_s", 60),
    )
    if told:
        known = ", ".join(
            name for name in KubernetesSettings.__dataclass_fields__ if name != "folder"
        )
        raise ValueError(
            f"{sorted(told)[0]}: no such setting of the kubernetes engine; there is {known}"
        )
    if ".." in read.prefix.split("/"):
        raise ValueError("prefix: must stay inside the volume; remove `..`")
    return read


def _text(told: dict[str, Any], key: str, needed: str = "") -> str:
    value = told.pop(key, "")
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(f"{key}: {value!r} is not a text; put it in quotes")
    if needed and not value:
        raise ValueError(f"{key}: missing; say {needed}")
    return value


def _name(told: dict[str, Any], key: str, default: str) -> str:
    value = _text(told, key) or default
    if value and not NAME.match(value):
        raise ValueError(f"{key}: {value!r} is no name in Kubernetes; use a-z, 0-9 and -")
    return value


def _flag(told: dict[str, Any], key: str) -> bool:
    value = told.pop(key, False)
    if not isinstance(value, bool):
        raise ValueError(f"{key}: {value!r} is neither true nor false")
    return value


def _seconds(told: dict[str, Any], key: str, default: int) -> int:
    value = told.pop(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{key}: {value!r} is no number of seconds from 1 on")
    return value


def _user(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**31:
        raise ValueError(f"user: {value!r} is not the uid of an ordinary user; no pod runs as root")
    if os.geteuid() not in (0, value):
        own = os.geteuid()
        raise ValueError(
            f"user: {value} cannot write what this agent makes; leave it out, or {own}"
        )
    return value


def _volume(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict) or len(value) != 1 or next(iter(value)) not in VOLUMES:
        raise ValueError(
            f"volume: say where the agent's folder is for pods: {' or '.join(VOLUMES)}"
        )
    kind, said = next(iter(value.items()))
    if kind == "hostPath":
        if not isinstance(said, str) or not said.startswith("/"):
            raise ValueError(f"volume.hostPath: {said!r} is not an absolute path")
        return {kind: {"path": said, "type": "Directory"}}
    if not isinstance(said, str) or not NAME.match(said):
        raise ValueError(f"volume.persistentVolumeClaim: {said!r} is not the name of a claim")
    return {kind: {"claimName": said}}


def _texts(key: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(
        isinstance(each, str) and each for each in value.values()
    ):
        raise ValueError(f"{key}: must be a table of texts")
    return value


def _labels(key: str, value: Any) -> dict[str, str]:
    for name, said in _texts(key, value).items():
        if not LABEL_KEY.match(name) or not LABEL.match(said):
            raise ValueError(f"{key}.{name}: {said!r} is not a label of Kubernetes")
    return dict(value)


def _devices(value: Any) -> dict[str, Device]:
    if not isinstance(value, dict):
        raise ValueError('devices: must be a table, as in a100 = {resource = "nvidia.com/gpu"}')
    return {name: _device(f"devices.{name}", said) for name, said in value.items()}


def _device(key: str, said: Any) -> Device:
    if not isinstance(said, dict) or set(said) - {"resource", "selector"}:
        raise ValueError(f"{key}: must be a table with resource and selector")
    resource = said.get("resource", "")
    if not isinstance(resource, str) or not LABEL_KEY.match(resource):
        raise ValueError(f"{key}.resource: {resource!r} is not a resource, as nvidia.com/gpu is")
    return Device(resource, _labels(f"{key}.selector", said.get("selector", {})))


def _tables(key: str, value: Any) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise ValueError(f"{key}: must be a list of tables")
    return tuple(value)


def _names(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"{key}: must be a list of names")
    return tuple(value)
