"""The constants of gossip against closed forms, Foster's identity and dense linear algebra."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.linalg import ArpackNoConvergence

from inthelimit import ConvergenceError
from inthelimit.graphs import GossipNetwork, random_neighbour_weights


def weighted(graph, seed, spread=3.0):
    """Give the edges weights over `spread` decades."""
    rng = np.random.default_rng(seed)
    graph = graph.copy()
    for v, w in graph.edges:
        graph.edges[v, w]["weight"] = 10.0 ** rng.uniform(-spread, 0.0)
    return graph


def random_connected(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 25))
    graph = nx.random_labeled_tree(n, seed=seed)
    for _ in range(int(rng.integers(0, 2 * n))):
        v, w = rng.integers(n, size=2)
        if v != w:
            graph.add_edge(int(v), int(w))
    return weighted(graph, seed)


def sparse_grid(rows, columns):
    i = np.arange(rows * columns).reshape(rows, columns)
    across = np.stack([i[:, :-1].ravel(), i[:, 1:].ravel()])
    down = np.stack([i[:-1].ravel(), i[1:].ravel()])
    ends = np.concatenate([across, down], axis=1)
    half = sparse.coo_array((np.ones(ends.shape[1]), tuple(ends)), shape=(i.size, i.size))
    return half + half.T


def sparse_ring(n):
    i = np.arange(n)
    half = sparse.coo_array((np.ones(n), (i, (i + 1) % n)), shape=(n, n))
    return half + half.T


# ---------------------------------------------------------------- constants


@pytest.mark.parametrize(
    ("graph", "gap", "resistance", "accelerated", "simple"),
    [
        (nx.path_graph(10), 1.088e-2, 9, 2.458e-2, 5.44e-3),
        (nx.path_graph(20), 1.296e-3, 19, 5.84e-3, 6.48e-4),
        (nx.path_graph(40), 1.581e-4, 39, 1.424e-3, 7.90e-5),
        (nx.cycle_graph(20), 4.894e-3, 19, 1.135e-2, 2.447e-3),
        (nx.complete_graph(20), 0.1053, 19, 5.263e-2, 5.263e-2),
        (nx.star_graph(19), 5.263e-2, 19, 3.722e-2, 2.632e-2),
        (nx.grid_2d_graph(8, 8), 1.359e-3, 78.16, 2.949e-3, 6.80e-4),
        (nx.grid_2d_graph(12, 12), 2.581e-4, 184.2, 8.37e-4, 1.29e-4),
        (nx.barbell_graph(8, 0), 3.582e-3, 57, 5.605e-3, 1.791e-3),
    ],
    ids=lambda value: f"{value.number_of_nodes()} nodes" if isinstance(value, nx.Graph) else None,
)
def test_table_of_rates(graph, gap, resistance, accelerated, simple):
    network = GossipNetwork(graph)
    assert network.spectral_gap == pytest.approx(gap, rel=5e-4)
    assert network.max_resistance == pytest.approx(resistance, rel=5e-4)
    assert network.rate_accelerated == pytest.approx(accelerated, rel=6e-4)
    assert network.rate_simple == pytest.approx(simple, rel=1e-3)


@pytest.mark.parametrize("n", [2, 3, 10, 57])
def test_closed_forms(n):
    line, complete = GossipNetwork(nx.path_graph(n)), GossipNetwork(nx.complete_graph(n))
    star = GossipNetwork(nx.star_graph(n - 1))
    assert line.spectral_gap * (n - 1) == pytest.approx(4 * np.sin(np.pi / (2 * n)) ** 2, rel=1e-11)
    assert complete.spectral_gap == pytest.approx(2 / (n - 1), rel=1e-12)
    np.testing.assert_allclose(complete.effective_resistances, n - 1, rtol=1e-12)
    assert star.spectral_gap == pytest.approx(1 / (n - 1) if n > 2 else 2.0, rel=1e-12)
    if n > 2:
        ring = GossipNetwork(nx.cycle_graph(n))
        assert ring.spectral_gap * n == pytest.approx(4 * np.sin(np.pi / n) ** 2, rel=1e-11)
        np.testing.assert_allclose(ring.effective_resistances, n - 1, rtol=1e-12)


@pytest.mark.parametrize("seed", range(40))
def test_against_networkx_and_dense_eigenvalues(seed):
    graph = random_connected(seed)
    network = GossipNetwork(graph)
    total = graph.size(weight="weight")
    for (v, w), resistance in zip(network.edges, network.effective_resistances, strict=True):
        ends = network.nodes[v], network.nodes[w]
        # networkx calls the weights of edges resistances unless told to invert them.
        reference = nx.resistance_distance(graph, *ends, weight="weight", invert_weight=False)
        assert resistance == pytest.approx(total * reference, rel=1e-8)
    values = np.linalg.eigvalsh(nx.laplacian_matrix(graph).toarray() / total)
    assert network.spectral_gap == pytest.approx(values[1], rel=1e-8, abs=1e-15)
    np.testing.assert_allclose(
        network.laplacian.toarray(), nx.laplacian_matrix(graph).toarray() / total, atol=1e-15
    )


@given(st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_identities_on_random_weighted_graphs(seed):
    network = GossipNetwork(random_connected(seed))
    resistances = network.effective_resistances
    # Foster's identity; and a resistance is at most that of its own edge.
    assert network.probabilities @ resistances == pytest.approx(network.n_nodes - 1, rel=1e-10)
    assert (network.probabilities * resistances <= 1 + 1e-10).all()
    assert network.probabilities.sum() == pytest.approx(1.0, rel=1e-14)
    assert network.rate_accelerated >= network.rate_simple * (1 - 1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_a_tree_has_the_resistances_of_its_edges(seed):
    network = GossipNetwork(weighted(nx.random_labeled_tree(50, seed=seed), seed, spread=200.0))
    assert (network.effective_resistances == 1.0 / network.probabilities).all()


def test_bridges_have_their_own_resistance_though_the_graph_is_no_tree():
    network = GossipNetwork(weighted(nx.barbell_graph(6, 3), 0))
    bridges = {frozenset(edge) for edge in nx.bridges(nx.barbell_graph(6, 3))}
    for k, edge in enumerate(network.edges.tolist()):
        share = network.probabilities[k] * network.effective_resistances[k]
        if frozenset(edge) in bridges:
            assert share == pytest.approx(1.0, rel=1e-10)
        else:
            assert share < 0.999


@pytest.mark.parametrize(
    ("exponents", "sizes", "family"),
    [
        ((-3, -2), (32, 64, 128, 256), nx.path_graph),
        ((-3, -2), (32, 64, 128, 256), nx.cycle_graph),
        ((-2, -1.5), (8, 12, 18, 27), lambda side: nx.grid_2d_graph(side, side)),
    ],
    ids=["line", "ring", "grid"],
)
def test_rates_scale_with_the_exponents_of_the_theorem(exponents, sizes, family):
    networks = [GossipNetwork(family(size)) for size in sizes]
    log_n = np.log([network.n_nodes for network in networks])
    for name, exponent in zip(("rate_simple", "rate_accelerated"), exponents, strict=True):
        slope = np.polyfit(log_n, np.log([getattr(n, name) for n in networks]), 1)[0]
        assert slope == pytest.approx(exponent, abs=0.06)


# ---------------------------------------------------------------- large graphs


def test_sparse_and_dense_gaps_agree(monkeypatch):
    for graph in (nx.grid_2d_graph(9, 13), weighted(nx.grid_2d_graph(12, 12), 3)):
        dense = GossipNetwork(graph).spectral_gap
        monkeypatch.setattr("inthelimit.graphs.network.DENSE_NODES", 0)
        assert GossipNetwork(graph).spectral_gap == pytest.approx(dense, rel=1e-10)
        monkeypatch.undo()


def test_large_line_ring_and_grid():
    ring, grid = GossipNetwork(sparse_ring(20_000)), GossipNetwork(sparse_grid(60, 80))
    assert ring.spectral_gap * 20_000 == pytest.approx(4 * np.sin(np.pi / 20_000) ** 2, rel=1e-8)
    np.testing.assert_allclose(ring.effective_resistances, 19_999, rtol=1e-10)
    slowest = 4 * np.sin(np.pi / 160) ** 2
    assert grid.spectral_gap * grid.n_edges == pytest.approx(slowest, rel=1e-10)
    foster = grid.probabilities @ grid.effective_resistances
    assert foster == pytest.approx(grid.n_nodes - 1, rel=1e-12)


def test_the_same_digits_every_time(monkeypatch):
    monkeypatch.setattr("inthelimit.graphs.network.DENSE_NODES", 0)
    gaps = {GossipNetwork(sparse_grid(15, 20)).spectral_gap for _ in range(3)}
    assert len(gaps) == 1


# ---------------------------------------------------------------- components


@pytest.mark.parametrize("dense_nodes", [0, 1000])
def test_each_component_has_constants_of_its_own(monkeypatch, dense_nodes):
    monkeypatch.setattr("inthelimit.graphs.network.DENSE_NODES", dense_nodes)
    pieces = [weighted(nx.cycle_graph(7), 0), nx.path_graph(5), nx.complete_graph(4)]
    network = GossipNetwork(nx.disjoint_union_all(pieces), connected=False)
    total = sum(piece.size(weight="weight") for piece in pieces)
    alone = [GossipNetwork(piece) for piece in pieces]
    # Alone, a component's edges ring once per unit of time; together, less often.
    shares = [piece.size(weight="weight") / total for piece in pieces]
    gaps = [network.spectral_gap * s for network, s in zip(alone, shares, strict=True)]
    resistances = [network.max_resistance / s for network, s in zip(alone, shares, strict=True)]
    assert network.n_components == 3
    assert network.spectral_gap == pytest.approx(min(gaps), rel=1e-10)
    assert network.max_resistance == pytest.approx(max(resistances), rel=1e-10)
    foster = network.probabilities @ network.effective_resistances
    assert foster == pytest.approx(network.n_nodes - 3, rel=1e-12)


def test_consensus_is_the_mean_of_each_component():
    graph = nx.disjoint_union(nx.path_graph(3), nx.path_graph(2))
    graph.add_node("alone")
    network = GossipNetwork(graph, connected=False)
    x = np.array([0.0, 3.0, 6.0, 1.0, 2.0, 7.0])
    expected = np.array([3.0, 3.0, 3.0, 1.5, 1.5, 7.0])
    np.testing.assert_allclose(network.consensus(x), expected, rtol=1e-15)
    both = network.consensus(np.stack([x, -x], axis=1))
    np.testing.assert_allclose(both, np.stack([expected, -expected], axis=1), rtol=1e-15)
    line = GossipNetwork(nx.path_graph(3))
    np.testing.assert_allclose(line.consensus([[1.0, 5.0], [2.0, 5.0], [6.0, 5.0]]), 3 * [[3, 5]])


# ---------------------------------------------------------------- input


def test_graph_and_matrices_mean_the_same():
    graph = weighted(nx.gnp_random_graph(12, 0.4, seed=1), 1)
    matrix = nx.to_numpy_array(graph)
    reference = GossipNetwork(graph)
    for weights in (matrix, matrix.tolist(), sparse.csr_matrix(matrix), sparse.coo_array(matrix)):
        network = GossipNetwork(weights)
        assert (network.edges == reference.edges).all()
        np.testing.assert_allclose(network.probabilities, reference.probabilities, rtol=1e-14)
    assert (reference.edges[:, 0] < reference.edges[:, 1]).all()
    assert GossipNetwork(nx.Graph([("a", "b")])).nodes == ("a", "b")
    np.testing.assert_allclose(GossipNetwork(1e3 * matrix).probabilities, reference.probabilities)


def test_parallel_edges_ring_together():
    parallel = nx.MultiGraph([(0, 1), (0, 1), (1, 2)])
    np.testing.assert_allclose(GossipNetwork(parallel).probabilities, [2 / 3, 1 / 3], rtol=1e-15)


def test_a_network_cannot_be_changed_and_leaves_its_data_alone():
    matrix = sparse.csr_array(nx.to_numpy_array(nx.path_graph(4)))
    network = GossipNetwork(matrix)
    matrix.data[:] = 5.0
    np.testing.assert_allclose(network.probabilities, 1 / 3)
    for array in (network.edges, network.probabilities, network.effective_resistances):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_random_neighbours():
    graph = nx.star_graph(4)
    weights = random_neighbour_weights(graph)
    # A leaf always calls the hub; the hub calls one leaf in four.
    assert weights[0, 1] == pytest.approx((1 + 1 / 4) / 5)
    for other in (graph, nx.gnp_random_graph(20, 0.4, seed=0), weighted(nx.path_graph(5), 1)):
        weights = random_neighbour_weights(other)
        assert sparse.triu(weights).sum() == pytest.approx(1.0, rel=1e-14)
        assert abs(weights - weights.T).max() == 0.0
        assert GossipNetwork(weights).n_edges == other.number_of_edges()


def graph_of(*edges, nodes=()):
    graph = nx.Graph()
    graph.add_nodes_from(nodes)
    graph.add_weighted_edges_from(edges)
    return graph


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (nx.Graph(), "at least two nodes, got 0"),
        (graph_of(nodes=[0]), "at least two nodes, got 1"),
        (graph_of(nodes=[0, 1]), "positive total, got no edges"),
        (np.zeros((3, 3)), "positive total, got no edges"),
        (graph_of((0, 1, 1.0), (1, 2, 0.0)), r"must be > 0, got 0.0 on edge \(1, 2\)"),
        (graph_of(("a", "b", -2.0)), r"must be > 0, got -2.0 on edge \('a', 'b'\)"),
        (graph_of((0, 1, np.nan)), r"weight of edge \(0, 1\) must be finite"),
        (graph_of((0, 1, None)), r"weight of edge \(0, 1\) must be a real number"),
        (graph_of((0, 1, 1.0), (1, 1, 1.0)), "no self-loops, got one at node 1"),
        (np.eye(2) + 1, "no self-loops, got one at node 0"),
        (graph_of((0, 1, 1e308), (1, 2, 1e308)), "finite sum"),
        (graph_of((0, 1, 1e-200), (1, 2, 1e200)), "within a factor 1e300"),
        (nx.DiGraph([(0, 1)]), "undirected"),
        (graph_of((0, 1, 1.0), (2, 3, 1.0)), "connected graph, got 2 components"),
        (graph_of((0, 1, 1.0), nodes=[2]), "connected graph, got 2 components"),
        ([[0.0, 1.0], [2.0, 0.0]], r"symmetric, got 1.0 at \(0, 1\) and 2.0 at \(1, 0\)"),
        ([[0.0, -1.0], [-1.0, 0.0]], r"must be > 0, got -1.0 on edge \(0, 1\)"),
        ([[0.0, np.inf], [np.inf, 0.0]], "weights must be finite"),
        (sparse.csr_array(np.triu(np.ones((2, 2)), 1)), "symmetric"),
        (sparse.csr_array(np.ones((2, 3))), r"square matrix, got shape \(2, 3\)"),
        ([1.0, 2.0], r"2 dimension\(s\)"),
        ("ring", "array of real numbers"),
    ],
)
def test_bad_weights(weights, message):
    with np.errstate(over="ignore"), pytest.raises(ValueError, match=message):
        GossipNetwork(weights)


def test_bad_arguments():
    network = GossipNetwork(nx.path_graph(3))
    for x in (np.zeros(4), 0.0, np.zeros((3, 2, 2))):
        with pytest.raises(ValueError, match=r"x must have shape \(3,\) or \(3, copies\)"):
            network.consensus(x)
    with pytest.raises(ValueError, match="no isolated nodes, got 7"):
        random_neighbour_weights(graph_of((0, 1, 1.0), nodes=[7]))
    with pytest.raises(ValueError, match=r"graph must be a networkx.Graph, got ndarray"):
        random_neighbour_weights(np.ones((2, 2)))


# ---------------------------------------------------------------- when accuracy is out of reach


@pytest.mark.parametrize("weak", [1e-3, 1e-6, 1e-9, 1e-12, 1e-15])
def test_gap_of_weakly_joined_pairs_is_right_or_refused(weak):
    network = GossipNetwork(graph_of((0, 1, 1.0), (1, 2, weak), (2, 3, 1.0)))
    if weak >= 1e-6:
        # On (a, b, −b, −a) the Laplacian is [[1, −1], [−1, 1 + 2 weak]].
        exact = 1.0 + weak - np.sqrt(1.0 + weak**2)
        assert network.spectral_gap * (2.0 + weak) == pytest.approx(exact, rel=1e-8)
    else:
        with pytest.raises(ConvergenceError, match="pass a schedule"):
            _ = network.spectral_gap


@pytest.mark.parametrize("weak", [1e-14, 1e-30])
def test_ill_conditioned_resistances_are_refused(weak):
    square = graph_of((0, 1, 1.0), (1, 2, weak), (2, 3, 1.0), (3, 0, weak))
    with pytest.raises(ConvergenceError, match="pass a schedule"):
        _ = GossipNetwork(square).effective_resistances


def test_lanczos_failure_says_so(monkeypatch):
    def fail(*args, **kwargs):
        raise ArpackNoConvergence("no", np.empty(0), np.empty((0, 0)))

    monkeypatch.setattr("inthelimit.graphs.network.eigsh", fail)
    monkeypatch.setattr("inthelimit.graphs.network.DENSE_NODES", 0)
    with pytest.raises(ConvergenceError, match="did not converge"):
        _ = GossipNetwork(nx.path_graph(5)).spectral_gap
