"""Averages over the limit law of what a vertex reads, by simulation, for functions of any kind.

The Gaussians Z_e^1, Z_e^2, … of the edges that end at a vertex are drawn time after time, given
those before, and all functions that start there are evaluated on the same draws.  Where one of
them mixes rows, a draw has the true rows of the vertex, in their order.
"""

from collections.abc import Hashable, Iterable, Mapping

import numpy as np

from inthelimit._checks import Array
from inthelimit.amp._expectations import Function
from inthelimit.amp._gaussian import GrowingGaussian, triangular_root
from inthelimit.amp._laws import Law, Moments, Sites, true_sites
from inthelimit.amp._populations import Population
from inthelimit.amp.graph import OrientedEdge


class Draws:
    """Draws of the iterates that end at a vertex, of shape (rows, q, copies), grown in time."""

    def __init__(
        self,
        law: Law,
        vertex: Hashable,
        sites: Sites,
        start: Mapping[OrientedEdge, Array],
        rng: np.random.Generator,
    ) -> None:
        self._law, self._sites, self._rng = law, sites, rng
        self._edges = law.graph.incoming(vertex)
        self._families = {e: GrowingGaussian() for e in self._edges}
        shape = (sites.rows, 0, sites.copies or 1)
        self._standard = {e: np.empty(shape) for e in self._edges}
        self._t = 0
        self.iterates = dict(start)
        self.gaussian: dict[OrientedEdge, Array] = {}

    def advance(self) -> None:
        """Draw the iterates of the next time."""
        self._t += 1
        t = self._t
        for e in self._edges:
            rows = self._families[e].append(self._law.past(e, t), self._law.covariance(e, t, t))
            known = self._standard[e]
            fresh = rows.shape[1] - known.shape[1]
            drawn = self._rng.standard_normal((known.shape[0], fresh, known.shape[2]))
            self._standard[e] = np.concatenate([known, drawn], axis=1)
            self.gaussian[e] = np.einsum("irc,qr->iqc", self._standard[e], rows, optimize=True)
        self.iterates = self._sites.iterates(self._edges, t, self.gaussian)

    def message(self, e: OrientedEdge) -> Array:
        """Return f_e of the iterates of this time, shape (rows, q, copies)."""
        return self._sites.message(e, self._t, self.iterates)


class SimulatedAverages:
    """The averages of some edges that start at one vertex, over the same draws."""

    def __init__(
        self,
        law: Law,
        population: Population,
        x0: Mapping[OrientedEdge, Array],
        vertex: Hashable,
        edges: Iterable[OrientedEdge],
        samples: int,
        rng: np.random.Generator,
    ) -> None:
        self._law, self._edges = law, tuple(edges)
        graph = law.graph
        if all(graph.functions[e].is_separable for e in self._edges):
            self._sites, start = population.drawn_sites(samples, rng)
        else:
            copies = max(1, round(samples / graph.dimensions[vertex]))
            self._sites = true_sites(law, vertex, copies)
            start = {e: np.repeat(x0[e][..., None], copies, axis=2) for e in graph.incoming(vertex)}
        self._draws = Draws(law, vertex, self._sites, start, rng)
        self._messages: dict[OrientedEdge, list[Array]] = {e: [] for e in self._edges}

    def moments(self, t: int) -> dict[OrientedEdge, Moments]:
        """Return the averages at step t, which must come after those of all earlier steps."""
        if t > 0:
            self._draws.advance()
        return {e: self._moments_of(e, t) for e in self._edges}

    def _moments_of(self, e: OrientedEdge, t: int) -> Moments:
        now = self._draws.message(e)
        past = self._messages[e] if self._law.joint else []
        products = [_row_mean(f, now) for f in (*past, now)]
        if self._law.joint:
            past.append(now)
        return Moments(products, self._along_spike(e, now), self._slopes(e, t, now))

    def _along_spike(self, e: OrientedEdge, message: Array) -> Array:
        if e not in self._law.graph.spikes:
            return np.zeros(message.shape[1])
        mean: Array = _row_mean(self._sites.left[e.reverse][:, None, None], message)[0]
        return mean

    def _slopes(self, e: OrientedEdge, t: int, message: Array) -> Array:
        """Return the regression of f on Z, which is E ∂f/∂Z (Stein), in the hidden columns."""
        graph, rev = self._law.graph, e.reverse
        hidden = list(graph.hidden[rev])
        if t == 0 or not hidden or rev not in graph.reads(e):
            return np.zeros((message.shape[1], len(hidden)))
        Z = self._draws.gaussian[rev]
        inverse = np.linalg.pinv(_row_mean(Z, Z), hermitian=True)
        slopes: Array = (_row_mean(message, Z) @ inverse)[:, hidden]
        return slopes


def values_at_draws(
    population: Population,
    reads: tuple[OrientedEdge, ...],
    t: int,
    function: Function,
    samples: int,
    rng: np.random.Generator,
) -> Array:
    """Return a function of rows at independent draws of what a vertex reads at time t."""
    law = population.law
    sites, _ = population.drawn_sites(samples, rng)
    gaussian = {}
    for r in law.needed(reads, t):
        B = triangular_root(law.covariance(r, t, t))
        gaussian[r] = (rng.standard_normal((sites.rows, B.shape[1])) @ B.T)[..., None]
    return function(sites, sites.iterates(reads, t, gaussian))


def _row_mean(first: Array, second: Array) -> Array:
    """Return the mean of first_a second_b over rows and copies, shape (q, q')."""
    rows, _, copies = second.shape
    products = np.einsum(
        "iac,ibc->ab", np.broadcast_to(first, (rows, first.shape[1], copies)), second, optimize=True
    )
    mean: Array = products / (rows * copies)
    return mean
