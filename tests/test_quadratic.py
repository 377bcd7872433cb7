"""The quadratic is the least-squares loss, and its door lets in all of these and nothing else."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inthelimit import quadratic
from inthelimit.quadratic import Quadratic

small_matrices = arrays(
    np.float64,
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    elements=st.integers(-3, 3).map(float),
)


def test_value_is_half_the_squared_residual():
    rng = np.random.default_rng(0)
    X, y, x = rng.normal(size=(7, 4)), rng.normal(size=7), rng.normal(size=(3, 2, 4))
    problem = Quadratic.from_data(X, y)
    expected = 0.5 * ((x @ X.T - y) ** 2).sum(axis=-1)
    assert problem.value(x).shape == (3, 2)
    np.testing.assert_allclose(problem.value(x), expected, rtol=1e-13)
    np.testing.assert_allclose(problem.value(x[0, 0]), expected[0, 0], rtol=1e-13)
    assert problem.value(np.zeros(4)) == problem.constant == pytest.approx(0.5 * y @ y)


def test_gradient_is_that_of_the_residual():
    rng = np.random.default_rng(1)
    X, y, x = rng.normal(size=(5, 4)), rng.normal(size=5), rng.normal(size=(6, 4))
    gradient = Quadratic.from_data(X, y).gradient(x)
    np.testing.assert_allclose(gradient, (x @ X.T - y) @ X, rtol=1e-12, atol=1e-12)


def test_a_quadratic_is_exactly_its_second_order_expansion():
    problem = Quadratic([[2.0, -1.0], [-1.0, 2.0]], [1.0, 0.5], constant=3.0)
    x, h = np.array([0.3, -2.0]), np.array([1.5, 0.25])
    expected = problem.value(x) + problem.gradient(x) @ h + 0.5 * h @ problem.M @ h
    assert problem.value(x + h) == pytest.approx(expected, rel=1e-14)


def test_data_are_private_read_only_copies():
    M, r = np.eye(2), np.ones(2)
    problem = Quadratic(M, r)
    M[0, 0] = r[0] = 5.0
    assert problem.M[0, 0] == problem.r[0] == 1.0
    for array in (problem.M, problem.r, Quadratic.from_data(np.eye(2), r).M):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        problem.constant = 1.0
    assert problem.dimension == 2


def test_rounding_of_the_products_is_symmetrised():
    M = np.array([[1.0, 0.5], [0.5 + 1e-15, 1.0]])
    problem = Quadratic(M, [0.0, 0.0])
    assert (problem.M == problem.M.T).all()


@given(small_matrices, st.integers(0, 2**32 - 1), st.integers(-120, 120))
def test_every_least_squares_problem_is_let_in_at_any_scale(X, seed, exponent):
    rng = np.random.default_rng(seed)
    X = X * 10.0**exponent * 10.0 ** rng.integers(-6, 7, size=X.shape[1])
    y = rng.integers(-3, 4, size=X.shape[0]).astype(float)
    problem = Quadratic.from_data(X, y)
    again = Quadratic(X.T @ X, X.T @ y, 0.5 * y @ y)
    np.testing.assert_array_equal(problem.M, again.M)
    np.testing.assert_allclose(problem.r, again.r, rtol=1e-13, atol=1e-13 * np.abs(X).max())


@given(st.integers(1, 30), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_singular_products_are_let_in_at_the_front_door_too(n, d, seed):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(n, d)) * 10.0 ** rng.integers(-8, 9, size=d), rng.normal(size=n)
    assert Quadratic(X.T @ X, X.T @ y).dimension == d


@given(small_matrices, st.data())
def test_a_target_outside_the_range_is_refused(X, data):
    _, s, Vt = np.linalg.svd(X)
    null = Vt[(s > 1e-9).sum() :]
    if len(null):
        v = null[data.draw(st.integers(0, len(null) - 1))]
        with pytest.raises(ValueError, match="r must be in the range of M"):
            Quadratic(X.T @ X, X.sum(axis=0) + v)


@given(small_matrices, st.floats(1e-6, 10.0), st.integers(0, 2**32 - 1))
def test_a_direction_of_negative_curvature_is_refused(X, size, seed):
    M = X.T @ X
    v = np.random.default_rng(seed).normal(size=len(M))
    v /= np.linalg.norm(v)
    M -= (v @ M @ v + size) * np.outer(v, v)
    with pytest.raises(ValueError, match="M must be positive semidefinite, got smallest eigen"):
        Quadratic(M, np.zeros(len(M)))


def test_data_are_not_factorised(monkeypatch):
    monkeypatch.setattr(quadratic, "_check_bounded_below", None)
    assert Quadratic.from_data(np.ones((1, 3)), [1.0]).M.sum() == 9.0


@pytest.mark.parametrize(
    ("M", "r", "constant", "message"),
    [
        ([[1.0, 0.5], [0.4, 1.0]], [0, 0], 0, r"M must be symmetric, got M\[0, 1\] = 0.5"),
        ([[1e-9, 5e-10], [4e-10, 1e-9]], [0, 0], 0, "M must be symmetric"),
        ([[1.0, 2.0], [2.0, 1.0]], [0, 0], 0, "M must be positive semidefinite, got .* -1"),
        ([[0.0, 1.0], [1.0, 0.0]], [0, 0], 0, "M must be positive semidefinite, got .* -1"),
        ([[-1.0]], [0], 0, "M must be positive semidefinite, got .* -1"),
        ([[1.0, 1.0], [1.0, 1.0]], [1, 0], 0, "r must be in the range of M"),
        ([[1.0, 0.0], [0.0, 0.0]], [1, 2], 0, r"r\[1\] = 2.0 and M\[1\] = 0"),
        ([[1.0, np.nan], [np.nan, 1.0]], [0, 0], 0, r"M must be finite, got nan at index \(0, 1\)"),
        ([[1.0]], [np.inf], 0, "r must be finite, got inf"),
        ([[1.0]], [0], np.nan, "constant must be finite, got nan"),
        ([[1.0]], [0], "a", "constant must be a real number, got 'a'"),
        (np.zeros((0, 0)), [], 0, r"M must have at least one row .*got \(0, 0\)"),
        ([1.0, 2.0], [1, 2], 0, r"M must have 2 dimension\(s\), got shape \(2,\)"),
        ([[1.0, 2.0]], [1, 2], 0, r"M must be square, got shape \(1, 2\)"),
        ([[1.0]], [1, 2], 0, r"r must have shape \(1,\), got \(2,\)"),
        ([[1.0], [1.0, 2.0]], [1, 2], 0, "M must be a rectangular array"),
        ([[1j]], [0], 0, "M must be an array of real numbers, got dtype complex128"),
    ],
)
def test_bad_quadratics_are_refused_by_name(M, r, constant, message):
    with pytest.raises(ValueError, match=message):
        Quadratic(M, r, constant)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        ([[1.0, 2.0]], [1.0, 2.0], r"y must have shape \(1,\), got \(2,\)"),
        (np.zeros((3, 0)), [1, 2, 3], "X must have at least one row and one column"),
        (np.zeros((0, 3)), [], "X must have at least one row and one column"),
        ([[np.inf]], [1.0], "X must be finite"),
        ([[1e200]], [1.0], "X and y must have squares below 1e308"),
        ([[1.0, 1e-200]], [1.0], r"column 1 has largest entry 1e-200"),
    ],
)
def test_bad_data_are_refused_by_name(X, y, message):
    with pytest.raises(ValueError, match=message):
        Quadratic.from_data(X, y)


def test_bad_points_are_refused_by_name():
    problem = Quadratic(np.eye(2), np.ones(2))
    with pytest.raises(ValueError, match=r"x must have shape \(\.\.\., 2\), got \(3,\)"):
        problem.value([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="x must be finite, got nan"):
        problem.gradient([np.nan, 0.0])
