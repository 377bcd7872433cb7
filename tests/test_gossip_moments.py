"""The exact moments of gossip, its exact rates and its bounds, against each other and others."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import block_diag, expm
from scipy.sparse.linalg import eigsh

from inthelimit import ConvergenceError
from inthelimit.continuized.schedules import constant_schedule, convex_schedule
from inthelimit.gossip import (
    accelerated_randomized_gossip,
    exact_rate,
    exact_second_moments,
    gossip_bound,
    randomized_gossip,
)
from inthelimit.graphs import GossipNetwork

METHODS = ["accelerated", "simple"]


def network_of(graph, **options):
    return GossipNetwork(nx.convert_node_labels_to_integers(graph), **options)


ZOO = {
    "line12": network_of(nx.path_graph(12)),
    "ring16": network_of(nx.cycle_graph(16)),
    "K10": network_of(nx.complete_graph(10)),
    "star12": network_of(nx.star_graph(11)),
    "grid4": network_of(nx.grid_2d_graph(4, 4)),
    "barbell5": network_of(nx.barbell_graph(5, 0)),
}


def delta(n):
    return np.eye(n)[0]


def weighted(seed, n=5, connected=True):
    """A random graph with weights over two decades."""
    rng = np.random.default_rng(seed)
    graph = nx.gnm_random_graph(n, n + 1, seed=seed)
    if connected:
        graph.add_edges_from(nx.path_graph(n).edges)
    for _, _, data in graph.edges(data=True):
        data["weight"] = 10.0 ** rng.uniform(-1, 1)
    return GossipNetwork(graph, connected=connected)


def arg_constants(network):
    theta = network.rate_accelerated
    return np.array([theta, theta, 0.5, theta / network.spectral_gap])


def scaled(network, *factors):
    """The theorem's schedule with its four constants multiplied."""
    return constant_schedule(*arg_constants(network) * factors)


def dense_generator(network, constants, loss=0.0):
    """The generator of E of (x, z)⊗(x, z), written down event by event."""
    n = network.n_nodes
    eta, eta_prime, gamma, gamma_prime = constants
    identity = np.eye(2 * n)
    mixing = np.kron([[-eta, eta], [eta_prime, -eta_prime]], np.eye(n))
    generator = np.kron(mixing, identity) + np.kron(identity, mixing)
    for (v, w), P in zip(network.edges, network.probabilities, strict=True):
        a = np.eye(n)[v] - np.eye(n)[w]
        kick = np.concatenate([gamma * a, gamma_prime * a])
        jump = identity - np.outer(kick, np.concatenate([a, np.zeros(n)]))
        generator += (1.0 - loss) * P * (np.kron(jump, jump) - np.eye(4 * n * n))
    return generator


def dense_moments(network, constants, x, z, times, loss=0.0):
    generator = dense_generator(network, constants, loss)
    start = np.concatenate([x - network.consensus(x), z - network.consensus(z)])
    start = np.kron(start, start)
    n = network.n_nodes
    return np.array([(expm(t * generator) @ start).reshape(2 * n, 2 * n) for t in times])


def dense_rate(network, constants, loss=0.0):
    """Minus the abscissa on an orthonormal basis of the vectors without consensus part."""
    values, vectors = np.linalg.eigh(network.laplacian.toarray())
    basis = vectors[:, values > 1e-12]
    basis = block_diag(basis, basis)
    basis = np.kron(basis, basis)
    generator = basis.T @ dense_generator(network, constants, loss) @ basis
    return -np.linalg.eigvals(generator).real.max()


# ---------------------------------------------------------------- published numbers


