"""The best plateau heights for given positions, and how far others are from them.

L is quadratic in the heights, L = min L + (y − y*)ᵀ G (y − y*) with G = ∫ φ_j φ_k, so that one
Newton step from anywhere gives y*, and the gradient alone the distance to min L.
"""

import numpy as np
from numpy.typing import NDArray

from inthelimit._checks import Array
from inthelimit._compiled import compiled
from inthelimit.two_timescale._skyline import add_outer_norm, factorise, solve, zeros
from inthelimit.two_timescale._sweep import Pieces, add_gram, cut, loss_and_gradient

Indices = NDArray[np.int64]

# Weight of |a|² beside L where features may be alike: it settles what L leaves open to rounding.
RIDGE = 1e-16
# What is added to ∫ φ_k², as a part of it, where many features are so alike that rounding makes the
# Gram matrix indefinite: more than that rounding.
LIFT = 1e-13


@compiled
def heights(a: Array, order: Indices) -> Array:
    """Return the plateau heights of the outer layer a, for neurons in this order."""
    y = np.empty(a.size)
    y[0] = a[0]
    for k in range(order.size):
        y[k + 1] = y[k] + a[1 + order[k]]
    return y


@compiled
def outer_layer(y: Array, order: Indices) -> Array:
    """Return the outer layer of the plateau heights y."""
    a = np.empty(y.size)
    a[0] = y[0]
    for k in range(order.size):
        a[1 + order[k]] = y[k + 1] - y[k]
    return a


@compiled
def solve_gram(pieces: Pieces, u: Array, eta: float, b: Array) -> bool:
    """Overwrite b by G⁻¹b; say whether G could be told from a singular matrix."""
    overlap = False
    for p in range(pieces.first.size):
        overlap = overlap or pieces.last[p] > pieces.first[p] + 1
    outside = u[0] <= -0.5 * eta or u[-1] >= 1.0 + 0.5 * eta
    for lift in (0.0, LIFT):
        gram = zeros(pieces.first, pieces.last, b.size, 1)
        add_gram(pieces, u, eta, gram)
        for k in range(b.size):
            gram.entries[gram.base[k] + k] *= 1.0 + lift
        if overlap or outside:
            add_outer_norm(gram, np.full(b.size, RIDGE), 1)
        if factorise(gram):
            solve(gram, b)
            return True
    return False


@compiled
def gradient_and_lag(
    pieces: Pieces, y: Array, u: Array, eta: float
) -> tuple[Array, float, Array, bool]:
    """Return the interleaved gradient, L − min_a L, y* − y, and whether these were found.

    The lag is (y − y*)ᵀ G (y − y*), free of the cancellation in L − min L.
    """
    gradient = np.empty(2 * u.size + 1)
    loss_and_gradient(pieces, y, u, eta, gradient)
    move = -0.5 * gradient[::2]
    found = solve_gram(pieces, u, eta, move)
    return gradient, -0.5 * np.sum(gradient[::2] * move), move, found


@compiled
def best_outer_layers(
    positions: Array, orders: Indices, eta: float, edges: Array, values: Array
) -> tuple[Array, bool]:
    """Return a*(u) for each row u, whose order is given, and whether all were found."""
    outer = np.empty((positions.shape[0], positions.shape[1] + 1))
    all_found = True
    for i in range(positions.shape[0]):
        u = positions[i][orders[i]]
        pieces = cut(u, eta, edges, values)
        _, _, y, found = gradient_and_lag(pieces, np.zeros(u.size + 1), u, eta)
        outer[i] = outer_layer(y, orders[i])
        all_found = all_found and found
    return outer, all_found


@compiled
def losses_along(
    outer: Array, positions: Array, orders: Indices, eta: float, edges: Array, values: Array
) -> Array:
    """Return the loss of each row."""
    losses, gradient = np.empty(outer.shape[0]), np.empty(2 * positions.shape[1] + 1)
    for i in range(losses.size):
        u = positions[i][orders[i]]
        pieces = cut(u, eta, edges, values)
        losses[i] = loss_and_gradient(pieces, heights(outer[i], orders[i]), u, eta, gradient)
    return losses
