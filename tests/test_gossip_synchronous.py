"""Synchronous gossip, against exact spectra, dense polynomials of W, MINRES and plain loops."""

import warnings

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.linalg import eigh
from scipy.sparse.csgraph import shortest_path
from scipy.sparse.linalg import minres

from inthelimit.gossip import (
    JacobiMethod,
    JacobiWithGap,
    MessagePassing,
    ShiftRegister,
    SimpleMethod,
    _reading,
    _stencil,
    expected_error,
    expected_local_averaging_error,
    jacobi_gossip,
    jacobi_gossip_with_gap,
    local_averaging,
    message_passing_gossip,
    parameter_free_gossip,
    polynomial_gossip,
    shift_register_gossip,
    simple_gossip,
)
from inthelimit.graphs import (
    Lattice,
    box_matrix,
    box_spectrum,
    square_lattice,
    torus_matrix,
    torus_spectrum,
    triangular_lattice,
)

SIDE = 40
GRID = box_matrix((SIDE, SIDE))
GRID_GAP = (1 - np.cos(np.pi / SIDE)) / 2
METHODS = [
    SimpleMethod(),
    JacobiMethod(1.0),
    JacobiMethod(0.5, -0.5),
    JacobiWithGap(1.0, gap=0.05),
    ShiftRegister(1.8),
    MessagePassing(4),
]
# Unequal weights on a wide and lopsided set of offsets, one of them the node itself.
SKEW = Lattice(
    [(0, 0), (1, 0), (-1, 0), (2, -1), (-2, 1), (0, 3), (0, -3)],
    [0.2, 0.1, 0.1, 0.2, 0.2, 0.1, 0.1],
)
LATTICES = [
    (square_lattice(1), (17,)),
    (square_lattice(2), (12, 9)),
    (triangular_lattice(), (7, 10)),
    (SKEW, (11, 8)),
    (square_lattice(3), (5, 4, 6)),
    # Sides shorter than the offsets, where several offsets lead to one node.
    (SKEW, (2, 2)),
    (SKEW, (1, 5)),
    (square_lattice(4), (3, 2, 4, 3)),
]


def random_matrix(seed, n=12):
    """A symmetric stochastic matrix on a random graph, by Metropolis weights."""
    graph = nx.gnp_random_graph(n, 0.3, seed=seed)
    nx.add_path(graph, range(n))
    W = np.zeros((n, n))
    for v, w in graph.edges:
        W[v, w] = W[w, v] = 1 / (1 + max(graph.degree[v], graph.degree[w]))
    return W + np.diag(1 - W.sum(axis=1))


def by_eigenvectors(W, x0, n_steps, method):
    """q_t(W) x⁰ for all t, from the eigenvectors of W."""
    values, vectors = eigh(W)
    polynomials = method.polynomials(n_steps, values)
    return np.einsum("vi,ti,i...->tv...", vectors, polynomials, vectors.T @ x0)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_gossip_is_the_polynomial_of_the_matrix(method):
    W, x0 = random_matrix(1), np.random.default_rng(2).normal(size=(12, 3))
    x = polynomial_gossip(W, x0, 30, method)
    np.testing.assert_allclose(x, by_eigenvectors(W, x0, 30, method), atol=1e-12)


@pytest.mark.parametrize("method", METHODS, ids=repr)
@pytest.mark.parametrize(("lattice", "shape"), LATTICES)
def test_a_lattice_is_its_torus_matrix(lattice, shape, method):
    rng = np.random.default_rng(3)
    n = np.prod(shape)
    W = torus_matrix(lattice, shape)
    for trailing in ((), (2,), (3, 2)):
        x0 = rng.normal(size=(*shape, *trailing))
        matrix = polynomial_gossip(W, x0.reshape(n, *trailing), 25, method)
        stencil = polynomial_gossip(lattice, x0, 25, method)
        np.testing.assert_allclose(stencil.reshape(matrix.shape), matrix, atol=1e-12)


