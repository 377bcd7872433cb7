"""How one stage hands its neurons to the next, and which laws P_A can reach a stage.

Stage 1 ends with A = κg, S = sgn(σ_1 φ_1) κg in the variables a = ε^(−1/4) A, s = ε^(1/4) S of
stage 2: g is the standardised a(0) and κ² = |φ_1/σ_1|.  Stage l ≥ 2 is an ascent of mean(A S^l)
along a curve; the saturation ρ_l → 0 slows the walk along this curve without bending it, so the
stage ends at the curve's point where mean(a s^l) = φ_l/σ_l, and the next one starts there.
"""

import numpy as np

from inthelimit import ConvergenceError
from inthelimit._checks import Array
from inthelimit.single_index._projected_ascent import Neurons, ProjectedAscent
from inthelimit.single_index.problem import SingleIndexProblem

# Atoms closer than this part of the largest one count as one.
COINCIDENCE = 1e-12


def free_part(problem: SingleIndexProblem, atoms: Array, weights: Array) -> Array:
    """Return what of a(0) is free to grow: all but the mean, which σ_0 ≠ 0 pins."""
    pinned = float(weights @ atoms) if problem.sigma[0] != 0.0 else 0.0
    free: Array = atoms - pinned
    return free


def distinct_atoms(problem: SingleIndexProblem, atoms: Array) -> int:
    """Return how many atoms differ, and differ from 0 where σ_0 = 0: those at 0 never move."""
    tolerance = COINCIDENCE * np.abs(atoms).max()
    ordered = np.sort(atoms if problem.sigma[0] != 0.0 else atoms[np.abs(atoms) > tolerance])
    return int(np.count_nonzero(np.diff(ordered, prepend=-np.inf) > tolerance))


def highest_degree(problem: SingleIndexProblem, atoms: Array) -> int:
    """Return the highest degree that atoms so many can learn in the canonical order."""
    return distinct_atoms(problem, atoms) - int(problem.sigma[0] != 0.0)


def check_atoms(problem: SingleIndexProblem, atoms: Array, degree: int) -> None:
    """Raise ValueError if S^degree is a combination of lower powers on the atoms."""
    n, highest = distinct_atoms(problem, atoms), highest_degree(problem, atoms)
    if highest >= degree:
        return
    if problem.sigma[0] != 0.0:
        raise ValueError(
            f"atoms must have at least {degree + 1} distinct values for degree {degree}, got {n}: "
            f"a law with N atoms learns up to degree N − 1"
        )
    raise ValueError(
        f"atoms must have at least {degree} distinct values other than 0 for degree {degree}, "
        f"got {n}: with sigma[0] = 0 a law with N such atoms learns up to degree N"
    )


def held_degrees(problem: SingleIndexProblem, degree: int) -> list[int]:
    """Return the degrees below `degree` that the network has: σ_k ≠ 0."""
    return [k for k in range(degree) if problem.sigma[k] != 0.0]


def log_level(problem: SingleIndexProblem, degree: int, epsilon: float) -> float:
    """Return the log of |mean(A S^l)| at which mean(a s^l) = φ_l/σ_l."""
    target = abs(problem.phi[degree] / problem.sigma[degree])
    return float(np.log(target) - np.log(epsilon) / (2 * degree))


def ascent(
    problem: SingleIndexProblem, degree: int, start: Neurons, weights: Array, rtol: float
) -> ProjectedAscent:
    """Return the ascent of one stage from its start."""
    constant = float(problem.sigma[degree] * problem.phi[degree])
    held = held_degrees(problem, degree)
    return ProjectedAscent(degree, constant, start, weights, held=held, rtol=rtol)


def second_start(problem: SingleIndexProblem, atoms: Array, weights: Array) -> Neurons:
    """Return the start of stage 2, which is the same for every ε."""
    free = free_part(problem, atoms, weights)
    g = free / np.sqrt(weights @ free**2)
    kappa = np.sqrt(abs(problem.phi[1] / problem.sigma[1]))
    sign = np.sign(problem.sigma[1] * problem.phi[1])
    return Neurons.of(kappa * g, sign * kappa * g, weights)


def next_start(problem: SingleIndexProblem, stage: ProjectedAscent, epsilon: float) -> Neurons:
    """Return the start of stage l + 1, in its own variables, from stage l."""
    l, level = stage.degree, log_level(problem, stage.degree, epsilon)
    if stage.log_objective(stage.end) < level:
        raise ConvergenceError(
            f"stage {l} goes on, at epsilon = {epsilon:g}, until rounding errors hide how neurons "
            f"of a cluster differ, and stage {l + 1} depends on it; try a larger epsilon"
        )
    end = stage.neurons(stage.at_level(level))
    return end.rescaled(float(np.log(epsilon)) / (2 * l * (l + 1)))


def stages_up_to(
    problem: SingleIndexProblem,
    degree: int,
    atoms: Array,
    weights: Array,
    epsilon: float | None,
    rtol: float,
) -> list[ProjectedAscent]:
    """Return the ascents of the stages 2, …, degree; later ones than 2 need an ε."""
    stages = [ascent(problem, 2, second_start(problem, atoms, weights), weights, rtol)]
    for l in range(3, degree + 1):
        assert epsilon is not None
        start = next_start(problem, stages[-1], epsilon)
        stages.append(ascent(problem, l, start, weights, rtol))
    return stages
