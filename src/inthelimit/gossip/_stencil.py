"""Rounds of gossip on a torus without a matrix: neighbours' sum and recurrence in one sweep.

The array is seen as rows along its last lattice axis, with trailing initial conditions inside the
rows, so that a row is contiguous and a neighbour is another row, turned by some places.  x^{k+1}
is written over x^{k−1}, in blocks that stay in the first-level cache: a round reads two arrays and
writes one, whatever the number of neighbours.

Values that start in a box are zero outside the box that they have reached, so only that one is
swept until it meets the border of the array.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inthelimit._compiled import compiled

Values = NDArray[np.floating[Any]]
Integers = NDArray[np.int64]

# Numbers in a block: with its accumulator and the rows it reads, well inside 32 kB.
BLOCK = 512


class TorusRounds:
    """Rounds on a torus, for W of given offsets and weights.

    Every sweep must act on the values of the one before, from `start` on.
    """

    def __init__(self, offsets: Integers, weights: Values, start: Values) -> None:
        d = offsets.shape[1]
        self.node_axes = tuple(range(d))
        self._sides = np.array(start.shape[:d], dtype=np.int64)
        self._offsets = offsets
        self._weights = weights.astype(start.dtype)
        self._reach = np.abs(offsets).max(axis=0)
        self._batch = int(np.prod(start.shape[d:], dtype=np.int64))
        self._row_length = int(self._sides[-1]) * self._batch
        self._shifts = np.mod(offsets[:, -1], self._sides[-1]) * self._batch
        self._low, self._high = self._box_of(start)

    def advance(
        self, now: Values, past: Values, step: float, inertia: float, keep: float = 1.0
    ) -> None:
        """Write keep · now + step (W − I) now + inertia (now − past) over past."""
        self._widen()
        _sweep(
            now.reshape(-1, self._row_length),
            past.reshape(-1, self._row_length),
            np.array([step, inertia, keep], dtype=now.dtype),
            self._weights,
            self._offsets[:, :-1],
            self._shifts,
            self._sides[:-1],
            self._low,
            self._high,
            self._batch,
        )

    def consensus(self, x: Values) -> Values:
        """Return the mean over the torus, of the shape of x."""
        return np.broadcast_to(x.mean(axis=self.node_axes), x.shape)

    def _box_of(self, start: Values) -> tuple[Integers, Integers]:
        """Return the first and one past the last index, along each axis, of non-zero values."""
        d = self._sides.size
        low, high = np.zeros(d, dtype=np.int64), self._sides.copy()
        occupied = np.asarray(start.reshape(*self._sides, -1).any(axis=-1))
        for axis in range(d):
            others = tuple(i for i in range(d) if i != axis)
            where = np.flatnonzero(occupied.any(axis=others))
            if where.size:
                low[axis], high[axis] = where[0], where[-1] + 1
        return low, high

    def _widen(self) -> None:
        """Let the box grow by a round's reach, to all of an axis whose border it would cross."""
        low, high = self._low - self._reach, self._high + self._reach
        crossed = (low < 0) | (high > self._sides)
        self._low = np.where(crossed, 0, low)
        self._high = np.where(crossed, self._sides, high)


@compiled
def _sweep(
    now: Values,
    past: Values,
    coefficients: Values,
    weights: Values,
    row_offsets: Integers,
    shifts: Integers,
    sides: Integers,
    low: Integers,
    high: Integers,
    batch: int,
) -> None:
    """Advance the box [low, high) of all rows; `sides` are those of the axes that number rows."""
    step, inertia, keep = coefficients
    n_axes = sides.size
    first, last = low[n_axes] * batch, high[n_axes] * batch
    sources = np.empty(weights.size, np.int64)
    sums = np.empty(BLOCK, now.dtype)
    index = low[:n_axes].copy()
    n_rows = 1
    for axis in range(n_axes):
        n_rows *= high[axis] - low[axis]
    for _ in range(n_rows):
        row = _number_rows(index, row_offsets, sides, sources)
        for begin in range(first, last, BLOCK):
            end = min(begin + BLOCK, last)
            block = sums[: end - begin]
            _neighbour_sums(now, sources, shifts, weights, begin, end, block)
            old, new = now[row, begin:end], past[row, begin:end]
            for j in range(end - begin):
                x = old[j]
                new[j] = keep * x + step * (block[j] - x) + inertia * (x - new[j])
        _next_index(index, low, high)


@compiled
def _number_rows(index: Integers, row_offsets: Integers, sides: Integers, sources: Integers) -> int:
    """Fill in the rows that the row at `index` receives from, and return its own number."""
    for m in range(sources.size):
        source = 0
        for axis in range(sides.size):
            source = source * sides[axis] + (index[axis] - row_offsets[m, axis]) % sides[axis]
        sources[m] = source
    row = 0
    for axis in range(sides.size):
        row = row * sides[axis] + index[axis]
    return row


@compiled
def _next_index(index: Integers, low: Integers, high: Integers) -> None:
    for axis in range(index.size - 1, -1, -1):
        index[axis] += 1
        if index[axis] < high[axis]:
            return
        index[axis] = low[axis]


@compiled
def _neighbour_sums(
    now: Values,
    sources: Integers,
    shifts: Integers,
    weights: Values,
    begin: int,
    end: int,
    sums: Values,
) -> None:
    """Fill in Σ_m w_m now[source_m, j − shift_m] for begin ≤ j < end, around the row's end."""
    length = now.shape[1]
    sums[:] = 0
    for m in range(sources.size):
        weight, shift = weights[m], shifts[m]
        turn = min(max(shift, begin), end)
        wrapped = now[sources[m], begin - shift + length : turn - shift + length]
        for j in range(turn - begin):
            sums[j] += weight * wrapped[j]
        straight = now[sources[m], turn - shift : end - shift]
        rest = sums[turn - begin :]
        for j in range(end - turn):
            rest[j] += weight * straight[j]
