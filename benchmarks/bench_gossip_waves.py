"""Synchronous gossip on lattices against rounds done by np.roll.

Rounds.  Both go through every round of Jacobi gossip (1, 0) on a torus in float64, as a movie does,
and keep the last.  From a Dirac ours works on the cone that the values have reached; from noise it
works on all of the torus, as the peer always does.  The notes give what ours moves through memory,
three arrays a round over the nodes it works on, beside the rate at which NumPy copies.  For the
large torus they give the memory of the run beside x⁰.

Kernels.  Both start from a Dirac on Z² and want the values after n rounds of Jacobi gossip (1, 0),
in float64.  The peer is the plain implementation: arrays over the whole box of side 2n + 1, the
neighbours summed by np.roll, one line for the recurrence.  Where n is large it does a few rounds
on the full box, and its time is scaled to n: the row says so.  All rounds cost the same, but late
ones meet denormal numbers and may cost more.  A second peer takes the same spectral route by SciPy
alone: `eval_jacobi` at the symbol on a quarter of the torus, then the same cosine transform.
"error" is the largest difference between the two kernels, relative to the largest value, where both
ran to the end.

The notes give the arithmetic done on the symbol (five operations for each round and frequency, all
in cache), and what the peer moves through memory (at the least eight arrays read or written each
round) against the rate at which NumPy copies arrays of that size: the one is limited by
arithmetic, the other by memory.

Runs are interleaved; the ratio is the median of the ratios of neighbours.  Compilation, done once
and cached, is not timed.
"""

from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np
from scipy import fft
from scipy.special import eval_jacobi

import memory
from inthelimit.gossip import (
    JacobiMethod,
    gossip_kernel,
    jacobi_coefficients,
    jacobi_gossip,
)
from inthelimit.graphs import square_lattice, triangular_lattice

NEIGHBOURS = {
    "square": ((1, 0), (-1, 0), (0, 1), (0, -1)),
    "triangular": ((1, 0), (-1, 0), (0, 1), (0, -1), (1, -1), (-1, 1)),
}
LATTICES = {"square": square_lattice(2), "triangular": triangular_lattice()}


def run(quick: bool = False) -> list[dict[str, object]]:
    """Return one row for each case; `quick` leaves out repetitions and the large boxes."""
    rows = [_kernel("square", 100, 100, 3), _against_scipy(300, 1 if quick else 3)]
    if not quick:
        rows.append(_kernel("square", 300, 300, 3))
        rows.append(_kernel("square", 1000, 6, 5))
        rows.append(_kernel("triangular", 1000, 6, 5))
    rows.append(_rounds_from_dirac(300, 300, 1 if quick else 3))
    rows.append(_rounds_from_noise(1000, 100, 10, 1 if quick else 5))
    if not quick:
        rows.append(_rounds_from_dirac(1000, 6, 3))
        rows.append(_rounds_on_large_torus(3163, 500, 3))
    return rows


# ---------------------------------------------------------------- kernels


def _kernel(name: str, n: int, n_timed: int, repeats: int) -> dict[str, object]:
    """Compare with `n_timed` of the n rounds by np.roll."""
    lattice, method = LATTICES[name], JacobiMethod(1.0)
    ours, peer_s, ratios = _interleaved(
        lambda: gossip_kernel(lattice, n, method),
        lambda: _rolled(NEIGHBOURS[name], _dirac(n), n, n_timed),
        repeats,
        peer_scale=n / n_timed,
    )
    error = None
    if n_timed == n:
        expected = _rolled(NEIGHBOURS[name], _dirac(n), n, n)
        error = float(np.abs(gossip_kernel(lattice, n, method) - expected).max() / expected.max())
    frequencies = (n + 1) * (n + 2) / 2 if name == "square" else 2 * (n + 1) ** 2
    traffic = 8 * 8 * (2 * n + 1) ** 2 * n / peer_s / 1e9
    scaled = (
        "" if n_timed == n else f"np.roll timed on {n_timed} rounds of the full box and scaled; "
    )
    return {
        "solver": "gossip_kernel",
        "case": f"{name} Z², n = {n}, box {2 * n + 1}²",
        "ours_s": ours,
        "peer": "np.roll",
        "peer_s": peer_s,
        **_spread(ratios),
        "error": error,
        "note": f"{scaled}ours ≥ {5 * n * frequencies / ours / 1e9:.0f} Gflop/s; np.roll moves "
        f"≥ {traffic:.1f} GB/s where a copy moves {_copy_rate(2 * n + 1):.1f}",
    }


def _against_scipy(n: int, repeats: int) -> dict[str, object]:
    lattice, method = square_lattice(2), JacobiMethod(1.0)
    ours, peer_s, ratios = _interleaved(
        lambda: gossip_kernel(lattice, n, method), lambda: _by_scipy(n), repeats
    )
    kernel = gossip_kernel(lattice, n, method)[n:, n:]
    return {
        "solver": "gossip_kernel",
        "case": f"square Z², n = {n}, box {2 * n + 1}²",
        "ours_s": ours,
        "peer": "SciPy, eval_jacobi and dctn",
        "peer_s": peer_s,
        **_spread(ratios),
        "error": float(np.abs(kernel - _by_scipy(n)).max() / kernel.max()),
        "note": "the peer returns a quarter of the box",
    }


