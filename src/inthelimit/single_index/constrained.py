"""The stages l ≥ 2 in the limit: degree l grows while multipliers keep the lower ones fitted.

In the variables a = ε^(−(l−1)/(2l)) A, s = ε^(1/(2l)) S, t = ε^(1/(2l)) T of stage l the mean-field
flow becomes, as ε → 0,

    dA_i/dT = Σ_{k ≤ l} λ_k S_i^k,    dS_i/dT = A_i Σ_{k ≤ l} k λ_k S_i^{k−1},    λ_l = σ_l φ_l,

where λ_k = σ_k ρ_k ε^((k−l)/(2l)), k < l, are Lagrange multipliers: they keep mean(A S^{l−1}) at
φ_{l−1}/σ_{l−1}, and mean(A S^k) at 0 for k < l − 1.  So stage l is the gradient ascent of
σ_l φ_l mean(A S^l) on a manifold; it blows up at a finite T = c_l, and t_l = c_l ε^(1/(2l)).

The start of stage 2 is the same for every ε.  That of stage l ≥ 3 isn't: stage l − 1 draws most
neurons into a few clusters, as ε → 0, and with l distinct values of S or fewer mean(A S^l) grows
only linearly.  How close the clusters have come depends on ε, and c_l with it, slowly.
Source: arXiv:2303.00055 (the canonical learning order) has the exponents; the constrained flow, the
matching and the growth of c_3 are reconstructed and formal, and checked against the flow.
"""

from dataclasses import dataclass, field
from typing import SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.single_index._laws import checked_law
from inthelimit.single_index._matching import (
    check_atoms,
    distinct_atoms,
    highest_degree,
    log_level,
    stages_up_to,
)
from inthelimit.single_index._projected_ascent import ProjectedAscent
from inthelimit.single_index.problem import SingleIndexProblem

RTOL = 1e-10
# Where no times are given the last reading has this part of the blow-up time left.
LAST_READING = 1e-4
N_READINGS = 201


@dataclass(frozen=True, slots=True, eq=False)
class ConstrainedStage:
    """One stage l ≥ 2 in its own variables, from its start to its blow-up.

    Attributes
    ----------
    problem : SingleIndexProblem
    degree : int
        l.
    weights : ndarray, shape (N,)
        Of the neurons.
    epsilon : float or None
        The ε for which the start was matched; None for degree 2, where it makes no difference.
    times : ndarray, shape (T,)
        T = t/ε^(1/(2l)), counted from the start of the stage.
    A, S : ndarray, shape (T, N)
        a ε^((l−1)/(2l)) and s ε^(−1/(2l)).
    objective : ndarray, shape (T,)
        mean(A S^l).
    multipliers : ndarray, shape (T, l)
        λ_0, …, λ_{l−1}.
    blow_up : float
        c_l.
    direction_A, direction_S : ndarray, shape (N,)
        (A, S)/√mean(A² + S²) at the blow-up: equal entries are neurons of one cluster.
    n_steps : int
        Steps in τ.
    """

    problem: SingleIndexProblem
    degree: int
    weights: Array
    epsilon: float | None
    times: Array
    A: Array
    S: Array
    objective: Array
    multipliers: Array
    blow_up: float
    direction_A: Array
    direction_S: Array
    n_steps: int
    _path: ProjectedAscent = field(repr=False)

    def learning_time(self, epsilon: float | None = None, *, fraction: float = 0.5) -> float:
        """Return the T at which |ρ_l| = fraction · |φ_l|, saturation included: → c_l as ε → 0.

        The factor ρ_l/φ_l = 1 − mean(A S^l)/level, level = ε^(−1/(2l)) |φ_l/σ_l|, slows the walk
        along the curve, so T = ∫ dT/(1 − mean(A S^l)/level).  A stage with an ε has no other.
        """
        fraction = _checks.number("fraction", fraction, above=0.0, below=1.0)
        epsilon = self.epsilon if epsilon is None else epsilon
        if epsilon is None:
            raise ValueError("epsilon must be given: this stage was computed for all of them")
        epsilon = _checks.number("epsilon", epsilon, above=0.0, below=1.0)
        if self.epsilon is not None and epsilon != self.epsilon:
            raise ValueError(
                f"epsilon must be {self.epsilon:g}, for which this stage was matched, got {epsilon}"
            )
        return self._path.saturated_time(log_level(self.problem, self.degree, epsilon), fraction)


