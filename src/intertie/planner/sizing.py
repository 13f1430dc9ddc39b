"""Size a request from what it states and from what earlier runs took."""

import numpy as np

from intertie.model.refusal import Refusal, Relaxation
from intertie.model.request import Request
from intertie.model.sizing import History, Run, Sizing
from intertie.model.units import MICRO, MILLI, ceil_div, service_units_micro
from intertie.planner.predicting import foresight_of, relive

PROFILES = ("cpu@1",)
# So many runs of other names say how this project states its limits.
_ENOUGH_OF_OTHERS = 5


def size(request: Request, history: History) -> Sizing | Refusal:
    """Return what the request needs on reference units, or why it cannot be sized.

    The duration is the stated one, else the likely one by the project's runs, else the time limit:
    each is shown with its source, and a later one is never preferred.
    """
    if request.profile not in PROFILES:
        known = ", ".join(PROFILES)
        return Refusal(
            "profile_unknown",
            {"profile": request.profile, "known": known},
            Relaxation("use_profile", {"profile": PROFILES[0]}),
        )
    expected_s, source, samples = _expected(request, history)
    units_milli = _units_milli(request)
    one_task = service_units_micro(expected_s * MILLI, units_milli, MICRO)
    return Sizing(
        task_count=request.task_count,
        expected_s=expected_s,
        units_milli=units_milli,
        service_units_micro=one_task * request.task_count,
        profile=request.profile,
        source=source,
        samples=samples,
    )


def quantiles_of(history: History, request: Request) -> tuple[int, int, int, int]:
    """Return (low_s, likely_s, high_s, samples): of ten such tasks one is shorter than low.

    One is longer than high, and all are on one reference unit and at most the time limit, which all
    three are where the history says nothing (0 samples). `samples` are the runs under the same
    name, or of the whole project where there are none. By the rule under which a replay predicts.
    """
    runs = history.all()
    samples = sum(run.name == request.name for run in runs)
    limit_s = request.time_limit_s
    if not samples and len(runs) < _ENOUGH_OF_OTHERS:
        return limit_s, limit_s, limit_s, 0
    runs = (*runs, run_of(request, 0))
    known: dict[str, int] = {}
    name = np.array([known.setdefault(run.name, len(known)) for run in runs], np.int64)
    units, limit, ran = np.array(
        [(run.units_milli, (run.time_limit_s or limit_s) * MILLI, run.ran_ms) for run in runs],
        np.int64,
    ).T.copy()
    foresight = foresight_of("history", name, units, limit)
    low, likely, high = relive(foresight, name, limit, ran)
    low_s, likely_s, high_s = (max(1, ceil_div(int(each), MILLI)) for each in (low, likely, high))
    return low_s, likely_s, high_s, samples or len(runs) - 1


def run_of(request: Request, ran_ms: int) -> Run:
    """Return a task of a request as a history keeps it."""
    return Run(request.name, _units_milli(request), request.time_limit_s, ran_ms)


def _expected(request: Request, history: History) -> tuple[int, str, int]:
    if request.expected_s:
        return request.expected_s, "stated", 0
    _, likely_s, _, samples = quantiles_of(history, request)
    return likely_s, "history" if samples else "time_limit", samples


def _units_milli(request: Request) -> int:
    if request.resources.device_count:
        return request.resources.device_count * MILLI
    return request.resources.cpus_milli
