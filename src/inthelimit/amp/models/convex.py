"""Symmetric message passing, and the lasso with its limit iteration by iteration.

The lasso.  From y = A X + w, A of m × n independent entries N(0, 1/m), δ = m/n, the graph

    x → y :  f = soft(X + x_(y→x), θ_k) − X,        y → x :  f = w − x_(x→y)

is the classical iteration z = y − A x̂ + (1/δ) z' ⟨η'⟩, x̂ = soft(x̂ + Aᵀz, θ_k), as its messages are
x̂ − X and z.  The limit: x̂ + Aᵀz = X + τ_k Z with

    τ²_{k+1} = σ² + E (soft(X + τ_k Z, θ_k) − X)²/δ.

At a fixed point with θ = α τ the iteration solves the lasso, min ½‖y − Ax‖² + λ‖x‖₁, with
λ = θ (1 − b), b = ‖x‖₀/m.
Source: arXiv:2109.11905, the graphs with one and two vertices; the calibration of the lasso is
Donoho, Maleki and Montanari's and Bayati and Montanari's, derived here again.
"""

from collections.abc import Callable, Mapping
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
from inthelimit.amp.models._common import held, image, nonseparable_on_turn, separable_on_turn
from inthelimit.amp.models.calibration import soft_risk
from inthelimit.amp.models.priors import Prior, gaussian_law
from inthelimit.amp.state_evolution import StateEvolution

FORWARD, BACKWARD = OrientedEdge("x", "y"), OrientedEdge("y", "x")
# Without noise τ falls exponentially: before squares underflow it is kept.
SMALLEST_TAU = 1e-140


def symmetric(
    n: int,
    function: Callable[..., ArrayLike],
    *,
    derivative: Callable[..., ArrayLike] | None = None,
    side: Side | None = None,
) -> AMPGraph:
    """Return the loop: x^{t+1} = A f(t, x^t) − b_t f(t − 1, x^{t−1}), A symmetric of variance 1/n.

    Parameters
    ----------
    n : int ≥ 1
    function : callable
        ``function(t, x[, side])``, row by row.
    derivative : callable, optional
        Its derivative in x; by default by differences.
    side : Side, optional

    Returns
    -------
    AMPGraph
        With one vertex "v" and one edge ("v", "v").

    Notes
    -----
    For f(x) = c x the iterates are cᵗ U_t(A/2) x⁰, with Chebyshev's polynomials of the second kind.
    Source: arXiv:2109.11905, the graph with one loop.

    Examples
    --------
    >>> symmetric(500, lambda t, x: np.tanh(x))
    AMPGraph(1 vertex, N = 500: v→v)
    """
    f = separable(function, derivative=derivative)
    return AMPGraph({"v": n}, {("v", "v"): f}, side={} if side is None else {"v": side})


def soft(x: ArrayLike, threshold: ArrayLike) -> Array:
    """Return sign(x) max(|x| − θ, 0); 0 for θ = ∞."""
    x = np.asarray(x, dtype=np.float64)
    shrunk: Array = np.sign(x) * np.maximum(np.abs(x) - threshold, 0.0)
    return shrunk


@dataclass(frozen=True, slots=True, eq=False)
class Lasso:
    """A planted lasso problem with its message passing and its limit.

    Attributes
    ----------
    signal : ndarray, shape (n,)
        X.
    noise : ndarray, shape (m,)
        w.
    thresholds : ndarray, shape (K,)
        θ_0, …, θ_{K−1}.
    taus : ndarray, shape (K + 1,)
        The limit's τ_0, …, τ_K.
    limit_errors : ndarray, shape (K + 1,)
        The limit's mean squared errors of x̂^0 = 0, …, x̂^K.
    graph : AMPGraph
        Vertices "x", "y".  Messages of x → y are x̂^k − X at steps 2k, those of y → x the residuals
        z^k at steps 2k + 1; the edges rest at the other steps.
    x0 : dict
        Zeros.
    n_steps : int
        2K + 1, the steps after which x̂^K is a message.
    """

    signal: Array
    noise: Array
    thresholds: Array
    taus: Array
    limit_errors: Array
    graph: AMPGraph
    x0: dict[OrientedEdge, Array]
    n_steps: int

    def observations(self, matrices: Mapping[EdgeLike, Any]) -> Array:
        """Return y = A X + w for the matrix A of ("x", "y")."""
        return image(matrices, FORWARD, self.signal) + self.noise

    def estimates(self, run: AMPRun) -> Array:
        """Return x̂^0, x̂^1, … of a run, shape (K + 1, n[, copies])."""
        difference = run.messages[FORWARD][::2]
        return difference + self.signal.reshape(-1, *(1,) * (difference.ndim - 2))

    def errors(self, run: AMPRun) -> Array:
        """Return the mean squared errors of a run, shape (K + 1[, copies])."""
        errors: Array = (run.messages[FORWARD][::2] ** 2).mean(axis=1)
        return errors

    def errors_of(self, evolution: StateEvolution) -> Array:
        """Return the same from state evolution on the graph, shape (K + 1,)."""
        share = self.signal.size / self.noise.size
        errors: Array = evolution.variances(FORWARD)[::2] / share
        return errors


