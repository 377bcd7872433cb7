"""The coefficients of the continuized iteration: continuous, discretised, and in its bound.

The system has rate-one jump times T_1 < T_2 < … and, with g the gradient at x just before a jump,

    dx = η (z − x) dt − γ g dN,        dz = η' (x − z) dt − γ' g dN.

A schedule gives η, η', γ, γ' at any time, and, between two jump times t0 < t1, the exact solution
of the linear part: with the state (x, z) at t0 and y = x just before t1,

    y = x + τ (z − x),    z(t1−) = z + τ'' (x − z) = z + τ' (y − z),    τ' = τ''/(1 − τ).

The theorems say that φ = A (f(x) − f*) + B/2 ‖z − x*‖² is a supermartingale when

    A' = A η = B γ',    A/L = κ̃ B γ'²,    B' = B η',    B η' = μ A'        (γ = 1/L),

that is √A'' = μ/(4 L κ̃) √A, which has the solutions t (μ = 0), an exponential, and a sinh.  Here
κ̃ = 1 for a gradient that is exact or has additive noise.  For least squares with multiplicative
noise, L is the constant R² of the law, f(x) − f* is replaced by ½‖x − x*‖², and ‖z − x*‖² by
‖z − x*‖² in the norm of H⁻¹.

Source: arXiv:2102.06035 (exact gradients), arXiv:2106.07644 (noisy gradients).
"""

from dataclasses import dataclass

import numpy as np

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.continuized._schedule import Parameters, Schedule, Step, full, over_weight
from inthelimit.continuized._uniform import UniformSchedule

__all__ = [
    "ConstantSchedule",
    "ConvexSchedule",
    "ExponentialSchedule",
    "Parameters",
    "Schedule",
    "Step",
    "UniformSchedule",
    "constant_schedule",
    "convex_schedule",
    "least_squares_schedule",
    "strongly_convex_schedule",
    "uniform_schedule",
]


@dataclass(frozen=True, slots=True)
class ConvexSchedule(Schedule):
    """η = 2/t, η' = 0, γ = 1/L, γ' = t/(2Lκ̃); A = t²/(4Lκ̃), B = 1.

    Made by `convex_schedule` and, with κ̃ > 1, by `least_squares_schedule`.

    Parameters
    ----------
    L : float
        1/γ.
    kappa_tilde : float
        κ̃ ≥ 1.
    """

    L: float
    kappa_tilde: float = 1.0

    @property
    def mu(self) -> float:
        """The strong convexity used: 0."""
        return 0.0

    @property
    def rate(self) -> float:
        """The exponential rate guaranteed: 0."""
        return 0.0

    def _parameters(self, t: Array) -> Parameters:
        gamma, gamma_prime = self._kicks(t)
        return Parameters((2 / t)[()], full(t, 0.0), full(t, gamma), gamma_prime[()])

    def _kicks(self, t: Array) -> tuple[float, Array]:
        return 1 / self.L, t / (2 * self.L * self.kappa_tilde)

    def _mixing(self, t0: Array, t1: Array) -> tuple[Array, Array]:
        # 1 − (t0/t1)², factored so that neither a small gap nor a large time spoils it.
        last = np.maximum(t1, np.finfo(np.float64).tiny)
        tau: Array = (t1 - t0) / last * (1 + t0 / last)
        return tau, np.zeros_like(tau)

    def _tau_prime(self, t0: Array, t1: Array) -> Array:
        return np.zeros_like(t1 - t0)

    def _weights(self, t: Array) -> tuple[Array, Array]:
        return t * t / (4 * self.L * self.kappa_tilde), full(t, 1.0)

    def _bound(self, t: Array, gap: float, distance_squared: float, noise_variance: float) -> Array:
        _check_noise(noise_variance, self.kappa_tilde)
        with np.errstate(divide="ignore"):
            inverse_A = 4 * self.L * self.kappa_tilde / t / t
        return over_weight(inverse_A, distance_squared / 2) + noise_variance / self.L * t / 3


