"""The continuized iteration, run exactly: random jump times, random coefficients, many copies.

The system, with rate-one jump times T_1 < T_2 < … and g the gradient at x just before a jump,

    dx = η (z − x) dt − γ g dN,        dz = η' (x − z) dt − γ' g dN,

is, at its jump times and with the coefficients of `Schedule.step(T_k, T_{k+1})`,

    y_k = x_k + τ (z_k − x_k),    x_{k+1} = y_k − γ ∇f(y_k),
    z_{k+1} = z_k + τ' (y_k − z_k) − γ' ∇f(y_k).

In the composite problem f + g the x-jump is x_{k+1} = prox_{γ g}(y_k − γ ∇f(y_k)), and the gradient
of the z-jump is replaced by (y_k − x_{k+1})/γ.

Source: arXiv:2102.06035, Theorems A–C; arXiv:2106.07644, Theorem 1.  The proximal jump, clocks
that are not exponential, and their bounds are no part of the papers.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit._compiled import compiled
from inthelimit.continuized._gradients import (
    Gradient,
    require_convergent,
    require_finite,
    shaped,
    starting_point,
)
from inthelimit.continuized.schedules import Schedule

Proximal = Callable[[Array, float], Any]


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """The iterates after one jump, in read-only arrays that no later step changes.

    Attributes
    ----------
    step : int
        The number k of jumps so far.
    time : float or ndarray, shape (copies,)
        T_k; 0 at k = 0.
    x, z : ndarray, shape (d,) or (d, copies)
        The two points just after the jump.
    y : ndarray, same shape
        x just before the jump, where its gradient was taken; x_0 at k = 0.
    """

    step: int
    time: Array
    x: Array
    z: Array
    y: Array


@dataclass(frozen=True, slots=True, eq=False)
class ContinuizedRun:
    """A whole run, at its jump times and, by `between`, at any other.

    Attributes
    ----------
    times : ndarray, shape (K + 1,) or (K + 1, copies)
        0 = T_0 < T_1 < … < T_K.
    x, z : ndarray, shape (K + 1, d) or (K + 1, d, copies)
        The two points just after each jump.
    y : ndarray, shape (K, d) or (K, d, copies)
        x just before jumps 1 to K, where the gradients were taken.
    schedule : Schedule
        What was run.
    """

    times: Array
    x: Array
    z: Array
    y: Array
    schedule: Schedule

    def between(self, t: ArrayLike) -> tuple[Array, Array]:
        """Return (x_t, z_t) at any times 0 ≤ t ≤ T_K, by the exact solution between jumps.

        Parameters
        ----------
        t : array_like, a number or shape (n,)
            The same times for all copies.

        Returns
        -------
        (x_t, z_t) : ndarrays, shape (d[, copies]) for a number and (n, d[, copies]) for n times
            Right-continuous: at a jump time, the state just after the jump.

        Raises
        ------
        ValueError
            If some t is negative, not finite, or beyond the last jump of some copy.

        Notes
        -----
        O((log K + d) · n · copies).  Source: arXiv:2102.06035, Theorem B.
        """
        t = _checks.real_array("t", t)
        if t.ndim > 1:
            raise ValueError(f"t must be a number or have shape (n,), got {t.shape}")
        end = self.times[-1].min()
        if t.size and not (t.min() >= 0.0 and t.max() <= end):
            raise ValueError(f"t must be in [0, {end}], the last jump, got {t.min()} to {t.max()}")
        times = self.times.reshape(self.times.shape[0], -1)
        flat = np.atleast_1d(t)
        last = np.stack([np.searchsorted(column, flat, "right") - 1 for column in times.T], axis=1)
        copies = np.arange(times.shape[1])
        x, z = (self._gather(points, last, copies) for points in (self.x, self.z))
        since = np.take_along_axis(times, last, axis=0)[:, None, :]
        x, z = self.schedule.mix(x, z, since, flat[:, None, None])
        shape = t.shape + self.x.shape[1:]
        return x.reshape(shape), z.reshape(shape)

    @staticmethod
    def _gather(points: Array, last: NDArray[np.intp], copies: NDArray[np.intp]) -> Array:
        """Return the points of jumps `last` (n, copies), of shape (n, d, copies)."""
        points = points.reshape(*points.shape[:2], -1)
        return np.moveaxis(points[last, :, copies], -1, 1)


def continuized_steps(
    gradient: Gradient,
    x0: ArrayLike,
    schedule: Schedule,
    *,
    rng: np.random.Generator,
    z0: ArrayLike | None = None,
    n_copies: int | None = None,
    clock: str | ArrayLike = "poisson",
    proximal: Proximal | None = None,
    every: int = 1,
) -> Iterator[State]:
    """Yield the continuized iterates one by one, the starting point first.

    Parameters
    ----------
    gradient : callable
        ``gradient(x)``, with x of shape (d,) or (d, copies), returns ∇f(x) in the same shape; or
        ``gradient(x, rng)`` returns an unbiased estimate, independent for each copy.  Its x is
        read-only.
    x0 : array_like, shape (d,) or (d, copies)
        Starting point; with columns, one for each copy.
    schedule : Schedule
        The coefficients.
    rng : numpy.random.Generator
        Each step draws the gaps of all copies first, and the noise of the gradient then.
    z0 : array_like, shape of x0 or (d,), optional
        Starting point of z; x0 if not given.  The theorems are for x_0 = z_0 or any two points.
    n_copies : int, optional
        Run this many copies from the one x0 of shape (d,), as columns with clocks of their own.
    clock : {"poisson", "regular"} or array_like, shape (K,) or (K, copies)
        Jump times with gaps Exp(1); T_k = k, which the theorems do not cover; or given ones,
        positive and increasing, after the last of which the iteration ends.
    proximal : callable, optional
        ``proximal(v, step)`` returns argmin g + ‖· − v‖²/(2 step), column by column, for the
        problem f + g.
    every : int, default 1
        Yield steps 0, every, 2 every, … only.

    Yields
    ------
    State

    Raises
    ------
    ValueError
        At once, if an argument has the wrong shape or range; at a step, which it names, if a
        gradient has the wrong shape or is not finite.
    ConvergenceError
        If the iterates diverge, naming the step.

    Notes
    -----
    A step costs one gradient and O(d · copies) arithmetic, in two passes over the state.  The
    iteration works in place, and what it yields are copies: of thousands of copies, `every` saves
    the memory traffic of the states that nobody reads.
    Source: arXiv:2102.06035, Theorem B.

    Examples
    --------
    >>> from inthelimit.continuized import convex_schedule
    >>> rng = np.random.default_rng(0)
    >>> for state in continuized_steps(lambda x: x, [1.0], convex_schedule(1.0), rng=rng):
    ...     if state.step == 20:
    ...         break
    >>> bool(abs(state.x[0]) < 2 / state.time)
    True
    """
    x, z = _start(x0, z0, n_copies)
    times = _clock(clock, _checks.generator("rng", rng), x.shape[1:])
    every = _checks.integer("every", every, at_least=1)
    jump = _jump(gradient, schedule, rng, proximal)
    return _steps(x, z, times, jump, every)


def continuized_nesterov(
    gradient: Gradient,
    x0: ArrayLike,
    schedule: Schedule,
    *,
    n_steps: int,
    rng: np.random.Generator,
    z0: ArrayLike | None = None,
    n_copies: int | None = None,
    clock: str | ArrayLike = "poisson",
    proximal: Proximal | None = None,
) -> ContinuizedRun:
    """Run `n_steps` continuized iterations and keep them all.

    Parameters
    ----------
    gradient, x0, schedule, rng, z0, n_copies, clock, proximal
        As for `continuized_steps`, which keeps nothing.
    n_steps : int
        The number K ≥ 0 of jumps; at most the length of a given clock.

    Returns
    -------
    ContinuizedRun

    Raises
    ------
    ValueError
        If an argument has the wrong shape or range, or a gradient, at a step that is named, has
        the wrong shape or is not finite.
    ConvergenceError
        If the iterates diverge, naming the step.

    Notes
    -----
    Memory: 3 K d copies numbers.  Source: arXiv:2102.06035, Theorem B.

    Examples
    --------
    >>> from inthelimit.continuized import strongly_convex_schedule
    >>> h = np.array([[1.0], [0.1]])
    >>> run = continuized_nesterov(
    ...     lambda x: h * x, [1.0, 1.0], strongly_convex_schedule(1.0, 0.1),
    ...     n_steps=60, n_copies=50, rng=np.random.default_rng(0),
    ... )
    >>> run.x.shape, bool(np.abs(run.x[-1]).max() < 0.01)
    ((61, 2, 50), True)
    """
    n_steps = _checks.integer("n_steps", n_steps, at_least=0)
    x, z = _start(x0, z0, n_copies)
    clock_times = _clock(clock, _checks.generator("rng", rng), x.shape[1:], n_steps)
    jump = _jump(gradient, schedule, rng, proximal)
    xs, zs = np.empty((2, n_steps + 1, *x.shape))
    ys = np.empty((n_steps, *x.shape))
    times = np.empty((n_steps + 1, *x.shape[1:]))
    xs[0], zs[0], times[0] = x, z, 0.0
    for k, time in zip(range(n_steps), clock_times, strict=False):
        jump(k + 1, times[k], time, x, z, ys[k])
        xs[k + 1], zs[k + 1], times[k + 1] = x, z, time
    times, xs, zs, ys = (_read_only(array) for array in (times, xs, zs, ys))
    return ContinuizedRun(times, xs, zs, ys, schedule)


Jump = Callable[[int, Array, Array, Array, Array, Array | None], None]


def _jump(
    gradient: Gradient,
    schedule: Schedule,
    rng: np.random.Generator,
    proximal: Proximal | None,
) -> Jump:
    """Return the map that takes x and z, in place, through one iteration, and writes y if asked."""
    if not isinstance(schedule, Schedule):
        raise ValueError(f"schedule must be a Schedule, got {schedule!r}")
    if proximal is not None and not callable(proximal):
        raise ValueError(f"proximal must be callable, got {proximal!r}")
    evaluate = shaped(gradient, rng)

    def jump(step: int, t0: Array, t1: Array, x: Array, z: Array, y: Array | None) -> None:
        flat_x, flat_z = x.reshape(x.shape[0], -1), z.reshape(x.shape[0], -1)
        _mix(flat_x, flat_z, *map(np.atleast_1d, schedule._mixing(t0, t1)))
        if y is not None:
            y[...] = x
        g = evaluate(x, step)
        at_jump = schedule._parameters(t1)
        gamma, gamma_prime = float(np.ravel(at_jump.gamma)[0]), np.atleast_1d(at_jump.gamma_prime)
        new_x = None
        if proximal is not None:
            require_finite(g, f"step {step}")
            new_x = _proximal_point(proximal, x - gamma * g, gamma, step)
            g = (x - new_x) / gamma
        # Arrays of one kind only, so that the kernel is compiled once.
        g = np.require(g, requirements=["C", "W"])
        square = _kick(flat_x, flat_z, g.reshape(flat_x.shape), gamma, gamma_prime)
        if not np.isfinite(square):
            require_finite(g, f"step {step}")
            require_convergent(square, step)
        if new_x is not None:
            x[...] = new_x

    return jump


@compiled
def _mix(x: Array, z: Array, tau: Array, tau_second: Array) -> None:
    """Add τ (z − x) to x and τ'' (x − z) to z; the τ's are one for each column."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            apart = z[i, j] - x[i, j]
            x[i, j] += tau[j] * apart
            z[i, j] -= tau_second[j] * apart


