"""Gossip, ring by ring, against a plain loop, the exact moments and what rings must conserve."""

import subprocess
import sys

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm
from scipy.stats import chisquare, kstest

from inthelimit import ConvergenceError
from inthelimit.continuized.schedules import (
    constant_schedule,
    convex_schedule,
    strongly_convex_schedule,
)
from inthelimit.gossip import (
    EdgeEvents,
    _rings,
    accelerated_randomized_gossip,
    accelerated_schedule,
    asynchronous,
    exact_second_moments,
    gossip_bound,
    randomized_gossip,
    simulate_clocks,
)
from inthelimit.graphs import GossipNetwork


def weighted_network(seed, n=9):
    rng = np.random.default_rng(seed)
    graph = nx.gnp_random_graph(n, 0.3, seed=seed)
    nx.add_path(graph, range(n))
    for v, w in graph.edges:
        graph.edges[v, w]["weight"] = rng.uniform(0.2, 3.0)
    return GossipNetwork(graph)


def plain_gossip(network, x, z, events, constants, times):
    """Mix all nodes by a matrix exponential before each ring and each reading."""
    eta, eta_prime, gamma, gamma_prime = constants
    generator = np.array([[-eta, eta], [eta_prime, -eta_prime]])
    state, now, k = np.stack([x, z]).astype(float), 0.0, 0
    states = []
    for time in times:
        while k < events.times.size and events.times[k] <= time:
            state = expm(generator * (events.times[k] - now)) @ state
            now = events.times[k]
            v, w = network.edges[events.edges[k]]
            kick = np.array([gamma, gamma_prime]) * (state[0, v] - state[0, w])
            state[:, v] -= kick
            state[:, w] += kick
            k += 1
        state, now = expm(generator * (time - now)) @ state, time
        states.append(state)
    return np.array(states)


def constants_of(schedule):
    p = schedule.parameters(1.0)
    return p.eta, p.eta_prime, p.gamma, p.gamma_prime


# ---------------------------------------------------------------- one realisation


@pytest.mark.parametrize(
    "constants",
    [
        None,
        (0.02, 0.02, 0.5, 3.0),
        (0.3, 0.01, 0.5, 0.7),
        (0.01, 0.3, 0.4, 0.2),
        (0.0, 0.2, 0.5, 0.3),
        (0.2, 0.0, 0.5, 0.3),
        (0.0, 0.0, 0.25, 0.3),
        (40.0, 30.0, 0.5, 0.6),
        (1e3, 2e3, 0.5, 0.5),
        (1e-9, 2e-9, 0.5, 0.5),
    ],
)
@pytest.mark.parametrize("seed", range(2))
def test_equals_a_plain_loop_on_the_same_rings(seed, constants):
    rng = np.random.default_rng(seed)
    network = weighted_network(seed)
    schedule = accelerated_schedule(network) if constants is None else constant_schedule(*constants)
    events = simulate_clocks(network, horizon=90.0, rng=rng)
    x0, z0 = rng.normal(size=(2, network.n_nodes))
    times = np.array([0.0, 0.5, 13.0, 40.0, 77.0])
    run = accelerated_randomized_gossip(
        network, x0, z0=z0, horizon=90.0, events=events, times=times, schedule=schedule
    )
    expected = plain_gossip(network, x0, z0, events, constants_of(schedule), times)
    scale = np.abs(expected).max(axis=(1, 2))[:, None]
    assert (np.abs(run.x[..., 0] - expected[:, 0]) <= 1e-12 * scale).all()
    assert (np.abs(run.z[..., 0] - expected[:, 1]) <= 1e-12 * scale).all()
    squares = ((expected[:, 0] - x0.mean()) ** 2).sum(axis=1)
    np.testing.assert_allclose(run.errors[:, 0], squares, rtol=1e-10)
    assert run.n_events[0] == events.times.size


