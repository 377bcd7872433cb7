"""Divergences: each way to find them against the others, and what it says of its error."""

import numpy as np
import pytest

from amp_graphs import generic, norm_gap, start
from inthelimit.amp import AMPGraph, Spike, draw_matrices, nonseparable, run_amp, separable


def sign_loop(n, divergence):
    return AMPGraph(
        {"v": n}, {("v", "v"): separable(lambda t, x: np.sign(x), divergence=divergence)}
    )


def test_a_sign_needs_steins_lemma():
    n = 3000
    x0, rng = {("v", "v"): np.ones(n)}, np.random.default_rng(14)
    A = draw_matrices(sign_loop(n, "stein"), rng=rng)
    run = run_amp(sign_loop(n, "stein"), x0, 6, matrices=A)
    # κ = E sign² = 1; the variance of n numbers with √2/√n, and 1/√n for what b adds.
    variances = np.diag(run.covariances["v", "v"])
    np.testing.assert_allclose(variances, 1.0, atol=4 * np.sqrt(3 / n))
    np.testing.assert_allclose(run.onsager["v", "v"][1:], np.sqrt(2 / np.pi), atol=4 / np.sqrt(n))
    # The derivative is 0 wherever a difference looks, and a run with b = 0 is wrong.
    wrong = run_amp(sign_loop(n, "difference"), x0, 6, matrices=A)
    np.testing.assert_array_equal(wrong.onsager["v", "v"], 0.0)
    np.testing.assert_allclose(
        np.diag(wrong.covariances["v", "v"]), [0.99, 1.60, 1.84, 1.99, 2.08, 2.16], atol=0.15
    )


def test_stein_tells_correlated_inputs_apart():
    def onward(t, x, y):
        return np.tanh(x[:, 0] + 0.5 * x[:, 1] + y + 0.3)

    def back(t, x):
        return np.stack([x + 0.9, x + 0.2 * np.tanh(x)], axis=1)

    def graph(divergence):
        functions = {
            ("v", "w"): separable(onward, reads=[("w", "v"), ("v", "v")], divergence=divergence),
            ("w", "v"): separable(back),
            ("v", "v"): separable(lambda t, x: np.cos(x)),
        }
        return AMPGraph({"v": 4000, "w": 2000}, functions, columns={("w", "v"): 2})

    rng = np.random.default_rng(15)
    x0, A = start(graph("stein"), rng), draw_matrices(graph("stein"), rng=rng)
    run, exact = (run_amp(graph(way), x0, 2, matrices=A) for way in ("stein", "difference"))
    x, m = run.iterates["w", "v"][1], run.messages["v", "w"][1]
    # Errors of 4000/6000 · sd(f) sd(x⊥)⁻¹/√4000 each, with sd(x⊥) about 0.5.
    np.testing.assert_allclose(run.onsager["v", "w"][1], exact.onsager["v", "w"][1], atol=4 * 0.015)
    alone = (x.T @ m) / np.sum(x * x, axis=0) * 4000 / 6000
    assert np.abs(alone - exact.onsager["v", "w"][1]).max() > 0.1


def test_stein_is_exact_for_linear_functions_of_all_that_is_read():
    def onward(t, y, x):
        return 0.7 * y[:, 0] - 0.4 * y[:, 1] + 1.5 * x[:, 0] + 0.25 * x[:, 1] + 0.8

    functions = {
        ("v", "w"): separable(onward, reads=[("v", "v"), ("w", "v")], divergence="stein"),
        ("w", "v"): separable(lambda t, x: np.stack([np.cos(x), x], axis=1)),
        ("v", "v"): separable(lambda t, x: np.sin(x)),
    }
    columns = {("w", "v"): 2, ("v", "v"): 2}
    graph = AMPGraph({"v": 60, "w": 40}, functions, columns=columns)
    rng = np.random.default_rng(34)
    run = run_amp(graph, start(graph, rng), 4, rng=rng)
    expected = np.broadcast_to(60 / 100 * np.array([[1.5, 0.25]]), (3, 1, 2))
    np.testing.assert_allclose(run.onsager["v", "w"][1:], expected, rtol=1e-10)


def known_spike(divergence):
    v = np.where(np.arange(4000) % 2, 1.0, -1.0)
    f = separable(lambda t, x: np.tanh(2 * x), divergence=divergence)
    return AMPGraph({"v": 4000}, {("v", "v"): f}, spikes={("v", "v"): Spike(1.5, v, v)}), v


