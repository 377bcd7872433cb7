"""Committee machines: matrix-valued message passing, y = Σ_k a_k φ(A X_k) + √Δ · noise.

X has q columns of independent standard Gaussians, A independent entries N(0, 1/n), δ = m/n, and the
activation φ and the second layer a are known.  The two-vertex graph has messages

    x → y :  (X, X̂),  X̂ = x_(y→x) C,  C = (I + Λ)^{-1},      y → x :  g(y, ω, V),  V = C,

of 2q and q columns, so that Onsager coefficients are q × q matrices; the score g of the output is
in `inthelimit.amp.models.hidden_units`.  The limit is a recursion of q × q matrices,

    Λ' = δ E g gᵀ,    ω ~ N(0, I − V).

Source: arXiv:2109.11905, matrix-valued variables on the graph with two vertices; the model is that
of Aubin, Maillard, Barbier, Krzakala, Macris and Zdeborová, its limit derived here again.
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
from inthelimit.amp.models._common import held, image
from inthelimit.amp.models.hidden_units import Output, gaussian_tensor
from inthelimit.amp.models.priors import gaussian_law
from inthelimit.amp.state_evolution import StateEvolution

FORWARD, BACKWARD = OrientedEdge("x", "y"), OrientedEdge("y", "x")


@dataclass(frozen=True, slots=True, eq=False)
class Committee:
    """A planted committee machine, its message passing and its limit.

    Attributes
    ----------
    output : Output
    signal : ndarray, shape (n, q)
        X.
    noise : ndarray, shape (m,)
    precisions : ndarray, shape (K + 1, q, q)
        The limit's Λ.
    limit_errors : ndarray, shape (K + 1, q, q)
        The limit's V = E (X̂ − X)ᵀ(X̂ − X)/n.
    graph : AMPGraph
        Vertices "x", "y".  Messages of x → y are (X, X̂) at steps 2k, those of y → x the scores at
        steps 2k + 1.
    x0 : dict
        Zeros.
    n_steps : int
        2K + 1.
    """

    output: Output
    signal: Array
    noise: Array
    precisions: Array
    limit_errors: Array
    graph: AMPGraph
    x0: dict[OrientedEdge, Array]
    n_steps: int

    def observations(self, matrices: Mapping[EdgeLike, Any]) -> Array:
        """Return y for the matrix of ("x", "y")."""
        return self.output.observe(image(matrices, FORWARD, self.signal), self.noise)

    def on_data(self, y: ArrayLike) -> AMPGraph:
        """Return the graph that is run on data, from x0 = 0: y in the place of all truth.

        Messages of ("x", "y") are the X̂ at steps 2k.
        """
        y = _checks.vector("y", y, length=self.noise.size)
        q = self.output.weights.size
        V = self.limit_errors
        output = self.output
        functions = {
            FORWARD: _by_copy(
                lambda t, x: _estimate(t, x, V),
                lambda t, x: _estimate_slope(t, x, V),
            ),
            BACKWARD: _by_copy(
                lambda t, x, y: _score(t, x, y, output, V),
                lambda t, x, y: _score_slope(t, x, y, output, V),
            ),
        }
        return _two_vertices(
            len(self.signal), y.size, functions, {"y": Side(y)}, columns=dict.fromkeys(functions, q)
        )

    def errors(self, run: AMPRun) -> Array:
        """Return (X̂ − X)ᵀ(X̂ − X)/n of a run, shape (K + 1, q, q)."""
        q = self.output.weights.size
        difference = run.messages[FORWARD][::2, :, q:] - self.signal
        errors: Array = difference.transpose(0, 2, 1) @ difference / len(self.signal)
        return errors

    def moments(self, run: AMPRun) -> Array:
        """Return the second moments of (X, X̂) of a run, shape (K + 1, 2q, 2q)."""
        messages = run.messages[FORWARD][::2]
        moments: Array = messages.transpose(0, 2, 1) @ messages / len(self.signal)
        return moments

    def moments_of(self, evolution: StateEvolution) -> Array:
        """Return the second moments of (X, X̂) by state evolution, shape (K + 1, 2q, 2q)."""
        return evolution.variances(FORWARD)[::2]


def committee_machine(
    output: Output,
    *,
    n: int,
    rate: float,
    n_iterations: int,
    rng: np.random.Generator,
) -> Committee:
    """Plant a committee machine; return its message passing, Bayes-optimal, with its limit.

    Parameters
    ----------
    output : Output
        The second layer, of q ≤ 3 hidden units.
    n : int ≥ 1
        The dimension of inputs; there are m = round(rate · n) of them.
    rate : float > 0
        δ = m/n.
    n_iterations : int ≥ 1
        K.
    rng : numpy.random.Generator
        Draws X and the noise.

    Returns
    -------
    Committee

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    From x0 = 0, equal weights make all columns of X̂ equal: units specialise only where the second
    layer tells them apart.  State evolution on this graph reads 2q Gaussians at "y": simulate it.
    Source: arXiv:2109.11905, matrix-valued variables; the hidden columns are a reconstruction.

    Examples
    --------
    >>> from inthelimit.amp import run_amp
    >>> rng = np.random.default_rng(0)
    >>> model = committee_machine(Output(np.array([1.0, 0.5]), 0.1), n=300, rate=4.0,
    ...                           n_iterations=3, rng=rng)
    >>> model.limit_errors[-1].round(2)
    array([[ 0.22, -0.28],
           [-0.28,  0.68]])
    >>> run = run_amp(model.graph, model.x0, model.n_steps, rng=rng)
    >>> bool(np.abs(model.errors(run)[-1] - model.limit_errors[-1]).max() < 0.15)
    True
    """
    n = _checks.integer("n", n, at_least=1)
    m = max(1, round(_checks.number("rate", rate, above=0.0) * n))
    K = _checks.integer("n_iterations", n_iterations, at_least=1)
    q = output.weights.size
    signal, noise = rng.standard_normal((n, q)), rng.standard_normal(m)
    precisions, V = _recursion(output, m / n, K)

    def estimate(t: int, x: Array, X: Array) -> Array:
        return np.concatenate([X, _estimate(t, x, V)], axis=1)

    def estimate_slope(t: int, x: Array, X: Array) -> Array:
        slope = _estimate_slope(t, x, V)
        return np.concatenate([np.zeros_like(slope), slope], axis=1)

    def at_y(formula: Callable[..., Array]) -> Callable[..., Array]:
        def message(t: int, x: Array, noise: Array) -> Array:
            y = output.observe(x[:, :q], noise)
            return formula(t, x[:, q:], y, output, V)

        return message

    functions = {
        FORWARD: _by_copy(estimate, estimate_slope),
        BACKWARD: _by_copy(at_y(_score), at_y(_score_slope)),
    }
    graph = _two_vertices(
        n,
        m,
        functions,
        # Averages are quadratic in X, and smooth in the noise.
        {"x": Side(signal, law=gaussian_tensor(q, 3)), "y": Side(noise, law=gaussian_law(15))},
        columns={FORWARD: 2 * q, BACKWARD: q},
        hidden={FORWARD: range(q)},
    )
    x0 = {FORWARD: np.zeros((m, 2 * q)), BACKWARD: np.zeros((n, q))}
    return Committee(output, signal, noise, precisions, V, graph, x0, 2 * K + 1)


def _recursion(output: Output, rate: float, n_iterations: int) -> tuple[Array, Array]:
    """Return the limit's Λ and V = (I + Λ)^{-1} of iterations 0, …, K."""
    identity = np.eye(output.weights.size)
    precisions: list[Array] = [0.0 * identity]
    errors: list[Array] = [identity]
    for _ in range(n_iterations):
        precisions.append(rate * output.information(errors[-1]))
        errors.append(np.asarray(np.linalg.inv(identity + precisions[-1]), dtype=np.float64))
    return np.array(precisions), np.array(errors)


