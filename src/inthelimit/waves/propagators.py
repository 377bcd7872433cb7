"""The two limits of gossip on a periodic grid: the heat flow and the Euler–Poisson–Darboux wave.

In Fourier each is a multiplier of û_0(ξ), with κ = √(ξᵀΛξ):

    heat:  ∂_t u = ½ div(Λ∇u)                          exp(−t κ²/2)
    EPD:   ∂_tt u + ((2α+1)/t) ∂_t u = div(Λ∇u)        j_α(t κ)

Source: arXiv:2202.10742, the heat and the Euler–Poisson–Darboux limit.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.fft import irfftn, rfftn

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.waves._grid import LARGEST_SCALE, Grid
from inthelimit.waves.bessel import evaluate


def heat_propagate(
    u0: ArrayLike, t: ArrayLike, *, covariance: ArrayLike, spacing: ArrayLike
) -> Array:
    """Return the solution of the heat equation ∂_t u = ½ div(Λ∇u) from u_0 on a periodic grid.

    Parameters
    ----------
    u0 : array_like, shape (n_1, …, n_d)
        Values on the grid.
    t : float or array_like, shape (T,)
        Times ≥ 0, in any order.
    covariance : array_like, shape (d, d)
        Λ, symmetric positive definite.
    spacing : float or array_like, shape (d,)
        Distance > 0 of neighbouring grid points, along each axis.

    Returns
    -------
    ndarray, shape of `u0`, or (T, n_1, …, n_d)

    Raises
    ------
    ValueError
        If an argument is out of range or of the wrong shape.

    Notes
    -----
    Exact for the trigonometric interpolant of u_0: the error is that of the interpolation, beyond
    every power of the spacing if u_0 is smooth and periodic.  Two real FFTs of n = Π n_i values,
    O(n log n); one more for every further time.
    Source: arXiv:2202.10742, the heat limit of simple gossip (reconstructed).

    Examples
    --------
    >>> wave = np.cos(2 * np.pi * np.arange(3) / 3)
    >>> heat_propagate(wave, 2.0, covariance=[[1.0]], spacing=2 * np.pi / 3).round(4)
    array([ 0.3679, -0.1839, -0.1839])
    """
    values, grid = Grid.of("u0", u0, covariance, spacing)

    def at(time: float) -> Callable[[Array], Array]:
        return lambda kappa: np.exp(-0.5 * time * kappa * kappa)

    return _propagate(values, grid, t, at)


def epd_propagate(
    u0: ArrayLike, t: ArrayLike, *, alpha: float, covariance: ArrayLike, spacing: ArrayLike
) -> Array:
    """Return the Euler–Poisson–Darboux wave from u_0 at rest, on a periodic grid.

    It solves ∂_tt u + ((2α+1)/t) ∂_t u = div(Λ∇u), u(0) = u_0, ∂_t u(0) = 0.

    Parameters
    ----------
    u0 : array_like, shape (n_1, …, n_d)
        Values on the grid.
    t : float or array_like, shape (T,)
        Times ≥ 0, in any order.
    alpha : float
        α > −1.
    covariance : array_like, shape (d, d)
        Λ, symmetric positive definite.
    spacing : float or array_like, shape (d,)
        Distance > 0 of neighbouring grid points, along each axis.

    Returns
    -------
    ndarray, shape of `u0`, or (T, n_1, …, n_d)

    Raises
    ------
    ValueError
        If an argument is out of range or of the wrong shape.

    Notes
    -----
    Exact for the trigonometric interpolant of u_0, as `heat_propagate`; O(n log n) and n Bessel
    functions for each time.

    The mean of u_0 over the ellipsoid {xᵀΛ⁻¹x ≤ t²} is α = d/2, over its surface α = d/2 − 1, the
    plain wave is α = −½, and α → ∞ with t²/(2(α+1)) fixed is heat.  For α ≥ −½ the L² norm never
    exceeds that of u_0.  For α in (−1, −½) friction is negative: frequencies ξ grow like
    |ξ|^(−α−½), u_0 must be that much smoother, and as t^(−2α) solves the equation too, the initial
    conditions single out u only among functions twice differentiable at t = 0.
    Source: arXiv:2202.10742, the Euler–Poisson–Darboux limit of Jacobi gossip (reconstructed).

    Examples
    --------
    d'Alembert's half-and-half at α = −½:

    >>> u0 = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    >>> u = epd_propagate(u0, 2.0, alpha=-0.5, covariance=[[1.0]], spacing=1.0)
    >>> (u.round(12) + 0.0).tolist()
    [0.0, 0.0, 0.5, 0.0, 0.0, 0.5, 0.0]
    """
    alpha = _checks.number("alpha", alpha, above=-1.0)
    values, grid = Grid.of("u0", u0, covariance, spacing)

    def at(time: float) -> Callable[[Array], Array]:
        return lambda kappa: evaluate(alpha, time * kappa)

    return _propagate(values, grid, t, at)


def spherical_mean(
    u0: ArrayLike, radius: ArrayLike, *, covariance: ArrayLike, spacing: ArrayLike
) -> Array:
    """Return the means of u_0 over the surfaces of the ellipsoids {yᵀΛ⁻¹y ≤ radius²} about x.

    The surface carries the image of the uniform measure on the sphere under Λ^½: if Λ is a multiple
    of the identity, the mean is over a sphere.

    Parameters
    ----------
    u0 : array_like, shape (n_1, …, n_d)
        Values on the grid.
    radius : float or array_like, shape (T,)
        Radii ≥ 0, in units of Λ^½.
    covariance : array_like, shape (d, d)
        Λ, symmetric positive definite.
    spacing : float or array_like, shape (d,)
        Distance > 0 of neighbouring grid points, along each axis.

    Returns
    -------
    ndarray, shape of `u0`, or (T, n_1, …, n_d)

    Raises
    ------
    ValueError
        If an argument is out of range or of the wrong shape.

    Notes
    -----
    Darboux's equation: the mean M(r, x) over the sphere of radius r obeys
    ∂_rr M + ((d−1)/r) ∂_r M = ΔM, so it is `epd_propagate` at α = d/2 − 1; at every α above, u is
    the mean of M(ρt, x) over the radial law of ρ, `epd_radial_cdf`.

    Examples
    --------
    >>> u0 = [6.0, 0.0, 0.0, 0.0, 0.0]
    >>> (spherical_mean(u0, 1.0, covariance=[[1.0]], spacing=1.0).round(12) + 0.0).tolist()
    [0.0, 3.0, 0.0, 0.0, 3.0]
    """
    values = _checks.real_array("u0", u0)
    return epd_propagate(
        values,
        _times("radius", radius),
        alpha=max(values.ndim, 1) / 2 - 1,
        covariance=covariance,
        spacing=spacing,
    )


def _propagate(
    values: Array, grid: Grid, t: ArrayLike, symbol: Callable[[float], Callable[[Array], Array]]
) -> Array:
    times = _times("t", t)
    transform = rfftn(values)
    axes = tuple(range(values.ndim))
    result = np.empty((times.size, *values.shape))
    for k, time in enumerate(times.ravel()):
        moved = transform * grid.multiplier(symbol(float(time)))
        result[k] = irfftn(moved, s=values.shape, axes=axes, overwrite_x=True)
    return result.reshape(times.shape + values.shape)


def _times(name: str, value: ArrayLike) -> Array:
    times = _checks.real_array(name, value)
    if times.ndim > 1:
        raise ValueError(f"{name} must be a number or have shape (T,), got shape {times.shape}")
    if times.size and not 0.0 <= times.min() <= times.max() <= LARGEST_SCALE:
        worst = times.min() if times.min() < 0 else times.max()
        raise ValueError(f"{name} must be ≥ 0 and ≤ {LARGEST_SCALE:g}, got {worst}")
    return times