def _by_scipy(n: int) -> np.ndarray:
    cosines = np.cos(np.pi * np.arange(n + 2) / (n + 1))
    symbol = (cosines[:, None] + cosines[None, :]) / 2
    values = eval_jacobi(n, 1.0, 0.0, symbol) / eval_jacobi(n, 1.0, 0.0, 1.0)
    return fft.dctn(values, type=1, norm="forward", workers=-1)[: n + 1, : n + 1]


# ---------------------------------------------------------------- rounds


def _rounds_from_dirac(n: int, n_timed: int, repeats: int) -> dict[str, object]:
    # A box that grows by one on each side a round: a third of what the whole torus would be.
    swept = sum((2 * k + 1) ** 2 for k in range(1, n + 1))
    return _rounds(
        f"Dirac on Z², {n} rounds, box {2 * n + 1}²", _dirac(n), n, n_timed, repeats, swept
    )


def _rounds_from_noise(side: int, n: int, n_timed: int, repeats: int) -> dict[str, object]:
    start = np.random.default_rng(0).normal(size=(side, side))
    return _rounds(f"noise on {side}², {n} rounds", start, n, n_timed, repeats, n * side**2)


def _rounds_on_large_torus(side: int, n: int, n_timed: int) -> dict[str, object]:
    start = np.random.default_rng(0).normal(size=(side, side))
    memory.forget_peak()
    before = memory.megabytes("VmRSS")
    jacobi_gossip(square_lattice(2), start, 2, alpha=1.0, times=[2])
    added = None if before is None else memory.megabytes("VmHWM") - before
    row = _rounds(f"noise on {side}², {n} rounds", start, n, n_timed, 1, n * side**2)
    if added is not None:
        row["note"] = f"{added:.0f} MB, x⁰ has {start.nbytes / 2**20:.0f}; {row['note']}"
    return row


def _rounds(
    case: str, start: np.ndarray, n: int, n_timed: int, repeats: int, swept: int
) -> dict[str, object]:
    """Compare with `n_timed` of the n rounds by np.roll; ours sweeps that many nodes in all."""

    def ours(n_rounds: int) -> np.ndarray:
        return jacobi_gossip(square_lattice(2), start, n_rounds, alpha=1.0, times=[n_rounds])[0]

    seconds, peer_s, ratios = _interleaved(
        lambda: ours(n),
        lambda: _rolled(NEIGHBOURS["square"], start, n, n_timed),
        repeats,
        peer_scale=n / n_timed,
    )
    expected = _rolled(NEIGHBOURS["square"], start, n, n_timed)
    scaled = "" if n_timed == n else f"np.roll timed on {n_timed} rounds and scaled; "
    return {
        "solver": "jacobi_gossip",
        "case": case,
        "ours_s": seconds,
        "peer": "np.roll",
        "peer_s": peer_s,
        **_spread(ratios),
        "error": float(np.abs(ours(n_timed) - expected).max() / np.abs(expected).max()),
        "note": f"{scaled}ours moves {3 * 8 * swept / seconds / 1e9:.1f} GB/s where a copy moves "
        f"{_copy_rate(start.shape[0]):.1f}",
    }


# ---------------------------------------------------------------- np.roll


def _dirac(n: int) -> np.ndarray:
    start = np.zeros((2 * n + 1, 2 * n + 1))
    start[n, n] = 1.0
    return start


def _rolled(
    neighbours: tuple[tuple[int, int], ...], start: np.ndarray, n: int, n_rounds: int
) -> np.ndarray:
    """Do the first rounds of n on all of the array."""
    coefficients = jacobi_coefficients(n, 1.0)
    before, now = np.zeros_like(start), start
    for k in range(n_rounds):
        mixed = sum(np.roll(now, shift, axis=(0, 1)) for shift in neighbours) / len(neighbours)
        a, b, c = coefficients.a[k], coefficients.b[k], coefficients.c[k]
        before, now = now, a * mixed + b * now - c * before
    return now


# ---------------------------------------------------------------- clocks


def _interleaved(
    ours: Callable[[], object],
    peer: Callable[[], object],
    repeats: int,
    peer_scale: float = 1.0,
) -> tuple[float, float, list[float]]:
    """Return the median seconds of both, the peer's scaled, and the ratios of neighbours."""
    ours()
    times = []
    for _ in range(repeats):
        start = perf_counter()
        ours()
        middle = perf_counter()
        peer()
        times.append((middle - start, (perf_counter() - middle) * peer_scale))
    ratios = [b / a for a, b in times]
    return median(a for a, _ in times), median(b for _, b in times), ratios


def _spread(ratios: list[float]) -> dict[str, float]:
    return {"ratio": median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios)}


def _copy_rate(side: int) -> float:
    """Return the GB/s, read and written, at which NumPy copies a square array of this side."""
    source = np.ones((side, side))
    target = np.empty_like(source)
    times = []
    for _ in range(9):
        start = perf_counter()
        np.copyto(target, source)
        times.append(perf_counter() - start)
    return 2 * source.nbytes / median(times) / 1e9


if __name__ == "__main__":
    columns = ("case", "ours_s", "peer_s", "ratio", "ratio_min", "ratio_max", "error", "note")
    print(" | ".join(columns))
    for row in run():
        print(" | ".join(f"{v:.3g}" if isinstance(v := row[c], float) else str(v) for c in columns))