@given(seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=60)
def test_values_in_a_box_spread_as_on_the_whole_torus(seed):
    rng = np.random.default_rng(seed)
    lattice, _ = LATTICES[rng.integers(5)]
    shape = tuple(rng.integers(6, 14, size=lattice.dimension))
    x0 = np.zeros(shape)
    first = rng.integers(0, shape)
    last = np.minimum(first + rng.integers(1, 4, size=len(shape)), shape)
    x0[tuple(slice(a, b) for a, b in zip(first, last, strict=True))] = 1.0
    n_steps = int(rng.integers(0, 12))
    x = jacobi_gossip(lattice, x0, n_steps, alpha=1.0)
    matrix = jacobi_gossip(torus_matrix(lattice, shape), x0.ravel(), n_steps, alpha=1.0)
    np.testing.assert_allclose(x.reshape(matrix.shape), matrix, atol=1e-13)


def test_nothing_moves_faster_than_one_neighbour_a_round():
    x0 = np.zeros((41, 41))
    x0[20, 20] = 1.0
    x = jacobi_gossip(square_lattice(2), x0, 15, alpha=1.0)
    i, j = np.abs(np.indices(x0.shape) - 20)
    for n in range(16):
        assert not x[n][i + j > n].any()
        assert x[n][(i + j == n)].all()


def test_rows_longer_than_a_block_are_turned_as_the_others():
    x0 = np.random.default_rng(4).normal(size=(3, 2 * _stencil.BLOCK + 17))
    W = torus_matrix(SKEW, x0.shape)
    matrix = jacobi_gossip(W, x0.ravel(), 8, alpha=1.0)
    np.testing.assert_allclose(
        jacobi_gossip(SKEW, x0, 8, alpha=1.0).reshape(9, -1), matrix, atol=1e-14
    )


def test_a_function_is_the_matrix_and_may_write_over_its_argument():
    W, x0 = random_matrix(5), np.random.default_rng(6).normal(size=(12, 2))

    def careless(x):
        x[:] = W @ x
        return x

    for method in METHODS:
        np.testing.assert_allclose(
            polynomial_gossip(careless, x0, 20, method),
            polynomial_gossip(W, x0, 20, method),
            atol=1e-13,
        )
    np.testing.assert_allclose(
        parameter_free_gossip(careless, x0, 5), parameter_free_gossip(W, x0, 5), atol=1e-12
    )


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.coo_matrix, sparse.csc_array, list])
def test_any_form_of_matrix_will_do_and_none_is_changed(form):
    W = random_matrix(7)
    given_matrix = form(W)
    x = simple_gossip(given_matrix, np.arange(12), 5)
    np.testing.assert_allclose(x[5], np.linalg.matrix_power(W, 5) @ np.arange(12), atol=1e-13)
    kept = given_matrix.toarray() if sparse.issparse(given_matrix) else np.array(given_matrix)
    np.testing.assert_array_equal(kept, W)


def test_a_matrix_with_repeated_and_stored_zero_entries_is_read_and_kept():
    # Two nodes that swap their values, and a third one apart.
    data = [0.0, 0.5, 0.5, 0.0, 0.25, 0.75, 0.0, 0.0, 1.0]
    columns = [0, 1, 1, 2, 0, 0, 1, 0, 2]
    W = sparse.csr_array((data, columns, [0, 4, 7, 9]), shape=(3, 3))
    with pytest.warns(RuntimeWarning, match="eigenvalue −1"):
        x = jacobi_gossip(W, [1.0, 0.0, 5.0], 1, alpha=0.0, beta=1.0)
    np.testing.assert_allclose(x[1], [-0.5, 1.5, 5.0])
    assert local_averaging(W, [1.0, 0.0, 5.0], 3)[3].tolist() == [0.5, 0.5, 5.0]
    assert W.data.tolist() == data
    assert W.indices.tolist() == columns


