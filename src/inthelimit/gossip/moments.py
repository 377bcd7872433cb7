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

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.continuized.schedules import (
    Parameters,
    Schedule,
    constant_schedule,
)
from inthelimit.gossip import _moment_equation as equation
from inthelimit.gossip.asynchronous import accelerated_schedule
from inthelimit.graphs import GossipNetwork

METHODS = ("accelerated", "simple")
# Squares of larger values at the start would be near overflow.
LARGEST_START = 1e130
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
    Taylor series of the exponential of the moment equation, or Chebyshev series for simple gossip,
    in steps after which errors are still relative to the moments at the time, however small those
    are.  A term costs O(n (n + E)).  Sixty nodes followed over ten relaxation times 1/θ take some
    tenths of a second, and the result has T n² numbers.
    Source: arXiv:2106.07644, accelerated randomized gossip, whose bound is `gossip_bound`.

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
    if method == "simple":
        # Nothing hears z; left out, it does not set the scale of rounding.
        z = np.zeros_like(x)
    flow = _flow(network, method, parameters, 1.0 - loss, same_mean=apart == 0.0)
    state = np.stack([np.outer(x, x), np.outer(x, z), np.outer(z, z)])
    moment = np.empty((instants.size, *state.shape[1:]))
    z_errors = np.empty(instants.size)
    now = 0.0
    for i, instant in enumerate(instants):
        state = flow.advance(state, now, instant)
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
    """Return x0 and z0 less the consensus of x0, and how far z0's is from it, 0 if by rounding."""
    x = _values("x0", x0, network.n_nodes)
    consensus = network.consensus(x)
    if z0 is None:
        return x - consensus, x - consensus, 0.0
    if method == "simple":
        raise ValueError("z0 must be None for simple gossip, which has no second number")
    z = _values("z0", z0, network.n_nodes)
    z_consensus = network.consensus(z)
    apart = float(np.abs(z_consensus - consensus).max())
    if apart > MEAN_TOLERANCE * max(np.abs(x).max(), np.abs(z).max()):
        return x - consensus, z - consensus, apart
    return x - consensus, z - z_consensus, 0.0


def _values(name: str, value: ArrayLike, length: int) -> Array:
    return _checks.moderate(name, _checks.vector(name, value, length=length), largest=LARGEST_START)


def _flow(
    network: GossipNetwork, method: str, p: Parameters, kept: float, *, same_mean: bool
) -> equation.Taylor | equation.Chebyshev:
    """Return the exponential of the moment equation, by the method that suits it."""
    drift = equation.equation(network, p, kept)
    clean = equation.cleaner(network) if same_mean else equation.symmetric
    if method == "accelerated":
        return equation.Taylor(drift, clean)
    largest = 2.0 * float(network.laplacian.diagonal().max())
    return equation.Chebyshev(drift, clean, kept * largest, kept * network.spectral_gap)
