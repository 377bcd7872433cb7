"""The limit ε → 0 of diagonal linear networks: closed forms, optimality, independent solvers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linprog, nnls

from inthelimit import ConvergenceError
from inthelimit.diagonal import StaircasePath, diagonal_limit, incremental_path
from inthelimit.lasso import lasso_path
from inthelimit.quadratic import Quadratic

CHAIN = Quadratic([[2, -1, 0], [-1, 2, -1], [0, -1, 2]], [1, 1 / 2, -1 / 4])
TOY = Quadratic([[1.0, 0.9], [0.9, 0.85]], [1.0, 0.99])


def gaussian(rng, n=3, d=4):
    return rng.standard_normal((n, d)), rng.standard_normal(n)


def stieltjes(rng, d):
    W = np.triu(rng.uniform(size=(d, d)) * (rng.uniform(size=(d, d)) < 0.5), k=1)
    W = W + W.T
    M = np.diag(W.sum(axis=1) + rng.uniform(0.25, 0.75, size=d)) - W
    return Quadratic(M, rng.uniform(-0.5, 1.0, size=d))


def assert_solves_the_limit_problem(problem, path: StaircasePath, tolerance=1e-8):
    """Check the definition: obstacle, complementarity, and that each plateau is the minimiser."""
    M, r = problem.M, problem.r
    size = np.abs(r).max() + 1.0
    assert path.knots[0] == 0.0
    assert (np.diff(path.knots) > 0).all()
    assert path.residual < tolerance
    for k, (start, x) in enumerate(zip(path.knots, path.plateaus, strict=True)):
        wall = 1.0 + path.penalty * start
        rho = start * r - M @ path.z[k]
        np.testing.assert_allclose(path.rho[k], rho, atol=tolerance * wall)
        slope = r - M @ x
        for q in (1.0, -1.0) if path.parametrization == "uv" else (1.0,):
            assert (q * rho <= wall * (1 + tolerance)).all()
            tight = q * rho >= wall * (1 - tolerance)
            # Nothing tight is pushed through the wall, and only what is tight is on.
            assert (q * slope[tight] - path.penalty <= tolerance * size).all()
            assert not (q * x[~tight] > 0).any()
        on = x != 0
        assert np.allclose(slope[on], path.penalty * np.sign(x[on]), atol=tolerance * size)
    if path.parametrization == "uu":
        assert path.plateaus.min() >= 0.0


# --- closed forms --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "solve", [incremental_path, lambda p: diagonal_limit(p, parametrization="uu")]
)
def test_chain_in_exact_fractions(solve):
    path = solve(CHAIN)
    plateaus = [[0, 0, 0], [1 / 2, 0, 0], [5 / 6, 2 / 3, 0], [15 / 16, 7 / 8, 5 / 16]]
    np.testing.assert_allclose(path.knots, [0, 1, 3 / 2, 24 / 5], rtol=1e-14)
    np.testing.assert_allclose(path.plateaus, plateaus, atol=1e-14)
    losses = CHAIN.value(path.plateaus)
    np.testing.assert_allclose(losses, [0, -1 / 4, -7 / 12, -83 / 128], atol=1e-14)
    assert path.deactivations == ()
    assert path.status == "complete: 3 knots after s = 0, 3 coordinates on at the end"


def test_toy_is_switched_off_and_stays_frozen():
    path = diagonal_limit(TOY, parametrization="uu")
    np.testing.assert_allclose(path.knots, [0, 1, 10 / 9], rtol=1e-12)
    np.testing.assert_allclose(path.plateaus, [[0, 0], [1, 0], [0, 0.99 / 0.85]], atol=1e-12)
    assert path.deactivations == ((2, 0),)
    s = np.array([10 / 9, 2.0, 50.0])
    np.testing.assert_allclose(path.z_at(s)[:, 0], 1 / 9, rtol=1e-12)
    # Where the recursion, out of its scope, would go.
    with pytest.raises(ValueError, match=r"M\[0, 1\] = 0\.9 must be ≤ 0"):
        incremental_path(TOY)


@pytest.mark.parametrize("parametrization", ["uv", "uu"])
def test_diagonal_matrix_decouples(parametrization):
    r = np.array([1.0, -2.0, 0.5, 0.0])
    m = np.array([2.0, 1.0, 0.5, 3.0])
    path = diagonal_limit(Quadratic(np.diag(m), r), parametrization=parametrization)
    s = np.linspace(0.01, 5, 101)[:, None]
    on = np.abs(r) * s > 1
    if parametrization == "uu":
        on &= r > 0
    np.testing.assert_allclose(path.at(s[:, 0]), np.where(on, r / m, 0), atol=1e-13)
    shrunk = np.sign(r) * (np.abs(r) - 1 / s) / m
    np.testing.assert_allclose(path.average_at(s[:, 0]), np.where(on, shrunk, 0), atol=1e-13)


@pytest.mark.parametrize("r2", [0.5, -0.1, -0.6])
def test_two_anticorrelated_features(r2):
    c = 0.4
    path = incremental_path(Quadratic([[1, -c], [-c, 1]], [1, r2]))
    if r2 > -c:
        np.testing.assert_allclose(path.knots, [0, 1, (1 + c) / (r2 + c)], rtol=1e-13)
        np.testing.assert_allclose(path.plateaus[-1] * (1 - c**2), [1 + c * r2, r2 + c], rtol=1e-13)
    else:
        np.testing.assert_allclose(path.knots, [0, 1])


@pytest.mark.parametrize("penalty", [0.0, 0.4, 1.0])
def test_one_coordinate_with_weight_decay(penalty):
    path = diagonal_limit(Quadratic([[2.0]], [-1.0]), penalty=penalty)
    if penalty < 1:
        np.testing.assert_allclose(path.knots, [0, 1 / (1 - penalty)])
        np.testing.assert_allclose(path.plateaus[-1], [-(1 - penalty) / 2])
    else:
        assert path.knots.tolist() == [0.0]


@pytest.mark.parametrize("solve", [incremental_path, diagonal_limit])
def test_nothing_to_learn(solve):
    path = solve(Quadratic(np.eye(3), np.zeros(3)))
    assert path.knots.tolist() == [0.0]
    assert not path.plateaus.any()
    assert not path.average_at([0.0, 7.0]).any()


# --- the definition, on ordinary and on degenerate data ------------------------------------------


@pytest.mark.parametrize("penalty", [0.0, 0.3])
@pytest.mark.parametrize("parametrization", ["uv", "uu"])
@pytest.mark.parametrize(("n", "d"), [(3, 4), (6, 3), (8, 20), (30, 30)])
def test_solves_the_limit_problem(n, d, parametrization, penalty):
    rng = np.random.default_rng(n * d)
    for _ in range(10):
        problem = Quadratic.from_data(*gaussian(rng, n, d))
        path = diagonal_limit(problem, parametrization=parametrization, penalty=penalty)
        assert_solves_the_limit_problem(problem, path)


@given(
    data=st.data(),
    n=st.integers(1, 5),
    d=st.integers(1, 6),
    parametrization=st.sampled_from(["uv", "uu"]),
    penalty=st.sampled_from([0.0, 0.25, 1.0, 1 / 3]),
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_ties_duplicates_and_singular_matrices(data, n, d, parametrization, penalty):
    small = st.integers(-2, 2)
    X = data.draw(hnp.arrays(np.int64, (n, d), elements=small))
    y = data.draw(hnp.arrays(np.int64, (n,), elements=small))
    problem = Quadratic.from_data(X, y)
    path = diagonal_limit(problem, parametrization=parametrization, penalty=penalty)
    assert_solves_the_limit_problem(problem, path)


def test_plateaus_minimise_among_the_tight_signs():
    rng = np.random.default_rng(5)
    for _ in range(30):
        X, y = gaussian(rng)
        problem = Quadratic.from_data(X, y)
        path = diagonal_limit(problem)
        for k in range(1, path.knots.size):
            tight = np.flatnonzero(np.abs(path.rho[k]) > 1 - 1e-9)
            signs = np.sign(path.rho[k][tight])
            _, distance = nnls(X[:, tight] * signs, y)
            np.testing.assert_allclose(problem.value(path.plateaus[k]), distance**2 / 2, atol=1e-10)


def test_duplicate_columns_leave_the_fit_unchanged():
    rng = np.random.default_rng(2)
    X, y = gaussian(rng, 5, 4)
    for penalty in (0.0, 0.2):
        once = diagonal_limit(Quadratic.from_data(X, y), penalty=penalty)
        twice = diagonal_limit(Quadratic.from_data(np.hstack([X, X]), y), penalty=penalty)
        s = np.linspace(0, 2 * once.knots[-1], 50)
        np.testing.assert_allclose(twice.rho_at(s)[:, :4], once.rho_at(s), atol=1e-10)
        np.testing.assert_allclose(twice.at(s)[:, :4] + twice.at(s)[:, 4:], once.at(s), atol=1e-10)


def test_dependent_columns_with_weight_decay_trade_places():
    # x₂ does the work of x₀ + x₁ at half the ℓ¹ price, but is tight later, when M is singular.
    rng = np.random.default_rng(0)
    for _ in range(20):
        X = rng.standard_normal((5, 3))
        X[:, 2] = X[:, 0] + X[:, 1]
        X[:, :2] *= rng.uniform(0.5, 1.5, size=2)
        problem = Quadratic.from_data(X, rng.standard_normal(5))
        for penalty in (0.0, 0.2):
            path = diagonal_limit(problem, penalty=penalty)
            assert_solves_the_limit_problem(problem, path)
            assert np.count_nonzero(path.plateaus, axis=1).max() <= 2
            assert np.abs(path.plateaus).max() < 100


@pytest.mark.parametrize("penalty", [0.1, 1.0])
def test_weight_decay_ends_at_the_penalised_solution(penalty):
    rng = np.random.default_rng(11)
    for _ in range(20):
        problem = Quadratic.from_data(*gaussian(rng))
        x = diagonal_limit(problem, penalty=penalty).plateaus[-1]
        slope = problem.r - problem.M @ x
        assert np.abs(slope).max() <= penalty + 1e-12
        np.testing.assert_allclose(slope @ x, penalty * np.abs(x).sum(), atol=1e-12)


# --- independent solvers -------------------------------------------------------------------------


def test_recursion_limit_process_and_lasso_agree_on_stieltjes_matrices():
    rng = np.random.default_rng(0)
    for _ in range(500):
        problem = stieltjes(rng, int(rng.integers(2, 12)))
        closed = incremental_path(problem)
        process = diagonal_limit(problem, parametrization="uu")
        lasso = lasso_path(problem, positive=True)
        for other in (process.knots, lasso.knots):
            np.testing.assert_allclose(closed.knots, other, rtol=1e-9)
        np.testing.assert_allclose(closed.plateaus, process.plateaus, atol=1e-9)
        s = np.linspace(0, 1.5 * closed.knots[-1] + 1, 23)
        np.testing.assert_allclose(closed.z_at(s), lasso.z_at(s), atol=1e-8, rtol=1e-9)

        assert (np.diff(closed.plateaus, axis=0) >= -1e-12).all()
        assert closed.knots.size <= problem.dimension + 1
        assert closed.deactivations == process.deactivations == ()
        assert closed.residual < 1e-10
        A = np.linalg.cholesky(problem.M).T
        end, _ = nnls(A, np.linalg.solve(A.T, problem.r))
        np.testing.assert_allclose(closed.plateaus[-1], end, atol=1e-9)
        # z_I = M_II⁻¹ (s r_I − 1) on the active set, and each loss drop is residual² / (2 Schur).
        I = np.flatnonzero(closed.plateaus[-1])
        late = closed.knots[-1] + 1.0
        z = np.linalg.solve(problem.M[np.ix_(I, I)], late * problem.r[I] - 1)
        np.testing.assert_allclose(closed.z_at(late)[I], z, atol=1e-8)


def test_loss_drops_are_squared_residuals_over_schur_complements():
    rng = np.random.default_rng(4)
    for _ in range(20):
        problem = stieltjes(rng, 6)
        path = incremental_path(problem)
        M, losses = problem.M, problem.value(path.plateaus)
        for k in range(1, path.knots.size):
            before = np.flatnonzero(path.plateaus[k - 1])
            (j,) = np.setdiff1d(np.flatnonzero(path.plateaus[k]), before)
            inner = np.linalg.solve(M[np.ix_(before, before)], M[before, j])
            schur = M[j, j] - M[before, j] @ inner
            drop = path.rho_slopes[k - 1][j] ** 2 / (2 * schur)
            np.testing.assert_allclose(losses[k - 1] - losses[k], drop, rtol=1e-8)


def agreement_with_the_lasso(seed, draws):
    """Count the draws, and those that are monotone; check that three notions are one."""
    rng = np.random.default_rng(seed)
    monotone = 0
    for _ in range(draws):
        problem = Quadratic.from_data(*gaussian(rng))
        path, lasso = diagonal_limit(problem), lasso_path(problem)
        s = np.linspace(0, 2 * max(path.knots[-1], lasso.knots[-1]) + 5, 400)
        equal = np.abs(path.z_at(s) - lasso.z_at(s)).max() < 1e-7
        slopes = np.diff(lasso.z, axis=0)
        slopes = np.vstack([slopes, lasso.final_slope])
        turns = (slopes.max(axis=0) > 1e-9) & (slopes.min(axis=0) < -1e-9)
        assert equal == (not turns.any()) == (path.deactivations == ())
        monotone += equal
        np.testing.assert_allclose(path.plateaus[-1], lasso.final_slope, atol=1e-7)
    return monotone / draws


def test_equals_the_lasso_exactly_when_nothing_is_switched_off():
    assert agreement_with_the_lasso(1, 300) == pytest.approx(0.746, abs=0.08)


@pytest.mark.slow
def test_equals_the_lasso_exactly_when_nothing_is_switched_off_at_length():
    assert agreement_with_the_lasso(2, 2000) == pytest.approx(0.746, abs=0.03)


def test_ends_at_the_interpolator_of_least_l1_norm():
    rng = np.random.default_rng(3)
    for _ in range(50):
        X, y = gaussian(rng)
        path = diagonal_limit(Quadratic.from_data(X, y))
        best = linprog(np.ones(8), A_eq=np.hstack([X, -X]), b_eq=y, bounds=(0, None))
        np.testing.assert_allclose(path.plateaus[-1], best.x[:4] - best.x[4:], atol=1e-8)


def test_first_knot_is_one_over_the_largest_residual():
    rng = np.random.default_rng(8)
    for _ in range(20):
        problem = Quadratic.from_data(*gaussian(rng, 7, 9))
        assert diagonal_limit(problem).knots[1] == pytest.approx(1 / np.abs(problem.r).max())


# --- symmetries ----------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", [0.0, 0.3])
def test_permutations_signs_and_the_unit_of_time(penalty):
    rng = np.random.default_rng(6)
    for _ in range(20):
        X, y = gaussian(rng, 4, 6)
        path = diagonal_limit(Quadratic.from_data(X, y), penalty=penalty)
        s = np.linspace(0, 1.5 * path.knots[-1], 60)

        order, flip = rng.permutation(6), rng.choice([-1.0, 1.0], size=6)
        image = diagonal_limit(Quadratic.from_data(X[:, order] * flip, y), penalty=penalty)
        np.testing.assert_allclose(image.z_at(s), path.z_at(s)[:, order] * flip, atol=1e-9)
        assert len(image.deactivations) == len(path.deactivations)

        # c l with penalty c λ runs the same course c times as fast.
        c = 7.3
        faster = diagonal_limit(
            Quadratic.from_data(np.sqrt(c) * X, np.sqrt(c) * y), penalty=c * penalty
        )
        np.testing.assert_allclose(faster.knots, path.knots / c, rtol=1e-9)
        np.testing.assert_allclose(faster.plateaus, path.plateaus, atol=1e-9)


def test_signed_network_follows_the_positive_one_up_to_signature():
    rng = np.random.default_rng(9)
    for _ in range(20):
        problem = stieltjes(rng, 6)
        r = np.abs(problem.r)
        S = rng.choice([-1.0, 1.0], size=6)
        signed = diagonal_limit(Quadratic(S[:, None] * problem.M * S, S * r))
        positive = incremental_path(Quadratic(problem.M, r))
        np.testing.assert_allclose(signed.knots, positive.knots, rtol=1e-9)
        np.testing.assert_allclose(signed.plateaus, positive.plateaus * S, atol=1e-9)


def test_ties_join_together():
    M = np.kron(np.eye(2), CHAIN.M)
    for solve in (incremental_path, lambda p: diagonal_limit(p, parametrization="uu")):
        path = solve(Quadratic(M, np.tile(CHAIN.r, 2)))
        np.testing.assert_allclose(path.knots, [0, 1, 3 / 2, 24 / 5])
        np.testing.assert_allclose(path.plateaus[-1], np.tile([15 / 16, 7 / 8, 5 / 16], 2))


# --- reading a path ------------------------------------------------------------------------------


def test_reading_a_path_at_many_times():
    problem = Quadratic.from_data(*gaussian(np.random.default_rng(12)))
    for parametrization, dual_shape in (("uv", (2, 5, 2, 4)), ("uu", (2, 5, 4))):
        path = diagonal_limit(problem, parametrization=parametrization, penalty=0.1)
        s = np.linspace(0, 2 * path.knots[-1], 10).reshape(2, 5)
        assert path.at(s).shape == path.z_at(s).shape == path.rho_at(s).shape == (2, 5, 4)
        assert path.at(1.0).shape == (4,)
        np.testing.assert_allclose(path.average_at(s[1]) * s[1][:, None], path.z_at(s[1]))
        rho = s[..., None] * problem.r - path.z_at(s) @ problem.M
        np.testing.assert_allclose(path.rho_at(s), rho, atol=1e-12)
        assert path.dual_at(s).shape == dual_shape
        assert path.dual_at(s).min() > -1e-12
        # At a knot, the plateau that begins there.
        np.testing.assert_array_equal(path.at(path.knots), path.plateaus)
        np.testing.assert_array_equal(path.at(np.nextafter(path.knots[1:], 0)), path.plateaus[:-1])
        np.testing.assert_allclose(path.z_at(path.knots), path.z, atol=1e-15)
        # z is the integral of x.
        fine = np.linspace(0, path.knots[-1] + 1, 200_001)
        integral = np.cumsum(path.at(fine[:-1]), axis=0)[-1] * (fine[1] - fine[0])
        np.testing.assert_allclose(integral, path.z_at(fine[-1]), atol=1e-3)


def test_exponents_of_both_sides():
    path = diagonal_limit(Quadratic([[1.0]], [-1.0]), penalty=0.5)
    np.testing.assert_allclose(path.dual_at(1.0), [[2.5], [0.5]])
    path = diagonal_limit(Quadratic([[1.0]], [1.0]), penalty=0.5, parametrization="uu")
    np.testing.assert_allclose(path.dual_at(1.0), [0.5])


# --- wrong arguments -----------------------------------------------------------------------------


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match=r"parametrization must be one of 'uv', 'uu', got 'vu'"):
        diagonal_limit(TOY, parametrization="vu")
    with pytest.raises(ValueError, match=r"penalty must be ≥ 0, got -1"):
        diagonal_limit(TOY, penalty=-1.0)
    with pytest.raises(ValueError, match=r"penalty must be finite, got nan"):
        diagonal_limit(TOY, penalty=np.nan)
    path = diagonal_limit(TOY)
    for method in (path.at, path.z_at, path.average_at, path.rho_at, path.dual_at):
        with pytest.raises(ValueError, match=r"s must be ≥ 0, got -1"):
            method([0.0, -1.0])
        with pytest.raises(ValueError, match=r"s must be finite, got nan at index \(1,\)"):
            method([0.0, np.nan])


def test_recursion_names_what_is_not_stieltjes():
    M = np.eye(3)
    M[0, 2] = M[2, 0] = 0.9
    with pytest.raises(ValueError, match=r"M\[0, 2\] = 0\.9 must be ≤ 0"):
        incremental_path(Quadratic(M, np.ones(3)))
    with pytest.raises(ValueError, match=r"M must be positive definite, got smallest eigenvalue"):
        incremental_path(Quadratic([[1, -1], [-1, 1]], [1, -1]))


# --- nearly singular problems --------------------------------------------------------------------


def test_nearly_equal_columns_are_followed_or_refused_but_never_wrong():
    rng, refused = np.random.default_rng(5), 0
    for _ in range(600):
        n, d = rng.integers(2, 7, size=2)
        X, y = gaussian(rng, n, d)
        X[:, -1] = X[:, 0] + 1e-5 * rng.standard_normal(n)
        problem = Quadratic.from_data(X, y)
        try:
            path = diagonal_limit(problem)
        except ConvergenceError:
            refused += 1
            continue
        largest = np.abs(problem.r).max()
        rho = path.knots[:, None] * problem.r - path.z @ problem.M
        assert (np.abs(rho) - 1 <= 2e-9 * (1 + path.knots[:, None] * largest)).all()
        gradient = problem.gradient(path.plateaus)
        assert np.abs(gradient[path.plateaus != 0]).max(initial=0) <= 2e-9 * largest
        assert np.abs(gradient[-1]).max() <= 2e-9 * largest  # λ = 0: the end interpolates
    assert 0 < refused < 60


def test_a_stieltjes_matrix_that_is_nearly_singular_is_refused():
    W = np.ones((4, 4)) - np.eye(4)
    refused = 0
    for distance in 10.0 ** -np.arange(2, 15):
        try:
            problem = Quadratic(np.diag(W.sum(axis=1) + distance) - W, [1.0, 0.3, 0.2, 0.1])
            path = incremental_path(problem)
        except (ConvergenceError, ValueError):
            refused += 1
            continue
        largest = np.abs(problem.r).max()
        assert np.abs(problem.gradient(path.plateaus[-1])).max() <= 2e-9 * largest
    assert refused < 13
