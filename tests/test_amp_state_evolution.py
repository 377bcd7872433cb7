"""State evolution: against integrals done otherwise, simulations, and runs of the drawing."""

from functools import partial

import numpy as np
import pytest
from scipy import stats

from inthelimit import ConvergenceError
from inthelimit.amp import (
    AMPGraph,
    Side,
    Spike,
    glue,
    nonseparable,
    run_amp,
    separable,
    state_evolution,
)
from inthelimit.amp._gaussian import (
    GrowingGaussian,
    canonical_pair,
    pseudo_inverse,
    triangular_root,
)
from inthelimit.amp._quadrature import lattice

LOOP = ("v", "v")


def biased(t, x):
    """Neither odd nor even, and of a different shape at each step: wrong times can't hide."""
    return 2.0 * np.tanh((1.5 - 0.1 * t) * x + 0.5) + 0.3 * x + 0.1 * t


def soft(x, threshold):
    return np.sign(x) * np.maximum(np.abs(x) - threshold, 0.0)


def panels(edges):
    """Nodes and weights of Gauss and Legendre's rule on each interval between edges within ±9."""
    edges = np.sort(np.clip(edges, -9.0, 9.0), axis=-1)
    nodes, weights = np.polynomial.legendre.leggauss(24)
    middle, half = (edges[..., :-1] + edges[..., 1:]) / 2.0, np.diff(edges) / 2.0
    shape = (*edges.shape[:-1], -1)
    return (
        (middle[..., None] + half[..., None] * nodes).reshape(shape),
        (half[..., None] * weights).reshape(shape),
    )


EVEN = np.linspace(-9, 9, 17)


def mean_of_one(f, sd, kinks=()):
    """E f(sd · Z), split at the kinks of f."""
    u, w = panels(np.concatenate([EVEN, np.asarray(kinks) / sd]))
    return w * stats.norm.pdf(u) @ f(sd * u)


def mean_of_two(f, g, covariance, kinks=()):
    """E f(X) g(Y), the inner integral split at the kinks of g, the outer at those of both."""
    (a, b), (_, d) = covariance
    sd, kinks = np.sqrt(a), np.asarray(kinks)
    rest = np.sqrt(max(d - b * b / a, 1e-30))
    outer = [EVEN, kinks / sd]
    if abs(b) > 1e-3:
        # What the inner mean leaves of a kink of g is as wide as `rest`.
        outer += [(k + rest * EVEN) * sd / b for k in kinks]
    u, w = panels(np.concatenate(outer))
    y = (u * b / sd)[:, None]
    v, weights = panels(np.concatenate([np.tile(EVEN, (len(u), 1)), (kinks - y) / rest], axis=1))
    inner = (weights * stats.norm.pdf(v) * g(y + rest * v)).sum(axis=1)
    return w * stats.norm.pdf(u) * f(sd * u) @ inner


def loop_by_hand(function, x0, n_steps, kinks=lambda t: ()):
    """κ of the loop, one pair of times after the other."""
    kappa = np.zeros((n_steps, n_steps))
    first = function(0, x0)
    kappa[0, 0] = np.mean(first**2)
    for t in range(1, n_steps):
        now, sd = partial(function, t), np.sqrt(kappa[t - 1, t - 1])
        kappa[t, t] = mean_of_one(lambda x, now=now: now(x) ** 2, sd, kinks(t))
        kappa[0, t] = kappa[t, 0] = first.mean() * mean_of_one(now, sd, kinks(t))
        for s in range(1, t):
            pair = kappa[np.ix_([s - 1, t - 1], [s - 1, t - 1])]
            both = (*kinks(s), *kinks(t))
            kappa[s, t] = kappa[t, s] = mean_of_two(partial(function, s), now, pair, both)
    return kappa


def loop(function, n=200, **options):
    return AMPGraph({"v": n}, {LOOP: separable(function)}, **options)


def drawing(dimensions, undirected, **options):
    """A drawing whose functions read all that they may, each in its own way."""
    pairs = [((a, b, k), (b, a, k)) for a, b, k in undirected]
    edges = dict.fromkeys(e for pair in pairs for e in pair)
    functions = {}
    for c, e in enumerate(edges):
        reads = [d for d in edges if d[1] == e[0]]
        functions[e] = separable(
            lambda t, *x, c=c: (
                np.tanh(sum((1.3 - 0.3 * i) * v for i, v in enumerate(x)) + 0.5 + 0.1 * c)
                + (0.2 + 0.05 * t) * x[0]
            ),
            reads=reads,
        )
    return AMPGraph(dimensions, functions, **options)


def start_of(graph, rng):
    return {
        e: 0.5 + 0.3 * rng.standard_normal((graph.dimensions[e.end], *[q] * (q > 1)))
        for e, q in graph.columns.items()
    }


DRAWINGS = {
    "loop": ({"v": 3}, [("v", "v", 0)]),
    "edge": ({"a": 3, "b": 2}, [("a", "b", 0)]),
    "chain": ({"a": 3, "b": 2, "c": 4}, [("a", "b", 0), ("b", "c", 0)]),
    "triangle and loop": (
        {"a": 3, "b": 2, "c": 4},
        [("a", "b", 0), ("b", "c", 0), ("c", "a", 0), ("b", "b", 0)],
    ),
    "star": (
        {"a": 3, "b": 2, "c": 4, "d": 2},
        [("a", "b", 0), ("a", "c", 0), ("a", "d", 0)],
    ),
    "parallel edges": ({"a": 3, "b": 2}, [("a", "b", 0), ("a", "b", 1)]),
}


def drawn(name, scale):
    dimensions, edges = DRAWINGS[name]
    return drawing({v: scale * n for v, n in dimensions.items()}, edges)


# The lattice, alone.


@pytest.mark.parametrize(("n", "tolerance"), [(48, 1e-8), (97, 1e-11), (1024, 1e-11)])
@pytest.mark.parametrize("rho", [0.0, 1e-3, 0.1499, 0.1501, 0.5, 0.99, 1 - 1e-9, 1.0])
def test_products_of_polynomials_are_exact_at_every_correlation(n, tolerance, rho):
    at = lattice(n)
    f, g = 1.5 * at.nodes + 0.25, at.nodes**3 - 2.0 * at.nodes**2
    mean = at.paired_mean(f[None, :, None], g[None, :, None], [rho], np.ones(1))
    assert mean == pytest.approx(1.5 * 3.0 * rho + 0.25 * -2.0, abs=tolerance)


