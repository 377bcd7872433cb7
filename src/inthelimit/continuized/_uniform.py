"""The schedule that is convex at first and exponential in the end, without cancellation.

With x = ct/2 and c = √(μ/L), A = sinh²(x)/μ.  The closed forms of τ and τ'' in A lose all digits
for small gaps; here they are written in w = tanh²(ct/2) and ρ = log(w1/w0),

    τ = s − s² g(−ρ),    τ'' = w0 (s − w0 s² g(ρ)),    s = ρ/(1 − w0),    g(v) = (eᵛ − 1 − v)/v²,

from ∫ coth(v/2)/sinh²v dv and ∫ tanh(v/2)/sinh²v dv, since z − x ∝ 1/sinh²(ct) between jumps.
Neither the paper nor its sequel has this schedule: it solves the equations of their proof.
"""

from dataclasses import dataclass
from math import factorial

import numpy as np

from inthelimit._checks import Array
from inthelimit.continuized._schedule import Parameters, Schedule, full, over_weight

# 1/(k+2)! for k < 18: the series of (eˣ − 1 − x)/x², below rounding for |x| ≤ 1.
_SECOND_REMAINDER = [1.0 / factorial(k + 2) for k in range(18)]
# 1/(2k+3)! for k < 9: the series of (sinh x − x)/x³, below rounding for |x| ≤ 1.
_THIRD_REMAINDER = [1.0 / factorial(2 * k + 3) for k in range(9)]


