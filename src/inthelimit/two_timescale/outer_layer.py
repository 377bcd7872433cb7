"""The outer layer at its optimum, and how far others are from it.

The loss is quadratic in the outer layer a, with the Gram matrix H(u) of the features 1, s_1, …:

    L(a, u) = min_a L(a, u) + (a − a*)ᵀ H (a − a*).

In the heights of the plateaus between sorted neurons, y_k = a_0 + … + a_k, the Gram matrix is
tridiagonal as soon as no two transitions overlap: the flat length of a plateau and 23η/56 for each
neuron that ends it on the diagonal, 5η/56 beside it.  The best outer layer then costs O(m).

Source: arXiv:2304.09576, the fast limit of the outer layer; the tridiagonal form is worked out
here.
"""

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import ConvergenceError, _checks
from inthelimit._checks import Array
from inthelimit.two_timescale import _best, _sweep
from inthelimit.two_timescale._skyline import zeros
from inthelimit.two_timescale.network import StepNetwork
from inthelimit.two_timescale.target import PiecewiseConstant


def optimal_outer_layer(target: PiecewiseConstant, u: ArrayLike, *, eta: float) -> Array:
    """Return the outer layer a*(u) of least loss for given positions.

    Parameters
    ----------
    target : PiecewiseConstant
        f*.
    u : array_like, shape (m,)
        Positions, in any order.
    eta : float > 0
        η.

    Returns
    -------
    ndarray, shape (m + 1,)
        The bias, then the weight of each neuron in the order of `u`.

    Raises
    ------
    ValueError
        If a position is not finite or `eta` is not > 0.
    ConvergenceError
        If so many transitions overlap that rounding hides the best layer.

    Notes
    -----
    The equations in plateau heights are tridiagonal if no two transitions overlap:
    O(m) after sorting.  Where they overlap the matrix is wider there, and L + 1e-16 |a|² is
    minimised: of layers that fit equally well to rounding, this picks the smallest, so that
    neurons at one place share the weight and a neuron outside [0, 1] has none.
    Source: arXiv:2304.09576, the fast limit of the outer layer.

    Examples
    --------
    >>> target = PiecewiseConstant([0.5], [0.0, 2.0])
    >>> optimal_outer_layer(target, [0.9, 0.5, 0.1], eta=1e-3).round(3)
    array([ 0., -0.,  2., -0.])
    """
    u = _checks.vector("u", u)
    eta = _checks.number("eta", eta, above=0.0)
    order = np.argsort(u, kind="stable")
    outer, found = _best.best_outer_layers(u[None], order[None], eta, target.edges, target.values)
    if not found:
        raise ConvergenceError(_alike("optimal_outer_layer", u.size, eta))
    best: Array = outer[0]
    return best


def lag(target: PiecewiseConstant, network: StepNetwork) -> float:
    """Return L(a, u) − min_a L(a, u): how far the outer layer is behind the positions.

    Parameters
    ----------
    target : PiecewiseConstant
        f*.
    network : StepNetwork
        f.

    Returns
    -------
    float

    Raises
    ------
    ConvergenceError
        If so many transitions overlap that rounding hides the best layer.

    Notes
    -----
    Computed as (a − a*)ᵀ H (a − a*), to full relative accuracy; the cost is that of
    `optimal_outer_layer`.  Source: arXiv:2304.09576, the fast limit of the outer layer.

    Examples
    --------
    Moving f by 1e-9 away from the best fit costs 1e-18:

    >>> target = PiecewiseConstant([0.5], [0.0, 2.0])
    >>> best = optimal_outer_layer(target, [0.5], eta=0.01)
    >>> round(lag(target, StepNetwork(best + [1e-9, 0.0], [0.5], 0.01)), 22)
    1e-18
    """
    _, u, y = network.plateaus()
    pieces = _sweep.cut(u, network.eta, target.edges, target.values)
    _, behind, _, found = _best.gradient_and_lag(pieces, y, u, network.eta)
    if not found:
        raise ConvergenceError(_alike("lag", u.size, network.eta))
    return float(behind)


def gram(u: ArrayLike, eta: float) -> Array:
    """Return the Gram matrix H(u) of the features 1, s_1, …, s_m on [0, 1].

    Parameters
    ----------
    u : array_like, shape (m,)
        Positions, in any order.
    eta : float > 0
        η.

    Returns
    -------
    ndarray, shape (m + 1, m + 1)
        H_jk = ∫₀¹ s((x − u_j)/η) s((x − u_k)/η) dx, the bias first, then in the order of `u`.

    Raises
    ------
    ValueError
        If a position is not finite or `eta` is not > 0.

    Notes
    -----
    L is (a − a*)ᵀ H (a − a*) plus its least value, so the outer layer relaxes at the rates
    2λ(H)/ε in slow time.  O(m²), the size of the result.
    Source: arXiv:2304.09576, the setting.

    Examples
    --------
    A step's transition holds less than it would as a true step, by 5η/56:

    >>> gram([0.4], 0.56).round(12)
    array([[1.  , 0.6 ],
           [0.6 , 0.55]])
    """
    u = _checks.vector("u", u)
    eta = _checks.number("eta", eta, above=0.0)
    order = np.argsort(u, kind="stable")
    by_plateau = _plateau_gram(u[order], eta)
    features = np.concatenate([[0], 1 + order])
    # s_k = φ_k + φ_(k+1) + …: sums from the end, once along each axis.
    sums = np.cumsum(np.cumsum(by_plateau[::-1, ::-1], axis=0), axis=1)[::-1, ::-1]
    H = np.empty_like(sums)
    H[np.ix_(features, features)] = sums
    return H


def _alike(function: str, n_neurons: int, eta: float) -> str:
    return (
        f"{function} could not tell the best heights of {n_neurons} overlapping steps apart: "
        f"try eta smaller than {eta:g} or fewer neurons"
    )


def _plateau_gram(u: Array, eta: float) -> Array:
    """Return the dense ∫ φ_j φ_k for sorted u."""
    size = u.size + 1
    pieces = _sweep.cut(u, eta, np.array([0.0, 1.0]), np.zeros(1))
    skyline = zeros(pieces.first, pieces.last, size, 1)
    _sweep.add_gram(pieces, u, eta, skyline)
    lower = np.zeros((size, size))
    for i in range(size):
        start, base = skyline.start[i], skyline.base[i]
        lower[i, start : i + 1] = skyline.entries[base + start : base + i + 1]
    full: Array = lower + np.tril(lower, -1).T
    return full
