"""A one-hidden-layer network of smoothed steps, its exact loss and derivatives.

    f(x; a, u) = a_0 + Σ_j a_j s((x − u_j)/η),        L(a, u) = ∫₀¹ (f* − f)² dx.

Nothing is sampled: between breakpoints all integrands are polynomials, and are integrated exactly.

Source: arXiv:2304.09576, the setting (its experiments minimise L without a factor ½).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.two_timescale import _sweep
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
        _, u, y = self.plateaus()
        return _sweep.evaluate(x.ravel(), y, u, self.eta).reshape(x.shape)

    @property
    def n_neurons(self) -> int:
        """The number m of neurons, the bias not counted."""
        return self.u.size

    def plateaus(self) -> tuple[NDArray[np.intp], Array, Array]:
        """Return the order of the positions, the sorted positions and the heights between them."""
        order = np.argsort(self.u, kind="stable")
        heights = np.cumsum(np.concatenate([self.a[:1], self.a[1:][order]]))
        return order, self.u[order], heights


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
    order, _, _ = network.plateaus()
    _, interleaved = _loss_and_gradient(target, network)
    gradient_a, gradient_u = np.empty(order.size + 1), np.empty(order.size)
    # y_k = a_0 + … + a_k: moving a_j moves every height after it.
    by_rank = np.cumsum(interleaved[::-2])[::-1]
    gradient_a[0] = by_rank[0]
    gradient_a[1 + order] = by_rank[1:]
    gradient_u[order] = interleaved[1::2]
    return gradient_a, gradient_u


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


def _loss_and_gradient(target: PiecewiseConstant, network: StepNetwork) -> tuple[float, Array]:
    """Return L and its gradient in (y_0, u_0, y_1, …, y_m), sorted."""
    _, u, y = network.plateaus()
    interleaved = np.empty(2 * u.size + 1)
    pieces = _sweep.cut(u, network.eta, target.edges, target.values)
    return _sweep.loss_and_gradient(pieces, y, u, network.eta, interleaved), interleaved
