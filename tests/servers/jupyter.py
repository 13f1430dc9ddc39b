"""A real JupyterLab: an environment that a provider who offers notebooks runs the agent in."""

import os
import sys
from pathlib import Path

import pytest

VERSION = "4.6.6"


def jupyter_python() -> Path:
    """Return the environment's interpreter; skip where there is none."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    minor = f"{sys.version_info[0]}.{sys.version_info[1]}"
    home = cache / "intertie" / f"jupyterlab-{VERSION}-python{minor}"
    if not (home / "complete").exists():
        pytest.skip(f"no JupyterLab {VERSION} here: run scripts/jupyter/build.sh")
    return home / "bin" / "python"
