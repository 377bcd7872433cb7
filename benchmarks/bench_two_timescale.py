"""SGD, flows and best outer layers of two time-scales against what the authors' code does.

SGD.  The paper's two-time-scale setting, m = 20, with a million steps as the unit.  "NumPy, a step
at a time" is the method of the authors' published code, re-implemented in its plain form: draw x
and the noise by two calls, evaluate target and network once for the gradient in a and once more
for that in u, add both.  The target is a network too, with steps that are almost sharp.  "NumPy,
each once" is the leanest loop of the kind that we could write: everything evaluated once, by few
calls.  Its slope is that of the cubic, as is ours there; the authors' is constant.  "NumPy, 20
copies" does the lean loop on arrays of 20 copies; ours runs them on all processors.  Peers are
timed on fewer steps, and scaled.  "error" is the largest difference of positions and outer layers
after 20 000 steps on the same samples.

The paper's figure of the loss along the two-time-scale run.  Ours is the joint gradient flow, at
101 times, with exact losses.  The peer is the SGD of 1.75·10⁸ steps that the paper shows, by the
authors' method, timed on some steps and scaled; its own losses, by adaptive quadrature, are not
counted.  "error" is the largest difference of the losses of flow and SGD over the 101 times, as a
fraction of the loss at the start: the noise of SGD, and the size of its steps.  The note says what
the same SGD takes by our kernel.

Best outer layer.  The peer is dense least squares on the features at Gauss points, four for each
piece between breakpoints and the ends and middles of transitions, on which it is exact: building
the matrix and NumPy's ``lstsq``.  "error" is the largest difference of the outer layers.

Additive models.  An epoch of the ten-dimensional experiment of the appendix, n = 10⁴, against NumPy
on the array of all features; "error" is the largest difference of the positions after 20 epochs.

Runs are interleaved; the ratio is the median of the ratios of neighbours.  Compilation, done once
and cached, is not timed.
"""

from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np

from inthelimit.two_timescale import (
    PiecewiseConstant,
    additive_descent,
    additive_target,
    gradient_flow,
    optimal_outer_layer,
    sgd,
    sigmoid,
    sigmoid_derivative,
)

MILLION = 1_000_000
TARGET = PiecewiseConstant([0.2, 0.35, 0.5, 0.65, 0.8], [1.0, 5.0, 1.0, 3.0, 1.0, 5.0])
ETA, EPSILON, STEP = 4e-3, 2e-5, 1e-5
N_STEPS = 175_000_000  # τ = 0.035


def run(quick: bool = False) -> list[dict[str, object]]:
    """Return one row for each case; `quick` leaves out repetitions and the paper's full run."""
    repeats = 3 if quick else 7
    rows = [
        _sgd("NumPy, a step at a time", _authors_sgd, "box", repeats),
        _sgd("NumPy, each once", _lean_sgd, "cubic", repeats),
        _copies(repeats),
    ]
    if not quick:
        rows.append(_figure())
    rows += [_outer_layer(m, repeats) for m in ((100,) if quick else (20, 100, 1000))]
    rows.append(_additive(repeats))
    return rows


# ---------------------------------------------------------------- SGD


def _sgd(name: str, peer: Callable[..., np.ndarray], slope: str, repeats: int) -> dict[str, object]:
    n_ours, n_peer = 5 * MILLION, 20_000
    ours, peer_s, ratios = _interleaved(
        lambda: _ours(_start(), n_ours, slope),
        lambda: peer(_start(), n_peer, np.random.default_rng(0)),
        repeats,
        MILLION / n_ours,
        MILLION / n_peer,
    )
    seeds = np.random.default_rng(0).integers(2**63, size=(1, 4))
    expected = peer(_start(), n_peer, np.random.Generator(np.random.SFC64(seeds[0])))
    found = _ours(_start(), n_peer, slope)
    return {
        "solver": "sgd",
        "case": "10⁶ steps, m = 20, one copy",
        "ours_s": ours,
        "peer": name,
        "peer_s": peer_s,
        **_spread(ratios),
        "error": float(np.abs(found - expected).max()),
        "note": f"{ours * 1e3:.1f} ns a step, the peer {peer_s:.1f} µs",
    }


