"""The stage of the demo: three unlike providers, two projects, and the job they compete with."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from intertie.cli.embedded import EmbeddedNetwork
from intertie.client import Intertie, SpecError
from intertie.client.errors import problem_of
from intertie.wire.jobs import JobView
from intertie.wire.market import QuoteView

# Three owners. Latency is declared: on one machine there is nothing to measure.
PROVIDERS: dict[str, dict[str, Any]] = {
    "lab": {
        "price": "0.30",
        "speed_percent": 100,
        "region": "cn-east",
        "country": "CN",
        "latency_ms": 2,
        "grace": 3,
        "own_first": "small-lab",
    },
    "west": {
        "price": "0.10",
        "speed_percent": 50,
        "region": "cn-west",
        "country": "CN",
        "latency_ms": 35,
        "grace": 5,
        "datasets": ["survey-2024"],
    },
    "night": {
        "price": "0.08",
        "speed_percent": 50,
        "region": "cn-north",
        "country": "CN",
        "latency_ms": 12,
        "grace": 3,
    },
}
POOLS = {"lab": "desk", "west": "rack", "night": "office"}
LENT = {"cpus": 1, "lent_cpus": 1, "memory": "2GiB", "lent_memory": "2GiB"}
PROJECTS = {"small-lab": 20, "llm-group": 200}
EXPECTED_S = 4
EPOCHS = "1000"  # Enough for the accuracy; keeps the demo well below three minutes.
GRIDS = {
    "small-lab": {"RATE": [0.03, 0.1], "HIDDEN": [32, 48, 64], "DECAY": [0.0001]},
    "llm-group": {"RATE": [0.01, 0.03, 0.1], "HIDDEN": [48, 64], "DECAY": [0.001, 0.0001]},
}
WISHES = {
    "small-lab": {"prefer": "soonest", "budget": 1},
    "llm-group": {"prefer": "cheapest", "budget": 5},
}


@dataclass
class Stage:
    """Everything that the acts of the demo share."""

    network: EmbeddedNetwork
    out: Path
    projects: dict[str, Intertie] = field(default_factory=dict)
    quotes: dict[str, QuoteView] = field(default_factory=dict)
    jobs: dict[str, JobView] = field(default_factory=dict)


def digits_folder() -> Path:
    """Return the folder of the example; raise SpecError where the checkout is not there."""
    folder = Path(__file__).parents[4] / "examples" / "digits"
    if not (folder / "train.py").exists():
        raise SpecError(
            problem_of("no_example", "The demo needs examples/digits of the checkout", str(folder))
        )
    return folder


def add_provider(stage: Stage, name: str) -> None:
    """Register a provider and start its agent, with its own key, journal and policy."""
    operator = stage.network.client()
    made = operator.create_provider(name)
    stage.network.keep_token(name, made.token)
    stage.network.add_agent(
        POOLS[name], {"enrol_token": made.enrol_token, **LENT, **PROVIDERS[name]}
    )


def add_projects(stage: Stage) -> None:
    """Open both projects, each with its own wallet and token."""
    operator = stage.network.client()
    for name, trial in PROJECTS.items():
        made = operator.create_project(name, trial=trial)
        stage.network.keep_token(name, made.token)
        stage.projects[name] = stage.network.client(name)


def spec_of(project: str) -> dict[str, Any]:
    """Return the job of one project: its part of the grid of hyper-parameters, on the real data."""
    return {
        "name": f"digits-{project}",
        "command": ["python3", "train.py"],
        "environment": {"EPOCHS": EPOCHS},
        "array": {"grid": GRIDS[project]},
        "resources": {"cpus": 1, "memory": "512MiB", "disk": "200MiB"},
        "time_limit": "3m",
        "expected": EXPECTED_S,
        "checkpoint": {"path": "checkpoint.npz", "grace": "3s"},
        "results": ["result.json"],
        "software": {"stack": "numpy", "version": ">=1.26"},
        **WISHES[project],
    }


def refused_spec() -> dict[str, Any]:
    """Return the job that nobody can take: its data may not leave west, its limit excludes west."""
    return {
        "name": "survey-model",
        "command": ["python3", "train.py"],
        "resources": {"cpus": 1, "memory": "512MiB", "disk": "200MiB"},
        "time_limit": "3m",
        "expected": EXPECTED_S,
        "data": [{"name": "survey-2024", "size": "40MiB", "bound_to": ["west"]}],
        "latency_ms_max": 20,
    }
