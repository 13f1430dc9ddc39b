"""What travels better than a number: each rate beside a limit or a peer of the same run."""

from collections.abc import Iterator, Sequence

from benchmarks.load.figures import Figure

PART = "Ratios"
# ours (part, what begins with), the other one (part, on or "" for the same store, what begins with)
PAIRS = (
    (("Accepted", "single jobs accepted"), ("Limits", "", "GET /v1/health"), "bare exchanges"),
    (("Accepted", "single jobs accepted"), ("Limits", "", "rows of the inbox, 1 "), "lone commits"),
    (("Accepted", "single jobs accepted"), ("Neigh", "slurm", "single jobs acc"), "Slurm's"),
    (("Accepted", "tasks in arrays"), ("Neigh", "slurm", "tasks in one array acc"), "Slurm's"),
    (("Through", "tasks in arrays"), ("Neigh", "slurm", "tasks in one array, asked"), "Slurm's"),
    (("Through", "single jobs"), ("Neigh", "slurm", "single jobs, asked"), "Slurm's"),
    (("Through", "tasks"), ("Neigh", "hyperqueue", "tasks in one job, asked"), "HyperQueue's"),
    (("Through", "single"), ("Neigh", "hyperqueue", "single jobs, asked"), "HyperQueue's"),
)


def ratios(figures: Sequence[Figure]) -> Iterator[Figure]:
    """Yield each pair whose both figures were measured."""
    for (part, what), (other_part, other_on, other_what), whose in PAIRS:
        for ours in _found(figures, part, "", what):
            for other in _found(figures, other_part, other_on or ours.on, other_what)[:1]:
                text = f"{ours.what} ({ours.part.lower()}) ÷ {whose}"
                yield Figure(PART, ours.on, text, ours.value / other.value, "×")


def _found(figures: Sequence[Figure], part: str, on: str, what: str) -> list[Figure]:
    return [
        each
        for each in figures
        if each.part.startswith(part)
        and each.what.startswith(what)
        and each.unit == "a second"
        and on in ("", each.on)
    ]
