"""The shim with faults: it ends or stops at a planned write of its status.

Run as the engine runs its own shim: `python -I -S shim.py FOLDER`. The plan lies in the agent's
folder, two above the attempt's; which shim this is, in the order of their starts, is found by
making a folder that nobody made before.
"""

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "src"))  # -I hides the package from its own script

from intertie.engines.shim import status  # noqa: E402  (only now can it be found)
from intertie.engines.shim.launch import main  # noqa: E402


def fail_as_planned(home: Path) -> None:
    """Have this shim fail at the write that its plan names, if it is the one that is meant."""
    plan = json.loads((home / "shims.json").read_text())
    nth = _ordinal(home / "shims")
    planned = {at: (what, seconds) for number, at, what, seconds in plan if number == nth}
    write, count = status.Status._write, 0

    def counted(self: status.Status, name: str) -> str:
        nonlocal count
        for is_before in (True, False):
            count += 1
            what, seconds = planned.get(count, ("", 0.0))
            if what and (home / "armed").exists():
                _fail(home, what, seconds)
            if is_before:
                written = write(self, name)
        return written

    status.Status._write = counted  # type: ignore[method-assign]


def _ordinal(folder: Path) -> int:
    folder.mkdir(exist_ok=True)
    nth = sum(1 for _ in folder.iterdir()) + 1
    while True:
        try:
            (folder / str(nth)).mkdir()
        except FileExistsError:
            nth += 1
        else:
            return nth


def _fail(home: Path, what: str, seconds: float) -> None:
    (home / "failed").mkdir(exist_ok=True)
    told = home / "failed" / str(os.getpid())
    told.write_text(json.dumps([what, seconds]))
    if what == "kill":
        os._exit(137)
    os.kill(os.getpid(), signal.SIGSTOP)  # the harness reads the file and wakes us


if __name__ == "__main__":
    with suppress(FileNotFoundError):
        fail_as_planned(Path(sys.argv[1]).parents[1])
    sys.exit(main())