@pytest.mark.parametrize("seed", range(3))
def test_simple_gossip_equals_a_plain_loop(seed):
    rng = np.random.default_rng(seed)
    network = weighted_network(seed)
    events = simulate_clocks(network, horizon=60.0, rng=rng)
    x0, times = rng.normal(size=network.n_nodes), np.array([0.0, 7.0, 60.0])
    run = randomized_gossip(network, x0, horizon=60.0, events=events, times=times)
    expected = plain_gossip(network, x0, x0, events, (0.0, 0.0, 0.5, 0.5), times)
    np.testing.assert_allclose(run.x[..., 0], expected[:, 0], atol=1e-13)
    assert run.z is run.x


@pytest.mark.parametrize("n_rings", [0, 1, 255, 256, 257, 512, 513, 1000])
def test_replays_of_any_length_leave_out_no_ring(n_rings):
    rng = np.random.default_rng(n_rings)
    network = weighted_network(5)
    times = np.sort(rng.uniform(0.0, 100.0, size=n_rings))
    events = EdgeEvents(times, rng.integers(network.n_edges, size=n_rings))
    x0, reads = rng.normal(size=9), np.array([0.0, 40.0, 41.0, 100.0, 120.0])
    # Steps too small for consensus, so that the last rings are seen.
    constants = (0.01, 0.02, 1e-3, 2e-3)
    run = accelerated_randomized_gossip(
        network,
        x0,
        horizon=120.0,
        events=events,
        times=reads,
        schedule=constant_schedule(*constants),
    )
    expected = plain_gossip(network, x0, x0, events, constants, reads)
    np.testing.assert_allclose(run.x[..., 0], expected[:, 0], atol=1e-13)
    np.testing.assert_allclose(run.z[..., 0], expected[:, 1], atol=1e-13)
    assert run.n_events[0] == n_rings


def test_a_reading_sees_the_ring_at_its_own_time_and_no_later_one():
    pair = GossipNetwork(nx.path_graph(2))
    events = EdgeEvents([1.0, 3.0], [0, 0])
    run = randomized_gossip(pair, [1.0, 0.0], horizon=2.0, events=events, times=[0.5, 1.0, 1.5])
    np.testing.assert_array_equal(run.x[..., 0], [[1.0, 0.0], [0.5, 0.5], [0.5, 0.5]])
    assert run.n_events[0] == 1


def test_a_pair_is_done_at_its_first_ring():
    pair = GossipNetwork(nx.path_graph(2))
    rng = np.random.default_rng(0)
    run = accelerated_randomized_gossip(pair, [3.0, 1.0], horizon=8.0, rng=rng, n_copies=2000)
    done = run.errors == 0.0
    np.testing.assert_allclose(run.errors[~done], 2.0, rtol=1e-12)
    # The chance of no ring before t is e^{−t}.
    waiting = (~done).mean(axis=1)
    expected = np.exp(-run.times)
    assert (np.abs(waiting - expected) <= 4 * np.sqrt(expected / 2000) + 1e-12).all()
    assert (np.abs(run.z - 2.0)[:, 0][done] < 1e-12).all()


@pytest.mark.parametrize("n", [3, 5, 12])
def test_on_a_complete_graph_acceleration_changes_nothing(n):
    network = GossipNetwork(nx.complete_graph(n))
    rng = np.random.default_rng(n)
    events = simulate_clocks(network, horizon=40.0, rng=rng)
    x0 = rng.normal(size=n)
    accelerated = accelerated_randomized_gossip(network, x0, horizon=40.0, events=events)
    simple = randomized_gossip(network, x0, horizon=40.0, events=events)
    np.testing.assert_allclose(accelerated.x, simple.x, atol=1e-12)
    np.testing.assert_allclose(accelerated.z, accelerated.x, atol=1e-12)


def test_means_are_conserved_over_a_million_rings():
    network = GossipNetwork(nx.path_graph(100))
    rng = np.random.default_rng(0)
    x0 = rng.normal(size=100) + 5.0
    run = accelerated_randomized_gossip(network, x0, horizon=1e6, rng=rng)
    assert run.n_events[0] > 0.99e6
    np.testing.assert_allclose(run.x.mean(axis=1), x0.mean(), atol=1e-12, rtol=0)
    np.testing.assert_allclose(run.z.mean(axis=1), x0.mean(), atol=1e-12, rtol=0)


