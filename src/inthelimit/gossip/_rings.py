"""The kernel of asynchronous gossip: draw the rings of the edges, and let them act.

A node owns two numbers, x and z, and mixes them at rates η and η' whenever it is awake to look at
them.  With s = η + η', a = η/s and a' = η'/s (½ each if s = 0) it may as well keep

    p = a' x + a z,    q = e^{s (t − t₀)} (x − z);
    x = p + a e^{−s (t − t₀)} q,    z = p − a' e^{−s (t − t₀)} q,

for mixing alone changes neither: no clock per node has to be read, no number written, between two
rings of a node.  When edge {v, w} rings, with g = x_v − x_w, c = a'γ + aγ' and b = γ − γ',

    p_v −= c g,  p_w += c g,        q_v −= b e^{s (t − t₀)} g,  q_w += b e^{s (t − t₀)} g:

one exponential, and one cache line for each end.  Before e^{s (t − t₀)} is too large, t₀ moves to
the present and all q are scaled.

Rings are handled in small batches: gaps, then edges, then their ends, then exponentials, then the
rings one after the other.  All but the last are loops without dependence, which vectorise or
overlap their cache misses; the exponentials are written out, as those of the C library do not
vectorise.  Drawing here is faster than by NumPy in long arrays, which must pass through memory.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inthelimit._checks import Array
from inthelimit._compiled import compiled

# q is scaled before it has grown by e to this: late enough to be rare, and early enough for the
# rounding of the exponent, 1e-16 of it, not to matter.
LARGEST_EXPONENT = 64.0
# Rings handled at once: enough for the processor to look ahead, few enough to stay in its cache.
BATCH = 256

LOG2_E, LN_2 = 1.4426950408889634, 0.6931471805599453

Ends = NDArray[np.int32]


class Edges(NamedTuple):
    """What is needed to draw an edge and look up its ends."""

    ends: Ends  # (E, 2)
    acceptance: Array  # of the alias method, (E,); empty if all edges ring at one rate
    alias: Ends  # (E,), or empty
    rate: float  # rings per unit of time, over all edges


class Rule(NamedTuple):
    """The constants of the mixing and of a ring, as the module's docstring names them."""

    speed: float  # s
    x_share: float  # a
    z_share: float  # a'
    p_kick: float  # c
    q_kick: float  # b


class Task(NamedTuple):
    """Where to start, by what rule, and when to read; values are deviations from consensus."""

    rule: Rule
    x0: Array  # (n, 1), or (n, copies) if they start apart
    z0: Array  # of the same shape
    reads: Array  # times, increasing
    kept: NDArray[np.bool_]  # at which of them x and z are wanted


class Results(NamedTuple):
    """What is read, to be filled in."""

    x: Array  # (copies, number kept, n)
    z: Array
    errors: Array  # (copies, reads)
    n_events: NDArray[np.int64]  # (copies,), 0 at the start


class Batch(NamedTuple):
    """Rings in order of time; each array has the length of the batch."""

    times: Array
    v: Ends
    w: Ends
    growth: Array  # e^{s (t − t₀)}
    power_bits: NDArray[np.int64]  # of the powers of 2 in it, as floating-point numbers


@compiled
def simulate(
    edges: Edges, task: Task, results: Results, rng: np.random.Generator
) -> tuple[int, int]:
    """Run each copy past all reads; return the first copy and read that overflowed, or (−1, −1)."""
    rule, reads = task.rule, task.reads
    size = min(BATCH, int(edges.rate * reads[-1]) + 16)
    batch = _new_batch(size)
    state = np.empty((task.x0.shape[0], 2))
    for copy in range(results.errors.shape[0]):
        _place(state, task, copy)
        origin, drawn_to, used, row = 0.0, 0.0, size, 0
        for r in range(reads.size):
            while True:
                if used == size:
                    drawn_to = _draw(batch, edges, drawn_to, rng)
                    _grow(batch, 0, size, rule.speed, origin)
                    used = 0
                start = used
                used, origin = _ring_until(reads[r], state, rule, batch, used, size, origin)
                results.n_events[copy] += used - start
                if used < size:
                    break
            if not _read(state, task, results, copy, r, row, origin):
                return copy, r
            row += task.kept[r]
    return -1, -1


@compiled
def replay(
    ends: Ends, task: Task, results: Results, times: Array, chosen: NDArray[np.int64]
) -> tuple[int, int]:
    """Do as `simulate` does with one copy and given rings: their times, and rows of `ends`."""
    rule, reads = task.rule, task.reads
    batch = _new_batch(BATCH)
    state = np.empty((task.x0.shape[0], 2))
    _place(state, task, 0)
    origin, taken, used, size, row = 0.0, 0, 0, 0, 0
    for r in range(reads.size):
        while True:
            if used == size:
                size = _take(batch, times, chosen, ends, taken)
                _grow(batch, 0, size, rule.speed, origin)
                taken, used = taken + size, 0
            start = used
            used, origin = _ring_until(reads[r], state, rule, batch, used, size, origin)
            results.n_events[0] += used - start
            if used < size or taken == times.size:
                break
        if not _read(state, task, results, 0, r, row, origin):
            return 0, r
        row += task.kept[r]
    return -1, -1


