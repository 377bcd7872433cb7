"""Averages over the limit law of what a vertex reads, by quadrature, for functions of rows.

The function of an edge reads one Gaussian for each column, of each edge read, that has variance of
its own.  At one time these, times the atoms of what is known at the vertex, make the grid.  At two
times the Gaussians of the first and of the second are turned so that they are correlated in pairs
only: the grid has no more axes, and `Lattice` integrates over pairs.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy import fft

from inthelimit._checks import Array
from inthelimit.amp._gaussian import canonical_pair, pseudo_inverse, triangular_root
from inthelimit.amp._laws import Law, Moments, Sites
from inthelimit.amp._populations import Population
from inthelimit.amp._quadrature import Lattice, lattice
from inthelimit.amp.graph import OrientedEdge

# A function of rows: at sites of a vertex, of the iterates there.
Function: TypeAlias = Callable[[Sites, Mapping[OrientedEdge, Array]], Array]

# Grids hold about so many points where they may, ...
POINTS = 2**16
# ... with at most and at least so many nodes on an axis, by the number of axes; ...
MOST_NODES = 2**14
LEAST_NODES = {0: 1, 1: 64, 2: 64, 3: 56, 4: 36}
# ... and never more than this.
MOST_POINTS = 2**23
# Pairs of times need Fourier transforms along each axis.
MOST_AXES, MOST_AXES_OF_PAIRS = 4, 3
# The second, coarser grid has this part of the nodes.
COARSER = 0.75
# Coefficients of this part of what they could be at most are rounding.
NO_SLOPE = 1e-10


class Fineness(NamedTuple):
    """How many nodes an axis gets."""

    nodes: int | None  # as many as the budget allows, if None
    is_coarser: bool

    def lattice(self, edge: OrientedEdge, n_axes: int, n_atoms: int, *, most_axes: int) -> Lattice:
        """Return the lattice for a grid of so many axes, for each of so many atoms."""
        if n_axes > most_axes:
            raise ValueError(
                f"method must be 'monte-carlo', as the function of {edge} reads {n_axes} scalar "
                f"Gaussians and quadrature takes {most_axes} ({MOST_AXES} with joint=False)"
            )
        n = self.nodes or int((POINTS / n_atoms) ** (1.0 / max(n_axes, 1)) + 1e-9)
        if self.nodes is None:
            n = min(max(n, LEAST_NODES[n_axes]), MOST_NODES)
        if self.is_coarser:
            n = int(COARSER * n)
        n = 2 * fft.next_fast_len(max(n // 2, 1), real=True)
        if n_atoms * n**n_axes > MOST_POINTS:
            raise ValueError(
                f"the grid of edge {edge} must have at most {MOST_POINTS} points, got {n_atoms} "
                f"atoms of side information times {n}^{n_axes} nodes: give the side information a "
                "law of few nodes, set nodes, or use method='monte-carlo'"
            )
        return lattice(n)


class QuadratureAverages:
    """The averages of one edge, whose function acts row by row."""

    def __init__(
        self, law: Law, population: Population, edge: OrientedEdge, fineness: Fineness
    ) -> None:
        self._law, self._population = law, population
        self._edge, self._fineness = edge, fineness
        self._most_axes = MOST_AXES_OF_PAIRS if law.joint else MOST_AXES
        self._start: Array = np.zeros((0, 0))

    def moments(self, t: int) -> Moments:
        """Return the averages at step t, which must come after those of all earlier steps."""
        population, graph, e = self._population, self._law.graph, self._edge
        hidden = list(graph.hidden[e.reverse])
        slopes = np.zeros((graph.columns[e], len(hidden)))
        if t == 0:
            sites = population.start_sites()
            values = sites.message(e, 0, _with_columns(population.start))[..., 0]
            self._start = by_atom = population.mean_by_atom(values)
            square = values.T @ (values * population.start_weights[:, None])
            return Moments([square], self._along_spike(by_atom), slopes)

        grid = self._grid(t, self._roots(t), self._n_axes(t))
        values = grid.values(self._message(t))
        by_atom = np.einsum("apq,p->aq", values, grid.weights)
        weighted = values * np.multiply.outer(population.weights, grid.weights)[..., None]
        square = np.tensordot(weighted, values, axes=((0, 1), (0, 1)))
        if hidden and e.reverse in graph.reads(e):
            slopes = self._slopes(t, weighted.sum(axis=0), grid, square)
        products = [square]
        if self._law.joint:
            first = (self._start * population.weights[:, None]).T @ by_atom
            products = [first, *(self._product(s, t) for s in range(1, t)), square]
        return Moments(products, self._along_spike(by_atom), slopes)

    def _along_spike(self, by_atom: Array) -> Array:
        if self._edge not in self._law.graph.spikes:
            return np.zeros(by_atom.shape[1])
        right = self._population.left(self._edge.reverse)
        mean: Array = (self._population.weights * right) @ by_atom
        return mean

    def _slopes(self, t: int, weighted: Array, grid: "Grid", square: Array) -> Array:
        """Return E ∂f/∂Z = E[f Zᵀ] Cov(Z)⁻¹ (Stein) in the hidden columns."""
        rev = self._edge.reverse
        covariance = self._law.covariance(rev, t, t)
        slopes = weighted.T @ grid.gaussian[rev] @ pseudo_inverse(covariance)
        slopes = slopes[:, list(self._law.graph.hidden[rev])]
        hidden = covariance.diagonal()[list(self._law.graph.hidden[rev])]
        largest = np.sqrt(np.divide.outer(square.diagonal(), np.where(hidden > 0, hidden, np.inf)))
        return np.where(np.abs(slopes) > NO_SLOPE * largest, slopes, 0.0)

    def _product(self, s: int, t: int) -> Array:
        """Return E f^s f^tᵀ for two times 1 ≤ s < t."""
        first, second, correlations = {}, {}, {}
        for r in self._needed(s, t):
            first[r], second[r], correlations[r] = canonical_pair(
                self._law.covariance(r, s, s),
                self._law.covariance(r, t, t),
                self._law.covariance(r, s, t),
            )
        n_axes = max(self._n_axes(s), self._n_axes(t))
        values = []
        for time, roots in ((s, first), (t, second)):
            grid = self._grid(time, roots, n_axes)
            paired = {r: len(correlations[r]) for r in roots}
            values.append(grid.folded(grid.values(self._message(time)), paired))
        flat = [c for r in first for c in correlations[r]]
        return grid.lattice.paired_mean(values[0], values[1], flat, self._population.weights)

    def _message(self, t: int) -> Function:
        return lambda sites, x: sites.message(self._edge, t, x)[..., 0]

    def _needed(self, *times: int) -> tuple[OrientedEdge, ...]:
        reads = self._law.graph.reads(self._edge)
        needed = dict.fromkeys(reads)
        for t in times:
            needed.update(dict.fromkeys(self._law.needed(reads, t)))
        return tuple(needed)

    def _roots(self, t: int) -> dict[OrientedEdge, Array]:
        return {r: triangular_root(self._law.covariance(r, t, t)) for r in self._needed(t)}

    def _n_axes(self, t: int) -> int:
        return sum(B.shape[1] for B in self._roots(t).values())

    def _grid(self, t: int, roots: Mapping[OrientedEdge, Array], n_axes: int) -> "Grid":
        at = self._fineness.lattice(
            self._edge, n_axes, self._population.size, most_axes=self._most_axes
        )
        reads = self._law.graph.reads(self._edge)
        return Grid(self._population, at, t, reads, roots)


class Grid:
    """The nodes at which a function of what a vertex reads at time t is evaluated."""

    def __init__(
        self,
        population: Population,
        at: Lattice,
        t: int,
        reads: tuple[OrientedEdge, ...],
        roots: Mapping[OrientedEdge, Array],
    ) -> None:
        self.lattice, self._population = at, population
        self._t, self._reads, self._roots = t, reads, roots
        self._n_axes = sum(B.shape[1] for B in roots.values())
        nodes, self.weights = at.tensor(self._n_axes)
        self.gaussian: dict[OrientedEdge, Array] = {}
        axis = 0
        for r, B in roots.items():
            self.gaussian[r] = nodes[:, axis : axis + B.shape[1]] @ B.T
            axis += B.shape[1]

    def values(self, function: Callable[[Sites, dict[OrientedEdge, Array]], Array]) -> Array:
        """Return a function of rows at each atom and node, shape (A, n^k) or (A, n^k, q)."""
        n_atoms = self._population.size
        sites = self._population.sites(len(self.weights))
        gaussian = {r: np.tile(z, (n_atoms, 1))[..., None] for r, z in self.gaussian.items()}
        x = sites.iterates(self._reads, self._t, gaussian)
        values = function(sites, x)
        return values.reshape(n_atoms, len(self.weights), *values.shape[1:])

    def folded(self, values: Array, paired: Mapping[OrientedEdge, int]) -> Array:
        """Return values with one axis for each Gaussian, those of no pair integrated out."""
        n, shape = self.lattice.n, values.shape
        values = values.reshape(shape[0], *(n,) * self._n_axes, shape[2])
        axis = 1 + self._n_axes
        for r in reversed(tuple(self._roots)):
            rank = self._roots[r].shape[1]
            for k in reversed(range(rank)):
                axis -= 1
                if k >= paired[r]:
                    values = self.lattice.mean_along(values, axis)
        return values


def mean_on_grid(
    population: Population,
    reads: tuple[OrientedEdge, ...],
    t: int,
    function: Function,
    fineness: Fineness,
) -> Array:
    """Return the mean of a function of rows, of shape (rows,) or (rows, m), at time t."""
    law = population.law
    roots = {r: triangular_root(law.covariance(r, t, t)) for r in law.needed(reads, t)}
    n_axes = sum(B.shape[1] for B in roots.values())
    at = fineness.lattice(reads[0], n_axes, population.size, most_axes=MOST_AXES)
    grid = Grid(population, at, t, reads, roots)
    weights = np.multiply.outer(population.weights, grid.weights)
    mean: Array = np.tensordot(weights, grid.values(function), axes=2)
    return mean


def _with_columns(start: Mapping[OrientedEdge, Array]) -> dict[OrientedEdge, Array]:
    return {e: x[..., None] for e, x in start.items()}
