"""The linear systems of a linearly implicit step of the mean-field flow, in O(N K²) operations.

With D the blocks of two by two of ∂y′/∂y, A = 1 − gD for g = hγ, and matrices of one column a
degree, V of v_k and GV of (σ_k s^k/ε, u_k), the system for the changes (y, ρ) with right sides
(b, c) is solved by

    y = z + Xρ,    z = A⁻¹ b,    X = g A⁻¹ G V,        Cρ = c + Vᵀ w b − Bᵀ w z,
    C = 1 + Bᵀ w X,    B = V + g ∂(V · y′)/∂y at constant y′.

The flow is that of a gradient: A⁻¹ G is symmetric, and positive as long as no neuron, alone, would
grow faster than 1/g.  A step is kept as short as that; then C, up to the change of V within a step,
is symmetric and at least one, and is factorised without exchanges although its rows, like the
powers s^k, span all of float64.
"""

from typing import NamedTuple

import numpy as np

from inthelimit._checks import Array
from inthelimit._compiled import compiled
from inthelimit._rodas5p import GAMMA
from inthelimit.single_index._neurons import System, velocity_of

# A step with det A below this is too long for the neuron that grows fastest.
SMALLEST_DETERMINANT = 0.05


class Linearisation(NamedTuple):
    """The velocity at the start of a step, and the factors of its linear systems.

    A state is one array of a (N,), ξ (N,) and ρ (K + 1,).
    """

    velocity: Array  # shape (2N + K + 1,)
    forces: Array  # Σ_k σ_k ρ_k s^k and its first two derivatives in s, shape (3, N)
    s: Array  # shape (N,)
    room: Array  # 1 − s², shape (N,)
    V: Array  # σ_k s^k and u_k, shape (2, K + 1, N)
    B: Array  # shape (2, K + 1, N)
    X: Array  # shape (2, K + 1, N)
    inverse: Array  # A⁻¹ as (aa, as, sa, ss), shape (4, N)
    C: Array  # its factors, shape (K + 1, K + 1)
    work: Array  # shape (5, N)
    change: Array  # shape (K + 1,)


@compiled
def workspace(N: int, size: int) -> Linearisation:
    return Linearisation(
        np.zeros(2 * N + size),
        np.zeros((3, N)),
        np.zeros(N),
        np.zeros(N),
        np.zeros((2, size, N)),
        np.zeros((2, size, N)),
        np.zeros((2, size, N)),
        np.zeros((4, N)),
        np.zeros((size, size)),
        np.zeros((5, N)),
        np.zeros(size),
    )


@compiled
def evaluate(system: System, y: Array, at: Linearisation) -> int:
    """Write s, the velocity, the forces and V; return the highest degree that counts."""
    N = system.weights.size
    top = velocity_of(system, y, at.work, at.velocity)
    s = at.s
    for i in range(N):
        s[i] = at.work[0, i]
        at.room[i] = 1.0 - s[i] * s[i]
    force, slope, bend = at.forces[0], at.forces[1], at.forces[2]
    at.forces[:] = 0.0
    for k in range(top, -1, -1):
        c = system.sigma[k] * y[2 * N + k]
        for i in range(N):
            bend[i] = bend[i] * s[i] + 2.0 * slope[i]
            slope[i] = slope[i] * s[i] + force[i]
            force[i] = force[i] * s[i] + c
    power = at.work[0]
    power[:] = 1.0
    for k in range(top + 1):
        sigma = system.sigma[k]
        for i in range(N):
            at.V[1, k, i] = sigma * k * y[i] * power[i]
        if k > 0:
            for i in range(N):
                power[i] *= s[i]
        for i in range(N):
            at.V[0, k, i] = sigma * power[i]
    return top


@compiled
def linearise(system: System, y: Array, h: float, top: int, at: Linearisation) -> bool:
    """Write A⁻¹, B, X and the factors of C; say whether A and C are positive."""
    N = system.weights.size
    g = h * GAMMA
    slope, bend, room = at.forces[1], at.forces[2], at.room
    smallest = np.inf
    for i in range(N):
        own = 1.0 - g * y[i] * room[i] * bend[i]
        across, back = g * room[i] * slope[i] / system.epsilon, g * slope[i]
        determinant = own - across * back
        smallest = min(smallest, determinant)
        scale = 1.0 / determinant
        at.inverse[0, i] = own * scale
        at.inverse[1, i] = across * scale
        at.inverse[2, i] = back * scale
        at.inverse[3, i] = scale
    if not smallest >= SMALLEST_DETERMINANT:
        return False
    couple(system, y, g, top, at)
    return factorised(at.C, top + 1)


