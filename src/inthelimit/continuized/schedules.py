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

Source: arXiv:2102.06035, Theorems A–C; arXiv:2106.07644, Theorems 1 and 2.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import factorial

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import _checks
from inthelimit._checks import Array

# 1/(k+2)! for k < 18: the series of (eˣ − 1 − x)/x², below rounding for |x| ≤ 1.
_SECOND_REMAINDER = [1.0 / factorial(k + 2) for k in range(18)]
# 1/(2k+3)! for k < 9: the series of (sinh x − x)/x³, below rounding for |x| ≤ 1.
_THIRD_REMAINDER = [1.0 / factorial(2 * k + 3) for k in range(9)]


@dataclass(frozen=True, slots=True, eq=False)
class Parameters:
    """The coefficients η, η', γ, γ' of the equation, each of the shape of the times asked for."""

    eta: Array
    eta_prime: Array
    gamma: Array
    gamma_prime: Array


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """The coefficients τ, τ', γ, γ' of one iteration, each of the shape of its two times."""

    tau: Array
    tau_prime: Array
    gamma: Array
    gamma_prime: Array


class Schedule(ABC):
    """What all schedules answer; times broadcast, and a number gives a number.

    Attributes
    ----------
    is_constant : bool
        Whether η, η', γ, γ' do not depend on time.

    Notes
    -----
    Each method costs a few elementary functions per time.  Relative accuracy of τ, τ' and τ'' is
    about 1e-15 for any gap, however small, and any time, however large.
    Source: arXiv:2102.06035, Theorems A and B; arXiv:2106.07644, Theorems 1 and 2.
    """

    __slots__ = ()

    is_constant = False

    def parameters(self, t: ArrayLike) -> Parameters:
        """Return η, η', γ, γ' at times t > 0 (t ≥ 0 where they are constant).

        Raises
        ------
        ValueError
            If some t is out of range or not finite.
        """
        t = _times("t", t)
        if not self.is_constant and (t == 0.0).any():
            raise ValueError("t must be > 0, got 0.0: η is infinite there")
        return self._parameters(t)

    def step(self, t0: ArrayLike, t1: ArrayLike) -> Step:
        """Return τ, τ', γ, γ' of the iteration from jump time t0 ≥ 0 to jump time t1 > t0.

        Where t0 = 0 and τ = 1, y = z and any τ' does; it is given as 0.

        Raises
        ------
        ValueError
            If some time is negative or not finite, or some t1 ≤ t0.
        """
        t0, t1 = _interval(t0, t1)
        if (t1 <= t0).any():
            raise ValueError("t1 must be > t0, got t1 = t0: the gap between two jumps is positive")
        tau, _ = self._mixing(t0, t1)
        jump = self._parameters(t1)
        return Step(tau[()], self._tau_prime(t0, t1)[()], jump.gamma, jump.gamma_prime)

    def mix(self, x: ArrayLike, z: ArrayLike, t0: ArrayLike, t1: ArrayLike) -> tuple[Array, Array]:
        """Return the state at t1 ≥ t0 of the equation without jumps, started from (x, z) at t0.

        Parameters
        ----------
        x, z : array_like, shape (d,) or (d, copies)
        t0, t1 : array_like, numbers or shape (copies,)

        Returns
        -------
        (x, z) : ndarrays, shapes broadcast with those of the times

        Raises
        ------
        ValueError
            If some time is negative or not finite, some t1 < t0, or x and z differ in shape.
        """
        x, z = _checks.real_array("x", x), _checks.real_array("z", z)
        if x.shape != z.shape:
            raise ValueError(f"z must have the shape {x.shape} of x, got {z.shape}")
        tau, tau_second = self._mixing(*_interval(t0, t1))
        apart = z - x
        return x + tau * apart, z - tau_second * apart

    def weights(self, t: ArrayLike) -> tuple[Array, Array]:
        """Return the weights (A, B) of φ = A (f(x) − f*) + B/2 ‖z − x*‖², at times t ≥ 0.

        Raises
        ------
        ValueError
            If some t is negative or not finite, a weight overflows, or there are none.
        """
        t = _times("t", t)
        with np.errstate(over="ignore"):
            A, B = self._weights(t)
        if not (np.isfinite(A).all() and np.isfinite(B).all()):
            raise ValueError(f"t must have weights below 1e308, got {t.max()}; `bound` needs none")
        return A, B

    def potential(self, t: ArrayLike, gap: ArrayLike, distance_squared: ArrayLike) -> Array:
        """Return φ = A gap + B/2 distance_squared, the supermartingale of the theorems.

        Parameters
        ----------
        t : array_like
            Times t ≥ 0.
        gap, distance_squared : array_like, of shapes that broadcast with t
            f(x) − f* and ‖z − x*‖²; for least squares ½‖x − x*‖² and ‖z − x*‖² in the norm of H⁻¹.

        Raises
        ------
        ValueError
            As for `weights`, or if an argument is not finite.
        """
        A, B = self.weights(t)
        gap = _checks.real_array("gap", gap)
        potential: Array = A * gap + B / 2 * _checks.real_array(
            "distance_squared", distance_squared
        )
        return potential

    def bound(
        self,
        t: ArrayLike,
        *,
        gap: float,
        distance_squared: float,
        noise_variance: float = 0.0,
    ) -> Array:
        """Return the theorem's bound on E f(x_t) − f*: (φ_0 + σ² γ ∫₀ᵗ A)/A_t.

        Parameters
        ----------
        t : array_like
            Times t ≥ 0.
        gap : float
            f(x_0) − f*; for least squares ½‖x_0 − x*‖², and then ½E‖x_t − x*‖² is bounded.
        distance_squared : float
            ‖z_0 − x*‖²; for least squares in the norm of H⁻¹.
        noise_variance : float, default 0
            σ², a bound on E‖g − ∇f(x)‖² at any x.  Only for κ̃ = 1.

        Returns
        -------
        ndarray, shape of t
            ∞ at t = 0 where A_0 = 0: such a schedule forgets x_0 at once.

        Raises
        ------
        ValueError
            If an argument is negative or not finite, if there is additive noise and κ̃ > 1, or if
            no theorem covers the schedule.

        Notes
        -----
        No overflow at any t: e^{−ct} and σ²/√(μL) are what is left at late times.
        Source: arXiv:2102.06035, Theorem A; arXiv:2106.07644, Theorems 1 and 2.
        """
        t = _times("t", t)
        gap = _checks.number("gap", gap, at_least=0.0)
        distance_squared = _checks.number("distance_squared", distance_squared, at_least=0.0)
        noise_variance = _checks.number("noise_variance", noise_variance, at_least=0.0)
        return self._bound(t, gap, distance_squared, noise_variance)

    @abstractmethod
    def _parameters(self, t: Array) -> Parameters: ...

    @abstractmethod
    def _mixing(self, t0: Array, t1: Array) -> tuple[Array, Array]:
        """Return τ and τ''."""

    @abstractmethod
    def _tau_prime(self, t0: Array, t1: Array) -> Array: ...

    @abstractmethod
    def _weights(self, t: Array) -> tuple[Array, Array]: ...

    @abstractmethod
    def _bound(
        self, t: Array, gap: float, distance_squared: float, noise_variance: float
    ) -> Array: ...


