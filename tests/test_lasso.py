"""The lasso path satisfies its optimality conditions and agrees with what others compute."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.linalg import circulant, hilbert
from scipy.optimize import linprog
from sklearn.datasets import load_diabetes
from sklearn.linear_model import lars_path

from inthelimit import ConvergenceError
from inthelimit.lasso import lasso_path
from inthelimit.quadratic import Quadratic


def gaussian(n, d, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=n)


def kkt_residual(problem, x, s, penalty=0.0, positive=False):
    """The distance of -∇l(x) from (λ + 1/s) ∂‖x‖₁, relative to λ + 1/s + max|∇l(0)|."""
    weight = penalty + 1.0 / s
    descent = problem.r - problem.M @ x
    scale = weight + np.abs(problem.r).max()
    if positive and x.min() < 0.0:
        return np.inf
    outside = (descent if positive else np.abs(descent)) - weight
    unit = np.sqrt(problem.M.diagonal())
    zero = np.abs(x) * unit * unit.max() <= 1e-12 * scale
    violation = np.where(zero, np.maximum(outside, 0.0), np.abs(descent - np.sign(x) * weight))
    return violation.max() / scale


def assert_optimal(path, tolerance=1e-9):
    """Check the conditions at all knots, between them, and far beyond."""
    knots = path.knots
    between = (knots[1:] + knots[:-1]) / 2
    beyond = [(knots[-1] + 1.0) * factor for factor in (1.1, 10.0, 1e4)]
    for s in (*knots[1:], *between, *beyond):
        residual = kkt_residual(path.problem, path.at(s), s, path.penalty, path.positive)
        assert residual < tolerance, s
    assert path.residual < tolerance


# ---------------------------------------------------------------- independent references


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize(
    ("n", "d", "seeds", "accuracy"),
    [(3, 4, range(50), 1e-12), (30, 12, range(5), 1e-12), (40, 80, range(3), 1e-10)],
)
def test_equals_scikit_learn(n, d, seeds, accuracy, positive):
    for seed in seeds:
        X, y = gaussian(n, d, seed)
        alphas, _, coefs = lars_path(X, y, method="lasso", positive=positive)
        path = lasso_path(Quadratic.from_data(X, y), positive=positive)
        kept = alphas > 1e-9 * alphas[0]
        s = 1.0 / (n * alphas[kept])
        coefs = coefs[:, kept].T
        scale = max(1e-3, np.abs(coefs).max())
        np.testing.assert_allclose(path.at(s), coefs, rtol=0, atol=accuracy * scale)
        np.testing.assert_allclose(path.knots[1:], s, rtol=1e-9)


def test_equals_scikit_learn_on_the_diabetes_data():
    X, y = load_diabetes(return_X_y=True)
    alphas, _, coefs = lars_path(X, y, method="lasso")
    path = lasso_path(Quadratic.from_data(X, y))
    kept = alphas > 1e-9 * alphas[0]
    np.testing.assert_allclose(path.at(1 / (len(y) * alphas[kept])), coefs[:, kept].T, atol=1e-9)


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_last_slope_is_the_interpolator_of_least_l1_norm(seed, positive):
    X, _ = gaussian(6, 15, seed)
    y = X @ np.maximum(np.random.default_rng(seed).normal(size=15), 0.0)
    path = lasso_path(Quadratic.from_data(X, y), positive=positive)
    if positive:
        best = linprog(np.ones(15), A_eq=X, b_eq=y, bounds=(0, None)).x
    else:
        halves = linprog(np.ones(30), A_eq=np.hstack([X, -X]), b_eq=y, bounds=(0, None)).x
        best = halves[:15] - halves[15:]
    np.testing.assert_allclose(path.final_slope, best, atol=1e-9)


def test_objective_is_below_that_of_any_other_point():
    X, y = gaussian(5, 8, 0)
    path = lasso_path(Quadratic.from_data(X, y), penalty=0.2)
    rng = np.random.default_rng(1)
    for s in (0.5, 2.0, 20.0):
        x = path.at(s) + rng.normal(size=(200, 8)) * 10.0 ** rng.uniform(-6, 0, size=(200, 1))
        others = 0.5 * ((x @ X.T - y) ** 2).sum(axis=1) + (0.2 + 1 / s) * np.abs(x).sum(axis=1)
        assert path.objective(s) <= others.min()
        x = path.at(s)
        own = 0.5 * ((X @ x - y) ** 2).sum() + (0.2 + 1 / s) * np.abs(x).sum()
        assert path.objective(s) == pytest.approx(own, rel=1e-12)


# ---------------------------------------------------------------- closed forms


def test_first_knot_is_one_over_the_largest_correlation():
    for seed in range(20):
        problem = Quadratic.from_data(*gaussian(3, 4, seed))
        first = lasso_path(problem).knots[1]
        assert first == pytest.approx(1 / np.abs(problem.r).max(), rel=1e-12)
        first = lasso_path(problem, penalty=0.1).knots[1]
        assert first == pytest.approx(1 / (np.abs(problem.r).max() - 0.1), rel=1e-12)


@pytest.mark.parametrize("penalty", [0.0, 0.3])
def test_orthogonal_design_soft_thresholds(penalty):
    r, m = np.array([1.0, -0.8, 0.8, 0.35, 0.0]), np.array([1.0, 2.0, 4.0, 1.0, 3.0])
    path = lasso_path(Quadratic(np.diag(m), r), penalty=penalty)
    s = np.linspace(0.1, 50.0, 500)
    expected = np.sign(r) * np.maximum(np.abs(r) - penalty - 1 / s[:, None], 0.0) / m
    np.testing.assert_allclose(path.at(s), expected, atol=1e-14)
    assert path.is_monotone()


def test_two_by_two_path_that_turns_back():
    path = lasso_path(Quadratic([[1.0, 0.9], [0.9, 0.85]], [1.0, 0.99]), positive=True)
    last = 1.25 / 1.025
    np.testing.assert_allclose(path.knots, [0.0, 1.0, 10 / 9, last], rtol=1e-12)
    s = np.array([0.5, 1.05, 1.15, 5.0])
    expected = [[0, 0], [0.05, 0], [1.25 - 1.025 * 1.15, 2.25 * 1.15 - 2.5], [0, 3.95 / 0.85]]
    np.testing.assert_allclose(path.z_at(s), expected, atol=1e-12)
    np.testing.assert_array_equal(path.support_sizes(), [0, 0, 1, 1])
    assert not path.is_monotone()


@pytest.mark.parametrize("positive", [False, True])
def test_three_by_three_stieltjes_path(positive):
    M = [[2.0, -1.0, 0.0], [-1.0, 2.0, -1.0], [0.0, -1.0, 2.0]]
    path = lasso_path(Quadratic(M, [1.0, 0.5, -0.25]), positive=positive)
    np.testing.assert_allclose(path.knots, [0.0, 1.0, 1.5, 4.8], rtol=1e-12)
    slopes = np.diff(path.z, axis=0) / np.diff(path.knots)[:, None]
    expected = [[0, 0, 0], [1 / 2, 0, 0], [5 / 6, 2 / 3, 0]]
    np.testing.assert_allclose(slopes, expected, atol=1e-12)
    np.testing.assert_allclose(path.final_slope, [15 / 16, 7 / 8, 5 / 16], rtol=1e-12)
    assert path.is_monotone()


def test_monotone_paths_are_as_frequent_as_they_should_be():
    rng = np.random.default_rng(0)
    draws = 6000
    signed = one_sided = 0
    for _ in range(draws):
        problem = Quadratic.from_data(rng.normal(size=(3, 4)), rng.normal(size=3))
        signed += lasso_path(problem).is_monotone()
        one_sided += lasso_path(problem, positive=True).is_monotone()
    assert signed / draws == pytest.approx(0.746, abs=0.02)
    assert one_sided / draws == pytest.approx(0.874, abs=0.02)


def test_last_knots_of_the_published_law():
    rng = np.random.default_rng(0)
    last, monotone = [], []
    for _ in range(12):
        X, y = rng.normal(size=(3, 4)), rng.normal(size=3)
        path = lasso_path(Quadratic.from_data(X, y))
        last.append(path.knots[-1])
        monotone.append(path.is_monotone())
    which = [0, 2, 3, 4, 1, 8, 10, 11]
    expected = [2.44, 7.19, 1.37, 1.22, 16.81, 8.87, 5.90, 2.27]
    np.testing.assert_allclose(np.array(last)[which], expected, atol=0.01)
    assert [monotone[i] for i in which] == [True] * 4 + [False] * 4


# ---------------------------------------------------------------- optimality, degenerate or not


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("penalty", [0.0, 0.5])
def test_hundreds_of_knots_do_not_drift(positive, penalty):
    path = lasso_path(
        Quadratic.from_data(*gaussian(120, 240, 0)), positive=positive, penalty=penalty
    )
    assert path.knots.size > 100
    assert_optimal(path, 1e-12)


@settings(max_examples=300, deadline=None)
@given(
    X=arrays(
        np.float64,
        st.tuples(st.integers(1, 7), st.integers(1, 9)),
        elements=st.integers(-2, 2).map(float),
    ),
    seed=st.integers(0, 2**32 - 1),
    positive=st.booleans(),
    penalty=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    spread=st.sampled_from([0, 0, 2]),
)
def test_integer_data_full_of_ties_and_dependent_columns(X, seed, positive, penalty, spread):
    rng = np.random.default_rng(seed)
    y = rng.integers(-2, 3, size=X.shape[0]).astype(float)
    X = X * 10.0 ** rng.integers(-spread, spread + 1, size=X.shape[1])
    path = lasso_path(Quadratic.from_data(X, y), positive=positive, penalty=penalty)
    assert_optimal(path)
    assert (np.diff(path.knots) > 0.0).all()
    assert path.knots.size < 200
    assert (path.z[:, ~X.any(axis=0)] == 0.0).all()


@pytest.mark.parametrize("d", [2, 5, 40])
def test_full_symmetry_makes_one_knot(d):
    ring = np.zeros(d)
    ring[0] = 3.0
    ring[1] -= 1.0
    ring[-1] -= 1.0
    for M in (np.eye(d), circulant(ring), np.full((d, d), 0.9) + 0.1 * np.eye(d)):
        path = lasso_path(Quadratic(M, np.ones(d)))
        np.testing.assert_allclose(path.knots, [0.0, 1.0], rtol=1e-15)
        np.testing.assert_allclose(path.final_slope, 1 / M[0].sum(), rtol=1e-12)
        assert path.is_monotone()


def test_tie_that_only_one_coordinate_survives():
    # Both reach their bound at s = 1; entering together would need z₂ < 0.
    path = lasso_path(Quadratic([[1.0, 2.0], [2.0, 5.0]], [1.0, 1.0]), positive=True)
    np.testing.assert_allclose(path.knots, [0.0, 1.0])
    np.testing.assert_allclose(path.final_slope, [1.0, 0.0], atol=1e-15)
    assert_optimal(path)


@pytest.mark.parametrize("signs", [(1.0, 1.0), (1.0, -1.0)])
def test_equal_and_opposite_columns_share_the_path_of_one(signs):
    X, y = gaussian(20, 6, 3)
    alone = lasso_path(Quadratic.from_data(X, y))
    twice = lasso_path(Quadratic.from_data(np.hstack([X * signs[0], X * signs[1]]), y))
    assert_optimal(twice)
    np.testing.assert_allclose(twice.knots, alone.knots, rtol=1e-10)
    s = np.linspace(0.01, 2 * alone.knots[-1], 50)
    merged = twice.at(s) @ np.kron(np.array(signs)[:, None], np.eye(6))
    np.testing.assert_allclose(merged, alone.at(s), atol=1e-10)


def test_dependent_columns_stop_at_the_rank():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(50, 5)) @ rng.normal(size=(5, 100))
    path = lasso_path(Quadratic.from_data(X, rng.normal(size=50)))
    assert_optimal(path)
    assert path.support_sizes().max() <= 5
    assert path.knots[-1] < 1e6


def test_zero_columns_never_enter():
    X, y = gaussian(6, 4, 5)
    padded = lasso_path(Quadratic.from_data(np.insert(X, 2, 0.0, axis=1), y))
    plain = lasso_path(Quadratic.from_data(X, y))
    np.testing.assert_array_equal(padded.z[:, 2], 0.0)
    np.testing.assert_allclose(np.delete(padded.z, 2, axis=1), plain.z, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("problem", "options"),
    [
        (Quadratic(np.eye(3), np.zeros(3)), {}),
        (Quadratic(np.eye(3), -np.ones(3)), {"positive": True}),
        (Quadratic(np.eye(3), [0.5, -0.2, 0.1]), {"penalty": 0.5}),
        (Quadratic(np.zeros((2, 2)), np.zeros(2)), {}),
        (Quadratic([[1.0]], [1e-310]), {}),
    ],
)
def test_nothing_ever_enters(problem, options):
    path = lasso_path(problem, **options)
    np.testing.assert_array_equal(path.knots, [0.0])
    np.testing.assert_array_equal(path.at([1e-3, 1e3, 1e300]), 0.0)
    assert path.is_monotone()
    assert path.objective(7.0) == problem.constant


def test_one_sample_uses_its_cheapest_column():
    path = lasso_path(Quadratic.from_data([[1.0, -2.0, 0.0]], [3.0]))
    np.testing.assert_allclose(path.at(10.0), [0.0, -(6.0 - 0.1) / 4.0, 0.0], rtol=1e-14)


def test_near_singular_problems_are_solved_or_refused():
    rng = np.random.default_rng(6)
    outcomes = set()
    for k in range(1, 12):
        X = rng.normal(size=(20, 10))
        X = np.hstack([X, X + 10.0**-k * rng.normal(size=X.shape)])
        try:
            path = lasso_path(Quadratic.from_data(X, rng.normal(size=20)))
        except ConvergenceError:
            outcomes.add("refused")
        else:
            assert_optimal(path, 2e-9)
            outcomes.add("solved")
    assert outcomes == {"solved", "refused"}


def test_lost_accuracy_is_an_error_that_says_where():
    y = np.random.default_rng(0).normal(size=20)
    with pytest.raises(ConvergenceError, match=r"lost accuracy by s = \d.* Stop earlier"):
        lasso_path(Quadratic.from_data(hilbert(20), y))


@pytest.mark.parametrize(
    ("M", "r"),
    [
        (np.diag([1e-300, 1.0]), [1e10, 1.0]),
        # r leaves the range by 1e-7, which the door lets in as rounding: there is no last ray.
        (np.ones((2, 2)), [1.0, 1.0 + 1e-7]),
    ],
)
def test_a_path_without_an_end_is_an_error(M, r):
    with pytest.raises(ConvergenceError, match="lost accuracy"):
        lasso_path(Quadratic(M, r))


# ---------------------------------------------------------------- invariances


@pytest.mark.parametrize("penalty", [0.0, 0.4])
def test_signs_order_and_scale_carry_over(penalty):
    X, y = gaussian(10, 15, 7)
    path = lasso_path(Quadratic.from_data(X, y), penalty=penalty)
    s = np.linspace(0.05, 1.5 * path.knots[-1], 40)
    rng = np.random.default_rng(8)
    flip, order = rng.choice([-1.0, 1.0], size=15), rng.permutation(15)
    flipped = lasso_path(Quadratic.from_data(X * flip, y), penalty=penalty)
    np.testing.assert_allclose(flipped.at(s), path.at(s) * flip, atol=1e-11)
    permuted = lasso_path(Quadratic.from_data(X[:, order], y), penalty=penalty)
    np.testing.assert_allclose(permuted.at(s), path.at(s)[:, order], atol=1e-11)
    scaled = lasso_path(Quadratic.from_data(X, 1e9 * y), penalty=1e9 * penalty)
    np.testing.assert_allclose(scaled.knots, 1e-9 * path.knots, rtol=1e-9)
    np.testing.assert_allclose(scaled.at(1e-9 * s), 1e9 * path.at(s), rtol=1e-9, atol=1e-2)


def test_penalty_only_changes_the_clock():
    # (λ + 1/s) is the weight 1/u of the plain lasso at u = s/(1 + λ s).
    problem = Quadratic.from_data(*gaussian(10, 15, 9))
    s = np.linspace(0.05, 30.0, 100)
    penalised, plain = lasso_path(problem, penalty=0.4), lasso_path(problem)
    np.testing.assert_allclose(penalised.at(s), plain.at(s / (1 + 0.4 * s)), atol=1e-11)


def test_positive_path_is_the_signed_path_where_that_is_positive():
    X, _ = gaussian(50, 4, 10)
    problem = Quadratic.from_data(X, X @ [1.0, 2.0, 3.0, 4.0])
    s = np.linspace(0.001, 5.0, 100)
    expected = lasso_path(problem).at(s)
    assert expected.min() >= 0.0
    np.testing.assert_allclose(lasso_path(problem, positive=True).at(s), expected, atol=1e-12)


# ---------------------------------------------------------------- the result and the door


def test_evaluation_follows_the_shape_of_s():
    path = lasso_path(Quadratic.from_data(*gaussian(5, 8, 11)))
    s = np.array([[0.3, 3.0, 7.0], [1.0, 2.0, 900.0]])
    assert path.at(s).shape == path.z_at(s).shape == (2, 3, 8)
    assert path.objective(s).shape == (2, 3)
    np.testing.assert_array_equal(path.at(s)[1, 2], path.at(900.0))
    assert path.objective(3.0) == pytest.approx(path.objective(s)[0, 1], rel=1e-14)
    np.testing.assert_array_equal(path.z_at(path.knots), path.z)
    np.testing.assert_array_equal(path.z_at(0.0), np.zeros(8))
    with pytest.raises(ValueError, match="read-only"):
        path.z[0] = 1.0


def test_extreme_s_gives_finite_answers():
    path = lasso_path(Quadratic(np.eye(2), [1e3, 1e-3], 1.0))
    np.testing.assert_array_equal(path.at(1e-320), 0.0)
    assert path.objective(1e-320) == 1.0
    np.testing.assert_allclose(path.at(1e307), [1e3, 1e-3])


def test_rounding_does_not_count_as_turning_back():
    # The last column ties with the first two and then has slope 0 but for rounding.
    X = [[0, -1, 1, 0], [-1, 1, 1, 0], [0, 0, 0, 1], [1, -1, 0, 0], [-1, 1, -1, 1], [-1, 0, 1, 1]]
    y = np.array([1, 0, -1, 1, 1, 1])
    assert lasso_path(Quadratic.from_data(np.array(X) / 7, y / 7)).is_monotone()


def test_rounding_does_not_make_late_knots():
    # On the last ray two coordinates have slope 0 but for rounding.
    X = [[-2, 2, 3, 3, -3, -2, -2], [3, 2, -3, -1, -2, 0, 2], [0, -3, 3, 1, 2, 2, 0]]
    path = lasso_path(Quadratic.from_data([*X, [2, -2, -3, 3, -1, -2, 0]], [3, -2, -1, 1]))
    assert path.knots.size == 5
    assert path.knots[-1] < 10.0


def test_a_path_cut_short_is_the_start_of_the_whole_one():
    problem = Quadratic.from_data(*gaussian(20, 30, 12))
    whole, part = lasso_path(problem), lasso_path(problem, max_knots=7)
    np.testing.assert_array_equal(part.knots, whole.knots[:7])
    np.testing.assert_array_equal(part.z, whole.z[:7])
    slope = (whole.z[7] - whole.z[6]) / (whole.knots[7] - whole.knots[6])
    np.testing.assert_allclose(part.final_slope, slope, rtol=1e-9, atol=1e-9)
    assert part.end == part.knots[-1]
    np.testing.assert_array_equal(part.at(part.end), whole.at(part.end))
    with pytest.raises(ValueError, match=r"s must be ≤ .* cut short .* max_knots = 7"):
        part.at(part.end * 1.001)
    assert "complete" in whole.status
    assert whole.end == np.inf
    same = lasso_path(problem, max_knots=whole.knots.size)
    assert same.end == np.inf


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"penalty": -1.0}, "penalty must be ≥ 0, got -1.0"),
        ({"penalty": np.nan}, "penalty must be finite, got nan"),
        ({"max_knots": 0}, "max_knots must be ≥ 1, got 0"),
        ({"max_knots": 2.5}, "max_knots must be an integer, got 2.5"),
    ],
)
def test_bad_options_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        lasso_path(Quadratic(np.eye(2), np.ones(2)), **options)


@pytest.mark.parametrize(
    ("method", "s", "message"),
    [
        ("at", 0.0, "s must be > 0, got 0.0"),
        ("at", [1.0, -2.0], "s must be > 0, got -2.0"),
        ("objective", 0.0, "s must be > 0, got 0.0"),
        ("z_at", -1.0, "s must be ≥ 0, got -1.0"),
        ("z_at", np.nan, "s must be finite, got nan"),
        ("at", np.inf, "s must be finite, got inf"),
    ],
)
def test_bad_evaluation_points_are_refused_by_name(method, s, message):
    path = lasso_path(Quadratic(np.eye(2), np.ones(2)))
    with pytest.raises(ValueError, match=message):
        getattr(path, method)(s)


def test_plain_python_gives_the_same_path():
    code = """
import sys
sys.modules["numba"] = None
import numpy as np
from inthelimit.lasso import lasso_path
from inthelimit.quadratic import Quadratic
rng = np.random.default_rng(13)
path = lasso_path(Quadratic.from_data(rng.normal(size=(12, 20)), rng.normal(size=12)))
print(path.knots.size, repr(float(path.knots[-1])), path.residual < 1e-12)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    knots, last, accurate = run.stdout.split()
    path = lasso_path(Quadratic.from_data(*gaussian(12, 20, 13)))
    assert int(knots) == path.knots.size
    assert float(last) == pytest.approx(path.knots[-1], rel=1e-12)
    assert accurate == "True"
