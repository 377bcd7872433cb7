"""Decentralised optimisation finds the minimiser of Σ f_v, at the theorem's rate or faster."""

import networkx as nx
import numpy as np
import pytest
from scipy.linalg import expm
from scipy.optimize import minimize

from inthelimit import ConvergenceError
from inthelimit.gossip import decentralized_optimization, exact_second_moments
from inthelimit.graphs import GossipNetwork

STEPS = ["resistance", "uniform"]
TRIANGLE_WITH_TAIL = nx.Graph(
    [
        (0, 1, {"weight": 1.0}),
        (1, 2, {"weight": 2.0}),
        (0, 2, {"weight": 0.5}),
        (2, 3, {"weight": 1.0}),
    ]
)


def grid(side):
    return GossipNetwork(nx.convert_node_labels_to_integers(nx.grid_2d_graph(side, side)))


class Quadratics:
    """f_v(x) = ½ (x − c_v)ᵀ A_v (x − c_v) with the spectrum of A_v in [μ, L], both attained."""

    def __init__(self, n, d, mu, L, seed):
        rng = np.random.default_rng(seed)
        bases = np.linalg.qr(rng.normal(size=(n, d, d)))[0]
        spectra = rng.uniform(mu, L, size=(n, d))
        spectra[0, 0], spectra[-1, -1] = mu, L
        self.A = np.einsum("vij,vj,vkj->vik", bases, spectra, bases)
        self.inverse = np.einsum("vij,vj,vkj->vik", bases, 1.0 / spectra, bases)
        self.c = rng.normal(size=(n, d))
        self.x_star = np.linalg.solve(self.A.sum(axis=0), np.einsum("vij,vj->i", self.A, self.c))
        self.y_star = np.einsum("vij,vj->vi", self.A, self.x_star - self.c)

    def conjugate_gradient(self, y, nodes):
        return np.einsum("vij,vj->vi", self.inverse[nodes], y) + self.c[nodes]

    def gap(self, y):
        """G(y) − G*, which is half the square of y − y* in the metric of the inverses."""
        off = y - self.y_star
        return 0.5 * np.einsum("...vi,vij,...vj->...", off, self.inverse, off)

    def bound(self, network, mu, L, times):
        theta, strength = constants(network, mu, L)
        pseudo_inverse = np.linalg.pinv(network.laplacian.toarray())
        energy = np.einsum("vi,vw,wi->", self.y_star, pseudo_inverse, self.y_star)
        return (self.gap(np.zeros_like(self.c)) + strength / 2 * energy) * np.exp(-theta * times)


def constants(network, mu, L):
    """θ and the strong convexity of G in the norm of L_P⁺, from dense linear algebra."""
    laplacian = network.laplacian.toarray()
    gap = np.linalg.eigvalsh(laplacian)[1]
    v, w = network.edges.T
    inverse = np.linalg.pinv(laplacian)
    resistance = (inverse[v, v] + inverse[w, w] - 2 * inverse[v, w]).max()
    return np.sqrt(mu * gap / (2 * L * resistance)), gap / L


def run(network, problem, *, mu, L, seed, horizon, **options):
    return decentralized_optimization(
        network,
        problem.conjugate_gradient,
        dimension=problem.c.shape[1],
        L=L,
        mu=mu,
        rng=np.random.default_rng(seed),
        horizon=horizon,
        **options,
    )


def exact_gap(network, problem, mu, L, times, steps):
    """E G(y_t) − G* for scalar quadratics, by the dense generator of E of (y − y*, z − y*)⊗2."""
    n = network.n_nodes
    theta, strength = constants(network, mu, L)
    inverse = np.linalg.pinv(network.laplacian.toarray())
    H = np.diag(problem.inverse[:, 0, 0])
    identity = np.eye(2 * n)
    mixing = np.kron(theta * np.array([[-1.0, 1.0], [1.0, -1.0]]), np.eye(n))
    generator = np.kron(mixing, identity) + np.kron(identity, mixing)
    differences = np.eye(n)[network.edges[:, 0]] - np.eye(n)[network.edges[:, 1]]
    resistances = np.einsum("ei,ij,ej->e", differences, inverse, differences)
    for a, P, R in zip(differences, network.probabilities, resistances, strict=True):
        share = R / resistances.max() if steps == "resistance" else 1.0
        kick = np.concatenate([mu / 2 * share * a, theta / strength * a])
        jump = identity - np.outer(kick, np.concatenate([H @ a, np.zeros(n)]))
        generator += P * (np.kron(jump, jump) - np.eye(4 * n * n))
    start = -np.tile(problem.y_star[:, 0], 2)
    start = np.outer(start, start).ravel()
    moments = [(expm(t * generator) @ start).reshape(2 * n, 2 * n)[:n, :n] for t in times]
    return 0.5 * np.array([np.trace(H @ moment) for moment in moments])