def known_signal(divergence):
    """A signal of signs behind the linear labels y = z0, which the algorithm gets as they are."""
    v = np.where(np.arange(2000) % 2, 1.0, -1.0)
    functions = {
        ("v", "u"): separable(
            lambda t, x: np.stack([v, np.tanh(3 * x)], axis=1), divergence=divergence
        ),
        ("u", "v"): separable(lambda t, x: x[:, 0] - x[:, 1] if t > 0 else np.zeros(len(x))),
    }
    hidden = {("v", "u"): [0]}
    sizes = {"v": 2000, "u": 4000}
    return AMPGraph(sizes, functions, columns={("v", "u"): 2}, hidden=hidden), v


@pytest.mark.parametrize(
    ("build", "into", "onward", "t"),
    [
        (known_spike, ("v", "v"), ("v", "v"), 3),
        (known_signal, ("u", "v"), ("v", "u"), 2),
    ],
)
def test_stein_knows_the_means_of_what_it_reads(build, into, onward, t):
    (graph, v), (reference, _) = build("stein"), build("difference")
    rng = np.random.default_rng(16)
    x0 = {e: x if x.shape != v.shape else 0.5 * v for e, x in start(graph, rng).items()}
    A = draw_matrices(graph, rng=rng)
    run = run_amp(graph, x0, t + 1, matrices=A)
    exact = run_amp(reference, x0, t + 1, matrices=A)
    x, m = run.iterates[into][t], run.messages[onward][t].reshape(v.size, -1)[:, -1]
    assert abs(x @ v) > 0.3 * v.size
    b, b_exact = (np.ravel(r.onsager[onward][t])[-1] for r in (run, exact))
    weight = v.size / graph.size
    assert abs(b - b_exact) < 4 * weight / np.sqrt(v.size)
    # Without the mean in the regression it is several times too large.
    assert weight * (x @ m) / (x @ x) - b_exact > 0.1


def smoothing(divergence, **options):
    """A filter along the rows: the derivative of row i with respect to itself is tanh'/2."""

    def function(t, x):
        u = np.tanh(x + 0.2)
        return 2 * u + np.roll(u, 1, axis=0) + np.roll(u, -1, axis=0)

    return nonseparable(function, divergence=divergence, **options)


def smoothing_divergence(t, x):
    return 2 * np.sum(1 / np.cosh(x + 0.2) ** 2, axis=0)


def test_probes_are_as_wrong_as_they_say():
    n = 300
    exact = AMPGraph({"v": n}, {("v", "v"): smoothing(smoothing_divergence)})
    probed = AMPGraph({"v": n}, {("v", "v"): smoothing("hutchinson", probes=10)})
    rng, z = np.random.default_rng(16), []
    A, x0 = draw_matrices(exact, rng=rng), {("v", "v"): rng.normal(size=n)}
    reference = run_amp(exact, x0, 2, matrices=A).onsager["v", "v"][1]
    assert not run_amp(exact, x0, 2, matrices=A).divergence_errors
    for _ in range(200):
        run = run_amp(probed, x0, 2, matrices=A, rng=rng)
        assert run.divergence_errors["v", "v"][0] == 0.0
        z.append((run.onsager["v", "v"][1] - reference) / run.divergence_errors["v", "v"][1])
    # Student's law with 9 degrees of freedom: variance 9/7, that of 200 squares about ± 15 %.
    assert abs(np.mean(z)) < 4 * np.sqrt(9 / 7 / 200)
    assert np.mean(np.square(z)) == pytest.approx(9 / 7, rel=0.6)


def test_filters_keep_the_norms():
    graph = AMPGraph({"v": 2000}, {("v", "v"): smoothing("hutchinson")})
    rng = np.random.default_rng(17)
    x0, A = {("v", "v"): rng.normal(size=2000)}, draw_matrices(graph, rng=rng)
    assert norm_gap(graph, run_amp(graph, x0, 5, matrices=A, rng=rng)) < 7 / np.sqrt(2000)
    assert norm_gap(graph, run_amp(graph, x0, 5, matrices=A, onsager=0.0, rng=rng)) > 0.5


def mixing_columns(divergence):
    def function(t, x):
        u = np.tanh(x[:, 0] + 0.3 * x[:, 1] + 0.2)
        return np.stack([u - u.mean(axis=0), np.cumsum(x[:, 1], axis=0) / len(x) + x[:, 0]], axis=1)

    def formula(t, x):
        n = len(x)
        slope = np.sum(1 / np.cosh(x[:, 0] + 0.3 * x[:, 1] + 0.2) ** 2, axis=0) * (1 - 1 / n)
        one = np.ones_like(slope)
        return np.stack([np.stack([slope, 0.3 * slope]), np.stack([n * one, one])])

    made = nonseparable(function, divergence=formula if divergence == "formula" else divergence)
    return AMPGraph({"v": 60}, {("v", "v"): made}, columns={("v", "v"): 2})


