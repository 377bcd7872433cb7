"""Checks at the door: turn what a caller passes into clean float64 data, or say what is wrong.

Every helper takes the argument's name first, returns the checked value, and raises
``ValueError`` with the name, the value and the rule.  Behind the door nothing is checked again.
"""

from collections.abc import Sequence
from typing import SupportsFloat, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

SYMMETRY_TOLERANCE = 1e-12
# Within these bounds, and the condition number, a covariance has an inverse and a determinant.
SMALLEST_VARIANCE = 1e-30
LARGEST_VARIANCE = 1e30
LARGEST_CONDITION = 1e13


def real_array(name: str, value: ArrayLike, *, ndim: int | None = None) -> Array:
    """Return a fresh C-ordered float64 copy of `value`, finite and with `ndim` dimensions."""
    try:
        raw = np.asarray(value)
    except ValueError as error:  # ragged nested sequences
        raise ValueError(f"{name} must be a rectangular array of real numbers, {error}") from None
    if raw.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be an array of real numbers, got dtype {raw.dtype}")
    if ndim is not None and raw.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimension(s), got shape {raw.shape}")
    array = np.array(raw, dtype=np.float64, order="C")
    if not np.isfinite(array).all():
        bad = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} must be finite, got {array[bad]} at index {bad}")
    return array


def vector(name: str, value: ArrayLike, *, length: int | None = None) -> Array:
    """Return a finite float64 copy of shape (length,), or of any length ≥ 1."""
    array = real_array(name, value, ndim=1)
    if length is None and array.size == 0:
        raise ValueError(f"{name} must have at least one entry, got shape {array.shape}")
    if length is not None and array.size != length:
        raise ValueError(f"{name} must have shape ({length},), got {array.shape}")
    return array


def matrix(name: str, value: ArrayLike) -> Array:
    """Return a finite float64 copy of shape (rows ≥ 1, columns ≥ 1)."""
    array = real_array(name, value, ndim=2)
    if array.size == 0:
        raise ValueError(f"{name} must have at least one row and one column, got {array.shape}")
    return array


def covariance_matrix(name: str, value: ArrayLike, *, dimension: int | None = None) -> Array:
    """Return a symmetric positive definite copy of shape (dimension, dimension)."""
    array = matrix(name, value)
    d = array.shape[0] if dimension is None else dimension
    if array.shape != (d, d):
        raise ValueError(f"{name} must have shape ({d}, {d}), got {array.shape}")
    skew = np.abs(array - array.T)
    if skew.max() > SYMMETRY_TOLERANCE * np.abs(array).max():
        i, j = (int(k) for k in np.unravel_index(skew.argmax(), skew.shape))
        raise ValueError(
            f"{name} must be symmetric, got [{i}, {j}] = {array[i, j]} "
            f"and [{j}, {i}] = {array[j, i]}"
        )
    moderate(name, array, largest=LARGEST_VARIANCE)
    symmetric: Array = array / 2 + array.T / 2
    eigenvalues = np.linalg.eigvalsh(symmetric)
    if not eigenvalues[0] >= max(SMALLEST_VARIANCE, eigenvalues[-1] / LARGEST_CONDITION):
        raise ValueError(
            f"{name} must be positive definite with a condition number below "
            f"{LARGEST_CONDITION:g}, got eigenvalues from {eigenvalues[0]:.6g} "
            f"to {eigenvalues[-1]:.6g}"
        )
    return symmetric


def points(name: str, value: ArrayLike, *, dimension: int) -> Array:
    """Return a finite float64 copy of shape (..., dimension)."""
    array = real_array(name, value)
    if array.ndim == 0 or array.shape[-1] != dimension:
        raise ValueError(f"{name} must have shape (..., {dimension}), got {array.shape}")
    return array


def number(
    name: str,
    value: SupportsFloat | SupportsIndex,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    at_most: float | None = None,
) -> float:
    """Return `value` as a finite float within the stated bounds."""
    try:
        x = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a real number, got {value!r}") from None
    if not np.isfinite(x):
        raise ValueError(f"{name} must be finite, got {x}")
    if above is not None and not x > above:
        raise ValueError(f"{name} must be > {above:g}, got {x}")
    if at_least is not None and not x >= at_least:
        raise ValueError(f"{name} must be ≥ {at_least:g}, got {x}")
    if below is not None and not x < below:
        raise ValueError(f"{name} must be < {below:g}, got {x}")
    if at_most is not None and not x <= at_most:
        raise ValueError(f"{name} must be ≤ {at_most:g}, got {x}")
    return x


def moderate(name: str, array: Array, *, largest: float) -> Array:
    """Return `array` if no entry is beyond ±`largest`, where squares to come would overflow."""
    size = np.abs(array).max()
    if size > largest:
        raise ValueError(f"{name} must be within ±{largest:g}, got a value of size {size}")
    return array


def integer(name: str, value: SupportsIndex, *, at_least: int | None = None) -> int:
    """Return `value` as an int ≥ `at_least`; floats are refused, even integral ones."""
    try:
        n = value.__index__()
    except AttributeError:
        raise ValueError(f"{name} must be an integer, got {value!r}") from None
    if at_least is not None and n < at_least:
        raise ValueError(f"{name} must be ≥ {at_least}, got {n}")
    return n


def increasing(name: str, value: ArrayLike, *, at_least: float | None = None) -> Array:
    """Return a non-empty, strictly increasing float64 copy with first entry ≥ `at_least`."""
    array = vector(name, value)
    if at_least is not None and array[0] < at_least:
        raise ValueError(f"{name} must be ≥ {at_least:g}, got {array[0]}")
    if (np.diff(array) <= 0).any():
        i = int(np.argmax(np.diff(array) <= 0))
        raise ValueError(f"{name} must be strictly increasing, got {array[i]}, {array[i + 1]}")
    return array


def readings(name: str, value: ArrayLike | None, *, horizon: float) -> Array:
    """Return increasing times within [0, horizon]: 101 equally spaced ones where none are given."""
    if value is None:
        return np.linspace(0.0, horizon, 101) if horizon > 0.0 else np.zeros(1)
    times = increasing(name, value, at_least=0.0)
    if times[-1] > horizon:
        raise ValueError(f"{name} must be ≤ horizon = {horizon:g}, got {times[-1]}")
    return times


def choice(name: str, value: str, allowed: Sequence[str]) -> str:
    """Return `value` if it is one of the words in `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value


def generator(name: str, value: np.random.Generator) -> np.random.Generator:
    """Return `value` if it is a NumPy generator: a seed or the global state is refused."""
    if not isinstance(value, np.random.Generator):
        raise ValueError(f"{name} must be a numpy.random.Generator, got {value!r}")
    return value