# ---------------------------------------------------------------- the system


@pytest.mark.parametrize("steps", STEPS)
def test_node_local_clocks_equal_mixing_everyone_at_every_ring(steps):
    network = GossipNetwork(TRIANGLE_WITH_TAIL)
    problem = Quadratics(4, 3, 1.0, 5.0, seed=1)
    horizon, times = 60.0, np.array([0.0, 7.5, 30.0, 60.0])
    result = run(network, problem, mu=1.0, L=5.0, seed=2, horizon=horizon, times=times, steps=steps)

    rng = np.random.default_rng(2)
    rings = np.sort(rng.uniform(0.0, horizon, size=rng.poisson(horizon)))
    edges = rng.choice(network.n_edges, size=rings.size, p=network.probabilities)
    theta, strength = constants(network, 1.0, 5.0)
    shares = network.effective_resistances / network.effective_resistances.max()
    y, z, clock = np.zeros((4, 3)), np.zeros((4, 3)), 0.0
    expected, pending = [], list(times)

    def mixed(until):
        flow = expm((until - clock) * theta * np.array([[-1.0, 1.0], [1.0, -1.0]]))
        return np.einsum("ab,bvi->avi", flow, np.stack([y, z]))

    for now, edge in zip(rings, edges, strict=True):
        while pending and pending[0] < now:
            expected.append(mixed(pending.pop(0))[0])
        y, z = mixed(now)
        clock = now
        v, w = network.edges[edge]
        gradients = problem.conjugate_gradient(y, np.arange(4))
        g = gradients[v] - gradients[w]
        s = 0.5 * (shares[edge] if steps == "resistance" else 1.0)
        y[v] -= s * g
        y[w] += s * g
        z[v] -= theta / strength * g
        z[w] += theta / strength * g
    expected.extend(mixed(t)[0] for t in pending)

    assert result.n_events == rings.size
    assert result.theta == pytest.approx(theta, rel=1e-12)
    np.testing.assert_allclose(result.dual, expected, atol=1e-12)
    np.testing.assert_allclose(
        result.primal,
        [problem.conjugate_gradient(y, np.arange(4)) for y in expected],
        atol=1e-12,
    )


def test_squared_distances_make_it_accelerated_gossip():
    # f_v = ½‖x − b_v‖² has ∇f_v* = y_v + b_v: the proposals start at b and gossip.
    network = GossipNetwork(nx.path_graph(6))
    b = np.random.default_rng(0).normal(size=6)
    times = np.array([0.0, 10.0, 40.0, 80.0])
    runs = [
        decentralized_optimization(
            network,
            lambda y, nodes: y + b[nodes, None],
            dimension=1,
            L=1.0,
            mu=1.0,
            rng=np.random.default_rng(seed),
            horizon=80.0,
            times=times,
            steps="uniform",
        )
        for seed in range(400)
    ]
    assert runs[0].theta == pytest.approx(network.rate_accelerated, rel=1e-12)
    errors = np.array([((r.primal[:, :, 0] - b.mean()) ** 2).sum(axis=1) for r in runs])
    exact = exact_second_moments(network, b, times).errors
    standard_error = errors.std(axis=0, ddof=1) / np.sqrt(len(errors))
    assert (np.abs(errors.mean(axis=0) - exact) <= 4 * standard_error + 1e-12).all()


def test_dual_sums_are_conserved():
    network = grid(4)
    problem = Quadratics(16, 3, 1.0, 10.0, seed=3)
    result = run(network, problem, mu=1.0, L=10.0, seed=4, horizon=2000.0)
    assert np.abs(result.dual.sum(axis=1)).max() < 1e-12 * np.abs(result.dual).max() * 16


# ---------------------------------------------------------------- the limit


@pytest.mark.parametrize("steps", STEPS)
def test_every_node_finds_the_minimiser_of_the_sum(steps):
    network = grid(4)
    problem = Quadratics(16, 3, 1.0, 10.0, seed=5)
    result = run(network, problem, mu=1.0, L=10.0, seed=6, horizon=3500.0, steps=steps)
    np.testing.assert_allclose(result.primal[-1], np.tile(problem.x_star, (16, 1)), atol=1e-8)
    np.testing.assert_allclose(result.dual[-1], problem.y_star, atol=1e-7)


