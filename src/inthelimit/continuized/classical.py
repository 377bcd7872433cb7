"""What the continuized iteration is compared with: descent, Nesterov's method, and its flow.

For f convex with L-Lipschitz gradient, and q = √(μ/L) where f is μ-strongly convex,

    f(x_k) − f* ≤ L‖x_0 − x*‖²/(2k)        (gradient descent, step 1/L),
    f(x_k) − f* ≤ 2L‖x_0 − x*‖²/(k + 1)²        (Nesterov's method, μ = 0),
    f(x_k) − f* ≤ (1 − q)ᵏ (f(x_0) − f* + μ/2 ‖x_0 − x*‖²)        (Nesterov's method, μ > 0),
    f(x(s)) − f* ≤ 2‖x_0 − x*‖²/s²        (its flow x'' + (3/s) x' + ∇f(x) = 0).

The flow is the limit L → ∞ of Nesterov's method at k = s√L, and of the continuized one at t = s√L.

Source: Nesterov (1983); Beck and Teboulle (2009); Su, Boyd and Candès, arXiv:1503.01243.
"""

from collections.abc import Callable
from itertools import count

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp

from inthelimit import ConvergenceError, _checks
from inthelimit._checks import Array
from inthelimit.continuized._gradients import (
    Gradient,
    checked,
    require_convergent,
    shaped,
    starting_point,
)

# Relative change of the gradient over the interval that the series covers: what the series leaves
# out, relative to what it says, is smaller than the square of this.
SERIES_CHANGE = 1e-5
MAX_HALVINGS = 200
# Seconds to a minute; a smooth gradient needs some tens of evaluations an oscillation.
MAX_EVALUATIONS = 1_000_000
FLOW_TOLERANCE = 1e-11


def gradient_descent(gradient: Gradient, x0: ArrayLike, *, step: float, n_steps: int) -> Array:
    """Return the iterates x_{k+1} = x_k − step ∇f(x_k).

    Parameters
    ----------
    gradient : callable
        ``gradient(x)`` returns ∇f(x), in the shape (d,) or (d, copies) of x, which is read-only.
    x0 : array_like, shape (d,) or (d, copies)
    step : float
        > 0; at most 1/L for the bound.
    n_steps : int
        ≥ 0.

    Returns
    -------
    ndarray, shape (n_steps + 1, d[, copies])

    Raises
    ------
    ValueError
        If an argument is out of range, or a gradient, at a step that is named, has the wrong shape
        or is not finite.
    ConvergenceError
        If the iterates diverge, naming the step.

    Examples
    --------
    >>> gradient_descent(lambda x: x, [1.0], step=0.5, n_steps=3)[:, 0]
    array([1.   , 0.5  , 0.25 , 0.125])
    """
    return _descent(gradient, x0, step, n_steps, None)


def stochastic_gradient_descent(
    gradient: Gradient, x0: ArrayLike, *, step: float, n_steps: int, rng: np.random.Generator
) -> Array:
    """Return the iterates x_{k+1} = x_k − step g_k, with g_k an estimate of ∇f(x_k).

    Parameters
    ----------
    gradient : callable
        ``gradient(x, rng)`` returns g_k, independent for each column of x.
    x0 : array_like, shape (d,) or (d, copies)
    step : float
        > 0; for least squares at most 1/R², and then E‖x_k − x*‖² ≤ (1 − μ/R²)ᵏ‖x_0 − x*‖².
    n_steps : int
        ≥ 0.
    rng : numpy.random.Generator
        Handed to the gradient.

    Returns
    -------
    ndarray, shape (n_steps + 1, d[, copies])

    Raises
    ------
    ValueError
        If an argument is out of range, or a gradient, at a step that is named, has the wrong shape
        or is not finite.
    ConvergenceError
        If the iterates diverge, naming the step.

    Examples
    --------
    >>> noisy = lambda x, rng: x + rng.normal(size=x.shape)
    >>> rng = np.random.default_rng(0)
    >>> stochastic_gradient_descent(noisy, [1.0, 1.0], step=0.1, n_steps=10, rng=rng).shape
    (11, 2)
    """
    return _descent(gradient, x0, step, n_steps, _checks.generator("rng", rng))


