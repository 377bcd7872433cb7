"""How far gossip has spread a Dirac: moments and radial laws of kernels.

The finite system is a kernel K on a box with the origin in its middle, of mass 1 and possibly
signed.  Its limit is a law with ellipsoids {v : vᵀΛ⁻¹v ≤ r²} for level sets.  The gap is
Kolmogorov's distance of their radial laws, as convergence is weak: near the front, and by parity,
kernels differ from their limits by a factor.

Source: arXiv:2202.10742, of which the abstract was read, for the limit.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inthelimit import _checks
from inthelimit._checks import Array

# Radii that differ by rounding alone are one sphere.
RADIUS_TOLERANCE = 1e-12


def kernel_coordinates(kernel: ArrayLike) -> tuple[NDArray[np.int64], ...]:
    """Return the coordinates of the nodes of a kernel, one open grid for each axis.

    Parameters
    ----------
    kernel : array_like
        On a box with the origin in the middle: odd lengths.

    Returns
    -------
    tuple of ndarray
        The i-th has the length of the kernel in axis i and 1 elsewhere, so that they broadcast.

    Raises
    ------
    ValueError
        If a length is even.

    Examples
    --------
    >>> x, y = kernel_coordinates(np.ones((3, 5)))
    >>> (x**2 + y**2).max()
    np.int64(5)
    """
    return _open_grids(_checked_kernel(kernel))


def kernel_covariance(kernel: ArrayLike) -> Array:
    """Return Σ_v K(v) v vᵀ.

    Parameters
    ----------
    kernel : array_like, d axes
        On a box with the origin in the middle: odd lengths.

    Returns
    -------
    ndarray, shape (d, d)

    Raises
    ------
    ValueError
        If a length is even.

    Notes
    -----
    For Jacobi gossip this is n(n+α+β+1)/(2(α+1)) Λ, for simple gossip nΛ, exactly.
    Derived for this package: −∂_ξ∂_ξᵀ q_n(λ(ξ)) = q_n'(1) Λ at ξ = 0.

    Examples
    --------
    >>> kernel_covariance([0.25, 0.5, 0.25])
    array([[0.5]])
    """
    array = _checked_kernel(kernel)
    d = array.ndim
    grids = [grid.ravel().astype(float) for grid in _open_grids(array)]
    covariance = np.empty((d, d))
    for i in range(d):
        for j in range(i, d):
            marginal = array.sum(axis=tuple(k for k in range(d) if k not in (i, j)))
            moment = marginal @ grids[i] ** 2 if i == j else grids[i] @ marginal @ grids[j]
            covariance[i, j] = covariance[j, i] = moment
    return covariance


def radial_cdf(kernel: ArrayLike, radii: ArrayLike, *, covariance: ArrayLike) -> Array:
    """Return the kernel's mass within ellipsoids {v : vᵀΛ⁻¹v ≤ r²}.

    Parameters
    ----------
    kernel : array_like, d axes
        On a box with the origin in the middle: odd lengths.
    radii : array_like
        Radii r ≥ 0, of any shape, in the norm of Λ⁻¹; in rounds of gossip if Λ is the lattice's.
    covariance : array_like, shape (d, d)
        Λ, symmetric and positive definite.

    Returns
    -------
    ndarray, shape of `radii`

    Raises
    ------
    ValueError
        If an argument is out of range or of the wrong shape.

    Notes
    -----
    One sort of the nodes by their radius.

    Examples
    --------
    >>> radial_cdf([0.25, 0.5, 0.25], [0.0, 0.9, 1.0], covariance=[[1.0]])
    array([0.5, 0.5, 1. ])
    """
    spheres, masses = _radial_masses(_checked_kernel(kernel), covariance)
    asked = _checks.real_array("radii", radii)
    if (asked < 0.0).any():
        raise ValueError(f"radii must be ≥ 0, got {asked.min()}")
    found = np.searchsorted(spheres, asked * (1.0 + RADIUS_TOLERANCE), side="right")
    within: Array = np.concatenate([[0.0], masses])[found]
    return within


def radial_distance(
    kernel: ArrayLike,
    law: Callable[[Array], ArrayLike],
    *,
    covariance: ArrayLike,
    radius: float,
) -> float:
    """Return Kolmogorov's distance between a kernel's radial law and another.

    Parameters
    ----------
    kernel : array_like, d axes
        On a box with the origin in the middle: odd lengths.
    law : callable
        ρ, of shape (m,), → the mass that the other law has within radius ρ, continuous in ρ:
        ρ ↦ min(ρ, 1)^d for the uniform law of a ball.
    covariance : array_like, shape (d, d)
        Λ, symmetric and positive definite.
    radius : float, > 0
        The radius, in the norm of Λ⁻¹, that is ρ = 1: n, or better n + (α+β+1)/2.

    Returns
    -------
    float
        sup over ρ of the difference, on both sides of the kernel's jumps.

    Raises
    ------
    ValueError
        If an argument is out of range or of the wrong shape.

    Notes
    -----
    One sort of the nodes by their radius.  Kernels converge weakly, which is what this measures.

    Examples
    --------
    >>> from inthelimit.gossip import JacobiMethod, gossip_kernel
    >>> from inthelimit.graphs import square_lattice
    >>> lattice = square_lattice(2)
    >>> kernel = gossip_kernel(lattice, 100, JacobiMethod(1.0))
    >>> disc = lambda rho: np.minimum(rho, 1.0) ** 2
    >>> round(radial_distance(kernel, disc, covariance=lattice.covariance, radius=101.0), 4)
    0.0087
    """
    spheres, masses = _radial_masses(_checked_kernel(kernel), covariance)
    scale = _checks.number("radius", radius, above=0.0)
    expected = _checks.vector("law", law(spheres / scale), length=spheres.size)
    before = np.concatenate([[0.0], masses[:-1]])
    return float(max(np.abs(masses - expected).max(), np.abs(before - expected).max()))


def _checked_kernel(kernel: ArrayLike) -> Array:
    array = _checks.real_array("kernel", kernel)
    if array.ndim == 0 or any(length % 2 == 0 for length in array.shape):
        raise ValueError(
            f"kernel must have odd lengths, the origin in the middle, got shape {array.shape}"
        )
    return array


def _open_grids(kernel: Array) -> tuple[NDArray[np.int64], ...]:
    return tuple(np.ogrid[tuple(slice(-(m // 2), m // 2 + 1) for m in kernel.shape)])


def _radial_masses(kernel: Array, covariance: ArrayLike) -> tuple[Array, Array]:
    """Return the radii of the spheres that carry nodes, increasing, and the masses within them."""
    precision = np.linalg.inv(
        _checks.covariance_matrix("covariance", covariance, dimension=kernel.ndim)
    )
    grids = _open_grids(kernel)
    squares = sum(
        precision[i, j] * grids[i] * grids[j] for i in range(len(grids)) for j in range(len(grids))
    )
    squares = np.asarray(squares, dtype=float).ravel()
    order = np.argsort(squares)
    squares, within = squares[order], np.cumsum(kernel.ravel()[order])
    ends = np.append(np.diff(squares) > RADIUS_TOLERANCE * squares[1:], True)
    return np.sqrt(squares[ends]), within[ends]
