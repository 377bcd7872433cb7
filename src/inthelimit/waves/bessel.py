"""The normalised Bessel function, through which the Euler–Poisson–Darboux wave moves.

    j_α(s) = Γ(α+1) (2/s)^α J_α(s) = Σ_k (−s²/4)^k / (k! (α+1)_k) = ₀F₁(; α+1; −s²/4)

is the solution of f'' + ((2α+1)/s) f' + f = 0 with f(0) = 1, f'(0) = 0.  It is cos s at α = −½, and
as α → ∞ with s²/(4(α+1)) fixed it tends to exp(−s²/(4(α+1))): wave and heat are its two ends.

Source: arXiv:2202.10742 (the equation); the evaluation is worked out here.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln, jv

from inthelimit import _checks
from inthelimit._checks import Array

# With this many of Rayleigh's sums, s² ≤ (α+1)(α+2)/2 leaves a tail below 1e-16.
RAYLEIGH_SUMS = 48
# From here on two terms of Hankel's expansion are J_α; SciPy's is wrong without a word from 1e16.
LARGE_ARGUMENT = 1e8
# Beyond the reach of Rayleigh's sums |j_α| < exp(−α/8), which is 0 in float64 from this order on.
LARGE_ORDER = 6000.0


def normalised_bessel(alpha: float, s: ArrayLike) -> Array:
    """Return the normalised Bessel function j_α(s) = Γ(α+1) (2/s)^α J_α(s), with j_α(0) = 1.

    Parameters
    ----------
    alpha : float
        α > −1.
    s : array_like
        Real arguments of any shape; j_α is even.

    Returns
    -------
    ndarray, shape of `s`

    Raises
    ------
    ValueError
        If α ≤ −1, or an argument is not finite.

    Notes
    -----
    |j_α| ≤ 1 if α ≥ −½; if α < −½ it grows like s^(−α−½).  The error is below 1e-14 if α ≥ 0, 2e-14
    if α ≥ −½, and 1e-13 of the largest |j_α| up to s if α < −½.  Large α is safe: below
    s² = (α+1)(α+2)/2 no power or Gamma function is formed, since there

        log j_α(s) = −Σ_k σ_k s^(2k)/k,  σ_1 = 1/(4(α+1)),  (α+k) σ_k = Σ_i σ_i σ_(k−i)

    with Rayleigh's sums σ_k = Σ 1/(zeros of J_α)^(2k), whose terms all have one sign.  Beyond, it
    is SciPy's J_α times exp(log Γ(α+1) + α log(2/s)); for α < −½ it is
    j_(α+1) − s² j_(α+2)/(4(α+1)(α+2)).

    Examples
    --------
    >>> normalised_bessel(1.0, [0.0, 2.0]).round(6)
    array([1.      , 0.576725])
    """
    alpha = _checks.number("alpha", alpha, above=-1.0)
    return evaluate(alpha, np.abs(_checks.real_array("s", s)))


def evaluate(alpha: float, s: Array) -> Array:
    """Return j_α(s) for checked α > −1 and finite s ≥ 0."""
    if alpha >= -0.5:
        return _evaluate_directly(alpha, s)
    with np.errstate(over="ignore"):
        factor = s / (2 * (alpha + 1)) * (s / (2 * (alpha + 2)))
    return _evaluate_directly(alpha + 1, s) - factor * _evaluate_directly(alpha + 2, s)


def _evaluate_directly(alpha: float, s: Array) -> Array:
    if alpha == -0.5:
        return np.cos(s)
    result = np.empty_like(s)
    scaled = s / np.sqrt((alpha + 1) * (alpha + 2))
    early, late = scaled <= np.sqrt(0.5), s > LARGE_ARGUMENT
    result[early] = _before_the_first_zero(alpha, scaled[early])
    if alpha >= LARGE_ORDER:
        result[~early] = 0.0
        return result
    middle = ~(early | late)
    result[middle] = _rescaled(alpha, s[middle], jv(alpha, s[middle]))
    result[late] = _rescaled(alpha, s[late], _hankel(alpha, s[late]))
    return result


def _before_the_first_zero(alpha: float, scaled: Array) -> Array:
    """Return j_α at s = `scaled` √((α+1)(α+2)) by the series of its logarithm."""
    squared = scaled * scaled
    total = np.zeros_like(squared)
    for coefficient in _logarithmic_coefficients(alpha)[::-1]:
        total = (total + coefficient) * squared
    return np.exp(-total)


def _logarithmic_coefficients(alpha: float) -> Array:
    """Return σ_k ((α+1)(α+2))^k / k for k = 1, 2, …"""
    rayleigh = np.empty(RAYLEIGH_SUMS)
    rayleigh[0] = (alpha + 2) / 4
    for k in range(1, RAYLEIGH_SUMS):
        rayleigh[k] = rayleigh[:k] @ rayleigh[k - 1 :: -1] / (alpha + k + 1)
    return rayleigh / np.arange(1, RAYLEIGH_SUMS + 1)


def _rescaled(alpha: float, s: Array, bessel: Array) -> Array:
    """Return Γ(α+1) (2/s)^α times J_α(s), where factors may be beyond float64."""
    with np.errstate(divide="ignore"):
        size = np.log(np.abs(bessel)) + gammaln(alpha + 1) + alpha * np.log(2 / s)
    value: Array = np.copysign(np.exp(size), bessel)
    return value


def _hankel(alpha: float, s: Array) -> Array:
    phase = (alpha / 2 + 0.25) * np.pi
    # Only cos(s) and sin(s) know s to all its digits: s − phase would round it.
    cosine = np.cos(s) * np.cos(phase) + np.sin(s) * np.sin(phase)
    sine = np.sin(s) * np.cos(phase) - np.cos(s) * np.sin(phase)
    wave: Array = cosine - (alpha - 0.5) * (alpha + 0.5) / 2 / s * sine
    wave *= np.sqrt(2 / np.pi) / np.sqrt(s)
    return wave