def _copies(repeats: int) -> dict[str, object]:
    n_ours, n_peer, copies = MILLION, 5000, 20
    starts = np.sort(np.random.default_rng(1).random((20, copies)), axis=0)
    ours, peer_s, ratios = _interleaved(
        lambda: _ours(starts, n_ours, "cubic"),
        lambda: _lean_sgd(starts, n_peer, np.random.default_rng(0)),
        repeats,
        MILLION / n_ours,
        MILLION / n_peer,
    )
    return {
        "solver": "sgd",
        "case": "10⁶ steps, m = 20, 20 copies",
        "ours_s": ours,
        "peer": "NumPy, 20 copies",
        "peer_s": peer_s,
        **_spread(ratios),
        "error": None,
        "note": f"{ours * 1e3 / copies:.1f} ns a step and copy, the peer "
        f"{peer_s * 1e3 / copies:.0f} ns",
    }


def _start() -> np.ndarray:
    return np.sort(np.random.RandomState(42).rand(20))


def _ours(u0: np.ndarray, n_steps: int, slope: str) -> np.ndarray:
    """Return the positions and, below them, the outer layer without its bias."""
    options = {"epsilon": EPSILON, "eta": ETA, "step": STEP, "derivative": slope, "record": 1}
    found = sgd(TARGET, u0, rng=np.random.default_rng(0), n_steps=n_steps, **options)
    return np.concatenate([found.positions[-1], found.outer[-1, 1:]])


def _authors_sgd(u0: np.ndarray, n_steps: int, rng: np.random.Generator) -> np.ndarray:
    u, a = np.append(-ETA / 2, u0), np.zeros(u0.size + 1)
    knots, weights = np.append(-0.5e-8, TARGET.breakpoints), np.append(1.0, TARGET.jumps)

    def rise(z: np.ndarray) -> np.ndarray:
        lower = np.minimum(np.maximum(4 * (z + 0.5) ** 3, 0), 0.5)
        return lower + np.minimum(np.maximum(0.5 - 4 * (0.5 - z) ** 3, 0), 0.5)

    def residual(x: float, noise: float) -> float:
        label = np.dot(rise((x - knots) / 1e-8), weights) + noise
        return label - np.dot(rise((x - u) / ETA), a)

    for _ in range(n_steps):
        x = rng.random()
        noise = 2 * rng.random() - 1
        by_a = -2 * residual(x, noise) * rise((x - u) / ETA)
        near = np.all([x >= u - ETA / 2, x <= u + ETA / 2], axis=0)
        by_u = 2 * residual(x, noise) * a * near / ETA
        a -= STEP * by_a
        u -= STEP * EPSILON * by_u
    return np.concatenate([u[1:], a[1:]])


def _lean_sgd(u0: np.ndarray, n_steps: int, rng: np.random.Generator) -> np.ndarray:
    u, a, bias = u0.copy(), np.zeros(u0.shape), np.zeros(u0.shape[1:])
    for _ in range(n_steps):
        x, noise = rng.random((2, *u0.shape[1:]))
        label = TARGET.values[np.searchsorted(TARGET.breakpoints, x)] + (2 * noise - 1)
        z = np.clip((x - u) / ETA, -0.5, 0.5)
        depth = 0.5 - np.abs(z)
        rise = 0.5 + np.sign(z) * (0.5 - 4 * depth**3)
        gain = 2 * STEP * (label - bias - (a * rise).sum(axis=0))
        u -= 12 * EPSILON / ETA * gain * a * depth**2
        a += gain * rise
        bias = bias + gain
    return np.concatenate([u, a])


# ---------------------------------------------------------------- the paper's figure


def _figure() -> dict[str, object]:
    times = np.linspace(0.0, 0.035, 101)

    def ours() -> np.ndarray:
        return gradient_flow(TARGET, _start(), epsilon=EPSILON, eta=ETA, times=times).losses

    n_peer = 20_000
    seconds, peer_s, ratios = _interleaved(
        ours,
        lambda: _authors_sgd(_start(), n_peer, np.random.default_rng(0)),
        7,
        1.0,
        N_STEPS / n_peer,
    )
    start = perf_counter()
    options = {"epsilon": EPSILON, "eta": ETA, "step": STEP, "n_steps": N_STEPS}
    descent = sgd(TARGET, _start(), rng=np.random.default_rng(0), **options)
    kernel_s = perf_counter() - start
    return {
        "solver": "gradient_flow",
        "case": "loss along the paper's run, τ ≤ 0.035",
        "ours_s": seconds,
        "peer": "SGD by NumPy, 1.75·10⁸ steps",
        "peer_s": peer_s,
        **_spread(ratios),
        "error": float(np.abs(ours() - descent.losses).max() / descent.losses[0]),
        "note": f"peer timed on {n_peer} steps and scaled; the same SGD in full by our kernel: "
        f"{kernel_s:.2f} s",
    }


# ---------------------------------------------------------------- best outer layer


