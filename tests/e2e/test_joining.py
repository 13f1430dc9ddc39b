"""Joining and leaving for real: the network in one network namespace, the agent in another."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import namespaces
from tests.support.namespaces import Pair, Site

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(not namespaces.can_be_made(), reason=namespaces.WHY_NOT),
    pytest.mark.timeout(400),
]
PATIENCE_S = 90.0
PORT = 8420


@dataclass
class Centre:
    """A network behind TLS on one site, and a lab on another that may join it."""

    here: Site
    lab: Site
    home: Path
    folder: Path
    url: str = ""
    fingerprint: str = ""

    def ask(self, *words: str, name: str = "operator") -> Any:
        """Return what a command of the network's side prints as JSON."""
        done = self.here.run(*words, "--json", "--as", name, INTERTIE_HOME=str(self.home))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def join(self, token: str, *more: str) -> Any:
        """Join as the lab; return the finished command."""
        words = ("join", self.url, "--token", token, "--pool", "lab", "--json")
        return self.lab.run(*words, "--folder", str(self.folder), *more)

    def pool(self) -> dict[str, Any] | None:
        providers = self.ask("providers", "list")
        found = [p for each in providers for p in each["pools"] if p["name"] == "lab"]
        return found[-1] if found else None


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    root = tmp_path_factory.mktemp("joining")
    pair = Pair()
    here, lab = pair.sites
    made = Centre(here, lab, root / "network", root / "lab")
    log = root / "up.log"
    words = ("up", "--data", str(made.home), "--host", here.address, "--port", str(PORT))
    try:
        here.start(log, *words, "--tls", "--no-agent", "--json")
        told = until(lambda: log.exists() and log.read_text().strip().endswith("}"), log)
        assert told
        said = json.loads(log.read_text())
        made.url, made.fingerprint = said["url"], said["fingerprint"]
        yield made
    finally:
        pair.close()
        shutil.rmtree(root, ignore_errors=True)


def until(holds: Callable[[], Any], log: Path) -> Any:
    ends = time.monotonic() + PATIENCE_S
    while not (found := holds()):
        text = log.read_text() if log.exists() else ""
        assert time.monotonic() < ends, text
        time.sleep(0.1)
    return found


def test_a_lab_joins_over_a_pinned_certificate_works_and_leaves(centre: Centre) -> None:
    provider = centre.ask("providers", "add", "uni")
    token = provider["enrol_token"]
    pin = ("--fingerprint", centre.fingerprint)

    without = centre.join(token)
    assert (without.returncode, json.loads(without.stderr)["code"]) == (6, "untrusted")
    wrong = centre.join(token, "--fingerprint", f"sha256:{'0' * 64}")
    assert wrong.returncode == 6
    assert centre.fingerprint in wrong.stderr  # what it found, to compare by eye

    joined = centre.join(token, *pin, "--price", "0.25", "--start")
    assert joined.returncode == 0, joined.stderr
    told = json.loads(joined.stdout)
    settings = Path(told["settings"])
    assert settings.stat().st_mode & 0o777 == 0o600
    assert token not in settings.read_text()
    again = centre.join(token, *pin)
    assert json.loads(again.stdout)["agent"] == told["agent"]
    log = centre.folder / "agent.log"
    until(lambda: (centre.pool() or {}).get("state") == "online", log)

    checked = centre.lab.run("agent", "check", str(settings), "--json")
    assert checked.returncode == 0, checked.stdout
    words = {each["check"]: each["word"] for each in json.loads(checked.stdout)["findings"]}
    assert words["agent_network"] == words["agent_joined"] == words["agent_clock"] == "ok"

    run = centre.here.run("run", "--json", "--", "echo", "hello", INTERTIE_HOME=str(centre.home))
    assert run.returncode == 0, run.stderr

    left = centre.lab.run("leave", "--folder", str(centre.folder))
    assert left.returncode == 0, left.stderr
    assert not (centre.folder / "agent.key").exists()
    until(lambda: (centre.pool() or {"state": "left"})["state"] == "left", log)

    spent = centre.join(token, *pin)
    assert (spent.returncode, json.loads(spent.stderr)["code"]) == (5, "enrol_token_unknown")
    fresh = centre.ask("providers", "token", provider["id"])["enrol_token"]
    anew = centre.join(fresh, *pin)
    assert anew.returncode == 0, anew.stderr
    assert json.loads(anew.stdout)["agent"] != told["agent"]


def test_leaving_waits_for_what_runs(centre: Centre) -> None:
    provider = centre.ask("providers", "add", "museum")
    folder = centre.folder.with_name("museum")
    pin = ("--token", provider["enrol_token"], "--fingerprint", centre.fingerprint)
    place = ("--pool", "hall", "--folder", str(folder))
    joined = centre.lab.run("join", centre.url, *pin, *place, "--start", "--json")
    assert joined.returncode == 0, joined.stderr
    log = folder / "agent.log"
    asked = ("run", "--detach", "--json", "--provider", "museum", "--", "sleep", "5")
    home = {"INTERTIE_HOME": str(centre.home)}
    until(lambda: centre.here.run(*asked, **home).returncode == 0, log)
    until(lambda: any(job["state"] == "running" for job in centre.ask("jobs", name="home")), log)
    left = centre.lab.run("leave", "--folder", str(folder))
    assert left.returncode == 0, left.stderr
    outcomes = [job["outcome"] for job in centre.ask("jobs", name="home")]
    assert "failed" not in outcomes
    assert "cancelled" not in outcomes
