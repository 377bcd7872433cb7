"""The law of the last hit: the chance that every jump is hit by a time, given a good start.

The jumps share the neurons, so their hit times depend on one another: through the number of
neurons, and through the piece between two jumps, which holds a neighbour of each.  With Poisson
numbers of neurons, at rate x, only the second is left, and the jumps form a chain.  Let q be the
distance of a jump from its right neighbour, p that of the next jump from its left one.  With
h(p) = x e^{x(ℓ−p)} on the first piece, alternately

    g(q) = ∫ 1{T(p, q) ≤ t} h(p) dp,      h(p) = x² ∫_0^{ℓ−p} g(q) e^{x(ℓ−q−p)} dq,

and the last piece closes with ∫ g(q) x e^{x(ℓ−q)} dq.  That is the generating function: the chance
for m neurons is m! times its coefficient of x^m, by the trapezoidal rule on a circle of radius λ.
T(p, q) > t for q in one interval around p, so g costs two values of the antiderivative of h.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len

from inthelimit._checks import Array
from inthelimit.two_timescale._one_jump import farther_distance, nearer_distance
from inthelimit.two_timescale._panels import antiderivative, panel_points

ComplexArray = NDArray[np.complex128]

NODES = 12
# Panels of this many mean distances between neurons, out to FARTHEST of them, then doubling.
PANEL = 2.5
FARTHEST = 60.0
# The coefficients at which the trapezoidal rule aliases that of x^m are 10 standard deviations off.
DEVIATIONS = 10.0
EXTRA = 30
# Points of the circle where e^(x−λ) is below e^-NEGLIGIBLE are left out.
NEGLIGIBLE = 80.0


def chance_of_all(lengths: Array, ways: Array, rate: float, m: int, log_chances: Array) -> float:
    """Return P(Σ N_i = m, all T_i ≤ t_i | every piece has enough) for Poisson counts of rate λ.

    For pieces (n,), ways J_i² t_i (n − 1,), and logs of the chances that a piece has enough (n,).
    """
    size = next_fast_len(int(DEVIATIONS * np.sqrt(rate)) + EXTRA)
    index = np.arange(size // 2 + 1)
    decay = rate * (1 - np.cos(2 * np.pi * index / size))
    index = index[decay < NEGLIGIBLE - log_chances.sum()]
    copies = np.where((index == 0) | (2 * index == size), 1.0, 2.0)
    angle = 2 * np.pi * index / size
    sizes = rate * lengths + log_chances
    values = _generating_function(lengths, ways, rate, sizes, rate * np.exp(1j * angle))
    return float((copies * np.exp(-1j * m * angle)).dot(values).real / size)


def _generating_function(
    lengths: Array, ways: Array, rate: float, sizes: Array, x: ComplexArray
) -> ComplexArray:
    """Return the generating function over e^(Σ sizes) at points x with |x| = λ, shape (k,)."""
    edges = _panels(lengths[0], rate, [])
    p = panel_points(NODES, edges)[:, None]
    h = x * np.exp(x * (lengths[0] - p) - sizes[0])
    for i, way in enumerate(ways):
        length = lengths[i + 1]
        kinks = _kinks(way, lengths[i])
        begin = edges
        edges = _panels(length, rate, [*kinks, *(way / 4 * 2.0 ** np.arange(1, 30))])
        q = panel_points(NODES, edges)
        g = (antiderivative(NODES, begin, np.array([lengths[i]])) - _slow(way, q, begin)) @ h
        g *= np.exp(-x * q[:, None])
        if i + 1 < ways.size:
            reflected = _panels(length, rate, [length - kink for kink in kinks])
            p = panel_points(NODES, reflected)
            h = x * x * np.exp(x * (length - p[:, None]) - sizes[i + 1])
            h *= antiderivative(NODES, edges, length - p) @ g
            edges = reflected
    whole = antiderivative(NODES, edges, lengths[-1:])[0] @ g
    value: ComplexArray = x * np.exp(x * lengths[-1] - sizes[-1]) * whole
    return value


def _slow(way: float, q: Array, edges: Array) -> Array:
    """Return the matrix that integrates h over the p for which T(p, q) > t, for each q."""
    matrix = np.zeros((q.size, (edges.size - 1) * NODES))
    near_enough = 4 * q > way
    some = q[near_enough]
    matrix[near_enough] = antiderivative(NODES, edges, farther_distance(way, some))
    matrix[near_enough] -= antiderivative(NODES, edges, nearer_distance(way, some))
    return matrix


def _kinks(way: float, length: float) -> list[float]:
    """Return the q where the interval of slow p begins, or has an end at 0 or at `length`."""
    kinks = [way / 4, way]
    if 4 * length > way:
        at_end = np.array([length])
        kinks += [float(nearer_distance(way, at_end)[0]), float(farther_distance(way, at_end)[0])]
    return kinks


def _panels(length: float, rate: float, kinks: list[float]) -> Array:
    """Return the ends of panels of [0, length]."""
    unit = PANEL / rate
    steps = unit * np.arange(1.0, FARTHEST / PANEL)
    doublings = FARTHEST / rate * 2.0 ** np.arange(60)
    ends = np.concatenate([[0.0, length / 2, length], steps, doublings, kinks])
    return np.unique(ends[(ends >= 0.0) & (ends <= length)])