@pytest.mark.parametrize("copies", [1, 3])
def test_probes_and_formulas_agree_on_columns_and_copies(copies):
    rng = np.random.default_rng(18)
    x0 = {("v", "v"): rng.normal(size=(60, 2, copies) if copies > 1 else (60, 2))}
    A = draw_matrices(mixing_columns("formula"), rng=rng)
    exact, probed = (
        run_amp(mixing_columns(way), x0, 2, matrices=A, n_copies=copies, rng=rng)
        for way in ("formula", "hutchinson")
    )
    error = probed.divergence_errors["v", "v"][1]
    assert error.shape == exact.onsager["v", "v"][1].shape == (2, 2) + (copies,) * (copies > 1)
    # Student's law with 19 degrees of freedom, 12 numbers.
    gap = np.abs(probed.onsager["v", "v"][1] - exact.onsager["v", "v"][1])
    assert (gap <= 4.5 * error + 1e-8).all()
    assert error.max() > 1e-3


def test_derivatives_given_and_found_agree():
    def f(t, x):
        return np.stack([np.tanh(x[:, 0] * x[:, 1]), np.sin(x[:, 1])], axis=1)

    def jacobian(t, x):
        s = 1 / np.cosh(x[:, 0] * x[:, 1]) ** 2
        zero = np.zeros_like(s)
        rows = [[s * x[:, 1], s * x[:, 0]], [zero, np.cos(x[:, 1])]]
        return np.stack([np.stack(row, axis=1) for row in rows], axis=1)

    given, found = (
        AMPGraph({"v": 50}, {("v", "v"): separable(f, derivative=d)}, columns={("v", "v"): 2})
        for d in (jacobian, None)
    )
    rng = np.random.default_rng(19)
    x0, A = {("v", "v"): rng.normal(size=(50, 2, 3))}, draw_matrices(given, rng=rng)
    runs = [run_amp(graph, x0, 4, matrices=A, n_copies=3) for graph in (given, found)]
    assert runs[0].onsager["v", "v"].shape == (4, 2, 2, 3)
    np.testing.assert_allclose(
        runs[0].onsager["v", "v"], runs[1].onsager["v", "v"], rtol=1e-7, atol=1e-9
    )


def test_differences_are_in_units_of_the_iterates():
    """The same run in other units, 1e-12 and 1e12 times as large, has the same coefficients."""
    rng = np.random.default_rng(20)
    start_, b = rng.normal(size=50), []
    for unit in (1.0, 1e-12, 1e12):
        f = separable(lambda t, x, unit=unit: unit * np.tanh(x / unit + 0.3))
        graph = AMPGraph({"v": 50}, {("v", "v"): f})
        A = draw_matrices(graph, rng=np.random.default_rng(21))
        b.append(run_amp(graph, {("v", "v"): unit * start_}, 4, matrices=A).onsager["v", "v"])
    np.testing.assert_allclose(b[1], b[0], rtol=1e-8)
    np.testing.assert_allclose(b[2], b[0], rtol=1e-8)


def test_no_onsager_term_where_the_reverse_edge_is_not_read():
    blind = separable(lambda t, y: np.tanh(y), reads=[("w", "v", 1)])
    functions = {("v", "w"): blind, ("w", "v"): separable(generic(1))}
    functions |= {("v", "w", 1): separable(generic(1)), ("w", "v", 1): separable(generic(1))}
    graph = AMPGraph({"v": 8, "w": 9}, functions)
    rng = np.random.default_rng(22)
    x0 = start(graph, rng)
    # Nothing reads it, so nothing need be said of it.
    del x0["w", "v", 0]
    run = run_amp(graph, x0, 3, rng=rng)
    np.testing.assert_array_equal(run.onsager["v", "w"], 0.0)
    np.testing.assert_array_equal(run.iterates["w", "v"][0], 0.0)
    assert run.onsager["w", "v"][1] != 0.0


def test_probes_need_a_generator():
    graph = AMPGraph({"v": 5}, {("v", "v"): smoothing("hutchinson")})
    with pytest.raises(ValueError, match="as the divergence of v→v draws probes"):
        run_amp(graph, {("v", "v"): np.ones(5)}, 2, matrices={("v", "v"): np.eye(5)})
