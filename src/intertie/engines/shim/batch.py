"""A shim that a site's own scheduler starts: it finds its folder by its index in a manifest.

`python -I -S main.py MANIFEST FOLDER`, in a batch job. SLURM_ARRAY_TASK_ID is the index; in the
job of a gang, whose tasks srun starts together, SLURM_PROCID is.
"""

import json
import os
import sys

from intertie.engines.shim.launch import run_attempt
from intertie.engines.shim.procfs import read_text, write_text

AGAIN = "again"  # in an attempt's folder: the site began it a second time


def main() -> int:
    """Run the attempt; return 0, its outcome is on disk."""
    manifest, root = sys.argv[1:3]
    told = json.loads(read_text(manifest))
    # Slurm sets SLURM_PROCID everywhere.
    variable = "SLURM_PROCID" if told["ask"].get("members") else "SLURM_ARRAY_TASK_ID"
    folder = os.path.join(root, told["names"][int(os.environ.get(variable) or 0)])
    node = os.environ.get("SLURMD_NODENAME", "")
    if not run_attempt(folder, node):
        # Never twice: whoever claimed the attempt first has it. The engine tells the network.
        write_text(AGAIN, node)
    return 0
