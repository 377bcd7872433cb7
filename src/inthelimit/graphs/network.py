"""The graph that gossip runs on: edges that ring at random, and the constants of their rates.

Edge {v, w} rings at the times of a Poisson process of rate P_vw, independently of the others, with
Σ P_vw = 1: one ring per unit of time over the whole network.  Everything follows from the Laplacian

    L_P = Σ P_vw (e_v − e_w)(e_v − e_w)ᵀ,

through its smallest positive eigenvalue μ_gossip and the effective resistances

    R_vw = (e_v − e_w)ᵀ L_P⁺ (e_v − e_w) ≤ 1/P_vw,    Σ P_vw R_vw = nodes − components  (Foster).

In squared distance to consensus, averaging the two ends of each edge that rings contracts at rate
θ = μ_gossip/2, the accelerated version at θ = √(μ_gossip/(2 max R)), which is never smaller.
Source: arXiv:2106.07644, the sections on gossip.
"""

from functools import cached_property

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.linalg import eigh
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, SuperLU, eigsh, splu

from inthelimit import ConvergenceError, _checks
from inthelimit._checks import Array
from inthelimit.graphs._selected_inverse import inverse_entries
from inthelimit.graphs._weighted_edges import Edges, merge_parallel, read_graph, read_matrix

# Up to here all eigenvalues of a dense matrix cost less than a second.
DENSE_NODES = 1000
# The relative error of 1/μ_gossip that is let through; Lanczos reaches 1e-12 unless L_P is singular
# to working precision.
GAP_TOLERANCE = 1e-8
# The relative error of Σ P_vw R_vw that is let through; rounding makes 1e-12 on 10⁶ nodes.
FOSTER_TOLERANCE = 1e-6


