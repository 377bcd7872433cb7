"""Hermite expansions of functions of a Gaussian, in the orthonormal polynomials he_k.

With X ~ N(0, 1), E he_j(X) he_k(X) = δ_jk, and f = Σ_k c_k he_k with c_k = E f(X) he_k(X).  The
polynomials follow

    he_0 = 1,   he_1(x) = x,   √(k+1) he_{k+1}(x) = x he_k(x) − √k he_{k−1}(x),
    he_k′ = √k he_{k−1},        E f(X) he_k(X) = E f′(X) he_{k−1}(X) / √k.

For X, Y jointly Gaussian of unit variances and correlation r, E he_j(X) he_k(Y) = δ_jk r^k: a
function's coefficients are all that the risk of a two-layer network on Gaussian data needs.
Source: arXiv:2303.00055 (setting).
"""

from collections.abc import Callable

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import ArrayLike
from scipy.special import roots_hermitenorm

from inthelimit import ConvergenceError, _checks
from inthelimit._checks import Array

# Beyond it the Gaussian density is below 1e-300; within it |he_k| ≤ e^(x²/2) stays a number.
FARTHEST_NODE = 37.0
PANEL_WIDTH = 1.0
# Two rules that differ by more than this part of √(E f²) have not resolved f.
RESOLUTION = 1e-10


def hermite_polynomials(x: ArrayLike, degree: int) -> Array:
    """Return he_0(x), …, he_degree(x), the orthonormal Hermite polynomials.

    Parameters
    ----------
    x : array_like, any shape
        Real numbers.
    degree : int
        The highest degree, ≥ 0.

    Returns
    -------
    ndarray, shape (degree + 1, ...)
        One row for each degree, of the shape of x.

    Raises
    ------
    ValueError
        If `x` is not finite, `degree` is not an integer ≥ 0, or a value is beyond float64.

    Notes
    -----
    O(degree · size of x), by the three-term recurrence, which is stable.

    Examples
    --------
    >>> hermite_polynomials([0.0, 1.0], 2)
    array([[ 1.        ,  1.        ],
           [ 0.        ,  1.        ],
           [-0.70710678,  0.        ]])
    """
    x = _checks.real_array("x", x)
    degree = _checks.integer("degree", degree, at_least=0)
    with np.errstate(over="ignore", invalid="ignore"):
        values = _polynomials(x, degree)
    if not np.isfinite(values).all():
        raise ValueError(
            f"x must keep he_{degree}(x) below 1e308, got x of size {np.abs(x).max():.3g}"
        )
    return values


def hermite_series(coefficients: ArrayLike, x: ArrayLike) -> Array:
    """Return Σ_k coefficients[k] he_k(x), of the shape of x.

    Parameters
    ----------
    coefficients : array_like, shape (degree + 1,)
        The expansion in the orthonormal polynomials.
    x : array_like, any shape
        Real numbers.

    Returns
    -------
    ndarray, of the shape of x

    Raises
    ------
    ValueError
        If an argument is not finite or a value is beyond float64.

    Notes
    -----
    O(degree · size of x), by Clenshaw's recurrence; memory for three arrays of the shape of x.

    Examples
    --------
    >>> hermite_series([1.0, 0.0, np.sqrt(2.0)], [1.0, 2.0]).round(12)
    array([1., 4.])
    """
    coefficients = _checks.vector("coefficients", coefficients)
    x = _checks.real_array("x", x)
    with np.errstate(over="ignore", invalid="ignore"):
        values = series_values(coefficients, x)
    if not np.isfinite(values).all():
        raise ValueError(f"x must keep the series below 1e308, got x of size {np.abs(x).max():.3g}")
    return values


