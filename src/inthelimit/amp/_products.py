"""The products A_e m_e of a step: all columns and copies at once, in few passes over a matrix.

A step of message passing costs what reading its matrices costs.  So a symmetric matrix is read by
half, and the products of A and Aᵀ with one column each are formed in one sweep.  Several columns
are kept as rows, which is how BLAS multiplies them fastest.
"""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas

from inthelimit import _compiled
from inthelimit._checks import Array
from inthelimit._compiled import compiled
from inthelimit.amp.graph import AMPGraph, OrientedEdge, PerEdge

# Up to so many columns, products with half a symmetric matrix beat one with all of it.
FEW_COLUMNS = 3
# BLAS in single precision is fast on so many rows at a time; in double precision nothing is lost.
BLOCK_ROWS = 2048
# Below so many entries a sweep by threads costs more than it spares.
SMALL = 2**18

# One row for each column of a message; None for a message that needs no product.
Rows: TypeAlias = NDArray[Any] | None
# Takes the messages that go through A and through Aᵀ, returns their images.
Multiplier: TypeAlias = Callable[[Rows, Rows], tuple[Rows, Rows]]


class Products:
    """The products A_e m_e of all oriented edges, spikes included."""

    def __init__(
        self, graph: AMPGraph, matrices: Mapping[OrientedEdge, Any], dtype: np.dtype[Any]
    ) -> None:
        self._graph = graph
        self._multipliers = dict(_multiplier(e, A, dtype) for e, A in matrices.items())
        self._hidden: dict[OrientedEdge, tuple[Array, Array]] = {}

    def step(self, messages: Mapping[OrientedEdge, Array]) -> PerEdge[Array]:
        """Return A_e m_e, of shape (n_w, q, copies), for every oriented edge."""
        products: PerEdge[Array] = PerEdge()
        for e, multiply in self._multipliers.items():
            columns = {d: self._changing(d, messages[d]) for d in {e: None, e.reverse: None}}
            rows = {d: _rows(messages[d], columns[d]) for d in columns}
            with np.errstate(over="ignore", invalid="ignore"):
                images = multiply(rows[e], None if e.is_loop else rows[e.reverse])
            for d, image in zip(columns, images, strict=False):
                products[d] = self._assemble(d, messages[d], columns[d], image)
        return products

    def _changing(self, e: OrientedEdge, message: Array) -> list[int]:
        """Return the columns to multiply: not those of zeros, nor hidden ones known from before."""
        visible, hidden = list(self._graph.visible(e)), list(self._graph.hidden[e])
        columns = visible if message[:, visible].any() else []
        known = e in self._hidden and np.array_equal(self._hidden[e][0], message[:, hidden])
        return columns if known else columns + hidden

    def _assemble(self, e: OrientedEdge, message: Array, columns: list[int], image: Rows) -> Array:
        """Return A_e m_e from the image of some columns, and add what the spike makes."""
        hidden = list(self._graph.hidden[e])
        x = np.zeros((self._graph.dimensions[e.end], *message.shape[1:]))
        if image is not None:
            x[:, columns] = image.T.reshape(len(x), len(columns), -1)
        if hidden and hidden[0] in columns:
            self._hidden[e] = message[:, hidden].copy(), x[:, hidden]
        elif hidden:
            x[:, hidden] = self._hidden[e][1]
        if e in self._graph.spikes:
            spike = self._graph.spikes[e]
            overlaps = np.tensordot(spike.right, message, axes=1) / self._graph.size
            x += spike.strength * spike.left[:, None, None] * overlaps
        return x


def _rows(message: Array, columns: list[int]) -> Rows:
    return message[:, columns].reshape(len(message), -1).T if columns else None


def _multiplier(e: OrientedEdge, A: Any, dtype: np.dtype[Any]) -> tuple[OrientedEdge, Multiplier]:
    """Return how to multiply by A and Aᵀ, and the direction that A is for."""
    if not isinstance(A, np.ndarray):
        return e, lambda right, left: (_operate(A, right), _operate(A.T, left))
    A = A.astype(dtype, copy=False)
    if not (A.flags.c_contiguous or A.flags.f_contiguous):
        A = np.ascontiguousarray(A)
    if not A.flags.c_contiguous:
        e, A = e.reverse, A.T
    if e.is_loop:
        return e, lambda right, left: (_symmetric(A, right), None)
    return e, lambda right, left: _both(A, right, left)


def _operate(A: Any, rows: Rows) -> Rows:
    return None if rows is None else np.asarray(A @ rows.T).T