@dataclass(frozen=True, slots=True)
class ExponentialSchedule(Schedule):
    """η = η' = c = √(μ/(Lκ̃)), γ = 1/L, γ' = 1/√(μLκ̃); A = e^{ct}, B = μ e^{ct}.

    Made by `strongly_convex_schedule` and, with κ̃ > 1, by `least_squares_schedule`.

    Parameters
    ----------
    L : float
        1/γ.
    mu : float
        0 < μ ≤ L/κ̃.
    kappa_tilde : float
        κ̃ ≥ 1.
    """

    L: float
    mu: float
    kappa_tilde: float = 1.0

    is_constant = True

    @property
    def rate(self) -> float:
        """The exponential rate c guaranteed."""
        return float(np.sqrt(self.mu / self.L / self.kappa_tilde))

    def _parameters(self, t: Array) -> Parameters:
        gamma, gamma_prime = self._kicks(t)
        return Parameters(full(t, self.rate), full(t, self.rate), full(t, gamma), gamma_prime)

    def _kicks(self, t: Array) -> tuple[float, Array]:
        return 1 / self.L, full(t, self.rate / self.mu)

    def _mixing(self, t0: Array, t1: Array) -> tuple[Array, Array]:
        tau: Array = -0.5 * np.expm1(-2 * self.rate * (t1 - t0))
        return tau, tau

    def _tau_prime(self, t0: Array, t1: Array) -> Array:
        tau_prime: Array = np.tanh(self.rate * (t1 - t0))
        return tau_prime

    def _weights(self, t: Array) -> tuple[Array, Array]:
        A = np.exp(self.rate * t)
        return A, self.mu * A

    def _bound(self, t: Array, gap: float, distance_squared: float, noise_variance: float) -> Array:
        _check_noise(noise_variance, self.kappa_tilde)
        c = self.rate
        start = gap + self.mu / 2 * distance_squared
        bound: Array = start * np.exp(-c * t) - noise_variance / self.L * np.expm1(-c * t) / c
        return bound


@dataclass(frozen=True, slots=True)
class ConstantSchedule(Schedule):
    """Any constants η, η', γ, γ', for experiments: no weights, no bound.

    Made by `constant_schedule`.

    Parameters
    ----------
    eta, eta_prime, gamma, gamma_prime : float
        The coefficients.
    """

    eta: float
    eta_prime: float
    gamma: float
    gamma_prime: float

    is_constant = True

    @property
    def L(self) -> float:
        """1/γ."""
        return 1 / self.gamma

    def _parameters(self, t: Array) -> Parameters:
        constants = (self.eta, self.eta_prime, self.gamma, self.gamma_prime)
        return Parameters(*(full(t, constant) for constant in constants))

    def _kicks(self, t: Array) -> tuple[float, Array]:
        return self.gamma, full(t, self.gamma_prime)

    def _mixing(self, t0: Array, t1: Array) -> tuple[Array, Array]:
        total = self.eta + self.eta_prime
        mixed = -np.expm1(-total * (t1 - t0)) / (total or 1.0)
        return self.eta * mixed, self.eta_prime * mixed

    def _tau_prime(self, t0: Array, t1: Array) -> Array:
        total = self.eta + self.eta_prime
        if self.eta_prime == 0.0:
            return np.zeros_like(t1 - t0)
        left = np.exp(-total * (t1 - t0))
        mixed = -np.expm1(-total * (t1 - t0))
        tau_prime: Array = self.eta_prime * mixed / (self.eta_prime + self.eta * left)
        return tau_prime

    def _weights(self, t: Array) -> tuple[Array, Array]:
        raise ValueError(f"schedule must be one of a theorem to have weights, got {self}")

    def _bound(self, t: Array, gap: float, distance_squared: float, noise_variance: float) -> Array:
        raise ValueError(f"schedule must be one of a theorem to have a bound, got {self}")


def convex_schedule(L: float) -> ConvexSchedule:
    """Return the schedule for a convex function with L-Lipschitz gradient.

    Parameters
    ----------
    L : float
        Smoothness, > 0; an overestimate is allowed, and makes the steps shorter.

    Returns
    -------
    ConvexSchedule

    Raises
    ------
    ValueError
        If L is not positive and finite.

    Notes
    -----
    E f(x_t) − f* ≤ 2L‖z_0 − x*‖²/t².  Source: arXiv:2102.06035, continuous-time rates.

    Examples
    --------
    >>> schedule = convex_schedule(2.0)
    >>> float(schedule.step(1.0, 2.0).tau)
    0.75
    >>> float(schedule.bound(10.0, gap=1.0, distance_squared=1.0))
    0.04
    """
    return ConvexSchedule(_checks.number("L", L, above=0.0))


def strongly_convex_schedule(L: float, mu: float) -> ExponentialSchedule:
    """Return the schedule for a μ-strongly convex function with L-Lipschitz gradient.

    Parameters
    ----------
    L, mu : float
        0 < μ ≤ L; L may be overestimated and μ underestimated.

    Returns
    -------
    ExponentialSchedule

    Raises
    ------
    ValueError
        If not 0 < μ ≤ L < ∞.

    Notes
    -----
    E f(x_t) − f* ≤ (f(x_0) − f* + μ/2 ‖z_0 − x*‖²) e^{−√(μ/L) t}.
    Source: arXiv:2102.06035, continuous-time rates.

    Examples
    --------
    >>> strongly_convex_schedule(4.0, 0.04).rate
    0.1
    """
    L = _checks.number("L", L, above=0.0)
    return ExponentialSchedule(L, _strong_convexity(mu, L, above=0.0))


