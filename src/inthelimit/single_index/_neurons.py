"""The equations of the mean-field flow, for compiled code.

A neuron is y = (a, ξ) with s = tanh ξ: one that has found u*, where 1 − s is far below rounding,
still comes back when it must, and how long that takes stands in ξ.  With
v_k = (σ_k s^k, (1 − s²) u_k), u_k = σ_k k a s^(k−1), the derivatives of σ_k a s^k,

    a′ = Σ_k ρ_k σ_k s^k/ε,    ξ′ = Σ_k ρ_k u_k,        ρ_k′ = −Σ_i w_i v_k · y_i′.

ρ is integrated beside the neurons, though ρ_k = φ_k − Σ_i w_i σ_k a_i s_i^k is known from them.
Where ρ_k has relaxed this is a constraint on the neurons, and they feel ρ_k/ε: the inner stages of
a step leave the constraint by their error, and would be thrown about by 1/ε times that.
Integrated, ρ_k is a fast variable beside slow ones, which a stiffly accurate method follows at
nearly its full order; nor is it a difference of large numbers.  At ε = 1e-16 this saves 14 of 15
steps.
"""

from typing import NamedTuple

import numpy as np

from inthelimit._checks import Array
from inthelimit._compiled import compiled

# Up to here the continued fraction of tanh is exact to rounding.
SMALL = 0.25
# Powers s^k below this are nothing beside s⁰; less would underflow.
NEGLIGIBLE = 1e-120


class System(NamedTuple):
    """The equations, the accuracy of a step, and when nothing is left to learn."""

    phi: Array  # shape (K + 1,)
    sigma: Array  # shape (K + 1,)
    weights: Array  # shape (N,)
    epsilon: float
    scale: float  # the size of φ
    tolerance: float  # for the error of a step
    settled: float  # stop when all |ρ_k| are below


@compiled
def correlations(xi: Array, s: Array) -> None:
    """Write s = tanh ξ: a continued fraction for small ξ, so that the loop is vectorised."""
    for i in range(xi.size):
        x = xi[i] * xi[i]
        s[i] = (
            xi[i] * (10395.0 + x * (1260.0 + 21.0 * x)) / (10395.0 + x * (4725.0 + x * (210.0 + x)))
        )
    for i in range(xi.size):
        if not abs(xi[i]) < SMALL:
            s[i] = np.tanh(xi[i])


@compiled
def highest_degree(system: System, a: Array, s: Array) -> int:
    """Return the last degree k for which s^k is not nothing, or −1 if the state is absurd."""
    N = s.size
    total, square = 0.0, 0.0
    for i in range(N):
        total += a[i] * a[i]
        square += s[i] * s[i]
    if not (square <= 2.0 * N and total < 1e200):
        return -1
    top = system.phi.size - 1
    if square == 0.0:
        return min(top, 1)
    return min(top, max(1, int(np.log(NEGLIGIBLE) / min(0.5 * np.log(square), -1e-9))))


@compiled
def velocity_of(system: System, y: Array, work: Array, out: Array) -> int:
    """Write s and (a′, ξ′, ρ′); return the highest degree that counts, −1 for none."""
    N = system.weights.size
    sigma, rho = system.sigma, y[2 * N :]
    s, force, slope, power, pushed = work[0], work[1], work[2], work[3], work[4]
    correlations(y[N : 2 * N], s)
    top = highest_degree(system, y[:N], s)
    if top < 0:
        return top
    for i in range(N):
        force[i] = 0.0
        slope[i] = 0.0
    for k in range(top, -1, -1):
        c = sigma[k] * rho[k]
        for i in range(N):
            slope[i] = slope[i] * s[i] + force[i]
            force[i] = force[i] * s[i] + c
    for i in range(N):
        out[i] = force[i] / system.epsilon
        out[N + i] = y[i] * slope[i]
        power[i] = system.weights[i]
        pushed[i] = y[i] * (1.0 - s[i] * s[i]) * out[N + i]
    out[2 * N :] = 0.0
    for k in range(top + 1):
        total = 0.0
        # power holds w s^(k−1) from k = 1 on.
        if k > 0:
            for i in range(N):
                total += power[i] * pushed[i]
                power[i] *= s[i]
            total *= k
        for i in range(N):
            total += power[i] * out[i]
        out[2 * N + k] = -sigma[k] * total
    return top