class GossipNetwork:
    """A connected graph whose edges ring at given rates.

    Parameters
    ----------
    weights : networkx.Graph, or symmetric sparse or dense matrix of shape (n, n), n ≥ 2
        Positive weights of the edges, of any total; they are divided by it.  A graph carries them
        as the edge attribute "weight", 1 where it is absent; parallel edges add up.
    connected : bool, default True
        Whether a graph in several pieces is an error.  With False every component goes to its own
        consensus, the constants are the worst over the components, and isolated nodes are allowed.

    Attributes
    ----------
    nodes : tuple
        The n labels; 0, …, n − 1 for a matrix.
    edges : ndarray of int64, shape (E, 2)
        Pairs v < w of positions in `nodes`, in lexicographic order.
    probabilities : ndarray, shape (E,)
        The rates P_vw, of sum 1.
    laplacian : scipy.sparse.csr_array, shape (n, n)
        L_P.
    component_of : ndarray of int64, shape (n,)
        The component, 0, …, n_components − 1, of each node.
    n_components : int

    Raises
    ------
    ValueError
        If there is a single node or no edge, a weight is not positive and finite, a matrix is not
        square and symmetric, the graph is directed, has a self-loop, or is disconnected while
        `connected` is true.

    Notes
    -----
    Building costs O((n + E) log E).  The arrays are read-only.  Source: arXiv:2106.07644.

    Examples
    --------
    >>> import networkx as nx
    >>> network = GossipNetwork(nx.cycle_graph(20))
    >>> round(network.max_resistance, 9), round(network.rate_accelerated, 5)
    (19.0, 0.01135)
    """

    def __init__(
        self, weights: nx.Graph | ArrayLike | sparse.sparray, *, connected: bool = True
    ) -> None:
        if isinstance(weights, nx.Graph):
            nodes, edges, values = read_graph(weights)
        else:
            nodes, edges, values = read_matrix(weights)
        self.nodes = nodes
        self.edges, values = merge_parallel(edges, values, len(nodes))
        total = values.sum()
        if not np.isfinite(total):
            raise ValueError("weights must have a finite sum: divide them by a constant")
        self.probabilities: Array = values / total
        if not self.probabilities.min() > 0.0:
            raise ValueError("weights must be within a factor 1e300 of one another")
        self.laplacian = _laplacian(self.edges, self.probabilities, len(nodes))
        count, labels = connected_components(self.laplacian, directed=False)
        if connected and count > 1:
            raise ValueError(
                f"weights must be those of a connected graph, got {count} components: connect "
                "them, or pass connected=False to let each find its own consensus"
            )
        self.n_components = int(count)
        self.component_of: Edges = labels.astype(np.int64)
        for array in (self.edges, self.probabilities, self.component_of, self.laplacian.data):
            array.flags.writeable = False

    def __repr__(self) -> str:
        pieces = "" if self.n_components == 1 else f", {self.n_components} components"
        return f"GossipNetwork({self.n_nodes} nodes, {self.n_edges} edges{pieces})"

    @property
    def n_nodes(self) -> int:
        """The number n of nodes."""
        return len(self.nodes)

    @property
    def n_edges(self) -> int:
        """The number E of edges."""
        return self.probabilities.size

    @cached_property
    def spectral_gap(self) -> float:
        """The smallest positive eigenvalue μ_gossip of L_P, over all components.

        Up to a thousand nodes from the dense matrix, O(n³); beyond, or where its digits do not
        suffice, by the Lanczos method on the pseudo-inverse, from one sparse factorisation: its
        cost is that of the factor's fill, small on graphs that look like lines, trees or planar
        grids.

        Raises
        ------
        ConvergenceError
            If the residual says that the eigenvalue may be off by more than 1e-8 of itself.
        """
        if self.n_nodes <= DENSE_NODES:
            gap = self._dense_gap()
            # Eigenvalues of a dense matrix are exact to rounding of the largest one.
            largest = 2.0 * float(self.laplacian.diagonal().max())
            if gap * GAP_TOLERANCE > largest * np.finfo(np.float64).eps:
                return gap
        return self._sparse_gap()

    @cached_property
    def effective_resistances(self) -> Array:
        """The effective resistance R_vw of every edge, of shape (E,).

        1/P_vw exactly on a forest; else from a sparse factorisation of the Laplacian with a node of
        each component grounded, and those entries of the inverse that lie on the factor: seconds
        for 10⁵ nodes of a planar grid.

        Raises
        ------
        ConvergenceError
            If Foster's identity is missed by more than 1e-6 of its value.
        """
        if self.n_edges == self.n_nodes - self.n_components:
            resistances: Array = 1.0 / self.probabilities
        else:
            resistances = self._resistances_from_factor()
        resistances.flags.writeable = False
        return resistances

    @cached_property
    def max_resistance(self) -> float:
        """The largest effective resistance of an edge."""
        return float(self.effective_resistances.max())

    @property
    def rate_simple(self) -> float:
        """The rate θ = μ_gossip/2 of randomized gossip."""
        return self.spectral_gap / 2.0

    @property
    def rate_accelerated(self) -> float:
        """The rate θ = √(μ_gossip/(2 max R)) of accelerated randomized gossip."""
        return float(np.sqrt(self.spectral_gap / (2.0 * self.max_resistance)))

    def consensus(self, x: ArrayLike) -> Array:
        """Return what each node would agree on: the mean of x over its component.

        Parameters
        ----------
        x : array_like, shape (n,) or (n, copies)

        Returns
        -------
        ndarray, of the shape of x
        """
        x = _checks.real_array("x", x)
        if x.ndim not in (1, 2) or x.shape[0] != self.n_nodes:
            raise ValueError(
                f"x must have shape ({self.n_nodes},) or ({self.n_nodes}, copies), got {x.shape}"
            )
        return self._component_means(x)

    def _component_means(self, x: Array) -> Array:
        if self.n_components == 1:
            return np.broadcast_to(x.mean(axis=0), x.shape).copy()
        sizes = np.bincount(self.component_of)
        shape = (self.n_components, self.n_nodes)
        member = sparse.csr_array(
            (np.ones(self.n_nodes), (self.component_of, np.arange(self.n_nodes))), shape=shape
        )
        means = ((member @ x).T / sizes).T
        broadcast: Array = means[self.component_of]
        return broadcast

    def _dense_gap(self) -> float:
        # Exactly n_components eigenvalues are zero, so the next one in order is the gap.
        first = self.n_components
        values = eigh(self.laplacian.toarray(), eigvals_only=True, subset_by_index=[first, first])
        return float(values[0])

    def _sparse_gap(self) -> float:
        """Return the gap as the inverse of the largest eigenvalue of the pseudo-inverse."""
        solve, kept = self._grounded()

        def pseudo_inverse(b: Array) -> Array:
            b = b.ravel()
            x = np.zeros(self.n_nodes)
            x[kept] = solve.solve((b - self._component_means(b))[kept])
            return x - self._component_means(x)

        # A fixed start, so that the same network gives the same digits; a sequence without a
        # pattern, so that no symmetry of the graph hides the eigenvector from it.
        start = np.sin(np.arange(1.0, self.n_nodes + 1.0) ** 2)
        operator = LinearOperator((self.n_nodes, self.n_nodes), pseudo_inverse, dtype=np.float64)
        try:
            _, vectors = eigsh(
                operator, k=1, which="LA", v0=pseudo_inverse(start), tol=1e-12, maxiter=1000
            )
        except ArpackNoConvergence as error:
            raise ConvergenceError(
                "Lanczos iterations for the spectral gap did not converge in 1000 restarts: "
                "pass a schedule with a lower bound on the gap instead"
            ) from error
        v = vectors[:, 0]
        # The energy is a sum of squares: no cancellation, unlike vᵀ(L_P v).
        gap = float(self.probabilities @ np.subtract(*v[self.edges.T]) ** 2 / (v @ v))
        residual = float(np.linalg.norm(gap * pseudo_inverse(v) - v) / np.linalg.norm(v))
        if not residual <= GAP_TOLERANCE:
            raise ConvergenceError(
                f"spectral gap {gap:.3g} is known to {residual:.1e} only, more than "
                f"{GAP_TOLERANCE:g}: the weights or the graph are too ill-conditioned; pass a "
                "schedule with a lower bound on the gap instead"
            )
        return gap

    def _grounded(self) -> tuple[SuperLU, NDArray[np.bool_]]:
        """Return the factors of L_P without one node per component, and which nodes stay."""
        kept = np.ones(self.n_nodes, dtype=np.bool_)
        kept[np.unique(self.component_of, return_index=True)[1]] = False
        inner = self.laplacian[kept][:, kept].tocsc()
        # A weakly diagonally dominant M-matrix: pivots on the diagonal are stable in any order.
        try:
            factors = splu(
                inner,
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )
        except RuntimeError as error:
            raise ConvergenceError(
                "weights differ by so much that the Laplacian is singular to working precision: "
                "pass a schedule with bounds on the gap and the resistances instead"
            ) from error
        return factors, kept

    def _resistances_from_factor(self) -> Array:
        """Return Z_vv + Z_ww − 2 Z_vw with Z the inverse, and 0 in the place of a grounded node."""
        factors, kept = self._grounded()
        row = np.where(kept, np.cumsum(kept) - 1, -1)
        everyone = np.arange(int(kept.sum()))
        own = np.append(inverse_entries(factors, everyone, everyone), 0.0)
        v, w = row[self.edges.T]
        resistances: Array = own[v] + own[w]
        inner = (v >= 0) & (w >= 0)
        resistances[inner] -= 2.0 * inverse_entries(factors, v[inner], w[inner])
        trees = self.n_nodes - self.n_components
        error = abs(self.probabilities @ resistances / trees - 1.0)
        if not error <= FOSTER_TOLERANCE:
            raise ConvergenceError(
                f"effective resistances miss Foster's identity by {error:.1e}: the weights or the "
                "graph are too ill-conditioned; pass a schedule with a bound on them instead"
            )
        return resistances