def test_another_mean_of_z_is_shared_with_x_in_the_proportions_of_the_mixing():
    network = GossipNetwork(nx.path_graph(6))
    schedule = constant_schedule(0.3, 0.1, 0.5, 0.5)
    run = accelerated_randomized_gossip(
        network,
        np.zeros(6),
        z0=np.full(6, 4.0),
        schedule=schedule,
        horizon=100.0,
        rng=np.random.default_rng(0),
    )
    # η' x + η z stays 0.1 · 0 + 0.3 · 4.
    np.testing.assert_allclose(run.x[-1], 3.0, rtol=1e-12)
    np.testing.assert_allclose(run.z[-1], 3.0, rtol=1e-12)


def test_errors_decay_beyond_the_rounding_of_the_values():
    network = GossipNetwork(nx.complete_graph(6))
    x0 = 2.0**30 + np.arange(6.0)
    run = randomized_gossip(network, x0, horizon=400.0, rng=np.random.default_rng(0))
    assert run.errors[-1, 0] < 1e-28
    np.testing.assert_allclose(run.x[-1], x0.mean(), rtol=1e-15)


def test_components_go_to_means_of_their_own():
    pieces = nx.disjoint_union(nx.path_graph(4), nx.cycle_graph(5))
    pieces.add_node("alone")
    network = GossipNetwork(pieces, connected=False)
    x0 = np.arange(10.0) ** 2
    for gossip in (randomized_gossip, accelerated_randomized_gossip):
        run = gossip(network, x0, horizon=4000.0, rng=np.random.default_rng(0))
        np.testing.assert_allclose(run.x[-1, :, 0], network.consensus(x0), rtol=1e-8)
        assert run.x[-1, -1, 0] == 81.0


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_readings_do_not_disturb_the_run(seed):
    rng = np.random.default_rng(seed)
    network = weighted_network(seed % 50)
    x0, horizon = rng.normal(size=9), float(10 ** rng.uniform(-1, 3))
    often = accelerated_randomized_gossip(
        network, x0, horizon=horizon, rng=np.random.default_rng(seed), n_copies=3
    )
    once = accelerated_randomized_gossip(
        network,
        x0,
        horizon=horizon,
        rng=np.random.default_rng(seed),
        n_copies=3,
        times=[horizon / 2],
        keep="errors",
    )
    assert (often.n_events == once.n_events).all()
    np.testing.assert_allclose(often.errors[50], once.errors[0], rtol=1e-9)
    np.testing.assert_allclose(often.x[-1], once.x[0], atol=1e-12)
    np.testing.assert_array_equal(once.state_times, [horizon])


# ---------------------------------------------------------------- many copies


def assert_means(samples, expected, errors_allowed):
    """Compare means over copies (the last axis) within so many standard errors."""
    standard = samples.std(axis=-1, ddof=1) / np.sqrt(samples.shape[-1])
    assert (np.abs(samples.mean(axis=-1) - expected) <= errors_allowed * standard).all()


def test_ring_of_sixteen_has_the_known_means():
    network = GossipNetwork(nx.cycle_graph(16))
    run = accelerated_randomized_gossip(
        network,
        np.eye(16)[0],
        horizon=100.0,
        rng=np.random.default_rng(5),
        n_copies=4000,
        times=[20.0, 50.0, 100.0],
        keep="errors",
    )
    assert_means(run.errors, [0.3780, 0.1729, 0.0528], errors_allowed=3)