def nesterov(
    gradient: Gradient, x0: ArrayLike, *, L: float, mu: float = 0.0, n_steps: int
) -> Array:
    """Return the iterates x_k of Nesterov's accelerated gradient method.

    Parameters
    ----------
    gradient : callable
        ``gradient(x)`` returns ∇f(x), in the shape (d,) or (d, copies) of x, which is read-only.
    x0 : array_like, shape (d,) or (d, copies)
    L, mu : float
        Smoothness and strong convexity, 0 ≤ μ ≤ L, L > 0.
    n_steps : int
        ≥ 0.

    Returns
    -------
    ndarray, shape (n_steps + 1, d[, copies])

    Raises
    ------
    ValueError
        If an argument is out of range, or a gradient, at a step that is named, has the wrong shape
        or is not finite.
    ConvergenceError
        If the iterates diverge, naming the step.

    Notes
    -----
    x_k = y_k − ∇f(y_k)/L and y_{k+1} = x_k + β (x_k − x_{k−1}), y_1 = x_0, with β = (k−1)/(k+2)
    for μ = 0, else the constant (1 − q)/(1 + q).  The bounds are in the text of the module.

    Examples
    --------
    >>> h = np.array([1.0, 0.01])
    >>> x = nesterov(lambda x: h * x, [1.0, 1.0], L=1.0, n_steps=30)
    >>> bool(0.5 * h @ x[-1] ** 2 <= 2 * 2.0 / 31**2)
    True
    """
    L = _checks.number("L", L, above=0.0)
    mu = _checks.number("mu", mu, at_least=0.0)
    if mu > L:
        raise ValueError(f"mu must be ≤ L = {L:g}, got {mu}")
    n_steps = _checks.integer("n_steps", n_steps, at_least=0)
    x = _iterates(x0, n_steps)
    evaluate = checked(gradient, None)
    q = np.sqrt(mu / L)
    y = x[0]
    for k in range(1, n_steps + 1):
        with np.errstate(over="ignore"):
            x[k] = y - evaluate(y, k) / L
            require_convergent(np.vdot(x[k], x[k]), k)
        beta = (1 - q) / (1 + q) if mu > 0.0 else (k - 1) / (k + 2)
        y = x[k] + beta * (x[k] - x[k - 1])
    return x


def accelerated_flow(gradient: Gradient, x0: ArrayLike, times: ArrayLike) -> Array:
    """Return x(s) for x'' + (3/s) x' + ∇f(x) = 0, x(0) = x_0, x'(0) = 0.

    Parameters
    ----------
    gradient : callable
        ``gradient(x)`` returns ∇f(x), of the shape (d,) of x, which is read-only.
    x0 : array_like, shape (d,)
    times : array_like, shape (n,)
        Strictly increasing, ≥ 0.

    Returns
    -------
    ndarray, shape (n, d)
        To about ten digits of the largest entry of x0 − x(s), for a smooth gradient.

    Raises
    ------
    ValueError
        If an argument has the wrong shape or range, or a gradient the wrong shape or no finite
        value.
    ConvergenceError
        If the integrator fails.

    Notes
    -----
    Off the singularity by x = x_0 − s²/8 ∇f(x_0) + s⁴/192 ∇²f(x_0)∇f(x_0), the Hessian term by a
    difference of gradients; then SciPy's DOP853.
    Source: arXiv:1503.01243, section 2; the limit of the process of arXiv:2102.06035 at t = s√L.

    Examples
    --------
    On ½x² the flow is 2 J₁(s)/s, which is 0 at the first zero of J₁.

    >>> flow = accelerated_flow(lambda x: x, [1.0], [0.0, 3.8317059702075125])
    >>> flow[:, 0].round(8) + 0.0
    array([1., 0.])
    """
    x0 = _checks.vector("x0", x0)
    times = _checks.increasing("times", times, at_least=0.0)
    evaluate = checked(gradient, None, clock="s =")
    pull = evaluate(x0, 0.0)
    if not pull.any() or times[-1] == 0.0:
        return np.repeat(x0[None, :], times.size, axis=0)

    start = _end_of_series(shaped(gradient, None, clock="s ="), x0, pull, times[-1])
    early = times <= start
    displacement = np.empty((times.size, x0.size))
    for i in np.flatnonzero(early):
        displacement[i] = _series(evaluate, x0, pull, times[i])[0]
    if not early.all():
        displacement[~early] = _integrate(evaluate, x0, pull, start, times[~early])
    return x0 + displacement


