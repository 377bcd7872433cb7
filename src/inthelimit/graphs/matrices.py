"""Gossip matrices, symmetric with rows of sum one, and their spectra in closed form.

On a torus of sides l the eigenvalues are the symbol at ξ = 2πk/l, on a box (1/d) Σ cos(πk_i/l_i).
Source: arXiv:1805.08531 for the matrices, arXiv:2202.10742 for the symbol.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.graphs._inputs import BYTES_PER_ENTRY, check_memory, check_undirected, side_lengths
from inthelimit.graphs.lattice import Lattice


def torus_matrix(lattice: Lattice, shape: Sequence[int]) -> sparse.csr_array:
    """Return the matrix W of a lattice on a torus.

    Parameters
    ----------
    lattice : Lattice
        In dimension d.
    shape : sequence of d ints, ≥ 1
        The sides l_1, …, l_d; they may be shorter than an offset.

    Returns
    -------
    scipy.sparse.csr_array, shape (n, n)
        For n = l_1 ⋯ l_d nodes in C order, so that W @ x.ravel() is one round of gossip.

    Raises
    ------
    ValueError
        If the shape is not one of d positive integers, or the matrix takes more than 4 GiB.

    Notes
    -----
    O(nm) time and memory for m offsets.  Source: arXiv:2202.10742.

    Examples
    --------
    >>> from inthelimit.graphs import square_lattice
    >>> torus_matrix(square_lattice(1), (4,)).toarray()
    array([[0. , 0.5, 0. , 0.5],
           [0.5, 0. , 0.5, 0. ],
           [0. , 0.5, 0. , 0.5],
           [0.5, 0. , 0.5, 0. ]])
    """
    sides = side_lengths("shape", shape, dimension=lattice.dimension)
    check_memory("shape", sides, BYTES_PER_ENTRY * len(lattice.offsets), "the matrix")
    # Offsets that differ by turns around the torus are one.
    offsets, place = np.unique(lattice.offsets % sides, axis=0, return_inverse=True)
    weights = np.bincount(place.ravel(), weights=lattice.weights).astype(np.float64, copy=False)
    nodes = np.arange(prod(sides), dtype=_index_type(prod(sides) * len(weights))).reshape(sides)
    axes = tuple(range(len(sides)))
    sources = np.stack([np.roll(nodes, tuple(u), axes).ravel() for u in offsets.tolist()], axis=1)
    return _from_rows(sources, weights)


def box_matrix(shape: Sequence[int]) -> sparse.csr_array:
    """Return W = I + (A − D)/(2d) on a box with reflecting boundary.

    Parameters
    ----------
    shape : sequence of d ints, ≥ 1
        The sides l_1, …, l_d.

    Returns
    -------
    scipy.sparse.csr_array, shape (n, n)
        For n = l_1 ⋯ l_d nodes in C order; a neighbour beyond the border is the node itself.

    Raises
    ------
    ValueError
        If a side is no positive integer, or the matrix takes more than 4 GiB.

    Notes
    -----
    O(nd) time and memory.  Source: arXiv:1805.08531, grids.

    Examples
    --------
    >>> box_matrix((3,)).toarray()
    array([[0.5, 0.5, 0. ],
           [0.5, 0. , 0.5],
           [0. , 0.5, 0.5]])
    """
    sides = side_lengths("shape", shape)
    d = len(sides)
    check_memory("shape", sides, BYTES_PER_ENTRY * 2 * d, "the matrix")
    nodes = np.arange(prod(sides), dtype=_index_type(prod(sides) * 2 * d)).reshape(sides)
    neighbours = []
    for axis, side in enumerate(sides):
        places = np.arange(side)
        for step in (-1, 1):
            reflected = np.clip(places + step, 0, side - 1)
            neighbours.append(np.take(nodes, reflected, axis=axis).ravel())
    return _from_rows(np.stack(neighbours, axis=1), np.full(2 * d, 1 / (2 * d)))


def torus_spectrum(lattice: Lattice, shape: Sequence[int]) -> Array:
    """Return all eigenvalues of a lattice's W on a torus, with multiplicity.

    Parameters
    ----------
    lattice : Lattice
        In dimension d.
    shape : sequence of d ints, ≥ 1
        The sides l_1, …, l_d.

    Returns
    -------
    ndarray, shape `shape`
        At index k the symbol at ξ = 2π(k_1/l_1, …, k_d/l_d).

    Raises
    ------
    ValueError
        If the shape is not one of d positive integers, or the result takes more than 4 GiB.

    Notes
    -----
    O(nm) for n nodes and m offsets.  Source: arXiv:2202.10742.

    Examples
    --------
    >>> from inthelimit.graphs import square_lattice
    >>> torus_spectrum(square_lattice(1), (4,)).round(12)
    array([ 1.,  0., -1.,  0.])
    """
    sides = side_lengths("shape", shape, dimension=lattice.dimension)
    check_memory("shape", sides, 8, "the spectrum")
    frequencies = [2 * np.pi * np.fft.fftfreq(side) for side in sides]
    return lattice._symbol_at(np.meshgrid(*frequencies, indexing="ij", sparse=True))


def box_spectrum(shape: Sequence[int]) -> Array:
    """Return all eigenvalues of `box_matrix(shape)`, with multiplicity.

    Parameters
    ----------
    shape : sequence of d ints, ≥ 1
        The sides l_1, …, l_d.

    Returns
    -------
    ndarray, shape `shape`
        (1/d) Σ_i cos(πk_i/l_i) at index k.

    Raises
    ------
    ValueError
        If a side is no positive integer, or the result takes more than 4 GiB.

    Notes
    -----
    O(nd).  The eigenvectors are those of the cosine transform DCT-II.  Source: arXiv:1805.08531.

    Examples
    --------
    >>> box_spectrum((3,)).round(12)
    array([ 1. ,  0.5, -0.5])
    """
    sides = side_lengths("shape", shape)
    check_memory("shape", sides, 8, "the spectrum")
    d = len(sides)
    spectrum: Array = np.ones(sides)
    # 1 − 2 sin² rather than cos: exactly 1 at k = 0, and 1 − λ to all digits that λ has.
    for axis, side in enumerate(sides):
        drop = (2 / d) * np.sin(np.pi * np.arange(side) / (2 * side)) ** 2
        spectrum -= drop.reshape([-1 if i == axis else 1 for i in range(d)])
    return spectrum


def gossip_matrix(
    graph: nx.Graph, *, weights: str = "max-degree", degree: float | None = None
) -> sparse.csr_array:
    """Return a gossip matrix W of a graph: symmetric, with entries ≥ 0 and rows of sum 1.

    Parameters
    ----------
    graph : networkx.Graph or networkx.MultiGraph
        Undirected; parallel edges add up, weights of edges are not used.
    weights : {"max-degree", "metropolis"}, default "max-degree"
        W = I + (A − D)/degree, or W_vw = min(1/deg v, 1/deg w) on the edges and what is left of
        each row on the diagonal.
    degree : float, optional
        For "max-degree", at least the largest degree, which is the default.  With 2d, a subgraph
        of Z^d has the lattice's weights, and a missing neighbour is replaced by the node itself.

    Returns
    -------
    scipy.sparse.csr_array, shape (n, n)
        In the order of `graph.nodes`.

    Raises
    ------
    ValueError
        If the graph is directed or has no node, `weights` is none of the two words, or `degree` is
        less than the largest degree or given with "metropolis".

    Notes
    -----
    O(n + E).  A loop counts twice in the degree, so on a regular multigraph "max-degree" is
    A/degree with 2 on the diagonal of A for a loop.  An isolated node keeps its value.
    Source: arXiv:1805.08531, "max-degree" for percolation and "metropolis" for geometric graphs.

    Examples
    --------
    >>> import networkx as nx
    >>> gossip_matrix(nx.path_graph(3)).toarray()
    array([[0.5, 0.5, 0. ],
           [0.5, 0. , 0.5],
           [0. , 0.5, 0.5]])
    """
    check_undirected(graph)
    weights = _checks.choice("weights", weights, ("max-degree", "metropolis"))
    adjacency = nx.to_scipy_sparse_array(graph, weight=None, dtype=np.float64, format="coo")
    (v, w), multiplicity = adjacency.coords, adjacency.data
    degrees = np.array([count for _, count in graph.degree], dtype=np.float64)
    if weights == "metropolis":
        if degree is not None:
            raise ValueError(f"degree must be left out with weights='metropolis', got {degree}")
        rate = np.maximum(degrees, 1.0)
    else:
        rate = np.full(degrees.size, _common_degree(degrees, degree))
    shares = multiplicity / np.maximum(rate[v], rate[w])
    # What a node keeps, as a sum of terms ≥ 0 so that rounding can't make it negative.
    unused = 1.0 - np.bincount(v, weights=multiplicity, minlength=rate.size) / rate
    kept = unused + np.bincount(v, weights=multiplicity / rate[v] - shares, minlength=rate.size)
    everyone = np.flatnonzero(kept)
    rows, columns = np.concatenate([v, everyone]), np.concatenate([w, everyone])
    values = np.concatenate([shares, kept[everyone]])
    return sparse.coo_array((values, (rows, columns)), shape=2 * (rate.size,)).tocsr()


def _common_degree(degrees: Array, degree: float | None) -> float:
    largest = float(degrees.max())
    if degree is None:
        return max(largest, 1.0)
    degree = _checks.number("degree", degree, above=0.0)
    if degree < largest:
        raise ValueError(f"degree must be ≥ {largest:g}, the largest in the graph, got {degree}")
    return degree


def _index_type(entries: int) -> type[np.int32] | type[np.int64]:
    return np.int32 if entries <= np.iinfo(np.int32).max else np.int64


def _from_rows(sources: NDArray[Any], weights: Array) -> sparse.csr_array:
    """Return the matrix with weights[j] at (v, sources[v, j]); repeated places add up."""
    n, m = sources.shape
    starts = np.arange(0, n * m + 1, m, dtype=sources.dtype)
    matrix = sparse.csr_array((np.tile(weights, n), sources.ravel(), starts), shape=(n, n))
    matrix.sum_duplicates()
    return matrix