def test_chosen_times_are_a_slice_of_all_times():
    x0 = np.random.default_rng(8).normal(size=(6, 7))
    times = [0, 3, 4, 11]
    for W, values in ((square_lattice(2), x0), (random_matrix(9), x0.ravel()[:12])):
        full = jacobi_gossip(W, values, 11, alpha=1.0)
        np.testing.assert_array_equal(
            jacobi_gossip(W, values, 20, alpha=1.0, times=times), full[times]
        )
    W, values = random_matrix(9), x0.ravel()[:12]
    for run in (parameter_free_gossip, local_averaging):
        np.testing.assert_array_equal(run(W, values, 20, times=times), run(W, values, 11)[times])
    assert jacobi_gossip(W, values, 0, alpha=1.0).shape == (1, 12)


def test_several_initial_conditions_are_one_at_a_time():
    rng = np.random.default_rng(10)
    W, x0 = random_matrix(11), rng.normal(size=(12, 2, 3))

    def jacobi(W, x0, n_steps):
        return jacobi_gossip(W, x0, n_steps, alpha=1.0)

    for run in (simple_gossip, jacobi, parameter_free_gossip, local_averaging):
        together = run(W, x0, 9)
        assert together.shape == (10, 12, 2, 3)
        for i, j in np.ndindex(2, 3):
            np.testing.assert_allclose(together[..., i, j], run(W, x0[:, i, j], 9), atol=1e-13)


def test_the_caller_keeps_his_values():
    x0 = np.random.default_rng(12).normal(size=(5, 6))
    kept = x0.copy()
    for run in (simple_gossip, parameter_free_gossip):
        run(square_lattice(2), x0, 4)
        run(random_matrix(13), x0.ravel()[:12], 4)
    np.testing.assert_array_equal(x0, kept)


def test_the_named_fronts_are_the_methods():
    W, x0 = random_matrix(14), np.arange(12.0)
    pairs = [
        (simple_gossip(W, x0, 9), SimpleMethod()),
        (jacobi_gossip(W, x0, 9, alpha=0.7, beta=0.2), JacobiMethod(0.7, 0.2)),
        (
            jacobi_gossip_with_gap(W, x0, 9, alpha=0.7, beta=0.2, gap=0.1),
            JacobiWithGap(0.7, 0.2, gap=0.1),
        ),
        (shift_register_gossip(W, x0, 9, omega=1.5), ShiftRegister(1.5)),
        (message_passing_gossip(W, x0, 9, degree=3), MessagePassing(3)),
    ]
    for x, method in pairs:
        np.testing.assert_array_equal(x, polynomial_gossip(W, x0, 9, method))


def test_means_are_conserved_over_many_rounds():
    x0 = np.random.default_rng(15).normal(size=(40, 40)) + 3.0
    for method in METHODS:
        x = polynomial_gossip(square_lattice(2), x0, 5000, method, times=[1, 5000])
        np.testing.assert_allclose(x.mean(axis=(1, 2)), x0.mean(), rtol=2e-12)


def test_float32_values_stay_so_on_a_lattice_to_its_accuracy():
    x0 = np.zeros((121, 121), dtype=np.float32)
    x0[60, 60] = 1.0
    single = jacobi_gossip(square_lattice(2), x0, 60, alpha=1.0, times=[60])
    double = jacobi_gossip(square_lattice(2), x0.astype(float), 60, alpha=1.0, times=[60])
    assert single.dtype == np.float32
    assert double.dtype == np.float64
    assert np.abs(single - double).max() < 2e-5 * double.max()
    assert parameter_free_gossip(square_lattice(2), x0, 1).dtype == np.float32


def test_a_smooth_wave_passes_by_its_symbol():
    n, method = 200, JacobiMethod(1.0)
    i, j = np.indices((30, 20))
    x0 = np.cos(2 * np.pi * (i / 30 + 2 * j / 20))
    x = polynomial_gossip(triangular_lattice(), x0, n, method, times=[n])[0]
    factor = method.polynomial(n, torus_spectrum(triangular_lattice(), (30, 20))[1, 2])
    np.testing.assert_allclose(x, factor * x0, atol=1e-13)


# ---------------------------------------------------------------- expected errors

