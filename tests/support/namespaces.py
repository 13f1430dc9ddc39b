"""Two network namespaces with addresses of their own and one line between them; needs root."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from tests.faults.places import is_root

_numbers = count(1)
WHY_NOT = "needs root and iproute2 to make network namespaces (Debian: apt-get install iproute2)"


def can_be_made() -> bool:
    """Return whether namespaces can be made here."""
    try:
        return is_root()
    except FileNotFoundError:
        return False


@dataclass
class Site:
    """One machine as the others see it: a namespace with an address."""

    name: str
    address: str
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def run(self, *words: str, **known: str) -> subprocess.CompletedProcess[str]:
        """Run a command of ours here to its end."""
        return subprocess.run(
            self._argv(words),
            check=False,
            capture_output=True,
            text=True,
            timeout=180,
            env=_env(known),
        )

    def start(self, log: Path, *words: str, **known: str) -> subprocess.Popen[bytes]:
        """Start a command of ours here, with its output in a file."""
        with log.open("ab") as out:
            made = subprocess.Popen(
                self._argv(words),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                env=_env(known),
            )
        self.started.append(made)
        return made

    def _argv(self, words: Sequence[str]) -> list[str]:
        inside = ["ip", "netns", "exec", self.name]
        return [*inside, sys.executable, "-m", "intertie.cli.main", *words]


class Pair:
    """Two sites joined by one line; `close` ends what was started there."""

    def __init__(self) -> None:
        number = next(_numbers)
        base = f"itj{os.getpid()}n{number}"
        self.sites = (Site(f"{base}a", "198.51.100.1"), Site(f"{base}b", "198.51.100.2"))
        for site in self.sites:
            _ip("netns", "add", site.name)
        near, far = self.sites
        peer = ("peer", "eth0", "netns", far.name)
        _ip("-n", near.name, "link", "add", "eth0", "type", "veth", *peer)
        for site in self.sites:
            _ip("-n", site.name, "addr", "add", f"{site.address}/24", "dev", "eth0")
            _ip("-n", site.name, "link", "set", "eth0", "up")
            _ip("-n", site.name, "link", "set", "lo", "up")

    def close(self) -> None:
        for process in [p for site in self.sites for p in site.started]:
            if process.poll() is None:
                process.terminate()
                process.wait(60)
        for site in self.sites:
            _ip("netns", "del", site.name)


def _env(known: dict[str, str]) -> dict[str, str]:
    return os.environ | {"COLUMNS": "400"} | known


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
