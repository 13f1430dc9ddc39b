"""How kernels are compiled: what may make arrays anew, and what is made part of its caller."""

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Kernel = TypeVar("Kernel", bound=Callable[..., Any])
_njit: Any = njit  # its declared signature knows neither `_nrt` nor the wrappers

# What is called by the event or by the node works in place: without its run time numba refuses to
# allocate, and counts no references, whose atomic steps cost more than the work. It is made part of
# its caller.
in_place: Callable[[Kernel], Kernel] = _njit(
    cache=True, _nrt=False, forceinline=True, no_cfunc_wrapper=True
)
# Such a kernel by itself: one that is large, and called from Python or from several places.
on_call: Callable[[Kernel], Kernel] = _njit(cache=True, _nrt=False)
# What is called by the round may make arrays anew. (Said aloud: numba hands `_nrt` down.)
anew: Callable[[Kernel], Kernel] = _njit(cache=True, _nrt=True)
