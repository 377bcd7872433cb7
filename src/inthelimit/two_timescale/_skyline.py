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
    """The lower triangle, row after row."""

    start: NDArray[np.int64]  # first column of each row, shape (n,)
    offset: NDArray[np.int64]  # where each row begins in `entries`, shape (n + 1,)
    entries: Array


@compiled
def zeros(first: NDArray[np.int64], last: NDArray[np.int64], n: int, stride: int) -> Skyline:
    """Return the zero matrix in which variables stride·first, …, stride·last of a piece couple.

    Variables at a distance of `stride` couple always: neighbouring heights do in the norm of a.
    """
    start, offset = np.empty(n, np.int64), np.zeros(n + 1, np.int64)
    for i in range(n):
        start[i] = max(i - stride, 0)
    for p in range(first.size):
        for i in range(stride * first[p] + stride, stride * last[p] + 1):
            start[i] = min(start[i], stride * first[p])
    for i in range(n):
        offset[i + 1] = offset[i] + i + 1 - start[i]
    return Skyline(start, offset, np.zeros(offset[n]))


@compiled
def row_of(A: Skyline, i: int) -> Array:
    """Return a view of row i, whose column j is entry j − start_i."""
    return A.entries[A.offset[i] : A.offset[i + 1]]


@compiled
def add_outer_norm(A: Skyline, weight: float, stride: int) -> None:
    """Add `weight` times the matrix of |a|² = y_0² + Σ (y_k − y_(k−1))²."""
    n = A.start.size
    for i in range(0, n, stride):
        row = row_of(A, i)
        row[i - A.start[i]] += weight if i == n - 1 and i > 0 else 2.0 * weight
        if i >= stride:
            row[i - stride - A.start[i]] -= weight


@compiled
def factorise(A: Skyline) -> bool:
    """Overwrite A by its Cholesky factor; say whether A is positive definite to rounding."""
    for i in range(A.start.size):
        row, first = row_of(A, i), A.start[i]
        diagonal = row[i - first]
        pivot = diagonal
        for j in range(first, i):
            other, start = row_of(A, j), A.start[j]
            total = row[j - first]
            for k in range(max(first, start), j):
                total -= row[k - first] * other[k - start]
            total /= other[j - start]
            row[j - first] = total
            pivot -= total * total
        if not pivot > PIVOT_TOLERANCE * diagonal:
            return False
        row[i - first] = np.sqrt(pivot)
    return True


@compiled
def solve(factor: Skyline, b: Array) -> None:
    """Overwrite b by the solution of A x = b."""
    n = factor.start.size
    for i in range(n):
        row, first = row_of(factor, i), factor.start[i]
        for j in range(first, i):
            b[i] -= row[j - first] * b[j]
        b[i] /= row[i - first]
    for i in range(n - 1, -1, -1):
        row, first = row_of(factor, i), factor.start[i]
        b[i] /= row[i - first]
        for j in range(first, i):
            b[j] -= row[j - first] * b[i]
