"""When each degree is learned: crossings of the mean-field residuals.

The half-learning time of degree l is the first t with |ρ_l(t)| ≤ ½ |φ_l|; the canonical order of
arXiv:2303.00055 says that it grows like ε^(1/(2l)), and the width of the transition like
ε^(1/(l+1)).
"""

import numpy as np
from scipy.optimize import brentq

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.single_index.mean_field import MeanFieldFlow


def stage_times(flow: MeanFieldFlow, *, fraction: float = 0.5) -> Array:
    """Return the first times at which each degree's residual is down to a fraction of the target.

    Parameters
    ----------
    flow : MeanFieldFlow
        A trajectory: its own steps are searched, whatever times it was asked for.
    fraction : float in (0, 1)
        Of |φ_l|.

    Returns
    -------
    ndarray, shape (K + 1,)
        The first t with |ρ_l(t)| ≤ fraction · |φ_l|; inf if there is none, 0 where φ_l = 0.

    Raises
    ------
    ValueError
        If `fraction` is not within (0, 1).

    Notes
    -----
    Within a step ρ_l is the quartic with the right values and slopes at its ends, and the right
    value halfway.  Residuals may grow again, when a later stage moves the neurons: the first
    crossing is taken.  Source: arXiv:2303.00055, the canonical learning order.

    Examples
    --------
    >>> from inthelimit.single_index import SingleIndexProblem, mean_field_flow
    >>> problem = SingleIndexProblem(phi=[1.0], sigma=[1.0])
    >>> flow = mean_field_flow(problem, [0.0], epsilon=1e-6, times=[1e-3])
    >>> (stage_times(flow) / 1e-6).round(5)  # log 2
    array([0.69315])
    """
    fraction = _checks.number("fraction", fraction, above=0.0, below=1.0)
    levels = fraction * np.abs(flow.problem.phi)
    return np.array(
        [
            0.0 if level == 0.0 else _first_crossing(flow, degree, level)
            for degree, level in enumerate(levels)
        ]
    )


def stage_widths(flow: MeanFieldFlow, *, fractions: tuple[float, float] = (0.9, 0.1)) -> Array:
    """Return how long each degree's residual takes from one fraction of the target to another.

    Parameters
    ----------
    flow : MeanFieldFlow
        A trajectory.
    fractions : (float, float)
        The fractions of |φ_l|, the larger one first.

    Returns
    -------
    ndarray, shape (K + 1,)
        inf where the smaller fraction is not reached, 0 where φ_l = 0.

    Raises
    ------
    ValueError
        If the fractions do not decrease within (0, 1).

    Notes
    -----
    Source: arXiv:2303.00055, the canonical learning order.

    Examples
    --------
    >>> from inthelimit.single_index import SingleIndexProblem, mean_field_flow
    >>> problem = SingleIndexProblem(phi=[1.0], sigma=[1.0])
    >>> flow = mean_field_flow(problem, [0.0], epsilon=1e-6, times=[1e-3])
    >>> (stage_widths(flow) / 1e-6).round(5)  # log 9
    array([2.19722])
    """
    high, low = _checks.vector("fractions", fractions, length=2)
    if not 1.0 > high > low > 0.0:
        raise ValueError(f"fractions must decrease within (0, 1), got {high:g}, {low:g}")
    ends = stage_times(flow, fraction=low)
    learned = np.isfinite(ends)
    widths = np.full(ends.size, np.inf)
    widths[learned] = ends[learned] - stage_times(flow, fraction=high)[learned]
    return widths


def _first_crossing(flow: MeanFieldFlow, degree: int, level: float) -> float:
    times, rho = flow.step_times, flow.step_residuals[:, degree]
    slopes, middles = flow.step_slopes[:, degree], flow.step_middles[:, degree]
    below = np.flatnonzero(np.abs(rho) <= level)
    if below.size == 0:
        return np.inf
    if below[0] == 0:
        return 0.0
    i = below[0] - 1
    h = times[i + 1] - times[i]

    def excess(theta: float) -> float:
        other = 1.0 - theta
        bend = (rho[i] + rho[i + 1]) / 2 + h * (slopes[i] - slopes[i + 1]) / 8
        value = (
            other**2 * (1.0 + 2.0 * theta) * rho[i]
            + theta**2 * (3.0 - 2.0 * theta) * rho[i + 1]
            + h * theta * other * (other * slopes[i] - theta * slopes[i + 1])
            + 16.0 * theta**2 * other**2 * (middles[i] - bend)
        )
        return float(abs(value) - level)

    return float(times[i] + h * brentq(excess, 0.0, 1.0, xtol=1e-14))
