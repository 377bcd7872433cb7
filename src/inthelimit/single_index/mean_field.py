"""The mean-field flow: infinitely many neurons in infinitely many dimensions, at any ε.

With the law P_A = Σ_i w_i δ(a_i(0)) of the second layer, s_i(0) = 0, and the residuals

    ρ_k = φ_k − σ_k M_k,    M_k = Σ_i w_i a_i s_i^k,

the limit d → ∞, then m → ∞, of the population flow is

    ε a_i′ = Σ_k σ_k ρ_k s_i^k,        s_i′ = a_i (1 − s_i²) Σ_k k σ_k ρ_k s_i^(k−1),

with the risk R = ½ Σ_k ρ_k², which decreases:

    dR/dt = −ε Σ_i w_i (a_i′)² − Σ_i w_i (s_i′)²/(1 − s_i²).

It is singularly perturbed: degree l is learned at times ε^(1/(2l)), while the residuals of lower
degrees relax at rates up to 1/ε.  Source: arXiv:2303.00055, the mean-field limit (the flow is
derived anew: it is the population flow on the invariant set r_ij = s_i s_j).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import ConvergenceError, _checks
from inthelimit._checks import Array
from inthelimit.single_index import _integrator
from inthelimit.single_index._laws import checked_law
from inthelimit.single_index._neurons import System
from inthelimit.single_index._series import differentiated, power_series
from inthelimit.single_index.problem import SingleIndexProblem

# Errors of steps add up: with this share of rtol a step, the sum stays below it.
STEP_SHARE = 0.1
# Below it the steps' errors are those of rounding.
MIN_RTOL, MAX_RTOL = 1e-11, 1e-2
# Residuals below this part of |φ| are learned: the risk is 1e-24 of what it was.
SETTLED = 1e-12
# A hundred times what rtol = 1e-11 takes at ε = 1e-16.
MAX_STEPS = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class MeanFieldFlow:
    """A trajectory of the mean-field flow.

    Attributes
    ----------
    problem : SingleIndexProblem
        Target and activation.
    weights : ndarray, shape (N,)
        The neurons' weights.
    epsilon : float
        The ratio ε of the two layers' time-scales.
    times : ndarray, shape (T,)
        As asked.
    a, s : ndarray, shape (T, N)
        The second layer, and the correlations with the target's direction.
    residuals : ndarray, shape (T, K + 1)
        ρ_k, integrated beside a and s, of which it is a small difference of large numbers.
    risks : ndarray, shape (T,)
        ½ Σ_k ρ_k².
    step_times : ndarray, shape (S,)
        The ends of the solver's steps, from 0 on: close where something happens, whatever `times`.
    step_residuals, step_slopes : ndarray, shape (S, K + 1)
        ρ_k and dρ_k/dt there.
    step_middles : ndarray, shape (S − 1, K + 1)
        ρ_k halfway through the steps.
    n_steps, n_rejected : int
        Steps taken, and tried in vain.
    residual : float
        The largest |ρ_k − φ_k + σ_k Σ_i w_i a_i s_i^k| at `times`: what integrating and
        interpolating three things apart from one another costs.
    status : str
        What was done, and what this flow can't do, in words.
    """

    problem: SingleIndexProblem
    weights: Array
    epsilon: float
    times: Array
    a: Array
    s: Array
    residuals: Array
    risks: Array
    step_times: Array
    step_residuals: Array
    step_slopes: Array
    step_middles: Array
    n_steps: int
    n_rejected: int
    residual: float
    status: str


def mean_field_flow(
    problem: SingleIndexProblem,
    atoms: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    epsilon: float,
    times: ArrayLike,
    rtol: float = 1e-6,
    s0: ArrayLike | None = None,
) -> MeanFieldFlow:
    """Integrate the mean-field flow from a_i(0) = atoms[i] and s_i(0) = 0, at any ε.

    Parameters
    ----------
    problem : SingleIndexProblem
        Target and activation, of degree K.
    atoms : array_like, shape (N,)
        The second layer at the start, without repetition unless `s0` is given.
    weights : array_like, shape (N,), optional
        Positive, of sum one; by default all 1/N.
    epsilon : float in (0, 1)
        ε.
    times : array_like, shape (T,)
        When to report, strictly increasing and ≥ 0.
    rtol : float in [1e-11, 1e-2]
        Accuracy of a and s, relative to their size (that of the neuron or, if larger, the root mean
        square of all), and of ρ relative to the largest |φ_k|.  Where the flow amplifies errors, as
        at the end of a stage, they may exceed it a few times.
    s0 : array_like, shape (N,), optional
        Other correlations at the start, within (−1, 1).

    Returns
    -------
    MeanFieldFlow

    Raises
    ------
    ValueError
        If an argument has the wrong shape, is not finite, or is out of range.
    ConvergenceError
        If the accuracy cannot be reached.

    Notes
    -----
    A linearly implicit method, L-stable, of order 5, and of order 4 where the flow is stiff: a step
    costs O(N K²), and the number of steps grows like log(1/ε) where degrees are learned in their
    turn.  (A flow that stalls, as with two atoms, goes on to oscillate at rates ε^(−1/4), which the
    steps follow.)  It stops early when all residuals are below 1e-12 of |φ|.  From s = 0, with
    φ_1 σ_1 = 0, nothing but a moves: so it is in this limit.

    Source: arXiv:2303.00055, the mean-field limit; derived anew.

    Examples
    --------
    >>> problem = SingleIndexProblem(phi=[1.0, 1.0, 0.5], sigma=[1.0, 1.0, 1.0])
    >>> flow = mean_field_flow(problem, [-1.0, 0.2, 1.0], epsilon=1e-12, times=[1e-9, 1e-5, 1e-1])
    >>> flow.risks.round(3)  # half the sum of squares of (1, 0.5), of 0.5, of nothing
    array([0.625, 0.125, 0.   ])
    """
    atoms, weights = checked_law(atoms, weights)
    epsilon = _checks.number("epsilon", epsilon, above=0.0, below=1.0)
    times = _checks.increasing("times", times, at_least=0.0)
    rtol = _checks.number("rtol", rtol, at_least=MIN_RTOL, at_most=MAX_RTOL)
    s = _starting_correlations(atoms, s0)
    rho = problem.residuals(atoms, s, weights)
    scale = float(np.abs(problem.phi).max())
    system = System(
        problem.phi,
        problem.sigma,
        weights,
        epsilon,
        scale,
        STEP_SHARE * rtol,
        SETTLED * max(scale, float(np.abs(rho).max())),
    )
    states, record, refused, outcome = _integrator.integrate(
        system, np.concatenate([atoms, np.arctanh(s), rho]), times, MAX_STEPS
    )
    taken, reached = len(record) - 1, record[-1, 0]
    if outcome in (_integrator.TOO_MANY_STEPS, _integrator.STEP_TOO_SMALL):
        why = "steps ran out" if outcome == _integrator.TOO_MANY_STEPS else "the step underflowed"
        raise ConvergenceError(
            f"mean_field_flow stopped at t = {reached:.6g} of {times[-1]:.6g}: {why} after {taken} "
            f"steps ({refused} refused); try rtol larger than {rtol:g}, or earlier times if the "
            "flow has stalled and oscillates, or a better scaled problem"
        )
    ends = np.cumsum([1, rho.size, rho.size])
    steps = [np.ascontiguousarray(part) for part in np.split(record, ends, axis=1)]
    step_times, step_residuals, step_slopes, step_middles = steps
    a, s, residuals = (
        np.ascontiguousarray(part)
        for part in np.split(states, [atoms.size, 2 * atoms.size], axis=1)
    )
    s = np.tanh(s)
    done = f"reached t = {reached:g}"
    if outcome == _integrator.SETTLED:
        done = f"nothing is left to learn after t = {reached:.3g}"
    for array in (times, a, s, residuals, *steps):
        array.flags.writeable = False
    return MeanFieldFlow(
        problem=problem,
        weights=weights,
        epsilon=epsilon,
        times=times,
        a=a,
        s=s,
        residuals=residuals,
        risks=problem.risk_of(residuals),
        step_times=step_times[:, 0],
        step_residuals=step_residuals,
        step_slopes=step_slopes,
        step_middles=step_middles[:-1],
        n_steps=taken,
        n_rejected=refused,
        residual=_mismatch(problem, weights, a, s, residuals),
        status=f"{done}: {taken} steps ({refused} more refused){_remarks(problem, atoms, s)}",
    )


def mean_field_velocity(
    problem: SingleIndexProblem,
    a: ArrayLike,
    s: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    epsilon: float,
) -> tuple[Array, Array]:
    """Return the vector field (a′, s′) of the mean-field flow.

    Parameters
    ----------
    problem : SingleIndexProblem
        Target and activation.
    a, s : array_like, shape (N,)
        The second layer, and the correlations, within [−1, 1].
    weights : array_like, shape (N,), optional
        Positive, of sum one; by default all 1/N.
    epsilon : float in (0, 1)
        ε.

    Returns
    -------
    a_velocity, s_velocity : ndarray, shape (N,)

    Raises
    ------
    ValueError
        If an argument has the wrong shape, is not finite, or is out of range.

    Notes
    -----
    O(N K).  Source: arXiv:2303.00055, the mean-field limit; derived anew.

    Examples
    --------
    >>> problem = SingleIndexProblem(phi=[1.0, 1.0], sigma=[1.0, 1.0])
    >>> mean_field_velocity(problem, [0.0, 1.0], [0.0, 0.0], epsilon=0.1)
    (array([5., 5.]), array([0., 1.]))
    """
    a, weights = checked_law(a, weights)
    s = _within_unit("s", s, a.size)
    epsilon = _checks.number("epsilon", epsilon, above=0.0, below=1.0)
    forces = problem.sigma * problem.residuals(a, s, weights)
    slope = power_series(differentiated(forces), s)
    return power_series(forces, s) / epsilon, a * (1.0 - s**2) * slope


def _starting_correlations(atoms: Array, s0: ArrayLike | None) -> Array:
    if s0 is not None:
        s = _within_unit("s0", s0, atoms.size)
        if np.abs(s).max() == 1.0:
            raise ValueError("s0 must be within (−1, 1): at ±1 a neuron would never move")
        return s
    ordered = np.sort(atoms)
    twice = np.flatnonzero(np.diff(ordered) == 0.0)
    if twice.size:
        raise ValueError(
            f"atoms must differ from one another, got {ordered[twice[0]]:g} more than once: one "
            "atom with the sum of the weights is the same flow"
        )
    return np.zeros(atoms.size)


def _within_unit(name: str, value: ArrayLike, size: int) -> Array:
    s = _checks.vector(name, value, length=size)
    if np.abs(s).max() > 1.0:
        raise ValueError(f"{name} must be within [−1, 1], got a value of size {np.abs(s).max():g}")
    return s


def _mismatch(
    problem: SingleIndexProblem, weights: Array, a: Array, s: Array, residuals: Array
) -> float:
    """Return the largest |ρ_k − φ_k + σ_k Σ_i w_i a_i s_i^k|."""
    worst, power = 0.0, weights * a
    for phi, sigma, rho in zip(problem.phi, problem.sigma, residuals.T, strict=True):
        worst = max(worst, float(np.abs(rho - phi + sigma * power.sum(axis=1)).max()))
        power *= s
    return worst


def _remarks(problem: SingleIndexProblem, atoms: Array, s0: Array) -> str:
    """Say which degrees of the target this flow has no way to learn in their turn."""
    wanted = np.flatnonzero(problem.phi)
    last = int(wanted[-1]) if wanted.size else 0
    for l in range(1, last + 1):
        try:
            problem.check_stage(l)
        except ValueError as impossible:
            return f"; {impossible}"
        # Where σ_0 ≠ 0, fitting degree 0 takes one more.
        if atoms.size < l + (problem.sigma[0] != 0.0):
            return f"; {atoms.size} atoms learn no degree beyond {l - 1} in its turn"
    return ""
