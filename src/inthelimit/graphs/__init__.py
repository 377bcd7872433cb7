"""Graphs and lattices that gossip runs on, and the matrices and constants of its rates.

`network` holds the graph whose edges ring at random times, with its spectral gap and effective
resistances; `lattice` gossip on Z^d that is the same seen from every node; `matrices` the gossip
matrices of tori, boxes and graphs; `random_graphs` percolation, geometric and regular graphs.

Source: arXiv:2106.07644, arXiv:1805.08531, arXiv:2202.10742.
"""

from inthelimit.graphs.lattice import Lattice, square_lattice, triangular_lattice
from inthelimit.graphs.matrices import (
    box_matrix,
    box_spectrum,
    gossip_matrix,
    torus_matrix,
    torus_spectrum,
)
from inthelimit.graphs.network import GossipNetwork, random_neighbour_weights
from inthelimit.graphs.random_graphs import (
    largest_component,
    percolation_graph,
    random_geometric_graph,
    random_regular_multigraph,
)

__all__ = [
    "GossipNetwork",
    "Lattice",
    "box_matrix",
    "box_spectrum",
    "gossip_matrix",
    "largest_component",
    "percolation_graph",
    "random_geometric_graph",
    "random_neighbour_weights",
    "random_regular_multigraph",
    "square_lattice",
    "torus_matrix",
    "torus_spectrum",
    "triangular_lattice",
]
