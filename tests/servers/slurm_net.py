"""A real Slurm cluster whose machines are network namespaces, so that one's link can be cut.

Controller and each node have an address of their own on a bridge inside the controller's
namespace; no address of this machine is used.
"""

import os
import re
import subprocess
from itertools import count
from typing import Any

from tests.servers import slurm
from tests.servers.slurm import PATH, SlurmCluster
from tests.support import namespaces

COMMANDS = ("sbatch", "squeue", "scancel", "scontrol", "sinfo", "sacct")
NETWORK = "198.51.100"  # is set aside for examples, and is nobody's
_numbers = count(1)


def missing() -> str:
    """Return in one line what is to be installed; nothing where such a cluster can be had."""
    return slurm.missing() or ("" if namespaces.can_be_made() else namespaces.WHY_NOT)


class NetCluster(SlurmCluster):
    """A cluster with a link to each node: `cut` and `heal` are its faults."""

    def __init__(self, name: str, **known: Any) -> None:
        self.base = f"its{os.getpid()}n{next(_numbers)}"
        super().__init__(name, **known)
        self.environment["PATH"] = f"{self._write_commands()}:{PATH}"

    def start(self) -> None:
        self._make_network()
        super().start()

    def cut(self, node: str) -> None:
        """Cut a node's link; what runs there runs on."""
        _ip("-n", self._namespace(), "link", "set", self._port(node), "down")

    def heal(self, node: str) -> None:
        _ip("-n", self._namespace(), "link", "set", self._port(node), "up")

    def _namespace(self, node: str = "") -> str:
        """Return a node's namespace, or the controller's."""
        return f"{self.base}-{node}" if node else self.base

    def _port(self, node: str) -> str:
        return f"v{self.nodes.index(node)}"

    def _make_network(self) -> None:
        home = self._namespace()
        self._add(home)
        _ip("-n", home, "link", "add", "br0", "type", "bridge")
        _ip("-n", home, "addr", "add", f"{NETWORK}.1/24", "dev", "br0")
        for device in ("lo", "br0"):
            _ip("-n", home, "link", "set", device, "up")
        for number, node in enumerate(self.nodes):
            there, port = self._namespace(node), self._port(node)
            self._add(there)
            peer = ("peer", "name", "eth0", "netns", there)
            _ip("link", "add", port, "netns", home, "type", "veth", *peer)
            _ip("-n", home, "link", "set", port, "master", "br0", "up")
            _ip("-n", there, "addr", "add", f"{NETWORK}.{number + 11}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip("-n", there, "link", "set", device, "up")

    def _add(self, namespace: str) -> None:
        _ip("netns", "add", namespace)
        self.undo("ip", "netns", "del", namespace)

    def _write_configuration(self) -> None:
        super()._write_configuration()
        text = self.conf.read_text().replace("(127.0.0.1)", f"({NETWORK}.1)")
        text = re.sub(r"CommunicationParameters=.*\n", "", text)
        addresses = iter(range(11, 11 + len(self.nodes)))
        told = re.compile(r"NodeAddr=127\.0\.0\.1")
        self.conf.write_text(told.sub(lambda _: f"NodeAddr={NETWORK}.{next(addresses)}", text))

    def _write_commands(self) -> str:
        """Write Slurm's commands as they are typed on the controller's machine."""
        folder = self.folder / "bin"
        folder.mkdir()
        for name in COMMANDS:
            path = folder / name
            path.write_text(
                f'#!/bin/sh\nPATH={PATH}\nexec ip netns exec {self._namespace()} {name} "$@"\n'
            )
            path.chmod(0o755)
        return str(folder)

    def begin(self, name: str, argv: list[str], *more: Any, **known: Any) -> None:
        there = self._namespace(name if name in self.nodes else "")
        super().begin(name, ["ip", "netns", "exec", there, *argv], *more, **known)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
