"""The exact second moments of the continuized process on a quadratic, with no Monte Carlo.

The system.  On f(x) = ½ Σ h_i x_i², in the eigenbasis and with x* = 0, each coordinate is mixed and
jumps by itself, with a gradient g of mean h x,

    dx = η (z − x) dt − γ g dN,      dz = η' (x − z) dt − γ' g dN.

The limit of infinitely many copies is a linear ODE.  With a = E x², b = E xz, c = E z², m = E x,
n = E z and G = E g², the mixing and the jumps of the rate-1 Poisson process N give

    a' = 2η (b − a)                − 2γ h a           + γ² G
    b' = η (c − b) + η' (a − b)    − γ h b − γ' h a   + γγ' G
    c' = 2η' (b − c)               − 2γ' h b          + γ'² G
    m' = η (n − m) − γ h m,      n' = η' (m − n) − γ' h m,

    G_i = h_i² a_i + s_i²          additive noise of variance s_i²,
    G = diag E aaᵀ diag(a) aaᵀ     multiplicative noise, whose coordinates talk to one another.

The rates.  With constant coefficients the solution is a matrix exponential, and at the jump times
a power: E exp(−jsΔ) = 1/(1 + js) for a gap Δ ~ Exp(1), s = η + η', integrates the mixing exactly.
`log_rate` and `log_rate_per_iteration` are the exponents of E x².

Source: arXiv:2102.06035 (process and exact discretisation), arXiv:2106.07644 (noise).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import ConvergenceError, _checks
from inthelimit._checks import Array
from inthelimit.continuized import _moment_equations as equations
from inthelimit.continuized.laws import LeastSquaresLaw
from inthelimit.continuized.schedules import Parameters, Schedule


@dataclass(frozen=True, slots=True, eq=False)
class SecondMoments:
    """The moments of x and z in the eigenbasis of a quadratic with its minimum at 0.

    Attributes
    ----------
    times : ndarray, shape (T,)
        Times, or numbers of jumps.
    xx, xz, zz : ndarray, shape (T, d)
        E x², E xz and E z² of each coordinate.
    mean_x, mean_z : ndarray, shape (T, d)
        E x and E z.
    spectrum : ndarray, shape (d,)
        The eigenvalues h of the quadratic.
    schedule : Schedule
        The coefficients η, η', γ, γ'.
    """

    times: Array
    xx: Array
    xz: Array
    zz: Array
    mean_x: Array
    mean_z: Array
    spectrum: Array
    schedule: Schedule

    def value(self) -> Array:
        """Return E f(x) = ½ Σ h_i E x_i² at each time, of shape (T,)."""
        value: Array = 0.5 * (self.xx @ self.spectrum)
        return value

    def distance_squared(self) -> Array:
        """Return E ‖x‖² = Σ E x_i² at each time, of shape (T,)."""
        distance: Array = self.xx.sum(axis=1)
        return distance


def second_moments(
    spectrum: ArrayLike,
    schedule: Schedule,
    times: ArrayLike,
    *,
    x0: ArrayLike = 1.0,
    z0: ArrayLike | None = None,
    noise_variance: ArrayLike = 0.0,
    law: LeastSquaresLaw | None = None,
) -> SecondMoments:
    """Return the exact moments of the continuized process on a quadratic, at the given times.

    Parameters
    ----------
    spectrum : array_like, shape (d,)
        The eigenvalues h_i ≥ 0 of the quadratic.
    schedule : Schedule
        Any schedule; the system may diverge under it.
    times : array_like, shape (T,)
        Strictly increasing, ≥ 0.
    x0, z0 : array_like, scalar or shape (d,)
        The start in the eigenbasis, relative to the minimum; `z0` is `x0` by default.  A schedule
        with η ~ 2/t forgets `x0` at once: x(0+) = z0.
    noise_variance : array_like, scalar or shape (d,), default 0
        The variance s_i² ≥ 0 of each coordinate of the additive gradient noise; σ² is their sum.
    law : LeastSquaresLaw, optional
        Multiplicative noise g = aaᵀx; then `spectrum` is ``law.spectrum``.

    Returns
    -------
    SecondMoments

    Raises
    ------
    ValueError
        If an argument is out of range, or the diagonal of E aaᵀSaaᵀ does not depend on that of S
        alone, as it does for Gaussian and one-hot laws.
    ConvergenceError
        If the moments overflow.

    Notes
    -----
    Constant coefficients: matrix exponentials, 4 × 4 for each coordinate, or one of size 3d + 1
    with a `law`.  Others: a Runge–Kutta method of order 8 with relative errors of about 1e-9, or
    1e-40 of the start, in O(d t) for a last time t (O(d² t) with a `law`).  It starts just after
    the singularity of η ~ k/t, so near it that the error is below rounding.
    Source: arXiv:2102.06035 and arXiv:2106.07644, whose theorems bound these moments.

    Examples
    --------
    >>> from inthelimit.continuized.schedules import convex_schedule
    >>> moments = second_moments([1.0], convex_schedule(1.0), [0.0, 10.0])
    >>> [round(float(v), 6) for v in moments.value()]
    [0.5, 0.000915]
    """
    problem = _problem(spectrum, noise_variance, law)
    instants = _checks.increasing("times", times, at_least=0.0)
    start = _start(x0, z0, problem.h.size)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        if schedule.is_constant:
            states = equations.exponentials(problem, schedule.parameters(1.0), instants, start)
        else:
            states = equations.integrate(problem, schedule, instants, start)
    return _moments(instants, states, problem, schedule)


def jump_moments(
    spectrum: ArrayLike,
    schedule: Schedule,
    n_steps: int,
    *,
    x0: ArrayLike = 1.0,
    z0: ArrayLike | None = None,
    noise_variance: ArrayLike = 0.0,
    law: LeastSquaresLaw | None = None,
) -> SecondMoments:
    """Return the exact moments just after jumps 0, …, n_steps, for constant coefficients.

    Parameters
    ----------
    spectrum : array_like, shape (d,)
        The eigenvalues h_i ≥ 0 of the quadratic.
    schedule : Schedule
        One with constant coefficients.
    n_steps : int
        The number of jumps, ≥ 0.
    x0, z0 : array_like, scalar or shape (d,)
        The start in the eigenbasis, relative to the minimum; `z0` is `x0` by default.
    noise_variance : array_like, scalar or shape (d,), default 0
        The variance s_i² ≥ 0 of each coordinate of the additive gradient noise.
    law : LeastSquaresLaw, optional
        Multiplicative noise g = aaᵀx; then `spectrum` is ``law.spectrum``.

    Returns
    -------
    SecondMoments
        With ``times`` the numbers 0, …, n_steps of jumps.

    Raises
    ------
    ValueError
        If an argument is out of range, the coefficients of `schedule` are not constant, or the
        diagonal of E aaᵀSaaᵀ does not depend on that of S alone.
    ConvergenceError
        If the moments overflow.

    Notes
    -----
    Between jumps p = (η'x + ηz)/s is constant and x − z decays like exp(−st), s = η + η'; its
    square and its product with p are averaged over the gap Δ ~ Exp(1) by E exp(−jsΔ) = 1/(1 + js).
    Cost: O(d) a jump, O(d²) with a `law`.  Source: arXiv:2102.06035, exact
    discretisation.

    Examples
    --------
    >>> from inthelimit.continuized.schedules import strongly_convex_schedule
    >>> moments = jump_moments([1.0, 0.01], strongly_convex_schedule(1.0, 0.01), 100)
    >>> bool(moments.value()[-1] < 1e-6 * moments.value()[0])
    True
    """
    problem = _problem(spectrum, noise_variance, law)
    p = _constants(schedule)
    n = _checks.integer("n_steps", n_steps, at_least=0)
    states = np.empty((n + 1, 5, problem.h.size))
    states[0] = _start(x0, z0, problem.h.size)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for k in range(n):
            states[k + 1] = equations.iteration(problem, p, states[k])
    return _moments(np.arange(n + 1.0), states, problem, schedule)


def log_rate(spectrum: ArrayLike, schedule: Schedule) -> Array:
    """Return the exponential rate at which E x² decays in time, for each eigenvalue.

    Parameters
    ----------
    spectrum : array_like, shape (d,)
        The eigenvalues h_i ≥ 0 of the quadratic.
    schedule : Schedule
        One with constant coefficients.

    Returns
    -------
    ndarray, shape (d,)
        Minus the largest real part of an eigenvalue of the moment ODE: E x² ≈ exp(−rate t), which
        grows where the rate is negative.

    Raises
    ------
    ValueError
        If `spectrum` is out of range or the coefficients of `schedule` are not constant.

    Notes
    -----
    If η = 0, x never hears of z, and the rate is that of a alone.  Cost: one 3 × 3 eigenvalue
    problem for each entry.  Source: arXiv:2102.06035, whose theorem says rate ≥ √(μ/L) for
    μ ≤ h ≤ L.

    Examples
    --------
    >>> from inthelimit.continuized.schedules import strongly_convex_schedule
    >>> log_rate([0.01], strongly_convex_schedule(1.0, 0.01)).round(4)
    array([0.15])
    """
    problem, p = _problem(spectrum, 0.0, None), _constants(schedule)
    generator = _heard_by_x(
        p, equations.matrices(lambda state: equations.drift(problem, p, state), problem.h.size)
    )
    rate: Array = -np.linalg.eigvals(generator).real.max(axis=-1)
    return rate + 0.0


def log_rate_per_iteration(spectrum: ArrayLike, schedule: Schedule) -> Array:
    """Return the exponential rate at which E x² decays per jump, for each eigenvalue.

    Parameters
    ----------
    spectrum : array_like, shape (d,)
        The eigenvalues h_i ≥ 0 of the quadratic.
    schedule : Schedule
        One with constant coefficients.

    Returns
    -------
    ndarray, shape (d,)
        Minus the logarithm of the spectral radius of the map from the moments after one jump to
        those after the next: E x_k² ≈ exp(−rate k), or E z_k² where a jump solves x (γh = 1).

    Raises
    ------
    ValueError
        If `spectrum` is out of range or the coefficients of `schedule` are not constant.

    Notes
    -----
    The map is exact (see `jump_moments`).  If η = 0, x never hears of z, and the rate is that of a
    alone, ∞ where one jump solves the coordinate.  Source: arXiv:2102.06035, exact discretisation.

    Examples
    --------
    >>> from inthelimit.continuized.schedules import strongly_convex_schedule
    >>> log_rate_per_iteration([0.1, 1.0], strongly_convex_schedule(1.0, 0.1)).round(4)
    array([0.5097, 1.1253])
    """
    problem, p = _problem(spectrum, 0.0, None), _constants(schedule)
    maps = _heard_by_x(
        p, equations.matrices(lambda state: equations.iteration(problem, p, state), problem.h.size)
    )
    with np.errstate(divide="ignore"):
        rate: Array = -np.log(np.abs(np.linalg.eigvals(maps)).max(axis=-1))
    return rate + 0.0


def least_squares_log_rate(law: LeastSquaresLaw, schedule: Schedule) -> float:
    """Return the exponential rate at which E ‖x‖² decays in time under multiplicative noise.

    Parameters
    ----------
    law : LeastSquaresLaw
        A law whose diagonal closes, such as a Gaussian or a one-hot law.
    schedule : Schedule
        One with constant coefficients.

    Returns
    -------
    float
        Minus the largest real part of an eigenvalue of the moment ODE on the range of H.

    Raises
    ------
    ValueError
        If the coefficients of `schedule` are not constant, or the diagonal of E aaᵀSaaᵀ does not
        depend on that of S alone.

    Notes
    -----
    If η = 0 (plain stochastic gradient descent), x never hears of z, and the rate is that of the
    diagonal of E xxᵀ alone.  Cost: one eigenvalue problem of size 3d.  Source: arXiv:2106.07644,
    whose theorem says rate ≥ 1/√(κκ̃).

    Examples
    --------
    >>> from inthelimit.continuized.least_squares import gaussian_law
    >>> from inthelimit.continuized.schedules import constant_schedule
    >>> law = gaussian_law([1.0, 0.1])
    >>> descent = constant_schedule(0.0, 0.0, 1.0 / law.R2, 0.0)
    >>> bool(least_squares_log_rate(law, descent) > 1.0 / law.kappa)
    True
    """
    problem, p = _problem(law.spectrum, 0.0, law), _constants(schedule)
    generator = equations.coupled_matrix(
        lambda state: equations.drift(problem, p, state), law.dimension
    )
    kept = np.tile(law.spectrum > 0.0, 3)
    if p.eta == 0.0:
        kept[law.dimension :] = False
    return float(-np.linalg.eigvals(generator[np.ix_(kept, kept)]).real.max()) + 0.0


def _heard_by_x(p: Parameters, matrices: Array) -> Array:
    """Return the part of the maps that acts on x: without mixing into x, z does not matter."""
    return matrices[..., :1, :1] if p.eta == 0.0 else matrices


def _moments(
    times: Array, states: Array, problem: equations.Problem, schedule: Schedule
) -> SecondMoments:
    wrong = np.flatnonzero(~np.isfinite(states).all(axis=(1, 2)))
    if wrong.size:
        raise ConvergenceError(
            f"the moments overflow before t = {times[wrong[0]]:g}: ask for earlier times"
        )
    xx, xz, zz, mean_x, mean_z = np.moveaxis(states, 1, 0).copy()
    return SecondMoments(times, xx, xz, zz, mean_x, mean_z, problem.h, schedule)


def _problem(
    spectrum: ArrayLike, noise_variance: ArrayLike, law: LeastSquaresLaw | None
) -> equations.Problem:
    h = _checks.vector("spectrum", spectrum)
    if (h < 0.0).any():
        raise ValueError(f"spectrum must be ≥ 0, got {h.min()}")
    variance = _coordinates("noise_variance", noise_variance, h.size)
    if (variance < 0.0).any():
        raise ValueError(f"noise_variance must be ≥ 0, got {variance.min()}")
    if law is not None:
        if not np.array_equal(h, law.spectrum):
            raise ValueError("spectrum must be law.spectrum when a law is given")
        if not law.has_closed_diagonal():
            raise ValueError(
                "law must have a fourth moment E aaᵀSaaᵀ whose diagonal depends on that of S "
                "alone, as gaussian_law and one_hot_law have; this one couples it to E x_i x_j"
            )
    return equations.Problem(h, variance, None if law is None else law.coupling())


def _coordinates(name: str, value: ArrayLike, d: int) -> Array:
    """Return a finite float64 vector of length d, from a scalar or a vector."""
    array = _checks.real_array(name, value)
    if array.ndim > 1 or (array.ndim == 1 and array.size != d):
        raise ValueError(f"{name} must be a scalar or have shape ({d},), got shape {array.shape}")
    return np.broadcast_to(array, d).copy()


def _start(x0: ArrayLike, z0: ArrayLike | None, d: int) -> Array:
    x = _coordinates("x0", x0, d)
    z = x if z0 is None else _coordinates("z0", z0, d)
    return np.stack([x * x, x * z, z * z, x, z])


def _constants(schedule: Schedule) -> Parameters:
    if not schedule.is_constant:
        raise ValueError(f"schedule must have constant coefficients, got {schedule}")
    return schedule.parameters(1.0)
