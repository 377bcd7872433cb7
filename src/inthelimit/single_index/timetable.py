"""The timetable of learning as ε → 0: when each degree is learned, stage after stage.

t_0 and t_1 have formulas; a later stage l adds ε^(1/(2l)) T_l, with T_l from its constrained flow,
started where the stage before has left the neurons.
Source: arXiv:2303.00055 (the canonical learning order); reconstructed, see `constrained`.
"""

from typing import SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.single_index._laws import checked_law
from inthelimit.single_index._matching import check_atoms, log_level, stages_up_to
from inthelimit.single_index.problem import SingleIndexProblem
from inthelimit.single_index.stages import constant_stage_time, linear_stage_time

RTOL = 1e-10


def canonical_stage_times(
    problem: SingleIndexProblem,
    degree: SupportsIndex,
    atoms: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    epsilon: float,
    fraction: float = 0.5,
) -> Array:
    """Return when the degrees 0, …, l are learned, by the chain of the stages' limits.

    Parameters
    ----------
    problem : SingleIndexProblem
        With σ_k φ_k ≠ 0 for k = 1, …, l.
    degree : int ≥ 1
        l.
    atoms, weights : array_like, shape (N,)
        The law P_A of a(0), with l + 1 distinct atoms or more; equal weights if none are given.
    epsilon : float in (0, 1)
    fraction : float in (0, 1), default 0.5
        Degree k counts as learned when |ρ_k| = fraction · |φ_k|.

    Returns
    -------
    ndarray, shape (l + 1,)
        t_0, …, t_l in the flow's unit; t_0 = 0 where σ_0 φ_0 = 0.

    Raises
    ------
    ValueError
        If an argument is out of range, a stage up to l can't happen, or there are too few atoms.
    ConvergenceError
        If a stage doesn't blow up, because the overlaps die out; or if ε is so small (1e-150) that
        neurons come closer than rounding can tell.

    Notes
    -----
    t_0 and t_1 by their formulas; t_k = t_{k−1} + ε^(1/(2k)) T_k with T_k the learning time of the
    constrained flow.  No stiffness is left, so that ε = 1e-100 costs no more than 1e-2.  Formal
    asymptotics; the relative error of t_l is of the order of ε^(1/(2l)), measured from 1e-8 to
    1e-40: the window of stage l − 1 in the unit of stage l, and what degree l + 1 does early.

    Examples
    --------
    >>> problem = SingleIndexProblem(phi=[1.0, 1.0, 0.5], sigma=[1.0, 1.0, 1.0])
    >>> atoms = [-1.0, -0.6, -0.1, 0.3, 0.7, 1.0]
    >>> [f"{t:.4g}" for t in canonical_stage_times(problem, 2, atoms, epsilon=1e-16)]
    ['6.419e-17', '1.026e-07', '0.0002361']
    """
    l = _checks.integer("degree", degree, at_least=1)
    problem.check_stage(l)
    atoms, weights = checked_law(atoms, weights)
    check_atoms(problem, atoms, l)
    linear = linear_stage_time(problem, atoms, weights, epsilon=epsilon, fraction=fraction)
    first = 0.0
    if problem.sigma[0] * problem.phi[0] != 0.0:
        first = constant_stage_time(problem, atoms, weights, epsilon=epsilon, fraction=fraction)
    times = [first, linear]
    for stage in stages_up_to(problem, l, atoms, weights, epsilon, RTOL) if l > 1 else []:
        k = stage.degree
        T = stage.saturated_time(log_level(problem, k, epsilon), fraction)
        times.append(times[-1] + epsilon ** (1 / (2 * k)) * T)
    return np.array(times)
