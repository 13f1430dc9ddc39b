"""One row of the table of quality."""

from dataclasses import dataclass


@dataclass(frozen=True)
class QualityRow:
    """A measure with its unit: what others published, a baseline run here, and ours.

    `is_reached` says whether the aim, which the note gives where it is not `published`, is met.
    """

    name: str
    measure: str
    published: float
    baseline: float
    ours: float
    is_reached: bool
    note: str = ""
