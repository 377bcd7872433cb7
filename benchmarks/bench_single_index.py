"""The mean-field flow of a single-index model against general ODE solvers.

The peers are SciPy's on (a, s), each with the O(N K) formula for the velocity: BDF with the dense
analytic Jacobian, and RK45.  Each runs at the loosest tolerance, by powers of ten, whose error is
no larger than ours (or than the 1e-6 that was asked for, if ours is smaller).  Errors are
max |ρ − ρ_ref| over 200 times, where max |φ| = 1; the reference is our own flow at rtol = 1e-10,
which the tests compare with closed forms and with SciPy at tight tolerances.

RK45 is held back by stability, at steps of 3.3 ε: it is run over a part of the time, which holds
all the learning, and extrapolated; the note says from where.

A ratio is peer/ours, the median over paired runs that alternate; above 1, ours is faster.
"""

from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from inthelimit.single_index import (
    MeanFieldFlow,
    SingleIndexProblem,
    mean_field_flow,
    uniform_law,
)

Array = NDArray[np.float64]
Law = tuple[Array, Array]
Row = dict[str, Any]

PROBLEM = SingleIndexProblem(phi=[1.0, 1.0, 2 / 3, 0.5], sigma=[1.0, 1.0, 1.0, 1.0])
RTOL = 1e-6
END = 1.0
OUTPUTS = 200
# RK45's part of the time: the last stage ends at 0.03, and nothing changes its steps after.
RK45_END = 0.04
DEGREES = np.arange(PROBLEM.degree + 1)


class Peer:
    """The flow on (a, s) as a reader would write it."""

    def __init__(self, law: Law, epsilon: float) -> None:
        self.atoms, self.weights = law
        self.n, self.epsilon = law[0].size, epsilon

    def forces(self, y: Array) -> tuple[Array, Array, Array]:
        """Return s^k, and the coefficients c_k = σ_k ρ_k, and ρ."""
        powers = np.vander(y[self.n :], DEGREES.size, increasing=True)
        rho = PROBLEM.phi - PROBLEM.sigma * ((self.weights * y[: self.n]) @ powers)
        return powers, PROBLEM.sigma * rho, rho

    def velocity(self, _: float, y: Array) -> Array:
        powers, c, _rho = self.forces(y)
        a, s = y[: self.n], y[self.n :]
        slope = powers[:, :-1] @ (DEGREES[1:] * c[1:])
        return np.concatenate([powers @ c / self.epsilon, a * (1 - s * s) * slope])

    def jacobian(self, _: float, y: Array) -> Array:
        n, powers, c = self.n, *self.forces(y)[:2]
        a, s, room = y[:n], y[n:], 1 - y[n:] ** 2
        slope = powers[:, :-1] @ (DEGREES[1:] * c[1:])
        bend = powers[:, :-2] @ (DEGREES[2:] * DEGREES[1:-1] * c[2:])
        V = np.zeros((2 * n, DEGREES.size))
        V[:n] = PROBLEM.sigma * powers
        V[n:, 1:] = (PROBLEM.sigma * DEGREES)[1:] * a[:, None] * powers[:, :-1]
        scale = np.concatenate([np.full(n, 1 / self.epsilon), room])
        J = -(scale[:, None] * V) @ (np.tile(self.weights, 2)[:, None] * V).T
        i = np.arange(n)
        J[i, n + i] += slope / self.epsilon
        J[n + i, i] += room * slope
        J[n + i, n + i] += a * (room * bend - 2 * s * slope)
        return J

    def solve(self, method: str, rtol: float, times: Array) -> Array:
        """Return ρ at the times, shape (T, K + 1)."""
        options = {"jac": self.jacobian} if method == "BDF" else {}
        path = solve_ivp(
            self.velocity,
            (0.0, times[-1]),
            np.concatenate([self.atoms, np.zeros(self.n)]),
            method=method,
            t_eval=times,
            rtol=rtol,
            atol=rtol * np.repeat([1.0, self.epsilon**0.5], self.n),
            first_step=1e-2 * self.epsilon,
            **options,
        )
        return np.array([self.forces(y)[2] for y in path.y.T])


def output_times(epsilon: float, end: float) -> Array:
    return np.geomspace(epsilon / 10, end, OUTPUTS)


def spaced_law(n: int) -> Law:
    """Return n equal atoms in the middles of n cells of [−1, 1]."""
    return (2 * np.arange(n) + 1) / n - 1, np.full(n, 1 / n)


def flow(law: Law, epsilon: float, times: Array, rtol: float = RTOL) -> MeanFieldFlow:
    return mean_field_flow(PROBLEM, *law, epsilon=epsilon, times=times, rtol=rtol)


