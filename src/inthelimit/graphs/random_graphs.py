"""Random environments for gossip: percolation, geometric and regular graphs.

All of them have integer nodes 0, …, n − 1; those in space carry the node attribute "position".
Source: arXiv:1805.08531, the graphs of its simulations.
"""

from collections.abc import Sequence
from math import exp, lgamma, log, pi, prod

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from inthelimit import _checks
from inthelimit.graphs._inputs import check_undirected, side_lengths

# Of nodes and edges together: networkx takes 0.2 to 0.4 kB for each.
LARGEST_SIZE = 10**7


def percolation_graph(
    shape: Sequence[int], probability: float, *, rng: np.random.Generator
) -> nx.Graph:
    """Return bond percolation on a box: neighbours are joined with a probability, independently.

    Parameters
    ----------
    shape : sequence of d ints, ≥ 1
        The sides l_1, …, l_d.
    probability : float, in [0, 1]
        The probability of an edge.
    rng : numpy.random.Generator
        The source of randomness.

    Returns
    -------
    networkx.Graph
        With all n = l_1 ⋯ l_d nodes, numbered in C order; "position" is the d-tuple of ints.

    Raises
    ------
    ValueError
        If an argument is out of its range, or more than 10⁷ nodes and edges are expected.

    Notes
    -----
    O(nd).  With the largest component, `gossip_matrix(graph, degree=2 * d)` is the matrix of the
    published simulations.  Source: arXiv:1805.08531, simulations.

    Examples
    --------
    >>> graph = percolation_graph((4, 3), 1.0, rng=np.random.default_rng(0))
    >>> graph.number_of_edges(), graph.nodes[5]["position"]
    (17, (1, 2))
    """
    sides = side_lengths("shape", shape)
    probability = _checks.number("probability", probability, at_least=0.0, at_most=1.0)
    rng = _checks.generator("rng", rng)
    bonds = sum(prod(sides) // side * (side - 1) for side in sides)
    _check_size("shape and probability", prod(sides), probability * bonds)
    nodes = np.arange(prod(sides)).reshape(sides)
    ends = [
        [np.delete(nodes, place, axis=axis).ravel() for place in (-1, 0)]
        for axis in range(len(sides))
    ]
    edges = np.concatenate(ends, axis=1).T
    graph = _in_space(np.stack(np.unravel_index(nodes.ravel(), sides), axis=1))
    graph.add_edges_from(edges[rng.random(len(edges)) < probability].tolist())
    return graph


def random_geometric_graph(
    n_nodes: int, dimension: int, radius: float, *, rng: np.random.Generator
) -> nx.Graph:
    """Return uniform points of the unit cube, joined where their distance is at most `radius`.

    Parameters
    ----------
    n_nodes : int, ≥ 1
        The number n of points.
    dimension : int, ≥ 1
        The dimension d of the cube [0, 1]^d.
    radius : float, > 0
        The largest distance of neighbours.
    rng : numpy.random.Generator
        The source of randomness.

    Returns
    -------
    networkx.Graph
        "position" is the d-tuple of coordinates.

    Raises
    ------
    ValueError
        If an argument is out of its range, or more than 10⁷ nodes and edges are expected.

    Notes
    -----
    O(n log n) and the number of edges, by a k-d tree.  Source: arXiv:1805.08531, simulations, where
    `radius` is 1.5 n^(−1/d).

    Examples
    --------
    >>> graph = random_geometric_graph(1600, 2, 1.5 / 40, rng=np.random.default_rng(0))
    >>> graph.number_of_nodes(), graph.number_of_edges()
    (1600, 5448)
    """
    n = _checks.integer("n_nodes", n_nodes, at_least=1)
    d = _checks.integer("dimension", dimension, at_least=1)
    radius = _checks.number("radius", radius, above=0.0)
    rng = _checks.generator("rng", rng)
    log_ball = d / 2 * log(pi) - lgamma(d / 2 + 1) + d * log(radius)
    _check_size("n_nodes and radius", n, n * (n - 1) / 2 * exp(min(0.0, log_ball)))
    positions = rng.random((n, d))
    graph = _in_space(positions)
    graph.add_edges_from(cKDTree(positions).query_pairs(radius, output_type="ndarray").tolist())
    return graph


def random_regular_multigraph(
    n_nodes: int, degree: int, *, rng: np.random.Generator
) -> nx.MultiGraph:
    """Return a random regular graph with loops and parallel edges, by the configuration model.

    Parameters
    ----------
    n_nodes : int, ≥ 1
        The number n of nodes.
    degree : int, ≥ 1
        The degree of every node, where a loop counts twice; n · degree is even.
    rng : numpy.random.Generator
        The source of randomness.

    Returns
    -------
    networkx.MultiGraph
        A uniform pairing of the n · degree half-edges.

    Raises
    ------
    ValueError
        If an argument is out of its range, n · degree is odd, or there are more than 10⁷ nodes and
        edges.

    Notes
    -----
    O(n · degree).  Around a node it looks like a regular tree.  Source: arXiv:1805.08531,
    simulations on a random graph of degree 3.

    Examples
    --------
    >>> graph = random_regular_multigraph(10, 3, rng=np.random.default_rng(0))
    >>> set(dict(graph.degree).values()), graph.number_of_edges()
    ({3}, 15)
    """
    n = _checks.integer("n_nodes", n_nodes, at_least=1)
    degree = _checks.integer("degree", degree, at_least=1)
    rng = _checks.generator("rng", rng)
    if n * degree % 2:
        raise ValueError(f"n_nodes times degree must be even, got {n} times {degree}")
    _check_size("n_nodes and degree", n, n * degree / 2)
    halves = rng.permutation(np.repeat(np.arange(n), degree))
    graph = nx.MultiGraph()
    graph.add_nodes_from(range(n))
    graph.add_edges_from(halves.reshape(-1, 2).tolist())
    return graph


def largest_component(graph: nx.Graph) -> nx.Graph:
    """Return the largest connected component of a graph.

    Parameters
    ----------
    graph : networkx.Graph or networkx.MultiGraph
        With at least one node; it is left as it is.

    Returns
    -------
    networkx.Graph or networkx.MultiGraph
        A copy of the component, with its attributes and its nodes in their order; of several
        largest ones, that of the first node.

    Raises
    ------
    ValueError
        If the graph is directed or has no node.

    Notes
    -----
    O(n + E).  Source: arXiv:1805.08531, where gossip on percolation clusters runs on it.

    Examples
    --------
    >>> import networkx as nx
    >>> list(largest_component(nx.Graph([(0, 1), (5, 4), (4, 2)])))
    [5, 4, 2]
    """
    check_undirected(graph)
    largest = max(nx.connected_components(graph), key=len)
    component = graph.copy()
    component.remove_nodes_from([node for node in graph if node not in largest])
    return component


def _check_size(names: str, nodes: int, edges: float) -> None:
    if nodes + edges > LARGEST_SIZE:
        raise ValueError(
            f"{names} must lead to at most {LARGEST_SIZE:,} nodes and edges, got {nodes:,} and "
            f"about {edges:,.0f}: a networkx graph of that size does not fit memory"
        )


def _in_space(positions: ArrayLike) -> nx.Graph:
    """Return a graph without edges and with a node at each row of positions."""
    graph = nx.Graph()
    graph.add_nodes_from(
        (v, {"position": tuple(x)}) for v, x in enumerate(np.asarray(positions).tolist())
    )
    return graph
