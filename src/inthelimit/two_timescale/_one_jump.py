"""One jump between its two neighbours: the limit flow in closed form.

The neighbours of a jump J at v, at distances p and q on either side, close in by

    p' = −J² q²/(p+q)²,      q' = −J² p²/(p+q)²,

so p² p' = q² q' and p³ − q³ is conserved.  With r = min(p, q), R = max(p, q), the nearer neighbour
arrives first, when R = c^⅓ with c = R³ − r³.  What is left of the way r takes J⁻² r φ, where

    r φ = ∫_0^r (1 + ρ/(c+ρ³)^⅓)² dρ,      φ = 1 + x F + x²/(1+k+k²),      x = r/R,  k = c^⅓/R,

and F = ₂F₁(⅓, 1; 5/3; x³).  Since x³ + k³ = 1, the last term is (R − c^⅓)/r without cancellation,
and near x = 1 the connection formula gives F = 2 ₂F₁(⅓, 1; ⅔; k³) − C k/x².

Source: arXiv:2304.09576, the limit flow; the closed form is worked out here.
"""

from collections.abc import Callable
from functools import cache
from math import gamma

import numpy as np
from numpy.polynomial import Chebyshev
from scipy.optimize import brentq
from scipy.special import hyp2f1

from inthelimit._checks import Array

CONNECTION = 2 * gamma(2 / 3) ** 2 / gamma(1 / 3)
# Newton's method on a convex increasing function, from above: some ten steps reach rounding.
NEWTON_STEPS = 60
NEWTON_TOLERANCE = 1e-15
# x is an analytic function of x φ on [0, 4] and of φ on [1, 4]: this degree gives it to 1e-13.
RATIO_DEGREE = 60


def hit_factor(near: Array, far: Array) -> Array:
    """Return φ for distances 0 ≤ near ≤ far: the nearer neighbour takes J⁻² near φ to arrive."""
    size = np.where(far > 0.0, far, 1.0)
    return _factor(near / size, np.cbrt(_cube_gap(near / size, (far - near) / size)))


def way_left(rest: Array, near: Array, far: Array) -> tuple[Array, Array]:
    """Return both distances J⁻² `rest` before the hit, from those at the start.

    All arrays have one shape; 0 ≤ near ≤ far and 0 ≤ rest ≤ near φ.
    """
    size = np.where(far > 0.0, far, 1.0)
    gap = np.where(far > 0.0, _cube_gap(near / size, (far - near) / size), 1.0)
    goal = rest / size
    r = np.minimum(near / size, goal)
    for _ in range(NEWTON_STEPS):
        R = np.cbrt(gap + r**3)
        positive = np.where(R > 0.0, R, 1.0)
        x, k = r / positive, np.cbrt(gap) / positive
        step = (r * _factor(x, k) - goal) / (1 + x) ** 2
        r = np.clip(r - step, 0.0, near / size)
        if (np.abs(step) <= NEWTON_TOLERANCE * (r + goal)).all():
            break
    return r * size, np.where(far > 0.0, np.cbrt(gap + r**3), 0.0) * size


def nearer_distance(way: float, far: Array) -> Array:
    """Return the distance r ≤ far from which a hit takes J⁻² `way`, for far ≥ way/4."""
    near: Array = far * np.clip(_ratio_of_share()(way / far), 0.0, 1.0)
    return near


def farther_distance(way: float, near: Array) -> Array:
    """Return the distance R ≥ near for which a hit takes J⁻² `way`, inf if near ≥ way.

    For near ≥ way/4.
    """
    ratio = np.clip(_ratio_of_factor()(np.maximum(way / near, 1.0)), 0.0, 1.0)
    open_end = (near >= way) | (ratio <= 0.0)
    far: Array = np.where(open_end, np.inf, near / np.where(open_end, 1.0, ratio))
    return far


@cache
def _ratio_of_share() -> Chebyshev:
    """Return x as a function of x φ."""
    return _inverse(lambda x: x * float(hit_factor(np.array(x), np.array(1.0))), 0.0)


@cache
def _ratio_of_factor() -> Chebyshev:
    """Return x as a function of φ."""
    return _inverse(lambda x: float(hit_factor(np.array(x), np.array(1.0))), 1.0)


def _inverse(function: Callable[[float], float], lowest: float) -> Chebyshev:
    """Return the inverse, on [lowest, 4], of a function that rises from `lowest` to 4 on [0, 1]."""

    def invert(values: Array) -> Array:
        return np.array([brentq(lambda x, v=v: function(x) - v, 0.0, 1.0) for v in values])

    return Chebyshev.interpolate(invert, RATIO_DEGREE, domain=[lowest, 4.0])


def _cube_gap(x: Array, one_less_x: Array) -> Array:
    """Return 1 − x³ from x and 1 − x."""
    gap: Array = one_less_x * (1 + x + x * x)
    return gap


def _factor(x: Array, k: Array) -> Array:
    """Return φ where x³ + k³ = 1."""
    small = x**3 <= 0.5
    inner = np.where(small, x, 0.0)
    outer = np.where(small, 1.0, x)
    k_outer = np.where(small, 0.0, k)
    middle = np.where(
        small,
        x * hyp2f1(1 / 3, 1.0, 5 / 3, inner**3),
        2 * outer * hyp2f1(1 / 3, 1.0, 2 / 3, k_outer**3) - CONNECTION * k_outer / outer,
    )
    factor: Array = 1 + middle + x * x / (1 + k + k * k)
    return factor
