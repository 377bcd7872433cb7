"""The drawing that defines a message passing algorithm: vertices, oriented edges, functions.

Every vertex v has a dimension n_v.  Every edge between v and w is drawn both ways; a loop is its
own reverse.  The edge e = (v → w) carries a random matrix A_e of shape (n_w, n_v), transposed on
the reverse edge, with independent centred Gaussian entries of variance J_e/N, N = Σ n_v (on loops
symmetric, with 2 J_e/N on the diagonal), the iterates x_e at its end, of n_w rows, and the
messages m_e = f_e at its start, of n_v rows.  The function f_e reads iterates that end at v.

Nothing runs here: `inthelimit.amp.iteration` runs the drawing at finite N, and
`inthelimit.amp.state_evolution` computes its limit.
Source: arXiv:2109.11905, graph-based approximate message passing.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.amp._values import checked_value
from inthelimit.amp.data import Side, Spike
from inthelimit.amp.functions import EdgeFunction

T = TypeVar("T")
# Divergences that are formulas, and need their variable.
GIVEN = ("derivative", "formula")

# (start, end), (start, end, key) or an OrientedEdge.
EdgeLike: TypeAlias = Any


class OrientedEdge(NamedTuple):
    """An edge with a direction; `key` tells parallel edges apart, and is the same both ways."""

    start: Hashable
    end: Hashable
    key: Hashable = 0

    def __str__(self) -> str:
        return f"{self.start}→{self.end}" + ("" if self.key == 0 else f" ({self.key})")

    @property
    def reverse(self) -> "OrientedEdge":
        """The same edge the other way; itself if it is a loop."""
        return OrientedEdge(self.end, self.start, self.key)

    @property
    def is_loop(self) -> bool:
        """Whether it starts where it ends."""
        return self.start == self.end


class PerEdge(dict[OrientedEdge, T]):
    """A dictionary over oriented edges that also understands the short form (start, end)."""

    def __missing__(self, key: Any) -> T:
        if isinstance(key, tuple) and len(key) == 2:
            return self[OrientedEdge(*key)]
        raise KeyError(key)


class AMPGraph:
    """An oriented graph with one function per oriented edge: a message passing algorithm.

    Parameters
    ----------
    dimensions : mapping from vertices to int ≥ 1
        The dimensions n_v.  Vertices are any hashable labels.
    functions : mapping from oriented edges to EdgeFunction
        Edges are (start, end), or (start, end, key) to tell parallel ones apart.  With every edge
        its reverse must be there; a loop (v, v) is its own.
    columns : mapping from oriented edges to int ≥ 1, optional
        The number q_e of columns of the iterates and messages of an edge, 1 by default.
    variances : mapping from edges to float > 0, optional
        J_e, the same both ways, 1 by default: the entries of A_e have variance J_e/N.
    side : mapping from vertices to Side, optional
        What the functions of the edges that start there get as their last argument.
    hidden : mapping from oriented edges to column indices, optional
        Columns of the messages of an edge that the algorithm can't subtract, as it does not know
        them: a signal.  The iterates of the reverse edge then keep their Onsager part, as a mean
        along the hidden columns.  These must not change from when that part is not 0.
    spikes : mapping from edges to Spike, optional
        Planted matrices; the reverse edge gets the transpose.

    Attributes
    ----------
    dimensions, side : dict
        As given.
    functions, columns, variances, hidden : PerEdge
        As given, completed by the defaults: one entry for every oriented edge.
    spikes : PerEdge
        The spikes, both ways; edges without one are absent.
    edges : tuple of OrientedEdge
        In the order of `functions`.

    Raises
    ------
    ValueError
        If an edge has no reverse or no vertex, a function reads an edge that does not end where its
        own starts, or a dimension, a number of columns, a variance or a shape is out of range.

    Notes
    -----
    Source: arXiv:2109.11905, the definition of a graph-based iteration; the variances and the
    hidden columns are reconstructed here from it, by scaling and by conditioning.

    Examples
    --------
    >>> import numpy as np
    >>> from inthelimit.amp import AMPGraph, separable
    >>> f = separable(lambda t, x: np.tanh(x))
    >>> graph = AMPGraph({"v": 3000, "w": 2000}, {("v", "w"): f, ("w", "v"): f})
    >>> graph
    AMPGraph(2 vertices, N = 5000: v→w, w→v)
    >>> [str(edge) for edge in graph.feeding(("v", "w"))]
    ['w→v']
    """

    def __init__(
        self,
        dimensions: Mapping[Any, int],
        functions: Mapping[EdgeLike, EdgeFunction],
        *,
        columns: Mapping[EdgeLike, int] | None = None,
        variances: Mapping[EdgeLike, float] | None = None,
        side: Mapping[Any, Side] | None = None,
        hidden: Mapping[EdgeLike, Iterable[int]] | None = None,
        spikes: Mapping[EdgeLike, Spike] | None = None,
    ) -> None:
        if not dimensions:
            raise ValueError(f"dimensions must have at least one vertex, got {dimensions!r}")
        self.dimensions: dict[Hashable, int] = {
            v: _checks.integer(f"dimensions[{v!r}]", n, at_least=1) for v, n in dimensions.items()
        }
        self.functions = _checked_functions(functions, self.dimensions)
        self.edges = tuple(self.functions)
        self._reads = PerEdge({e: self._checked_reads(e) for e in self.edges})
        self.columns: PerEdge[int] = PerEdge(dict.fromkeys(self.edges, 1))
        for e, q in self._given("columns", columns):
            self.columns[e] = _checks.integer(f"columns[{e}]", q, at_least=1)
        self.hidden: PerEdge[tuple[int, ...]] = PerEdge(dict.fromkeys(self.edges, ()))
        for e, indices in self._given("hidden", hidden):
            self.hidden[e] = self._checked_hidden(e, indices)
        self.variances: PerEdge[float] = PerEdge(dict.fromkeys(self.edges, 1.0))
        for e, J in self._given_once("variances", variances):
            self.variances[e] = _checks.number(f"variances[{e}]", J, above=0.0)
            self.variances[e.reverse] = self.variances[e]
        self.spikes: PerEdge[Spike] = PerEdge()
        for e, spike in self._given_once("spikes", spikes):
            self._check_spike(e, spike)
            self.spikes[e], self.spikes[e.reverse] = spike, spike.reverse
        self.side = self._checked_side(side)

    def __repr__(self) -> str:
        drawn = ", ".join(map(str, self.edges))
        n = len(self.dimensions)
        noun = "vertex" if n == 1 else "vertices"
        return f"AMPGraph({n} {noun}, N = {self.size}: {drawn})"

    @property
    def vertices(self) -> tuple[Hashable, ...]:
        """The vertices, in the order of `dimensions`."""
        return tuple(self.dimensions)

    @property
    def undirected(self) -> tuple[OrientedEdge, ...]:
        """One orientation of each edge, the first in the order of `edges`."""
        return tuple({min((e, e.reverse), key=self.edges.index): None for e in self.edges})

    @property
    def size(self) -> int:
        """The sum N of the dimensions."""
        return sum(self.dimensions.values())

    def edge(self, edge: EdgeLike, *, name: str = "edge") -> OrientedEdge:
        """Return the oriented edge that a tuple (start, end) or (start, end, key) means.

        Raises
        ------
        ValueError
            If it is no edge of the graph; `name` says whose mistake that is.
        """
        found = as_edge(name, edge)
        if found not in self.functions:
            raise ValueError(
                f"{name} must be an edge of the graph ({', '.join(map(str, self.edges))}), "
                f"got {found}"
            )
        return found

    def incoming(self, vertex: Hashable) -> tuple[OrientedEdge, ...]:
        """Return the oriented edges that end at `vertex`."""
        if vertex not in self.dimensions:
            raise ValueError(f"vertex must be one of {list(self.dimensions)}, got {vertex!r}")
        return tuple(e for e in self.edges if e.end == vertex)

    def feeding(self, edge: EdgeLike) -> tuple[OrientedEdge, ...]:
        """Return the edges that the function of `edge` may read: those ending where it starts."""
        return self.incoming(self.edge(edge).start)

    def reads(self, edge: EdgeLike) -> tuple[OrientedEdge, ...]:
        """Return the edges that the function of `edge` does read, in the order of its arguments."""
        return self._reads[self.edge(edge)]

    def visible(self, edge: EdgeLike) -> tuple[int, ...]:
        """Return the columns of the messages of `edge` that are not hidden."""
        edge = self.edge(edge)
        return tuple(c for c in range(self.columns[edge]) if c not in self.hidden[edge])

    def evaluate(
        self,
        edge: EdgeLike,
        t: int,
        inputs: Sequence[Array],
        side: Array | None = None,
        *,
        rows: int,
        copies: int | None = None,
    ) -> Array:
        """Return the message of `edge` at step t, checked.

        Parameters
        ----------
        edge : edge
        t : int ≥ 0
        inputs : sequence of arrays
            The iterates read, in the order of `reads(edge)`, of shape (rows[, q][, copies]).
        side : array, optional
            The side information, where the start vertex has some.
        rows, copies : int
            The rows of the message: n_v, or the points of a quadrature; and its trailing axis.

        Returns
        -------
        ndarray, shape (rows[, q][, copies])

        Raises
        ------
        ValueError
            If the function returns another shape, or a value that is not finite.
        """
        e = self.edge(edge)
        known = () if e.start not in self.side else (side,)
        # What is not finite is refused, and needs no warning.
        with np.errstate(all="ignore"):
            value = self.functions[e].function(t, *inputs, *known)
        shape = (rows,) + (self.columns[e],) * (self.columns[e] > 1)
        name = f"the function of edge {e} at step {t}"
        return checked_value(name, value, shape, copies)

    def _checked_reads(self, edge: OrientedEdge) -> tuple[OrientedEdge, ...]:
        given = self.functions[edge].reads
        if given is None:
            return (edge.reverse,)
        reads = tuple(as_edge(f"reads of {edge}", e) for e in given)
        allowed = [e for e in self.edges if e.end == edge.start]
        for e in reads:
            if e not in allowed:
                raise ValueError(
                    f"reads of {edge} must be edges that end at {edge.start} "
                    f"({', '.join(map(str, allowed))}), got {e}"
                )
        if len(set(reads)) < len(reads):
            raise ValueError(
                f"reads of {edge} must name an edge once, got {', '.join(map(str, reads))}"
            )
        if edge.reverse not in reads and self.functions[edge].divergence in GIVEN:
            raise ValueError(
                f"reads of {edge} must hold {edge.reverse}, along which a derivative is given, "
                f"got {', '.join(map(str, reads)) or 'no edge'}"
            )
        return reads

    def _given(self, name: str, values: Mapping[EdgeLike, T] | None) -> list[tuple[Any, T]]:
        """Return the pairs given, with edges in their long form, each once."""
        pairs = [(self.edge(e, name=f"keys of {name}"), v) for e, v in (values or {}).items()]
        if len(dict(pairs)) < len(pairs):
            raise ValueError(f"{name} must name an edge once, got {list(values or {})}")
        return pairs

    def _given_once(self, name: str, values: Mapping[EdgeLike, T] | None) -> list[tuple[Any, T]]:
        """Return the pairs given, of edges that need no direction."""
        pairs = self._given(name, values)
        for e, _ in pairs:
            if not e.is_loop and e.reverse in dict(pairs):
                raise ValueError(f"{name} must have one entry for both directions of {e}, got two")
        return pairs

    def _checked_hidden(self, edge: OrientedEdge, indices: Iterable[int]) -> tuple[int, ...]:
        name, q = f"hidden[{edge}]", self.columns[edge]
        columns = tuple(sorted({_checks.integer(name, c, at_least=0) for c in indices}))
        if columns and columns[-1] >= q:
            raise ValueError(f"{name} must hold columns 0, …, {q - 1}, got {columns[-1]}")
        return columns

    def _check_spike(self, edge: OrientedEdge, spike: Spike) -> None:
        if not isinstance(spike, Spike):
            raise ValueError(f"spikes[{edge}] must be a Spike, got {spike!r}")
        for name, vertex in (("left", edge.end), ("right", edge.start)):
            size, n = getattr(spike, name).size, self.dimensions[vertex]
            if size != n:
                raise ValueError(f"spikes[{edge}].{name} must have shape ({n},), got ({size},)")
        if edge.is_loop and (spike.left != spike.right).any():
            raise ValueError(
                f"spikes[{edge}] must have left = right, as the matrix of a loop is symmetric"
            )

    def _checked_side(self, side: Mapping[Any, Side] | None) -> dict[Hashable, Side]:
        for v, known in (side or {}).items():
            if v not in self.dimensions:
                raise ValueError(f"keys of side must be of {list(self.dimensions)}, got {v!r}")
            if not isinstance(known, Side):
                raise ValueError(f"side[{v!r}] must be a Side, got {known!r}")
            if len(known.values) != self.dimensions[v]:
                raise ValueError(
                    f"side[{v!r}] must have {self.dimensions[v]} rows, got {len(known.values)}"
                )
        return dict(side or {})


def as_edge(name: str, value: EdgeLike) -> OrientedEdge:
    """Return the edge meant by (start, end) or (start, end, key); `name` says whose it is."""
    if not isinstance(value, tuple) or len(value) not in (2, 3):
        raise ValueError(f"{name} must be (start, end) or (start, end, key), got {value!r}")
    return OrientedEdge(*value)


def _checked_functions(
    functions: Mapping[EdgeLike, EdgeFunction], vertices: Iterable[Hashable]
) -> PerEdge[EdgeFunction]:
    """Return the functions by oriented edge, each edge having both ends and its reverse."""
    if not functions:
        raise ValueError(f"functions must have at least one edge, got {functions!r}")
    checked: PerEdge[EdgeFunction] = PerEdge()
    for key, function in functions.items():
        edge = as_edge("keys of functions", key)
        for vertex in (edge.start, edge.end):
            if vertex not in vertices:
                raise ValueError(
                    f"functions must join vertices of dimensions ({list(vertices)}), "
                    f"got {vertex!r} in {edge}"
                )
        if not isinstance(function, EdgeFunction):
            raise ValueError(
                f"functions[{edge}] must be made by separable or nonseparable, got {function!r}"
            )
        if edge in checked:
            raise ValueError(f"functions must name an edge once, got {edge} twice")
        checked[edge] = function
    for edge in checked:
        if edge.reverse not in checked:
            raise ValueError(f"functions must hold the reverse {edge.reverse} of {edge}")
    return checked