@compiled
def _kick(x: Array, z: Array, g: Array, gamma: float, gamma_prime: Array) -> float:
    """Subtract γ g from x and γ' g from z; return ‖x‖² + ‖z‖², which shows an entry not finite."""
    square = 0.0
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            new_x = x[i, j] - gamma * g[i, j]
            new_z = z[i, j] - gamma_prime[j] * g[i, j]
            x[i, j] = new_x
            z[i, j] = new_z
            square += new_x * new_x + new_z * new_z
    return square


def _proximal_point(proximal: Proximal, v: Array, gamma: float, step: int) -> Array:
    point = np.asarray(proximal(v, gamma), dtype=np.float64)
    if point.shape != v.shape or not np.isfinite(point).all():
        raise ValueError(
            f"proximal must return finite numbers in the shape {v.shape} of its argument, got "
            f"shape {point.shape} at step {step}"
        )
    return point


def _steps(x: Array, z: Array, times: Iterator[Array], jump: Jump, every: int) -> Iterator[State]:
    time = np.zeros(x.shape[1:])
    yield State(0, *map(_read_only, (time, x.copy(), z.copy(), x.copy())))
    for step, next_time in enumerate(times, start=1):
        y = np.empty_like(x) if step % every == 0 else None
        jump(step, time, next_time, x, z, y)
        time = next_time
        if y is not None:
            yield State(step, *map(_read_only, (time.copy(), x.copy(), z.copy(), y)))


