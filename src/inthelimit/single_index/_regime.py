"""The risk without checks, and whether m and d are large enough for the limit, in sentences."""

import numpy as np

from inthelimit._checks import Array
from inthelimit.single_index.problem import SingleIndexProblem

# |s(0)|/√ε and (risk of the self-terms)/(last plateau) above these are worth a sentence.
LARGE_START = 0.1
LARGE_SELF_RISK = 0.1


def exact_risk(problem: SingleIndexProblem, a: Array, s: Array, r: Array) -> float:
    """Return ½ Σ φ_k² − (1/m) Σ a_i V(s_i) + (1/2m²) Σ a_i a_j U(r_ij)."""
    explained = float(a @ problem.V(np.clip(s, -1.0, 1.0))) / a.size
    squared = float(a @ problem.U(np.clip(r, -1.0, 1.0)) @ a) / a.size**2
    return float(problem.phi @ problem.phi) / 2 - explained + squared / 2


def self_risk(problem: SingleIndexProblem, a: Array, s: Array) -> float:
    """Return (1/2m²) Σ a_i² (U(1) − U(s_i²)), the part of the risk that comes of r_ii = 1."""
    excess = problem.U(1.0) - problem.U(np.minimum(s * s, 1.0))
    return float(a * a @ excess) / (2 * a.size**2)


def remark_on_dimension(s0: Array, epsilon: float) -> list[str]:
    """Return a sentence if the overlaps s(0) are not ≪ √ε."""
    size = float(np.sqrt(np.mean(s0**2)))
    if size <= LARGE_START * np.sqrt(epsilon):
        return []
    return [
        f"The overlaps s(0) have size {size:.3g}, as in dimension {size**-2:.3g}; the limit "
        f"d → ∞ needs them ≪ √ε = {np.sqrt(epsilon):.3g}."
    ]


def remark_on_neurons(problem: SingleIndexProblem, self_risks: Array, m: int) -> list[str]:
    """Return a sentence if the self-terms are not small against the last plateau."""
    plateaus = problem.plateaus()
    last = float(plateaus[plateaus > 0.0][-1]) if plateaus[0] > 0.0 else 0.0
    largest = float(self_risks.max())
    if largest <= LARGE_SELF_RISK * last:
        return []
    enough = f", as some {m * largest / (LARGE_SELF_RISK * last):.2g} would" if last else ""
    return [
        f"The {m} neurons do not make up a continuum{enough}: each meets itself, which adds up to "
        f"{largest:.3g} to the risk, and the last plateau is at {last:.3g}."
    ]