@compiled
def couple(system: System, y: Array, g: float, top: int, at: Linearisation) -> None:
    """Write B, X and C."""
    N = system.weights.size
    s, room, inverse = at.s, at.room, at.inverse
    fast, slow = at.velocity[:N], at.velocity[N : 2 * N]
    for k in range(top + 1):
        for i in range(N):
            u = g / system.epsilon * at.V[0, k, i]
            v = g * at.V[1, k, i]
            at.X[0, k, i] = inverse[0, i] * u + inverse[1, i] * v
            at.X[1, k, i] = inverse[2, i] * u + inverse[3, i] * v
            at.B[0, k, i] = at.V[0, k, i]
            at.B[1, k, i] = room[i] * at.V[1, k, i]
    power, below = at.work[0], at.work[1]  # s^(k−1) and s^(k−2)
    power[:] = 1.0
    below[:] = 0.0
    for k in range(1, top + 1):
        c = g * k * system.sigma[k]
        for i in range(N):
            turn = (k - 1) * room[i] * below[i] - 2.0 * s[i] * power[i]
            at.B[0, k, i] += c * room[i] * slow[i] * power[i]
            at.B[1, k, i] += c * room[i] * (fast[i] * power[i] + slow[i] * y[i] * turn)
            below[i] = power[i]
            power[i] *= s[i]
    for k in range(top + 1):
        for i in range(N):
            at.B[0, k, i] *= system.weights[i]
            at.B[1, k, i] *= system.weights[i]
        for j in range(top + 1):
            at.C[k, j] = inner_product(at.B, k, at.X[0, j], at.X[1, j])
        at.C[k, k] += 1.0


@compiled
def inner_product(rows: Array, k: int, u: Array, v: Array) -> float:
    total = 0.0
    for i in range(u.size):
        total += rows[0, k, i] * u[i] + rows[1, k, i] * v[i]
    return total


@compiled
def factorised(C: Array, m: int) -> bool:
    """Overwrite C[:m, :m] by its factors L and R; say whether all pivots were positive."""
    for k in range(m):
        if not C[k, k] > 0.0:
            return False
        for i in range(k + 1, m):
            C[i, k] /= C[k, k]
            for j in range(k + 1, m):
                C[i, j] -= C[i, k] * C[k, j]
    return True


@compiled
def solve(C: Array, b: Array, m: int) -> None:
    """Overwrite b[:m] by the solution of LRx = b."""
    for k in range(m):
        for j in range(k):
            b[k] -= C[k, j] * b[j]
    for k in range(m - 1, -1, -1):
        for j in range(k + 1, m):
            b[k] -= C[k, j] * b[j]
        b[k] /= C[k, k]


@compiled
def solve_stage(system: System, top: int, at: Linearisation, right: Array, U: Array) -> None:
    """Write the solution of the linear system of a stage."""
    N = system.weights.size
    inverse, change = at.inverse, at.change
    a, xi, wa, wxi = U[:N], U[N : 2 * N], at.work[0], at.work[1]
    for i in range(N):
        a[i] = inverse[0, i] * right[i] + inverse[1, i] * right[N + i]
        xi[i] = inverse[2, i] * right[i] + inverse[3, i] * right[N + i]
        wa[i] = system.weights[i] * right[i]
        wxi[i] = system.weights[i] * at.room[i] * right[N + i]
    copy(right[2 * N :], U[2 * N :])
    for k in range(top + 1):
        change[k] = (
            right[2 * N + k] + inner_product(at.V, k, wa, wxi) - inner_product(at.B, k, a, xi)
        )
    respond(top, at, U)


@compiled
def respond(top: int, at: Linearisation, state: Array) -> None:
    """Solve for the change of ρ, write it, and add what it does to the neurons."""
    N = at.inverse.shape[1]
    solve(at.C, at.change, top + 1)
    for k in range(top + 1):
        m = at.change[k]
        state[2 * N + k] = m
        for i in range(N):
            state[i] += m * at.X[0, k, i]
            state[N + i] += m * at.X[1, k, i]


@compiled
def copy(source: Array, target: Array) -> None:
    for i in range(source.size):
        target[i] = source[i]
