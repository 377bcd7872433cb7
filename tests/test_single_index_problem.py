"""The problem: V, U and kernels against integrals, plateaus, which stages can happen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inthelimit.single_index import (
    SingleIndexProblem,
    erf_activation,
    hermite_series,
    relu_activation,
    relu_coefficients,
)

STAIRS = SingleIndexProblem([1.0, 1.0, 0.5, 0.25], [1.0, 1.0, 1.0, 1.0])
coefficients = st.lists(st.floats(-2, 2), min_size=1, max_size=6)


def gaussian_pairs(r):
    """Nodes x, y of correlation r, and their weights."""
    node, weight = np.polynomial.legendre.leggauss(40)
    edges = np.arange(-9.0, 9.5, 1.0)
    x = (edges[:-1, None] + 0.5 * (node + 1)).ravel()
    w = np.tile(0.5 * weight, edges.size - 1) * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)
    X, Z = x[:, None], x[None, :]
    return np.broadcast_to(X, (x.size, x.size)), r * X + np.sqrt(1 - r * r) * Z, np.outer(w, w)


def expectation(f, g, r):
    x, y, weights = gaussian_pairs(r)
    return float((weights * f(x) * g(y)).sum())


# --- V, U ----------------------------------------------------------------------------------------


@given(coefficients, coefficients, st.floats(-0.99, 0.99))
@settings(max_examples=10, deadline=None, derandomize=True)
def test_series_are_expectations_over_correlated_gaussians(phi, sigma, r):
    problem = SingleIndexProblem(phi, sigma)

    def target(x):
        return hermite_series(phi, x)

    def activation(x):
        return hermite_series(sigma, x)

    assert problem.V(r) == pytest.approx(expectation(target, activation, r), abs=1e-9)
    assert problem.U(r) == pytest.approx(expectation(activation, activation, r), abs=1e-9)


@pytest.mark.parametrize("r", [-0.9, -0.2, 0.0, 0.5, 0.97])
@pytest.mark.parametrize("scale", [0.4, -2.0])
def test_erf_kernel_is_an_expectation(r, scale):
    erf = erf_activation(scale)
    assert erf.kernel(np.array(r)) == pytest.approx(expectation(erf.value, erf.value, r), abs=1e-12)
    slope = expectation(erf.derivative, erf.derivative, r)
    assert erf.kernel_derivative(np.array(r)) == pytest.approx(slope, abs=1e-12)


@pytest.mark.parametrize("r", [-1.0, -0.9, -0.2, 0.0, 0.5, 0.97, 1.0])
def test_relu_kernel_is_an_expectation(r):
    # In polar coordinates, with E R² = 2: U is 2 times the mean of cos⁺(θ) cos⁺(θ − angle).
    relu, angle = relu_activation(), np.arccos(r)
    node, weight = np.polynomial.legendre.leggauss(60)
    # Both cosines are positive on (angle − π/2, π/2).
    theta = (angle - np.pi / 2) + (np.pi - angle) * (node + 1) / 2
    share = (np.pi - angle) * weight / 2 / (2 * np.pi)
    value = 2 * (share * np.cos(theta) * np.cos(theta - angle)).sum()
    assert relu.kernel(np.array(r)) == pytest.approx(value, abs=1e-14)
    assert relu.kernel_derivative(np.array(r)) == pytest.approx(share.sum(), abs=1e-14)


@pytest.mark.parametrize("name", ["relu", "erf"])
def test_closed_kernels_are_the_sums_of_their_series(name):
    problem = SingleIndexProblem.of([0.5, 1.0, -0.3], name, degree=200, scale=0.8)
    series = SingleIndexProblem(problem.phi, problem.sigma)
    r = np.linspace(-0.8, 0.8, 33)
    np.testing.assert_allclose(problem.U(r), series.U(r), atol=1e-12)
    np.testing.assert_allclose(problem.U_derivative(r), series.U_derivative(r), atol=1e-12)


def test_the_series_of_relu_falls_short_where_neurons_meet_themselves():
    problem = SingleIndexProblem.of([1.0], "relu", degree=16)
    series = SingleIndexProblem(problem.phi, problem.sigma)
    assert problem.U_derivative(1.0) == pytest.approx(0.5)
    assert 0.45 < series.U_derivative(1.0) < 0.47


@pytest.mark.parametrize(
    "problem", [STAIRS, SingleIndexProblem.of([1.0, -1.0, 0.5]), SingleIndexProblem([2.0], [3.0])]
)
def test_derivatives_are_derivatives(problem):
    x, h = np.linspace(-0.9, 0.9, 13), 1e-5
    for function, derivative in (
        (problem.V, problem.V_derivative),
        (problem.U, problem.U_derivative),
    ):
        slopes = (function(x + h) - function(x - h)) / (2 * h)
        np.testing.assert_allclose(derivative(x), slopes, atol=1e-9)


@pytest.mark.parametrize("activation", [relu_activation(), erf_activation(-0.7)])
def test_activations_have_their_derivatives(activation):
    x, h = np.array([-2.0, -0.4, 0.3, 1.7]), 1e-6
    slopes = (activation.value(x + h) - activation.value(x - h)) / (2 * h)
    np.testing.assert_allclose(activation.derivative(x), slopes, atol=1e-9)


def test_rounding_beyond_one_is_forgiven_and_more_is_not():
    for problem in (STAIRS, SingleIndexProblem.of([1.0, 1.0])):
        assert problem.U(1 + 1e-12) == problem.U(1.0)
        with pytest.raises(ValueError, match=r"r must be within ±1, got a value of size 1.01"):
            problem.U([0.0, -1.01])
        with pytest.raises(ValueError, match=r"s must be within ±1"):
            problem.V(1.1)


# --- residuals, risks, plateaus ------------------------------------------------------------------


def test_plateaus_are_the_risks_with_the_first_degrees_learned():
    heights = STAIRS.plateaus()
    for l in range(5):
        residuals = np.where(np.arange(4) >= l, STAIRS.phi, 0.0)
        assert heights[l] == pytest.approx(STAIRS.risk_of(residuals), abs=1e-15)
    np.testing.assert_allclose(heights[:4], [1.15625, 0.65625, 0.15625, 0.03125])
    assert heights[4] == 0.0


@given(coefficients, coefficients, st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_risk_of_the_residuals_is_the_mean_field_risk(phi, sigma, seed):
    rng = np.random.default_rng(seed)
    a, s, w = rng.standard_normal(7), rng.uniform(-1, 1, 7), rng.dirichlet(np.ones(7))
    problem = SingleIndexProblem(phi, sigma)
    quadratic = (w * a) @ problem.U(np.outer(s, s)) @ (w * a)
    risk = problem.phi @ problem.phi / 2 - (w * a) @ problem.V(s) + quadratic / 2
    scale = 1 + problem.phi @ problem.phi + abs(quadratic)
    assert problem.risk_of(problem.residuals(a, s, w)) == pytest.approx(risk, abs=1e-13 * scale)


def test_residuals_weigh_neurons_equally_unless_told():
    a, s = np.array([1.0, -2.0, 0.5]), np.array([0.1, 0.2, -0.7])
    np.testing.assert_array_equal(STAIRS.residuals(a, s), STAIRS.residuals(a, s, np.full(3, 1 / 3)))
    assert STAIRS.residuals(a, s)[0] == pytest.approx(1 + 0.5 / 3)
    assert STAIRS.residuals(a, s)[2] == pytest.approx(0.5 - (0.01 - 0.08 + 0.245) / 3)


def test_risk_takes_batches_of_residuals():
    batch = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_allclose(STAIRS.risk_of(batch), (batch**2).sum(axis=-1) / 2)


# --- data ----------------------------------------------------------------------------------------


def test_the_shorter_expansion_is_padded():
    problem = SingleIndexProblem([1.0, 2.0, 3.0], [4.0])
    np.testing.assert_array_equal(problem.sigma, [4.0, 0.0, 0.0])
    assert problem.degree == 2
    np.testing.assert_array_equal(SingleIndexProblem([1.0], [1.0, 2.0]).phi, [1.0, 0.0])


def test_the_caller_keeps_the_arrays_and_the_problem_does_not_change():
    phi = np.array([1.0, 2.0])
    problem = SingleIndexProblem(phi, [1.0, 1.0])
    phi[0] = 7.0
    assert problem.phi[0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        problem.sigma[0] = 2.0


def test_named_activations_are_expanded_as_far_as_asked():
    problem = SingleIndexProblem.of([1.0, 1.0], "relu", degree=9)
    np.testing.assert_array_equal(problem.sigma, relu_coefficients(9))
    assert problem.phi.size == 10
    assert SingleIndexProblem.of([1.0]).degree == 16
    assert SingleIndexProblem.of(np.ones(20), "erf", scale=2.0).degree == 19
    assert SingleIndexProblem.of([1.0], "erf", scale=2.0).activation.name == "erf(2 x)"


# --- stages --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phi", "sigma", "stage", "message"),
    [
        ([1, 0, 1, 1], [1, 1, 1, 1], 1, r"stage 1 can't happen: phi\[1\] = 0$"),
        ([1, 0, 1, 1], [1, 1, 1, 1], 3, r"stage 3 .*: phi\[1\] = 0, so that stage 1 does not"),
        ([1, 1, 1, 1], [1, 1, 0, 1], 2, r"stage 2 can't happen: sigma\[2\] = 0$"),
        ([1, 1, 1, 1], [1, 1, 0, 1], 3, r"sigma\[2\] = 0, so that stage 2 does not happen"),
        ([0, 1], [1, 1], 0, r"stage 0 can't happen: phi\[0\] = 0"),
        ([1, 1], [0, 1], 0, r"stage 0 can't happen: sigma\[0\] = 0"),
        ([1, 1], [1, 1], 2, r"l must be within the expansion's degree 1, got 2: lengthen"),
        ([1, 1], [1, 1], -1, r"l must be ≥ 0, got -1"),
        ([1, 1], [1, 1], 1.0, r"l must be an integer"),
    ],
)
def test_stages_that_cannot_happen_are_named(phi, sigma, stage, message):
    with pytest.raises(ValueError, match=message):
        SingleIndexProblem(phi, sigma).check_stage(stage)


def test_stages_that_can_happen_are_let_through():
    for l in range(4):
        STAIRS.check_stage(l)
    # Degree 0 need not be there for degree 1, nor what comes later.
    SingleIndexProblem([0, 1, 1, 0], [0, 1, 1, 1]).check_stage(2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SingleIndexProblem([], [1.0]), r"phi must have at least one entry"),
        (lambda: SingleIndexProblem([1.0], [np.inf]), r"sigma must be finite"),
        (lambda: SingleIndexProblem([1e60], [1.0]), r"phi must be within ±1e\+50"),
        (lambda: SingleIndexProblem([1.0], [-1e60]), r"sigma must be within ±1e\+50"),
        (lambda: SingleIndexProblem([1.0], [[1.0]]), r"sigma must have 1 dimension"),
        (
            lambda: SingleIndexProblem([1.0], [1.0], relu_activation()),
            r"sigma must be the expansion of activation relu, whose squares sum to 0.5, got .* 1",
        ),
        (lambda: SingleIndexProblem.of([1.0], "tanh"), r"activation must be one of 'relu', 'erf'"),
        (lambda: SingleIndexProblem.of([1, 2, 3], degree=1), r"degree must be ≥ 2, got 1"),
        (lambda: SingleIndexProblem.of([1], "erf", scale=0), r"scale must be nonzero"),
        (lambda: STAIRS.residuals([1.0], [0.1, 0.2]), r"s must have shape \(1,\), got \(2,\)"),
        (lambda: STAIRS.residuals([1.0], [0.1], [0.5, 0.5]), r"weights must have shape \(1,\)"),
        (lambda: STAIRS.risk_of([1.0, 2.0]), r"residuals must have shape \(..., 4\)"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
