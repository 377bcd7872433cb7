"""Gaussian families that may be singular: a factor that grows, and pairs that share what they can.

Covariances of state evolution are singular as a rule: a column that is constant in time, a linear
function, a fixed point reached to rounding.  A direction without variance of its own is dropped.
"""

import numpy as np
from scipy.linalg import solve_triangular

from inthelimit._checks import Array

# A variance below this part of its coordinate's is the noise of quadrature, and none ...
DEGENERATE = 1e-8
# ... or that of rounding, where all covariances are of one time.
ROUNDING = 1e-13


class GrowingGaussian:
    """A factor L with L Lᵀ = Cov(Z_1, …, Z_p), extended coordinate by coordinate.

    L has one row for each coordinate, and one column for each that is not a combination of earlier
    ones.  Adding coordinates to p costs O(p²) each: nothing is factored twice.
    """

    def __init__(self, tolerance: float = DEGENERATE) -> None:
        self._tolerance = tolerance
        self.factor: Array = np.zeros((0, 0))
        self._pivots: list[int] = []

    @property
    def rank(self) -> int:
        """The number of independent standard Gaussians that make up the family so far."""
        return len(self._pivots)

    def append(self, cross: Array, own: Array) -> Array:
        """Add q coordinates; return their rows of the factor, shape (q, new rank).

        `cross`, of shape (p, q), is their covariance with those before; `own`, of shape (q, q),
        among themselves.
        """
        q = len(own)
        for a in range(q):
            self._append_one(np.concatenate([cross[:, a], own[:a, a]]), float(own[a, a]))
        return self.factor[len(self.factor) - q :]

    def _append_one(self, cross: Array, variance: float) -> None:
        row = np.zeros(self.rank)
        if self._pivots:
            triangle = self.factor[self._pivots]
            row = solve_triangular(triangle, cross[self._pivots], lower=True, check_finite=False)
        explained = float(row @ row)
        rest = variance - explained
        is_new = rest > self._tolerance * variance
        if not is_new and explained > 0.0:
            # The variance is known better than how it splits.
            row *= np.sqrt(max(variance, 0.0) / explained)
        p, r = self.factor.shape
        grown = np.zeros((p + 1, r + is_new))
        grown[:p, :r] = self.factor
        grown[p, :r] = row
        if is_new:
            grown[p, r] = np.sqrt(rest)
            self._pivots.append(p)
        self.factor = grown


def triangular_root(covariance: Array) -> Array:
    """Return B of shape (q, rank) with B Bᵀ = covariance, B_ab = 0 for b > a.

    The first column is a multiple of the first Gaussian: a function of it alone has its jumps
    along an axis.
    """
    family = GrowingGaussian(ROUNDING)
    return family.append(np.zeros((0, len(covariance))), covariance)


def pseudo_inverse(covariance: Array) -> Array:
    """Return the inverse on the directions that have variance, 0 on the others."""
    inverse = root_and_inverse(covariance)[1]
    product: Array = inverse.T @ inverse
    return product


def canonical_pair(first: Array, second: Array, cross: Array) -> tuple[Array, Array, Array]:
    """Return B, C and ρ with Z = B α, Z' = C β, where all of α, β are independent but α_k, β_k.

    These have correlation ρ_k ∈ [0, 1].  B and C, of shapes (q, r) and (q, r'), have the ranks of
    Cov Z = `first` and Cov Z' = `second`; ρ has length min(r, r'), and `cross` is E Z Z'ᵀ.
    """
    (root_1, inverse_1), (root_2, inverse_2) = root_and_inverse(first), root_and_inverse(second)
    if 0 in (root_1.shape[1], root_2.shape[1]):
        return root_1, root_2, np.zeros(0)
    U, correlations, Vt = np.linalg.svd(inverse_1 @ cross @ inverse_2.T)
    return root_1 @ U, root_2 @ Vt.T, np.minimum(correlations, 1.0)


def root_and_inverse(covariance: Array) -> tuple[Array, Array]:
    """Return B of shape (q, rank) with B Bᵀ = covariance, and a left inverse of it."""
    # A column of small scale has variance of its own: each is judged in its own units.
    unit = np.sqrt(np.maximum(covariance.diagonal(), 0.0))
    unit[unit == 0.0] = 1.0
    values, vectors = np.linalg.eigh(covariance / unit / unit[:, None])
    kept = values > ROUNDING * len(values)
    scale, vectors = np.sqrt(values[kept]), vectors[:, kept]
    return unit[:, None] * vectors * scale, (vectors / scale).T / unit
