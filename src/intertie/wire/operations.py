"""What operators see of a network that runs."""

from pydantic import Field

from intertie.wire.base import Answer, Instant, Micro


class LeaderView(Answer):
    """Which decider leads; nobody does once its term ran out."""

    is_led: bool
    term: int
    holder: str = ""


class RoundSpan(Answer):
    """Rounds of some seconds from `at` on: rates, and mean times of one round."""

    at: Instant
    rounds_per_s: float
    rows_per_s: float
    decide_ms: float
    commit_ms: float


class CountsView(Answer):
    """What the leader counted, at the instant `at`.

    Refusals and disputes are those of rounds since `since`, at most an hour before `at`.
    """

    at: Instant
    since: Instant
    jobs: dict[str, int] = {}
    tasks: dict[str, int] = {}
    leases: dict[str, int] = {}
    pools: dict[str, int] = {}
    lent_cores: float = 0
    held_cores: float = 0
    balances_micro: dict[str, Micro] = {}
    refusals: dict[str, int] = {}
    disputes: int = 0
    expected_starts: dict[str, int] = Field(
        default={},
        description="starts that were shown, by what came of them",
        examples=[{"within": 96, "early": 1, "late": 3}],
    )
    rounds: list[RoundSpan] = Field(
        default=[], description="the last five minutes; spans without rounds are left out"
    )


class AgentState(Answer):
    """One agent, and when a round last heard of it."""

    id: str
    provider: str
    pool: str
    state: str
    seen_at: Instant | None = None
    lent_cores: float


class OperationsView(Answer):
    """How the network runs: who leads, what waits, what there is, and what needs attention."""

    now: Instant
    leader: LeaderView
    round: int
    round_at: Instant | None = None
    inbox_waiting: int
    inbox_oldest_ms: int = Field(description="age of the oldest row that no round took")
    counts: CountsView | None = Field(default=None, description="absent before a leader counted")
    agents: list[AgentState] = Field(description="the agents heard of longest ago")
    webhooks: dict[str, int] = Field(
        description="webhooks by state", examples=[{"active": 3, "failing": 1, "ended": 0}]
    )
    webhook_events_behind: int = Field(
        description="events that the slowest webhook has not been told"
    )