TABLE_TIMES = [1, 5, 10, 20, 40, 60, 100, 120, 200, 300]
TABLE = {
    SimpleMethod(): [0.5, 0.245, 0.175, 0.124, 0.0872, 0.0705, 0.0535, 0.0483, 0.0357, 0.0273],
    JacobiMethod(1.0): [
        *(0.46, 0.148, 0.0824, 0.0438, 0.0195, 0.00637, 0.00503, 0.00219, 0.00155, 6.11e-4)
    ],
    JacobiWithGap(1.0, gap=GRID_GAP): [
        *(0.461, 0.148, 0.0824, 0.0441, 0.0212, 0.0108, 0.00234, 9.92e-4, 2.43e-5, 1.7e-7)
    ],
    ShiftRegister.from_gap(GRID_GAP / 2): [
        *(0.5, 0.563, 0.486, 0.326, 0.148, 0.066, 0.0141, 0.00641, 2.72e-4, 5.39e-6)
    ],
}


@pytest.mark.parametrize("method", TABLE, ids=repr)
def test_the_expected_errors_on_the_published_grid(method):
    error = expected_error(box_spectrum((SIDE, SIDE)), 300, method)
    np.testing.assert_allclose(error[TABLE_TIMES], TABLE[method], rtol=0.01)


def test_the_expected_errors_of_local_averaging_on_the_published_grids():
    error = expected_local_averaging_error(GRID, 80)
    np.testing.assert_allclose(
        error[[1, 5, 10, 20, 40, 60]], [0.452, 0.134, 0.0718, 0.0355, 0.0114, 0.00248], rtol=0.01
    )
    assert error[77] > 0.0
    assert not error[78:].any()
    cube = expected_local_averaging_error(box_matrix((12, 12, 12)), 40)
    np.testing.assert_allclose(cube[[10, 20]], [0.0308, 0.00565], rtol=0.01)
    assert cube[40] == 0.0


def test_the_expected_errors_on_the_published_cube():
    spectrum = box_spectrum((12, 12, 12))
    for method, values in (
        (SimpleMethod(), [0.0902, 0.0559, 0.0338]),
        (JacobiMethod(1.5), [0.0448, 0.0137, 0.00392]),
    ):
        np.testing.assert_allclose(
            expected_error(spectrum, 40, method)[[10, 20, 40]], values, rtol=0.01
        )


@pytest.mark.parametrize("method", [JacobiMethod(1.0), ShiftRegister(1.5)], ids=repr)
def test_the_expected_error_is_that_of_the_runs(method):
    W = random_matrix(16)
    # The columns of I are an orthonormal set of initial values: their sum is the expectation.
    x = polynomial_gossip(W, np.eye(12), 20, method)
    exact = np.sqrt(((x - 1 / 12) ** 2).sum(axis=(1, 2)) / 12)
    spectrum = np.linalg.eigvalsh(W)
    np.testing.assert_allclose(expected_error(spectrum, 20, method), exact, atol=1e-13)
    means = local_averaging(W, np.eye(12), 6)
    exact = np.sqrt(((means - 1 / 12) ** 2).sum(axis=(1, 2)) / 12)
    np.testing.assert_allclose(expected_local_averaging_error(W, 6), exact, atol=1e-8)


def test_the_expected_error_counts_one_consensus_for_each_component():
    W = sparse.block_diag([random_matrix(17, 12), random_matrix(18, 5), [[1.0]]], format="csr")
    x = jacobi_gossip(W, np.eye(18), 15, alpha=1.0)
    consensus = np.zeros((18, 18))
    for part in (slice(0, 12), slice(12, 17), slice(17, 18)):
        consensus[part, part] = 1 / (part.stop - part.start)
    exact = np.sqrt(((x - consensus) ** 2).sum(axis=(1, 2)) / 18)
    error = expected_error(np.linalg.eigvalsh(W.toarray()), 15, JacobiMethod(1.0))
    np.testing.assert_allclose(error, exact, atol=1e-13)
    # Balls and components alike: zero when every ball is its component.
    assert expected_local_averaging_error(W, 18)[-1] == 0.0


