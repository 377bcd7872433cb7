"""A spike with a generative prior: Y = (λ/n) v vᵀ + W with v = φ(B z), B known, z unknown.

W is symmetric of variance 1/n, B of n × k independent entries N(0, 1/k).  The graph is an edge
z – v glued to a loop at v.  The vertex v reads the loop and ω from z, and knows its generator:

    v → v :  v̂ = E[v | ω, V, B = λ x_(v→v), Λ = λ² q],    v → z :  g of the same,
    z → v :  (z, ẑ),  ẑ = E[z | Λ_z, x_(v→z)].

The limit: with q the overlap of v̂, V the error of ẑ, and averages over the layer φ,

    q' = E v² − E Var(v),    Λ_z' = (n/k) E g²,    V' = mmse(Λ_z),

all from the values of the step before.  Linearised at 0 for φ = sign and Gaussian z it grows beyond
λ_c = (1 + 4 (n/k)/π²)^(−1/2), below 1: the structure helps.

The spike depends on B, so that it cannot be planted as a fixed vector; in the analysis its part of
the iterates is its limit λ q φ(B z), where the hidden column B z is at hand.
Source: arXiv:2109.11905, the graph of a loop and an edge; the model is Aubin, Loureiro, Maillard,
Krzakala and Zdeborová's, its limit and threshold derived here again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.amp.data import Side
from inthelimit.amp.functions import EdgeFunction, separable
from inthelimit.amp.graph import AMPGraph, EdgeLike, OrientedEdge
from inthelimit.amp.iteration import AMPRun
from inthelimit.amp.models._common import held, image, squared_errors, visible_slope
from inthelimit.amp.models.layers import Layer
from inthelimit.amp.models.priors import Prior
from inthelimit.amp.state_evolution import StateEvolution

LOOP, UP, DOWN = OrientedEdge("v", "v"), OrientedEdge("z", "v"), OrientedEdge("v", "z")


@dataclass(frozen=True, slots=True, eq=False)
class GenerativeLimit:
    """The limit of a spike with a generative prior, at turns s = 0, …, T − 1.

    Attributes
    ----------
    overlaps : ndarray, shape (T,)
        q_s = E v v̂_s.
    precisions : ndarray, shape (T,)
        Λ of v̂_s: that of the start, then λ² q_{s−1}.
    latent_precisions : ndarray, shape (T + 1,)
        Λ_z of the estimates ẑ at steps 0, …, T.
    latent_errors : ndarray, shape (T + 1,)
        V, their mean squared errors.
    """

    overlaps: Array
    precisions: Array
    latent_precisions: Array
    latent_errors: Array


@dataclass(frozen=True, slots=True, eq=False)
class GenerativeSpike:
    """A planted spike with a generative prior, its message passing and its limit.

    Attributes
    ----------
    prior : Prior
    layer : Layer
        φ.
    strength : float
        λ.
    latent : ndarray, shape (k,)
        z.
    start_noise : ndarray, shape (n,)
        ζ of the start: v̂_0 is made from v + ζ/√Λ.
    limit : GenerativeLimit
    graph : AMPGraph
        Vertices "z", "v".  The message of v → v is v̂_s at step s + 1, that of z → v is (z, ẑ).
    x0 : dict
        Zeros.
    n_steps : int
        T + 1.
    """

    prior: Prior
    layer: Layer
    strength: float
    latent: Array
    start_noise: Array
    limit: GenerativeLimit
    graph: AMPGraph
    x0: dict[OrientedEdge, Array]
    n_steps: int

    def signal(self, matrices: Mapping[EdgeLike, Any]) -> Array:
        """Return v = φ(B z) for the matrix B of ("z", "v")."""
        return self.layer.forward(image(matrices, UP, self.latent))

    def on_data(self, start: Array) -> AMPGraph:
        """Return the graph that is run on data, from x0 = 0.

        Its matrices are Y at ("v", "v") and B at ("z", "v"); `start`, of shape (n,), is the
        observation v + ζ/√Λ that makes v̂_0.
        """
        start = _checks.vector("start", start, length=self.start_noise.size)
        lam, precisions = self.strength, self.limit.precisions

        def field(s: int, x: Array, start: Array) -> Array:
            field: Array = np.broadcast_to(precisions[0] * start, x.shape) if s == 0 else lam * x
            return field

        def at_v(name: str, factor: float = 1.0) -> Any:
            formula = _formula(self.layer, self.limit, name)
            return lambda t, x, omega, start: (
                factor * formula(t - 1, omega, field(t - 1, x, start))
                if t > 0
                else np.zeros_like(x)
            )

        prior, Lz = self.prior, self.limit.latent_precisions
        reads = [LOOP, UP]
        return _graph(
            self.start_noise.size,
            self.latent.size,
            separable(at_v("estimate"), reads=reads, derivative=at_v("spread", lam)),
            separable(
                lambda t, x: prior.posterior(held(Lz, t), x)[0],
                derivative=lambda t, x: prior.posterior(held(Lz, t), x)[1],
            ),
            separable(at_v("score"), reads=reads, derivative=at_v("slope")),
            {"v": Side(start)},
        )

    def overlaps(self, run: AMPRun) -> Array:
        """Return ⟨v, v̂_s⟩/n of a run of `graph`, shape (T,)."""
        v = self.layer.forward(run.iterates[UP][1][:, 0])
        overlaps: Array = run.messages[LOOP][1:] @ v / v.size
        return overlaps

    def squares(self, run: AMPRun) -> Array:
        """Return ‖v̂_s‖²/n of a run, shape (T,): equal to the overlaps in the limit (Nishimori)."""
        squares: Array = (run.messages[LOOP][1:] ** 2).mean(axis=1)
        return squares

    def squares_of(self, evolution: StateEvolution) -> Array:
        """Return E v̂_s² by state evolution on the graph, shape (T,)."""
        return evolution.variances(LOOP)[1:]

    def latent_errors_of(self, evolution: StateEvolution) -> Array:
        """Return the mean squared errors of ẑ by state evolution on the graph, shape (T + 1,)."""
        return squared_errors(evolution.variances(UP))


def generative_spike(
    prior: Prior,
    layer: Layer,
    *,
    n: int,
    ratio: float,
    strength: float,
    n_estimates: int,
    rng: np.random.Generator,
    start_precision: float = 0.01,
) -> GenerativeSpike:
    """Plant a spike made by a generator; return its message passing with its limit.

    Parameters
    ----------
    prior : Prior
        Of the entries of z.
    layer : Layer
        φ, for instance `layers.SignLayer()`.
    n : int ≥ 1
        The dimension of v.
    ratio : float > 0
        k/n, for z of dimension k.
    strength : float > 0
        λ.
    n_estimates : int ≥ 1
        T, the number of estimates v̂_0, …, v̂_{T−1}.
    rng : numpy.random.Generator
        Draws z and the noise of the start.
    start_precision : float > 0, default 0.01
        Λ of the observation v + ζ/√Λ that makes v̂_0.

    Returns
    -------
    GenerativeSpike

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    State evolution on this graph reads three Gaussians at "v": simulate it, method="monte-carlo".
    Source: arXiv:2109.11905, the graph of a loop and an edge; hidden columns and the mean along
    φ(B z) are a reconstruction.

    Examples
    --------
    >>> from inthelimit.amp import run_amp
    >>> from inthelimit.amp.models import priors
    >>> from inthelimit.amp.models.layers import SignLayer
    >>> rng = np.random.default_rng(0)
    >>> model = generative_spike(priors.gaussian(), SignLayer(), n=1500, ratio=0.5, strength=1.5,
    ...                          n_estimates=10, rng=rng)
    >>> run = run_amp(model.graph, model.x0, model.n_steps, rng=rng)
    >>> bool(abs(model.overlaps(run)[-1] - model.limit.overlaps[-1]) < 0.05)
    True
    """
    n = _checks.integer("n", n, at_least=1)
    k = max(1, round(_checks.number("ratio", ratio, above=0.0) * n))
    latent = prior.sample(k, rng=rng)
    noise = rng.standard_normal(n)
    limit = generative_limit(
        prior,
        layer,
        ratio=k / n,
        strength=strength,
        n_estimates=n_estimates,
        start_precision=start_precision,
    )
    lam, T = float(strength), limit.overlaps.size
    precisions, Lz = limit.precisions, limit.latent_precisions

    def field(s: int, x: Array, h: Array, zeta: Array) -> Array:
        v = layer.forward(h)
        mean = precisions[0] * v if s == 0 else lam**2 * held(limit.overlaps, s - 1) * v
        known = np.sqrt(precisions[0]) * zeta if s == 0 else lam * x
        field: Array = mean + known
        return field

    def at_v(name: str, factor: float = 1.0) -> Any:
        formula = _formula(layer, limit, name)

        def message(t: int, x: Array, generator: Array, zeta: Array) -> Array:
            if t == 0:
                return np.zeros_like(x)
            h, omega = generator[:, 0], generator[:, 1]
            return factor * formula(t - 1, omega, field(t - 1, x, h, zeta))

        return message

    def at_z(t: int, x: Array, z: Array) -> Array:
        guess = prior.posterior(held(Lz, t), x)[0]
        return np.stack([np.broadcast_to(z, x.shape), guess], axis=1)

    reads = [LOOP, UP]
    graph = _graph(
        n,
        k,
        separable(at_v("estimate"), reads=reads, derivative=at_v("spread", lam)),
        separable(
            at_z, derivative=lambda t, x, z: visible_slope(prior.posterior(held(Lz, t), x)[1])
        ),
        separable(at_v("score"), reads=reads, derivative=at_v("slope")),
        {"z": Side(latent, law=prior.law()), "v": Side(noise)},
        columns={UP: 2},
        hidden={UP: [0]},
    )
    x0 = {LOOP: np.zeros(n), UP: np.zeros((n, 2)), DOWN: np.zeros(k)}
    return GenerativeSpike(prior, layer, lam, latent, noise, limit, graph, x0, T + 1)


def generative_limit(
    prior: Prior,
    layer: Layer,
    *,
    ratio: float,
    strength: float,
    n_estimates: int,
    start_precision: float = 0.01,
) -> GenerativeLimit:
    """Return the limit of a spike with a generative prior.

    Parameters
    ----------
    prior : Prior
        Of the entries of z.
    layer : Layer
        φ.
    ratio : float > 0
        k/n.
    strength : float > 0
        λ.
    n_estimates : int ≥ 1
        T.
    start_precision : float > 0, default 0.01
        Λ of the start.

    Returns
    -------
    GenerativeLimit

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    A few milliseconds for each step.
    Source: derived from the state evolution of arXiv:2109.11905 and Bayes' rule (Nishimori).

    Examples
    --------
    >>> from inthelimit.amp.models import priors
    >>> from inthelimit.amp.models.layers import SignLayer
    >>> limit = generative_limit(priors.gaussian(), SignLayer(), ratio=0.5, strength=1.0,
    ...                          n_estimates=15)
    >>> limit.overlaps[[0, 4, 9, 14]].round(3)
    array([0.01 , 0.032, 0.128, 0.286])
    """
    ratio = _checks.number("ratio", ratio, above=0.0)
    lam = _checks.number("strength", strength, above=0.0)
    T = _checks.integer("n_estimates", n_estimates, at_least=1)
    precisions = [_checks.number("start_precision", start_precision, above=0.0)]
    power = prior.second_moment
    square = layer.second_moment(power)
    latent, errors, overlaps = [0.0, 0.0], [float(prior.mmse(0.0))] * 2, []
    for s in range(T):
        spread, information = layer.averages(max(power - errors[s], 0.0), errors[s], precisions[s])
        overlaps.append(square - spread)
        precisions.append(lam**2 * overlaps[-1])
        latent.append(information / ratio)
        errors.append(float(prior.mmse(latent[-1])))
    return GenerativeLimit(
        np.array(overlaps),
        np.array(precisions[:T]),
        np.array(latent[: T + 1]),
        np.array(errors[: T + 1]),
    )


def weak_recovery(ratio: float) -> float:
    """Return the λ_c beyond which a spike sign(B z), z Gaussian, is found from almost nothing.

    Parameters
    ----------
    ratio : float > 0
        k/n.

    Returns
    -------
    float
        (1 + 4 (n/k)/π²)^(−1/2).

    Notes
    -----
    Near 0, q' = λ² q + (2/π) q_z and q_z' = (n/k) (2/π) λ² q at a fixed point grow from
    λ² (1 + (n/k) 4/π²) = 1 on.
    Source: derived here by linearising the limit; the transition is Aubin, Loureiro, Maillard,
    Krzakala and Zdeborová's.

    Examples
    --------
    >>> round(weak_recovery(0.5), 4)
    0.7432
    """
    ratio = _checks.number("ratio", ratio, above=0.0)
    return float((1.0 + 4.0 / (ratio * np.pi**2)) ** -0.5)


def _formula(
    layer: Layer, limit: GenerativeLimit, name: str
) -> Callable[[int, Array, Array], Array]:
    """Return a formula of the layer as a function of the turn, ω and B."""
    formula = getattr(layer, name)
    V, precisions = limit.latent_errors, limit.precisions

    def at_turn(s: int, omega: Array, B: Array) -> Array:
        value: Array = formula(omega, held(V, s), B, held(precisions, s))
        return value

    return at_turn


def _graph(
    n: int,
    k: int,
    loop: EdgeFunction,
    up: EdgeFunction,
    down: EdgeFunction,
    side: Mapping[str, Side],
    **options: Any,
) -> AMPGraph:
    N = n + k
    return AMPGraph(
        {"z": k, "v": n},
        {UP: up, DOWN: down, LOOP: loop},
        # So that W has variance 1/n and B has 1/k.
        variances={LOOP: N / n, UP: N / k},
        side=side,
        **options,
    )
