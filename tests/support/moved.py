"""Prints what a replay and a live network decide, as two hashes: for a test that edits a kernel."""

import json
import sys
from hashlib import sha256
from pathlib import Path

from intertie.model.policy import Policy
from intertie.model.request import Resources
from intertie.model.units import GIB
from intertie.simulator.replay import ReplayPolicy, replay
from intertie.simulator.traces.reading import read_trace
from tests.builders import ANetwork, a_node, some_terms

SLICE = Path(__file__).parent.parent / "simulator/traces/kth-sp2-first-400.swf"


def replayed() -> str:
    """Return the hash of when each job of a slice of KTH starts."""
    trace = read_trace(SLICE)
    return sha256(replay(trace, trace.capacity, ReplayPolicy()).tobytes()).hexdigest()


def decided() -> str:
    """Return the hash of every Changes of a machine on which jobs wait behind a large one."""
    network = ANetwork(Policy(backfill="easy"))
    terms = some_terms(lent_cpus_milli=4000, lent_memory_bytes=16 * GIB)
    network.pool("lab", nodes=(a_node(cpus_milli=4000, memory_bytes=16 * GIB),), terms=terms)
    project = network.project("p")
    for cores, seconds in ((2, 100), (4, 50), (2, 300), (2, 60)):
        need = Resources(cpus_milli=1000 * cores)
        network.job(project, resources=need, expected_s=seconds, time_limit_s=2 * seconds)
        network.pass_s(1)
    digests = [changes.digest() for changes in network.changes]
    return sha256(json.dumps([str(digest) for digest in digests]).encode()).hexdigest()


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"replay": replayed(), "live": decided()}))
