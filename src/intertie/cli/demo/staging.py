"""The stage of the demo: three unlike providers, two projects, and the job they compete with."""

from collections.abc import Mapping
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
    pools: dict[str, str] = field(default_factory=dict)
    specs: dict[str, dict[str, Any]] = field(default_factory=dict)
    projects: dict[str, Intertie] = field(default_factory=dict)
    quotes: dict[str, QuoteView] = field(default_factory=dict)
    jobs: dict[str, JobView] = field(default_factory=dict)


def example(*parts: str) -> Path:
    """Return an example's file or folder; raise SpecError where the checkout is not there."""
    path = Path(__file__).parents[4].joinpath("examples", *parts)
    if not path.exists():
        title = "The demo needs the examples of the checkout"
        raise SpecError(problem_of("no_example", title, str(path)))
    return path


def add_provider(stage: Stage, name: str, pool: str, settings: Mapping[str, Any]) -> None:
    """Register a provider and start its agent, with its own key, journal and policy."""
    made = stage.network.client().create_provider(name)
    stage.network.keep_token(name, made.token)
    stage.network.add_agent(pool, {"enrol_token": made.enrol_token, **settings})
    stage.pools[name] = pool


def add_project(stage: Stage, name: str, trial: int, spec: dict[str, Any]) -> None:
    """Open a project with its own wallet and token, and the job that it wants done."""
    made = stage.network.client().create_project(name, trial=trial)
    stage.network.keep_token(name, made.token)
    stage.projects[name] = stage.network.client(name)
    stage.specs[name] = spec


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
