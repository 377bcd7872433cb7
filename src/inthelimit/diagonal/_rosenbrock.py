"""A linearly implicit integrator that knows the shape of the diagonal network's flow.

It advances (ρ, z) with dρ/ds = r − Mx, dz/ds = x, where x = y₊ − y₋ and

    log y± = p± + L(±ρ − λs).

Four things make its cost nearly independent of L.

- A coordinate with y below a floor changes nothing, and its ρ is linear in the others' z: the
  linear systems only have the size m of the visible set, and between two ignitions nothing limits
  the step.  The next ignition is predicted from dρ/ds, and the step ends there.
- Once on, a coordinate relaxes at rate L: the method is L-stable, and steps over what has decayed.
- ρ + Mz − sr is linear and conserved, and a Rosenbrock method conserves such invariants exactly.
  Stages are therefore solved for z, through the symmetric positive definite matrix
  1 + hγ D^½ M_AA D^½ with D = L(y₊ + y₋), by Cholesky; the whole step moves ρ by one product.
- ρ is kept as a variable of its own, and moved by its own stages where x is visible: it is of order
  one, so that x = exp(L(ρ − 1)) loses only L roundings, where s r − Mz would lose L · s|r|.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inthelimit._checks import Array
from inthelimit._cholesky import factorise, solve
from inthelimit._compiled import compiled
from inthelimit._rodas5p import (
    COUPLING,
    GAMMA,
    RAMP,
    SLOPES,
    STAGES,
    STIFF,
    TIMES,
    combine,
    dense,
    hermite,
)

# Growth of log y allowed in one step: beyond, the frozen Jacobian says nothing about the end.
GROWTH = 8.0
# An ignition is predicted from the slope at the start; one that comes this much (in log y) too
# early means that the slope has changed, and the step is taken again.
EARLY = 3.0
# A first step of this length times the fastest rate cannot be refused for long, nor last.
FIRST_STEP = 0.1
# Rounding in a stage, relative to the terms of h dρ/ds: a thousand roundings, by the size of the
# coefficients and of the factor.  An error of this size is the same as one in the data, and shorter
# steps would not make it smaller.
NOISE = 2e-13

DONE, TOO_MANY_STEPS, STEP_TOO_SMALL = 0, 1, 2


class Network(NamedTuple):
    """The equations, and what counts as nothing, as absurd and as exact enough in them."""

    M: Array
    r: Array
    amplitudes: Array  # p±, shape (2, d)
    L: float
    penalty: float  # λ
    floors: Array  # a coordinate is invisible while log y± are below, shape (d,)
    ceiling: float  # a stage where log y± is above has left the solution
    weights: Array  # of errors in z, beside those in ρ, shape (d,)
    tolerance: float  # for the weighted error of a step, relative to 1 + λs


class Point(NamedTuple):
    """The state at one s; shapes are (d,) where not said."""

    rho: Array
    slope: Array  # dρ/ds
    logs: Array  # log y±, shape (2, d)
    x: Array  # y₊ − y₋ where visible, else 0
    size: Array  # y₊ + y₋ where visible, else 0
    visible: NDArray[np.int64]  # the m visible coordinates, then nothing


@compiled
def integrate(
    network: Network, outputs: Array, max_steps: int
) -> tuple[Array, Array, int, int, int, float]:
    """Return z and ρ at the outputs, the steps taken and refused, how it ended and where."""
    d = network.r.size
    here, there = rest(d), rest(d)
    z, move = np.zeros(d), np.zeros(d)
    block, factor = np.zeros((d, d)), np.zeros((d + 3, d + 3))
    U, V = np.zeros((8, d)), np.zeros((8, d))
    z_out, rho_out = np.zeros((outputs.size, d)), np.zeros((outputs.size, d))

    s, end = 0.0, outputs[-1]
    taken, refused, status = 0, 0, DONE
    written = 1 if outputs[0] == 0.0 else 0

    m = evaluate(network, 0.0, here)
    h = predict(network, here, m, end)
    for a in range(m):
        i = here.visible[a]
        pull = abs(here.slope[i]) + network.penalty + network.M[i, i] * here.size[i]
        h = min(h, FIRST_STEP / (network.L * pull)) if pull > 0.0 else h
    gather(network.M, here.visible, m, block)

    while s < end:
        if taken + refused >= max_steps:
            status = TOO_MANY_STEPS
            break
        last = s + h >= end * (1.0 - 1e-15)
        if last:
            h = end - s
        if h <= 4e-16 * s:
            status = STEP_TOO_SMALL
            break

        stiffness = linearise(block, here, m, h * network.L, factor)
        if not take_stages(network, s, h, here, m, factor, U, V):
            refused += 1
            h *= 0.25
            continue
        error = estimate(network, s, h, here, m, U, V)
        if not error <= 1.0:
            refused += 1
            h *= max(0.1, 0.9 * min(error, 1e30) ** -0.2)
            continue

        for i in range(d):
            there.rho[i] = here.rho[i] + h * network.r[i]
        for a in range(m):
            move[a] = combine(U, a)
            subtract(there.rho, move[a], network.M[here.visible[a]])
        for a in range(m):
            there.rho[here.visible[a]] = here.rho[here.visible[a]] + combine(V, a)
        arrival = end if last else s + h
        new_m = evaluate(network, arrival, there)
        if too_early(network, here, there, new_m):
            refused += 1
            h *= 0.5
            continue
        longest = predict(network, there, new_m, end - arrival)

        while written < outputs.size and outputs[written] <= arrival:
            theta = (outputs[written] - s) / h
            z_out[written] = z
            interpolate(
                network, theta, h, here, there, m, stiffness < STIFF, move, U, V,
                z_out[written], rho_out[written],
            )  # fmt: skip
            written += 1

        for a in range(m):
            z[here.visible[a]] += move[a]
        if new_m != m or not np.array_equal(here.visible[:m], there.visible[:m]):
            gather(network.M, there.visible, new_m, block)
        here, there = there, here
        s, m = arrival, new_m
        taken += 1
        # With nothing visible ρ is linear, and only the next ignition ends the step.
        h = longest if m == 0 else min(longest, h * min(8.0, 0.9 * max(error, 1e-12) ** -0.2))
    return z_out, rho_out, taken, refused, status, s


@compiled
def rest(d: int) -> Point:
    return Point(
        np.zeros(d), np.zeros(d), np.zeros((2, d)), np.zeros(d), np.zeros(d), np.zeros(d, np.int64)
    )


@compiled
def evaluate(network: Network, s: float, point: Point) -> int:
    """Write log y±, x, y₊ + y₋ and the visible coordinates from ρ; return their number m."""
    m = 0
    drift = network.penalty * s
    for i in range(point.rho.size):
        up = network.amplitudes[0, i] + network.L * (point.rho[i] - drift)
        down = network.amplitudes[1, i] - network.L * (point.rho[i] + drift)
        point.logs[0, i] = up
        point.logs[1, i] = down
        point.x[i] = 0.0
        point.size[i] = 0.0
        if max(up, down) > network.floors[i]:
            point.x[i] = np.exp(up) - np.exp(down)
            point.size[i] = np.exp(up) + np.exp(down)
            point.visible[m] = i
            m += 1
    return m


@compiled
def predict(network: Network, point: Point, m: int, longest: float) -> float:
    """Write dρ/ds; return the longest step, up to `longest`, that passes no ignition."""
    point.slope[:] = network.r
    for a in range(m):
        subtract(point.slope, point.x[point.visible[a]], network.M[point.visible[a]])
    for i in range(network.r.size):
        for side in range(2):
            rate = network.L * ((1 - 2 * side) * point.slope[i] - network.penalty)
            if rate > 0.0:
                room = GROWTH
                if point.logs[side, i] <= network.floors[i]:
                    room = network.floors[i] - point.logs[side, i] + 0.5
                if rate * longest > room:
                    longest = room / rate
    return longest


@compiled
def estimate(
    network: Network, s: float, h: float, point: Point, m: int, U: Array, V: Array
) -> float:
    """Return the estimated error of the step in units of what is allowed."""
    error, force = 0.0, 0.0
    for a in range(m):
        i = point.visible[a]
        error = max(error, abs(V[7, a]), network.weights[i] * abs(U[7, a]))
        force = max(force, abs(network.r[i]) + network.M[i, i] * point.size[i])
    return error / (network.tolerance * (1.0 + network.penalty * s) + NOISE * h * force)


@compiled
def too_early(network: Network, here: Point, there: Point, new_m: int) -> bool:
    """Say whether a coordinate that was invisible has grown well past its floor."""
    for a in range(new_m):
        i = there.visible[a]
        late = max(there.logs[0, i], there.logs[1, i]) > network.floors[i] + EARLY
        if late and here.size[i] == 0.0:
            return True
    return False


@compiled
def gather(M: Array, visible: NDArray[np.int64], m: int, block: Array) -> None:
    for a in range(m):
        for c in range(m):
            block[a, c] = M[visible[a], visible[c]]


@compiled
def linearise(block: Array, point: Point, m: int, hL: float, factor: Array) -> float:
    """Write the Cholesky factor of 1 + hγ D^½ M_AA D^½; return a norm of hJ."""
    norm = 0.0
    for a in range(m):
        left = np.sqrt(hL * point.size[point.visible[a]])
        row = 0.0
        for c in range(m):
            entry = left * block[a, c] * np.sqrt(hL * point.size[point.visible[c]])
            row += abs(entry)
            factor[a, c] = GAMMA * entry
        factor[a, a] += 1.0
        norm = max(norm, row)
    factorise(factor, m)
    return norm


@compiled
def take_stages(
    network: Network, s: float, h: float, point: Point, m: int, factor: Array, U: Array, V: Array
) -> bool:
    """Write the stages U of z and V of ρ on the visible set; say whether all stayed in bounds.

    The equation of a stage, U = hγ (g + DV), gives V without a product by M: its rounding is 1/L
    times that of log y, however small y is.
    """
    L, penalty = network.L, network.penalty
    b = np.zeros(m)
    for stage in range(8):
        drift = penalty * (s + TIMES[stage] * h)
        for a in range(m):
            i = point.visible[a]
            rho = point.rho[i]
            g = 0.0
            for j in range(stage):
                rho += STAGES[stage, j] * V[j, a]
                g += COUPLING[stage, j] * U[j, a]
            up = network.amplitudes[0, i] + L * (rho - drift)
            down = network.amplitudes[1, i] - L * (rho + drift)
            if max(up, down) > network.ceiling:
                return False
            g += h * (np.exp(up) - np.exp(down) - h * SLOPES[stage] * penalty * L * point.x[i])
            root = np.sqrt(L * point.size[i])
            b[a] = GAMMA * (g / root + RAMP[stage] * h * h * root * network.r[i])
            V[stage, a] = g
        solve(factor, b, m)
        for a in range(m):
            root = np.sqrt(L * point.size[point.visible[a]])
            U[stage, a] = root * b[a]
            V[stage, a] = (b[a] / GAMMA - V[stage, a] / root) / (h * root)
    return True


@compiled
def interpolate(
    network: Network,
    theta: float,
    h: float,
    here: Point,
    there: Point,
    m: int,
    smooth: bool,
    move: Array,
    U: Array,
    V: Array,
    z: Array,
    rho: Array,
) -> None:
    """Move z, which holds its value at the start, and write ρ, at the fraction θ of the step."""
    L, penalty = network.L, network.penalty
    for i in range(rho.size):
        rho[i] = here.rho[i] + theta * h * network.r[i]
    for a in range(m):
        i = here.visible[a]
        if smooth:
            bend = L * (here.size[i] * here.slope[i] - penalty * here.x[i])
            new_bend = L * (there.size[i] * there.slope[i] - penalty * there.x[i])
            part = hermite(
                theta, move[a], h * here.x[i], h * there.x[i], h * h * bend, h * h * new_bend
            )
        else:
            part = dense(theta, move[a], U, a)
        z[i] += part
        subtract(rho, part, network.M[i])
    if not smooth:
        for a in range(m):
            i = here.visible[a]
            rho[i] = here.rho[i] + dense(theta, combine(V, a), V, a)


@compiled
def subtract(y: Array, c: float, column: Array) -> None:
    for j in range(y.size):
        y[j] -= c * column[j]