def test_smooth_functions_of_three_pairs_need_few_nodes():
    # E cos(b·x + .3) cos(c·y + .3), from the characteristic function.
    at, rho = lattice(48), np.array([0.05, 0.6, 1.0])
    b, c = np.array([0.7, 1.1, 0.4]), np.array([0.9, -0.5, 0.8])
    nodes, _ = at.tensor(3)
    shape = (1, 48, 48, 48, 1)
    f, g = (np.cos(nodes @ k + 0.3).reshape(shape) for k in (b, c))

    def characteristic(sign):
        variance = (b * b + c * c + 2.0 * sign * rho * b * c).sum()
        return np.exp(-0.5 * variance)

    exact = 0.5 * (characteristic(-1) + np.cos(0.6) * characteristic(1))
    assert at.paired_mean(f, g, rho, np.ones(1)) == pytest.approx(exact, abs=1e-11)


@pytest.mark.parametrize("rho", [0.0, 0.1499, 0.1501, 0.59, 0.99, 1 - 1e-9])
def test_signs_obey_the_arcsine_law(rho):
    at = lattice(2**14)
    signs = np.sign(at.nodes)[None, :, None]
    mean = at.paired_mean(signs, signs, [rho], np.ones(1))
    # Of order h² at a jump on a node; the law has a square root at ρ = 1, to be compared to h.
    error = at.step**2 / 6.0 / np.sqrt(1.0 - rho)
    tolerance = min(error, at.step)
    assert mean == pytest.approx(2.0 / np.pi * np.arcsin(rho), abs=tolerance)


# Gaussian families.


def singular_covariance(rng, sizes, rank):
    factor = rng.standard_normal((sum(sizes), rank))
    return factor @ factor.T


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_a_growing_factor_has_the_covariance_and_the_rank_of_the_family(rank):
    rng = np.random.default_rng(rank)
    covariance = singular_covariance(rng, [2, 2, 2, 2], rank)
    family = GrowingGaussian()
    for k in range(0, 8, 2):
        before = family.factor
        rows = family.append(covariance[:k, k : k + 2], covariance[k : k + 2, k : k + 2])
        # What is drawn stays drawn: earlier rows get zeros, and no other change.
        np.testing.assert_array_equal(family.factor[:k, : before.shape[1]], before)
        assert rows.shape == (2, family.rank)
    np.testing.assert_allclose(family.factor @ family.factor.T, covariance, atol=1e-12 * 8 * rank)
    assert family.rank == rank


def test_a_family_without_variance_has_rank_zero():
    family = GrowingGaussian()
    family.append(np.zeros((0, 2)), np.zeros((2, 2)))
    assert family.rank == 0
    family.append(np.zeros((2, 1)), np.ones((1, 1)))
    np.testing.assert_array_equal(family.factor, [[0.0], [0.0], [1.0]])


@pytest.mark.parametrize("rank", [1, 2, 3, 5])
def test_canonical_pairs_have_the_joint_covariance_and_are_independent_otherwise(rank):
    rng = np.random.default_rng(rank)
    covariance = singular_covariance(rng, [3, 2], rank)
    first, second, cross = covariance[:3, :3], covariance[3:, 3:], covariance[:3, 3:]
    B, C, rho = canonical_pair(first, second, cross)
    pairs = np.zeros((B.shape[1], C.shape[1]))
    np.fill_diagonal(pairs, rho)
    np.testing.assert_allclose(B @ B.T, first, atol=1e-12)
    np.testing.assert_allclose(C @ C.T, second, atol=1e-12)
    np.testing.assert_allclose(B @ pairs @ C.T, cross, atol=1e-10)
    assert (B.shape[1], C.shape[1]) == (min(rank, 3), min(rank, 2))


def test_columns_of_very_different_scale_keep_their_rank():
    covariance = np.diag([1.0, 1e-20, 0.0])
    root = triangular_root(covariance)
    assert root.shape == (3, 2)
    np.testing.assert_allclose(root, [[1.0, 0.0], [0.0, 1e-10], [0.0, 0.0]], rtol=1e-12)
    np.testing.assert_allclose(np.diag(pseudo_inverse(covariance)), [1.0, 1e20, 0.0])


# The loop, against integrals by hand.


def test_a_smooth_loop_is_its_integrals_at_all_pairs_of_times():
    x0 = np.linspace(-0.5, 1.5, 200)
    evolution = state_evolution(loop(biased), {LOOP: x0}, 5)
    np.testing.assert_allclose(
        evolution.covariances[LOOP], loop_by_hand(biased, x0, 5), rtol=0, atol=1e-9
    )
    assert evolution.standard_errors[LOOP].max() < 1e-9


def test_the_loop_of_the_sheet():
    def f(t, x):
        return 2.0 * np.tanh(1.5 * x + 0.5) + 0.3 * x

    evolution = state_evolution(loop(f), {LOOP: np.full(200, 0.5)}, 6)
    # Two errors of the 4·10⁵ samples that its numbers come from, grown with the steps.
    diagonal = [3.41, 4.886, 5.548, 5.806, 5.901, 5.936]
    np.testing.assert_allclose(evolution.variances(LOOP), diagonal, atol=0.02)
    next_times = np.diag(evolution.covariances[LOOP], 1)
    np.testing.assert_allclose(next_times, [0.504, 0.617, 0.631, 0.609, 0.577], atol=0.005)


def test_kinks_cost_no_more_than_a_millionth():
    def f(t, x):
        return soft(x - 0.3, 0.5 + 0.1 * t) + 0.4 * x + 0.5

    def kinks(t):
        return (0.3 - 0.5 - 0.1 * t, 0.3 + 0.5 + 0.1 * t)

    x0 = np.linspace(0.0, 2.0, 200)
    evolution = state_evolution(loop(f), {LOOP: x0}, 5)
    by_hand = loop_by_hand(f, x0, 5, kinks)
    np.testing.assert_allclose(evolution.covariances[LOOP], by_hand, rtol=0, atol=2e-7)
    assert evolution.standard_errors[LOOP].max() < 1e-6


def test_times_that_are_nearly_one_are_as_exact_as_others():
    # A contraction: times come near to one another step after step.
    def f(t, x):
        return 0.5 * soft(x + 0.2, 0.5) + 0.5 + 0.01**t

    x0 = np.full(200, 0.3)
    evolution = state_evolution(loop(f), {LOOP: x0}, 6)
    kappa = evolution.covariances[LOOP]
    correlation = kappa[4, 5] / np.sqrt(kappa[4, 4] * kappa[5, 5])
    assert 1e-13 < 1.0 - correlation < 1e-3
    by_hand = loop_by_hand(f, x0, 6, lambda t: (-0.7, 0.3))
    np.testing.assert_allclose(kappa, by_hand, rtol=0, atol=2e-7)


