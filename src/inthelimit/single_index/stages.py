"""The stages of learning that have formulas: the exponents, and the degrees 0 and 1.

The system is the mean-field flow ε a′ = Σ_k σ_k ρ_k s^k, s′ = a (1 − s²) Σ_k k σ_k ρ_k s^{k−1}
from a ~ P_A, s = 0.  As ε → 0,

    degree 0, at t ~ ε:            ρ_0 = (φ_0 − σ_0 mean a(0)) exp(−σ_0² t/ε),
    degree 1, at t ~ √ε log(1/ε):  ρ_1 = φ_1 − σ_1 M_1,   M_1 = (φ_1/σ_1) / (1 + (C − 1) e^{−2μt}),

with μ = |σ_1 φ_1|/√ε, C = 4|φ_1| / (|σ_1| v √ε),
and v = Var a(0), or v = E a(0)² where σ_0 = 0 and nothing pins the mean of a.  Later degrees
have no formula: `simplified` keeps one degree alone, `constrained` holds the lower ones fitted.
Source: arXiv:2303.00055 (the canonical learning order); the logistic curve and the constant inside
the logarithm are reconstructed by matched asymptotics, and agree with the flow.
"""

from dataclasses import dataclass
from typing import SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.single_index._laws import checked_law
from inthelimit.single_index._matching import check_atoms, free_part
from inthelimit.single_index.problem import SingleIndexProblem


@dataclass(frozen=True, slots=True)
class CanonicalExponents:
    """Powers of ε in stage l ≥ 1: ε^time when it happens, ε^window how long it takes.

    Attributes
    ----------
    degree : int
        l.
    time : float
        1/(2l): degree l is learned at t ~ ε^time (times log(1/ε) for l = 1).
    window : float
        1/(l + 1): the fall of ρ_l takes ε^window.
    a : float
        −l/(2(l + 1)): the second layer has size ε^a when degree l is learned.
    s : float
        1/(2(l + 1)): the overlaps have size ε^s then.
    """

    degree: int
    time: float
    window: float
    a: float
    s: float


def canonical_exponents(degree: SupportsIndex) -> CanonicalExponents:
    """Return the exponents of the canonical learning order for one degree.

    Parameters
    ----------
    degree : int ≥ 1
        l.

    Returns
    -------
    CanonicalExponents

    Raises
    ------
    ValueError
        If `degree` is not an integer ≥ 1.

    Notes
    -----
    When degree l is learned mean(a s^l) ~ 1, and ε a² ~ s² throughout: that fixes a and s, and
    s/s′ ~ 1/(a s^{l−2}) the window.  The next stage has the clock s/(a s^l) = ε^{1/(2(l+1))}.
    Formal asymptotics for l ≥ 2, for laws P_A with atoms; arXiv:2303.00055, the canonical
    learning order.

    Examples
    --------
    >>> canonical_exponents(2)
    CanonicalExponents(degree=2, time=0.25, window=0.3333333333333333, a=-0.3333333333333333, \
s=0.16666666666666666)
    """
    l = _checks.integer("degree", degree, at_least=1)
    return CanonicalExponents(l, 1 / (2 * l), 1 / (l + 1), -l / (2 * (l + 1)), 1 / (2 * (l + 1)))


def constant_stage_time(
    problem: SingleIndexProblem,
    atoms: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    epsilon: float,
    fraction: float = 0.5,
) -> float:
    """Return the first time at which |ρ_0| ≤ fraction · |φ_0|.

    Parameters
    ----------
    problem : SingleIndexProblem
        Needs σ_0 φ_0 ≠ 0.
    atoms, weights : array_like, shape (N,)
        The law P_A of a(0); equal weights if none are given.
    epsilon : float in (0, 1)
    fraction : float in (0, 1), default 0.5

    Returns
    -------
    float
        ε log(|φ_0 − σ_0 mean a(0)| / (fraction |φ_0|)) / σ_0², or 0 if it starts below.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    Exact at s = 0; the true flow differs by O(ε) relatively.  Source: arXiv:2303.00055, the
    constant component.

    Examples
    --------
    >>> problem = SingleIndexProblem(phi=[1.0, 1.0], sigma=[1.0, 1.0])
    >>> round(constant_stage_time(problem, [-1.0, 1.0], epsilon=1e-4), 10)
    6.93147e-05
    """
    atoms, weights = checked_law(atoms, weights)
    epsilon, fraction = _small(epsilon), _part(fraction)
    problem.check_stage(0)
    start = abs(problem.phi[0] - problem.sigma[0] * (weights @ atoms))
    goal = fraction * abs(problem.phi[0])
    if start <= goal:
        return 0.0
    return float(epsilon * np.log(start / goal) / problem.sigma[0] ** 2)