@dataclass(frozen=True, slots=True)
class ConvexSchedule(Schedule):
    """η = 2/t, η' = 0, γ = 1/L, γ' = t/(2Lκ̃); A = t²/(4Lκ̃), B = 1.

    Made by `convex_schedule` and, with κ̃ > 1, by `least_squares_schedule`.
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
        gamma_prime = t / (2 * self.L * self.kappa_tilde)
        return Parameters((2 / t)[()], _full(t, 0.0), _full(t, 1 / self.L), gamma_prime[()])

    def _mixing(self, t0: Array, t1: Array) -> tuple[Array, Array]:
        # 1 − (t0/t1)², factored so that neither a small gap nor a large time spoils it.
        last = np.where(t1 > 0.0, t1, 1.0)
        tau: Array = (t1 - t0) / last * (1 + t0 / last)
        return tau, np.zeros_like(tau)

    def _tau_prime(self, t0: Array, t1: Array) -> Array:
        return np.zeros_like(t1 - t0)

    def _weights(self, t: Array) -> tuple[Array, Array]:
        return t * t / (4 * self.L * self.kappa_tilde), _full(t, 1.0)

    def _bound(self, t: Array, gap: float, distance_squared: float, noise_variance: float) -> Array:
        _check_noise(noise_variance, self.kappa_tilde)
        with np.errstate(divide="ignore"):
            inverse_A = 4 * self.L * self.kappa_tilde / t / t
        return _spread(inverse_A, distance_squared / 2) + noise_variance / self.L * t / 3


@dataclass(frozen=True, slots=True)
class ExponentialSchedule(Schedule):
    """η = η' = c = √(μ/(Lκ̃)), γ = 1/L, γ' = 1/√(μLκ̃); A = e^{ct}, B = μ e^{ct}.

    Made by `strongly_convex_schedule` and, with κ̃ > 1, by `least_squares_schedule`.
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
        c = self.rate
        gammas = _full(t, 1 / self.L), _full(t, c / self.mu)
        return Parameters(_full(t, c), _full(t, c), *gammas)

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
class UniformSchedule(Schedule):
    """η = c coth(ct/2), η' = c tanh(ct/2), γ = 1/L, γ' = tanh(ct/2)/√(μL); c = √(μ/L).

    A = sinh²(ct/2)/μ and B = cosh²(ct/2).  For ct ≪ 1 it is the convex schedule, for ct ≫ 1 the
    exponential one.  Made by `uniform_schedule`.
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
        return Parameters(
            (2 / t / slope)[()],
            (self.rate * np.tanh(x))[()],
            _full(t, 1 / self.L),
            (t / (2 * self.L) * slope)[()],
        )

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
        return _spread(inverse_A, distance_squared / 2) + noise_variance / self.L * (
            t * _mean_weight(u)
        )


@dataclass(frozen=True, slots=True)
class ConstantSchedule(Schedule):
    """Any constants η, η', γ, γ', for experiments: no weights, no bound.

    Made by `constant_schedule`.
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
        return Parameters(*(_full(t, constant) for constant in constants))

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
    E f(x_t) − f* ≤ 2L‖z_0 − x*‖²/t².  Source: arXiv:2102.06035, Theorem A.

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
    Source: arXiv:2102.06035, Theorem A.

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
    E f(x_t) − f* ≤ μ/2 ‖z_0 − x*‖²/sinh²(½√(μ/L) t).  The ODE of the proof of arXiv:2102.06035,
    Theorem A, has this third solution; it starts like the convex schedule and ends like the
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
    ≤ (½‖x_0 − x*‖² + μ/2 ‖z_0 − x*‖²_{H⁻¹}) e^{−t/√(κκ̃)}.  Source: arXiv:2106.07644, Theorem 2.

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


def _times(name: str, t: ArrayLike) -> Array:
    t = _checks.real_array(name, t)
    if (t < 0.0).any():
        raise ValueError(f"{name} must be ≥ 0, got {t.min()}")
    return t


def _interval(t0: ArrayLike, t1: ArrayLike) -> tuple[Array, Array]:
    t0, t1 = np.broadcast_arrays(_times("t0", t0), _times("t1", t1))
    backwards = t1 < t0
    if backwards.any():
        raise ValueError(f"t1 must be ≥ t0, got t0 = {t0[backwards][0]}, t1 = {t1[backwards][0]}")
    return t0, t1


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


def _full(t: Array, value: float) -> Array:
    """Return `value` in the shape of t: a number for a number."""
    full: Array = np.full(t.shape, value)[()]
    return full


def _spread(inverse_A: Array, start: float) -> Array:
    """Return start/A, which at A = 0 is ∞ and not undefined, whatever the start."""
    spread: Array = np.full(inverse_A.shape, np.inf)
    np.multiply(start, inverse_A, out=spread, where=np.isfinite(inverse_A))
    return spread


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
