"""The polynomials of synchronous gossip, against SciPy's, closed forms and balls of trees."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import eval_chebyt, eval_jacobi, gammaln

from inthelimit.gossip import (
    JacobiMethod,
    JacobiWithGap,
    MessagePassing,
    ShiftRegister,
    SimpleMethod,
    jacobi_coefficients,
)

EIGENVALUES = np.linspace(-1.0, 1.0, 401)
METHODS = [
    SimpleMethod(),
    JacobiMethod(1.0),
    JacobiMethod(0.5, -0.5),
    JacobiMethod(0.79, 0.13),
    JacobiMethod(-0.93, 5.2),
    JacobiWithGap(1.0, gap=0.01),
    JacobiWithGap(1.5, 0.5, gap=1.2),
    ShiftRegister(1.9),
    ShiftRegister(0.7),
    MessagePassing(2),
    MessagePassing(5),
]
exponents = st.floats(-0.95, 6.0)


def jacobi(n, alpha, beta, x):
    return eval_jacobi(n, alpha, beta, x) / eval_jacobi(n, alpha, beta, 1.0)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_every_method_conserves_means_and_takes_one_exchange_a_round(method):
    coefficients = method.coefficients(5000)
    assert (coefficients.a + coefficients.b - coefficients.c == 1.0).all()
    assert coefficients.c[0] == 0.0
    assert method.polynomial(5000, 1.0) == 1.0
    polynomials = method.polynomials(12, EIGENVALUES)
    for n, values in enumerate(polynomials):
        fit = np.polynomial.Chebyshev.fit(EIGENVALUES, values, n)
        np.testing.assert_allclose(fit(EIGENVALUES), values, atol=1e-12)
        np.testing.assert_array_equal(method.polynomial(n, EIGENVALUES), values)


@pytest.mark.parametrize(
    ("alpha", "beta"),
    [(1.0, 0.0), (0.5, -0.5), (-0.5, -0.5), (0.0, 0.0), (3.0, 2.5), (-0.3, -0.7), (1.5, 0.5)],
)
def test_jacobi_polynomials_are_those_of_scipy(alpha, beta):
    values = JacobiMethod(alpha, beta).polynomials(200, EIGENVALUES)
    for n in range(201):
        reference = jacobi(n, alpha, beta, EIGENVALUES)
        np.testing.assert_allclose(values[n], reference, atol=1e-12)


@given(alpha=exponents, beta=exponents, n=st.integers(0, 60))
def test_jacobi_polynomials_are_those_of_scipy_for_any_exponents(alpha, beta, n):
    reference = jacobi(n, alpha, beta, EIGENVALUES)
    values = JacobiMethod(alpha, beta).polynomial(n, EIGENVALUES)
    np.testing.assert_allclose(values, reference, atol=1e-10 * np.abs(reference).max())


@given(alpha=exponents, beta=exponents, n=st.integers(1, 300))
@settings(deadline=None)
def test_jacobi_is_bounded_by_one_exactly_for_beta_at_most_alpha_and_alpha_at_least_minus_half(
    alpha, beta, n
):
    # Between 40 n Chebyshev points a polynomial of degree n hides 1e-3 of its maximum at most.
    points = np.cos(np.linspace(0.0, np.pi, 40 * n + 1))
    largest = np.abs(JacobiMethod(alpha, beta).polynomial(n, points)).max()
    if alpha >= max(beta, -0.5):
        # At −1 the rounding of the coefficients comes in up to n² times.
        assert largest <= 1.0 + 1e-12 + 1e-16 * n**2
    elif beta > alpha + 1e-6:
        assert largest > 1.0 + 1e-3 * (beta - alpha)


@pytest.mark.parametrize(("alpha", "beta"), [(-0.6, -0.7), (-0.8, -0.8), (0.0, 1.0), (1.0, 1.01)])
def test_jacobi_exceeds_one_where_the_hypothesis_fails(alpha, beta):
    method = JacobiMethod(alpha, beta)
    largest = [np.abs(method.polynomial(n, EIGENVALUES)).max() for n in (50, 200)]
    assert 1.0 < largest[0] < largest[1]


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.0), (0.5, 1.5), (2.0, 0.5)])
def test_the_value_at_minus_one_is_a_ratio_of_gammas_and_grows_as_stated(alpha, beta):
    method = JacobiMethod(alpha, beta)
    n = 400
    log = gammaln(n + beta + 1) + gammaln(alpha + 1) - gammaln(n + alpha + 1) - gammaln(beta + 1)
    value = float(method.polynomial(n, -1.0))
    assert value == pytest.approx(np.exp(log), rel=1e-9)
    order = np.log(float(method.polynomial(2 * n, -1.0)) / value) / np.log(2.0)
    assert max(order, 0.0) == pytest.approx(method.growth_exponent, abs=0.01)


def test_the_slope_at_one_is_that_of_the_second_moment():
    n, alpha, beta = 9, 1.3, 0.4
    h = 1e-6
    method = JacobiMethod(alpha, beta)
    slope = float(np.diff(method.polynomial(n, [1.0 - h, 1.0 + h]))[0]) / (2 * h)
    assert slope == pytest.approx(n * (n + alpha + beta + 1) / (2 * (alpha + 1)), rel=1e-8)


def test_dirichlet_and_chebyshev_to_high_degree():
    theta, n = np.linspace(0.01, 3.1, 500), 100_000
    dirichlet = np.sin((n + 0.5) * theta) / ((2 * n + 1) * np.sin(theta / 2))
    values = JacobiMethod(0.5, -0.5).polynomial(n, np.cos(theta))
    np.testing.assert_allclose(values, dirichlet, atol=1e-11)
    chebyshev = JacobiMethod(-0.5, -0.5).polynomial(100, EIGENVALUES)
    np.testing.assert_allclose(chebyshev, eval_chebyt(100, EIGENVALUES), atol=1e-12)


@pytest.mark.parametrize("alpha", [0.79, 1.486, 0.1])
def test_equal_exponents_keep_parity_without_any_error(alpha):
    method = JacobiMethod(alpha, alpha)
    assert not method.coefficients(5000).b.any()
    assert method.polynomial(5001, -1.0) == -1.0


def test_the_friction_is_that_of_the_limit():
    alpha, beta, k = 1.3, 0.2, 10_000
    c = jacobi_coefficients(k + 1, alpha, beta).c[k]
    assert k * (1.0 - c) == pytest.approx(2 * alpha + 1, rel=1e-3)


@pytest.mark.parametrize("gap", [0.003, 0.1, 1.5])
def test_jacobi_with_gap_is_jacobi_stretched_to_the_rest_of_the_spectrum(gap):
    def stretched(x):
        return (x + gap / 2) / (1 - gap / 2)

    values = JacobiWithGap(1.0, 0.25, gap=gap).polynomials(60, EIGENVALUES)
    for n in (1, 2, 7, 60):
        top = eval_jacobi(n, 1.0, 0.25, stretched(1.0))
        reference = eval_jacobi(n, 1.0, 0.25, stretched(EIGENVALUES)) / top
        np.testing.assert_allclose(values[n], reference, atol=1e-12)


def test_jacobi_with_gap_ends_at_its_geometric_rate_and_never_overflows():
    gap = 0.02
    worst = [
        np.abs(JacobiWithGap(1.0, gap=gap).polynomial(n, np.linspace(-1, 1 - gap, 999))).max()
        for n in (1000, 1400)
    ]
    root = np.sqrt(gap / 2)
    # A power of n, n^1.5 as P_n(1) ~ n and off the interval n^(−½), beside the rate.
    power = 1.5 * np.log(1.4)
    rate = 400 * np.log((1 - root) / (1 + root))
    assert np.log(worst[1] / worst[0]) == pytest.approx(rate + power, abs=0.01)
    assert np.isfinite(JacobiWithGap(1.0, gap=1.9).polynomial(5000, EIGENVALUES)).all()


def test_without_a_gap_it_is_jacobi():
    with_gap, without = JacobiWithGap(1.0, 0.5, gap=0.0), JacobiMethod(1.0, 0.5)
    difference = with_gap.polynomial(100, EIGENVALUES) - without.polynomial(100, EIGENVALUES)
    assert np.abs(difference).max() < 1e-13


def test_the_shift_register_of_a_gap_has_the_least_spectral_radius():
    gap = 0.1
    inside = np.linspace(-(1 - gap), 1 - gap, 301)

    def radius(omega):
        roots = [np.roots([1.0, -omega * x, omega - 1.0]) for x in inside]
        return np.abs(roots).max()

    best = ShiftRegister.from_gap(gap).omega
    assert radius(best) == pytest.approx(np.sqrt(best - 1.0), rel=1e-6)
    assert radius(best) < min(radius(best - 0.01), radius(best + 0.01))


def test_the_shift_registers_of_the_published_experiments():
    # The grid of 40 × 40 nodes: ω tuned to W, and the published value, that of the lazy matrix.
    gap = (1 - np.cos(np.pi / 40)) / 2
    r = 1 - gap
    published = (8 - 4 * np.sqrt(4 - (1 + r) ** 2)) / (1 + r) ** 2
    assert ShiftRegister.from_gap(gap / 2).omega == pytest.approx(published, rel=1e-9)
    assert ShiftRegister.from_gap(gap / 2).omega == pytest.approx(1.92446, abs=5e-6)
    assert ShiftRegister.from_gap(gap).omega == pytest.approx(1.89484, abs=5e-6)


@pytest.mark.parametrize("degree", [2, 3, 4])
def test_message_passing_takes_means_over_the_balls_of_a_regular_tree(degree):
    radius = 4
    tree = nx.balanced_tree(degree - 1, radius)
    # A root of full degree: one more branch, hung from the root.
    branch = nx.relabel_nodes(nx.balanced_tree(degree - 1, radius - 1), lambda v: ("branch", v))
    tree = nx.union(tree, branch)
    tree.add_edge(0, ("branch", 0))
    W = nx.to_numpy_array(tree) / degree
    distance = nx.single_source_shortest_path_length(tree, 0)
    depth = np.array([distance[v] for v in tree])
    root = np.eye(len(tree))[list(tree).index(0)]
    before, now = np.zeros_like(root), root
    for n, (a, b, c) in enumerate(MessagePassing(degree).coefficients(radius), start=1):
        before, now = now, a * W @ now + b * now - c * before
        ball = depth <= n
        np.testing.assert_allclose(now, ball / ball.sum(), atol=1e-14)


def test_c_is_the_published_formula():
    alpha, beta, k = 1.3, 0.2, np.arange(1.0, 500.0)
    s = alpha + beta
    c = k * (k + beta) * (2 * k + s + 2) / ((k + 1 + s) * (2 * k + s) * (k + 1 + alpha))
    np.testing.assert_allclose(jacobi_coefficients(500, alpha, beta).c[1:], c, atol=2e-15)


def test_large_exponents_are_the_heat_that_they_tend_to():
    # As α → ∞ all zeros go to −1, and q_n to simple gossip with the lazy matrix.
    values = JacobiMethod(1e300).polynomial(3, EIGENVALUES)
    np.testing.assert_allclose(values, ((1 + EIGENVALUES) / 2) ** 3, atol=1e-13)


def test_coefficients_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        JacobiMethod(1.0).coefficients(3).a[0] = 2.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: JacobiMethod(-1.0), r"alpha must be > -1, got -1.0"),
        (lambda: JacobiMethod(1.0, -2), r"beta must be > -1, got -2.0"),
        (lambda: JacobiMethod(np.nan), r"alpha must be finite, got nan"),
        (lambda: JacobiWithGap(-3.0, gap=0.1), r"alpha must be > -1"),
        (lambda: JacobiWithGap(1.0, gap=-0.1), r"gap must be ≥ 0, got -0.1"),
        (lambda: JacobiWithGap(1.0, gap=2.0), r"gap must be < 2, got 2.0"),
        (lambda: ShiftRegister(2.0), r"omega must be < 2, got 2.0"),
        (lambda: ShiftRegister(0.0), r"omega must be > 0, got 0.0"),
        (lambda: ShiftRegister.from_gap(0.0), r"gap must be > 0, got 0.0"),
        (lambda: ShiftRegister.from_gap(1.5), r"gap must be ≤ 1, got 1.5"),
        (lambda: MessagePassing(1), r"degree must be ≥ 2, got 1"),
        (lambda: MessagePassing(2.5), r"degree must be an integer, got 2.5"),
        (lambda: jacobi_coefficients(-1, 1.0), r"n_steps must be ≥ 0, got -1"),
        (lambda: jacobi_coefficients(3, -1.0), r"alpha must be > -1"),
        (lambda: jacobi_coefficients(3, 1.0, -1.0), r"beta must be > -1"),
        (lambda: SimpleMethod().coefficients(1.5), r"n_steps must be an integer, got 1.5"),
        (lambda: SimpleMethod().polynomial(-1, 0.5), r"n must be ≥ 0, got -1"),
        (lambda: SimpleMethod().polynomial(1, [np.inf]), r"eigenvalues must be finite"),
    ],
)
def test_bad_input_is_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()