@pytest.mark.parametrize("loss", [0.0, 0.4])
@pytest.mark.parametrize("method", ["simple", "theorem", "constants"])
def test_means_are_those_of_the_moment_equation(method, loss):
    network, rng = weighted_network(3), np.random.default_rng(0)
    x0, times = rng.normal(size=9), np.array([2.0, 8.0, 20.0, 45.0])
    options = {"horizon": 50.0, "rng": rng, "n_copies": 20_000, "times": times, "loss": loss}
    if method == "simple":
        run = randomized_gossip(network, x0, **options)
        exact = exact_second_moments(network, x0, times, method="simple", loss=loss)
    else:
        schedule = constant_schedule(0.1, 0.05, 0.4, 0.7) if method == "constants" else None
        run = accelerated_randomized_gossip(network, x0, schedule=schedule, **options)
        exact = exact_second_moments(network, x0, times, schedule=schedule, loss=loss)
    assert_means(run.errors, exact.errors, errors_allowed=4)
    apart_x = run.x - x0.mean()
    products = apart_x[:, :, None] * apart_x[:, None]
    # There are 180 of them.
    assert_means(products, exact.second_moment, errors_allowed=4.5)
    if method != "simple":
        assert_means(((run.z - x0.mean()) ** 2).sum(axis=1), exact.z_errors, errors_allowed=4)


def test_the_bound_holds_and_half_of_the_mean_does_not_pass_for_it():
    network, x0 = GossipNetwork(nx.path_graph(12)), np.eye(12)[0]
    times = np.array([50.0, 200.0, 600.0])
    for method, gossip in (
        ("simple", randomized_gossip),
        ("accelerated", accelerated_randomized_gossip),
    ):
        rng = np.random.default_rng(1)
        run = gossip(network, x0, horizon=600.0, rng=rng, n_copies=2000, times=times)
        bound = gossip_bound(network, x0, times, method=method)
        assert (run.errors.mean(axis=1) <= bound).all()
        assert run.errors[0].mean() > 0.2 * bound[0]


def test_rings_that_act_are_a_thinned_poisson_process():
    network, n_copies = GossipNetwork(nx.path_graph(5)), 4000
    for loss in (0.0, 0.3):
        run = randomized_gossip(
            network,
            np.zeros(5),
            horizon=50.0,
            rng=np.random.default_rng(2),
            n_copies=n_copies,
            times=[50.0],
            loss=loss,
        )
        mean = 50.0 * (1 - loss)
        assert run.n_events.mean() == pytest.approx(mean, abs=4 * np.sqrt(mean / n_copies))
        # The variance of a Poisson number is its mean, known to a part √(2/copies).
        assert run.n_events.var() == pytest.approx(mean, rel=4 * np.sqrt(2 / n_copies))


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (0.5, 2.0, 7.0)])
def test_the_kernel_rings_edges_at_their_rates(weights):
    pairs = nx.Graph()
    pairs.add_weighted_edges_from((2 * i, 2 * i + 1, w) for i, w in enumerate(weights))
    network = GossipNetwork(pairs, connected=False)
    x0 = np.array([1.0, -1.0] * 3)
    run = randomized_gossip(
        network,
        x0,
        horizon=2.0,
        rng=np.random.default_rng(3),
        n_copies=20_000,
        times=[0.5, 1.0, 2.0],
    )
    waiting = (run.x[:, ::2] != 0.0).mean(axis=2)
    expected = np.exp(-run.times[:, None] * network.probabilities)
    assert (np.abs(waiting - expected) <= 4 * np.sqrt(expected * (1 - expected) / 20_000)).all()


def test_growth_is_the_exponential_and_stops_where_it_must():
    batch = _rings._new_batch(256)
    batch.times[:] = 1.0 + np.linspace(0.0, 70.0, 256)
    _rings._grow(batch, 0, 256, 2.0, 1.0)
    exact = np.exp(np.minimum(2.0 * (batch.times - 1.0), _rings.LARGEST_EXPONENT))
    # The rounding of an exponent of 64 is 64 · 1e-16.
    np.testing.assert_allclose(batch.growth, exact, rtol=1.5e-14)
    batch.times[:] = 1.0 + np.linspace(0.0, 0.34, 256)
    _rings._grow(batch, 0, 256, 1.0, 1.0)
    np.testing.assert_allclose(batch.growth, np.exp(batch.times - 1.0), rtol=5e-16)