@pytest.mark.parametrize(
    ("network", "times", "accelerated", "simple"),
    [
        (
            network_of(nx.path_graph(30)),
            [100, 300, 1000, 2000, 4000],
            [0.415, 0.169, 9.6e-3, 2.1e-4, 6.8e-8],
            [0.316, 0.152, 0.0656, 0.0360, 0.0154],
        ),
        (
            network_of(nx.cycle_graph(30)),
            [100, 300, 1000, 2000],
            [0.269, 0.0600, 4.4e-4, 2.3e-7],
            [0.164, 0.0637, 0.0171, 3.9e-3],
        ),
        (
            network_of(nx.grid_2d_graph(6, 6)),
            [50, 100, 200, 400, 800],
            [0.466, 0.242, 0.0689, 6.2e-3, 5.8e-5],
            [0.454, 0.234, 0.0870, 0.0244, 3.5e-3],
        ),
    ],
    ids=["line", "ring", "grid"],
)
def test_known_decay_curves(network, times, accelerated, simple):
    x0 = delta(network.n_nodes)
    for method, expected in (("accelerated", accelerated), ("simple", simple)):
        errors = exact_second_moments(network, x0, [0, *times], method=method).errors
        # Two digits are known, half a unit in the second is up to 5 %.
        np.testing.assert_allclose(errors[1:] / errors[0], expected, rtol=0.02)


@pytest.mark.parametrize(
    ("name", "ratio"),
    [
        ("line12", 1.45),
        ("ring16", 1.39),
        ("K10", 1.00),
        ("star12", 1.03),
        ("grid4", 1.43),
        ("barbell5", 1.42),
    ],
)
def test_known_rates(name, ratio):
    network = ZOO[name]
    assert exact_rate(network) / network.rate_accelerated == pytest.approx(ratio, abs=0.005)


def test_known_rate_of_simple_gossip():
    assert exact_rate(ZOO["ring16"], method="simple") == pytest.approx(9.42e-3, rel=1e-3)


# ---------------------------------------------------------------- independent references


@pytest.mark.parametrize("loss", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_moments_are_those_of_the_dense_generator(seed, loss):
    network = weighted(seed, connected=seed % 2 == 0)
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, network.n_nodes))
    z += network.consensus(x - z)
    times = np.array([0.0, 0.7, 9.0, 30.0])
    # Four different constants, so that none can stand for another.
    constants = np.array([0.11, 0.05, 0.4, 0.9])
    exact = exact_second_moments(
        network, x, times, schedule=constant_schedule(*constants), z0=z, loss=loss
    )
    dense = dense_moments(network, constants, x, z, times, loss)
    n = network.n_nodes
    np.testing.assert_allclose(exact.second_moment, dense[:, :n, :n], atol=1e-11)
    np.testing.assert_allclose(exact.errors, np.trace(dense[:, :n, :n], 0, 1, 2), rtol=1e-10)
    np.testing.assert_allclose(exact.z_errors, np.trace(dense[:, n:, n:], 0, 1, 2), rtol=1e-10)
    simple = exact_second_moments(network, x, times, method="simple", loss=loss)
    dense = dense_moments(network, [0.0, 0.0, 0.5, 0.0], x, x, times, loss)
    np.testing.assert_allclose(simple.second_moment, dense[:, :n, :n], atol=1e-11)
    np.testing.assert_array_equal(simple.z_errors, simple.errors)


@pytest.mark.parametrize("loss", [0.0, 0.4])
@pytest.mark.parametrize("seed", range(4))
def test_rate_is_the_abscissa_of_the_dense_generator(seed, loss):
    network = weighted(seed, connected=seed % 2 == 0)
    arg = arg_constants(network)
    for constants in (arg, arg * [1, 1, 1, 3], arg * [2, 0.3, 1.4, 1], arg * [1, 1, 1, 30]):
        rate = exact_rate(network, schedule=constant_schedule(*constants), loss=loss)
        assert rate == pytest.approx(dense_rate(network, constants, loss), rel=1e-8)
    simple = exact_rate(network, method="simple", loss=loss)
    n = network.n_nodes
    # Simple gossip is x alone: z would stay where it is for ever.
    rows = np.arange(4 * n * n).reshape(2 * n, 2 * n)[:n, :n].ravel()
    generator = dense_generator(network, [0.0, 0.0, 0.5, 0.0], loss)[np.ix_(rows, rows)]
    values, vectors = np.linalg.eigh(network.laplacian.toarray())
    basis = np.kron(vectors[:, values > 1e-12], vectors[:, values > 1e-12])
    abscissa = np.linalg.eigvals(basis.T @ generator @ basis).real.max()
    assert simple == pytest.approx(-abscissa, rel=1e-8)


