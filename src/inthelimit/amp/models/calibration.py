"""The lasso at N = ∞: effective noise, calibration of its penalty, and the exact phase transition.

At a fixed point of message passing with θ = α τ, x̂ = soft(X + τZ, θ), where τ solves

    τ² = σ² + E (soft(X + τZ, ατ) − X)²/δ,    δ = m/n,

and the lasso's penalty is λ = θ (1 − b) with b = P(|X + τZ| > θ)/δ.  All expectations are formulas
in the normal law.  The finite system is in `inthelimit.amp.models.convex`.
Source: derived from the state evolution of arXiv:2109.11905; the calibration is Donoho, Maleki and
Montanari's and Bayati and Montanari's.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import erfcx, ndtr

from inthelimit import ConvergenceError, _checks
from inthelimit._checks import Array
from inthelimit.amp.models.priors import Prior

# Roots are found to rounding of their bracket.
ROOT_TOLERANCE = 1e-14
# Beyond this ratio θ/τ no coordinate of any signal worth the name survives.
LARGEST_ALPHA = 40.0


@dataclass(frozen=True, slots=True)
class LassoLimit:
    """The fixed point of the limit, which is the lasso itself at N = ∞.

    Attributes
    ----------
    alpha : float
        θ/τ.
    tau : float
        The effective noise τ.
    threshold : float
        θ = α τ.
    penalty : float
        λ = θ (1 − b).
    active : float
        b = P(|X + τZ| > θ)/δ, the number of non-zero coordinates over that of observations.
    error : float
        The mean squared error E (soft(X + τZ, θ) − X)².
    """

    alpha: float
    tau: float
    threshold: float
    penalty: float
    active: float
    error: float


def lasso_limit(prior: Prior, *, rate: float, noise_level: float, alpha: float) -> LassoLimit:
    """Return the limit of the lasso at θ = α τ: effective noise, penalty, error.

    Parameters
    ----------
    prior : Prior
    rate : float > 0
        δ = m/n.
    noise_level : float > 0
        σ.
    alpha : float
        Above `smallest_alpha(rate)`, where no fixed point exists.

    Returns
    -------
    LassoLimit

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    The expectations are formulas in the normal law, and τ² the only root of a concave function.
    Source: derived from the state evolution of arXiv:2109.11905; the map α → λ is the calibration
    of Bayati and Montanari.

    Examples
    --------
    >>> from inthelimit.amp.models.priors import sparse_signs
    >>> limit = lasso_limit(sparse_signs(0.1), rate=0.5, noise_level=0.2, alpha=1.5)
    >>> round(limit.tau, 4), round(limit.penalty, 4), round(limit.error, 4)
    (0.3523, 0.3052, 0.0421)
    """
    delta = _checks.number("rate", rate, above=0.0)
    sigma = _checks.number("noise_level", noise_level, above=0.0)
    alpha = _checks.number("alpha", alpha, above=smallest_alpha(delta), at_most=LARGEST_ALPHA)

    def excess(log_square: float) -> float:
        tau = np.exp(0.5 * log_square)
        return float(1.0 - (sigma**2 + soft_risk(prior, tau, alpha * tau) / delta) / tau**2)

    low = 2.0 * np.log(sigma) - 1e-9
    high = low + 1.0
    while excess(high) < 0.0:
        high += 2.0
    tau = float(np.exp(0.5 * brentq(excess, low, high, xtol=ROOT_TOLERANCE)))
    active = survival(prior, tau, alpha * tau) / delta
    error = soft_risk(prior, tau, alpha * tau)
    return LassoLimit(alpha, tau, alpha * tau, alpha * tau * (1.0 - active), active, error)


def lasso_limit_at(prior: Prior, *, rate: float, noise_level: float, penalty: float) -> LassoLimit:
    """Return the limit of the lasso at penalty λ: the α that gives it, and all that follows.

    Parameters
    ----------
    prior : Prior
    rate : float > 0
        δ = m/n.
    noise_level : float > 0
        σ.
    penalty : float > 0
        λ, of ½‖y − Ax‖² + λ‖x‖₁ with columns of A of norm about 1.

    Returns
    -------
    LassoLimit

    Raises
    ------
    ValueError
        If an argument is out of range.
    ConvergenceError
        If λ is so large that no α ≤ 40 gives it: the estimate is 0.

    Notes
    -----
    λ increases with α, from −∞, so that bisection finds it.
    Source: the calibration of Bayati and Montanari, derived from arXiv:2109.11905.

    Examples
    --------
    >>> from inthelimit.amp.models.priors import sparse_signs
    >>> prior = sparse_signs(0.1)
    >>> limit = lasso_limit_at(prior, rate=0.5, noise_level=0.2, penalty=0.3)
    >>> round(limit.alpha, 4)
    1.4907
    """
    penalty = _checks.number("penalty", penalty, above=0.0)

    def excess(alpha: float) -> float:
        limit = lasso_limit(prior, rate=rate, noise_level=noise_level, alpha=alpha)
        return limit.penalty - penalty

    # Near its smallest value τ is infinite, and λ = −∞.
    low = smallest_alpha(_checks.number("rate", rate, above=0.0)) * (1.0 + 1e-6) + 1e-6
    high = max(1.0, 2.0 * low)
    while excess(high) < 0.0:
        if high == LARGEST_ALPHA:
            raise ConvergenceError(
                f"no α ≤ {LARGEST_ALPHA:g} gives penalty {penalty:g}: the estimate is 0; "
                "take a smaller penalty"
            )
        high = min(2.0 * high, LARGEST_ALPHA)
    alpha = float(brentq(excess, low, high, xtol=ROOT_TOLERANCE))
    return lasso_limit(prior, rate=rate, noise_level=noise_level, alpha=alpha)


def smallest_alpha(rate: float) -> float:
    """Return the α below which τ is infinite: (1 + α²) Φ(−α) − α φ(α) = δ/2; 0 for δ ≥ 1."""
    delta = _checks.number("rate", rate, above=0.0)
    if delta >= 1.0:
        return 0.0
    return float(brentq(lambda a: _noise_risk(a) - delta, 0.0, LARGEST_ALPHA, xtol=ROOT_TOLERANCE))


def phase_transition(rate: float) -> float:
    """Return the largest ρ = k/m at which ℓ¹ minimisation recovers k-sparse signals without noise.

    Parameters
    ----------
    rate : float
        δ = m/n, in (0, 1].

    Returns
    -------
    float
        ρ(δ): below, message passing with the best α converges to the signal at exponential rate.

    Notes
    -----
    The curve, by its parameter z, the best α, with M = Φ(−z)/φ(z):
    δ = 2φ(z)/(z + 2φ(z)(1 − z M)), ρ = 1 − z M.
    Source: Donoho and Tanner's curve, in the form of Donoho, Maleki and Montanari: where
    the minimax risk of soft thresholding, sup over signals and min over α, is δ.

    Examples
    --------
    >>> round(phase_transition(0.5), 4)
    0.3857
    """
    delta = _checks.number("rate", rate, above=0.0, at_most=1.0)

    def excess(z: float) -> float:
        # z/φ(z) in logarithms, as φ(z) underflows.
        rest = np.log(z) + 0.5 * z**2 + 0.5 * np.log(2.0 * np.pi)
        return float(np.log(2.0) - np.logaddexp(rest, np.log(2.0 * _recovered(z))) - np.log(delta))

    if delta == 1.0:
        return 1.0
    return _recovered(float(brentq(excess, 1e-300, LARGEST_ALPHA, xtol=ROOT_TOLERANCE)))


def _recovered(z: float) -> float:
    return float(1.0 - z * np.sqrt(np.pi / 2.0) * erfcx(z / np.sqrt(2.0)))


def _noise_risk(alpha: float) -> float:
    """Return E soft(Z, α)² = 2 ((1 + α²) Φ(−α) − α φ(α))."""
    mills = np.sqrt(np.pi / 2.0) * erfcx(alpha / np.sqrt(2.0))
    return float(2.0 * _density(alpha) * ((1.0 + alpha**2) * mills - alpha))


def _density(x: ArrayLike) -> Array:
    density: Array = np.exp(-0.5 * np.square(x)) / np.sqrt(2.0 * np.pi)
    return density


def soft_risk(prior: Prior, tau: float, theta: float) -> float:
    """Return E (soft(X + τZ, θ) − X)², a formula in the normal law."""
    # Given a component, R = X + τZ is N(μ, s²), and X = μ + (σ²/s²)(R − μ) + an independent part:
    # in u = (R − μ)/s the difference is a line a + b u on each of three intervals.
    s = np.sqrt(prior.variances + tau**2)
    gain = prior.variances / s**2
    low, high = (-theta - prior.means) / s, (theta - prior.means) / s
    far = np.full_like(s, np.inf)
    pieces = [
        (theta + 0.0 * s, s * (1.0 - gain), -far, low),
        (-prior.means, -s * gain, low, high),
        (-theta + 0.0 * s, s * (1.0 - gain), high, far),
    ]
    total = gain * tau**2
    for a, b, left, right in pieces:
        mass = _mass(left, right)
        first = _density(left) - _density(right)
        second = mass + _moment(left) - _moment(right)
        total = total + a**2 * mass + 2.0 * a * b * first + b**2 * second
    return float(prior.weights @ total)


def survival(prior: Prior, tau: float, theta: float) -> float:
    """Return P(|X + τZ| > θ)."""
    s = np.sqrt(prior.variances + tau**2)
    return float(
        prior.weights @ (ndtr((-theta - prior.means) / s) + ndtr((prior.means - theta) / s))
    )


def _mass(left: Array, right: Array) -> Array:
    """Return Φ(right) − Φ(left) without cancellation in the upper tail."""
    mass: Array = np.where(left > 0.0, ndtr(-left) - ndtr(-right), ndtr(right) - ndtr(left))
    return mass


def _moment(x: Array) -> Array:
    """Return x φ(x), 0 at ±∞."""
    finite = np.where(np.isfinite(x), x, 0.0)
    moment: Array = finite * _density(finite)
    return moment
