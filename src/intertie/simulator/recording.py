"""What a run recorded, and its replay: the same rows at the same instants must decide the same."""

from dataclasses import dataclass, field

from intertie.cycle.inbox import InboxRow
from intertie.cycle.river import flow
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


def replay(recording: Recording, policy: Policy | None = None) -> Replayed:
    """Decide every recorded round again; `differing` is empty when live and replay are one."""
    world = World()
    changes: list[Changes] = []
    differing: list[int] = []
    for at, each in enumerate(recording.rounds):
        decided = flow(world, list(each.inbox), policy or recording.policy, each.at)
        changes.append(decided)
        if decided.digest() != each.digest:
            differing.append(at)
    return Replayed(world, tuple(changes), tuple(differing))
