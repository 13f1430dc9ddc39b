"""Who goes first: one integer for each waiting job, the lowest first.

Price is in none of them (design, section 7). Of two jobs alike the earlier goes first, which is the
caller's stable order.
"""

from numba import njit

from intertie.placement.given import LARGEST

FIFO = 0
ORDERS = ("fifo",)


@njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def queue_key(
    order: int,
    submit_ms: int,
    length_ms: int,
    units: int,
    deadline_ms: int,
    priority: int,
    now_ms: int = 0,
    patience_ms: int = LARGEST,
) -> int:
    """Return the key of a waiting job, the lowest first. `order` is a place in `ORDERS`."""
    return submit_ms
