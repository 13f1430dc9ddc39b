"""Several real pools in one network: how each joins through its engine, and what all must obey."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from intertie.agent.settings import Raw, with_keys
from intertie.cli.embedded import EmbeddedNetwork
from intertie.cli.roles import Place
from intertie.client import Intertie
from intertie.control.bootstrap import open_network
from intertie.model.policy import Policy
from tests.support.live import wait_until

PATIENCE_S = 240.0


@dataclass
class Federation:
    """A network, whoever asks, and the providers that have joined it."""

    network: EmbeddedNetwork
    client: Intertie
    operator: Intertie
    folder: Path
    providers: list[str] = field(default_factory=list)

    def join(self, name: str, engine: str, price: str, cpus: int, **table: Any) -> None:
        """Let a pool join through its real engine, and wait until it offers something."""
        provider = self.operator.create_provider(name)
        place = self.folder / name  # what the cluster's nodes see
        place.mkdir(mode=0o755)
        keys: dict[str, object] = {
            "engine": engine,
            "folder": str(place),
            "pool": name,
            "enrol_token": provider.enrol_token,
            "price": price,
            "lent_cpus": cpus,
            "grace": 2,
        }
        path = self.network.agent_folder(name) / "agent.toml"
        path.parent.mkdir(parents=True)
        text = with_keys("", keys)
        path.write_text(with_keys(text, _written(table), engine) if table else text)
        self.network.start_agent(name)
        wait_until(lambda: self.is_offering(name), self.network, PATIENCE_S)
        self.providers.append(name)

    def is_offering(self, name: str) -> bool:
        agent = self.network.agents[name]
        assert agent.exit_code() is None, agent.tail()
        return any(offer.provider == name and offer.score for offer in self.operator.offers())


@contextmanager
def a_federation(folder: Path, policy: Policy | None = None) -> Iterator[Federation]:
    """A network below a folder that every pool's nodes can see, with one project and no pool."""
    data = folder / "network"
    data.mkdir(parents=True)
    folder.chmod(0o755)
    open_network(Place.of(data).database, policy=policy).dispose()
    with EmbeddedNetwork(data) as network:
        operator = network.client()
        network.keep_token("group", operator.create_project("group", trial=100).token)
        yield Federation(network, network.client("group"), operator, folder)


def _written(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table's values as TOML has them; tables below it stand on one line."""
    return {key: Raw(_inline(value)) for key, value in table.items()}


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_inline(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_inline(each) for each in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str | Path) else str(value)
