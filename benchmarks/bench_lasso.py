"""The exact lasso path against scikit-learn's `lars_path`, from the data to the last knot.

Both start from X and y and follow the path to its end; ours includes the product XᵀX.  The peer is
``lars_path(X, y, method="lasso", max_iter=100_000)``, else at its defaults: ``Gram=None``, so it
works from X and never forms XᵀX (``precompute="auto"`` belongs to the estimator ``LassoLars``).  In
the rows marked "from XᵀX" both are given the products, XᵀX and Xᵀy, ready made; ours includes the
check that XᵀX is positive semidefinite and Xᵀy in its range.

Runs are interleaved, ours and the peer's in turn in one process; the ratio is the median of the
ratios of neighbours.  Numba's compilation, done once and cached, is not timed.
"""

from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import lars_path

from inthelimit.lasso import LassoPath, lasso_path
from inthelimit.quadratic import Quadratic

ITERATIONS = 100_000


def run(quick: bool = False) -> list[dict[str, object]]:
    """Return one row for each case; `quick` leaves out repetitions and the largest case."""
    shapes = [(100, 200)] if quick else [(100, 200), (500, 2000)]
    cases = [("diabetes (442, 10)", *load_diabetes(return_X_y=True))]
    for n, d in shapes:
        rng = np.random.default_rng(0)
        cases.append((f"Gaussian ({n}, {d})", rng.normal(size=(n, d)), rng.normal(size=n)))
    rows = []
    for name, X, y in cases:
        repeats = 3 if quick else 9 if X.size > 10**5 else 51
        rows.append(_from_data(name, X, y, repeats))
        rows.append(_from_products(name, X, y, repeats))
    return rows


def _from_data(name: str, X: np.ndarray, y: np.ndarray, repeats: int) -> dict[str, object]:
    return _row(
        name,
        lambda: lasso_path(Quadratic.from_data(X, y)),
        lambda: lars_path(X, y, method="lasso", max_iter=ITERATIONS),
        repeats,
        n=len(y),
    )


def _from_products(name: str, X: np.ndarray, y: np.ndarray, repeats: int) -> dict[str, object]:
    M, r, n = X.T @ X, X.T @ y, len(y)
    return _row(
        f"{name} from XᵀX",
        lambda: lasso_path(Quadratic(M, r)),
        lambda: lars_path(X, y, Xy=r, Gram=M, method="lasso", max_iter=ITERATIONS),
        repeats,
        n=n,
    )


def _row(
    case: str,
    ours: Callable[[], LassoPath],
    peer: Callable[[], tuple[np.ndarray, list[int], np.ndarray]],
    repeats: int,
    n: int,
) -> dict[str, object]:
    path, (alphas, _, coefs) = ours(), peer()
    times = []
    for _ in range(repeats):
        start = perf_counter()
        ours()
        middle = perf_counter()
        peer()
        times.append((middle - start, perf_counter() - middle))
    ratios = [b / a for a, b in times]
    kept = alphas > 1e-9 * alphas[0]
    difference = path.at(1.0 / (n * alphas[kept])) - coefs[:, kept].T
    return {
        "solver": "lasso_path",
        "case": case,
        "ours_s": median(a for a, _ in times),
        "peer": "scikit-learn lars_path",
        "peer_s": median(b for _, b in times),
        "ratio": median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
        "error": float(np.abs(difference).max() / np.abs(coefs).max()),
        "note": f"{path.knots.size} knots, KKT residual {path.residual:.0e}",
    }


if __name__ == "__main__":
    columns = ("case", "ours_s", "peer_s", "ratio", "ratio_min", "ratio_max", "error", "note")
    print(" | ".join(columns))
    for row in run():
        print(" | ".join(f"{v:.3g}" if isinstance(v := row[c], float) else str(v) for c in columns))
