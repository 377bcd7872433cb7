"""A periodic grid, its covariance and its frequencies: what the propagators share."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inthelimit import _checks
from inthelimit._checks import Array

# Lengths, times and covariances within these bounds, and values below the last one, have energies,
# the longest product that is formed of them, in float64.
SMALLEST_SCALE = 1e-30
LARGEST_SCALE = 1e30
LARGEST_VALUE = 1e50


def whitened(x: ArrayLike, covariance: ArrayLike) -> tuple[Array, float, int]:
    """Return √(xᵀΛ⁻¹x) for x of shape (..., d), log det Λ, and d."""
    factor = np.linalg.cholesky(_checks.covariance_matrix("covariance", covariance))
    d = factor.shape[0]
    points = _checks.points("x", x, dimension=d)
    if points.size:
        _checks.moderate("x", points, largest=LARGEST_SCALE)
    y = np.linalg.solve(factor, points.reshape(-1, d).T)
    radius: Array = np.linalg.norm(y, axis=0).reshape(points.shape[:-1])
    return radius, 2 * float(np.log(factor.diagonal()).sum()), d


@dataclass(frozen=True, slots=True)
class Grid:
    """A periodic grid of `shape` points at distances `spacing`, with covariance Λ."""

    shape: tuple[int, ...]
    spacing: Array
    covariance: Array

    @classmethod
    def of(
        cls, name: str, values: ArrayLike, covariance: ArrayLike, spacing: ArrayLike
    ) -> tuple[Array, "Grid"]:
        """Check grid values with their covariance and spacing; return the values and the grid."""
        array = _checks.real_array(name, values)
        if array.ndim == 0 or array.size == 0:
            raise ValueError(f"{name} must be a grid of one or more points, got {array.shape}")
        _checks.moderate(name, array, largest=LARGEST_VALUE)
        return array, cls(
            array.shape,
            _spacing(spacing, array.ndim),
            _checks.covariance_matrix("covariance", covariance, dimension=array.ndim),
        )

    @property
    def volume(self) -> float:
        """The volume of the period."""
        return float(prod(self.shape) * np.prod(self.spacing))

    def multiplier(self, symbol: Callable[[Array], Array]) -> Array:
        """Return symbol(√(ξᵀΛξ)) at the frequencies of `rfftn`.

        A frequency at the end of an even axis stands for ±ξ_i: the mean over the signs is the
        symbol of the trigonometric interpolant that has half of it on either side.
        """
        axes = [
            2 * np.pi * np.fft.fftfreq(n, h) for n, h in zip(self.shape, self.spacing, strict=True)
        ]
        axes[-1] = axes[-1][: self.shape[-1] // 2 + 1]
        frequencies = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        values = symbol(self._norm(frequencies))
        ends = self.ends()
        ambiguous = ends.any(axis=-1)
        if np.count_nonzero(self.covariance) > len(self.shape) and ambiguous.any():
            at, ends = frequencies[ambiguous], ends[ambiguous]
            signs = list(product((1.0, -1.0), repeat=len(self.shape)))
            values[ambiguous] = sum(
                symbol(self._norm(np.where(ends, np.array(sign) * at, at))) for sign in signs
            ) / len(signs)
        return values

    def ends(self) -> NDArray[np.bool_]:
        """Return which coordinates of the frequencies of `rfftn` are at the end of an even axis."""
        axes = [(np.arange(n) == n // 2) & (n % 2 == 0) for n in self.shape]
        axes[-1] = axes[-1][: self.shape[-1] // 2 + 1]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)

    def _norm(self, frequencies: Array) -> Array:
        squared = np.einsum("...i,ij,...j->...", frequencies, self.covariance, frequencies)
        norm: Array = np.sqrt(np.maximum(squared, 0.0))
        return norm


def _spacing(value: ArrayLike, dimension: int) -> Array:
    spacing = _checks.real_array("spacing", value)
    if spacing.shape not in ((), (dimension,)):
        raise ValueError(
            f"spacing must be a number or have shape ({dimension},), got {spacing.shape}"
        )
    if not ((spacing >= SMALLEST_SCALE) & (spacing <= LARGEST_SCALE)).all():
        worst = spacing.min() if spacing.min() < SMALLEST_SCALE else spacing.max()
        raise ValueError(
            f"spacing must be > 0, within {SMALLEST_SCALE:g} and {LARGEST_SCALE:g}, got {worst}"
        )
    return np.broadcast_to(spacing, (dimension,)).astype(np.float64)