def _symmetric(A: NDArray[Any], rows: Rows) -> Rows:
    if rows is None or len(rows) > FEW_COLUMNS:
        return _transposed(A, rows)
    symv = blas.dsymv if A.dtype == np.float64 else blas.ssymv
    # Column by column for BLAS, a symmetric matrix is its own transpose.
    return np.array([symv(1.0, A.T, row, lower=1) for row in rows.astype(A.dtype)])


def _both(A: NDArray[Any], right: Rows, left: Rows) -> tuple[Rows, Rows]:
    one_each = right is not None and left is not None and len(right) == len(left) == 1
    if one_each and A.size >= SMALL and _compiled.njit is not None:
        assert right is not None
        assert left is not None
        forward, backward = _sweep(A, right[0].astype(A.dtype), left[0].astype(A.dtype))
        return forward[None], backward[None]
    return _direct(A, right), _transposed(A, left)


def _direct(A: NDArray[Any], rows: Rows) -> Rows:
    """Return (A rowsᵀ)ᵀ."""
    if rows is None:
        return None
    rows = np.ascontiguousarray(rows, dtype=A.dtype)
    if len(rows) == 1:
        return np.asarray(A @ rows[0])[None]
    image = np.empty((len(rows), len(A)), dtype=A.dtype)
    for first in range(0, len(A), BLOCK_ROWS):
        block = slice(first, first + BLOCK_ROWS)
        np.matmul(rows, A[block].T, out=image[:, block])
    return image


def _transposed(A: NDArray[Any], rows: Rows) -> Rows:
    """Return (Aᵀ rowsᵀ)ᵀ."""
    if rows is None:
        return None
    rows = np.ascontiguousarray(rows, dtype=A.dtype)
    if len(rows) == 1:
        return np.asarray(rows[0] @ A)[None]
    image = np.zeros((len(rows), A.shape[1]), dtype=A.dtype)
    for first in range(0, len(A), BLOCK_ROWS):
        block = slice(first, first + BLOCK_ROWS)
        image += rows[:, block] @ A[block]
    return image


def _sweep(
    A: NDArray[Any], right: NDArray[Any], left: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return A right and Aᵀ left, reading A once: every processor takes a block of its rows."""
    workers = os.cpu_count() or 1
    bounds = np.linspace(0, len(A), workers + 1).astype(int)
    forward = np.empty(len(A), dtype=A.dtype)
    backward = np.zeros((workers, A.shape[1]), dtype=A.dtype)

    def sweep(worker: int) -> None:
        rows = slice(bounds[worker], bounds[worker + 1])
        _sweep_rows(A[rows], right, left[rows], forward[rows], backward[worker])

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(sweep, range(workers)))
    return forward, backward.sum(axis=0)


@compiled
def _sweep_rows(
    A: NDArray[Any],
    right: NDArray[Any],
    left: NDArray[Any],
    forward: NDArray[Any],
    backward: NDArray[Any],
) -> None:
    """Set `forward` to A right and add Aᵀ left to `backward`.

    Eight rows at a time, so that the vectors are read from the cache once for eight of them.
    """
    last = A.shape[0] - A.shape[0] % 8
    for i in range(0, last, 8):
        a0, a1, a2, a3 = A[i], A[i + 1], A[i + 2], A[i + 3]
        a4, a5, a6, a7 = A[i + 4], A[i + 5], A[i + 6], A[i + 7]
        l0, l1, l2, l3 = left[i], left[i + 1], left[i + 2], left[i + 3]
        l4, l5, l6, l7 = left[i + 4], left[i + 5], left[i + 6], left[i + 7]
        # Zeros of the precision of A.
        f0 = f1 = f2 = f3 = f4 = f5 = f6 = f7 = right[0] * 0
        for j in range(A.shape[1]):
            x = right[j]
            f0 += a0[j] * x
            f1 += a1[j] * x
            f2 += a2[j] * x
            f3 += a3[j] * x
            f4 += a4[j] * x
            f5 += a5[j] * x
            f6 += a6[j] * x
            f7 += a7[j] * x
            first = a0[j] * l0 + a1[j] * l1 + a2[j] * l2 + a3[j] * l3
            backward[j] += first + a4[j] * l4 + a5[j] * l5 + a6[j] * l6 + a7[j] * l7
        forward[i], forward[i + 1], forward[i + 2], forward[i + 3] = f0, f1, f2, f3
        forward[i + 4], forward[i + 5], forward[i + 6], forward[i + 7] = f4, f5, f6, f7
    for i in range(last, A.shape[0]):
        total = right[0] * 0
        for j in range(A.shape[1]):
            total += A[i, j] * right[j]
            backward[j] += A[i, j] * left[i]
        forward[i] = total
