"""The orders of the queue as their specification: integers that do not wrap."""

from intertie.placement.ordering import ORDERS


def slow_key(order: int, **job: int) -> int:
    """Return the key of a waiting job, the lowest first."""
    span = 2**52
    waited = max(0, job["now_ms"] - job["submit_ms"])
    ratio = min(2**20, 1000 * waited // max(10_000, job["length_ms"]))
    keys = {
        "fifo": job["submit_ms"],
        "shortest-first": job["length_ms"],
        "smallest-area-first": job["length_ms"] * job["units"],
        "narrowest-first": job["units"],
        "deadline-first": job["deadline_ms"] or 2**44,
        "ageing": 60 * job["length_ms"] + job["submit_ms"],
        "expansion-first": span - 1 - ratio,
        "wfp3": max(0, span - 1 - (ratio**2 // 1000) * ratio // 1000 * job["units"]),
    }
    key = min(span - 1, keys[ORDERS[order]])
    if waited > job["patience_ms"]:
        key = job["submit_ms"] - span
    return key - job["priority"] * 2 * span
