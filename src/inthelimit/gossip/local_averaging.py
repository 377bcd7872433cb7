"""Local averaging: what gossip would do if every node knew all values within t steps.

After t rounds a node may know the values in its ball B_t(v), of radius t in the graph, and no
others.  From independent values of variance σ² nothing unbiased that is linear in these has less
variance than their mean, σ²/|B_t(v)|, so this is the bound that gossip is held to.  It is no gossip
itself: the messages grow with the balls.

Source: arXiv:1805.08531, where it is a line of the figures.
"""

from typing import TypeAlias

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit._compiled import compiled
from inthelimit.gossip._reading import empty_result, reading_times
from inthelimit.gossip._rounds import node_values, read_matrix
from inthelimit.gossip._stencil import Integers, Values

Graph: TypeAlias = nx.Graph | ArrayLike | sparse.sparray


def local_averaging(
    graph: Graph, x0: ArrayLike, n_steps: int, *, times: ArrayLike | None = None
) -> Values:
    """Return for each node the mean of x⁰ over the ball of radius t around it.

    Parameters
    ----------
    graph : networkx.Graph, or gossip matrix of shape (n, n)
        Undirected; of a matrix W, as `simple_gossip` takes it, the entries W_vw > 0 are the edges.
    x0 : array_like, shape (n, ...)
        The values at the start, in the order of ``graph.nodes``; trailing axes are several initial
        conditions.
    n_steps : int, ≥ 0
        The largest radius.
    times : array_like of int, shape (T,), optional
        The radii, strictly increasing, in [0, n_steps]; all of them by default.

    Returns
    -------
    ndarray, shape (T, ...)
        Once the balls are whole components, the means over these.

    Raises
    ------
    ValueError
        If the graph is directed or the matrix no gossip matrix, a shape or a time is wrong, a value
        is not finite, or the result would take more than 8 GiB.

    Notes
    -----
    A breadth-first search from every node, O(n E) for E edges.  Source: arXiv:1805.08531.

    Examples
    --------
    >>> import networkx as nx
    >>> local_averaging(nx.path_graph(4), [4.0, 0.0, 0.0, 0.0], 3, times=[1, 3])
    array([[2.        , 1.33333333, 0.        , 0.        ],
           [1.        , 1.        , 1.        , 1.        ]])
    """
    read_at = reading_times(times, n_steps)
    neighbours = _neighbours(graph)
    n = neighbours.shape[0]
    start = node_values(x0, n)
    result = empty_result(read_at, start.shape, start.dtype)
    _ball_means(
        *_arrays(neighbours), start.reshape(n, -1), read_at, result.reshape(read_at.size, n, -1)
    )
    return result


def expected_local_averaging_error(graph: Graph, n_steps: int) -> Array:
    """Return the expected error of local averaging, √(mean over v of 1/|B_t(v)| − 1/|component|).

    Parameters
    ----------
    graph : networkx.Graph, or gossip matrix of shape (n, n)
        As for `local_averaging`.
    n_steps : int, ≥ 0
        The largest radius.

    Returns
    -------
    ndarray, shape (n_steps + 1,)
        √(E ‖x^t − consensus‖²/n) for independent values of variance 1, consensus being the mean
        over the component; exactly 0 once the balls are whole components.

    Raises
    ------
    ValueError
        If the graph is directed, the matrix no gossip matrix, or `n_steps` negative.

    Notes
    -----
    The expectation is exact: the mean over the component is that of the ball and of the rest.
    O(n E) for E edges.  Source: arXiv:1805.08531 for the method.

    Examples
    --------
    >>> import networkx as nx
    >>> (expected_local_averaging_error(nx.complete_graph(4), 2) ** 2).round(12)
    array([0.75, 0.  , 0.  ])
    """
    n_steps = _checks.integer("n_steps", n_steps, at_least=0)
    neighbours = _neighbours(graph)
    _, labels = connected_components(neighbours, directed=False)
    consensus = 1.0 / np.bincount(labels)[labels]
    squares = np.zeros(n_steps + 1)
    _ball_errors(*_arrays(neighbours), consensus, squares)
    error: Array = np.sqrt(squares)
    return error


def _neighbours(graph: Graph) -> sparse.csr_array:
    """Return a matrix that is non-zero where there is an edge."""
    if not isinstance(graph, nx.Graph):
        matrix = read_matrix(graph)
        matrix.eliminate_zeros()
        return matrix
    if graph.is_directed():
        raise ValueError("graph must be undirected, got a directed one")
    if not graph:
        raise ValueError("graph must have at least one node, got none")
    return sparse.csr_array(nx.to_scipy_sparse_array(graph, weight=None, format="csr"))


def _arrays(matrix: sparse.csr_array) -> tuple[Integers, Integers]:
    return matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64)


@compiled
def _ball_means(
    starts: Integers, neighbours: Integers, x: Array, times: Integers, means: Values
) -> None:
    """Fill in the means of x over the balls of radii `times`, of shape (T, n, k)."""
    n, k = x.shape
    seen, queue, total = np.full(n, -1), np.empty(n, np.int64), np.empty(k)
    for v in range(n):
        seen[v], queue[0], total[:] = v, v, x[v]
        done, size, radius = 0, 1, 0
        for i in range(times.size):
            while radius < times[i] and done < size:
                sphere = size
                size = _grow(starts, neighbours, v, seen, queue, done, size)
                for place in range(sphere, size):
                    total += x[queue[place]]
                done, radius = sphere, radius + 1
            means[i, v] = total / size


@compiled
def _ball_errors(starts: Integers, neighbours: Integers, consensus: Array, squares: Array) -> None:
    """Add up the means over v of 1/|B_t(v)| − consensus_v, for t = 0, 1, …"""
    n = consensus.size
    seen, queue = np.full(n, -1), np.empty(n, np.int64)
    for v in range(n):
        seen[v], queue[0] = v, v
        done, size = 0, 1
        for t in range(squares.size):
            squares[t] += (1.0 / size - consensus[v]) / n
            sphere = size
            size = _grow(starts, neighbours, v, seen, queue, done, size)
            done = sphere


@compiled
def _grow(
    starts: Integers,
    neighbours: Integers,
    mark: int,
    seen: Integers,
    queue: Integers,
    done: int,
    size: int,
) -> int:
    """Let the ball in queue[:size] take in the neighbours of queue[done:size]; return its size."""
    grown = size
    for place in range(done, size):
        node = queue[place]
        for entry in range(starts[node], starts[node + 1]):
            other = neighbours[entry]
            if seen[other] != mark:
                seen[other] = mark
                queue[grown] = other
                grown += 1
    return grown