def test_reported_errors_tell_the_size_of_true_ones_on_coarse_grids():
    x0 = np.full(200, 0.3)

    def f(t, x):
        return np.tanh(4.0 * x + 0.5) + 0.2

    exact = state_evolution(loop(f), {LOOP: x0}, 3).covariances[LOOP]
    for nodes in (24, 32, 48):
        coarse = state_evolution(loop(f), {LOOP: x0}, 3, nodes=nodes)
        error = np.abs(coarse.covariances[LOOP] - exact)
        assert error.max() > 1e-7
        assert error.max() <= 2.0 * coarse.standard_errors[LOOP].max()


def test_without_joint_times_variances_are_the_same():
    graph = drawn("chain", 50)
    x0 = start_of(graph, np.random.default_rng(0))
    joint = state_evolution(graph, x0, 4, nodes=96)
    alone = state_evolution(graph, x0, 4, joint=False, nodes=96)
    for e in graph.edges:
        assert alone.covariances[e].shape == (4,)
        np.testing.assert_allclose(alone.covariances[e], joint.variances(e), atol=1e-9)
        np.testing.assert_array_equal(alone.variances(e), alone.covariances[e])


# Closed forms, singular covariances.


def test_a_linear_loop_with_a_bias_has_its_closed_form():
    c, d, x0 = 0.8, 0.5, np.linspace(-1.0, 2.0, 200)
    evolution = state_evolution(loop(lambda t, x: c * x + d), {LOOP: x0}, 6)
    kappa = np.zeros((6, 6))
    kappa[0, 0] = np.mean((c * x0 + d) ** 2)
    kappa[0, 1:] = kappa[1:, 0] = (c * x0 + d).mean() * d
    for s in range(1, 6):
        kappa[s, 1:] = c * c * kappa[s - 1, :-1] + d * d
    np.testing.assert_allclose(evolution.covariances[LOOP], kappa, atol=1e-11)


def test_a_linear_loop_without_bias_has_orthogonal_iterates():
    evolution = state_evolution(loop(lambda t, x: 1.1 * x), {LOOP: np.ones(200)}, 6)
    expected = np.diag(1.21 ** np.arange(1, 7))
    np.testing.assert_allclose(evolution.covariances[LOOP], expected, atol=1e-11)


def test_messages_constant_in_time_make_one_gaussian_of_all_times():
    known = np.array([0.5, 1.0, 2.0] * 20)
    graph = AMPGraph(
        {"a": 60, "b": 40},
        {
            ("a", "b"): separable(lambda t, x, side: side, reads=[("b", "a")]),
            ("b", "a"): separable(lambda t, x: biased(0, x)),
        },
        side={"a": Side(known)},
    )
    x0 = {("a", "b"): np.full(40, 0.2), ("b", "a"): np.zeros(60)}
    kappa = 0.6 * np.mean(known**2)
    square = 0.4 * mean_of_one(lambda x: biased(0, x) ** 2, np.sqrt(kappa))
    for options in ({}, {"method": "monte-carlo", "rng": np.random.default_rng(0)}):
        evolution = state_evolution(graph, x0, 4, **options)
        np.testing.assert_allclose(evolution.covariances["a", "b"], kappa, rtol=1e-12)
        later = evolution.covariances["b", "a"][1:, 1:]
        error = 4.0 * evolution.standard_errors["b", "a"][1:, 1:] + 1e-11
        assert (np.abs(later - square) < error).all()
        assert np.ptp(later) < 1e-12
    draws = evolution.sample("b", rng=np.random.default_rng(1), n_draws=3)["a", "b"]
    np.testing.assert_allclose(draws, np.broadcast_to(draws[:1], draws.shape), rtol=1e-12)


def test_iterates_without_variance_are_nothing_to_integrate():
    graph = loop(lambda t, x: np.tanh(x) if t < 2 else np.tanh(x + 1.0))
    evolution = state_evolution(graph, {LOOP: np.zeros(200)}, 4)
    kappa = evolution.covariances[LOOP]
    assert (kappa[:2] == 0.0).all()
    assert kappa[2, 2] == pytest.approx(np.tanh(1.0) ** 2, abs=1e-14)
    sd = np.tanh(1.0)
    expected = np.tanh(1.0) * mean_of_one(lambda x: np.tanh(x + 1.0), sd)
    assert kappa[2, 3] == pytest.approx(expected, abs=1e-12)


# Drawings: quadrature, simulation and runs agree.


@pytest.mark.parametrize("name", DRAWINGS)
def test_quadrature_and_simulation_agree_within_errors(name):
    graph = drawn(name, 30)
    rng = np.random.default_rng(5)
    x0 = start_of(graph, rng)
    exact = state_evolution(graph, x0, 3, nodes=48)
    drawn_ = state_evolution(graph, x0, 3, method="monte-carlo", rng=rng, samples=100_000)
    for e in graph.edges:
        error = drawn_.standard_errors[e]
        assert (error < 0.02 * exact.covariances[e].max()).all()
        difference = np.abs(drawn_.covariances[e] - exact.covariances[e])
        # The most of some dozen numbers, errors being known from 20 repetitions.
        assert (difference <= 4.0 * error + 1e-9).all()


@pytest.mark.parametrize("name", DRAWINGS)
def test_runs_tend_to_state_evolution(name):
    graph = drawn(name, 100)
    rng = np.random.default_rng(7)
    x0 = start_of(graph, rng)
    evolution = state_evolution(graph, x0, 4, nodes=48)
    runs = [run_amp(graph, x0, 4, rng=rng).covariances for _ in range(20)]
    without = run_amp(graph, x0, 4, rng=rng, onsager=0.0).covariances
    worst = 0.0
    for e in graph.edges:
        kappa, empirical = evolution.covariances[e], np.array([run[e] for run in runs])
        scale = np.sqrt(np.outer(np.diag(kappa), np.diag(kappa)))
        error = empirical.std(axis=0, ddof=1) / np.sqrt(20)
        # Four standard errors, and a bias of order 1/N.
        bias = 10.0 / graph.size * scale
        assert (np.abs(empirical.mean(axis=0) - kappa) < 4.0 * error + bias).all()
        worst = max(worst, (np.abs(without[e] - kappa) / scale).max())
    assert worst > 0.5


