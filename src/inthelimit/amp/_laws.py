"""What an iterate is in the limit: a Gaussian vector, plus its means along known vectors.

At the end of edge e, with s the left vector of its spike and h the hidden columns of the message
of its reverse,

    x_e^t = Z_e^t + s (μ_e^t)ᵀ + h (b_e^t)ᵀ.

`Law` holds the covariances κ_e^{s,t} of Z_e and the coefficients μ_e, b_e.  `Population` holds what
is known at a vertex, as atoms with weights, for functions that act row by row.  `Sites` are rows at
which functions are evaluated: nodes of a quadrature, random draws, or the true rows of a vertex.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

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


class Population:
    """What is known at a vertex, row by row: atoms (side information, spikes) with weights.

    At step 0, when iterates are what the user gave, there are `start` rows, each of one atom.
    """

    def __init__(self, law: Law, vertex: Hashable, x0: Mapping[OrientedEdge, Array]) -> None:
        graph = law.graph
        self.law, self._vertex = law, vertex
        edges = graph.incoming(vertex)
        self._spiked = [e for e in edges if e in graph.spikes]
        self._width = 0
        rows = _true_rows(graph, vertex, self._spiked)
        start = {e: np.tile(x0[e], (len(rows) // len(x0[e]), 1)) for e in edges}
        side = graph.side.get(vertex)
        if side is None or side.law is None:
            self.atoms, self.group, self.weights = _distinct(rows)
            self.start, self.start_rows = start, rows
        else:
            self.atoms = _atoms_of_law(graph, vertex, self._spiked, rows)
            self.weights = side.law[1]
            if all((x == x[0]).all() for x in start.values()):
                self.start = {e: np.tile(x[:1], (len(self.atoms), 1)) for e, x in start.items()}
                self.group, self.start_rows = np.arange(len(self.atoms)), self.atoms
            else:
                self.group = _matched(vertex, rows, self.atoms)
                self.start, self.start_rows = start, rows
        share = np.bincount(self.group, minlength=len(self.atoms))
        self.start_weights: Array = (self.weights / np.maximum(share, 1))[self.group]

    @property
    def size(self) -> int:
        """The number of atoms."""
        return len(self.atoms)

    def sites(self, repeats: int) -> Sites:
        """Return every atom `repeats` times in a row."""
        return self._sites_at(np.repeat(self.atoms, repeats, axis=0))

    def start_sites(self) -> Sites:
        """Return the rows of step 0."""
        return self._sites_at(self.start_rows)

    def drawn_sites(self, size: int, rng: np.random.Generator) -> tuple[Sites, dict[Any, Array]]:
        """Draw rows with their iterates at step 0: at least `size`, as often as weights say."""
        n, shares = len(self.start_rows), self.start_weights
        if (shares == shares[0]).all():
            picks = np.tile(np.arange(n), -(-size // n))
        else:
            levels = np.cumsum(shares)
            # One draw in each of `size` equal parts of the weight.
            uniforms = (np.arange(size) + rng.random(size)) / size
            picks = np.searchsorted(levels[:-1] / levels[-1], uniforms, side="right")
        start = {e: x[picks][..., None] for e, x in self.start.items()}
        return self._sites_at(self.start_rows[picks]), start

    def mean_by_atom(self, values: Array) -> Array:
        """Return the mean over the start rows of each atom of values (start rows, q)."""
        sums = np.zeros((self.size, values.shape[1]))
        np.add.at(sums, self.group, values * self.start_weights[:, None])
        positive = np.where(self.weights > 0.0, self.weights, 1.0)
        return sums / positive[:, None]

    def left(self, e: OrientedEdge) -> Array:
        """Return the spike vector at the end of edge e, one number for each atom."""
        column: Array = self.atoms[
            :, self.atoms.shape[1] - len(self._spiked) + self._spiked.index(e)
        ]
        return column

    def _sites_at(self, rows: Array) -> Sites:
        n_side = rows.shape[1] - len(self._spiked)
        side = None
        known = self.law.graph.side.get(self._vertex)
        if known is not None:
            side = rows[:, 0] if known.values.ndim == 1 else rows[:, :n_side]
        left = {e: rows[:, n_side + k] for k, e in enumerate(self._spiked)}
        return Sites(self.law, len(rows), None, side, left)


def true_sites(law: Law, vertex: Hashable, copies: int) -> Sites:
    """Return the true rows of a vertex, in their order, for several copies."""
    graph = law.graph
    side = None
    if vertex in graph.side:
        side = graph.side[vertex].values
        side = side[..., np.arange(copies) % side.shape[2]] if side.ndim == 3 else side[..., None]
    left = {e: graph.spikes[e].left for e in graph.incoming(vertex) if e in graph.spikes}
    return Sites(law, graph.dimensions[vertex], copies, side, left)


def _true_rows(graph: AMPGraph, vertex: Hashable, spiked: list[OrientedEdge]) -> Array:
    """Return side information and left vectors side by side; copies are more rows."""
    n = graph.dimensions[vertex]
    values = np.zeros((n, 0))
    if vertex in graph.side:
        values = graph.side[vertex].values
        if values.ndim == 3:
            values = np.moveaxis(values, 2, 0).reshape(-1, values.shape[1])
        values = values.reshape(len(values), -1)
    repeats = len(values) // n
    left = [np.tile(graph.spikes[e].left, repeats)[:, None] for e in spiked]
    return np.concatenate([values, *left], axis=1)


def _distinct(rows: Array) -> tuple[Array, NDArray[np.intp], Array]:
    """Return the distinct rows, which of them each row is, and their frequencies."""
    if rows.shape[1] == 0:
        return rows[:1], np.zeros(len(rows), dtype=np.intp), np.ones(1)
    atoms, group, counts = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    return atoms, group.ravel(), counts / len(rows)


def _atoms_of_law(
    graph: AMPGraph, vertex: Hashable, spiked: list[OrientedEdge], rows: Array
) -> Array:
    """Return the nodes of the law of side information, with the left vectors as functions of it."""
    law = graph.side[vertex].law
    assert law is not None
    nodes = law[0].reshape(len(law[0]), -1)
    atoms = [nodes]
    for k, e in enumerate(spiked):
        left = rows[:, nodes.shape[1] + k]
        same = [c for c in range(nodes.shape[1]) if np.array_equal(rows[:, c], left)]
        if not same:
            raise ValueError(
                f"side[{vertex!r}] must have the spike vector of {e} as a column of its values, "
                "as it has a law: without it their joint law is not known"
            )
        atoms.append(nodes[:, same[:1]])
    return np.concatenate(atoms, axis=1)


def _matched(vertex: Hashable, rows: Array, atoms: Array) -> NDArray[np.intp]:
    """Return the atom of each row."""
    index = {tuple(atom): a for a, atom in enumerate(atoms.tolist())}
    group = np.array([index.get(tuple(row), -1) for row in rows.tolist()])
    if (group < 0).any() or np.unique(group).size < len(atoms):
        raise ValueError(
            f"side[{vertex!r}].law must have the distinct rows of its values as nodes where x0 "
            "varies from row to row, as else their joint law is not known; leave law out"
        )
    return group
