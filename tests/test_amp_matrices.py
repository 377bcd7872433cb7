"""Matrices: their law, every form they come in, and their products."""

import numpy as np
import pytest
from scipy import sparse
from scipy.fft import dct
from scipy.sparse.linalg import LinearOperator

from amp_graphs import drawn, start
from inthelimit import _compiled
from inthelimit.amp import AMPGraph, _matrices, _products, draw_matrices, run_amp, separable


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_matrices_have_the_law_of_the_theorem(dtype, monkeypatch):
    monkeypatch.setattr(_matrices, "BLOCK_ENTRIES", 40_000)
    f = separable(lambda t, x: x)
    graph = AMPGraph(
        {"v": 700, "w": 300},
        {("v", "w"): f, ("w", "v"): f, ("v", "v"): f},
        variances={("v", "w"): 2.0, ("v", "v"): 0.5},
    )
    A = draw_matrices(graph, rng=np.random.default_rng(30), dtype=dtype)
    B, W = A["v", "w"], A["v", "v"]
    assert B.dtype == W.dtype == dtype
    assert B.shape == (300, 700)
    np.testing.assert_array_equal(W, W.T)
    off = W[np.triu_indices(700, 1)]
    for entries, variance in ((B.ravel(), 2.0), (off, 0.5), (np.diag(W), 1.0)):
        z = entries.astype(float) * np.sqrt(1000 / variance)
        assert abs(z.mean()) < 4 / np.sqrt(z.size)
        assert np.mean(z**2) == pytest.approx(1.0, abs=4 * np.sqrt(2 / z.size))
        assert np.mean(z**4) == pytest.approx(3.0, abs=4 * np.sqrt(96 / z.size))
    # Rows from different blocks, and the mirrored part, are independent.
    assert abs(np.corrcoef(B[:150].ravel(), B[150:].ravel())[0, 1]) < 4 / np.sqrt(B.size / 2)
    # The edge of the semicircle.
    assert np.linalg.norm(W, 2) == pytest.approx(2 * np.sqrt(0.5 * 0.7), rel=0.05)


def test_the_same_seed_gives_the_same_matrices_and_another_others():
    graph = drawn({"v": 50, "w": 40}, [("v", "w"), ("v", "v")])
    first, again, other = (draw_matrices(graph, rng=np.random.default_rng(s)) for s in (1, 1, 2))
    for e in graph.undirected:
        np.testing.assert_array_equal(first[e], again[e])
        assert (first[e] != other[e]).any()
    rng = np.random.default_rng(1)
    draw_matrices(graph, rng=rng)
    x0 = start(graph, np.random.default_rng(3))
    run = run_amp(graph, x0, 3, rng=np.random.default_rng(1))
    same = run_amp(graph, x0, 3, matrices=first)
    np.testing.assert_array_equal(run.iterates["v", "w"], same.iterates["v", "w"])


def test_single_precision_is_that_of_the_matrices_alone():
    graph = drawn({"v": 700, "w": 500}, [("v", "w"), ("v", "v")])
    rng = np.random.default_rng(25)
    x0, A = start(graph, rng), draw_matrices(graph, rng=rng)
    double = run_amp(graph, x0, 5, matrices=A)
    single = run_amp(graph, x0, 5, matrices=A, dtype=np.float32)
    for e in graph.edges:
        assert single.iterates[e].dtype == np.float64
        size = np.abs(double.iterates[e]).max()
        gap = np.abs(single.iterates[e] - double.iterates[e]).max()
        assert 0.0 < gap < 1e-4 * size


@pytest.mark.parametrize("rows", [60, 90])
def test_every_form_of_a_matrix_gives_the_same_run(rows):
    graph = drawn({"v": 90, "w": rows}, [("v", "w"), ("v", "v")])
    rng = np.random.default_rng(26)
    x0, A = start(graph, rng), draw_matrices(graph, rng=rng)
    expected = run_amp(graph, x0, 4, matrices=A)

    def operator(M):
        return LinearOperator(
            M.shape, matvec=lambda x: M @ x, rmatvec=lambda x: M.T @ x, dtype=float
        )

    def strided(M):
        return np.repeat(np.repeat(M, 2, axis=0), 3, axis=1)[::2, ::3]

    for form in (np.asfortranarray, sparse.csr_array, sparse.coo_matrix, operator, strided):
        run = run_amp(graph, x0, 4, matrices={e: form(M) for e, M in A.items()})
        turned = run_amp(graph, x0, 4, matrices={e.reverse: form(M.T) for e, M in A.items()})
        for e in graph.edges:
            np.testing.assert_allclose(run.iterates[e], expected.iterates[e], rtol=1e-8, atol=1e-8)
            np.testing.assert_allclose(
                turned.iterates[e], expected.iterates[e], rtol=1e-8, atol=1e-8
            )


