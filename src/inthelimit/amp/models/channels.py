"""Output channels: how observations y depend on z = A x, and what they say about z.

In message passing z is known to be N(ω, V), and the channel enters by its score and slope,

    g(y, ω, V) = ∂_ω log p(y | ω, V),    ∂_ω g,    and the information E g² = −E ∂_ω g,

with p(y | ω, V) = E p(y | z).  Source: generalized approximate message passing, an instance of
arXiv:2109.11905 with two vertices; the formulas are derived here.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy import fft
from scipy.special import erfcx

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.amp._quadrature import lattice

# Averages over ω/√V, of standard deviation s, of functions of scale 1: so many nodes for s ≤ 5,
# more in proportion.  The trapezoidal rule is then exact to 1e-10.
NODES, MOST_NODES = 256, 2**14


class Channel(Protocol):
    """What a generalized linear model needs to know of its output."""

    def observe(self, z: Array, noise: Array) -> Array:
        """Return y for z and standard Gaussian noise."""

    def score(self, y: Array, omega: Array, variance: float) -> Array:
        """Return g(y, ω, V)."""

    def slope(self, y: Array, omega: Array, variance: float) -> Array:
        """Return ∂_ω g(y, ω, V)."""

    def information(self, overlap: float, variance: float) -> float:
        """Return E g² for ω ~ N(0, overlap) and z ~ N(ω, V)."""


@dataclass(frozen=True, slots=True)
class Linear:
    """Linear observations, y = z + √Δ · noise.

    Parameters
    ----------
    noise_variance : float > 0
        Δ.
    """

    noise_variance: float

    def __post_init__(self) -> None:
        delta = _checks.number("noise_variance", self.noise_variance, above=0.0)
        object.__setattr__(self, "noise_variance", delta)

    def observe(self, z: Array, noise: Array) -> Array:
        """Return y for z and standard Gaussian noise."""
        y: Array = z + np.sqrt(self.noise_variance) * noise
        return y

    def score(self, y: Array, omega: Array, variance: float) -> Array:
        """Return g(y, ω, V) = (y − ω)/(Δ + V)."""
        score: Array = (y - omega) / (self.noise_variance + variance)
        return score

    def slope(self, y: Array, omega: Array, variance: float) -> Array:
        """Return ∂_ω g(y, ω, V) = −1/(Δ + V)."""
        return np.full_like(omega, -1.0 / (self.noise_variance + variance))

    def information(self, overlap: float, variance: float) -> float:
        """Return E g² = 1/(Δ + V)."""
        return 1.0 / (self.noise_variance + variance)


@dataclass(frozen=True, slots=True)
class Sign:
    """One-bit observations, y = sign(z + √Δ · noise): the perceptron, probit regression.

    Parameters
    ----------
    noise_variance : float ≥ 0
        Δ.
    """

    noise_variance: float = 0.0

    def __post_init__(self) -> None:
        delta = _checks.number("noise_variance", self.noise_variance, at_least=0.0)
        object.__setattr__(self, "noise_variance", delta)

    def observe(self, z: Array, noise: Array) -> Array:
        """Return y = ±1 for z and standard Gaussian noise."""
        return np.where(z + np.sqrt(self.noise_variance) * noise >= 0.0, 1.0, -1.0)

    def score(self, y: Array, omega: Array, variance: float) -> Array:
        """Return g(y, ω, V) = y h(yω/√(Δ+V))/√(Δ+V), with h = φ/Φ."""
        scale = np.sqrt(self.noise_variance + variance)
        score: Array = y * hazard(y * omega / scale) / scale
        return score

    def slope(self, y: Array, omega: Array, variance: float) -> Array:
        """Return ∂_ω g(y, ω, V) = −h (h + s)/(Δ + V) at s = yω/√(Δ+V)."""
        scale = np.sqrt(self.noise_variance + variance)
        s = y * omega / scale
        h = hazard(s)
        slope: Array = -h * (h + s) / scale**2
        return slope

    def information(self, overlap: float, variance: float) -> float:
        """Return E g² = E h(s) h(−s)/(Δ + V)."""
        total = self.noise_variance + variance
        scale = np.sqrt(overlap / total)
        grid = lattice(nodes_for(scale))
        s = scale * grid.nodes
        return float(grid.weights @ (hazard(s) * hazard(-s)) / total)


def hazard(s: ArrayLike) -> Array:
    """Return φ(s)/Φ(s), by the scaled error function: no ratio of numbers that underflow."""
    ratio: Array = np.sqrt(2.0 / np.pi) / erfcx(-np.asarray(s) / np.sqrt(2.0))
    return ratio


def nodes_for(scale: float) -> int:
    """Return how many nodes of a lattice resolve scale 1 in a Gaussian of standard deviation s."""
    n = min(NODES * max(1.0, scale / 5.0), MOST_NODES)
    return 2 * int(fft.next_fast_len(int(n / 2), real=True))
