"""What a run recorded, and its replay: the same rows at the same instants must decide the same."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from intertie.cycle.inbox import InboxRow
from intertie.cycle.river import flow
from intertie.model.ledger import Transaction
from intertie.model.policy import Policy
from intertie.world.changes import Changes
from intertie.world.world import World


@dataclass(frozen=True)
class Round:
    """One round: when it was, which rows it took, and the digest of all it decided."""

    at: int
    inbox: tuple[InboxRow, ...]
    digest: str


@dataclass
class Recording:
    """A whole run, from the first row on."""

    policy: Policy
    rounds: list[Round] = field(default_factory=list)


@dataclass(frozen=True)
class Replayed:
    """A replay: the World it led to, every Changes, and the rounds that decided otherwise."""

    world: World
    changes: tuple[Changes, ...]
    differing: tuple[int, ...]

    def transactions(self) -> list[Transaction]:
        """Return everything that the replay booked, in order."""
        return [each for changes in self.changes for each in changes.transactions]


def recorded(
    policy: Policy, rounds: Iterable[tuple[int, int, str, Iterable[InboxRow]]]
) -> Recording:
    """Return a recording from (number, at, digest, inbox rows) as a store keeps them.

    Every round must be there: a recording with a gap would replay another run.
    """
    ordered = sorted(rounds, key=lambda each: each[0])
    numbers = [number for number, _, _, _ in ordered]
    assert numbers == list(range(1, len(ordered) + 1)), "a round is missing"
    return Recording(
        policy,
        [
            Round(at, tuple(sorted(inbox, key=lambda row: row.id)), digest)
            for _, at, digest, inbox in ordered
        ],
    )


def replay(
    recording: Recording, policy: Policy | None = None, world: World | None = None
) -> Replayed:
    """Decide every recorded round again; `differing` is empty when live and replay are one.

    `policy` asks what another one would have decided; `world` is where to begin.
    """
    world = world or World()
    changes: list[Changes] = []
    differing: list[int] = []
    for at, each in enumerate(recording.rounds):
        decided = flow(world, list(each.inbox), policy or recording.policy, each.at)
        changes.append(decided)
        if decided.digest() != each.digest:
            differing.append(at)
    return Replayed(world, tuple(changes), tuple(differing))
