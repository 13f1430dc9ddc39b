"""Size a request from what it states and from what earlier runs took."""

from intertie.model.refusal import Refusal, Relaxation
from intertie.model.request import Request
from intertie.model.sizing import History, Sizing
from intertie.model.units import MICRO, MILLI, ceil_div, service_units_micro

PROFILES = ("cpu@1",)


def size(request: Request, history: History) -> Sizing | Refusal:
    """Return what the request needs on reference units, or why it cannot be sized.

    The duration is the stated one, else the upper quartile of the project's runs under the same
    name, else the time limit: each is shown with its source, and a later one is never preferred.
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


def _expected(request: Request, history: History) -> tuple[int, str, int]:
    if request.expected_s:
        return request.expected_s, "stated", 0
    runs_ms = sorted(history.of(request.name))
    if runs_ms:
        return ceil_div(runs_ms[len(runs_ms) * 3 // 4], MILLI), "history", len(runs_ms)
    return request.time_limit_s, "time_limit", 0


def _units_milli(request: Request) -> int:
    if request.resources.device_count:
        return request.resources.device_count * MILLI
    return request.resources.cpus_milli
