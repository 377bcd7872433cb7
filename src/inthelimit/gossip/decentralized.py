"""Decentralised optimisation by accelerated gossip on dual variables.

The problem.  Node v of a connected graph knows f_v, μ-strongly convex with L-Lipschitz gradient;
together they minimise Σ f_v.  Its dual is to minimise G(y) = Σ f_v*(y_v) over y with Σ y_v = 0,
and a minimiser y* gives every node the same ∇f_v*(y*_v), the solution.

The system.  Nodes hold y_v, z_v ∈ R^d, 0 at the start, and mix them by themselves; when edge {v, w}
rings its ends compare notes:

    dy = θ (z − y) dt,   dz = θ (y − z) dt,      g = ∇f_v*(y_v) − ∇f_w*(y_w),
    y_v −= s_vw g,  y_w += s_vw g,      z_v −= s' g,  z_w += s' g.

The rate.  G is (1/L)-strongly convex, hence (μ_gossip/L)-strongly convex in the norm of L_P⁺, in
which a ring moves z by s'² R_vw ‖g‖², while it lowers G by s_vw (1 − s_vw/μ) ‖g‖².  For steps

    s_vw = (μ/2) R_vw/max R  or  μ/2,    s' = √(μL/(2 μ_gossip max R)),
    θ = √(μ μ_gossip/(2 L max R)),

the lowering is at least (μ/4) (R_vw/max R) ‖g‖², which pays for the move of z, so that
e^{θt} (G(y) − G* + μ_gossip/(2L) ‖z − y*‖²_{L_P⁺}) is a supermartingale:

    E G(y_t) − G* ≤ (G(y_0) − G* + μ_gossip/(2L) ‖z_0 − y*‖²_{L_P⁺}) e^{−θt},

and Σ ‖∇f_v*(y_v) − x*‖² ≤ (2/μ) (G(y) − G*), as each f_v* has a (1/μ)-Lipschitz gradient.

Source: arXiv:2106.07644, the appendix on decentralised optimisation.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inthelimit import ConvergenceError, _checks
from inthelimit._checks import Array
from inthelimit.gossip.clocks import simulate_clocks
from inthelimit.graphs import GossipNetwork

ConjugateGradient = Callable[[Array, NDArray[np.int64]], ArrayLike]

STEPS = ("resistance", "uniform")
# Beyond this size the squares of a conjugate gradient may overflow.
LARGEST_DUAL = 1e150


@dataclass(frozen=True, slots=True, eq=False)
class DecentralizedRun:
    """One run of decentralised optimisation.

    Attributes
    ----------
    times : ndarray, shape (T,)
        The times at which the nodes were read.
    primal : ndarray, shape (T, n, d)
        What each node proposes, ∇f_v*(y_v).
    dual : ndarray, shape (T, n, d)
        The dual variables y, of sum 0 over the nodes of a component.
    theta : float
        The rate θ that the theorem guarantees for E G(y_t) − G*.
    n_events : int
        The number of rings.
    """

    times: Array
    primal: Array
    dual: Array
    theta: float
    n_events: int


def decentralized_optimization(
    network: GossipNetwork,
    conjugate_gradient: ConjugateGradient,
    *,
    dimension: int,
    L: float,
    mu: float,
    rng: np.random.Generator,
    horizon: float,
    times: ArrayLike | None = None,
    steps: str = "resistance",
) -> DecentralizedRun:
    """Return a run of accelerated gossip on the dual of min Σ f_v.

    Parameters
    ----------
    network : GossipNetwork
        The graph.  With several components each minimises its own sum.
    conjugate_gradient : callable
        ``conjugate_gradient(y, nodes)``, with y of shape (m, d) and nodes of shape (m,), returns
        the m vectors ∇f_v*(y_v) = argmin f_v(x) − ⟨y_v, x⟩, of shape (m, d).
    dimension : int
        The dimension d ≥ 1.
    L, mu : float
        Every f_v is μ-strongly convex with L-Lipschitz gradient, 0 < μ ≤ L.
    rng : numpy.random.Generator
        Draws the rings, as `simulate_clocks` does.
    horizon : float
        The run covers [0, horizon]; ≥ 0.
    times : array_like, shape (T,), optional
        Strictly increasing, in [0, horizon]; 101 equally spaced ones by default.
    steps : {"resistance", "uniform"}
        Whether s_vw is (μ/2) R_vw/max R or μ/2.  The theorem covers both.

    Returns
    -------
    DecentralizedRun

    Raises
    ------
    ValueError
        If an argument is out of range, or `conjugate_gradient` returns an array of the wrong shape
        or not finite; the message names the ring.
    ConvergenceError
        If the dual variables exceed 1e150.

    Notes
    -----
    Each ring costs one call with m = 2 and O(d), in Python; each time in `times` one call with
    m = n.  Between rings a node mixes y_v and z_v only when it is asked, by its own clock.
    Source: arXiv:2106.07644, the appendix on decentralised optimisation.

    Examples
    --------
    Nodes of a ring find the mean of their numbers b_v, the minimiser of Σ ½(x − b_v)².

    >>> import networkx as nx
    >>> b = np.arange(5.0)[:, None]
    >>> run = decentralized_optimization(
    ...     GossipNetwork(nx.cycle_graph(5)),
    ...     lambda y, nodes: y + b[nodes],
    ...     dimension=1, L=1.0, mu=1.0, rng=np.random.default_rng(0), horizon=300.0,
    ... )
    >>> bool(np.abs(run.primal[-1] - 2.0).max() < 1e-6)
    True
    """
    d = _checks.integer("dimension", dimension, at_least=1)
    L = _checks.number("L", L, above=0.0)
    mu = _checks.number("mu", mu, above=0.0)
    if mu > L:
        raise ValueError(f"mu must be ≤ L = {L:g}, got {mu}")
    horizon = _checks.number("horizon", horizon, at_least=0.0)
    readings = _checks.readings("times", times, horizon=horizon)
    _checks.choice("steps", steps, STEPS)
    clocks = simulate_clocks(network, horizon=horizon, rng=rng)

    gap, resistance = network.spectral_gap, network.max_resistance
    theta = float(np.sqrt(mu / L * gap / (2.0 * resistance)))
    z_step = float(np.sqrt(mu / gap * L / (2.0 * resistance)))
    share = network.effective_resistances / resistance if steps == "resistance" else 1.0
    y_steps = np.broadcast_to(mu / 2.0 * share, network.n_edges)

    nodes = _Nodes(network.n_nodes, d, theta)
    everyone = np.arange(network.n_nodes)
    dual = np.empty((readings.size, network.n_nodes, d))
    primal = np.empty_like(dual)
    heard = 0
    for i, now in enumerate(readings):
        until = int(np.searchsorted(clocks.times, now, side="right"))
        for k in range(heard, until):
            edge = clocks.edges[k]
            ends = network.edges[edge]
            y = nodes.wake(ends, clocks.times[k])
            _check_size(y, k + 1, clocks.times[k])
            first, second = _evaluate(conjugate_gradient, y, ends, f"at ring {k + 1}")
            nodes.exchange(ends, first - second, y_steps[edge], z_step)
        heard = until
        dual[i] = nodes.look(now)
        primal[i] = _evaluate(conjugate_gradient, dual[i].copy(), everyone, f"at time {now:g}")
    return DecentralizedRun(readings, primal, dual, theta, clocks.times.size)


class _Nodes:
    """The numbers y_v, z_v of all nodes, each as of its own last waking."""

    def __init__(self, n: int, d: int, theta: float) -> None:
        self.y = np.zeros((n, d))
        self.z = np.zeros((n, d))
        self.last = np.zeros(n)
        self.theta = theta

    def wake(self, ends: NDArray[np.int64], now: float) -> Array:
        """Mix the numbers of some nodes up to now, and return their y."""
        moved = self._moved(ends, now)
        self.y[ends] += moved
        self.z[ends] -= moved
        self.last[ends] = now
        return self.y[ends]

    def look(self, now: float) -> Array:
        """Return y of all nodes as of now, without waking them."""
        y: Array = self.y + self._moved(slice(None), now)
        return y

    def exchange(self, ends: NDArray[np.int64], g: Array, y_step: float, z_step: float) -> None:
        """Move the first end by −g and the second by g, times the steps of y and z."""
        signed = np.stack([-g, g])
        self.y[ends] += y_step * signed
        self.z[ends] += z_step * signed

    def _moved(self, which: NDArray[np.int64] | slice, now: float) -> Array:
        weight = -0.5 * np.expm1(-2.0 * self.theta * (now - self.last[which]))
        moved: Array = weight[:, None] * (self.z[which] - self.y[which])
        return moved


def _check_size(y: Array, ring: int, now: float) -> None:
    if not np.abs(y).max() <= LARGEST_DUAL:
        raise ConvergenceError(
            f"the dual variables exceed {LARGEST_DUAL:g} at ring {ring}, t = {now:.6g}: mu is "
            f"larger, or L smaller, than some f_v allows"
        )


def _evaluate(
    conjugate_gradient: ConjugateGradient, y: Array, nodes: NDArray[np.int64], when: str
) -> Array:
    value = np.asarray(conjugate_gradient(y, nodes))
    if value.shape != y.shape:
        raise ValueError(
            f"conjugate_gradient must return shape {y.shape}, got {value.shape} {when}"
        )
    if value.dtype.kind not in "biuf" or not np.isfinite(value).all():
        raise ValueError(f"conjugate_gradient must be finite, got {value.ravel()} {when}")
    return value.astype(np.float64, copy=False)