@dataclass(frozen=True, slots=True)
class UniformSchedule(Schedule):
    """η = c coth(ct/2), η' = c tanh(ct/2), γ = 1/L, γ' = tanh(ct/2)/√(μL); c = √(μ/L).

    A = sinh²(ct/2)/μ and B = cosh²(ct/2).  For ct ≪ 1 it is the convex schedule, for ct ≫ 1 the
    exponential one.  Made by `uniform_schedule`.

    Parameters
    ----------
    L : float
        1/γ.
    mu : float
        0 < μ ≤ L.
    """

    L: float
    mu: float

    @property
    def kappa_tilde(self) -> float:
        """1: the gradient is exact or has additive noise."""
        return 1.0

    @property
    def rate(self) -> float:
        """The exponential rate c guaranteed."""
        return float(np.sqrt(self.mu) / np.sqrt(self.L))

    # The terms in x = ct/2 are written as those of the convex schedule times a function of x that
    # is 1 at 0, so that μ may be arbitrarily small.

    def _parameters(self, t: Array) -> Parameters:
        x = self.rate * t / 2
        slope = _ratio(np.tanh(x), x)
        gamma, gamma_prime = self._kicks(t)
        etas = 2 / t / slope, self.rate * np.tanh(x)
        return Parameters(etas[0][()], etas[1][()], full(t, gamma), gamma_prime[()])

    def _kicks(self, t: Array) -> tuple[float, Array]:
        x = self.rate * t / 2
        return 1 / self.L, t / (2 * self.L) * _ratio(np.tanh(x), x)

    def _mixing(self, t0: Array, t1: Array) -> tuple[Array, Array]:
        rho, s, w0, w1 = self._log_tanh(t0, t1)
        near = np.minimum(rho, 1.0)
        # ∫ of the equation for z − x ∝ 1/sinh²(ct), in w = tanh²(ct/2), from w0 to w1 = w0 e^ρ.
        tau_near = s * (1 - s * _second_remainder(-near))
        second_near = w0 * s * (1 - w0 * s * _second_remainder(near))
        scale = (1 - w0) ** 2
        far = rho > 1.0
        scale = np.where(far, scale, 1.0)
        # w0 ρ → 0 as w0 → 0.
        w0_rho = np.where(w0 > 0.0, w0 * np.where(np.isfinite(rho), rho, 0.0), 0.0)
        tau_far = (-np.expm1(-rho) - w0_rho) / scale
        second_far = (w0_rho - w0 * (w1 - w0)) / scale
        return np.where(far, tau_far, tau_near), np.where(far, second_far, second_near)

    def _tau_prime(self, t0: Array, t1: Array) -> Array:
        tau, tau_second = self._mixing(t0, t1)
        rho, _, w0, w1 = self._log_tanh(t0, t1)
        # Where τ is near 1, 1 − τ is w0/w1/(1 − w0)² times the denominator below.
        far = (rho > 1.0) & np.isfinite(rho)
        rho, w1 = np.where(far, rho, 1.0), np.where(far, w1, 0.5)
        tau_prime_far = w1 * (rho - w1 + w0) / (1 + w1 * (rho - 2 + w0))
        tau_prime_near = tau_second / np.where(tau < 1.0, 1 - tau, 1.0)
        return np.where(far, tau_prime_far, tau_prime_near)

    def _log_tanh(self, t0: Array, t1: Array) -> tuple[Array, Array, Array, Array]:
        """Return ρ = log(w1/w0), s = ρ/(1 − w0), w0 and w1, for w = tanh²(ct/2).

        tanh b/tanh a = 1 + sinh(b − a)/(sinh a cosh b), in decaying exponentials, is free of
        cancellation and overflow.
        """
        c = self.rate
        q0, q1 = np.exp(-c * t0), np.exp(-c * t1)
        rise = -np.expm1(-c * (t1 - t0)) / (1 + q1)
        # At t0 = 0, and at subnormal t0, ρ is infinite.
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            rise = np.where(rise > 0.0, rise / -np.expm1(-c * t0), 0.0)
            excess = 2 * q0 * rise
        rho = 2 * np.log1p(excess)
        # ρ/(1 − w0) with 1 − w0 = 4 q0/(1 + q0)², in a form that survives q0 = 0; where ρ is
        # infinite it is not used.
        finite = np.isfinite(excess)
        excess, rise = np.where(finite, excess, 1.0), np.where(finite, rise, 1.0)
        s = _ratio(np.log1p(excess), excess) * (1 + q0) ** 2 * rise
        return rho, s, np.tanh(c * t0 / 2) ** 2, np.tanh(c * t1 / 2) ** 2

    def _weights(self, t: Array) -> tuple[Array, Array]:
        x = self.rate * t / 2
        return t * t / (4 * self.L) * _ratio(np.sinh(x), x) ** 2, np.cosh(x) ** 2

    def _bound(self, t: Array, gap: float, distance_squared: float, noise_variance: float) -> Array:
        u = self.rate * t
        with np.errstate(divide="ignore"):
            # 1/A: the convex one times (x/sinh x)², x = u/2.
            inverse_A = 4 * self.L * (np.exp(-u / 2) / _ratio(-np.expm1(-u), u) / t) ** 2
        return over_weight(inverse_A, distance_squared / 2) + noise_variance / self.L * (
            t * _mean_weight(u)
        )


def _ratio(numerator: Array, x: Array) -> Array:
    """Return numerator/x, and 1 where x = 0."""
    zero = x == 0.0
    ratio: Array = np.where(zero, 1.0, numerator) / np.where(zero, 1.0, x)
    return ratio


def _second_remainder(x: Array) -> Array:
    """Return (eˣ − 1 − x)/x² for |x| ≤ 1."""
    return _power_series(_SECOND_REMAINDER, x)


def _power_series(coefficients: list[float], x: Array) -> Array:
    total = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total *= x
        total += coefficient
    return total


def _mean_weight(u: Array) -> Array:
    """Return (1/t)∫₀ᵗ A/A_t at u = ct, for A = sinh²(cs/2): 1/3 at 0 and then down to 1/u."""
    near, far = np.minimum(u, 1.0), np.maximum(u, 1.0)
    cubic = _power_series(_THIRD_REMAINDER, near * near)
    mean_near = 2 * cubic / _ratio(np.sinh(near / 2), near / 2) ** 2
    q = np.exp(-far)
    mean_far = (1 - q * q - 2 * far * q) / (far * (1 - q) ** 2)
    mean: Array = np.where(u <= 1.0, mean_near, mean_far)
    return mean
