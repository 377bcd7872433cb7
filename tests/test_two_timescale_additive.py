"""Additive models against a dense loop, differences of the criterion and the published medians."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inthelimit.two_timescale import additive_descent, additive_target, relu_target

RNG = np.random.default_rng(0)
X = RNG.random((200, 3))
A0, U0 = 3.0 * RNG.random((4, 3)), RNG.random((4, 3))
TARGETS = {"step": additive_target, "relu": relu_target}


def features(x, u, activation, eta):
    """Return the features and their derivatives in x, both (n, m, d), one entry at a time."""
    offset = x[:, None, :] - u
    if activation == "relu":
        return np.maximum(offset, 0.0), (offset > 0.0).astype(float)
    depth = np.maximum(0.5 - abs(offset) / eta, 0.0)
    return np.where(offset > 0.0, 1.0 - 4.0 * depth**3, 4.0 * depth**3), 12.0 * depth**2 / eta


def criterion(x, y, a, u, activation, eta):
    values, _ = features(x, u, activation, eta)
    return np.linalg.norm((a * values).sum(axis=(1, 2)) - y) / y.size


def dense_descent(x, y, a, u, *, activation, epsilon, step, eta, n_epochs):
    for _ in range(n_epochs):
        values, slopes = features(x, u, activation, eta)
        residual = (a * values).sum(axis=(1, 2)) - y
        direction = residual / (y.size * np.linalg.norm(residual))
        by_a = np.einsum("i,ijk->jk", direction, values)
        by_u = -a * np.einsum("i,ijk->jk", direction, slopes)
        a, u = a - step * by_a, u - step * epsilon * by_u
    return a, u


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    m=st.integers(1, 6),
    d=st.integers(1, 4),
    eta=st.sampled_from([1e-4, 0.05, 3.0]),
    epsilon=st.sampled_from([1e-3, 0.3]),
    activation=st.sampled_from(["step", "relu"]),
)
def test_sorted_sums_are_those_of_all_neurons_at_all_points(seed, m, d, eta, epsilon, activation):
    rng = np.random.default_rng(seed)
    x, a, u = rng.random((50, d)), rng.normal(size=(m, d)), rng.uniform(-0.5, 1.5, (m, d))
    # Equal coordinates, within the data and between points and neurons.
    x[10:20] = x[0]
    u[0] = x[0]
    y = TARGETS[activation](x) + rng.normal(size=50)
    options = {"activation": activation, "epsilon": epsilon, "step": 0.1, "eta": eta}
    expected = dense_descent(x, y, a, u, n_epochs=30, **options)
    run = additive_descent(x, y, a, u, n_epochs=30, **options)
    np.testing.assert_allclose(run.weights[-1], expected[0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(run.positions[-1], expected[1], rtol=0, atol=1e-9)
    assert run.criteria[-1] == pytest.approx(criterion(x, y, *expected, activation, eta), rel=1e-9)


@pytest.mark.parametrize("activation", ["step", "relu"])
def test_an_epoch_moves_along_the_gradient_of_the_criterion(activation):
    y, eta, difference = TARGETS[activation](X), 0.2, 1e-6
    options = {"activation": activation, "eta": eta, "step": 1e-3, "epsilon": 0.5}
    run = additive_descent(X, y, A0, U0, n_epochs=1, **options)
    moves = np.diff(run.weights, axis=0)[0] / -1e-3, np.diff(run.positions, axis=0)[0] / -5e-4
    for which, move in enumerate(moves):
        for index in np.ndindex(A0.shape):
            values = []
            for sign in (1.0, -1.0):
                state = [A0.copy(), U0.copy()]
                state[which][index] += sign * difference
                values.append(criterion(X, y, *state, activation, eta))
            # Central differences; ReLU has no derivative where a point meets a neuron.
            slope = (values[0] - values[1]) / (2.0 * difference)
            assert move[index] == pytest.approx(slope, abs=1e-7)


def test_the_criterion_decreases_at_first_by_the_square_of_its_gradient():
    y, losses = additive_target(X), []
    steps = [1e-2, 1e-3, 1e-4]
    for step in steps:
        run = additive_descent(X, y, A0, U0, eta=0.3, step=step, epsilon=0.5, n_epochs=1)
        by_a = (np.diff(run.weights, axis=0) / step) ** 2
        by_u = (np.diff(run.positions, axis=0) / step) ** 2 / 0.5
        predicted = step * (by_a.sum() + by_u.sum())
        losses.append(abs(run.criteria[0] - run.criteria[1] - predicted))
    np.testing.assert_allclose(np.diff(np.log10(losses)), -2.0, atol=0.1)


def test_copies_are_runs_of_their_own():
    rng = np.random.default_rng(4)
    x, a, u = rng.random((100, 2, 3)), rng.normal(size=(5, 2, 3)), rng.random((5, 2, 3))
    y = additive_target(x)
    assert y.shape == (100, 3)
    together = additive_descent(x, y, a, u, epsilon=0.1, n_epochs=50, record=[0, 7, 50])
    assert together.criteria.shape == (3, 3)
    for copy in range(3):
        data = (array[..., copy] for array in (x, y, a, u))
        alone = additive_descent(*data, epsilon=0.1, n_epochs=50, record=50)
        np.testing.assert_array_equal(together.epochs, alone.epochs[[0, 7, 50]])
        np.testing.assert_array_equal(together.weights[..., copy], alone.weights[[0, 7, 50]])
        np.testing.assert_array_equal(together.positions[..., copy], alone.positions[[0, 7, 50]])
        np.testing.assert_array_equal(together.criteria[:, copy], alone.criteria[[0, 7, 50]])


def test_the_start_is_left_alone_and_read_first():
    a, u = A0.copy(), U0.copy()
    run = additive_descent(X, additive_target(X), a, u, epsilon=1.0, n_epochs=10)
    np.testing.assert_array_equal(a, A0)
    np.testing.assert_array_equal(u, U0)
    np.testing.assert_array_equal(run.weights[0], A0)
    np.testing.assert_array_equal(run.positions[0], U0)


def test_a_perfect_fit_stays():
    run = additive_descent(X, np.zeros(200), np.zeros((4, 3)), U0, epsilon=1.0, n_epochs=20)
    assert (run.criteria == 0.0).all()
    np.testing.assert_array_equal(run.weights[-1], np.zeros((4, 3)))
    np.testing.assert_array_equal(run.positions[-1], U0)


def test_targets_are_their_formulas():
    expected = sum((X > v).sum(axis=1) for v in (0.3, 0.5, 0.7))
    np.testing.assert_array_equal(additive_target(X), expected)
    np.testing.assert_array_equal(additive_target(X, [0.1]), (X > 0.1).sum(axis=1))
    x = np.array([[0.0], [0.3], [0.4], [0.6], [0.9]])
    np.testing.assert_allclose(relu_target(x), [0.0, 0.0, 0.1, 0.1, 0.4], atol=1e-15)
    np.testing.assert_allclose(relu_target(X), sum(relu_target(X[:, k : k + 1]) for k in range(3)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "n", "d", "medians"),
    [
        # Medians of twenty runs, read off the plots that the paper's authors published.
        ("step", 1000, 2, (0.0145, 0.0040)),
        ("relu", 1000, 1, (0.00155, 0.0004)),
        ("step", 10_000, 10, (0.0130, 0.0052)),
    ],
)
def test_two_time_scales_fit_better_in_the_experiments_of_the_appendix(target, n, d, medians):
    rng = np.random.default_rng(0)
    x = rng.random((n, d, 20))
    data = x, TARGETS[target](x), 3.0 * rng.random((10, d, 20)), rng.random((10, d, 20))
    for epsilon, n_epochs, published in ((1.0, 300, medians[0]), (0.01, 5000, medians[1])):
        run = additive_descent(*data, activation=target, epsilon=epsilon, n_epochs=n_epochs)
        # The middle half of the runs lies within ±25 % or so; a median of 20 varies by a quarter.
        assert np.median(run.criteria[-1]) == pytest.approx(published, rel=0.25)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": X[:, 0]}, r"x must have shape \(n, d\)"),
        ({"x": X[:0]}, "x must have shape"),
        ({"x": np.where(X > 0.5, np.inf, X)}, "x must be finite"),
        ({"y": np.zeros(199)}, r"y must have shape \(200,\) to go with x, got \(199,\)"),
        ({"a0": A0[:, :2]}, r"a0 must have shape \(m, 3\) to go with x"),
        ({"a0": A0[:0], "u0": U0[:0]}, "a0 must have shape"),
        ({"u0": U0[:3]}, r"u0 must have the shape \(4, 3\) of a0"),
        ({"y": np.full(200, 1e40)}, "y must be within"),
        ({"epsilon": 0.0}, "epsilon must be > 0"),
        ({"step": 0.0}, "step must be > 0"),
        ({"eta": -1.0}, "eta must be ≥ 1e-12"),
        ({"n_epochs": 0}, "n_epochs must be ≥ 1"),
        ({"activation": "tanh"}, "activation must be one of 'step', 'relu'"),
        ({"record": [0, 11]}, "record must be ≤ n_epochs = 10, got 11"),
    ],
)
def test_bad_input_is_named(change, message):
    options = {"x": X, "y": np.zeros(200), "a0": A0, "u0": U0, "epsilon": 0.1, "n_epochs": 10}
    with pytest.raises(ValueError, match=message):
        additive_descent(**{**options, **change})


def test_breakpoints_must_be_numbers():
    with pytest.raises(ValueError, match="breakpoints must be finite"):
        additive_target(X, [0.3, np.nan])
