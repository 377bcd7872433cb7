"""The directions in which a batch of data pushes the neurons: minus m times the gradients."""

from collections.abc import Callable

import numpy as np

from inthelimit._checks import Array
from inthelimit.single_index.hermite import series_values
from inthelimit.single_index.problem import SingleIndexProblem


class BatchAscent:
    """Draws batches of data, and returns −m ∂R/∂a_i and −m (I − u_i u_iᵀ) ∂R/∂u_i on them."""

    __slots__ = ("_derivative", "_noise", "_phi", "_value", "_x")

    def __init__(self, problem: SingleIndexProblem, d: int, batch: int, noise: float) -> None:
        self._x = np.empty((batch, d))
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
        z = x @ u.T
        features = self._value(z)
        error -= features @ a / a.size
        error /= error.size
        a_ascent: Array = error @ features
        slopes = self._derivative(z)
        slopes *= error[:, None]
        u_ascent: Array = (a[:, None] * slopes.T) @ x
        u_ascent -= np.vecdot(u_ascent, u)[:, None] * u
        return a_ascent, u_ascent
