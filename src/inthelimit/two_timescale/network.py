"""A one-hidden-layer network of smoothed steps, and the exact loss, derivatives and best heights.

    f(x; a, u) = a_0 + Σ_j a_j s((x − u_j)/η),        L(a, u) = ∫₀¹ (f* − f)² dx.

L is quadratic in the outer layer a, with the Gram matrix H(u) of the features 1, s_1, …, s_m.  In
the heights of the plateaus between sorted neurons, y_k = a_0 + … + a_k, that matrix is tridiagonal
as soon as no two transitions overlap, and the best outer layer costs O(m).

Nothing is sampled: between breakpoints all integrands are polynomials, and Gauss points integrate
them exactly.

Source: arXiv:2304.09576, the setting (its experiments minimise L without a factor ½).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inthelimit import ConvergenceError, _checks
from inthelimit._checks import Array
from inthelimit.two_timescale import _best, _sweep
from inthelimit.two_timescale._skyline import zeros
from inthelimit.two_timescale.target import PiecewiseConstant


@dataclass(frozen=True, slots=True, eq=False)
class StepNetwork:
    """The network f(x) = a_0 + Σ_j a_j s((x − u_j)/η) of m smoothed steps.

    Parameters
    ----------
    a : array_like, shape (m + 1,)
        The bias a_0, then the weight of each neuron.
    u : array_like, shape (m,), m ≥ 1
        The positions, in any order; they may lie outside [0, 1].
    eta : float > 0
        The width η of a step.

    Raises
    ------
    ValueError
        If an entry is not finite, `a` does not have one entry more than `u`, or `eta` is not > 0.

    Notes
    -----
    The arrays are stored as read-only float64 copies.  Evaluating at N points costs
    O((m + N) log m) and O(1) for every transition that covers a point.
    Source: arXiv:2304.09576, the setting.

    Examples
    --------
    >>> network = StepNetwork([1.0, 4.0, -2.0], [0.2, 0.6], 0.1)
    >>> network([0.0, 0.2, 0.4, 1.0])
    array([1., 3., 5., 3.])
    """

    a: Array
    u: Array
    eta: float

    def __post_init__(self) -> None:
        u = _checks.vector("u", self.u)
        a = _checks.vector("a", self.a)
        if a.size != u.size + 1:
            raise ValueError(
                f"a must have the bias and one entry for each of the {u.size} neurons, "
                f"shape ({u.size + 1},), got {a.shape}"
            )
        a.flags.writeable = u.flags.writeable = False
        object.__setattr__(self, "a", a)
        object.__setattr__(self, "u", u)
        object.__setattr__(self, "eta", _checks.number("eta", self.eta, above=0.0))

    def __call__(self, x: ArrayLike) -> Array:
        """Return f(x), of the shape of x."""
        x = _checks.real_array("x", x)
        _, u, y = _in_order(self)
        return _sweep.evaluate(x.ravel(), y, u, self.eta).reshape(x.shape)

    @property
    def n_neurons(self) -> int:
        """The number m of neurons, the bias not counted."""
        return self.u.size


def loss(target: PiecewiseConstant, network: StepNetwork) -> float:
    """Return L = ∫₀¹ (f* − f)² dx, exactly.

    Parameters
    ----------
    target : PiecewiseConstant
        f*.
    network : StepNetwork
        f.

    Returns
    -------
    float

    Notes
    -----
    O(m log m + n) if transitions do not overlap; every overlap adds O(1) for each neuron in it.
    Source: arXiv:2304.09576, the setting.

    Examples
    --------
    One step that sits on a jump of 2 leaves η J²/28:

    >>> target = PiecewiseConstant([0.5], [0.0, 2.0])
    >>> round(loss(target, StepNetwork([0.0, 2.0], [0.5], 0.07)), 12)
    0.01
    """
    return _loss_and_gradient(target, network)[0]


def gradient(target: PiecewiseConstant, network: StepNetwork) -> tuple[Array, Array]:
    """Return ∂L/∂a, shape (m + 1,), and ∂L/∂u, shape (m,), exactly.

    Parameters
    ----------
    target : PiecewiseConstant
        f*.
    network : StepNetwork
        f.

    Returns
    -------
    gradient_a : ndarray, shape (m + 1,)
        −2 ∫ (f* − f) s_j.
    gradient_u : ndarray, shape (m,)
        (2 a_j/η) ∫ (f* − f) s′((x − u_j)/η).

    Notes
    -----
    The cost is that of `loss`.  Source: arXiv:2304.09576, the setting.

    Examples
    --------
    >>> target = PiecewiseConstant([0.5], [0.0, 2.0])
    >>> gradient(target, StepNetwork([0.0, 2.0], [0.25], 0.056))
    (array([1.  , 0.98]), array([-4.]))
    """
    order, _, _ = _in_order(network)
    _, interleaved = _loss_and_gradient(target, network)
    gradient_a, gradient_u = np.empty(order.size + 1), np.empty(order.size)
    # y_k = a_0 + … + a_k: moving a_j moves every height after it.
    by_rank = np.cumsum(interleaved[::-2])[::-1]
    gradient_a[0] = by_rank[0]
    gradient_a[1 + order] = by_rank[1:]
    gradient_u[order] = interleaved[1::2]
    return gradient_a, gradient_u


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
    _, u, y = _in_order(network)
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
    O(m) after sorting.  Where they overlap the matrix is wider there, and L + 1e-15 |a|² is
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


def captured_jumps(target: PiecewiseConstant, u: ArrayLike, *, within: float) -> NDArray[np.bool_]:
    """Say of each jump of f* whether a neuron is at most `within` away.

    Parameters
    ----------
    target : PiecewiseConstant
        f*, with n − 1 jumps.
    u : array_like, shape (..., m)
        Positions, in any order.
    within : float ≥ 0
        The largest distance; η/2 is where a neuron's transition reaches the jump.

    Returns
    -------
    ndarray of bool, shape (..., n − 1)

    Raises
    ------
    ValueError
        If a position is not finite, `u` has no axis or `within` is negative.

    Notes
    -----
    O(m n) for each network.  Source: arXiv:2304.09576, what its experiments ask of training.

    Examples
    --------
    >>> target = PiecewiseConstant([0.3, 0.6], [0.0, 2.0, 1.0])
    >>> captured_jumps(target, [0.61, 0.35], within=0.02)
    array([False,  True])
    """
    u = _checks.real_array("u", u)
    if u.ndim == 0:
        raise ValueError(f"u must have shape (..., m), got {u.shape}")
    within = _checks.number("within", within, at_least=0.0)
    distances = np.abs(u[..., None, :] - target.breakpoints[:, None])
    return np.asarray((distances <= within).any(axis=-1), dtype=np.bool_)


def _alike(function: str, n_neurons: int, eta: float) -> str:
    return (
        f"{function} could not tell the best heights of {n_neurons} overlapping steps apart: "
        f"try eta smaller than {eta:g} or fewer neurons"
    )


def _in_order(network: StepNetwork) -> tuple[NDArray[np.intp], Array, Array]:
    """Return the order of the positions, the sorted positions and the plateau heights."""
    order = np.argsort(network.u, kind="stable")
    heights = np.cumsum(np.concatenate([network.a[:1], network.a[1:][order]]))
    return order, network.u[order], heights


def _loss_and_gradient(target: PiecewiseConstant, network: StepNetwork) -> tuple[float, Array]:
    """Return L and its gradient in (y_0, u_0, y_1, …, y_m), sorted."""
    _, u, y = _in_order(network)
    interleaved = np.empty(2 * u.size + 1)
    pieces = _sweep.cut(u, network.eta, target.edges, target.values)
    return _sweep.loss_and_gradient(pieces, y, u, network.eta, interleaved), interleaved


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
