"""The two-time-scale limit: steps at their best heights, whose positions flow.

The system.  In the limit ε → 0 the outer layer is at its optimum, and in the limit η → 0 the
neurons are true steps.  The best value between two successive neurons is the mean of f* there, so

    V(u) = min_a L(a, u) = Σ over plateaus ∫ (f* − mean of f*)² dx,      u' = −∇V(u)

in the slow time τ.  A plateau that sees one jump J, at distances p and q from its two ends, costs
J² pq/(p+q); a plateau that sees none costs nothing, and does not move its ends.

The limit flow.  If every jump has two neighbours of its own (two neurons in each interior piece,
one in the first and in the last), jumps decouple: p³ − q³ is conserved, the nearer neighbour
arrives at a time T_i ≤ 2(p+q)/J² ≤ 2/Δf² (`hit_time`), and V = 0 from max T_i on.  From any other
start neighbours are shared or missing; then the coupled flow is followed, and it may get stuck.

Source: arXiv:2304.09576, the two-time-scale limit, reconstructed from its abstract and the code
that goes with it; the invariant, the closed form and the coupled flow are worked out here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inthelimit import ConvergenceError, _checks
from inthelimit._checks import Array
from inthelimit.two_timescale import _coupled
from inthelimit.two_timescale._one_jump import hit_factor, way_left
from inthelimit.two_timescale.hit_times import hit_time
from inthelimit.two_timescale.target import PiecewiseConstant

Indices = NDArray[np.intp]


def limit_loss(target: PiecewiseConstant, u: ArrayLike) -> Array:
    """Return V(u) = min_a L(a, u) for true steps: the variance of f* within each plateau, summed.

    Parameters
    ----------
    target : PiecewiseConstant
        The staircase f*.
    u : array_like, shape (..., m)
        Positions in any order; one outside [0, 1] does nothing.

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    ValueError
        If `u` is not an array of finite numbers with at least one axis.

    Notes
    -----
    O((m + n) log(m + n)) for each network.  Source: arXiv:2304.09576, the limit of the loss.

    Examples
    --------
    >>> step = PiecewiseConstant([0.5], [0.0, 2.0])
    >>> limit_loss(step, [[0.4, 0.7], [0.5, 0.7]]).round(12)
    array([0.26666667, 0.        ])
    """
    positions = _checks.real_array("u", u)
    if positions.ndim == 0:
        raise ValueError(f"u must have shape (..., m), got {positions.shape}")
    rows = np.sort(np.clip(positions.reshape(-1, positions.shape[-1]), 0.0, 1.0), axis=1)
    losses = np.array([_loss_of_sorted(target, row) for row in rows])
    return losses.reshape(positions.shape[:-1])


@dataclass(frozen=True, slots=True, eq=False)
class LimitFlow:
    """The limit flow from one start.

    Attributes
    ----------
    target : PiecewiseConstant
        The staircase f*, of n pieces.
    start : ndarray, shape (m,)
        The positions at time 0, in the order given.
    times : ndarray, shape (T,)
        Slow times.
    positions : ndarray, shape (T, m)
        Positions of the neurons at `times`, in the order of `start`.
    losses : ndarray, shape (T,)
        V at `times`.
    hit_times : ndarray, shape (n - 1,)
        When a neuron came to each jump to stay; inf if none has.  On a good subdivision all are
        known, whatever `times` is; else those up to the last of `times`.
    hitters : ndarray of int, shape (n - 1,)
        Which neuron that is; −1 if none.
    flanks : ndarray of int, shape (n - 1, 2)
        The left and the right neighbour of each jump at time 0; −1 where there is none.
    invariants : ndarray, shape (n - 1,)
        p³ − q³ of each jump at time 0; where a neighbour is missing its distance is that of the
        end of [0, 1].  Conserved up to the hit on a good subdivision.
    status : str
        "ok" if the subdivision is good; else "bad subdivision: …" and what it means.
    """

    target: PiecewiseConstant
    start: Array
    times: Array
    positions: Array
    losses: Array
    hit_times: Array
    hitters: Indices
    flanks: Indices
    invariants: Array
    status: str

    def at(self, times: ArrayLike) -> Array:
        """Return the positions, of shape (..., m), at slow times ≥ 0 of any shape."""
        tau = _checks.real_array("times", times)
        if (tau < 0.0).any():
            raise ValueError(f"times must be ≥ 0, got {tau.min()}")
        distinct, back = np.unique(tau, return_inverse=True)
        if self.status == "ok":
            return _decoupled(self.target, self.start, self.flanks, distinct)[
                back.reshape(tau.shape)
            ]
        return _coupled_flow(self.target, self.start, distinct)[0][back.reshape(tau.shape)]

    def distances(self) -> Array:
        """Return p and q of each jump at `times`, shape (T, n - 1, 2), to its first neighbours."""
        return _distances(self.target, self.positions, self.flanks)

    def captured(self) -> NDArray[np.bool_]:
        """Return whether each jump has a neuron on it at the last of `times`, shape (n - 1,)."""
        captured: NDArray[np.bool_] = self.hit_times <= self.times[-1]
        return captured


def limit_flow(target: PiecewiseConstant, u0: ArrayLike, times: ArrayLike) -> LimitFlow:
    """Follow the limit flow u' = −∇V(u), from event to event.

    Parameters
    ----------
    target : PiecewiseConstant
        The staircase f*.
    u0 : array_like, shape (m,)
        Positions at time 0, in [0, 1], in any order.
    times : array_like, shape (T,)
        Slow times ≥ 0, strictly increasing.

    Returns
    -------
    LimitFlow

    Raises
    ------
    ValueError
        If a position is outside [0, 1], or the times are negative or not increasing.
    ConvergenceError
        If the coupled flow from a bad subdivision could not be followed.

    Notes
    -----
    On a good subdivision (see `LimitFlow.status`) there is no time step: the hit times are closed
    forms, and a distance at time τ solves r φ = J²(T − τ) by Newton's method, to rounding:
    O(m log m + T n) in all.  On a bad one the theorem is silent.  The coupled flow is then followed
    with local errors of 1e-13, its events located to rounding: a neuron that comes to a jump stays
    while both sides push it there, crosses if the far side pulls it on, and may be let go later.
    Source: arXiv:2304.09576, the two-time-scale limit; the coupled flow is beyond it.

    Examples
    --------
    >>> step = PiecewiseConstant([0.5], [0.0, 2.0])
    >>> flow = limit_flow(step, [0.531, 0.488], [0.0, 0.002, 0.005])
    >>> flow.positions.round(4)
    array([[0.531 , 0.488 ],
           [0.5305, 0.4926],
           [0.5304, 0.5   ]])
    >>> flow.hit_times.round(6), flow.hitters, flow.status
    (array([0.004328]), array([1]), 'ok')
    """
    start = _checks.vector("u0", u0)
    if (start < 0.0).any() or (start > 1.0).any():
        bad = start[(start < 0.0) | (start > 1.0)][0]
        raise ValueError(f"u0 must be within [0, 1], got {bad}")
    readings = _checks.increasing("times", times, at_least=0.0)
    flanks = _flanks(target, start)
    status = _status(target, start)
    p, q = np.moveaxis(_distances(target, start, flanks), -1, 0)
    if status == "ok":
        positions = _decoupled(target, start, flanks, readings)
        hit_times = hit_time(p, q, target.jumps)
        hitters = np.where(p <= q, flanks[:, 0], flanks[:, 1])
        losses = _decoupled_loss(target, positions, flanks)
    else:
        positions, hit_times, hitters = _coupled_flow(target, start, readings)
        losses = limit_loss(target, positions)
    return LimitFlow(
        target=target,
        start=start,
        times=readings,
        positions=positions,
        losses=losses,
        hit_times=hit_times,
        hitters=hitters,
        flanks=flanks,
        invariants=(p - q) * (p * p + p * q + q * q),
        status=status,
    )


def _flanks(target: PiecewiseConstant, start: Array) -> Indices:
    """Return the neighbours of each jump; a neuron on a jump is its left neighbour."""
    order = np.argsort(start, kind="stable")
    left = np.searchsorted(start[order], target.breakpoints, side="right") - 1
    padded = np.concatenate([order, [-1]])
    return np.stack([padded[left], padded[left + 1]], axis=-1)


def _distances(target: PiecewiseConstant, positions: Array, flanks: Indices) -> Array:
    """Return p and q of each jump, shape (..., n - 1, 2); from an end where no neuron is."""
    left = np.where(flanks[:, 0] < 0, 0.0, positions[..., flanks[:, 0]])
    right = np.where(flanks[:, 1] < 0, 1.0, positions[..., flanks[:, 1]])
    return np.stack([target.breakpoints - left, right - target.breakpoints], axis=-1)


def _status(target: PiecewiseConstant, start: Array) -> str:
    n = target.n_pieces
    pieces = np.searchsorted(target.breakpoints, start, side="left")
    counts = np.bincount(pieces, minlength=n)
    needed = np.full(n, 2)
    needed[[0, -1]] = 1 if n > 1 else 0
    short = np.flatnonzero(counts < needed)
    if short.size == 0:
        return "ok"
    held = ", ".join(
        f"({target.edges[i]:.6g}, {target.edges[i + 1]:.6g}) has {counts[i]} of {needed[i]} neurons"
        for i in short
    )
    return (
        f"bad subdivision: {held}, so some jump lacks a neighbour of its own; the theorem promises "
        f"nothing, and the flow shown is that of neighbours which are shared or missing"
    )


def _decoupled(target: PiecewiseConstant, start: Array, flanks: Indices, times: Array) -> Array:
    """Return the positions, shape (T, m), on a good subdivision: only flanks move."""
    p, q = np.moveaxis(_distances(target, start, flanks), -1, 0)
    near, far = np.broadcast_arrays(*np.sort([p, q], axis=0), np.empty((times.size, 1)))[:2]
    whole = near * hit_factor(near, far)
    gone = np.minimum(target.jumps**2 * times[:, None], whole)
    near, far = way_left(whole - gone, near, far)
    positions = np.tile(start, (times.size, 1))
    positions[:, flanks[:, 0]] = target.breakpoints - np.where(p <= q, near, far)
    positions[:, flanks[:, 1]] = target.breakpoints + np.where(p <= q, far, near)
    positions[times == 0.0] = start
    return positions


def _decoupled_loss(target: PiecewiseConstant, positions: Array, flanks: Indices) -> Array:
    near, far = np.moveaxis(np.sort(_distances(target, positions, flanks), axis=-1), -1, 0)
    harmonic = near / (1 + near / np.where(far > 0.0, far, 1.0))
    loss: Array = (target.jumps**2 * harmonic).sum(axis=-1)
    return loss


def _coupled_flow(
    target: PiecewiseConstant, start: Array, times: Array
) -> tuple[Array, Array, Indices]:
    """Return positions (T, m), hit times and hitters of the flow from any start."""
    order = np.argsort(start, kind="stable")
    # Dividing heights by their span, and multiplying times by its square, leaves the flow as it is.
    span = np.ptp(target.values)
    sorted_positions, hit_times, hitters, outcome, reached = _coupled.follow(
        target.edges,
        (target.values - target.values.min()) / span,
        start[order],
        times * span**2,
        _coupled.TOLERANCE,
        _coupled.MOST_STEPS,
    )
    if outcome != _coupled.DONE:
        raise ConvergenceError(
            f"limit_flow stopped at time {reached / span**2:.6g} of {times[-1]:.6g}: its events or "
            f"steps came too close together. Move the starting positions a little, or stop earlier"
        )
    positions = np.empty_like(sorted_positions)
    positions[:, order] = sorted_positions
    named = np.where(hitters < 0, -1, order[hitters])
    return positions, hit_times / span**2, named


def _loss_of_sorted(target: PiecewiseConstant, sorted_positions: Array) -> float:
    """Return the variance of f* within plateaus that end at sorted positions in [0, 1]."""
    # A jump stands before a neuron on it, so that no plateau begins with a piece of width 0.
    ends = np.concatenate([target.breakpoints, sorted_positions])
    order = np.argsort(ends, kind="stable")
    widths = np.diff(np.concatenate([[0.0], ends[order], [1.0]]))
    is_jump = np.concatenate([[False], order < target.breakpoints.size])
    values = target.values[np.cumsum(is_jump)]
    plateaus = np.cumsum(~is_jump) - 1
    excess = values - values[~is_jump][plateaus]
    total = np.bincount(plateaus, widths)
    means = np.bincount(plateaus, widths * excess) / np.where(total > 0.0, total, 1.0)
    return float(widths @ (excess - means[plateaus]) ** 2)