def test_glued_drawings_whose_functions_ignore_one_another_evolve_as_before():
    one, other = drawn("chain", 20), loop(biased, n=60)
    x0 = start_of(one, np.random.default_rng(0))
    x0[LOOP] = np.full(60, 0.2)
    parts = glue(one, other, at={"a": "v"})
    assert parts.size == one.size
    both = state_evolution(
        parts, {**{k: v for k, v in x0.items() if k != LOOP}, ("a", "a"): x0[LOOP]}, 3, nodes=48
    )
    del x0[LOOP]
    alone = state_evolution(one, x0, 3, nodes=48)
    looped = state_evolution(other, {LOOP: np.full(60, 0.2)}, 3, nodes=48)
    for e in one.edges:
        np.testing.assert_allclose(both.covariances[e], alone.covariances[e], atol=1e-12)
    np.testing.assert_allclose(both.covariances["a", "a"], looped.covariances[LOOP], atol=1e-12)


def test_a_variance_profile_scales_the_iterates():
    def graph(J, c):
        f = separable(lambda t, x: c * biased(t, x))
        return AMPGraph(
            {"a": 60, "b": 40}, {("a", "b"): f, ("b", "a"): f}, variances={("b", "a"): J}
        )

    x0 = {("a", "b"): np.full(40, 0.2), ("b", "a"): np.linspace(0, 1, 60)}
    by_variance = state_evolution(graph(2.25, 1.0), x0, 4)
    by_function = state_evolution(graph(1.0, 1.5), x0, 4)
    for e in (("a", "b"), ("b", "a")):
        np.testing.assert_allclose(
            by_variance.covariances[e], by_function.covariances[e], rtol=1e-12
        )


# Columns.


def columns_graph(turn, n=200):
    """A loop with three columns that mix, turned: x ↦ f(x Q) Qᵀ."""

    def f(t, x):
        y = x @ turn
        weights = np.exp(np.tanh(y + np.array([0.2, -0.1, 0.4]) * (1 + t)))
        weights /= weights.sum(axis=1, keepdims=True)
        return (1.5 * weights + 0.3 * np.tanh(y) * y[:, ::-1]) @ turn.T

    return AMPGraph({"v": n}, {LOOP: separable(f)}, columns={LOOP: 3})


def test_turning_the_columns_turns_every_block_of_the_covariance():
    rng = np.random.default_rng(0)
    x0 = 0.5 + rng.standard_normal((200, 3)) * np.array([0.2, 0.4, 0.6])
    Q = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    plain = state_evolution(columns_graph(np.eye(3)), {LOOP: x0}, 3, nodes=48)
    turned = state_evolution(columns_graph(Q), {LOOP: x0 @ Q.T}, 3, nodes=48)
    kappa = plain.covariances[LOOP]
    assert kappa.shape == (3, 3, 3, 3)
    # Blocks at two times are not symmetric: transposing them would be seen.
    assert np.abs(kappa[1, 2] - kappa[1, 2].T).max() > 1e-3
    np.testing.assert_allclose(kappa[2, 1], kappa[1, 2].T, atol=1e-13)
    np.testing.assert_allclose(turned.covariances[LOOP], Q @ kappa @ Q.T, atol=2e-6)


def test_columns_agree_with_simulation_and_with_a_run():
    x0 = 0.5 + np.random.default_rng(0).standard_normal((2000, 3)) * np.array([0.2, 0.4, 0.6])
    graph = columns_graph(np.eye(3), n=2000)
    exact = state_evolution(graph, {LOOP: x0}, 3, nodes=48)
    rng = np.random.default_rng(1)
    drawn_ = state_evolution(graph, {LOOP: x0}, 3, method="monte-carlo", rng=rng)
    difference = np.abs(drawn_.covariances[LOOP] - exact.covariances[LOOP])
    assert (difference <= 4.0 * drawn_.standard_errors[LOOP] + 1e-9).all()
    empirical = run_amp(graph, {LOOP: x0}, 3, rng=rng).covariances[LOOP]
    assert np.abs(empirical - exact.covariances[LOOP]).max() < 5.0 / np.sqrt(2000)


# Side information, spikes, hidden columns.


def test_a_law_and_its_own_values_evolve_alike():
    values = np.repeat([-1.0, 0.0, 2.0], [50, 100, 50])

    def f(t, x, side):
        return np.tanh(x + side + 0.2 * t) + 0.3 * side

    def evolve(known):
        return state_evolution(loop(f, side={"v": known}), {LOOP: np.full(200, 0.4)}, 4)

    empirical = evolve(Side(values))
    shuffled = evolve(Side(np.random.default_rng(0).permutation(values)))
    law = evolve(Side(np.zeros(200), law=([-1.0, 0.0, 2.0], [0.25, 0.5, 0.25])))
    for other in (shuffled, law):
        np.testing.assert_allclose(other.covariances[LOOP], empirical.covariances[LOOP], atol=1e-12)


def test_the_start_may_depend_on_the_side_information():
    # x0 is the side information times its sign pattern: f^0 and later messages are correlated.
    rng = np.random.default_rng(2)
    values = rng.choice([-1.0, 2.0], 200)
    x0 = values * rng.uniform(0.0, 1.0, 200)

    def f(t, x, side):
        return np.tanh(x + side)

    evolution = state_evolution(loop(f, side={"v": Side(values)}), {LOOP: x0}, 2)
    sd = np.sqrt(np.mean(np.tanh(x0 + values) ** 2))
    later = {s: mean_of_one(lambda x, s=s: np.tanh(x + s), sd) for s in (-1.0, 2.0)}
    expected = np.mean(np.tanh(x0 + values) * np.array([later[s] for s in values]))
    assert evolution.covariances[LOOP][0, 1] == pytest.approx(expected, abs=1e-12)
    share = np.array([np.mean(values == -1.0), np.mean(values == 2.0)])
    # A value that never occurs changes nothing.
    law = Side(values, law=([-1.0, 5.0, 2.0], np.insert(share, 1, 0.0)))
    by_law = state_evolution(loop(f, side={"v": law}), {LOOP: x0}, 2)
    np.testing.assert_allclose(by_law.covariances[LOOP], evolution.covariances[LOOP], atol=1e-12)


def test_simulation_draws_side_information_by_its_law():
    law = Side(np.zeros(200), law=([-1.0, 0.0, 2.0], [0.1, 0.7, 0.2]))
    graph = loop(lambda t, x, side: np.tanh(x + side) + 0.3 * side, side={"v": law})
    x0 = {LOOP: np.full(200, 0.4)}
    exact = state_evolution(graph, x0, 3)
    rng = np.random.default_rng(0)
    simulated = state_evolution(graph, x0, 3, method="monte-carlo", rng=rng, samples=100_000)
    error = simulated.standard_errors[LOOP]
    assert (error < 0.01).all()
    difference = np.abs(simulated.covariances[LOOP] - exact.covariances[LOOP])
    assert (difference <= 4.0 * error + 1e-12).all()


