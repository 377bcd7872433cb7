"""The flow in (a, s, r), by extrapolation of a half-implicit Euler method.

The second layer is fast but linear, ε a′ = V(s) − U(r) a/m; the positions (s, r) are slow, and
nonlinear.  One Euler step of size h moves the positions explicitly and then solves for a,

    (s, r) ← (s, r) + h (s′, r′)(a, s, r),        (1 + h U(r)/(m ε)) a ← a + h V(s)/ε,

so that for h ≫ ε it is explicit Euler for the flow in which a is always at its optimum.  Its error
has an expansion in powers of h: the results of 1, 2, 3, … substeps are extrapolated to h = 0.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from inthelimit import ConvergenceError
from inthelimit._checks import Array
from inthelimit.single_index._series import differentiated, power_series
from inthelimit.single_index.problem import SingleIndexProblem

MAX_STEPS = 20_000
# A step below this part of the time reached is rounding.
SMALLEST_STEP = 1e-13
FEWEST_COLUMNS = 3
MOST_COLUMNS = 8
# A step that is accepted with fewer columns than this is cheaper a unit of time when longer.
GOOD_COLUMNS = 6
# A kind of coordinate (a, s or r) is measured against its size, and below this it is rounding.
SMALLEST_SCALE = 1e-14

Kernel = Callable[[Array], Array]


class ClosedSystem:
    """The vector field of (a, s, r) and its half-implicit Euler steps, without checks.

    A state is one array of a, s and the rows of r, of shape (2 m + m²,).
    """

    __slots__ = ("U", "U_slope", "_V", "_V_slope", "epsilon", "m")

    def __init__(self, problem: SingleIndexProblem, m: int, epsilon: float) -> None:
        self.m = m
        self.epsilon = epsilon
        self._V = problem.phi * problem.sigma
        self._V_slope = differentiated(self._V)
        self.U: Kernel
        self.U_slope: Kernel
        if problem.activation is not None:
            self.U, self.U_slope = problem.activation.kernel, problem.activation.kernel_derivative
        else:
            squares = problem.sigma**2
            slopes = differentiated(squares)
            self.U = lambda r: power_series(squares, r)
            self.U_slope = lambda r: power_series(slopes, r)

    def split(self, state: Array) -> tuple[Array, Array, Array]:
        """Return views of a (m,), s (m,) and r (m, m)."""
        m = self.m
        return state[:m], state[m : 2 * m], state[2 * m :].reshape(m, m)

    def velocity(self, state: Array) -> Array:
        """Return (a′, s′, r′)."""
        a, s, r = self.split(state)
        velocity = self.position_velocity(state)
        velocity[: self.m] = (power_series(self._V, s) - self.U(r) @ a / self.m) / self.epsilon
        return velocity

    def position_velocity(self, state: Array) -> Array:
        """Return (0, s′, r′)."""
        a, s, r = self.split(state)
        velocity = np.zeros_like(state)
        _, s_velocity, r_velocity = self.split(velocity)
        pull = self.U_slope(r) * (a / self.m)  # a_j U′(r_ij)/m
        push = power_series(self._V_slope, s)
        # What keeping |u_i| = 1 takes out of push_i u* − Σ_j pull_ij u_j, along u_i.
        along = push * s - (pull * r).sum(axis=1)
        s_velocity[:] = a * (push - pull @ s - along * s)
        towards = a[:, None] * (np.outer(push, s) - pull @ r - along[:, None] * r)  # ⟨u_i′, u_j⟩
        np.add(towards, towards.T, out=r_velocity)
        np.fill_diagonal(r_velocity, 0.0)
        return velocity

    def euler(self, state: Array, velocity: Array, h: float) -> Array:
        """Return the state after a half-implicit step h, given the velocity of its positions."""
        new = state + h * velocity
        a, s, r = self.split(new)
        matrix = self.U(r) * (h / (self.m * self.epsilon))
        matrix.flat[:: self.m + 1] += 1.0
        factor = cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)
        a += h / self.epsilon * power_series(self._V, s)
        a[:] = cho_solve(factor, a, check_finite=False)
        return new


@dataclass(frozen=True, slots=True)
class Step:
    """The end of an extrapolated step, and whether it is good."""

    state: Array
    error: float  # estimated, in units of the tolerance
    columns: int

    def is_good(self) -> bool:
        """Return whether the error is within the tolerance."""
        return self.error <= 1.0

    def next_size(self, h: float) -> float:
        """Return the size to try next, after `h`."""
        if not np.isfinite(self.error):
            return h / 10
        room = 0.8 * max(self.error, 1e-8) ** (-1 / self.columns)
        if self.columns < GOOD_COLUMNS and self.is_good():
            room *= 1.5
        return h * float(np.clip(room, 0.1, 4.0))


@dataclass(slots=True)
class Steps:
    """The count of steps, kept up to date."""

    taken: int = 0
    rejected: int = 0


def states_at(
    system: ClosedSystem, state: Array, times: Array, rtol: float, steps: Steps
) -> Iterator[Array]:
    """Yield the states at increasing times, from `state` at time 0."""
    now, h = 0.0, system.epsilon / 10
    for time in times:
        while now < time:
            last = h >= time - now
            ahead = time - now if last else h
            step = extrapolated_step(system, state, ahead, rtol)
            size = step.next_size(ahead)
            steps.taken += 1
            if step.is_good():
                state, now = step.state, time if last else now + ahead
                h = max(h, size) if last else size
            else:
                steps.rejected += 1
                h = size
            if h < SMALLEST_STEP * max(now, system.epsilon) or steps.taken == MAX_STEPS:
                raise ConvergenceError(
                    f"population_flow stopped at t = {now:.6g} of {times[-1]:.6g} after "
                    f"{steps.taken} steps, the next of size {h:.3g}: raise rtol = {rtol:g}, "
                    f"shorten times, or start from a smaller second layer"
                )
        yield state


def extrapolated_step(system: ClosedSystem, state: Array, h: float, rtol: float) -> Step:
    """Return the state after time h, from as many columns of extrapolation as `rtol` needs."""
    with np.errstate(over="ignore", invalid="ignore"):
        return _extrapolated(system, state, h, rtol)


def _extrapolated(system: ClosedSystem, state: Array, h: float, rtol: float) -> Step:
    first = system.position_velocity(state)
    row: list[Array] = []
    error = np.inf
    for n in range(1, MOST_COLUMNS + 1):
        try:
            new = system.euler(state, first, h / n)
            for _ in range(n - 1):
                new = system.euler(new, system.position_velocity(new), h / n)
        except LinAlgError:  # r has left the correlation matrices: h is far too long
            return Step(state, np.inf, n)
        longer, row = row, [new]
        for k, worse in enumerate(longer, start=1):
            row.append(row[-1] + (n - k) / k * (row[-1] - worse))
        if n >= FEWEST_COLUMNS:
            before, error = error, _distance(system, state, row[-1], row[-2]) / rtol
            if error <= 1.0:
                return Step(row[-1], error, n)
            if not error < before * 2:  # no longer converging, or never did
                break
    return Step(row[-1], error, n)


def _distance(system: ClosedSystem, start: Array, new: Array, other: Array) -> float:
    """Return the largest relative distance of the parts a, s and r of two states."""
    if not np.isfinite(new).all():
        return np.inf
    worst = 0.0
    difference = system.split(new - other)
    for part, before, after in zip(difference, system.split(start), system.split(new), strict=True):
        size = SMALLEST_SCALE
        for value in (before, after):
            bare = value - np.eye(system.m) if value.ndim == 2 else value
            size = max(size, float(np.sqrt(np.mean(bare**2))))
        worst = max(worst, float(np.sqrt(np.mean(part**2))) / size)
    return worst