def uniform_schedule(L: float, mu: float) -> ConvexSchedule | UniformSchedule:
    """Return the schedule whose bound is below the convex one for every μ in [0, L].

    Parameters
    ----------
    L, mu : float
        0 ≤ μ ≤ L.  For μ = 0 this is `convex_schedule(L)`.

    Returns
    -------
    ConvexSchedule or UniformSchedule

    Raises
    ------
    ValueError
        If not 0 ≤ μ ≤ L < ∞.

    Notes
    -----
    E f(x_t) − f* ≤ μ/2 ‖z_0 − x*‖²/sinh²(½√(μ/L) t).  The ODE in the proof of arXiv:2102.06035
    has this third solution; it starts like the convex schedule and ends like the
    exponential one, with no choice between them.

    Examples
    --------
    >>> schedule = uniform_schedule(1.0, 0.01)
    >>> early, late = schedule.parameters(0.01), schedule.parameters(1000.0)
    >>> round(float(early.eta), 3), round(float(late.eta), 3)
    (200.0, 0.1)
    """
    L = _checks.number("L", L, above=0.0)
    mu = _strong_convexity(mu, L, at_least=0.0)
    return UniformSchedule(L, mu) if mu > 0.0 else ConvexSchedule(L)


def least_squares_schedule(
    R2: float, kappa_tilde: float, mu: float = 0.0
) -> ConvexSchedule | ExponentialSchedule:
    """Return the schedule for least squares with one sample per step and no residual noise.

    The gradient is a aᵀ(x − x*), with a drawn afresh, H = E aaᵀ.

    Parameters
    ----------
    R2 : float
        R² > 0, with E ‖a‖² aaᵀ ≼ R² H.
    kappa_tilde : float
        The statistical condition number κ̃ ≥ 1, with E ‖a‖²_{H⁻¹} aaᵀ ≼ κ̃ H.
    mu : float, default 0
        The smallest positive eigenvalue of H, or less; μκ̃ ≤ R².

    Returns
    -------
    ConvexSchedule or ExponentialSchedule
        With L = R².

    Raises
    ------
    ValueError
        If an argument is out of range or not finite.

    Notes
    -----
    For μ = 0, ½E‖x_t − x*‖² ≤ 2R²κ̃‖z_0 − x*‖²_{H⁻¹}/t²; for μ > 0, with κ = R²/μ,
    ≤ (½‖x_0 − x*‖² + μ/2 ‖z_0 − x*‖²_{H⁻¹}) e^{−t/√(κκ̃)}.
    Source: arXiv:2106.07644, multiplicative noise.

    Examples
    --------
    >>> least_squares_schedule(2.0, 50.0, mu=0.01).rate
    0.01
    """
    R2 = _checks.number("R2", R2, above=0.0)
    kappa_tilde = _checks.number("kappa_tilde", kappa_tilde, at_least=1.0)
    mu = _checks.number("mu", mu, at_least=0.0)
    # Equality is attained (one-hot rows, one edge), so rounding must not refuse it.
    if mu * kappa_tilde > R2 * (1 + 1e-9):
        raise ValueError(
            f"mu must be ≤ R2/kappa_tilde = {R2 / kappa_tilde:.6g} (κ̃ ≤ κ = R²/μ), got {mu}"
        )
    return ExponentialSchedule(R2, mu, kappa_tilde) if mu > 0.0 else ConvexSchedule(R2, kappa_tilde)


def constant_schedule(
    eta: float, eta_prime: float, gamma: float, gamma_prime: float
) -> ConstantSchedule:
    """Return a schedule of any constants, covered by a theorem or not.

    Parameters
    ----------
    eta, eta_prime : float
        Mixing rates ≥ 0.
    gamma, gamma_prime : float
        Step sizes, γ > 0 and γ' ≥ 0.

    Returns
    -------
    ConstantSchedule
        Its `weights`, `potential` and `bound` raise ValueError.

    Raises
    ------
    ValueError
        If a constant is out of range or not finite.

    Examples
    --------
    Without mixing, x takes plain gradient steps at random times.

    >>> float(constant_schedule(0.0, 0.0, 0.5, 0.0).step(1.0, 2.0).tau)
    0.0
    """
    return ConstantSchedule(
        _checks.number("eta", eta, at_least=0.0),
        _checks.number("eta_prime", eta_prime, at_least=0.0),
        _checks.number("gamma", gamma, above=0.0),
        _checks.number("gamma_prime", gamma_prime, at_least=0.0),
    )


def _strong_convexity(
    mu: float, L: float, *, above: float | None = None, at_least: float | None = None
) -> float:
    mu = _checks.number("mu", mu, above=above, at_least=at_least)
    if mu > L:
        raise ValueError(f"mu must be ≤ L = {L:g}, got {mu}")
    return mu


def _check_noise(noise_variance: float, kappa_tilde: float) -> None:
    if noise_variance > 0.0 and kappa_tilde > 1.0:
        raise ValueError(
            f"noise_variance must be 0 for kappa_tilde > 1, got {noise_variance}: the theorem for "
            f"multiplicative noise has no additive part"
        )
