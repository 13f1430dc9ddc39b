"""What the books must say, by the design's words and plain arithmetic.

Nothing here calls the rooms that it judges. It folds what agents said, in the order in which
rounds took it, into two meters for each lease; and from the meters, the contract and the price it
predicts every charge, fee and balance.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from intertie.model.ids import decode

Row = dict[str, Any]
HOUR_MS = 3_600_000
RANKS = {"pending": 0, "running": 1, "finishing": 2, "ended": 3}
# A start that failed or was declined costs nothing, whatever its meters say.
UNPAID = ("start_failed", "declined")
ISSUANCE, WALLET, ESCROW, EARNINGS, FEES = range(5)
TOP_UP, TRIAL, HOLD, CHARGE, RELEASE = range(5)


@dataclass
class Meters:
    """What the network may believe of one lease, from what arrived."""

    rank: int = 0
    cause: str = "none"
    exit_code: int | None = None
    agent_ms: int = 0
    network_ms: int = 0
    running_at: int = 0
    ended_at: int = 0
    is_heard: bool = False

    def hear(self, said: Row, at: int, placed_at: int) -> None:
        """Take in one observation that arrived at `at`; what is older than known is nothing."""
        rank, cause = RANKS[said["state"]], said.get("cause", "none")
        if self.rank == RANKS["ended"] or rank < self.rank:
            return
        self.rank, self.is_heard = rank, True
        if rank >= RANKS["finishing"]:
            self.cause, self.exit_code = cause, said.get("exit_code")
        ran_ms = said.get("ran_ms", 0)
        if rank >= RANKS["running"] and not self.running_at and cause not in UNPAID:
            # First heard of when it was over: then the agent's word says how long ago it began.
            is_running = rank == RANKS["running"]
            self.running_at = at if is_running else max(placed_at, at - ran_ms)
        if rank >= RANKS["finishing"] and not self.ended_at:
            self.ended_at = at
        self.agent_ms = max(self.agent_ms, ran_ms)
        if self.running_at:
            self.network_ms = max(self.network_ms, (self.ended_at or at) - self.running_at)

    def paid_ms(self, most_ms: int) -> int:
        """Return the time to pay for: the lower meter, at most to the lease's end and grace."""
        if self.cause in UNPAID:
            return 0
        return max(0, min(self.agent_ms, self.network_ms, most_ms))


@dataclass
class Predicted:
    """What one lease must have cost: cumulative at each slice of the grid, to its end."""

    paid_ms: int
    amounts: list[int] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(self.amounts)

    def fees(self, fee_ppm: int) -> int:
        return sum(amount * fee_ppm // 1_000_000 for amount in self.amounts)


def cost(ms: int, units_milli: int, price: int) -> int:
    """Return what units cost for a time, rounded up so that use is never free."""
    exact = Fraction(ms, HOUR_MS) * Fraction(units_milli, 1000) * price
    return -int(-exact // 1)


def predict(meters: Meters, lease: Row, slice_ms: int) -> Predicted:
    """Return the charges of a lease that has ended: round(cumulative) - already charged."""
    most_ms = lease["until"] + lease["grace_s"] * 1000 - lease["placed_at"] - lease["waited_ms"]
    paid_ms = meters.paid_ms(most_ms)
    found = Predicted(paid_ms)
    charged = done = 0
    while done < paid_ms:
        done = min(paid_ms, done - done % slice_ms + slice_ms)
        owed = cost(done, lease["units_milli"], lease["price_micro_per_unit_h"])
        found.amounts.append(owed - charged)
        charged = owed
    return found


class Heard:
    """All that agents said, folded in the order in which rounds took it."""

    def __init__(self, inbox: Iterable[Row], leases: dict[int, Row], round_at: dict[int, int]):
        self._leases = leases
        self._epoch: dict[int, int] = defaultdict(int)
        self._sequence: dict[int, int] = defaultdict(int)
        # For each lease what was said of it, as (round, arrived at, observation).
        self.said: dict[int, list[tuple[int, int, Row]]] = defaultdict(list)
        self.pool_seen: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self.round_at = round_at
        for row in inbox:
            if row["kind"] == "session":
                self._epoch[row["actor"]] += 1
                self._sequence[row["actor"]] = 0
                self.pool_seen[row["actor"]].append((row["taken_round"], row["at"]))
            elif row["kind"] == "sync":
                self._sync(row)

    def meters(self, lease: Row, last_round: int | None = None) -> Meters:
        """Return the meters of a lease by what was taken up to a round; None is all."""
        found = Meters()
        for number, at, said in self.said[lease["id"]]:
            if last_round is None or number <= last_round:
                found.hear(said, at, lease["placed_at"])
        return found

    def rounds_at(self, at: int) -> list[int]:
        """Return the rounds that decided at an instant."""
        return [number for number, each in self.round_at.items() if each == at]

    def last_seen(self, pool: int, before_round: int) -> int:
        """Return when a pool's agent was last believed, by a round."""
        seen = [at for number, at in self.pool_seen[pool] if number <= before_round]
        return seen[-1] if seen else 0

    def _sync(self, row: Row) -> None:
        body, pool = row["body"], row["actor"]
        if body["epoch"] != self._epoch[pool] or body["sequence"] <= self._sequence[pool]:
            return
        self._sequence[pool] = body["sequence"]
        self.pool_seen[pool].append((row["taken_round"], row["at"]))
        said = list(body.get("leases", ()))
        said += [{**each, "state": "ended", "cause": "declined"} for each in body["declines"]]
        for each in said:
            lease = self._leases.get(decode("lease", each["lease"]))
            is_current = lease is not None and lease["pool"] == pool
            if is_current and lease is not None and lease["token"] == each["token"]:
                self.said[lease["id"]].append((row["taken_round"], row["at"], each))