def lasso(
    prior: Prior,
    *,
    n: int,
    rate: float,
    noise_level: float,
    n_iterations: int,
    rng: np.random.Generator,
    alpha: float | None = None,
    threshold: float | None = None,
    scales: str = "limit",
) -> Lasso:
    """Plant a signal and noise; return the lasso's message passing with its limit.

    Parameters
    ----------
    prior : Prior
        Of the entries of X.
    n : int ≥ 1
        The number of unknowns; there are m = round(rate · n) observations.
    rate : float > 0
        δ = m/n.
    noise_level : float ≥ 0
        σ.
    n_iterations : int ≥ 1
        K.
    rng : numpy.random.Generator
        Draws X and w.
    alpha : float > 0, optional
        Takes θ_k = α τ_k, with the limit's τ_k.
    threshold : float > 0, optional
        Takes θ_k = θ instead: this solves the lasso with λ = θ (1 − b).
    scales : {"limit", "run"}
        With "run", θ_k = α times the run's own effective noise ‖x_(y→x)‖/√n, whose limit is τ_k.
        Where little noise is left, a finite run falls behind the limit's schedule and is thrown
        off; its own scale keeps it stable.

    Returns
    -------
    Lasso

    Raises
    ------
    ValueError
        If an argument is out of range, not exactly one of `alpha` and `threshold` is given, or
        `scales` is "run" without `alpha`.

    Notes
    -----
    With scales="run" functions mix rows, so that state evolution simulates them.
    Source: arXiv:2109.11905, the graph with two vertices.

    Examples
    --------
    >>> from inthelimit.amp import run_amp
    >>> from inthelimit.amp.models.priors import sparse_signs
    >>> rng = np.random.default_rng(0)
    >>> model = lasso(sparse_signs(0.1), n=2000, rate=0.5, noise_level=0.2, alpha=1.5,
    ...               n_iterations=8, rng=rng)
    >>> run = run_amp(model.graph, model.x0, model.n_steps, rng=rng)
    >>> bool(abs(model.errors(run)[-1] - model.limit_errors[-1]) < 0.01)
    True
    """
    n, m = _sizes(n, rate)
    sigma = _checks.number("noise_level", noise_level, at_least=0.0)
    n_iterations = _checks.integer("n_iterations", n_iterations, at_least=1)
    rule = _rule(alpha, threshold)
    _checks.choice("scales", scales, ("limit", "run"))
    if scales == "run" and alpha is None:
        raise ValueError("scales must be 'limit' for a constant threshold, got 'run'")
    signal = prior.sample(n, rng=rng)
    noise = sigma * rng.standard_normal(m)
    # The residual is linear in the noise, so that few nodes are exact.
    nodes, weights = gaussian_law(5)
    taus, thresholds, errors = _recursion(prior, m / n, sigma, n_iterations, rule)
    known = {"x": Side(signal, law=prior.law()), "y": Side(noise, law=(sigma * nodes, weights))}
    if sigma == 0.0:
        known["y"] = Side(noise)

    def level(k: int, x: Array) -> Any:
        if k > 0 and scales == "run":
            return alpha * np.sqrt((x**2).mean(axis=0))
        return _threshold(thresholds, k)

    def estimate(k: int, x: Array, truth: Array) -> Array:
        difference: Array = soft(truth + x, level(k, x)) - truth
        return difference

    def slope(k: int, x: Array, truth: Array) -> Array:
        active: Array = (np.abs(truth + x) > level(k, x)).astype(np.float64)
        return active

    way = separable_on_turn if scales == "limit" else nonseparable_on_turn
    graph = _two_vertices(n, m, way(estimate, slope, first=0), known)
    x0 = {FORWARD: np.zeros(m), BACKWARD: np.zeros(n)}
    return Lasso(signal, noise, thresholds, taus, errors, graph, x0, 2 * n_iterations + 1)


