"""The result of state evolution: the limit law of the iterates, and what can be asked of it.

Source: arXiv:2109.11905, whose theorem is about any (uniformly pseudo-Lipschitz) function of the
iterates: covariances, and errors, overlaps or norms found here by `StateEvolution.expectation` and
`StateEvolution.sample`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.amp._divergences import short
from inthelimit.amp._expectations import Fineness, mean_on_grid
from inthelimit.amp._laws import Law, Sites, true_sites
from inthelimit.amp._populations import Population
from inthelimit.amp._simulation import Draws, values_at_draws
from inthelimit.amp.graph import AMPGraph, EdgeLike, OrientedEdge, PerEdge

# The rows drawn at each vertex, where nothing else is said.
SAMPLES = 400_000


class Estimate(NamedTuple):
    """A number, or an array of them, with its error.

    Attributes
    ----------
    value : float or ndarray
    standard_error : float or ndarray
        Of simulations; for quadrature the difference to a coarser grid.
    """

    value: Array
    standard_error: Array


@dataclass(frozen=True, eq=False)
class StateEvolution:
    """The limit law of T steps.  Time t = 1, …, T has index t − 1.

    Axes of columns are there only on edges with q > 1.

    Attributes
    ----------
    covariances : PerEdge of ndarray, shape (T, T[, q, q])
        κ_e^{s,t}; with joint=False only κ_e^{t,t}, of shape (T[, q, q]).
    means : PerEdge of ndarray, shape (T[, q], k)
        The coefficients of the mean of x_e^t along k known vectors: the hidden columns of the
        message of the reverse edge, in the order of `graph.hidden`, then the left vector of the
        spike, if there is one.
    standard_errors, mean_errors : PerEdge of ndarray
        Of `covariances` and `means`: standard errors of simulations, which carry errors on from
        step to step; for quadrature the difference to a recursion with three quarters of the nodes,
        as a rule more than the error of the finer one.
    """

    covariances: PerEdge[Array]
    means: PerEdge[Array]
    standard_errors: PerEdge[Array]
    mean_errors: PerEdge[Array]
    _law: Law
    _x0: Mapping[OrientedEdge, Array]
    _nodes: int | None

    def variances(self, edge: EdgeLike) -> Array:
        """Return κ_e^{t,t}, shape (T[, q, q])."""
        e = self._law.graph.edge(edge)
        times = np.arange(self._law.n_steps)
        return _without_columns(self._law.covariances[e][times, times])

    def expectation(
        self,
        function: Callable[..., ArrayLike],
        edges: EdgeLike | Iterable[EdgeLike],
        time: int,
        *,
        rng: np.random.Generator | None = None,
        samples: int = SAMPLES,
    ) -> Estimate:
        """Return the limit of (1/n) Σ_i φ(x_e^t[i, :], …, side[i]): an error, an overlap.

        Parameters
        ----------
        function : callable
            ``φ(x_1, …, x_k[, side])`` acts row by row and returns shape (rows,) or (rows, m).
        edges : edge, or iterable of edges
            Those that x_1, …, x_k belong to, all with the same end.
        time : int
            t = 1, …, T.
        rng : numpy.random.Generator, optional
            Simulates instead of quadrature, which takes at most four scalar Gaussians.
        samples : int
            At least so many rows are drawn, if simulated.

        Returns
        -------
        Estimate
            A number, or shape (m,), and its error.
        """
        reads = _reads(self._law.graph, edges)
        t = _checks.integer("time", time, at_least=1)
        if t > self._law.n_steps:
            raise ValueError(f"time must be ≤ {self._law.n_steps}, got {t}")
        population = Population(self._law, reads[0].end, self._x0)

        def values(sites: Sites, x: Mapping[OrientedEdge, Array]) -> Array:
            return _values(function, sites, [x[e] for e in reads])

        if rng is None:
            fine, coarse = (
                mean_on_grid(population, reads, t, values, Fineness(self._nodes, is_coarser))
                for is_coarser in (False, True)
            )
            return Estimate(fine[()], np.abs(fine - coarse)[()])
        _checks.generator("rng", rng)
        samples = _checks.integer("samples", samples, at_least=2)
        rows = values_at_draws(population, reads, t, values, samples, rng)
        error = rows.std(axis=0, ddof=1) / np.sqrt(len(rows))
        return Estimate(rows.mean(axis=0)[()], error[()])

    def sample(
        self, vertex: object, *, rng: np.random.Generator, n_draws: int = 1
    ) -> PerEdge[Array]:
        """Draw the iterates that end at a vertex, at all times, from their limit law.

        Parameters
        ----------
        vertex : vertex of the graph
        rng : numpy.random.Generator
        n_draws : int, default 1
            Independent draws.

        Returns
        -------
        PerEdge of ndarray, shape (T, n_w[, q], n_draws)
            For each edge that ends at `vertex`, with the true side information and spikes.
        """
        if not self._law.joint:
            raise ValueError("sample needs covariances between times: use joint=True")
        _checks.generator("rng", rng)
        n_draws = _checks.integer("n_draws", n_draws, at_least=1)
        edges = self._law.graph.incoming(vertex)
        sites = true_sites(self._law, vertex, n_draws)
        draws = Draws(self._law, vertex, sites, {}, rng)
        paths: dict[OrientedEdge, list[Array]] = {e: [] for e in edges}
        for _ in range(self._law.n_steps):
            draws.advance()
            for e in edges:
                x = draws.iterates[e]
                paths[e].append(x[:, 0] if x.shape[1] == 1 else x)
        return PerEdge({e: np.stack(path) for e, path in paths.items()})


def evolution_of(
    laws: Sequence[Law],
    x0: Mapping[OrientedEdge, Array],
    nodes: int | None,
    *,
    is_simulated: bool,
) -> StateEvolution:
    """Return the mean of repetitions with its standard error, or the first of two grids."""

    def spread(values: Sequence[Array]) -> Array:
        if not is_simulated:
            return np.abs(values[0] - values[1])
        error: Array = np.std(values, axis=0, ddof=1) / np.sqrt(len(values))
        return error

    law = Law.mean(laws) if is_simulated else laws[0]
    edges = law.graph.edges
    return StateEvolution(
        covariances=PerEdge({e: _covariances(law, e) for e in edges}),
        means=PerEdge({e: _means(law, e) for e in edges}),
        standard_errors=PerEdge(
            {e: spread([_covariances(part, e) for part in laws]) for e in edges}
        ),
        mean_errors=PerEdge({e: spread([_means(part, e) for part in laws]) for e in edges}),
        _law=law,
        _x0=x0,
        _nodes=nodes,
    )


def _covariances(law: Law, e: OrientedEdge) -> Array:
    times = np.arange(law.n_steps)
    full = law.covariances[e]
    return _without_columns(full if law.joint else full[times, times])


def _means(law: Law, e: OrientedEdge) -> Array:
    along = [law.hidden_means[e]]
    if e in law.graph.spikes:
        along.append(law.spike_means[e][..., None])
    means = np.concatenate(along, axis=2)
    return means[:, 0] if means.shape[1] == 1 else means


def _without_columns(blocks: Array) -> Array:
    """Drop the last two axes, of columns, where there is one column."""
    return blocks if blocks.shape[-1] > 1 else blocks[..., 0, 0]


def _reads(graph: AMPGraph, edges: EdgeLike | Iterable[EdgeLike]) -> tuple[OrientedEdge, ...]:
    """Return one edge or several, which must end at one vertex, as a tuple of edges."""
    may_be_one = isinstance(edges, tuple) and len(edges) in (2, 3)
    is_one = may_be_one and OrientedEdge(*edges) in graph.functions
    reads = tuple(graph.edge(e, name="edges") for e in ([edges] if is_one else edges))
    if len({e.end for e in reads}) != 1:
        raise ValueError(f"edges must end at one vertex, got {', '.join(map(str, reads))}")
    return reads


def _values(function: Callable[..., ArrayLike], sites: Sites, iterates: Sequence[Array]) -> Array:
    """Return a function of the iterates at all rows, of shape (rows,) or (rows, m)."""
    known = () if sites.side is None else (sites.side,)
    value = np.asarray(function(*(short(x, None) for x in iterates), *known), dtype=np.float64)
    if value.shape[:1] != (sites.rows,) or value.ndim > 2:
        raise ValueError(
            f"function must return shape ({sites.rows},) or ({sites.rows}, m), got {value.shape}"
        )
    return value
