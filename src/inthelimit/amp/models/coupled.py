"""Spatially coupled compressed sensing: a wave of reconstruction from the ends of a chain.

The signal has L column blocks x_c of n_c entries, the observations L + w − 1 row blocks y_r of n_r
entries; A_rc, of independent entries N(0, 1/(w n_c)), is there for 0 ≤ r − c < w:

    y_r = Σ_c A_rc X_c + √Δ · noise.

One vertex for each block, one edge for each A_rc.  A vertex sends the same to all its neighbours:

    from x_c :  x̂_c − X_c,  x̂_c = E[X | Λ_c, Σ_r x_(y_r→x_c) + Λ_c X_c],
    from y_r :  (√Δ · noise − Σ_c x_(x_c→y_r))/φ_r.

The limit, with V_c the error of block c and β = n_r/n_c,

    φ_r = Δ + (1/w) Σ_c V_c,    Λ_c = (β/w) Σ_r 1/φ_r,    V_c' = mmse(Λ_c).

Row blocks at the ends see fewer unknowns: there reconstruction starts, at overall rates
β (L + w − 1)/L where it fails without coupling (L = w = 1).
Source: arXiv:2109.11905, variance profiles as more vertices; the construction is Krzakala, Mézard,
Sausset, Sun and Zdeborová's and Donoho, Javanmard and Montanari's, the limit derived here again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.amp.data import Side
from inthelimit.amp.functions import EdgeFunction
from inthelimit.amp.graph import AMPGraph, EdgeLike, OrientedEdge
from inthelimit.amp.iteration import AMPRun
from inthelimit.amp.models._common import held, image, nonseparable_on_turn, separable_on_turn
from inthelimit.amp.models.priors import Prior, gaussian_law
from inthelimit.amp.state_evolution import StateEvolution


@dataclass(frozen=True, slots=True, eq=False)
class Coupled:
    """A planted problem of coupled compressed sensing, its message passing and its limit.

    Attributes
    ----------
    prior : Prior
    window : int
        w.
    signals : ndarray, shape (L, n_c)
        X_c.
    noises : ndarray, shape (L + w − 1, n_r)
        √Δ · noise.
    limit : CoupledLimit
    graph : AMPGraph
        Vertices ("x", c) and ("y", r).  Messages of ("x", c) are x̂_c − X_c at steps 2k, those of
        ("y", r) come at steps 2k + 1.
    x0 : dict
        Zeros.
    n_steps : int
        2K + 1.
    """

    prior: Prior
    window: int
    signals: Array
    noises: Array
    limit: "CoupledLimit"
    graph: AMPGraph
    x0: dict[OrientedEdge, Array]
    n_steps: int

    @property
    def rate(self) -> float:
        """The number of all observations over that of all unknowns."""
        return self.noises.size / self.signals.size

    def observations(self, matrices: Mapping[EdgeLike, Any]) -> Array:
        """Return the y_r, shape (L + w − 1, n_r), for the matrices of the edges x_c → y_r."""
        y = self.noises.copy()
        for c, X in enumerate(self.signals):
            for r in range(c, c + self.window):
                y[r] += image(matrices, (("x", c), ("y", r)), X)
        return y

    def on_data(self, y: ArrayLike) -> AMPGraph:
        """Return the graph that is run on data y of the shape of `noises`, from x0 = 0.

        Messages of ("x", c) are the estimates x̂_c at steps 2k.
        """
        y = _checks.real_array("y", y, ndim=2)
        if y.shape != self.noises.shape:
            raise ValueError(f"y must have shape {self.noises.shape}, got {y.shape}")
        precisions = self.limit.precisions

        def estimate(c: int, part: int) -> Callable[..., Array]:
            def formula(k: int, *x: Array) -> Array:
                return self.prior.posterior(held(precisions, k)[c], sum(x))[part]

            return formula

        side = {("y", r): Side(row) for r, row in enumerate(y)}
        return _chain(
            self.signals.shape, self.noises.shape, self.window, estimate, self.limit, side
        )

    def errors(self, run: AMPRun) -> Array:
        """Return the mean squared errors of a run, block by block, shape (K + 1, L[, copies])."""
        first = [self._first(c) for c in range(len(self.signals))]
        return np.stack([(run.messages[e][::2] ** 2).mean(axis=1) for e in first], axis=1)

    def errors_of(self, evolution: StateEvolution) -> Array:
        """Return the same by state evolution on the graph, shape (K + 1, L)."""
        first = [self._first(c) for c in range(len(self.signals))]
        return self.window * np.stack([evolution.variances(e)[::2] for e in first], axis=1)

    def _first(self, c: int) -> OrientedEdge:
        return OrientedEdge(("x", c), ("y", c))


@dataclass(frozen=True, slots=True, eq=False)
class CoupledLimit:
    """The limit of coupled compressed sensing at iterations k = 0, …, K.

    Attributes
    ----------
    precisions : ndarray, shape (K + 1, L)
        Λ_c, 0 at first.
    noise_levels : ndarray, shape (K + 1, L + w − 1)
        φ_r.
    errors : ndarray, shape (K + 1, L)
        V_c, the mean squared errors.
    """

    precisions: Array
    noise_levels: Array
    errors: Array


def coupled_sensing(
    prior: Prior,
    *,
    n_blocks: int,
    window: int,
    block_size: int,
    block_rate: float,
    noise_variance: float,
    n_iterations: int,
    rng: np.random.Generator,
    scales: str = "limit",
) -> Coupled:
    """Plant a signal in coupled blocks; return its message passing with its limit.

    Parameters
    ----------
    prior : Prior
        Of the entries of X.
    n_blocks : int ≥ 1
        L.
    window : int ≥ 1
        w.
    block_size : int ≥ 1
        n_c.
    block_rate : float > 0
        β; row blocks have n_r = round(β n_c) entries.
    noise_variance : float > 0
        Δ.
    n_iterations : int ≥ 1
        K.
    rng : numpy.random.Generator
        Draws X and the noise.
    scales : {"limit", "run"}
        With "run", φ_r and Λ_c are the run's own: the mean square of what y_r sends before it is
        divided, and the sum of those of the iterates at x_c.  Where little noise is left, a finite
        run falls behind the limit's schedule and is thrown off; its own scales keep it stable.

    Returns
    -------
    Coupled

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    State evolution by quadrature takes windows up to 3, 4 with joint=False, and noise that the
    nodes of the prior's law can resolve; `limit` takes any.
    Source: arXiv:2109.11905, variance profiles as more vertices.

    Examples
    --------
    >>> from inthelimit.amp import run_amp
    >>> from inthelimit.amp.models.priors import bernoulli_gauss
    >>> rng = np.random.default_rng(0)
    >>> model = coupled_sensing(bernoulli_gauss(0.2), n_blocks=4, window=2, block_size=300,
    ...                         block_rate=0.5, noise_variance=1e-3, n_iterations=8, rng=rng)
    >>> model.graph.size, model.rate
    (1950, 0.625)
    >>> run = run_amp(model.graph, model.x0, model.n_steps, rng=rng)
    >>> bool(np.abs(model.errors(run)[-1] - model.limit.errors[-1]).max() < 0.02)
    True
    """
    L = _checks.integer("n_blocks", n_blocks, at_least=1)
    w = _checks.integer("window", window, at_least=1)
    n = _checks.integer("block_size", block_size, at_least=1)
    m = max(1, round(_checks.number("block_rate", block_rate, above=0.0) * n))
    delta = _checks.number("noise_variance", noise_variance, above=0.0)
    _checks.choice("scales", scales, ("limit", "run"))
    signals = prior.sample(L * n, rng=rng).reshape(L, n)
    noises = np.sqrt(delta) * rng.standard_normal((L + w - 1, m))
    limit = coupled_limit(
        prior,
        n_blocks=L,
        window=w,
        block_rate=m / n,
        noise_variance=delta,
        n_iterations=n_iterations,
    )

    def estimate(c: int, part: int) -> Callable[..., Array]:
        def formula(k: int, *known: Array) -> Array:
            *x, X = known
            precision = held(limit.precisions, k)[c]
            if scales == "run":
                precision = sum((field**2).mean(axis=0) for field in x)
            value = prior.posterior(precision, sum(x) + precision * X)[part]
            return value - X if part == 0 else value

        return formula

    # Messages are linear in the noise, so that few nodes are exact.
    nodes, weights = gaussian_law(3)
    law = prior.law(), (np.sqrt(delta) * nodes, weights)
    side = {("x", c): Side(X, law=law[0]) for c, X in enumerate(signals)}
    side |= {("y", r): Side(row, law=law[1]) for r, row in enumerate(noises)}
    graph = _chain((L, n), (L + w - 1, m), w, estimate, limit, side, scales=scales)
    x0 = {e: np.zeros(graph.dimensions[e.end]) for e in graph.edges}
    return Coupled(prior, w, signals, noises, limit, graph, x0, 2 * n_iterations + 1)


def coupled_limit(
    prior: Prior,
    *,
    n_blocks: int,
    window: int,
    block_rate: float,
    noise_variance: float,
    n_iterations: int,
) -> CoupledLimit:
    """Return the limit of coupled compressed sensing: how errors fall, block by block.

    Parameters
    ----------
    prior : Prior
        Of the entries of X.
    n_blocks : int ≥ 1
        L; 1, with `window` 1, is compressed sensing without coupling.
    window : int ≥ 1
        w.
    block_rate : float > 0
        β = n_r/n_c.
    noise_variance : float > 0
        Δ.
    n_iterations : int ≥ 1
        K.

    Returns
    -------
    CoupledLimit

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    One integral for each block and iteration, 0.1 ms.
    Source: derived from the state evolution of arXiv:2109.11905 for variance profiles.

    Examples
    --------
    >>> from inthelimit.amp.models.priors import bernoulli_gauss
    >>> alone = coupled_limit(bernoulli_gauss(0.25), n_blocks=1, window=1, block_rate=0.42,
    ...                       noise_variance=1e-5, n_iterations=300)
    >>> float(alone.errors[-1, 0].round(3))
    0.031
    """
    L = _checks.integer("n_blocks", n_blocks, at_least=1)
    w = _checks.integer("window", window, at_least=1)
    beta = _checks.number("block_rate", block_rate, above=0.0)
    delta = _checks.number("noise_variance", noise_variance, above=0.0)
    K = _checks.integer("n_iterations", n_iterations, at_least=1)
    # coupling[r, c] = 1/w where A_rc is.
    coupling = sum(np.eye(L + w - 1, L, -lag) for lag in range(w)) / w
    precisions = [np.zeros(L)]
    errors = [np.full(L, float(prior.mmse(0.0)))]
    levels = [delta + coupling @ errors[0]]
    for _ in range(K):
        precisions.append(beta * (1.0 / levels[-1]) @ coupling)
        errors.append(prior.mmse(precisions[-1]))
        levels.append(delta + coupling @ errors[-1])
    return CoupledLimit(np.array(precisions), np.array(levels), np.array(errors))


def _chain(
    columns: tuple[int, ...],
    rows: tuple[int, ...],
    window: int,
    estimate: Callable[[int, int], Callable[..., Array]],
    limit: CoupledLimit,
    side: Mapping[Any, Side],
    *,
    scales: str = "limit",
) -> AMPGraph:
    """Return the graph of column and row blocks; estimate(c, 0), (c, 1) are x̂ and its slope."""
    (L, n), (R, m) = columns, rows
    way = separable_on_turn if scales == "limit" else nonseparable_on_turn
    size = L * n + R * m
    functions: dict[EdgeLike, EdgeFunction] = {}
    variances: dict[EdgeLike, float] = {}
    for c in range(L):
        reads = [(("y", r), ("x", c)) for r in range(c, c + window)]
        f = way(estimate(c, 0), estimate(c, 1), first=0, reads=reads)
        functions |= {e[::-1]: f for e in reads}
        variances |= {e[::-1]: size / (window * n) for e in reads}
    for r in range(R):
        reads = [(("x", c), ("y", r)) for c in range(max(0, r - window + 1), min(r + 1, L))]
        f = way(*_residual(limit.noise_levels, r, scales), first=1, reads=reads)
        functions |= {e[::-1]: f for e in reads}
    dimensions = {("x", c): n for c in range(L)} | {("y", r): m for r in range(R)}
    return AMPGraph(dimensions, functions, variances=variances, side=side)


def _residual(
    levels: Array, r: int, scales: str
) -> tuple[Callable[..., Array], Callable[..., Array]]:
    """Return what row block r sends, and its derivative."""

    def level(k: int, rest: Array) -> Any:
        return held(levels, k)[r] if scales == "limit" else (rest**2).mean(axis=0)

    def residual(k: int, *known: Array) -> Array:
        *x, y = known
        rest = y - sum(x)
        value: Array = rest / level(k, rest)
        return value

    def slope(k: int, *known: Array) -> Array:
        *x, y = known
        rest = y - sum(x)
        value: Array = np.broadcast_to(-1.0 / level(k, rest), rest.shape)
        return value

    return residual, slope
