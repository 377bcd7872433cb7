"""Message passing on graphs: a step against reading its matrices, copies, sizes, and a peer.

"One pass": the time in which BLAS multiplies each matrix by one vector, the least in which it can
be read by NumPy; a step of a run, with its functions, divergences and both directions of every
edge, is compared with that, and a ratio of 0.7 means 70 % of the bandwidth.  "Plain NumPy, one copy
at a time" is the loop of a textbook: A @ m and A.T @ m for each copy, tanh and its derivative.
"VAMP" is the algorithm of the packages vampyre and tramp (whose expectation propagation it is on
this model), neither of which is on PyPI, in plain NumPy: one singular value decomposition, then
two thin products an iteration.  Both sides know the prior and the noise level; "error" is then the
relative difference of the mean squared errors reached, both by run and not by formula.

Runs are interleaved; the ratio is the median of the ratios of neighbours.  Drawing matrices is
timed by itself.  The largest run is a process of its own, whose peak memory the system tells.
"""

import subprocess
import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter, sleep

import numpy as np
from scipy.linalg import svd

from inthelimit.amp import AMPGraph, draw_matrices, run_amp, separable
from inthelimit.amp.models import channels, generalized_linear, priors

STEPS = 10
# Enough for what a run does once to be spread over its steps.
MANY = 40
# Seconds for which threads of BLAS may wait busily after a product, on processors that others need.
SPIN = 0.3
COPIES = 32
Matrices = dict[tuple[str, str], np.ndarray]


