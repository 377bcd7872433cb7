"""The finite system: the population flow of m neurons in d dimensions, exactly, in m² + 2m numbers.

On Gaussian data the gradient flow of the risk closes in the second layer a_i and the overlaps
s_i = ⟨u_i, u*⟩ and r_ij = ⟨u_i, u_j⟩, whatever d is:

    ε a_i′ = V(s_i) − (1/m) Σ_j a_j U(r_ij),
    s_i′   = a_i [V′(s_i) (1 − s_i²) − (1/m) Σ_j a_j U′(r_ij) (s_j − r_ij s_i)],
    r_ij′  = G_ij + G_ji,    where G_ij = ⟨u_i′, u_j⟩, and
    G_ij   = a_i [V′(s_i) (s_j − r_ij s_i) − (1/m) Σ_p a_p U′(r_ip) (r_pj − r_ip r_ij)],

of risk R = ½ Σ φ_k² − (1/m) Σ a_i V(s_i) + (1/2m²) Σ a_i a_j U(r_ij), with

    dR/dt = −(ε/m) Σ (a_i′)² − (1/m) Σ |u_i′|².

The dimension enters through the start alone, s_i(0) and r_ij(0) of size d^(−1/2).  If
r_ij = s_i s_j for all i, j, that stays so, and (a, s) is the mean-field flow; r_ii = 1 ≠ s_i² is
what separates the two, by terms in mean(a²)/m.  The limit needs d^(−1/2) ≪ √ε and m ≫ mean(a²).
Source: arXiv:2303.00055 (setting; the closed system is derived anew).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.single_index._extrapolation import ClosedSystem, Steps, states_at
from inthelimit.single_index._regime import (
    exact_risk,
    remark_on_dimension,
    remark_on_neurons,
    self_risk,
)
from inthelimit.single_index.problem import SingleIndexProblem
from inthelimit.single_index.states import PopulationState, checked_state


@dataclass(frozen=True, slots=True, eq=False)
class PopulationFlow:
    """The population flow of m neurons.

    Attributes
    ----------
    problem : SingleIndexProblem
        Target and activation.
    epsilon : float
        The ratio of the clocks of the second and the first layer.
    times : ndarray, shape (T,)
        The times asked for.
    a, s : ndarray, shape (T, m)
        The second layer and the overlaps with the target, at those times.
    r : ndarray, shape (m, m)
        The overlaps of the neurons at the last time.
    risks : ndarray, shape (T,)
        The population risk, a sum of terms of both signs: near 0, its error is about rtol.
    residuals : ndarray, shape (T, K + 1)
        ρ_k = φ_k − σ_k mean(a s^k).  ½ Σ ρ_k² is the risk that infinitely many neurons with the
        same (a, s) would have.
    self_risks : ndarray, shape (T,)
        (1/2m²) Σ a_i² (U(1) − U(s_i²)), the part of the risk that comes of r_ii = 1.
    n_steps, n_rejected : int
        Steps taken, and steps tried in vain.
    status : str
        A sentence on the accuracy reached, and on whether m and d are large enough for the limit.
    """

    problem: SingleIndexProblem
    epsilon: float
    times: Array
    a: Array
    s: Array
    r: Array
    risks: Array
    residuals: Array
    self_risks: Array
    n_steps: int
    n_rejected: int
    status: str


def population_risk(problem: SingleIndexProblem, a: ArrayLike, s: ArrayLike, r: ArrayLike) -> float:
    """Return the population risk R = ½ E (φ(⟨u*, x⟩) − f(x))² of m neurons.

    Parameters
    ----------
    problem : SingleIndexProblem
        Target and activation.
    a, s : array_like, shape (m,)
        The second layer, and the overlaps with the target.
    r : array_like, shape (m, m)
        The overlaps of the neurons.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If a shape is wrong or (s, r) are not overlaps of unit vectors.

    Notes
    -----
    O(m² K + m³), the latter for the check of the overlaps.  Source: arXiv:2303.00055, setting.

    Examples
    --------
    >>> problem = SingleIndexProblem([0.0, 1.0], [0.0, 1.0])
    >>> population_risk(problem, [1.0], [0.6], [[1.0]])
    0.4
    """
    a, s, r = checked_state(a, s, r)
    return exact_risk(problem, a, s, r)


def population_velocity(
    problem: SingleIndexProblem, a: ArrayLike, s: ArrayLike, r: ArrayLike, epsilon: float
) -> PopulationState:
    """Return the velocities (a′, s′, r′) of the population flow at (a, s, r).

    Parameters
    ----------
    problem : SingleIndexProblem
        Target and activation.
    a, s : array_like, shape (m,)
        The second layer, and the overlaps with the target.
    r : array_like, shape (m, m)
        The overlaps of the neurons.
    epsilon : float
        The ratio of the clocks, in (0, 1).

    Returns
    -------
    PopulationState
        The velocities of a, s and r.

    Raises
    ------
    ValueError
        If a shape is wrong, `epsilon` is not in (0, 1), or (s, r) are not overlaps of unit vectors.

    Notes
    -----
    O(m² K + m³).  Source: arXiv:2303.00055, setting; derived anew.

    Examples
    --------
    >>> problem = SingleIndexProblem([0.0, 1.0], [0.0, 1.0])
    >>> v = population_velocity(problem, [1.0], [0.6], [[1.0]], 0.1)
    >>> v.a, v.s, v.r
    (array([-4.]), array([0.64]), array([[0.]]))
    """
    a, s, r = checked_state(a, s, r)
    system = ClosedSystem(problem, a.size, _checks.number("epsilon", epsilon, above=0, below=1))
    return PopulationState(*system.split(system.velocity(_joined(a, s, r))))


def population_flow(
    problem: SingleIndexProblem,
    a0: ArrayLike,
    s0: ArrayLike,
    r0: ArrayLike,
    *,
    epsilon: float,
    times: ArrayLike,
    rtol: float = 1e-6,
) -> PopulationFlow:
    """Return the population flow of m neurons from (a0, s0, r0), at the times asked for.

    Parameters
    ----------
    problem : SingleIndexProblem
        Target and activation.
    a0, s0 : array_like, shape (m,)
        The second layer, and the overlaps with the target, at time 0.
    r0 : array_like, shape (m, m)
        The overlaps of the neurons at time 0: symmetric, with unit diagonal.
    epsilon : float
        The ratio of the clocks, in (0, 1): the second layer is 1/ε faster.
    times : array_like, shape (T,)
        Increasing, ≥ 0.
    rtol : float, default 1e-6
        In [1e-10, 1e-3]: the error of a step relative to the size of a, of s and of r − 1.

    Returns
    -------
    PopulationFlow

    Raises
    ------
    ValueError
        If an argument has the wrong shape or is out of range, or (s0, r0) are not overlaps of unit
        vectors.
    ConvergenceError
        If the steps run out or become too short.

    Notes
    -----
    A linearly implicit Euler method, extrapolated up to order 8 with error control.  The stiff
    second layer is linear and treated implicitly, so the steps follow the positions; each of some
    20 substeps costs an m × m product and a Cholesky factorisation, O(m³).
    Source: arXiv:2303.00055, setting; the closed system is derived anew.

    Examples
    --------
    >>> from inthelimit.single_index import population_start
    >>> problem = SingleIndexProblem([1.0, 1.0], [1.0, 1.0])
    >>> start = population_start(
    ...     300, np.inf, atoms=[-1.0, 0.0, 1.0], rng=np.random.default_rng(0)
    ... )
    >>> flow = population_flow(problem, *start, epsilon=1e-3, times=[0.0, 0.01, 1.0])
    >>> flow.risks.round(3)
    array([1.001, 0.487, 0.   ])
    """
    a0, s0, r0 = checked_state(a0, s0, r0)
    epsilon = _checks.number("epsilon", epsilon, above=0.0, below=1.0)
    times = _checks.increasing("times", times, at_least=0.0)
    rtol = _checks.number("rtol", rtol, at_least=1e-10, at_most=1e-3)
    system = ClosedSystem(problem, a0.size, epsilon)
    T, m = times.size, a0.size
    a, s, risks, self_risks = np.empty((T, m)), np.empty((T, m)), np.empty(T), np.empty(T)
    residuals = np.empty((T, problem.degree + 1))
    steps = Steps()
    for i, state in enumerate(states_at(system, _joined(a0, s0, r0), times, rtol, steps)):
        a[i], s[i], r = system.split(state)
        risks[i] = exact_risk(problem, a[i], s[i], r)
        self_risks[i] = self_risk(problem, a[i], s[i])
        residuals[i] = problem.residuals(a[i], s[i])
    r = r.copy()
    for array in (times, a, s, r, risks, residuals, self_risks):
        array.flags.writeable = False
    return PopulationFlow(
        problem=problem,
        epsilon=epsilon,
        times=times,
        a=a,
        s=s,
        r=r,
        risks=risks,
        residuals=residuals,
        self_risks=self_risks,
        n_steps=steps.taken,
        n_rejected=steps.rejected,
        status=" ".join(
            [
                f"Reached t = {times[-1]:.6g} in {steps.taken} steps at rtol = {rtol:g}.",
                *remark_on_dimension(s0, epsilon),
                *remark_on_neurons(problem, self_risks, m),
            ]
        ),
    )


def _joined(a: Array, s: Array, r: Array) -> Array:
    return np.concatenate([a, s, r.ravel()])