def test_side_information_of_copies_counts_as_one_law():
    rng = np.random.default_rng(0)
    values = rng.choice([-1.0, 0.0, 2.0], (200, 1, 3))

    def f(t, x, side):
        return np.tanh(x + side[:, 0]) + 0.3 * side[:, 0]

    def evolve(n, known, x0):
        return state_evolution(loop(f, n, side={"v": known}), {LOOP: x0}, 3).covariances[LOOP]

    x0 = np.linspace(0.0, 1.0, 200)
    pooled = Side(np.concatenate([values[:, :, c] for c in range(3)]))
    np.testing.assert_allclose(
        evolve(200, Side(values), x0), evolve(600, pooled, np.tile(x0, 3)), atol=1e-12
    )


def overlaps(strength, q, n_steps):
    """q ↦ E tanh(λ² q + λ √q Z): the overlap of the estimate with the signs of the spike."""
    path = [q]
    for _ in range(n_steps):
        sd = strength * np.sqrt(path[-1])
        path.append(mean_of_one(lambda x, sd=sd: np.tanh(sd * sd + x), sd))
    return np.array(path)


def spiked_wigner(strength, q, n=1000):
    """The start has ⟨v, m⟩/n = ⟨m, m⟩/n = q, as a posterior mean has: so has every later one."""
    signs = np.where(np.arange(n) % 3 == 0, -1.0, 1.0)
    graph = loop(
        lambda t, x: np.tanh(strength * x) if t > 0 else x,
        n=n,
        spikes={LOOP: Spike(strength, signs, signs)},
    )
    return graph, {LOOP: np.where(np.arange(n) < q * n, signs, 0.0)}


def test_the_spiked_matrix_of_the_sheet():
    graph, x0 = spiked_wigner(1.5, 0.01)
    evolution = state_evolution(graph, x0, 12, joint=False)
    q = overlaps(1.5, 0.01, 11)
    np.testing.assert_allclose(evolution.means[LOOP][:, 0], 1.5 * q, atol=1e-9)
    # The signal-to-noise ratio of the Bayes estimate: μ = λ κ.
    np.testing.assert_allclose(evolution.variances(LOOP), q, atol=1e-9)
    # Its numbers are from simulation; an error at the start grows with the overlap, sevenfold.
    sheet = [0.0099, 0.0218, 0.0468, 0.180, 0.613, 0.684]
    np.testing.assert_allclose(q[[0, 1, 2, 4, 8, 11]], sheet, rtol=0.03)


def test_a_spike_is_found_among_the_columns_of_a_law():
    signs = np.where(np.arange(300) % 3 == 0, -1.0, 2.0)
    other = np.arange(300) % 2 + 0.5

    def evolve(law):
        known = Side(np.stack([other, signs], axis=1), law=law)
        graph = loop(
            lambda t, x, side: np.tanh(x) * side[:, 0] + 0.1,
            n=300,
            side={"v": known},
            spikes={LOOP: Spike(1.2, signs, signs)},
        )
        return state_evolution(graph, {LOOP: np.full(300, 0.3)}, 4)

    nodes = np.array([[0.5, -1.0], [1.5, -1.0], [0.5, 2.0], [1.5, 2.0]])
    by_law = evolve((nodes, np.array([1.0, 1.0, 2.0, 2.0]) / 6.0))
    empirical = evolve(None)
    assert empirical.means[LOOP].shape == (4, 1)
    np.testing.assert_allclose(by_law.means[LOOP], empirical.means[LOOP], atol=1e-12)
    np.testing.assert_allclose(by_law.covariances[LOOP], empirical.covariances[LOOP], atol=1e-12)


@pytest.mark.parametrize(("strength", "q"), [(1.1, 0.1917), (1.5, 0.6923), (2.0, 0.9165)])
def test_spiked_fixed_points_are_those_of_the_scalar_equation(strength, q):
    graph, x0 = spiked_wigner(strength, 0.5)
    evolution = state_evolution(graph, x0, 150, joint=False, nodes=128)
    assert evolution.variances(LOOP)[-1] == pytest.approx(q, abs=1e-4)


def test_a_weak_spike_is_forgotten():
    graph, x0 = spiked_wigner(0.9, 0.5)
    evolution = state_evolution(graph, x0, 150, joint=False, nodes=128)
    assert evolution.variances(LOOP)[-1] < 1e-8


def test_a_rectangular_spike_acts_on_both_sides():
    rng = np.random.default_rng(3)
    left, right = rng.choice([-1.0, 1.0], 400), rng.choice([-1.0, 2.0], 600)
    f = separable(lambda t, x: biased(t, x))
    graph = AMPGraph(
        {"v": 600, "w": 400},
        {("v", "w"): f, ("w", "v"): f},
        spikes={("v", "w"): Spike(1.7, left, right)},
    )
    x0 = {("v", "w"): 0.3 * left, ("w", "v"): 0.2 + 0.1 * right}
    evolution = state_evolution(graph, x0, 3)
    forth = 1.7 / 1000 * right @ biased(0, x0["w", "v"])
    back = 1.7 / 1000 * left @ biased(0, x0["v", "w"])
    assert evolution.means["v", "w"][0, 0] == pytest.approx(forth, abs=1e-12)
    assert evolution.means["w", "v"][0, 0] == pytest.approx(back, abs=1e-12)
    sd = np.sqrt(evolution.variances(("v", "w"))[0])
    later = sum(
        s * np.mean(left == s) * mean_of_one(lambda x, s=s: biased(1, x + s * forth), sd)
        for s in (-1.0, 1.0)
    )
    assert evolution.means["w", "v"][1, 0] == pytest.approx(1.7 * 0.4 * later, abs=1e-10)


def lasso_by_hand(n_steps, delta=0.5, sigma=0.2, alpha=1.5):
    """τ² ↦ σ² + δ⁻¹ E (soft(X + τ Z; α τ) − X)², X = ±1 with probability 0.1 in all."""
    tau2 = [sigma**2 + 0.1 / delta]
    for _ in range(n_steps):
        tau = np.sqrt(tau2[-1])
        mse = sum(
            p
            * mean_of_one(
                lambda z, x=x, tau=tau: (soft(x + z, alpha * tau) - x) ** 2,
                tau,
                (alpha * tau - x, -alpha * tau - x),
            )
            for x, p in ((0.0, 0.9), (1.0, 0.05), (-1.0, 0.05))
        )
        tau2.append(sigma**2 + mse / delta)
    return np.array(tau2)


