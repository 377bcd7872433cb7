"""State evolution: the limit of message passing on a graph, as N → ∞ at fixed time.

The limit.  The iterates of edge e = (v → w) become Gaussian vectors Z_e^t of independent rows,
independent from edge to edge, with covariances in time that obey

    κ_e^{s+1,t+1} = lim (J_e/N) E ⟨f_e(s, Z^s), f_e(t, Z^t)⟩,    Z^0 = x^0,

each function reading the edges that end at v.  Two kinds of means are added.  Where the matrix has
a spike, (c/N) l rᵀ, the iterates get the mean μ_{t+1} l with μ_{t+1} = (c/N) E ⟨r, f_e(t, Z^t)⟩.
Where the message h of the reverse edge is hidden, its Onsager part h bᵀ is not subtracted, and
stays as a mean; by Stein's lemma its coefficient b = (J_e/N) Σ_i E ∂(f_e)_i/∂Z_i, a derivative
along the hidden iterate, is E[f Zᵀ] Cov(Z)⁻¹, and no derivative is needed.

The finite system is `inthelimit.amp.iteration`; the gap is of order 1/√N.
Source: arXiv:2109.11905, state evolution on a graph.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.amp._expectations import Fineness, QuadratureAverages
from inthelimit.amp._laws import Law
from inthelimit.amp._populations import Population
from inthelimit.amp._simulation import SimulatedAverages
from inthelimit.amp.evolution import SAMPLES, StateEvolution, evolution_of
from inthelimit.amp.graph import AMPGraph, EdgeLike, OrientedEdge, PerEdge

__all__ = ["StateEvolution", "state_evolution"]

METHODS = ("quadrature", "monte-carlo")
# Independent repetitions of a simulated recursion, whose spread gives standard errors.
REPETITIONS = 20
# Fewer nodes do not integrate the Gaussian itself on the coarser grid.
LEAST_NODES = 24


def state_evolution(
    graph: AMPGraph,
    x0: Mapping[EdgeLike, ArrayLike],
    n_steps: int,
    *,
    method: str = "quadrature",
    rng: np.random.Generator | None = None,
    nodes: int | None = None,
    samples: int = SAMPLES,
    joint: bool = True,
) -> StateEvolution:
    """Return the limit law of message passing on a graph: covariances and means of its iterates.

    Parameters
    ----------
    graph : AMPGraph
        Its dimensions give the ratios n_v/N; side information counts by its law.
    x0 : mapping from oriented edges to array_like, shape (n_w[, q])
        The iterates at step 0 of every edge that some function reads.
    n_steps : int ≥ 1
        The last time T.
    method : {"quadrature", "monte-carlo"}
        Quadrature takes functions that act row by row and read at most three scalar Gaussians at
        one time (four with joint=False); others are simulated in any case.
    rng : numpy.random.Generator, optional
        Needed where something is simulated.
    nodes : int ≥ 24, optional
        The nodes of quadrature on each axis.  By default as many as make 2^16 points with the
        atoms of side information, at most 2^14 on an axis.
    samples : int
        The rows drawn at each vertex, if simulated, in 20 independent repetitions.  Functions that
        mix rows get at least one draw of the true dimension in each.
    joint : bool, default True
        Whether to find covariances between different times: T²/2 averages for each edge, not T.

    Returns
    -------
    StateEvolution

    Raises
    ------
    ValueError
        If an argument is out of range or of the wrong shape, quadrature would need too many axes
        or points, or hidden columns change while iterates have a mean along them.
    ConvergenceError
        If covariances overflow.

    Notes
    -----
    The trapezoidal rule, exact to rounding for smooth functions, to 1e-7 at kinks and 1e-3 at jumps
    of functions of one Gaussian; about 1 ms for each pair of times.  Where signals are nearly
    known, the law of side information needs nodes as near to one another as the noise is small.
    Where a hidden iterate is a multiple of the visible ones (all is known) the split of slopes
    between them is not determined, and the least is taken.
    Where x0 varies from row to row, its joint law with side information is the empirical one.
    Source: arXiv:2109.11905, state evolution on a graph; means along hidden columns and spikes are
    derived here by conditioning on them.

    Examples
    --------
    >>> from inthelimit.amp import AMPGraph, separable
    >>> f = separable(lambda t, x: 2 * np.tanh(1.5 * x + 0.5) + 0.3 * x)
    >>> graph = AMPGraph({"v": 1000}, {("v", "v"): f})
    >>> evolution = state_evolution(graph, {("v", "v"): np.full(1000, 0.5)}, 4)
    >>> evolution.variances(("v", "v")).round(3)
    array([3.41 , 4.884, 5.541, 5.795])
    >>> float(evolution.covariances["v", "v"][0, 1].round(3))
    0.504
    """
    n_steps = _checks.integer("n_steps", n_steps, at_least=1)
    _checks.choice("method", method, METHODS)
    if nodes is not None:
        nodes = _checks.integer("nodes", nodes, at_least=LEAST_NODES)
    samples = _checks.integer("samples", samples, at_least=REPETITIONS)
    start = _checked_start(graph, x0)
    simulated = [
        e for e in graph.edges if method == "monte-carlo" or not graph.functions[e].is_separable
    ]
    if simulated:
        _check_rng(rng, method)
        size = max(1, samples // REPETITIONS)
        parts = [(Fineness(nodes, is_coarser=False), size)] * REPETITIONS
    else:
        parts = [(Fineness(nodes, is_coarser), 0) for is_coarser in (False, True)]
    laws = []
    for fineness, size in parts:
        law = Law(graph, n_steps, joint=joint)
        # What overflows is caught as a value or a covariance that is not finite.
        with np.errstate(over="ignore", invalid="ignore"):
            _fill(law, start, simulated, fineness, size, rng)
        laws.append(law)
    return evolution_of(laws, start, nodes, is_simulated=bool(simulated))


def _check_rng(rng: np.random.Generator | None, method: str) -> None:
    if rng is None:
        why = "functions that mix rows are" if method == "quadrature" else "this method is"
        raise ValueError(f"rng must be a numpy.random.Generator, as {why} simulated")
    _checks.generator("rng", rng)


def _fill(
    law: Law,
    start: Mapping[OrientedEdge, Array],
    simulated: Sequence[OrientedEdge],
    fineness: Fineness,
    samples: int,
    rng: np.random.Generator | None,
) -> None:
    """Find the law, step after step: the messages at step t give the iterates at t + 1."""
    graph = law.graph
    populations = {v: Population(law, v, start) for v in graph.vertices}
    by_quadrature = {
        e: QuadratureAverages(law, populations[e.start], e, fineness)
        for e in graph.edges
        if e not in simulated
    }
    by_simulation = []
    for v in graph.vertices:
        edges = [e for e in simulated if e.start == v]
        if edges:
            assert rng is not None
            by_simulation.append(
                SimulatedAverages(law, populations[v], start, v, edges, samples, rng)
            )
    for t in range(law.n_steps):
        moments = {e: averages.moments(t) for e, averages in by_quadrature.items()}
        for draws in by_simulation:
            moments.update(draws.moments(t))
        for e in graph.edges:
            law.extend(e, t, moments[e])
        for e in graph.edges:
            law.check_constant(e, t)


def _checked_start(graph: AMPGraph, x0: Mapping[EdgeLike, ArrayLike]) -> PerEdge[Array]:
    """Return x_e^0 of shape (n_w, q) for every edge, 0 where nothing reads it."""
    given = {graph.edge(e, name="keys of x0"): value for e, value in x0.items()}
    needed = {r for e in graph.edges for r in graph.reads(e)}
    start: PerEdge[Array] = PerEdge()
    for e in graph.edges:
        n, q = graph.dimensions[e.end], graph.columns[e]
        if e not in given and e in needed:
            raise ValueError(f"x0 must have the iterate of {e}, which a function reads")
        array = _checks.real_array(f"x0[{e}]", given.get(e, np.zeros((n, q))))
        shape = (n,) if q == 1 else (n, q)
        if e in given and array.shape != shape:
            raise ValueError(f"x0[{e}] must have shape {shape}, got {array.shape}")
        start[e] = array.reshape(n, q)
    return start
