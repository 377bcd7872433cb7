"""The output of a committee machine, y = Σ_k a_k φ(z_k) + √Δ · noise, and what y says about z.

z is known to be N(ω, V) in q dimensions: z = ω + V^{1/2} ζ, ζ standard.  With its law given y,

    g = ∂_ω log p(y | ω, V) = V^{-1/2} E[ζ | y],    ∂g/∂ω = V^{-1/2} (Cov[ζ | y] − I) V^{-1/2}.

Source: the channel of the matrix-valued example of arXiv:2109.11905, derived here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.amp.models.priors import gaussian_law

# The trapezoidal rule over ζ has nodes this part of the narrowest posterior apart: error 1e-6, for
# activations of slope up to 1.
SPACING = 1.4
REACH = 6.0
# Gauss–Hermite nodes over ω, on each axis, by q: error 2e-4 for two units, 1e-2 for three.
NODES = {2: 17, 3: 7}
# Nodes over y are this part of √Δ apart.
STEP = 0.7
# A Gaussian is cut at so many standard deviations: probability 1e-15.
CUT = 8.0
# Rows are taken so many at a time, which bounds the memory.
BLOCK_ROWS = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """The output y = Σ_k a_k φ(z_k) + √Δ · noise of q hidden units.

    Parameters
    ----------
    weights : array_like, shape (q,)
        a, q = 2 or 3; one unit is a generalized linear model.
    noise_variance : float > 0
        Δ.
    activation : callable, default tanh
        φ, smooth, elementwise.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    Averages over z are by the trapezoidal rule, at about (9 √(1 + ‖a‖²/Δ))^q nodes for each row:
    three units need patience where Δ is small.
    Source: the channel of arXiv:2109.11905's matrix-valued example, derived here.

    Examples
    --------
    >>> output = Output(np.array([1.0, 0.5]), 0.1)
    >>> output.score(np.array([1.0]), np.zeros((1, 2)), np.eye(2)).round(2)
    array([[1.03, 0.53]])
    """

    weights: Array
    noise_variance: float
    activation: Callable[[Array], Array] = np.tanh

    def __post_init__(self) -> None:
        weights = _checks.vector("weights", self.weights)
        if weights.size not in NODES:
            raise ValueError(f"weights must have length 2 or 3, got {weights.size}")
        weights.flags.writeable = False
        delta = _checks.number("noise_variance", self.noise_variance, above=0.0)
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "noise_variance", delta)

    def observe(self, z: Array, noise: Array) -> Array:
        """Return y for z of shape (n, q[, copies]) and standard Gaussian noise."""
        clean = np.tensordot(self.weights, self.activation(z), axes=(0, 1))
        y: Array = clean + np.sqrt(self.noise_variance) * noise
        return y

    def score(self, y: Array, omega: Array, V: Array) -> Array:
        """Return g, shape (n, q), for y of shape (n,) and ω of shape (n, q)."""
        root = _inverse_root(V)
        score: Array = self._moments(y, omega, V)[0] @ root
        return score

    def slope(self, y: Array, omega: Array, V: Array) -> Array:
        """Return ∂g_a/∂ω_b, shape (n, q, q)."""
        root = _inverse_root(V)
        mean, second = self._moments(y, omega, V)
        covariance = second - mean[:, :, None] * mean[:, None, :]
        slope: Array = root @ (covariance - np.eye(len(V))) @ root
        return slope

    def information(self, V: Array) -> Array:
        """Return E g gᵀ for ω ~ N(0, I − V), shape (q, q)."""
        q = len(V)
        nodes, node_weights = gaussian_tensor(q, NODES[q])
        omega = nodes @ _root(np.eye(q) - V)
        clean, weights = self._clean(omega, V), self._lattice()[1]
        delta = self.noise_variance
        reach = CUT * np.sqrt(delta)
        y = np.arange(clean.min() - reach, clean.max() + reach, STEP * np.sqrt(delta))
        total = np.zeros((q, q))
        for at, means, weight in zip(omega, clean, node_weights, strict=True):
            # p(y | ω) is a mixture over the nodes of z.
            density = np.exp(-0.5 * (y[:, None] - means) ** 2 / delta) @ weights
            density *= STEP / np.sqrt(2.0 * np.pi)
            g = self.score(y, np.broadcast_to(at, (y.size, q)), V)
            total += weight * (g * density[:, None]).T @ g
        return total

    def _lattice(self) -> tuple[Array, Array]:
        """Return nodes and weights of averages over ζ, fine enough for the law of ζ given y."""
        narrowest = (1.0 + self.weights @ self.weights / self.noise_variance) ** -0.5
        n = 2 * int(np.ceil(REACH / (SPACING * narrowest))) + 1
        return _lattice(self.weights.size, n)

    def _clean(self, omega: Array, V: Array) -> Array:
        """Return Σ_k a_k φ(z_k) at all nodes of z around each ω, shape (n, nodes)."""
        shift = self._lattice()[0] @ _root(V)
        units = [
            a * self.activation(omega[:, k, None] + shift[:, k]) for k, a in enumerate(self.weights)
        ]
        clean: Array = np.add.reduce(units)
        return clean

    def _moments(self, y: Array, omega: Array, V: Array) -> tuple[Array, Array]:
        """Return E[ζ | y] and E[ζ ζᵀ | y], shapes (n, q) and (n, q, q)."""
        zeta, weights = self._lattice()
        products = (zeta[:, :, None] * zeta[:, None, :]).reshape(len(zeta), -1)
        features = np.column_stack([np.ones(len(zeta)), zeta, products]) * weights[:, None]
        sums = np.empty((y.size, features.shape[1]))
        for first in range(0, y.size, BLOCK_ROWS):
            rows = slice(first, first + BLOCK_ROWS)
            exponent = (y[rows, None] - self._clean(omega[rows], V)) ** 2
            exponent -= exponent.min(axis=1, keepdims=True)
            sums[rows] = np.exp(-0.5 * exponent / self.noise_variance) @ features
        q = len(V)
        means = sums[:, 1:] / sums[:, :1]
        return means[:, :q], means[:, q:].reshape(-1, q, q)


@cache
def _lattice(q: int, n: int) -> tuple[Array, Array]:
    """Return n^q equally spaced nodes and the weights of q independent standard Gaussians."""
    values = np.linspace(-REACH, REACH, n)
    weights = np.exp(-0.5 * values**2)
    return _product(values, weights / weights.sum(), q)


@cache
def gaussian_tensor(q: int, n: int) -> tuple[Array, Array]:
    """Return n^q nodes of Gauss–Hermite's rule, and their weights."""
    return _product(*gaussian_law(n), q)


def _product(values: Array, weights: Array, q: int) -> tuple[Array, Array]:
    """Return nodes (p, q) and weights (p,) of a rule on each of q axes."""
    grid = np.stack(np.meshgrid(*[values] * q, indexing="ij"), axis=-1).reshape(-1, q)
    product = np.array([1.0])
    for _ in range(q):
        product = np.multiply.outer(product, weights).ravel()
    return grid, product


def _root(V: Array) -> Array:
    """Return the symmetric square root of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(V)
    root: Array = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return root


def _inverse_root(V: Array) -> Array:
    values, vectors = np.linalg.eigh(V)
    root: Array = (vectors / np.sqrt(values)) @ vectors.T
    return root
