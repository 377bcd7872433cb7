"""One stage alone: the flow that keeps only the degree l.

The system, for neurons (a_i, s_i) with weights w_i,

    ε a_i′ = σ_l ρ_l s_i^l,    s_i′ = l σ_l ρ_l a_i s_i^{l−1},    ρ_l = φ_l − σ_l mean(a s^l),

conserves E_i = ε l a_i² − s_i² for every neuron.  All neurons share one clock, ∫ σ_l ρ_l dt; with
ρ_l = φ_l for ever each of them would blow up alone, for l ≥ 2, at a time that is an integral in
closed form, and the first of these times is the limit of the time at which degree l is learned.

Source: arXiv:2303.00055 (the simplified stage flow); the factor 1 − s² of the sphere is left out
here, since s → 0, which makes E_i exact; the closed form of the blow-up is reconstructed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import SupportsIndex

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp
from scipy.optimize import brentq
from scipy.special import hyp2f1

from inthelimit import ConvergenceError, _checks
from inthelimit._checks import Array
from inthelimit.single_index._laws import checked_law
from inthelimit.single_index.problem import SingleIndexProblem

RTOL = 1e-10
# Degree l is learned for good once this part of its residual is left.
LEARNED = 1e-13


@dataclass(frozen=True, slots=True, eq=False)
class SimplifiedStage:
    """The flow of one degree.

    Attributes
    ----------
    degree : int
        l.
    epsilon : float
    times : ndarray, shape (T,)
    a, s : ndarray, shape (T, N)
    moments : ndarray, shape (T,)
        mean(a s^l).
    residuals : ndarray, shape (T,)
        ρ_l, computed beside the neurons, so that it is accurate relatively to itself.
    invariants : ndarray, shape (N,)
        ε l a² − s² at the start.
    """

    degree: int
    epsilon: float
    times: Array
    a: Array
    s: Array
    moments: Array
    residuals: Array
    invariants: Array

    def drift(self) -> Array:
        """Return |ε l a² − s² − its start| / max(ε l a² + s²) over the neurons, shape (T,)."""
        forward, sideways = self.epsilon * self.degree * self.a**2, self.s**2
        scale = (forward + sideways).max(axis=1)
        gap: Array = np.abs(forward - sideways - self.invariants).max(axis=1)
        drift: Array = np.divide(gap, scale, out=np.zeros_like(gap), where=scale > 0.0)
        return drift


def simplified_stage_flow(
    problem: SingleIndexProblem,
    degree: SupportsIndex,
    a0: ArrayLike,
    s0: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    epsilon: float,
    times: ArrayLike,
    rtol: float = RTOL,
) -> SimplifiedStage:
    """Return the flow that keeps only the degree l.

    Parameters
    ----------
    problem : SingleIndexProblem
        Needs σ_l ≠ 0; φ_l = 0 is allowed, and shrinks the second moment of a.
    degree : int ≥ 1
        l.
    a0, s0 : array_like, shape (N,)
        The start; |s0| ≤ 1.
    weights : array_like, shape (N,), optional
        Of the neurons; equal ones if none are given.
    epsilon : float in (0, 1)
    times : array_like, shape (T,)
        Increasing, at least 0.
    rtol : float in [1e-13, 1e-3], default 1e-10

    Returns
    -------
    SimplifiedStage

    Raises
    ------
    ValueError
        If an argument is out of range.
    ConvergenceError
        If the integrator gives up.

    Notes
    -----
    Integrated on a clock on which neither the growth nor the saturation is fast, so that the cost,
    O(N) for each of some hundred steps, hardly depends on ε.  Source: arXiv:2303.00055, the
    simplified stage flow, without its factor 1 − s².

    Examples
    --------
    >>> problem = SingleIndexProblem(phi=[0.0, 1.0, 0.5], sigma=[0.0, 1.0, 1.0])
    >>> flow = simplified_stage_flow(
    ...     problem, 2, [30.0, -30.0], [0.03, -0.03], epsilon=1e-6, times=[0.0, 0.02, 1.0]
    ... )
    >>> bool(flow.drift().max() < 1e-8), flow.moments.round(4) + 0.0
    (True, array([0.   , 0.081, 0.5  ]))
    """
    l = _checks.integer("degree", degree, at_least=1)
    a, s, c = _checked_start(problem, l, a0, s0)
    _, weights = checked_law(a, weights)
    epsilon = _checks.number("epsilon", epsilon, above=0.0, below=1.0)
    times = _checks.increasing("times", times, at_least=0.0)
    rtol = _checks.number("rtol", rtol, at_least=1e-13, at_most=1e-3)

    n, root, c = a.size, np.sqrt(epsilon * l), problem.sigma[l]
    gap = problem.phi[l] / c - float(weights @ (a * s**l))
    sign = np.sign(gap)

    def velocity(_: float, u: Array) -> Array:
        # u = (√(εl) a, s, log |gap|, t) on the clock dτ = (growth + narrowing/|gap|) dη.
        alpha, s, gap = u[:n], u[n : 2 * n], np.exp(u[-2])
        growth = float((alpha**2 + s**2).max()) ** ((l - 1) / 2)
        narrowing = float(weights @ (s ** (2 * l) + l * alpha**2 * s ** (2 * l - 2))) / root
        speed = growth * gap + narrowing
        step = sign * gap / speed
        clock = root / (l * c**2 * speed)
        return np.concatenate(
            [step * s**l, step * alpha * s ** (l - 1), [-narrowing / speed, clock]]
        )

    moving = gap != 0.0 and (a.any() or s.any()) and (l == 1 or s.any())
    if not moving:
        states = np.tile(np.concatenate([root * a, s]), (times.size, 1))
        gaps = np.full(times.size, gap)
    else:
        start = np.concatenate([root * a, s, [np.log(abs(gap)), 0.0]])
        states, gaps = _readings(velocity, start, times, rtol)
        gaps = sign * gaps
    return SimplifiedStage(
        degree=l,
        epsilon=epsilon,
        times=times,
        a=states[:, :n] / root,
        s=states[:, n : 2 * n],
        moments=(states[:, :n] / root * states[:, n : 2 * n] ** l) @ weights,
        residuals=c * gaps,
        invariants=epsilon * l * a**2 - s**2,
    )


def simplified_blow_up(
    problem: SingleIndexProblem,
    degree: SupportsIndex,
    a0: ArrayLike,
    s0: ArrayLike,
    *,
    epsilon: float,
) -> Array:
    """Return when each neuron would blow up if ρ_l kept its value φ_l.

    Parameters
    ----------
    problem : SingleIndexProblem
        Needs σ_l φ_l ≠ 0.
    degree : int ≥ 2
        l.
    a0, s0 : array_like, shape (N,)
        The start; |s0| ≤ 1.
    epsilon : float in (0, 1)

    Returns
    -------
    ndarray, shape (N,)
        inf for a neuron that dies out instead.  The least of them is when degree l is learned, up
        to a window of ε^(1/(l+1)).

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    With α = √(εl) a and e = (α² − s²)/s² at the start, a neuron with σ_l φ_l a s^l > 0 has

        t = √(ε/l) / (|σ_l φ_l| |s|^{l−1}) ∫₀¹ u^{l−2} du / √(1 + e u²),

    a hypergeometric function; for l = 2 arcsinh(√e)/√e, or arcsin(√−e)/√−e.  One that starts
    inwards turns where e < 0, and dies out where e ≥ 0.  From the end of stage l − 1, where
    ε (l − 1) a² = s², e = 1/(l − 1).  A proof, for this flow; the limit of stage l of
    arXiv:2303.00055 keeps more than it.

    Examples
    --------
    >>> problem = SingleIndexProblem(phi=[0.0, 1.0, 0.5], sigma=[0.0, 1.0, 1.0])
    >>> simplified_blow_up(problem, 2, [10.0, -10.0], [0.1, 0.1], epsilon=1e-4).round(6)
    array([0.124645,      inf])
    """
    l = _checks.integer("degree", degree, at_least=2)
    a, s, c = _checked_start(problem, l, a0, s0)
    epsilon = _checks.number("epsilon", epsilon, above=0.0, below=1.0)
    if c * problem.phi[l] == 0.0:
        raise ValueError(f"stage {l} can't happen: phi[{l}] = 0")
    c *= problem.phi[l]
    alpha = np.sign(c) * np.sign(s) ** l * np.sqrt(epsilon * l) * a
    size = np.abs(s)
    with np.errstate(divide="ignore", over="ignore"):
        energy = (alpha - size) * (alpha + size)
        outward = _flight(l, size, energy)
        turning = np.where(energy < 0.0, np.sqrt(np.abs(energy)), 0.0)
        inward = np.where(energy < 0.0, 2 * _flight(l, turning, energy) - outward, np.inf)
    times: Array = np.where(alpha >= 0.0, outward, inward) * np.sqrt(epsilon / l) / abs(c)
    return times


def _flight(l: int, s: Array, energy: Array) -> Array:
    """Return ∫_s^∞ ds / (s^{l−1} √(s² + energy)), inf from s = 0."""
    flight = np.full(s.shape, np.inf)
    free = s > 0.0
    excess = np.maximum(energy[free] / s[free] ** 2, -1.0)
    integral = hyp2f1(0.5, (l - 1) / 2, (l + 1) / 2, -excess) / (l - 1)
    flight[free] = integral / s[free] ** (l - 1)
    return flight


def _readings(
    velocity: Callable[[float, Array], Array], start: Array, times: Array, rtol: float
) -> tuple[Array, Array]:
    """Return the neurons' states (T, 2N) and |gap| (T,) at the times t, which are not τ."""

    def late(_: float, u: Array) -> float:
        return float(u[-1] - times[-1])

    def learned(_: float, u: Array) -> float:
        return float(u[-2] - start[-2] - np.log(LEARNED))

    late.terminal = learned.terminal = True  # type: ignore[attr-defined]
    path = solve_ivp(
        velocity,
        (0.0, np.inf),
        start,
        method="DOP853",
        rtol=rtol,
        atol=rtol * 1e-2 * np.sqrt(start[:-2] @ start[:-2]),
        events=[late, learned],
        dense_output=True,
    )
    if path.status != 1:
        raise ConvergenceError(
            f"the simplified stage stopped at t = {path.y[-1, -1]:.6g}: {path.message}; "
            f"try a larger rtol"
        )
    end = float(path.t[-1])

    def moment(time: float) -> float:
        if time >= path.y[-1, -1]:
            return end
        return float(brentq(lambda tau: path.sol(tau)[-1] - time, 0.0, end, xtol=1e-14))

    readings = np.array([path.sol(moment(time)) for time in times])
    return readings[:, :-2], np.exp(readings[:, -2])


def _checked_start(
    problem: SingleIndexProblem, l: int, a0: ArrayLike, s0: ArrayLike
) -> tuple[Array, Array, float]:
    a = _checks.vector("a0", a0)
    s = _checks.vector("s0", s0, length=a.size)
    if np.abs(s).max() > 1.0:
        raise ValueError(f"s0 must be within ±1, got a value of size {np.abs(s).max()}")
    if l > problem.degree:
        raise ValueError(f"degree must be within the expansion's {problem.degree}, got {l}")
    if problem.sigma[l] == 0.0:
        raise ValueError(f"stage {l} can't happen: sigma[{l}] = 0")
    return a, s, float(problem.sigma[l])
