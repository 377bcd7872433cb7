"""Graphs and lattices that gossip runs on, and the matrices and constants of its rates.

`network` holds the graph whose edges ring at random times, with its spectral gap and effective
resistances.  Source: arXiv:2106.07644.
"""

from inthelimit.graphs.network import GossipNetwork, random_neighbour_weights

__all__ = ["GossipNetwork", "random_neighbour_weights"]