def test_components_find_the_minimisers_of_their_own_sums():
    network = GossipNetwork(nx.disjoint_union(nx.path_graph(3), nx.cycle_graph(4)), connected=False)
    problem = Quadratics(7, 2, 1.0, 4.0, seed=7)
    result = run(network, problem, mu=1.0, L=4.0, seed=8, horizon=1500.0)
    for piece in (slice(0, 3), slice(3, 7)):
        A, c = problem.A[piece], problem.c[piece]
        minimiser = np.linalg.solve(A.sum(axis=0), np.einsum("vij,vj->i", A, c))
        np.testing.assert_allclose(
            result.primal[-1, piece], np.tile(minimiser, (len(c), 1)), atol=1e-8
        )


def test_logistic_losses_with_an_inner_solve():
    rng = np.random.default_rng(9)
    network, d, mu = GossipNetwork(nx.cycle_graph(5)), 2, 0.5
    features = rng.normal(size=(5, 8, d))
    signed = features * rng.choice([-1.0, 1.0], size=(5, 8, 1))
    # The Hessian of the logistic part is at most ¼ Σ aaᵀ.
    L = mu + 0.25 * np.linalg.eigvalsh(np.einsum("vmi,vmj->vij", features, features)).max()

    def value(x, nodes):
        losses = np.log1p(np.exp(-np.einsum("vmi,vi->vm", signed[nodes], x)))
        return losses.sum() + mu / 2 * (x * x).sum()

    def conjugate_gradient(y, nodes):
        """argmin f_v(x) − ⟨y_v, x⟩ by Newton's method, for all nodes asked for at once."""
        x = np.zeros_like(y)
        rows = signed[nodes]
        for _ in range(50):
            wrong = 1.0 / (1.0 + np.exp(np.einsum("vmi,vi->vm", rows, x)))
            slope = mu * x - np.einsum("vm,vmi->vi", wrong, rows) - y
            hessian = mu * np.eye(d) + np.einsum("vm,vmi,vmj->vij", wrong * (1 - wrong), rows, rows)
            move = np.linalg.solve(hessian, slope[..., None])[..., 0]
            x -= move
            if np.abs(move).max() < 1e-13:
                return x
        raise AssertionError("Newton's method did not converge")

    result = decentralized_optimization(
        network, conjugate_gradient, dimension=d, L=L, mu=mu, rng=rng, horizon=1500.0
    )
    everyone = np.arange(5)
    best = minimize(
        lambda x: value(np.tile(x, (5, 1)), everyone), np.zeros(d), method="BFGS", tol=1e-10
    )
    np.testing.assert_allclose(result.primal[-1], np.tile(best.x, (5, 1)), atol=1e-6)
    assert result.primal[-1].std(axis=0).max() < 1e-8


# ---------------------------------------------------------------- the rate


@pytest.mark.parametrize("steps", STEPS)
def test_mean_gap_is_the_exact_one(steps):
    network = GossipNetwork(TRIANGLE_WITH_TAIL)
    problem = Quadratics(4, 1, 1.0, 6.0, seed=10)
    times = np.array([0.0, 5.0, 20.0, 50.0])
    gaps = np.array(
        [
            problem.gap(
                run(
                    network, problem, mu=1.0, L=6.0, seed=s, horizon=50.0, times=times, steps=steps
                ).dual
            )
            for s in range(600)
        ]
    )
    exact = exact_gap(network, problem, 1.0, 6.0, times, steps)
    standard_error = gaps.std(axis=0, ddof=1) / np.sqrt(len(gaps))
    assert (np.abs(gaps.mean(axis=0) - exact) <= 4 * standard_error + 1e-12).all()


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("graph", [nx.path_graph(5), TRIANGLE_WITH_TAIL], ids=["line", "tail"])
def test_exact_mean_gap_is_below_the_bound(graph, seed, steps):
    network = GossipNetwork(graph)
    mu, L = 1.0, 10.0
    problem = Quadratics(network.n_nodes, 1, mu, L, seed=seed)
    times = np.linspace(0.0, 8.0, 9) / constants(network, mu, L)[0]
    ratio = exact_gap(network, problem, mu, L, times, steps) / problem.bound(network, mu, L, times)
    assert ratio.max() <= 1.0
    # The bound is not empty: at first it is reached up to a factor of a few.
    assert ratio[0] > 0.05


