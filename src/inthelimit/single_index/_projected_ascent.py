"""Gradient ascent of mean(A S^l) on the manifold where mean(A S^k), k < l, keep their values.

The system, for neurons (A_i, S_i) with weights w_i and a polynomial p(S) = Σ_{k ≤ l} λ_k S^k,

    dA_i/dT = p(S_i),        dS_i/dT = A_i p′(S_i),        λ_l = c given,

where the multipliers λ_0, …, λ_{l−1} hold the lower moments.  It blows up in finite T.  With
(A, S) = R (y, x), mean(y² + x²) = 1 and dτ = R^{l−1} dT nothing does: y and x stay on a sphere,
log R grows at most linearly in τ, and T(τ) converges exponentially fast to the blow-up time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from scipy.integrate import OdeSolution, solve_ivp
from scipy.optimize import brentq

from inthelimit import ConvergenceError
from inthelimit._checks import Array

# The blow-up is the end of the computation once what remains of T is this part of it.
REMAINDER = 1e-13
# Ascents that haven't blown up by then stand still, or grow like a power of T for ever.
LONGEST = 2e4
SMALLEST = 1e-300
GAUSS_POINTS, GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(8)


@dataclass(frozen=True, slots=True, eq=False)
class Neurons:
    """Neurons A = exp(log_size) y, S = exp(log_size) x with mean(y² + x²) = 1."""

    y: Array
    x: Array
    log_size: float

    @classmethod
    def of(cls, A: Array, S: Array, weights: Array) -> Self:
        """Return the neurons (A, S) in these coordinates."""
        size = float(np.sqrt(weights @ (A**2 + S**2)))
        return cls(A / size, S / size, float(np.log(size)))

    def rescaled(self, log_factor: float) -> "Neurons":
        """Return the neurons (A, S) · exp(log_factor)."""
        return Neurons(self.y, self.x, self.log_size + log_factor)


class ProjectedAscent:
    """One ascent, from `start` to its blow-up, as a function of τ ∈ [0, end]."""

    __slots__ = (
        "_path",
        "_powers",
        "_roots",
        "blow_up",
        "constant",
        "degree",
        "end",
        "held",
        "nodes",
        "weights",
    )

    def __init__(
        self,
        degree: int,
        constant: float,
        start: Neurons,
        weights: Array,
        *,
        held: list[int],
        rtol: float,
    ) -> None:
        self.degree, self.constant, self.weights, self.held = degree, constant, weights, held
        self._powers = np.arange(degree + 1.0)
        self._roots = np.sqrt(np.tile(weights, 2))[:, None]
        u0 = np.concatenate([start.y, start.x, [start.log_size, 0.0]])
        solution = solve_ivp(
            self._velocity,
            (0.0, LONGEST),
            u0,
            method="DOP853",
            rtol=rtol,
            atol=rtol * 1e-2,
            events=self._remainder(),
            dense_output=True,
        )
        if solution.status != 1:
            raise ConvergenceError(self._standstill(solution.y[:, -1]))
        self._path: OdeSolution = solution.sol
        self.end = float(solution.t[-1])
        self.nodes: Array = solution.t
        last = solution.y[:, -1]
        self.blow_up = float(last[-1] + self._rest(last))

    def neurons(self, tau: float) -> Neurons:
        """Return the neurons at τ."""
        u = self._path(tau)
        n = self.weights.size
        return Neurons(u[:n], u[n : 2 * n], float(u[-2]))

    def time(self, tau: float) -> float:
        """Return T(τ)."""
        return float(self._path(tau)[-1])

    def clock(self, tau: float) -> float:
        """Return dT/dτ = R^(1 − l) at τ."""
        return float(np.exp(-(self.degree - 1) * self._path(tau)[-2]))

    def filled(self, tau: float, log_level: float) -> float:
        """Return sign(c) mean(A S^l)/exp(log_level) at τ."""
        u = self._path(tau)
        scaled = np.sign(self.constant) * self._scaled_objective(u)
        return float(scaled * np.exp((self.degree + 1) * u[-2] - log_level))

    def log_objective(self, tau: float) -> float:
        """Return log max(sign(c) mean(A S^l), tiny) at τ."""
        u = self._path(tau)
        scaled = np.sign(self.constant) * self._scaled_objective(u)
        return float(np.log(max(scaled, SMALLEST)) + (self.degree + 1) * u[-2])

    def multipliers(self, tau: float) -> Array:
        """Return λ_0, …, λ_{l−1} at τ; those of degrees that aren't held are 0."""
        u = self._path(tau)
        polynomial = self._field(u)[2]
        size = float(np.exp(u[-2]))
        exponents: Array = np.arange(self.degree, 0.0, -1.0)
        lower: Array = polynomial[:-1] * size**exponents
        return lower

    def at_time(self, T: float) -> float:
        """Return the τ at which T(τ) = T, for T below the blow-up."""
        if self.time(self.end) <= T:
            return self.end
        return float(brentq(lambda tau: self.time(tau) - T, 0.0, self.end, xtol=1e-13))

    def at_level(self, log_level: float) -> float:
        """Return the τ at which sign(c) mean(A S^l) = exp(log_level), as near as [0, end] goes."""
        if self.log_objective(0.0) >= log_level:
            return 0.0
        if self.log_objective(self.end) <= log_level:
            return self.end
        return float(
            brentq(lambda tau: self.log_objective(tau) - log_level, 0.0, self.end, xtol=1e-13)
        )

    def saturated_time(self, log_level: float, fraction: float) -> float:
        """Return ∫ dT/(1 − |mean(A S^l)|/level) up to |mean(A S^l)| = (1 − fraction) level."""
        end = self.at_level(log_level + float(np.log1p(-fraction)))
        total = 0.0
        for left, right in pairwise(np.append(self.nodes[self.nodes < end], end)):
            for point, weight in zip(GAUSS_POINTS, GAUSS_WEIGHTS, strict=True):
                tau = left + (right - left) * (point + 1) / 2
                speed = (1 - self.filled(tau, log_level)) / self.clock(tau)
                total += (right - left) / 2 * weight / speed
        return float(total)

    def _field(self, u: Array) -> tuple[Array, Array, Array]:
        """Return p(x), y p′(x) and the coefficients of p, held moments taken into account."""
        n, l = self.weights.size, self.degree
        y, x = u[:n], u[n : 2 * n]
        # Rows of powers of x, and under them of y times their slopes.
        moments = np.empty((2 * n, l + 1))
        moments[:n] = np.vander(x, l + 1, increasing=True)
        moments[n:, 0] = 0.0
        moments[n:, 1:] = (y[:, None] * self._powers[1:]) * moments[:n, :-1]
        polynomial = np.zeros(l + 1)
        polynomial[l] = self.constant
        if self.held:
            scaled = self._roots * moments
            # Columns of equal length: their sizes differ by powers of the largest x.
            held = scaled[:, self.held]
            lengths = np.sqrt(np.einsum("ij,ij->j", held, held)) + SMALLEST
            q, r = np.linalg.qr(held / lengths)
            target = q.T @ scaled[:, l]
            polynomial[self.held] = -self.constant * np.linalg.solve(r, target) / lengths
        field = moments @ polynomial
        return field[:n], field[n:], polynomial

    def _velocity(self, _: float, u: Array) -> Array:
        n = self.weights.size
        y, x = u[:n], u[n : 2 * n]
        forward, sideways = self._field(u)[:2]
        growth = self.weights @ (y * forward + x * sideways)
        clock = np.exp(-(self.degree - 1) * u[-2])
        return np.concatenate([forward - growth * y, sideways - growth * x, [growth, clock]])

    def _scaled_objective(self, u: Array) -> float:
        n = self.weights.size
        return float(self.weights @ (u[:n] * u[n : 2 * n] ** self.degree))

    def _objective(self, u: Array) -> float:
        return self._scaled_objective(u) * float(np.exp((self.degree + 1) * u[-2]))

    def _rest(self, u: Array) -> float:
        """What remains of T if the direction has settled: R grows like (T* − T)^(−1/(l−1))."""
        growth = (self.degree + 1) * self.constant * self._scaled_objective(u)
        clock = float(np.exp(-(self.degree - 1) * u[-2]))
        return clock / ((self.degree - 1) * growth) if growth > 0.0 else np.inf

    def _standstill(self, u: Array) -> str:
        l, objective = self.degree, self._objective(u)
        reached = f"at T = {u[-1]:.6g} it has mean(A S^{l}) = {objective:.6g}"
        if objective * self.constant < 0.0:
            return (
                f"stage {l} doesn't happen: {reached}, and phi[{l}] sigma[{l}] has the other "
                f"sign: the overlaps S die out, and the flow stalls; try phi[{l}] of the other "
                f"sign, or another law of the second layer"
            )
        return (
            f"stage {l} doesn't blow up: {reached}; try a law with more distinct atoms, or without "
            f"the symmetry that holds it at a saddle"
        )

    def _remainder(self) -> Callable[[float, Array], float]:
        def left(_: float, u: Array) -> float:
            return 1.0 if self._rest(u) > REMAINDER * u[-1] else -1.0

        left.terminal = True  # type: ignore[attr-defined]
        return left
