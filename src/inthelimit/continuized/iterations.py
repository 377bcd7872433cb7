"""The continuized iteration, run exactly: random jump times, random coefficients, many copies.

The system, with rate-one jump times T_1 < T_2 < … and g the gradient at x just before a jump,

    dx = η (z − x) dt − γ g dN,        dz = η' (x − z) dt − γ' g dN,

is, at its jump times and with the coefficients of `Schedule.step(T_k, T_{k+1})`,

    y_k = x_k + τ (z_k − x_k),    x_{k+1} = y_k − γ ∇f(y_k),
    z_{k+1} = z_k + τ' (y_k − z_k) − γ' ∇f(y_k).

In the composite problem f + g the x-jump is x_{k+1} = prox_{γ g}(y_k − γ ∇f(y_k)), and the gradient
of the z-jump is replaced by (y_k − x_{k+1})/γ.

Source: arXiv:2102.06035; arXiv:2106.07644 with noisy gradients.  The proximal jump, clocks
that are not exponential, and their bounds are no part of the papers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.continuized._gradients import Gradient, shaped, starting_point
from inthelimit.continuized._process import Process, Proximal
from inthelimit.continuized.schedules import Schedule


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
        O((log K + d) · n · copies).  Source: arXiv:2102.06035, exact discretisation.
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
        read-only, and moves on after the call: copy what you keep of it.
    x0 : array_like, shape (d,) or (d, copies)
        Starting point; with columns, one for each copy.
    schedule : Schedule
        The coefficients.
    rng : numpy.random.Generator
        Each step draws the gaps of all copies first, and the noise of the gradient then.
    z0 : array_like, shape of x0 or (d,), optional
        Starting point of z; x0 if not given.  The theorems allow any.
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

    Returns
    -------
    iterator of State
        Endless, unless the clock is given.

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
    Source: arXiv:2102.06035, exact discretisation.

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
    if not isinstance(schedule, Schedule):
        raise ValueError(f"schedule must be a Schedule, got {schedule!r}")
    if proximal is not None and not callable(proximal):
        raise ValueError(f"proximal must be callable, got {proximal!r}")
    return _steps(Process(x, z, schedule, shaped(gradient, rng), proximal), times, every)


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
    Memory: 3 K d copies numbers.  Source: arXiv:2102.06035, exact discretisation.

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
    states = continuized_steps(
        gradient, x0, schedule, rng=rng, z0=z0, n_copies=n_copies, clock=clock, proximal=proximal
    )
    if not isinstance(clock, str) and np.shape(clock)[0] < n_steps:
        raise ValueError(f"clock must have n_steps = {n_steps} times, got {np.shape(clock)[0]}")
    start = next(states)
    x, z = np.empty((2, n_steps + 1, *start.x.shape))
    y, times = np.empty_like(x[1:]), np.empty((n_steps + 1, *np.shape(start.time)))
    x[0], z[0], times[0] = start.x, start.z, start.time
    for state in islice(states, n_steps):
        k = state.step
        x[k], z[k], y[k - 1], times[k] = state.x, state.z, state.y, state.time
    times, x, z, y = (_read_only(array) for array in (times, x, z, y))
    return ContinuizedRun(times, x, z, y, schedule)


def _steps(process: Process, times: Iterator[Array], every: int) -> Iterator[State]:
    """Yield every `every`-th state; a jump that nobody reads is one pass with the mixing after."""
    step, time = 0, np.zeros(process.x.shape[1:])
    yield _state(process, step, time, process.x.copy())
    upcoming, mixed = next(times, None), False
    while upcoming is not None:
        if not mixed:
            process.mix(time, upcoming)
        step, time = step + 1, upcoming
        if step % every == 0:
            y = process.x.copy()
            process.evaluate(step)
            process.kick(step, time)
            yield _state(process, step, time, y)
            upcoming, mixed = next(times, None), False
        else:
            process.evaluate(step)
            upcoming, mixed = next(times, None), True
            process.kick(step, time, until=upcoming)


def _state(process: Process, step: int, time: Array, y: Array) -> State:
    arrays = (np.array(time), process.x.copy(), process.z.copy(), y)
    return State(step, *map(_read_only, arrays))


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
    gaps = np.diff(times, axis=0, prepend=0.0)
    if (gaps <= 0.0).any():
        k = int(np.argwhere(gaps <= 0.0)[0][0])
        raise ValueError(f"clock must be positive and increasing, but is not at index {k}")
    if times.ndim == 1:
        times = times.reshape(-1, *(1 for _ in copies))
    return iter(np.broadcast_to(times, (times.shape[0], *copies)))


def _poisson(rng: np.random.Generator, copies: tuple[int, ...]) -> Iterator[Array]:
    time = np.zeros(copies)
    while True:
        gap = rng.exponential(size=copies)
        # A gap may be drawn as 0, and a jump at time 0 has no coefficients.
        time = np.asarray(time + np.maximum(gap, np.finfo(np.float64).tiny))
        yield time
