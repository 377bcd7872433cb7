"""Entries of the inverse of a sparse matrix, without the inverse.

Let A be symmetric positive definite with A = L D Lᵀ, L unit lower triangular.  From A⁻¹ L = L⁻ᵀD⁻¹,
whose lower triangle is D⁻¹, for i ≥ j,

    (A⁻¹)_ij = [i = j]/D_j − Σ_{k > j} (A⁻¹)_ik L_kj,

column by column from the last.  If L_ij and L_kj are not zero, elimination has made L_ik (or L_ki)
not zero, so the entries at the nonzeros of L need no others.  These include the nonzeros of A.

Source: Takahashi, Fagan and Chen (1973); Erisman and Tinney (1975).
"""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import SuperLU

from inthelimit._checks import Array
from inthelimit._compiled import compiled


def inverse_entries(factors: SuperLU, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Array:
    """Return (A⁻¹)_ij for pairs (i, j) at which A, or its factor, is not zero.

    Parameters
    ----------
    factors : SuperLU
        Of a symmetric M-matrix A, with its pivots on the diagonal.
    rows, columns : ndarrays of int64, shape (m,)

    Returns
    -------
    ndarray, shape (m,)
    """
    # Padding with zeros, which the factorisation may have left, is not closed under elimination.
    lower = sparse.csc_array(factors.L)
    lower.eliminate_zeros()
    lower.sort_indices()
    inverse = _on_pattern(lower.indptr, lower.indices, lower.data, factors.U.diagonal())
    # perm_c sends a place after elimination order was chosen to the row it came from.
    place = factors.perm_c
    i, j = place[rows], place[columns]
    return _look_up(lower.indptr, lower.indices, inverse, np.maximum(i, j), np.minimum(i, j))


@compiled
def _on_pattern(
    starts: NDArray[np.int32], rows: NDArray[np.int32], values: Array, pivots: Array
) -> Array:
    """Return the entries of A⁻¹ at the nonzeros of L, in their order: diagonals come first."""
    n = pivots.size
    inverse = np.empty(values.size)
    place = np.full(n, -1, dtype=np.int32)
    column = np.empty(n)
    for j in range(n - 1, -1, -1):
        first, last = starts[j] + 1, starts[j + 1]
        size = last - first
        for a in range(size):
            place[rows[first + a]] = a
            column[a] = 0.0
        for b in range(size):
            k = rows[first + b]
            factor, total = values[first + b], 0.0
            diagonal = starts[k]
            column[b] -= inverse[diagonal] * factor
            for e in range(diagonal + 1, starts[k + 1]):
                a = place[rows[e]]
                if a >= 0:
                    column[a] -= inverse[e] * factor
                    total += inverse[e] * values[first + a]
            column[b] -= total
        own = 1.0 / pivots[j]
        for a in range(size):
            place[rows[first + a]] = -1
            inverse[first + a] = column[a]
            own -= column[a] * values[first + a]
        inverse[first - 1] = own
    return inverse


@compiled
def _look_up(
    starts: NDArray[np.int32],
    rows: NDArray[np.int32],
    values: Array,
    i: NDArray[np.int32],
    j: NDArray[np.int32],
) -> Array:
    found = np.empty(i.size)
    for k in range(i.size):
        column = rows[starts[j[k]] : starts[j[k] + 1]]
        found[k] = values[starts[j[k]] + np.searchsorted(column, i[k])]
    return found
