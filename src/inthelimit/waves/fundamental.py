"""The fundamental solution of the Euler–Poisson–Darboux equation, and its laws.

From a Dirac mass at the origin, for α > d/2 − 1,

    E_t(x) = Γ(α+1) / (Γ(α+1−d/2) π^(d/2) t^d √det Λ) · (1 − xᵀΛ⁻¹x/t²)₊^(α−d/2),

a probability density on the ellipsoid {xᵀΛ⁻¹x ≤ t²}.  It is uniform exactly if α = d/2.

Source: arXiv:2202.10742, the uniform ellipsoid at α = d/2; the other α are worked out here.
"""

from typing import SupportsIndex

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, poch

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.waves._grid import LARGEST_SCALE, SMALLEST_SCALE, whitened


def epd_fundamental_solution(
    x: ArrayLike, t: float, *, alpha: float, covariance: ArrayLike
) -> Array:
    """Return the density E_t(x) of the Euler–Poisson–Darboux wave from a Dirac mass.

    Parameters
    ----------
    x : array_like, shape (..., d)
        Points.
    t : float
        The time, > 0.
    alpha : float
        α > d/2 − 1.
    covariance : array_like, shape (d, d)
        Λ, symmetric positive definite.

    Returns
    -------
    ndarray, shape (...)
        Infinite on the front xᵀΛ⁻¹x = t² itself if α < d/2; the value inside if α = d/2.

    Raises
    ------
    ValueError
        If an argument is out of range or of the wrong shape.  At α = d/2 − 1 the solution is a
        measure on the surface of the ellipsoid, below it is no measure at all: neither has a
        density.

    Notes
    -----
    The characteristic function of y ↦ (1 − |y|²)₊^(α−d/2), normalised, is j_α (Sonine's integral);
    E_t is its image under tΛ^½.
    Source: arXiv:2202.10742 for α = d/2 (reconstructed); the other α are worked out here.

    Examples
    --------
    The disc of radius 2 has area 4π:

    >>> x = [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]
    >>> density = epd_fundamental_solution(x, 2.0, alpha=1.0, covariance=np.eye(2))
    >>> (density * 4 * np.pi).round(12)
    array([1., 1., 0.])
    """
    radius, log_det, d = whitened(x, covariance)
    alpha = _checks.number("alpha", alpha, above=d / 2 - 1)
    t = _checks.number("t", t, at_least=SMALLEST_SCALE, at_most=LARGEST_SCALE)
    rho = radius / t
    inside = rho <= 1.0
    depth = np.where(inside, (1.0 - rho) * (1.0 + rho), 1.0)
    log_peak = np.log(_gamma_ratio(alpha, d)) - d / 2 * np.log(np.pi) - d * np.log(t) - log_det / 2
    with np.errstate(divide="ignore"):
        power = (alpha - d / 2) * np.log(depth) if alpha != d / 2 else np.zeros_like(depth)
    density: Array = np.where(inside, np.exp(log_peak + power), 0.0)
    return density


def heat_kernel(x: ArrayLike, t: float, *, covariance: ArrayLike) -> Array:
    """Return the Gaussian density of covariance tΛ: heat that starts from a Dirac mass.

    Parameters
    ----------
    x : array_like, shape (..., d)
        Points.
    t : float
        The time, > 0.
    covariance : array_like, shape (d, d)
        Λ, symmetric positive definite.

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    ValueError
        If an argument is out of range or of the wrong shape.

    Examples
    --------
    >>> heat_kernel([[0.0], [1.0]], 1.0, covariance=[[1.0]]).round(4)
    array([0.3989, 0.242 ])
    """
    radius, log_det, d = whitened(x, covariance)
    t = _checks.number("t", t, at_least=SMALLEST_SCALE, at_most=LARGEST_SCALE)
    density: Array = np.exp(
        -0.5 * (radius / np.sqrt(t)) ** 2 - d / 2 * np.log(2 * np.pi * t) - log_det / 2
    )
    return density