def linear_stage_time(
    problem: SingleIndexProblem,
    atoms: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    epsilon: float,
    fraction: float = 0.5,
) -> float:
    """Return the time at which |ρ_1| = fraction · |φ_1| on the logistic curve.

    Parameters
    ----------
    problem : SingleIndexProblem
        Needs σ_1 φ_1 ≠ 0.
    atoms, weights : array_like, shape (N,)
        The law P_A of a(0); equal weights if none are given.
    epsilon : float in (0, 1)
    fraction : float in (0, 1), default 0.5

    Returns
    -------
    float
        √ε log((C − 1)(1/fraction − 1)) / (2 |σ_1 φ_1|), C = 4|φ_1| / (|σ_1| v √ε); or 0 if the
        curve starts below.

    Raises
    ------
    ValueError
        If an argument is out of range, or the law has v = 0 and learns no degree 1.

    Notes
    -----
    Sharp: the ratio to the flow's time is 1 − O(√ε log(1/ε)).  It begins as
    √ε log(1/ε)/(4 |σ_1 φ_1|).  Source: arXiv:2303.00055, the linear component; the constant inside
    the logarithm is reconstructed.

    Examples
    --------
    >>> problem = SingleIndexProblem(phi=[1.0, 1.0], sigma=[1.0, 1.0])
    >>> round(linear_stage_time(problem, [-1.0, 1.0], epsilon=1e-8), 9)
    0.00052983
    """
    rate, ratio = _logistic(problem, atoms, weights, epsilon)
    odds = (ratio - 1) * (1 / _part(fraction) - 1)
    return float(np.log(odds) / rate) if odds > 1.0 else 0.0


def linear_stage_curve(
    problem: SingleIndexProblem,
    atoms: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    epsilon: float,
    times: ArrayLike,
) -> Array:
    """Return M_1 = mean(a s) on the logistic curve.

    Parameters
    ----------
    problem : SingleIndexProblem
        Needs σ_1 φ_1 ≠ 0.
    atoms, weights : array_like, shape (N,)
        The law P_A of a(0); equal weights if none are given.
    epsilon : float in (0, 1)
    times : array_like, shape (T,)
        At least 0, in the flow's unit.

    Returns
    -------
    ndarray, shape (T,)
        From √ε v/4 in size up to φ_1/σ_1.

    Raises
    ------
    ValueError
        If an argument is out of range, or the law has v = 0 and learns no degree 1.

    Notes
    -----
    In stage 1 every neuron follows a − mean a = b cosh θ, s − mean s = √ε b sinh θ, b = a(0) − mean
    a(0), on one clock θ′ = σ_1 ρ_1/√ε; hence M_1 ≈ ½ √ε v sinh 2θ, and the curve keeps the growing
    half of sinh.  Formal asymptotics.  Source: arXiv:2303.00055, the linear component.

    Examples
    --------
    >>> problem = SingleIndexProblem(phi=[1.0, 1.0], sigma=[1.0, 1.0])
    >>> linear_stage_curve(problem, [-1.0, 1.0], epsilon=1e-8, times=[0.0, 5.3e-4, 2e-3]).round(6)
    array([2.50000e-05, 5.00848e-01, 1.00000e+00])
    """
    rate, ratio = _logistic(problem, atoms, weights, epsilon)
    times = _checks.vector("times", times)
    if times.min() < 0.0:
        raise ValueError(f"times must be ≥ 0, got {times.min()}")
    curve: Array = problem.phi[1] / problem.sigma[1] / (1 + (ratio - 1) * np.exp(-rate * times))
    return curve


def linear_stage_end(
    problem: SingleIndexProblem,
    atoms: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    epsilon: float,
) -> tuple[Array, Array]:
    """Return the neurons (a, s) as stage 1 leaves them and stage 2 finds them.

    Parameters
    ----------
    problem : SingleIndexProblem
        Needs σ_1 φ_1 ≠ 0.
    atoms, weights : array_like, shape (N,)
        The law P_A of a(0); equal weights if none are given.
    epsilon : float in (0, 1)

    Returns
    -------
    a, s : ndarray, shape (N,)
        ε^(−1/4) κg and sgn(σ_1 φ_1) ε^(1/4) κg, with κ² = |φ_1/σ_1| and g the standardised a(0).

    Raises
    ------
    ValueError
        If an argument is out of range, or the law has v = 0 and learns no degree 1.

    Notes
    -----
    The growing direction a = ±s/√ε, with mean(a s) = φ_1/σ_1.  Formal asymptotics, to leading order
    in ε: the mean of a is dropped, too.  Source: arXiv:2303.00055, the canonical learning order.

    Examples
    --------
    >>> problem = SingleIndexProblem(phi=[1.0, -1.0], sigma=[1.0, 1.0])
    >>> linear_stage_end(problem, [-1.0, 1.0], epsilon=1e-8)
    (array([-100.,  100.]), array([ 0.01, -0.01]))
    """
    atoms, weights = checked_law(atoms, weights)
    epsilon = _small(epsilon)
    problem.check_stage(1)
    check_atoms(problem, atoms, 1)
    free = free_part(problem, atoms, weights)
    size = abs(problem.phi[1] / problem.sigma[1])
    A: Array = free * np.sqrt(size / (weights @ free**2))
    S: Array = np.sign(problem.sigma[1] * problem.phi[1]) * A
    return A * epsilon**-0.25, S * epsilon**0.25


def _logistic(
    problem: SingleIndexProblem, atoms: ArrayLike, weights: ArrayLike | None, epsilon: float
) -> tuple[float, float]:
    """Return the rate 2|σ_1 φ_1|/√ε and C, the final M_1 over that at the start."""
    atoms, weights = checked_law(atoms, weights)
    epsilon = _small(epsilon)
    problem.check_stage(1)
    check_atoms(problem, atoms, 1)
    spread = float(weights @ free_part(problem, atoms, weights) ** 2)
    phi, sigma = abs(problem.phi[1]), abs(problem.sigma[1])
    return 2 * sigma * phi / np.sqrt(epsilon), 4 * phi / (sigma * spread * np.sqrt(epsilon))


def _small(epsilon: float) -> float:
    return _checks.number("epsilon", epsilon, above=0.0, below=1.0)


def _part(fraction: float) -> float:
    return _checks.number("fraction", fraction, above=0.0, below=1.0)
