"""The target of chapter 4: a staircase on [0, 1].

Source: arXiv:2304.09576, piecewise constant targets.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import _checks
from inthelimit._checks import Array


@dataclass(frozen=True, slots=True, eq=False, init=False)
class PiecewiseConstant:
    """A piecewise constant function f* on [0, 1] with n pieces.

    Attributes
    ----------
    breakpoints : ndarray, shape (n - 1,)
        Where f* jumps, strictly increasing, within (0, 1).
    values : ndarray, shape (n,)
        The value on each piece; successive values differ.
    edges : ndarray, shape (n + 1,)
        The breakpoints between 0 and 1.
    """

    breakpoints: Array
    values: Array
    edges: Array

    def __init__(self, breakpoints: ArrayLike, values: ArrayLike) -> None:
        cuts = _checks.real_array("breakpoints", breakpoints, ndim=1)
        heights = _checks.vector("values", values, length=cuts.size + 1)
        edges = np.concatenate([[0.0], cuts, [1.0]])
        if (np.diff(edges) <= 0.0).any():
            raise ValueError(
                f"breakpoints must be strictly increasing within (0, 1), got {cuts.tolist()}"
            )
        if (np.diff(heights) == 0.0).any():
            i = int(np.argmax(np.diff(heights) == 0.0))
            raise ValueError(
                f"values must differ from piece to piece, got {heights[i]} twice, at {i}"
            )
        for name, array in (("breakpoints", cuts), ("values", heights), ("edges", edges)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @property
    def jumps(self) -> Array:
        """J_i = f*(v_i+) − f*(v_i−), shape (n − 1,)."""
        return np.diff(self.values)

    @property
    def n_pieces(self) -> int:
        """The number n of pieces."""
        return self.values.size

    @property
    def smallest_piece(self) -> float:
        """Δv, the length of the shortest piece."""
        return float(np.diff(self.edges).min())

    @property
    def smallest_jump(self) -> float:
        """Δf, the size of the smallest jump; inf if there is none."""
        return float(np.abs(self.jumps).min(initial=np.inf))

    @property
    def amplitude(self) -> float:
        """M = max |f*|."""
        return float(np.abs(self.values).max())

    def __call__(self, x: ArrayLike) -> Array:
        """Return f*(x), the value on the right at a jump."""
        points = np.asarray(x, dtype=np.float64)
        value: Array = self.values[np.searchsorted(self.breakpoints, points, side="right")]
        return value