def lasso_graph(n, tau2, rng):
    """m_vu = (x, x̂), iterates (Ax, Ax̂ − …); m_uv = y − Ax̂, iterates x + τ Z, from time 2 on."""
    m = n // 2
    signal, noise = np.zeros(n), 0.2 * rng.standard_normal(m)
    signal[: n // 10] = np.where(np.arange(n // 10) % 2, 1.0, -1.0)
    nodes, weights = np.polynomial.hermite_e.hermegauss(5)

    def estimate(t, x, side):
        k = max(t - 2, 0) // 2
        return np.stack([side, soft(x, 1.5 * np.sqrt(tau2[k])) if t > 1 else 0.0 * x], axis=1)

    def residual(t, zp, noise):
        return zp[:, 0] + noise - zp[:, 1] if t > 0 else np.zeros(len(zp))

    graph = AMPGraph(
        {"v": n, "u": m},
        {("v", "u"): separable(estimate), ("u", "v"): separable(residual)},
        columns={("v", "u"): 2},
        hidden={("v", "u"): [0]},
        side={
            "v": Side(signal, law=([-1.0, 0.0, 1.0], [0.05, 0.9, 0.05])),
            "u": Side(noise, law=(0.2 * nodes, weights / weights.sum())),
        },
        variances={("v", "u"): (n + m) / m},
    )
    return graph, {("v", "u"): np.zeros((m, 2)), ("u", "v"): np.zeros(n)}, signal


def test_the_lasso_of_the_sheet():
    tau2 = lasso_by_hand(40)
    graph, x0, _ = lasso_graph(200, tau2, np.random.default_rng(0))
    evolution = state_evolution(graph, x0, 8)
    # The signal arrives as it is: its coefficient E ∂g/∂z is 1.
    np.testing.assert_allclose(evolution.means["u", "v"][1:, 0], 1.0, atol=1e-12)
    assert evolution.means["u", "v"][0, 0] == 0.0
    np.testing.assert_allclose(evolution.variances(("u", "v"))[1::2], tau2[:4], atol=1e-6)
    np.testing.assert_allclose(tau2[:3], [0.2403, 0.1702, 0.1457], atol=5e-4)
    assert np.sqrt(tau2[-1]) == pytest.approx(0.35233, abs=1e-4)
    mse = evolution.expectation(
        lambda x, side: (soft(x, 1.5 * np.sqrt(tau2[0])) - side) ** 2, ("u", "v"), 2
    )
    assert mse.value == pytest.approx((tau2[1] - 0.04) / 2.0, abs=1e-6)


def test_the_lasso_run_follows_its_state_evolution():
    tau2 = lasso_by_hand(10)
    rng = np.random.default_rng(4)
    graph, x0, signal = lasso_graph(2000, tau2, rng)
    evolution = state_evolution(graph, x0, 8)
    runs = [run_amp(graph, x0, 8, rng=rng).iterates["u", "v"] for _ in range(4)]
    noise = np.array([[np.var(x[t] - signal) for t in (2, 4, 6, 8)] for x in runs])
    # The noise and the matrix are of 1000 rows: relative errors √(2/1000), four of them.
    expected = evolution.variances(("u", "v"))[1::2]
    assert (np.abs(noise.mean(axis=0) / expected - 1.0) < 4.0 * np.sqrt(2.0 / 1000)).all()


def test_the_coefficient_of_a_hidden_column_is_the_mean_derivative():
    def observed(t, zp):
        return np.tanh(2.0 * zp[:, 0] + 0.5) * zp[:, 1] + zp[:, 0] ** 2 - zp[:, 1]

    def estimate(t, x, side):
        return np.stack([side, np.tanh(x) + 0.6 * side], axis=1)

    graph = AMPGraph(
        {"v": 60, "u": 40},
        {("v", "u"): separable(estimate), ("u", "v"): separable(observed)},
        columns={("v", "u"): 2},
        hidden={("v", "u"): [0]},
        side={"v": Side(np.repeat([1.0, -2.0], [40, 20]))},
    )
    x0 = {("v", "u"): np.ones((40, 2)), ("u", "v"): np.linspace(0.1, 0.5, 60)}
    evolution = state_evolution(graph, x0, 4)
    for t in (1, 2, 3):
        slope = evolution_slope(evolution, t)
        assert evolution.means["u", "v"][t, 0] == pytest.approx(0.4 * slope, abs=1e-9)


def evolution_slope(evolution, t):
    """E ∂g/∂z of `observed`, differentiated by hand."""

    def slope(zp):
        return 2.0 * zp[:, 1] / np.cosh(2.0 * zp[:, 0] + 0.5) ** 2 + 2.0 * zp[:, 0]

    return evolution.expectation(slope, ("v", "u"), t).value


def layers(scale, rng):
    """Two layers: the hidden message of the second is a function of the hidden iterate of one."""
    n0, n1, n2 = 2 * scale, 3 * scale, 2 * scale
    signal, noise = rng.choice([-1.0, 1.5], n0), rng.choice([-0.3, 0.5], n2)

    def f01(t, r, s):
        return np.stack([s, np.tanh(r + 0.2) * (t >= 4)], axis=1)

    def f10(t, zp, r):
        return (np.tanh(0.5 * zp[:, 0] - zp[:, 1]) + 0.4 * r) * (t >= 4)

    def f12(t, zp, r):
        later = np.tanh(r + 0.3 * zp[:, 1]) * (t >= 4)
        return np.stack([np.tanh(zp[:, 0]) + 0.3, later], axis=1)

    def f21(t, up, s):
        return (up[:, 0] + s - 0.7 * np.tanh(up[:, 1])) * (t >= 3)

    N = n0 + n1 + n2
    graph = AMPGraph(
        {0: n0, 1: n1, 2: n2},
        {
            (0, 1): separable(f01),
            (1, 0): separable(f10, reads=[(0, 1), (2, 1)]),
            (1, 2): separable(f12, reads=[(0, 1), (2, 1)]),
            (2, 1): separable(f21),
        },
        columns={(0, 1): 2, (1, 2): 2},
        hidden={(0, 1): [0], (1, 2): [0]},
        side={
            0: Side(signal, law=([-1.0, 1.5], [0.5, 0.5])),
            2: Side(noise, law=([-0.3, 0.5], [0.5, 0.5])),
        },
        variances={(0, 1): N / n0, (1, 2): N / n1},
    )
    x0 = {e: np.zeros((graph.dimensions[e.end], *[2] * (q > 1))) for e, q in graph.columns.items()}
    return graph, x0, signal


def test_layers_pass_their_hidden_signal_on():
    rng = np.random.default_rng(8)
    graph, x0, _ = layers(200, rng)
    evolution = state_evolution(graph, x0, 7, nodes=48)
    simulated = state_evolution(graph, x0, 7, method="monte-carlo", rng=rng, samples=100_000)
    for e in graph.edges:
        for one, other, error in (
            (simulated.covariances, evolution.covariances, simulated.standard_errors),
            (simulated.means, evolution.means, simulated.mean_errors),
        ):
            assert (np.abs(one[e] - other[e]) <= 4.0 * error[e] + 1e-6).all()
    found = []
    for _ in range(16):
        graph, x0, signal = layers(200, rng)
        run = run_amp(graph, x0, 7, rng=rng)
        hidden = run.messages[1, 2][-1][:, 0]
        found.append(
            [
                signal @ run.iterates[1, 0][7] / (signal @ signal),
                hidden @ run.iterates[2, 1][7] / (hidden @ hidden),
            ]
        )
    error = np.std(found, axis=0, ddof=1) / 4.0
    expected = [evolution.means[1, 0][6, 0], evolution.means[2, 1][6, 0]]
    # Four errors, of 16 runs, and a bias of order 1/N.
    assert (np.abs(np.mean(found, axis=0) - expected) < 4.0 * error + 10.0 / graph.size).all()
    assert min(expected) > 0.3


def test_a_hidden_column_that_changes_is_an_error():
    def estimate(t, x, side):
        return np.stack([side + 0.1 * t, np.tanh(x)], axis=1)

    graph = AMPGraph(
        {"v": 60, "u": 40},
        {("v", "u"): separable(estimate), ("u", "v"): separable(lambda t, x: x[:, 0] + 0.5)},
        columns={("v", "u"): 2},
        hidden={("v", "u"): [0]},
        side={"v": Side(np.ones(60))},
    )
    x0 = {("v", "u"): np.ones((40, 2)), ("u", "v"): np.ones(60)}
    with pytest.raises(
        ValueError, match=r"hidden column 0 of edge v→u must be the same at steps 0"
    ):
        state_evolution(graph, x0, 4)


def test_a_hidden_column_that_feels_its_own_mean_is_an_error():
    def estimate(t, x, side):
        return np.stack([side + 0.1 * np.tanh(x), np.tanh(x)], axis=1)

    graph = AMPGraph(
        {"v": 60, "u": 40},
        {("v", "u"): separable(estimate), ("u", "v"): separable(lambda t, x: x[:, 0] + 0.5)},
        columns={("v", "u"): 2},
        hidden={("v", "u"): [0]},
        side={"v": Side(np.ones(60))},
    )
    x0 = {("v", "u"): np.ones((40, 2)), ("u", "v"): np.ones(60)}
    with pytest.raises(ValueError, match=r"hidden columns of edge v→u must not depend on iterates"):
        state_evolution(graph, x0, 4)


# Functions that mix rows.


def test_a_function_turned_in_its_rows_evolves_as_if_it_were_not():
    n = 300
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((n, n)))[0]
    x0 = np.linspace(-0.2, 1.0, n)
    turned = AMPGraph({"v": n}, {LOOP: nonseparable(lambda t, x: Q @ biased(t, Q.T @ x))})
    rng = np.random.default_rng(1)
    simulated = state_evolution(turned, {LOOP: Q @ x0}, 4, rng=rng, samples=120_000)
    exact = state_evolution(loop(biased, n), {LOOP: x0}, 4)
    error = simulated.standard_errors[LOOP]
    assert (error < 0.03).all()
    difference = np.abs(simulated.covariances[LOOP] - exact.covariances[LOOP])
    assert (difference <= 4.0 * error + 1e-10).all()


