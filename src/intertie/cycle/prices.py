"""What each kin of jobs would be promised on each pool, found once until either is another."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from intertie.cycle.affording import hold_for
from intertie.cycle.candidates import billed_milli, moving_s, refusal_of
from intertie.cycle.views import facts_of, listed_offer
from intertie.market.quoting import task_seconds
from intertie.model.offer import Offer
from intertie.model.parties import Pool, PoolFacts
from intertie.model.policy import Policy
from intertie.model.rows import changed
from intertie.model.states import PoolState
from intertie.model.units import MILLI, charge_micro, service_units_micro
from intertie.world.kins import Kin
from intertie.world.table import Ints
from intertie.world.world import World

# int64 wraps silently in a kernel: every product there stays below this.
LARGEST = 2**62


class Priced(NamedTuple):
    """What one task of a job is promised on one pool: price version, billed units, run time."""

    offer: Offer
    units_milli: int
    task_s: int


@dataclass(frozen=True)
class Prices:
    """Columns with axes [kin, pool]; `offer` is 0 where a kin can never run.

    `micro` is what one task costs, `hold` what is set aside for its first lease, `use` its service
    units, all cut to what a kernel can multiply; `moving_s` is for how long its data travel.
    """

    offer: Ints
    units_milli: Ints
    task_s: Ints
    micro: Ints
    hold: Ints
    use: Ints
    moving_s: Ints


FIELDS = tuple(Prices.__dataclass_fields__)


def prices_of(world: World, kins: list[int], pools: list[int], policy: Policy) -> Prices:
    """Return the prices of these kins, by number, on these pools."""
    board = world.memo.get("prices")
    if board is None or board.policy != policy:
        board = world.memo["prices"] = _Board(policy)
    board.refresh(world, kins, pools)
    # In one piece, as kernels were compiled for: for other strides numba compiles them all again.
    return Prices(*np.ascontiguousarray(board.data[:, kins, : len(pools)]))


def prices_for(world: World, kin: Kin, pools: list[int], policy: Policy) -> Prices:
    """Return the prices of one kin that no job may have, on these pools; one row."""
    found = [_standing(world, kin, pool) for pool in pools]
    none = (0,) * len(FIELDS)
    rows = [
        (*_columns(each, kin, policy), moving_s(world, kin.request, pool, policy)) if each else none
        for each, pool in zip(found, pools, strict=True)
    ]
    return Prices(*np.ascontiguousarray(np.array(rows, np.int64).T[:, None, :]))


def priced(world: World, kin: Kin, pool: Pool) -> Priced | None:
    """Return what a job of a kin would be promised on a pool, or None where it cannot run."""
    if refusal_of(world, kin.request, pool, kin.project) is not None:
        return None
    if not is_promised(kin, pool.id):
        return None
    offer, facts = _price_for(world, kin, pool.id), facts_of(world, pool.id)
    assert offer is not None and facts is not None
    units = billed_milli(kin.request, facts)
    return Priced(offer, units, task_seconds(kin, offer.score_millionths, kin.time_limit_s))


def is_promised(kin: Kin, pool: int) -> bool:
    """Return whether a job may go to a pool by what it was quoted.

    Who took a quote and named no budget gets what the quote says, and is never sent elsewhere.
    """
    return not kin.is_bound or any(locked.pool == pool for locked in kin.prices)


class _Board:
    """The memo. Whether a pool is there and lends enough is not in it.

    A kin's row stands while its number means the same kin, a pool's column while its facts and its
    listed offer are the same.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.kins: dict[int, Kin] = {}
        self.pools: list[int] = []
        self.said: list[tuple[PoolFacts | None, int]] = []
        self.data: Ints = np.zeros((len(FIELDS), 1, 1), np.int64)

    def refresh(self, world: World, kins: list[int], pools: list[int]) -> None:
        """Find again what is no longer so."""
        if self.pools != pools[: len(self.pools)]:
            self.kins.clear()
        of = world.kins.of
        self.kins = {n: kin for n, kin in self.kins.items() if n < len(of) and of[n] is kin}
        said = [(facts_of(world, pool), world.pools.value(pool, "offer")) for pool in pools]
        known = self.said
        stale = [
            at
            for at, (facts, offer) in enumerate(said)
            if at >= len(known) or known[at][0] is not facts or known[at][1] != offer
        ]
        self.pools, self.said = list(pools), said
        self._grow(len(of), len(pools))
        for number, kin in self.kins.items():
            # Where its data are is what other pools say.
            moves = stale and self.policy.links and kin.request.data
            self._find(world, number, kin, list(range(len(pools))) if moves else stale)
        for number in kins:
            found = of[number]
            if number not in self.kins and found is not None:
                self.kins[number] = found
                self._find(world, number, found, list(range(len(pools))))

    def _find(self, world: World, number: int, kin: Kin, columns: list[int]) -> None:
        for at in columns:
            pool = self.pools[at]
            found = _standing(world, kin, pool)
            self.data[:-1, number, at] = _columns(found, kin, self.policy) if found else 0
            moving = moving_s(world, kin.request, pool, self.policy) if found else 0
            self.data[-1, number, at] = moving

    def _grow(self, kins: int, pools: int) -> None:
        _, had_kins, had_pools = self.data.shape
        if kins <= had_kins and pools <= had_pools:
            return
        shape = (len(FIELDS), max(2 * kins, had_kins), max(pools, had_pools))
        data = np.zeros(shape, np.int64)
        data[:, :had_kins, :had_pools] = self.data
        self.data = data


def _standing(world: World, kin: Kin, number: int) -> Priced | None:
    """Return a kin's price as if the pool were there and lent all: both may change in any round."""
    if facts_of(world, number) is None or listed_offer(world, number) is None:
        return None
    whole = changed(
        world.pools.get(number),
        state=PoolState.ONLINE,
        is_draining=0,
        lent_cpus_milli=LARGEST,
        lent_memory_bytes=LARGEST,
        lent_device_count=LARGEST,
    )
    return priced(world, kin, whole)


def _columns(found: Priced, kin: Kin, policy: Policy) -> tuple[int, ...]:
    offer, units, task_s = found
    micro = charge_micro(task_s * MILLI, units, offer.price_micro_per_unit_h)
    hold = hold_for(offer, units, task_s, kin.time_limit_s, policy)
    use = service_units_micro(task_s * MILLI, units, offer.score_millionths)
    return offer.id, units, task_s, min(micro, LARGEST), min(hold, LARGEST), min(use, LARGEST)


def _price_for(world: World, kin: Kin, pool: int) -> Offer | None:
    """Return the offer version at which a job may run on a pool: the promised, else the listed."""
    for locked in kin.prices:
        if locked.pool == pool:
            return world.offers.get(locked.offer)
    return listed_offer(world, pool)
