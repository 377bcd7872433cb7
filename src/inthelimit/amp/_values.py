"""What a user's function returned, checked before it is used."""

import numpy as np
from numpy.typing import ArrayLike

from inthelimit._checks import Array


def checked_value(
    name: str, value: ArrayLike, shape: tuple[int, ...], copies: int | None = None
) -> Array:
    """Return what a function returned as finite float64 numbers of shape (*shape[, copies]).

    One value for all copies, of shape (*shape, 1), is let through.
    """
    array = np.asarray(value)
    full = shape if copies is None else (*shape, copies)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must return real numbers, got dtype {array.dtype}")
    if array.shape != full and (copies is None or array.shape != (*shape, 1)):
        raise ValueError(f"{name} must return shape {full}, got {array.shape}")
    array = np.broadcast_to(array, full).astype(np.float64, copy=False)
    if not np.isfinite(array).all():
        bad = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} must return finite numbers, got {array[bad]} at index {bad}")
    return array