def test_what_the_kicks_add_on_a_long_line_is_seen():
    """A part 1e-4 of the rate, from the symmetric generator of simple gossip on E xxᵀ."""
    network = network_of(nx.path_graph(40))
    values, vectors = np.linalg.eigh(network.laplacian.toarray())
    modes = np.diag(values[1:])
    v, w = network.edges.T
    differences = (vectors[v] - vectors[w])[:, 1:]
    pairs = np.einsum("ei,ej->eij", differences, differences).reshape(network.n_edges, -1)
    drift = np.kron(modes, np.eye(39)) + np.kron(np.eye(39), modes)
    generator = pairs.T @ (network.probabilities[:, None] * pairs) / 4 - drift / 2
    # The generator is negative definite: its abscissa is its eigenvalue nearest 0.
    abscissa = eigsh(generator, k=1, sigma=0.0, return_eigenvectors=False)[0]
    added = abscissa + values[1]
    assert 1e-5 < added / values[1] < 2e-4
    rate = exact_rate(network, method="simple")
    assert values[1] - rate == pytest.approx(added, rel=1e-6)


@pytest.mark.parametrize(
    "constants",
    [
        [0.2, 0.3, 0.5, 0.5],
        [0.001, 0.002, 0.5, 0.5],
        [0.2, 0.0, 0.5, 0.0],
        [0.2, 0.0, 0.5, 0.4],
        [0.2, 0.1, 0.5, 0.0],
    ],
    ids=["equal kicks", "slow mixing", "frozen z", "no mixing into z", "no kicks of z"],
)
def test_rate_at_the_edges_of_the_schedules(constants):
    """Where some mode is never kicked, mixing alone may set the rate."""
    network = weighted(0)
    rate = exact_rate(network, schedule=constant_schedule(*constants))
    assert rate == pytest.approx(dense_rate(network, constants), rel=1e-7, abs=1e-10)


def test_rate_of_x_alone_when_it_never_hears_of_z():
    network = weighted(1)
    schedule = constant_schedule(0.0, 0.3, 0.5, 2.0)
    assert exact_rate(network, schedule=schedule) == exact_rate(network, method="simple")


def plain_gossip(network, x0, times, constants, loss, rng):
    """One run, all nodes mixed at every ring."""
    eta, eta_prime, gamma, gamma_prime = constants
    x, z, now = x0.copy(), x0.copy(), 0.0
    errors = []
    next_ring = rng.exponential()
    for end in times:
        while True:
            stop = min(next_ring, end)
            total = eta + eta_prime
            moved = -np.expm1(-total * (stop - now)) / total * (z - x)
            x, z, now = x + eta * moved, z - eta_prime * moved, stop
            if next_ring > end:
                break
            v, w = network.edges[rng.choice(network.n_edges, p=network.probabilities)]
            if rng.random() >= loss:
                g = x[v] - x[w]
                x[v], x[w] = x[v] - gamma * g, x[w] + gamma * g
                z[v], z[w] = z[v] - gamma_prime * g, z[w] + gamma_prime * g
            next_ring += rng.exponential()
        errors.append(((x - x0.mean()) ** 2).sum())
    return errors


