"""Random graphs against their laws, and against pairs of points taken one by one."""

import networkx as nx
import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import chi2

from inthelimit.graphs import (
    largest_component,
    percolation_graph,
    random_geometric_graph,
    random_regular_multigraph,
)


def edges_of(graph):
    return {frozenset(edge) for edge in graph.edges()}


# ---------------------------------------------------------------- percolation


@pytest.mark.parametrize("shape", [(7,), (4, 5), (3, 2, 4), (1, 6), (1,)])
def test_percolation_keeps_edges_of_the_box_and_all_nodes(shape):
    full = percolation_graph(shape, 1.0, rng=np.random.default_rng(0))
    grid = nx.grid_graph(shape[::-1])
    # In one dimension the nodes of networkx are no tuples.
    number = {v: int(np.ravel_multi_index(np.atleast_1d(v), shape)) for v in grid}
    box = edges_of(nx.relabel_nodes(grid, number))
    assert edges_of(full) == box
    for v, position in full.nodes(data="position"):
        assert np.ravel_multi_index(position, shape) == v
    none = percolation_graph(shape, 0.0, rng=np.random.default_rng(0))
    assert list(none) == list(full) == list(range(int(np.prod(shape))))
    assert none.number_of_edges() == 0
    some = percolation_graph(shape, 0.5, rng=np.random.default_rng(1))
    assert edges_of(some) <= box


def test_the_number_of_percolation_edges_is_binomial():
    rng = np.random.default_rng(0)
    bonds, p, runs = 2 * 20 * 19, 0.3, 400
    counts = np.array(
        [percolation_graph((20, 20), p, rng=rng).number_of_edges() for _ in range(runs)]
    )
    variance = bonds * p * (1 - p)
    assert abs(counts.mean() - bonds * p) < 4 * np.sqrt(variance / runs)
    # A binomial variance is known to about √(2/runs) of itself.
    assert abs(counts.var(ddof=1) / variance - 1.0) < 4 * np.sqrt(2 / runs)


def test_every_bond_of_percolation_is_open_equally_often():
    rng = np.random.default_rng(1)
    runs, p = 1000, 0.4
    counts = dict.fromkeys(edges_of(percolation_graph((3, 2, 2), 1.0, rng=rng)), 0)
    for _ in range(runs):
        for edge in edges_of(percolation_graph((3, 2, 2), p, rng=rng)):
            counts[edge] += 1
    scores = (np.array(list(counts.values())) - runs * p) / np.sqrt(runs * p * (1 - p))
    assert abs(scores).max() < 4.0
    # Were the bonds dependent, or of other probabilities, the sum of squares would show it.
    assert 0.0005 < chi2.cdf(scores @ scores, df=len(counts)) < 0.9995


# ---------------------------------------------------------------- geometric graphs


@pytest.mark.parametrize(("n", "d", "radius"), [(60, 1, 0.05), (200, 2, 0.1), (150, 3, 0.3)])
def test_geometric_edges_are_the_pairs_within_the_radius(n, d, radius):
    graph = random_geometric_graph(n, d, radius, rng=np.random.default_rng(d))
    assert list(graph) == list(range(n))
    positions = np.array([position for _, position in graph.nodes(data="position")])
    assert positions.shape == (n, d)
    assert ((positions >= 0.0) & (positions < 1.0)).all()
    near = np.stack(np.triu_indices(n, 1), axis=1)[pdist(positions) <= radius]
    assert edges_of(graph) == {frozenset(pair) for pair in near.tolist()}
    assert 0 < graph.number_of_edges() < n * (n - 1) // 2


def test_a_radius_beyond_the_diagonal_joins_everyone():
    for d in (1, 2, 400):
        graph = random_geometric_graph(12, d, np.sqrt(d), rng=np.random.default_rng(0))
        assert graph.number_of_edges() == 66


