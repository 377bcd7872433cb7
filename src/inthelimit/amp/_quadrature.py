"""Gaussian integrals on a lattice: any function of few Gaussians, at one time or at two.

One time.  The trapezoidal rule on (−L, L) with weights φ(y) h.  For smooth functions its error
falls like exp(−c/h), as that of Gauss and Hermite's rule does, which at the same number of nodes is
coarser in the middle; at a kink it is of order h², at a jump of order h.

Two times.  Gaussians X, Y with correlation ρ ∈ [0, 1] are X = √ρ a + √(1−ρ) u and
Y = √ρ a + √(1−ρ) v, with a, u, v independent, so that

    E f(X) g(Y) = E F(a) G(a),    F(a) = E f(√ρ a + √(1−ρ) u),    G likewise.

Smoothing multiplies the Fourier transform of the lattice function by exp(−ω² (1−ρ)/2): exact for
all ρ up to 1, and one axis for a pair, so that two times cost no more axes than one.  As ρ → 0 the
weight of a concentrates in a few nodes, and Hermite coefficients are used, whose products decay
like ρ^k (Mehler).
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy import fft

from inthelimit._checks import Array

# Beyond ±9.5 a Gaussian has probability 2e-21; functions are faded out from ±8 on, 1e-15, so that
# the period of the Fourier transform isn't felt.
HALF_WIDTH = 9.5
FADE_FROM = 8.0
# Below this correlation TERMS Hermite coefficients give 0.15^16 = 7e-14 of E f² g².
SMALL_CORRELATION = 0.15
TERMS = 16
# A Gaussian with so many nodes in its standard deviation is summed to 1e-19.
NODES_IN_WEIGHT = 1.5
# Correlations this near to 1 are 1.
ONE = 1.0 - 1e-14


class Lattice:
    """n equally spaced nodes, with the weights of the standard Gaussian."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.step = 2.0 * HALF_WIDTH / n
        self.nodes: Array = self.step * (np.arange(n, dtype=np.float64) - n // 2)
        self.weights = self._density(1.0)
        beyond = np.clip((np.abs(self.nodes) - FADE_FROM) / (HALF_WIDTH - FADE_FROM), 0.0, 1.0)
        # A polynomial with two continuous derivatives, from 1 to 0.
        self._fade: Array = 1.0 - beyond**3 * (10.0 - 15.0 * beyond + 6.0 * beyond**2)
        self._frequencies: Array = 2.0 * np.pi * fft.rfftfreq(n, self.step)
        self._hermite = self._hermite_functions()

    def tensor(self, n_axes: int) -> tuple[Array, Array]:
        """Return the nodes (n^k, k) and weights (n^k,) of the product of k lattices."""
        axes = np.meshgrid(*[self.nodes] * n_axes, indexing="ij")
        nodes = np.stack([axis.ravel() for axis in axes], axis=1) if axes else np.zeros((1, 0))
        weights = np.ones(1)
        for _ in range(n_axes):
            weights = np.multiply.outer(weights, self.weights).ravel()
        return nodes, weights

    def paired_mean(
        self, first: Array, second: Array, correlations: Sequence[float], weights: Array
    ) -> Array:
        """Return Σ_a weights_a E f_a(X) g_a(Y)ᵀ, shape (q, q'), for functions given on lattices.

        `first` has shape (A, n, …, n, q): one axis for each Gaussian in X, axis k paired with axis
        k of `second` by the correlation given.
        """
        measure = weights
        for axis, correlation in enumerate(correlations, start=1):
            first, shared = self._common(first, axis, correlation)
            second, _ = self._common(second, axis, correlation)
            measure = np.multiply.outer(measure, shared)
        weighted = first * measure[..., None]
        products: Array = weighted.reshape(-1, first.shape[-1]).T @ second.reshape(
            -1, second.shape[-1]
        )
        return products

    def mean_along(self, values: Array, axis: int) -> Array:
        """Return the mean over the Gaussian of one axis."""
        mean: Array = np.tensordot(values, self.weights, axes=(axis, 0))
        return mean

    def _common(self, values: Array, axis: int, correlation: float) -> tuple[Array, Array]:
        """Return the values as functions of the common part a, and the weights of its nodes."""
        if correlation >= ONE:
            return values, self.weights
        if correlation < SMALL_CORRELATION:
            powers = np.sqrt(correlation) ** np.arange(TERMS)
            terms = np.tensordot(values, powers[:, None] * self._hermite, axes=(axis, 1))
            return np.moveaxis(terms, -1, axis), np.ones(TERMS)
        shape = [1] * values.ndim
        shape[axis] = -1
        transfer = np.exp(-0.5 * (1.0 - correlation) * self._frequencies**2)
        spectrum = fft.rfft(values * self._fade.reshape(shape), axis=axis)
        # The common part has its own, finer lattice where its weight is narrow.
        finer = int(np.ceil(NODES_IN_WEIGHT * self.step / np.sqrt(correlation)))
        smooth = fft.irfft(spectrum * transfer.reshape(shape), n=finer * self.n, axis=axis)
        return finer * smooth, self._density(correlation, finer)

    def _density(self, variance: float, finer: int = 1) -> Array:
        """Return the weights of a Gaussian of this variance on the lattice, or on a finer one."""
        scale, step = np.sqrt(variance), self.step / finer
        nodes = self.nodes[0] + step * np.arange(finer * self.n)
        heights = np.exp(-0.5 * (nodes / scale) ** 2)
        weights: Array = heights * (step / (scale * np.sqrt(2.0 * np.pi)))
        return weights

    def _hermite_functions(self) -> Array:
        """Return He_k(y)/√k! times the weights, shape (TERMS, n)."""
        rows = np.empty((TERMS, self.n))
        rows[0], rows[1] = self.weights, self.nodes * self.weights
        for k in range(1, TERMS - 1):
            rows[k + 1] = self.nodes * rows[k] - np.sqrt(k) * rows[k - 1]
            rows[k + 1] /= np.sqrt(k + 1.0)
        return rows


@cache
def lattice(n: int) -> Lattice:
    """Return the lattice of n nodes, made once."""
    return Lattice(n)
