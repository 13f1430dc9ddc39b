"""Where compiled kernels are kept: in a folder named by the hash of all kernel sources.

numba's own cache does not notice that a function in another file, which a kernel calls, was
edited; a folder for each state of the sources does.
"""

import os
from hashlib import sha256
from pathlib import Path

ROOMS = ("world", "planner", "market", "placement", "run", "simulator")


def prepare_kernels() -> None:
    """Point numba at the folder of these sources; call it before a kernel is imported."""
    root = Path(__file__).parent.parent
    digest = sha256()
    for room in ROOMS:
        for source in sorted((root / room).rglob("*.py")):
            digest.update(source.name.encode() + source.read_bytes())
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "intertie" / "kernels" / digest.hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("NUMBA_CACHE_DIR", str(folder))


def warm_kernels() -> None:
    """Compile or load every kernel, so that the first round does not wait for it."""
    from intertie.placement import fill, ordering, preempting
    from intertie.planner import predicting

    fill.warm()
    ordering.warm()
    preempting.warm()
    predicting.warm()
