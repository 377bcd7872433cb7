"""A linearly implicit integrator for both time-scales at once, and for their limit.

In slow time the flow is D x' = −∇L(x) with D = ε on the outer layer and 1 on the positions; ε = 0
leaves the outer layer at its optimum, an algebraic equation.  One step of Rodas5P solves

    (D/(hγ) + ∇²L) U_i = −∇L(x + Σ_j α_ij U_j) + D Σ_j c_ij U_j / h,

with ε/c and c in D for a neuron that stands for c neurons alike.  The matrix is symmetric.  In the
interleaved heights and positions of `_sweep`, L couples a variable only with those whose
transitions overlap, and |a|² is tridiagonal: a step costs O(m) where neurons are apart, with the
exact Hessian and no differences.  The matrix is positive definite when no growing mode is faster
than 1/(hγ); Cholesky's failure is therefore a refusal of the step.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inthelimit._checks import Array
from inthelimit._compiled import compiled
from inthelimit._rodas5p import COUPLING, GAMMA, STAGES, combine, dense
from inthelimit.two_timescale._best import LIFT
from inthelimit.two_timescale._skyline import Skyline, add_outer_norm, factorise, solve, zeros
from inthelimit.two_timescale._sweep import add_hessian, cut, loss_and_gradient

Indices = NDArray[np.int64]

# A first step of this length times the fastest rate is accepted, and soon outgrown.
FIRST_STEP = 0.05
DONE, TOO_MANY_STEPS, STEP_TOO_SMALL = 0, 1, 2


class Problem(NamedTuple):
    """The equations, and what is exact enough in them."""

    edges: Array
    values: Array
    eta: float
    epsilon: float
    ridge: float  # weight of |a|² beside L
    copies: Array  # how many neurons each one stands for, shape (m,)
    tolerance_f: float  # for the error of a step in f, in L²
    tolerance_u: float  # for that in a position


@compiled
def integrate(
    problem: Problem, a0: Array, u0: Array, order: Indices, outputs: Array, max_steps: int
) -> tuple[Array, Array, int, int, int, float]:
    """Return positions and outer layers at the outputs, steps, refusals, how it ended and where."""
    m = u0.size
    x, new_x, U = np.empty(2 * m + 1), np.empty(2 * m + 1), np.zeros((8, 2 * m + 1))
    copies, reach = problem.copies[order], np.empty(m + 1)
    x[0] = a0[0]
    for k in range(m):
        x[2 * k + 1] = u0[order[k]]
        x[2 * k + 2] = x[2 * k] + a0[1 + order[k]]
    positions, outer = np.empty((outputs.size, m)), np.empty((outputs.size, m + 1))

    t, end = 0.0, outputs[-1]
    taken, refused, status, written = 0, 0, DONE, 0
    if outputs[0] == 0.0:
        write(x, order, positions[0], outer[0])
        written = 1
    h = first_step(problem, x, copies, end)
    while t < end:
        if taken + refused >= max_steps:
            status = TOO_MANY_STEPS
            break
        last = t + h >= end * (1.0 - 1e-15)
        if last:
            h = end - t
        if h <= 4e-16 * t:
            status = STEP_TOO_SMALL
            break

        matrix, definite = linearise(problem, x, h, copies, reach)
        if not definite:
            refused += 1
            h *= 0.25
            continue
        take_stages(problem, x, h, copies, matrix, U)
        error = estimate(problem, U, reach)
        if not error <= 1.0:
            refused += 1
            h *= max(0.1, 0.9 * min(error, 1e30) ** -0.2)
            continue

        arrival = end if last else t + h
        while written < outputs.size and outputs[written] <= arrival:
            theta = (outputs[written] - t) / h
            for i in range(x.size):
                new_x[i] = x[i] + dense(theta, combine(U, i), U, i)
            write(new_x, order, positions[written], outer[written])
            written += 1
        for i in range(x.size):
            x[i] += combine(U, i)
        if not is_sorted(x):
            sort(x, order)
            copies = problem.copies[order]
        t = arrival
        taken += 1
        h *= min(8.0, 0.9 * max(error, 1e-12) ** -0.2)
    return positions, outer, taken, refused, status, t


@compiled
def write(x: Array, order: Indices, positions: Array, outer: Array) -> None:
    """Write the positions and the outer layer in the order of the start."""
    outer[0] = x[0]
    for k in range(order.size):
        positions[order[k]] = x[2 * k + 1]
        outer[1 + order[k]] = x[2 * k + 2] - x[2 * k]


@compiled
def is_sorted(x: Array) -> bool:
    passed = 0
    for i in range(3, x.size, 2):
        passed += x[i] < x[i - 2]
    return passed == 0


@compiled
def sort(x: Array, order: Indices) -> None:
    """Put the neurons in order again, by insertion: few have passed one another."""
    m = order.size
    a = np.empty(m)
    for k in range(m):
        a[k] = x[2 * k + 2] - x[2 * k]
    for k in range(1, m):
        u, weight, label = x[2 * k + 1], a[k], order[k]
        j = k
        while j > 0 and x[2 * j - 1] > u:
            x[2 * j + 1], a[j], order[j] = x[2 * j - 1], a[j - 1], order[j - 1]
            j -= 1
        x[2 * j + 1], a[j], order[j] = u, weight, label
    for k in range(m):
        x[2 * k + 2] = x[2 * k] + a[k]


@compiled
def first_step(problem: Problem, x: Array, copies: Array, longest: float) -> float:
    """Return a step that is short for the outer layer and for the transition of a neuron."""
    force = np.empty(x.size)
    write_force(problem, x, copies, force)
    h = longest
    if problem.epsilon > 0.0:
        h = min(h, FIRST_STEP * problem.epsilon / (x.size + 1.0))
    fastest = np.abs(force[1::2] / copies).max()
    if fastest > 0.0:
        h = min(h, FIRST_STEP * problem.eta / fastest)
    return h


@compiled
def write_force(problem: Problem, x: Array, copies: Array, force: Array) -> None:
    """Write −∇(L + ridge |a|²) in the variables x, whose neurons may have passed one another."""
    m = x.size // 2
    if is_sorted(x):
        u = x[1::2].copy()
        pieces = cut(u, problem.eta, problem.edges, problem.values)
        loss_and_gradient(pieces, x[::2].copy(), u, problem.eta, force)
    else:
        order, there = np.arange(m), x.copy()
        sort(there, order)
        u = there[1::2].copy()
        pieces = cut(u, problem.eta, problem.edges, problem.values)
        moved = np.empty(x.size)
        loss_and_gradient(pieces, there[::2].copy(), u, problem.eta, moved)
        # Weights keep their neuron, heights do not: go by way of the derivatives in the weights.
        by_weight = np.empty(m + 1)
        total = 0.0
        for k in range(m - 1, -1, -1):
            total += moved[2 * k + 2]
            by_weight[1 + order[k]] = total
            force[2 * order[k] + 1] = moved[2 * k + 1]
        by_weight[0] = total + moved[0]
        for k in range(m):
            force[2 * k] = by_weight[k] - by_weight[k + 1]
        force[2 * m] = by_weight[m]
    for i in range(force.size):
        force[i] = -force[i]
    if problem.ridge > 0.0:
        subtract_outer_norm(x, 2.0 * problem.ridge, copies, force)


@compiled
def subtract_outer_norm(x: Array, weight: float, copies: Array, force: Array) -> None:
    """Subtract half the gradient of weight · |a|² at the heights in x."""
    force[0] -= weight * x[0]
    for k in range(copies.size):
        a = weight * (x[2 * k + 2] - x[2 * k]) / copies[k]
        force[2 * k + 2] -= a
        force[2 * k] += a


@compiled
def linearise(
    problem: Problem, x: Array, h: float, copies: Array, reach: Array
) -> tuple[Skyline, bool]:
    """Return the Cholesky factor of D/(hγ) + ∇²L, and whether there is one; write |φ_k| in L²."""
    u = x[1::2].copy()
    pieces = cut(u, problem.eta, problem.edges, problem.values)
    matrix = zeros(pieces.first, pieces.last, x.size, 2)
    add_hessian(pieces, x[::2].copy(), u, problem.eta, matrix)
    weights = np.full(copies.size + 1, problem.epsilon / (h * GAMMA) + 2.0 * problem.ridge)
    for k in range(reach.size):
        twice = matrix.entries[matrix.base[2 * k] + 2 * k]
        reach[k] = np.sqrt(0.5 * twice)
        matrix.entries[matrix.base[2 * k] + 2 * k] += LIFT * twice
    for k in range(copies.size):
        weights[k + 1] /= copies[k]
        matrix.entries[matrix.base[2 * k + 1] + 2 * k + 1] += copies[k] / (h * GAMMA)
    add_outer_norm(matrix, weights, 2)
    return matrix, factorise(matrix)


@compiled
def take_stages(
    problem: Problem, x: Array, h: float, copies: Array, factor: Skyline, U: Array
) -> None:
    """Write the eight stages."""
    stage_x, memory, force = np.empty(x.size), np.empty(x.size), np.empty(x.size)
    for stage in range(8):
        for i in range(x.size):
            stage_x[i], memory[i] = x[i], 0.0
            for j in range(stage):
                stage_x[i] += STAGES[stage, j] * U[j, i]
                memory[i] += COUPLING[stage, j] * U[j, i]
        write_force(problem, stage_x, copies, force)
        for k in range(copies.size):
            force[2 * k + 1] += copies[k] * memory[2 * k + 1] / h
        subtract_outer_norm(memory, -problem.epsilon / h, copies, force)
        solve(factor, force)
        U[stage] = force


@compiled
def estimate(problem: Problem, U: Array, reach: Array) -> float:
    """Return the estimated error of the step in units of what is allowed.

    A height counts by what it does to f: on a plateau of a hair's width nobody needs to know it.
    """
    error = 0.0
    for k in range(reach.size):
        error = max(error, reach[k] * abs(U[7, 2 * k]) / problem.tolerance_f)
    for i in range(1, U.shape[1], 2):
        error = max(error, abs(U[7, i]) / problem.tolerance_u)
    return error
