"""The check of a discrete law P_A of the second layer, at the door."""

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import _checks
from inthelimit._checks import Array

SUM_TOLERANCE = 1e-9


def checked_law(atoms: ArrayLike, weights: ArrayLike | None) -> tuple[Array, Array]:
    """Return atoms (N,) and their weights (N,), positive and of sum one: equal ones for None."""
    atoms = _checks.vector("atoms", atoms)
    if weights is None:
        return atoms, np.full(atoms.size, 1 / atoms.size)
    weights = _checks.vector("weights", weights, length=atoms.size)
    if weights.min() <= 0.0:
        i = int(weights.argmin())
        raise ValueError(f"weights must be > 0, got {weights[i]} at index {i}")
    if abs(weights.sum() - 1.0) > SUM_TOLERANCE:
        raise ValueError(f"weights must sum to one, got a sum of {weights.sum():.9g}")
    return atoms, weights
