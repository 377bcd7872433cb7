"""The integrator of the mean-field flow: Rodas5P, with its error under control.

A step moves (a, ξ, ρ), and leaves ρ_k − φ_k + Σ_i w_i σ_k a_i s_i^k not quite zero, by no more than
its error: that is taken back at its end, by one more linear system of the same matrix.
"""

import numpy as np

from inthelimit._checks import Array
from inthelimit._compiled import compiled
from inthelimit._rodas5p import COUPLING, GAMMA, STAGES, combine, dense
from inthelimit.single_index._linear_systems import (
    Linearisation,
    copy,
    evaluate,
    linearise,
    respond,
    solve_stage,
    workspace,
)
from inthelimit.single_index._neurons import System, correlations, velocity_of

# Of the time in which the fastest rate at the start acts.
FIRST_STEP = 0.01
# Shorter steps, relative to the time or to the first one tried, lead nowhere.
ROUNDING = 4e-16
GROWTH, SHRINKAGE, SAFETY = 8.0, 0.1, 0.9

DONE, SETTLED, TOO_MANY_STEPS, STEP_TOO_SMALL = 0, 1, 2, 3


@compiled
def integrate(
    system: System, start: Array, outputs: Array, max_steps: int
) -> tuple[Array, Array, int, int]:
    """Return the states at the outputs, the record of steps, how many were refused, the outcome.

    A row of the record is t, ρ, ρ′ at a step's start, and ρ halfway through it.
    """
    y, new, inner = start.copy(), start.copy(), start.copy()
    U = np.zeros((8, y.size))
    at = workspace(system.weights.size, system.phi.size)
    states = np.zeros((outputs.size, y.size))
    record = np.zeros((256, 1 + 3 * system.phi.size))

    t, end = 0.0, outputs[-1]
    written, taken, refused, status, most = 0, 0, 0, DONE, GROWTH
    if outputs[0] == 0.0:
        copy(y, states[0])
        written = 1
    top = evaluate(system, y, at)
    h = min(end, first_step(system, at))
    shortest = ROUNDING * h
    note(t, y, at.velocity, record[0])
    while t < end:
        if settled(system, y):
            status = SETTLED
            break
        if taken + refused >= max_steps:
            status = TOO_MANY_STEPS
            break
        last = t + h >= end * (1.0 - 1e-15)
        if last:
            h = end - t
        if h <= max(shortest, ROUNDING * t):
            status = STEP_TOO_SMALL
            break
        error = try_step(system, y, h, top, at, inner, U, new)
        factor = SAFETY * max(error, 1e-12) ** -0.2
        if not error <= 1.0:
            refused += 1
            most = 1.0
            h *= max(SHRINKAGE, factor) if error < np.inf else 0.5
            continue
        arrival = end if last else t + h
        while written < outputs.size and outputs[written] <= arrival:
            interpolate((outputs[written] - t) / h, y, new, U, states[written])
            written += 1
        note_halfway(y, new, U, record[taken])
        y, new = new, y
        t = arrival
        taken += 1
        top = evaluate(system, y, at)
        if taken == record.shape[0]:
            record = doubled(record)
        note(t, y, at.velocity, record[taken])
        # After a refusal the step has just been found too long: it is not lengthened at once.
        h *= min(most, factor)
        most = GROWTH
    for row in range(written, outputs.size):
        copy(y, states[row])
    return states, record[: taken + 1], refused, status


@compiled
def try_step(
    system: System,
    y: Array,
    h: float,
    top: int,
    at: Linearisation,
    inner: Array,
    U: Array,
    new: Array,
) -> float:
    """Write the end of a step; return its estimated error, in units of what is allowed."""
    if linearise(system, y, h, top, at) and take_stages(system, y, h, top, at, inner, U):
        return arrive(system, y, U, top, at, new)
    return np.inf


@compiled
def note(t: float, y: Array, velocity: Array, row: Array) -> None:
    size = (row.size - 1) // 3
    row[0] = t
    copy(y[y.size - size :], row[1 : 1 + size])
    copy(velocity[y.size - size :], row[1 + size : 1 + 2 * size])


@compiled
def note_halfway(y: Array, new: Array, U: Array, row: Array) -> None:
    size = (row.size - 1) // 3
    for k in range(size):
        i = y.size - size + k
        row[1 + 2 * size + k] = y[i] + dense(0.5, new[i] - y[i], U, i)


@compiled
def doubled(record: Array) -> Array:
    """Return the record with as much room again."""
    longer = np.zeros((2 * record.shape[0], record.shape[1]))
    for row in range(record.shape[0]):
        copy(record[row], longer[row])
    return longer


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
    largest = 0.0
    for k in range(2 * system.weights.size, y.size):
        largest = max(largest, abs(y[k]))
    return largest < system.settled


@compiled
def take_stages(
    system: System, y: Array, h: float, top: int, at: Linearisation, inner: Array, U: Array
) -> bool:
    """Write the stages U, (8, 2N + K + 1); say whether all stayed in bounds."""
    right = np.zeros(y.size)
    for stage in range(8):
        if stage == 0:
            copy(at.velocity, right)
        else:
            copy(y, inner)
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
def arrive(system: System, y: Array, U: Array, top: int, at: Linearisation, new: Array) -> float:
    """Write the end of the step; return its estimated error in units of what is allowed.

    A neuron's error is measured against its size or, if that is larger, the root mean square of
    all; that of ρ_k against its size or, if that is larger, the largest |φ|.
    """
    N = system.weights.size
    s = at.work[0]
    for i in range(y.size):
        new[i] = y[i] + combine(U, i)
    correlations(new[N : 2 * N], s)
    reconcile(system, top, at, s, new)
    worst = 0.0
    a_size = max(root_mean_square(system.weights, y[:N]), root_mean_square(system.weights, new[:N]))
    xi_size = max(root_mean_square(system.weights, at.s), root_mean_square(system.weights, s))
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
def reconcile(system: System, top: int, at: Linearisation, s: Array, new: Array) -> None:
    """Make ρ = φ − Σ w σ a s^k again, by the neurons where ρ is fast, by ρ elsewhere.

    It is one more linear system of the step: with δ the difference and μ = C⁻¹ δ, the neurons move
    by Xμ and ρ by μ, which is all of δ where C is near 1.
    """
    N = system.weights.size
    power, rho = at.work[1], new[2 * N :]
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
