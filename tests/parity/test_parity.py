"""Live and replay are one decision: same rows, same instants, same hash of all that changed."""

import importlib.util
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from intertie.cycle import placing
from intertie.model.policy import Policy
from intertie.model.units import GIB, MICRO
from intertie.placement import fill as kernel
from intertie.simulator.network import SimulatedNetwork
from intertie.simulator.recording import Recording, recorded, replay
from intertie.world.world import World
from tests.builders import ANetwork, a_node, some_terms


def a_busy_run(policy: Policy | None = None) -> SimulatedNetwork:
    """Two projects compete for three pools, one of which is reclaimed; everything settles."""
    network = ANetwork(policy)
    small, large = network.project("small"), network.project("large", weight=2)
    nodes = (a_node(), a_node(name="n2", cpus_milli=1000))
    network.pool("lab", nodes=nodes, terms=some_terms(lent_cpus_milli=3000))
    network.pool("west", terms=some_terms(price_micro_per_unit_h=600_000))
    cheap = some_terms(price_micro_per_unit_h=200_000, lent_memory_bytes=4 * GIB)
    night = network.pool("night", terms=cheap)
    network.job(small, task_count=6, budget_micro=MICRO)
    network.job(large, task_count=8, prefer="soonest", budget_micro=MICRO)
    network.job(large, task_count=3, is_gang=1, budget_micro=MICRO)
    network.pass_s(4)
    network.agents[night].lent_cpus_milli = 0
    network.pass_s(120)
    return network


def test_a_replay_of_a_recorded_run_decides_and_books_the_same() -> None:
    network = a_busy_run()
    again = replay(network.recording)
    assert again.differing == ()
    booked = [t for changes in network.changes for t in changes.transactions]
    assert len(booked) > 30
    assert again.transactions() == booked
    assert again.world.balances == network.world.balances


def test_a_recording_as_a_store_keeps_it_replays_in_any_order_of_its_rows() -> None:
    recording = a_busy_run().recording
    kept = [
        (number, each.at, each.digest, each.inbox[::-1])
        for number, each in enumerate(recording.rounds, start=1)
    ]
    random.Random(1).shuffle(kept)
    assert recorded(recording.policy, kept) == recording
    with pytest.raises(AssertionError, match="a round is missing"):
        recorded(recording.policy, kept[1:])


def test_a_replay_does_not_depend_on_the_slots_that_rows_are_in() -> None:
    recording = a_busy_run().recording
    world = World()
    for table in world.tables().values():
        random.Random(7).shuffle(table.free)
    assert replay(recording, world=world).differing == ()


def test_one_constant_of_the_kernel_moves_both_the_live_decision_and_the_replay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recording = a_busy_run().recording
    other = kernel_with("if kins.is_gang[k] else 1", "if not kins.is_gang[k] else 1")
    monkeypatch.setattr(placing, "fill", other)
    moved = a_busy_run().recording
    assert placements(moved) != placements(recording)
    assert replay(recording).differing != ()
    assert replay(moved).differing == ()


@pytest.mark.parametrize("changed", [{"fee_ppm": 30_000}, {"lease_s": 20}, {"grace_s": 6}])
def test_one_constant_of_the_policy_moves_both_or_neither(changed: dict[str, Any]) -> None:
    recording = a_busy_run().recording
    policy = replace(Policy(), **changed)
    live = a_busy_run(policy).recording
    assert replay(live).differing == ()
    moves_live = placements(live) != placements(recording)
    moves_replay = replay(recording, policy).differing != ()
    assert moves_live == moves_replay == ("grace_s" not in changed)


def placements(recording: Recording) -> list[str]:
    """Return the digests of the rounds, which differ as soon as one decision does."""
    return [each.digest for each in recording.rounds]


def kernel_with(text: str, other: str) -> Callable[..., Any]:
    """Return the kernel compiled again from its own source with one thing changed."""
    source = Path(kernel.__file__).read_text(encoding="utf-8")
    assert source.count(text) == 1
    compiling = "from intertie.world.compiling import anew, in_place"
    assert source.count(compiling) == 1
    # Nothing of it may be cached: what has no file has no place to be cached at.
    uncached = """from numba import njit
anew = njit(_nrt=True)
in_place = njit(_nrt=False, forceinline=True, no_cfunc_wrapper=True)"""
    changed = source.replace(text, other).replace(compiling, uncached)
    spec = importlib.util.spec_from_loader("other_fill", loader=None)
    assert spec is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    exec(compile(changed, "other_fill", "exec"), module.__dict__)
    found: Callable[..., Any] = module.fill
    return found
