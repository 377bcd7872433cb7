"""Hermite expansions: orthonormality, closed forms against quadrature, kinks, what is refused."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import erf, eval_hermitenorm, factorial
from scipy.stats import norm

from inthelimit import ConvergenceError
from inthelimit.single_index import (
    erf_coefficients,
    hermite_coefficients,
    hermite_polynomials,
    hermite_series,
    polynomial_coefficients,
    relu_coefficients,
)


def relu(x):
    return np.maximum(x, 0.0)


def by_adaptive_quadrature(function, k, points=()):
    """E f(X) he_k(X), by a rule and by polynomials that the package does not use."""

    def integrand(x):
        return function(x) * eval_hermitenorm(k, x) / np.sqrt(factorial(k)) * norm.pdf(x)

    edges = [-12.0, *points, 12.0]
    return sum(
        quad(integrand, left, right, epsabs=1e-13, epsrel=1e-13, limit=200)[0]
        for left, right in pairwise(edges)
    )


# --- the polynomials -----------------------------------------------------------------------------


def test_polynomials_are_orthonormal_under_the_gaussian():
    x, weights = np.polynomial.hermite_e.hermegauss(40)
    values = hermite_polynomials(x, 30)
    gram = (values * weights / np.sqrt(2 * np.pi)) @ values.T
    np.testing.assert_allclose(gram, np.eye(31), atol=1e-11)


def test_polynomials_agree_with_scipys():
    x = np.linspace(-6, 6, 41).reshape(1, 41)
    values = hermite_polynomials(x, 12)
    assert values.shape == (13, 1, 41)
    for k in range(13):
        expected = eval_hermitenorm(k, x) / np.sqrt(factorial(k))
        np.testing.assert_allclose(values[k], expected, rtol=1e-10, atol=1e-10)


@given(
    st.lists(st.floats(-3, 3), min_size=1, max_size=25),
    st.lists(st.floats(-8, 8), min_size=1, max_size=5),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_series_is_the_sum_of_its_terms(coefficients, x):
    terms = np.array(coefficients)[:, None] * hermite_polynomials(x, len(coefficients) - 1)
    np.testing.assert_allclose(
        hermite_series(coefficients, x), terms.sum(axis=0), atol=1e-12 * (1 + np.abs(terms).max())
    )


@pytest.mark.parametrize("x", [1.5, [[1.0, 2.0], [0.0, -1.0]], []])
def test_results_have_the_shape_of_the_points(x):
    shape = np.shape(x)
    assert hermite_series([1.0, 2.0, 3.0], x).shape == shape
    assert hermite_polynomials(x, 3).shape == (4, *shape)


# --- closed forms --------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [0, 1, 2, 3, 4, 6, 11])
def test_relu_coefficients_are_integrals(k):
    assert relu_coefficients(k)[k] == pytest.approx(
        by_adaptive_quadrature(relu, k, [0.0]), abs=1e-12
    )


@pytest.mark.parametrize("scale", [0.3, 2**-0.5, -1.7])
@pytest.mark.parametrize("k", [0, 1, 3, 4, 9])
def test_erf_coefficients_are_integrals(k, scale):
    expected = by_adaptive_quadrature(lambda x: erf(scale * x), k)
    assert erf_coefficients(k, scale)[k] == pytest.approx(expected, abs=1e-12)


def test_squares_of_relu_sum_to_one_half_at_the_rate_three_halves():
    degrees = np.array([50, 200, 800])
    missing = [0.5 - np.sum(relu_coefficients(K) ** 2) for K in degrees]
    slope = np.polyfit(np.log(degrees), np.log(missing), 1)[0]
    assert slope == pytest.approx(-1.5, abs=0.02)


def test_squares_of_erf_sum_to_its_norm():
    # E (2Φ(X) − 1)² = 1/3, Φ(X) being uniform.
    assert np.sum(erf_coefficients(400, 2**-0.5) ** 2) == pytest.approx(1 / 3, abs=1e-12)


def test_a_steep_erf_is_nearly_a_sign():
    sign = [0 if k % 2 == 0 else 2 * relu_coefficients(k + 1)[k + 1] for k in range(1, 8)]
    # sign′ = 2 relu″, so E sign he_k = 2 √(k + 1) E relu he_{k+1}.
    expected = np.sqrt(np.arange(2, 9)) * sign
    np.testing.assert_allclose(erf_coefficients(7, 1e9)[1:], expected, atol=1e-12)


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=12), st.floats(-4, 4))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_polynomial_coefficients_keep_the_polynomial(monomials, x):
    value = hermite_series(polynomial_coefficients(monomials), x)
    size = np.polyval(np.abs(monomials[::-1]), max(abs(x), 4.0))
    assert value == pytest.approx(np.polyval(monomials[::-1], x), abs=1e-12 * (1 + size))


# --- quadrature ----------------------------------------------------------------------------------


def test_quadrature_is_exact_for_polynomials():
    monomials = np.random.default_rng(0).standard_normal(10)
    computed = hermite_coefficients(lambda x: np.polyval(monomials[::-1], x), 14)
    expected = np.append(polynomial_coefficients(monomials), np.zeros(5))
    np.testing.assert_allclose(computed, expected, atol=1e-13 * np.linalg.norm(expected) * 100)


def test_quadrature_meets_the_cosine():
    k = np.arange(0, 30, 2)
    expected = np.zeros(30)
    expected[::2] = (-1.0) ** (k // 2) * np.exp(-0.5) / np.sqrt(factorial(k))
    np.testing.assert_allclose(hermite_coefficients(np.cos, 29), expected, atol=1e-14)


@pytest.mark.parametrize("degree", [0, 1, 7, 40, 200])
def test_quadrature_meets_relu_at_every_degree(degree):
    computed = hermite_coefficients(relu, degree, kinks=[0.0])
    np.testing.assert_allclose(computed, relu_coefficients(degree), atol=1e-14)


@pytest.mark.parametrize("where", [0.3, -2.25, 40.0])
def test_quadrature_meets_an_absolute_value(where):
    k = np.arange(2, 25)
    tail = 2 * norm.pdf(where) * hermite_polynomials(where, 22) / np.sqrt(k * (k - 1))
    mean = 2 * norm.pdf(where) + where * (2 * norm.cdf(where) - 1)
    expected = np.concatenate([[mean, 1 - 2 * norm.cdf(where)], tail])
    computed = hermite_coefficients(lambda x: np.abs(x - where), 24, kinks=[where])
    np.testing.assert_allclose(computed, expected, atol=1e-13 * (1 + abs(where)))


def test_quadrature_meets_several_jumps():
    def steps(x):
        return np.where(x > 0.1, 1.0, 0.0) + np.where(x > -1.3, 2.0, 0.0)

    computed = hermite_coefficients(steps, 9, kinks=[0.1, -1.3])
    k = np.arange(1, 10)
    jumps = sum(
        height * norm.pdf(at) * hermite_polynomials(at, 8) / np.sqrt(k)
        for at, height in ((0.1, 1.0), (-1.3, 2.0))
    )
    np.testing.assert_allclose(computed[1:], jumps, atol=1e-14)
    assert computed[0] == pytest.approx(norm.sf(0.1) + 2 * norm.sf(-1.3), abs=1e-14)


def test_quadrature_stands_fast_growth():
    # E e^(x²/5) = (1 − 2/5)^(−1/2): of finite norm, but barely.
    computed = hermite_coefficients(lambda x: np.exp(x * x / 5), 2, kinks=[0.0])
    assert computed[0] == pytest.approx(0.6**-0.5, rel=1e-12)


@pytest.mark.parametrize(
    ("function", "kinks"),
    [(relu, ()), (lambda x: np.abs(x - 0.3), (0.7,)), (lambda x: erf(40 * x), ())],
)
def test_what_is_not_resolved_is_not_returned(function, kinks):
    with pytest.raises(ConvergenceError, match="List in kinks every point"):
        hermite_coefficients(function, 5, kinks=kinks)


# --- wrong arguments -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hermite_polynomials([np.nan], 2), r"x must be finite, got nan at index \(0,\)"),
        (lambda: hermite_polynomials([1.0], -1), r"degree must be ≥ 0, got -1"),
        (lambda: hermite_polynomials([1.0], 2.0), r"degree must be an integer, got 2.0"),
        (lambda: hermite_polynomials([1e200], 2), r"keep he_2\(x\) below 1e308, got x of size 1e"),
        (lambda: hermite_series([], [1.0]), r"coefficients must have at least one entry"),
        (lambda: hermite_series([0, 0, 1.0], [1e200]), r"keep the series below 1e308"),
        (lambda: relu_coefficients(-1), r"degree must be ≥ 0"),
        (lambda: erf_coefficients(3, 0.0), r"scale must be nonzero"),
        (lambda: erf_coefficients(3, np.inf), r"scale must be finite"),
        (lambda: polynomial_coefficients([]), r"monomials must have at least one entry"),
        (lambda: hermite_coefficients(np.cos, 3, nodes=1), r"nodes must be ≥ 2, got 1"),
        (lambda: hermite_coefficients(np.cos, 3, kinks=[np.nan]), r"kinks must be finite"),
        (lambda: hermite_coefficients(lambda x: 1.0, 3), r"function must return shape \(131,\)"),
        (lambda: hermite_coefficients(lambda x: np.log(np.abs(x) - 1), 3), r"be finite on"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
