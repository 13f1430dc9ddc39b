"""`python -m benchmarks idle --traces FOLDER`: what lending by night makes of idle machines.

The owner and the guests are those of `benchmarks/idle.toml`, on the traces of ITP in FOLDER. True
lengths, EASY. Occupancy is what is allocated of what there is, from the owner's first submission to
the last end of its own; guests count while they run, not while their data travel.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from intertie.simulator.joining import Federated, Kinds, alone, joined, kinds_of, read_federated
from intertie.simulator.replay import ReplayPolicy

WHAT = "an owner of idle machines who lends by night: occupancy, its own users' waits, its pay"
EASY = ReplayPolicy("easy", is_perfect=True)
PROVIDERS = Path(__file__).parent / "idle.toml"
OWNER, HOUR_MS = 0, 3_600_000


@dataclass(frozen=True)
class Lent:
    """The owner's machines without and with guests. `useful` is occupancy less work done twice."""

    occupancy_alone: float
    occupancy: float
    useful: float
    p90_alone_s: float
    p90_s: float
    mean_alone_s: float
    mean_s: float
    guests: int
    not_requeueable: int
    evictions: int
    lost_device_h: float
    delivered_device_h: float
    earned_credits: float

    def as_text(self) -> str:
        return (
            f"{'':14}{'occupancy':>10}{'p90 wait (s)':>14}{'mean wait (s)':>15}\n"
            f"{'alone':14}{self.occupancy_alone:10.1%}{self.p90_alone_s:14,.1f}"
            f"{self.mean_alone_s:15,.1f}\n"
            f"{'lent by night':14}{self.occupancy:10.1%}{self.p90_s:14,.1f}{self.mean_s:15,.1f}\n\n"
            f"{self.guests} guests, {self.not_requeueable} of them not requeueable; "
            f"{self.evictions} times one was ended, {self.lost_device_h:,.0f} device-hours of work "
            f"were lost\n(occupancy without them {self.useful:.1%}); paid "
            f"{self.earned_credits:,.0f} credits for {self.delivered_device_h:,.0f} device-hours "
            "delivered"
        )


def measure(given: Federated) -> Lent:
    """Return what the first provider's machines are worth to it, alone and lent."""
    trace, owner = given.trace, given.told.providers[OWNER]
    before, fate = alone(given, EASY), joined(given, EASY)
    own = trace.home == OWNER
    after = fate.done - trace.run_ms
    work_ms = float((trace.run_ms * trace.units)[own].sum())
    until = max(int((starts + trace.run_ms)[own].max()) for starts in (before, after))
    there_ms = float(owner.capacity * (until - int(trace.submit_ms[own].min())))
    waits = [(starts - trace.submit_ms)[own] / 1000 for starts in (before, after)]
    lent_ms, lost_ms = float(fate.lent[~own].sum()), float(fate.lost[~own].sum())
    guests, kinds = ~own & (fate.lent > 0), kinds_of(given)
    is_requeueable = kinds.shape[Kinds.IS_REQUEUEABLE][kinds.kind] > 0
    return Lent(
        occupancy_alone=work_ms / there_ms,
        occupancy=(work_ms + lent_ms) / there_ms,
        useful=(work_ms + lent_ms - lost_ms) / there_ms,
        p90_alone_s=float(np.percentile(waits[0], 90)),
        p90_s=float(np.percentile(waits[1], 90)),
        mean_alone_s=float(waits[0].mean()),
        mean_s=float(waits[1].mean()),
        guests=int(guests.sum()),
        not_requeueable=int((guests & ~is_requeueable).sum()),
        evictions=int(fate.evictions[~own].sum()),
        lost_device_h=lost_ms / HOUR_MS,
        delivered_device_h=lent_ms / HOUR_MS,
        earned_credits=lent_ms / HOUR_MS * owner.price_per_unit_h,
    )


def main(words: list[str]) -> int:
    """Print what lending is worth; return 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks idle", description=WHAT)
    parser.add_argument("--traces", type=Path, required=True, help="the folder with the traces")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    told = parser.parse_args(words)
    found = measure(read_federated(PROVIDERS, sorted((told.traces / "itp/raw").glob("*.csv"))))
    print(json.dumps(asdict(found), indent=2) if told.json else found.as_text())
    return 0
