"""One decorator for compiled kernels, and plain Python where Numba can't be had."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

njit: Any
try:
    from numba import njit
except ImportError:  # Pyodide, for one
    njit = None

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(kernel: Kernel) -> Kernel:
    """Compile `kernel` on its first call, to machine code that is cached and releases the GIL.

    Sums may be reassociated and products fused, so that loops vectorise; NaN and inf keep their
    meaning.  Without Numba the kernel is returned as it is: the same results up to rounding,
    more slowly.
    """
    if njit is None:
        return kernel
    fast = {"reassoc", "contract", "nsz"}
    return cast(Kernel, njit(nogil=True, cache=True, fastmath=fast)(kernel))
