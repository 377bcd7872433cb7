"""Layers inside a network, u = φ(z): what they say about u and z when both are known in part.

z is known to be N(ω, V) from below, and u through the likelihood exp(B u − Λ u²/2) from above.  A
layer enters message passing by its estimate û = E u, with ∂û/∂B, and its score ∂_ω log p(B | ω).
Source: multi-layer message passing, an instance of arXiv:2109.11905; the formulas are derived here.
"""

from typing import Protocol

import numpy as np
from scipy.special import log_ndtr, ndtr

from inthelimit._checks import Array
from inthelimit.amp._quadrature import lattice
from inthelimit.amp.models.channels import hazard, nodes_for

# Nodes of averages over what a layer is told of its u.
NODES = 192


class Layer(Protocol):
    """What message passing needs to know of a layer inside the network."""

    def forward(self, z: Array) -> Array:
        """Return u = φ(z)."""

    def second_moment(self, variance: float) -> float:
        """Return E u² for z ~ N(0, variance)."""

    def estimate(self, omega: Array, V: float, field: Array, precision: float) -> Array:
        """Return û."""

    def spread(self, omega: Array, V: float, field: Array, precision: float) -> Array:
        """Return ∂û/∂B, the posterior variance of u."""

    def score(self, omega: Array, V: float, field: Array, precision: float) -> Array:
        """Return g."""

    def slope(self, omega: Array, V: float, field: Array, precision: float) -> Array:
        """Return ∂g/∂ω."""

    def averages(self, overlap: float, V: float, precision: float) -> tuple[float, float]:
        """Return the limit's E Var(u) and E g², for ω ~ N(0, overlap)."""


class SignLayer:
    """The layer u = sign(z).

    With s = ω/√V and h = φ/Φ: û = tanh(B + ½ log(Φ(s)/Φ(−s))), and with p_± = (1 ± û)/2,
    g = (p_+ h(s) − p_− h(−s))/√V, ∂g/∂ω = −(s/√V) g − g².  As u² = 1, Λ does not enter.
    """

    def forward(self, z: Array) -> Array:
        """Return u = sign(z)."""
        return np.sign(z)

    def second_moment(self, variance: float) -> float:
        """Return E u² = 1."""
        return 1.0

    def estimate(self, omega: Array, V: float, field: Array, precision: float) -> Array:
        """Return û."""
        s = omega / np.sqrt(V)
        guess: Array = np.tanh(field + 0.5 * (log_ndtr(s) - log_ndtr(-s)))
        return guess

    def spread(self, omega: Array, V: float, field: Array, precision: float) -> Array:
        """Return ∂û/∂B = 1 − û²."""
        return 1.0 - self.estimate(omega, V, field, precision) ** 2

    def score(self, omega: Array, V: float, field: Array, precision: float) -> Array:
        """Return g."""
        s = omega / np.sqrt(V)
        guess = self.estimate(omega, V, field, precision)
        score: Array = 0.5 * ((1.0 + guess) * hazard(s) - (1.0 - guess) * hazard(-s)) / np.sqrt(V)
        return score

    def slope(self, omega: Array, V: float, field: Array, precision: float) -> Array:
        """Return ∂g/∂ω."""
        g = self.score(omega, V, field, precision)
        return -(omega / V) * g - g**2

    def averages(self, overlap: float, V: float, precision: float) -> tuple[float, float]:
        """Return the limit's E Var(u) and E g², for ω ~ N(0, overlap)."""
        inner, outer = lattice(nodes_for(np.sqrt(overlap / V))), lattice(NODES)
        omega = np.sqrt(overlap) * inner.nodes[:, None]
        field = precision + np.sqrt(precision) * outer.nodes
        # u = −1 is the mirror image of u = 1.
        weights = 2.0 * inner.weights[:, None] * ndtr(omega / np.sqrt(V)) * outer.weights
        spread = (weights * self.spread(omega, V, field, precision)).sum()
        information = (weights * self.score(omega, V, field, precision) ** 2).sum()
        return float(spread), float(information)