def test_the_variance_on_the_square_lattice_falls_as_n_to_the_d_half_and_to_the_d():
    spectrum = torus_spectrum(square_lattice(2), (512, 512))
    n = np.array([60, 120, 240])
    for method, exponent in ((SimpleMethod(), 1.0), (JacobiMethod(1.0), 2.0)):
        # On the infinite lattice nothing is known of the mean over all nodes.
        variance = expected_error(spectrum, 240, method)[n] ** 2 + 1 / 512**2
        slope = np.polyfit(np.log(n), np.log(variance), 1)[0]
        assert slope == pytest.approx(-exponent, abs=0.03)
    # Per node, 2 (d/4πn)^(d/2) for simple gossip on a bipartite lattice.
    variance = expected_error(spectrum, 240, SimpleMethod())[240] ** 2
    assert variance + 1 / 512**2 == pytest.approx(2 * 2 / (4 * np.pi * 240), rel=0.01)


def test_blocks_of_eigenvalues_add_up():
    spectrum = np.append(np.linspace(-1.0, 0.9, 3 * 1024 + 5), 1.0)
    method = JacobiMethod(1.0)
    exact = np.sqrt((method.polynomials(40, spectrum[:-1]) ** 2).sum(axis=1) / spectrum.size)
    np.testing.assert_allclose(expected_error(spectrum, 40, method), exact, rtol=1e-13)


# ---------------------------------------------------------------- the best polynomials


def test_parameter_free_gossip_is_minres():
    x0 = np.random.default_rng(19).normal(size=SIDE**2)
    x = parameter_free_gossip(GRID, x0, 100)
    laplacian = sparse.eye_array(SIDE**2) - GRID
    centred = x0 - x0.mean()
    for n in (1, 2, 5, 20, 100):
        z, _ = minres(laplacian, centred, maxiter=n, rtol=1e-16)
        np.testing.assert_allclose(x[n], x0.mean() + centred - laplacian @ z, atol=5e-12)


def test_parameter_free_gossip_beats_every_other_polynomial_of_its_degree():
    x0 = np.random.default_rng(20).normal(size=(SIDE**2, 2))
    best = np.linalg.norm(parameter_free_gossip(GRID, x0, 60) - x0.mean(axis=0), axis=1)
    for method in (*METHODS, *TABLE):
        other = np.linalg.norm(polynomial_gossip(GRID, x0, 60, method) - x0.mean(axis=0), axis=1)
        assert (best[1:] < other[1:]).all()


def test_parameter_free_polynomials_are_orthogonal_for_one_minus_lambda():
    W, x0 = random_matrix(21), np.random.default_rng(22).normal(size=12)
    x = parameter_free_gossip(W, x0, 8)
    gram = x @ (np.eye(12) - W) @ x.T
    scale = np.sqrt(np.outer(gram.diagonal(), gram.diagonal()))
    assert np.abs(gram / scale - np.eye(9)).max() < 1e-8


def test_parameter_free_gossip_needs_as_many_rounds_as_there_are_eigenvalues():
    W = box_matrix((6,))
    x = parameter_free_gossip(W, np.arange(6.0), 8)
    # Six eigenvalues; by symmetry the start has but the three odd modes and the mean.
    assert np.abs(x[2] - 2.5).max() > 1e-3
    np.testing.assert_allclose(x[3:], 2.5, atol=1e-12)


@pytest.mark.parametrize("far", [1.0, 1e6])
def test_parameter_free_gossip_stays_at_consensus_once_there(far):
    W = sparse.block_diag([random_matrix(23), random_matrix(24)], format="csr")
    x0 = np.random.default_rng(25).normal(size=24) + far * (np.arange(24) >= 12)
    x = parameter_free_gossip(W, x0, 400)
    consensus = np.repeat([x0[:12].mean(), x0[12:].mean()], 12)
    assert np.abs(x[40:] - consensus).max() < 1e-11 * far
    constant = parameter_free_gossip(W, np.full(24, 0.1), 10)
    np.testing.assert_allclose(constant, 0.1, rtol=1e-15)


