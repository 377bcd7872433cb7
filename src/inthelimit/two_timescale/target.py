"""The function to be learned: piecewise constant on [0, 1].

    f*(x) = f*_i for x in (v_i, v_(i+1)),   0 = v_0 < v_1 < … < v_(n−1) < v_n = 1,

with jumps J_i = f*_i − f*_(i−1) ≠ 0 at v_1, …, v_(n−1).

Source: arXiv:2304.09576, the setting.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import _checks
from inthelimit._checks import Array

# Squares of values, and differences of such squares, must stay numbers.
LARGEST_VALUE = 1e50


@dataclass(frozen=True, slots=True, eq=False)
class PiecewiseConstant:
    """A piecewise constant function on [0, 1].

    Parameters
    ----------
    breakpoints : array_like, shape (n − 1,)
        v_1 < … < v_(n−1) within (0, 1); empty for a constant.
    values : array_like, shape (n,), n ≥ 1
        f*_0, …, f*_(n−1), neighbours different.

    Raises
    ------
    ValueError
        If breakpoints are not increasing within (0, 1), if there is not one value more than there
        are breakpoints, or if a jump is 0.

    Notes
    -----
    The arrays are stored as read-only float64 copies.  Source: arXiv:2304.09576, the setting.

    Examples
    --------
    >>> target = PiecewiseConstant([0.2, 0.6], [1.0, 5.0, 2.0])
    >>> target([0.1, 0.2, 0.9]), target.jumps
    (array([1., 5., 2.]), array([ 4., -3.]))
    >>> target.smallest_piece, target.smallest_jump, target.amplitude
    (0.2, 3.0, 5.0)
    """

    breakpoints: Array
    values: Array

    def __post_init__(self) -> None:
        breakpoints = _checks.real_array("breakpoints", self.breakpoints, ndim=1)
        if breakpoints.size:
            _checks.increasing("breakpoints", breakpoints)
            for end in (breakpoints[0], breakpoints[-1]):
                if not 0.0 < end < 1.0:
                    raise ValueError(f"breakpoints must be strictly between 0 and 1, got {end}")
        values = _checks.vector("values", self.values)
        if values.size != breakpoints.size + 1:
            raise ValueError(
                f"values must have one entry for each piece, {breakpoints.size + 1} for "
                f"{breakpoints.size} breakpoints, got {values.size}"
            )
        _checks.moderate("values", values, largest=LARGEST_VALUE)
        flat = np.flatnonzero(np.diff(values) == 0.0)
        if flat.size:
            i = int(flat[0])
            raise ValueError(
                f"values must differ between neighbouring pieces, got {values[i]} on both sides "
                f"of the breakpoint {breakpoints[i]}: leave that breakpoint out"
            )
        breakpoints.flags.writeable = values.flags.writeable = False
        object.__setattr__(self, "breakpoints", breakpoints)
        object.__setattr__(self, "values", values)

    def __call__(self, x: ArrayLike) -> Array:
        """Return f*(x), of the shape of x; at a breakpoint, the value on its right."""
        x = _checks.real_array("x", x)
        if x.size and (x.min() < 0.0 or x.max() > 1.0):
            outside = x.min() if x.min() < 0.0 else x.max()
            raise ValueError(f"x must be within [0, 1], got {outside}")
        value: Array = self.values[np.searchsorted(self.breakpoints, x, side="right")]
        return value

    @property
    def edges(self) -> Array:
        """v_0 = 0, v_1, …, v_n = 1, shape (n + 1,)."""
        return np.concatenate([[0.0], self.breakpoints, [1.0]])

    @property
    def jumps(self) -> Array:
        """J_i = f*_i − f*_(i−1), shape (n − 1,)."""
        return np.diff(self.values)

    @property
    def n_pieces(self) -> int:
        """The number n of pieces."""
        return self.values.size

    @property
    def smallest_piece(self) -> float:
        """The length Δv of the shortest piece."""
        return float(np.diff(self.edges).min())

    @property
    def smallest_jump(self) -> float:
        """The size Δf of the smallest jump; infinite where there is none."""
        return float(np.abs(self.jumps).min(initial=np.inf))

    @property
    def amplitude(self) -> float:
        """The largest |f*|, M in the bounds."""
        return float(np.abs(self.values).max())
