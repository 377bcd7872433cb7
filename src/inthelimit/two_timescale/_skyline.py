"""Symmetric positive definite matrices that are full between a first column and the diagonal.

Row i holds its columns start_i, …, i.  Cholesky's factor has the same shape, so that the cost
follows the matrix: O(n) for the tridiagonal one of separate neurons, more where many overlap.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inthelimit._checks import Array
from inthelimit._compiled import compiled

# A pivot below this part of its diagonal entry is what rounding leaves of 0.
PIVOT_TOLERANCE = 1e-14


class Skyline(NamedTuple):
    """The lower triangle: entry (i, j) is entries[base_i + j] for start_i ≤ j ≤ i."""

    start: NDArray[np.int64]
    base: NDArray[np.int64]
    entries: Array


@compiled
def zeros(first: NDArray[np.int64], last: NDArray[np.int64], n: int, stride: int) -> Skyline:
    """Return the zero matrix in which variables stride·first, …, stride·last of a piece couple.

    Variables at a distance of `stride` couple always: neighbouring heights do in the norm of a.
    """
    start, base = np.empty(n, np.int64), np.empty(n, np.int64)
    for i in range(n):
        start[i] = max(i - stride, 0)
    for p in range(first.size):
        for i in range(stride * first[p] + stride, stride * last[p] + 1):
            start[i] = min(start[i], stride * first[p])
    size = 0
    for i in range(n):
        base[i] = size - start[i]
        size += i + 1 - start[i]
    return Skyline(start, base, np.zeros(size))


@compiled
def add_outer_norm(A: Skyline, weights: Array, stride: int) -> None:
    """Add the matrix of Σ w_k a_k² = w_0 y_0² + Σ w_k (y_k − y_(k−1))²."""
    for k in range(weights.size):
        i = k * stride
        A.entries[A.base[i] + i] += weights[k]
        if k > 0:
            A.entries[A.base[i] + i - stride] -= weights[k]
            A.entries[A.base[i - stride] + i - stride] += weights[k]


@compiled
def factorise(A: Skyline) -> bool:
    """Overwrite A by its Cholesky factor; say whether A is positive definite to rounding."""
    start, base, entries = A.start, A.base, A.entries
    for i in range(start.size):
        row = base[i]
        diagonal = entries[row + i]
        pivot = diagonal
        for j in range(start[i], i):
            other = base[j]
            total = entries[row + j]
            for k in range(max(start[i], start[j]), j):
                total -= entries[row + k] * entries[other + k]
            total /= entries[other + j]
            entries[row + j] = total
            pivot -= total * total
        if not pivot > PIVOT_TOLERANCE * diagonal:
            return False
        entries[row + i] = np.sqrt(pivot)
    return True


@compiled
def solve(factor: Skyline, b: Array) -> None:
    """Overwrite b by the solution of A x = b."""
    start, base, entries = factor.start, factor.base, factor.entries
    n = start.size
    for i in range(n):
        for j in range(start[i], i):
            b[i] -= entries[base[i] + j] * b[j]
        b[i] /= entries[base[i] + i]
    for i in range(n - 1, -1, -1):
        b[i] /= entries[base[i] + i]
        for j in range(start[i], i):
            b[j] -= entries[base[i] + j] * b[i]
