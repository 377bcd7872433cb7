"""Exact integrals over [0, 1] of everything that is polynomial between breakpoints.

Neurons are numbered by increasing position, u_0 ≤ … ≤ u_(m−1), and the outer layer is written in
the heights of the plateaus between them, y_k = a_0 + … + a_k, so that

    f = Σ_k y_k φ_k,    φ_k = s_(k−1) − s_k    (s_(−1) = 1, s_m = 0),

and φ_k lives between the neurons that bound it.  Positions and heights are interleaved,
(y_0, u_0, y_1, u_1, …, y_m): the neurons whose transitions cover a point x are consecutive, and
f(x) depends on a contiguous stretch of these 2m + 1 variables alone.

[0, 1] is cut at the breakpoints of f* and where a neuron starts, is half-way and ends.  On each
piece f is a cubic, every integrand here has degree at most 6, and four Gauss points are exact.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inthelimit._checks import Array
from inthelimit._compiled import compiled
from inthelimit.two_timescale._skyline import (
    Skyline,
    add_outer_norm,
    factorise,
    row_of,
    solve,
    zeros,
)

Indices = NDArray[np.int64]

NODES, WEIGHTS = np.polynomial.legendre.leggauss(4)
NODES, WEIGHTS = (NODES + 1.0) / 2.0, WEIGHTS / 2.0

# Weight of |a|² beside L where features may be alike: it settles what L leaves open, and is above
# the rounding of the Gram matrix.  The second is where trying in steps of 100 ends.
RIDGE, LARGEST_RIDGE = 1e-15, 1e-10


class Pieces(NamedTuple):
    """The pieces of [0, 1], in order, all of shape (number of pieces,)."""

    left: Array
    width: Array
    first: Indices  # neurons first, …, last − 1 are in transition, those before `first` are on
    last: Indices
    value: Array  # of f*


@compiled
def cut(u: Array, eta: float, edges: Array, values: Array) -> Pieces:
    """Return the pieces of [0, 1] for the sorted positions u."""
    m, half = u.size, 0.5 * eta
    most = 3 * m + values.size
    left, width, value = np.empty(most), np.empty(most), np.empty(most)
    first, last = np.empty(most, np.int64), np.empty(most, np.int64)
    x = 0.0
    count = on = middle = off = piece = 0
    while True:
        while on < m and u[on] - half <= x:
            on += 1
        while middle < m and u[middle] <= x:
            middle += 1
        while off < m and u[off] + half <= x:
            off += 1
        while piece < values.size and edges[piece + 1] <= x:
            piece += 1
        if piece == values.size:
            break
        end = edges[piece + 1]
        if on < m:
            end = min(end, u[on] - half)
        if middle < m:
            end = min(end, u[middle])
        if off < m:
            end = min(end, u[off] + half)
        left[count], width[count], value[count] = x, end - x, values[piece]
        first[count], last[count] = off, on
        count += 1
        x = end
    return Pieces(left[:count], width[:count], first[:count], last[:count], value[:count])


@compiled
def activate(x: float, u: Array, eta: float, first: int, last: int, s: Array, ds: Array) -> None:
    """Write s and ∂s/∂x of the neurons in transition at x."""
    for k in range(first, last):
        z = (x - u[k]) / eta
        t = max(0.5 - abs(z), 0.0)
        ds[k] = 12.0 * t * t / eta
        s[k] = 4.0 * t * t * t if z <= 0.0 else 1.0 - 4.0 * t * t * t


@compiled
def evaluate(x: Array, y: Array, u: Array, eta: float) -> Array:
    """Return f at the points x of any order, for sorted u."""
    m, half = u.size, 0.5 * eta
    s, ds, f = np.empty(m), np.empty(m), np.empty(x.size)
    for i in range(x.size):
        first = int(np.searchsorted(u, x[i] - half))
        last = int(np.searchsorted(u, x[i] + half))
        activate(x[i], u, eta, first, last, s, ds)
        f[i] = y[first]
        for k in range(first, last):
            f[i] += (y[k + 1] - y[k]) * s[k]
    return f


@compiled
def loss_and_gradient(pieces: Pieces, y: Array, u: Array, eta: float, gradient: Array) -> float:
    """Return ∫ (f* − f)² and write its gradient in the interleaved variables."""
    m = u.size
    s, ds = np.empty(m), np.empty(m)
    gradient[:] = 0.0
    loss = 0.0
    for p in range(pieces.left.size):
        first, last, width = pieces.first[p], pieces.last[p], pieces.width[p]
        if first == last:
            r = pieces.value[p] - y[first]
            loss += width * r * r
            gradient[2 * first] -= 2.0 * width * r
            continue
        for q in range(4):
            activate(pieces.left[p] + NODES[q] * width, u, eta, first, last, s, ds)
            r = pieces.value[p] - y[first]
            for k in range(first, last):
                r -= (y[k + 1] - y[k]) * s[k]
            loss += WEIGHTS[q] * width * r * r
            pull = 2.0 * WEIGHTS[q] * width * r
            above = 1.0
            for k in range(first, last):
                gradient[2 * k] -= pull * (above - s[k])
                gradient[2 * k + 1] += pull * (y[k + 1] - y[k]) * ds[k]
                above = s[k]
            gradient[2 * last] -= pull * above
    return loss


@compiled
def add_hessian(pieces: Pieces, y: Array, u: Array, eta: float, hessian: Skyline) -> None:
    """Add the second derivatives of ∫ (f* − f)² in the interleaved variables."""
    m = u.size
    s, ds, dr = np.empty(m), np.empty(m), np.empty(2 * m + 1)
    for p in range(pieces.left.size):
        first, last, width = pieces.first[p], pieces.last[p], pieces.width[p]
        if first == last:
            row_of(hessian, 2 * first)[2 * first - hessian.start[2 * first]] += 2.0 * width
            continue
        for q in range(4):
            x = pieces.left[p] + NODES[q] * width
            activate(x, u, eta, first, last, s, ds)
            r, above = pieces.value[p] - y[first], 1.0
            for k in range(first, last):
                r -= (y[k + 1] - y[k]) * s[k]
                dr[2 * k] = s[k] - above
                dr[2 * k + 1] = (y[k + 1] - y[k]) * ds[k]
                above = s[k]
            dr[2 * last] = -above
            weight = 2.0 * WEIGHTS[q] * width
            for i in range(2 * first, 2 * last + 1):
                row, start = row_of(hessian, i), hessian.start[i]
                for j in range(2 * first, i + 1):
                    row[j - start] += weight * dr[i] * dr[j]
            for k in range(first, last):
                z = (x - u[k]) / eta
                bend = (24.0 * z + (12.0 if z <= 0.0 else -12.0)) / (eta * eta)
                own, after = row_of(hessian, 2 * k + 1), row_of(hessian, 2 * k + 2)
                mine = 2 * k + 1 - hessian.start[2 * k + 1]
                own[mine - 1] -= weight * r * ds[k]
                own[mine] -= weight * r * (y[k + 1] - y[k]) * bend
                after[2 * k + 1 - hessian.start[2 * k + 2]] += weight * r * ds[k]


@compiled
def add_gram(pieces: Pieces, u: Array, eta: float, gram: Skyline, moments: Array) -> None:
    """Add ∫ φ_j φ_k, and write ∫ f* φ_k."""
    m = u.size
    s, ds, phi = np.empty(m), np.empty(m), np.empty(m + 1)
    moments[:] = 0.0
    for p in range(pieces.left.size):
        first, last, width = pieces.first[p], pieces.last[p], pieces.width[p]
        if first == last:
            row_of(gram, first)[first - gram.start[first]] += width
            moments[first] += width * pieces.value[p]
            continue
        for q in range(4):
            activate(pieces.left[p] + NODES[q] * width, u, eta, first, last, s, ds)
            above = 1.0
            for k in range(first, last):
                phi[k] = above - s[k]
                above = s[k]
            phi[last] = above
            weight = WEIGHTS[q] * width
            for i in range(first, last + 1):
                row, start = row_of(gram, i), gram.start[i]
                moments[i] += weight * pieces.value[p] * phi[i]
                for j in range(first, i + 1):
                    row[j - start] += weight * phi[i] * phi[j]


@compiled
def best_heights(u: Array, eta: float, edges: Array, values: Array) -> tuple[Array, bool]:
    """Return the plateau heights of least loss for sorted u, and whether they were found."""
    pieces = cut(u, eta, edges, values)
    y = np.empty(u.size + 1)
    overlap = False
    for p in range(pieces.first.size):
        overlap = overlap or pieces.last[p] > pieces.first[p] + 1
    ridge = RIDGE if overlap else 0.0
    while ridge <= LARGEST_RIDGE:
        gram = zeros(pieces.first, pieces.last, u.size + 1, 1)
        add_gram(pieces, u, eta, gram, y)
        add_outer_norm(gram, ridge, 1)
        if factorise(gram):
            solve(gram, y)
            return y, True
        ridge = max(RIDGE, 100.0 * ridge)
    return y, False
