"""The shim: launches one attempt, outlives the agent, and writes what happened to disk.

`python -I -S shim/__main__.py FOLDER`: one process for each attempt, in a session of its own, so
that an agent may be upgraded or killed while its jobs run. Standard library only. It reads
`spec.json`, claims the attempt by creating `status.json` (whoever creates it decides, so a start
that is repeated starts once), and obeys the files `until` and `stop` and the engine's `session`.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[3]))  # -I hides the package from its own script
    from intertie.engines.shim.launch import main

    sys.exit(main())
