"""What models share.

Classical schedules: on a graph whose edges join two camps of vertices, the camps take turns.

Such a graph runs two independent iterations at once, one on even and one on odd steps.  The
classical algorithm is one of them; the other is kept at zero, where it costs no product.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from inthelimit._checks import Array
from inthelimit.amp.functions import EdgeFunction, nonseparable, separable
from inthelimit.amp.graph import EdgeLike, OrientedEdge


def on_turn(function: Callable[..., Array], *, first: int) -> Callable[..., Array]:
    """Return the function that acts at steps first, first + 2, … and is 0 at the others.

    `function` gets the number k = 0, 1, … of its turn instead of the step, and returns arrays of
    the shape of its first argument.
    """

    def taking_turns(t: int, *arguments: Any) -> Array:
        k, off = divmod(t - first, 2)
        if off or k < 0:
            return np.zeros_like(arguments[0])
        return function(k, *arguments)

    return taking_turns


def separable_on_turn(
    function: Callable[..., Array],
    slope: Callable[..., Array],
    *,
    first: int,
    reads: Iterable[EdgeLike] | None = None,
) -> EdgeFunction:
    """Return the edge function that acts row by row, with its derivative, when it is its turn."""
    return separable(
        on_turn(function, first=first), derivative=on_turn(slope, first=first), reads=reads
    )


def nonseparable_on_turn(
    function: Callable[..., Array],
    slope: Callable[..., Array],
    *,
    first: int,
    reads: Iterable[EdgeLike] | None = None,
) -> EdgeFunction:
    """Return the same for a function that also uses means over rows.

    Derivatives through means add O(1) to a divergence of order n, and are left out.
    """
    by_row = on_turn(slope, first=first)
    return nonseparable(
        on_turn(function, first=first),
        divergence=lambda t, *arguments: by_row(t, *arguments).sum(axis=0),
        reads=reads,
    )


def held(values: Array, k: int) -> Any:
    """Return entry k of a schedule, or the last one after its end."""
    return values[min(k, len(values) - 1)]


def image(matrices: Mapping[EdgeLike, Any], edge: EdgeLike, vector: Array) -> Array:
    """Return A_e times a vector, from matrices given in either direction of each edge."""
    given = {OrientedEdge(*e): A for e, A in matrices.items()}
    e = OrientedEdge(*edge)
    if e not in given and e.reverse not in given:
        raise ValueError(f"matrices must have that of {e}, got {', '.join(map(str, given))}")
    return np.asarray(given[e] @ vector if e in given else given[e.reverse].T @ vector)


def visible_slope(slope: Array) -> Array:
    """Return the derivative of (truth, estimate), of shape (n, 2, 1[, copies])."""
    return np.stack([np.zeros_like(slope), slope], axis=1)[:, :, None]


def squared_errors(moments: Array) -> Array:
    """Return E (x̂ − x)² from the second moments of (x, x̂), of shape (..., 2, 2)."""
    errors: Array = moments[..., 0, 0] - 2.0 * moments[..., 0, 1] + moments[..., 1, 1]
    return errors
