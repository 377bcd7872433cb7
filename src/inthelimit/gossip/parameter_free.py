"""Synchronous gossip with the best polynomials of all, at the price of inner products.

Let σ be the spectral measure of x⁰ − x̄, x̄ the mean over all nodes.  Of all polynomials of degree
n with q_n(1) = 1, the orthogonal polynomials of (1 − λ) dσ(λ) make ‖q_n(W) x⁰ − x̄‖² = ∫ q_n² dσ
least.  They need no parameter, but inner products over the whole network at every round: a bound
on what any method can do in n rounds, rather than a way to gossip.

Source: arXiv:1805.08531, the parameter-free polynomial iteration, with inner products over all
nodes.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from inthelimit.gossip._reading import empty_result, reading_times, record
from inthelimit.gossip._rounds import GossipMatrix, Rounds, open_rounds
from inthelimit.gossip._stencil import Values

# ⟨x, (I − W) x⟩ below this many roundings of ‖x‖² is noise, and a step along it might be of any
# length.
CONSENSUS_TOLERANCE = 4.0


def parameter_free_gossip(
    W: GossipMatrix, x0: ArrayLike, n_steps: int, *, times: ArrayLike | None = None
) -> Values:
    """Return x^t of least distance to consensus among all polynomials of W, of degree t, at x⁰.

    Parameters
    ----------
    W, x0, n_steps, times
        As for `polynomial_gossip`; the nodes are the first axis of x0, or the d first ones for a
        lattice of dimension d.  Each initial condition has polynomials of its own.

    Returns
    -------
    ndarray, shape (T, ...)

    Raises
    ------
    ValueError
        As `polynomial_gossip` does.

    Notes
    -----
    A function and a lattice are taken to be connected: if they are not, and the means of their
    components differ, consensus is reached to some 1e-7 of the difference only.
    One multiplication by W and a few inner products a round.  These are the conjugate residuals of
    (I − W) z = x⁰, started at z = 0, so x^t is also the residual of MINRES.
    Source: arXiv:1805.08531, parameter-free polynomial iteration; that it is the method of
    conjugate residuals is derived here, and tested.

    Examples
    --------
    Two eigenvalues other than 1 take two rounds:

    >>> path = [[0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.0, 0.5, 0.5]]
    >>> parameter_free_gossip(path, [3.0, 0.0, 0.0], 2)[2].round(12)
    array([1., 1., 1.])
    """
    read_at = reading_times(times, n_steps)
    start, rounds = open_rounds(W, x0)
    result = empty_result(read_at, start.shape, start.dtype)
    # Around consensus the inner products are accurate however near to it the values come.
    consensus = rounds.consensus(start)
    states = (consensus + x for x in _conjugate_residuals(*open_rounds(W, start - consensus)))
    return record(states, result, read_at)


def _conjugate_residuals(residual: Values, rounds: Rounds) -> Iterator[Values]:
    """Yield r_0, r_1, … of (I − W) z = r_0, each valid until the next is asked for."""

    def dot(u: Values, v: Values) -> Values:
        products: Values = (u * v).sum(axis=rounds.node_axes)
        return products

    rounding = CONSENSUS_TOLERANCE * np.finfo(residual.dtype).eps
    image, direction = np.zeros_like(residual), np.zeros_like(residual)
    energy = np.ones_like(dot(residual, residual))
    going = energy > 0.0
    yield residual
    while True:
        rounds.advance(residual, image, step=-1.0, inertia=0.0, keep=0.0)
        before, energy = np.where(going, energy, 1.0), dot(residual, image)
        going &= energy > rounding * dot(residual, residual)
        direction *= np.where(going, energy / before, 0.0)
        direction += image
        step = np.where(going, energy, 0.0) / np.where(going, dot(direction, direction), 1.0)
        residual -= step * direction
        yield residual
