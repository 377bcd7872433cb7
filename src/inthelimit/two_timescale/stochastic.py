"""Stochastic gradient descent on both layers, one sample at a time, as the paper's authors run it.

The finite system.  At each step draw x ~ U[0, 1], ξ ~ U[−1, 1] and the label y = f*(x) + noise ξ.
With the residual r = y − f(x; a, u) and D(z) the derivative of the sigmoid,

    a_0 += 2h r,    a_j += 2h r s((x − u_j)/η),    u_j −= 2hε r a_j D((x − u_j)/η)/η.

The limit.  Where h and ε are small, this is the gradient flow of `inthelimit.two_timescale.flows`
at the slow time τ = εhp after p steps, and its limits.

The gap.  A sample within η/2 of u_j kicks it by about 2hε|r||a_j|/η, which must be small beside η:
`kick_ratio`.  At ε = 1 and the paper's h it is not, by a factor of five: the two-time-scale regime
is also what keeps SGD near its flow.

The authors' code takes D = 1 within η/2, the slope of the piecewise linear sigmoid, beside a cubic
or a linear forward pass, according to its version; ``derivative="box"`` is that slope with the
cubic sigmoid.  Both have mass one, so the limit η → 0 is the same.

Source: arXiv:2304.09576, the experiments on SGD.  The constants are those of the authors' code.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.two_timescale import _staircase
from inthelimit.two_timescale._runs import copies_last, in_threads, readings
from inthelimit.two_timescale.network import StepNetwork, captured_jumps, loss
from inthelimit.two_timescale.target import PiecewiseConstant

Steps = NDArray[np.int64]

# A residual that has grown by this factor will not come back: with a step that is small enough
# residuals are of the size of the labels.
DIVERGENCE = 1e8
# Within these bounds nothing overflows before a run is seen to diverge.
LARGEST_LABEL = 1e30
LARGEST_RATE = 1e6
SMALLEST_ETA = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class SGDRun:
    """Runs of SGD; the axis of copies is there if there was more than one, or if u0 had it.

    Attributes
    ----------
    target : PiecewiseConstant
        f*.
    eta : float
        η.
    steps : ndarray of int64, shape (R,)
        After how many steps the networks were read.
    times : ndarray, shape (R,)
        The slow times ε × step size × number of steps.
    positions : ndarray, shape (R, m) or (R, m, n_copies)
        u, in the order of u0.  SGD may carry neurons out of [0, 1].
    outer : ndarray, shape (R, m + 1) or (R, m + 1, n_copies)
        a, the bias first.
    losses : ndarray, shape (R,) or (R, n_copies)
        The exact population loss ∫(f* − f)², of which SGD knows nothing.
    largest_kick : ndarray, shape () or (n_copies,)
        The largest move of a position in one step, in units of η.
    steps_taken : ndarray of int64, shape () or (n_copies,)
        The number of steps asked for, or after how many the residual had grown 1e8-fold.  Later
        readings of such a copy repeat its state at that step.
    status : str
        "ok", or which copies diverged, at which step, and what to try.
    """

    target: PiecewiseConstant
    eta: float
    steps: Steps
    times: Array
    positions: Array
    outer: Array
    losses: Array
    largest_kick: Array
    steps_taken: Steps
    status: str

    def network(self, k: int = -1, copy: int = 0) -> StepNetwork:
        """Return the network at reading k, by default the last, of one copy."""
        a, u = (np.atleast_3d(array)[k, :, copy] for array in (self.outer, self.positions))
        return StepNetwork(a, u, self.eta)

    def captured(self, within: float | None = None) -> NDArray[np.bool_]:
        """Say which jumps have a neuron within η/2, or `within`, shape (R, n − 1[, n_copies])."""
        within = self.eta / 2 if within is None else within
        neurons_last = np.moveaxis(self.positions, 1, -1)
        return np.moveaxis(captured_jumps(self.target, neurons_last, within=within), -1, 1)


def sgd(
    target: PiecewiseConstant,
    u0: ArrayLike,
    *,
    epsilon: float,
    eta: float,
    step: float,
    n_steps: int,
    rng: np.random.Generator,
    noise: float = 1.0,
    n_copies: int = 1,
    derivative: str = "cubic",
    record: int | ArrayLike = 100,
    a0: ArrayLike | None = None,
) -> SGDRun:
    """Run SGD on both layers, on fresh samples with noisy labels.

    Parameters
    ----------
    target : PiecewiseConstant
        f*.
    u0 : array_like, shape (m,) or (m, n_copies)
        The positions at the start, in [0, 1], in any order.
    epsilon : float
        The ratio ε of the step sizes, of the positions to the outer layer; in (0, 1e6].
    eta : float
        The width η of the transitions; from 1e-12 to the length of the shortest piece of f*.
    step : float
        The step size h of the outer layer; in (0, 1e6].
    n_steps : int
        How many steps to take; ≥ 1.
    rng : numpy.random.Generator
        Seeds the stream of samples of each copy.
    noise : float, default 1
        The labels' noise is uniform on [−noise, noise].
    n_copies : int, default 1
        How many independent copies to run; may be left out if `u0` has two dimensions.
    derivative : {"cubic", "box"}
        The derivative of the sigmoid in the steps of u: its own, or 1 within η/2 as in the authors'
        code.
    record : int or array_like of int, default 100
        The number of equal parts at whose ends, and at the start, the networks are read; or after
        which numbers of steps, strictly increasing, in [0, n_steps].
    a0 : array_like, shape (m + 1,) or (m + 1, n_copies), optional
        The outer layer at the start, the bias first; zeros by default.

    Returns
    -------
    SGDRun

    Raises
    ------
    ValueError
        If an argument is out of range or of the wrong shape.

    Notes
    -----
    O(m + number of jumps) a step, some 15 ns at m = 20, and a reading for each record; copies run
    on all processors.  A copy's samples depend on `rng` and its index alone: neither on the number
    of copies or processors, nor on `record`.  Where kicks are larger than η the run is chaotic, and
    the rounding of another machine may lead it elsewhere, with the same distribution.
    Source: arXiv:2304.09576 and its authors' code.

    Examples
    --------
    >>> target = PiecewiseConstant([0.5], [0.0, 1.0])
    >>> run = sgd(target, [0.2, 0.4, 0.7], epsilon=0.01, eta=0.02, step=1e-3, n_steps=10**6,
    ...           rng=np.random.default_rng(0))
    >>> run.status, run.positions.shape, bool(run.losses[-1] < 0.01 * run.losses[0])
    ('ok', (101, 3), True)
    """
    u0, n_copies, single = _positions(u0, n_copies)
    a0 = _outer(a0, u0.shape[0], n_copies)
    epsilon = _checks.number("epsilon", epsilon, above=0.0, at_most=LARGEST_RATE)
    step = _checks.number("step", step, above=0.0, at_most=LARGEST_RATE)
    eta = _checks.number("eta", eta, at_least=SMALLEST_ETA, at_most=target.smallest_piece)
    noise = _checks.number("noise", noise, at_least=0.0, at_most=LARGEST_LABEL)
    n_steps = _checks.integer("n_steps", n_steps, at_least=1)
    reads = readings(record, n_steps, "n_steps")
    _checks.choice("derivative", derivative, ("cubic", "box"))
    _checks.generator("rng", rng)
    _checks.moderate("values of target", target.values, largest=LARGEST_LABEL)

    labels = _staircase.Target(float(target.values[0]), target.breakpoints, target.jumps, noise)
    largest = np.abs(target.values).max() + noise + np.abs(a0).sum(axis=0).max()
    rule = _staircase.Rule(
        outer=2.0 * step,
        inner=2.0 * step * epsilon / eta,
        eta=eta,
        cubic=derivative == "cubic",
        largest_residual=DIVERGENCE * largest,
    )
    seeds = rng.integers(2**63, size=(n_copies, 4))
    positions = np.empty((n_copies, reads.size, u0.shape[0]))
    outer = np.empty((n_copies, reads.size, a0.shape[0]))

    def run(copy: int) -> tuple[int, float]:
        stairs = _staircase.staircase(u0[:, copy], a0[:, copy])
        stream = np.random.Generator(np.random.SFC64(seeds[copy]))
        states = positions[copy], outer[copy]
        return _staircase.descend(stairs, labels, rule, n_steps, reads, *states, stream)

    ends = in_threads(run, n_copies)
    steps_taken = np.array([taken for taken, _ in ends])
    losses = [
        [loss(target, StepNetwork(a, u, eta)) for a, u in zip(*states, strict=True)]
        for states in zip(outer, positions, strict=True)
    ]
    return SGDRun(
        target=target,
        eta=eta,
        steps=reads,
        times=reads.astype(np.float64) * (step * epsilon),
        positions=copies_last(positions, single),
        outer=copies_last(outer, single),
        losses=copies_last(np.array(losses), single),
        largest_kick=copies_last(np.array([kick for _, kick in ends]) / eta, single),
        steps_taken=copies_last(steps_taken, single),
        status=_status(steps_taken, n_steps),
    )


def kick_ratio(*, epsilon: float, eta: float, step: float, residual: float, weight: float) -> float:
    """Return how far one sample kicks a neuron, in units of the width η of its transition.

    Parameters
    ----------
    epsilon : float
        The ratio ε of the step sizes; > 0.
    eta : float
        The width η of the transitions; > 0.
    step : float
        The step size h of the outer layer; > 0.
    residual : float
        r = y − f(x).
    weight : float
        a_j.

    Returns
    -------
    float
        2hε|r||a_j|/η²: the kick of ``derivative="box"``, and of the cubic sigmoid on average over
        the samples in the transition; at its centre that one's is three times as large.

    Notes
    -----
    SGD stays near its gradient flow where this is small: otherwise a neuron jumps over its own
    transition.  The formula is read off the step; the paper has no bound of this kind that we know.

    Examples
    --------
    >>> round(kick_ratio(epsilon=1.0, eta=4e-3, step=1e-5, residual=1.0, weight=4.0), 12)
    5.0
    >>> round(kick_ratio(epsilon=2e-5, eta=4e-3, step=1e-5, residual=1.0, weight=4.0), 12)
    0.0001
    """
    epsilon = _checks.number("epsilon", epsilon, above=0.0)
    eta = _checks.number("eta", eta, above=0.0)
    step = _checks.number("step", step, above=0.0)
    residual = _checks.number("residual", residual)
    weight = _checks.number("weight", weight)
    return 2.0 * step * epsilon * abs(residual) / eta * abs(weight) / eta


def _positions(u0: ArrayLike, n_copies: int) -> tuple[Array, int, bool]:
    """Return u0 of shape (m, n_copies), n_copies, and whether the run is a single one."""
    u0 = _checks.real_array("u0", u0)
    n_copies = _checks.integer("n_copies", n_copies, at_least=1)
    if u0.ndim not in (1, 2) or u0.size == 0:
        raise ValueError(f"u0 must have shape (m,) or (m, n_copies), not empty, got {u0.shape}")
    if ((u0 < 0.0) | (u0 > 1.0)).any():
        worst = u0.flat[np.abs(u0 - 0.5).argmax()]
        raise ValueError(f"u0 must be in [0, 1], got {worst}")
    if u0.ndim == 1:
        return np.repeat(u0[:, None], n_copies, axis=1), n_copies, n_copies == 1
    if n_copies not in (1, u0.shape[1]):
        raise ValueError(f"u0 must have one column for each of {n_copies} copies, got {u0.shape}")
    return u0, u0.shape[1], False


def _outer(a0: ArrayLike | None, m: int, n_copies: int) -> Array:
    """Return a0 of shape (m + 1, n_copies)."""
    if a0 is None:
        return np.zeros((m + 1, n_copies))
    a0 = _checks.moderate("a0", _checks.real_array("a0", a0), largest=LARGEST_LABEL)
    if a0.shape not in ((m + 1,), (m + 1, n_copies)):
        raise ValueError(f"a0 must have shape ({m + 1},) or ({m + 1}, {n_copies}), got {a0.shape}")
    return np.broadcast_to(a0.reshape(m + 1, -1), (m + 1, n_copies))


def _status(steps_taken: Steps, n_steps: int) -> str:
    if (steps_taken == n_steps).all():
        return "ok"
    first = int(steps_taken.argmin())
    return (
        f"{np.count_nonzero(steps_taken < n_steps)} of {steps_taken.size} copies diverged, the "
        f"first (copy {first}) at step {steps_taken[first]}: later readings repeat its last state; "
        "take a smaller step"
    )
