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

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from inthelimit import ConvergenceError, _checks
from inthelimit._checks import Array
from inthelimit.continuized.least_squares import LeastSquaresLaw
from inthelimit.continuized.schedules import Parameters, Schedule

# The integrator's error per step; its norm averages over coordinates, hence the margin to 1e-9.
RTOL = 1e-11
# Where moments have decayed to this part of their start, or means to its root, digits stop to
# matter: following the means of solved coordinates down to 1e-308 would be most of the work.
ATOL = 1e-40
# The series at t = 0 is cut after errors of this order squared, or cubed where they persist.
SERIES_END = 1e-6
# Gaps between times that agree to this part of the last time are one gap.
GAP_TOLERANCE = 4 * np.finfo(np.float64).eps

# Rows of a state, of shape (5, d): E x², E xz, E z², E x, E z.
SECOND, MEANS = slice(0, 3), slice(3, 5)


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
    with a `law`.  Others: a Runge–Kutta method of order 8 with relative errors about 1e-9
    (or 1e-40 of the start),
    O(d (t + log 1/t₁)) for a last time t and a first time t₁ > 0, which starts from the series

        b ≈ z₀² (1 − γht/(1+k)),  c ≈ z₀² (1 − γ'ht),  a ≈ z₀² + (2k b' − 2γh z₀² + γ²G) t/(1+2k)

    of η ~ k/t, γ' ∝ t at t = 1e-6 min(1, t₁).
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
            states = _exponentials(problem, schedule.parameters(1.0), instants, start)
        else:
            states = _integrate(problem, schedule, instants, start)
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
    Cost: O(d) a jump for independent noise and Gaussian laws.  Source: arXiv:2102.06035, exact
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
            states[k + 1] = _iteration(problem, p, states[k])
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
    generator = _heard_by_x(p, _matrices(lambda state: _drift(problem, p, state), problem.h.size))
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
    maps = _heard_by_x(p, _matrices(lambda state: _iteration(problem, p, state), problem.h.size))
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
    generator = _coupled_matrix(lambda state: _drift(problem, p, state), law.dimension)
    kept = np.tile(law.spectrum > 0.0, 3)
    if p.eta == 0.0:
        kept[law.dimension :] = False
    return float(-np.linalg.eigvals(generator[np.ix_(kept, kept)]).real.max()) + 0.0


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """The checked data of the moment equations."""

    h: Array
    variance: Array
    law: LeastSquaresLaw | None

    def gradient_squared(self, xx: Array) -> Array:
        """Return G = E g², without the additive noise."""
        square: Array = self.h**2 * xx if self.law is None else self.law.fourth_moment(xx)
        return square


def _gradient_step(problem: _Problem, p: Parameters, state: Array) -> Array:
    """Return the expected change of the moments at a jump."""
    gamma, gamma_prime = p.gamma, p.gamma_prime
    once = np.array(
        [
            [-2.0 * gamma, 0.0, 0.0, 0.0, 0.0],
            [-gamma_prime, -gamma, 0.0, 0.0, 0.0],
            [0.0, -2.0 * gamma_prime, 0.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, -gamma, 0.0],
            [0.0, 0.0, 0.0, -gamma_prime, 0.0],
        ]
    )
    twice = np.array([gamma * gamma, gamma * gamma_prime, gamma_prime * gamma_prime, 0.0, 0.0])
    G = problem.gradient_squared(state[0]) + problem.variance
    change: Array = once @ (problem.h * state) + twice[:, None] * G
    return change


def _drift(problem: _Problem, p: Parameters, state: Array) -> Array:
    """Return the time derivative of the moments."""
    eta, eta_prime = p.eta, p.eta_prime
    mixing = np.array(
        [
            [-2.0 * eta, 2.0 * eta, 0.0, 0.0, 0.0],
            [eta_prime, -eta - eta_prime, eta, 0.0, 0.0],
            [0.0, 2.0 * eta_prime, -2.0 * eta_prime, 0.0, 0.0],
            [0.0, 0.0, 0.0, -eta, eta],
            [0.0, 0.0, 0.0, eta_prime, -eta_prime],
        ]
    )
    drift: Array = mixing @ state + _gradient_step(problem, p, state)
    return drift


def _iteration(problem: _Problem, p: Parameters, state: Array) -> Array:
    """Return the moments after one more gap Δ ~ Exp(1), with its mixing, and the jump at its end.

    With u = x − z, x = q + (η/s) u and z = q − (η'/s) u, where q stays and u decays.
    """
    a, b, c, m, n = state
    s = p.eta + p.eta_prime
    share, share_prime = (p.eta / s, p.eta_prime / s) if s > 0.0 else (0.5, 0.5)
    once, twice = 1.0 / (1.0 + s), 1.0 / (1.0 + 2.0 * s)
    qq = share_prime**2 * a + 2.0 * share * share_prime * b + share**2 * c
    qu = once * (share_prime * (a - b) + share * (b - c))
    uu = twice * (a - 2.0 * b + c)
    q, u = share_prime * m + share * n, once * (m - n)
    mixed = np.stack(
        [
            qq + 2.0 * share * qu + share**2 * uu,
            qq + (share - share_prime) * qu - share * share_prime * uu,
            qq - 2.0 * share_prime * qu + share_prime**2 * uu,
            q + share * u,
            q - share_prime * u,
        ]
    )
    return mixed + _gradient_step(problem, p, mixed)


