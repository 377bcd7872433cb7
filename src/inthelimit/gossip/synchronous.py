"""Synchronous gossip: at every round all nodes hear their neighbours at once.

The system.  W is symmetric with non-negative rows that sum to 1, and x^n = q_n(W) x⁰ by a
recurrence of three terms: one multiplication by W, so one exchange with the neighbours, a round.

The limit n → ∞ on Z^d, from values u₀(εv).  Simple gossip at t = ε²n solves the heat equation
∂_t u = ½ div(Λ∇u), with Λ the covariance of W; Jacobi gossip at t = εn solves the
Euler–Poisson–Darboux equation ∂_tt u + ((2α+1)/t) ∂_t u = div(Λ∇u).

The rate.  From independent values of variance σ² the variance around the mean is of order
σ² n^(−d/2) for simple gossip, and σ² n^(−d) for Jacobi gossip with α = d/2, as long as n rounds do
not reach all of the network.

Source: arXiv:1805.08531 for the methods, arXiv:2202.10742 for their limits.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from inthelimit.gossip._reading import empty_result, reading_times, record
from inthelimit.gossip._rounds import GossipMatrix, Rounds, is_bipartite, open_rounds
from inthelimit.gossip._stencil import Values
from inthelimit.gossip.coefficients import Coefficients
from inthelimit.gossip.polynomials import (
    JacobiMethod,
    JacobiWithGap,
    MessagePassing,
    Method,
    ShiftRegister,
    SimpleMethod,
    warn_of_growth,
)


def polynomial_gossip(
    W: GossipMatrix,
    x0: ArrayLike,
    n_steps: int,
    method: Method,
    *,
    times: ArrayLike | None = None,
) -> Values:
    """Return x^t = q_t(W) x⁰ at the times asked for, by any method.

    Parameters
    ----------
    W : sparse or dense matrix of shape (n, n), or Lattice, or callable
        Symmetric, with entries ≥ 0 and rows that sum to 1.  A lattice acts on a torus, without a
        matrix.  A function returns W x, of the shape of x; of it nothing else is checked.
    x0 : array_like, shape (n, ...), or (l_1, ..., l_d, ...) for a lattice of dimension d
        The values at the start; trailing axes are several initial conditions.
    n_steps : int, ≥ 0
        The number of rounds.
    method : Method
        The polynomials, for example ``JacobiMethod(d / 2)``.
    times : array_like of int, shape (T,), optional
        Strictly increasing, in [0, n_steps]; all of 0, …, n_steps by default.

    Returns
    -------
    ndarray, shape (T, ...)
        Of dtype float64, or float32 for float32 values on a lattice.

    Raises
    ------
    ValueError
        If W is no such matrix, a shape or a time is wrong, a value is not finite, or the result
        would take more than 8 GiB.

    Warns
    -----
    RuntimeWarning
        If W has the eigenvalue −1, being bipartite, and |q_n(−1)| grows with n.

    Notes
    -----
    A round costs one multiplication by W.  On a lattice it reads two arrays and writes one, and
    values that start in a box are worked on only where they can have come to; beside the result
    and x0 there are two arrays of the size of x0.  Source: arXiv:1805.08531.

    Examples
    --------
    >>> import numpy as np
    >>> triangle = np.full((3, 3), 1 / 3)
    >>> polynomial_gossip(triangle, [3.0, 0.0, 0.0], 1, SimpleMethod())
    array([[3., 0., 0.],
           [1., 1., 1.]])
    """
    return _gossip(W, x0, n_steps, method, times)


def simple_gossip(
    W: GossipMatrix, x0: ArrayLike, n_steps: int, *, times: ArrayLike | None = None
) -> Values:
    """Return x^t = W^t x⁰: at each round a node takes the weighted mean of its neighbourhood.

    Parameters
    ----------
    W, x0, n_steps, times
        As for `polynomial_gossip`.

    Returns
    -------
    ndarray, shape (T, ...)

    Notes
    -----
    Source: arXiv:1805.08531.  The limit on lattices is the heat equation, arXiv:2202.10742.

    Examples
    --------
    >>> simple_gossip([[0.5, 0.5], [0.5, 0.5]], [1.0, 0.0], 1)
    array([[1. , 0. ],
           [0.5, 0.5]])
    """
    return _gossip(W, x0, n_steps, SimpleMethod(), times)


def jacobi_gossip(
    W: GossipMatrix,
    x0: ArrayLike,
    n_steps: int,
    *,
    alpha: float,
    beta: float = 0.0,
    times: ArrayLike | None = None,
) -> Values:
    """Return Jacobi polynomial gossip, which knows of the network its dimension d = 2α alone.

    Parameters
    ----------
    W, x0, n_steps, times
        As for `polynomial_gossip`.
    alpha : float, > −1
        Half the dimension of the network.
    beta : float, > −1, default 0
        At most α on a bipartite network.

    Returns
    -------
    ndarray, shape (T, ...)

    Notes
    -----
    Source: arXiv:1805.08531, Jacobi polynomial iteration.  The limit on lattices is the
    Euler–Poisson–Darboux equation, arXiv:2202.10742.

    Examples
    --------
    On a line, (½, −½) spreads a value evenly over 2t + 1 nodes:

    >>> import numpy as np
    >>> from inthelimit.graphs import square_lattice
    >>> x = jacobi_gossip(square_lattice(1), np.eye(9)[4], 3, alpha=0.5, beta=-0.5)
    >>> (7 * x[3]).round(12)
    array([0., 1., 1., 1., 1., 1., 1., 1., 0.])
    """
    return _gossip(W, x0, n_steps, JacobiMethod(alpha, beta), times)


def jacobi_gossip_with_gap(
    W: GossipMatrix,
    x0: ArrayLike,
    n_steps: int,
    *,
    alpha: float,
    beta: float = 0.0,
    gap: float,
    times: ArrayLike | None = None,
) -> Values:
    """Return Jacobi polynomial gossip that also knows the spectral gap, and ends geometrically.

    Parameters
    ----------
    W, x0, n_steps, times
        As for `polynomial_gossip`.
    alpha, beta : float, > −1
        As for `jacobi_gossip`.
    gap : float, 0 ≤ gap < 2
        1 − λ₂, with λ₂ the largest eigenvalue of W other than 1.

    Returns
    -------
    ndarray, shape (T, ...)

    Notes
    -----
    Source: arXiv:1805.08531, Jacobi polynomial iteration with spectral gap.

    Examples
    --------
    >>> triangle = [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.25, 0.25, 0.5]]
    >>> x = jacobi_gossip_with_gap(triangle, [3.0, 0.0, 0.0], 20, alpha=1.0, gap=0.75)
    >>> x[20].round(12)
    array([1., 1., 1.])
    """
    return _gossip(W, x0, n_steps, JacobiWithGap(alpha, beta, gap=gap), times)


def shift_register_gossip(
    W: GossipMatrix,
    x0: ArrayLike,
    n_steps: int,
    *,
    omega: float,
    times: ArrayLike | None = None,
) -> Values:
    """Return shift-register gossip, x^{k+1} = ω W x^k + (1 − ω) x^{k−1} after x¹ = W x⁰.

    Parameters
    ----------
    W, x0, n_steps, times
        As for `polynomial_gossip`.
    omega : float, 0 < ω < 2
        ``ShiftRegister.from_gap(gap).omega`` is the best for a known gap.

    Returns
    -------
    ndarray, shape (T, ...)

    Notes
    -----
    Source: arXiv:1805.08531, which compares with this method.

    Examples
    --------
    >>> shift_register_gossip([[0.5, 0.5], [0.5, 0.5]], [1.0, 0.0], 2, omega=1.5)[2]
    array([0.25, 0.75])
    """
    return _gossip(W, x0, n_steps, ShiftRegister(omega), times)


def message_passing_gossip(
    W: GossipMatrix,
    x0: ArrayLike,
    n_steps: int,
    *,
    degree: int,
    times: ArrayLike | None = None,
) -> Values:
    """Return message-passing gossip: means over balls, if the network is a regular tree.

    Parameters
    ----------
    W, x0, n_steps, times
        As for `polynomial_gossip`; W should be the adjacency matrix over `degree`.
    degree : int, ≥ 2
        The degree of the tree.

    Returns
    -------
    ndarray, shape (T, ...)

    Notes
    -----
    Exact up to half the girth of a regular graph.  Source: arXiv:1805.08531, message passing.

    Examples
    --------
    >>> import numpy as np
    >>> from inthelimit.graphs import square_lattice
    >>> (5 * message_passing_gossip(square_lattice(1), np.eye(7)[3], 2, degree=2)[2]).round(12)
    array([0., 1., 1., 1., 1., 1., 0.])
    """
    return _gossip(W, x0, n_steps, MessagePassing(degree), times)


def _gossip(
    W: GossipMatrix, x0: ArrayLike, n_steps: int, method: Method, times: ArrayLike | None
) -> Values:
    read_at = reading_times(times, n_steps)
    coefficients = method.coefficients(int(read_at[-1]))
    start, rounds = open_rounds(W, x0)
    result = empty_result(read_at, start.shape, start.dtype)
    if method.growth_exponent > 0.0 and is_bipartite(W):
        warn_of_growth(method, stacklevel=3)
    return record(_states(start, rounds, coefficients), result, read_at)


def _states(start: Values, rounds: Rounds, coefficients: Coefficients) -> Iterator[Values]:
    """Yield x⁰, x¹, …, each valid until the next is asked for."""
    now, past = start, np.zeros_like(start)
    yield now
    for a, _, c in coefficients:
        rounds.advance(now, past, a, c)
        now, past = past, now
        yield now
