"""The exact second moments of gossip: the mean decay curve, with no Monte Carlo.

The system.  Edge e = {v, w} rings at rate p_e = (1 − loss) P_e.  Write x, z ∈ R^n for the values of
the nodes less their consensus, a_e = e_v − e_w, and L = Σ p_e a_e a_eᵀ.  Between rings, and at one,

    dx = η (z − x) dt,   dz = η' (x − z) dt;        x ← x − γ a_e a_eᵀx,   z ← z − γ' a_e a_eᵀx.

Simple gossip is η = η' = γ' = 0 and γ = ½.

The limit of infinitely many copies is a linear ODE for X = E xxᵀ, Y = E xzᵀ, Z = E zzᵀ.  A ring of
edge e changes xxᵀ by −γ (a_e a_eᵀxxᵀ + xxᵀa_e a_eᵀ) + γ² (a_eᵀx)² a_e a_eᵀ, and so on; with
W = Σ p_e (a_eᵀX a_e) a_e a_eᵀ,

    X' = η (Y + Yᵀ − 2X)            − γ (LX + XL)      + γ² W
    Y' = η (Z − Y) + η' (X − Y)     − γ LY − γ' XL     + γγ' W
    Z' = η' (Y + Yᵀ − 2Z)           − γ' (LY + YᵀL)    + γ'² W.

Source: arXiv:2106.07644, the accelerated gossip; the moment equation is worked out here.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inthelimit import ConvergenceError, _checks
from inthelimit._checks import Array
from inthelimit._compiled import compiled
from inthelimit.continuized.schedules import (
    Parameters,
    Schedule,
    constant_schedule,
)
from inthelimit.gossip.asynchronous import accelerated_schedule
from inthelimit.graphs import GossipNetwork

METHODS = ("accelerated", "simple")
# A Taylor step is cut in half when one of its terms exceeds the state by more than this: the
# cancellation between terms then costs two of the sixteen digits.
LARGEST_TERM = 100.0
# Terms below this part of the sum do not change it.
NEGLIGIBLE = 1e-17
# The next step is longer when a step needed fewer terms than this.
FEW_TERMS = 40
# Beyond this size the squares of the next step may overflow.
LARGEST_MOMENT = 1e280
# Means of x0 and z0 are equal if they are up to this part of the largest entry.
MEAN_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class GossipMoments:
    """The second moments of gossip about consensus.

    Attributes
    ----------
    times : ndarray, shape (T,)
        The times asked for.
    errors : ndarray, shape (T,)
        E ‖x_t − consensus‖².
    z_errors : ndarray, shape (T,)
        E ‖z_t − consensus‖²; `errors` for simple gossip, where z is x.
    second_moment : ndarray, shape (T, n, n)
        E (x_t − consensus)(x_t − consensus)ᵀ.
    """

    times: Array
    errors: Array
    z_errors: Array
    second_moment: Array


def exact_second_moments(
    network: GossipNetwork,
    x0: ArrayLike,
    times: ArrayLike,
    *,
    method: str = "accelerated",
    schedule: Schedule | None = None,
    z0: ArrayLike | None = None,
    loss: float = 0.0,
) -> GossipMoments:
    """Return the exact second moments of gossip about consensus, at the given times.

    Parameters
    ----------
    network : GossipNetwork
        The graph; each component has its own consensus.
    x0 : array_like, shape (n,)
        The values at the start.
    times : array_like, shape (T,)
        Strictly increasing, ≥ 0.
    method : {"accelerated", "simple"}
        Accelerated gossip, or plain averaging of the two ends of an edge.
    schedule : Schedule, optional
        Any constant η, η', γ, γ' in place of those of the theorem; only if accelerated.  The
        system may diverge under it.
    z0 : array_like, shape (n,), optional
        The second numbers of the nodes, `x0` by default.  Where their mean over a component is not
        that of `x0`, x drifts away from the consensus of `x0`.  Only if accelerated.
    loss : float, default 0
        The probability, in [0, 1), that a ring is lost; mixing goes on.

    Returns
    -------
    GossipMoments

    Raises
    ------
    ValueError
        If an argument is out of range or of the wrong shape, or `schedule` or `z0` is given to
        simple gossip.
    ConvergenceError
        If the moments overflow.

    Notes
    -----
    Taylor series of the exponential of the moment equation, in steps as long as cancellation
    allows, so that errors are relative to the moments at the time, however small those are.  One
    term costs O(n (n + E)); 60 nodes followed over ten times the relaxation time 1/θ take some
    tenths of a second, and the result has T n² numbers.
    Source: arXiv:2106.07644, Theorem 3 on accelerated gossip, whose bound is `gossip_bound`.

    Examples
    --------
    >>> import networkx as nx
    >>> ring = GossipNetwork(nx.cycle_graph(16))
    >>> exact_second_moments(ring, [1.0] + 15 * [0.0], [0.0, 50.0]).errors.round(4)
    array([0.9375, 0.1729])
    """
    parameters = coefficients(network, method, schedule)
    x, z, apart = deviations(network, method, x0, z0)
    instants = _checks.increasing("times", times, at_least=0.0)
    loss = _checks.number("loss", loss, at_least=0.0, below=1.0)
    drift = _drift(network, parameters, 1.0 - loss)
    if method == "simple":
        # Nothing hears z; left out, it does not set the scale of rounding.
        z = np.zeros_like(x)
    state = np.stack([np.outer(x, x), np.outer(x, z), np.outer(z, z)])
    clean = _cleaner(network) if apart == 0.0 else _symmetric
    moment = np.empty((instants.size, *state.shape[1:]))
    z_errors = np.empty(instants.size)
    now = 0.0
    step = instants[-1]
    for i, instant in enumerate(instants):
        state, step = _advance(drift, clean, state, now, instant, step)
        moment[i], z_errors[i], now = state[0], np.trace(state[2]), instant
    errors = np.trace(moment, axis1=1, axis2=2)
    return GossipMoments(instants, errors, errors if method == "simple" else z_errors, moment)


def coefficients(network: GossipNetwork, method: str, schedule: Schedule | None) -> Parameters:
    """Return the constants η, η', γ, γ' of a method, after checking that there are any."""
    _checks.choice("method", method, METHODS)
    if method == "simple":
        if schedule is not None:
            raise ValueError(f"schedule must be None for simple gossip, got {schedule}")
        schedule = constant_schedule(0.0, 0.0, 0.5, 0.0)
    elif schedule is None:
        schedule = accelerated_schedule(network)
    if not schedule.is_constant:
        raise ValueError(f"schedule must have constant coefficients, got {schedule}")
    return schedule.parameters(1.0)


def deviations(
    network: GossipNetwork, method: str, x0: ArrayLike, z0: ArrayLike | None
) -> tuple[Array, Array, float]:
    """Return x0 and z0 less the consensus of x0, and how far apart their consensuses are.

    A distance that may be rounding is returned as 0, and removed from z0.
    """
    x = _checks.vector("x0", x0, length=network.n_nodes)
    consensus = network.consensus(x)
    if z0 is None:
        return x - consensus, x - consensus, 0.0
    if method == "simple":
        raise ValueError("z0 must be None for simple gossip, which has no second number")
    z = _checks.vector("z0", z0, length=network.n_nodes)
    z_consensus = network.consensus(z)
    apart = float(np.abs(z_consensus - consensus).max())
    if apart > MEAN_TOLERANCE * max(np.abs(x).max(), np.abs(z).max()):
        return x - consensus, z - consensus, apart
    return x - consensus, z - z_consensus, 0.0


def _advance(
    drift: Callable[[Array], Array],
    clean: Callable[[Array], Array],
    state: Array,
    start: float,
    end: float,
    step: float,
) -> tuple[Array, float]:
    """Return the state at time `end` from that at `start`, and the length of the last full step.

    X and Z are symmetric and, unless x0 and z0 have different means, nothing has a part along
    consensus; what rounding adds to that would not decay, so it is removed after every step.
    """
    left = end - start
    while left > 0.0:
        length = min(step, left)
        result, n_terms = _taylor(drift, state, length)
        if n_terms == 0:
            step = length / 2.0
            continue
        state = clean(result)
        left -= length
        if n_terms < FEW_TERMS and length == step:
            step *= 1.5
        if not np.abs(state).max() < LARGEST_MOMENT:
            raise ConvergenceError(
                f"the moments overflow by t = {end - left:.6g}, where the largest is "
                f"{np.abs(state).max():.3g}: ask for earlier times"
            )
    return state, step


def _taylor(drift: Callable[[Array], Array], state: Array, length: float) -> tuple[Array, int]:
    """Return exp(length · drift) state and how many terms it took, 0 if they cancel too much."""
    largest = LARGEST_TERM * np.abs(state).max()
    total, term = state.copy(), state
    before = size = np.inf
    n_terms = 0
    while before + size > NEGLIGIBLE * np.abs(total).max():
        n_terms += 1
        term = drift(term) * (length / n_terms)
        before, size = size, np.abs(term).max()
        if not size <= largest:
            return state, 0
        total += term
    return total, n_terms


def _cleaner(network: GossipNetwork) -> Callable[[Array], Array]:
    """Return the projection of (X, Y, Z) off consensus, from both sides, with X and Z symmetric."""
    component = network.component_of
    average = np.zeros((network.n_nodes, network.n_components))
    average[np.arange(network.n_nodes), component] = 1.0 / np.bincount(component)[component]

    def clean(state: Array) -> Array:
        for _ in range(2):
            state = (state - (state @ average)[..., component]).swapaxes(1, 2)
        return _symmetric(np.ascontiguousarray(state))

    return clean


def _symmetric(state: Array) -> Array:
    """Return (X, Y, Z) with X and Z made symmetric, in place."""
    state[::2] = (state[::2] + state[::2].swapaxes(1, 2)) / 2.0
    return state


def _drift(network: GossipNetwork, p: Parameters, kept: float) -> Callable[[Array], Array]:
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
