"""`python -m benchmarks fairness --traces FOLDER`: equal shares for a day, and floors for labs.

*Six people, four cards* (US1): everybody always has work waiting, in jobs of lengths of their own;
the first asks for all of it at once. Made from a seed; no trace is needed for it.

*Labs beside a large group* (the trace `itp-labs`, by its seed): the two days of ITP's cluster 2 in
which most is asked for as the large group; and, as three labs, jobs of at most 8 devices of two
days of clusters 4, 7 and 8, drawn until each lab asks for a twentieth of what the group does. The
seed picks days and jobs. The network has half the devices that they all want on average, and none
less than the widest job needs. The group's weight is 20, a lab's is 1: of what is shared by use
a lab is due a twenty-third. A lab's floor is none, a twentieth or a tenth of the network.

All of it goes through the whole river on a virtual clock, with true lengths.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.traces import clusters, options
from intertie.model.parties import NodeFacts, PoolFacts, Score, Terms
from intertie.model.policy import Policy
from intertie.model.request import Request, Resources
from intertie.model.units import GIB, MICRO
from intertie.placement.evenness import PPM, gini_ppm, most_to_least_ppm
from intertie.simulator.past import Past, PastJob, PastPool, PastShare
from intertie.simulator.running import Outcome
from intertie.simulator.scoreboard import served_ppm
from intertie.simulator.traces.trace import Trace
from intertie.simulator.whatif import what_if

WHAT = "equal shares for a day, and floors for small labs beside a large group"
BEGAN = 1_700_000_000_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
SPAN_MS = 2 * DAY_MS
PEOPLE, CARDS, AIM = 6, 4, 1.25
LARGE, LABS = 2, (4, 7, 8)
LAB_UNITS_MAX, LAB_JOBS, LARGE_WEIGHT = 8, 100, 20
FLOORS_PPM = (0, 50_000, 100_000)
SEEDS = (1, 2, 3)
# Submission in seconds, project, run time in seconds, devices.
Asked = tuple[int, int, int, int]


@dataclass(frozen=True)
class Row:
    """One run; Gini and most ÷ least are of what is named, by project; waits of the large group."""

    name: str
    shares: str
    floor_ppm: int
    gini: float
    most_to_least: float | None
    large_wait_p90_s: float | None = None
    labs_wait_p90_s: float | None = None


def day_of_six(seed: int) -> list[Asked]:
    """Return work for a day and more: the first asks for all at once, the others as they go on."""
    rng = np.random.default_rng(seed)
    told: list[Asked] = []
    for person in range(1, PEOPLE + 1):
        longest_s, asked_s, at_s = int(rng.integers(1_200, 7_200)), 0, 0
        while asked_s < 30 * 3600 and at_s < 24 * 3600:
            work_s = int(rng.integers(longest_s // 4, longest_s))
            told.append((at_s, person, work_s, 1))
            asked_s += work_s
            # Ahead of what an even share gives: two thirds of a card.
            at_s = 0 if person == 1 else max(0, asked_s * 3 // 2 - 6 * 3600)
    return sorted(told)


def card_hours(policy: Policy, seed: int) -> list[float]:
    """Return how many hours of a card each of six people had in their day."""
    found = run(day_of_six(seed), CARDS, policy).jobs
    start, end = (np.minimum(found[name], BEGAN + DAY_MS) for name in ("start_ms", "end_ms"))
    sums = np.zeros(PEOPLE + 1, np.int64)
    np.add.at(sums, found["project"], end - start)
    return [float(each) / HOUR_MS for each in sums[1:]]


def days_of_labs(folder: Path, seed: int) -> tuple[list[Asked], int]:
    """Return the trace `itp-labs` of a seed, and how many devices the network has."""
    rng, every = np.random.default_rng(seed), clusters(folder, 1)
    spans = _spans(every[LARGE - 1][0], 1)
    told = max(spans, key=_device_s)
    most = _device_s(told) // 20
    for project, number in enumerate(LABS, start=2):
        spans = [span for span in _spans(every[number - 1][0], project) if len(span) >= LAB_JOBS]
        span = spans[int(rng.integers(len(spans)))]
        small = [each for each in span if each[3] <= LAB_UNITS_MAX]
        drawn = [small[at] for at in rng.permutation(len(small))]
        sums = np.cumsum([run_s * units for _, _, run_s, units in drawn])
        told = told + drawn[: int(np.searchsorted(sums, most)) + 1]
    widest = max(units for *_, units in told)
    return sorted(told), max(widest, _device_s(told) * 1000 // SPAN_MS // 2)


def labs(folder: Path, seed: int, share_by: str, floor_ppm: int) -> Row:
    """Return one run of a large group and three labs."""
    told, devices = days_of_labs(folder, seed)
    shares = tuple(PastShare("project", p, 1, floor_ppm=floor_ppm) for p in range(2, 5))
    large = PastShare("project", 1, LARGE_WEIGHT)
    found = run(told, devices, Policy(share_by=share_by), (large, *shares)).jobs
    units = np.array([each[3] for each in told], np.int64)
    columns = (found["submit_ms"], found["start_ms"], found["end_ms"])
    served = served_ppm(found["project"], units, *columns)
    ratio = most_to_least_ppm(served)
    wait, is_large = found["start_ms"] - found["submit_ms"], found["project"] == 1
    return Row(
        f"itp-labs {seed}, {devices} devices",
        share_by,
        floor_ppm,
        gini_ppm(served) / PPM,
        ratio / PPM if ratio else None,
        float(np.percentile(wait[is_large], 90)) / 1000,
        float(np.percentile(wait[~is_large], 90)) / 1000,
    )


def run(
    told: list[Asked], devices: int, policy: Policy, shares: tuple[PastShare, ...] = ()
) -> Outcome:
    """Return what becomes of jobs on one pool of so many devices, in the order they were told."""
    node = NodeFacts("n", devices * 8000, devices * 64 * GIB, devices * 64 * GIB, "gpu", devices)
    terms = Terms(0, 5, node.cpus_milli, node.memory_bytes)
    scores = (Score("cpu@1", MICRO, "measured"),)
    facts = PoolFacts("pool", "fake", "here", "CN", 1, "declared", (node,), terms, scores)
    jobs = tuple(_job(number, *each) for number, each in enumerate(told, start=1))
    weights = {project: 1 for _, project, _, _ in told}
    pool = PastPool(1, 1, facts, BEGAN)
    return what_if(Past(BEGAN, BEGAN + SPAN_MS, weights, (pool,), jobs, shares=shares), policy)


def _job(number: int, at_s: int, project: int, run_s: int, units: int) -> PastJob:
    resources = Resources(1000 * units, GIB * units, GIB, "gpu", units)
    request = Request(
        "job",
        command=("true",),
        resources=resources,
        time_limit_s=run_s + 60,
        expected_s=run_s,
    )
    return PastJob(number, project, request, BEGAN + at_s * 1000, (run_s * 1000,))


def _spans(trace: Trace, project: int) -> list[list[Asked]]:
    """Return the jobs of each two days of a trace, as a project asks for them."""
    at = trace.submit_ms - trace.submit_ms.min()
    found: list[list[Asked]] = [[] for _ in range(int(at.max()) // SPAN_MS + 1)]
    columns = (at.tolist(), trace.run_ms.tolist(), trace.units.tolist())
    for submit, run_ms, units in zip(*columns, strict=True):
        asked = (submit % SPAN_MS // 1000, project, max(1, run_ms // 1000), units)
        found[submit // SPAN_MS].append(asked)
    return found


def _device_s(told: list[Asked]) -> int:
    return sum(run_s * units for _, _, run_s, units in told)


def measure(folder: Path) -> list[Row]:
    """Return the day of six with and without shares, and the labs with and without floors."""
    rows = []
    for share_by in ("use", "none"):
        for seed in SEEDS:
            hours = card_hours(Policy(share_by=share_by), seed)
            micro = [round(each * PPM) for each in hours]
            ratio = most_to_least_ppm(micro)
            gini = gini_ppm(micro) / PPM
            rows.append(
                Row(f"six people {seed}", share_by, 0, gini, ratio / PPM if ratio else None)
            )
    for share_by in ("use", "none"):
        for seed in SEEDS:
            rows += [labs(folder, seed, share_by, floor_ppm) for floor_ppm in FLOORS_PPM]
    return rows


def main(words: list[str]) -> int:
    """Print the runs, and how many keep to what is aimed at; return 0."""
    told = options("fairness", WHAT, words)
    rows = measure(told.traces)
    people = [row for row in rows if row.large_wait_p90_s is None and row.shares == "use"]
    even = sum(row.most_to_least is not None and row.most_to_least <= AIM for row in people)
    without = {(row.name, row.shares): row for row in rows if not row.floor_ppm}
    pairs = [(without[row.name, row.shares], row) for row in rows if row.floor_ppm]
    fairer = sum(other.gini < row.gini for row, other in pairs)
    kept = sum(
        (other.large_wait_p90_s or 0) <= 1.1 * (row.large_wait_p90_s or 0) for row, other in pairs
    )
    figure = f"equal shares: {even} of {len(people)} days within {AIM}; floors: Gini lower in"
    figure += f" {fairer} of {len(pairs)}, the large group's p90 wait within 1.1× in {kept}"
    if told.json:
        print(json.dumps({"rows": [asdict(row) for row in rows], "figure": figure}, indent=2))
        return 0
    head = ("", "shares by", "floor", "Gini", "most/least", "group p90 (s)", "labs p90 (s)")
    print("{:28}{:>10}{:>8}{:>9}{:>12}{:>15}{:>14}".format(*head))
    for row in rows:
        numbers = [row.most_to_least, row.large_wait_p90_s, row.labs_wait_p90_s]
        cells = ["–" if each is None else f"{each:,.2f}" for each in numbers]
        floor = f"{row.floor_ppm / 10_000:g} %" if row.floor_ppm else ""
        print(
            f"{row.name:28}{row.shares:>10}{floor:>8}{row.gini:9.4f}"
            f"{cells[0]:>12}{cells[1]:>15}{cells[2]:>14}"
        )
    print(f"\n{figure}")
    return 0
