"""Networks of several layers: a signal seen through u_1 = φ(A_1 X), …, y = channel(A_L u_{L−1}).

A_ℓ of n_ℓ × n_{ℓ−1} independent entries N(0, 1/n_{ℓ−1}).  The graph is a chain 0 – 1 – … – L.  A
vertex inside reads ω from below and B from above, and sends

    up:  (u, û),  û = E[u | ω, V, B, Λ],        down:  g = ∂_ω log p(B | ω, V, Λ),

with V the error of the vertex below and Λ the precision that comes from above: z ~ N(ω, V), and
u = φ(z) seen through exp(B u − Λ u²/2).  The columns of truth u are hidden from the algorithm: it
gets y.  Vertex ℓ acts at steps ℓ, ℓ + 2, …, when the truth has come so far.  The limit is a
recursion for one V and one Λ per edge.

Source: arXiv:2109.11905, the chain; multi-layer message passing is Manoel, Krzakala, Mézard and
Zdeborová's, its limit derived here again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.amp.data import Side
from inthelimit.amp.functions import EdgeFunction, separable
from inthelimit.amp.graph import AMPGraph, EdgeLike, OrientedEdge
from inthelimit.amp.iteration import AMPRun
from inthelimit.amp.models._common import held, image, on_turn, squared_errors, visible_slope
from inthelimit.amp.models.channels import Channel
from inthelimit.amp.models.layers import Layer
from inthelimit.amp.models.priors import Prior, gaussian_law
from inthelimit.amp.state_evolution import StateEvolution


@dataclass(frozen=True, slots=True, eq=False)
class MultiLayer:
    """A planted network, its message passing and its limit.

    Attributes
    ----------
    prior : Prior
    layers : tuple of Layer
        φ_1, …, φ_{L−1}.
    channel : Channel
    widths : tuple of int
        n_0, …, n_L.
    signal : ndarray, shape (n_0,)
        X.
    noise : ndarray, shape (n_L,)
        The standard Gaussian noise that the channel may use.
    limit_errors : tuple of ndarray, shape (K + 1,)
        For each of the vertices 0, …, L − 1, the limit's mean squared errors of its estimates.  The
        first is without data.
    graph : AMPGraph
        Vertices 0, …, L.
    x0 : dict
        Zeros.
    n_steps : int
        2 (L − 1 + K) + 1.
    """

    prior: Prior
    layers: tuple[Layer, ...]
    channel: Channel
    widths: tuple[int, ...]
    signal: Array
    noise: Array
    limit_errors: tuple[Array, ...]
    graph: AMPGraph
    x0: dict[OrientedEdge, Array]
    n_steps: int
    _schedule: "_Schedule"

    def observations(self, matrices: Mapping[EdgeLike, Any]) -> Array:
        """Return y for the matrices of the edges (ℓ − 1, ℓ)."""
        return self.channel.observe(self._last(matrices), self.noise)

    def on_data(self, y: ArrayLike) -> AMPGraph:
        """Return the graph that is run on data, from x0 = 0: y in the place of all truth.

        Messages of (ℓ, ℓ + 1) are the estimates û, of one column.
        """
        y = _checks.vector("y", y, length=self.widths[-1])
        functions = _data_functions(self._schedule, self.prior, self.layers, self.channel)
        return _chain(self.widths, functions, {len(self.layers) + 1: Side(y)})

    def estimates(self, run: AMPRun, *, vertex: int = 0) -> Array:
        """Return the estimates û of a vertex in a run, shape (K + 1, n_vertex[, copies])."""
        messages = run.messages[OrientedEdge(vertex, vertex + 1)][self._times(vertex)]
        return messages[:, :, 1]

    def errors(self, run: AMPRun, *, vertex: int = 0) -> Array:
        """Return the mean squared errors of a vertex in a run, shape (K + 1[, copies])."""
        messages = run.messages[OrientedEdge(vertex, vertex + 1)][self._times(vertex)]
        errors: Array = ((messages[:, :, 1] - messages[:, :, 0]) ** 2).mean(axis=1)
        return errors

    def moments_of(self, evolution: StateEvolution, *, vertex: int = 0) -> Array:
        """Return the second moments of (u, û) by state evolution, shape (K + 1, 2, 2)."""
        return evolution.variances((vertex, vertex + 1))[self._times(vertex)]

    def errors_of(self, evolution: StateEvolution, *, vertex: int = 0) -> Array:
        """Return the mean squared errors by state evolution on the graph, shape (K + 1,)."""
        return squared_errors(self.moments_of(evolution, vertex=vertex))

    def _times(self, vertex: int) -> slice:
        """Return the steps at which the vertex acts, from the last one without data on."""
        first = vertex + 2 * (len(self.layers) - vertex)
        return slice(first, first + 2 * len(self.limit_errors[vertex]), 2)

    def _last(self, matrices: Mapping[EdgeLike, Any]) -> Array:
        """Return A_L u_{L−1}."""
        u = self.signal
        for below, layer in enumerate(self.layers):
            u = layer.forward(image(matrices, (below, below + 1), u))
        return image(matrices, (len(self.layers), len(self.layers) + 1), u)


def multilayer_network(
    prior: Prior,
    layers: Sequence[Layer],
    channel: Channel,
    *,
    widths: Sequence[int],
    n_iterations: int,
    rng: np.random.Generator,
) -> MultiLayer:
    """Plant a signal behind a network; return its message passing, Bayes-optimal, with its limit.

    Parameters
    ----------
    prior : Prior
        Of the entries of X.
    layers : sequence of Layer, length L − 1
        The layers inside, `SignLayer()` or others with its methods.
    channel : Channel
        The last layer, from `channels`.
    widths : sequence of int, length L + 1
        n_0, …, n_L.
    n_iterations : int ≥ 1
        K, the number of estimates of X that know of the data.
    rng : numpy.random.Generator
        Draws X and the noise.

    Returns
    -------
    MultiLayer

    Raises
    ------
    ValueError
        If an argument is out of range, or lengths do not fit.

    Notes
    -----
    State evolution on this graph reads three Gaussians inside: simulate it, method="monte-carlo".
    Source: arXiv:2109.11905, the chain; the hidden columns are a reconstruction.

    Examples
    --------
    >>> from inthelimit.amp import run_amp
    >>> from inthelimit.amp.models import channels, priors
    >>> from inthelimit.amp.models.layers import SignLayer
    >>> rng = np.random.default_rng(0)
    >>> model = multilayer_network(priors.gaussian(), [SignLayer()], channels.Linear(0.1),
    ...                            widths=[500, 1000, 800], n_iterations=5, rng=rng)
    >>> model.limit_errors[0].round(3)
    array([1.   , 0.634, 0.504, 0.418, 0.359, 0.32 ])
    >>> run = run_amp(model.graph, model.x0, model.n_steps, rng=rng)
    >>> bool(abs(model.errors(run)[-1] - model.limit_errors[0][-1]) < 0.1)
    True
    """
    layers = tuple(layers)
    sizes = tuple(_checks.integer("widths", n, at_least=1) for n in widths)
    if len(sizes) != len(layers) + 2:
        raise ValueError(
            f"widths must have length {len(layers) + 2}, for {len(layers)} layers inside, "
            f"got {len(sizes)}"
        )
    K = _checks.integer("n_iterations", n_iterations, at_least=1)
    signal = prior.sample(sizes[0], rng=rng)
    noise = rng.standard_normal(sizes[-1])
    last = len(layers) + 1
    n_steps = 2 * (last - 1 + K) + 1
    schedule = _Schedule.of(prior, layers, channel, sizes, n_steps)
    known = {0: Side(signal, law=prior.law()), last: Side(noise, law=gaussian_law(5))}
    graph = _chain(
        sizes,
        _planted_functions(schedule, prior, layers, channel),
        known,
        columns={(v, v + 1): 2 for v in range(last)},
        hidden={(v, v + 1): [0] for v in range(last)},
    )
    x0 = {e: np.zeros((graph.dimensions[e.end], 2)[: graph.columns[e]]) for e in graph.edges}
    errors = tuple(schedule.errors[v][last - 1 - v :][: K + 1] for v in range(last))
    return MultiLayer(
        prior, layers, channel, sizes, signal, noise, errors, graph, x0, n_steps, schedule
    )


@dataclass(frozen=True, slots=True)
class _Schedule:
    """What every vertex uses at its turns k = 0, 1, …, by vertex: lists of arrays.

    V from below, Λ from above, and the error of what the vertex sends up.
    """

    below: list[Array]
    above: list[Array]
    errors: list[Array]

    @classmethod
    def of(
        cls,
        prior: Prior,
        layers: Sequence[Layer],
        channel: Channel,
        widths: Sequence[int],
        n_steps: int,
    ) -> "_Schedule":
        """Run the limit: vertex ℓ acts at steps ℓ, ℓ + 2, …"""
        last = len(layers) + 1
        size = [prior.second_moment]
        for layer in layers:
            size.append(layer.second_moment(size[-1]))
        V, lam = np.zeros(last), np.zeros(last)
        below: list[list[float]] = [[] for _ in widths]
        above: list[list[float]] = [[] for _ in widths]
        errors: list[list[float]] = [[] for _ in widths]
        for t in range(n_steps):
            for v in range(t % 2, min(t, last) + 1, 2):
                below[v].append(V[v - 1] if v > 0 else 0.0)
                above[v].append(lam[v] if v < last else 0.0)
                overlap = max(size[v - 1] - below[v][-1], 0.0) if v > 0 else 0.0
                if v == 0:
                    V[0] = prior.mmse(lam[0])
                elif v < last:
                    V[v], information = layers[v - 1].averages(overlap, V[v - 1], lam[v])
                else:
                    information = channel.information(overlap, V[v - 1])
                if v > 0:
                    lam[v - 1] = widths[v] / widths[v - 1] * information
                if v < last:
                    errors[v].append(float(V[v]))
        return cls(*([np.array(row) for row in rows] for rows in (below, above, errors)))


def _planted_functions(
    schedule: _Schedule, prior: Prior, layers: Sequence[Layer], channel: Channel
) -> dict[EdgeLike, EdgeFunction]:
    """Return the functions that know the truth, as a hidden column on the way up."""
    last = len(layers) + 1

    def bottom(t: int, B: Array, X: Array) -> Array:
        guess = on_turn(lambda k, B: prior.posterior(held(schedule.above[0], k), B)[0], first=0)
        return np.stack([np.broadcast_to(X, B.shape), guess(t, B)], axis=1)

    def bottom_slope(t: int, B: Array, X: Array) -> Array:
        spread = on_turn(lambda k, B: prior.posterior(held(schedule.above[0], k), B)[1], first=0)
        return visible_slope(spread(t, B))

    def top(name: str) -> Any:
        formula = on_turn(_output(schedule, channel, name, last), first=last)
        return lambda t, x, noise: formula(t, x[:, 1], channel.observe(x[:, 0], noise))

    functions: dict[EdgeLike, EdgeFunction] = {
        (0, 1): separable(bottom, derivative=bottom_slope),
        (last, last - 1): separable(top("score"), derivative=top("slope")),
    }
    for v in range(1, last):
        functions |= _inside(schedule, layers[v - 1], v)
    return functions


def _inside(schedule: _Schedule, layer: Layer, v: int) -> dict[EdgeLike, EdgeFunction]:
    """Return the two functions of a vertex inside the chain."""
    formulas = {
        name: on_turn(_middle(schedule, layer, name, v), first=v)
        for name in ("estimate", "spread", "score", "slope")
    }

    def up(t: int, x: Array, B: Array) -> Array:
        return np.stack([layer.forward(x[:, 0]), formulas["estimate"](t, x[:, 1], B)], axis=1)

    reads = [(v - 1, v), (v + 1, v)]
    return {
        (v, v + 1): separable(
            up,
            reads=reads,
            derivative=lambda t, x, B: visible_slope(formulas["spread"](t, x[:, 1], B)),
        ),
        (v, v - 1): separable(
            lambda t, x, B: formulas["score"](t, x[:, 1], B),
            reads=reads,
            derivative=lambda t, x, B: formulas["slope"](t, x[:, 1], B),
        ),
    }


def _data_functions(
    schedule: _Schedule, prior: Prior, layers: Sequence[Layer], channel: Channel
) -> dict[EdgeLike, EdgeFunction]:
    """Return the functions that know of y alone."""
    last = len(layers) + 1

    def bottom(part: int) -> Any:
        return on_turn(lambda k, B: prior.posterior(held(schedule.above[0], k), B)[part], first=0)

    def top(name: str) -> Any:
        return on_turn(_output(schedule, channel, name, last), first=last)

    functions: dict[EdgeLike, EdgeFunction] = {
        (0, 1): separable(bottom(0), derivative=bottom(1)),
        (last, last - 1): separable(top("score"), derivative=top("slope")),
    }
    for v in range(1, last):
        for end, names in ((v + 1, ("estimate", "spread")), (v - 1, ("score", "slope"))):
            value, slope = (
                on_turn(_middle(schedule, layers[v - 1], name, v), first=v) for name in names
            )
            functions[v, end] = separable(value, reads=[(v - 1, v), (v + 1, v)], derivative=slope)
    return functions


def _middle(schedule: _Schedule, layer: Layer, name: str, v: int) -> Any:
    """Return a formula of a layer, as a function of the turn, ω and B."""
    formula = getattr(layer, name)
    below, above = schedule.below[v], schedule.above[v]
    return lambda k, omega, B: formula(omega, held(below, k), B, held(above, k))


def _output(schedule: _Schedule, channel: Channel, name: str, last: int) -> Any:
    """Return a formula of the channel, as a function of the turn, ω and y."""
    formula = getattr(channel, name)
    below = schedule.below[last]
    return lambda k, omega, y: formula(y, omega, held(below, k))


def _chain(
    widths: Sequence[int],
    functions: dict[EdgeLike, EdgeFunction],
    side: dict[int, Side],
    **options: Any,
) -> AMPGraph:
    N = sum(widths)
    return AMPGraph(
        dict(enumerate(widths)),
        # Upwards first, in order.
        dict(sorted(functions.items(), key=lambda item: (item[0][0] > item[0][1], item[0]))),
        # So that the entries of A_ℓ have variance 1/n_{ℓ−1}.
        variances={(v, v + 1): N / widths[v] for v in range(len(widths) - 1)},
        side=side,
        **options,
    )
