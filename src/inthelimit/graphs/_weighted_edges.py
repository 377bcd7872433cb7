"""Read a weighted graph, as networkx or a matrix gives it, into arrays of edges and weights."""

from collections.abc import Hashable
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from inthelimit import _checks
from inthelimit._checks import Array

Edges = NDArray[np.int64]

# A weight matrix is symmetric up to the rounding of the formula that made its entries.
SYMMETRY_TOLERANCE = 1e-12


def read_graph(
    graph: nx.Graph, *, weighted: bool = True
) -> tuple[tuple[Hashable, ...], Edges, Array]:
    """Return labels, pairs of positions and weights of a networkx graph."""
    if graph.is_directed():
        raise ValueError("weights must be those of an undirected graph, got a directed one")
    nodes = tuple(graph.nodes)
    position = {node: i for i, node in enumerate(nodes)}
    values = np.ones(graph.number_of_edges())
    edges = np.empty((values.size, 2), dtype=np.int64)
    for k, (v, w, weight) in enumerate(graph.edges(data="weight", default=1.0)):
        edges[k] = position[v], position[w]
        if weighted:
            values[k] = _checks.number(f"weight of edge ({v!r}, {w!r})", weight)
    _check_edges(nodes, edges, values)
    return nodes, edges, values


def read_matrix(weights: Any) -> tuple[tuple[Hashable, ...], Edges, Array]:
    """Return labels, pairs of positions and weights from a symmetric matrix."""
    if not sparse.issparse(weights):
        weights = sparse.coo_array(_checks.matrix("weights", weights))
    if weights.ndim != 2 or weights.shape[0] != weights.shape[1]:
        raise ValueError(f"weights must be a square matrix, got shape {weights.shape}")
    matrix = weights.tocsr(copy=True)
    matrix.sum_duplicates()
    matrix = sparse.csr_array(matrix)
    values = _checks.real_array("weights", matrix.data)
    matrix = sparse.csr_array((values, matrix.indices, matrix.indptr), shape=matrix.shape)
    difference = abs(matrix - matrix.T)
    if difference.nnz and difference.max() > SYMMETRY_TOLERANCE * np.abs(values).max():
        entry = difference.tocoo()
        worst = int(np.argmax(entry.data))
        v, w = int(entry.coords[0][worst]), int(entry.coords[1][worst])
        raise ValueError(
            f"weights must be symmetric, got {matrix[v, w]} at ({v}, {w}) and {matrix[w, v]} at "
            f"({w}, {v})"
        )
    upper = sparse.triu(matrix).tocoo()
    edges = np.stack(upper.coords, axis=1).astype(np.int64)
    nodes = tuple(range(matrix.shape[0]))
    _check_edges(nodes, edges, upper.data)
    return nodes, edges, upper.data


def _check_edges(nodes: tuple[Hashable, ...], edges: Edges, values: Array) -> None:
    if len(nodes) < 2:
        raise ValueError(f"weights must be those of at least two nodes, got {len(nodes)}")
    if not values.size:
        raise ValueError("weights must have a positive total, got no edges")
    loops = np.flatnonzero(edges[:, 0] == edges[:, 1])
    if loops.size:
        raise ValueError(
            f"weights must have no self-loops, got one at node {nodes[edges[loops[0], 0]]!r}"
        )
    wrong = np.flatnonzero(~(values > 0.0))
    if wrong.size:
        v, w = (nodes[i] for i in edges[wrong[0]])
        raise ValueError(f"weights must be > 0, got {values[wrong[0]]} on edge ({v!r}, {w!r})")


def merge_parallel(edges: Edges, values: Array, n: int) -> tuple[Edges, Array]:
    """Return the edges with v < w, sorted, each once, and the sums of their weights."""
    low, high = edges.min(axis=1), edges.max(axis=1)
    keys, inverse = np.unique(low * n + high, return_inverse=True)
    totals = np.bincount(inverse, weights=values).astype(np.float64, copy=False)
    return np.stack((keys // n, keys % n), axis=1), totals
