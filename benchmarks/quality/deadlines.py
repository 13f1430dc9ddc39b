"""ITP's ten clusters with deadlines (half before the job could be done as it was asked for).

Shares of all jobs that are done in time, at the sizes of the clusters with which ElasticFlow was
published. Rigid jobs cannot pass the share whose deadline leaves their duration; elastic ones not
that which could be in time alone at their fastest. Nothing was fitted.
"""

from pathlib import Path

import numpy as np

from benchmarks.quality.rows import QualityRow
from benchmarks.traces import DEVICES
from intertie.simulator.elastic import NAMED, replay, told
from intertie.simulator.traces.deadlines import DeadlineTrace
from intertie.simulator.traces.reading import read_trace

# As published, clusters 1 to 10.
EDF = (0.182, 0.228, 0.095, 0.007, 0.375, 0.105, 0.046, 0.252, 0.800, 0.769)
CHRONUS = (0.474, 0.445, 0.426, 0.450, 0.453, 0.432, 0.460, 0.447, 0.466, 0.454)
ELASTICFLOW = (0.788, 0.822, 0.455, 0.631, 0.832, 0.607, 0.665, 0.896, 0.938, 0.981)
KEPT = 0.99

Measures = dict[str, float]


def rows(traces: Path) -> list[QualityRow]:
    """Return rigid and elastic shares, each cluster alone and all joined, and promises kept."""
    jobs = [read_trace(traces / f"itp/with_deadlines/cluster{at:02}.csv") for at in DEVICES]
    weight = np.array([len(each) for each in jobs]) / sum(len(each) for each in jobs)
    edf, rigid, elastic = (_alone(jobs, name) for name in ("edf", "elastic-rigid", "elastic"))
    joined = _joined(jobs)
    found = [_rigid(rigid, weight)]
    for at, number in enumerate(DEVICES):
        note = (
            f"could be alone {elastic[at]['could_alone_share']:.3f}; EDF published {EDF[at]:.3f}, "
            f"refused for want of room {elastic[at]['refused_no_room']:.0f}"
        )
        found.append(
            _row(f"ITP cluster {number}, elastic", ELASTICFLOW[at], edf[at], elastic[at], note)
        )
    mean = float(weight @ ELASTICFLOW)
    note = f"could be alone {_mean(joined, weight, 'could_alone_share'):.4f}"
    for name, each in (("each alone", elastic), ("joined, jobs may move", joined)):
        all_met = {"met_share": _mean(each, weight, "met_share")}
        edf_met = {"met_share": _mean(edf, weight, "met_share")}
        found.append(_row(f"ITP, elastic, {name}", mean, edf_met, all_met, note))
    kept = min(each["kept_share"] for each in (*elastic, *joined))
    name = "ITP, promises kept, worst cluster"
    return [*found, QualityRow(name, "share", KEPT, KEPT, kept, kept >= KEPT, "the aim is 0.99")]


def _alone(jobs: list[DeadlineTrace], name: str) -> list[Measures]:
    devices = DEVICES.values()
    return [
        told(trace, replay([trace], [capacity], NAMED[name])[0]).measures
        for trace, capacity in zip(jobs, devices, strict=True)
    ]


def _joined(jobs: list[DeadlineTrace]) -> list[Measures]:
    found = replay(jobs, list(DEVICES.values()), NAMED["elastic"])
    return [told(trace, each).measures for trace, each in zip(jobs, found, strict=True)]


def _mean(found: list[Measures], weight: np.ndarray, measure: str) -> float:
    return float(weight @ [each[measure] for each in found])


def _rigid(found: list[Measures], weight: np.ndarray) -> QualityRow:
    ceiling = _mean(found, weight, "could_as_asked_share")
    ours, published = _mean(found, weight, "met_share"), float(weight @ CHRONUS)
    worst = max(each["could_as_asked_share"] - each["met_share"] for each in found)
    note = f"published is Chronus, the baseline the ceiling; at most {worst:.4f} below it"
    name = "ITP, rigid, each alone"
    return QualityRow(name, "share in time", published, ceiling, ours, ours > published, note)


def _row(name: str, published: float, baseline: Measures, ours: Measures, note: str) -> QualityRow:
    met = ours["met_share"]
    return QualityRow(
        name, "share in time", published, baseline["met_share"], met, met > published, note
    )
