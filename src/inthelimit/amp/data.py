"""What is known beside the random matrices: side information at vertices, spikes on edges.

Both are independent of the matrices, so that state evolution holds given them.
Source: arXiv:2109.11905; planted signals by conditioning on them.
"""

from dataclasses import dataclass

import numpy as np

from inthelimit import _checks
from inthelimit._checks import Array

# Weights are probabilities up to the rounding of their sum.
WEIGHT_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """What the functions of a vertex know beside the iterates: a signal, noise, labels.

    Parameters
    ----------
    values : array_like, shape (n,), (n, k) or (n, k, copies)
        One row for each of the n rows of the vertex; the last form gives each copy its own.
    law : pair of array_like, shapes (m,) or (m, k) and (m,), optional
        Values and their weights (≥ 0, of sum 1): the law that the rows are drawn from, for state
        evolution.  By default the empirical law of `values`.

    Raises
    ------
    ValueError
        If a shape is wrong, an entry is not finite, or the weights are not probabilities.

    Notes
    -----
    Source: arXiv:2109.11905; side information makes f_e random but independent of the matrices.

    Examples
    --------
    >>> signs = Side([1.0, -1.0, -1.0], law=([-1.0, 1.0], [0.5, 0.5]))
    >>> signs.distribution()
    (array([-1.,  1.]), array([0.5, 0.5]))
    """

    values: Array
    law: tuple[Array, Array] | None = None

    def __post_init__(self) -> None:
        values = _checks.real_array("values", self.values)
        if values.ndim not in (1, 2, 3) or values.size == 0:
            raise ValueError(
                f"values must have shape (n,), (n, k) or (n, k, copies), got {values.shape}"
            )
        values.flags.writeable = False
        object.__setattr__(self, "values", values)
        if self.law is not None:
            object.__setattr__(self, "law", _checked_law(self.law, values))

    def distribution(self) -> tuple[Array, Array]:
        """Return the law of a row: nodes of shape (m,) or (m, k), and weights of shape (m,)."""
        if self.law is not None:
            return self.law
        rows = self.values
        if rows.ndim == 3:
            rows = np.moveaxis(rows, 2, 1).reshape(-1, rows.shape[1])
        return rows, np.full(len(rows), 1.0 / len(rows))


@dataclass(frozen=True, slots=True, eq=False)
class Spike:
    """A planted matrix (strength/N) · left rightᵀ, added to the random one of an edge v → w.

    Parameters
    ----------
    strength : float
    left : array_like, shape (n_w,)
        At the end of the edge.
    right : array_like, shape (n_v,)
        At its start; equal to `left` on a loop.

    Raises
    ------
    ValueError
        If an argument is not finite, or `left` or `right` is not a vector.

    Notes
    -----
    The iterates get the mean μ_{t+1} · left, with μ_{t+1} = strength · ⟨right, m^t⟩/N.
    Source: arXiv:2109.11905, planted signals, by conditioning on them.

    Examples
    --------
    >>> Spike(1.5, [1.0, -1.0], [1.0, 2.0, 3.0]).reverse.left
    array([1., 2., 3.])
    """

    strength: float
    left: Array
    right: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "strength", _checks.number("strength", self.strength))
        for name in ("left", "right"):
            values = _checks.vector(name, getattr(self, name))
            values.flags.writeable = False
            object.__setattr__(self, name, values)

    @property
    def reverse(self) -> "Spike":
        """The spike of the reverse edge: the transposed matrix."""
        return Spike(self.strength, self.right, self.left)


def _checked_law(law: tuple[Array, Array], values: Array) -> tuple[Array, Array]:
    """Return the nodes and weights of a law of rows like those of `values`, read-only."""
    if not isinstance(law, tuple) or len(law) != 2:
        raise ValueError(f"law must be a pair (nodes, weights), got {law!r}")
    weights = _checks.vector("weights of law", law[1])
    nodes = _checks.real_array("nodes of law", law[0])
    expected = (weights.size, *values.shape[1:2])
    if nodes.shape != expected:
        raise ValueError(f"nodes of law must have shape {expected}, got {nodes.shape}")
    if weights.min() < 0.0 or abs(weights.sum() - 1.0) > WEIGHT_TOLERANCE:
        raise ValueError(
            f"weights of law must be ≥ 0 with sum 1, got minimum {weights.min():.6g} "
            f"and sum {weights.sum():.6g}"
        )
    nodes.flags.writeable = weights.flags.writeable = False
    return nodes, weights
