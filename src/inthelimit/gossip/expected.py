"""The expected error of synchronous gossip, from the spectrum of W and without Monte Carlo.

From independent values of mean m and variance 1, x^t = q_t(W) x⁰ misses consensus by

    E ‖x^t − consensus‖² = Σ q_t(λ)²    over the eigenvalues λ ≠ 1 of W,

where consensus is the mean over the component: 1 is an eigenvalue once for each.

Source: arXiv:1805.08531 for the methods; the identity is that of a trace, derived here.
"""

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit._compiled import compiled
from inthelimit.gossip.polynomials import Method

# Eigenvalues this near to 1 are 1: dense solvers err by some 1e-15, on thousands of nodes 1e-14.
UNIT_TOLERANCE = 1e-13
# Computed eigenvalues may be outside [−1, 1] by rounding.
BOUND_TOLERANCE = 1e-10
# Eigenvalues in a block: with three rows of this length a block stays in the first-level cache.
BLOCK = 1024


def expected_error(spectrum: ArrayLike, n_steps: int, method: Method) -> Array:
    """Return √(E ‖x^t − consensus‖²/n) for t = 0, …, n_steps, from values of variance 1.

    Parameters
    ----------
    spectrum : array_like, of any shape
        All n eigenvalues of W with their multiplicities, in [−1, 1].
    n_steps : int, ≥ 0
        The number of rounds.
    method : Method
        The polynomials q_t.

    Returns
    -------
    ndarray, shape (n_steps + 1,)

    Raises
    ------
    ValueError
        If no eigenvalue is 1, one is outside [−1, 1], or `n_steps` is negative.

    Notes
    -----
    O(n) for each round, in blocks of eigenvalues that stay in cache.  Eigenvalues within 1e-13 of
    1 count as 1, so slower modes than that are taken for components.
    Source: arXiv:1805.08531 for the methods; the identity is derived here.

    Examples
    --------
    >>> from inthelimit.gossip import SimpleMethod
    >>> expected_error([1.0, 0.5, 0.5, 0.5], 2, SimpleMethod()) ** 2
    array([0.75    , 0.1875  , 0.046875])
    """
    eigenvalues = _checks.real_array("spectrum", spectrum).ravel()
    if not eigenvalues.size or np.abs(eigenvalues - 1.0).min() > UNIT_TOLERANCE:
        raise ValueError("spectrum must have the eigenvalue 1, as that of a gossip matrix does")
    worst = eigenvalues[np.argmax(np.abs(eigenvalues))]
    if abs(worst) > 1.0 + BOUND_TOLERANCE:
        raise ValueError(f"spectrum must be within [−1, 1], got {worst}")
    others = eigenvalues[np.abs(eigenvalues - 1.0) > UNIT_TOLERANCE]
    steps = method.coefficients(n_steps)
    squares = np.zeros(n_steps + 1)
    _add_squares(others, steps.a, steps.b, steps.c, squares)
    error: Array = np.sqrt(squares / eigenvalues.size)
    return error


@compiled
def _add_squares(eigenvalues: Array, a: Array, b: Array, c: Array, squares: Array) -> None:
    """Add Σ q_t(λ)² to squares[t], for all t, one block of eigenvalues after the other."""
    for begin in range(0, eigenvalues.size, BLOCK):
        block = eigenvalues[begin : begin + BLOCK]
        now, past = np.ones(block.size), np.zeros(block.size)
        squares[0] += block.size
        for k in range(a.size):
            total = 0.0
            for j in range(block.size):
                past[j] = (a[k] * block[j] + b[k]) * now[j] - c[k] * past[j]
                total += past[j] * past[j]
            squares[k + 1] += total
            now, past = past, now
