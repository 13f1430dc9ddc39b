"""The load table runs: each part at the smallest size, on both databases, over real processes."""

import pytest

from benchmarks.load.bench import STORES, TINY, Bench
from benchmarks.load.command import PARTS, run
from benchmarks.load.figures import Figure, as_json, as_text, percentile
from benchmarks.load.ratios import ratios

# The neighbours install packages, a real agent first measures its machine.
LEFT_OUT = {"slurm", "hyperqueue", "real"}


@pytest.mark.end_to_end
@pytest.mark.timeout(300)
@pytest.mark.parametrize("store", STORES)
def test_each_part_of_the_load_table_yields_its_figures(store: str) -> None:
    parts = [part for part in PARTS if part not in LEFT_OUT]
    with Bench(TINY, (store,), doors=1, is_quiet=True, is_shared=True) as bench:
        figures = run(bench, parts)
    found = {(each.part, each.what): each.value for each in figures if each.on == store}
    assert found["Accepted", "single jobs accepted"] > 0
    assert found["Through the river", "tasks in arrays, asked → settled"] > 0
    assert found["Through the river", "single jobs, asked → settled"] > 0
    assert found["Light load", "submit → lease at the agent, median"] > 0
    assert found["Live jobs", "20 live: decider's memory"] > 0
    assert found["Agents", "2 agents, 2 at once: exchanges"] > 0
    assert found["Agents", "2 agents at the network's pace: online"] >= 2
    assert found["Overload", "all: acknowledged, and not settled in the end"] == 0
    assert found["Overload", "one project: acknowledged, and not settled in the end"] == 0
    assert any(part == "Ratios" for part, _ in found)


def test_a_rate_is_put_beside_its_peer_and_its_limit_of_the_same_store() -> None:
    ours = Figure("Accepted", "sqlite", "single jobs accepted", 50, "a second")
    limit = Figure("Limits of this machine", "sqlite", "GET /v1/health", 100, "a second")
    other = Figure("Limits of this machine", "postgresql", "GET /v1/health", 10, "a second")
    peer = Figure("Neighbours", "slurm", "single jobs accepted", 25, "a second")
    found = [(each.on, each.value) for each in ratios([ours, limit, other, peer])]
    assert found == [("sqlite", 0.5), ("sqlite", 2.0)]


def test_every_row_of_the_table_has_its_unit_and_its_note() -> None:
    row = Figure("Part", "sqlite", "what", 1234.5, "ms", "why")
    assert "| sqlite | what | 1 234 | ms | why |" in as_text([row])
    assert as_json([row])[0]["unit"] == "ms"


def test_a_percentile_of_nothing_is_no_number() -> None:
    assert percentile([], 0.5) != percentile([], 0.5)
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([1.0], 0.99) == 1.0