def test_a_subsampled_cosine_transform_is_a_matrix_like_another():
    n, m = 128, 70
    rng = np.random.default_rng(27)
    kept, scale = rng.permutation(n)[:m], np.sqrt(n / (n + m))

    def there(x):
        return scale * dct(x.ravel(), norm="ortho")[kept]

    def back(y):
        full = np.zeros(n)
        full[kept] = y.ravel()
        return scale * dct(full, type=3, norm="ortho")

    transform = LinearOperator((m, n), matvec=there, rmatvec=back, dtype=float)
    graph = drawn({"v": n, "w": m}, [("v", "w")])
    x0 = start(graph, rng)
    run = run_amp(graph, x0, 5, matrices={("v", "w"): transform})
    dense = run_amp(graph, x0, 5, matrices={("v", "w"): transform @ np.eye(n)})
    for e in graph.edges:
        np.testing.assert_allclose(run.iterates[e], dense.iterates[e], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("columns", [1, 2, 5])
@pytest.mark.parametrize("shape", [(1203, 701), (701, 1203), (6, 5)])
def test_products_are_products(shape, columns, dtype, compiled, monkeypatch):
    if not compiled:
        monkeypatch.setattr(_compiled, "njit", None)
    monkeypatch.setattr(_products, "BLOCK_ROWS", 500)
    monkeypatch.setattr(_products, "SMALL", 1000)
    rng = np.random.default_rng(28)
    f = separable(lambda t, x: x)
    graph = AMPGraph(
        {"v": shape[1], "w": shape[0]},
        {("v", "w"): f, ("w", "v"): f, ("v", "v"): f},
        columns=dict.fromkeys([("v", "w"), ("w", "v"), ("v", "v")], columns),
    )
    A = draw_matrices(graph, rng=rng)
    products = _products.Products(graph, A, np.dtype(dtype))
    messages = {e: rng.normal(size=(graph.dimensions[e.start], columns, 1)) for e in graph.edges}
    vw, wv, vv = graph.edges
    tolerance = 1e-12 if dtype == np.float64 else 1e-4

    def check(images):
        exact = {vw: A[vw], wv: A[vw].T, vv: A[vv]}
        for e in graph.edges:
            assert images[e].dtype == np.float64
            expected = np.tensordot(exact[e], messages[e], axes=1)
            np.testing.assert_allclose(images[e], expected, rtol=0, atol=tolerance * 10)

    check(products.step(messages))
    if columns > 1:
        messages[vw][:, 0] = 0.0
        check(products.step(messages))
    # A message of zeros goes one way only.
    messages[wv] = np.zeros_like(messages[wv])
    check(products.step(messages))
    messages[vw], messages[wv] = np.zeros_like(messages[vw]), messages[wv] + 1.0
    check(products.step(messages))


def test_hidden_columns_are_multiplied_again_only_when_they_change():
    class Counting:
        """A matrix that counts the columns it multiplies."""

        def __init__(self, M, counts):
            self.M, self.shape, self.counts = M, M.shape, counts

        def __matmul__(self, x):
            self.counts.append(1 if x.ndim == 1 else x.shape[1])
            return self.M @ x

        @property
        def T(self):
            return Counting(self.M.T, [])

    def onward(t, x):
        truth = np.arange(30.0) * (t < 3) + 1.0
        return np.stack([truth, np.tanh(x) * (t != 2), truth**2], axis=1)

    functions = {
        ("v", "w"): separable(onward),
        ("w", "v"): separable(lambda t, x: np.tanh(x.sum(axis=1))),
    }
    graph = AMPGraph(
        {"v": 30, "w": 20}, functions, columns={("v", "w"): 3}, hidden={("v", "w"): [0, 2]}
    )
    rng = np.random.default_rng(29)
    x0, A, counts = start(graph, rng), draw_matrices(graph, rng=rng), []
    expected = run_amp(graph, x0, 6, matrices=A)
    run = run_amp(graph, x0, 6, matrices={("v", "w"): Counting(A["v", "w"], counts)})
    # The first is the check at the door; then all, the visible one, nothing to do, all, visible.
    assert counts == [1, 3, 1, 3, 1, 1]
    for e in graph.edges:
        np.testing.assert_allclose(run.iterates[e], expected.iterates[e], rtol=1e-9, atol=1e-9)


def test_matrices_that_are_not_what_they_claim_are_refused():
    f = separable(lambda t, x: x)
    loop = AMPGraph({"v": 30}, {("v", "v"): f})
    pair = AMPGraph({"v": 4, "w": 3}, {("v", "w"): f, ("w", "v"): f})
    x0 = {("v", "w"): np.ones(3), ("w", "v"): np.ones(4)}
    G = np.random.default_rng(33).normal(size=(30, 30))
    with pytest.raises(ValueError, match=r"matrices\[v→v\] must be symmetric"):
        run_amp(loop, {("v", "v"): np.ones(30)}, 2, matrices={("v", "v"): G})
    wrong = LinearOperator(
        (3, 4), matvec=lambda x: x[:3], rmatvec=lambda y: np.ones(4), dtype=float
    )
    with pytest.raises(ValueError, match=r"matrices\[v→w\] must have .T as its transpose"):
        run_amp(pair, x0, 2, matrices={("v", "w"): wrong})