def test_alias_tables_carry_the_probabilities():
    rng = np.random.default_rng(0)
    for probabilities in (
        rng.dirichlet(np.ones(50)),
        rng.dirichlet(np.full(50, 0.02)) + 1e-300,
        np.array([1.0]),
        np.array([0.25, 0.75]),
    ):
        p = probabilities / probabilities.sum()
        acceptance, alias = _rings.alias_table(p)
        carried = acceptance.copy()
        np.add.at(carried, alias, 1.0 - acceptance)
        np.testing.assert_allclose(carried / p.size, p, rtol=1e-12, atol=1e-15)
        assert ((acceptance >= 0.0) & (acceptance <= 1.0)).all()


def test_clocks_are_poisson_processes_of_total_rate_one():
    network = weighted_network(4)
    events = simulate_clocks(network, horizon=1e5, rng=np.random.default_rng(7))
    gaps = np.diff(events.times, prepend=0.0)
    assert gaps.mean() == pytest.approx(1.0, abs=4 / np.sqrt(gaps.size))
    assert kstest(gaps, "expon").pvalue > 1e-3
    counts = np.bincount(events.edges, minlength=network.n_edges)
    assert chisquare(counts, network.probabilities * counts.sum()).pvalue > 1e-3
    thinned = simulate_clocks(network, horizon=1e5, rng=np.random.default_rng(7), loss=0.75)
    assert thinned.times.size == pytest.approx(25_000, abs=4 * np.sqrt(25_000))


def test_copies_may_start_apart():
    network, rng = GossipNetwork(nx.path_graph(5)), np.random.default_rng(0)
    x0 = rng.normal(size=(5, 70))
    run = accelerated_randomized_gossip(network, x0, horizon=30.0, rng=rng, times=[0.0, 30.0])
    assert run.x.shape == run.z.shape == (2, 5, 70)
    np.testing.assert_allclose(run.x[0], x0, rtol=1e-14)
    np.testing.assert_allclose(run.x.mean(axis=1), np.stack(2 * [x0.mean(axis=0)]), atol=1e-14)
    # Copies have clocks of their own: none repeats another's errors.
    same = randomized_gossip(network, x0[:, 0], horizon=30.0, rng=rng, n_copies=70)
    assert np.unique(same.errors[-1]).size == 70


def test_neither_processors_nor_earlier_calls_change_the_result(monkeypatch):
    network, x0 = weighted_network(1), np.arange(9.0)

    def run():
        return accelerated_randomized_gossip(
            network, x0, horizon=40.0, rng=np.random.default_rng(11), n_copies=37
        )

    reference = run()
    for count in (1, 2, 5, None):
        monkeypatch.setattr(asynchronous.os, "cpu_count", lambda count=count: count)
        again = run()
        assert (again.x == reference.x).all()
        assert (again.n_events == reference.n_events).all()
    other = accelerated_randomized_gossip(
        network, x0, horizon=40.0, rng=np.random.default_rng(12), n_copies=37
    )
    assert (other.x[-1] != reference.x[-1]).all()


def test_without_numba_the_results_are_the_same():
    code = """
import sys
if sys.argv[1] == "plain":
    sys.modules["numba"] = None
import networkx as nx, numpy as np
from inthelimit.gossip import accelerated_randomized_gossip
from inthelimit.graphs import GossipNetwork
graph = nx.path_graph(5)
graph.edges[0, 1]["weight"] = 3.0
run = accelerated_randomized_gossip(
    GossipNetwork(graph), np.arange(5.0), horizon=30.0, rng=np.random.default_rng(0), n_copies=20,
    times=[0.0, 20.0],
)
print(" ".join(map(repr, run.x[-1].ravel().tolist())), *run.n_events)
"""
    plain, compiled = (
        np.array(
            subprocess.run(
                [sys.executable, "-c", code, how], capture_output=True, text=True, check=True
            ).stdout.split(),
            dtype=float,
        )
        for how in ("plain", "compiled")
    )
    np.testing.assert_allclose(plain, compiled, rtol=1e-12)


