"""Approximate message passing on a graph at finite N: matrices drawn, iterates and messages kept.

The finite system.  From x_e^0, for t = 0, 1, …, on all oriented edges e at once,

    m_e^t = f_e(t, (x_e'^t) of the edges e' that f_e reads),
    x_e^{t+1} = A_e m_e^t − m_rev(e)^{t−1} (b_e^t)ᵀ,    b_e^t = (J_e/N) Σ_i ∂(f_e)_i/∂(x_rev(e))_i,

with no second term at t = 0.  That term, named after Onsager, cancels what A_e and A_eᵀ make of
one another; it is what keeps the iterates Gaussian.  As N → ∞ at fixed t they tend, at rate 1/√N,
to the Gaussian vectors of `inthelimit.amp.state_evolution`.
Source: arXiv:2109.11905, graph-based approximate message passing.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from inthelimit import ConvergenceError, _checks
from inthelimit._checks import Array
from inthelimit.amp._divergences import Reading, sum_of_derivatives
from inthelimit.amp._matrices import checked_matrices, draw_matrices
from inthelimit.amp._products import Products
from inthelimit.amp.graph import AMPGraph, EdgeLike, OrientedEdge, PerEdge

__all__ = ["AMPRun", "draw_matrices", "run_amp"]


@dataclass(frozen=True, eq=False)
class AMPRun:
    """A run of T steps.  The axes of columns and of copies are there only if there are several.

    Attributes
    ----------
    iterates : PerEdge of ndarray, shape (T + 1, n_w[, q][, copies])
        x_e^t at index t; 0 at index 0 of an edge that nothing reads and x0 leaves out.
    messages : PerEdge of ndarray, shape (T, n_v[, q][, copies])
        m_e^t.
    onsager : PerEdge of ndarray, shape (T[, q, r][, copies])
        The coefficients b_e^t as they were used, r the columns of the reverse edge; 0 at t = 0, for
        hidden columns, and where f_e does not read the reverse edge.
    divergence_errors : PerEdge of ndarray, shapes as `onsager`
        Standard errors of the coefficients found by random probes, on the edges that have them.
    status : str
        "ok", or "stuck" and what stopped it.
    """

    iterates: PerEdge[Array]
    messages: PerEdge[Array]
    onsager: PerEdge[Array]
    divergence_errors: PerEdge[Array]
    status: str
    _columns: PerEdge[int]
    _several_copies: bool

    @cached_property
    def covariances(self) -> PerEdge[Array]:
        """The empirical (1/n_w) x^s ᵀ x^t of s, t = 1, …, T: (T, T[, q, q][, copies]) per edge.

        What state evolution predicts, plus the products of the means where there are spikes or
        hidden columns.  Index 0 is time 1.
        """
        return PerEdge({e: self._covariance(e) for e in self.iterates})

    def _covariance(self, e: OrientedEdge) -> Array:
        x = self.iterates[e][1:]
        T, n = x.shape[:2]
        q, copies = self._columns[e], x.shape[-1] if self._several_copies else 1
        # One row for each time and column, one matrix for each copy.
        rows = np.ascontiguousarray(np.moveaxis(x.reshape(T, n, q, copies), (3, 1), (0, 3)))
        rows = rows.reshape(copies, T * q, n)
        products = (rows @ rows.transpose(0, 2, 1) / n).reshape(copies, T, q, T, q)
        full = np.moveaxis(products, (1, 3, 2, 4, 0), (0, 1, 2, 3, 4))
        return _short(full, self._several_copies, (2, 3))


def run_amp(
    graph: AMPGraph,
    x0: Mapping[EdgeLike, ArrayLike],
    n_steps: int,
    *,
    rng: np.random.Generator | None = None,
    matrices: Mapping[EdgeLike, Any] | None = None,
    n_copies: int = 1,
    dtype: DTypeLike = np.float64,
    onsager: float | Mapping[EdgeLike, float] = 1.0,
) -> AMPRun:
    """Run approximate message passing on a graph, Onsager terms included.

    Parameters
    ----------
    graph : AMPGraph
    x0 : mapping from oriented edges to array_like, shape (n_w[, q][, n_copies])
        The iterates at step 0 of every edge that some function reads.  Without the axis of copies
        all copies start alike.
    n_steps : int ≥ 1
    rng : numpy.random.Generator, optional
        Draws the matrices, unless they are given, then the random probes of divergences.
    matrices : mapping from edges to matrices, optional
        For each edge, in one of its directions, A_e of shape (n_w, n_v), without its spike: dense,
        sparse or anything else with `shape`, `@` and `.T`.  Symmetric on loops.
    n_copies : int, default 1
        Copies that share the matrices, and differ in their x0 or side information.
    dtype : float64 or float32
        Of the matrices drawn, and of the products with dense matrices; all else is float64.
    onsager : float, or mapping from oriented edges to float
        What the Onsager coefficients are multiplied by: 1 for the theorem; 0 to drop the term.

    Returns
    -------
    AMPRun

    Raises
    ------
    ValueError
        If an argument is out of range or of the wrong shape, or a function returns a wrong shape,
        NaN or infinity; the message names the edge and the step.
    ConvergenceError
        If iterates overflow.

    Notes
    -----
    Each step costs one pass over each matrix in either direction that carries a message: all
    columns and copies go in one product; messages of zeros cost nothing, nor do hidden columns that
    are as they were a step before.  Memory: the matrices, and (n_v + n_w) n_steps numbers for each
    column, oriented edge and copy.
    Source: arXiv:2109.11905, graph-based approximate message passing.

    Examples
    --------
    >>> from inthelimit.amp import AMPGraph, separable
    >>> f = separable(lambda t, x: np.tanh(2 * x + 0.5))
    >>> graph = AMPGraph({"v": 1000}, {("v", "v"): f})
    >>> x0 = {("v", "v"): np.full(1000, 0.5)}
    >>> run = run_amp(graph, x0, 5, rng=np.random.default_rng(0))
    >>> run.iterates["v", "v"].shape, run.status
    ((6, 1000), 'ok')
    >>> float(run.covariances["v", "v"][0, 0].round(1))  # state evolution: tanh(1.5)² = .82
    0.8
    """
    n_steps = _checks.integer("n_steps", n_steps, at_least=1)
    n_copies = _checks.integer("n_copies", n_copies, at_least=1)
    several = n_copies > 1
    kind = np.dtype(dtype)
    if kind not in (np.float64, np.float32):
        raise ValueError(f"dtype must be float64 or float32, got {kind}")
    start = _checked_start(graph, x0, n_copies)
    side = _side_arrays(graph, n_copies)
    factors = _checked_factors(graph, onsager)
    _check_rng(graph, rng, matrices)
    if matrices is None:
        assert rng is not None
        given = draw_matrices(graph, rng=rng, dtype=kind)
    else:
        given = checked_matrices(graph, matrices)
    history = _History(graph, start, n_steps, n_copies)
    products = Products(graph, given, kind)
    copies = n_copies if several else None
    for t in range(n_steps):
        readings = {e: _reading(history, side, e, t, copies) for e in graph.edges}
        for e, reading in readings.items():
            history.messages[e][t] = reading.message()
        for e, reading in readings.items():
            if t > 0 and factors[e] != 0.0 and e.reverse in graph.reads(e):
                history.set_onsager(reading, factors[e], rng)
        images = products.step({e: history.messages[e][t] for e in graph.edges})
        for e in graph.edges:
            history.set_iterate(e, t, images[e])
    return history.run(several)


class _History:
    """All that a run keeps, with all axes: (time, rows, columns, copies)."""

    def __init__(self, graph: AMPGraph, start: PerEdge[Array], n_steps: int, n_copies: int) -> None:
        n, q, edges = graph.dimensions, graph.columns, graph.edges

        def empty(rows: Hashable, steps: int, e: OrientedEdge) -> Array:
            return np.empty((steps, n[rows], q[e], n_copies))

        self.graph = graph
        self.iterates = PerEdge({e: empty(e.end, n_steps + 1, e) for e in edges})
        self.messages = PerEdge({e: empty(e.start, n_steps, e) for e in edges})
        self.onsager = PerEdge(
            {e: np.zeros((n_steps, q[e], q[e.reverse], n_copies)) for e in edges}
        )
        self.errors = PerEdge({e: np.zeros_like(self.onsager[e]) for e in _probed(graph)})
        for e in edges:
            self.iterates[e][0] = start[e]

    def set_onsager(self, reading: Reading, factor: float, rng: np.random.Generator | None) -> None:
        """Store b_e^t, `factor` times."""
        e, t = reading.edge, reading.t
        sums, errors = sum_of_derivatives(reading, self.messages[e][t], self._known(e, t), rng)
        weight = factor * self.graph.variances[e] / self.graph.size
        self.onsager[e][t] = weight * sums
        if errors is not None:
            self.errors[e][t] = weight * errors

    def set_iterate(self, e: OrientedEdge, t: int, image: Array) -> None:
        """Store x_e^{t+1} = A_e m_e^t, given as `image`, minus the Onsager term."""
        x, b = self.iterates[e][t + 1], self.onsager[e][t]
        x[...] = image
        if b.any():
            # Σ_r m_rev(e)[i, r, c] b[q, r, c], r being 1 or few.
            for r in range(b.shape[1]):
                x -= self.messages[e.reverse][t - 1][:, r, None] * b[None, :, r]
        if not np.isfinite(x).all():
            raise ConvergenceError(
                f"the iterates of edge {e} overflow at step {t + 1}: the functions make the run "
                "diverge; scale them down, or take fewer steps"
            )

    def run(self, several: bool) -> AMPRun:
        """Return what was kept, without axes of length one that stand for nothing."""
        return AMPRun(
            iterates=PerEdge({e: _short(x, several, (2,)) for e, x in self.iterates.items()}),
            messages=PerEdge({e: _short(m, several, (2,)) for e, m in self.messages.items()}),
            onsager=PerEdge({e: _short(b, several, (1, 2)) for e, b in self.onsager.items()}),
            divergence_errors=PerEdge(
                {e: _short(b, several, (1, 2)) for e, b in self.errors.items()}
            ),
            status=_status(self.graph, self.iterates),
            _columns=self.graph.columns,
            _several_copies=several,
        )

    def _known(self, e: OrientedEdge, t: int) -> list[Array]:
        """Return the vectors along which the iterates read by f_e at step t have a mean."""
        known = []
        for r in self.graph.reads(e):
            if r in self.graph.spikes:
                known.append(self.graph.spikes[r].left[:, None, None])
            if t > 1 and self.graph.hidden[r.reverse]:
                truth = self.messages[r.reverse][t - 2]
                known.append(truth[:, list(self.graph.hidden[r.reverse])])
        return known


def _reading(
    history: _History, side: Mapping[Hashable, Array], e: OrientedEdge, t: int, copies: int | None
) -> Reading:
    graph = history.graph
    inputs = tuple(history.iterates[r][t] for r in graph.reads(e))
    return Reading(graph, e, t, inputs, side.get(e.start), copies)


def _checked_start(
    graph: AMPGraph, x0: Mapping[EdgeLike, ArrayLike], n_copies: int
) -> PerEdge[Array]:
    """Return x_e^0 with all its axes for every edge, 0 where nothing reads it."""
    given = {graph.edge(e, name="keys of x0"): value for e, value in x0.items()}
    needed = {r for e in graph.edges for r in graph.reads(e)}
    start: PerEdge[Array] = PerEdge()
    for e in graph.edges:
        n, q = graph.dimensions[e.end], graph.columns[e]
        if e in given:
            start[e] = _checked_iterate(f"x0[{e}]", given[e], n, q, n_copies)
        elif e in needed:
            raise ValueError(f"x0 must have the iterate of {e}, which a function reads")
        else:
            start[e] = np.zeros((n, q, n_copies))
    return start


def _checked_iterate(name: str, value: ArrayLike, n: int, q: int, n_copies: int) -> Array:
    array = _checks.real_array(name, value)
    shape = (n,) if q == 1 else (n, q)
    shapes = [shape] if n_copies == 1 else [shape, (*shape, n_copies)]
    if array.shape not in shapes:
        raise ValueError(
            f"{name} must have shape {' or '.join(map(str, shapes))}, got {array.shape}"
        )
    return np.broadcast_to(array.reshape(n, q, -1), (n, q, n_copies))


def _side_arrays(graph: AMPGraph, n_copies: int) -> dict[Hashable, Array]:
    """Return the side information of vertices, with an axis for copies if there are several."""
    arrays = {}
    for v, side in graph.side.items():
        values = side.values
        if values.ndim < 3:
            values = values[..., None]
        elif values.shape[2] != n_copies:
            raise ValueError(
                f"n_copies must be {values.shape[2]}, as side[{v!r}] has that many, got {n_copies}"
            )
        arrays[v] = values if n_copies > 1 else values[..., 0]
    return arrays


def _checked_factors(graph: AMPGraph, onsager: float | Mapping[EdgeLike, float]) -> PerEdge[float]:
    """Return the factor of the Onsager coefficient of every edge."""
    if not isinstance(onsager, Mapping):
        return PerEdge(dict.fromkeys(graph.edges, _checks.number("onsager", onsager)))
    factors: PerEdge[float] = PerEdge(dict.fromkeys(graph.edges, 1.0))
    for key, value in onsager.items():
        e = graph.edge(key, name="keys of onsager")
        factors[e] = _checks.number(f"onsager[{e}]", value)
    return factors


def _check_rng(
    graph: AMPGraph, rng: np.random.Generator | None, matrices: Mapping[EdgeLike, Any] | None
) -> None:
    probed = _probed(graph)
    if rng is not None:
        _checks.generator("rng", rng)
    elif matrices is None:
        raise ValueError("rng must be a numpy.random.Generator unless matrices are given")
    elif probed:
        raise ValueError(
            f"rng must be a numpy.random.Generator, as the divergence of {probed[0]} draws probes"
        )


def _probed(graph: AMPGraph) -> list[OrientedEdge]:
    """Return the edges whose divergences are found by random probes."""
    return [
        e
        for e in graph.edges
        if graph.functions[e].divergence == "hutchinson" and e.reverse in graph.reads(e)
    ]


def _status(graph: AMPGraph, iterates: PerEdge[Array]) -> str:
    if any(iterates[e][-1][:, list(graph.visible(e))].any() for e in graph.edges):
        return "ok"
    return (
        "stuck: all iterates are 0, as the functions map 0 to 0; start from x0 that is not 0, or "
        "take functions with f(0) ≠ 0"
    )


def _short(x: Array, several: bool, columns: tuple[int, ...]) -> Array:
    """Drop the axes of `columns` if all have length one, and the last without several copies."""
    drop = columns if all(x.shape[axis] == 1 for axis in columns) else ()
    return np.squeeze(x, axis=drop if several else (*drop, x.ndim - 1))