@compiled
def alias_table(probabilities: Array) -> tuple[Array, Ends]:
    """Return acceptance and alias: draw i uniformly, keep it with probability acceptance_i.

    Walker's method as Vose arranged it: each edge below the average share is topped up from one
    above it.
    """
    n = probabilities.size
    share = probabilities * n
    acceptance = np.ones(n)
    alias = np.arange(n).astype(np.int32)
    poor, rich = np.empty(n, np.int32), np.empty(n, np.int32)
    n_poor = n_rich = 0
    for i in range(n):
        if share[i] < 1.0:
            poor[n_poor] = i
            n_poor += 1
        else:
            rich[n_rich] = i
            n_rich += 1
    while n_poor > 0 and n_rich > 0:
        n_poor -= 1
        i, j = poor[n_poor], rich[n_rich - 1]
        acceptance[i], alias[i] = share[i], j
        share[j] -= 1.0 - share[i]
        if share[j] < 1.0:
            n_rich -= 1
            poor[n_poor] = j
            n_poor += 1
    return acceptance, alias


@compiled
def _new_batch(size: int) -> Batch:
    ends = np.empty((2, size), np.int32)
    return Batch(np.empty(size), ends[0], ends[1], np.empty(size), np.empty(size, np.int64))


@compiled
def _draw(batch: Batch, edges: Edges, time: float, rng: np.random.Generator) -> float:
    """Fill the batch with rings that follow `time`; return the time of the last."""
    size, n_edges = batch.times.size, edges.ends.shape[0]
    for k in range(size):
        time += rng.standard_exponential() / edges.rate
        batch.times[k] = time
    for k in range(size):
        batch.growth[k] = rng.random() * n_edges
    for k in range(size):
        # Rounding may carry the product of the largest number below 1 up to n_edges.
        i = min(int(batch.growth[k]), n_edges - 1)
        if edges.acceptance.size and batch.growth[k] - i >= edges.acceptance[i]:
            i = edges.alias[i]
        batch.v[k] = edges.ends[i, 0]
        batch.w[k] = edges.ends[i, 1]
    return time


@compiled
def _take(batch: Batch, times: Array, chosen: NDArray[np.int64], ends: Ends, first: int) -> int:
    """Fill the batch with given rings from `first` on; return how many there were."""
    size = min(batch.times.size, times.size - first)
    for k in range(size):
        batch.times[k] = times[first + k]
        batch.v[k] = ends[chosen[first + k], 0]
        batch.w[k] = ends[chosen[first + k], 1]
    return size


@compiled
def _grow(batch: Batch, first: int, last: int, speed: float, origin: float) -> None:
    """Write e^{s (t − t₀)} for some rings, capped at the exponent at which t₀ has to move.

    With the exponent k log 2 + r, |r| ≤ ½ log 2, the Taylor series of eʳ has a remainder below
    1e-17, and 2ᵏ has the bits of k + 1023 before 52 zeros.
    """
    power = batch.power_bits.view(np.float64)
    for i in range(first, last):
        exponent = min(speed * (batch.times[i] - origin), LARGEST_EXPONENT)
        k = np.floor(exponent * LOG2_E + 0.5)
        r = exponent - k * LN_2
        batch.power_bits[i] = (np.int64(k) + 1023) << 52
        tail = 1.0 / 5040.0 + r * (
            1.0 / 40320.0
            + r
            * (
                1.0 / 362880.0
                + r
                * (
                    1.0 / 3628800.0
                    + r * (1.0 / 39916800.0 + r * (1.0 / 479001600.0 + r / 6227020800.0))
                )
            )
        )
        tail = 1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0 + r * tail))
        batch.growth[i] = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * tail)))
    for i in range(first, last):
        batch.growth[i] *= power[i]


@compiled
def _ring_until(
    time: float, state: Array, rule: Rule, batch: Batch, first: int, last: int, origin: float
) -> tuple[int, float]:
    """Let the rings from `first` on up to `time` act; return the first later one, and t₀."""
    k = first
    while k < last and batch.times[k] <= time:
        exponent = rule.speed * (batch.times[k] - origin)
        if exponent > LARGEST_EXPONENT:
            state[:, 1] *= math.exp(-exponent)
            origin = batch.times[k]
            _grow(batch, k, last, rule.speed, origin)
        growth = batch.growth[k]
        v, w = batch.v[k], batch.w[k]
        g = state[v, 0] - state[w, 0] + rule.x_share / growth * (state[v, 1] - state[w, 1])
        p_kick, q_kick = rule.p_kick * g, rule.q_kick * growth * g
        state[v, 0] -= p_kick
        state[w, 0] += p_kick
        state[v, 1] -= q_kick
        state[w, 1] += q_kick
        k += 1
    return k, origin


@compiled
def _place(state: Array, task: Task, copy: int) -> None:
    column = copy % task.x0.shape[1]
    for i in range(state.shape[0]):
        x, z = task.x0[i, column], task.z0[i, column]
        state[i, 0] = task.rule.z_share * x + task.rule.x_share * z
        state[i, 1] = x - z


@compiled
def _read(
    state: Array, task: Task, results: Results, copy: int, r: int, row: int, origin: float
) -> bool:
    """Write what is wanted at a read, x and z to a row of theirs; return whether it is finite."""
    rule = task.rule
    decay = math.exp(-rule.speed * (task.reads[r] - origin))
    squared = 0.0
    for i in range(state.shape[0]):
        apart = decay * state[i, 1]
        x = state[i, 0] + rule.x_share * apart
        squared += x * x
        if task.kept[r]:
            results.x[copy, row, i] = x
            results.z[copy, row, i] = state[i, 0] - rule.z_share * apart
    results.errors[copy, r] = squared
    return math.isfinite(squared)