# ---------------------------------------------------------------- divergence


def test_twice_the_kick_diverges_in_mean_square_but_stays_finite():
    network, x0 = GossipNetwork(nx.path_graph(12)), np.eye(12)[0]
    eta, eta_prime, gamma, gamma_prime = constants_of(accelerated_schedule(network))
    horizon = 12.0 / network.rate_accelerated
    schedule = constant_schedule(eta, eta_prime, gamma, 2.0 * gamma_prime)
    runs = [
        accelerated_randomized_gossip(
            network,
            x0,
            horizon=horizon,
            rng=np.random.default_rng(0),
            n_copies=4000,
            times=[horizon],
            schedule=s,
        )
        for s in (schedule, None)
    ]
    wrong, right = (run.errors[-1].mean() for run in runs)
    assert np.isfinite(runs[0].x).all()
    assert right < 2 * np.exp(-12.0) < 10.0 < wrong


def test_overflow_is_an_error_that_says_when_and_where():
    network = GossipNetwork(nx.path_graph(12))
    schedule = constant_schedule(0.5, 0.5, 0.5, 50.0)
    options = {"horizon": 1e5, "rng": np.random.default_rng(0), "schedule": schedule}
    with pytest.raises(ConvergenceError, match=r"overflow by t = .* in copy 0: .*gamma_prime"):
        accelerated_randomized_gossip(network, np.eye(12)[0], n_copies=40, **options)
    still = np.zeros((12, 40))
    still[0, 33] = 1.0
    with pytest.raises(ConvergenceError, match="in copy 33"):
        accelerated_randomized_gossip(network, still, **options)
    events = simulate_clocks(network, horizon=1e4, rng=np.random.default_rng(0))
    with pytest.raises(ConvergenceError, match="in copy 0"):
        accelerated_randomized_gossip(
            network, np.eye(12)[0], horizon=1e4, events=events, schedule=schedule
        )


# ---------------------------------------------------------------- input


def test_horizon_zero_is_the_start():
    network, x0 = GossipNetwork(nx.path_graph(3)), np.array([1.0, 2.0, 6.0])
    for gossip in (randomized_gossip, accelerated_randomized_gossip):
        run = gossip(network, x0, horizon=0.0, rng=np.random.default_rng(0), n_copies=2)
        np.testing.assert_array_equal(run.times, [0.0])
        np.testing.assert_allclose(run.x, np.stack(2 * [x0], axis=1)[None], rtol=1e-15)
        np.testing.assert_allclose(run.errors, 14.0, rtol=1e-14)
        assert (run.n_events == 0).all()
    assert simulate_clocks(network, horizon=0.0, rng=np.random.default_rng(0)).times.size == 0


def test_shapes():
    network, x0 = GossipNetwork(nx.path_graph(4)), np.arange(4.0)
    rng = np.random.default_rng(0)
    run = accelerated_randomized_gossip(network, x0, horizon=5.0, rng=rng, n_copies=3)
    assert run.times.shape == run.state_times.shape == (101,)
    assert run.errors.shape == (101, 3)
    assert run.x.shape == run.z.shape == (101, 4, 3)
    assert run.n_events.shape == (3,)
    short = accelerated_randomized_gossip(
        network, x0, horizon=5.0, rng=rng, n_copies=3, times=[1.0, 2.0]
    )
    assert short.errors.shape == (2, 3)
    assert short.x.shape == (2, 4, 3)
    last = randomized_gossip(network, x0[:, None], horizon=5.0, rng=rng, n_copies=3, keep="errors")
    assert last.errors.shape == (101, 3)
    assert last.x.shape == (1, 4, 3)
    np.testing.assert_allclose(((last.x[0] - 1.5) ** 2).sum(axis=0), last.errors[-1], rtol=1e-12)


