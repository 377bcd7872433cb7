"""The problem data shared by the finite systems and their limits: a convex quadratic.

The loss is, in the notation of arXiv:2509.18766, section 1,

    l(x) = ½⟨x, Mx⟩ − ⟨r, x⟩ + constant,        x ∈ R^d,

with M symmetric positive semidefinite, possibly singular, and r ∈ range(M), which is exactly what
makes l bounded below.  Least squares, ½‖Xx − y‖² without 1/n, is the case M = XᵀX, r = Xᵀy,
constant = ½‖y‖²; keeping the constant makes relative gaps of l meaningful.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import lapack, solve_triangular

from inthelimit import _checks
from inthelimit._checks import Array

# The tolerances apply after scaling M to unit diagonal, so that units of x do not matter.

# A product such as XᵀX, in whatever order it is summed, is symmetric to about √n · 1e-16.
SYMMETRY_TOLERANCE = 1e-10
# A pivot below this is rounding, of size √n · 1e-16 times the growth of the elimination.
PIVOT_TOLERANCE = 1e-12
# What remains after the last pivot; larger than the pivot by the same growth.
DEFINITENESS_TOLERANCE = 1e-10
# For r = Xᵀy the part of r along a pivot p is at most √p ‖y‖: √PIVOT_TOLERANCE with a margin.
RANGE_TOLERANCE = 1e-5
# A correlation ⟨X_j, y⟩/(‖X_j‖‖y‖) computed below this is 0 up to the rounding of its sum.
ORTHOGONALITY_TOLERANCE = 1e-15


@dataclass(frozen=True, slots=True, eq=False)
class Quadratic:
    """The quadratic l(x) = ½⟨x, Mx⟩ − ⟨r, x⟩ + constant, bounded below.

    Parameters
    ----------
    M : array_like, shape (d, d), d ≥ 1
        Symmetric positive semidefinite, possibly singular.
    r : array_like, shape (d,)
        In the range of M.
    constant : float, default 0
        The value of l at the origin.

    Raises
    ------
    ValueError
        If an argument has the wrong shape or is not finite, if M is not symmetric or not positive
        semidefinite, or if r is not in the range of M.

    Notes
    -----
    The arrays are stored as read-only float64 copies.  The checks cost one pivoted Cholesky
    factorisation, O(d · rank(M)²) plus O((d − rank(M))² · rank(M)) when M is singular.
    Source: arXiv:2509.18766, section 1.

    Examples
    --------
    >>> problem = Quadratic([[2.0, -1.0], [-1.0, 2.0]], [1.0, 0.5])
    >>> float(problem.value([1.0, 1.0]))
    -0.5
    >>> problem.gradient([1.0, 1.0])
    array([0. , 0.5])
    """

    M: Array
    r: Array
    constant: float = 0.0

    def __post_init__(self) -> None:
        M = _checks.matrix("M", self.M)
        if M.shape[0] != M.shape[1]:
            raise ValueError(f"M must be square, got shape {M.shape}")
        r = _checks.vector("r", self.r, length=M.shape[0])
        _check_bounded_below(M, r)
        self._store(M / 2 + M.T / 2, r, _checks.number("constant", self.constant))

    @classmethod
    def from_data(cls, X: ArrayLike, y: ArrayLike) -> Self:
        """Return the least-squares loss ½‖Xx − y‖², without 1/n and with its constant ½‖y‖².

        M = XᵀX is positive semidefinite and r = Xᵀy in its range by construction, whatever n, d
        and the scales of the columns, so nothing is factorised: the cost is the product, O(n d²).
        An r_j that is 0 up to rounding is stored as 0.  A zero column of X gives a zero row of M
        and a zero in r: l does not depend on that coordinate.

        Parameters
        ----------
        X : array_like, shape (n, d)
        y : array_like, shape (n,)

        Returns
        -------
        Quadratic

        Raises
        ------
        ValueError
            If a shape is wrong, an entry is not finite, or an entry is so large or a column so
            small that its square is no float64 number.

        Examples
        --------
        >>> problem = Quadratic.from_data([[1.0, 2.0]], [3.0])
        >>> float(problem.value([1.0, 1.0])), problem.constant
        (0.0, 4.5)
        """
        X = _checks.matrix("X", X)
        y = _checks.vector("y", y, length=X.shape[0])
        with np.errstate(over="ignore", invalid="ignore"):
            M, r, constant = X.T @ X, y @ X, 0.5 * float(y @ y)
            squares = M.diagonal()
            # What is left of a column orthogonal to y is rounding, and need not be in range(M).
            r[np.abs(r) <= ORTHOGONALITY_TOLERANCE * np.sqrt(squares) * np.sqrt(2 * constant)] = 0.0
        # |M_ij| ≤ √(M_ii M_jj), so finite squares make every entry finite.
        if not (np.isfinite(squares).all() and np.isfinite(r).all() and np.isfinite(constant)):
            raise ValueError("X and y must have squares below 1e308: divide them by a constant")
        tiny = np.flatnonzero(squares < np.finfo(np.float64).tiny)
        if tiny.size and X[:, tiny].any():
            j = int(tiny[X[:, tiny].any(axis=0)][0])
            raise ValueError(
                f"X must have columns that are zero or have squares above 1e-308, but column {j} "
                f"has largest entry {np.abs(X[:, j]).max():.3g}: multiply X by a constant"
            )
        self = cls.__new__(cls)
        self._store(M, r, constant)
        return self

    def _store(self, M: Array, r: Array, constant: float) -> None:
        M.flags.writeable = r.flags.writeable = False
        for name, value in (("M", M), ("r", r), ("constant", constant)):
            object.__setattr__(self, name, value)

    @property
    def dimension(self) -> int:
        """The number d of coordinates of x."""
        return self.r.size

    def value(self, x: ArrayLike) -> Array:
        """Return l(x) for x of shape (..., d): a number for a point, shape (...) for a batch."""
        x = _checks.points("x", x, dimension=self.dimension)
        value: Array = np.vecdot(x, 0.5 * (x @ self.M) - self.r) + self.constant
        return value

    def gradient(self, x: ArrayLike) -> Array:
        """Return ∇l(x) = Mx − r, of the shape (..., d) of x."""
        x = _checks.points("x", x, dimension=self.dimension)
        gradient: Array = x @ self.M - self.r
        return gradient


def _check_bounded_below(M: Array, r: Array) -> None:
    """Raise ValueError unless M is symmetric, positive semidefinite, and has r in its range."""
    unit = np.sqrt(np.maximum(M.diagonal(), 0.0))
    support = np.flatnonzero(unit)
    null = np.flatnonzero(unit == 0.0)  # those of M_ii < 0 too
    if M[null].any() or M[:, null].any():
        raise ValueError(_indefinite(M))
    if r[null].any():
        j = int(null[np.flatnonzero(r[null])[0]])
        raise ValueError(f"r must be in the range of M, but r[{j}] = {r[j]} and M[{j}] = 0")
    if not support.size:
        return

    C = M[np.ix_(support, support)] / unit[support, None] / unit[support]
    skew = np.abs(C - C.T)
    if skew.max() > SYMMETRY_TOLERANCE:
        i, j = (int(support[k]) for k in np.unravel_index(skew.argmax(), skew.shape))
        raise ValueError(
            f"M must be symmetric, got M[{i}, {j}] = {M[i, j]} and M[{j}, {i}] = {M[j, i]}"
        )
    factor, pivots, rank, _ = lapack.dpstrf(C, tol=PIVOT_TOLERANCE, lower=1)
    order = pivots - 1
    if rank == order.size:
        return
    head, tail = order[:rank], order[rank:]
    below = factor[rank:, :rank]
    remainder = C[np.ix_(tail, tail)] - below @ below.T
    if np.abs(remainder).max() > DEFINITENESS_TOLERANCE:
        raise ValueError(_indefinite(M))
    target = r[support] / unit[support]
    preimage = solve_triangular(factor[:rank, :rank], target[head], lower=True)
    outside = np.abs(target[tail] - below @ preimage).max()
    if outside > RANGE_TOLERANCE * np.linalg.norm(preimage):
        raise ValueError(
            f"r must be in the range of M, got a part of relative size "
            f"{outside / np.linalg.norm(target):.3g} outside it, along which l has no minimum"
        )


def _indefinite(M: Array) -> str:
    smallest = np.linalg.eigvalsh(M / 2 + M.T / 2)[0]
    return f"M must be positive semidefinite, got smallest eigenvalue {smallest:.6g}"
