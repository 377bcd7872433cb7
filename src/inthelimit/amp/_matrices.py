"""The random matrices of a graph: drawn, checked, and multiplied.

One matrix is stored for each undirected edge; its transpose serves the reverse edge.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.amp.graph import AMPGraph, EdgeLike, OrientedEdge, PerEdge

# ⟨u, Av⟩ and ⟨Aᵀu, v⟩ differ by rounding: float32 sums stay far below this part of their terms.
ADJOINT_TOLERANCE = 1e-3


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
        If `rng` is not a generator.

    Notes
    -----
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
    kind = np.float32 if np.dtype(dtype) == np.float32 else np.float64
    matrices: PerEdge[Any] = PerEdge()
    for e in graph.undirected:
        shape = graph.dimensions[e.end], graph.dimensions[e.start]
        A = rng.standard_normal(shape, dtype=kind)
        A *= np.sqrt(graph.variances[e] / graph.size)
        if e.is_loop:
            A = (A + A.T) / A.dtype.type(np.sqrt(2.0))
        matrices[e] = A
    return matrices


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
    # Two vectors that no matrix was made for.
    u, v = np.cos(np.arange(rows) ** 2), np.sin(1.0 + np.arange(columns) ** 2)
    image = np.asarray(matrix @ v)
    other = np.asarray((matrix if e.is_loop else matrix.T) @ u)
    if image.dtype.kind not in "biuf" or not (
        np.isfinite(image).all() and np.isfinite(other).all()
    ):
        raise ValueError(f"matrices[{e}] must be real and finite")
    size = np.linalg.norm(image) * np.linalg.norm(u) + np.linalg.norm(other) * np.linalg.norm(v)
    if abs(u @ image - other @ v) > ADJOINT_TOLERANCE * size:
        rule = "be symmetric, as its edge is a loop" if e.is_loop else "have .T as its transpose"
        raise ValueError(f"matrices[{e}] must {rule}")


class Products:
    """The products A_e m_e of all oriented edges, spikes included."""

    def __init__(self, graph: AMPGraph, matrices: PerEdge[Any], dtype: np.dtype[Any]) -> None:
        self.graph, self.dtype = graph, dtype
        self.matrices = {
            e: A.astype(dtype, copy=False) if isinstance(A, np.ndarray) else A
            for e, A in matrices.items()
        }
        self._hidden: dict[OrientedEdge, tuple[Array, Array]] = {}

    def step(self, messages: Mapping[OrientedEdge, Array]) -> PerEdge[Array]:
        """Return A_e m_e of shape (n_w, q, copies) for every oriented edge."""
        products: PerEdge[Array] = PerEdge()
        for e, A in self.matrices.items():
            products[e] = self._product(A, e, messages[e])
            if not e.is_loop:
                products[e.reverse] = self._product(A.T, e.reverse, messages[e.reverse])
        return products

    def _product(self, A: Any, e: OrientedEdge, message: Array) -> Array:
        visible, hidden = list(self.graph.visible(e)), list(self.graph.hidden[e])
        x = np.zeros((A.shape[0], *message.shape[1:]))
        if message[:, visible].any():
            x[:, visible] = self._multiply(A, message[:, visible])
        if hidden:
            x[:, hidden] = self._hidden_product(A, e, message[:, hidden])
        if e in self.graph.spikes:
            spike = self.graph.spikes[e]
            overlaps = np.tensordot(spike.right, message, axes=1) / self.graph.size
            x += spike.strength * spike.left[:, None, None] * overlaps
        return x

    def _hidden_product(self, A: Any, e: OrientedEdge, columns: Array) -> Array:
        """Return A times columns that seldom change, from memory if they did not."""
        if e not in self._hidden or not np.array_equal(self._hidden[e][0], columns):
            self._hidden[e] = columns, self._multiply(A, columns)
        return self._hidden[e][1]

    def _multiply(self, A: Any, columns: Array) -> Array:
        flat = columns.reshape(len(columns), -1)
        if isinstance(A, np.ndarray):
            flat = flat.astype(self.dtype)
        return np.asarray(A @ flat, dtype=np.float64).reshape(A.shape[0], *columns.shape[1:])
