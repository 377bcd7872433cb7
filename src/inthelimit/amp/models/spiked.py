"""A spike in noise: Y = (λ/n) v vᵀ + W, W symmetric Gaussian of variance 1/n.

The loop with the posterior mean as its function,

    x^{t+1} = Y v̂_t − b_t v̂_{t−1},    v̂_t = E[v | Λ = λ² q_t, B = λ x^t],

has the limit x^t = λ q_t v + √q_t Z, where the overlap q_t = E v v̂_t = E v̂_t² follows

    q_{t+1} = E v² − mmse(λ² q_t).

A centred prior makes q = 0 a fixed point, stable up to λ E v² = 1: the start must know something.
Source: arXiv:2109.11905, the loop with a planted signal; the model is Rangan and Fletcher's and
Deshpande and Montanari's, its limit derived here again.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.amp.data import Spike
from inthelimit.amp.functions import separable
from inthelimit.amp.graph import AMPGraph, OrientedEdge
from inthelimit.amp.iteration import AMPRun
from inthelimit.amp.models._common import held
from inthelimit.amp.models.priors import Prior
from inthelimit.amp.state_evolution import StateEvolution

LOOP = OrientedEdge("v", "v")
# Overlaps below this part of the largest count as 0 when fixed points are sought.
SMALLEST = 1e-6
ROOT_TOLERANCE = 1e-14


@dataclass(frozen=True, slots=True, eq=False)
class SpikedWigner:
    """A planted spike, its message passing and its limit.

    Attributes
    ----------
    strength : float
        λ.
    signal : ndarray, shape (n,)
        v.
    limit_overlaps : ndarray, shape (T,)
        q_0, …, q_{T−1}.
    graph : AMPGraph
        One vertex "v", whose loop has the spike; its messages are the v̂_t.
    on_data : AMPGraph
        The same without the spike: give Y to `run_amp` as the matrix of ("v", "v").
    x0 : dict
        The informed start, x⁰ with λ x⁰ = Λ v + √Λ Z at the precision Λ of the start.
    n_steps : int
        T.
    """

    strength: float
    signal: Array
    limit_overlaps: Array
    graph: AMPGraph
    on_data: AMPGraph
    x0: dict[OrientedEdge, Array]
    n_steps: int

    def overlaps(self, run: AMPRun) -> Array:
        """Return ⟨v, v̂_t⟩/n of a run, shape (T,)."""
        overlaps: Array = run.messages[LOOP] @ self.signal / self.signal.size
        return overlaps

    def squares(self, run: AMPRun) -> Array:
        """Return ‖v̂_t‖²/n of a run, shape (T,): equal to the overlaps in the limit (Nishimori)."""
        squares: Array = (run.messages[LOOP] ** 2).mean(axis=1)
        return squares

    def overlaps_of(self, evolution: StateEvolution) -> Array:
        """Return E v v̂_t by state evolution on the graph, shape (T,)."""
        overlaps: Array = evolution.means[LOOP][:, 0] / self.strength
        return overlaps

    def squares_of(self, evolution: StateEvolution) -> Array:
        """Return E v̂_t² by state evolution on the graph, shape (T,)."""
        return evolution.variances(LOOP)


def spiked_wigner(
    prior: Prior,
    *,
    n: int,
    strength: float,
    n_steps: int,
    rng: np.random.Generator,
    start_precision: float = 0.01,
) -> SpikedWigner:
    """Plant a spike; return its message passing, Bayes-optimal, with its limit.

    Parameters
    ----------
    prior : Prior
        Of the entries of v.
    n : int ≥ 1
    strength : float > 0
        λ.
    n_steps : int ≥ 1
        T.
    rng : numpy.random.Generator
        Draws v and the noise of the start.
    start_precision : float > 0, default 0.01
        Λ of the observation v + Z/√Λ that makes v̂_0.

    Returns
    -------
    SpikedWigner

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    Source: arXiv:2109.11905, the loop with a planted signal.

    Examples
    --------
    >>> from inthelimit.amp import run_amp
    >>> from inthelimit.amp.models.priors import rademacher
    >>> rng = np.random.default_rng(0)
    >>> model = spiked_wigner(rademacher(), n=1000, strength=2.0, n_steps=12, rng=rng)
    >>> run = run_amp(model.graph, model.x0, model.n_steps, rng=rng)
    >>> bool(abs(model.overlaps(run)[-1] - 0.9165) < 0.03)
    True
    """
    n = _checks.integer("n", n, at_least=1)
    lam = _checks.number("strength", strength, above=0.0)
    T = _checks.integer("n_steps", n_steps, at_least=1)
    start = _checks.number("start_precision", start_precision, above=0.0)
    signal = prior.sample(n, rng=rng)
    field = start * signal + np.sqrt(start) * rng.standard_normal(n)
    q = limit_overlaps(prior, lam, T, start_precision=start)
    precisions = np.concatenate([[start], lam**2 * q])
    f = separable(
        lambda t, x: prior.posterior(held(precisions, t), lam * x)[0],
        derivative=lambda t, x: lam * prior.posterior(held(precisions, t), lam * x)[1],
    )
    return SpikedWigner(
        lam,
        signal,
        q,
        AMPGraph({"v": n}, {LOOP: f}, spikes={LOOP: Spike(lam, signal, signal)}),
        AMPGraph({"v": n}, {LOOP: f}),
        {LOOP: field / lam},
        T,
    )


def limit_overlaps(prior: Prior, strength: float, n_steps: int, *, start_precision: float) -> Array:
    """Return the limit's overlaps q_0 = E v² − mmse(Λ), q_{t+1} = E v² − mmse(λ² q_t).

    Parameters
    ----------
    prior : Prior
    strength : float > 0
        λ.
    n_steps : int ≥ 1
        T.
    start_precision : float ≥ 0
        Λ; infinity starts at v itself.

    Returns
    -------
    ndarray, shape (T,)

    Notes
    -----
    Source: derived from the state evolution of arXiv:2109.11905 and Bayes' rule (Nishimori).

    Examples
    --------
    >>> from inthelimit.amp.models.priors import rademacher
    >>> q = limit_overlaps(rademacher(), 1.5, 12, start_precision=0.01)
    >>> q[[0, 1, 2, 4, 8, 11]].round(4)
    array([0.0099, 0.0218, 0.0468, 0.1802, 0.6131, 0.6838])
    """
    lam = _checks.number("strength", strength, above=0.0)
    T = _checks.integer("n_steps", n_steps, at_least=1)
    top = prior.second_moment
    q = [top if start_precision == np.inf else top - float(prior.mmse(start_precision))]
    while len(q) < T:
        q.append(top - float(prior.mmse(lam**2 * q[-1])))
    return np.array(q)


def fixed_overlap(prior: Prior, strength: float) -> float:
    """Return the largest q with q = E v² − mmse(λ² q): what the best informed start keeps.

    Parameters
    ----------
    prior : Prior
    strength : float > 0
        λ.

    Returns
    -------
    float

    Notes
    -----
    Bisection between the nodes of a grid that is dense near 0 and 1, down to 1e-6 E v²: two fixed
    points nearer to one another than its nodes are not seen.
    Source: the state evolution of arXiv:2109.11905 for the loop with a planted signal.

    Examples
    --------
    >>> from inthelimit.amp.models.priors import rademacher
    >>> [round(fixed_overlap(rademacher(), lam), 4) for lam in (0.9, 1.1, 1.5, 2.0)]
    [0.0, 0.1917, 0.6923, 0.9165]
    """
    lam = _checks.number("strength", strength, above=0.0)
    top = prior.second_moment

    def excess(q: Array) -> Array:
        gap: Array = top - prior.mmse(lam**2 * q) - q
        return gap

    grid = top * np.union1d(np.geomspace(SMALLEST, 1.0, 200), np.linspace(0.0, 1.0, 201)[1:])
    values = excess(grid)
    if values[-1] >= 0.0:
        return top
    rising = np.flatnonzero(values > 0.0)
    if not rising.size:
        return 0.0
    last = int(rising[-1])
    return float(brentq(excess, grid[last], grid[last + 1], xtol=ROOT_TOLERANCE))
