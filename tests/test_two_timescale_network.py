"""Target, activation, network and best outer layer against integrals done another way."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial.legendre import leggauss
from scipy.integrate import quad

from inthelimit import ConvergenceError
from inthelimit.two_timescale import (
    PiecewiseConstant,
    StepNetwork,
    _skyline,
    _sweep,
    captured_jumps,
    gradient,
    gram,
    lag,
    limit_loss,
    loss,
    optimal_outer_layer,
    outer_layer,
    sigmoid,
    sigmoid_derivative,
    sigmoid_primitive,
)

TARGET = PiecewiseConstant([0.2, 0.35, 0.5, 0.65, 0.8], [1, 5, 1, 3, 1, 5])


def draw(seed, m, *, spread=0.0):
    """Outer layer and positions; with a spread, some of them outside [0, 1] and two alike."""
    rng = np.random.default_rng(seed)
    u = rng.uniform(-spread, 1 + spread, m)
    if spread and m > 1:
        u[1] = u[0]
    return rng.standard_normal(m + 1), u


def features(x, u, eta):
    return np.column_stack([np.ones(x.size), sigmoid((x[:, None] - u) / eta)])


def nodes(u, eta, breakpoints=TARGET.breakpoints):
    """Gauss points and weights that integrate over [0, 1] what is a polynomial between events."""
    events = np.concatenate([[0, 1], breakpoints, u - eta / 2, u, u + eta / 2])
    events = np.unique(np.clip(events, 0, 1))
    point, weight = leggauss(6)
    width = np.diff(events)[:, None]
    return (events[:-1, None] + width * (point + 1) / 2).ravel(), (width * weight / 2).ravel()


networks = st.tuples(
    st.integers(0, 10**6), st.integers(1, 12), st.sampled_from([1e-4, 4e-3, 0.05, 0.3, 1.5])
)


# ------------------------------------------------------------------------------------- the target


def test_the_target_knows_its_pieces_and_takes_the_right_value_at_a_jump():
    np.testing.assert_array_equal(TARGET([0, 0.1999, 0.2, 0.5, 1]), [1, 1, 5, 3, 5])
    np.testing.assert_array_equal(TARGET.edges, [0, 0.2, 0.35, 0.5, 0.65, 0.8, 1])
    np.testing.assert_array_equal(TARGET.jumps, [4, -4, 2, -2, 4])
    assert TARGET.n_pieces == 6
    assert TARGET.smallest_piece == pytest.approx(0.15, abs=1e-15)
    assert (TARGET.smallest_jump, TARGET.amplitude) == (2.0, 5.0)


def test_a_constant_is_a_target_with_no_jump():
    constant = PiecewiseConstant([], [-2.0])
    assert constant(0.3) == -2.0
    assert constant.jumps.size == 0
    assert constant.smallest_jump == np.inf
    assert (constant.smallest_piece, constant.amplitude) == (1.0, 2.0)
    # The bias alone fits it, whatever the neuron does.
    np.testing.assert_allclose(optimal_outer_layer(constant, [0.4], eta=0.1), [-2, 0], atol=1e-14)


@pytest.mark.parametrize(
    ("breakpoints", "values", "message"),
    [
        ([0.5, 0.2], [1, 2, 3], "breakpoints must be strictly increasing, got 0.5, 0.2"),
        ([0.2, 0.2], [1, 2, 3], "breakpoints must be strictly increasing, got 0.2, 0.2"),
        ([0.0, 0.5], [1, 2, 3], "breakpoints must be strictly between 0 and 1, got 0.0"),
        ([0.5, 1.5], [1, 2, 3], "breakpoints must be strictly between 0 and 1, got 1.5"),
        ([np.nan], [1, 2], "breakpoints must be finite"),
        ([0.5], [1, 2, 3], "values must have one entry for each piece, 2 for 1 breakpoints, got 3"),
        ([0.5], [2, 2], "values must differ between neighbouring pieces, got 2.0 on both sides"),
        ([0.5], [1, 1e60], "values must be within"),
    ],
)
def test_a_target_that_is_none_is_refused(breakpoints, values, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        PiecewiseConstant(breakpoints, values)


def test_a_target_lives_on_the_unit_interval():
    with pytest.raises(ValueError, match=re.escape("x must be within [0, 1], got 1.2")):
        TARGET([0.5, 1.2])


# --------------------------------------------------------------------------------- the activation


def test_the_step_has_the_integrals_that_the_chapter_uses():
    def integral(f):
        return quad(f, -0.5, 0)[0] + quad(f, 0, 0.5)[0]

    assert integral(sigmoid) == pytest.approx(1 / 2, abs=1e-14)
    assert integral(lambda z: sigmoid(z) ** 2) == pytest.approx(23 / 56, abs=1e-14)
    assert integral(lambda z: sigmoid(z) * sigmoid(-z)) == pytest.approx(5 / 56, abs=1e-14)
    assert integral(lambda z: ((z > 0) - sigmoid(z)) ** 2) == pytest.approx(1 / 28, abs=1e-14)
    assert integral(sigmoid_derivative) == pytest.approx(1, abs=1e-14)


def test_derivative_and_primitive_belong_to_the_step():
    z = np.linspace(-0.7, 0.7, 281)[1::2]  # no corner of s′ among them
    h = 1e-6
    slope = (sigmoid(z + h) - sigmoid(z - h)) / (2 * h)
    np.testing.assert_allclose(sigmoid_derivative(z), slope, atol=1e-8)
    average = (sigmoid_primitive(z + h) - sigmoid_primitive(z - h)) / (2 * h)
    np.testing.assert_allclose(sigmoid(z), average, atol=1e-9)


@given(st.floats(-10, 10))
def test_the_step_is_odd_about_its_middle_and_constant_beyond_its_ends(z):
    assert sigmoid(-z) == pytest.approx(1 - sigmoid(z), abs=1e-15)
    if abs(z) >= 0.5:
        assert sigmoid(z) == (z > 0)
        assert sigmoid_derivative(z) == 0
        assert sigmoid_primitive(z) == max(z, 0)


# ---------------------------------------------------------------------- loss and its derivatives


@settings(max_examples=60, deadline=None)
@given(networks)
def test_the_network_is_the_sum_of_its_steps(case):
    seed, m, eta = case
    a, u = draw(seed, m, spread=0.2)
    x = np.random.default_rng(seed).uniform(-0.5, 1.5, (3, 7))
    expected = features(x.ravel(), u, eta) @ a
    np.testing.assert_allclose(StepNetwork(a, u, eta)(x), expected.reshape(3, 7), atol=1e-13)


@settings(max_examples=60, deadline=None)
@given(networks)
def test_loss_and_gradient_are_exact_integrals(case):
    seed, m, eta = case
    a, u = draw(seed, m, spread=0.2)
    network = StepNetwork(a, u, eta)
    x, weight = nodes(u, eta)
    residual = TARGET(x) - features(x, u, eta) @ a
    assert loss(TARGET, network) == pytest.approx(weight @ residual**2, rel=1e-12)
    gradient_a, gradient_u = gradient(TARGET, network)
    np.testing.assert_allclose(
        gradient_a, -2 * features(x, u, eta).T @ (weight * residual), atol=1e-12
    )
    slopes = sigmoid_derivative((x[:, None] - u) / eta) / eta
    np.testing.assert_allclose(
        gradient_u, 2 * a[1:] * (slopes.T @ (weight * residual)), rtol=1e-11, atol=1e-11
    )


@pytest.mark.parametrize("eta", [4e-3, 0.05, 0.3])
def test_the_gradient_is_what_differences_of_the_loss_say(eta):
    a, u = draw(5, 8)
    h = 1e-6

    def along(da, du):
        ahead, behind = (StepNetwork(a + s * da, u + s * du, eta) for s in (h, -h))
        return (loss(TARGET, ahead) - loss(TARGET, behind)) / (2 * h)

    gradient_a, gradient_u = gradient(TARGET, StepNetwork(a, u, eta))
    by_a = [along(e, np.zeros(8)) for e in np.eye(9)]
    by_u = [along(np.zeros(9), e) for e in np.eye(8)]
    np.testing.assert_allclose(gradient_a, by_a, atol=1e-8)
    # Third derivatives in u are of size 1/η²: the difference quotient errs by h²/η².
    np.testing.assert_allclose(gradient_u, by_u, atol=1e-8 + 10 * (h / eta) ** 2)


@settings(max_examples=30, deadline=None)
@given(networks)
def test_the_order_of_the_neurons_does_not_matter(case):
    seed, m, eta = case
    a, u = draw(seed, m)
    shuffle = np.random.default_rng(seed).permutation(m)
    shuffled = StepNetwork(np.concatenate([a[:1], a[1:][shuffle]]), u[shuffle], eta)
    original = StepNetwork(a, u, eta)
    assert loss(TARGET, shuffled) == pytest.approx(loss(TARGET, original), rel=1e-12)
    for one, other in zip(gradient(TARGET, original), gradient(TARGET, shuffled), strict=True):
        np.testing.assert_allclose(one[-m:][shuffle], other[-m:], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("eta", [4e-3, 0.08, 0.3])
def test_the_hessian_is_what_differences_of_the_gradient_say(eta):
    _, u = draw(11, 7)
    u.sort()
    x = np.empty(15)
    x[::2], x[1::2] = draw(12, 7)[0], u

    def slope(x):
        y, u, out = x[::2].copy(), x[1::2].copy(), np.empty(15)
        pieces = _sweep.cut(u, eta, TARGET.edges, TARGET.values)
        _sweep.loss_and_gradient(pieces, y, u, eta, out)
        return out

    pieces = _sweep.cut(u, eta, TARGET.edges, TARGET.values)
    matrix = _skyline.zeros(pieces.first, pieces.last, 15, 2)
    _sweep.add_hessian(pieces, x[::2].copy(), u, eta, matrix)
    h = 1e-7
    differences = [(slope(x + h * e) - slope(x - h * e)) / (2 * h) for e in np.eye(15)]
    # Third derivatives in u are of size 1/η² and jump: the quotient errs by h/η².
    np.testing.assert_allclose(dense(matrix), differences, atol=2e-8 + 40 * h / eta**2)


def test_one_step_on_its_jump_leaves_a_28th_of_its_width():
    target = PiecewiseConstant([0.5], [0, 2])
    left = loss(target, StepNetwork([0, 2], [0.5], 0.04))
    assert left == pytest.approx(0.04 * 2**2 / 28, rel=1e-13)


def test_a_network_at_rest_has_the_energy_of_the_target_as_loss():
    assert loss(TARGET, StepNetwork(np.zeros(21), np.linspace(0, 1, 20), 4e-3)) == pytest.approx(
        10.6, abs=1e-13
    )


# -------------------------------------------------------------------------- the best outer layer


@settings(max_examples=60, deadline=None)
@given(networks)
def test_the_gram_matrix_is_the_integral_of_products_of_features(case):
    seed, m, eta = case
    _, u = draw(seed, m, spread=0.2)
    x, weight = nodes(u, eta)
    S = features(x, u, eta)
    np.testing.assert_allclose(gram(u, eta), S.T @ (weight[:, None] * S), atol=1e-14)


@settings(max_examples=40, deadline=None)
@given(networks)
def test_the_loss_is_the_quadratic_of_the_gram_matrix(case):
    seed, m, eta = case
    a, u = draw(seed, m)
    b = draw(seed + 1, m)[0]
    gradient_a, _ = gradient(TARGET, StepNetwork(a, u, eta))
    expected = loss(TARGET, StepNetwork(a, u, eta)) + gradient_a @ b + b @ gram(u, eta) @ b
    assert loss(TARGET, StepNetwork(a + b, u, eta)) == pytest.approx(expected, rel=1e-12)


def test_in_plateau_heights_the_gram_matrix_is_tridiagonal_with_the_constants_of_the_step():
    eta, u = 0.056, np.array([0.2, 0.4, 0.9])
    to_heights = np.tril(np.ones((4, 4)))  # y = to_heights @ a
    inverse = np.linalg.inv(to_heights)
    side = 5 * eta / 56
    flat = np.diff([0, *u, 1]) - eta * np.array([0.5, 1, 1, 0.5])
    expected = np.diag(flat + 23 / 56 * eta * np.array([1, 2, 2, 1]))
    expected += np.diag([side] * 3, 1) + np.diag([side] * 3, -1)
    np.testing.assert_allclose(inverse.T @ gram(u, eta) @ inverse, expected, atol=1e-15)


@settings(max_examples=60, deadline=None)
@given(networks)
def test_the_best_outer_layer_is_that_of_dense_least_squares(case):
    seed, m, eta = case
    _, u = draw(seed, m)
    x, weight = nodes(u, eta)
    S = np.sqrt(weight)[:, None] * features(x, u, eta)
    least = np.linalg.lstsq(S, np.sqrt(weight) * TARGET(x), rcond=1e-13)[0]
    best = optimal_outer_layer(TARGET, u, eta=eta)
    found = loss(TARGET, StepNetwork(best, u, eta))
    # The ridge costs 1e-16 |a|², and normal equations lose what is left of L's rounding.
    allowed = 1e-13 + 2e-16 * (least @ least)
    assert found <= loss(TARGET, StepNetwork(least, u, eta)) + allowed
    if np.linalg.cond(gram(u, eta)) < 1e6:
        np.testing.assert_allclose(best, least, atol=1e-8)


def test_apart_from_overlaps_the_best_outer_layer_has_no_gradient_left():
    u = (np.random.default_rng(0).permutation(1000) + 0.5) / 1000
    best = optimal_outer_layer(TARGET, u, eta=4e-4)
    gradient_a, _ = gradient(TARGET, StepNetwork(best, u, 4e-4))
    assert np.abs(gradient_a).max() < 1e-12


@pytest.mark.parametrize("u", [[0.3, 0.7, 0.3, 0.3], [0.3, 1.4, -0.3, 0.7], [1.2], [0.4, 0.4]])
def test_what_the_loss_leaves_open_goes_to_the_smallest_outer_layer(u):
    u = np.array(u)
    best = optimal_outer_layer(TARGET, u, eta=0.01)
    H = gram(u, 0.01)
    b = -gradient(TARGET, StepNetwork(np.zeros(u.size + 1), u, 0.01))[0] / 2
    np.testing.assert_allclose(best, np.linalg.pinv(H, rcond=1e-12) @ b, atol=1e-9)


def test_neurons_that_almost_meet_still_get_a_layer_that_fits():
    """Two steps 1e-6 η apart act as a step and its derivative, at weights of 1e6."""
    eta, gap = 0.01, 1e-8
    target = PiecewiseConstant([0.5], [0.0, 1.0])
    u = np.array([0.501, 0.501 + gap])
    best = optimal_outer_layer(target, u, eta=eta)
    x, weight = nodes(u, eta, target.breakpoints)
    S = np.column_stack(
        [np.ones(x.size), sigmoid((x - 0.501) / eta), sigmoid_derivative((x - 0.501) / eta)]
    )
    S = np.sqrt(weight)[:, None] * S
    with_slope = np.linalg.lstsq(S, np.sqrt(weight) * target(x))[1][0]
    single = loss(target, StepNetwork(optimal_outer_layer(target, u[:1], eta=eta), u[:1], eta))
    found = loss(target, StepNetwork(best, u, eta))
    assert with_slope < 0.9 * single
    # The ridge gives away 1e-16 |a|².
    assert with_slope - 1e-9 < found < with_slope + 2e-16 * (best @ best)


def test_the_floor_is_reached_at_order_two():
    """One neuron on each jump leaves (η/28) ΣJ² (1 + O(η))."""
    eta = 4e-3 / 2 ** np.arange(4)
    floors = []
    for width in eta:
        best = optimal_outer_layer(TARGET, TARGET.breakpoints, eta=width)
        floors.append(loss(TARGET, StepNetwork(best, TARGET.breakpoints, width)))
    miss = eta / 28 * 56 - np.array(floors)
    slope = np.polyfit(np.log(eta), np.log(miss), 1)[0]
    assert floors[0] == pytest.approx(0.0080, abs=2e-5)
    assert slope == pytest.approx(2, abs=0.01)


def test_the_best_loss_tends_to_that_of_true_steps_at_order_one():
    u = np.random.default_rng(1).random(12)
    eta = 1e-3 / 2 ** np.arange(5)
    gaps = [
        loss(TARGET, StepNetwork(optimal_outer_layer(TARGET, u, eta=width), u, width))
        - limit_loss(TARGET, u)
        for width in eta
    ]
    assert np.polyfit(np.log(eta), np.log(np.abs(gaps)), 1)[0] == pytest.approx(1, abs=0.05)


@settings(max_examples=40, deadline=None)
@given(networks)
def test_the_lag_is_the_loss_above_the_least(case):
    seed, m, eta = case
    a, u = draw(seed, m)
    network = StepNetwork(a, u, eta)
    best = StepNetwork(optimal_outer_layer(TARGET, u, eta=eta), u, eta)
    expected = loss(TARGET, network) - loss(TARGET, best)
    # Where overlaps make a* huge, what is added to the Gram matrix moves the least loss.
    allowed = 1e-12 + 1e-13 * (best.a @ best.a)
    assert lag(TARGET, network) == pytest.approx(expected, abs=allowed)


def test_a_lag_far_below_the_rounding_of_the_loss_is_still_right():
    u = np.linspace(0.1, 0.9, 8)
    best = optimal_outer_layer(TARGET, u, eta=0.01)
    away = 1e-11 * np.random.default_rng(0).standard_normal(9)
    found = lag(TARGET, StepNetwork(best + away, u, 0.01))
    assert found == pytest.approx(away @ gram(u, 0.01) @ away, rel=1e-3)


def test_captured_jumps_sees_the_distance_and_every_network_of_a_batch():
    u = np.array([[0.2, 0.351, 0.9], [0.52, 0.79, 0.66]])
    near = [[True, True, False, False, False], [False, False, False, True, True]]
    np.testing.assert_array_equal(captured_jumps(TARGET, u, within=0.0101), near)
    np.testing.assert_array_equal(captured_jumps(TARGET, u[0], within=0)[:2], [True, False])


# ----------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: StepNetwork([0, 1], [0.5], 0.0), "eta must be > 0, got 0.0"),
        (lambda: StepNetwork([0, 1], [], 0.1), "u must have at least one entry"),
        (lambda: StepNetwork([1], [0.5], 0.1), "a must have the bias and one entry for each"),
        (lambda: StepNetwork([0, np.inf], [0.5], 0.1), "a must be finite, got inf"),
        (lambda: optimal_outer_layer(TARGET, [0.5], eta=-1), "eta must be > 0, got -1.0"),
        (lambda: gram([[0.5]], 0.1), "u must have 1 dimension(s)"),
        (lambda: captured_jumps(TARGET, 0.5, within=1), "u must have shape (..., m), got ()"),
        (lambda: captured_jumps(TARGET, [0.5], within=-1), "within must be ≥ 0, got -1.0"),
        (lambda: sigmoid([np.nan]), "z must be finite"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_steps_that_rounding_cannot_tell_apart_are_said_so(monkeypatch):
    def nothing(*_):
        return np.zeros((1, 3)), False

    monkeypatch.setattr(outer_layer._best, "best_outer_layers", nothing)
    with pytest.raises(ConvergenceError, match="2 overlapping steps apart: try eta smaller than"):
        optimal_outer_layer(TARGET, [0.3, 0.4], eta=0.1)


# --------------------------------------------------------------------------- matrices with skylines


def dense(matrix):
    n = matrix.start.size
    full = np.zeros((n, n))
    for i in range(n):
        for j in range(matrix.start[i], i + 1):
            full[i, j] = full[j, i] = matrix.entries[matrix.base[i] + j]
    return full


def skyline(seed, *, shift):
    """A random symmetric matrix with two overlapping blocks, and its lower triangle alone."""
    rng = np.random.default_rng(seed)
    matrix = _skyline.zeros(np.array([1, 3]), np.array([4, 6]), 9, 1)
    matrix.entries[:] = rng.standard_normal(matrix.entries.size)
    for i in range(9):
        matrix.entries[matrix.base[i] + i] += shift
    return matrix


def test_a_skyline_has_room_for_what_couples_and_for_neighbours():
    matrix = _skyline.zeros(np.array([1, 3]), np.array([4, 6]), 9, 1)
    np.testing.assert_array_equal(matrix.start, [0, 0, 1, 1, 1, 3, 3, 6, 7])
    matrix = _skyline.zeros(np.array([1]), np.array([3]), 9, 2)
    np.testing.assert_array_equal(matrix.start, [0, 0, 0, 1, 2, 2, 2, 5, 6])


@pytest.mark.parametrize("seed", range(5))
def test_the_factor_of_a_skyline_solves_its_equations(seed):
    matrix = skyline(seed, shift=6.0)
    full, b = dense(matrix), np.random.default_rng(seed + 100).standard_normal(9)
    expected = np.linalg.solve(full, b)
    assert _skyline.factorise(matrix)
    _skyline.solve(matrix, b)
    np.testing.assert_allclose(b, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("seed", range(5))
def test_an_indefinite_skyline_has_no_factor(seed):
    matrix = skyline(seed, shift=6.0)
    matrix.entries[matrix.base[5] + 5] -= 1.01 / np.linalg.inv(dense(matrix))[5, 5]
    assert np.linalg.eigvalsh(dense(matrix))[0] < 0
    assert not _skyline.factorise(matrix)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_norm_of_the_outer_layer_is_a_matrix_in_the_heights(stride):
    heights = np.random.default_rng(3).standard_normal(5)
    none = np.zeros(0, np.int64)
    matrix = _skyline.zeros(none, none, 4 * stride + 1, stride)
    weights = np.array([3.0, 1.0, 4.0, 1.0, 5.0])
    _skyline.add_outer_norm(matrix, weights, stride)
    x = np.zeros(4 * stride + 1)
    x[::stride] = heights
    a = np.diff(heights, prepend=0)
    assert x @ dense(matrix) @ x == pytest.approx(weights @ a**2, rel=1e-13)