def test_only_functions_that_mix_rows_are_simulated():
    n, m = 200, 100
    known = np.linspace(0.0, 1.0, n)

    def centred(t, x, side):
        return np.tanh(x + side) - np.tanh(x + side).mean(axis=0)

    graph = AMPGraph(
        {"a": n, "b": m},
        {("a", "b"): nonseparable(centred), ("b", "a"): separable(lambda t, x: biased(t, x))},
        side={"a": Side(known)},
    )
    x0 = {("a", "b"): np.full(m, 0.4), ("b", "a"): np.linspace(0, 1, n)}
    rng = np.random.default_rng(2)
    evolution = state_evolution(graph, x0, 3, rng=rng, samples=100_000)
    # b reads x^0, known: its first message is exact; the second reads what is known exactly.
    assert evolution.standard_errors["b", "a"][0, 0] < 1e-12
    assert evolution.standard_errors["b", "a"][1, 1] < 1e-12
    assert evolution.standard_errors["a", "b"][1, 1] > 0.0
    runs = [run_amp(graph, x0, 3, rng=rng).covariances for _ in range(20)]
    for e in graph.edges:
        empirical = np.array([run[e] for run in runs])
        error = empirical.std(axis=0, ddof=1) / np.sqrt(20) + evolution.standard_errors[e]
        bias = 10.0 / graph.size * evolution.covariances[e].max()
        gap = np.abs(empirical.mean(axis=0) - evolution.covariances[e])
        assert (gap < 4.0 * error + bias).all()


# Questions to the result.


def test_samples_have_the_covariances_in_time():
    graph = drawn("triangle and loop", 100)
    x0 = start_of(graph, np.random.default_rng(0))
    evolution = state_evolution(graph, x0, 3, nodes=48)
    draws = evolution.sample("b", rng=np.random.default_rng(1), n_draws=100)
    assert set(draws) == set(graph.incoming("b"))
    for e, x in draws.items():
        assert x.shape == (3, 200, 100)
        rows = x.reshape(3, -1)
        kappa = evolution.covariances[e]
        products = rows @ rows.T / rows.shape[1]
        error = np.sqrt((np.outer(np.diag(kappa), np.diag(kappa)) + kappa**2) / rows.shape[1])
        assert (np.abs(products - kappa) < 4.0 * error).all()
    one, other = (draws[e].reshape(3, -1) for e in list(draws)[:2])
    scale = np.outer(one.std(axis=1), other.std(axis=1)) / np.sqrt(20_000)
    assert (np.abs(one @ other.T / 20_000) < 4.0 * scale).all()


