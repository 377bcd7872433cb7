"""A method's polynomial at the symbol of a lattice, on a grid of frequencies.

With μ = 1 − λ and a_k + b_k − c_k = 1, rounds are steps with momentum: x ← x + a_k p after

    p ← ρ_k p − μ x,    ρ_k = c_k a_{k−1} / a_k,  ρ₀ = 0,

three operations a round in which b does not appear.  As μ = Σ_u 2 w_u sin²(u·ξ/2), a sum over one
offset u of each pair ±u and hence of 4 w_u sin², is right to its last digits however small it is,
so is 1 − q_n(λ) near λ = 1, on which the kernel's second moment hangs; from a rounded λ it would be
wrong by n² rounding errors.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inthelimit import _compiled
from inthelimit._checks import Array
from inthelimit._compiled import compiled
from inthelimit.gossip.coefficients import Coefficients
from inthelimit.graphs import Lattice

# Frequencies that go through all rounds at once: three arrays of this length stay in the first
# cache, and loops over them are long enough for the processor to overlap dependent operations.
BLOCK = 256
# A thread is worth its start from about this many rounds times frequencies.
THREAD_WORK = 2_000_000


class Grid(NamedTuple):
    """Frequencies ξ_i = 2π j_i / period_i with 0 ≤ j_i < shape_i."""

    periods: tuple[int, ...]
    shape: tuple[int, ...]


def polynomial_at_symbol(
    lattice: Lattice, grid: Grid, coefficients: Coefficients, *, symmetric: bool
) -> Array:
    """Return q_n(λ(ξ)) on the grid; `symmetric` if λ doesn't change when ξ's last two swap."""
    leading, last, weights = _half_phases(lattice, grid)
    rows, columns = leading.shape[0], grid.shape[-1]
    first = np.arange(rows) % columns if symmetric else np.zeros(rows, dtype=np.int64)
    values = np.empty(int((columns - first).sum()))
    _fill_distances(
        np.sin(leading), np.cos(leading), np.sin(last), np.cos(last), 4.0 * weights, first, values
    )
    _advance_all(values, coefficients)
    if not symmetric:
        return values.reshape(grid.shape)
    whole = np.empty((rows // columns, columns, columns))
    _unfold(values, whole)
    return whole.reshape(grid.shape)


def _half_phases(lattice: Lattice, grid: Grid) -> tuple[Array, Array, Array]:
    """Return u·ξ/2, split into leading axes (rows, m) and the last (m, columns), and the weights.

    Of the offsets, in lexicographic order, the first half has one of each pair ±u, and not 0.
    """
    half = lattice.offsets[: len(lattice.offsets) // 2]
    phases = []
    for i, (period, length) in enumerate(zip(grid.periods, grid.shape, strict=True)):
        # sin² does not see multiples of π, and small arguments keep it right near λ = 1.
        turns = np.outer(np.arange(length), half[:, i]) % period
        turns[turns > period // 2] -= period
        phases.append(np.pi / period * turns)
    leading = np.zeros((1, len(half)))
    for phase in phases[:-1]:
        leading = (leading[:, None, :] + phase[None, :, :]).reshape(-1, len(half))
    return leading, np.ascontiguousarray(phases[-1].T), lattice.weights[: len(half)]


def _advance_all(values: Array, coefficients: Coefficients) -> None:
    """Replace every μ in `values` by q_n(1 − μ), on all processors."""
    a, c = coefficients.a, coefficients.c
    rho = np.zeros(a.size)
    rho[1:] = c[1:] * a[:-1] / a[1:]
    busy = values.size * a.size // THREAD_WORK
    parts = max(1, min(os.cpu_count() or 1, busy)) if _compiled.njit is not None else 1
    if parts == 1:
        _advance(values, rho, a)
        return
    with ThreadPoolExecutor(parts) as pool:
        list(pool.map(lambda part: _advance(part, rho, a), np.array_split(values, parts)))


@compiled
def _fill_distances(
    row_sin: Array,
    row_cos: Array,
    column_sin: Array,
    column_cos: Array,
    weights: Array,
    first: NDArray[np.int64],
    values: Array,
) -> None:
    """Write μ = Σ_u weights_u sin²(row + column), row after row from its `first` column on."""
    position = 0
    for row in range(first.size):
        start = first[row]
        length = column_sin.shape[1] - start
        for j in range(length):
            values[position + j] = 0.0
        for u in range(weights.size):
            sine, cosine, weight = row_sin[row, u], row_cos[row, u], weights[u]
            for j in range(length):
                wave = sine * column_cos[u, start + j] + cosine * column_sin[u, start + j]
                values[position + j] += weight * wave * wave
        position += length


@compiled
def _advance(values: Array, rho: Array, a: Array) -> None:
    """Replace every μ in `values` by q_n(1 − μ), a block through all rounds at a time."""
    mu, x, p = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    n = a.size
    for start in range(0, values.size, BLOCK):
        count = min(BLOCK, values.size - start)
        for j in range(BLOCK):
            mu[j], x[j], p[j] = 0.0, 1.0, 0.0
        for j in range(count):
            mu[j] = values[start + j]
        # Two rounds for each reading and writing of x and p.
        for k in range(0, n - 1, 2):
            rho_0, rho_1, a_0, a_1 = rho[k], rho[k + 1], a[k], a[k + 1]
            for j in range(BLOCK):
                p_1 = rho_0 * p[j] - mu[j] * x[j]
                x_1 = x[j] + a_0 * p_1
                p_2 = rho_1 * p_1 - mu[j] * x_1
                x[j] = x_1 + a_1 * p_2
                p[j] = p_2
        if n % 2 == 1:
            for j in range(BLOCK):
                x[j] += a[n - 1] * (rho[n - 1] * p[j] - mu[j] * x[j])
        for j in range(count):
            values[start + j] = x[j]


@compiled
def _unfold(values: Array, whole: Array) -> None:
    """Write rows of upper triangles, one after the other, into symmetric matrices."""
    position = 0
    columns = whole.shape[1]
    for slab in range(whole.shape[0]):
        for i in range(columns):
            for j in range(i, columns):
                whole[slab, i, j] = values[position]
                whole[slab, j, i] = values[position]
                position += 1
