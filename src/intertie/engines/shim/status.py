"""What an attempt's shim writes to disk and the engine reads: `status.json`."""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress

from intertie.engines.shim.procfs import boot_id, ticks_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class Status:
    """`status.json`: replaced as a whole, so that a reader never sees half of it."""

    def __init__(self, folder: str, poke: str) -> None:
        self.folder = folder
        self.poke = poke
        self.values: dict[str, Any] = {
            "state": "pending",
            "shim": [os.getpid(), ticks_of(os.getpid())],
            "boot": boot_id(),
            "program": [0, 0],
            "started_at": 0,
            "ran_ms": 0,
            "cpu_ms": 0,
            "memory_peak_bytes": 0,
            "cause": "none",
            "exit_code": None,
            "signal": None,
            "detail": "",
            "node": "",
        }

    def claim(self, **values: Any) -> bool:
        """Return True if nobody was first: a second shim, or an engine that withdraws the start."""
        self.values |= values
        name = self._write(f"{self.folder}/status.{os.getpid()}")
        try:
            os.link(name, f"{self.folder}/status.json")
        except FileExistsError:
            return False
        finally:
            os.unlink(name)
        poke(self.poke)
        return True

    def set(self, **values: Any) -> bool:
        """Write new values; poke the agent if the state changed.

        Return False if the owner's disk is full: the values are kept for the next call.
        """
        is_news = values.get("state", self.values["state"]) != self.values["state"]
        self.values |= values
        try:
            name = self._write(f"{self.folder}/status.new")
            os.replace(name, f"{self.folder}/status.json")
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            return False
        if is_news:
            poke(self.poke)
        return True

    def _write(self, name: str) -> str:
        with open(name, "w", encoding="utf-8") as file:
            json.dump(self.values, file)
        return name


def poke(name: str) -> None:
    """Wake the engine that listens under this name, if one does; no name is nobody."""
    if not name:
        return
    import socket  # a shim that pokes nobody starts without it

    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wire:
        wire.setblocking(False)
        wire.sendto(b".", "\0" + name)
