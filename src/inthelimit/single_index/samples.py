"""Velocities of the population flow as data give them, without the equations that close it.

On n samples x ~ N(0, I_d) with y = φ(⟨u*, x⟩) + noise, the gradients in a_i and u_i of the mean of
½ (y − f(x))² move (a, s, r) at rates whose means are a′, s′ and r′ of the population flow.
Source: arXiv:2303.00055 (setting).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import _checks
from inthelimit.single_index._ascent import BatchAscent
from inthelimit.single_index.problem import SingleIndexProblem
from inthelimit.single_index.states import LARGEST, PopulationState, unit_vectors

# Batches, whose scatter gives the standard errors.
N_BATCHES = 50


@dataclass(frozen=True, slots=True, eq=False)
class SampledVelocity:
    """Velocities of (a, s, r) estimated from data.

    Attributes
    ----------
    velocity : PopulationState
        The means over the samples, of a (m,), s (m,) and r (m, m).
    standard_error : PopulationState
        Their standard errors.
    """

    velocity: PopulationState
    standard_error: PopulationState


def sampled_velocity(
    problem: SingleIndexProblem,
    a: ArrayLike,
    directions: ArrayLike,
    epsilon: float,
    *,
    n_samples: int,
    rng: np.random.Generator,
    noise: float = 0.0,
) -> SampledVelocity:
    """Return the velocities of (a, s, r) as data give them, for `population_velocity` to match.

    Parameters
    ----------
    problem : SingleIndexProblem
        Target and activation.
    a : array_like, shape (m,)
        The second layer.
    directions : array_like, shape (m, d)
        The unit vectors u_i, where u* is the first axis.
    epsilon : float
        The ratio of the clocks, in (0, 1).
    n_samples : int
        At least 1,000; rounded up to a multiple of 50.
    rng : numpy.random.Generator
        The source of randomness.
    noise : float, default 0
        The standard deviation of the Gaussian noise of y.

    Returns
    -------
    SampledVelocity

    Raises
    ------
    ValueError
        If an argument has the wrong shape or is out of range.

    Notes
    -----
    The means over 50 batches, and their standard errors, of the gradients in a_i and u_i on the
    data themselves: neither V, U nor a closed equation enters.
    Source: arXiv:2303.00055, setting.

    Examples
    --------
    >>> problem = SingleIndexProblem([0.0, 1.0], [0.0, 1.0])
    >>> sampled = sampled_velocity(
    ...     problem, [1.0], [[0.6, 0.8]], 0.1, n_samples=100_000, rng=np.random.default_rng(0)
    ... )
    >>> bool(abs(sampled.velocity.s[0] - 0.64) < 4 * sampled.standard_error.s[0] < 0.03)
    True
    """
    a = _checks.moderate("a", _checks.vector("a", a), largest=LARGEST)
    u = unit_vectors(directions, a.size, None)
    epsilon = _checks.number("epsilon", epsilon, above=0.0, below=1.0)
    n_samples = _checks.integer("n_samples", n_samples, at_least=1000)
    noise = _checks.number("noise", noise, at_least=0.0)
    rng = _checks.generator("rng", rng)
    batch = -(-n_samples // N_BATCHES)
    ascent = BatchAscent(problem, u.shape[1], a.size, batch, noise)
    batches = []
    for _ in range(N_BATCHES):
        a_ascent, u_ascent = ascent.sample(a, u, rng)
        towards = u_ascent @ u.T
        batches.append((a_ascent / epsilon, u_ascent[:, 0], towards + towards.T))
    parts = [np.array(part) for part in zip(*batches, strict=True)]
    return SampledVelocity(
        PopulationState(*(part.mean(axis=0) for part in parts)),
        PopulationState(*(part.std(axis=0, ddof=1) / np.sqrt(N_BATCHES) for part in parts)),
    )
