"""Exact integrals over [0, 1] of everything that is polynomial between breakpoints.

Neurons are numbered by increasing position, u_0 ≤ … ≤ u_(m−1), and the outer layer is written in
the heights of the plateaus between them, y_k = a_0 + … + a_k, so that

    f = Σ_k y_k φ_k,    φ_k = s_(k−1) − s_k    (s_(−1) = 1, s_m = 0),

and φ_k lives between the neurons that bound it.  Positions and heights are interleaved,
(y_0, u_0, y_1, u_1, …, y_m): the neurons whose transitions cover a point x are consecutive, and
f(x) depends on a contiguous stretch of these 2m + 1 variables alone.

[0, 1] is cut at the breakpoints of f* and where a neuron starts, is half-way and ends.  On each
piece f is a cubic and every integrand here has degree at most 6: with one neuron in transition the
integrals are powers of the distance to its end, with several four Gauss points are exact.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inthelimit._checks import Array
from inthelimit._compiled import compiled
from inthelimit.two_timescale._skyline import Skyline

Indices = NDArray[np.int64]

NODES, WEIGHTS = np.polynomial.legendre.leggauss(4)
NODES, WEIGHTS = (NODES + 1.0) / 2.0, WEIGHTS / 2.0


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


class Lone(NamedTuple):
    """Integrals over a piece with one neuron in transition; s′ and s″ are derivatives in x."""

    before: float  # (1 − s)²
    across: float  # s(1 − s)
    after: float  # s²
    slope_before: float  # (1 − s) s′
    slope_after: float  # s s′
    slopes: float  # s′²
    bend_before: float  # (1 − s) s″
    bend_after: float  # s s″


@compiled
def lone(left: float, width: float, u: float, eta: float) -> Lone:
    """Return the integrals over a piece on one side of u, where s or 1 − s is 4t³."""
    right_half = left + 0.5 * width > u
    start = (left - u) / eta
    end = (left + width - u) / eta
    low = max(0.5 - end, 0.0) if right_half else max(0.5 + start, 0.0)
    high = min(0.5 - start, 0.5) if right_half else min(0.5 + end, 0.5)
    low2, high2 = low * low, high * high
    low4, high4 = low2 * low2, high2 * high2
    mean = eta * (high4 - low4)
    square = eta * (16.0 / 7.0) * (high4 * high2 * high - low4 * low2 * low)
    rise = 4.0 * (high2 * high - low2 * low)
    slope = 8.0 * (high4 * high2 - low4 * low2)
    fifth = (high4 * high - low4 * low) / eta
    tilt = 12.0 * (high2 - low2) / eta
    rest = max(width - 2.0 * mean + square, 0.0)
    if right_half:
        return Lone(
            square, mean - square, rest, slope, rise - slope,
            28.8 * fifth, -19.2 * fifth, 19.2 * fifth - tilt,
        )  # fmt: skip
    return Lone(
        rest, mean - square, square, rise - slope, slope,
        28.8 * fifth, tilt - 19.2 * fifth, 19.2 * fifth,
    )  # fmt: skip


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
        if last == first + 1:
            part = lone(pieces.left[p], width, u[first], eta)
            low, high = pieces.value[p] - y[first], pieces.value[p] - y[last]
            over, under = (
                low * part.before + high * part.across,
                low * part.across + high * part.after,
            )
            loss += low * over + high * under
            gradient[2 * first] -= 2.0 * over
            gradient[2 * first + 1] += (
                2.0 * (low - high) * (low * part.slope_before + high * part.slope_after)
            )
            gradient[2 * last] -= 2.0 * under
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
    m, base, entries = u.size, hessian.base, hessian.entries
    s, ds, dr = np.empty(m), np.empty(m), np.empty(2 * m + 1)
    for p in range(pieces.left.size):
        first, last, width = pieces.first[p], pieces.last[p], pieces.width[p]
        if first == last:
            entries[base[2 * first] + 2 * first] += 2.0 * width
            continue
        if last == first + 1:
            part = lone(pieces.left[p], width, u[first], eta)
            low, high = pieces.value[p] - y[first], pieces.value[p] - y[last]
            a = low - high
            i = 2 * first
            # The height on one side moves f by 1 − s or s, and its weight a in u by ∓1.
            force = low * part.slope_before + high * part.slope_after
            bend = low * part.bend_before + high * part.bend_after
            entries[base[i] + i] += 2.0 * part.before
            entries[base[i + 1] + i] -= 2.0 * (a * part.slope_before + force)
            entries[base[i + 1] + i + 1] += 2.0 * a * (a * part.slopes - bend)
            entries[base[i + 2] + i] += 2.0 * part.across
            entries[base[i + 2] + i + 1] -= 2.0 * (a * part.slope_after - force)
            entries[base[i + 2] + i + 2] += 2.0 * part.after
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
                for j in range(2 * first, i + 1):
                    entries[base[i] + j] += weight * dr[i] * dr[j]
            for k in range(first, last):
                z = (x - u[k]) / eta
                bend = (24.0 * z + (12.0 if z <= 0.0 else -12.0)) / (eta * eta)
                own, after = base[2 * k + 1] + 2 * k + 1, base[2 * k + 2] + 2 * k + 1
                entries[own - 1] -= weight * r * ds[k]
                entries[own] -= weight * r * (y[k + 1] - y[k]) * bend
                entries[after] += weight * r * ds[k]


@compiled
def add_gram(pieces: Pieces, u: Array, eta: float, gram: Skyline) -> None:
    """Add ∫ φ_j φ_k."""
    m, base, entries = u.size, gram.base, gram.entries
    s, ds, phi = np.empty(m), np.empty(m), np.empty(m + 1)
    for p in range(pieces.left.size):
        first, last, width = pieces.first[p], pieces.last[p], pieces.width[p]
        if first == last:
            entries[base[first] + first] += width
            continue
        if last == first + 1:
            part = lone(pieces.left[p], width, u[first], eta)
            entries[base[first] + first] += part.before
            entries[base[last] + first] += part.across
            entries[base[last] + last] += part.after
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
                for j in range(first, i + 1):
                    entries[base[i] + j] += weight * phi[i] * phi[j]
