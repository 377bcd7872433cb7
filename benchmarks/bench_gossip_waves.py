"""Synchronous gossip on lattices against rounds done by np.roll.

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

from inthelimit.gossip import JacobiMethod, gossip_kernel, jacobi_coefficients
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
    return rows


# ---------------------------------------------------------------- kernels


def _kernel(name: str, n: int, n_timed: int, repeats: int) -> dict[str, object]:
    """Compare with `n_timed` of the n rounds by np.roll."""
    lattice, method = LATTICES[name], JacobiMethod(1.0)
    ours, peer_s, ratios = _interleaved(
        lambda: gossip_kernel(lattice, n, method),
        lambda: _rolled(NEIGHBOURS[name], n, n_timed),
        repeats,
        peer_scale=n / n_timed,
    )
    error = None
    if n_timed == n:
        expected = _rolled(NEIGHBOURS[name], n, n)
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
        f"≥ {traffic:.1f} GB/s where a copy moves {_copy_rate(n):.1f}",
    }


def _rolled(
    neighbours: tuple[tuple[int, int], ...], n: int, n_rounds: int, alpha: float = 1.0
) -> np.ndarray:
    """Do the first rounds of n, on the box that n need."""
    coefficients = jacobi_coefficients(n, alpha)
    before, now = np.zeros((2 * n + 1, 2 * n + 1)), np.zeros((2 * n + 1, 2 * n + 1))
    now[n, n] = 1.0
    for k in range(n_rounds):
        mixed = sum(np.roll(now, shift, axis=(0, 1)) for shift in neighbours) / len(neighbours)
        a, b, c = coefficients.a[k], coefficients.b[k], coefficients.c[k]
        before, now = now, a * mixed + b * now - c * before
    return now


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


def _copy_rate(n: int) -> float:
    """Return the GB/s, read and written, at which NumPy copies the box of n rounds."""
    source = np.ones((2 * n + 1, 2 * n + 1))
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
