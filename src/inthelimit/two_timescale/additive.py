"""Beyond one dimension: additive models, trained with all data at once.

The finite system.  On a fixed sample of n points in [0, 1]^d the model

    ŷ(x) = Σ_k Σ_j a_jk s((x_k − u_jk)/η),    or    ŷ(x) = Σ_k Σ_j a_jk max(x_k − u_jk, 0),

with m neurons on each coordinate and no bias, descends the criterion C = ‖ŷ − y‖/n, a norm and not
its square:

    a −= h ∇_a C,    u −= hε ∇_u C.

As ∇C = (gradient of ½‖ŷ − y‖²)/(n‖ŷ − y‖), this is gradient descent on the mean square at a rate
that grows as the residuals shrink; it does not settle, but ends in oscillations of size about h/√n.

The limit.  There is no theorem: the experiments ask whether two time-scales help beyond one
dimension and beyond steps.  A small ε finds all breakpoints where ε = 1 misses some.

Source: arXiv:2304.09576, the experiments of its appendix.  Their constants are those of the
authors' code.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.two_timescale import _ridges
from inthelimit.two_timescale._runs import copies_last, in_threads, readings

# Within these bounds nothing overflows.
LARGEST = 1e30
LARGEST_RATE = 1e6
SMALLEST_ETA = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class AdditiveRun:
    """Runs of gradient descent on additive models; the axis of copies is there if x had one.

    Attributes
    ----------
    epochs : ndarray of int64, shape (R,)
        After how many epochs the models were read.
    criteria : ndarray, shape (R,) or (R, n_copies)
        ‖ŷ − y‖/n.  Times √n it is the root of the mean squared error.
    weights : ndarray, shape (R, m, d) or (R, m, d, n_copies)
        a.
    positions : ndarray, shape (R, m, d) or (R, m, d, n_copies)
        u, in the order of u0.
    """

    epochs: NDArray[np.int64]
    criteria: Array
    weights: Array
    positions: Array


def additive_descent(
    x: ArrayLike,
    y: ArrayLike,
    a0: ArrayLike,
    u0: ArrayLike,
    *,
    epsilon: float,
    n_epochs: int,
    activation: str = "step",
    eta: float = 0.01,
    step: float = 1.0,
    record: int | ArrayLike = 100,
) -> AdditiveRun:
    """Descend ‖ŷ − y‖/n over the weights and positions of an additive model.

    Parameters
    ----------
    x : array_like, shape (n, d) or (n, d, n_copies)
        The points.
    y : array_like, shape (n,) or (n, n_copies)
        The labels.
    a0, u0 : array_like, shape (m, d) or (m, d, n_copies)
        The weights and positions at the start: m neurons on each coordinate.
    epsilon : float
        The ratio ε of the step sizes, of the positions to the weights; in (0, 1e6].
    n_epochs : int
        How many steps to take; ≥ 1.
    activation : {"step", "relu"}
        The neurons: cubic sigmoids of width η, or max(·, 0).
    eta : float, default 0.01
        The width η of the transitions of step neurons; at least 1e-12.
    step : float, default 1
        The step size h of the weights; in (0, 1e6].
    record : int or array_like of int, default 100
        The number of equal parts at whose ends, and at the start, the models are read; or after
        which numbers of epochs, strictly increasing, in [0, n_epochs].

    Returns
    -------
    AdditiveRun

    Raises
    ------
    ValueError
        If an argument is out of range or of the wrong shape.

    Notes
    -----
    O(nd + number of points in transitions) an epoch, whatever m: the points are sorted once along
    each coordinate.  Copies run on all processors.
    Source: arXiv:2304.09576, the experiments of its appendix, and its authors' code: m = 10,
    weights from U[0, 3], positions from U[0, 1], h = 1, and ε = 1 for 300 epochs or ε = 0.01 for
    5000, on n = 1000 points (two dimensions, and ReLU in one) or 10⁴ (ten dimensions).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.random((1000, 2))
    >>> run = additive_descent(x, additive_target(x), 3 * rng.random((10, 2)), rng.random((10, 2)),
    ...                        epsilon=0.01, n_epochs=2000)
    >>> bool(run.criteria[-1] < 0.1 * run.criteria[0])
    True
    """
    epsilon = _checks.number("epsilon", epsilon, above=0.0, at_most=LARGEST_RATE)
    step = _checks.number("step", step, above=0.0, at_most=LARGEST_RATE)
    eta = _checks.number("eta", eta, at_least=SMALLEST_ETA)
    _checks.choice("activation", activation, ("step", "relu"))
    n_epochs = _checks.integer("n_epochs", n_epochs, at_least=1)
    reads = readings(record, n_epochs, "n_epochs")
    single = np.ndim(x) == 2
    x, y, a0, u0 = _with_copies(x, y, a0, u0)
    copies, (m, d) = x.shape[2], a0.shape[:2]
    rule = _ridges.Rule(activation == "step", eta, step, step * epsilon)
    weights, positions = np.empty((2, copies, reads.size, d, m))
    criteria = np.empty((copies, reads.size))

    def run(copy: int) -> None:
        data = _ridges.sample(x[:, :, copy], y[:, copy].copy())
        a, u = (np.ascontiguousarray(array[:, :, copy].T) for array in (a0, u0))
        results = weights[copy], positions[copy], criteria[copy]
        _ridges.descend(data, rule, a, u, np.argsort(u, axis=1), reads, *results)

    in_threads(run, copies)
    return AdditiveRun(
        epochs=reads,
        criteria=copies_last(criteria, single),
        weights=copies_last(weights.swapaxes(2, 3), single),
        positions=copies_last(positions.swapaxes(2, 3), single),
    )


def additive_target(x: ArrayLike, breakpoints: ArrayLike = (0.3, 0.5, 0.7)) -> Array:
    """Return the number of breakpoints below each coordinate, summed over coordinates.

    Parameters
    ----------
    x : array_like, shape (n, d) or (n, d, n_copies)
        The points.
    breakpoints : array_like, shape (number,)
        Where the target jumps by 1 along each coordinate.

    Returns
    -------
    ndarray, shape (n,) or (n, n_copies)
        Σ_k Σ_v 1{x_k > v}.

    Examples
    --------
    >>> additive_target([[0.4, 0.6], [0.2, 0.9]])
    array([3., 3.])
    """
    x = _points(x)
    breakpoints = _checks.vector("breakpoints", breakpoints)
    values: Array = np.sum(x[..., None] > breakpoints, axis=(1, -1)).astype(np.float64)
    return values


def relu_target(x: ArrayLike) -> Array:
    """Return (x − 0.3)₊ − 2 (x − 0.5)₊ + 3 (x − 0.7)₊, summed over coordinates.

    Parameters
    ----------
    x : array_like, shape (n, d) or (n, d, n_copies)
        The points.

    Returns
    -------
    ndarray, shape (n,) or (n, n_copies)
        The values at the points.

    Examples
    --------
    >>> relu_target([[0.2], [0.5], [1.0]]).round(12)
    array([0. , 0.2, 0.6])
    """
    x = _points(x)
    kinks, slopes = np.array([0.3, 0.5, 0.7]), np.array([1.0, -2.0, 3.0])
    values: Array = (np.maximum(x[..., None] - kinks, 0.0) @ slopes).sum(axis=1)
    return values


def _points(x: ArrayLike) -> Array:
    x = _checks.real_array("x", x)
    if x.ndim not in (2, 3) or x.size == 0:
        raise ValueError(f"x must have shape (n, d) or (n, d, n_copies), not empty, got {x.shape}")
    return x


def _with_copies(
    x: ArrayLike, y: ArrayLike, a0: ArrayLike, u0: ArrayLike
) -> tuple[Array, Array, Array, Array]:
    """Return x, y, a0 and u0, checked against one another, with an axis of copies each."""
    x = _points(x)
    n, d, *copies = x.shape
    y, a0, u0 = (
        _checks.real_array(name, value) for name, value in (("y", y), ("a0", a0), ("u0", u0))
    )
    if y.shape != (n, *copies):
        raise ValueError(f"y must have shape {(n, *copies)} to go with x, got {y.shape}")
    if a0.size == 0 or a0.shape[1:] != (d, *copies):
        raise ValueError(
            f"a0 must have shape (m, {', '.join(map(str, (d, *copies)))}) to go with x, "
            f"got {a0.shape}"
        )
    if u0.shape != a0.shape:
        raise ValueError(f"u0 must have the shape {a0.shape} of a0, got {u0.shape}")
    for name, array in (("x", x), ("y", y), ("a0", a0), ("u0", u0)):
        _checks.moderate(name, array, largest=LARGEST)
    if copies:
        return x, y, a0, u0
    return x[..., None], y[..., None], a0[..., None], u0[..., None]
