"""Real agent processes for tests, joined to the small network."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from intertie.agent.joining import score
from intertie.agent.settings import AgentSettings
from intertie.engines.host.engine import HostEngine, HostSettings
from tests.agent.network import Network
from tests.engines.hosting import clean

DYING = Path(__file__).with_name("dying.py")


class AgentProcess:
    """One agent on one folder; it can be killed and started again."""

    def __init__(self, network: Network, root: Path, measured: Path, **known: Any) -> None:
        self.root = root
        self.folder = root / "agent"
        self.folder.mkdir(parents=True)
        shutil.copy(measured, self.folder / "benchmark.json")
        self.settings = root / "agent.toml"
        self.processes: list[subprocess.Popen[bytes]] = []
        told = {
            "network": network.url,
            "folder": "agent",
            "pool": "lab",
            "enrol_token": "enrol-me",
            "price": "2.50",
            "cpus": 4,
            "grace": "1s",
        }
        rows = [f"{key} = {json.dumps(value)}" for key, value in (told | known).items()]
        self.settings.write_text("\n".join(rows))

    def start(self, dying_at: int = 0) -> "AgentProcess":
        """Start the agent; or one that dies at a step that it will come to."""
        log = (self.root / "stderr").open("ab")
        argv = [sys.executable, "-m", "intertie.agent", "--settings", str(self.settings)]
        if dying_at:
            argv = [sys.executable, str(DYING), str(dying_at), str(self.settings)]
        self.processes.append(subprocess.Popen(argv, stderr=log))
        log.close()
        return self

    def kill(self, number: int = signal.SIGKILL) -> int:
        process = self.processes[-1]
        process.send_signal(number)
        return process.wait(30)

    def has_ended(self) -> bool:
        return self.processes[-1].poll() is not None

    def work(self, lease: str, token: int = 1) -> Path:
        return self.folder / "attempts" / f"{lease}-{token}" / "work"

    def entries(self) -> list[dict[str, Any]]:
        lines = (self.folder / "journal.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def clean(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait(30)
        engine = HostEngine(HostSettings(self.folder / "attempts"))
        clean(engine)
        engine.close()


def measure(folder: Path) -> Path:
    """Run the benchmark once, for every agent of a test run to find in its folder."""
    settings = AgentSettings(network="http://127.0.0.1:1", folder=folder, pool="lab")
    assert score(settings) is not None
    return folder / "benchmark.json"
