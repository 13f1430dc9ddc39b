"""The compiled replay agrees with its slow twin, and with what others published of real traces."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intertie.placement.given import BACKFILLS, NO_TRADE
from intertie.placement.ordering import ORDERS
from intertie.planner.predicting import ENDLESS_MS, PREDICTORS
from intertie.simulator.replay import ReplayPolicy, replay, replay_together
from intertie.simulator.scoreboard import score
from intertie.simulator.traces.reading import read_trace
from intertie.simulator.traces.trace import BadTrace, Trace, in_order, merged
from tests.support.slow_fill import SlowFill, an_instance
from tests.support.slow_foresight import SlowForesight
from tests.support.slow_ordering import slow_key

SLICES = Path(__file__).parent / "traces"
CAPACITY = 4
Row = tuple[int, int, int, int, int]


class SlowLastTwo:
    """The mean of a user's last two lengths, as its specification."""

    def __init__(self) -> None:
        self.lengths: dict[int, list[int]] = {}
        self.centre: int | None = None

    def foresee(self, user: int, units: int, limit: int) -> list[int]:
        last = self.lengths.get(user)
        return [min(limit, (last[0] + last[-1]) // 2) if last else limit] * 3

    def learn(self, user: int, units: int, limit: int, ran: int) -> None:
        self.lengths[user] = [*self.lengths.get(user, []), ran][-2:]


class SlowReplay:
    """`replay` as its specification: one event after another, each with a round of `SlowFill`."""

    def __init__(self, trace: Trace, capacity: int, policy: ReplayPolicy) -> None:
        self.trace, self.capacity, self.policy = trace, capacity, policy
        self.stated = (trace.run_ms if policy.is_perfect else trace.length_ms).tolist()
        if policy.predictor != "stated" and not trace.is_stated:
            self.stated = [ENDLESS_MS] * len(trace)
        self.foresight = {"history": SlowForesight, "last-two": SlowLastTwo}.get(policy.predictor)
        self.known = self.foresight() if self.foresight else None
        self.centre: dict[int, int | None] = {}
        self.length: dict[int, int] = {}
        self.reach: dict[int, int] = {}
        self.waiting: list[int] = []
        self.start: dict[int, int] = {}
        self.running: list[int] = []
        self.used = [0] * (int(trace.user.max(initial=0)) + 1)

    def run(self) -> list[int]:
        """Return when each job started."""
        coming = list(range(len(self.trace)))
        while coming or self.running:
            instants = [self._end(job) for job in self.running]
            instants += [self._expected(job) for job in self.running]
            now = min([*instants, *(int(self.trace.submit_ms[job]) for job in coming[:1])])
            ended = [job for job in self.running if self._end(job) == now]
            due = [job for job in self.running if self._expected(job) == now]
            for job in due:
                if job in ended:
                    self._leave(job)
                else:
                    ran = now - self.start[job]
                    self.reach[job] = max(ran + 1, min(self.stated[job], 2 * ran))
            is_told = any(job not in ended for job in due)
            events = [("come", job) for job in coming if self.trace.submit_ms[job] == now]
            events += [("end", job) for job in ended]
            if is_told and (self.policy.is_by_event or not events):
                self._round(now)
            while events:
                what, job = events.pop(0)
                if what == "come":
                    coming.remove(job)
                    self._come(job)
                elif job in self.running:
                    self._leave(job)
                if self.policy.is_by_event or not events:
                    self._round(now)
        return [self.start[job] for job in range(len(self.trace))]

    def _end(self, job: int) -> int:
        return self.start[job] + int(self.trace.run_ms[job])

    def _expected(self, job: int) -> int:
        return self.start[job] + self.reach[job]

    def _come(self, job: int) -> None:
        told = int(self.trace.user[job]), int(self.trace.units[job]), self.stated[job]
        likely = high = told[2]
        if self.known is not None:
            _, likely, high = self.known.foresee(*told)
            self.centre[job] = self.known.centre
        self.length[job] = likely
        self.reach[job] = {
            "stated": told[2],
            "last-two": likely,
            "history": high if told[2] == ENDLESS_MS else told[2],
        }[self.policy.predictor]
        self.waiting.append(job)

    def _leave(self, job: int) -> None:
        self.running.remove(job)
        if self.known is not None:
            self.known.centre = self.centre[job]
            told = int(self.trace.user[job]), int(self.trace.units[job]), self.stated[job]
            self.known.learn(*told, int(self.trace.run_ms[job]))

    def _key(self, job: int, now: int) -> int:
        return slow_key(
            ORDERS.index(self.policy.order),
            submit_ms=int(self.trace.submit_ms[job]),
            length_ms=self.length[job],
            units=int(self.trace.units[job]),
            deadline_ms=0,
            priority=0,
            now_ms=now,
            patience_ms=self.policy.patience_s * 1000 or 2**62,
        )

    def _payer(self, job: int) -> int:
        return int(self.trace.user[job]) if self.policy.is_fair else 0

    def _use(self, job: int) -> int:
        stated_s = int(self.trace.length_ms[job]) // 1000
        return stated_s * int(self.trace.units[job]) if self.policy.is_fair else 0

    def _round(self, now: int) -> None:
        self.waiting.sort(key=lambda job: (self._key(job, now), job))
        units = self.trace.units.tolist()
        told = an_instance(
            kin=list(range(len(self.waiting))),
            tasks=[1] * len(self.waiting),
            budget=[1] * len(self.waiting),
            length=[self.length[job] for job in self.waiting],
            need=[[units[job]] for job in self.waiting],
            rank=[[0]] * len(self.waiting),
            hold=[[0]] * len(self.waiting),
            use=[self._use(job) for job in self.waiting],
            is_gang=[0] * len(self.waiting),
            project=[self._payer(job) for job in self.waiting],
            used=self.used,
            weight=[1] * len(self.used),
            wallet=[100] * len(self.used),
            free=[[self.capacity - sum(units[job] for job in self.running)]],
            whole=[[self.capacity]],
            lent=[[self.capacity - sum(units[job] for job in self.running)]],
            releases=[(max(0, self._expected(job) - now), 0, [units[job]]) for job in self.running],
        )
        slow = SlowFill(replace(told, backfill=self.policy.backfill))
        placed, self.used = slow.run(), slow.used
        for row, _ in placed:
            self.start[self.waiting[row]] = now
            self.running.append(self.waiting[row])
        self.waiting = [job for job in self.waiting if job not in self.start]


rows = st.lists(
    st.tuples(
        st.integers(0, 6),
        st.integers(1, 5),
        st.integers(0, 8),
        st.integers(1, CAPACITY),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=8,
)
policies = st.builds(
    ReplayPolicy,
    st.sampled_from(BACKFILLS),
    st.booleans(),
    st.booleans(),
    st.sampled_from(ORDERS),
    st.sampled_from(PREDICTORS),
    st.sampled_from([0, 1, 4]),
)


fair = st.builds(
    ReplayPolicy, st.sampled_from(BACKFILLS), st.booleans(), st.booleans(), is_fair=st.just(True)
)


@given(rows, fair)
def test_where_users_take_turns_every_job_starts_when_it_does_in_the_slow_twin(
    told: list[Row], policy: ReplayPolicy
) -> None:
    seconds = [(at, run, length * 1000, units, user) for at, run, length, units, user in told]
    trace = in_order(seconds)
    assert replay(trace, CAPACITY, policy).tolist() == SlowReplay(trace, CAPACITY, policy).run()


@given(rows, policies)
def test_the_replay_starts_every_job_when_its_slow_twin_does(
    told: list[Row], policy: ReplayPolicy
) -> None:
    trace = in_order(told)
    assert replay(trace, CAPACITY, policy).tolist() == SlowReplay(trace, CAPACITY, policy).run()


@given(rows, policies)
def test_no_more_runs_at_once_than_there_is_and_nobody_starts_before_he_came(
    told: list[Row], policy: ReplayPolicy
) -> None:
    trace = in_order(told)
    starts = replay(trace, CAPACITY, policy)
    assert (starts >= trace.submit_ms).all()
    for at in starts:
        runs = (starts <= at) & (at < starts + trace.run_ms)
        assert trace.units[runs].sum() <= CAPACITY


@given(rows)
def test_room_that_is_kept_lets_nobody_delay_the_first_who_waits(told: list[Row]) -> None:
    """With true lengths, who is first in the queue starts no later than under FCFS."""
    trace = in_order(told)
    easy = replay(trace, CAPACITY, ReplayPolicy("easy", is_perfect=True))
    alone = replay(trace, CAPACITY, ReplayPolicy("fcfs", is_perfect=True))
    blocked = np.flatnonzero(alone > trace.submit_ms)
    if len(blocked):
        assert easy[blocked[0]] <= alone[blocked[0]]


@pytest.mark.parametrize("backfill", BACKFILLS)
@pytest.mark.parametrize("is_perfect", [False, True])
def test_the_first_jobs_of_kth_start_when_the_slow_twin_says(
    backfill: str, is_perfect: bool
) -> None:
    trace = read_trace(SLICES / "kth-sp2-first-400.swf").first(120)
    policy = ReplayPolicy(backfill, is_perfect)
    found = replay(trace, trace.capacity, policy)
    assert found.tolist() == SlowReplay(trace, trace.capacity, policy).run()


@pytest.mark.parametrize("backfill", BACKFILLS)
@pytest.mark.parametrize("is_by_event", [False, True])
def test_step_by_step_every_job_starts_when_it_does_in_one_loop(
    backfill: str, is_by_event: bool
) -> None:
    trace = read_trace(SLICES / "kth-sp2-first-400.swf")
    policy = ReplayPolicy(backfill, is_by_event=is_by_event)
    fused, stepped = (replay(trace, trace.capacity, policy, by_step) for by_step in (False, True))
    assert fused.tobytes() == stepped.tobytes()


def test_a_replay_is_the_same_each_time() -> None:
    trace = read_trace(SLICES / "kth-sp2-first-400.swf")
    first, again = (replay(trace, trace.capacity, ReplayPolicy("easy-sjbf")) for _ in range(2))
    assert first.tobytes() == again.tobytes()


def test_a_job_that_could_never_start_is_refused_with_what_it_needs() -> None:
    with pytest.raises(BadTrace, match="5 units of 4: give at least 5"):
        replay(in_order([(0, 1, 1, 5, 0)]), CAPACITY, ReplayPolicy())


def test_a_score_is_what_its_definitions_say() -> None:
    trace = in_order([(0, 20_000, 0, 2, 0), (0, 5_000, 0, 2, 0), (0, 10_000, 0, 4, 1)])
    found = score(trace, replay(trace, CAPACITY, ReplayPolicy()), CAPACITY)
    assert (found.wait_mean_s, found.jct_mean_s, found.makespan_s) == (20 / 3, 55 / 3, 30.0)
    assert found.ave_bsld == (1 + 1 + 3) / 3
    assert found.occupancy_share == (2 * 20 + 2 * 5 + 4 * 10) / (4 * 30)


def test_a_job_goes_home_where_there_is_room_and_else_where_it_would_rather() -> None:
    east = in_order([(0, 9_000, 0, 4, 0), (1, 9_000, 0, 2, 0), (2, 9_000, 0, 2, 0)])
    both = merged([east, in_order([(0, 1_000, 0, 1, 0)])])
    rank = np.array([[0, 1, 2], [NO_TRADE, 0, NO_TRADE]], np.int64)
    starts, clusters = replay_together(both, [4, 2, 4], rank, ReplayPolicy())
    found = [clusters[both.home == home].tolist() for home in (0, 1)]
    assert found == [[0, 2, 2], [1]]
    assert (starts == both.submit_ms).all()


def test_clusters_apart_are_replayed_together_as_each_alone() -> None:
    trace = read_trace(SLICES / "kth-sp2-first-400.swf")
    parts = [trace.first(150), trace.first(90)]
    apart = np.where(np.eye(2, dtype=bool), 0, NO_TRADE).astype(np.int64)
    both = merged(parts)
    starts, _ = replay_together(both, [100, 100], apart, ReplayPolicy("first-fit"))
    for home, part in enumerate(parts):
        assert (starts[both.home == home] == replay(part, 100, ReplayPolicy("first-fit"))).all()
