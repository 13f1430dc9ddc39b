"""`python -m intertie.agent --settings FILE`."""

import argparse
import sys
from pathlib import Path

from intertie.agent.main import run
from intertie.agent.settings import SettingsError, read_settings


def main() -> int:
    """Run one agent from its settings file; return its exit code."""
    parser = argparse.ArgumentParser(prog="intertie agent", description="Speak for one pool.")
    parser.add_argument("--settings", type=Path, required=True, help="the owner's TOML file")
    try:
        return run(read_settings(parser.parse_args().settings))
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
