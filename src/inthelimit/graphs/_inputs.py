"""Checks of what graphs are made from: sides of tori and boxes, memory, networkx graphs."""

from collections.abc import Sequence
from math import prod

import networkx as nx

from inthelimit import _checks

# Of the result; making it takes about as much again.
LARGEST_BYTES = 4 * 2**30
# An index and a value.
BYTES_PER_ENTRY = 12


def side_lengths(
    name: str, shape: Sequence[int], *, dimension: int | None = None
) -> tuple[int, ...]:
    """Return the sides as a tuple of ints ≥ 1, of length `dimension` if that is given."""
    try:
        sides = tuple(shape)
    except TypeError:
        raise ValueError(f"{name} must be a sequence of side lengths, got {shape!r}") from None
    if not sides or (dimension is not None and len(sides) != dimension):
        wanted = "at least one" if dimension is None else str(dimension)
        raise ValueError(f"{name} must have {wanted} side length(s), got {sides}")
    return tuple(_checks.integer(f"{name}[{i}]", side, at_least=1) for i, side in enumerate(sides))


def check_memory(name: str, sides: tuple[int, ...], bytes_per_node: int, what: str) -> None:
    """Refuse sides at which `what` takes more than 4 GiB."""
    needed = prod(sides) * bytes_per_node
    if needed > LARGEST_BYTES:
        raise ValueError(
            f"{name} must leave {what} within {LARGEST_BYTES / 2**30:g} GiB, got {sides}, which "
            f"takes {needed / 2**30:.3g} GiB"
        )


def check_undirected(graph: nx.Graph) -> None:
    """Refuse what is no undirected networkx graph with at least one node."""
    if not isinstance(graph, nx.Graph):
        raise ValueError(f"graph must be a networkx.Graph, got {type(graph).__name__}")
    if graph.is_directed():
        raise ValueError("graph must be undirected, got a directed one")
    if not graph:
        raise ValueError("graph must have at least one node, got an empty one")