def run(quick: bool = False) -> list[dict[str, object]]:
    """Return one row for each case; `quick` shrinks them."""
    n = 1500 if quick else 6000
    repeats = 3 if quick else 9
    loop, edge = [("a", "a")], [("a", "b")]
    both = [("a", "b"), ("b", "c"), ("c", "c")]
    rows = [
        _step("loop, N = {}", {"a": n}, loop, np.float64, repeats),
        _step("loop, N = {}", {"a": n}, loop, np.float32, repeats),
        _step("edge, both ways, N = {}", {"a": n, "b": n}, edge, np.float64, repeats),
        _step("edge, both ways, N = {}", {"a": n, "b": n}, edge, np.float32, repeats),
        _step(
            "chain of three and loop, N = {}", dict.fromkeys("abc", n), both, np.float64, repeats
        ),
        _copies({"a": n}, loop, np.float64, repeats),
        _copies({"a": n}, loop, np.float32, repeats),
        _copies({"a": n, "b": n}, edge, np.float64, repeats),
        _copies({"a": n, "b": n}, edge, np.float32, repeats),
        _draw("loop", {"a": n}, loop, repeats),
        _draw("edge", {"a": n, "b": n}, edge, repeats),
        _against_vamp(n // 3, 3 if quick else 5),
    ]
    if not quick:
        rows += [_large("float64"), _large("float32")]
    return rows


def _graph(dimensions: dict[str, int], edges: list[tuple[str, str]]) -> AMPGraph:
    """Return a graph whose functions read the reverse edge."""
    f = separable(
        lambda t, x: np.tanh(1.5 * x + 0.5),
        derivative=lambda t, x: 1.5 / np.cosh(1.5 * x + 0.5) ** 2,
    )
    return AMPGraph(dimensions, {e: f for v, w in edges for e in ((v, w), (w, v))})


def _starts(graph: AMPGraph, copies: int) -> dict[tuple, np.ndarray]:
    rng = np.random.default_rng(1)
    shape = (copies,) if copies > 1 else ()
    return {e: rng.normal(size=(graph.dimensions[e.end], *shape)) for e in graph.edges}


def _step(
    case: str, dimensions: dict[str, int], edges: list[tuple[str, str]], dtype: type, repeats: int
) -> dict[str, object]:
    graph = _graph(dimensions, edges)
    A = draw_matrices(graph, rng=np.random.default_rng(0), dtype=dtype)
    x0 = _starts(graph, 1)
    vectors = {e: np.ones(M.shape[1], dtype=dtype) for e, M in A.items()}

    def ours() -> float:
        sleep(SPIN)
        start = perf_counter()
        run_amp(graph, x0, MANY, matrices=A, dtype=dtype)
        return (perf_counter() - start) / MANY

    def reading() -> float:
        start = perf_counter()
        for _ in range(STEPS):
            for e, M in A.items():
                M @ vectors[e]
        return (perf_counter() - start) / STEPS

    size = sum(M.nbytes for M in A.values()) / 1e9
    row = _row(case.format(graph.size), dtype, "one pass over the matrices", ours, reading, repeats)
    row["note"] = f"a step; {size / row['ours_s']:.0f} GB/s of matrices, {size:.2f} GB"
    return row


def _copies(
    dimensions: dict[str, int], edges: list[tuple[str, str]], dtype: type, repeats: int
) -> dict[str, object]:
    graph = _graph(dimensions, edges)
    A = draw_matrices(graph, rng=np.random.default_rng(0))
    ((e, M),) = A.items()
    x0 = _starts(graph, COPIES)
    batch = {key: value.astype(dtype) for key, value in A.items()}

    def ours() -> float:
        start = perf_counter()
        run_amp(graph, x0, STEPS, matrices=batch, n_copies=COPIES, dtype=dtype)
        return perf_counter() - start

    def plain() -> float:
        # Two of the copies tell the time of all.
        start = perf_counter()
        for c in range(2):
            _plain_run(M, {d: x0[d][:, c] for d in graph.edges}, e, graph.size)
        return (perf_counter() - start) * COPIES / 2

    name = f"{COPIES} copies, {'loop' if e.is_loop else 'edge, both ways'}, N = {graph.size}"
    row = _row(name, dtype, "plain NumPy, one copy at a time, float64", ours, plain, repeats)

    last = run_amp(graph, x0, STEPS, matrices=batch, n_copies=COPIES, dtype=dtype).iterates[e][-1]
    other = _plain_run(M, {d: x0[d][:, 0] for d in graph.edges}, e, graph.size)
    row["error"] = float(np.linalg.norm(last[:, 0] - other) / np.linalg.norm(other))
    single = _alone(graph, x0, batch, dtype)
    row["note"] = f"{STEPS} steps; {single / row['ours_s']:.1f} × run_amp, one copy at a time"
    return row


def _plain_run(A: np.ndarray, x: dict, e: tuple, N: int) -> np.ndarray:
    """Run one copy as a textbook has it."""
    old, pair = {}, {e: A, e.reverse: A.T}
    for t in range(STEPS):
        u = {d: 1.5 * x[d.reverse] + 0.5 for d in pair}
        m = {d: np.tanh(u[d]) for d in pair}
        b = {d: np.sum(1.5 / np.cosh(u[d]) ** 2) / N for d in pair}
        x = {d: pair[d] @ m[d] - (b[d] * old[d.reverse] if t else 0.0) for d in pair}
        old = m
    return x[e]


def _alone(graph: AMPGraph, x0: dict, A: Matrices, dtype: type) -> float:
    times = []
    for c in range(3):
        start = perf_counter()
        run_amp(graph, {d: x[:, c] for d, x in x0.items()}, STEPS, matrices=A, dtype=dtype)
        times.append(perf_counter() - start)
    return COPIES * median(times)


def _draw(
    name: str, dimensions: dict[str, int], edges: list[tuple[str, str]], repeats: int
) -> dict[str, object]:
    graph, rng = _graph(dimensions, edges), np.random.default_rng(0)
    n = dimensions["a"]

    def ours() -> float:
        start = perf_counter()
        draw_matrices(graph, rng=rng)
        return perf_counter() - start

    def plain() -> float:
        start = perf_counter()
        G = rng.normal(size=(n, n)) / np.sqrt(graph.size)
        if len(dimensions) == 1:
            (G + G.T) / np.sqrt(2.0)
        return perf_counter() - start

    case = f"drawing the matrix of a{'n' * (name == 'edge')} {name}, {n} × {n}"
    row = _row(case, np.float64, "rng.normal, in one go", ours, plain, min(repeats, 5))
    row["solver"] = "draw_matrices"
    return row


def _against_vamp(n: int, repeats: int) -> dict[str, object]:
    """Time sparse regression, Bernoulli–Gauss with 10 % nonzero, half as many data as unknowns."""
    rng, noise, density, iterations = np.random.default_rng(2), 1e-2, 0.1, 25
    model = generalized_linear(
        priors.bernoulli_gauss(density),
        channels.Linear(noise),
        n=n,
        rate=0.5,
        n_iterations=iterations,
        rng=rng,
    )
    A = draw_matrices(model.graph, rng=rng)
    y = model.observations(A)
    data = model.on_data(y)
    x0 = {e: np.zeros(data.dimensions[e.end]) for e in data.edges}
    estimates = {}

    def ours() -> float:
        start = perf_counter()
        estimates["ours"] = run_amp(data, x0, model.n_steps, matrices=A).messages["x", "y"][-1]
        return perf_counter() - start

    def vamp() -> float:
        start = perf_counter()
        estimates["peer"] = _vamp(A["x", "y"], y, noise, model.prior.posterior, iterations)
        return perf_counter() - start

    case = f"sparse regression, {y.size} × {n}, {iterations} iterations"
    row = _row(case, np.float64, "VAMP, plain NumPy", ours, vamp, repeats)
    mse = {k: np.mean((x - model.signal) ** 2) for k, x in estimates.items()}
    row["error"] = float(abs(mse["ours"] / mse["peer"] - 1.0))
    row["note"] = f"mean squared errors {mse['ours']:.3g} and {mse['peer']:.3g}"
    return row


def _vamp(
    A: np.ndarray, y: np.ndarray, noise: float, posterior: Callable, iterations: int
) -> np.ndarray:
    """Run vector approximate message passing: a denoiser and a linear solve exchange messages."""
    U, s, Vt = svd(A, full_matrices=False)
    n, target = A.shape[1], s * (U.T @ y) / noise
    r, precision = np.zeros(n), 1e-6
    for _ in range(iterations):
        mean, variance = posterior(precision, precision * r)
        # Damped a little at the ends, as the packages do, so that precisions stay positive.
        total = 1.0 / np.mean(variance)
        other = np.clip(total - precision, 1e-9, 1e9)
        back = (total * mean - precision * r) / other
        shrink = 1.0 / (s * s / noise + other)
        guess = back + Vt.T @ (shrink * (target + other * (Vt @ back)) - Vt @ back)
        spread = (np.sum(shrink) + (n - s.size) / other) / n
        precision = np.clip(1.0 / spread - other, 1e-9, 1e9)
        r = (guess / spread - other * back) / precision
    return mean


def _row(
    case: str,
    dtype: type,
    peer_name: str,
    ours: Callable[[], float],
    peer: Callable[[], float],
    repeats: int,
) -> dict[str, object]:
    ours()
    peer()
    times = [(ours(), peer()) for _ in range(repeats)]
    ratios = [b / a for a, b in times]
    return {
        "solver": "run_amp",
        "case": f"{case}, {np.dtype(dtype)}",
        "ours_s": median(a for a, _ in times),
        "peer": peer_name,
        "peer_s": median(b for _, b in times),
        "ratio": median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "error": None,
        "note": "",
    }


# ---------------------------------------------------------------- a run in a process of its own

LARGE = """
import resource, sys
from time import perf_counter, sleep
import numpy as np
from inthelimit.amp import draw_matrices, run_amp
from inthelimit.amp.models import lasso, lasso_graph, priors

n, K, dtype = 12000, 30, np.dtype(sys.argv[1])
rng = np.random.default_rng(0)
model = lasso(priors.sparse_signs(0.1), n=n, rate=2 / 3, noise_level=0.2, alpha=1.5,
              n_iterations=K, rng=rng)
start = perf_counter()
A = draw_matrices(model.graph, rng=rng, dtype=dtype)
drawn = perf_counter() - start
graph = lasso_graph(model.observations(A), n, model.thresholds)
x0 = {e: np.zeros(graph.dimensions[e.end]) for e in graph.edges}
start = perf_counter()
run = run_amp(graph, x0, model.n_steps, matrices=A, dtype=dtype)
wall = perf_counter() - start
M = A["x", "y"]
right, left = (np.ones(k, dtype=dtype) for k in M.shape[::-1])
start = perf_counter()
for _ in range(5):
    M @ right, left @ M
passes = (perf_counter() - start) / 10 * 2 * K
error = np.mean((run.messages["x", "y"][-1] - model.signal) ** 2)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(wall, passes, drawn, peak, error, model.limit_errors[-1])
"""


def _large(dtype: str) -> dict[str, object]:
    """Run the lasso's message passing on 12,000 unknowns and 8,000 data."""
    command = [sys.executable, "-c", LARGE, dtype]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    wall, passes, drawn, peak, error, limit = map(float, out.split())
    return {
        "solver": "run_amp",
        "case": f"lasso, N = 20000 (8000 × 12000), 30 iterations, {dtype}",
        "ours_s": wall,
        "peer": "one pass over the matrix for each product",
        "peer_s": passes,
        "ratio": passes / wall,
        "error": abs(error / limit - 1.0),
        "note": f"peak memory {peak:.2f} GiB, drawing {drawn:.1f} s; error: against the limit's",
    }


if __name__ == "__main__":
    columns = ("case", "ours_s", "peer_s", "ratio", "ratio_min", "ratio_max", "error", "note")
    print(" | ".join(columns))
    for row in run("--quick" in sys.argv):
        print(
            " | ".join(
                f"{v:.3g}" if isinstance(v := row.get(c), float) else str(v) for c in columns
            )
        )