def _estimate(t: int, x: Array, V: Array) -> Array:
    """Return X̂ at even steps."""
    k, off = divmod(t, 2)
    estimate: Array = np.zeros_like(x) if off else x @ held(V, k)
    return estimate


def _estimate_slope(t: int, x: Array, V: Array) -> Array:
    k, off = divmod(t, 2)
    gain = held(V, k)
    return np.tile(0.0 * gain if off else gain, (len(x), 1, 1))


def _score(t: int, omega: Array, y: Array, output: Output, V: Array) -> Array:
    """Return g at odd steps."""
    k, off = divmod(t, 2)
    return output.score(y, omega, held(V, k)) if off else np.zeros_like(omega)


def _score_slope(t: int, omega: Array, y: Array, output: Output, V: Array) -> Array:
    k, off = divmod(t, 2)
    if not off:
        return np.zeros((*omega.shape, omega.shape[1]))
    return output.slope(y, omega, held(V, k))


def _by_copy(function: Callable[..., Array], derivative: Callable[..., Array]) -> EdgeFunction:
    """Return the edge function of formulas for one copy."""

    def by_copy(formula: Callable[..., Array]) -> Callable[..., Array]:
        def all_copies(t: int, x: Array, *side: Array) -> Array:
            if x.ndim == 2:
                return formula(t, x, *side)
            known = [np.broadcast_to(s, (*s.shape[:-1], x.shape[2])) for s in side]
            copies = [formula(t, x[..., c], *(s[..., c] for s in known)) for c in range(x.shape[2])]
            return np.stack(copies, axis=-1)

        return all_copies

    return separable(by_copy(function), derivative=by_copy(derivative))


def _two_vertices(
    n: int,
    m: int,
    functions: Mapping[EdgeLike, EdgeFunction],
    side: dict[str, Side],
    **options: Any,
) -> AMPGraph:
    return AMPGraph(
        {"x": n, "y": m},
        functions,
        # So that the entries have variance 1/n.
        variances={FORWARD: (n + m) / n},
        side=side,
        **options,
    )
