"""What a person writes on an oriented edge: a function, and how its divergence is found.

The message that leaves vertex v through the edge e is m_e = f_e(t, x_1, …, x_k), from iterates
that end at v.  The Onsager term needs one number of it, the sum of its derivatives with respect
to the iterate of the reverse edge, Σ_i ∂f_i/∂x_i: exact where a formula is given, by central
differences for functions that act row by row, by Stein's lemma E ∂f = E[f xᵀ] Cov(x)⁻¹ for those
that jump, by random probes for those that mix rows.

Source: arXiv:2109.11905, the definition of the iteration; the estimates are standard.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any

from inthelimit import _checks

WAYS = ("derivative", "difference", "stein")


@dataclass(frozen=True, slots=True, eq=False)
class EdgeFunction:
    """The function of an oriented edge, made by `separable` or `nonseparable`.

    Attributes
    ----------
    function : callable
        ``function(t, x_1, …, x_k[, side])``, with one array for each edge of `reads`.
    reads : tuple of edges, or None
        The oriented edges read, in the order of the arguments; None for the reverse edge alone.
    is_separable : bool
        Whether row i of the value depends on row i of the arguments alone.
    divergence : {"derivative", "difference", "stein", "formula", "hutchinson"}
        How the sum of the derivatives with respect to the reverse edge is found.
    derivative : callable, or None
        The derivative row by row, where `divergence` is "derivative"; its sum, where "formula".
    probes : int
        The number of random probes, where `divergence` is "hutchinson".
    """

    function: Callable[..., Any]
    reads: tuple[Hashable, ...] | None
    is_separable: bool
    divergence: str
    derivative: Callable[..., Any] | None = None
    probes: int = 0


def separable(
    function: Callable[..., Any],
    *,
    reads: Iterable[Hashable] | None = None,
    derivative: Callable[..., Any] | None = None,
    divergence: str | None = None,
) -> EdgeFunction:
    """Make an edge function that acts on each row by itself.

    Parameters
    ----------
    function : callable
        ``function(t, x_1, …, x_k[, side])`` returns the message at step t = 0, 1, …, of shape
        (n,), with n the dimension of the start vertex; (n, q) on an edge with q > 1 columns.
        The x_j are the iterates read, of the same kind of shape.  Where several copies run at
        once all arrays have a trailing axis for them: index columns as x[:, j].  `side` is passed
        if and only if the start vertex has side information; with copies, its trailing axis is 1
        where all copies share it.
    reads : iterable of edges, optional
        The oriented edges read, as (start, end) or (start, end, key), in the order of the
        arguments.  All must end where the function's edge starts.  By default the reverse edge.
    derivative : callable, optional
        The derivative of `function` with respect to the reverse edge, with the same arguments:
        of shape (n,), or (n, q, r) on edges with columns, r the number of columns of the reverse
        edge that are not hidden.
    divergence : {"derivative", "difference", "stein"}, optional
        By `derivative`, by central differences, or by Stein's lemma.  By default the first where a
        derivative is given, else the second.

    Returns
    -------
    EdgeFunction

    Raises
    ------
    ValueError
        If an argument is not callable, or `divergence` is unknown or does not fit `derivative`.

    Notes
    -----
    Central differences cost 2 evaluations for each column of the reverse edge, with relative error
    1e-10 for smooth functions; at a kink they return a slope between those of its sides.  Functions
    that jump need Stein's lemma: it uses that what is read is a Gaussian vector, plus known vectors
    (truth behind hidden columns, spikes), and has an error of order 1/√n.
    Source: arXiv:2109.11905; Stein's lemma for functions outside its hypotheses is a heuristic.

    Examples
    --------
    >>> import numpy as np
    >>> f = separable(lambda t, x: np.tanh(x), derivative=lambda t, x: 1 / np.cosh(x) ** 2)
    >>> f.divergence
    'derivative'
    >>> separable(lambda t, x: np.sign(x), divergence="stein").divergence
    'stein'
    """
    if divergence is None:
        divergence = "difference" if derivative is None else "derivative"
    _checks.choice("divergence", divergence, WAYS)
    if (derivative is None) == (divergence == "derivative"):
        raise ValueError(
            f"divergence must be 'derivative' exactly where a derivative is given, got "
            f"{divergence!r} with derivative={derivative!r}"
        )
    if derivative is not None:
        _check_callable("derivative", derivative)
    _check_callable("function", function)
    return EdgeFunction(function, _as_reads(reads), True, divergence, derivative)


def nonseparable(
    function: Callable[..., Any],
    *,
    reads: Iterable[Hashable] | None = None,
    divergence: Callable[..., Any] | str = "hutchinson",
    probes: int = 20,
) -> EdgeFunction:
    """Make an edge function that may mix the rows: a filter, a denoiser of images, a group norm.

    Parameters
    ----------
    function : callable
        As for `separable`.  It must treat each copy (trailing axis) by itself.
    reads : iterable of edges, optional
        As for `separable`.
    divergence : callable or "hutchinson"
        The sum Σ_i ∂f_i/∂x_i over the reverse edge, with the same arguments: a number; with
        columns, of shape (q, r) with entries Σ_i ∂f_ia/∂x_ib; with a trailing axis for copies.  Or
        "hutchinson": its mean over random signs p of ⟨p, f(x + hp) − f(x − hp)⟩/2h.
    probes : int, default 20
        The number of random vectors of signs, at least 2: the run reports the standard error.

    Returns
    -------
    EdgeFunction

    Raises
    ------
    ValueError
        If an argument is not callable, or `probes` is not an integer ≥ 2.

    Notes
    -----
    Probes cost 2 · `probes` evaluations for each column of the reverse edge.  Their error is the
    size of the derivatives off the diagonal: of order √n/√probes in a sum of order n.
    Source: arXiv:2109.11905, which allows uniformly pseudo-Lipschitz functions of this kind.

    Examples
    --------
    >>> import numpy as np
    >>> f = nonseparable(lambda t, x: x - x.mean(axis=0), divergence=lambda t, x: len(x) - 1.0)
    >>> f.divergence, f.is_separable
    ('formula', False)
    """
    _check_callable("function", function)
    if isinstance(divergence, str):
        _checks.choice("divergence", divergence, ("hutchinson",))
        probes = _checks.integer("probes", probes, at_least=2)
        return EdgeFunction(function, _as_reads(reads), False, divergence, probes=probes)
    _check_callable("divergence", divergence)
    return EdgeFunction(function, _as_reads(reads), False, "formula", divergence)


def _as_reads(reads: Iterable[Hashable] | None) -> tuple[Hashable, ...] | None:
    return None if reads is None else tuple(reads)


def _check_callable(name: str, value: object) -> None:
    if not callable(value):
        raise ValueError(f"{name} must be callable, got {value!r}")
