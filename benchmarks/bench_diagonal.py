"""Diagonal linear networks against general ODE solvers, and their limit against plain recursions.

The flow's peers are what a reader would write: SciPy's RK45 and LSODA on (u, v), each at the
loosest tolerance, by powers of ten, whose error is no larger than ours (or than the 1e-9 that was
asked for, if ours is smaller).  Where no tolerance gets there, the peer's best run is timed and its
error shown.  A stronger peer is LSODA in the variable v = w − x, whose inverse is Wright's ω.
Errors are max |x − x_ref| / max |x_ref| over 801 times; the reference is our own flow at the
tightest tolerance, which the tests compare with closed forms and with the raw flow.

A ratio is peer/ours, the median over paired runs that alternate; above 1, ours is faster.
"""

from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.optimize import nnls
from scipy.special import wrightomega

from inthelimit.diagonal import diagonal_flow, diagonal_limit, incremental_path
from inthelimit.quadratic import Quadratic

Array = NDArray[np.float64]
Row = dict[str, Any]

RTOL = 1e-9
OUTPUTS = 801
SMALL = np.log(1e5)
# (n, d, end of s): the papers' figure, and two larger draws of its law.
SIZES = ((3, 4, 20.0), (15, 20, 20.0), (100, 200, 60.0))


def gaussian(n: int, d: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, d)), rng.standard_normal(n)


def naive(X: Array, y: Array, s: Array, L: float, method: str, rtol: float) -> Array:
    """Return x from (u, v) integrated as it stands, with an absolute tolerance below √ε."""
    d = X.shape[1]
    r = X.T @ y

    def velocity(_: float, p: Array) -> Array:
        u, v = p[:d], p[d:]
        g = X.T @ (X @ (u * v)) - r
        return -0.5 * L * np.concatenate([v * g, u * g])

    root = np.exp(-L / 2)
    start = np.concatenate([np.full(d, root), np.zeros(d)])
    path = solve_ivp(
        velocity, (0.0, s[-1]), start, method=method, t_eval=s, rtol=rtol, atol=rtol * root
    )
    p = path.y.T
    return p[:, :d] * p[:, d:]


def omega(X: Array, y: Array, s: Array, L: float, method: str, rtol: float) -> Array:
    """Return x from v± = w± − y±, where y = ω(log L − L v)/L."""
    d = X.shape[1]
    r = X.T @ y

    def sides(v: Array) -> Array:
        return wrightomega(np.log(L) - L * v).real / L

    def velocity(_: float, v: Array) -> Array:
        side = sides(v)
        g = X.T @ (X @ (side[:d] - side[d:])) - r
        return (1.0 + L * side) * np.concatenate([g, -g])

    small = 0.25 * np.exp(-L)
    start = np.full(2 * d, 1.0 + np.log(4.0) / L - small)
    path = solve_ivp(velocity, (0.0, s[-1]), start, method=method, t_eval=s, rtol=rtol, atol=rtol)
    side = sides(path.y.T)
    return side[:, :d] - side[:, d:]


