"""The directions in which a batch of data pushes the neurons: minus m times the gradients."""

from collections.abc import Callable

import numpy as np

from inthelimit._checks import Array
from inthelimit.single_index.hermite import series_values
from inthelimit.single_index.problem import SingleIndexProblem

# BLAS starts threads for larger products, which pays from a few rows times this on, and costs a
# factor of ten on small ones where other processes keep the cores busy.
SINGLE_THREADED = 200_000
FEWEST_ROWS = 8


class BatchAscent:
    """Draws batches of data, and returns −m ∂R/∂a_i and −m (I − u_i u_iᵀ) ∂R/∂u_i on them."""

    __slots__ = ("_derivative", "_noise", "_phi", "_rows", "_value", "_x")

    def __init__(
        self, problem: SingleIndexProblem, d: int, m: int, batch: int, noise: float
    ) -> None:
        self._x = np.empty((batch, d))
        self._rows = _slice_length(batch, SINGLE_THREADED // (m * d))
        self._noise = noise
        self._phi = np.trim_zeros(problem.phi, "b") if problem.phi.any() else np.zeros(1)
        self._value: Callable[[Array], Array]
        self._derivative: Callable[[Array], Array]
        if problem.activation is not None:
            self._value, self._derivative = problem.activation.value, problem.activation.derivative
        else:
            sigma = np.trim_zeros(problem.sigma, "b") if problem.sigma.any() else np.zeros(1)
            slopes = np.sqrt(np.arange(1.0, sigma.size)) * sigma[1:]  # he_k′ = √k he_{k−1}
            slopes = slopes if slopes.size else np.zeros(1)
            self._value = lambda z: series_values(sigma, z)
            self._derivative = lambda z: series_values(slopes, z)

    def sample(self, a: Array, u: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return the ascents of a (m,) and of u (m, d), tangent to the sphere, on a new batch."""
        x = rng.standard_normal(out=self._x)
        error = series_values(self._phi, x[:, 0])
        if self._noise:
            error += self._noise * rng.standard_normal(error.size)
        slices = x.reshape(-1, self._rows, x.shape[1])
        z = slices @ u.T
        features = self._value(z).reshape(error.size, a.size)
        error -= np.einsum("bi,i->b", features, a / a.size)
        error /= error.size
        a_ascent: Array = np.einsum("b,bi->i", error, features)
        slopes = self._derivative(z)
        slopes *= error.reshape(-1, self._rows, 1)
        u_ascent: Array = a[:, None] * (slopes.swapaxes(1, 2) @ slices).sum(axis=0)
        u_ascent -= np.vecdot(u_ascent, u)[:, None] * u
        return a_ascent, u_ascent


def _slice_length(batch: int, longest: int) -> int:
    """Return the largest divisor of `batch` up to `longest`; all of it where that is small."""
    length = max((n for n in range(1, min(longest, batch) + 1) if batch % n == 0), default=1)
    return length if length >= FEWEST_ROWS else batch
