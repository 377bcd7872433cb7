"""The limit flow from any start: neighbours may be shared between jumps, or missing.

With true steps the best network takes, on the plateau between two successive neurons, the mean y of
f* there.  The neuron between plateaus of means y⁻ and y⁺ moves by

    u' = V(f*(u)),      V(f) = (f − y⁺)² − (f − y⁻)².

V jumps where f* does.  A neuron that comes to a jump from f⁻ to f⁺ stays on it while
V(f⁻) ≥ 0 ≥ V(f⁺), and else crosses, or is let go where one of the signs turns: the solution in
Filippov's sense.  Between such events the flow is smooth; it is followed by the pair of
Runge–Kutta methods of Dormand and Prince, and events are located by shortening the step.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inthelimit._checks import Array
from inthelimit._compiled import compiled

Indices = NDArray[np.int64]

# Local error allowed to a position, which lies in [0, 1].
TOLERANCE = 1e-13
MOST_STEPS = 1_000_000
DONE, STUCK = 0, 1


class State(NamedTuple):
    """Where the sorted neurons are, with room to work in."""

    edges: Array  # of f*, (n + 1,)
    values: Array  # of f*, (n,)
    x: Array  # positions, (m,)
    left: Indices  # the piece just left of each neuron; another one than `right` on a jump
    right: Indices
    means: Array  # of f* on the plateaus, (m + 1,)
    slopes: Array  # stages of a step, (7, m)
    fresh: Array  # positions after a step, (m,)
    hit_times: Array  # since when a neuron is on each jump, (n - 1,)
    hitters: Indices  # that neuron, or -1


@compiled
def follow(
    edges: Array, values: Array, start: Array, times: Array, tolerance: float, most_steps: int
) -> tuple[Array, Array, Indices, int, float]:
    """Follow sorted neurons up to times[-1].

    Return positions (T, m); since when a neuron is on each jump, or inf, and which, or −1; whether
    all went well (DONE or STUCK), and the time reached.
    """
    state = _begin(edges, values, start)
    positions = np.empty((times.size, start.size))
    t, h, steps = 0.0, 1.0, 0
    for reading in range(times.size):
        while True:
            slack, k = _slack(state, state.x)
            while slack < 0.0 and steps < most_steps:
                steps += 1
                _event(state, k, t)
                slack, k = _slack(state, state.x)
            rest = times[reading] - t
            if rest <= 0.0:
                break
            steps += 1
            trial = min(h, rest)
            error = _step(state, trial)
            growth = 5.0
            if not error <= 1e10 * tolerance:
                growth = 0.1
            elif error > 0.0:
                growth = min(5.0, max(0.1, 0.9 * (tolerance / error) ** 0.2))
            if steps >= most_steps or t + trial == t:
                return positions, state.hit_times, state.hitters, STUCK, t
            if not error <= tolerance:
                h = growth * trial
                continue
            whole = trial == rest
            if _slack(state, state.fresh)[0] < 0.0:
                trial, whole = _first_event(state, trial, t), False
            state.x[:] = state.fresh
            t = times[reading] if whole else t + trial
            h = max(h, growth * trial) if whole else growth * trial
        positions[reading] = state.x
    return positions, state.hit_times, state.hitters, DONE, t


@compiled
def _begin(edges: Array, values: Array, start: Array) -> State:
    n, m = values.size, start.size
    left = np.searchsorted(edges[1:-1], start, side="left").astype(np.int64)
    right = np.searchsorted(edges[1:-1], start, side="right").astype(np.int64)
    state = State(
        edges,
        values,
        start.copy(),
        left,
        right,
        np.empty(m + 1),
        np.empty((7, m)),
        np.empty(m),
        np.full(n - 1, np.inf),
        np.full(n - 1, -1, np.int64),
    )
    for k in range(m):
        if left[k] < right[k]:
            state.hit_times[left[k]], state.hitters[left[k]] = 0.0, k
    return state


@compiled
def _means(state: State, x: Array) -> None:
    """Fill in the mean of f* on each of the m + 1 plateaus."""
    edges, values, left, right = state.edges, state.values, state.left, state.right
    means = state.means
    n, m = values.size, x.size
    for k in range(m + 1):
        first = 0 if k == 0 else right[k - 1]
        last = n - 1 if k == m else left[k]
        if first == last:
            means[k] = values[first]
            continue
        begin = 0.0 if k == 0 else x[k - 1]
        end = 1.0 if k == m else x[k]
        width, total = 0.0, 0.0
        if first < last:
            width = (edges[first + 1] - begin) + (end - edges[last])
            total = (edges[first + 1] - begin) * values[first] + (end - edges[last]) * values[last]
            for i in range(first + 1, last):
                width += edges[i + 1] - edges[i]
                total += (edges[i + 1] - edges[i]) * values[i]
        # Two neurons that meet at a jump: as if they came at one speed.
        means[k] = total / width if width > 0.0 else (values[first] + values[last]) / 2


@compiled
def _velocity(f: float, below: float, above: float) -> float:
    """Return V(f) between plateaus of means `below` (left) and `above` (right)."""
    return (below - above) * (2 * f - below - above)


@compiled
def _slopes(state: State, x: Array, slope: Array) -> None:
    values, left, right, means = state.values, state.left, state.right, state.means
    _means(state, x)
    for k in range(x.size):
        slope[k] = 0.0
        if left[k] == right[k]:
            slope[k] = _velocity(values[left[k]], means[k], means[k + 1])


@compiled
def _slack(state: State, x: Array) -> tuple[float, int]:
    """Return how far the neurons are from an event, negative beyond one, and the first of them."""
    edges, left, right = state.edges, state.left, state.right
    _means(state, x)
    slack, first = np.inf, 0
    for k in range(x.size):
        if left[k] == right[k]:
            i = left[k]
            below = x[k] - edges[i] if i > 0 else np.inf
            above = edges[i + 1] - x[k] if i < state.values.size - 1 else np.inf
        else:
            below, above = _hold(state, k)
        own = min(below, above)
        if own < slack:
            slack, first = own, k
    return slack, first


@compiled
def _hold(state: State, k: int) -> tuple[float, float]:
    """Return how firmly a jump holds neuron k against leaving to the left and to the right.

    It can't pass a neuron on the same jump; if it leaves that one, the plateau between is pure.
    """
    low, high = state.values[state.left[k]], state.values[state.right[k]]
    before, after = state.means[k], state.means[k + 1]
    with_previous, with_next = _together(state, k - 1), _together(state, k)
    below = np.inf if with_previous else _velocity(low, before, low if with_next else after)
    above = np.inf if with_next else -_velocity(high, high if with_previous else before, after)
    return below, above


@compiled
def _together(state: State, k: int) -> bool:
    """Return whether neurons k and k + 1 are on one jump."""
    left, right = state.left, state.right
    if k < 0 or k + 1 >= left.size:
        return False
    return bool(left[k] < right[k] and left[k + 1] == left[k] and right[k + 1] == right[k])


@compiled
def _event(state: State, k: int, t: float) -> None:
    """Let neuron k leave its jump, or put it on the one that it has come to.

    One that crosses is put on the jump, is not held there, and leaves at once.
    """
    edges, left, right = state.edges, state.left, state.right
    if left[k] < right[k]:
        _leave(state, k)
        return
    piece = left[k]
    from_left = state.x[k] - edges[piece] > edges[piece + 1] - state.x[k]
    jump = piece if from_left else piece - 1
    state.x[k] = edges[jump + 1]
    left[k], right[k] = jump, jump + 1
    if state.hitters[jump] < 0:
        state.hit_times[jump], state.hitters[jump] = t, k


@compiled
def _leave(state: State, k: int) -> None:
    jump = state.left[k]
    if state.hitters[jump] == k:
        if _together(state, k - 1):
            state.hitters[jump] = k - 1
        elif _together(state, k):
            state.hitters[jump] = k + 1
        else:
            state.hit_times[jump], state.hitters[jump] = np.inf, -1
    if _hold(state, k)[0] < 0.0:
        state.right[k] = jump
    else:
        state.left[k] = jump + 1


@compiled
def _step(state: State, h: float) -> float:
    """Fill `fresh` with the positions after a step h; return an estimate of its error."""
    x, slopes, fresh = state.x, state.slopes, state.fresh
    m = x.size
    k1, k2, k3, k4, k5, k6, k7 = (
        slopes[0], slopes[1], slopes[2], slopes[3], slopes[4], slopes[5], slopes[6],
    )  # fmt: skip
    _slopes(state, x, k1)
    for j in range(m):
        fresh[j] = x[j] + h * k1[j] / 5
    _slopes(state, fresh, k2)
    for j in range(m):
        fresh[j] = x[j] + h * (3 / 40 * k1[j] + 9 / 40 * k2[j])
    _slopes(state, fresh, k3)
    for j in range(m):
        fresh[j] = x[j] + h * (44 / 45 * k1[j] - 56 / 15 * k2[j] + 32 / 9 * k3[j])
    _slopes(state, fresh, k4)
    for j in range(m):
        fresh[j] = x[j] + h * (
            19372 / 6561 * k1[j] - 25360 / 2187 * k2[j] + 64448 / 6561 * k3[j] - 212 / 729 * k4[j]
        )
    _slopes(state, fresh, k5)
    for j in range(m):
        fresh[j] = x[j] + h * (
            9017 / 3168 * k1[j]
            - 355 / 33 * k2[j]
            + 46732 / 5247 * k3[j]
            + 49 / 176 * k4[j]
            - 5103 / 18656 * k5[j]
        )
    _slopes(state, fresh, k6)
    for j in range(m):
        fresh[j] = x[j] + h * (
            35 / 384 * k1[j]
            + 500 / 1113 * k3[j]
            + 125 / 192 * k4[j]
            - 2187 / 6784 * k5[j]
            + 11 / 84 * k6[j]
        )
    _slopes(state, fresh, k7)
    worst = 0.0
    for j in range(m):
        error = h * (
            71 / 57600 * k1[j]
            - 71 / 16695 * k3[j]
            + 71 / 1920 * k4[j]
            - 17253 / 339200 * k5[j]
            + 22 / 525 * k6[j]
            - 1 / 40 * k7[j]
        )
        if not abs(error) <= worst:
            worst = abs(error)
    return worst


@compiled
def _first_event(state: State, h: float, t: float) -> float:
    """Return the shortest step ≤ h that reaches an event; `fresh` is where it leads."""
    low, high = 0.0, h
    for _ in range(200):
        middle = (low + high) / 2
        if high - low <= 2e-16 * (t + high) or middle <= low or middle >= high:
            break
        _step(state, middle)
        if _slack(state, state.fresh)[0] < 0.0:
            high = middle
        else:
            low = middle
    _step(state, high)
    return high
