"""How long the nearer of two neighbours takes to arrive at their jump.

The neighbours of a jump J, at distances p and q on either side of it, close in by

    p' = −J² q²/(p+q)²,      q' = −J² p²/(p+q)².

So p³ − q³ is conserved, and the nearer one arrives first, after a time that has a closed form.

Source: arXiv:2304.09576, the flow of the limit; the closed form is worked out here.
"""

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.two_timescale._one_jump import hit_factor

# Beyond these, squares overflow or vanish.
LARGEST_JUMP = 1e100
SMALLEST_JUMP = 1e-100


def hit_time(p: ArrayLike, q: ArrayLike, jump: ArrayLike) -> Array:
    """Return the time at which the nearer of two neighbours arrives at their jump.

    Parameters
    ----------
    p, q : array_like
        Distances ≥ 0 of the left and of the right neighbour from the jump.
    jump : array_like
        Height J ≠ 0 of the jump, either sign, from 1e-100 to 1e100 in size; broadcast with `p`
        and `q`.

    Returns
    -------
    ndarray, of the broadcast shape
        T = J⁻² ∫_0^r (1 + ρ/(c+ρ³)^⅓)² dρ with r = min(p, q) and c = |p³ − q³|, in slow time.

    Raises
    ------
    ValueError
        If a distance is negative or a jump out of range.

    Notes
    -----
    r/J² ≤ T ≤ 4r/J²: the first is approached as the other neighbour goes far away, the second is
    met at p = q.  Also T ≤ 2(p+q)/J².  T is the closed form r φ/J² with
    φ = 1 + x ₂F₁(⅓, 1; 5/3; x³) + x²/(1+k+k²), x = min/max, x³ + k³ = 1, accurate to some units of
    rounding for all p and q; T = 0 where a distance is 0.
    Source: arXiv:2304.09576, the flow of the limit; the closed form is worked out here.

    Examples
    --------
    >>> hit_time([0.031, 0.01, 0.0], [0.012, 0.01, 0.2], 2.0).round(8)
    array([0.00432801, 0.01      , 0.        ])
    """
    left, right = _checks.real_array("p", p), _checks.real_array("q", q)
    height = np.abs(_checks.real_array("jump", jump))
    for name, distance in (("p", left), ("q", right)):
        if (distance < 0.0).any():
            raise ValueError(f"{name} must be ≥ 0, got {distance.min()}")
        if distance.size:
            _checks.moderate(name, distance, largest=LARGEST_JUMP)
    if ((height < SMALLEST_JUMP) | (height > LARGEST_JUMP)).any():
        raise ValueError(
            f"jump must be within ±{LARGEST_JUMP:g} and at least {SMALLEST_JUMP:g} in size, "
            f"got one of size {height.min() if height.min() < SMALLEST_JUMP else height.max()}"
        )
    near, far = np.minimum(left, right), np.maximum(left, right)
    time: Array = near * hit_factor(near, far) / height / height
    return time