Evaluate = Callable[[Array, float], Array]


def _series(evaluate: Evaluate, x0: Array, pull: Array, s: float) -> tuple[Array, Array]:
    """Return x(s) − x_0 and x'(s) by the first two terms of their series."""
    change = evaluate(x0 - s * s / 8 * pull, s) - pull
    return -s * s / 8 * pull - s * s / 24 * change, -s / 4 * pull - s / 6 * change


def _end_of_series(evaluate: Evaluate, x0: Array, pull: Array, end: float) -> float:
    """Return an s ≤ end up to which the gradient is nearly linear along the flow."""
    s = end
    for _ in range(MAX_HALVINGS):
        # The first guess may lie far away, where the gradient is anything, or infinite.
        with np.errstate(all="ignore"):
            moved = x0 - s * s / 8 * pull
            change = np.abs(evaluate(moved, s) - pull).max()
        if s < end and np.array_equal(moved, x0):
            break
        if change <= SERIES_CHANGE * np.abs(pull).max():
            return s
        s /= 2
    raise ConvergenceError(
        f"accelerated_flow cannot start: the gradient still jumps at distance {s:.3g} from x0. "
        f"Start where the gradient is continuous"
    )


def _integrate(evaluate: Evaluate, x0: Array, pull: Array, start: float, times: Array) -> Array:
    """Return x − x_0 at the times, all beyond `start`, from the series at `start`."""
    d = x0.size
    evaluations = count(1)

    def velocity(s: float, state: Array) -> Array:
        if next(evaluations) > MAX_EVALUATIONS:
            raise ConvergenceError(
                f"accelerated_flow used {MAX_EVALUATIONS} gradients by s = {s:.6g}. "
                f"Ask for earlier times, or for a gradient that is smooth"
            )
        return np.concatenate([state[d:], -3 / s * state[d:] - evaluate(x0 + state[:d], s)])

    first = np.concatenate(_series(evaluate, x0, pull, start))
    solution = solve_ivp(
        velocity,
        (start, times[-1]),
        first,
        method="DOP853",
        t_eval=times,
        rtol=FLOW_TOLERANCE,
        atol=FLOW_TOLERANCE * np.abs(first).max(),
    )
    if not solution.success:
        reached = solution.t[-1] if solution.t.size else start
        raise ConvergenceError(
            f"accelerated_flow stopped at s = {reached:.6g}: {solution.message} "
            f"Ask for earlier times, or for a gradient that is smooth"
        )
    displacement: Array = solution.y[:d].T
    return displacement


def _descent(
    gradient: Gradient,
    x0: ArrayLike,
    step: float,
    n_steps: int,
    rng: np.random.Generator | None,
) -> Array:
    step = _checks.number("step", step, above=0.0)
    n_steps = _checks.integer("n_steps", n_steps, at_least=0)
    x = _iterates(x0, n_steps)
    evaluate = checked(gradient, rng)
    for k in range(n_steps):
        with np.errstate(over="ignore"):
            x[k + 1] = x[k] - step * evaluate(x[k], k + 1)
            require_convergent(np.vdot(x[k + 1], x[k + 1]), k + 1)
    return x


def _iterates(x0: ArrayLike, n_steps: int) -> Array:
    """Return room for all iterates, the first one in place."""
    first = starting_point("x0", x0)
    x = np.empty((n_steps + 1, *first.shape))
    x[0] = first
    return x
