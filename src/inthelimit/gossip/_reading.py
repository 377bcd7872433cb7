"""Read the states of a run of synchronous gossip at chosen rounds, into one array."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from inthelimit import _checks
from inthelimit.gossip._stencil import Integers, Values

# Beyond this a result is an oversight rather than a wish.
LARGEST_RESULT = 8 * 2**30


def reading_times(times: ArrayLike | None, n_steps: int) -> Integers:
    """Return increasing integers within [0, n_steps]: all of them where none are given."""
    n_steps = _checks.integer("n_steps", n_steps, at_least=0)
    if times is None:
        return np.arange(n_steps + 1)
    increasing = _checks.increasing("times", times, at_least=0.0)
    integers = increasing.astype(np.int64)
    if (integers != increasing).any():
        wrong = increasing[np.argmax(integers != increasing)]
        raise ValueError(f"times must be integers, got {wrong}")
    if integers[-1] > n_steps:
        raise ValueError(f"times must be ≤ n_steps = {n_steps}, got {integers[-1]}")
    return integers


def empty_result(times: Integers, shape: tuple[int, ...], dtype: DTypeLike) -> Values:
    """Return an array for values of this shape at these times, unless that would be too large."""
    size = times.size * int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size > LARGEST_RESULT:
        raise ValueError(
            f"times must be fewer: {times.size} of them times values of shape {shape} take "
            f"{size / 2**30:.1f} GiB, allowed {LARGEST_RESULT / 2**30:g} GiB"
        )
    return np.empty((times.size, *shape), dtype=dtype)


def record(states: Iterable[Values], result: Values, times: Integers) -> Values:
    """Fill in the states, numbered from 0, at the times; ask for none after the last of them."""
    row = 0
    for t, state in enumerate(states):
        if t == times[row]:
            result[row] = state
            row += 1
        if row == times.size:
            break
    return result
