"""One round of synchronous gossip, for each form that W may have.

As a_k + b_k − c_k = 1, a round is a step along (W − I) x and one of inertia,

    x^{k+1} = x^k + a_k (W − I) x^k + c_k (x^k − x^{k−1}),

which leaves consensus where it is whatever the rounding of the coefficients.

Checks stand here at the door: a matrix must be symmetric and stochastic, a lattice needs an array
whose first axes are a torus, and a function can only be held to the shape of what it returns.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.gossip._stencil import TorusRounds, Values
from inthelimit.graphs import Lattice

Function = Callable[[Values], ArrayLike]
GossipMatrix: TypeAlias = ArrayLike | sparse.sparray | Lattice | Function

# Weights sum to 1, and are symmetric, up to the rounding of the formula that made them; a matrix
# that is off by more would show in the means after 10⁴ rounds.
WEIGHT_TOLERANCE = 1e-12


class Rounds(Protocol):
    """What every form of W can do."""

    node_axes: tuple[int, ...]

    def advance(
        self, now: Values, past: Values, step: float, inertia: float, keep: float = 1.0
    ) -> None:
        """Write keep · now + step (W − I) now + inertia (now − past) over past."""

    def consensus(self, x: Values) -> Values:
        """Return what the nodes would agree on, of the shape of x."""


def open_rounds(W: GossipMatrix, x0: ArrayLike) -> tuple[Values, Rounds]:
    """Return a checked copy of x0 and the rounds that start from it."""
    if isinstance(W, Lattice):
        start = _torus_values(W, x0)
        return start, TorusRounds(W.offsets, W.weights, start)
    if callable(W):
        return _checks.real_array("x0", x0), _FunctionRounds(W)
    matrix = read_matrix(W)
    return node_values(x0, matrix.shape[0]), _MatrixRounds(matrix)


def node_values(x0: ArrayLike, n_nodes: int) -> Array:
    """Return a checked copy of x0, of shape (n_nodes, ...)."""
    values = _checks.real_array("x0", x0)
    if values.ndim == 0 or values.shape[0] != n_nodes:
        raise ValueError(f"x0 must have shape ({n_nodes}, ...), got {values.shape}")
    return values


def _torus_values(lattice: Lattice, x0: ArrayLike) -> Values:
    values = _checks.real_array("x0", x0)
    if values.ndim < lattice.dimension or values.size == 0:
        raise ValueError(
            f"x0 must have a torus of dimension {lattice.dimension} as its first axes, "
            f"got shape {values.shape}"
        )
    single = isinstance(x0, np.ndarray) and x0.dtype == np.float32
    return values.astype(np.float32) if single else values


def read_matrix(W: Any) -> sparse.csr_array:
    """Return W as a CSR matrix, if it is symmetric with entries ≥ 0 and rows that sum to 1."""
    matrix = _square(W)
    if matrix.nnz and matrix.data.min() < -WEIGHT_TOLERANCE:
        v, w = _largest_entry(-matrix)
        raise ValueError(f"W must have entries ≥ 0, got W[{v}, {w}] = {matrix[v, w]}")
    difference = abs(matrix - matrix.T)
    if difference.nnz and difference.max() > WEIGHT_TOLERANCE:
        v, w = _largest_entry(difference)
        raise ValueError(
            f"W must be symmetric, got W[{v}, {w}] = {matrix[v, w]} and "
            f"W[{w}, {v}] = {matrix[w, v]}"
        )
    sums = matrix.sum(axis=1)
    v = int(np.argmax(np.abs(sums - 1.0)))
    if abs(sums[v] - 1.0) > WEIGHT_TOLERANCE:
        raise ValueError(f"W must have rows that sum to 1, got {sums[v]} in row {v}")
    return matrix


def _square(W: Any) -> sparse.csr_array:
    if not sparse.issparse(W):
        W = _checks.matrix("W", W)
    if W.ndim != 2 or W.shape[0] != W.shape[1]:
        raise ValueError(f"W must be a square matrix, got shape {W.shape}")
    matrix = sparse.csr_array(W, copy=True)
    matrix.sum_duplicates()
    matrix.data = _checks.real_array("W", matrix.data)
    return matrix


def _largest_entry(matrix: sparse.csr_array) -> tuple[int, int]:
    entries = matrix.tocoo()
    worst = int(np.argmax(entries.data))
    return int(entries.coords[0][worst]), int(entries.coords[1][worst])


def is_bipartite(W: GossipMatrix) -> bool:
    """Return whether W is known to have the eigenvalue −1; a function keeps that to itself."""
    if isinstance(W, Lattice):
        return bool(W.is_bipartite)
    if callable(W):
        return False
    # Of a bipartite component, and only of such, the double cover falls into two pieces.
    matrix = read_matrix(W)
    matrix.eliminate_zeros()
    cover = sparse.block_array([[None, matrix], [matrix, None]], format="csr")
    n_components, n_pieces = (
        connected_components(graph, directed=False, return_labels=False)
        for graph in (matrix, cover)
    )
    return bool(n_pieces > n_components)


class _MatrixRounds:
    """Rounds of a sparse matrix, over all trailing axes at once."""

    node_axes: tuple[int, ...] = (0,)

    def __init__(self, matrix: sparse.csr_array) -> None:
        self._matrix = matrix

    def advance(
        self, now: Values, past: Values, step: float, inertia: float, keep: float = 1.0
    ) -> None:
        """Write keep · now + step (W − I) now + inertia (now − past) over past."""
        received = self._matrix @ now.reshape(now.shape[0], -1)
        _combine(received.reshape(now.shape), now, past, step, inertia, keep)

    def consensus(self, x: Values) -> Values:
        """Return the means over the components."""
        _, labels = connected_components(self._matrix, directed=False)
        member = sparse.csr_array((np.ones(labels.size), (labels, np.arange(labels.size))))
        flat = x.reshape(labels.size, -1)
        means = (member @ flat) / member.sum(axis=1)[:, None]
        agreed: Values = means[labels].reshape(x.shape)
        return agreed


class _FunctionRounds:
    """Rounds of a function x ↦ W x, held to the shape and to finite numbers."""

    node_axes: tuple[int, ...] = (0,)

    def __init__(self, function: Function) -> None:
        self._function = function

    def advance(
        self, now: Values, past: Values, step: float, inertia: float, keep: float = 1.0
    ) -> None:
        """Write keep · now + step (W − I) now + inertia (now − past) over past."""
        # A copy, so that a function that writes over its argument does no harm.
        received = _checks.real_array("W(x)", self._function(now.copy()))
        if received.shape != now.shape:
            raise ValueError(f"W(x) must have the shape {now.shape} of x, got {received.shape}")
        _combine(received, now, past, step, inertia, keep)

    def consensus(self, x: Values) -> Values:
        """Return the mean over the first axis."""
        return np.broadcast_to(x.mean(axis=0), x.shape)


def _combine(
    received: Values, now: Values, past: Values, step: float, inertia: float, keep: float
) -> None:
    received -= now
    received *= step
    np.subtract(now, past, out=past)
    past *= inertia
    past += received
    past += now if keep == 1.0 else keep * now
