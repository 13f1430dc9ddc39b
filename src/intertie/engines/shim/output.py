"""The program's output: one append-only file with a cap."""

import os
import time

CHUNK_BYTES = 1 << 20


class Log:
    """The program's output, copied to a file up to a cap; what comes after the cap is dropped."""

    def __init__(self, path: str, source: int, bytes_max: int) -> None:
        self.source = source
        self.left_bytes = bytes_max
        self.is_full = False
        self.target = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)

    def copy(self) -> bool:
        """Copy what is there; return False at the end of it, or when there is nothing now."""
        try:
            data = os.read(self.source, CHUNK_BYTES)
        except BlockingIOError:
            return False
        kept = data[: self.left_bytes]
        while kept:
            kept = kept[self._append(kept) :]
        self.left_bytes -= min(len(data), self.left_bytes)
        if data and not self.left_bytes and not self.is_full:
            self.is_full = True
            self._append(b"\n[intertie] the log is cut here: it reached its size limit\n")
        if self.is_full:
            time.sleep(0.005)  # a flood is slowed down, it must not cost the owner a core
        return bool(data)

    def _append(self, data: bytes) -> int:
        try:
            return os.write(self.target, data)
        except OSError:  # the owner's disk is full: the program need not know
            self.is_full = True
            return len(data)

    def last_line(self) -> str:
        """Return the end of the output: it says why a sandbox did not start."""
        size = os.stat("log").st_size
        with open("log", "rb") as file:
            file.seek(max(0, size - 2000))
            lines = file.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:1000] if lines else ""

    def close(self) -> None:
        if os.fstat(self.target).st_size:  # nothing needs no disk
            os.fsync(self.target)
        os.close(self.target)
