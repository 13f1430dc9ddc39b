"""Projects, providers and pools: creating them and seeing them."""

from typing import Annotated

from pydantic import Field

from intertie.wire.base import Answer, Instant, Message, Micro
from intertie.wire.jobspec import Name
from intertie.wire.quantities import Credits


class CreateProject(Message):
    """Open a project with a wallet. `trial` credits are booked as a trial balance."""

    name: Name
    weight: Annotated[int, Field(ge=1, le=1_000)] = 1
    trial: Credits = 0


class CreateProvider(Message):
    """Register a provider; the answer carries the one-time token with which its agent enrols."""

    name: Name


class Created(Answer):
    """What was created. `token` is shown this once and kept only as a hash."""

    id: str
    name: str
    token: str = ""
    enrol_token: str = ""


class WhoAmI(Answer):
    """Who the bearer of the token is."""

    role: str
    id: str | None = None
    name: str
    network: str
    version: str


class HealthView(Answer):
    """Whether the network is there; `is_ready` when rounds take what is asked."""

    is_ready: bool
    network: str
    version: str
    incarnation: int
    round: int
    round_at: Instant | None = None
    waiting_ms: int = Field(default=0, description="age of the oldest ask that no round took")


class TopUp(Message):
    """Put credit into a project's wallet (operator only)."""

    amount: Annotated[Credits, Field(gt=0)]


class ProjectView(Answer):
    """One project and its wallet."""

    id: str
    name: str
    weight: int
    is_blocked: bool
    wallet_micro: Micro
    held_micro: Micro
    spent_micro: Micro
    used_su: float


class PoolView(Answer):
    """One pool: what its agent says, and how much is lent now."""

    id: str
    name: str
    state: str
    engine: str
    region: str
    seen_at: Instant | None = None
    cpus: float
    lent_cpus: float
    used_cpus: float
    memory_bytes: int
    devices: dict[str, int] = Field(default={}, description="devices by class")
    lent_devices: int = 0
    used_devices: int = 0
    expected_wait_s: int = 0
    leases: int
    abilities: list[str] = []
    not_enforced: list[str] = []
    software: dict[str, str] = {}
    score: float | None = None
    score_source: str = ""


class ProviderView(Answer):
    """One provider, its pools and what it has earned."""

    id: str
    name: str
    is_blocked: bool
    earned_micro: Micro | None = None
    pools: list[PoolView] = []


class BlockProject(Message):
    """Block a project (no new leases; running ones are stopped with grace) or lift the block."""

    is_blocked: bool
