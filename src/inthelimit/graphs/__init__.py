"""Graphs and lattices that gossip runs on, and the matrices and constants of its rates.

`network` holds the graph whose edges ring at random times, with its spectral gap and effective
resistances; `lattice` gossip on Z^d that is the same seen from every node; `matrices` the gossip
matrices of tori, boxes and graphs.  Source: arXiv:2106.07644, arXiv:1805.08531, arXiv:2202.10742.
"""

from inthelimit.graphs.lattice import Lattice, square_lattice, triangular_lattice
from inthelimit.graphs.matrices import box_matrix, box_spectrum, torus_matrix, torus_spectrum
from inthelimit.graphs.network import GossipNetwork, random_neighbour_weights

__all__ = [
    "GossipNetwork",
    "Lattice",
    "box_matrix",
    "box_spectrum",
    "random_neighbour_weights",
    "square_lattice",
    "torus_matrix",
    "torus_spectrum",
    "triangular_lattice",
]
