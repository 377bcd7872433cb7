"""The limit process, knot by knot: non-negative least squares on a tight set that changes.

Between knots the limit minimises l(x) + λ|x|₁ subject to q_i x_i ≥ 0 on the tight set, with signs
q, and x = 0 elsewhere.  The active-set method is Lawson and Hanson's, started from the last
minimiser; the Cholesky factor of M on the support is carried along, so that a coordinate joins in
O(d m) and leaves in O(m²), for a support of m.

Throughout, `tight` holds the sign q_i or 0, `support` lists the m coordinates with x_i ≠ 0 in the
order of the factor, and `unit` is √diag(M).
"""

import numpy as np
from numpy.typing import NDArray

from inthelimit._checks import Array
from inthelimit._compiled import compiled

Indices = NDArray[np.int64]

# These apply after scaling M to unit diagonal.  Below this multiple of the terms it is the sum of,
# a residual r − Mx is rounding, and its sign means nothing; below the next of the largest entry, so
# is an entry of x.  The second is smaller, so that what it rounds to zero stays there.
RESIDUAL_TOLERANCE = 1e-12
ENTRY_TOLERANCE = 1e-13
# A squared pivot below this multiple of M_jj means that column j depends on the support.
PIVOT_TOLERANCE = 1e-11
# Hits nearer than this, relative to 1 + λs, are one hit: rounding in ρ is a few hundred times 1e-16
# of its terms, and distinct hits this close change nothing beyond the tenth digit.
TIE_TOLERANCE = 1e-10


@compiled
def follow(
    M: Array, r: Array, unit: Array, penalty: float, sides: int, max_knots: int
) -> tuple[Array, Array, bool]:
    """Return knots and plateaus, and whether the process came to its end."""
    d = r.size
    force = 0.0
    for i in range(d):
        if unit[i] > 0.0:
            force = max(force, abs(r[i]) / unit[i])
    x, rho, slope, tight = np.zeros(d), np.zeros(d), np.zeros(d), np.zeros(d)
    support, factor, m = np.zeros(d, np.int64), np.zeros((d, d)), 0
    knots, plateaus = np.zeros(2 * d + 2), np.zeros((2 * d + 2, d))
    s = 0.0
    for k in range(max_knots):
        m = minimise(M, r, unit, force, penalty, tight, x, slope, support, factor, m)
        if m < 0:
            return knots[:k], plateaus[:k], False
        if k == knots.size:
            more, rows = np.zeros(2 * k), np.zeros((2 * k, d))
            more[:k], rows[:k] = knots, plateaus
            knots, plateaus = more, rows
        knots[k], plateaus[k] = s, x

        rounding = rounding_size(unit, force, x, support, m)
        wall = 1.0 + penalty * s
        step, hitter = np.inf, -1
        for i in range(d):
            noise = RESIDUAL_TOLERANCE * (unit[i] * rounding + penalty)
            if x[i] == 0.0 and tight[i] * slope[i] - penalty < -noise:
                tight[i] = 0.0
            for side in range(sides):
                q = 1.0 - 2.0 * side
                closing = q * slope[i] - penalty
                if tight[i] != q and closing > noise:
                    wait = max(wall - q * rho[i], 0.0) / closing
                    if wait < step:
                        step, hitter = wait, i
        if hitter < 0:
            return knots[: k + 1], plateaus[: k + 1], True

        new_wall = 1.0 + penalty * (s + step)
        for i in range(d):
            rho[i] += step * slope[i]
            if x[i] != 0.0:
                rho[i] = tight[i] * new_wall
            noise = RESIDUAL_TOLERANCE * (unit[i] * rounding + penalty)
            for side in range(sides):
                q = 1.0 - 2.0 * side
                near = i == hitter or new_wall - q * rho[i] <= TIE_TOLERANCE * new_wall
                if near and tight[i] != q and q * slope[i] - penalty > noise:
                    tight[i] = q
        s += step
    return knots[:max_knots], plateaus[:max_knots], False