def random_neighbour_weights(graph: nx.Graph) -> sparse.csr_array:
    """Return the weights of nodes that wake at equal rates and call a random neighbour.

    Parameters
    ----------
    graph : networkx.Graph
        Without isolated nodes; its edge weights, if any, are not used.

    Returns
    -------
    scipy.sparse.csr_array, shape (n, n)
        P_vw = (1/n)(1/deg v + 1/deg w) on the edges, of sum 1 over them.

    Raises
    ------
    ValueError
        If a node has no neighbour, or for the reasons that `GossipNetwork` gives.

    Notes
    -----
    With clocks of rate 1 at the nodes there are n rings in a unit of time: divide the times of a
    simulation by n.  Source: arXiv:2106.07644.

    Examples
    --------
    >>> import networkx as nx
    >>> random_neighbour_weights(nx.path_graph(3)).toarray().round(3)
    array([[0. , 0.5, 0. ],
           [0.5, 0. , 0.5],
           [0. , 0.5, 0. ]])
    """
    if not isinstance(graph, nx.Graph):
        raise ValueError(f"graph must be a networkx.Graph, got {type(graph).__name__}")
    nodes, edges, _ = read_graph(graph, weighted=False)
    edges, _ = merge_parallel(edges, np.ones(len(edges)), len(nodes))
    n = len(nodes)
    degrees = np.bincount(edges.ravel(), minlength=n)
    if not degrees.all():
        label = nodes[int(np.argmin(degrees))]
        raise ValueError(f"graph must have no isolated nodes, got {label!r} without neighbours")
    values = (1.0 / degrees[edges]).sum(axis=1) / n
    half = sparse.coo_array((values, (edges[:, 0], edges[:, 1])), shape=(n, n))
    return (half + half.T).tocsr()


def _laplacian(edges: Edges, probabilities: Array, n: int) -> sparse.csr_array:
    v, w = edges.T
    adjacency = sparse.coo_array((probabilities, (v, w)), shape=(n, n))
    adjacency = adjacency + adjacency.T
    degrees = sparse.dia_array((np.asarray(adjacency.sum(axis=1))[None], [0]), shape=(n, n))
    return (degrees - adjacency).tocsr()
