"""The algorithm: stochastic gradient descent on the sphere, two step sizes, fresh batches.

At every step, from B new samples x ~ N(0, I_d), y = φ(⟨u*, x⟩) + noise, with f as in `problem`,

    a_i ← a_i − (h/ε) mean[(f − y) σ(⟨u_i, x⟩)],
    u_i ← u_i − h a_i (I − u_i u_iᵀ) mean[(f − y) σ′(⟨u_i, x⟩) x],    then   u_i ← u_i/|u_i|.

The limit.  As h → 0 at time t = h · steps it is the population flow of the same m and d, from the
same start: one step moves (a, s, r) by h times its velocity on average, up to O(h²).  The noise of
the gradients turns u_i by about √(h d/B) a unit of time: it takes h d/B ≪ 1, so that some multiple
of d samples suffices.
Source: arXiv:2303.00055 (setting, and the descent of its simulations).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import ConvergenceError, _checks
from inthelimit._checks import Array
from inthelimit.single_index._ascent import BatchAscent
from inthelimit.single_index._regime import (
    exact_risk,
    remark_on_dimension,
    remark_on_neurons,
    self_risk,
)
from inthelimit.single_index.problem import SingleIndexProblem
from inthelimit.single_index.states import LARGEST, PopulationState, unit_vectors

# Steps h/ε in units of 1/U(1), and the noise h d/B, above these are worth a sentence.
LARGE_STEP = 0.2
LARGE_NOISE = 0.05
# The risk of a run never grows by this factor unless its steps are too long.
DIVERGED = 1e4


@dataclass(frozen=True, slots=True, eq=False)
class SGDRun:
    """A run of stochastic gradient descent.

    Attributes
    ----------
    problem : SingleIndexProblem
        Target and activation.
    epsilon : float
        The ratio of the step sizes of the first and the second layer.
    times : ndarray, shape (T,)
        step × (number of steps) where the run was recorded, from 0 to the end.
    a, s : ndarray, shape (T, m)
        The second layer, and the overlaps ⟨u_i, u*⟩.
    risks : ndarray, shape (T,)
        The exact population risk, noise left out.
    start : PopulationState
        (a, s, r) at time 0, from which `population_flow` is the run's limit.
    directions : ndarray, shape (m, d)
        The u_i at the end, in coordinates where u* is the first axis.
    n_samples : int
        Samples seen.
    status : str
        A sentence on the step size, and on whether m and d are large enough for the limit.
    """

    problem: SingleIndexProblem
    epsilon: float
    times: Array
    a: Array
    s: Array
    risks: Array
    start: PopulationState
    directions: Array
    n_samples: int
    status: str


def sgd(
    problem: SingleIndexProblem,
    *,
    d: int,
    m: int,
    batch: int,
    step: float,
    epsilon: float,
    n_steps: int,
    rng: np.random.Generator,
    a0: ArrayLike | None = None,
    directions: ArrayLike | None = None,
    record: int = 100,
    noise: float = 0.0,
) -> SGDRun:
    """Run stochastic gradient descent with fresh Gaussian batches.

    Parameters
    ----------
    problem : SingleIndexProblem
        Target and activation.  Its `activation` is applied to the data, or the series of `sigma`
        where it has none; in either case `population_flow` of the same problem is the limit.
    d, m, batch : int
        Dimension, neurons, samples a step; each ≥ 1.
    step : float
        h > 0, the step of the first layer; that of the second is step/epsilon.
    epsilon : float
        In (0, 1).
    n_steps : int
        ≥ 1.
    rng : numpy.random.Generator
        The source of randomness.
    a0 : array_like, shape (m,), optional
        The second layer at the start: standard Gaussian by default.
    directions : array_like, shape (m, d), optional
        The unit vectors u_i at the start, where u* is the first axis: uniform by default.
    record : int, default 100
        Steps between two records.
    noise : float, default 0
        The standard deviation of the Gaussian noise of y.

    Returns
    -------
    SGDRun

    Raises
    ------
    ValueError
        If an argument has the wrong shape or is out of range.
    ConvergenceError
        If the run diverges.

    Notes
    -----
    A step draws batch · d normals and costs 4 batch · m · d operations in two matrix products; a
    record costs O(m² d).  Source: arXiv:2303.00055, setting.

    Examples
    --------
    >>> problem = SingleIndexProblem([1.0, 1.0], [1.0, 1.0])
    >>> run = sgd(problem, d=20, m=10, batch=50, step=1e-3, epsilon=0.1, n_steps=500,
    ...           rng=np.random.default_rng(0))
    >>> run.times, bool(run.risks[-1] < run.risks[0])
    (array([0. , 0.1, 0.2, 0.3, 0.4, 0.5]), True)
    """
    d, m, batch, n_steps, record = (
        _checks.integer(name, value, at_least=1)
        for name, value in (
            ("d", d), ("m", m), ("batch", batch), ("n_steps", n_steps), ("record", record),
        )
    )  # fmt: skip
    step = _checks.number("step", step, above=0.0)
    epsilon = _checks.number("epsilon", epsilon, above=0.0, below=1.0)
    noise = _checks.number("noise", noise, at_least=0.0)
    rng = _checks.generator("rng", rng)
    a = rng.standard_normal(m) if a0 is None else _checks.vector("a0", a0, length=m)
    u = _uniform(m, d, rng) if directions is None else unit_vectors(directions, m, d)
    _checks.moderate("a0", a, largest=LARGEST)
    start = PopulationState(a.copy(), u[:, 0].copy(), _overlaps(u))
    counts = np.append(np.arange(0, n_steps, record), n_steps)
    second_layers, overlaps = np.empty((counts.size, m)), np.empty((counts.size, m))
    risks, self_risks = np.empty(counts.size), np.empty(counts.size)
    ascent = BatchAscent(problem, d, m, batch, noise)
    for i, steps in enumerate(np.diff(counts, prepend=0)):
        a, u = _descend(ascent, a, u, step, epsilon, int(steps), rng)
        second_layers[i], overlaps[i] = a, u[:, 0]
        finite = bool(np.isfinite(a).all() and np.isfinite(u).all())
        risks[i] = exact_risk(problem, a, u[:, 0], _overlaps(u)) if finite else np.inf
        if risks[i] > DIVERGED * max(risks[0], float(problem.plateaus()[0])):
            raise ConvergenceError(
                f"sgd diverged before t = {step * counts[i]:.6g}, with risk {risks[i]:.3g}: take "
                f"a step below epsilon/U(1) = {epsilon / float(problem.U(1.0)):.3g}, got "
                f"{step:g}, or batches of more than {batch} samples"
            )
        self_risks[i] = self_risk(problem, a, u[:, 0])
    times = step * counts
    for array in (times, second_layers, overlaps, risks, u, *start):
        array.flags.writeable = False
    return SGDRun(
        problem=problem,
        epsilon=epsilon,
        times=times,
        a=second_layers,
        s=overlaps,
        risks=risks,
        start=start,
        directions=u,
        n_samples=n_steps * batch,
        status=" ".join(
            [
                f"Took {n_steps} steps of {batch} samples, up to t = {times[-1]:.6g}.",
                *_remarks_on_steps(step * float(problem.U(1.0)) / epsilon, step * d / batch),
                *remark_on_dimension(start.s, epsilon),
                *remark_on_neurons(problem, self_risks, m),
            ]
        ),
    )


def _descend(
    ascent: BatchAscent,
    a: Array,
    u: Array,
    step: float,
    epsilon: float,
    n_steps: int,
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for _ in range(n_steps):
            a_ascent, u_ascent = ascent.sample(a, u, rng)
            a = a + (step / epsilon) * a_ascent
            u = u + step * u_ascent
            u /= np.linalg.norm(u, axis=1, keepdims=True)
    return a, u


def _remarks_on_steps(speed: float, noise: float) -> list[str]:
    remarks = []
    if speed > LARGE_STEP:
        remarks.append(f"The step is long: step · U(1)/ε = {speed:.3g} is not ≪ 1.")
    if noise > LARGE_NOISE:
        remarks.append(f"The gradients are noisy: step · d/batch = {noise:.3g} is not ≪ 1.")
    return remarks


def _uniform(m: int, d: int, rng: np.random.Generator) -> Array:
    u = rng.standard_normal((m, d))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    return u


def _overlaps(u: Array) -> Array:
    r: Array = u @ u.T
    np.fill_diagonal(r, 1.0)
    return r