@compiled
def minimise(
    M: Array,
    r: Array,
    unit: Array,
    force: float,
    penalty: float,
    tight: Array,
    x: Array,
    slope: Array,
    support: Indices,
    factor: Array,
    m: int,
) -> int:
    """Move x to the minimiser, write r − Mx to `slope`; return the new m, or −1 on failure."""
    d = r.size
    barred = np.zeros(d, np.bool_)
    m = settle(M, r, unit, penalty, tight, x, support, factor, m)
    for _ in range(8 * d + 64):
        slope[:] = r
        for a in range(m):
            for j in range(d):
                slope[j] -= x[support[a]] * M[support[a], j]
        size = rounding_size(unit, force, x, support, m)
        best, entering = 0.0, -1
        for j in range(d):
            if tight[j] != 0.0 and x[j] == 0.0 and not barred[j]:
                noise = RESIDUAL_TOLERANCE * (unit[j] * size + penalty)
                gain = tight[j] * slope[j] - penalty - noise
                if gain > best:
                    best, entering = gain, j
        if entering < 0:
            for a in range(m):
                slope[support[a]] = penalty * tight[support[a]]
            return m
        m = enter(M, tight, x, support, factor, m, entering)
        m = settle(M, r, unit, penalty, tight, x, support, factor, m)
        # Only rounding turns away a coordinate that improves the objective.
        barred[entering] = x[entering] == 0.0
    return -1


@compiled
def enter(M: Array, tight: Array, x: Array, support: Indices, factor: Array, m: int, j: int) -> int:
    """Add j to the support if it can be; return the new m."""
    while True:
        row = factor[m]
        for a in range(m):
            row[a] = M[support[a], j]
        forward(factor, row, m)
        pivot = M[j, j]
        for a in range(m):
            pivot -= row[a] * row[a]
        if pivot > PIVOT_TOLERANCE * M[j, j]:
            row[m] = np.sqrt(pivot)
            support[m] = j
            return m + 1
        # The column depends on the support: Mδ = 0 along a direction δ, on which the objective
        # decreases linearly until a coordinate reaches 0.
        direction = row[:m].copy()
        backward(factor, direction, m)
        step, blocking = np.inf, -1
        for a in range(m):
            i = support[a]
            direction[a] *= -tight[j]
            if direction[a] * tight[i] < 0.0 and -x[i] / direction[a] < step:
                step, blocking = -x[i] / direction[a], a
        if blocking < 0:
            return m
        for a in range(m):
            x[support[a]] += step * direction[a]
        x[j] += step * tight[j]
        m = leave(x, support, factor, m, blocking)


@compiled
def settle(
    M: Array,
    r: Array,
    unit: Array,
    penalty: float,
    tight: Array,
    x: Array,
    support: Indices,
    factor: Array,
    m: int,
) -> int:
    """Minimise on the support, dropping what would change sign; return the new m."""
    while m > 0:
        target = np.zeros(m)
        for a in range(m):
            target[a] = r[support[a]] - penalty * tight[support[a]]
        forward(factor, target, m)
        backward(factor, target, m)
        largest = 0.0
        for a in range(m):
            largest = max(largest, abs(target[a]) * unit[support[a]])
        step, blocking = np.inf, -1
        for a in range(m):
            i = support[a]
            if target[a] * tight[i] * unit[i] <= ENTRY_TOLERANCE * largest:
                travel = abs(x[i]) + abs(target[a])
                share = abs(x[i]) / travel if travel > 0.0 else 0.0
                if share < step:
                    step, blocking = share, a
        if blocking < 0:
            for a in range(m):
                x[support[a]] = target[a]
            return m
        for a in range(m):
            i = support[a]
            x[i] += step * (target[a] - x[i])
        m = leave(x, support, factor, m, blocking)
    return m


@compiled
def leave(x: Array, support: Indices, factor: Array, m: int, position: int) -> int:
    """Drop a coordinate and make the factor triangular again, by rotations; return the new m."""
    x[support[position]] = 0.0
    for a in range(position, m - 1):
        support[a] = support[a + 1]
        for c in range(a + 2):
            factor[a, c] = factor[a + 1, c]
    for a in range(position, m - 1):
        length = np.hypot(factor[a, a], factor[a, a + 1])
        cosine, sine = factor[a, a] / length, factor[a, a + 1] / length
        for b in range(a, m - 1):
            left, right = factor[b, a], factor[b, a + 1]
            factor[b, a] = cosine * left + sine * right
            factor[b, a + 1] = cosine * right - sine * left
    return m - 1


@compiled
def rounding_size(unit: Array, force: float, x: Array, support: Indices, m: int) -> float:
    """Return the size of the terms of r − Mx, divided by `unit`."""
    size = force
    for a in range(m):
        size += unit[support[a]] * abs(x[support[a]])
    return size


@compiled
def forward(factor: Array, b: Array, m: int) -> None:
    for a in range(m):
        total = 0.0
        for c in range(a):
            total += factor[a, c] * b[c]
        b[a] = (b[a] - total) / factor[a, a]


@compiled
def backward(factor: Array, b: Array, m: int) -> None:
    for a in range(m - 1, -1, -1):
        b[a] /= factor[a, a]
        for c in range(a):
            b[c] -= factor[a, c] * b[a]