@pytest.mark.parametrize("seed", range(30))
def test_parameter_free_gossip_does_not_leave_a_consensus_that_it_cannot_know_of(seed):
    # A function hides its components: inner products are of the size of their difference.
    n = 3 + seed % 5
    W = sparse.block_diag([random_matrix(seed, n), random_matrix(seed + 1, 4)], format="csr")
    x0 = np.random.default_rng(seed).normal(size=n + 4) + (np.arange(n + 4) >= n)
    consensus = np.repeat([x0[:n].mean(), x0[n:].mean()], [n, 4])
    x = parameter_free_gossip(lambda x: W @ x, x0, 100)
    assert np.abs(x[n + 4 :] - consensus).max() < 1e-6
    # So does a lattice that leaves out every other node.
    every_other = Lattice([[2], [-2]], [0.5, 0.5])
    x0 = np.random.default_rng(seed).normal(size=12) + np.arange(12) % 2
    x = parameter_free_gossip(every_other, x0, 100)
    consensus = np.tile([x0[::2].mean(), x0[1::2].mean()], 6)
    assert np.abs(x[12:] - consensus).max() < 1e-6


# ---------------------------------------------------------------- balls


@pytest.mark.parametrize("n", [5, 8])
def test_message_passing_on_a_cycle_takes_means_over_balls_until_they_close(n):
    cycle = nx.cycle_graph(n)
    W = nx.to_numpy_array(cycle) / 2
    x0 = np.random.default_rng(26).normal(size=n)
    closes = (n - 1) // 2
    np.testing.assert_allclose(
        message_passing_gossip(W, x0, closes, degree=2),
        local_averaging(cycle, x0, closes),
        atol=1e-13,
    )


def test_message_passing_takes_means_over_balls_up_to_half_the_girth():
    # The Tutte–Coxeter graph: 3-regular, of girth 8.
    graph = nx.LCF_graph(30, [-13, -9, 7, -7, 9, 13], 5)
    W = nx.to_numpy_array(graph) / 3
    x0 = np.random.default_rng(27).normal(size=30)
    balls = local_averaging(graph, x0, 4)
    x = message_passing_gossip(W, x0, 4, degree=3)
    np.testing.assert_allclose(x[:4], balls[:4], atol=1e-13)
    assert np.abs(x[4] - balls[4]).max() > 1e-3


def test_local_averaging_is_the_mean_over_the_nodes_within_reach():
    graph = nx.gnp_random_graph(40, 0.06, seed=1)
    graph.add_edge(0, 0)
    x0 = np.random.default_rng(28).normal(size=40)
    distance = shortest_path(nx.to_scipy_sparse_array(graph), unweighted=True)
    x = local_averaging(graph, x0, 8)
    for t in range(9):
        inside = distance <= t
        np.testing.assert_allclose(x[t], inside @ x0 / inside.sum(axis=1), atol=1e-13)


def test_local_averaging_of_a_graph_is_that_of_its_matrix():
    graph = nx.MultiGraph(nx.grid_2d_graph(4, 5))
    graph.add_edge((0, 0), (0, 1), weight=0.0)
    x0 = np.random.default_rng(29).normal(size=20)
    np.testing.assert_allclose(
        local_averaging(graph, x0, 5), local_averaging(box_matrix((4, 5)), x0, 5), atol=1e-14
    )


@pytest.mark.parametrize("method", [*METHODS, "local", "parameter-free"], ids=repr)
def test_a_disconnected_graph_goes_to_the_means_of_its_components(method):
    parts = [random_matrix(30, 9), random_matrix(31, 6), np.eye(1)]
    W = sparse.block_diag(parts, format="csr")
    x0 = np.random.default_rng(32).normal(size=16)
    if method == "local":
        x = local_averaging(W, x0, 4000, times=[4000])[0]
    elif method == "parameter-free":
        x = parameter_free_gossip(W, x0, 4000, times=[4000])[0]
    else:
        x = polynomial_gossip(W, x0, 4000, method, times=[4000])[0]
    # Jacobi gossip decays by a power of t, the others geometrically.
    tolerance = {JacobiMethod(1.0): 1e-3, JacobiMethod(0.5, -0.5): 1e-2}.get(method, 1e-10)
    for part in (slice(0, 9), slice(9, 15), slice(15, 16)):
        assert np.abs(x[part] - x0[part].mean()).max() < tolerance


