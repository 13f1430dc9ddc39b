"""The shim as a folder of its own, for machines without this package: any Python 3.9 runs it.

A folder and not one packed file: Python keeps what it compiled beside it, and a shim starts in a
third of the time.
"""

import hashlib
import os
import shutil
from pathlib import Path

MODULES = ("batch", "launch", "meters", "output", "procfs", "status")
PACKAGES = ("intertie", "intertie/engines", "intertie/engines/shim")
MAIN = """import sys

sys.path.insert(0, __file__.rpartition("/")[0])
from intertie.engines.shim.batch import main

sys.exit(main())
"""


def write_shim(folder: Path) -> Path:
    """Write the shim below a folder and return its script; another version has another name.

    A version that is there stays: shims that run were started from it.
    """
    texts = _texts()
    version = hashlib.sha256(repr(sorted(texts.items())).encode()).hexdigest()[:12]
    path = folder / f".shim-{version}"
    if not path.exists():
        new = folder / f".shim-{version}.{os.getpid()}.{os.urandom(4).hex()}"
        for name, text in texts.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).write_text(text)
        try:
            new.rename(path)
        except OSError:  # another engine of this folder was first
            shutil.rmtree(new)
    return path / "main.py"


def _texts() -> dict[str, str]:
    here = Path(__file__).parent
    texts = {f"{package}/__init__.py": "" for package in PACKAGES}
    texts |= {f"{PACKAGES[-1]}/{name}.py": (here / f"{name}.py").read_text() for name in MODULES}
    return texts | {"main.py": MAIN}