def _read_only(array: Array) -> Array:
    array.flags.writeable = False
    return array[()]


def _start(x0: ArrayLike, z0: ArrayLike | None, n_copies: int | None) -> tuple[Array, Array]:
    """Return x and z of the same shape, (d,) or (d, copies)."""
    x = starting_point("x0", x0)
    if n_copies is not None:
        n_copies = _checks.integer("n_copies", n_copies, at_least=1)
        if x.ndim == 2 and x.shape[1] != n_copies:
            raise ValueError(f"n_copies must be the {x.shape[1]} columns of x0, got {n_copies}")
        if x.ndim == 1:
            x = np.repeat(x[:, None], n_copies, axis=1)
    if z0 is None:
        return x, x.copy()
    z = starting_point("z0", z0)
    if z.ndim < x.ndim and z.size == x.shape[0]:
        z = np.repeat(z[:, None], x.shape[1], axis=1)
    if z.shape != x.shape:
        raise ValueError(f"z0 must have the shape {x.shape} of x0, got {z.shape}")
    return x, z


def _clock(
    clock: str | ArrayLike,
    rng: np.random.Generator,
    copies: tuple[int, ...],
    n_steps: int | None = None,
) -> Iterator[Array]:
    """Return the iterator over T_1, T_2, …, each of shape () or (copies,)."""
    if isinstance(clock, str):
        clock = _checks.choice("clock", clock, ("poisson", "regular"))
        if clock == "regular":
            return (np.full(copies, float(k)) for k in count(1))
        return _poisson(rng, copies)
    times = _checks.real_array("clock", clock)
    if times.ndim not in (1, 1 + len(copies)) or times.shape[1:] not in ((), copies):
        raise ValueError(
            f"clock must have shape (K,)"
            f"{f' or (K, {copies[0]})' if copies else ''}, got {times.shape}"
        )
    if n_steps is not None and times.shape[0] < n_steps:
        raise ValueError(f"clock must have n_steps = {n_steps} times, got {times.shape[0]}")
    gaps = np.diff(times, axis=0, prepend=0.0)
    if (gaps <= 0.0).any():
        k = int(np.argwhere(gaps <= 0.0)[0][0])
        raise ValueError(f"clock must be positive and increasing, but is not at index {k}")
    return (np.broadcast_to(time, copies) for time in times)


def _poisson(rng: np.random.Generator, copies: tuple[int, ...]) -> Iterator[Array]:
    time = np.zeros(copies)
    while True:
        gap = rng.exponential(size=copies)
        # A gap may be drawn as 0, and a jump at time 0 has no coefficients.
        time = np.asarray(time + np.maximum(gap, np.finfo(np.float64).tiny))
        yield time
