"""Kernel of the additive experiments: sums over sorted coordinates instead of over neurons.

With the points of each coordinate sorted once, a step neuron is off before its transition and on
after it.  So Σ_j a_j s is a staircase in the rank, and the sums Σ_i e_i s over residuals are sums
over the ranks after each transition: both take one pass over the points, whatever the number m of
neurons, and the points in transitions besides.  With ReLU neurons it is the same with a piecewise
linear function.  An epoch costs O(nd + m × points in a transition).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inthelimit._checks import Array
from inthelimit._compiled import compiled
from inthelimit.two_timescale._transition import rise, slope

Indices = NDArray[np.int64]
Ranks = NDArray[np.int32]


class Sample(NamedTuple):
    """The data, and their order along each coordinate."""

    x: Array  # (d, n), each row sorted
    order: Ranks  # (d, n), which point stands where
    y: Array  # (n,)


class Rule(NamedTuple):
    """The constants of an epoch."""

    steps: bool  # sigmoid neurons, or else ReLU neurons
    eta: float
    outer: float  # the step size of a
    inner: float  # the step size of u


def sample(x: Array, y: Array) -> Sample:
    """Sort x, (n, d), along each coordinate."""
    order = np.argsort(x.T, axis=1, kind="stable")
    rows = np.take_along_axis(x.T, order, axis=1)
    return Sample(np.ascontiguousarray(rows), order.astype(np.int32), y)


@compiled
def descend(
    data: Sample,
    rule: Rule,
    a: Array,
    u: Array,
    neurons: Indices,
    reads: Indices,
    weights: Array,
    positions: Array,
    criteria: Array,
) -> None:
    """Go through epochs up to the last of `reads`, a and u being (d, m) and changed in place.

    `neurons` sorts the rows of u, and is kept so.  At each of `reads` a, u and ‖ŷ − y‖/n are
    written into their row.
    """
    n, d = data.y.size, data.x.shape[0]
    residual = np.empty(n)
    row = 0
    for epoch in range(reads[-1] + 1):
        for i in range(n):
            residual[i] = -data.y[i]
        for k in range(d):
            _sort(neurons[k], u[k])
            if rule.steps:
                _add_steps(residual, data.x[k], data.order[k], rule.eta, neurons[k], a[k], u[k])
            else:
                _add_ramps(residual, data.x[k], data.order[k], neurons[k], a[k], u[k])
        square = 0.0
        for i in range(n):
            square += residual[i] * residual[i]
        norm = np.sqrt(square)
        if reads[row] == epoch:
            for k in range(d):
                for j in range(a.shape[1]):
                    weights[row, k, j] = a[k, j]
                    positions[row, k, j] = u[k, j]
            criteria[row] = norm / n
            row += 1
        # Where all residuals are 0 the criterion has no gradient, but nothing is left to be done.
        rate = 1.0 / (n * norm) if norm > 0.0 else 0.0
        for k in range(d):
            if rule.steps:
                _move_steps(residual, data.x[k], data.order[k], rule, rate, neurons[k], a[k], u[k])
            else:
                _move_ramps(residual, data.x[k], data.order[k], rule, rate, neurons[k], a[k], u[k])


@compiled
def _sort(neurons: Indices, u: Array) -> None:
    """Restore neurons to the order of u, by insertion: from one epoch to the next little moves."""
    for i in range(1, u.size):
        for j in range(i, 0, -1):
            if u[neurons[j]] >= u[neurons[j - 1]]:
                break
            neurons[j - 1], neurons[j] = neurons[j], neurons[j - 1]


@compiled
def _add_steps(
    values: Array, x: Array, order: Ranks, eta: float, neurons: Indices, a: Array, u: Array
) -> None:
    """Add Σ_j a_j s((x − u_j)/η) to the values of all points."""
    height, start = 0.0, 0
    for j in neurons:
        first, end = _transition(x, u[j], eta)
        for i in range(start, end):
            values[order[i]] += height
        for i in range(first, end):
            values[order[i]] += a[j] * rise(x[i] - u[j], eta)
        height += a[j]
        start = end
    for i in range(start, x.size):
        values[order[i]] += height


@compiled
def _move_steps(
    residual: Array,
    x: Array,
    order: Ranks,
    rule: Rule,
    rate: float,
    neurons: Indices,
    a: Array,
    u: Array,
) -> None:
    """Move a and u along the negative gradient of Σ_i residual_i², times rate/2."""
    later, start = 0.0, x.size
    for j in neurons[::-1]:
        first, end = _transition(x, u[j], rule.eta)
        for i in range(end, start):
            later += residual[order[i]]
        start = end
        by_weight, by_position = later, 0.0
        for i in range(first, end):
            by_weight += residual[order[i]] * rise(x[i] - u[j], rule.eta)
            by_position += residual[order[i]] * slope(x[i] - u[j], rule.eta)
        u[j] += rule.inner * rate * a[j] * by_position / rule.eta
        a[j] -= rule.outer * rate * by_weight


@compiled
def _transition(x: Array, u: float, eta: float) -> tuple[int, int]:
    """Return the ranks [first, end) of the points in the transition of a neuron."""
    first, end = u - 0.5 * eta, u + 0.5 * eta
    return int(np.searchsorted(x, first)), int(np.searchsorted(x, end))


@compiled
def _add_ramps(values: Array, x: Array, order: Ranks, neurons: Indices, a: Array, u: Array) -> None:
    """Add Σ_j a_j max(x − u_j, 0) to the values of all points."""
    gradient, offset, start = 0.0, 0.0, 0
    for j in neurons:
        end = np.searchsorted(x, u[j], side="right")
        for i in range(start, end):
            values[order[i]] += gradient * x[i] - offset
        gradient += a[j]
        offset += a[j] * u[j]
        start = end
    for i in range(start, x.size):
        values[order[i]] += gradient * x[i] - offset


@compiled
def _move_ramps(
    residual: Array,
    x: Array,
    order: Ranks,
    rule: Rule,
    rate: float,
    neurons: Indices,
    a: Array,
    u: Array,
) -> None:
    """Move a and u along the negative gradient of Σ_i residual_i², times rate/2."""
    later, moment, start = 0.0, 0.0, x.size
    for j in neurons[::-1]:
        end = np.searchsorted(x, u[j], side="right")
        for i in range(end, start):
            later += residual[order[i]]
            moment += residual[order[i]] * x[i]
        start = end
        weight = a[j]
        a[j] -= rule.outer * rate * (moment - u[j] * later)
        u[j] += rule.inner * rate * weight * later
