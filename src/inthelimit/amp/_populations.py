"""What is known at a vertex, row by row, and its law: side information and the vectors of spikes.

Source: arXiv:2109.11905; given what is known, which is independent of the matrices, state evolution
averages over it.
"""

from collections.abc import Hashable, Mapping

import numpy as np
from numpy.typing import NDArray

from inthelimit._checks import Array
from inthelimit.amp._laws import Law, Sites
from inthelimit.amp.graph import AMPGraph, OrientedEdge


class Population:
    """What is known at a vertex, row by row: atoms (side information, spikes) with weights.

    At step 0, when iterates are what the user gave, there are `start` rows, each of one atom.
    """

    def __init__(self, law: Law, vertex: Hashable, x0: Mapping[OrientedEdge, Array]) -> None:
        graph = law.graph
        self.law, self._vertex = law, vertex
        edges = graph.incoming(vertex)
        self._spiked = [e for e in edges if e in graph.spikes]
        rows = _true_rows(graph, vertex, self._spiked)
        start = {e: np.tile(x0[e], (len(rows) // len(x0[e]), 1)) for e in edges}
        side = graph.side.get(vertex)
        if side is None or side.law is None:
            self.atoms, self.group, self.weights = _distinct(rows)
            self.start, self.start_rows = start, rows
        else:
            possible = side.law[1] > 0.0
            self.atoms = _atoms_of_law(graph, vertex, self._spiked, rows)[possible]
            self.weights = side.law[1][possible]
            if all((x == x[0]).all() for x in start.values()):
                self.start = {e: np.tile(x[:1], (len(self.atoms), 1)) for e, x in start.items()}
                self.group, self.start_rows = np.arange(len(self.atoms)), self.atoms
            else:
                self.group = _matched(vertex, rows, self.atoms)
                self.start, self.start_rows = start, rows
        share = np.bincount(self.group, minlength=len(self.atoms))
        self.start_weights: Array = (self.weights / share)[self.group]

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

    def drawn_sites(
        self, size: int, rng: np.random.Generator
    ) -> tuple[Sites, dict[OrientedEdge, Array]]:
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
        means: Array = sums / self.weights[:, None]
        return means

    def left(self, e: OrientedEdge) -> Array:
        """Return the spike vector at the end of edge e, one number for each atom."""
        n_side = self.atoms.shape[1] - len(self._spiked)
        column: Array = self.atoms[:, n_side + self._spiked.index(e)]
        return column

    def _sites_at(self, rows: Array) -> Sites:
        n_side = rows.shape[1] - len(self._spiked)
        side = None
        known = self.law.graph.side.get(self._vertex)
        if known is not None:
            side = rows[:, 0] if known.values.ndim == 1 else rows[:, :n_side]
        left = {e: rows[:, n_side + k] for k, e in enumerate(self._spiked)}
        return Sites(self.law, len(rows), None, side, left)


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
