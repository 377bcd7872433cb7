"""One decorator for compiled kernels, and plain Python where Numba can't be had."""

from collections.abc import Callable
from typing import Any, TypeVar

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

try:
    import numba
except ImportError:  # Pyodide, for one
    numba = None


def compiled(kernel: Kernel) -> Kernel:
    """Compile `kernel` on its first call, to machine code that is cached and releases the GIL.

    Sums may be reassociated and products fused, so that loops vectorise; NaN and inf keep their
    meaning.  Without Numba the kernel is returned as it is: same results, slower.
    """
    if numba is None:
        return kernel
    fast = {"reassoc", "contract", "nsz"}
    wrapped: Kernel = numba.njit(nogil=True, cache=True, fastmath=fast)(kernel)
    return wrapped