# ---------------------------------------------------------------- bipartite networks


@pytest.mark.parametrize(
    "W",
    [
        square_lattice(1),
        nx.to_scipy_sparse_array(nx.cycle_graph(6)) / 2,
        # One bipartite component is enough.
        sparse.block_diag([[[0.5, 0.5], [0.5, 0.5]], [[0.0, 1.0], [1.0, 0.0]], [[0, 1], [1, 0]]]),
    ],
)
def test_beta_above_alpha_is_warned_of_on_bipartite_networks(W):
    x0 = np.arange(6.0)
    with pytest.warns(RuntimeWarning, match=r"W has the eigenvalue −1, where Jacobi.* n\^0.5"):
        jacobi_gossip(W, x0, 2, alpha=0.5, beta=1.0)
    with pytest.warns(RuntimeWarning, match="beta ≤ alpha"):
        jacobi_gossip_with_gap(W, x0, 2, alpha=0.5, beta=1.0, gap=0.1)
    for method in METHODS:
        polynomial_gossip(W, x0, 2, method)


@pytest.mark.parametrize(
    "W",
    [
        square_lattice(1).lazy(),
        nx.to_scipy_sparse_array(nx.cycle_graph(5)) / 2,
        box_matrix((5,)),
        lambda x: x[::-1],
    ],
)
def test_beta_above_alpha_goes_without_a_warning_elsewhere(W):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jacobi_gossip(W, np.arange(5.0), 2, alpha=0.5, beta=1.0)


def test_the_warning_points_at_the_caller():
    with pytest.warns(RuntimeWarning) as caught:
        jacobi_gossip(square_lattice(1), np.arange(6.0), 2, alpha=0.5, beta=1.0)
    assert [warning.filename for warning in caught] == [__file__]


def test_what_the_warning_says_is_true():
    x0 = np.where(np.arange(8) % 2, -1.0, 1.0)
    with pytest.warns(RuntimeWarning):
        x = jacobi_gossip(square_lattice(1), x0, 800, alpha=0.5, beta=1.0)
    size = np.abs(x).max(axis=1)
    assert np.log2(size[800] / size[400]) == pytest.approx(0.5, abs=0.01)


# ---------------------------------------------------------------- bad input

PAIR = [[0.5, 0.5], [0.5, 0.5]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0.5, 0.5]], [1, 2], 1), r"W must be a square matrix, got shape \(1, 2\)"),
        (([[0.9, 0.1], [0.2, 0.8]], [1, 2], 1), r"W must be symmetric, got W\[.*0\.1|0\.2"),
        (
            ([[0.5, 0.4], [0.4, 0.5]], [1, 2], 1),
            r"W must have rows that sum to 1, got 0\.9 in row 0",
        ),
        (([[1.5, -0.5], [-0.5, 1.5]], [1, 2], 1), r"W must have entries ≥ 0, got W\[.*\] = -0\.5"),
        (([[np.nan, 0.5], [0.5, 0.5]], [1, 2], 1), r"W must be finite, got nan"),
        ((sparse.csr_array([[np.inf]]), [1], 1), r"W must be finite, got inf"),
        (("W", [1, 2], 1), r"W must be an array of real numbers"),
        ((PAIR, [1, 2, 3], 1), r"x0 must have shape \(2, ...\), got \(3,\)"),
        ((PAIR, 1.0, 1), r"x0 must have shape \(2, ...\), got \(\)"),
        ((PAIR, [1, np.nan], 1), r"x0 must be finite, got nan at index \(1,\)"),
        ((PAIR, [1, 1j], 1), r"x0 must be an array of real numbers"),
        ((PAIR, [1, 2], -1), r"n_steps must be ≥ 0, got -1"),
        ((PAIR, [1, 2], 2.0), r"n_steps must be an integer, got 2.0"),
        (
            (square_lattice(2), [1, 2], 1),
            r"x0 must have a torus of dimension 2 .* got shape \(2,\)",
        ),
        ((square_lattice(1), np.ones((0, 2)), 1), r"x0 must have a torus of dimension 1"),
        ((square_lattice(1), [1, np.inf], 1), r"x0 must be finite, got inf at index \(1,\)"),
        ((lambda x: x[:1], [1, 2], 1), r"W\(x\) must have the shape \(2,\) of x, got \(1,\)"),
        ((lambda x: x * np.nan, [1, 2], 1), r"W\(x\) must be finite, got nan at index \(0,\)"),
    ],
)
@pytest.mark.parametrize("run", [simple_gossip, parameter_free_gossip])
def test_bad_input_is_refused_by_name(run, arguments, message):
    with pytest.raises(ValueError, match=message):
        run(*arguments)