@pytest.mark.parametrize("steps", STEPS)
def test_mean_gap_on_the_grid_is_below_the_bound(steps):
    network, mu, L = grid(4), 1.0, 10.0
    problem = Quadratics(16, 2, mu, L, seed=11)
    theta, _ = constants(network, mu, L)
    times = np.linspace(0.0, 3.0, 7) / theta
    results = [
        run(network, problem, mu=mu, L=L, seed=s, horizon=times[-1], times=times, steps=steps)
        for s in range(60)
    ]
    gaps = np.array([problem.gap(result.dual) for result in results])
    bound = problem.bound(network, mu, L, times)
    standard_error = gaps.std(axis=0, ddof=1) / np.sqrt(len(gaps))
    assert (gaps.mean(axis=0) + 4 * standard_error <= bound)[1:].all()
    # Proposals: their squared distance is at most 2/μ times the gap, run by run.
    distances = np.array([((r.primal - problem.x_star) ** 2).sum(axis=(1, 2)) for r in results])
    assert (distances <= 2 / mu * gaps * (1 + 1e-9) + 1e-20).all()


def test_steps_too_large_diverge():
    # Told μ four times the true one, a ring overshoots the minimum of its edge.
    network, problem = grid(4), Quadratics(16, 2, 1.0, 1.5, seed=12)
    honest = run(network, problem, mu=1.0, L=1.5, seed=13, horizon=400.0, steps="uniform")
    wrong = run(network, problem, mu=4.0, L=6.0, seed=13, horizon=400.0, steps="uniform")
    assert problem.gap(honest.dual[-1]) < 1e-2 * problem.gap(honest.dual[0])
    assert problem.gap(wrong.dual[-1]) > 1e3 * problem.gap(wrong.dual[0])
    with pytest.raises(ConvergenceError, match=r"exceed 1e\+150 at ring \d+.*mu is larger"):
        run(network, problem, mu=40.0, L=60.0, seed=13, horizon=4000.0, steps="uniform")


# ---------------------------------------------------------------- the door


def distances(y, nodes):
    return y + nodes[:, None]


def options(**changes):
    return {
        "dimension": 1,
        "L": 1.0,
        "mu": 1.0,
        "rng": np.random.default_rng(0),
        "horizon": 20.0,
    } | changes


def test_horizon_zero_is_the_start():
    result = decentralized_optimization(
        GossipNetwork(nx.path_graph(3)), distances, **options(horizon=0.0)
    )
    assert result.times.tolist() == [0.0]
    assert result.n_events == 0
    assert result.primal[0, :, 0].tolist() == [0.0, 1.0, 2.0]


def test_one_edge_is_settled_by_its_first_ring():
    # μ_gossip = 2, R = 1: s = ½ and s' = ½, so that y and z agree, and one average is consensus.
    result = decentralized_optimization(
        GossipNetwork(nx.path_graph(2)), distances, **options(times=[20.0])
    )
    assert result.n_events > 0
    np.testing.assert_allclose(result.primal[0], 0.5, atol=1e-15)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dimension": 0}, r"dimension must be ≥ 1, got 0"),
        ({"dimension": 1.0}, r"dimension must be an integer"),
        ({"L": 0.0}, r"L must be > 0"),
        ({"mu": 0.0}, r"mu must be > 0"),
        ({"mu": 2.0}, r"mu must be ≤ L = 1, got 2.0"),
        ({"rng": 0}, r"rng must be a numpy.random.Generator, got 0"),
        ({"horizon": -1.0}, r"horizon must be ≥ 0"),
        ({"horizon": np.inf}, r"horizon must be finite"),
        ({"times": [0.0, 30.0]}, r"times must be ≤ horizon = 20, got 30.0"),
        ({"times": [1.0, 1.0]}, r"times must be strictly increasing"),
        ({"steps": "large"}, r"steps must be one of 'resistance', 'uniform', got 'large'"),
    ],
)
def test_wrong_arguments_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        decentralized_optimization(GossipNetwork(nx.path_graph(3)), distances, **options(**changes))


def test_a_wrong_gradient_is_named_with_its_ring():
    network = GossipNetwork(nx.path_graph(3))
    with pytest.raises(ValueError, match=r"must return shape \(2, 1\), got \(1, 2\) at ring 1"):
        decentralized_optimization(
            network, lambda y, nodes: distances(y, nodes).T, **options(times=[20.0])
        )
    calls = 0

    def breaks_down(y, nodes):
        nonlocal calls
        calls += 1
        return np.full_like(y, np.nan) if calls == 4 else distances(y, nodes)

    with pytest.raises(ValueError, match=r"must be finite, got \[nan nan\] at ring 4"):
        decentralized_optimization(network, breaks_down, **options(times=[20.0]))
    with pytest.raises(ValueError, match=r"must return shape \(3, 1\), got \(3,\) at time 0"):
        decentralized_optimization(
            network, lambda y, nodes: distances(y, nodes)[:, 0], **options(times=[0.0])
        )
