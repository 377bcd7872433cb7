"""The gradient flow of the diagonal linear network at a finite initialisation ε = e^(−L).

Both parametrisations are integrated in the one variable ρ(s) = s r − Mz(s):

    dρ/ds = r − Mx,    x = 2 ε |a b| e^(−λLs) sinh(Lρ + log|a/b|)    (uv: a, b = (β ± γ)/2),
    dρ/ds = r − Mx,    x = ε α² exp(L(ρ − λs))                       (uu),

which is exact at any ε and any λ, and half the size of (u, v).  ρ is of order one whatever ε, and
the differences that (u, v) loses to rounding once ε < 1e-16 never appear.

Source: arXiv:2509.18766, equations (2.2), (3.5) and (4.13).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import ConvergenceError, _checks
from inthelimit._checks import Array
from inthelimit.diagonal import _rosenbrock
from inthelimit.diagonal.limit import PARAMETRIZATIONS, Parametrization
from inthelimit.quadratic import Quadratic

# Local errors in ρ add up along the path: with this share of rtol a step, the sum stays below it.
STEP_SHARE = 0.1
# The same for log y = Lρ + …, which matters when L is large; and the bound that keeps a step's
# error in y small whatever rtol is.
LOG_SHARE, LOG_TOLERANCE = 1e3, 1e-3
# Rounding in the stages of a step, which add up terms a hundred times their sum.
MIN_TOLERANCE = 1e-13
# A y whose effect on dρ/ds is below this multiple of rtol · max|r| is left out of the equations.
INVISIBLE = 1e-3
# exp of less is not a normal number.
UNDERFLOW = -700.0
# log y may exceed the natural size of x by this much in a stage before the step is given up.
ESCAPE = 40.0
# Beyond this L, the rounding of ρ (1e-16 · L in log x) would spoil the ninth digit of x.
MAX_LOG_INVERSE_EPSILON = 1e6
# A smaller rtol would ask of a step what float64 does not hold.
MIN_RTOL, MAX_RTOL = 1e-12, 1e-2
# Far more than d = 1000 needs; reached only if the problem's scales are unreasonable.
MAX_STEPS = 2_000_000


@dataclass(frozen=True, slots=True, eq=False)
class DiagonalFlow:
    """A trajectory of the diagonal linear network, on the clock of the theorems.

    Attributes
    ----------
    s : ndarray, shape (K,)
        2t/L ("uv") or 4t/L ("uu").
    x : ndarray, shape (K, d)
        x^ε(s).
    average : ndarray, shape (K, d)
        x̄^ε(s) = z/s; x(0) at s = 0.
    z : ndarray, shape (K, d)
        ∫₀ˢ x^ε.
    rho : ndarray, shape (K, d)
        s r − Mz = −s ∇l(x̄).
    dual : ndarray, shape (K, d) or (K, 2, d)
        Exponents w: x = ε^w for "uu"; for "uv", x = ε^w[:, 0] − ε^w[:, 1], the positive side first.
    log_inverse_epsilon : float
        L.
    parametrization : {"uv", "uu"}
    penalty : float
        λ.
    n_evaluations, n_steps : int
        Evaluations of x(ρ) for all visible coordinates at once, and steps, refused ones included.
    residual : float
        max |w(s) − w(0) − λs ± (s r − Mz)| over s and coordinates: the exact identity, which holds
        here to rounding because ρ is integrated and z is too.
    status : str
        What was done, in words.
    """

    s: Array
    x: Array
    average: Array
    z: Array
    rho: Array
    dual: Array
    log_inverse_epsilon: float
    parametrization: Parametrization
    penalty: float
    n_evaluations: int
    n_steps: int
    residual: float
    status: str


def diagonal_flow(
    problem: Quadratic,
    s: ArrayLike,
    *,
    log_inverse_epsilon: float,
    parametrization: Parametrization = "uv",
    beta: ArrayLike = 1.0,
    gamma: ArrayLike = 0.0,
    alpha: ArrayLike = 1.0,
    penalty: float = 0.0,
    rtol: float = 1e-9,
) -> DiagonalFlow:
    """Integrate the gradient flow of a diagonal linear network, at any initialisation.

    Parameters
    ----------
    problem : Quadratic
        The loss l, of dimension d.
    s : array_like, shape (K,)
        Rescaled times, strictly increasing and ≥ 0: s = 2t/L for "uv", s = 4t/L for "uu".
    log_inverse_epsilon : float in (0, 1e6]
        L = log(1/ε).
    parametrization : {"uv", "uu"}
        x = u∘v from u(0) = √ε β, v(0) = √ε γ, or x = u∘u from u(0) = √ε α.
    beta, gamma : float or array_like, shape (d,)
        For "uv", with β_i ≠ ±γ_i.
    alpha : float or array_like, shape (d,)
        For "uu", with α_i ≠ 0.
    penalty : float ≥ 0
        λ, the weight decay: L(u, v) = l(u∘v) + (λ/2)(|u|² + |v|²), L(u) = l(u∘u) + λ|u|².
    rtol : float in [1e-12, 1e-2]
        Accuracy of ρ (absolute: it is of order one) and of M_ii z_i, and so of x̄ relative to its
        size.  x = exp(L(ρ − 1) + …) is steep in ρ: in the layers of width O(1/L) around the knots,
        where it moves, its relative error is up to L·rtol, and never more than a few times
        1e3·rtol; on the plateaus, where the flow has relaxed, it is as accurate as x̄.  Changes of
        r and M by 1e-13 of their size are not resolved, whatever rtol.  Beyond L = 1e5 an rtol
        below 1e-10 may be out of reach, and is then an error.

    Returns
    -------
    DiagonalFlow

    Raises
    ------
    ValueError
        If an argument has the wrong shape, is not finite, or is out of range, or if an
        initialisation is given that belongs to the other parametrisation.
    ConvergenceError
        If the accuracy cannot be reached.

    Notes
    -----
    A step costs O(m³) for m coordinates that are not negligible; the number of steps is a small
    multiple of the number of knots, nearly independent of L.  Coordinates with
    M_ij y_i < 1e-3 · rtol · max|r| contribute nothing to z.  Values at `s` are interpolated to the
    order of the method.

    Source: arXiv:2509.18766, sections 2 and 3; arXiv:2208.14673.

    Examples
    --------
    >>> problem = Quadratic([[1.0]], [2.0])
    >>> flow = diagonal_flow(problem, [0.25, 1.0], log_inverse_epsilon=10_000, parametrization="uu")
    >>> flow.x.round(6)
    array([[0.],
           [2.]])
    >>> flow.average.round(3)  # the lasso is 2 - 1/s from s = 1/2 on
    array([[0.],
           [1.]])
    """
    s = _checks.increasing("s", s, at_least=0.0)
    L = _checks.number(
        "log_inverse_epsilon", log_inverse_epsilon, above=0.0, at_most=MAX_LOG_INVERSE_EPSILON
    )
    _checks.choice("parametrization", parametrization, PARAMETRIZATIONS)
    penalty = _checks.number("penalty", penalty, at_least=0.0)
    rtol = _checks.number("rtol", rtol, at_least=MIN_RTOL, at_most=MAX_RTOL)
    M, r, d = problem.M, problem.r, problem.dimension
    scales = _initial_scales(parametrization, beta, gamma, alpha, d)
    with np.errstate(divide="ignore"):
        amplitudes = 2.0 * np.log(np.abs(scales)) - L

    tolerance = min(STEP_SHARE * rtol, min(LOG_SHARE * rtol, LOG_TOLERANCE) / L)
    tolerance = max(tolerance, MIN_TOLERANCE)
    floors, ceiling, weights = _thresholds(M, r, amplitudes, rtol)
    network = _rosenbrock.Network(M, r, amplitudes, L, penalty, floors, ceiling, weights, tolerance)
    z, rho, taken, refused, outcome, reached = _rosenbrock.integrate(network, s, MAX_STEPS)
    if outcome != _rosenbrock.DONE:
        why = "steps ran out" if outcome == _rosenbrock.TOO_MANY_STEPS else "the step underflowed"
        raise ConvergenceError(
            f"diagonal_flow stopped at s = {reached:.6g} of {s[-1]:.6g}: {why} after {taken} steps "
            f"({refused} refused); try rtol larger than {rtol:g} or a better scaled problem"
        )

    drift = L * penalty * s[:, None]
    logs = np.stack([amplitudes[0] + L * rho - drift, amplitudes[1] - L * rho - drift], axis=1)
    x = np.exp(logs[:, 0]) - np.exp(logs[:, 1])
    average = np.divide(z, s[:, None], out=x.copy(), where=s[:, None] > 0)
    dual = -logs / L if parametrization == "uv" else -logs[:, 0] / L
    for array in (s, x, average, z, rho, dual):
        array.flags.writeable = False
    return DiagonalFlow(
        s=s,
        x=x,
        average=average,
        z=z,
        rho=rho,
        dual=dual,
        log_inverse_epsilon=L,
        parametrization=parametrization,
        penalty=penalty,
        n_evaluations=8 * (taken + refused),
        n_steps=taken + refused,
        residual=float(np.abs(rho + z @ M - s[:, None] * r).max()),
        status=f"reached s = {s[-1]:g} in {taken} steps ({refused} more refused)",
    )


def _initial_scales(
    parametrization: Parametrization,
    beta: ArrayLike,
    gamma: ArrayLike,
    alpha: ArrayLike,
    d: int,
) -> Array:
    """Return a and b, shape (2, d), with y±(0) = ε a², ε b²; b = 0 for "uu"."""
    given = {
        name: _per_coordinate(name, value, d)
        for name, value in (("beta", beta), ("gamma", gamma), ("alpha", alpha))
    }
    if parametrization == "uu":
        unused, initial = {"beta": 1.0, "gamma": 0.0}, np.stack([given["alpha"], np.zeros(d)])
        zero = np.flatnonzero(given["alpha"] == 0)
        if zero.size:
            raise ValueError(
                f"alpha must be non-zero in every coordinate, got alpha[{zero[0]}] = 0: "
                "that coordinate would never move"
            )
    else:
        unused = {"alpha": 1.0}
        halves = given["beta"] / 2, given["gamma"] / 2
        initial = np.stack([halves[0] + halves[1], halves[0] - halves[1]])
        zero = np.flatnonzero((initial == 0).any(axis=0))
        if zero.size:
            i = zero[0]
            raise ValueError(
                f"beta must differ from gamma and -gamma in every coordinate, got "
                f"beta[{i}] = {given['beta'][i]:g} and gamma[{i}] = {given['gamma'][i]:g}: "
                "one side of that coordinate would never move"
            )
    for name, default in unused.items():
        if (given[name] != default).any():
            raise ValueError(
                f"{name} does not belong to parametrization {parametrization!r}, got {name} = "
                f"{given[name][given[name] != default][0]:g}: leave it out"
            )
    return initial


def _per_coordinate(name: str, value: ArrayLike, d: int) -> Array:
    array = _checks.real_array(name, value)
    if array.shape not in ((), (d,)):
        raise ValueError(f"{name} must be a number or have shape ({d},), got {array.shape}")
    return np.broadcast_to(array, (d,))


def _thresholds(M: Array, r: Array, amplitudes: Array, rtol: float) -> tuple[Array, float, Array]:
    """Return, in log y, what is negligible and what is absurd, and the weights of errors in z."""
    start = amplitudes.max(axis=0)
    reach = np.abs(M).max(axis=1)
    force = np.abs(r).max()
    coupled = reach > 0
    # An uncoupled coordinate has r_i = 0: like a network at rest, it knows no size but its first.
    natural = start.copy()
    driven = coupled & (force > 0)
    natural[driven] = np.log(force / reach[driven])
    floors = np.maximum(natural + np.log(INVISIBLE * rtol), UNDERFLOW)
    ceiling = float(max(natural.max(), start.max())) + ESCAPE
    weights = np.where(coupled, M.diagonal(), np.exp(-np.maximum(start, UNDERFLOW)))
    return floors, ceiling, weights
