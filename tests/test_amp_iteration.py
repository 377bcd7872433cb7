"""Runs against closed forms, an independent iteration, and what state evolution says of norms."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import eval_chebyu

from amp_graphs import drawn, generic, norm_gap, start
from inthelimit import ConvergenceError
from inthelimit.amp import AMPGraph, Side, Spike, draw_matrices, nonseparable, run_amp, separable

# ---------------------------------------------------------------- exact statements


@pytest.mark.parametrize("derivative", [None, lambda t, x: np.full_like(x, 0.8)])
def test_linear_loop_is_chebyshev_of_the_second_kind(derivative):
    n, c = 400, 0.8
    graph = AMPGraph({"v": n}, {("v", "v"): separable(lambda t, x: c * x, derivative=derivative)})
    rng = np.random.default_rng(0)
    A = draw_matrices(graph, rng=rng)["v", "v"]
    x0 = rng.normal(size=n)
    run = run_amp(graph, {("v", "v"): x0}, 10, matrices={("v", "v"): A})
    eigenvalues, Q = np.linalg.eigh(A)
    tolerance = 5e-14 if derivative else 1e-10
    for t in range(11):
        exact = Q @ (c**t * eval_chebyu(t, eigenvalues / 2) * (Q.T @ x0))
        x = run.iterates["v", "v"][t]
        assert np.linalg.norm(x - exact) <= tolerance * np.linalg.norm(exact)


def test_amp_for_the_lasso_as_written_in_textbooks():
    m, n, theta = 60, 100, 0.5
    rng = np.random.default_rng(1)
    signal = rng.normal(size=n) * (rng.random(n) < 0.2)
    noise = 0.1 * rng.normal(size=m)
    A = rng.normal(size=(m, n)) / np.sqrt(m)

    def soft(x):
        return np.sign(x) * np.maximum(np.abs(x) - theta, 0.0)

    # x_(v→u) = noise − residual, x_(u→v) = (x + Aᵀz) − signal, in units where A has variance 1/N.
    scale = np.sqrt((m + n) / m)
    error = separable(
        lambda t, x, s: scale * (soft(s + x) - s),
        derivative=lambda t, x, s: scale * (np.abs(s + x) > theta),
    )
    residual = separable(
        lambda t, x, w: scale * (w - x), derivative=lambda t, x, w: np.full_like(x, -scale)
    )
    graph = AMPGraph(
        {"v": n, "u": m},
        {("v", "u"): error, ("u", "v"): residual},
        side={"v": Side(signal), "u": Side(noise)},
    )
    # A start from x = 0, for the half of the run that is the algorithm.
    x0 = {("u", "v"): -signal, ("v", "u"): np.zeros(m)}
    run = run_amp(graph, x0, 21, matrices={("v", "u"): A / scale})

    y, x, z = A @ signal + noise, np.zeros(n), np.zeros(m)
    b = 0.0
    for t in range(10):
        z = y - A @ x + b * z
        np.testing.assert_allclose(noise - run.iterates["v", "u"][2 * t + 1], z, atol=1e-12)
        np.testing.assert_allclose(
            signal + run.iterates["u", "v"][2 * t + 2], x + A.T @ z, atol=1e-12
        )
        x = soft(x + A.T @ z)
        b = np.count_nonzero(x) / m


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_a_graph_is_a_matrix_valued_loop(seed):
    """The reduction of the proof: one column for each oriented edge, one symmetric matrix."""
    rng = np.random.default_rng(seed)
    vertices = range(int(rng.integers(1, 5)))
    pairs = [(v, w) for v in vertices for w in vertices if v <= w]
    edges = [pair for pair in pairs if rng.random() < 0.6] or [(0, 0)]
    graph = drawn({v: int(rng.integers(2, 6)) for v in vertices}, edges)
    x0, A = start(graph, rng), draw_matrices(graph, rng=rng)
    run = run_amp(graph, x0, 5, matrices=A)

    bounds = np.concatenate([[0], np.cumsum(list(graph.dimensions.values()))])
    block = {v: slice(bounds[v], bounds[v + 1]) for v in vertices}
    N = graph.size
    W = np.zeros((N, N))
    for e, matrix in A.items():
        W[block[e.end], block[e.start]] = matrix
        W[block[e.start], block[e.end]] = matrix.T
    position = {e: i for i, e in enumerate(graph.edges)}

    def F(t, X):
        M = np.zeros_like(X)
        for e, i in position.items():
            reads = [X[block[e.start], position[r]] for r in graph.reads(e)]
            M[block[e.start], i] = graph.functions[e].function(t, *reads)
        return M

    X, before = np.zeros((N, len(position))), np.zeros((N, len(position)))
    for e, i in position.items():
        X[block[e.end], i] = x0[e]
    for t in range(5):
        M, h = F(t, X), 1e-6
        B = np.zeros((len(position), len(position)))
        for b in range(len(position) if t > 0 else 0):
            shift = np.zeros_like(X)
            shift[:, b] = h
            # Row i of F reads row i of X: the diagonal of the Jacobian, all rows at once.
            B[:, b] = (F(t, X + shift) - F(t, X - shift)).sum(axis=0) / (2 * h) / N
        X, before = W @ M - before @ B.T, M
        for e, i in position.items():
            np.testing.assert_allclose(
                run.iterates[e][t + 1], X[block[e.end], i], rtol=1e-6, atol=1e-7
            )


def test_two_vertices_run_two_interleaved_iterations():
    graph = drawn({"v": 30, "w": 20}, [("v", "w")])
    rng = np.random.default_rng(2)
    x0, A = start(graph, rng), draw_matrices(graph, rng=rng)
    run = run_amp(graph, x0, 7, matrices=A)
    other = run_amp(graph, x0 | {("v", "w", 0): np.ones(20)}, 7, matrices=A)
    for t in range(8):
        same, moved = [("w", "v"), ("v", "w")][:: 1 if t % 2 == 0 else -1]
        np.testing.assert_array_equal(run.iterates[same][t], other.iterates[same][t])
        assert np.abs(run.iterates[moved][t] - other.iterates[moved][t]).max() > 0.01


def matrix_valued(divergence=None):
    """Three columns one way, two the other; the two have a loop of their own."""

    def onward(t, x, y):
        a, b = x[:, 0] - 0.5 * y[:, 0], x[:, 1] + 0.3 * y[:, 1]
        rows = np.tanh(a + 0.5), np.cos(a + b), b * np.tanh(a) + 0.1 * t
        return np.stack(rows, axis=1)

    def back(t, x):
        return np.stack([np.tanh(x[:, 0] * x[:, 1] + x[:, 2]), np.sin(x[:, 1] + 0.4)], axis=1)

    def around(t, y, x):
        return np.stack([np.tanh(y[:, 0] + x[:, 1] + 0.2), np.cos(y[:, 1] + y[:, 0])], axis=1)

    functions = {
        ("v", "w"): separable(onward, reads=[("w", "v"), ("v", "v")], divergence=divergence),
        ("w", "v"): separable(back, divergence=divergence),
        ("v", "v"): separable(around, reads=[("v", "v"), ("w", "v")], divergence=divergence),
    }
    columns = {("v", "w"): 3, ("w", "v"): 2, ("v", "v"): 2}
    return functions, columns


def test_columns_follow_their_definition_with_rectangular_onsager_matrices():
    functions, columns = matrix_valued()
    graph = AMPGraph({"v": 25, "w": 15}, functions, columns=columns, variances={("v", "w"): 1.7})
    rng = np.random.default_rng(3)
    x0, A = start(graph, rng), draw_matrices(graph, rng=rng)
    run = run_amp(graph, x0, 5, matrices=A)
    vw, wv, vv = graph.edges
    assert run.onsager[vw].shape == (5, 3, 2)
    assert run.onsager[wv].shape == (5, 2, 3)

    def jacobian_trace(f, x, *others):
        h = 1e-6
        parts = []
        for b in range(x.shape[1]):
            shift = np.zeros_like(x)
            shift[:, b] = h
            parts.append((f(x + shift, *others) - f(x - shift, *others)).sum(axis=0) / (2 * h))
        return np.stack(parts, axis=1) / 40

    x, y, z = x0[vw], x0[wv], x0[vv]
    old = None
    for t in range(5):
        m = functions["v", "w"].function(t, y, z)
        k = functions["w", "v"].function(t, x)
        l = functions["v", "v"].function(t, z, y)
        new = A[vw] @ m, A[vw].T @ k, A[vv] @ l
        if t > 0:
            f = {e: partial(function.function, t) for e, function in functions.items()}
            b_vw = 1.7 * jacobian_trace(f["v", "w"], y, z)
            b_wv = 1.7 * jacobian_trace(f["w", "v"], x)
            b_vv = jacobian_trace(f["v", "v"], z, y)
            new = new[0] - old[1] @ b_vw.T, new[1] - old[0] @ b_wv.T, new[2] - old[2] @ b_vv.T
        (x, y, z), old = new, (m, k, l)
        for e, value in ((vw, x), (wv, y), (vv, z)):
            np.testing.assert_allclose(run.iterates[e][t + 1], value, rtol=1e-7, atol=1e-7)


def test_a_spike_is_a_matrix_added_to_the_random_one():
    left, right = np.linspace(-1, 1, 20), np.cos(np.arange(30.0))
    spikes = {("v", "w"): Spike(2.5, left, right), ("v", "v"): Spike(-1.5, right, right)}
    plain = drawn({"v": 30, "w": 20}, [("v", "w"), ("v", "v")])
    spiked = AMPGraph(plain.dimensions, plain.functions, spikes=spikes)
    rng = np.random.default_rng(4)
    x0, A = start(plain, rng), draw_matrices(plain, rng=rng)
    with_spikes = {
        e: matrix + spikes[e[:2]].strength / 50 * np.outer(spikes[e[:2]].left, spikes[e[:2]].right)
        for e, matrix in A.items()
    }
    run, same = run_amp(spiked, x0, 4, matrices=A), run_amp(plain, x0, 4, matrices=with_spikes)
    for e in plain.edges:
        np.testing.assert_allclose(run.iterates[e], same.iterates[e], rtol=1e-9, atol=1e-9)


def test_a_hidden_column_keeps_its_part_of_the_onsager_term():
    dimensions, edges = {"v": 30, "w": 20}, [("v", "w"), ("w", "v")]
    truth = np.linspace(-1.0, 1.0, 30)

    def onward(t, x):
        return np.stack(np.broadcast_arrays(truth, np.tanh(x)), axis=1)

    def back(t, x):
        return np.sin(x[:, 0]) * x[:, 1] + 0.2

    functions = dict(zip(edges, (separable(onward), separable(back)), strict=True))
    options = {"columns": {("v", "w"): 2}}
    seen = AMPGraph(dimensions, functions, **options)
    unseen = AMPGraph(dimensions, functions, hidden={("v", "w"): [0]}, **options)
    rng = np.random.default_rng(5)
    x0, A = start(seen, rng), draw_matrices(seen, rng=rng)
    full, part = (run_amp(graph, x0, 2, matrices=A) for graph in (seen, unseen))
    np.testing.assert_allclose(full.iterates["v", "w"], part.iterates["v", "w"], rtol=1e-12)
    assert part.onsager["w", "v"].shape == (2, 1, 2)
    np.testing.assert_array_equal(part.onsager["w", "v"][:, :, 0], 0.0)
    np.testing.assert_allclose(
        part.onsager["w", "v"][:, :, 1], full.onsager["w", "v"][:, :, 1], rtol=1e-12
    )
    difference = part.iterates["w", "v"][2] - full.iterates["w", "v"][2]
    np.testing.assert_allclose(difference, truth * full.onsager["w", "v"][1, 0, 0], atol=1e-13)


# ---------------------------------------------------------------- what state evolution says

GRAPHS = {
    "loop": ({0: 1500}, [(0, 0)]),
    "edge": ({0: 900, 1: 1400}, [(0, 1)]),
    "chain of three": ({0: 700, 1: 1000, 2: 1300}, [(0, 1), (1, 2)]),
    "chain and loop": ({0: 800, 1: 1000}, [(0, 1), (1, 1)]),
    "triangle and loop": ({0: 700, 1: 800, 2: 900}, [(0, 1), (1, 2), (2, 0), (0, 0)]),
    "star": ({0: 1000, 1: 600, 2: 700, 3: 800}, [(0, 1), (0, 2), (0, 3)]),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_norms_are_those_of_the_messages_only_with_the_onsager_terms(name):
    graph = drawn(*GRAPHS[name])
    rng = np.random.default_rng(6)
    x0, A = start(graph, rng), draw_matrices(graph, rng=rng)
    smallest = min(graph.dimensions.values())
    right = norm_gap(graph, run_amp(graph, x0, 5, matrices=A))
    # The largest of 15 numbers an edge; over 150 seeds 2.8/√n in the median, 5.6/√n at most.
    assert right < 7 / np.sqrt(smallest)
    assert norm_gap(graph, run_amp(graph, x0, 5, matrices=A, onsager=0.0)) > 0.5
    if len(graph.dimensions) > 1:
        wrong = {e: graph.size / graph.dimensions[e.start] for e in graph.edges}
        assert norm_gap(graph, run_amp(graph, x0, 5, matrices=A, onsager=wrong)) > 0.5


def test_parallel_edges_and_variances_keep_the_norms():
    edges = [("v", "w", 0), ("v", "w", 1)]
    both = edges + [(w, v, k) for v, w, k in edges]
    functions = {
        e: separable(generic(2, gain=1.0 + 0.2 * i), reads=[r for r in both if r[1] == e[0]])
        for i, e in enumerate(both)
    }
    graph = AMPGraph({"v": 1000, "w": 1200}, functions, variances={("v", "w", 1): 1.8})
    rng = np.random.default_rng(7)
    x0, A = start(graph, rng), draw_matrices(graph, rng=rng)
    run = run_amp(graph, x0, 5, matrices=A)
    assert norm_gap(graph, run) < 7 / np.sqrt(1000)
    assert norm_gap(graph, run_amp(graph, x0, 5, matrices=A, onsager=False)) > 0.5
    # Independent across edges that end at the same vertex.
    for vertex in "vw":
        ends = [run.iterates[e][-1] for e in graph.incoming(vertex)]
        assert abs(np.corrcoef(ends)[0, 1]) < 4 / np.sqrt(1000)


def test_columns_have_the_covariances_of_the_messages():
    functions, columns = matrix_valued()
    graph = AMPGraph({"v": 1600, "w": 1200}, functions, columns=columns)
    rng = np.random.default_rng(8)
    x0, A = start(graph, rng), draw_matrices(graph, rng=rng)

    def gap(run):
        gaps = []
        for e in graph.edges:
            m = run.messages[e]
            target = np.einsum("sia,tib->stab", m, m) / graph.size
            size = np.sqrt(np.einsum("ttaa->ta", target))
            scale = size[:, None, :, None] * size[None, :, None, :]
            gaps.append((np.abs(run.covariances[e] - target) / scale).max())
        return max(gaps)

    assert gap(run_amp(graph, x0, 5, matrices=A)) < 7 / np.sqrt(1200)
    assert gap(run_amp(graph, x0, 5, matrices=A, onsager=0.0)) > 0.5


def test_loop_has_the_variances_of_the_integrals():
    n, f = 3000, separable(lambda t, x: 2 * np.tanh(1.5 * x + 0.5) + 0.3 * x)
    graph = AMPGraph({"v": n}, {("v", "v"): f})
    rng, runs = np.random.default_rng(9), []
    for _ in range(4):
        runs.append(run_amp(graph, {("v", "v"): np.full(n, 0.5)}, 6, rng=rng))
    variances = np.array([np.diag(run.covariances["v", "v"]) for run in runs])
    # By adaptive quadrature of κ_{t+1} = E f(√κ_t Z)².
    expected = np.array([3.40981, 4.88425, 5.54100, 5.79460, 5.88791, 5.92167])
    # Each fluctuates by about 2/√n relative to its size.
    np.testing.assert_allclose(variances.mean(axis=0), expected, rtol=4 * 2 / np.sqrt(4 * n))
    lags = np.mean([np.diag(run.covariances["v", "v"], 1) for run in runs], axis=0)
    np.testing.assert_allclose(
        lags, [0.504, 0.617, 0.631, 0.609, 0.577], atol=4 * expected[1] / np.sqrt(4 * n)
    )


def test_iterates_are_gaussian():
    graph = drawn(*GRAPHS["triangle and loop"])
    run = run_amp(graph, start(graph, np.random.default_rng(10)), 4, rng=np.random.default_rng(11))
    for e in graph.edges:
        x = run.iterates[e][4]
        z = (x - x.mean()) / x.std()
        # The kurtosis of n Gaussian numbers has standard deviation √(24/n).
        assert abs(np.mean(z**4) - 3) < 4 * np.sqrt(24 / x.size)
        assert abs(x.mean()) < 4 * x.std() / np.sqrt(x.size)


def test_the_mean_behind_a_hidden_column_is_what_steins_lemma_says():
    """One-bit compressed sensing: the labels sign(z) are all that the algorithm knows of z."""
    n, m = 3000, 4000
    rng = np.random.default_rng(12)
    signal = rng.normal(size=n)

    def estimate(t, x, s):
        return np.stack([s, np.tanh(x)], axis=1)

    def labels(t, x):
        return np.sign(x[:, 0]) - 0.5 * x[:, 1] if t > 0 else np.zeros(len(x))

    functions = {
        ("v", "u"): separable(estimate),
        ("u", "v"): separable(labels, derivative=lambda t, x: np.full(len(x), -0.5)),
    }
    graph = AMPGraph(
        {"v": n, "u": m},
        functions,
        columns={("v", "u"): 2},
        side={"v": Side(signal)},
        hidden={("v", "u"): [0]},
    )
    N = n + m
    x0 = {("v", "u"): np.zeros((m, 2)), ("u", "v"): np.full(n, 0.3)}
    run = run_amp(graph, x0, 6, rng=rng)
    for t in (2, 4, 6):
        x = run.iterates["u", "v"][t]
        # Ez² = n/N; E ∂ sign(z) = √(2/π)/σ(z), summed over m rows and divided by N.
        slope = m / N * np.sqrt(2 / np.pi) / np.sqrt(n / N)
        spread = np.sqrt(np.mean(run.messages["u", "v"][t - 1] ** 2) * m / N / n)
        mean = x @ signal / (signal @ signal)
        # The slope of sign(z), m terms, fluctuates as well.
        assert abs(mean - slope) < 4 * (spread + np.sqrt(m) / N)
        rest = x - mean * signal
        assert np.mean(rest**2) == pytest.approx(
            np.sum(run.messages["u", "v"][t - 1] ** 2) / N, rel=4 * np.sqrt(2 / n)
        )
        z, p = run.iterates["v", "u"][t - 1].T
        assert np.var(z) == pytest.approx(n / N, rel=4 * np.sqrt(2 / m))
        if t > 2:
            truth, guess = run.messages["v", "u"][t - 2].T
            assert z @ p / m == pytest.approx(truth @ guess / N, abs=4 / np.sqrt(m))


def test_errors_shrink_like_one_over_the_square_root_of_N():
    sizes, gaps = np.array([250, 1000, 4000]), []
    for n in sizes:
        graph = drawn({0: n // 2, 1: n // 2}, [(0, 1), (0, 0)])
        rng = np.random.default_rng(13)
        repeats = 16 if n < 4000 else 6
        runs = (run_amp(graph, start(graph, rng), 4, rng=rng) for _ in range(repeats))
        gaps.append(np.mean([norm_gap(graph, run) for run in runs]))
    slope = np.polyfit(np.log(sizes), np.log(gaps), 1)[0]
    assert abs(slope + 0.5) < 0.12


# ---------------------------------------------------------------- copies


def test_copies_in_one_batch_run_as_one_at_a_time():
    known = separable(lambda t, x, s: np.tanh(x + s[:, 1]) + 0.1 * s[:, 0])
    mixed = separable(
        lambda t, x, s: np.stack([np.tanh(x + s), x * np.cos(x)], axis=1), divergence="stein"
    )
    onward = separable(lambda t, x: np.tanh(x[:, 0] + x[:, 1]))
    rng, copies = np.random.default_rng(23), 5
    own, shared = rng.normal(size=(60, 2, copies)), rng.normal(size=40)

    def graph(values):
        return AMPGraph(
            {"v": 60, "w": 40, "z": 50},
            {
                ("v", "z"): known,
                ("z", "v"): separable(generic(1)),
                ("w", "z"): mixed,
                ("z", "w"): onward,
            },
            columns={("w", "z"): 2},
            side={"v": Side(values), "w": Side(shared)},
        )

    batch = graph(own)
    A = draw_matrices(batch, rng=rng)
    x0 = {
        ("v", "z"): rng.normal(size=(50, copies)),
        ("z", "v"): rng.normal(size=60),
        ("w", "z"): rng.normal(size=(50, 2, copies)),
        ("z", "w"): rng.normal(size=(40, copies)),
    }
    run = run_amp(batch, x0, 5, matrices=A, n_copies=copies)
    assert run.covariances["w", "z"].shape == (5, 5, 2, 2, copies)
    for c in range(copies):
        one = {e: x if x.shape == (60,) else x[..., c] for e, x in x0.items()}
        single = run_amp(graph(own[..., c]), one, 5, matrices=A)
        for e in batch.edges:
            for many, few in (
                (run.iterates, single.iterates),
                (run.messages, single.messages),
                (run.onsager, single.onsager),
                (run.covariances, single.covariances),
            ):
                np.testing.assert_allclose(many[e][..., c], few[e], rtol=1e-8, atol=1e-8)


def test_covariances_are_products_of_iterates():
    functions, columns = matrix_valued()
    graph = AMPGraph({"v": 9, "w": 7}, functions, columns=columns)
    rng = np.random.default_rng(24)
    run = run_amp(graph, start(graph, rng), 4, rng=rng)
    x = run.iterates["v", "w"][1:]
    np.testing.assert_allclose(
        run.covariances["v", "w"], np.einsum("sia,tib->stab", x, x) / 7, rtol=1e-12
    )


# ---------------------------------------------------------------- status and refusals


def test_a_run_that_can_not_leave_zero_is_stuck():
    f = separable(lambda t, x: np.tanh(x))
    graph = AMPGraph({"v": 9, "w": 8}, {("v", "w"): f, ("w", "v"): f})
    zero = {("v", "w"): np.zeros(8), ("w", "v"): np.zeros(9)}
    rng = np.random.default_rng(31)
    assert run_amp(graph, zero, 3, rng=rng).status.startswith("stuck: all iterates are 0")
    assert run_amp(graph, zero | {("v", "w"): np.ones(8)}, 3, rng=rng).status == "ok"
    late = separable(lambda t, x: np.tanh(x) + (t == 2))
    graph = AMPGraph({"v": 9, "w": 8}, {("v", "w"): late, ("w", "v"): f})
    assert run_amp(graph, zero, 3, rng=rng).status == "ok"


def test_a_known_signal_does_not_count_as_a_move():
    """Phase retrieval from an estimate of 0: the labels are even, and nothing ever moves."""
    signal = np.linspace(-1.0, 1.0, 30)
    functions = {
        ("v", "u"): separable(
            lambda t, x: np.stack([signal, np.tanh(x)], axis=1),
        ),
        ("u", "v"): separable(lambda t, x: np.abs(x[:, 0]) * x[:, 1]),
    }
    graph = AMPGraph(
        {"v": 30, "u": 20}, functions, columns={("v", "u"): 2}, hidden={("v", "u"): [0]}
    )
    x0 = {("v", "u"): np.zeros((20, 2)), ("u", "v"): np.zeros(30)}
    assert run_amp(graph, x0, 4, rng=np.random.default_rng(32)).status.startswith("stuck")


def failing(function, **options):
    ok = separable(lambda t, x: np.tanh(x))
    return AMPGraph({"v": 4, "w": 3}, {("v", "w"): function, ("w", "v"): ok}, **options)


STARTS = {("v", "w"): np.ones(3), ("w", "v"): np.ones(4)}


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            separable(lambda t, x: np.full(4, np.nan) if t == 2 else x),
            r"the function of edge v→w at step 2 must return finite numbers, got nan",
        ),
        (
            separable(lambda t, x: x[:2]),
            r"the function of edge v→w at step 0 must return shape \(4,\), got \(2,\)",
        ),
        (separable(lambda t, x: 1.0), r"edge v→w at step 0 must return shape \(4,\), got \(\)"),
        (separable(lambda t, x: x + 1j), "edge v→w at step 0 must return real numbers"),
        (
            separable(lambda t, x: x, derivative=lambda t, x: 1.0),
            r"the derivative of edge v→w at step 1 must return shape \(4,\), got \(\)",
        ),
        (
            separable(lambda t, x: x, derivative=lambda t, x: x / 0.0 if t == 3 else x),
            "the derivative of edge v→w at step 3 must return finite numbers",
        ),
        (
            nonseparable(lambda t, x: x, divergence=lambda t, x: x),
            r"the divergence of edge v→w at step 1 must return shape \(\), got \(4,\)",
        ),
    ],
)
def test_what_functions_return_is_checked(function, message):
    with pytest.raises(ValueError, match=message):
        run_amp(failing(function), STARTS, 5, rng=np.random.default_rng(0))


@pytest.mark.parametrize("copies", [1, 2])
def test_functions_can_not_change_the_run_in_place(copies):
    def hasty(t, x):
        x *= 2.0
        return x

    with pytest.raises(ValueError, match="read-only"):
        run_amp(failing(separable(hasty)), STARTS, 2, rng=np.random.default_rng(0), n_copies=copies)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_steps": 0}, "n_steps must be ≥ 1, got 0"),
        ({"n_steps": 2.0}, "n_steps must be an integer, got 2.0"),
        ({"n_copies": 0}, "n_copies must be ≥ 1, got 0"),
        ({"dtype": np.int64}, "dtype must be float64 or float32, got int64"),
        ({"rng": None}, "rng must be a numpy.random.Generator unless matrices are given"),
        ({"rng": 3}, "rng must be a numpy.random.Generator, got 3"),
        ({"onsager": np.nan}, "onsager must be finite"),
        ({"onsager": {("v", "x"): 1.0}}, "keys of onsager must be an edge of the graph"),
        ({"x0": {("v", "w"): np.ones(3)}}, "x0 must have the iterate of w→v"),
        ({"x0": STARTS | {("v", "v"): np.ones(4)}}, r"keys of x0 must be an edge .* got v→v"),
        (
            {"x0": STARTS | {("v", "w"): np.ones(4)}},
            r"x0\[v→w\] must have shape \(3,\), got \(4,\)",
        ),
        (
            {"x0": STARTS | {("v", "w"): np.ones((3, 3))}, "n_copies": 2},
            r"x0\[v→w\] must have shape \(3,\) or \(3, 2\), got \(3, 3\)",
        ),
        ({"x0": STARTS | {("v", "w"): [1.0, np.inf, 0.0]}}, r"x0\[v→w\] must be finite, got inf"),
        ({"matrices": {}}, "matrices must have one for every edge, got none for v→w"),
        (
            {"matrices": {("v", "w"): np.ones((4, 3))}},
            r"matrices\[v→w\] must have shape \(3, 4\), got \(4, 3\)",
        ),
        ({"matrices": {("v", "w"): 1.0}}, r"matrices\[v→w\] must have shape \(3, 4\), got None"),
        (
            {"matrices": {("v", "w"): np.ones((3, 4)), ("w", "v"): np.ones((4, 3))}},
            "matrices must have one matrix for both directions of w→v, got two",
        ),
        ({"matrices": {("v", "w"): np.full((3, 4), np.nan)}}, r"matrices\[v→w\] must be real and"),
        ({"matrices": {("v", "w"): np.ones((3, 4)) * 1j}}, r"matrices\[v→w\] must be real and"),
    ],
)
def test_arguments_of_a_run_are_checked(change, message):
    arguments = {"x0": STARTS, "n_steps": 3, "rng": np.random.default_rng(0)} | change
    x0, n_steps = arguments.pop("x0"), arguments.pop("n_steps")
    with pytest.raises(ValueError, match=message):
        run_amp(failing(separable(lambda t, x: x)), x0, n_steps, **arguments)


def test_side_information_of_copies_fixes_their_number():
    graph = failing(separable(lambda t, x, s: x + s[:, 0]), side={"v": Side(np.ones((4, 1, 3)))})
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"n_copies must be 3, as side\['v'\] .* got 1"):
        run_amp(graph, STARTS, 2, rng=rng)
    assert run_amp(graph, STARTS, 2, rng=rng, n_copies=3).iterates["v", "w"].shape == (3, 3, 3)


@pytest.mark.parametrize(("dtype", "size"), [(np.float64, 1e308), (np.float32, 1e38)])
def test_a_run_that_overflows_says_where(dtype, size):
    graph = failing(separable(lambda t, x: np.full_like(x, size if t == 2 else 1.0)))
    with pytest.raises(ConvergenceError, match="the iterates of edge v→w overflow at step 3"):
        run_amp(graph, STARTS, 5, matrices={("v", "w"): np.ones((3, 4))}, dtype=dtype)
    graph = failing(separable(lambda t, x: x * 1e200 * 1e200))
    with pytest.raises(ValueError, match=r"function of edge v→w at step 0 must .* finite"):
        run_amp(graph, STARTS, 5, rng=np.random.default_rng(0))