def clock(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def paired(ours: Callable[[], object], peer: Callable[[], object], budget: float) -> Row:
    """Time both in turn, as often as the budget of seconds allows, between 3 and 15 times."""
    first = clock(ours) + clock(peer)
    pairs = [(clock(ours), clock(peer)) for _ in range(int(np.clip(budget / first, 3, 15)))]
    ratios = [b / a for a, b in pairs]
    return {
        "ours_s": median(a for a, _ in pairs),
        "peer_s": median(b for _, b in pairs),
        "ratio": median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
    }


def relative_error(x: Array, reference: Array) -> float:
    if x.shape != reference.shape or not np.isfinite(x).all():
        return float("inf")
    return float(np.abs(x - reference).max() / np.abs(reference).max())


def loosest(
    solve: Callable[[float], Array], reference: Array, target: float
) -> tuple[float, float, bool]:
    """Return the loosest rtol that meets the target, its error, and whether any does."""
    errors = {}
    with np.errstate(all="ignore"):
        for power in range(4, 14):
            rtol = 10.0**-power
            errors[rtol] = relative_error(solve(rtol), reference)
            if errors[rtol] <= target:
                return rtol, errors[rtol], True
    best = min(errors, key=lambda rtol: errors[rtol])
    return best, errors[best], False


def flow_rows(quick: bool) -> list[Row]:
    cases = [
        (SIZES[0], SMALL, "1e-5", ((naive, "RK45"), (naive, "LSODA"), (omega, "LSODA"))),
        (SIZES[0], np.log(1e100), "1e-100", ((naive, "RK45"), (naive, "LSODA"), (omega, "LSODA"))),
        (SIZES[0], 1e4, "e^-10000", ((omega, "LSODA"),)),
        (SIZES[1], SMALL, "1e-5", ((naive, "RK45"), (naive, "LSODA"), (omega, "LSODA"))),
        (SIZES[1], np.log(1e100), "1e-100", ((naive, "LSODA"), (omega, "LSODA"))),
        (SIZES[2], SMALL, "1e-5", ((naive, "RK45"), (naive, "LSODA"), (omega, "LSODA"))),
    ]
    rows = []
    for (n, d, end), L, epsilon, peers in cases[:3] if quick else cases:
        X, y = gaussian(n, d)
        problem = Quadratic.from_data(X, y)
        s = np.linspace(0.0, end, OUTPUTS)
        reference = diagonal_flow(problem, s, log_inverse_epsilon=L, rtol=1e-12).x

        def ours(problem=problem, s=s, L=L):  # type: ignore[no-untyped-def]
            return diagonal_flow(problem, s, log_inverse_epsilon=L, rtol=RTOL).x

        error = relative_error(ours(), reference)
        for family, method in peers:

            def solve(rtol, family=family, method=method, X=X, y=y, s=s, L=L):  # type: ignore[no-untyped-def]
                return family(X, y, s, L, method, rtol)

            rtol, peer_error, met = loosest(solve, reference, max(error, RTOL))
            where = "(u, v)" if family is naive else "w − x"
            with np.errstate(all="ignore"):
                times = paired(ours, lambda solve=solve, rtol=rtol: solve(rtol), 1 if quick else 6)
            rows.append(
                {
                    "solver": "diagonal_flow",
                    "case": f"n={n}, d={d}, s ≤ {end:g}, ε = {epsilon}",
                    "peer": f"SciPy {method} on {where}",
                    **times,
                    "error": error,
                    "peer_error": peer_error,
                    "note": f"rtol {rtol:.0e}" if met else f"cannot: stops at {peer_error:.0e}",
                }
            )
    return rows


def flatness_rows(quick: bool) -> list[Row]:
    rows = []
    for n, d, end in SIZES[:2] if quick else SIZES:
        problem = Quadratic.from_data(*gaussian(n, d))
        s = np.linspace(0.0, end, OUTPUTS)
        runs, errors = {}, {}
        for L in (SMALL, np.log(1e100), 1e4):
            runs[L] = lambda L=L, problem=problem, s=s: diagonal_flow(
                problem, s, log_inverse_epsilon=L, rtol=RTOL
            )
            reference = diagonal_flow(problem, s, log_inverse_epsilon=L, rtol=1e-12).x
            errors[L] = relative_error(runs[L]().x, reference)
        for L, epsilon in ((np.log(1e100), "1e-100"), (1e4, "e^-10000")):
            rows.append(
                {
                    "solver": "diagonal_flow",
                    "case": f"flat in ε: d={d}, ε = {epsilon}",
                    "peer": "itself at ε = 1e-5",
                    **paired(runs[L], runs[SMALL], 1 if quick else 6),
                    "error": errors[L],
                    "peer_error": errors[SMALL],
                    "note": f"{runs[L]().n_steps} steps against {runs[SMALL]().n_steps}",
                }
            )
    return rows


def plain_limit(X: Array, y: Array) -> tuple[Array, Array]:
    """Return knots and plateaus of the limit, with non-negative least squares anew at each knot."""
    M, r = X.T @ X, X.T @ y
    s, z, rho = 0.0, np.zeros_like(r), np.zeros_like(r)
    knots, plateaus = [], []
    while np.isfinite(s):
        tight = np.flatnonzero(np.abs(rho) >= 1 - 1e-9)
        x = np.zeros_like(r)
        if tight.size:
            q = np.sign(rho[tight])
            x[tight] = q * nnls(X[:, tight] * q, y)[0]
        slope = r - M @ x
        knots.append(s)
        plateaus.append(x)
        gaps = np.full((2, r.size), np.inf)
        for side, q in enumerate((1, -1)):
            open_ = (q * slope > 1e-9) & (q * rho < 1 - 1e-9)
            gaps[side, open_] = (1 - q * rho[open_]) / (q * slope[open_])
        h = gaps.min()
        s += h
        if np.isfinite(s):
            z += h * x
            rho = s * r - M @ z
    return np.array(knots), np.array(plateaus)


def plain_recursion(M: Array, r: Array) -> tuple[Array, Array]:
    """Return knots and plateaus of the closed form, with linear systems solved anew each time."""
    order: list[int] = []
    knots, plateaus = [0.0], [np.zeros_like(r)]
    while True:
        inner = np.linalg.solve(
            M[np.ix_(order, order)], np.stack([r[order], np.ones(len(order))], axis=1)
        )
        residual = r - M[:, order] @ inner[:, 0]
        residual[order] = 0.0
        hits = np.full_like(r, np.inf)
        on = residual > 1e-12
        hits[on] = (1 - M[:, order] @ inner[:, 1])[on] / residual[on]
        if not on.any():
            return np.array(knots), np.array(plateaus)
        order.append(int(hits.argmin()))
        x = np.zeros_like(r)
        x[order] = np.linalg.solve(M[np.ix_(order, order)], r[order])
        knots.append(float(hits.min()))
        plateaus.append(x)


def limit_rows(quick: bool) -> list[Row]:
    rows = []
    for n, d, _ in SIZES:
        X, y = gaussian(n, d)
        problem = Quadratic.from_data(X, y)
        path = diagonal_limit(problem)
        _, plateaus = plain_limit(X, y)
        rows.append(
            {
                "solver": "diagonal_limit",
                "case": f"n={n}, d={d}: {path.knots.size - 1} knots",
                "peer": "SciPy nnls anew at each knot",
                **paired(
                    lambda problem=problem: diagonal_limit(problem),
                    lambda X=X, y=y: plain_limit(X, y),
                    0.5 if quick else 2,
                ),
                "error": path.residual,
                "peer_error": relative_error(plateaus, path.plateaus),
                "note": "error: optimality; the peer's: distance to ours",
            }
        )
    for d in (20, 200):
        rng = np.random.default_rng(0)
        W = np.triu(rng.uniform(size=(d, d)) * (rng.uniform(size=(d, d)) < 0.2), k=1)
        W = W + W.T
        M = np.diag(W.sum(axis=1) + rng.uniform(0.25, 0.75, size=d)) - W
        r = rng.uniform(0.0, 1.0, size=d)
        problem = Quadratic(M, r)
        closed = incremental_path(problem)
        rows.append(
            {
                "solver": "incremental_path",
                "case": f"Stieltjes, d={d}: {closed.knots.size - 1} knots",
                "peer": "systems solved anew at each knot",
                **paired(
                    lambda problem=problem: incremental_path(problem),
                    lambda M=M, r=r: plain_recursion(M, r),
                    0.5 if quick else 2,
                ),
                "error": closed.residual,
                "peer_error": relative_error(plain_recursion(M, r)[1], closed.plateaus),
                "note": "error: optimality; the peer's: distance to ours",
            }
        )
    return rows


def run(quick: bool = False) -> list[Row]:
    """Return one row per comparison; `quick` leaves out the large and the slow."""
    return flow_rows(quick) + flatness_rows(quick) + limit_rows(quick)


if __name__ == "__main__":
    for row in run():
        print(
            f"{row['solver']:16} {row['case']:38} {row['peer']:32} ours {row['ours_s']:8.2e} s "
            f"(error {row['error']:.0e})  peer {row['peer_s']:8.2e} s (error "
            f"{row['peer_error']:.0e})  ratio {row['ratio']:7.2f} "
            f"[{row['ratio_min']:.2f}, {row['ratio_max']:.2f}]  {row['note']}"
        )
