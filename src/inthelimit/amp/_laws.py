"""What an iterate is in the limit: a Gaussian vector, plus its means along known vectors.

At the end of edge e, with s the left vector of its spike and h the hidden columns of the message
of its reverse,

    x_e^t = Z_e^t + s (μ_e^t)ᵀ + h (b_e^t)ᵀ.

`Law` holds the covariances κ_e^{s,t} of Z_e and the coefficients μ_e, b_e.  `Sites` are rows at
which functions are evaluated: nodes of a quadrature, random draws, or the true rows of a vertex.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from inthelimit import ConvergenceError
from inthelimit._checks import Array
from inthelimit.amp._divergences import short
from inthelimit.amp.graph import AMPGraph, OrientedEdge, PerEdge

# A hidden column has changed if its second moment has by this part, or if its second moment at two
# times is less than the other at one time by that part: more than the errors of quadrature.
CHANGED = 0.01
CHANGED_BETWEEN = 0.2


class Moments(NamedTuple):
    """Averages over rows that involve the message f_e at step t."""

    products: list[Array]  # E f^s f^tᵀ, shape (q, q), for s = 0, …, t; or for s = t alone
    spike: Array  # E r f^t, shape (q,), with r the right vector of the spike of e
    slopes: Array  # E ∂f_a/∂x_b, b a hidden column of the reverse edge, shape (q, h)


class Law:
    """The covariances and means of the iterates of a graph, up to the last time reached.

    Time t = 1, …, T has index t − 1.  Arrays have all their axes: covariances (T, T, q, q), spike
    means (T, q), hidden means (T, q, h).
    """

    def __init__(self, graph: AMPGraph, n_steps: int, *, joint: bool) -> None:
        self.graph, self.n_steps, self.joint = graph, n_steps, joint
        self.seen_to_be_independent: set[OrientedEdge] = set()
        T, q = n_steps, graph.columns
        self.covariances = PerEdge({e: np.zeros((T, T, q[e], q[e])) for e in graph.edges})
        self.spike_means = PerEdge({e: np.zeros((T, q[e])) for e in graph.edges})
        self.hidden_means = PerEdge(
            {e: np.zeros((T, q[e], len(graph.hidden[e.reverse]))) for e in graph.edges}
        )

    @classmethod
    def mean(cls, laws: Sequence["Law"]) -> "Law":
        """Return the mean of repetitions."""
        mean = cls(laws[0].graph, laws[0].n_steps, joint=laws[0].joint)
        for e in mean.graph.edges:
            mean.covariances[e] = np.mean([law.covariances[e] for law in laws], axis=0)
            mean.spike_means[e] = np.mean([law.spike_means[e] for law in laws], axis=0)
            mean.hidden_means[e] = np.mean([law.hidden_means[e] for law in laws], axis=0)
        return mean

    def extend(self, e: OrientedEdge, t: int, moments: Moments) -> None:
        """Add what averages of the message f_e at step t say of the iterates at time t + 1."""
        graph = self.graph
        share = graph.dimensions[e.start] / graph.size
        kappa = self.covariances[e]
        for s, product in enumerate(moments.products, start=t + 1 - len(moments.products)):
            kappa[s, t] = graph.variances[e] * share * product
            kappa[t, s] = kappa[s, t].T
        if e in graph.spikes:
            self.spike_means[e][t] = graph.spikes[e].strength * share * moments.spike
        self.hidden_means[e][t] = graph.variances[e] * share * moments.slopes
        if not (np.isfinite(kappa[:, t]).all() and np.isfinite(self.spike_means[e][t]).all()):
            raise ConvergenceError(
                f"the covariances of edge {e} overflow at time {t + 1}: the functions make the "
                "iteration diverge; scale them down, or take fewer steps"
            )

    def covariance(self, e: OrientedEdge, s: int, t: int) -> Array:
        """Return κ_e^{s,t}, shape (q, q), for times s, t ≥ 1."""
        block: Array = self.covariances[e][s - 1, t - 1]
        return block

    def past(self, e: OrientedEdge, t: int) -> Array:
        """Return the covariance of all columns before time t with those at t, ((t − 1) q, q)."""
        blocks: Array = self.covariances[e][: t - 1, t - 1]
        return blocks.reshape(-1, blocks.shape[-1])

    def has_hidden_mean(self, e: OrientedEdge, t: int) -> bool:
        """Whether x_e^t has a mean along hidden columns."""
        return bool(self.hidden_means[e][t - 1].any())

    def needed(self, edges: tuple[OrientedEdge, ...], t: int) -> tuple[OrientedEdge, ...]:
        """Return `edges` and those that the hidden columns of their means at time t depend on."""
        needed = dict.fromkeys(edges)
        for e in edges:
            if self.has_hidden_mean(e, t):
                needed.update(dict.fromkeys(self.graph.reads(e.reverse)))
        return tuple(needed)

    def check_constant(self, e: OrientedEdge, t: int) -> None:
        """Raise unless the hidden columns along which x_e^t has a mean are those of t − 2."""
        if t < 2 or not self.has_hidden_mean(e, t):
            return
        for column in self.graph.hidden[e.reverse]:
            kappa = self.covariances[e.reverse][:, :, column, column]
            then, now = kappa[t - 2, t - 2], kappa[t, t]
            has_changed = abs(now - then) > CHANGED * max(then, now)
            if self.joint:
                has_changed |= kappa[t - 2, t] < (1.0 - CHANGED_BETWEEN) * then
            if has_changed:
                raise ValueError(
                    f"hidden column {column} of edge {e.reverse} must be the same at steps "
                    f"{t - 2} and {t}, as the iterates of {e} have a mean along it at time {t}"
                )


@dataclass(frozen=True, slots=True)
class Sites:
    """Rows of one vertex.  Iterates there have shape (rows, q, copies), with 1 for no copies."""

    law: Law
    rows: int
    copies: int | None
    side: Array | None
    left: Mapping[OrientedEdge, Array]

    def message(self, e: OrientedEdge, t: int, iterates: Mapping[OrientedEdge, Array]) -> Array:
        """Return f_e at step t, shape (rows, q, copies)."""
        graph = self.law.graph
        inputs = [short(iterates[r], self.copies) for r in graph.reads(e)]
        value = graph.evaluate(e, t, inputs, self.side, rows=self.rows, copies=self.copies)
        return value.reshape(self.rows, graph.columns[e], -1)

    def iterates(
        self, edges: tuple[OrientedEdge, ...], t: int, gaussian: Mapping[OrientedEdge, Array]
    ) -> dict[OrientedEdge, Array]:
        """Return x_e^t from Z_e^t, which is needed for all of `Law.needed(edges, t)`."""
        spiked = {
            e: z + self._along_spike(e, t) if e in self.left else z for e, z in gaussian.items()
        }
        hidden = {e: self._hidden(e, t, spiked) for e in edges if self.law.has_hidden_mean(e, t)}
        complete = dict(spiked)
        for e, h in hidden.items():
            complete[e] = spiked[e] + np.einsum("ihc,qh->iqc", h, self.law.hidden_means[e][t - 1])
        for e in hidden.keys() - self.law.seen_to_be_independent:
            self.law.seen_to_be_independent.add(e)
            if not np.array_equal(hidden[e], self._hidden(e, t, complete)):
                raise ValueError(
                    f"hidden columns of edge {e.reverse} must not depend on iterates that have a "
                    f"mean along hidden columns, and do at step {t}"
                )
        return complete

    def _along_spike(self, e: OrientedEdge, t: int) -> Array:
        mean: Array = self.left[e][:, None, None] * self.law.spike_means[e][t - 1][:, None]
        return mean

    def _hidden(self, e: OrientedEdge, t: int, iterates: Mapping[OrientedEdge, Array]) -> Array:
        columns = list(self.law.graph.hidden[e.reverse])
        return self.message(e.reverse, t, iterates)[:, columns]


def true_sites(law: Law, vertex: Hashable, copies: int) -> Sites:
    """Return the true rows of a vertex, in their order, for several copies."""
    graph = law.graph
    side = None
    if vertex in graph.side:
        side = graph.side[vertex].values
        side = side[..., np.arange(copies) % side.shape[2]] if side.ndim == 3 else side[..., None]
    left = {e: graph.spikes[e].left for e in graph.incoming(vertex) if e in graph.spikes}
    return Sites(law, graph.dimensions[vertex], copies, side, left)