def bad_cases():
    events = EdgeEvents([0.5], [0])
    seeded = {"rng": np.random.default_rng(0)}
    return [
        ({"horizon": -1.0, **seeded}, "horizon must be ≥ 0"),
        ({"horizon": np.inf, **seeded}, "horizon must be finite"),
        ({"times": [0.0, 2.0], **seeded}, "times must be ≤ horizon = 1, got 2"),
        ({"times": [-1.0], **seeded}, "times must be ≥ 0"),
        ({"times": [0.5, 0.5], **seeded}, "times must be strictly increasing"),
        ({"times": [], **seeded}, "times must have at least one entry"),
        ({"keep": "all", **seeded}, "keep must be one of 'states', 'errors'"),
        ({"loss": 1.0, **seeded}, "loss must be < 1"),
        ({"loss": -0.1, **seeded}, "loss must be ≥ 0"),
        ({"n_copies": 0, **seeded}, "n_copies must be ≥ 1"),
        ({"n_copies": 2.0, **seeded}, "n_copies must be an integer"),
        ({"x0": np.zeros(4), **seeded}, r"x0 must have shape \(3,\) or \(3, n_copies\)"),
        ({"x0": np.zeros((3, 0)), **seeded}, r"x0 must have shape \(3,\) or \(3, n_copies\)"),
        ({"x0": np.zeros((3, 2)), "n_copies": 3, **seeded}, "n_copies must be 1 or the 2 columns"),
        ({"x0": [1.0, np.nan, 0.0], **seeded}, "x0 must be finite"),
        ({"x0": [1e200, 0.0, 0.0], **seeded}, "x0 must be within"),
        ({}, "rng must be a numpy.random.Generator unless events are given"),
        ({"rng": 3}, "rng must be a numpy.random.Generator, got 3"),
        ({"events": events, **seeded}, "rng must be None where events are given"),
        ({"events": events, "n_copies": 2}, "n_copies must be 1 where events are given"),
        ({"events": events, "loss": 0.5}, "loss must be 0 where events are given"),
        ({"events": EdgeEvents([0.5], [2])}, "edges in 0, …, 1, got 2"),
    ]


@pytest.mark.parametrize(("options", "message"), bad_cases())
def test_bad_arguments(options, message):
    network = GossipNetwork(nx.path_graph(3))
    options = {"horizon": 1.0, "x0": np.zeros(3), **options}
    for gossip in (randomized_gossip, accelerated_randomized_gossip):
        with pytest.raises(ValueError, match=message):
            gossip(network, options["x0"], **{k: v for k, v in options.items() if k != "x0"})


def test_bad_second_numbers_and_schedules():
    network, rng = GossipNetwork(nx.path_graph(3)), np.random.default_rng(0)
    options = {"horizon": 1.0, "rng": rng}
    with pytest.raises(ValueError, match=r"z0 must have the shape of x0 or \(3,\)"):
        accelerated_randomized_gossip(network, np.zeros(3), z0=np.zeros(2), **options)
    with pytest.raises(ValueError, match="z0 must be within"):
        accelerated_randomized_gossip(network, np.zeros(3), z0=np.full(3, 1e160), **options)
    with pytest.raises(ValueError, match="schedule must have constant parameters"):
        accelerated_randomized_gossip(
            network, np.zeros(3), schedule=convex_schedule(2.0), **options
        )
    accelerated_randomized_gossip(
        network, np.zeros(3), schedule=strongly_convex_schedule(2.0, 0.1), **options
    )


@pytest.mark.parametrize(
    ("times", "edges", "message"),
    [
        ([1.0, 0.5], [0, 0], "increasing order"),
        ([-1.0], [0], "times must be ≥ 0"),
        ([1.0], [0, 1], r"edges must have the shape \(1,\)"),
        ([1.0], [0.5], "edges must be integers"),
        ([1.0, 2.0], [0, -1], "edges must be ≥ 0, got -1"),
        ([np.nan], [0], "times must be finite"),
    ],
)
def test_bad_events(times, edges, message):
    with pytest.raises(ValueError, match=message):
        EdgeEvents(times, edges)