def _integrate(problem: _Problem, schedule: Schedule, times: Array, start: Array) -> Array:
    """Return the moments at `times` for coefficients with η ~ k/t and γ' ∝ t at t = 0."""
    d = problem.h.size
    states = np.empty((times.size, 5, d))
    positive = times > 0.0
    states[~positive] = start
    if not positive.any():
        return states
    t0 = SERIES_END * min(1.0, times[positive][0])
    first = _series(problem, schedule.parameters(t0), t0, start)
    size = float(first[SECOND].max()) or 1.0
    atol = np.repeat([ATOL * size, np.sqrt(ATOL * size)], [3 * d, 2 * d])
    solution = solve_ivp(
        lambda t, y: _drift(problem, schedule.parameters(t), y.reshape(5, d)).ravel(),
        (t0, times[-1]),
        first.ravel(),
        method="DOP853",
        t_eval=times[positive],
        first_step=min(t0, times[-1] - t0),
        rtol=RTOL,
        atol=atol,
    )
    if not solution.success:
        reached = solution.t[-1] if solution.t.size else t0
        raise ConvergenceError(
            f"the moments could not be followed from t = {reached:g} to the next time asked for: "
            f"if they grow beyond 1e308 there, ask for earlier times ({solution.message})"
        )
    states[positive] = solution.y.T.reshape(-1, 5, d)
    return states


def _series(problem: _Problem, p: Parameters, t: float, start: Array) -> Array:
    """Return the moments at a small t > 0: x has forgotten x0 and differs from z0 by O(t)."""
    _, _, q, _, z0 = start
    k, gamma, h = p.eta * t, p.gamma, problem.h
    b = -gamma * h * q / (1.0 + k)
    G = problem.gradient_squared(q) + problem.variance
    a = (2.0 * k * b - 2.0 * gamma * h * q + gamma**2 * G) / (1.0 + 2.0 * k)
    z_loss = p.gamma_prime * h * t
    m = -gamma * h * z0 / (1.0 + k)
    return np.stack(
        [q + a * t, q + b * t, q * (1.0 - z_loss), z0 + m * t, z0 * (1.0 - z_loss / 2.0)]
    )


def _exponentials(problem: _Problem, p: Parameters, times: Array, start: Array) -> Array:
    """Return the moments at `times` for constant coefficients."""
    d = problem.h.size
    silent = _Problem(problem.h, np.zeros(d), problem.law)
    noise = _drift(problem, p, np.zeros((5, d)))[SECOND]

    def drift(state: Array) -> Array:
        return _drift(silent, p, state)

    if problem.law is None:
        second = _flow(_affine(_matrices(drift, d), noise.T), start[SECOND].T, times)[..., :3]
        second = second.swapaxes(1, 2)
    else:
        generator = _affine(_coupled_matrix(drift, d), noise.ravel())
        second = _flow(generator, start[SECOND].ravel(), times)[..., :-1].reshape(-1, 3, d)
    means = _flow(_matrices(drift, d, MEANS), start[MEANS].T, times).swapaxes(1, 2)
    return np.concatenate([second, means], axis=1)


def _flow(generator: Array, start: Array, times: Array) -> Array:
    """Return exp(t · generator) applied to `start`, completed by 1 if affine, at each time."""
    if generator.shape[-1] > start.shape[-1]:
        start = np.concatenate([start, np.ones((*start.shape[:-1], 1))], axis=-1)
    gaps = np.diff(times, prepend=0.0)
    states = np.empty((times.size, *start.shape))
    state, gap = start, -1.0
    for i in range(times.size):
        if abs(gaps[i] - gap) > GAP_TOLERANCE * times[-1]:
            gap = gaps[i]
            propagator = expm(gap * generator)
        state = states[i] = (propagator @ state[..., None])[..., 0]
    return states


def _affine(linear: Array, constant: Array) -> Array:
    """Return the matrix of y' = linear @ y + constant, acting on (y, 1)."""
    column = np.concatenate([linear, constant[..., None]], axis=-1)
    return np.concatenate([column, np.zeros_like(column[..., :1, :])], axis=-2)


def _matrices(linear: Callable[[Array], Array], d: int, rows: slice = SECOND) -> Array:
    """Return the d matrices of a linear map of states that keeps coordinates apart."""
    units = np.eye(5)[rows]
    columns = [linear(np.repeat(unit[:, None], d, axis=1))[rows] for unit in units]
    return np.stack(columns, axis=-1).swapaxes(0, 1)


def _coupled_matrix(linear: Callable[[Array], Array], d: int) -> Array:
    """Return the 3d × 3d matrix of a linear map of states that couples coordinates."""
    matrix = np.empty((3 * d, 3 * d))
    for j in range(3 * d):
        unit = np.zeros((5, d))
        unit[j // d, j % d] = 1.0
        matrix[:, j] = linear(unit)[SECOND].ravel()
    return matrix


def _heard_by_x(p: Parameters, matrices: Array) -> Array:
    """Return the part of the maps that acts on x: without mixing into x, z does not matter."""
    return matrices[..., :1, :1] if p.eta == 0.0 else matrices


def _moments(times: Array, states: Array, problem: _Problem, schedule: Schedule) -> SecondMoments:
    wrong = np.flatnonzero(~np.isfinite(states).all(axis=(1, 2)))
    if wrong.size:
        raise ConvergenceError(
            f"the moments overflow before t = {times[wrong[0]]:g}: ask for earlier times"
        )
    xx, xz, zz, mean_x, mean_z = np.moveaxis(states, 1, 0).copy()
    return SecondMoments(times, xx, xz, zz, mean_x, mean_z, problem.h, schedule)


def _problem(
    spectrum: ArrayLike, noise_variance: ArrayLike, law: LeastSquaresLaw | None
) -> _Problem:
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
    return _Problem(h, variance, law)


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
