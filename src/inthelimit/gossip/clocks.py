"""The clocks of the edges: which edge of a network rings when, as a list that can be replayed.

Edge {v, w} rings at the times of a Poisson process of rate P_vw, independently of the others, all
edges together once per unit of time.  The same list can drive several methods, and be drawn.

Source: arXiv:2106.07644, accelerated randomized gossip.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.graphs import GossipNetwork


@dataclass(frozen=True, slots=True, eq=False)
class EdgeEvents:
    """One realisation of the clocks of all edges.

    Attributes
    ----------
    times : ndarray, shape (m,)
        When an edge rang, in increasing order, ≥ 0.
    edges : ndarray of int64, shape (m,)
        Which one, as a row of `GossipNetwork.edges`.
    """

    times: Array
    edges: NDArray[np.int64]

    def __post_init__(self) -> None:
        times = _checks.real_array("times", self.times, ndim=1)
        if times.size and times.min() < 0.0:
            raise ValueError(f"times must be ≥ 0, got {times.min()}")
        if (np.diff(times) < 0.0).any():
            raise ValueError("times must be in increasing order")
        edges = np.asarray(self.edges)
        if edges.shape != times.shape:
            raise ValueError(f"edges must have the shape {times.shape} of times, got {edges.shape}")
        if edges.size and edges.dtype.kind not in "iu":
            raise ValueError(f"edges must be integers, got dtype {edges.dtype}")
        if edges.size and edges.min() < 0:
            raise ValueError(f"edges must be ≥ 0, got {edges.min()}")
        object.__setattr__(self, "times", times)
        object.__setattr__(self, "edges", edges.astype(np.int64))


def simulate_clocks(
    network: GossipNetwork, *, horizon: float, rng: np.random.Generator, loss: float = 0.0
) -> EdgeEvents:
    """Draw the rings of all edges in [0, horizon].

    Parameters
    ----------
    network : GossipNetwork
        The graph.
    horizon : float
        The end, ≥ 0.
    rng : numpy.random.Generator
        Draws the number of rings, then their times, then their edges.
    loss : float, default 0
        The probability, in [0, 1), that a ring is lost: it is not in the list.

    Returns
    -------
    EdgeEvents

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    Given their number, the times of a Poisson process are independent and uniform: O(m log m) for m
    rings.  Source: arXiv:2106.07644.

    Examples
    --------
    >>> import networkx as nx
    >>> network = GossipNetwork(nx.path_graph(3))
    >>> events = simulate_clocks(network, horizon=1000.0, rng=np.random.default_rng(0))
    >>> bool(900 < events.times.size < 1100)
    True
    """
    horizon = _checks.number("horizon", horizon, at_least=0.0)
    rng = _checks.generator("rng", rng)
    loss = _checks.number("loss", loss, at_least=0.0, below=1.0)
    count = int(rng.poisson((1.0 - loss) * horizon))
    times = np.sort(rng.uniform(0.0, horizon, size=count))
    return EdgeEvents(times, rng.choice(network.n_edges, size=count, p=network.probabilities))
