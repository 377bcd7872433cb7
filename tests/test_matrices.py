"""Gossip matrices against networkx and array shifts, their spectra against dense eigenvalues."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import dctn, fftn, idctn, ifftn

from inthelimit.graphs import (
    Lattice,
    box_matrix,
    box_spectrum,
    gossip_matrix,
    percolation_graph,
    random_geometric_graph,
    random_regular_multigraph,
    square_lattice,
    torus_matrix,
    torus_spectrum,
    triangular_lattice,
)

ANISOTROPIC = Lattice(
    [[1, 0], [-1, 0], [0, 1], [0, -1], [1, 1], [-1, -1], [0, 0]],
    [0.25, 0.25, 0.1, 0.1, 0.1, 0.1, 0.1],
)
LONG = Lattice([[1], [-1], [5], [-5]], [0.3, 0.3, 0.2, 0.2])
TORI = [
    (square_lattice(1), (9,)),
    (square_lattice(2), (5, 8)),
    (square_lattice(3), (2, 3, 4)),
    (triangular_lattice(), (6, 7)),
    (ANISOTROPIC, (4, 3)),
    # Sides shorter than the offsets: neighbours coincide, or are the node itself.
    (LONG, (1,)),
    (LONG, (2,)),
    (LONG, (4,)),
    (LONG, (7,)),
    (triangular_lattice(), (1, 2)),
]
BOXES = [(1,), (2,), (7,), (4, 6), (1, 5), (3, 1, 2), (2, 3, 4), (2, 2, 2, 2)]


def assert_gossip(W, rounding=4e-16):
    """Symmetric, non-negative, with rows and columns of sum one."""
    assert abs(W - W.T).max() == 0.0
    assert W.data.min() >= 0.0
    np.testing.assert_allclose(W @ np.ones(W.shape[0]), 1.0, atol=rounding)
    # In canonical form, as products and slices assume.
    assert W.has_sorted_indices
    assert W.has_canonical_format


# ---------------------------------------------------------------- tori


@pytest.mark.parametrize(("lattice", "shape"), TORI)
def test_torus_matrices_average_over_shifted_copies(lattice, shape):
    W = torus_matrix(lattice, shape)
    assert_gossip(W, rounding=1e-15)
    x = np.random.default_rng(0).normal(size=shape)
    axes = tuple(range(len(shape)))
    expected = sum(
        w * np.roll(x, tuple(u), axes)
        for u, w in zip(lattice.offsets.tolist(), lattice.weights, strict=True)
    )
    np.testing.assert_allclose((W @ x.ravel()).reshape(shape), expected, atol=1e-15)


@pytest.mark.parametrize(("lattice", "shape"), TORI)
def test_torus_spectra_are_the_eigenvalues_with_multiplicity(lattice, shape):
    eigenvalues = np.linalg.eigvalsh(torus_matrix(lattice, shape).toarray())
    spectrum = torus_spectrum(lattice, shape)
    assert spectrum.shape == shape
    np.testing.assert_allclose(np.sort(spectrum, axis=None), eigenvalues, atol=3e-15)


@pytest.mark.parametrize(("lattice", "shape"), TORI)
def test_torus_spectra_stand_in_the_order_of_the_fourier_transform(lattice, shape):
    W = torus_matrix(lattice, shape)
    x = np.random.default_rng(1).normal(size=shape)
    through = ifftn(torus_spectrum(lattice, shape) * fftn(x))
    np.testing.assert_allclose(through, (W @ x.ravel()).reshape(shape), atol=1e-14)


def test_the_square_torus_is_the_torus_of_networkx():
    graph = nx.grid_graph((4, 6), periodic=True)
    order = [(i, j) for i in range(6) for j in range(4)]
    expected = nx.to_numpy_array(graph, nodelist=order) / 4
    np.testing.assert_array_equal(torus_matrix(square_lattice(2), (6, 4)).toarray(), expected)


def test_one_is_a_simple_eigenvalue_exactly_if_the_torus_is_connected():
    assert np.count_nonzero(torus_spectrum(square_lattice(2), (40, 30)) == 1.0) == 1
    doubled = Lattice([[2], [-2]], [0.5, 0.5])
    assert np.count_nonzero(torus_spectrum(doubled, (9,)) == 1.0) == 1
    assert np.count_nonzero(torus_spectrum(doubled, (10,)) == 1.0) == 2


# ---------------------------------------------------------------- boxes


@pytest.mark.parametrize("shape", BOXES)
def test_box_matrices_are_those_of_the_grid_graph(shape):
    d = len(shape)
    W = box_matrix(shape)
    assert_gossip(W)
    order = list(np.ndindex(*shape))
    # grid_graph reverses the order of its axes, and in one dimension its nodes are no tuples.
    graph = nx.grid_graph(shape[::-1])
    laplacian = nx.laplacian_matrix(graph, nodelist=order if d > 1 else range(shape[0]))
    expected = np.eye(len(order)) - laplacian.toarray() / (2 * d)
    np.testing.assert_allclose(W.toarray(), expected, atol=3e-16)


@pytest.mark.parametrize("shape", BOXES)
def test_box_spectra_are_the_eigenvalues_with_multiplicity(shape):
    spectrum = box_spectrum(shape)
    assert spectrum.shape == shape
    eigenvalues = np.linalg.eigvalsh(box_matrix(shape).toarray())
    np.testing.assert_allclose(np.sort(spectrum, axis=None), eigenvalues, atol=5e-15)


@pytest.mark.parametrize("shape", BOXES)
def test_box_spectra_stand_in_the_order_of_the_cosine_transform(shape):
    x = np.random.default_rng(2).normal(size=shape)
    through = idctn(box_spectrum(shape) * dctn(x))
    round_of_gossip = (box_matrix(shape) @ x.ravel()).reshape(shape)
    np.testing.assert_allclose(through, round_of_gossip, atol=1e-14)


def test_box_spectra_are_means_of_cosines():
    i, j = np.ogrid[:12, :7]
    expected = (np.cos(np.pi * i / 12) + np.cos(np.pi * j / 7)) / 2
    np.testing.assert_allclose(box_spectrum((12, 7)), expected, atol=1e-15)
    assert np.count_nonzero(box_spectrum((40, 40)) == 1.0) == 1


# ---------------------------------------------------------------- any graph


@st.composite
def graphs(draw):
    """Small multigraphs with loops, parallel edges, isolated nodes and labels of any kind."""
    n = draw(st.integers(1, 7))
    ends = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))
    graph = draw(st.sampled_from([nx.Graph, nx.MultiGraph]))()
    graph.add_nodes_from(f"node {v}" for v in reversed(range(n)))
    graph.add_edges_from((f"node {v}", f"node {w}") for v, w in draw(st.lists(ends, max_size=12)))
    return graph


def entries(graph):
    """The number of edges between different nodes, and all degrees, in the order of the nodes."""
    order = list(graph)
    A = np.zeros((len(order), len(order)))
    for v, w in graph.edges():
        i, j = order.index(v), order.index(w)
        A[i, j] += i != j
        A[j, i] += i != j
    return A, np.array([graph.degree(v) for v in order])


@settings(deadline=None)
@given(graphs(), st.floats(0.0, 3.0))
def test_max_degree_is_the_identity_minus_the_laplacian_over_the_degree(graph, extra):
    A, degrees = entries(graph)
    for degree in (None, degrees.max() + extra + (degrees.max() == 0)):
        W = gossip_matrix(graph, degree=degree)
        assert_gossip(W, rounding=1e-15)
        bound = max(degrees.max(), 1) if degree is None else degree
        expected = np.eye(len(A)) + (A - np.diag(A.sum(axis=1))) / bound
        np.testing.assert_allclose(W.toarray(), expected, atol=1e-15)


@settings(deadline=None)
@given(graphs())
def test_metropolis_takes_the_smaller_share_of_both_ends(graph):
    A, degrees = entries(graph)
    W = gossip_matrix(graph, weights="metropolis")
    assert_gossip(W, rounding=1e-15)
    share = 1.0 / np.maximum(degrees, 1)
    expected = A * np.minimum.outer(share, share)
    expected += np.diag(1.0 - expected.sum(axis=1))
    np.testing.assert_allclose(W.toarray(), expected, atol=1e-15)


@pytest.mark.parametrize("weights", ["max-degree", "metropolis"])
def test_gossip_matrices_of_large_random_graphs_are_gossip_matrices(weights):
    rng = np.random.default_rng(3)
    for graph in (
        percolation_graph((40, 40), 0.6, rng=rng),
        random_geometric_graph(1728, 3, 1.5 / 12, rng=rng),
        random_regular_multigraph(2000, 3, rng=rng),
    ):
        W = gossip_matrix(graph, weights=weights)
        assert_gossip(W, rounding=1e-15)
        assert W.shape == (len(graph), len(graph))
        # The pattern is the graph's: no edge is lost and none is made.
        simple = nx.Graph(graph)
        simple.remove_edges_from(list(nx.selfloop_edges(simple)))
        assert np.count_nonzero(W.tocoo().row < W.tocoo().col) == simple.number_of_edges()


def test_full_percolation_with_the_lattice_degree_is_the_box():
    graph = percolation_graph((4, 5, 3), 1.0, rng=np.random.default_rng(0))
    difference = gossip_matrix(graph, degree=6) - box_matrix((4, 5, 3))
    assert abs(difference).max() < 2e-16


def test_regular_multigraphs_have_the_adjacency_matrix_over_the_degree():
    graph = nx.MultiGraph([(0, 0), (0, 1), (1, 2), (1, 2), (2, 3), (3, 3)])
    # A loop counts twice.
    A = np.array([[2, 1, 0, 0], [1, 0, 2, 0], [0, 2, 0, 1], [0, 0, 1, 2]])
    for degree in (None, 3):
        W = gossip_matrix(graph, degree=degree)
        np.testing.assert_allclose(W.toarray(), A / 3, rtol=1e-15)


def test_weights_of_edges_are_not_used():
    graph = nx.path_graph(4)
    nx.set_edge_attributes(graph, 7.5, "weight")
    difference = gossip_matrix(graph) - gossip_matrix(nx.path_graph(4))
    assert abs(difference).max() == 0.0


# ---------------------------------------------------------------- the door


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: torus_matrix(square_lattice(2), (4,)), r"shape must have 2 side length\(s\)"),
        (lambda: torus_matrix(square_lattice(1), (2, 2)), r"shape must have 1 side length\(s\)"),
        (lambda: torus_spectrum(square_lattice(2), (4, 0)), r"shape\[1\] must be ≥ 1, got 0"),
        (lambda: torus_matrix(square_lattice(2), (4, 2.0)), r"shape\[1\] must be an integer"),
        (lambda: torus_spectrum(square_lattice(1), 4), "shape must be a sequence of side lengths"),
        (lambda: box_matrix(()), r"shape must have at least one side length\(s\), got \(\)"),
        (lambda: box_matrix((-3,)), r"shape\[0\] must be ≥ 1, got -3"),
        (lambda: box_spectrum((2.5, 2)), r"shape\[0\] must be an integer, got 2.5"),
        (
            lambda: torus_matrix(square_lattice(3), (1000, 1000, 1000)),
            r"matrix within 4 GiB, got \(1000, 1000, 1000\), which takes 67.1 GiB",
        ),
        (lambda: box_matrix((10**5, 10**5)), "the matrix within 4 GiB, .* takes 447 GiB"),
        (lambda: box_spectrum((10**5, 10**5)), "the spectrum within 4 GiB, .* takes 74.5 GiB"),
        (
            lambda: torus_spectrum(square_lattice(2), (2**40, 2**40)),
            "the spectrum within 4 GiB, .* takes 9.01e",
        ),
        (lambda: gossip_matrix(nx.DiGraph([(0, 1)])), "graph must be undirected"),
        (lambda: gossip_matrix(nx.Graph()), "graph must have at least one node"),
        (lambda: gossip_matrix(np.eye(3)), "graph must be a networkx.Graph, got ndarray"),
        (
            lambda: gossip_matrix(nx.path_graph(3), weights="uniform"),
            "weights must be one of 'max-degree', 'metropolis', got 'uniform'",
        ),
        (
            lambda: gossip_matrix(nx.star_graph(5), degree=4),
            "degree must be ≥ 5, the largest in the graph, got 4.0",
        ),
        (lambda: gossip_matrix(nx.empty_graph(2), degree=0), "degree must be > 0, got 0.0"),
        (lambda: gossip_matrix(nx.path_graph(2), degree=np.nan), "degree must be finite, got nan"),
        (
            lambda: gossip_matrix(nx.path_graph(3), weights="metropolis", degree=2),
            "degree must be left out with weights='metropolis', got 2",
        ),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