def epd_covariance(t: float, *, alpha: float, covariance: ArrayLike) -> Array:
    """Return the covariance t²/(2(α+1)) Λ of E_t, half its second derivative in Fourier at 0.

    Parameters
    ----------
    t : float
        The time, ≥ 0.
    alpha : float
        α > −1; for α < d/2 − 1 it is the second moment of a distribution.
    covariance : array_like, shape (d, d)
        Λ, symmetric positive definite.

    Returns
    -------
    ndarray, shape (d, d)

    Raises
    ------
    ValueError
        If an argument is out of range or of the wrong shape.

    Examples
    --------
    >>> epd_covariance(2.0, alpha=1.0, covariance=[[1.0, 0.0], [0.0, 1.0]])
    array([[1., 0.],
           [0., 1.]])
    """
    alpha = _checks.number("alpha", alpha, above=-1.0)
    t = _checks.number("t", t, at_least=0.0, at_most=LARGEST_SCALE)
    return t * t / (2 * (alpha + 1)) * _checks.covariance_matrix("covariance", covariance)


def epd_radial_cdf(rho: ArrayLike, *, alpha: float, dimension: SupportsIndex) -> Array:
    """Return the mass of E_t within {xᵀΛ⁻¹x ≤ ρ²t²}: ρ² has the law Beta(d/2, α+1−d/2).

    Parameters
    ----------
    rho : array_like
        Radii ≥ 0 in units of the front, of any shape; 1 is the front.
    alpha : float
        α ≥ d/2 − 1; at d/2 − 1 all mass is on the front.
    dimension : int
        d ≥ 1.

    Returns
    -------
    ndarray, shape of `rho`
        At α = d/2 it is ρ^d.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> epd_radial_cdf([0.5, 1.0, 2.0], alpha=1.0, dimension=2)
    array([0.25, 1.  , 1.  ])
    """
    d = _checks.integer("dimension", dimension, at_least=1)
    alpha = _checks.number("alpha", alpha, at_least=d / 2 - 1)
    radii = _checks.real_array("rho", rho)
    if radii.size and radii.min() < 0.0:
        raise ValueError(f"rho must be ≥ 0, got {radii.min()}")
    radii = np.minimum(radii, 1.0)
    if alpha == d / 2 - 1:
        return (radii >= 1.0).astype(np.float64)
    mass: Array = np.asarray(betainc(d / 2, alpha + 1 - d / 2, radii**2))
    return mass


def kernel_energy_limit(alpha: float, dimension: SupportsIndex) -> float:
    """Return C(α, d) = t^d √det Λ ∫ E_t², the limit of n^d √det Λ Σ_v K_n(v)² for Jacobi gossip.

    Parameters
    ----------
    alpha : float
        α > (d−1)/2, where E_t is square integrable.
    dimension : int
        d ≥ 1.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If α ≤ (d−1)/2 or d < 1.

    Notes
    -----
    C = Γ(α+1)² Γ(2α−d+1) / (Γ(α+1−d/2)² π^(d/2) Γ(2α−d/2+1)).  By Cauchy and Schwarz no density
    on the ellipsoid has less energy than the uniform one, α = d/2, where
    C = Γ(d/2+1)/π^(d/2), one over the volume of the unit ball.  With iid initial values of variance
    σ², E(x^n_v − mean)² = σ² Σ K_n² ≈ σ² C / (n^d √det Λ).
    Source: worked out here from the fundamental solution; compare arXiv:2202.10742.

    Examples
    --------
    >>> round(kernel_energy_limit(1.0, 2) * np.pi, 12)
    1.0
    """
    d = _checks.integer("dimension", dimension, at_least=1)
    alpha = _checks.number("alpha", alpha, above=(d - 1) / 2)
    ratio = _gamma_ratio(alpha, d) ** 2 / _gamma_ratio(2 * alpha - d / 2, d)
    return float(ratio / np.pi ** (d / 2))


def _gamma_ratio(alpha: float, d: int) -> float:
    """Return Γ(α+1)/Γ(α+1−d/2): whole steps as factors, as logarithms of Γ cancel at large α."""
    ratio = float(poch(alpha + 0.5, 0.5)) if d % 2 else 1.0
    steps = d // 2
    top = alpha - 0.5 if d % 2 else alpha
    for k in range(steps):
        ratio *= top - k
    return ratio
