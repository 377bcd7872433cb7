"""The pair (x, z) of the continuized iteration, moved in place, many copies at once."""

from collections.abc import Callable
from typing import Any

import numpy as np

from inthelimit._checks import Array
from inthelimit._compiled import compiled
from inthelimit.continuized._gradients import require_convergent, require_finite
from inthelimit.continuized.schedules import Schedule

Proximal = Callable[[Array, float], Any]


class Process:
    """The pair x, z of shape (d,) or (d, copies), moved in place."""

    def __init__(
        self,
        x: Array,
        z: Array,
        schedule: Schedule,
        gradient: Callable[[Array, float], Array],
        proximal: Proximal | None,
    ) -> None:
        self.x, self.z, self.g = x, z, x
        self.pair = x.reshape(x.shape[0], -1), z.reshape(x.shape[0], -1)
        self.schedule, self.gradient, self.proximal = schedule, gradient, proximal

    def mix(self, t0: Array, t1: Array) -> None:
        _mix(*self.pair, *map(np.atleast_1d, self.schedule._mixing(t0, t1)))

    def evaluate(self, step: int) -> None:
        self.g = self.gradient(self.x, step)

    def kick(self, step: int, time: Array, until: Array | None = None) -> None:
        """Jump, and mix up to `until` if it is given."""
        gamma, gamma_prime = self.schedule._kicks(time)
        if self.proximal is not None:
            require_finite(self.g, f"step {step}")
            point = _proximal_point(self.proximal, self.x - gamma * self.g, gamma, step)
            self.g = (self.x - point) / gamma
        # Arrays of one kind only, so that a kernel is compiled once.
        g = np.require(self.g, requirements=["C", "W"]).reshape(self.pair[0].shape)
        kicks = gamma, np.atleast_1d(gamma_prime)
        if until is None or self.proximal is not None:
            square = _kick(*self.pair, g, *kicks)
        else:
            taus = map(np.atleast_1d, self.schedule._mixing(time, until))
            square = _kick_and_mix(*self.pair, g, *kicks, *taus)
        if not np.isfinite(square):
            require_finite(self.g, f"step {step}")
            require_convergent(square, step)
        if self.proximal is not None:
            self.x[...] = point
            if until is not None:
                self.mix(time, until)


@compiled
def _mix(x: Array, z: Array, tau: Array, tau_second: Array) -> None:
    """Add τ (z − x) to x and τ'' (x − z) to z; the τ's are one for each column."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            apart = z[i, j] - x[i, j]
            x[i, j] += tau[j] * apart
            z[i, j] -= tau_second[j] * apart


@compiled
def _kick(x: Array, z: Array, g: Array, gamma: float, gamma_prime: Array) -> float:
    """Subtract γ g from x and γ' g from z; return ‖x‖² + ‖z‖², which shows an entry not finite."""
    square = 0.0
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            new_x = x[i, j] - gamma * g[i, j]
            new_z = z[i, j] - gamma_prime[j] * g[i, j]
            x[i, j] = new_x
            z[i, j] = new_z
            square += new_x * new_x + new_z * new_z
    return square


@compiled
def _kick_and_mix(
    x: Array,
    z: Array,
    g: Array,
    gamma: float,
    gamma_prime: Array,
    tau: Array,
    tau_second: Array,
) -> float:
    """Do what `_kick` and then `_mix` do, reading and writing each number once."""
    square = 0.0
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            new_x = x[i, j] - gamma * g[i, j]
            new_z = z[i, j] - gamma_prime[j] * g[i, j]
            apart = new_z - new_x
            x[i, j] = new_x + tau[j] * apart
            z[i, j] = new_z - tau_second[j] * apart
            square += new_x * new_x + new_z * new_z
    return square


def _proximal_point(proximal: Proximal, v: Array, gamma: float, step: int) -> Array:
    point = np.asarray(proximal(v, gamma), dtype=np.float64)
    if point.shape != v.shape or not np.isfinite(point).all():
        raise ValueError(
            f"proximal must return finite numbers in the shape {v.shape} of its argument, got "
            f"shape {point.shape} at step {step}"
        )
    return point
