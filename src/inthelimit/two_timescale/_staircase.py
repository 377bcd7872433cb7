"""Kernel of SGD: the network is a staircase, and one sample at a time moves its steps.

In order of position u_1 ≤ … ≤ u_m, the network is flat but for its m transitions of width η: right
of k of them it has the height y_k = a_0 + … + a_k.  A sample x in no transition, with k neurons to
its left, has the residual r = y − y_k: one look-up, no sum over neurons.  Its step adds g = 2hr to
a_0, …, a_k, and so

    y_i += g min(i + 1, k + 1),    i = 0, …, m:

one short loop without branches, off the path from one residual to the next but for one entry.  In
a transition k + 1 becomes the sum 1 + Σ_j s_j of all features.  At most a fraction mη of the
samples falls there; only for them sigmoids and kicks of positions are evaluated, of the neurons
concerned alone, and a neuron that was kicked past others finds its new place.  That is the step
with all m sigmoids, up to rounding.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inthelimit._checks import Array
from inthelimit._compiled import compiled
from inthelimit.two_timescale._transition import rise, slope

# Samples drawn at once: enough for the loops over them to vectorise, few enough to stay in cache.
BATCH = 256
# A position that no sample reaches: it ends the search for the neurons near a sample.
SENTINEL = 1e300


class Staircase(NamedTuple):
    """The network, in order of position; changed in place."""

    positions: Array  # (m + 1,), the last one a sentinel
    heights: Array  # (m + 1,)
    order: NDArray[np.int64]  # (m,), which neuron stands where
    counts: Array  # (m + 1,), 1, 2, …, m + 1
    shares: Array  # (m,), the features on up to each neuron near a sample, from 0 on


class Target(NamedTuple):
    """The labels: y = value at 0 + jumps to the left of x + noise × U(−1, 1)."""

    first_value: float
    breakpoints: Array
    jumps: Array
    noise: float


class Rule(NamedTuple):
    """The constants of a step."""

    outer: float  # 2h
    inner: float  # 2hε/η
    eta: float
    cubic: bool  # the derivative of the cubic sigmoid, or 1 within η/2
    largest_residual: float  # beyond this size the run counts as divergent


def staircase(positions: Array, outer: Array) -> Staircase:
    """Return the network with this outer layer, (m + 1,), bias first, in order of position."""
    m = positions.size
    order = np.argsort(positions, kind="stable")
    sorted_positions = np.append(positions[order], SENTINEL)
    heights = np.cumsum(np.append(outer[0], outer[1:][order]))
    return Staircase(sorted_positions, heights, order, np.arange(1.0, m + 2), np.empty(m))


@compiled
def descend(
    stairs: Staircase,
    target: Target,
    rule: Rule,
    n_steps: int,
    reads: NDArray[np.int64],
    positions: Array,
    outer: Array,
    rng: np.random.Generator,
) -> tuple[int, float]:
    """Take n_steps steps, and write the network after each of `reads` into its row.

    If the residual grows too large the run stops, and its last state fills the other rows.  Returns
    the number of steps taken, and the largest kick of a position.
    """
    x, label = np.empty(BATCH), np.empty(BATCH)
    largest_kick = 0.0
    done, row = 0, 0
    while True:
        while row < reads.size and reads[row] == done:
            _read(stairs, positions[row], outer[row])
            row += 1
        if done == n_steps:
            return done, largest_kick
        until = reads[row] if row < reads.size else n_steps
        size = min(BATCH, until - done)
        _draw(target, x[:size], label[:size], rng)
        taken, kick = _take_steps(stairs, rule, x[:size], label[:size])
        largest_kick = max(largest_kick, kick)
        done += taken
        if taken < size:
            for later in range(row, reads.size):
                _read(stairs, positions[later], outer[later])
            return done, largest_kick


@compiled
def _draw(target: Target, x: Array, label: Array, rng: np.random.Generator) -> None:
    """Draw x and then its noise for each sample, so that the batches leave no trace."""
    for i in range(x.size):
        x[i] = rng.random()
        label[i] = rng.random()
    for i in range(x.size):
        label[i] = target.first_value + target.noise * (2.0 * label[i] - 1.0)
    for k in range(target.jumps.size):
        for i in range(x.size):
            label[i] += target.jumps[k] if x[i] >= target.breakpoints[k] else 0.0


@compiled
def _take_steps(stairs: Staircase, rule: Rule, x: Array, label: Array) -> tuple[int, float]:
    """Take a step on each sample; return how many before divergence, and the largest kick."""
    half = 0.5 * rule.eta
    u, y, order = stairs.positions, stairs.heights, stairs.order
    counts, shares = stairs.counts, stairs.shares
    largest_kick = 0.0
    for i in range(x.size):
        # Neurons before `first` are on, those from `end` on are off, x is near those between.
        first = 0
        for j in range(order.size):
            first += u[j] < x[i] - half
        value, on, end = y[first], counts[first], first
        while u[end] <= x[i] + half:
            s = rise(x[i] - u[end], rule.eta)
            value += (y[end + 1] - y[end]) * s
            on += s
            shares[end - first] = on
            end += 1
        residual = label[i] - value
        if not abs(residual) <= rule.largest_residual:
            return i, largest_kick
        for j in range(first, end):
            steepness = slope(x[i] - u[j], rule.eta) if rule.cubic else 1.0
            kick = rule.inner * residual * (y[j + 1] - y[j]) * steepness
            largest_kick = max(largest_kick, abs(kick))
            u[j] -= kick
        gain = rule.outer * residual
        for j in range(counts.size):
            y[j] += gain * min(counts[j], on)
        # Only between two neurons near x is that not the share of features on.
        for j in range(first, end - 1):
            y[j + 1] += gain * (shares[j - first] - min(counts[j + 1], on))
        if end > first:
            _sort(u, y, order, first, end)
    return x.size, largest_kick


@compiled
def _sort(u: Array, y: Array, order: NDArray[np.int64], first: int, end: int) -> None:
    """Restore the order after neurons `first` to `end` − 1 have moved, by insertion."""
    for i in range(max(first, 1), order.size):
        if i >= end and u[i] >= u[i - 1]:
            break
        for j in range(i, 0, -1):
            if u[j] >= u[j - 1]:
                break
            u[j - 1], u[j] = u[j], u[j - 1]
            order[j - 1], order[j] = order[j], order[j - 1]
            y[j] = y[j - 1] + (y[j + 1] - y[j])


@compiled
def _read(stairs: Staircase, positions: Array, outer: Array) -> None:
    """Write positions and outer layer, neurons in the order in which they were given."""
    outer[0] = stairs.heights[0]
    for j in range(stairs.order.size):
        positions[stairs.order[j]] = stairs.positions[j]
        outer[stairs.order[j] + 1] = stairs.heights[j + 1] - stairs.heights[j]
