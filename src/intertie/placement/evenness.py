"""How even shares are: one definition for the live network and for replays."""

from collections.abc import Sequence

PPM = 1_000_000


def gini_ppm(amounts: Sequence[int]) -> int:
    """Return the Gini coefficient in millionths, rounded down: 0 where all have the same.

    Half the mean difference of two, over the mean (Gini 1912); of nothing at all it is 0.
    """
    assert all(amount >= 0 for amount in amounts)
    total, count = sum(amounts), len(amounts)
    if not total:
        return 0
    weighed = sum((2 * rank - count - 1) * each for rank, each in enumerate(sorted(amounts), 1))
    return weighed * PPM // (count * total)


def most_to_least_ppm(amounts: Sequence[int]) -> int | None:
    """Return the largest over the least in millionths; None where the least has nothing."""
    least = min(amounts, default=0)
    return max(amounts) * PPM // least if least > 0 else None
