"""A linearly implicit integrator that knows the shape of the mean-field flow.

A neuron is y = (a, ξ) with s = tanh ξ.  With v_k = (σ_k s^k, (1 − s²) u_k), u_k = σ_k k a s^(k−1),
the derivatives of σ_k a s^k, it follows

    a′ = Σ_k ρ_k σ_k s^k/ε,    ξ′ = Σ_k ρ_k u_k,        ρ_k′ = −Σ_i w_i v_k · y_i′,

and neurons meet in ρ only.  Four things make this fast and accurate at any ε.

- ρ is integrated beside the neurons, though ρ_k = φ_k − Σ_i w_i σ_k a_i s_i^k is known from them.
  Where ρ_k has relaxed this is a constraint on the neurons, and ρ_k, of which neurons only see
  ρ_k/ε, a multiplier that the constraint determines after two differentiations: an order of the
  method is lost with each.  Integrated, ρ_k is the fast variable of a system of one time-scale
  beside, which a stiffly accurate method solves at its full order; nor is it a difference of large
  numbers.  What the step leaves of ρ_k − φ_k + Σ w σ_k a s^k is taken back at its end.
- The linear systems cost O(N K): with D the blocks of two by two of ∂y′/∂y, A = 1 − gD for g = hγ,
  and V of columns v_k, GV of columns (σ_k s^k/ε, u_k), the system for the changes (y, ρ) with right
  sides (b, c) is

      y = z + Xρ,    z = A⁻¹ b,    X = g A⁻¹ G V,        Cρ = c + Vᵀ w b − Bᵀ w z,
      C = 1 + Bᵀ w X,    B = V + g ∂(V · y′)/∂y at constant y′.

- The flow is that of a gradient: A⁻¹ G is symmetric, and positive as long as no neuron, alone,
  would grow faster than 1/g.  A step is kept as short as that; then C, up to the change of V
  within a step, is symmetric and at least one, and is factorised without exchanges although its
  rows, like the powers s^k, span all of float64.
- A neuron that has found u*, where 1 − s is far below rounding, still comes back when it must:
  how long that takes stands in ξ.
"""

from typing import NamedTuple

import numpy as np

from inthelimit._checks import Array
from inthelimit._compiled import compiled
from inthelimit._rodas5p import COUPLING, GAMMA, STAGES, combine, dense

# A step with det A below this is too long for the neuron that grows fastest.
SMALLEST_DETERMINANT = 0.05
FIRST_STEP = 0.01
GROWTH, SHRINKAGE, SAFETY = 8.0, 0.1, 0.9
# Up to here the continued fraction of tanh is exact to rounding.
SMALL = 0.25
# Powers s^k below this are nothing beside s⁰; less would underflow.
NEGLIGIBLE = 1e-120

DONE, SETTLED, TOO_MANY_STEPS, STEP_TOO_SMALL = 0, 1, 2, 3


class System(NamedTuple):
    """The equations, the accuracy of a step, and when nothing is left to learn."""

    phi: Array  # shape (K + 1,)
    sigma: Array  # shape (K + 1,)
    weights: Array  # shape (N,)
    epsilon: float
    scale: float  # the size of φ
    tolerance: float  # for the error of a step
    settled: float  # stop when all |ρ_k| are below


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
def integrate(
    system: System, start: Array, outputs: Array, max_steps: int
) -> tuple[Array, Array, Array, Array, Array, int, int, int, float]:
    """Return the states at the outputs; times, ρ and ρ′ of the steps; ρ halfway; how it ended."""
    N, size = system.weights.size, system.phi.size
    y, new, inner = start.copy(), start.copy(), start.copy()
    U = np.zeros((8, y.size))
    at = workspace(N, size)
    states = np.zeros((outputs.size, y.size))
    times = np.zeros(256)
    rhos, slopes, middles = np.zeros((256, size)), np.zeros((256, size)), np.zeros((256, size))

    t, end = 0.0, outputs[-1]
    written = 1 if outputs[0] == 0.0 else 0
    states[0] = y
    taken, refused, status = 0, 0, DONE
    top = evaluate(system, y, at)
    h = first_step(system, at)
    while True:
        if taken == times.size:
            times = doubled(times)
            rhos, slopes, middles = doubled(rhos), doubled(slopes), doubled(middles)
        times[taken], rhos[taken], slopes[taken] = t, y[2 * N :], at.velocity[2 * N :]
        if t >= end:
            break
        if settled(system, y):
            status = SETTLED
            break
        retried = False
        while True:
            if taken + refused >= max_steps:
                status = TOO_MANY_STEPS
                break
            last = t + h >= end * (1.0 - 1e-15)
            if last:
                h = end - t
            if h <= 4e-16 * t:
                status = STEP_TOO_SMALL
                break
            shorter = 0.5
            if linearise(system, y, h, top, at):
                shorter = 0.25
                if take_stages(system, y, h, top, at, inner, U):
                    error = arrive(system, y, U, top, at, new)
                    if error <= 1.0:
                        break
                    if error < np.inf:
                        shorter = max(SHRINKAGE, SAFETY * error**-0.2)
            refused += 1
            retried = True
            h *= shorter
        if status != DONE:
            break
        arrival = end if last else t + h
        while written < outputs.size and outputs[written] <= arrival:
            interpolate((outputs[written] - t) / h, y, new, U, states[written])
            written += 1
        for k in range(size):
            i = 2 * N + k
            middles[taken, k] = y[i] + dense(0.5, new[i] - y[i], U, i)
        y, new = new, y
        t = arrival
        taken += 1
        top = evaluate(system, y, at)
        # After a refusal the step has just been found too long: it is not lengthened at once.
        h *= min(1.0 if retried else GROWTH, SAFETY * max(error, 1e-12) ** -0.2)
    for row in range(written, outputs.size):
        states[row] = y
    n = taken + 1
    return states, times[:n], rhos[:n], slopes[:n], middles[:taken], taken, refused, status, t


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
def doubled(array: Array) -> Array:
    """Return the array with as much room again."""
    return np.concatenate((array, np.zeros_like(array)))


