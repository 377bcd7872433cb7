"""The joint flow when ε is chosen along the way, as a function of the lag of the outer layer.

The state is (a, u, t) in slow time, t the fast time with dt/dτ = 1/ε.  ε is any Python function,
so that the flow is left to SciPy.
"""

from collections.abc import Callable

import numpy as np
from scipy.integrate import solve_ivp

from inthelimit import ConvergenceError
from inthelimit._checks import Array
from inthelimit.two_timescale import _best, _sweep
from inthelimit.two_timescale.target import PiecewiseConstant


def integrate(
    target: PiecewiseConstant,
    outer: Array,
    start: Array,
    eta: float,
    epsilon: Callable[[float], float],
    times: Array,
    rtol: float,
) -> tuple[Array, Array, Array, int, str]:
    """Return positions, outer layers, fast times, evaluations and a status."""
    m, edges, values = start.size, target.edges, target.values
    largest = max(target.amplitude, float(np.abs(outer).max()))
    size = largest if largest > 0.0 else 1.0

    def velocity(tau: float, state: Array) -> Array:
        a, u = state[: m + 1], state[m + 1 : -1]
        order = np.argsort(u, kind="stable")
        u_sorted, y = u[order], _best.heights(a, order)
        pieces = _sweep.cut(u_sorted, eta, edges, values)
        gradient, lag, _, found = _best.gradient_and_lag(pieces, y, u_sorted, eta)
        if not found:
            raise ConvergenceError(
                "gradient_flow could not tell the lag of overlapping steps: try a fixed epsilon, "
                f"or eta smaller than {eta:g}"
            )
        ratio = _ratio(epsilon, lag)
        by_rank = np.cumsum(gradient[::-2])[::-1] / ratio
        result = np.empty_like(state)
        result[0] = -by_rank[0]
        result[1 + order] = -by_rank[1:]
        result[m + 1 + order] = -gradient[1::2]
        result[-1] = 1.0 / ratio
        return result

    initial = np.concatenate([outer, start, [0.0]])
    if times[-1] == 0.0:
        velocity(0.0, initial)
        return start[None].copy(), outer[None].copy(), np.zeros(1), 1, "reached time 0"
    scale = np.concatenate([np.full(m + 1, size), np.ones(m), times[-1:]])
    solution = solve_ivp(
        velocity,
        (0.0, times[-1]),
        initial,
        method="LSODA",
        t_eval=times,
        rtol=rtol,
        atol=rtol * scale,
    )
    if not solution.success:
        raise ConvergenceError(
            f"gradient_flow stopped at time {solution.t[-1] if solution.t.size else 0.0:.6g} of "
            f"{times[-1]:.6g}: {solution.message} Try rtol larger than {rtol:g}, or an epsilon "
            f"that varies more slowly with the lag"
        )
    outer_path, positions = solution.y[: m + 1].T.copy(), solution.y[m + 1 : -1].T.copy()
    status = f"reached time {times[-1]:g} with epsilon chosen along the way"
    return positions, outer_path, solution.y[-1].copy(), int(solution.nfev), status


def _ratio(epsilon: Callable[[float], float], lag: float) -> float:
    """Return ε at this lag, or say that it is none."""
    ratio = float(epsilon(max(lag, 0.0)))
    if not (np.isfinite(ratio) and ratio > 0.0):
        raise ValueError(f"epsilon must return a number > 0, got {ratio} at lag {lag:.6g}")
    return ratio
