"""The shim's meters: CPU time and memory of one attempt."""

from __future__ import annotations

import os
from contextlib import suppress

from intertie.engines.shim.procfs import descendants, read_text, stat_fields

TYPE_CHECKING = False  # typing itself costs a start more than Python does
if TYPE_CHECKING:
    from typing import Any


class Meters:
    """CPU time and memory, from the control group, else summed over the process tree."""

    def __init__(self, groups: dict[str, Any]) -> None:
        self.groups = groups
        self.cpu_ms = 0
        self.peak_bytes = 0
        self.is_exact = bool(groups.get("cpu"))

    def read(self, child: int) -> None:
        """Read what there is to read now; `child` is the top of the process tree."""
        if self.is_exact:
            self.cpu_ms = self._group_cpu_ms()
        if path := self.groups.get("peak"):
            with suppress(OSError, ValueError):
                self.peak_bytes = max(self.peak_bytes, int(read_text(path)))
        if not self.is_exact or not self.groups.get("peak"):
            self._add_up(child)

    def note_peak(self, peak_bytes: int) -> None:
        """Note what a process that has ended took at most, where no control group says it."""
        if not self.groups.get("peak"):
            self.peak_bytes = max(self.peak_bytes, peak_bytes)

    def oom_kills(self) -> int:
        """Return how often the kernel killed a process of the group for want of memory."""
        with suppress(OSError, ValueError, KeyError):
            rows = read_text(self.groups["oom"]).splitlines()
            return int(dict(row.split() for row in rows)["oom_kill"])
        return 0

    def _group_cpu_ms(self) -> int:
        text = read_text(self.groups["cpu"])
        if self.groups["cpu"].endswith("cpuacct.usage"):
            return int(text) // 1_000_000
        return int(dict(row.split() for row in text.splitlines())["usage_usec"]) // 1000

    def _add_up(self, child: int) -> None:
        cpu_ms, rss_bytes = 0, 0
        for pid in [child, *descendants(child)]:
            with suppress(OSError, IndexError, ValueError):
                fields = stat_fields(pid)
                cpu_ms += (int(fields[11]) + int(fields[12])) * 1000 // os.sysconf("SC_CLK_TCK")
                rss_bytes += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
        if not self.is_exact:
            self.cpu_ms = max(self.cpu_ms, cpu_ms)
        if not self.groups.get("peak"):
            self.peak_bytes = max(self.peak_bytes, rss_bytes)
