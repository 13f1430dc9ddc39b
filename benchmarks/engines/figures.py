"""What is made of the measured durations: a table's rows, and the sentence that is quoted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.load.figures import Figure, percentile

STARTS, ARRAYS, NODES, DAG = "Submit → running", "Short tasks", "Many nodes", "Three stages"
ADDED, RATIO, SKIPPED = "added by Intertie, median", "Intertie / native", "skipped"
CRITICAL, CRITICAL_MOST = "total / critical path", 1.1
AIM_MS = 500


@dataclass(frozen=True)
class Start:
    """One job, in seconds: until the call of `submit` returned, and until its program began."""

    asked_s: float
    running_s: float


def starts(engine: str, native: Sequence[Start], ours: Sequence[Start]) -> Iterator[Figure]:
    """Yield both medians and p99s in milliseconds, what Intertie adds, and their ratio."""
    middle = {}
    for who, runs in (("native", native), ("Intertie", ours)):
        running = [run.running_s * 1000 for run in runs]
        asked_ms = median(run.asked_s for run in runs) * 1000
        middle[who] = median(running)
        note = f"{len(runs)} runs; the call that submits: {asked_ms:.0f} ms"
        yield Figure(STARTS, engine, f"{who}, median", middle[who], "ms", note)
        yield Figure(STARTS, engine, f"{who}, p99", percentile(running, 0.99), "ms")
    added_ms = middle["Intertie"] - middle["native"]
    yield Figure(STARTS, engine, ADDED, added_ms, "ms", f"aim: below {AIM_MS}")
    yield Figure(STARTS, engine, RATIO, middle["Intertie"] / middle["native"], "")


def rates(
    part: str, engine: str, tasks: int, native: Sequence[float], ours: Sequence[float]
) -> Iterator[Figure]:
    """Yield tasks a second of both, from the seconds that each run of `tasks` took; the ratio."""
    rate = {"native": tasks / median(native), "Intertie": tasks / median(ours)}
    for who, seconds in (("native", native), ("Intertie", ours)):
        note = ", ".join(f"{each:.1f} s" for each in seconds)
        yield Figure(part, engine, f"{who}, {tasks} tasks", rate[who], "a second", note)
    yield Figure(part, engine, RATIO, rate["Intertie"] / rate["native"], "", "aim: at least 1")


def stages(on: str, ran_s: Mapping[str, float], total_s: float) -> Iterator[Figure]:
    """Yield each stage's own run time in seconds, the total, and it over their sum."""
    for name, took_s in ran_s.items():
        yield Figure(DAG, on, f"ran: {name}", took_s, "s")
    yield Figure(DAG, on, "asked → last result here", total_s, "s")
    note = f"aim: at most {CRITICAL_MOST}"
    yield Figure(DAG, on, CRITICAL, total_s / sum(ran_s.values()), "", note)


def summary(figures: Sequence[Figure]) -> str:
    """Return the sentence that is quoted: what was added at each engine, and the ratios."""
    said = [f"{each.on}: {each.value:+.0f} ms to a start" for each in figures if each.what == ADDED]
    said += [
        f"{each.on}: {each.value:.2f} of the native rate ({each.part.lower()})"
        for each in figures
        if each.what == RATIO and each.part != STARTS
    ]
    said += [
        f"{each.on}: {each.value:.3f} of the critical path"
        for each in figures
        if each.what == CRITICAL
    ]
    said += [f"{each.on} skipped: {each.note}" for each in figures if each.what == SKIPPED]
    return "; ".join(said) or "nothing was measured"
