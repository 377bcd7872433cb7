"""What every schedule answers, checked at the door; the formulas are in `schedules`."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import _checks
from inthelimit._checks import Array


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
    Source: arXiv:2102.06035 (exact gradients), arXiv:2106.07644 (noisy gradients).
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
        Source: arXiv:2102.06035 (exact gradients), arXiv:2106.07644 (noisy gradients).
        """
        t = _times("t", t)
        gap = _checks.number("gap", gap, at_least=0.0)
        distance_squared = _checks.number("distance_squared", distance_squared, at_least=0.0)
        noise_variance = _checks.number("noise_variance", noise_variance, at_least=0.0)
        return self._bound(t, gap, distance_squared, noise_variance)

    @abstractmethod
    def _parameters(self, t: Array) -> Parameters: ...

    @abstractmethod
    def _kicks(self, t: Array) -> tuple[float, Array]:
        """Return γ, which no schedule changes, and γ'."""

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


def full(t: Array, value: float) -> Array:
    """Return `value` in the shape of t: a number for a number."""
    full: Array = np.full(t.shape, value)[()]
    return full


def over_weight(inverse_A: Array, start: float) -> Array:
    """Return start/A, which at A = 0 is ∞ and not undefined, whatever the start."""
    spread: Array = np.full(inverse_A.shape, np.inf)
    np.multiply(start, inverse_A, out=spread, where=np.isfinite(inverse_A))
    return spread
