"""A thousand continuized runs at once against a plain loop that runs them one after another.

1,000 copies, d = 100, 300 steps, convex schedule.  The peer is the iteration as one writes it for
one copy: a Python loop over the steps that draws the gap and moves NumPy vectors of length d, the
coefficients in closed form, inside a loop over the copies.  Both keep the last state only, which is
how Monte Carlo means of a thousand runs are taken.  `error` is the largest difference of the last
iterates when both are given the same jump times, relative to the largest entry.

Two gradients: h∘x, which costs next to nothing, so that the iteration itself is measured; and least
squares Aᵀ(Ax − b)/n with A of shape (200, 100), a product of matrices here and of a matrix with a
vector in the peer.  `note` sets the time beside the hardware: for h∘x beside that of one in-place
addition of two arrays of the state's size, which moves three arrays where a step moves seven (two
for the gradient, five for the jump with its mixing); for least squares beside that of the two
products alone, at the rate given, which products with one vector cannot reach.

Runs are interleaved, ours and the peer's in turn in one process; the ratio is the median of the
ratios of neighbours.  Numba's compilation, done once and cached, is not timed.
"""

from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np

from inthelimit.continuized import continuized_steps, convex_schedule

DIMENSION, COPIES, STEPS, ROWS = 100, 1000, 300, 200


def run(quick: bool = False) -> list[dict[str, object]]:
    """Return one row for each gradient; `quick` takes fewer copies and repetitions."""
    copies, repeats = (200, 1) if quick else (COPIES, 5)
    rng = np.random.default_rng(0)
    clock = rng.exponential(size=(STEPS, copies)).cumsum(axis=0)
    h = np.logspace(-4, 0, DIMENSION)
    A, b = rng.normal(size=(ROWS, DIMENSION)), rng.normal(size=ROWS)
    L = np.linalg.norm(A, 2) ** 2 / ROWS
    return [
        _row(
            "h∘x",
            lambda x: h[:, None] * x,
            lambda x: h * x,
            1.0,
            clock,
            repeats,
            _bandwidth_note,
        ),
        _row(
            f"least squares ({ROWS}, {DIMENSION})",
            lambda x: A.T @ (A @ x - b[:, None]) / ROWS,
            lambda x: A.T @ (A @ x - b) / ROWS,
            L,
            clock,
            repeats,
            lambda seconds, copies: _flops_note(A, seconds, copies),
        ),
    ]


def _row(
    case: str,
    batched: Callable[[np.ndarray], np.ndarray],
    single: Callable[[np.ndarray], np.ndarray],
    L: float,
    clock: np.ndarray,
    repeats: int,
    note: Callable[[float, int], str],
) -> dict[str, object]:
    copies = clock.shape[1]
    ours, peer = _ours(batched, L, copies, clock), _peer(single, L, copies, clock)
    _ours(batched, L, copies)
    times = []
    for _ in range(repeats):
        start = perf_counter()
        _ours(batched, L, copies)
        middle = perf_counter()
        _peer(single, L, copies)
        times.append((middle - start, perf_counter() - middle))
    ratios = [b / a for a, b in times]
    seconds = median(a for a, _ in times)
    return {
        "solver": "continuized_steps",
        "case": f"{case}, {copies} copies",
        "ours_s": seconds,
        "peer": "loop over copies",
        "peer_s": median(b for _, b in times),
        "ratio": median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "error": float(np.abs(ours - peer).max() / np.abs(peer).max()),
        "note": note(seconds, copies),
    }


def _ours(
    gradient: Callable[[np.ndarray], np.ndarray],
    L: float,
    copies: int,
    clock: np.ndarray | str = "poisson",
) -> np.ndarray:
    states = continuized_steps(
        gradient,
        np.ones(DIMENSION),
        convex_schedule(L),
        rng=np.random.default_rng(0),
        n_copies=copies,
        clock=clock,
        every=STEPS,
    )
    next(states)
    return next(states).x


def _peer(
    gradient: Callable[[np.ndarray], np.ndarray],
    L: float,
    copies: int,
    clock: np.ndarray | None = None,
) -> np.ndarray:
    rng = np.random.default_rng(0)
    last = np.empty((DIMENSION, copies))
    for copy in range(copies):
        x, z = np.ones(DIMENSION), np.ones(DIMENSION)
        previous = 0.0
        for k in range(STEPS):
            time = previous + rng.exponential() if clock is None else clock[k, copy]
            y = x + (1 - (previous / time) ** 2) * (z - x)
            g = gradient(y)
            z = z - time / (2 * L) * g
            x = y - g / L
            previous = time
        last[:, copy] = x
    return last


def _bandwidth_note(seconds: float, copies: int) -> str:
    """Compare with one in-place addition of two arrays of this size: two reads and a write."""
    x, y = np.ones((DIMENSION, copies)), np.ones((DIMENSION, copies))
    per_pass = _seconds(lambda: np.add(x, y, out=x))
    rate = 3 * x.nbytes / per_pass / 1e9
    passes = seconds / STEPS / per_pass
    return f"a step takes {passes:.1f} in-place array additions, at {rate:.0f} GB/s each"


def _flops_note(A: np.ndarray, seconds: float, copies: int) -> str:
    x = np.ones((DIMENSION, copies))
    products = _seconds(lambda: A.T @ (A @ x))
    flops = 4 * A.size * copies
    share = products * STEPS / seconds
    return f"the two products alone take {share:.0%} of it, at {flops / products / 1e9:.0f} Gflop/s"


def _seconds(call: Callable[[], object], repeats: int = 50) -> float:
    times = []
    for _ in range(repeats):
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return median(times)


if __name__ == "__main__":
    columns = ("case", "ours_s", "peer_s", "ratio", "ratio_min", "ratio_max", "error", "note")
    print(" | ".join(columns))
    for row in run():
        print(" | ".join(f"{v:.3g}" if isinstance(v := row[c], float) else str(v) for c in columns))
