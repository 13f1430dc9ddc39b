"""`python -m tests.faults.takeover`: how long users wait when the leader is killed or paused."""

import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

from intertie.client import Intertie
from tests.faults.scenes import Scene, job, scene
from tests.faults.seeds import Slot

TIMES = 10


def waited_s(network: Scene, client: Intertie, number: signal.Signals) -> float:
    """Signal the leader and return how long a job that is submitted then waits for its round."""
    network.send(network.leader(), number)
    began = time.monotonic()
    submitted = client.submit(job(network, 1))
    network.until(lambda: client.job(submitted).state != "asked", "a round takes the job")
    return time.monotonic() - began


def main() -> int:
    """Kill and pause leaders in turn, and print what a submission waited."""
    slot = Slot(has_postgres=True)
    try:
        for number in (signal.SIGKILL, signal.SIGSTOP):
            with tempfile.TemporaryDirectory() as folder:
                waits = sorted(_measure(Path(folder), slot, number))
            told = f"median {statistics.median(waits):.2f} s, most {waits[-1]:.2f} s"
            sys.stdout.write(f"{number.name}: {told} of {len(waits)}\n")
    finally:
        slot.close()
    return 0


def _measure(folder: Path, slot: Slot, number: signal.Signals) -> list[float]:
    with scene(folder, slot, deciders=2, agents=1) as network:
        client, waits = network.client(), []
        for _ in range(TIMES):
            leader = network.leader()
            waits.append(waited_s(network, client, number))
            if number == signal.SIGSTOP:
                network.send(leader, signal.SIGCONT)
            time.sleep(0.5)
            network.stage.heal()  # who was killed is started again, and follows
            time.sleep(1.0)
        return waits


if __name__ == "__main__":
    sys.exit(main())
