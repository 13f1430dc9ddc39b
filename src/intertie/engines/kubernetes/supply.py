"""What the cluster has and what is left of it, asked for now and then."""

import re
import shutil
import time
from typing import Any

from intertie.engines.kubernetes import capacity
from intertie.engines.kubernetes.settings import KubernetesSettings
from intertie.engines.kubernetes.site import Forbidden, Site
from intertie.engines.protocol import EngineFacts, EngineUnavailable, Room
from intertie.model.parties import Stack

Document = dict[str, Any]
FRESH_S = 5.0
TAG = re.compile(r":([\w][\w.-]*)(@|$)", re.ASCII)


class Supply:
    """Nodes, quotas and others' pods, as they were at most some seconds ago."""

    def __init__(self, settings: KubernetesSettings, site: Site) -> None:
        self._own, self._site = settings, site
        self._nodes_at, self._nodes = -FRESH_S, list[Document]()
        self._room_at, self._room = -FRESH_S, Room(0, 0)

    def facts(self) -> EngineFacts:
        """Return groups of like nodes; EngineUnavailable if no node is ready."""
        own = self._own
        disk_bytes = own.disk_bytes or shutil.disk_usage(own.folder).free
        nodes = capacity.groups(self._machines(), disk_bytes)
        if not nodes:
            raise EngineUnavailable("no node of the cluster is ready, not cordoned and selected")
        stacks = tuple(Stack(name, _version(image)) for name, image in own.images.items())
        abilities = ("sandbox", "containers", "gangs", "cpu_limit", "memory_limit")
        missing = ("pids_limit",)
        if own.has_network_policy:
            return EngineFacts("kubernetes", nodes, stacks, (*abilities, "network_off"), missing)
        return EngineFacts("kubernetes", nodes, stacks, abilities, (*missing, "network_off"))

    def room(self, agent: str) -> Room:
        """Return what nodes and quotas leave, less the pods of others that we may see."""
        if time.monotonic() - self._room_at >= FRESH_S:
            quotas, _ = self._site.list(self._site.quotas)
            pods = self._all_pods()
            self._room = capacity.room(self._machines(), self._own.devices, pods, quotas, agent)
            self._room_at = time.monotonic()
        return self._room

    def is_ready(self, node: str) -> bool:
        """Return whether a node's kubelet answers."""
        named = (each for each in self._all_nodes() if each["metadata"]["name"] == node)
        return any(capacity.is_ready(each) for each in named)

    def _machines(self) -> list[capacity.Machine]:
        return capacity.machines(self._all_nodes(), self._own.devices, self._own.selector)

    def _all_nodes(self) -> list[Document]:
        if time.monotonic() - self._nodes_at >= FRESH_S:
            self._nodes, _ = self._site.list("/api/v1/nodes")
            self._nodes_at = time.monotonic()
        return self._nodes

    def _all_pods(self) -> list[Document]:
        """Return every pod that may be seen: of the cluster, else of the namespace."""
        unfinished = "status.phase!=Succeeded,status.phase!=Failed"
        try:
            return self._site.list("/api/v1/pods", fieldSelector=unfinished)[0]
        except Forbidden:
            return self._site.list(self._site.pods, fieldSelector=unfinished)[0]


def _version(image: str) -> str:
    told = TAG.search(image.rpartition("/")[2])
    return told[1] if told else "latest"
