"""Functions on an interval by their values at Gauss's nodes in each of several panels."""

from functools import cache

import numpy as np
from numpy.polynomial.legendre import leggauss, legvander

from inthelimit._checks import Array


@cache
def gauss(nodes: int) -> tuple[Array, Array]:
    """Return Gauss's nodes and weights on [−1, 1]."""
    node, weight = leggauss(nodes)
    return node, weight


def panel_points(nodes: int, edges: Array) -> Array:
    """Return the nodes in each panel, in order."""
    half = np.diff(edges)[:, None] / 2
    points: Array = (edges[:-1, None] + half + half * gauss(nodes)[0]).ravel()
    return points


def panel_weights(nodes: int, edges: Array) -> Array:
    """Return the weights of an integral over all panels."""
    weights: Array = (np.diff(edges)[:, None] / 2 * gauss(nodes)[1]).ravel()
    return weights


def antiderivative(nodes: int, edges: Array, ends: Array) -> Array:
    """Return the matrix that takes values at the nodes to integrals from edges[0] to `ends`.

    The integrals are those of the interpolating polynomials of the panels.
    """
    ends = np.clip(ends, edges[0], edges[-1])
    panel = np.clip(np.searchsorted(edges, ends, side="right") - 1, 0, edges.size - 2)
    half = np.diff(edges) / 2
    whole = np.where(np.arange(half.size) < panel[:, None], half, 0.0)
    matrix = whole[:, :, None] * gauss(nodes)[1]
    inside = (ends - edges[panel]) / half[panel] - 1
    matrix[np.arange(ends.size), panel] = half[panel, None] * _within(nodes, inside)
    return matrix.reshape(ends.size, half.size * nodes)


def _within(nodes: int, ends: Array) -> Array:
    """Return the integrals from −1 to `ends` of Lagrange's polynomials at Gauss's nodes."""
    legendre = legvander(ends, nodes)
    below = np.column_stack([-np.ones(ends.size), legendre[:, : nodes - 1]])
    # ∫ P_k from −1 is (P_(k+1) − P_(k−1))/(2k+1), with P_(−1) = −1.
    integrals: Array = (legendre[:, 1:] - below) @ _half_lagrange(nodes)
    return integrals


@cache
def _half_lagrange(nodes: int) -> Array:
    """Return the Legendre coefficients of Lagrange's polynomials over 2k + 1, shape (k, node)."""
    node, weight = gauss(nodes)
    coefficients: Array = legvander(node, nodes - 1).T * weight / 2
    return coefficients
