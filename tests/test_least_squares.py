"""The constants of least squares are what their definitions say, however they are computed."""

import itertools

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inthelimit.continuized.least_squares import (
    LeastSquaresConstants,
    edge_law,
    finite_law,
    gaussian_law,
    least_squares_constants,
    least_squares_gradient,
    one_hot_law,
)


def gauss_hermite_law(spectrum, nodes=4):
    """A finite law with the moments of N(0, diag(spectrum)) up to order 2·nodes − 1."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    grid = np.array(list(itertools.product(points, repeat=len(spectrum))))
    mass = np.array([np.prod(w) for w in itertools.product(weights, repeat=len(spectrum))])
    return finite_law(grid * np.sqrt(spectrum), mass)


def random_law(seed, n, d, rank=None):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, d))
    if rank is not None:
        vectors = vectors[:, :rank] @ rng.normal(size=(rank, d))
    return finite_law(vectors, rng.exponential(size=n))


def random_edges(seed, n=10, density=0.35):
    graph = nx.gnp_random_graph(n, density, seed=seed)
    nx.add_path(graph, range(n))  # connected
    edges = np.array(graph.edges)
    return edges, np.random.default_rng(seed).dirichlet(np.ones(len(edges)))


def resistances(edges, probabilities):
    graph = nx.Graph()
    graph.add_weighted_edges_from(
        (*e, p) for e, p in zip(edges.tolist(), probabilities, strict=True)
    )
    distance = nx.resistance_distance(graph, weight="weight", invert_weight=False)
    return np.array([distance[v][w] for v, w in edges.tolist()])


# ---------------------------------------------------------------- the definitions


@pytest.mark.parametrize(
    ("n", "d", "rank"), [(30, 4, None), (4, 4, None), (3, 6, None), (30, 6, 3)]
)
def test_the_constants_are_the_smallest_that_their_inequalities_allow(n, d, rank):
    law = random_law(0, n, d, rank)
    a, w = law.vectors, law.weights
    H = (w * a.T) @ a
    inverse = np.linalg.pinv(H, rcond=1e-10, hermitian=True)
    root = np.linalg.cholesky(
        law.eigenvectors[:, law.spectrum > 0].T @ H @ law.eigenvectors[:, law.spectrum > 0]
    )
    seen = law.eigenvectors[:, law.spectrum > 0]
    for constant, scale in (
        (law.R2, (a**2).sum(axis=1)),
        (law.kappa_tilde, np.einsum("ij,jk,ik->i", a, inverse, a)),
    ):
        weighted = seen.T @ ((w * scale * a.T) @ a) @ seen
        whitened = np.linalg.solve(root, np.linalg.solve(root, weighted).T)
        assert np.isclose(np.linalg.eigvalsh(whitened).max(), constant, rtol=1e-10)


def test_mu_kappa_rank_and_covariance():
    law = random_law(1, 30, 6, rank=3)
    assert law.rank == 3
    assert law.dimension == 6
    assert np.count_nonzero(law.spectrum) == 3
    assert np.isclose(law.mu, np.linalg.eigvalsh(law.covariance)[3], rtol=1e-10)
    assert law.kappa == law.R2 / law.mu
    rebuilt = law.eigenvectors @ np.diag(law.spectrum) @ law.eigenvectors.T
    assert np.allclose(rebuilt, law.covariance, rtol=0, atol=1e-13 * law.R2)
    assert np.allclose(law.eigenvectors.T @ law.eigenvectors, np.eye(6), rtol=0, atol=1e-13)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 20),
    d=st.integers(1, 6),
    exponent=st.floats(-3.0, 3.0),
)
def test_rank_is_at_most_kappa_tilde_is_at_most_kappa(seed, n, d, exponent):
    rng = np.random.default_rng(seed)
    law = finite_law(rng.standard_t(2, size=(n, d)) * 10.0**exponent, rng.exponential(size=n))
    assert law.rank * (1 - 1e-9) <= law.kappa_tilde <= law.kappa * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_kappa_tilde_ignores_linear_maps_and_R2_rotations(seed):
    rng = np.random.default_rng(seed)
    law = random_law(seed, 30, 5)
    rotation = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    stretch = rotation * np.logspace(-6, 0, 5)
    rotated = finite_law(law.vectors @ rotation, law.weights)
    stretched = finite_law(law.vectors @ stretch, law.weights)
    assert np.isclose(rotated.R2, law.R2, rtol=1e-12)
    assert np.isclose(stretched.kappa_tilde, law.kappa_tilde, rtol=1e-8)
    assert stretched.kappa > 1e6 * law.kappa


# ---------------------------------------------------------------- closed forms


def test_one_hot_closed_form_is_that_of_the_finite_law():
    p = np.array([0.5, 0.3, 0.0, 0.2])
    law, same = one_hot_law(p), finite_law(np.eye(4), p)
    assert np.isclose(law.R2, same.R2, rtol=1e-12)
    assert np.isclose(law.kappa_tilde, same.kappa_tilde, rtol=1e-12)
    assert law.kappa_tilde == law.kappa == 5.0
    assert np.allclose(np.sort(law.spectrum), same.spectrum, rtol=1e-12)


@pytest.mark.parametrize("spectrum", [[1.0], [1.0, 0.1], [0.2, 3.0, 1e-4]])
def test_gaussian_closed_form_is_that_of_a_cubature_with_the_same_moments(spectrum):
    law, same = gaussian_law(spectrum), gauss_hermite_law(spectrum)
    assert np.isclose(law.R2, same.R2, rtol=1e-11)
    assert np.isclose(law.kappa_tilde, same.kappa_tilde, rtol=1e-11)
    assert np.isclose(law.mu, same.mu, rtol=1e-11)


def test_gaussian_with_a_dead_coordinate():
    law = gaussian_law([1.0, 0.0, 0.25])
    assert (law.rank, law.kappa_tilde, law.mu) == (2, 4.0, 0.25)


def test_gaussian_constants_of_a_sample():
    law = gaussian_law([1.0, 0.3, 0.01])
    n = 40_000
    sample = least_squares_constants(law.sample(np.random.default_rng(0), n))
    # Along an eigenvector, ‖a‖²_{H⁻¹}(a·u)²/h has variance 3(d+4)(d+6) − (d+2)².
    error = np.sqrt(3 * 7 * 9 - 25) / np.sqrt(n)
    assert abs(sample.kappa_tilde - 5.0) < 4 * error
    assert abs(sample.R2 / law.R2 - 1.0) < 0.05
    assert abs(sample.mu / law.mu - 1.0) < 4 * np.sqrt(2 / n)


@pytest.mark.parametrize("seed", range(6))
def test_edge_law_on_random_graphs(seed):
    edges, p = random_edges(seed)
    law = edge_law(edges, p)
    R = resistances(edges, p)
    laplacian = nx.laplacian_matrix(
        nx.Graph([(v, w, {"weight": q}) for (v, w), q in zip(edges.tolist(), p, strict=True)]),
        nodelist=range(10),
    ).toarray()
    assert np.allclose(law.covariance, laplacian, rtol=0, atol=1e-14)
    assert np.isclose(law.mu, np.linalg.eigvalsh(laplacian)[1], rtol=1e-8)
    assert np.allclose(law.inverse_norms, R, rtol=1e-8)
    assert np.isclose(law.R2, finite_law(law.vectors, p).R2, rtol=1e-12)
    assert np.isclose(p @ R, 9.0, rtol=1e-10)  # Foster
    assert law.rank == 9
    assert law.kappa_tilde <= R.max() * (1 + 1e-9)


@pytest.mark.parametrize(
    "graph",
    [
        *(nx.path_graph(7), nx.star_graph(5), nx.cycle_graph(8), nx.complete_graph(6)),
        *(nx.barbell_graph(4, 0), nx.random_labeled_tree(12, seed=1)),
    ],
)
def test_kappa_tilde_is_the_largest_resistance_on_trees_and_symmetric_graphs(graph):
    edges = np.array(graph.edges)
    p = np.full(len(edges), 1.0 / len(edges))
    assert np.isclose(edge_law(edges, p).kappa_tilde, resistances(edges, p).max(), rtol=1e-10)


@pytest.mark.parametrize("seed", range(12))
def test_kappa_tilde_is_the_largest_resistance_where_its_edges_hold_the_graph_together(seed):
    edges, p = random_edges(seed, density=0.2)
    R = resistances(edges, p)
    rest = nx.Graph(edges[R < R.max() * (1 - 1e-9)].tolist())
    rest.add_nodes_from(range(10))
    ratio = edge_law(edges, p).kappa_tilde / R.max()
    assert (ratio > 1 - 1e-9) == (not nx.is_connected(rest))


def test_kappa_tilde_of_an_uneven_triangle_is_below_the_largest_resistance():
    edges, p = np.array([[0, 1], [1, 2], [0, 2]]), np.array([0.5, 0.3, 0.2])
    assert edge_law(edges, p).kappa_tilde < 0.98 * resistances(edges, p).max()


def test_no_acceleration_on_the_complete_graph():
    n = 6
    edges = np.array(list(itertools.combinations(range(n), 2)))
    law = edge_law(edges, np.full(len(edges), 1.0 / len(edges)))
    assert np.isclose(law.kappa_tilde, law.kappa, rtol=1e-12)
    assert np.isclose(law.kappa_tilde, n - 1, rtol=1e-12)


def test_constants_of_a_law_are_its_own():
    law = one_hot_law([0.5, 0.5])
    assert least_squares_constants(law) == LeastSquaresConstants(1.0, 2.0, 0.5, 2.0)


def test_weights_are_relative_and_zero_weights_are_dropped():
    vectors = np.random.default_rng(0).normal(size=(6, 2))
    law = finite_law(vectors[:5], [1.0, 2.0, 3.0, 1.0, 1.0])
    same = finite_law(vectors, [1e200, 2e200, 3e200, 1e200, 1e200, 0.0])
    repeated = finite_law(np.repeat(vectors[:5], [1, 2, 3, 1, 1], axis=0))
    for other in (same, repeated):
        assert np.isclose(law.R2, other.R2, rtol=1e-12)
        assert np.isclose(law.kappa_tilde, other.kappa_tilde, rtol=1e-12)


# ---------------------------------------------------------------- fourth moments, norms


def fourth_moment_by_hand(law, second):
    coordinates = law.vectors @ law.eigenvectors
    outer = coordinates[:, :, None] * coordinates[:, None, :]
    full = np.einsum("n,nij,jk,nkl->il", law.weights, outer, np.diag(second), outer)
    return full.diagonal()


def test_gaussian_fourth_moment_is_that_of_a_cubature():
    spectrum, second = np.array([0.2, 1.0, 3.0]), np.array([2.0, 0.3, 1.0])
    moment = gaussian_law(spectrum).coupling() @ second
    assert np.allclose(moment, fourth_moment_by_hand(gauss_hermite_law(spectrum), second))


@pytest.mark.parametrize("law", [one_hot_law([0.2, 0.5, 0.3]), random_law(0, 9, 3)])
def test_finite_fourth_moment(law):
    second = np.array([2.0, 0.3, 1.0])
    assert np.allclose(law.coupling() @ second, fourth_moment_by_hand(law, second), rtol=1e-12)


def test_whose_diagonal_closes():
    signs = np.array(list(itertools.product([-1.0, 1.0], repeat=3)))
    assert one_hot_law([0.2, 0.5, 0.3]).has_closed_diagonal()
    assert gaussian_law([1.0, 0.1]).has_closed_diagonal()
    assert gauss_hermite_law([1.0, 0.1, 0.3]).has_closed_diagonal()
    assert finite_law(signs * [1.0, 2.0, 3.0]).has_closed_diagonal()
    assert not edge_law([[0, 1], [1, 2], [2, 3]], [0.5, 0.25, 0.25]).has_closed_diagonal()
    assert not random_law(0, 9, 3).has_closed_diagonal()


def test_inverse_norm_is_that_of_the_pseudo_inverse():
    law = random_law(3, 20, 6, rank=4)
    v = np.random.default_rng(0).normal(size=(6, 5))
    expected = np.einsum("ic,ij,jc->c", v, np.linalg.pinv(law.covariance, rcond=1e-10), v)
    assert np.allclose(law.inverse_norm_squared(v), expected, rtol=1e-8)
    assert np.isclose(law.inverse_norm_squared(v[:, 2]), expected[2], rtol=1e-8)
    assert np.allclose(law.inverse_norm_squared(law.vectors.T), law.inverse_norms, rtol=1e-8)


# ---------------------------------------------------------------- sampling and gradients

LAWS = [
    gaussian_law([1.0, 0.1, 0.0]),
    one_hot_law([0.6, 0.4, 0.0]),
    edge_law([[0, 1], [1, 2]], [0.9, 0.1]),
    random_law(0, 7, 3),
]


@pytest.mark.parametrize("law", LAWS)
def test_sample_has_the_covariance(law):
    n = 20_000
    a = law.sample(np.random.default_rng(1), n)
    products = a[:, :, None] * a[:, None, :]
    error = products.std(axis=0) / np.sqrt(n)
    assert (np.abs(products.mean(axis=0) - law.covariance) <= 4 * error + 1e-15).all()


@pytest.mark.parametrize("law", LAWS)
def test_sample_shapes_and_seeds(law):
    def draw(size):
        return law.sample(np.random.default_rng(5), size)

    assert draw(None).shape == (3,)
    assert draw(4).shape == (4, 3)
    assert draw((2, 5)).shape == (2, 5, 3)
    assert draw(0).shape == (0, 3)
    assert (draw(4) == draw(4)).all()


@pytest.mark.parametrize("law", LAWS)
def test_gradient_is_unbiased_and_vanishes_at_the_solution(law):
    rng = np.random.default_rng(2)
    solution, x = np.array([1.0, -2.0, 0.5]), np.array([0.3, 1.0, 2.0])
    gradient = least_squares_gradient(law, solution)
    n = 20_000
    g = gradient(np.repeat(x[:, None], n, axis=1), rng)
    error = g.std(axis=1) / np.sqrt(n)
    mean = law.covariance @ (x - solution)
    assert (np.abs(g.mean(axis=1) - mean) <= 4 * error + 1e-15).all()
    assert not gradient(np.repeat(solution[:, None], 9, axis=1), rng).any()


def test_gradient_is_aa_transpose_with_one_fresh_vector_a_copy():
    law = gaussian_law([1.0, 0.3])
    solution, x = np.array([1.0, 2.0]), np.random.default_rng(3).normal(size=(2, 4))
    g = least_squares_gradient(law, solution)(x, np.random.default_rng(7))
    a = law.sample(np.random.default_rng(7), 4)
    expected = [v * (v @ (x[:, c] - solution)) for c, v in enumerate(a)]
    assert np.allclose(g.T, expected, rtol=1e-14)
    single = least_squares_gradient(law, solution)(x[:, 0], np.random.default_rng(7))
    a = law.sample(np.random.default_rng(7))
    assert np.allclose(single, a * (a @ (x[:, 0] - solution)), rtol=1e-14)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gaussian_law([1.0, -0.1]), "spectrum must be ≥ 0 and not all 0, got .* -0.1"),
        (lambda: gaussian_law([0.0, 0.0]), "spectrum must be ≥ 0 and not all 0"),
        (lambda: gaussian_law([]), "spectrum must have at least one entry"),
        (lambda: gaussian_law([np.nan]), "spectrum must be finite"),
        (lambda: one_hot_law([0.5, 0.6]), "probabilities must sum to 1, got 1.1"),
        (lambda: one_hot_law([1.5, -0.5]), "probabilities must be ≥ 0, got -0.5"),
        (lambda: finite_law([[0.0, 0.0]]), "vectors must not all be 0"),
        (lambda: finite_law([[0.0], [1.0]], [1.0, 0.0]), "vectors must not all be 0"),
        (lambda: finite_law([[1.0]], [0.0]), "weights must be ≥ 0 and not all 0"),
        (lambda: finite_law([[1.0]], [-1.0]), "weights must be ≥ 0 and not all 0, got .* -1"),
        (lambda: finite_law([[1.0]], [1.0, 1.0]), r"weights must have shape \(1,\)"),
        (lambda: finite_law([[1e200]]), "vectors must have a largest entry between"),
        (lambda: finite_law([[1e-200]]), "vectors must have a largest entry between"),
        (lambda: edge_law([[0, 0]], [1.0]), "edges must join two nodes, but edge 0"),
        (lambda: edge_law([[0, -1]], [1.0]), "edges must have ends ≥ 0, got -1"),
        (lambda: edge_law([[0.0, 1.0]], [1.0]), "edges must be integers"),
        (lambda: edge_law(np.zeros((0, 2), dtype=int), []), "edges must be integers of shape"),
        (lambda: edge_law([[0, 1]], [0.5, 0.5]), r"probabilities must have shape \(1,\)"),
        (lambda: least_squares_constants([[0.0]]), "samples must not all be 0"),
        (lambda: least_squares_constants([1.0]), "samples must have 2 dimension"),
        (lambda: least_squares_gradient(LAWS[0], [0.0]), r"x_star must have shape \(3,\)"),
        (lambda: LAWS[0].inverse_norm_squared([0.0]), r"v must have shape \(3,\) or \(3, copies"),
        (
            lambda: least_squares_gradient(LAWS[0], np.zeros(3))(
                np.zeros((2, 3)), np.random.default_rng()
            ),
            r"x must have shape \(3,\) or \(3, copies\), got \(2, 3\)",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
