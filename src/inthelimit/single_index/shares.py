"""Which neurons learn: the fraction of them that carries a moment mean(a s^l).

As ε → 0 the blow-up of a stage concentrates on few neurons: a few atoms of a discrete law, and a
shrinking part of the neurons near the edge of the support of a continuous one.
Source: arXiv:2303.00055 has the flow; the shares are observed and formal.
"""

from typing import SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import _checks
from inthelimit.single_index._laws import checked_law


def leading_share(
    a: ArrayLike,
    s: ArrayLike,
    degree: SupportsIndex,
    weights: ArrayLike | None = None,
    *,
    part: float = 0.9,
) -> float:
    """Return the smallest fraction of the neurons that carries a part of mean(a s^l).

    Parameters
    ----------
    a, s : array_like, shape (N,)
        Neurons, in any units: those of a flow, or A and S of a stage.
    degree : int ≥ 0
        l.
    weights : array_like, shape (N,), optional
        Of the neurons; equal ones if none are given.
    part : float in (0, 1], default 0.9

    Returns
    -------
    float
        The least mass of neurons whose contributions w a s^l add up to part · mean(a s^l); the
        last neuron counts in proportion.

    Raises
    ------
    ValueError
        If an argument is out of range, or mean(a s^l) = 0.

    Notes
    -----
    O(N log N).  Formal asymptotics: for laws with atoms the share tends to the mass of a few atoms;
    for a law with a positive density at the edge of its support, to 0 like a power of ε.

    Examples
    --------
    >>> leading_share([1.0, 1.0, 1.0, 1.0], [2.0, 1.0, 0.0, 0.0], 1, part=0.5)
    0.1875
    """
    a = _checks.vector("a", a)
    s = _checks.vector("s", s, length=a.size)
    l = _checks.integer("degree", degree, at_least=0)
    _, weights = checked_law(a, weights)
    part = _checks.number("part", part, above=0.0, at_most=1.0)
    contributions = a * (s / np.abs(s).max() if s.any() else s) ** l
    total = float(weights @ contributions)
    if total == 0.0:
        raise ValueError(f"mean(a s^{l}) must not be 0: no neuron carries anything")
    density = contributions / total
    order = np.argsort(-density)
    carried = np.append(0.0, np.cumsum((weights * density)[order]))
    masses = np.append(0.0, np.cumsum(weights[order]))
    reach = int(np.argmax(carried >= min(part, carried.max())))
    return float(np.interp(part, carried[: reach + 1], masses[: reach + 1]))