def lasso_graph(y: ArrayLike, n: int, thresholds: ArrayLike) -> AMPGraph:
    """Return the lasso's message passing on data: what is run without knowing the signal.

    Parameters
    ----------
    y : array_like, shape (m,)
        The observations y = A X + w; give A, with entries of variance 1/m, to `run_amp`, as the
        matrix of ("x", "y").
    n : int ≥ 1
        The number of unknowns.
    thresholds : array_like, shape (K,)
        The θ_k > 0; the last one is kept from then on.

    Returns
    -------
    AMPGraph
        Messages of ("x", "y") are the estimates x̂^k at steps 2k, starting at x̂^0 = 0 from x0 = 0.

    Notes
    -----
    With a constant threshold, and where it converges, the limit is the lasso's solution with
    λ = θ (1 − ‖x‖₀/m), exactly, at finite n.
    Source: arXiv:2109.11905, the graph with two vertices.

    Examples
    --------
    >>> lasso_graph([1.0, -0.5, 0.2], 6, [0.7])
    AMPGraph(2 vertices, N = 9: x→y, y→x)
    """
    y = _checks.vector("y", y)
    thresholds = _checks.vector("thresholds", thresholds)
    if thresholds.min() <= 0.0:
        raise ValueError(f"thresholds must be > 0, got {thresholds.min():.6g}")
    return _two_vertices(
        _checks.integer("n", n, at_least=1),
        y.size,
        separable_on_turn(
            lambda k, x: soft(x, _threshold(thresholds, k)),
            lambda k, x: (np.abs(x) > _threshold(thresholds, k)).astype(np.float64),
            first=0,
        ),
        {"y": Side(y)},
    )


def _sizes(n: int, rate: float) -> tuple[int, int]:
    n = _checks.integer("n", n, at_least=1)
    return n, max(1, round(_checks.number("rate", rate, above=0.0) * n))


def _rule(alpha: float | None, threshold: float | None) -> Callable[[float], float]:
    """Return θ as a function of τ."""
    if (alpha is None) == (threshold is None):
        raise ValueError(
            f"alpha or threshold must be given, and one of them only, got {alpha!r}, {threshold!r}"
        )
    if alpha is None:
        assert threshold is not None
        theta = _checks.number("threshold", threshold, above=0.0)
        return lambda tau: theta
    ratio = _checks.number("alpha", alpha, above=0.0)
    return lambda tau: ratio * tau


def _recursion(
    prior: Prior, delta: float, sigma: float, K: int, rule: Callable[[float], float]
) -> tuple[Array, Array, Array]:
    """Return τ_0, …, τ_K, the θ_k, and the errors of x̂^0, …, x̂^K."""
    errors = [prior.second_moment]
    taus = [float(np.sqrt(sigma**2 + errors[0] / delta))]
    thresholds = []
    for _ in range(K):
        thresholds.append(rule(taus[-1]))
        errors.append(soft_risk(prior, taus[-1], thresholds[-1]))
        taus.append(max(float(np.sqrt(sigma**2 + errors[-1] / delta)), SMALLEST_TAU))
    return np.array(taus), np.array(thresholds), np.array(errors)


def _two_vertices(n: int, m: int, forward: EdgeFunction, known: dict[str, Side]) -> AMPGraph:
    residual = separable_on_turn(lambda k, x, y: y - x, lambda k, x, y: -np.ones_like(x), first=1)
    return AMPGraph(
        {"x": n, "y": m},
        {FORWARD: forward, BACKWARD: residual},
        # So that the entries have variance 1/m.
        variances={FORWARD: (n + m) / m},
        side=known,
    )


def _threshold(thresholds: Array, k: int) -> float:
    """Return the threshold that made x̂^k; x̂^0 is 0."""
    return np.inf if k == 0 else float(held(thresholds, k - 1))
