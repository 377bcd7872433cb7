"""The cubic sigmoid, its derivative and its primitive.

    s(z) = 0 (z ≤ −½),   4(z + ½)³ (−½ ≤ z ≤ 0),   1 − 4(½ − z)³ (0 ≤ z ≤ ½),   1 (z ≥ ½).

It is C¹ and s(−z) = 1 − s(z).  Its integrals on [−½, ½] set the constants of the chapter:
∫ s² = 23/56, ∫ s(1 − s) = 5/56 and ∫ (1{z>0} − s)² = 1/28.

Source: arXiv:2304.09576, the activation of its experiments.
"""

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import _checks
from inthelimit._checks import Array


def sigmoid(z: ArrayLike) -> Array:
    """Return s(z), the step from 0 to 1 that takes place on [−½, ½].

    Parameters
    ----------
    z : float or array_like

    Returns
    -------
    ndarray, shape of `z`

    Raises
    ------
    ValueError
        If an entry is not a finite number.

    Notes
    -----
    Two cubics; O(1) an entry.  Source: arXiv:2304.09576, its experiments.

    Examples
    --------
    >>> sigmoid([-0.5, -0.25, 0.0, 0.25, 0.5])
    array([0.    , 0.0625, 0.5   , 0.9375, 1.    ])
    """
    z = _checks.real_array("z", z)
    cubic = 4.0 * _distance_to_end(z) ** 3
    value: Array = np.where(z <= 0.0, cubic, 1.0 - cubic)
    return value


def sigmoid_derivative(z: ArrayLike) -> Array:
    """Return s′(z) = 12(½ − |z|)² on [−½, ½], and 0 elsewhere.

    Parameters
    ----------
    z : float or array_like

    Returns
    -------
    ndarray, shape of `z`

    Raises
    ------
    ValueError
        If an entry is not a finite number.

    Notes
    -----
    s′(0) = 3 is the largest value, and s′ has a corner there.  Source: arXiv:2304.09576.

    Examples
    --------
    >>> sigmoid_derivative([-0.5, 0.0, 0.25])
    array([0.  , 3.  , 0.75])
    """
    derivative: Array = 12.0 * _distance_to_end(_checks.real_array("z", z)) ** 2
    return derivative


def sigmoid_primitive(z: ArrayLike) -> Array:
    """Return S(z), the integral of s from −∞ to z.

    Parameters
    ----------
    z : float or array_like

    Returns
    -------
    ndarray, shape of `z`

    Raises
    ------
    ValueError
        If an entry is not a finite number.

    Notes
    -----
    S(z) = (½ − |z|)₊⁴ + z₊: beyond z = ½ it is z exactly.  Source: arXiv:2304.09576.

    Examples
    --------
    >>> sigmoid_primitive([-0.5, 0.0, 0.5, 2.0])
    array([0.    , 0.0625, 0.5   , 2.    ])
    """
    z = _checks.real_array("z", z)
    primitive: Array = _distance_to_end(z) ** 4 + np.maximum(z, 0.0)
    return primitive


def _distance_to_end(z: Array) -> Array:
    """Return (½ − |z|)₊, the distance to where s is constant."""
    distance: Array = np.maximum(0.5 - np.abs(z), 0.0)
    return distance