@compiled
def first_step(system: System, at: Linearisation) -> float:
    """Return a step that is short against every rate at the start."""
    rate = 0.0
    for k in range(system.phi.size):
        square = 0.0
        for i in range(system.weights.size):
            w = system.weights[i]
            square += w * (at.V[0, k, i] ** 2 / system.epsilon + at.V[1, k, i] ** 2)
        pull = abs(system.sigma[k] * system.phi[k]) * k / np.sqrt(system.epsilon)
        rate = max(rate, square, pull)
    return FIRST_STEP / rate if rate > 0.0 else np.inf


@compiled
def settled(system: System, y: Array) -> bool:
    rho = y[2 * system.weights.size :]
    return bool(np.abs(rho).max() < system.settled)


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
def take_stages(
    system: System, y: Array, h: float, top: int, at: Linearisation, inner: Array, U: Array
) -> bool:
    """Write the stages U, (8, 2N + K + 1); say whether all stayed in bounds."""
    right = np.zeros(y.size)
    for stage in range(8):
        if stage == 0:
            right[:] = at.velocity
        else:
            inner[:] = y
            for j in range(stage):
                p = STAGES[stage, j]
                for i in range(y.size):
                    inner[i] += p * U[j, i]
            if velocity_of(system, inner, at.work, right) < 0:
                return False
        for i in range(y.size):
            right[i] *= h * GAMMA
        for j in range(stage):
            p = GAMMA * COUPLING[stage, j]
            for i in range(y.size):
                right[i] += p * U[j, i]
        solve_stage(system, top, at, right, U[stage])
    return True


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
    U[2 * N :] = right[2 * N :]
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
def arrive(system: System, y: Array, U: Array, top: int, at: Linearisation, new: Array) -> float:
    """Write the end of the step; return its estimated error in units of what is allowed.

    A neuron's error is measured against its size or, if that is larger, the root mean square of
    all; that of ρ_k against its size or, if that is larger, the largest |φ|.
    """
    N = system.weights.size
    for i in range(y.size):
        new[i] = y[i] + combine(U, i)
    reconcile(system, top, at, new)
    old_s, new_s, worst = at.s, at.work[0], 0.0
    a_size = max(root_mean_square(system.weights, y[:N]), root_mean_square(system.weights, new[:N]))
    xi_size = max(root_mean_square(system.weights, old_s), root_mean_square(system.weights, new_s))
    for i in range(y.size):
        size = a_size if i < N else (xi_size if i < 2 * N else system.scale)
        allowed = max(size, abs(y[i]), abs(new[i]))
        if allowed > 0.0:
            worst = max(worst, abs(U[7, i]) / allowed)
        if not abs(new[i]) < np.inf:
            return np.inf
    return worst / system.tolerance


@compiled
def root_mean_square(weights: Array, x: Array) -> float:
    total = 0.0
    for i in range(x.size):
        total += weights[i] * x[i] * x[i]
    return float(np.sqrt(total))


@compiled
def reconcile(system: System, top: int, at: Linearisation, new: Array) -> None:
    """Make ρ = φ − Σ w σ a s^k again, by the neurons where ρ is fast, by ρ elsewhere.

    It is one more linear system of the step: with δ the difference and μ = C⁻¹ δ, the neurons move
    by Xμ and ρ by μ, which is all of δ where C is near 1.
    """
    N = system.weights.size
    s, power, rho = at.work[0], at.work[1], new[2 * N :]
    correlations(new[N : 2 * N], s)
    for i in range(N):
        power[i] = system.weights[i] * new[i]
    for k in range(top + 1):
        moment = 0.0
        for i in range(N):
            moment += power[i]
            power[i] *= s[i]
        at.change[k] = system.phi[k] - system.sigma[k] * moment - rho[k]
    kept = rho.copy()
    respond(top, at, new)
    for k in range(top + 1):
        rho[k] += kept[k]


@compiled
def interpolate(theta: float, y: Array, new: Array, U: Array, state: Array) -> None:
    """Write the state at the fraction θ of a step."""
    for i in range(y.size):
        state[i] = y[i] + dense(theta, new[i] - y[i], U, i)