@pytest.mark.parametrize("run", [simple_gossip, parameter_free_gossip, local_averaging])
@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([0, 4], r"times must be ≤ n_steps = 3, got 4"),
        ([-1, 2], r"times must be ≥ 0, got -1"),
        ([2, 2], r"times must be strictly increasing, got 2.0, 2.0"),
        ([0.5], r"times must be integers, got 0.5"),
        ([], r"times must have at least one entry"),
        ([[1]], r"times must have 1 dimension"),
    ],
)
def test_times_of_reading_are_checked(run, times, message):
    with pytest.raises(ValueError, match=message):
        run(PAIR, [1.0, 2.0], 3, times=times)


def test_a_result_that_would_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(_reading, "LARGEST_RESULT", 1000)
    message = r"times must be fewer: 11 of them times values of shape \(20,\) take .* GiB, allowed"
    for run in (simple_gossip, parameter_free_gossip):
        with pytest.raises(ValueError, match=message):
            run(square_lattice(1), np.ones(20), 10)
    assert simple_gossip(square_lattice(1), np.ones(20), 10, times=[10]).shape == (1, 20)
    with pytest.raises(ValueError, match="allowed"):
        local_averaging(nx.path_graph(20), np.ones(20), 10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: local_averaging(nx.DiGraph([(0, 1)]), [1, 2], 1), "graph must be undirected"),
        (lambda: local_averaging(nx.Graph(), [], 1), "graph must have at least one node"),
        (lambda: local_averaging(nx.path_graph(3), [1, 2], 1), r"x0 must have shape \(3, ...\)"),
        (lambda: local_averaging([[0.5, 0.4], [0.4, 0.5]], [1, 2], 1), "W must have rows that sum"),
        (lambda: expected_local_averaging_error(nx.path_graph(3), -1), "n_steps must be ≥ 0"),
        (lambda: expected_error([0.5], 1, SimpleMethod()), "spectrum must have the eigenvalue 1"),
        (lambda: expected_error([], 1, SimpleMethod()), "spectrum must have the eigenvalue 1"),
        (lambda: expected_error([1, -1.1], 1, SimpleMethod()), r"within \[−1, 1\], got -1.1"),
        (lambda: expected_error([1, np.nan], 1, SimpleMethod()), "spectrum must be finite"),
        (lambda: expected_error([1, 0], -1, SimpleMethod()), "n_steps must be ≥ 0, got -1"),
        (lambda: jacobi_gossip(PAIR, [1, 2], 1, alpha=-1.0), "alpha must be > -1, got -1"),
        (lambda: jacobi_gossip(PAIR, [1, 2], 1, alpha=1.0, beta=-1), "beta must be > -1, got -1"),
        (
            lambda: jacobi_gossip_with_gap(PAIR, [1, 2], 1, alpha=1.0, gap=2.0),
            "gap must be < 2, got 2.0",
        ),
        (lambda: shift_register_gossip(PAIR, [1, 2], 1, omega=2.0), "omega must be < 2, got 2.0"),
        (lambda: message_passing_gossip(PAIR, [1, 2], 1, degree=1), "degree must be ≥ 2, got 1"),
    ],
)
def test_bad_parameters_are_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
