"""What a run of the ledger is, as a value that its processes share."""

from dataclasses import dataclass
from pathlib import Path

KILLED = 9
TELLERS, POOLS, DECIDERS = 2, 2, 2


@dataclass(frozen=True)
class Plan:
    """One run. An operation is a ledger transaction that a round has committed.

    `decider_most` and `teller_most` bound the statement at which a process of that kind dies;
    `array_most` the tasks of a job.
    """

    url: str
    folder: Path
    seed: int
    operations: int
    decider_most: int = 600
    teller_most: int = 1_500
    array_most: int = 600

    @property
    def enough(self) -> Path:
        """The file that says that nothing more is to be asked."""
        return self.folder / "enough"


def journal_of(plan: Plan, teller: int) -> Path:
    """Return where a teller writes what was acknowledged: ``key number`` in each line."""
    return plan.folder / f"teller{teller}"
