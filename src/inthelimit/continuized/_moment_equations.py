"""The moment equations of `inthelimit.continuized.moments`, in time and from jump to jump.

A state has shape (5, d): E x², E xz, E z², E x and E z of each coordinate.  The drift is the
mixing, linear with the same coefficients for all coordinates, and the expected change at a jump.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from inthelimit import ConvergenceError
from inthelimit._checks import Array
from inthelimit.continuized.schedules import Parameters, Schedule

# The integrator's error per step; its norm averages over coordinates, hence the margin to 1e-9.
RTOL = 1e-11
# Where moments have decayed to this part of their start, or means to its root, digits stop to
# matter: following the means of solved coordinates down to 1e-308 would be most of the work.
ATOL = 1e-40
# Where η ~ k/t, the start, relative to the first time asked for.  There x = z = z0 up to O(t); of
# this error E x² and E xz forget (t0/t)^k, and E z² keeps γ' h t0 ∝ t0².
FIRST_TIME = 1e-7
# Gaps between times that agree to this part of the last time are one gap.
GAP_TOLERANCE = 4 * np.finfo(np.float64).eps

# Rows of a state.
SECOND, MEANS = slice(0, 3), slice(3, 5)


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """The checked data of the moment equations.

    Without a coupling, G = E g² is h² E x² plus the variance; with one, coupling @ E x².
    """

    h: Array
    variance: Array
    coupling: Array | None

    def gradient_squared(self, xx: Array) -> Array:
        """Return G = E g², without the additive noise."""
        square: Array = self.h**2 * xx if self.coupling is None else self.coupling @ xx
        return square


def gradient_step(problem: Problem, p: Parameters, state: Array) -> Array:
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


def drift(problem: Problem, p: Parameters, state: Array) -> Array:
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
    slope: Array = mixing @ state + gradient_step(problem, p, state)
    return slope


def iteration(problem: Problem, p: Parameters, state: Array) -> Array:
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
    return mixed + gradient_step(problem, p, mixed)


def integrate(problem: Problem, schedule: Schedule, times: Array, start: Array) -> Array:
    """Return the moments at `times` for coefficients with η ~ k/t and γ' ∝ t at t = 0.

    Such coefficients make x forget x0 at once: x(0+) = z0.
    """
    d = problem.h.size
    states = np.empty((times.size, 5, d))
    positive = times > 0.0
    states[~positive] = start
    if not positive.any():
        return states
    t0 = FIRST_TIME * min(1.0, times[positive][0])
    _, _, zz, _, z = start
    first = np.stack([zz, zz, zz, z, z])
    size = float(max(zz.max(), problem.variance.max() * schedule.parameters(t0).gamma ** 2)) or 1.0
    atol = np.repeat([ATOL * size, np.sqrt(ATOL * size)], [3 * d, 2 * d])
    solution = solve_ivp(
        lambda t, y: drift(problem, schedule.parameters(t), y.reshape(5, d)).ravel(),
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


def exponentials(problem: Problem, p: Parameters, times: Array, start: Array) -> Array:
    """Return the moments at `times` for constant coefficients."""
    d = problem.h.size
    silent = Problem(problem.h, np.zeros(d), problem.coupling)
    noise = drift(problem, p, np.zeros((5, d)))[SECOND]

    def linear(state: Array) -> Array:
        return drift(silent, p, state)

    if problem.coupling is None:
        second = _flow(_affine(matrices(linear, d), noise.T), start[SECOND].T, times)[..., :3]
        second = second.swapaxes(1, 2)
    else:
        generator = _affine(coupled_matrix(linear, d), noise.ravel())
        second = _flow(generator, start[SECOND].ravel(), times)[..., :-1].reshape(-1, 3, d)
    means = _flow(matrices(linear, d, MEANS), start[MEANS].T, times).swapaxes(1, 2)
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


def matrices(linear: Callable[[Array], Array], d: int, rows: slice = SECOND) -> Array:
    """Return the d matrices of a linear map of states that keeps coordinates apart."""
    units = np.eye(5)[rows]
    columns = [linear(np.repeat(unit[:, None], d, axis=1))[rows] for unit in units]
    return np.stack(columns, axis=-1).swapaxes(0, 1)


def coupled_matrix(linear: Callable[[Array], Array], d: int) -> Array:
    """Return the 3d × 3d matrix of a linear map of states that couples coordinates."""
    matrix = np.empty((3 * d, 3 * d))
    for j in range(3 * d):
        unit = np.zeros((5, d))
        unit[j // d, j % d] = 1.0
        matrix[:, j] = linear(unit)[SECOND].ravel()
    return matrix
