"""Joining: the columns of a federation from traces and a file of providers, and its three ways.

*alone*: every provider's jobs at home. *one-pool*: as if all devices stood in one hall, without
owners, distance or data. *joined*: every provider stays itself, its own jobs come first at home,
and all go where they may (`simulator.federation`).
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from intertie.market.clearing import clear
from intertie.model.parties import NodeFacts, PoolFacts, Terms
from intertie.model.request import DataReference, Request, Resources
from intertie.model.units import GIB, MICRO
from intertie.placement.constraints import refuse
from intertie.placement.given import BACKFILLS, NO_TRADE, POOL, Kins, Places
from intertie.placement.moving import moving_ms
from intertie.simulator.federation import Fate, Union, live_together, nothing_yet
from intertie.simulator.providers import DAY_MIN, Provider, Providers, read_providers
from intertie.simulator.replay import ReplayPolicy, replay, work_of
from intertie.simulator.tide import ABSENT, tide_of
from intertie.simulator.traces.reading import read_trace
from intertie.simulator.traces.trace import BadTrace, Ints, S, Trace, merged

MINUTE_MS = 60 * S
# A device's share of what a node has beside its devices: enough for every job.
PLENTY = 2**40


@dataclass(frozen=True)
class Federated:
    """The jobs of several providers' users as one trace, `home` by the order of the file."""

    trace: Trace
    told: Providers

    def __len__(self) -> int:
        return len(self.trace)

    @cached_property
    def capacities(self) -> list[int]:
        return [provider.capacity for provider in self.told.providers]


@dataclass(frozen=True)
class Kinds:
    """The kinds of jobs that are treated alike, and each job's kind.

    One row of `shape` for each column below; axes [kind]. Data are in GiB.
    """

    shape: Ints
    kind: Ints

    UNITS, HOME, LATENCY_MS, IS_BOUND, GIB, IS_REQUEUEABLE = range(6)


def read_federated(path: Path, traces: list[Path]) -> Federated:
    """Return a file of providers with their traces; those given by name, else beside the file."""
    told = read_providers(path)
    given = {trace.name: trace for trace in traces}
    files = [given.get(p.trace, path.parent / p.trace) for p in told.providers]
    return federated([read_trace(file) for file in files], told)


def federated(traces: list[Trace], told: Providers) -> Federated:
    """Return the jobs of providers' users, each trace of one provider."""
    return Federated(merged(traces), told)


def alone(given: Federated, policy: ReplayPolicy) -> Ints:
    """Return when each job starts at home among its own; axes [job], in milliseconds."""
    trace, starts = given.trace, np.zeros(len(given), np.int64)
    for home, capacity in enumerate(given.capacities):
        is_own = trace.home == home
        if is_own.any():
            starts[is_own] = replay(_part(trace, is_own), capacity, policy)
    return starts


def as_one(given: Federated, policy: ReplayPolicy) -> Ints:
    """Return when each job starts where all devices are one machine."""
    return replay(given.trace, sum(given.capacities), policy)


def joined(given: Federated, policy: ReplayPolicy) -> Fate:
    """Return what becomes of each job; BadTrace where one never ends, as it may go nowhere."""
    trace, kinds = given.trace, kinds_of(given)
    union, kins = _union(given, kinds)
    whole = np.array(given.capacities, np.int64).reshape(-1, 1)
    traits = np.zeros((len(whole), 3), np.int64)
    traits[:, POOL] = np.arange(len(whole))
    places = Places(whole.copy(), whole, traits, whole.copy())
    work, tide = work_of(trace, kinds.kind, policy), tide_of(len(trace))
    fate, books = nothing_yet(len(trace), len(whole))
    rule = BACKFILLS.index(policy.backfill)
    live_together(work, tide, kins, places, union, books, fate, rule)
    if (never := np.flatnonzero(fate.done == ABSENT)).size:
        job = int(never[0])
        told = f"{len(never)} jobs fit nowhere that they may go; the first wants "
        told += f"{trace.units[job]} units, from {given.told.providers[trace.home[job]].name}"
        raise BadTrace(told)
    return fate


def kinds_of(given: Federated) -> Kinds:
    """Return the kinds of jobs; what traces do not say of them is drawn by the file's seed."""
    demand, jobs = given.told.demand, len(given)
    draw = np.random.default_rng(demand.seed)
    limits = [limit for limit, _ in demand.latency_ms] + [0]
    shares = [share for _, share in demand.latency_ms]
    latency_ms = draw.choice(limits, jobs, p=[*shares, 1 - sum(shares)])
    is_bound = draw.random(jobs) < demand.bound
    brings = draw.random(jobs) < demand.moving
    first, last = (size.bit_length() - 1 for size in demand.gib)
    gib = np.where(brings, 1 << draw.integers(first, last + 1, jobs), 0)
    is_requeueable = draw.random(jobs) < demand.requeueable
    columns = (given.trace.units, given.trace.home, latency_ms, is_bound, gib, is_requeueable)
    shape, kind = np.unique(np.stack(columns).astype(np.int64), axis=1, return_inverse=True)
    return Kinds(shape, kind.reshape(-1).astype(np.int64))