def test_positions_of_geometric_graphs_are_uniform():
    graph = random_geometric_graph(40_000, 3, 1e-9, rng=np.random.default_rng(4))
    positions = np.array([position for _, position in graph.nodes(data="position")])
    # Means, second moments and products of uniform coordinates, at four standard errors.
    assert (abs(positions.mean(axis=0) - 1 / 2) < 4 * np.sqrt(1 / 12 / 40_000)).all()
    centred = positions - 0.5
    second = centred.T @ centred / 40_000
    assert (abs(np.diag(second) - 1 / 12) < 4 * np.sqrt(1 / 180 / 40_000)).all()
    assert (abs(second[np.triu_indices(3, 1)]) < 4 * np.sqrt(1 / 144 / 40_000)).all()


# ---------------------------------------------------------------- regular multigraphs


@pytest.mark.parametrize(("n", "degree"), [(1, 2), (2, 1), (10, 3), (7, 4), (2000, 3)])
def test_every_node_of_a_regular_multigraph_has_the_degree(n, degree):
    graph = random_regular_multigraph(n, degree, rng=np.random.default_rng(n))
    assert list(graph) == list(range(n))
    assert {count for _, count in graph.degree} == {degree}
    assert graph.number_of_edges() == n * degree // 2


def test_half_edges_of_regular_multigraphs_are_paired_uniformly():
    # Two nodes of degree 2: of the 3 pairings of 4 half-edges, one makes two loops.
    rng = np.random.default_rng(5)
    runs = 3000
    loops = sum(random_regular_multigraph(2, 2, rng=rng).number_of_edges(0, 0) for _ in range(runs))
    assert abs(loops / runs - 1 / 3) < 4 * np.sqrt(2 / 9 / runs)


def test_loops_of_regular_multigraphs_are_as_many_as_the_configuration_model_has():
    # A given half-edge meets one of its own node's other degree − 1 with chance (degree−1)/(nd−1).
    rng = np.random.default_rng(6)
    n, degree, runs = 50, 3, 1000
    loops = np.array(
        [nx.number_of_selfloops(random_regular_multigraph(n, degree, rng=rng)) for _ in range(runs)]
    )
    expected = n * degree * (degree - 1) / (2 * (n * degree - 1))
    # The number is nearly Poisson, so its variance is about its mean.
    assert abs(loops.mean() - expected) < 4 * np.sqrt(expected / runs)
    assert loops.max() >= 1


# ---------------------------------------------------------------- components


def test_the_largest_component_keeps_labels_order_and_attributes():
    graph = nx.Graph()
    graph.add_nodes_from([5, 3, "a", 1, 9, 2])
    graph.add_edges_from([(1, 2), (9, 5), (5, 2), ("a", 3)], colour="red")
    graph.nodes[9]["position"] = (0, 1)
    component = largest_component(graph)
    assert list(component) == [5, 1, 9, 2]
    assert edges_of(component) == {frozenset(e) for e in [(1, 2), (9, 5), (5, 2)]}
    assert component.nodes[9]["position"] == (0, 1)
    assert component.edges[1, 2]["colour"] == "red"
    # It is a copy, and the graph is as it was.
    component.remove_node(5)
    assert len(graph) == 6
    assert graph.number_of_edges() == 4


def test_a_small_component_among_many_keeps_its_order_too():
    graph = nx.empty_graph(50)
    graph.add_edges_from([(8, 31), (31, 2), (2, 45)])
    graph = nx.relabel_nodes(graph, {v: 97 - v for v in graph})
    assert list(largest_component(graph)) == [95, 89, 66, 52]


def test_of_equal_components_the_first_is_taken():
    assert list(largest_component(nx.Graph([("b", "a"), ("d", "c")]))) == ["b", "a"]
    assert list(largest_component(nx.empty_graph(3))) == [0]


def test_the_largest_component_of_a_multigraph_keeps_parallel_edges_and_loops():
    component = largest_component(nx.MultiGraph([(0, 1), (0, 1), (1, 1), (2, 2)]))
    assert sorted(component.edges()) == [(0, 1), (0, 1), (1, 1)]


def test_the_largest_component_is_the_largest_of_a_percolation_graph():
    graph = percolation_graph((30, 30), 0.45, rng=np.random.default_rng(7))
    component = largest_component(graph)
    sizes = [len(part) for part in nx.connected_components(graph)]
    assert len(sizes) > 1
    assert len(component) == max(sizes)
    assert nx.is_connected(component)


