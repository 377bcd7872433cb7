"""The moment equation of gossip, and its exponential applied to a state.

A state is an array (3, n, n) of X, Y, Z, as in the docstring of `inthelimit.gossip.moments`.  The
exponential is a power series for any constants.  For simple gossip, whose equation is symmetric
with a spectrum in [−2r, 0], it is the Chebyshev series

    exp(t A) = Σ (2 − δ_k0) e^{−rt} I_k(rt) T_k(1 + A/r),

which needs about √(rt) terms where powers need rt.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import ive

from inthelimit import ConvergenceError
from inthelimit._checks import Array
from inthelimit._compiled import compiled
from inthelimit.continuized.schedules import Parameters
from inthelimit.graphs import GossipNetwork

# A Taylor step is cut in half when one of its terms exceeds the state by more than this: the
# cancellation between terms then costs two of the sixteen digits.
LARGEST_TERM = 100.0
# Terms below this part of the sum do not change it.
NEGLIGIBLE = 1e-17
# The next step is longer when a step needed fewer terms than this.
FEW_TERMS = 40
# Beyond this size the squares of the next step may overflow.
LARGEST_MOMENT = 1e280
# A Chebyshev step is at most this many decay times long, and its rounding is relative to the state
# before it: the relative accuracy suffers by that many e-folds.
DECAY_TIMES = 4.0

Map = Callable[[Array], Array]


class Taylor:
    """The exponential of any moment equation, in steps as long as cancellation allows."""

    def __init__(self, drift: Map, clean: Map) -> None:
        self.drift, self.clean = drift, clean
        self.step = np.inf

    def advance(self, state: Array, start: float, end: float) -> Array:
        """Return the state at time `end` from that at `start`."""
        left = end - start
        while left > 0.0:
            length = min(self.step, left)
            result, n_terms = self._series(state, length)
            if n_terms == 0:
                self.step = length / 2.0
                continue
            state = self.clean(result)
            left -= length
            if n_terms < FEW_TERMS and length == self.step:
                self.step *= 1.5
            if not np.abs(state).max() < LARGEST_MOMENT:
                raise ConvergenceError(
                    f"the moments overflow by t = {end - left:.6g}, where the largest is "
                    f"{np.abs(state).max():.3g}: ask for earlier times"
                )
        return state

    def _series(self, state: Array, length: float) -> tuple[Array, int]:
        """Return exp(length · drift) state and how many terms it took, 0 if they cancel."""
        largest = LARGEST_TERM * np.abs(state).max()
        total, term = state.copy(), state
        before = size = np.inf
        n_terms = 0
        while before + size > NEGLIGIBLE * np.abs(total).max():
            n_terms += 1
            term = self.drift(term) * (length / n_terms)
            before, size = size, np.abs(term).max()
            if not size <= largest:
                return state, 0
            total += term
        return total, n_terms


class Chebyshev:
    """The exponential of the moment equation of simple gossip, which is symmetric.

    With λ the positive eigenvalues of L, its spectrum lies in [−max λ, 0], as the kicks only add to
    −½(LX + XL), and nothing that is not consensus decays for ever faster than e^{−min λ t}.
    """

    def __init__(self, drift: Map, clean: Map, largest: float, smallest: float) -> None:
        self.drift, self.clean = drift, clean
        self.radius = largest / 2.0
        self.step = DECAY_TIMES / smallest

    def advance(self, state: Array, start: float, end: float) -> Array:
        """Return the state at time `end` from that at `start`."""
        n_steps = int(np.ceil((end - start) / self.step))
        for _ in range(n_steps):
            state = self.clean(self._series(state, (end - start) / n_steps))
        return state

    def _series(self, state: Array, length: float) -> Array:
        reach = self.radius * length
        # e^{−r} I_k(r) is below 1e-17 for k² > 80 r, and for k > 40 where r is small.
        weights = ive(np.arange(40 + int(np.sqrt(80.0 * reach))), reach)
        weights = weights[: max(2, np.count_nonzero(weights > NEGLIGIBLE))]
        before, now = state, self._shifted(state)
        total: Array = weights[0] * before + 2.0 * weights[1] * now
        for weight in weights[2:]:
            before, now = now, 2.0 * self._shifted(now) - before
            total += 2.0 * weight * now
        return total

    def _shifted(self, state: Array) -> Array:
        shifted: Array = state + self.drift(state) / self.radius
        return shifted


def cleaner(network: GossipNetwork) -> Map:
    """Return the projection of (X, Y, Z) off consensus, from both sides, with X and Z symmetric.

    What rounding adds along consensus, or to the antisymmetric part, would not decay.
    """
    component = network.component_of
    average = np.zeros((network.n_nodes, network.n_components))
    average[np.arange(network.n_nodes), component] = 1.0 / np.bincount(component)[component]

    def clean(state: Array) -> Array:
        for _ in range(2):
            state = (state - (state @ average)[..., component]).swapaxes(1, 2)
        return symmetric(np.ascontiguousarray(state))

    return clean


def symmetric(state: Array) -> Array:
    """Return (X, Y, Z) with X and Z made symmetric, in place."""
    state[::2] = (state[::2] + state[::2].swapaxes(1, 2)) / 2.0
    return state


def equation(network: GossipNetwork, p: Parameters, kept: float) -> Map:
    """Return the right-hand side of the moment equation, as a map of arrays (3, n, n)."""
    L = network.laplacian
    rates = kept * network.probabilities
    constants = float(p.eta), float(p.eta_prime), float(p.gamma), float(p.gamma_prime)

    def drift(state: Array) -> Array:
        slope = np.empty_like(state)
        _moment_equation(
            L.indptr, L.indices, kept * L.data, network.edges, rates, *constants, state, slope
        )
        return slope

    return drift


@compiled
def _moment_equation(
    indptr: NDArray[np.int32],
    indices: NDArray[np.int32],
    entries: Array,
    edges: NDArray[np.int64],
    rates: Array,
    eta: float,
    eta_prime: float,
    gamma: float,
    gamma_prime: float,
    state: Array,
    slope: Array,
) -> None:
    """Write X', Y', Z' of the module's docstring into `slope`."""
    n = state.shape[1]
    X, Y, Z = state[0], state[1], state[2]
    LX, LY = np.zeros((n, n)), np.zeros((n, n))
    for i in range(n):
        for k in range(indptr[i], indptr[i + 1]):
            m = indices[k]
            for j in range(n):
                LX[i, j] += entries[k] * X[m, j]
                LY[i, j] += entries[k] * Y[m, j]
    for i in range(n):
        for j in range(n):
            both = Y[i, j] + Y[j, i]
            slope[0, i, j] = eta * (both - 2.0 * X[i, j]) - gamma * (LX[i, j] + LX[j, i])
            slope[1, i, j] = (
                eta * (Z[i, j] - Y[i, j])
                + eta_prime * (X[i, j] - Y[i, j])
                - gamma * LY[i, j]
                - gamma_prime * LX[j, i]
            )
            slope[2, i, j] = eta_prime * (both - 2.0 * Z[i, j]) - gamma_prime * (
                LY[i, j] + LY[j, i]
            )
    for e in range(rates.size):
        v, w = edges[e, 0], edges[e, 1]
        kick = rates[e] * (X[v, v] + X[w, w] - X[v, w] - X[w, v])
        for block in range(3):
            size = kick * gamma ** (2 - block) * gamma_prime**block
            slope[block, v, v] += size
            slope[block, w, w] += size
            slope[block, v, w] -= size
            slope[block, w, v] -= size