def constrained_stage_flow(
    problem: SingleIndexProblem,
    degree: SupportsIndex,
    atoms: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    epsilon: float | None = None,
    times: ArrayLike | None = None,
    rtol: float = RTOL,
) -> ConstrainedStage:
    """Return stage l ≥ 2 as the ascent of mean(A S^l) with the lower degrees held fitted.

    Parameters
    ----------
    problem : SingleIndexProblem
        With σ_k φ_k ≠ 0 for k = 1, …, l.
    degree : int ≥ 2
        l.
    atoms, weights : array_like, shape (N,)
        The law P_A of a(0), with l + 1 distinct atoms or more; equal weights if none are given.
    epsilon : float in (0, 1), optional
        For degree ≥ 3, whose start depends on it; 1e-100 is no harder than 1e-10.
    times : array_like, shape (T,), optional
        T within [0, c_l); by default 201 that crowd towards the blow-up.
    rtol : float in [1e-13, 1e-3], default 1e-10
        Relative accuracy of the direction (A, S)/|(A, S)| along the path.

    Returns
    -------
    ConstrainedStage

    Raises
    ------
    ValueError
        If an argument is out of range, a stage up to l can't happen, or there are too few atoms.
    ConvergenceError
        If the ascent doesn't blow up, because the overlaps die out; or if ε is so small (1e-150)
        that neurons come closer than rounding can tell.

    Notes
    -----
    No step goes towards infinity: on the sphere (A, S)/R with the clock dτ = R^{l−1} dT the blow-up
    is a point that is approached exponentially fast, and c_l = ∫ dT to rounding.  O(N l²) for each
    of some hundred steps.  Formal asymptotics; from arXiv:2303.00055 the scaling.

    Examples
    --------
    >>> problem = SingleIndexProblem(phi=[1.0, 1.0, 0.5], sigma=[1.0, 1.0, 1.0])
    >>> stage = constrained_stage_flow(problem, 2, [-1.0, -0.6, -0.1, 0.3, 0.7, 1.0])
    >>> round(stage.blow_up, 6)
    2.406883
    >>> (stage.direction_S / stage.direction_S.max()).round(6) + 0.0
    array([ 0.,  0.,  0., -1.,  0.,  1.])
    """
    l = _checks.integer("degree", degree, at_least=2)
    problem.check_stage(l)
    atoms, weights = checked_law(atoms, weights)
    check_atoms(problem, atoms, l)
    if epsilon is None and l > 2:
        raise ValueError(
            f"epsilon must be given for degree {l}: the start of stage {l} depends on it"
        )
    if epsilon is not None:
        epsilon = _checks.number("epsilon", epsilon, above=0.0, below=1.0)
    rtol = _checks.number("rtol", rtol, at_least=1e-13, at_most=1e-3)
    path = stages_up_to(problem, l, atoms, weights, epsilon, rtol)[-1]
    if times is None:
        last = path.at_time(path.blow_up * (1 - LAST_READING))
        taus = np.linspace(0.0, last, N_READINGS)
    else:
        times = _checks.increasing("times", times, at_least=0.0)
        if times[-1] >= path.blow_up:
            raise ValueError(
                f"times must be below the blow-up at {path.blow_up:.9g}, got {times[-1]}"
            )
        taus = np.array([path.at_time(T) for T in times])
    neurons = [path.neurons(tau) for tau in taus]
    sizes = np.exp([state.log_size for state in neurons])[:, None]
    A = np.array([state.y for state in neurons]) * sizes
    S = np.array([state.x for state in neurons]) * sizes
    end = path.neurons(path.end)
    return ConstrainedStage(
        problem=problem,
        degree=l,
        weights=weights,
        epsilon=epsilon if l > 2 else None,
        times=np.array([path.time(tau) for tau in taus]) if times is None else times,
        A=A,
        S=S,
        objective=(A * S**l) @ weights,
        multipliers=np.array([path.multipliers(tau) for tau in taus]),
        blow_up=path.blow_up,
        direction_A=end.y,
        direction_S=end.x,
        n_steps=path.nodes.size - 1,
        _path=path,
    )


def linear_growth_slope(
    problem: SingleIndexProblem, atoms: ArrayLike, weights: ArrayLike | None = None
) -> float:
    """Return how fast mean(A S^l) can grow where the law has one atom too few for degree l.

    Parameters
    ----------
    problem : SingleIndexProblem
        With σ_k φ_k ≠ 0 for k = 1, …, l.
    atoms, weights : array_like, shape (N,)
        The law P_A of a(0), with l = N distinct atoms if σ_0 ≠ 0 and l = N + 1 if σ_0 = 0; equal
        weights if none are given.

    Returns
    -------
    float
        |σ_l φ_l| (φ_{l−1}/σ_{l−1})² Σ_i 1/w_i: an upper bound of |d mean(A S^l)/dT|, attained
        where the weights are equal and σ_0 ≠ 0.

    Raises
    ------
    ValueError
        If an argument is out of range, or atoms coincide.

    Notes
    -----
    With N values of S, S^N = e_1 S^{N−1} − … (their own polynomial), so on the manifold
    mean(A S^N) = P ΣS_i, P = φ_{N−1}/σ_{N−1}: a linear function of S, whose gradient in a metric
    of at least Σ w_i dS_i² has squared length at most P² Σ 1/w_i.  Equal weights: all S_i move
    together and A stands still.  A proof, for the constrained flow: degree l then takes a time of
    order 1 at least, whatever ε.  For two atoms ±a the slope is 4 σ_2 φ_2 (φ_1/σ_1)².

    Examples
    --------
    >>> problem = SingleIndexProblem(phi=[1.0, 1.0, 2 / 3], sigma=[1.0, 1.0, 1.0])
    >>> round(linear_growth_slope(problem, [-1.0, 1.0]), 9)
    2.666666667
    """
    atoms, weights = checked_law(atoms, weights)
    moving = atoms if problem.sigma[0] != 0.0 else atoms[atoms != 0.0]
    if not moving.size or distinct_atoms(problem, atoms) < moving.size:
        raise ValueError("atoms must be distinct, and not all 0, to have a slope of growth")
    l = highest_degree(problem, atoms) + 1
    if l < 2:
        raise ValueError("atoms must be at least two where sigma[0] ≠ 0, got one")
    problem.check_stage(l)
    masses = weights if problem.sigma[0] != 0.0 else weights[atoms != 0.0]
    held = problem.phi[l - 1] / problem.sigma[l - 1]
    return float(abs(problem.sigma[l] * problem.phi[l]) * held**2 * np.sum(1 / masses))