def clock(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def paired(
    ours: Callable[[], object], peer: Callable[[], object], budget: float, share: float = 1.0
) -> Row:
    """Time both in turn, 3 to 15 times as the budget allows; the peer does `share` of its work.

    A pair that takes ten budgets is timed once: a ratio in the thousands needs no median.
    """
    first = clock(ours), clock(peer)
    again = 0 if sum(first) > 10 * budget else int(np.clip(budget / sum(first), 3, 15))
    pairs = [(clock(ours), clock(peer)) for _ in range(again)] or [first]
    pairs = [(a, b / share) for a, b in pairs]
    ratios = [b / a for a, b in pairs]
    return {
        "ours_s": median(a for a, _ in pairs),
        "peer_s": median(b for _, b in pairs),
        "ratio": median(ratios),
        "ratio_min": min(ratios),
        "ratio_max": max(ratios),
    }


def distance(rho: Array, reference: Array) -> float:
    return float(np.abs(rho - reference).max()) if rho.shape == reference.shape else float("inf")


def loosest(
    solve: Callable[[float], Array], reference: Array, target: float, first: int
) -> tuple[int, float]:
    """Return the least p ≥ first for which rtol = 10^−p meets the target, and its error."""
    for power in range(first, 12):
        error = distance(solve(10.0**-power), reference)
        if error <= target:
            break
    return power, error


def peer_row(n: int, method: str, end: float, budget: float, first: int) -> tuple[Row, int]:
    """Return the comparison, and the power of ten of the peer's rtol, sought from `first` on."""
    epsilon = 1e-6
    times, whole = output_times(epsilon, end), output_times(epsilon, END)
    law = uniform_law(n)
    peer = Peer(law, epsilon)
    reference = flow(law, epsilon, times, 1e-10).residuals
    error = distance(flow(law, epsilon, times).residuals, reference)
    power, peer_error = loosest(
        lambda rtol: peer.solve(method, rtol, times), reference, max(error, RTOL), first
    )
    row = {
        "solver": "mean_field_flow",
        "case": f"N={n}, ε = {epsilon:g}, t ≤ {END:g}",
        "peer": "SciPy BDF, dense analytic Jacobian" if method == "BDF" else f"SciPy {method}",
        **paired(
            lambda: flow(law, epsilon, whole),
            lambda: peer.solve(method, 10.0**-power, times),
            budget,
            end / END,
        ),
        "error": error,
        "peer_error": peer_error,
        "note": f"rtol 1e-{power:02}" + (f", extrapolated from t ≤ {end:g}" if end < END else ""),
    }
    return row, power


def peer_rows(quick: bool) -> list[Row]:
    """Return the rows of both peers; what is too loose for a few neurons is so for many."""
    rows = []
    for method, end, sizes in (("BDF", END, (50, 200, 1000)), ("RK45", RK45_END, (50, 1000))):
        power = 3
        if not quick or method == "BDF":
            for n in sizes[:1] if quick else sizes:
                row, power = peer_row(n, method, end, 1 if quick else 6, power)
                rows.append(row)
    return rows


def growth_rows(quick: bool) -> list[Row]:
    budget, rows, times = 1 if quick else 6, [], output_times(1e-6, END)
    # At N = 16,000 the factors and stages of a step, 7 MB, have left the second-level cache.
    for large, small in ((4000, 250), (16000, 1000))[: 1 if quick else 2]:
        many, few = spaced_law(large), spaced_law(small)
        against = paired(
            lambda law=many: flow(law, 1e-6, times), lambda law=few: flow(law, 1e-6, times), budget
        )
        slope = -np.log(against["ratio"]) / np.log(large / small)
        rows.append(
            {
                "solver": "mean_field_flow",
                "case": f"linear in N: N={large}, ε = 1e-06",
                "peer": f"itself at N={small}",
                **against,
                "note": f"time grows like N^{slope:.2f}",
            }
        )
    law, small_times = uniform_law(1000), output_times(1e-16, END)
    small, usual = flow(law, 1e-16, small_times), flow(law, 1e-6, times)
    rows.append(
        {
            "solver": "mean_field_flow",
            "case": "log in 1/ε: N=1000, ε = 1e-16",
            "peer": "itself at ε = 1e-06",
            **paired(lambda: flow(law, 1e-16, small_times), lambda: flow(law, 1e-6, times), budget),
            "error": distance(small.residuals, flow(law, 1e-16, small_times, 1e-10).residuals),
            "note": f"{small.n_steps} steps against {usual.n_steps}",
        }
    )
    return rows


def run(quick: bool = False) -> list[Row]:
    """Return one row per comparison; `quick` leaves out the large and the slow."""
    return peer_rows(quick) + growth_rows(quick)


if __name__ == "__main__":
    for row in run():
        print(
            f"{row['solver']:16} {row['case']:36} {row['peer']:34} ours {row['ours_s']:8.2e} s "
            f"peer {row['peer_s']:8.2e} s ratio {row['ratio']:8.2f} "
            f"[{row['ratio_min']:.2f}, {row['ratio_max']:.2f}]  {row['note']}"
        )
