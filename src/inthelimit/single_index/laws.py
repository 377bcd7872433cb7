"""Laws P_A of the second layer at the start, as atoms and weights.

The mean-field flow sees P_A as Σ_i w_i δ(a_i).  A law with a density enters by a quadrature rule,
whose every moment up to a high degree is exact; what a few extreme neurons do, as in the later
stages, depends on the rule's last nodes, and so on n.  Source: arXiv:2303.00055 (setting).
"""

import numpy as np
from numpy.polynomial.legendre import leggauss
from scipy.special import roots_hermitenorm

from inthelimit import _checks
from inthelimit._checks import Array

# Beyond it the outermost weights of the Gaussian rule underflow.
MOST_GAUSSIAN_NODES = 350


def uniform_law(n: int) -> tuple[Array, Array]:
    """Return the Gauss–Legendre rule of the uniform law on [−1, 1].

    Parameters
    ----------
    n : int
        The number of nodes, ≥ 1.

    Returns
    -------
    atoms, weights : ndarray, shape (n,)
        Increasing nodes, and positive weights of sum one.

    Raises
    ------
    ValueError
        If `n` is not an integer ≥ 1.

    Notes
    -----
    Exact for polynomials of degree < 2n; O(n³).  The outermost node is at 1 − O(1/n²).

    Examples
    --------
    >>> atoms, weights = uniform_law(3)
    >>> round(float(weights @ atoms**2), 12)  # 1/3
    0.333333333333
    """
    atoms, weights = leggauss(_checks.integer("n", n, at_least=1))
    return np.asarray(atoms), np.asarray(weights / weights.sum())


def gaussian_law(n: int) -> tuple[Array, Array]:
    """Return the Gauss–Hermite rule of the law N(0, 1).

    Parameters
    ----------
    n : int
        The number of nodes, from 1 to 350.

    Returns
    -------
    atoms, weights : ndarray, shape (n,)
        Increasing nodes, and positive weights of sum one.

    Raises
    ------
    ValueError
        If `n` is not an integer from 1 to 350, beyond which weights underflow.

    Notes
    -----
    Exact for polynomials of degree < 2n; O(n²).  The outermost node is near 2√n: the larger n, the
    further into the tail the neurons reach that lead a stage, and the sooner the stage ends.

    Examples
    --------
    >>> atoms, weights = gaussian_law(5)
    >>> round(float(weights @ atoms**4), 12)
    3.0
    """
    n = _checks.integer("n", n, at_least=1)
    if n > MOST_GAUSSIAN_NODES:
        raise ValueError(f"n must be ≤ {MOST_GAUSSIAN_NODES}, where weights underflow, got {n}")
    atoms, weights = roots_hermitenorm(n)
    return np.asarray(atoms), np.asarray(weights / weights.sum())