@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_errors_are_the_mean_of_plain_runs(loss):
    network = weighted(2)
    x0 = np.random.default_rng(0).normal(size=network.n_nodes)
    times = np.array([2.0, 8.0, 20.0])
    rng = np.random.default_rng(1)
    constants = arg_constants(network)
    runs = np.array([plain_gossip(network, x0, times, constants, loss, rng) for _ in range(1500)])
    standard_error = runs.std(axis=0, ddof=1) / np.sqrt(len(runs))
    exact = exact_second_moments(network, x0, times, loss=loss).errors
    assert (np.abs(runs.mean(axis=0) - exact) <= 4 * standard_error).all()


# ---------------------------------------------------------------- closed forms


def test_complete_graphs_do_not_accelerate():
    """γ' = γ = ½, so x = z throughout, and E ‖x‖² = ‖x_0‖² e^{−t/(n−1)}."""
    for n in (2, 3, 10, 20):
        network = network_of(nx.complete_graph(n))
        x0 = np.random.default_rng(n).normal(size=n)
        times = np.array([0.0, 1.0, 20.0])
        expected = ((x0 - x0.mean()) ** 2).sum() * np.exp(-times / (n - 1))
        for method in METHODS:
            moments = exact_second_moments(network, x0, times, method=method)
            np.testing.assert_allclose(moments.errors, expected, rtol=1e-11)
            np.testing.assert_allclose(moments.z_errors, expected, rtol=1e-11)
            assert exact_rate(network, method=method) == pytest.approx(1 / (n - 1), rel=1e-9)


def test_simple_gossip_starts_to_decay_at_half_the_energy():
    """E ‖Wx‖² = ‖x‖² − ½ xᵀL_P x for one ring."""
    network = ZOO["grid4"]
    x0 = np.random.default_rng(0).normal(size=16)
    h = 1e-5
    errors = exact_second_moments(network, x0, [0.0, h], method="simple").errors
    slope = (errors[1] - errors[0]) / h
    assert slope == pytest.approx(-0.5 * x0 @ (network.laplacian @ x0), rel=1e-5)


def test_components_do_not_hear_of_one_another():
    """Two copies of a graph share the clock, so each runs at half its speed."""
    single = ZOO["line12"]
    double = GossipNetwork(nx.disjoint_union(nx.path_graph(12), nx.path_graph(12)), connected=False)
    x0 = np.random.default_rng(0).normal(size=12)
    times = np.array([0.0, 10.0, 100.0, 1000.0])
    for method in METHODS:
        alone = exact_second_moments(single, x0, times / 2, method=method)
        both = exact_second_moments(
            double, np.tile(x0, 2) + np.repeat([0, 7], 12), times, method=method
        )
        np.testing.assert_allclose(both.errors, 2 * alone.errors, rtol=1e-9)
        np.testing.assert_allclose(both.second_moment[:, :12, :12], alone.second_moment, atol=1e-11)
        rate = exact_rate(double, method=method)
        assert rate == pytest.approx(exact_rate(single, method=method) / 2, rel=1e-9)


