"""Generalized linear models: y = channel(A X), solved by generalized approximate message passing.

A of m × n independent entries N(0, 1/n), δ = m/n.  Two vertices, and a hidden column that only the
analysis sees:

    x → y :  (X, x̂_k),  x̂_k = E[X | Λ_k, B = x_(y→x)],      y → x :  g(y(z), ω, V_k),

where x_(x→y) = (z, ω).  The algorithm never reads z = A X or X: it gets y.  The limit is
B = Λ_k X + √Λ_k Z, and by Bayes' rule one number is enough,

    V_k = mmse(Λ_k),    Λ_{k+1} = δ E g(y, ω, V_k)²,    ω ~ N(0, E X² − V_k).

Source: arXiv:2109.11905, the graph with two vertices; generalized approximate message passing is
Rangan's, and its limit is derived here again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.amp.data import Side
from inthelimit.amp.functions import separable
from inthelimit.amp.graph import AMPGraph, EdgeLike, OrientedEdge
from inthelimit.amp.iteration import AMPRun
from inthelimit.amp.models._common import held, image, on_turn, squared_errors, visible_slope
from inthelimit.amp.models.channels import Channel
from inthelimit.amp.models.priors import Prior, gaussian_law
from inthelimit.amp.state_evolution import StateEvolution

FORWARD, BACKWARD = OrientedEdge("x", "y"), OrientedEdge("y", "x")


@dataclass(frozen=True, slots=True, eq=False)
class GeneralizedLinear:
    """A planted generalized linear model, its message passing and its limit.

    Attributes
    ----------
    prior : Prior
    channel : Channel
    signal : ndarray, shape (n,)
        X.
    noise : ndarray, shape (m,)
        The standard Gaussian noise that the channel may use.
    precisions : ndarray, shape (K + 1,)
        The limit's Λ_0 = 0, …, Λ_K.
    limit_errors : ndarray, shape (K + 1,)
        V_k, the limit's mean squared errors of x̂_0, …, x̂_K.
    graph : AMPGraph
        Vertices "x", "y".  Messages of x → y are (X, x̂_k) at steps 2k, those of y → x the scores
        at steps 2k + 1; x̂ and the scores are 0 at the other steps.
    x0 : dict
        Zeros.
    n_steps : int
        2K + 1, the steps after which x̂_K is a message.
    """

    prior: Prior
    channel: Channel
    signal: Array
    noise: Array
    precisions: Array
    limit_errors: Array
    graph: AMPGraph
    x0: dict[OrientedEdge, Array]
    n_steps: int

    def observations(self, matrices: Mapping[EdgeLike, Any]) -> Array:
        """Return y for the matrix of ("x", "y")."""
        return self.channel.observe(image(matrices, FORWARD, self.signal), self.noise)

    def on_data(self, y: ArrayLike) -> AMPGraph:
        """Return the graph that is run on data: without the signal, and with y in its place.

        Messages of ("x", "y") are the x̂_k at steps 2k, from x0 = 0.
        """
        y = _checks.vector("y", y, length=self.noise.size)
        prior, channel = self.prior, self.channel
        lam, V = self.precisions, self.limit_errors
        return _two_vertices(
            self.signal.size,
            self.noise.size,
            {
                FORWARD: separable(
                    on_turn(lambda k, B: prior.posterior(held(lam, k), B)[0], first=0),
                    derivative=on_turn(lambda k, B: prior.posterior(held(lam, k), B)[1], first=0),
                ),
                BACKWARD: separable(
                    on_turn(lambda k, omega, y: channel.score(y, omega, held(V, k)), first=1),
                    derivative=on_turn(
                        lambda k, omega, y: channel.slope(y, omega, held(V, k)), first=1
                    ),
                ),
            },
            {"y": Side(y)},
        )

    def estimates(self, run: AMPRun) -> Array:
        """Return x̂_0, x̂_1, … of a run, shape (K + 1, n[, copies])."""
        messages = run.messages[FORWARD][::2]
        return messages[:, :, 1] if self.graph.columns[FORWARD] == 2 else messages

    def errors(self, run: AMPRun) -> Array:
        """Return the mean squared errors of a run, shape (K + 1[, copies])."""
        estimates = self.estimates(run)
        truth = self.signal.reshape(-1, *(1,) * (estimates.ndim - 2))
        errors: Array = ((estimates - truth) ** 2).mean(axis=1)
        return errors

    def overlaps(self, run: AMPRun) -> Array:
        """Return ⟨x̂_k, X⟩/n of a run, shape (K + 1[, copies])."""
        estimates = self.estimates(run)
        truth = self.signal.reshape(-1, *(1,) * (estimates.ndim - 2))
        overlaps: Array = (estimates * truth).mean(axis=1)
        return overlaps

    def moments_of(self, evolution: StateEvolution) -> Array:
        """Return the second moments of (X, x̂_k) by state evolution, shape (K + 1, 2, 2)."""
        # The matrix has variance 1/n, so that κ is the mean over the n rows.
        return evolution.variances(FORWARD)[::2]

    def errors_of(self, evolution: StateEvolution) -> Array:
        """Return the mean squared errors by state evolution on the graph, shape (K + 1,)."""
        return squared_errors(self.moments_of(evolution))


def generalized_linear(
    prior: Prior,
    channel: Channel,
    *,
    n: int,
    rate: float,
    n_iterations: int,
    rng: np.random.Generator,
) -> GeneralizedLinear:
    """Plant a signal behind a channel; return its message passing, Bayes-optimal, with its limit.

    Parameters
    ----------
    prior : Prior
        Of the entries of X.
    channel : Channel
        `channels.Linear`, `channels.Sign` or another object with their methods.
    n : int ≥ 1
        The number of unknowns; there are m = round(rate · n) observations.
    rate : float > 0
        δ = m/n.
    n_iterations : int ≥ 1
        K.
    rng : numpy.random.Generator
        Draws X and the noise.

    Returns
    -------
    GeneralizedLinear

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    A symmetric prior behind an even channel stays at x̂ = 0.
    Source: arXiv:2109.11905, the graph with two vertices; the hidden column is a reconstruction.

    Examples
    --------
    >>> from inthelimit.amp import run_amp
    >>> from inthelimit.amp.models import channels, priors
    >>> rng = np.random.default_rng(0)
    >>> model = generalized_linear(priors.gaussian(), channels.Sign(), n=1000, rate=2.0,
    ...                            n_iterations=6, rng=rng)
    >>> run = run_amp(model.graph, model.x0, model.n_steps, rng=rng)
    >>> bool(abs(model.errors(run)[-1] - model.limit_errors[-1]) < 0.05)
    True
    """
    n = _checks.integer("n", n, at_least=1)
    m = max(1, round(_checks.number("rate", rate, above=0.0) * n))
    K = _checks.integer("n_iterations", n_iterations, at_least=1)
    signal = prior.sample(n, rng=rng)
    noise = rng.standard_normal(m)
    lam, V = limit_recursion(prior, channel, m / n, K)

    def estimate(t: int, B: Array, X: Array) -> Array:
        X = np.broadcast_to(X, B.shape)
        k, off = divmod(t, 2)
        # The hidden column is always there, so that its product is found once.
        guess = np.zeros_like(B) if off else prior.posterior(held(lam, k), B)[0]
        return np.stack([X, guess], axis=1)

    def spread(t: int, B: Array, X: Array) -> Array:
        k, off = divmod(t, 2)
        variance = np.zeros_like(B) if off else prior.posterior(held(lam, k), B)[1]
        return visible_slope(variance)

    def of_y(method: str) -> Any:
        formula = getattr(channel, method)

        def seen(t: int, x: Array, noise: Array) -> Array:
            k, off = divmod(t - 1, 2)
            z, omega = x[:, 0], x[:, 1]
            if off or k < 0:
                return np.zeros_like(z)
            value: Array = formula(channel.observe(z, noise), omega, held(V, k))
            return value

        return seen

    graph = _two_vertices(
        n,
        m,
        {
            FORWARD: separable(estimate, derivative=spread),
            BACKWARD: separable(of_y("score"), derivative=of_y("slope")),
        },
        {"x": Side(signal, law=prior.law()), "y": Side(noise, law=gaussian_law(5))},
        columns={FORWARD: 2},
        hidden={FORWARD: [0]},
    )
    x0 = {FORWARD: np.zeros((m, 2)), BACKWARD: np.zeros(n)}
    return GeneralizedLinear(prior, channel, signal, noise, lam, V, graph, x0, 2 * K + 1)


def limit_recursion(
    prior: Prior, channel: Channel, rate: float, n_iterations: int
) -> tuple[Array, Array]:
    """Return the limit's precisions Λ_0, …, Λ_K and errors V_0, …, V_K, V_k = mmse(Λ_k).

    Parameters
    ----------
    prior : Prior
    channel : Channel
    rate : float > 0
        δ = m/n.
    n_iterations : int ≥ 0
        K.

    Returns
    -------
    precisions, errors : ndarray, shape (K + 1,)

    Notes
    -----
    About 1 ms for each iteration.
    Source: derived from the state evolution of arXiv:2109.11905 and Bayes' rule (Nishimori).

    Examples
    --------
    >>> from inthelimit.amp.models import channels, priors
    >>> limit_recursion(priors.gaussian(), channels.Linear(0.1), 2.0, 3)[1].round(4)
    array([1.    , 0.3548, 0.1853, 0.1248])
    """
    rate = _checks.number("rate", rate, above=0.0)
    K = _checks.integer("n_iterations", n_iterations, at_least=0)
    precisions, errors = [0.0], [float(prior.mmse(0.0))]
    for _ in range(K):
        overlap = max(prior.second_moment - errors[-1], 0.0)
        precisions.append(rate * channel.information(overlap, errors[-1]))
        errors.append(float(prior.mmse(precisions[-1])))
    return np.array(precisions), np.array(errors)


def _two_vertices(
    n: int, m: int, functions: dict[OrientedEdge, Any], side: dict[str, Side], **options: Any
) -> AMPGraph:
    return AMPGraph(
        {"x": n, "y": m},
        functions,
        # So that the entries have variance 1/n.
        variances={FORWARD: (n + m) / n},
        side=side,
        **options,
    )
