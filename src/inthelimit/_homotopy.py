"""The kernel of the lasso homotopy: follow one face of the path until it ends, then turn.

On a face, an active set A with signs σ, everything is affine in s (arXiv:2509.18766, eq 4.11):

    z(s) = s · slope − offset,    M_AA slope_A = r_A − λ σ_A,    M_AA offset_A = σ_A ∘ threshold_A
    ρ(s) = s · rate + level,      rate = r − M slope,            level = M offset

with ρ = s r − M z, and |ρ_i| ≤ 1 + λ s, with equality and the sign of z_i on A.  Both lines are
computed afresh on each face from a Cholesky factor of M_AA, so that rounding does not build up
along the path.  A face ends when some |ρ_j| reaches 1 + λ s or some z_i returns to 0.

There the next slope is the minimiser of l + λ‖·‖₁ over the directions that keep the signs: free
where z_i ≠ 0, of the sign of ρ_j where z_j = 0 and |ρ_j| = 1 + λ s, zero elsewhere.  With one hit
or one drop this adds or removes one coordinate; with ties it is a small problem under sign
constraints, solved by Lawson and Hanson's active-set method, whence no rule for ties is needed and
no cycle is possible.

Ties are recognised up to rounding.  A coordinate found on its bound within that tolerance enters
with the value it has as its threshold, instead of 1: z stays continuous, however small the pivot.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inthelimit._checks import Array
from inthelimit._compiled import compiled

# Sums of up to some thousand products are exact to this, relative to the sum of their sizes.
NOISE = 2e-14
# A slope is exact to this times the condition number of M_AA, as far as the pivots tell it, ...
SLOPE_NOISE = 1e-15
# ... so a coordinate with a smaller slope returns to 0 only if it does before s grows by this.
FAR = 1e12
# Two events closer than this, relative to s, are one: fifty times the noise.
TIE = 1e-12
# A squared distance to the span of the active columns that is rounding, relative to its column.
PIVOT = 1e-14

COMPLETE, CUT_SHORT, STUCK = 0, 1, 2


class Face(NamedTuple):
    """The state on one face; shapes are (d,) where not said."""

    unit: Array  # √M_ii, in which errors in coordinate i are measured
    size: NDArray[np.int64]  # the number |A|, shape (1,)
    order: NDArray[np.int64]  # A, in the order of the rows of the factor, then nothing
    factor: Array  # R upper triangular with RᵀR = M_AA, in the corner of shape (d, d)
    sign: Array  # σ on A, 0 elsewhere
    bound: Array  # for i not in A: the sign of the bound that ρ_i is at, or 0
    fresh: NDArray[np.bool_]  # in A since the last event: z_i = 0
    barred: NDArray[np.bool_]  # may not enter before the next event
    threshold: Array
    slope: Array
    offset: Array
    rate: Array
    level: Array
    feasible: Array  # the last slope of Lawson and Hanson's method that keeps the signs


@compiled
def follow(
    M: Array, r: Array, unit: Array, penalty: float, positive: bool, max_knots: int
) -> tuple[int, Array, Array, Array, float, int]:
    """Return k, knots (≥ k,), z (≥ k, d), slope after the last (d,), worst residual, status."""
    d = r.size
    face = Face(
        unit,
        np.zeros(1, np.int64),
        np.empty(d, np.int64),
        np.empty((d, d)),
        np.zeros(d),
        np.zeros(d),
        np.zeros(d, np.bool_),
        np.zeros(d, np.bool_),
        np.ones(d),
        np.zeros(d),
        np.zeros(d),
        r.copy(),
        np.zeros(d),
        np.zeros(d),
    )
    knots, z = np.zeros(16), np.zeros((16, d))
    count, stalled = 1, 0
    s, worst = 0.0, 0.0
    while True:
        step, event = _next_event(face, r, penalty, positive, s)
        if event < 0:
            worst = max(worst, _ray_residual(face, r, penalty, positive))
        if s + step == np.inf:
            status = COMPLETE
            break
        if count == max_knots:
            status = CUT_SHORT
            break
        s += step
        worst = max(worst, _meet(face, r, penalty, positive, s, event))

        if s > knots[count - 1] * (1.0 + NOISE):
            if count == knots.size:
                knots = np.concatenate((knots, np.zeros(count)))
                z = np.concatenate((z, np.zeros((count, d))))
            knots[count] = s
            for p in range(face.size[0]):
                i = face.order[p]
                if face.bound[i] == 0.0:
                    z_i = s * face.slope[i] - face.offset[i]
                    z[count, i] = face.sign[i] * max(face.sign[i] * z_i, 0.0)
            count += 1
            stalled = 0
        else:
            stalled += 1

        if not _turn(M, face, r, penalty, s) or stalled > 10 * d + 100:
            status = STUCK
            break
    return count, knots, z, face.slope, worst, status


@compiled
def _next_event(
    face: Face, r: Array, penalty: float, positive: bool, s: float
) -> tuple[float, int]:
    """Return the time to the end of the face and the coordinate that ends it, or (inf, -1)."""
    step, event = np.inf, -1
    total, steepest = 0.0, 0.0
    for i in range(r.size):
        size = face.unit[i] * abs(face.slope[i])
        total += size
        steepest = max(steepest, size)
    flat = _slope_noise(face) * steepest
    for i in range(r.size):
        if face.sign[i] != 0.0:
            speed = -face.sign[i] * face.slope[i]
            if face.unit[i] * speed > NOISE * steepest:
                room = face.sign[i] * (s * face.slope[i] - face.offset[i])
                soon = room <= FAR * s * speed
                if (soon or face.unit[i] * speed > flat) and max(room, 0.0) < step * speed:
                    step, event = max(room, 0.0) / speed, i
        else:
            floor = NOISE * (penalty + abs(r[i]) + face.unit[i] * total)
            side = 1.0 if positive or face.rate[i] > 0.0 else -1.0
            speed = side * face.rate[i] - penalty
            if speed > floor and side != face.bound[i]:
                room = 1.0 + penalty * s - side * (s * face.rate[i] + face.level[i])
                if max(room, 0.0) < step * speed:
                    step, event = max(room, 0.0) / speed, i
    return step, event


@compiled
def _slope_noise(face: Face) -> float:
    """Return the size of a slope that is 0 up to rounding, relative to the largest one."""
    narrow = 1.0
    for p in range(face.size[0]):
        narrow = min(narrow, face.factor[p, p] / face.unit[face.order[p]])
    return SLOPE_NOISE / narrow**2


@compiled
def _ray_residual(face: Face, r: Array, penalty: float, positive: bool) -> float:
    """Return the KKT residual of the slope, to which that of x(s) tends as s → ∞."""
    worst, largest = 0.0, 0.0
    for i in range(r.size):
        largest = max(largest, abs(r[i]))
        if face.sign[i] != 0.0:
            worst = max(worst, abs(face.rate[i] - face.sign[i] * penalty))
        else:
            worst = max(worst, (face.rate[i] if positive else abs(face.rate[i])) - penalty)
    return worst / (penalty + largest) if worst > 0.0 else 0.0


@compiled
def _meet(face: Face, r: Array, penalty: float, positive: bool, s: float, event: int) -> float:
    """Mark the coordinates at a bound at s, those of A that drop included; return the residual."""
    total, steepest, largest, widest = 0.0, 0.0, 0.0, 0.0
    for i in range(r.size):
        widest = max(widest, face.unit[i])
        total += face.unit[i] * (s * abs(face.slope[i]) + abs(face.offset[i]))
        steepest = max(steepest, face.unit[i] * abs(face.slope[i]))
        largest = max(largest, abs(r[i]))
    height = 1.0 + penalty * s
    worst = 0.0
    for i in range(r.size):
        face.fresh[i] = False
        face.barred[i] = False
        face.bound[i] = 0.0
        rho = s * face.rate[i] + face.level[i]
        if face.sign[i] != 0.0:
            worst = max(worst, abs(rho - face.sign[i] * height))
            speed = -face.sign[i] * face.slope[i]
            room = face.sign[i] * (s * face.slope[i] - face.offset[i])
            # What is below zero is cut off, which moves each ρ_j by at most this.
            worst = max(worst, -room * face.unit[i] * widest)
            if i == event or (face.unit[i] * speed > NOISE * steepest and room <= TIE * s * speed):
                face.bound[i] = face.sign[i]
        else:
            side = 1.0 if positive or rho > 0.0 else -1.0
            room = height - side * rho
            worst = max(worst, -room)
            noise = NOISE * (s * abs(r[i]) + face.unit[i] * total)
            if i == event or room <= TIE * height + noise:
                face.bound[i] = side
    return worst / (height + s * largest)


@compiled
def _turn(M: Array, face: Face, r: Array, penalty: float, s: float) -> bool:
    """Move to the face that begins at s; return whether one was found."""
    moved = False
    for p in range(face.size[0] - 1, -1, -1):
        if face.bound[face.order[p]] != 0.0:
            _leave(face, p)
            moved = True
    newest = -1
    for _ in range(10 * r.size + 100):
        if moved:
            _solve(face, r, penalty)
            fraction = 1.0
            for p in range(face.size[0]):
                fraction = min(fraction, _reach(face, face.order[p]))
            if fraction < 1.0:
                _retreat(face, fraction)
                # Its own entry must raise a coordinate; else only rounding made it enter.
                face.barred[newest] = face.sign[newest] == 0.0
                continue
            for p in range(face.size[0]):
                face.feasible[face.order[p]] = face.slope[face.order[p]]
            _project(M, face, r)
        newest = _most_eager(face, r, penalty)
        if newest < 0:
            return True
        moved = _enter(M, face, newest)
        if moved:
            face.fresh[newest] = True
            face.sign[newest] = face.bound[newest]
            rho = s * face.rate[newest] + face.level[newest]
            face.threshold[newest] = face.sign[newest] * rho - penalty * s
            face.bound[newest] = 0.0
        else:
            face.barred[newest] = True
    return False


@compiled
def _reach(face: Face, i: int) -> float:
    """Return how far from `feasible` to `slope` coordinate i of A keeps its sign, at most 1."""
    ahead = face.sign[i] * face.slope[i]
    if not face.fresh[i] or ahead > 0.0:
        return 1.0
    behind = face.sign[i] * face.feasible[i]
    return behind / (behind - ahead) if behind > 0.0 else 0.0


@compiled
def _retreat(face: Face, fraction: float) -> None:
    """Go a fraction of the way to `slope` and take out the coordinates that stop there."""
    for p in range(face.size[0] - 1, -1, -1):
        i = face.order[p]
        if _reach(face, i) <= fraction:
            face.bound[i] = face.sign[i]
            _leave(face, p)
        else:
            face.feasible[i] += fraction * (face.slope[i] - face.feasible[i])


@compiled
def _most_eager(face: Face, r: Array, penalty: float) -> int:
    """Return the coordinate at its bound whose ρ moves out fastest, or -1 if none does."""
    total = 0.0
    for i in range(r.size):
        total += face.unit[i] * abs(face.slope[i])
    fastest, newest = 0.0, -1
    for i in range(r.size):
        if face.bound[i] != 0.0 and not face.barred[i]:
            speed = face.bound[i] * face.rate[i] - penalty
            floor = NOISE * (penalty + abs(r[i]) + face.unit[i] * total)
            if speed > max(floor, face.unit[i] * fastest):
                fastest, newest = speed / face.unit[i], i
    return newest


@compiled
def _project(M: Array, face: Face, r: Array) -> None:
    """Compute rate = r − M slope and level = M offset in one pass over the rows of A."""
    rate, level = face.rate, face.level
    for j in range(r.size):
        rate[j] = r[j]
        level[j] = 0.0
    # Memory bandwidth is the limit; four rows at a time come nearer to it than one.
    fours = face.size[0] - face.size[0] % 4
    for p in range(0, fours, 4):
        i, k, l, m = face.order[p], face.order[p + 1], face.order[p + 2], face.order[p + 3]
        M_i, M_k, M_l, M_m = M[i], M[k], M[l], M[m]
        a_i, a_k, a_l, a_m = face.slope[i], face.slope[k], face.slope[l], face.slope[m]
        b_i, b_k, b_l, b_m = face.offset[i], face.offset[k], face.offset[l], face.offset[m]
        for j in range(r.size):
            rate[j] -= a_i * M_i[j] + a_k * M_k[j] + a_l * M_l[j] + a_m * M_m[j]
            level[j] += b_i * M_i[j] + b_k * M_k[j] + b_l * M_l[j] + b_m * M_m[j]
    for p in range(fours, face.size[0]):
        i = face.order[p]
        M_i, a_i, b_i = M[i], face.slope[i], face.offset[i]
        for j in range(r.size):
            rate[j] -= a_i * M_i[j]
            level[j] += b_i * M_i[j]


@compiled
def _solve(face: Face, r: Array, penalty: float) -> None:
    """Compute slope and offset on A from the factor."""
    size = face.size[0]
    slope, offset = np.empty(size), np.empty(size)
    for p in range(size):
        i = face.order[p]
        slope[p] = r[i] - penalty * face.sign[i]
        offset[p] = face.sign[i] * face.threshold[i]
    # Slices, here and below, because Numba vectorises loops over an array from its start only.
    for p in range(size):
        row = face.factor[p, p:size]
        a, b = slope[p] / row[0], offset[p] / row[0]
        slopes, offsets = slope[p:], offset[p:]
        for q in range(row.size):
            slopes[q] -= a * row[q]
            offsets[q] -= b * row[q]
        slope[p], offset[p] = a, b
    for p in range(size - 1, -1, -1):
        row = face.factor[p, p:size]
        slopes, offsets = slope[p:], offset[p:]
        a, b = slope[p], offset[p]
        slope[p], offset[p] = 0.0, 0.0
        for q in range(row.size):
            a -= row[q] * slopes[q]
            b -= row[q] * offsets[q]
        slope[p], offset[p] = a / row[0], b / row[0]
        face.slope[face.order[p]] = slope[p]
        face.offset[face.order[p]] = offset[p]


@compiled
def _enter(M: Array, face: Face, i: int) -> bool:
    """Append coordinate i to the factor, unless its column depends on those of A."""
    size = face.size[0]
    column = np.empty(size)
    for p in range(size):
        column[p] = M[i, face.order[p]]
    pivot = M[i, i]
    for p in range(size):
        row, rest = face.factor[p, p:size], column[p:]
        a = rest[0] / row[0]
        pivot -= a**2
        for q in range(row.size):
            rest[q] -= a * row[q]
        column[p] = a
    if pivot <= PIVOT * M[i, i]:
        return False
    for p in range(size):
        face.factor[p, size] = column[p]
    face.factor[size, size] = np.sqrt(pivot)
    face.order[size] = i
    face.size[0] = size + 1
    return True


@compiled
def _leave(face: Face, place: int) -> None:
    """Delete the coordinate at `place` of A from the factor, by plane rotations."""
    size = face.size[0]
    face.size[0] = size - 1
    i = face.order[place]
    face.sign[i] = 0.0
    face.slope[i] = 0.0
    face.offset[i] = 0.0
    face.feasible[i] = 0.0
    for p in range(place, size - 1):
        face.order[p] = face.order[p + 1]
    for p in range(size):
        row = face.factor[p, max(place, p - 1) : size]
        for q in range(row.size - 1):
            row[q] = row[q + 1]
    for p in range(place, size - 1):
        upper, lower = face.factor[p, p : size - 1], face.factor[p + 1, p : size - 1]
        radius = np.sqrt(upper[0] ** 2 + lower[0] ** 2)
        c, t = upper[0] / radius, lower[0] / radius
        for q in range(upper.size):
            u, v = upper[q], lower[q]
            upper[q] = c * u + t * v
            lower[q] = c * v - t * u
