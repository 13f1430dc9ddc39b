"""Quote latency over 20 providers: each enrolled over HTTP with its own key and session."""

import tempfile
from pathlib import Path

from benchmarks.submit_to_running import SPEC, _timed
from benchmarks.table import Outcome, row
from intertie.agent.door import Door
from intertie.agent.key import load_key
from intertie.cli.embedded import EmbeddedNetwork
from intertie.wire.sync import NodeBody, OpenSession, PoolBody, ScoreBody, TermsBody

WHAT = "firm quote of an array job over 20 providers, beside one bare HTTP exchange"
RUNS = 50
PROVIDERS = 20
GIB = 1024**3


def measure() -> Outcome:
    """Return the latency of a firm quote, written to disk before it is answered."""
    with (
        tempfile.TemporaryDirectory(prefix="intertie-bench-") as folder,
        EmbeddedNetwork(Path(folder)) as network,
    ):
        operator = network.client()
        project = operator.create_project("bench", trial=100)
        network.keep_token("bench", project.token)
        for index in range(PROVIDERS):
            _join(network.url, operator.create_provider(f"p{index}").enrol_token, index)
        client = network.client("bench")
        spec = SPEC | {"array": {"count": 100}, "expected": 60}
        quotes = [_timed(lambda: client.quote(spec)) for _ in range(RUNS)]
        count = len(client.quote(spec).options)
        assert count == PROVIDERS + 1, f"{count} options from {PROVIDERS} providers"
        health = [_timed(client.health) for _ in range(RUNS)]
    rows = (
        row(f"quote, {PROVIDERS} providers, 100 tasks", quotes),
        row("one HTTP exchange with the door (limit)", health),
    )
    ratio = rows[0].median_ms / max(rows[1].median_ms, 0.001)
    figure = (
        f"firm quote over {PROVIDERS} providers: median {rows[0].median_ms:.0f} ms,"
        f" p99 {rows[0].p99_ms:.0f} ms; {ratio:.1f}× one bare HTTP exchange"
    )
    return Outcome(rows, figure)


def _join(url: str, token: str, index: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        door = Door(url, load_key(Path(folder)))
        agent = door.enrol(token, f"pool{index}").agent
        price = 100_000 + 10_000 * index
        pool = PoolBody(
            name=f"pool{index}",
            engine="fake",
            region="here",
            country="",
            latency_ms=index,
            latency_source="declared",
            nodes=[NodeBody(name="n", cpus_milli=8000, memory_bytes=16 * GIB, disk_bytes=GIB * 99)],
            terms=TermsBody(
                price_micro_per_unit_h=price,
                grace_s=5,
                lent_cpus_milli=8000,
                lent_memory_bytes=16 * GIB,
            ),
            scores=[ScoreBody(profile="cpu@1", millionths=900_000 + index, source="declared")],
        )
        door.open_session(agent, OpenSession(pool=pool))
        door.client.close()