def _part(trace: Trace, which: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Trace:
    names = ("submit_ms", "run_ms", "length_ms", "units", "user", "home")
    return Trace(**{name: getattr(trace, name)[which] for name in names})


def _union(given: Federated, kinds: Kinds) -> tuple[Union, Kins]:
    """Return what the clusters agreed on, and where each kind of jobs would rather go."""
    told, (units, home, *_) = given.told, kinds.shape
    seen = [_seen_from(told, each) for each in told.providers]
    delay, price, may = _ways(told, kinds, seen)
    pays = [p.pays_per_unit_h for p in told.providers]
    limit = np.array([-1 if most is None else _micro(most) for most in pays], np.int64)[home]
    # clear() reads 0 as no limit: who pays nothing goes where it costs nothing.
    may &= (limit[:, None] != 0) | (price == 0)
    rank = clear(price, delay, np.maximum(0, limit), np.ones_like(home), may > 0).rank
    is_home = home[:, None] == np.arange(len(told.providers))
    grace = np.array([provider.grace_s * S for provider in told.providers], np.int64)
    own = np.where(is_home & may, 0, NO_TRADE)
    # At home they start as they would alone, or not yet: not as somebody's guests.
    kins = _kins(units, home, np.where(is_home, NO_TRADE, rank))
    at, cluster, is_open = _windows(told, int(given.trace.submit_ms.max()) * 2)
    union = Union(
        home=given.trace.home,
        size=given.trace.units.reshape(-1, 1).copy(),
        own=kins._replace(rank=own),
        delay=delay,
        grace=grace,
        weight=np.array(given.capacities, np.int64),
        lent=np.array(
            [[each.capacity if each.lent is None else each.lent] for each in told.providers],
            np.int64,
        ),
        at=at,
        cluster=cluster,
        is_open=is_open,
        interval=told.checkpoint_s * S,
        half_life=told.half_life_s * S,
    )
    return union, kins


def _ways(told: Providers, kinds: Kinds, seen: list[list[PoolFacts]]) -> tuple[Ints, Ints, Ints]:
    """Return delay in milliseconds, price by unit and hour, and who may go; axes [kind, cluster].

    By the same rules as in the network: `constraints.refuse` of what a pool looks like from home,
    and `moving.moving_ms` over the link between them.
    """
    shape = (kinds.shape.shape[1], len(told.providers))
    delay, price, may = np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape, bool)
    for kind, row in enumerate(kinds.shape.T.tolist()):
        home, at = row[Kinds.HOME], told.providers[row[Kinds.HOME]]
        request = _request(row, at)
        for cluster, provider in enumerate(told.providers):
            facts = seen[home][cluster]
            may[kind, cluster] = refuse(request, facts, provider.name, at.name) is None
            if provider is not at:
                may[kind, cluster] &= bool(row[Kinds.IS_REQUEUEABLE])
                links = (told.links.between(at, provider),)
                delay[kind, cluster] = moving_ms(request, facts, [seen[home][home]], links)
                price[kind, cluster] = _micro(provider.price_per_unit_h)
    return delay, price, may


def _request(row: list[int], home: Provider) -> Request:
    data = DataReference("data", row[Kinds.GIB] * GIB, (home.name,) if row[Kinds.IS_BOUND] else ())
    return Request(
        name=home.name,
        resources=Resources(0, 0, 0, "device", row[Kinds.UNITS]),
        data=(data,),
        latency_ms_max=row[Kinds.LATENCY_MS],
    )


def _seen_from(told: Providers, home: Provider) -> list[PoolFacts]:
    """Return the pools as they look from one home: how far away they are."""
    return [
        PoolFacts(
            name=each.name,
            engine="fake",
            region=each.name,
            country="",
            latency_ms=told.links.between(home, each).latency_ms,
            latency_source="distance",
            nodes=(NodeFacts(each.name, PLENTY, PLENTY, PLENTY, "device", each.capacity),),
            terms=Terms(_micro(each.price_per_unit_h), each.grace_s, PLENTY, PLENTY, each.name),
            datasets=("data",) if each is home else (),
        )
        for each in told.providers
    ]


def _kins(units: Ints, home: Ints, rank: Ints) -> Kins:
    none = np.zeros(len(units), np.int64)
    return Kins(units.reshape(-1, 1).copy(), none, rank, np.zeros_like(rank), none, none, home)


def _windows(told: Providers, until_ms: int) -> tuple[Ints, Ints, Ints]:
    """Return when each cluster opens to guests and shuts, by time; axes [change]."""
    changes: dict[tuple[int, int], int] = {}
    for cluster, provider in enumerate(told.providers):
        if hours := provider.hours():
            changes[0, cluster] = 0
        for day in range(until_ms // (DAY_MIN * MINUTE_MS) + 2 if hours else 0):
            for begin, end in hours:
                changes[(day * DAY_MIN + begin) * MINUTE_MS, cluster] = 1
                changes.setdefault(((day * DAY_MIN + end) * MINUTE_MS, cluster), 0)
    rows = [(at, cluster, is_open) for (at, cluster), is_open in sorted(changes.items())]
    at, which, is_open = np.array(rows, np.int64).reshape(-1, 3).T.copy()
    return at, which, is_open


def _micro(price: float) -> int:
    return round(price * MICRO)
