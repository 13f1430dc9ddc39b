"""An agent that dies, as by kill -9, just before its N-th step that changes the disk or starts one.

Run as `python dying.py N SETTINGS`. Steps are counted once the agent has joined.
"""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from intertie.agent.main import Agent, run
from intertie.agent.settings import read_settings

steps_left = iter(range(int(sys.argv[1]) - 1))
is_counting = threading.Event()
lock = threading.Lock()


def deadly(step: Callable[..., Any]) -> Callable[..., Any]:
    def counted(*known: Any, **named: Any) -> Any:
        if is_counting.is_set():
            with lock:
                if next(steps_left, None) is None:
                    os._exit(137)
        return step(*known, **named)

    return counted


for name in ("fsync", "posix_spawn", "write", "replace"):
    setattr(os, name, deadly(getattr(os, name)))
adopt = Agent._adopt


def begin(agent: Agent) -> None:
    is_counting.set()
    adopt(agent)


Agent._adopt = begin  # type: ignore[method-assign, assignment]
sys.exit(run(read_settings(Path(sys.argv[2]))))
