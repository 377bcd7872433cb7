"""The random matrices of a graph: drawn, or given and checked.

One matrix is stored for each undirected edge; its transpose serves the reverse edge.
"""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from inthelimit import _checks
from inthelimit.amp.graph import AMPGraph, EdgeLike, OrientedEdge, PerEdge

# Matrices are drawn by blocks of about this size, which processors share.
BLOCK_ENTRIES = 2**20
# ⟨u, Av⟩ and ⟨Aᵀu, v⟩ differ by rounding: sums stay below this part of their terms, √n · 1e-16 or,
# in single precision, √n · 1e-7.
ADJOINT_TOLERANCE = {4: 1e-4, 8: 1e-10}


def draw_matrices(
    graph: AMPGraph, *, rng: np.random.Generator, dtype: DTypeLike = np.float64
) -> PerEdge[Any]:
    """Draw one Gaussian matrix for each undirected edge, with the normalisation of the theorem.

    Parameters
    ----------
    graph : AMPGraph
    rng : numpy.random.Generator
    dtype : float64 or float32

    Returns
    -------
    PerEdge of ndarray, shape (n_w, n_v)
        Independent entries N(0, J_e/N), N the sum of all dimensions; a loop gets a symmetric
        matrix with variance J_e/N off the diagonal and 2 J_e/N on it.  The keys are
        `graph.undirected`.

    Raises
    ------
    ValueError
        If `rng` is not a generator, or `dtype` another one.

    Notes
    -----
    Every block of rows has a random stream of its own: the same matrices on any machine.
    Source: arXiv:2109.11905, the assumption on the matrices.

    Examples
    --------
    >>> from inthelimit.amp import AMPGraph, separable
    >>> f = separable(lambda t, x: x)
    >>> graph = AMPGraph({"v": 300, "w": 100}, {("v", "w"): f, ("w", "v"): f})
    >>> A = draw_matrices(graph, rng=np.random.default_rng(0))["v", "w"]
    >>> A.shape, float((400 * A.var()).round(1))
    ((100, 300), 1.0)
    """
    _checks.generator("rng", rng)
    kind = np.dtype(dtype)
    if kind not in (np.float64, np.float32):
        raise ValueError(f"dtype must be float64 or float32, got {kind}")
    matrices: PerEdge[Any] = PerEdge()
    for e in graph.undirected:
        scale = float(np.sqrt(graph.variances[e] / graph.size))
        matrices[e] = np.empty((graph.dimensions[e.end], graph.dimensions[e.start]), dtype=kind)
        _fill(matrices[e], scale, rng, symmetric=e.is_loop)
    return matrices


def _fill(A: Any, scale: float, rng: np.random.Generator, *, symmetric: bool) -> None:
    """Fill A by blocks of rows, each from its own stream, whatever the number of processors."""
    height = max(1, BLOCK_ENTRIES // A.shape[1])
    starts = range(0, len(A), height)
    seeds = rng.integers(2**63, size=(len(starts), 4))
    draw = _draw_lower_rows if symmetric else _draw_rows

    def fill(block: int) -> None:
        rows = slice(starts[block], min(starts[block] + height, len(A)))
        draw(A, rows, scale, np.random.Generator(np.random.SFC64(seeds[block])))

    if len(starts) == 1:
        fill(0)
        return
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(fill, range(len(starts))))


def _draw_rows(A: Any, rows: slice, scale: float, rng: np.random.Generator) -> None:
    rng.standard_normal(out=A[rows], dtype=A.dtype)
    A[rows] *= scale


def _draw_lower_rows(A: Any, rows: slice, scale: float, rng: np.random.Generator) -> None:
    """Fill rows up to the diagonal, and their mirror image above it."""
    first, last = rows.start, rows.stop
    G = rng.standard_normal((last - first, last), dtype=A.dtype)
    G *= scale
    corner = G[:, first:]
    corner[...] = (corner + corner.T) / np.sqrt(A.dtype.type(2.0))
    A[rows, :last] = G
    A[:first, rows] = G[:, :first].T


def checked_matrices(graph: AMPGraph, matrices: Mapping[EdgeLike, Any]) -> PerEdge[Any]:
    """Return the matrices by undirected edge, of the right shapes, real, and with transposes."""
    checked: PerEdge[Any] = PerEdge()
    for key, matrix in matrices.items():
        e = graph.edge(key, name="keys of matrices")
        if e in checked or e.reverse in checked:
            raise ValueError(f"matrices must have one matrix for both directions of {e}, got two")
        expected = graph.dimensions[e.end], graph.dimensions[e.start]
        shape = getattr(matrix, "shape", None)
        if shape is None or tuple(shape) != expected:
            raise ValueError(f"matrices[{e}] must have shape {expected}, got {shape}")
        _check_adjoint(e, matrix)
        checked[e] = matrix
    for e in graph.undirected:
        if e not in checked and e.reverse not in checked:
            raise ValueError(f"matrices must have one for every edge, got none for {e}")
    return checked


def _check_adjoint(e: OrientedEdge, matrix: Any) -> None:
    """Raise ValueError unless `matrix` is finite and `.T` its transpose; on a loop, itself."""
    rows, columns = matrix.shape
    # Two vectors that no matrix was made for, in its precision, lest it be copied to theirs.
    kind = np.float32 if getattr(matrix, "dtype", None) == np.float32 else np.float64
    u = np.cos(np.arange(rows) ** 2).astype(kind)
    v = np.sin(1.0 + np.arange(columns) ** 2).astype(kind)
    image = np.asarray(matrix @ v)
    other = np.asarray((matrix if e.is_loop else matrix.T) @ u)
    if image.dtype.kind not in "biuf" or not (
        np.isfinite(image).all() and np.isfinite(other).all()
    ):
        raise ValueError(f"matrices[{e}] must be real and finite")
    tolerance = ADJOINT_TOLERANCE[4 if image.dtype.itemsize < 8 else 8]
    size = np.linalg.norm(image) * np.linalg.norm(u) + np.linalg.norm(other) * np.linalg.norm(v)
    if abs(u @ image - other @ v) > tolerance * size:
        rule = "be symmetric, as its edge is a loop" if e.is_loop else "have .T as its transpose"
        raise ValueError(f"matrices[{e}] must {rule}")