def test_expectations_are_of_the_whole_iterate_by_both_ways():
    graph = drawn("chain", 30)
    x0 = start_of(graph, np.random.default_rng(0))
    evolution = state_evolution(graph, x0, 3, nodes=64)
    reads = [("a", "b"), ("c", "b")]

    def observable(x, y):
        return np.stack([x * x, np.cos(x + 0.5 * y)], axis=1)

    exact = evolution.expectation(observable, reads, 3)
    a, c = (evolution.variances(e)[2] for e in reads)
    assert exact.value == pytest.approx([a, np.exp(-0.5 * (a + 0.25 * c))], abs=1e-9)
    assert (exact.standard_error < 1e-6).all()
    simulated = evolution.expectation(
        observable, reads, 3, rng=np.random.default_rng(1), samples=50_000
    )
    assert (np.abs(simulated.value - exact.value) < 4.0 * simulated.standard_error).all()
    single = evolution.expectation(lambda x: x * x, ("a", "b"), 3)
    assert single.value == pytest.approx(a, abs=1e-9)
    assert np.ndim(single.value) == 0


def test_expectations_see_spikes_and_side_information():
    graph, x0 = spiked_wigner(1.5, 0.3)
    evolution = state_evolution(graph, x0, 3, joint=False)
    q = overlaps(1.5, 0.3, 3)
    found = evolution.expectation(lambda x: np.tanh(1.5 * x) ** 2, LOOP, 3)
    assert found.value == pytest.approx(q[3], abs=1e-9)


# Bad input.


def three_arms():
    return drawn("star", 10), start_of(drawn("star", 10), np.random.default_rng(0))


def four_columns():
    f = separable(lambda t, x: np.tanh(x) + 0.1)
    graph = AMPGraph({"v": 20}, {LOOP: f}, columns={LOOP: 4})
    return graph, {LOOP: np.random.default_rng(0).standard_normal((20, 4))}


def test_too_many_gaussians_are_named_with_the_way_out():
    graph, x0 = four_columns()
    with pytest.raises(ValueError, match=r"'monte-carlo', as the function of v→v reads 4 scalar"):
        state_evolution(graph, x0, 3)
    alone = state_evolution(graph, x0, 2, joint=False, nodes=24)
    assert alone.covariances[LOOP].shape == (2, 4, 4)


def test_too_many_points_are_named_with_the_way_out():
    graph, x0 = four_columns()
    with pytest.raises(ValueError, match=r"grid of edge v→v must have at most 8388608 points"):
        state_evolution(graph, x0, 2, joint=False, nodes=100)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_steps": 0}, r"n_steps must be ≥ 1, got 0"),
        ({"method": "series"}, r"method must be one of 'quadrature', 'monte-carlo', got 'series'"),
        ({"method": "monte-carlo"}, r"rng must be a numpy.random.Generator, as this method is sim"),
        ({"method": "monte-carlo", "rng": 3}, r"rng must be a numpy.random.Generator, got 3"),
        ({"nodes": 10}, r"nodes must be ≥ 24, got 10"),
        ({"samples": 5}, r"samples must be ≥ 20, got 5"),
        ({"x0": {}}, r"x0 must have the iterate of v→v, which a function reads"),
        ({"x0": {LOOP: np.ones(3)}}, r"x0\[v→v\] must have shape \(200,\), got \(3,\)"),
        ({"x0": {LOOP: np.full(200, np.nan)}}, r"x0\[v→v\] must be finite, got nan"),
        ({"x0": {("v", "w"): np.ones(200)}}, r"keys of x0 must be an edge of the graph"),
    ],
)
def test_bad_arguments_are_named(options, message):
    arguments = {"x0": {LOOP: np.ones(200)}, "n_steps": 2, **options}
    with pytest.raises(ValueError, match=message):
        state_evolution(loop(biased), **arguments)


def test_functions_that_mix_rows_need_a_generator():
    graph = AMPGraph({"v": 20}, {LOOP: nonseparable(lambda t, x: x - x.mean(axis=0))})
    with pytest.raises(ValueError, match=r"rng must .* as functions that mix rows are simulated"):
        state_evolution(graph, {LOOP: np.ones(20)}, 2)


def test_a_function_that_returns_nan_is_named_with_its_step():
    graph = loop(lambda t, x: np.sqrt(x - 20.0 * t) if t == 0 else np.where(x > 1.0, np.nan, x))
    with pytest.raises(ValueError, match=r"the function of edge v→v at step 1 must return finite"):
        state_evolution(graph, {LOOP: np.ones(200)}, 2)


def test_covariances_that_overflow_are_named_with_their_time():
    graph = loop(lambda t, x: 1e100 * x)
    with pytest.raises(ConvergenceError, match=r"covariances of edge v→v overflow at time 2"):
        state_evolution(graph, {LOOP: np.ones(200)}, 3)


def test_laws_whose_joint_law_is_not_known_are_refused():
    law = ([-1.0, 1.0], [0.5, 0.5])
    varying = {LOOP: np.linspace(0, 1, 200)}
    graph = loop(lambda t, x, side: x + side, side={"v": Side(np.linspace(0, 1, 200), law=law)})
    with pytest.raises(ValueError, match=r"side\['v'\].law must have the distinct rows"):
        state_evolution(graph, varying, 2)
    spike = Spike(1.0, np.ones(200), np.ones(200))
    graph = loop(
        lambda t, x, side: x + side,
        side={"v": Side(np.linspace(0, 1, 200), law=law)},
        spikes={LOOP: spike},
    )
    with pytest.raises(ValueError, match=r"must have the spike vector of v→v as a column"):
        state_evolution(graph, {LOOP: np.ones(200)}, 2)


def test_questions_out_of_range_are_refused():
    evolution = state_evolution(loop(biased), {LOOP: np.ones(200)}, 2, joint=False)
    with pytest.raises(ValueError, match="sample needs covariances between times"):
        evolution.sample("v", rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="time must be ≤ 2, got 3"):
        evolution.expectation(lambda x: x, LOOP, 3)
    with pytest.raises(ValueError, match=r"function must return shape \(\d+,\) or"):
        evolution.expectation(lambda x: x.mean(), LOOP, 2)
    chain = drawn("chain", 10)
    evolution = state_evolution(chain, start_of(chain, np.random.default_rng(0)), 1)
    with pytest.raises(ValueError, match="edges must end at one vertex, got a→b, b→a"):
        evolution.expectation(lambda x, y: x, [("a", "b"), ("b", "a")], 1)
