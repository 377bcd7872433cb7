"""The lasso path, exactly: the limit of the averaged gradient flow of a diagonal linear network.

For a quadratic l(x) = ½⟨x, Mx⟩ − ⟨r, x⟩ + constant and an explicit penalty λ ≥ 0, the lasso at
inverse regularisation s > 0 is (arXiv:2509.18766, eq 1.3, and eq 3.4 over x ≥ 0)

    x(s) ∈ argmin  l(x) + (λ + 1/s) ‖x‖₁.

In z(s) = s x(s) and ρ(s) = s r − M z(s) its optimality conditions are the parametric linear
complementarity problem of eq 4.11,

    |ρ_i| ≤ 1 + λ s,      ρ_i = sign(z_i) (1 + λ s)  where z_i ≠ 0,

so z is piecewise linear in s, from z(0) = 0 to a last ray with slope argmin l + λ‖·‖₁ (for λ = 0,
the minimiser of l of least ℓ¹ norm).  `lasso_path` follows it from knot to knot.

The finite system is the network of `inthelimit.diagonal`, started at size ε.  Where each z_i is
monotone, its average up to rescaled time s has Lasso(x̄(s), s) → Lasso_*(s) as ε → 0 (Theorem 2.1;
Theorem 3.1 over x ≥ 0); where some z_i turns back, the limit differs, by at most a constant times
how far z turns back (Theorems 2.2 and 3.2).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import ConvergenceError, _checks, _homotopy
from inthelimit._checks import Array
from inthelimit.quadratic import Quadratic

# The largest KKT residual let through; rounding on well-posed problems stays below 1e-12.
RESIDUAL_TOLERANCE = 1e-9
# A coordinate turns back if it does so by more than this part of its own way ...
TURN_TOLERANCE = 1e-9
# ... and than this part of the longest way, each measured in units of 1/√M_ii.
ROUNDING_TOLERANCE = 1e-13


@dataclass(frozen=True, slots=True, eq=False)
class LassoPath:
    """The lasso path x(s) of a quadratic, by the knots of z(s) = s x(s).

    Attributes
    ----------
    problem : Quadratic
        The loss l, in dimension d.
    penalty : float
        The explicit penalty λ ≥ 0.
    positive : bool
        Whether x ≥ 0 is imposed.
    knots : ndarray, shape (k,)
        Where z changes slope, increasing; the first is 0.
    z : ndarray, shape (k, d)
        The values z(s) at the knots; the first is 0.
    final_slope : ndarray, shape (d,)
        The slope of z just after the last knot.
    end : float
        The path is known for s ≤ end: ∞ if it is complete, else the last knot.
    residual : float
        The worst KKT residual over the knots and the last ray: the largest violation of the
        conditions on ρ(s), divided by 1 + λ s + s max|r|.  It is the error of the gradient of l in
        the optimality conditions of x(s), relative to λ + 1/s + max|∇l(0)|.
    status : str
        A sentence: complete, or where and why it was cut short.
    """

    problem: Quadratic
    penalty: float
    positive: bool
    knots: Array
    z: Array
    final_slope: Array
    end: float
    residual: float
    status: str

    def z_at(self, s: ArrayLike) -> Array:
        """Return z(s), of shape (..., d), for s of any shape, 0 ≤ s ≤ end.

        Raises
        ------
        ValueError
            If some s is negative, not finite or beyond `end`.
        """
        s = _checks.real_array("s", s)
        if (s < 0.0).any():
            raise ValueError(f"s must be ≥ 0, got {s.min()}")
        return self._z_over(s, np.ones_like(s))

    def at(self, s: ArrayLike) -> Array:
        """Return the lasso solution x(s) = z(s)/s, of shape (..., d), for 0 < s ≤ end.

        Where the minimiser is not unique (dependent columns), it is one of them.

        Raises
        ------
        ValueError
            If some s is not positive, not finite or beyond `end`.
        """
        s = _checks.real_array("s", s)
        if (s <= 0.0).any():
            raise ValueError(f"s must be > 0, got {s.min()}")
        return self._z_over(s, s)

    def _z_over(self, s: Array, divisor: Array) -> Array:
        """Return z(s)/divisor, whose terms are finite for divisor = s even where z(s) is not."""
        if (s > self.end).any():
            raise ValueError(f"s must be ≤ {self.end}, got {s.max()}. {self.status}")
        start = np.searchsorted(self.knots, s, side="right") - 1
        on_ray = start == self.knots.size - 1
        stop = np.where(on_ray, start, start + 1)
        step = s - self.knots[start]
        share = step / np.where(on_ray, 1.0, self.knots[stop] - self.knots[start])
        z: Array = (
            self.z[start] / divisor[..., None]
            + (share / divisor)[..., None] * (self.z[stop] - self.z[start])
            + np.where(on_ray, step / divisor, 0.0)[..., None] * self.final_slope
        )
        return z

    def objective(self, s: ArrayLike) -> Array:
        """Return the optimal value Lasso_*(s) = l(x(s)) + (λ + 1/s) ‖x(s)‖₁, of the shape of s."""
        x = self.at(s)
        norm = np.abs(x).sum(axis=-1)
        objective: Array = self.problem.value(x) + self.penalty * norm + norm / np.asarray(s)
        return objective

    def support_sizes(self) -> Array:
        """Return the number of nonzero coordinates of z at each knot, of shape (k,)."""
        sizes: Array = np.count_nonzero(self.z, axis=1)
        return sizes

    def is_monotone(self) -> bool:
        """Return whether each z_i(s) is monotone: the hypothesis of Theorems 2.1 and 3.1.

        The slopes of a coordinate must not change sign.  On the last ray they cannot: a coordinate
        that turned back there would reach 0.  A path cut short is judged up to its last knot.
        """
        moves = np.diff(self.z, axis=0)
        up = np.maximum(moves, 0.0).sum(axis=0)
        down = np.maximum(-moves, 0.0).sum(axis=0)
        unit = np.sqrt(self.problem.M.diagonal())
        way, back = unit * np.maximum(up, down), unit * np.minimum(up, down)
        return bool((back <= TURN_TOLERANCE * way + ROUNDING_TOLERANCE * way.max()).all())


def lasso_path(
    problem: Quadratic,
    *,
    positive: bool = False,
    penalty: float = 0.0,
    max_knots: int | None = None,
) -> LassoPath:
    """Return the whole lasso path s ↦ argmin l(x) + (λ + 1/s)‖x‖₁, by exact homotopy in s.

    Parameters
    ----------
    problem : Quadratic
        The loss l.  With data, l(x) = ½‖Xx − y‖²: s is 1/(n α) for scikit-learn's α.
    positive : bool, default False
        Impose x ≥ 0.
    penalty : float, default 0
        The explicit penalty λ ≥ 0.
    max_knots : int, optional
        Stop after this many knots, the one at 0 included.

    Returns
    -------
    LassoPath

    Raises
    ------
    ValueError
        If `penalty` is negative or not finite, or `max_knots` is not an integer ≥ 1.
    ConvergenceError
        If rounding got the better of the problem: the KKT residual exceeds 1e-9.

    Notes
    -----
    Each knot costs O(|A| d + |A|²), A the active set: an update of a Cholesky factor and one pass
    over the rows A of M.  A column that depends on the active ones never enters, so of equal
    columns one is used; any of them gives the same l, ‖x‖₁ and ρ.  Simultaneous events are
    resolved exactly, by the optimality conditions of the slope of z.
    Source: arXiv:2509.18766, eq 4.11; for λ = 0 this is the LARS-lasso of Efron et al. (2004).

    Examples
    --------
    The average of the two-dimensional system that is not monotone: x₁ rises, then leaves.

    >>> path = lasso_path(Quadratic([[1.0, 0.9], [0.9, 0.85]], [1.0, 0.99]), positive=True)
    >>> path.knots.round(5)
    array([0.     , 1.     , 1.11111, 1.21951])
    >>> path.at([1.0, 2.0]).round(5)
    array([[0.     , 0.     ],
           [0.     , 0.57647]])
    >>> path.is_monotone()
    False
    """
    penalty = _checks.number("penalty", penalty, at_least=0.0)
    limit = 2**62 if max_knots is None else _checks.integer("max_knots", max_knots, at_least=1)
    count, knots, z, slope, residual, outcome = _homotopy.follow(
        problem.M, problem.r, np.sqrt(problem.M.diagonal()), penalty, bool(positive), limit
    )
    knots, z = knots[:count].copy(), z[:count].copy()
    accurate = residual <= RESIDUAL_TOLERANCE and np.isfinite(z).all() and np.isfinite(slope).all()
    if outcome == _homotopy.STUCK or not accurate:
        raise ConvergenceError(
            f"lasso_path lost accuracy by s = {knots[-1]:.6g}: its KKT residual is {residual:.3g}, "
            f"allowed {RESIDUAL_TOLERANCE:.0e}. Stop earlier with max_knots, rescale columns whose "
            f"sizes differ by many orders, or remove one of nearly equal columns"
        )
    complete = outcome == _homotopy.COMPLETE
    status = (
        f"The path is complete, with {knots.size} knots."
        if complete
        else f"The path was cut short at s = {knots[-1]:.6g}, after max_knots = {max_knots} knots."
    )
    for array in (knots, z, slope):
        array.flags.writeable = False
    return LassoPath(
        problem=problem,
        penalty=penalty,
        positive=bool(positive),
        knots=knots,
        z=z,
        final_slope=slope,
        end=np.inf if complete else float(knots[-1]),
        residual=residual,
        status=status,
    )