# ---------------------------------------------------------------- properties


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ZOO)
def test_curves_decay_at_the_exact_rate_far_below_rounding(name, method):
    """Errors are relative: the slope is right where the errors are 1e-40 of the start."""
    network = ZOO[name]
    rate = exact_rate(network, method=method)
    times = np.array([0.0, 92.0, 96.0]) / rate
    errors = exact_second_moments(network, delta(network.n_nodes), times, method=method).errors
    assert errors[2] < 1e-38
    slope = np.log(errors[1] / errors[2]) / (times[2] - times[1])
    assert slope == pytest.approx(rate, rel=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_second_moments_are_positive_and_without_consensus_part(method):
    network = ZOO["barbell5"]
    times = np.linspace(0.0, 3000.0, 7)
    moments = exact_second_moments(network, np.arange(10.0) ** 2, times, method=method)
    scale = moments.errors[:, None, None]
    S = moments.second_moment / scale
    np.testing.assert_allclose(S.sum(axis=1), 0.0, atol=1e-13)
    np.testing.assert_allclose(S, S.swapaxes(1, 2), atol=1e-14)
    assert np.linalg.eigvalsh(S).min() > -1e-12
    np.testing.assert_allclose(np.trace(S, axis1=1, axis2=2), 1.0, rtol=1e-14)


def test_times_between_do_not_matter():
    network = ZOO["grid4"]
    fine = exact_second_moments(network, delta(16), np.linspace(0.0, 300.0, 301))
    coarse = exact_second_moments(network, delta(16), [150.0, 300.0])
    np.testing.assert_allclose(coarse.errors, fine.errors[[150, 300]], rtol=1e-11)


def test_x_drifts_where_z_has_another_mean():
    network, constants = weighted(1), np.array([0.11, 0.05, 0.4, 0.9])
    x, z = np.random.default_rng(0).normal(size=(2, network.n_nodes))
    times = np.array([0.0, 3.0, 300.0])
    exact = exact_second_moments(network, x, times, schedule=constant_schedule(*constants), z0=z)
    generator, n = dense_generator(network, constants), network.n_nodes
    start = np.concatenate([x, z]) - x.mean()
    start = np.kron(start, start)
    dense = np.array([(expm(t * generator) @ start).reshape(2 * n, 2 * n) for t in times])
    np.testing.assert_allclose(exact.second_moment, dense[:, :n, :n], atol=1e-11)
    # The common mean goes to that of x and z, weighted by η' and η.
    drift = constants[0] / (constants[0] + constants[1]) * (z.mean() - x.mean())
    assert exact.errors[-1] == pytest.approx(n * drift**2, rel=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_errors_are_the_mean_of_simulated_runs(method):
    network = ZOO["barbell5"]
    x0, times = np.arange(10.0) ** 2, np.linspace(0.0, 300.0, 7)
    simulate = accelerated_randomized_gossip if method == "accelerated" else randomized_gossip
    run = simulate(
        network,
        x0,
        horizon=300.0,
        times=times,
        n_copies=20_000,
        keep="errors",
        loss=0.2,
        rng=np.random.default_rng(0),
    )
    standard_error = run.errors.std(axis=1, ddof=1) / np.sqrt(20_000)
    exact = exact_second_moments(network, x0, times, method=method, loss=0.2).errors
    assert (np.abs(run.errors.mean(axis=1) - exact) <= 4 * standard_error + 1e-9).all()


def test_consensus_stays():
    for method in METHODS:
        moments = exact_second_moments(ZOO["K10"], np.full(10, 3.7), [0.0, 5.0], method=method)
        assert np.abs(moments.errors).max() < 1e-29


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_exact_rates_are_above_those_of_the_theorems(seed):
    network = weighted(seed, n=7)
    assert exact_rate(network, method="simple") >= network.rate_simple * (1 - 1e-9)
    assert exact_rate(network) >= network.rate_accelerated * (1 - 1e-9)


# ---------------------------------------------------------------- the bounds


@pytest.mark.parametrize("name", ZOO)
def test_bounds_hold_and_are_not_empty(name):
    network = ZOO[name]
    x0 = delta(network.n_nodes)
    times = np.linspace(0.0, 12.0, 49) / network.rate_accelerated
    for method, lowest in (("accelerated", 0.499), ("simple", 0.999)):
        ratio = exact_second_moments(network, x0, times, method=method).errors / gossip_bound(
            network, x0, times, method=method
        )
        assert lowest < ratio.max() <= 1 + 1e-12
        if method == "accelerated":
            assert ratio.max() < 0.93


@pytest.mark.parametrize("seed", range(4))
def test_bound_is_that_of_dense_linear_algebra(seed):
    network = weighted(seed, connected=seed % 2 == 0)
    x, z = np.random.default_rng(seed).normal(size=(2, network.n_nodes))
    z += network.consensus(x - z)
    laplacian = network.laplacian.toarray()
    gap = np.linalg.eigvalsh(laplacian)[network.n_components]
    inverse = np.linalg.pinv(laplacian)
    v, w = network.edges.T
    theta = np.sqrt(gap / 2 / (inverse[v, v] + inverse[w, w] - 2 * inverse[v, w]).max())
    times = np.array([[0.0, 1.0], [5.0, 50.0]])
    off, z_off = x - network.consensus(x), z - network.consensus(z)
    expected = (off @ off + gap * z_off @ inverse @ z_off) * np.exp(-theta * times)
    np.testing.assert_allclose(gossip_bound(network, x, times, z0=z), expected, rtol=1e-10)
    expected = off @ off * np.exp(-gap / 2 * times)
    np.testing.assert_allclose(
        gossip_bound(network, x, times, method="simple"), expected, rtol=1e-10
    )


def test_bound_is_twofold_exactly_on_the_slowest_mode():
    network = ZOO["line12"]
    slowest = np.linalg.eigh(network.laplacian.toarray())[1][:, 1]
    assert gossip_bound(network, slowest, 0.0) == pytest.approx(2.0, rel=1e-10)
    fastest = np.linalg.eigh(network.laplacian.toarray())[1][:, -1]
    assert 1.0 < gossip_bound(network, fastest, 0.0) < 1.02


# ---------------------------------------------------------------- wrong constants


def test_doubled_kicks_of_z_diverge_on_the_line():
    network, x0 = ZOO["line12"], delta(12)
    end = 12 / network.rate_accelerated
    schedule = scaled(network, 1, 1, 1, 2)
    errors = exact_second_moments(network, x0, [0.0, end], schedule=schedule).errors
    assert errors[1] / errors[0] == pytest.approx(9.1e2, rel=0.01)
    assert exact_rate(network, schedule=schedule) < 0.0
    right = exact_second_moments(network, x0, [0.0, end]).errors
    assert right[1] / right[0] < 1e-7


def test_doubled_kicks_of_z_break_the_bound_on_the_ring():
    network, x0 = ZOO["ring16"], delta(16)
    times = np.linspace(0.0, 12.0, 49) / network.rate_accelerated
    wrong = exact_second_moments(network, x0, times, schedule=scaled(network, 1, 1, 1, 2)).errors
    twofold = 2 * wrong[0] * np.exp(-network.rate_accelerated * times)
    assert (wrong / twofold).max() == pytest.approx(2.46e4, rel=0.01)


def test_doubled_mixing_breaks_the_bound_by_a_little():
    network, x0 = ZOO["line12"], delta(12)
    times = np.linspace(0.0, 12.0, 49) / network.rate_accelerated
    wrong = exact_second_moments(network, x0, times, schedule=scaled(network, 2, 2, 1, 1)).errors
    twofold = 2 * wrong[0] * np.exp(-network.rate_accelerated * times)
    assert (wrong / twofold).max() == pytest.approx(1.12, abs=0.005)
    assert (wrong / gossip_bound(network, x0, times)).max() == pytest.approx(1.78, abs=0.01)


def test_divergence_beyond_the_numbers_is_an_error():
    network = ZOO["line12"]
    with pytest.raises(ConvergenceError, match=r"moments overflow by t = .*ask for earlier times"):
        exact_second_moments(network, delta(12), [1e6], schedule=scaled(network, 1, 1, 1, 2))


# ---------------------------------------------------------------- lost packets


@pytest.mark.parametrize("name", ["line12", "K10", "grid4"])
def test_a_known_loss_is_a_change_of_time(name):
    """Mixing slowed down by 1 − loss is the lossless system at (1 − loss) t, to the last digit."""
    network, loss = ZOO[name], 0.35
    x0, times = np.arange(network.n_nodes) ** 2.0, np.linspace(0.0, 2000.0, 9)
    slowed = scaled(network, 1 - loss, 1 - loss, 1, 1)
    lossy = exact_second_moments(network, x0, times, schedule=slowed, loss=loss)
    clean = exact_second_moments(network, x0, (1 - loss) * times)
    np.testing.assert_allclose(lossy.errors, clean.errors, rtol=1e-9)
    np.testing.assert_allclose(lossy.z_errors, clean.z_errors, rtol=1e-9)
    rate = exact_rate(network, schedule=slowed, loss=loss)
    assert rate == pytest.approx((1 - loss) * exact_rate(network), rel=1e-9)
    simple = exact_rate(network, method="simple", loss=loss)
    assert simple == pytest.approx((1 - loss) * exact_rate(network, method="simple"), rel=1e-9)


def test_an_unknown_loss_costs_more_and_may_diverge():
    """Constants made for no loss mix too fast by 1/(1 − loss)."""
    network = ZOO["line12"]
    losses = np.array([0.1, 0.3, 0.5, 0.7])
    rates = np.array([exact_rate(network, loss=loss) for loss in losses])
    relative = rates / ((1 - losses) * network.rate_accelerated)
    np.testing.assert_allclose(relative, [1.385, 1.242, 0.916, -0.387], atol=1e-3)
    # Half the rings lost is, at half the speed, mixing at twice the rate.
    doubled = exact_rate(network, schedule=scaled(network, 2, 2, 1, 1))
    assert rates[2] == pytest.approx(doubled / 2, rel=1e-9)
    # Plain averaging never diverges.
    assert exact_rate(network, method="simple", loss=0.7) > 0.0


# ---------------------------------------------------------------- the door


RING = ZOO["ring16"]


@pytest.mark.parametrize(
    ("x0", "times", "options", "message"),
    [
        (np.ones(3), [1.0], {}, r"x0 must have shape \(16,\), got \(3,\)"),
        (np.full(16, np.nan), [1.0], {}, r"x0 must be finite, got nan"),
        (1e200 * delta(16), [1.0], {}, r"x0 must be within ±1e\+130, got a value of size 1e\+200"),
        (delta(16), [-1.0], {}, r"times must be ≥ 0, got -1.0"),
        (delta(16), [1.0, 1.0], {}, r"times must be strictly increasing"),
        (delta(16), [1.0], {"method": "fast"}, r"method must be one of .*, got 'fast'"),
        (delta(16), [1.0], {"loss": 1.0}, r"loss must be < 1, got 1.0"),
        (delta(16), [1.0], {"loss": -0.1}, r"loss must be ≥ 0, got -0.1"),
        (delta(16), [1.0], {"z0": np.zeros(5)}, r"z0 must have shape \(16,\)"),
        (delta(16), [1.0], {"z0": delta(16), "method": "simple"}, r"z0 must be None for simple"),
        (
            delta(16),
            [1.0],
            {"schedule": scaled(RING, 1, 1, 1, 1), "method": "simple"},
            r"schedule must be None for simple gossip",
        ),
        (
            delta(16),
            [1.0],
            {"schedule": convex_schedule(2.0)},
            r"schedule must have constant coefficients, got ConvexSchedule",
        ),
    ],
)
def test_wrong_arguments_of_moments_are_named(x0, times, options, message):
    with pytest.raises(ValueError, match=message):
        exact_second_moments(RING, x0, times, **options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: exact_rate(RING, method="fast"), r"method must be one of"),
        (lambda: exact_rate(RING, loss=1.0), r"loss must be < 1"),
        (lambda: exact_rate(RING, schedule=convex_schedule(2.0)), r"constant coefficients"),
        (lambda: gossip_bound(RING, delta(16), [0.0, -1.0]), r"times must be ≥ 0, got -1.0"),
        (lambda: gossip_bound(RING, delta(16), 0.0, method="fast"), r"method must be one of"),
        (
            lambda: gossip_bound(RING, delta(16), 0.0, z0=np.ones(16)),
            r"z0 must have the mean of x0 on each component, got means 0.938 apart",
        ),
    ],
)
def test_wrong_arguments_of_rates_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