def _outer_layer(m: int, repeats: int) -> dict[str, object]:
    # Jittered positions, so that transitions do not overlap: both problems are well posed.
    u = (np.arange(m) + np.random.default_rng(0).uniform(0.25, 0.75, m)) / m
    eta = 0.1 / m
    calls = 50
    ours, peer_s, ratios = _interleaved(
        lambda: [optimal_outer_layer(TARGET, u, eta=eta) for _ in range(calls)],
        lambda: _least_squares(u, eta),
        min(repeats, 3) if m == 1000 else repeats,
        1.0 / calls,
        1.0,
    )
    difference = optimal_outer_layer(TARGET, u, eta=eta) - _least_squares(u, eta)
    return {
        "solver": "optimal_outer_layer",
        "case": f"m = {m}",
        "ours_s": ours,
        "peer": "NumPy lstsq at Gauss points",
        "peer_s": peer_s,
        **_spread(ratios),
        "error": float(np.abs(difference).max()),
        "note": "no transitions overlap",
    }


def _least_squares(u: np.ndarray, eta: float) -> np.ndarray:
    ends = np.concatenate([[0.0, 1.0], TARGET.breakpoints, u - eta / 2, u, u + eta / 2])
    ends = np.unique(np.clip(ends, 0.0, 1.0))
    nodes, weights = np.polynomial.legendre.leggauss(4)
    x = (ends[:-1, None] + np.diff(ends)[:, None] * (nodes + 1) / 2).ravel()
    root = np.sqrt(np.diff(ends)[:, None] * weights / 2).ravel()
    features = np.column_stack([np.ones_like(x), sigmoid((x[:, None] - u) / eta)])
    return np.linalg.lstsq(features * root[:, None], TARGET(x) * root, rcond=None)[0]


# ---------------------------------------------------------------- additive models


def _additive(repeats: int) -> dict[str, object]:
    rng = np.random.default_rng(0)
    x = rng.random((10_000, 10))
    data = x, additive_target(x), 3 * rng.random((10, 10)), rng.random((10, 10))

    def ours(n_epochs: int) -> np.ndarray:
        return additive_descent(*data, epsilon=0.01, n_epochs=n_epochs, record=1).positions[-1]

    ours_s, peer_s, ratios = _interleaved(
        lambda: ours(200), lambda: _dense_epochs(*data, 2), min(repeats, 3), 1 / 200, 1 / 2
    )
    return {
        "solver": "additive_descent",
        "case": "an epoch, n = 10⁴, d = 10, m = 10",
        "ours_s": ours_s,
        "peer": "NumPy, all features",
        "peer_s": peer_s,
        **_spread(ratios),
        "error": float(np.abs(ours(20) - _dense_epochs(*data, 20)).max()),
        "note": "one copy, one processor; the points' sorting, done once, is in the 200 epochs",
    }


def _dense_epochs(
    x: np.ndarray, y: np.ndarray, a: np.ndarray, u: np.ndarray, n_epochs: int
) -> np.ndarray:
    for _ in range(n_epochs):
        z = (x[:, None, :] - u) / 0.01
        rise, slope = sigmoid(z), sigmoid_derivative(z)
        residual = np.einsum("ijk,jk->i", rise, a) - y
        direction = residual / (y.size * np.linalg.norm(residual))
        by_a = np.einsum("i,ijk->jk", direction, rise)
        by_u = -a / 0.01 * np.einsum("i,ijk->jk", direction, slope)
        a, u = a - by_a, u - 0.01 * by_u
    return u


# ---------------------------------------------------------------- clocks


def _interleaved(
    ours: Callable[[], object],
    peer: Callable[[], object],
    repeats: int,
    our_scale: float,
    peer_scale: float,
) -> tuple[float, float, list[float]]:
    """Return the median seconds of both, scaled, and the ratios of neighbours."""
    ours()
    times = []
    for _ in range(repeats):
        start = perf_counter()
        ours()
        middle = perf_counter()
        peer()
        times.append(((middle - start) * our_scale, (perf_counter() - middle) * peer_scale))
    ratios = [b / a for a, b in times]
    return median(a for a, _ in times), median(b for _, b in times), ratios


def _spread(ratios: list[float]) -> dict[str, float]:
    return {"ratio": median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios)}


if __name__ == "__main__":
    columns = ("case", "peer", "ours_s", "peer_s", "ratio", "ratio_min", "ratio_max", "error")
    columns += ("note",)
    print(" | ".join(columns))
    for row in run():
        print(" | ".join(f"{v:.3g}" if isinstance(v := row[c], float) else str(v) for c in columns))
