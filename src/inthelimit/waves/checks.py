"""Two yardsticks for waves: the residual of the equation, and the energy that friction wears down.

The Euler–Poisson–Darboux equation is the equation ẍ + (r/t) ẋ + ∇f(x) = 0 of Nesterov's method for
f(u) = ½ ∫ ∇u·Λ∇u with r = 2α+1; its bound t² f(u(t)) ≤ 2α² ‖u_0 − mean‖² for α ≥ 1 is
2‖u_0 − mean‖² at α = 1, the disc in two dimensions.

Source: arXiv:2202.10742 (the equation); the energy as in Su, Boyd and Candès, arXiv:1503.01243.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.fft import irfftn, rfftn

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.waves._grid import LARGEST_SCALE, LARGEST_VALUE, Grid


def epd_residual(
    solution: Callable[[float], ArrayLike],
    t: float,
    *,
    alpha: float,
    covariance: ArrayLike,
    spacing: ArrayLike,
    step: float,
) -> float:
    """Return by how much a candidate fails the Euler–Poisson–Darboux equation at one time.

    Parameters
    ----------
    solution : callable
        Takes a time and returns grid values of shape (n_1, …, n_d).
    t : float
        The time, > `step`.
    alpha : float
        α > −1.
    covariance : array_like, shape (d, d)
        Λ, symmetric positive definite.
    spacing : float or array_like, shape (d,)
        Distance > 0 of neighbouring grid points, along each axis.
    step : float
        Step > 0 of the central differences in time.

    Returns
    -------
    float
        The largest |∂_tt u + ((2α+1)/t) ∂_t u − div(Λ∇u)| on the grid over the sum of the largest
        sizes of the three terms: 0 for a constant, at most 1.

    Raises
    ------
    ValueError
        If an argument is out of range or of the wrong shape, or the candidate's values are.

    Notes
    -----
    Differences of second order in time, spectral derivatives in space: for a solution the residual
    is O(step²) until rounding, about 1e-16/step², takes over.  It knows nothing of how the
    candidate was made.

    Examples
    --------
    u = cos t cos x solves the plain wave equation, α = −½:

    >>> x = 2 * np.pi * np.arange(16) / 16
    >>> def wave(t):
    ...     return np.cos(t) * np.cos(x)
    >>> law = dict(covariance=[[1.0]], spacing=np.pi / 8, step=1e-3)
    >>> epd_residual(wave, 1.0, alpha=-0.5, **law) < 1e-6
    True
    >>> epd_residual(wave, 1.0, alpha=0.5, **law) > 0.1
    True
    """
    alpha = _checks.number("alpha", alpha, above=-1.0)
    step = _checks.number("step", step, above=0.0)
    t = _checks.number("t", t, above=step, at_most=LARGEST_SCALE)
    now, grid = Grid.of("solution(t)", solution(t), covariance, spacing)
    before, after = (
        _same_shape(f"solution(t {sign} step)", solution(time), grid.shape)
        for sign, time in (("-", t - step), ("+", t + step))
    )
    acceleration = ((after - now) - (now - before)) / step**2
    friction = (2 * alpha + 1) / t * (after - before) / (2 * step)
    axes = tuple(range(now.ndim))
    spectrum = rfftn(now) * -grid.multiplier(np.square)
    tension = irfftn(spectrum, s=grid.shape, axes=axes)
    scale = sum(np.abs(term).max() for term in (acceleration, friction, tension))
    if scale == 0.0:
        return 0.0
    return float(np.abs(acceleration + friction - tension).max() / scale)


def dirichlet_energy(u: ArrayLike, *, covariance: ArrayLike, spacing: ArrayLike) -> float:
    """Return ½ ∫ ∇u·Λ∇u over the period, for the trigonometric interpolant of grid values.

    Parameters
    ----------
    u : array_like, shape (n_1, …, n_d)
        Values on the grid.
    covariance : array_like, shape (d, d)
        Λ, symmetric positive definite.
    spacing : float or array_like, shape (d,)
        Distance > 0 of neighbouring grid points, along each axis.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is out of range or of the wrong shape.

    Notes
    -----
    By Parseval's identity, one real FFT.

    Examples
    --------
    ½ ∫ sin² over a period of 2π:

    >>> wave = np.cos(2 * np.pi * np.arange(8) / 8)
    >>> round(dirichlet_energy(wave, covariance=[[1.0]], spacing=np.pi / 4) / np.pi, 12)
    0.5
    """
    values, grid = Grid.of("u", u, covariance, spacing)
    spectrum = np.abs(rfftn(values, norm="forward")) ** 2
    # The interpolant has half of an end frequency on either side: half the energy along that axis.
    spectrum /= 2.0 ** grid.ends().sum(axis=-1)
    # `rfftn` keeps one of ±ξ, except on the planes where the last frequency is 0 or at the end.
    last = np.arange(spectrum.shape[-1])
    doubled = np.where((last == 0) | (2 * last == grid.shape[-1]), 1.0, 2.0)
    return float(0.5 * grid.volume * (spectrum * doubled * grid.multiplier(np.square)).sum())


def _same_shape(name: str, value: ArrayLike, shape: tuple[int, ...]) -> Array:
    array = _checks.real_array(name, value)
    if array.shape != shape:
        raise ValueError(f"{name} must have the shape {shape} of solution(t), got {array.shape}")
    return _checks.moderate(name, array, largest=LARGEST_VALUE)