# ---------------------------------------------------------------- randomness


@pytest.mark.parametrize(
    "make",
    [
        lambda rng: percolation_graph((9, 9), 0.5, rng=rng),
        lambda rng: random_geometric_graph(80, 2, 0.15, rng=rng),
        lambda rng: random_regular_multigraph(30, 4, rng=rng),
    ],
)
def test_the_same_seed_gives_the_same_graph(make):
    first, again = make(np.random.default_rng(8)), make(np.random.default_rng(8))
    assert nx.utils.graphs_equal(first, again)
    assert not nx.utils.graphs_equal(first, make(np.random.default_rng(9)))


# ---------------------------------------------------------------- the door

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: percolation_graph((3, 0), 0.5, rng=RNG), r"shape\[1\] must be ≥ 1, got 0"),
        (lambda: percolation_graph((), 0.5, rng=RNG), "shape must have at least one side length"),
        (lambda: percolation_graph(3, 0.5, rng=RNG), "shape must be a sequence of side lengths"),
        (lambda: percolation_graph((3,), 1.5, rng=RNG), "probability must be ≤ 1, got 1.5"),
        (lambda: percolation_graph((3,), -0.1, rng=RNG), "probability must be ≥ 0, got -0.1"),
        (lambda: percolation_graph((3,), np.nan, rng=RNG), "probability must be finite, got nan"),
        (lambda: percolation_graph((3,), 0.5, rng=0), "rng must be a numpy.random.Generator"),
        (
            lambda: percolation_graph((10**4, 10**4), 0.0, rng=RNG),
            "shape and probability must lead to at most 10,000,000 nodes and .* got 100,000,000",
        ),
        (lambda: random_geometric_graph(0, 2, 0.1, rng=RNG), "n_nodes must be ≥ 1, got 0"),
        (lambda: random_geometric_graph(9, 0, 0.1, rng=RNG), "dimension must be ≥ 1, got 0"),
        (lambda: random_geometric_graph(9, 2, 0.0, rng=RNG), "radius must be > 0, got 0.0"),
        (lambda: random_geometric_graph(9, 2, np.inf, rng=RNG), "radius must be finite, got inf"),
        (lambda: random_geometric_graph(9.0, 2, 0.1, rng=RNG), "n_nodes must be an integer"),
        (lambda: random_geometric_graph(9, 2, 0.1, rng=None), "rng must be a numpy.random"),
        (
            lambda: random_geometric_graph(10**5, 2, 1.0, rng=RNG),
            "n_nodes and radius must lead to at most 10,000,000 .* about 4,999,950,000",
        ),
        (
            lambda: random_geometric_graph(10**5, 2, 0.1, rng=RNG),
            # n(n−1)/2 · π/100, but for the border; and with 4π/3 · 10⁻³.
            "got 100,000 and about 157,078,062",
        ),
        (
            lambda: random_geometric_graph(10**5, 3, 0.1, rng=RNG),
            "got 100,000 and about 20,943,742",
        ),
        (
            lambda: random_geometric_graph(10**8, 1, 1e-12, rng=RNG),
            "n_nodes and radius .* got 100,000,000 and about",
        ),
        (lambda: random_regular_multigraph(3, 3, rng=RNG), "must be even, got 3 times 3"),
        (lambda: random_regular_multigraph(3, 0, rng=RNG), "degree must be ≥ 1, got 0"),
        (lambda: random_regular_multigraph(0, 2, rng=RNG), "n_nodes must be ≥ 1, got 0"),
        (lambda: random_regular_multigraph(4, 3, rng=7), "rng must be a numpy.random.Generator"),
        (
            lambda: random_regular_multigraph(10**6, 100, rng=RNG),
            "n_nodes and degree must lead to at most 10,000,000",
        ),
        (lambda: largest_component(nx.DiGraph([(0, 1)])), "undirected, got a directed one"),
        (lambda: largest_component(nx.Graph()), "at least one node, got an empty one"),
        (lambda: largest_component([1, 2]), "must be a networkx.Graph, got list"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