def hermite_coefficients(
    function: Callable[[Array], ArrayLike],
    degree: int,
    *,
    kinks: ArrayLike = (),
    nodes: int | None = None,
) -> Array:
    """Return the coefficients c_k = E f(X) he_k(X), k = 0, …, degree, of a function f.

    Parameters
    ----------
    function : callable
        f, from an array of points to an array of values of the same shape; E f(X)² finite.
    degree : int
        The highest degree, ≥ 0.
    kinks : array_like, shape (number of kinks,), optional
        Where f, or a derivative of f, jumps.
    nodes : int, optional
        Without kinks, the nodes of the Gauss–Hermite rule (default 128 + degree); with kinks, the
        nodes of each panel (default 24 + 2√degree).

    Returns
    -------
    ndarray, shape (degree + 1,)

    Raises
    ------
    ValueError
        If an argument is out of range, or f returns another shape or a value that is not finite.
    ConvergenceError
        If a rule with half as many nodes again gives another answer.

    Notes
    -----
    Without kinks, Gauss–Hermite quadrature, exact for polynomials of degree < 2 nodes − degree.
    With kinks, Gauss–Legendre panels of width ≤ 1 that end at the kinks, over |x| ≤ 37.  The
    answer is that of the larger of two rules, which must agree to 1e-10 √(E f²).

    Examples
    --------
    >>> hermite_coefficients(lambda x: np.maximum(x, 0.0), 2, kinks=[0.0]).round(6)
    array([0.398942, 0.5     , 0.282095])
    """
    degree = _checks.integer("degree", degree, at_least=0)
    kinks = np.unique(_checks.real_array("kinks", kinks, ndim=1))
    if nodes is None:
        nodes = 24 + int(2 * np.sqrt(degree)) if kinks.size else 128 + degree
    nodes = _checks.integer("nodes", nodes, at_least=2)

    def estimate(count: int) -> tuple[Array, float]:
        x, weights = _panels(kinks, count) if kinks.size else _gauss_hermite(count)
        weighted = weights * _values(function, x)
        norm = float(np.sqrt(weighted @ (weighted / weights)))
        return _polynomials(x, degree) @ weighted, norm

    (coarse, _), (fine, norm) = estimate(nodes), estimate(nodes + nodes // 2)
    gap = float(np.abs(fine - coarse).max())
    if gap > RESOLUTION * norm:
        raise ConvergenceError(
            f"hermite_coefficients did not resolve function: {nodes} and {nodes + nodes // 2} "
            f"nodes differ by {gap:.3g}, allowed {RESOLUTION * norm:.3g}. List in kinks every "
            f"point where the function or a derivative jumps (or is steep), or raise nodes"
        )
    return fine


def polynomial_coefficients(monomials: ArrayLike) -> Array:
    """Return the Hermite coefficients of the polynomial Σ_n monomials[n] x^n.

    Parameters
    ----------
    monomials : array_like, shape (degree + 1,)
        The coefficients of 1, x, x², ….

    Returns
    -------
    ndarray, shape (degree + 1,)

    Raises
    ------
    ValueError
        If `monomials` is empty or not finite.

    Notes
    -----
    O(degree²), by Horner's rule with x he_k = √(k+1) he_{k+1} + √k he_{k−1}.

    Examples
    --------
    >>> polynomial_coefficients([0.0, 0.0, 1.0])
    array([1.        , 0.        , 1.41421356])
    """
    monomials = _checks.vector("monomials", monomials)
    root = np.sqrt(np.arange(1.0, monomials.size))
    coefficients = np.zeros(monomials.size)
    for monomial in monomials[::-1]:
        raised = np.zeros_like(coefficients)
        raised[1:] = root * coefficients[:-1]
        raised[:-1] += root * coefficients[1:]
        raised[0] += monomial
        coefficients = raised
    return coefficients


def _polynomials(x: Array, degree: int) -> Array:
    values = np.empty((degree + 1, *x.shape))
    values[0] = 1.0
    if degree:
        values[1] = x
    for k in range(1, degree):
        values[k + 1] = (x * values[k] - np.sqrt(k) * values[k - 1]) / np.sqrt(k + 1)
    return values


def series_values(coefficients: Array, x: Array) -> Array:
    """Return Σ_k coefficients[k] he_k(x) without checks, by Clenshaw's recurrence."""
    later = latest = np.zeros_like(x)
    for k in range(coefficients.size - 1, -1, -1):
        ahead = np.sqrt((k + 1) / (k + 2)) * latest
        later, latest = coefficients[k] + x / np.sqrt(k + 1) * later - ahead, later
    return later


def _gauss_hermite(count: int) -> tuple[Array, Array]:
    x, weights = roots_hermitenorm(count)
    near = np.abs(x) <= FARTHEST_NODE
    return x[near], weights[near] / np.sqrt(2 * np.pi)


def _panels(kinks: Array, count: int) -> tuple[Array, Array]:
    """Return the nodes and weights of E f(X) by Gauss–Legendre panels that end at the kinks."""
    inside = kinks[np.abs(kinks) < FARTHEST_NODE]
    grid = np.arange(-FARTHEST_NODE, FARTHEST_NODE + PANEL_WIDTH / 2, PANEL_WIDTH)
    edges = np.unique(np.concatenate([grid, inside]))
    node, weight = leggauss(count)
    half = np.diff(edges)[:, None] / 2
    x = (half * (node + 1) + edges[:-1, None]).ravel()
    return x, (half * weight).ravel() * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


def _values(function: Callable[[Array], ArrayLike], x: Array) -> Array:
    values = np.asarray(function(x), dtype=np.float64)
    if values.shape != x.shape:
        raise ValueError(f"function must return shape {x.shape} for it, got {values.shape}")
    if not np.isfinite(values).all():
        bad = x[~np.isfinite(values)][0]
        raise ValueError(f"function must be finite on [-37, 37], got a bad value at x = {bad:.6g}")
    return values
