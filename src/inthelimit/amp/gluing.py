"""Composition: two graphs glued at vertices are a graph again, and so is its state evolution.

Source: arXiv:2109.11905, which lets graphs compose arbitrarily; the variances are rescaled here so
that the matrices of either part keep their law.
"""

import dataclasses
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from inthelimit.amp.functions import EdgeFunction
from inthelimit.amp.graph import AMPGraph, EdgeLike, OrientedEdge, PerEdge, as_edge


def glue(
    first: AMPGraph,
    second: AMPGraph,
    *,
    at: Mapping[Any, Any],
    functions: Mapping[EdgeLike, EdgeFunction] | None = None,
) -> AMPGraph:
    """Identify vertices of two graphs, and give the edges at the seam new functions.

    Parameters
    ----------
    first, second : AMPGraph
        Vertices that are not identified have different labels.
    at : mapping from vertices of `first` to vertices of `second`
        The vertices to identify, of equal dimensions; they keep their labels in `first`.
    functions : mapping from oriented edges to EdgeFunction, optional
        Replacements, usually of functions that start at the seam, which may now read all that ends
        there.  Edges are named by the labels of the glued graph.

    Returns
    -------
    AMPGraph
        Its variances are those of the parts times N_new/N_old, so that all matrices keep their law.

    Raises
    ------
    ValueError
        If a vertex is unknown, dimensions differ, labels or edges clash, or both vertices at a seam
        have side information.

    Notes
    -----
    Without new functions the parts don't see one another, and run as they did: side information
    at a seam goes to the functions of its own part, and to new ones.
    Source: arXiv:2109.11905, composition of graphs.

    Examples
    --------
    >>> from inthelimit.amp import AMPGraph, separable
    >>> f = separable(lambda t, x: x)
    >>> loop = AMPGraph({"v": 20}, {("v", "v"): f})
    >>> pair = AMPGraph({"a": 20, "b": 60}, {("a", "b"): f, ("b", "a"): f})
    >>> both = separable(lambda t, x, y: x + y, reads=[("v", "v"), ("b", "v")])
    >>> glue(loop, pair, at={"v": "a"}, functions={("v", "b"): both})
    AMPGraph(2 vertices, N = 80: v→v, v→b, b→v)
    """
    names = _new_names(first, second, at)
    dimensions = dict(first.dimensions)
    dimensions.update({names[v]: n for v, n in second.dimensions.items()})

    def renamed(e: OrientedEdge) -> OrientedEdge:
        return OrientedEdge(names[e.start], names[e.end], e.key)

    edges = {renamed(e): e for e in second.edges}
    for e in edges:
        if e in first.functions:
            raise ValueError(f"first and second must have no edge in common, got {e}: change a key")
    merged = PerEdge(first.functions)
    for new, old in edges.items():
        merged[new] = dataclasses.replace(
            second.functions[old], reads=tuple(renamed(r) for r in second.reads(old))
        )
    side = dict(first.side)
    for v, known in second.side.items():
        if names[v] in side:
            raise ValueError(f"side must be given once at a seam, got two at {names[v]!r}")
        side[names[v]] = known
    for new in merged:
        part, vertex = (second, edges[new].start) if new in edges else (first, new.start)
        if new.start in side and vertex not in part.side:
            merged[new] = _without_side(merged[new])
    for key, function in (functions or {}).items():
        new = as_edge("keys of functions", key)
        if new not in merged:
            raise ValueError(f"functions must be of edges of the glued graph, got {new}")
        merged[new] = function

    N = sum(dimensions.values())
    parts = [(first, {e: e for e in first.edges}), (second, edges)]
    return AMPGraph(
        dimensions,
        merged,
        columns={new: part.columns[old] for part, names_ in parts for new, old in names_.items()},
        hidden={new: part.hidden[old] for part, names_ in parts for new, old in names_.items()},
        variances={
            new: part.variances[old] * N / part.size
            for part, names_ in parts
            for new, old in names_.items()
            if old in part.undirected
        },
        side=side,
        spikes={
            new: dataclasses.replace(
                part.spikes[old], strength=part.spikes[old].strength * N / part.size
            )
            for part, names_ in parts
            for new, old in names_.items()
            if old in part.spikes and old in part.undirected
        },
    )


def _without_side(function: EdgeFunction) -> EdgeFunction:
    """Return a function that knows nothing of the side information that came to its vertex."""

    def blind(known: Callable[..., Any]) -> Callable[..., Any]:
        return lambda t, *arguments: known(t, *arguments[:-1])

    derivative = function.derivative
    return dataclasses.replace(
        function,
        function=blind(function.function),
        derivative=None if derivative is None else blind(derivative),
    )


def _new_names(
    first: AMPGraph, second: AMPGraph, at: Mapping[Any, Any]
) -> dict[Hashable, Hashable]:
    """Return the label in the glued graph of every vertex of `second`."""
    names = {v: v for v in second.vertices}
    if len(set(at.values())) < len(at):
        raise ValueError(f"at must be one to one, got {dict(at)}")
    for v, w in at.items():
        for name, graph, vertex in (("first", first, v), ("second", second, w)):
            if vertex not in graph.dimensions:
                raise ValueError(
                    f"at must join vertices of first to second, got {vertex!r}, which {name} lacks"
                )
        if first.dimensions[v] != second.dimensions[w]:
            raise ValueError(
                f"at must join vertices of equal dimensions, got {first.dimensions[v]} at {v!r} "
                f"and {second.dimensions[w]} at {w!r}"
            )
        names[w] = v
    clash = [v for v in second.vertices if v not in at.values() and v in first.dimensions]
    if clash:
        raise ValueError(f"first and second must not share labels outside at, got {clash[0]!r}")
    return names
