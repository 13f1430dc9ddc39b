"""How long a job will take, from what its user stated and from what the jobs before it took."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]
STATED = 0
PREDICTORS = ("stated",)


class Foresight(NamedTuple):
    """How lengths are foreseen, and what was learnt so far; `how`[0] is a place in `PREDICTORS`."""

    how: Ints


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def foresee(foresight: Foresight, user: int, units: int, stated_ms: int) -> int:
    """Return the length that a job is expected to have when it comes, in milliseconds."""
    return stated_ms


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def correct(foresight: Foresight, user: int, units: int, stated_ms: int, ran_ms: int) -> int:
    """Return the length expected of a job that has run for `ran_ms` and was to be over: more."""
    return max(stated_ms, ran_ms + 1)


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def learn(foresight: Foresight, user: int, units: int, stated_ms: int, ran_ms: int) -> None:
    """Take in how long a job took that has ended."""
