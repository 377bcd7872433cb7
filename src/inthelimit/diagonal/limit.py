"""The limit ε → 0 of the diagonal linear network: a staircase, computed knot by knot.

The limit (z, ρ = s r − Mz) solves the linear complementarity problem with derivatives

    |ρ_i| ≤ 1 + λs,    dz_i/ds ≠ 0 only where ρ_i = q_i(1 + λs), with sign q_i,    z(0) = 0

("uu": only the side q = +1).  Its derivative x = dz/ds is constant between knots, where it is

    x = argmin { l(x) + λ|x|₁ : q_i x_i ≥ 0 on the tight set, x = 0 elsewhere },

and the next knot is the first s at which another |ρ_j| reaches 1 + λs.  A coordinate that the
minimiser leaves at 0, with ρ moving inwards, is switched off, and its z stays where it is: in the
lasso it would go back to 0, and this is the whole difference between the two.

Source: arXiv:2509.18766, proof of Theorem 3.1, and arXiv:2208.14673 for the closed form.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular

from inthelimit import ConvergenceError, _checks
from inthelimit._checks import Array
from inthelimit.diagonal import _tight_set
from inthelimit.diagonal._tight_set import RESIDUAL_TOLERANCE, TIE_TOLERANCE
from inthelimit.quadratic import Quadratic

Parametrization = Literal["uv", "uu"]
PARAMETRIZATIONS = get_args(Parametrization)

# A coordinate is switched on and off a few times at most in practice; the bound stops a cycle.
MAX_KNOTS_EACH = 100
# Accuracy promised for every plateau; problems that are not nearly singular stay near 1e-14.
MAX_RESIDUAL = 1e-9
# Off-diagonal entries up to this multiple of √(M_ii M_jj) are taken for a rounded zero.
STIELTJES_TOLERANCE = 1e-13


@dataclass(frozen=True, slots=True, eq=False)
class StaircasePath:
    """The limit of the diagonal linear network: x⁰ piecewise constant, z⁰ and ρ⁰ piecewise linear.

    Attributes
    ----------
    knots : ndarray, shape (K,)
        Increasing; the first is 0.
    plateaus : ndarray, shape (K, d)
        Row k is x⁰(s) on [knots[k], knots[k+1]); the last row holds for ever.
    z : ndarray, shape (K, d)
        z⁰ = ∫₀ˢ x⁰ at the knots.
    rho : ndarray, shape (K, d)
        ρ⁰ = s r − M z⁰ at the knots.
    rho_slopes : ndarray, shape (K, d)
        −∇l on the plateaus, so dρ⁰/ds.
    deactivations : tuple of (int, int)
        Pairs (k, i): coordinate i is switched off (or leaves its sign) at knots[k].  Empty exactly
        when z⁰/s is the lasso path.
    parametrization : {"uv", "uu"}
    penalty : float
        λ.
    residual : float
        Worst violation of the limit problem, at most 1e-9: |ρ⁰| ≤ 1 + λs at the knots, with
        equality on the support, relative to 1 + λs + s max|r|; and stationarity of the plateaus on
        their supports, relative to max|r|.
    status : str
        How the path ends, in words.
    """

    knots: Array
    plateaus: Array
    z: Array
    rho: Array
    rho_slopes: Array
    deactivations: tuple[tuple[int, int], ...]
    parametrization: Parametrization
    penalty: float
    residual: float
    status: str

    def at(self, s: ArrayLike) -> Array:
        """Return x⁰(s), shape s.shape + (d,); at a knot, its limit from the right."""
        plateaus: Array = self.plateaus[self._step(s)[1]]
        return plateaus

    def z_at(self, s: ArrayLike) -> Array:
        """Return z⁰(s) = ∫₀ˢ x⁰, shape s.shape + (d,)."""
        s, k = self._step(s)
        z: Array = self.z[k] + (s - self.knots[k])[..., None] * self.plateaus[k]
        return z

    def average_at(self, s: ArrayLike) -> Array:
        """Return x̄⁰(s) = z⁰(s)/s, shape s.shape + (d,); its limit x⁰(0) = 0 at s = 0."""
        z = self.z_at(s)
        s = np.asarray(s, dtype=np.float64)[..., None]
        average: Array = np.divide(z, s, out=np.zeros_like(z), where=s > 0)
        return average

    def rho_at(self, s: ArrayLike) -> Array:
        """Return ρ⁰(s) = s r − M z⁰(s), shape s.shape + (d,)."""
        s, k = self._step(s)
        rho: Array = self.rho[k] + (s - self.knots[k])[..., None] * self.rho_slopes[k]
        return rho

    def dual_at(self, s: ArrayLike) -> Array:
        """Return the exponents w⁰(s) ≥ 0, laid out as in `DiagonalFlow.dual`.

        For "uu" 1 + λs − ρ⁰, shape s.shape + (d,); for "uv" 1 + λs ∓ ρ⁰, shape s.shape + (2, d),
        the positive side first.
        """
        rho = self.rho_at(s)
        wall = 1.0 + self.penalty * np.asarray(s, dtype=np.float64)
        if self.parametrization == "uu":
            return wall[..., None] - rho
        return wall[..., None, None] + np.stack([-rho, rho], axis=-2)

    def _step(self, s: ArrayLike) -> tuple[Array, NDArray[np.intp]]:
        s = _checks.real_array("s", s)
        if s.size and s.min() < 0:
            raise ValueError(f"s must be ≥ 0, got {s.min()}")
        return s, np.searchsorted(self.knots, s, side="right") - 1


def diagonal_limit(
    problem: Quadratic,
    *,
    parametrization: Parametrization = "uv",
    penalty: float = 0.0,
) -> StaircasePath:
    """Return the exact limit ε → 0 of the diagonal linear network, de-activations included.

    Parameters
    ----------
    problem : Quadratic
        The loss l, of dimension d.
    parametrization : {"uv", "uu"}
        x = u∘v, signed, on the clock s = 2t/L, or x = u∘u ≥ 0, on the clock s = 4t/L.
    penalty : float ≥ 0
        λ, the weight decay.

    Returns
    -------
    StaircasePath

    Raises
    ------
    ValueError
        If an argument is out of range.
    ConvergenceError
        If rounding makes the sequence of tight sets cycle, or a plateau misses its conditions by
        more than 1e-9, as it may when columns are nearly equal.

    Notes
    -----
    A knot costs O(d m) for each coordinate that joins or leaves a support of m.

    Where M is singular on the tight set the minimiser is not unique; ρ⁰, Mz⁰ and the losses are,
    and a minimiser with linearly independent columns is returned.  (At finite ε, equal columns
    share in proportion to the squares of their initialisations.)

    Source: arXiv:2509.18766, the limit problem in the proofs of Theorems 2.1 and 3.1.

    Examples
    --------
    Features that are positively correlated can switch a coordinate off:

    >>> toy = Quadratic([[1.0, 0.9], [0.9, 0.85]], [1.0, 0.99])
    >>> path = diagonal_limit(toy, parametrization="uu")
    >>> path.knots.round(4), path.deactivations
    (array([0.    , 1.    , 1.1111]), ((2, 0),))
    >>> path.plateaus.round(4)
    array([[0.    , 0.    ],
           [1.    , 0.    ],
           [0.    , 1.1647]])
    """
    _checks.choice("parametrization", parametrization, PARAMETRIZATIONS)
    penalty = _checks.number("penalty", penalty, at_least=0.0)
    unit = np.sqrt(np.maximum(problem.M.diagonal(), 0.0))
    sides = 1 if parametrization == "uu" else 2
    limit = MAX_KNOTS_EACH * problem.dimension
    knots, plateaus, complete = _tight_set.follow(problem.M, problem.r, unit, penalty, sides, limit)
    if not complete:
        raise ConvergenceError(
            f"the limit process did not end within {knots.size} knots, at s = {knots[-1]:.6g}: "
            "rounding makes the tight sets cycle; rescale the columns to comparable norms"
        )
    return _staircase(problem, knots, plateaus, parametrization, penalty)


def incremental_path(problem: Quadratic) -> StaircasePath:
    """Return the limit of x = u∘u in closed form, for a Stieltjes matrix M.

    With I the active set, x_I = M_II⁻¹ r_I, and the next coordinate to join is the first of

        s_j = (1 − M_jI M_II⁻¹ 1) / (r_j − M_jI x_I),        j ∉ I with positive denominator.

    No coordinate is ever switched off, plateaus only grow, and z⁰/s is the positive lasso path.

    Parameters
    ----------
    problem : Quadratic
        With M a Stieltjes matrix: positive definite, off-diagonal entries ≤ 0.

    Returns
    -------
    StaircasePath
        With at most d + 1 knots.

    Raises
    ------
    ValueError
        If M is not a Stieltjes matrix; the offending entry is named.
    ConvergenceError
        If M is so nearly singular that a plateau misses its conditions by more than 1e-9.

    Notes
    -----
    One Cholesky factorisation, pivoted by the order of activation, carries the residuals
    1 − M_jI M_II⁻¹ 1 and r_j − M_jI x_I along: O(d³) in all.  Coordinates that tie join together.

    Source: arXiv:2208.14673, main theorem.

    Examples
    --------
    >>> chain = Quadratic([[2, -1, 0], [-1, 2, -1], [0, -1, 2]], [1, 1 / 2, -1 / 4])
    >>> path = incremental_path(chain)
    >>> path.knots
    array([0. , 1. , 1.5, 4.8])
    >>> path.plateaus[-1] * 16
    array([15., 14.,  5.])
    """
    _check_stieltjes(problem.M)
    M, r, d = problem.M, problem.r, problem.dimension
    order: list[int] = []
    rows = np.zeros((d, d))  # L⁻¹ M_I·, whose columns I are the transposed Cholesky factor
    solved = np.zeros((d, 2))  # L⁻¹ (r_I, 1)
    # r_j − M_jI M_II⁻¹ r_I and 1 − M_jI M_II⁻¹ 1, for every j
    numerators = np.stack([r, np.ones(d)], axis=1)
    knots, plateaus = [0.0], [np.zeros(d)]
    while True:
        residual = numerators[:, 0].copy()
        residual[order] = 0.0
        growing = residual > RESIDUAL_TOLERANCE * np.abs(r).max()
        if not growing.any():
            break
        hits = np.full(d, np.inf)
        hits[growing] = numerators[growing, 1] / residual[growing]
        s = float(hits.min())
        for j in np.flatnonzero(hits <= s * (1.0 + TIE_TOLERANCE)):
            m = len(order)
            column = rows[:m, j].copy()
            pivot = np.sqrt(M[j, j] - column @ column)
            rows[m] = (M[j] - column @ rows[:m]) / pivot
            solved[m] = (np.array([r[j], 1.0]) - column @ solved[:m]) / pivot
            numerators -= np.outer(rows[m], solved[m])
            order.append(int(j))
        m = len(order)
        x = np.zeros(d)
        x[order] = solve_triangular(rows[:m, order], solved[:m, 0], check_finite=False)
        knots.append(s)
        plateaus.append(x)
    return _staircase(problem, np.array(knots), np.array(plateaus), "uu", 0.0)


def _check_stieltjes(M: Array) -> None:
    scale = np.sqrt(np.outer(M.diagonal(), M.diagonal()))
    positive = np.triu(M > STIELTJES_TOLERANCE * scale, k=1)
    if positive.any():
        i, j = (int(index) for index in np.argwhere(positive)[0])
        raise ValueError(
            f"M[{i}, {j}] = {M[i, j]:g} must be ≤ 0: the closed form holds for Stieltjes matrices "
            "(positive definite, off-diagonal entries ≤ 0); use diagonal_limit for the others"
        )
    try:
        np.linalg.cholesky(M)
    except np.linalg.LinAlgError:
        raise ValueError(
            f"M must be positive definite, got smallest eigenvalue {np.linalg.eigvalsh(M)[0]:.3g}; "
            "use diagonal_limit for a singular M"
        ) from None


def _staircase(
    problem: Quadratic,
    knots: Array,
    plateaus: Array,
    parametrization: Parametrization,
    penalty: float,
) -> StaircasePath:
    """Integrate the plateaus, and judge the result."""
    z = np.zeros_like(plateaus)
    np.cumsum(np.diff(knots)[:, None] * plateaus[:-1], axis=0, out=z[1:])
    rho = knots[:, None] * problem.r - z @ problem.M
    slopes = problem.r - plateaus @ problem.M
    on = plateaus != 0
    off_stationary = np.abs(slopes - penalty * np.sign(plateaus))[on].max(initial=0.0)
    slopes[on] = penalty * np.sign(plateaus[on])

    # Like the lasso's: violations at s are judged beside the terms that cancel in ρ there.
    wall = 1.0 + penalty * knots[:, None]
    excess = (rho if parametrization == "uu" else np.abs(rho)) - wall
    largest = np.abs(problem.r).max()
    excess /= wall + knots[:, None] * largest
    residual = max(
        excess.max(),
        np.abs(excess)[on].max(initial=0.0),
        off_stationary / (largest or 1.0),
        # After the last knot nothing may grow beyond the wall.
        ((slopes if parametrization == "uu" else np.abs(slopes))[-1].max() - penalty)
        / (largest or 1.0),
    )
    if not residual <= MAX_RESIDUAL:
        raise ConvergenceError(
            f"the limit process lost accuracy: a plateau misses its conditions by {residual:.3g}, "
            f"allowed {MAX_RESIDUAL:.0e}; rescale the columns, or remove one of nearly equal ones"
        )
    left = np.argwhere(on[:-1] & (plateaus[:-1] * plateaus[1:] <= 0))
    for array in (knots, plateaus, z, rho, slopes):
        array.flags.writeable = False
    return StaircasePath(
        knots=knots,
        plateaus=plateaus,
        z=z,
        rho=rho,
        rho_slopes=slopes,
        deactivations=tuple((int(k) + 1, int(i)) for k, i in left),
        parametrization=parametrization,
        penalty=penalty,
        residual=float(residual),
        status=f"complete: {knots.size - 1} knots after s = 0, {on[-1].sum()} coordinates on at "
        "the end",
    )
