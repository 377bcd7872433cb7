"""The gradient flow with two time-scales at a finite ratio ε, and with the outer layer at its best.

In slow time τ = εt,

    joint flow:     ε da/dτ = −∂L/∂a,    du/dτ = −∂L/∂u,
    reduced flow:   a = a*(u) = argmin_a L(a, u),    du/dτ = −∂L/∂u = −∇_u min_a L(a, u),

both at a finite width η of the steps.  As ε → 0 the joint flow tends to the reduced one at order
one in ε while the Gram matrix of the features stays away from singular; as η → 0 the reduced flow
tends to the limit flow (`limit_flow`), at order one in η.

Source: arXiv:2304.09576, the two-time-scale limit, reconstructed from its abstract and the code
that goes with it; the orders are derived and measured here.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inthelimit import ConvergenceError, _checks
from inthelimit._checks import Array
from inthelimit.two_timescale import _adaptive, _best, _rosenbrock
from inthelimit.two_timescale.network import StepNetwork, captured_jumps
from inthelimit.two_timescale.target import PiecewiseConstant

# A smaller rtol would ask of a step what float64 does not hold; a larger one loses events.
MIN_RTOL, MAX_RTOL = 1e-12, 1e-2
# A thousand times what flows of the paper's size need.
MAX_STEPS = 500_000


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """A trajectory of the joint or of the reduced flow.

    Attributes
    ----------
    target : PiecewiseConstant
        f*, of n pieces.
    eta : float
        η.
    times : ndarray, shape (T,)
        Slow times τ.
    positions : ndarray, shape (T, m)
        u(τ), in the order of the start.
    outer : ndarray, shape (T, m + 1)
        a(τ): the bias, then the weight of each neuron.
    losses : ndarray, shape (T,)
        L(a(τ), u(τ)).
    fast_time : ndarray, shape (T,)
        t = ∫ dτ/ε, what a run of gradient descent pays for; infinite from the start in the reduced
        flow, where ε = 0.
    n_evaluations : int
        Evaluations of the gradient of L.
    status : str
        What was done, in words.
    """

    target: PiecewiseConstant
    eta: float
    times: Array
    positions: Array
    outer: Array
    losses: Array
    fast_time: Array
    n_evaluations: int
    status: str

    def network(self, k: int = -1) -> StepNetwork:
        """Return the network at times[k], by default the last."""
        return StepNetwork(self.outer[k], self.positions[k], self.eta)

    def captured(self, within: float | None = None) -> NDArray[np.bool_]:
        """Return whether each jump has a neuron within η/2, or `within`, shape (T, n − 1)."""
        within = self.eta / 2 if within is None else within
        return captured_jumps(self.target, self.positions, within=within)


def gradient_flow(
    target: PiecewiseConstant,
    u0: ArrayLike,
    *,
    epsilon: float | Callable[[float], float],
    eta: float,
    times: ArrayLike,
    a0: ArrayLike | None = None,
    rtol: float = 1e-7,
) -> Flow:
    """Integrate the joint gradient flow of outer layer and positions, in slow time.

    Parameters
    ----------
    target : PiecewiseConstant
        f*.
    u0 : array_like, shape (m,)
        Positions at time 0, within [0, 1], in any order.
    epsilon : float > 0 or callable
        ε, the speed of the positions relative to that of the outer layer.  A callable is asked for
        ε at every moment, given the lag L(a, u) − min_a L(a, u) of the outer layer.
    eta : float > 0
        η, at most the length of the shortest piece of f*.
    times : array_like, shape (T,)
        Slow times τ ≥ 0, strictly increasing.
    a0 : array_like, shape (m + 1,), optional
        The outer layer at time 0; zeros if not given.
    rtol : float in [1e-12, 1e-2]
        Error allowed in a step, in the positions and, relative to max|f*|, in the plateau heights.

    Returns
    -------
    Flow

    Raises
    ------
    ValueError
        If an argument has the wrong shape or is out of range, or if `epsilon(lag)` is not > 0.
    ConvergenceError
        If the accuracy cannot be reached.

    Notes
    -----
    Stiff at both ends: the outer layer relaxes at rates up to about 2m/ε, and a neuron on a jump J
    at 6J²/η.  A fixed ε is integrated by a Rosenbrock method of order 5 with the exact Hessian, in
    coordinates where it is banded: O(m) a step while transitions are apart, and some hundreds of
    steps whatever ε.  A callable is integrated by LSODA, some hundred times more slowly.
    Flows at ε near 1 amplify errors where neurons part: there errors can be 1e3 times `rtol`.
    Source: arXiv:2304.09576, the gradient flow with two time-scales (reconstructed).

    Examples
    --------
    >>> target = PiecewiseConstant([0.5], [0.0, 2.0])
    >>> flow = gradient_flow(target, [0.4, 0.7], epsilon=1e-4, eta=0.01, times=[0.0, 0.02, 0.2])
    >>> flow.positions.round(3)
    array([[0.4  , 0.7  ],
           [0.44 , 0.693],
           [0.5  , 0.691]])
    >>> flow.losses.round(4).tolist(), flow.captured()[:, 0].tolist()
    ([2.0, 0.181, 0.0014], [False, False, True])
    """
    start = _positions(u0)
    width = _width(target, eta)
    readings = _checks.increasing("times", times, at_least=0.0)
    rtol = _checks.number("rtol", rtol, at_least=MIN_RTOL, at_most=MAX_RTOL)
    outer = np.zeros(start.size + 1) if a0 is None else _checks.vector("a0", a0)
    if outer.size != start.size + 1:
        raise ValueError(
            f"a0 must have shape ({start.size + 1},), the bias and one entry for each neuron, "
            f"got {outer.shape}"
        )
    if callable(epsilon):
        run = _adaptive.integrate(target, outer, start, width, epsilon, readings, rtol)
        return _flow(target, width, readings, *run)
    ratio = _checks.number("epsilon", epsilon, above=0.0)
    positions, outers, evaluations, status = _integrate(
        target, width, ratio, outer, start, readings, rtol
    )
    fast_time = readings / ratio
    return _flow(target, width, readings, positions, outers, fast_time, evaluations, status)


def reduced_flow(
    target: PiecewiseConstant,
    u0: ArrayLike,
    *,
    eta: float,
    times: ArrayLike,
    rtol: float = 1e-7,
) -> Flow:
    """Integrate the flow of the positions with the outer layer at its optimum: ε = 0, η > 0.

    Parameters
    ----------
    target : PiecewiseConstant
        f*.
    u0 : array_like, shape (m,)
        Positions at time 0, within [0, 1], in any order.
    eta : float > 0
        η, at most the length of the shortest piece of f*.
    times : array_like, shape (T,)
        Slow times τ ≥ 0, strictly increasing.
    rtol : float in [1e-12, 1e-2]
        Error allowed in a step, in the positions and, relative to max|f*|, in the plateau heights.

    Returns
    -------
    Flow
        With `outer` = a*(u), and an infinite `fast_time` but at τ = 0.

    Raises
    ------
    ValueError
        If an argument has the wrong shape or is out of range.
    ConvergenceError
        If the accuracy cannot be reached.

    Notes
    -----
    The algebraic equation ∂L/∂a = 0 is solved along with the positions by the method of
    `gradient_flow`, which is L-stable, at ε = 0.
    Source: arXiv:2304.09576, the two-time-scale limit (reconstructed).

    Examples
    --------
    >>> target = PiecewiseConstant([0.5], [0.0, 2.0])
    >>> flow = reduced_flow(target, [0.4, 0.7], eta=0.01, times=[0.0, 0.02, 0.2])
    >>> flow.positions.round(3)
    array([[0.4  , 0.7  ],
           [0.441, 0.693],
           [0.5  , 0.691]])
    """
    start = _positions(u0)
    width = _width(target, eta)
    readings = _checks.increasing("times", times, at_least=0.0)
    rtol = _checks.number("rtol", rtol, at_least=MIN_RTOL, at_most=MAX_RTOL)
    outer = _best_layers(target, start[None], width)[0]
    # Neurons at one place share their weight, and rounding is not to part them.
    _, first, which = np.unique(start, return_index=True, return_inverse=True)
    outer[1:] = outer[1 + first][which]
    positions, _, evaluations, status = _integrate(target, width, 0.0, outer, start, readings, rtol)
    outers = _best_layers(target, positions, width)
    fast_time = np.where(readings > 0.0, np.inf, 0.0)
    return _flow(target, width, readings, positions, outers, fast_time, evaluations, status)


def _positions(u0: ArrayLike) -> Array:
    start = _checks.vector("u0", u0)
    if start.min() < 0.0 or start.max() > 1.0:
        outside = start.min() if start.min() < 0.0 else start.max()
        raise ValueError(f"u0 must be within [0, 1], got {outside}")
    return start


def _width(target: PiecewiseConstant, eta: float) -> float:
    width = _checks.number("eta", eta, above=0.0)
    if width > target.smallest_piece:
        raise ValueError(
            f"eta must be at most the length of the shortest piece of the target, "
            f"{target.smallest_piece:g}: wider steps reach over whole pieces, got {width}"
        )
    return width


def _integrate(
    target: PiecewiseConstant,
    eta: float,
    epsilon: float,
    outer: Array,
    start: Array,
    times: Array,
    rtol: float,
) -> tuple[Array, Array, int, str]:
    """Return positions, outer layers, evaluations and a status, or raise ConvergenceError.

    Neurons that start alike stay alike, though rounding may say otherwise: they are one neuron.
    """
    alike, which, copies = np.unique(
        np.stack([start, outer[1:]]), axis=1, return_inverse=True, return_counts=True
    )
    largest = max(target.amplitude, float(np.abs(outer).max()))
    problem = _rosenbrock.Problem(
        edges=target.edges,
        values=target.values,
        eta=eta,
        epsilon=epsilon,
        ridge=0.0 if epsilon > 0.0 else _best.RIDGE,
        copies=copies.astype(np.float64),
        tolerance_f=rtol * largest if largest > 0.0 else rtol,
        tolerance_u=rtol,
    )
    first = np.concatenate([outer[:1], copies * alike[1]])
    order = np.argsort(alike[0], kind="stable")
    positions, outers, taken, refused, outcome, reached = _rosenbrock.integrate(
        problem, first, alike[0].copy(), order, times, MAX_STEPS
    )
    if outcome != _rosenbrock.DONE:
        why = "steps ran out" if outcome == _rosenbrock.TOO_MANY_STEPS else "the step underflowed"
        raise ConvergenceError(
            f"the flow stopped at time {reached:.6g} of {times[-1]:.6g}: {why} after {taken} "
            f"steps ({refused} refused); try rtol larger than {rtol:g}, or an eta at which fewer "
            f"transitions overlap"
        )
    spread = np.column_stack([outers[:, 0], (outers[:, 1:] / copies)[:, which]])
    status = f"reached time {times[-1]:g} in {taken} steps ({refused} more refused)"
    return positions[:, which], spread, 8 * (taken + refused), status


def _best_layers(target: PiecewiseConstant, positions: Array, eta: float) -> Array:
    orders = np.argsort(positions, axis=1, kind="stable")
    outer, found = _best.best_outer_layers(positions, orders, eta, target.edges, target.values)
    if not found:
        raise ConvergenceError(
            f"reduced_flow could not tell the best heights of overlapping steps apart: try eta "
            f"smaller than {eta:g}, or fewer neurons"
        )
    return outer


def _flow(
    target: PiecewiseConstant,
    eta: float,
    times: Array,
    positions: Array,
    outer: Array,
    fast_time: Array,
    n_evaluations: int,
    status: str,
) -> Flow:
    orders = np.argsort(positions, axis=1, kind="stable")
    losses = _best.losses_along(outer, positions, orders, eta, target.edges, target.values)
    for array in (times, positions, outer, losses, fast_time):
        array.flags.writeable = False
    return Flow(target, eta, times, positions, outer, losses, fast_time, n_evaluations, status)
