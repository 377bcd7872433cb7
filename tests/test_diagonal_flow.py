"""Diagonal linear networks at finite ε: closed forms, the raw flow, the theorems' rates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.integrate import solve_ivp

from inthelimit import ConvergenceError, _cholesky, _rodas5p
from inthelimit.diagonal import (
    diagonal_flow,
    diagonal_limit,
    flow,
    incremental_path,
)
from inthelimit.lasso import lasso_path
from inthelimit.quadratic import Quadratic

CHAIN = Quadratic([[2, -1, 0], [-1, 2, -1], [0, -1, 2]], [1, 1 / 2, -1 / 4])
TOY = Quadratic([[1.0, 0.9], [0.9, 0.85]], [1.0, 0.99])


def paper_instance(index):
    """Draw number `index` of the law of the papers' figure: n = 3, d = 4, all Gaussian."""
    rng = np.random.default_rng(0)
    for _ in range(index + 1):
        X, y = rng.standard_normal((3, 4)), rng.standard_normal(3)
    return Quadratic.from_data(X, y)


def positive_closed_form(m, r, log_start, L, s):
    """Return x and z for d = 1, dx/ds = L x (r − m x), x(0) = e^log_start, at any L."""
    lift = log_start + np.log(m / abs(r))
    with np.errstate(divide="ignore"):
        rise = L * r * s + np.log(-np.expm1(-L * r * s))
    z = np.logaddexp(0, lift + rise) / (L * m)
    return np.exp(log_start + L * (s * r - m * z)), z


def signed_closed_form(m, r, a, b, L, s):
    """Return ρ for d = 1: q = e^(Lρ) solves dq/ds = L (r q − m ε a² q² + m ε b²), q(0) = 1."""
    eps = np.exp(-L)
    root = np.sqrt(r**2 + 4 * (m * eps * a * b) ** 2)
    # Each root of the quadratic by the formula that does not cancel.
    far = (abs(r) + root) / 2
    up = (
        far / (m * eps * a**2)
        if r > 0
        else m * eps * b**2 / (m * eps * a * m * eps * a) * 0 + (m * eps * b**2 / far)
    )
    down = -(b**2 / a**2) / up
    mix = (up - 1) / (1 - down) * np.exp(-L * root * s)
    return np.log((up + down * mix) / (1 + mix)) / L


def raw_flow(problem, s, L, u0, v0=None, penalty=0.0):
    """Integrate gradient flow in u, or in (u, v), in physical time t, and return x at s."""
    d = problem.dimension

    def positive(_, u):
        return -2 * u * (problem.gradient(u * u) + penalty)

    def signed(_, p):
        u, v = p[:d], p[d:]
        g = problem.gradient(u * v)
        return np.concatenate([-v * g - penalty * u, -u * g - penalty * v])

    root = np.exp(-L / 2)
    if v0 is None:
        rhs, start, t = positive, root * u0, s * L / 4
    else:
        rhs, start, t = signed, root * np.concatenate([u0, v0]), s * L / 2
    path = solve_ivp(
        rhs, (0, t[-1]), start, method="DOP853", t_eval=t, rtol=1e-12, atol=1e-15 * root
    ).y.T
    return path**2 if v0 is None else path[:, :d] * path[:, d:]


# --- closed forms --------------------------------------------------------------------------------


@pytest.mark.parametrize("L", [np.log(2), np.log(1e5), 46.0, 230.0, 1e4, 1e6])
def test_one_positive_coordinate(L):
    m, r, alpha = 2.0, 1.5, 0.7
    s = np.union1d(np.linspace(0, 3, 301), 1 / r + np.linspace(-30, 30, 101) / L)
    s = s[s >= 0]
    result = diagonal_flow(
        Quadratic([[m]], [r]), s, log_inverse_epsilon=L, parametrization="uu", alpha=alpha
    )
    x, z = positive_closed_form(m, r, 2 * np.log(alpha) - L, L, s)
    np.testing.assert_allclose(result.z[:, 0], z, atol=1e-9)
    layer = np.abs(s - 1 / r) < 40 / L
    np.testing.assert_allclose(result.x[~layer, 0], x[~layer], atol=1e-9)
    np.testing.assert_allclose(result.x[layer, 0], x[layer], atol=1e-8 * np.clip(L / 30, 1, 500))


@pytest.mark.parametrize("L", [0.1, np.log(2), np.log(1e5), 46.0, 230.0])
@pytest.mark.parametrize("r", [1.5, -0.8])
@pytest.mark.parametrize(("beta", "gamma"), [(1.0, 0.0), (0.3, 1.1), (-2.0, 0.5)])
def test_one_signed_coordinate(L, r, beta, gamma):
    s = np.linspace(0, 3, 200)
    m = 2.0
    result = diagonal_flow(Quadratic([[m]], [r]), s, log_inverse_epsilon=L, beta=beta, gamma=gamma)
    a, b = (beta + gamma) / 2, (beta - gamma) / 2
    rho = signed_closed_form(m, r, a, b, L, s)
    np.testing.assert_allclose(result.rho[:, 0], rho, atol=1e-9)
    np.testing.assert_allclose(result.z[:, 0], (s * r - rho) / m, atol=1e-9)


@pytest.mark.parametrize("parametrization", ["uv", "uu"])
@pytest.mark.parametrize("L", [300.0, 1e4])
def test_diagonal_matrix_decouples(parametrization, L):
    rng = np.random.default_rng(0)
    m, r = rng.uniform(0.2, 5, size=20), rng.normal(size=20)
    s = np.linspace(0, 20, 400)
    result = diagonal_flow(
        Quadratic(np.diag(m), r), s, log_inverse_epsilon=L, parametrization=parametrization
    )
    scale = 0.25 if parametrization == "uv" else 1.0
    x, z = positive_closed_form(m, np.abs(r), np.log(scale) - L, L, s[:, None])
    if parametrization == "uu":
        x, z = np.where(r > 0, x, 0), np.where(r > 0, z, 0)
    np.testing.assert_allclose(result.z, np.sign(r) * z, atol=2e-9)
    layer = np.abs(s[:, None] - 1 / np.abs(r)) * np.abs(r) < 40 / L
    np.testing.assert_allclose(result.x[~layer], (np.sign(r) * x)[~layer], atol=1e-9)


@pytest.mark.parametrize("L", [np.log(2), 46.0])
@pytest.mark.parametrize("penalty", [0.0, 0.7])
def test_a_coordinate_the_loss_ignores(L, penalty):
    problem = Quadratic([[1.0, 0.0], [0.0, 0.0]], [1.0, 0.0])
    s = np.linspace(0, 4, 50)
    result = diagonal_flow(problem, s, log_inverse_epsilon=L, beta=2.0, gamma=1.0, penalty=penalty)
    start = 2 * np.exp(-L)
    rate = L * penalty
    expected = start * (s if rate == 0 else -np.expm1(-rate * s) / rate)
    np.testing.assert_allclose(result.z[:, 1], expected, rtol=1e-8)
    np.testing.assert_allclose(result.x[:, 1], start * np.exp(-rate * s), rtol=1e-12)


# --- the raw flow, and the convention of the clock -----------------------------------------------


@pytest.mark.parametrize("penalty", [0.0, 0.3])
@pytest.mark.parametrize("L", [np.log(2), np.log(1e3), np.log(1e5)])
@pytest.mark.parametrize("start", ["usual", "scalars", "vectors"])
def test_signed_network_is_the_raw_flow(start, L, penalty):
    problem = paper_instance(1)
    beta, gamma = {
        "usual": (1.0, 0.0),
        "scalars": (0.5, -1.2),
        "vectors": (np.array([1.0, -0.7, 2.0, 0.4]), np.array([0.1, 0.3, -1.5, 1.0])),
    }[start]
    s = np.linspace(0, 12, 60)
    result = diagonal_flow(
        problem, s, log_inverse_epsilon=L, beta=beta, gamma=gamma, penalty=penalty
    )
    ones = np.ones(4)
    x = raw_flow(problem, s, L, beta * ones, gamma * ones, penalty)
    np.testing.assert_allclose(result.x, x, atol=1e-8)


@pytest.mark.parametrize("penalty", [0.0, 0.3])
@pytest.mark.parametrize("L", [np.log(2), np.log(1e5)])
@pytest.mark.parametrize("alpha", [1.0, -0.4])
def test_positive_network_is_the_raw_flow(alpha, L, penalty):
    alpha = alpha * np.array([1.0, 0.5, 2.0])
    s = np.linspace(0, 7, 60)
    result = diagonal_flow(
        CHAIN, s, log_inverse_epsilon=L, parametrization="uu", alpha=alpha, penalty=penalty
    )
    np.testing.assert_allclose(result.x, raw_flow(CHAIN, s, L, alpha, penalty=penalty), atol=1e-8)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_another_clock_would_not_be_the_raw_flow(factor):
    problem, L, s = paper_instance(0), np.log(1e5), np.linspace(0, 5, 40)
    x = raw_flow(problem, s, factor * L, np.ones(4) * np.exp((factor - 1) * L / 2), np.zeros(4))
    assert np.abs(diagonal_flow(problem, s, log_inverse_epsilon=L).x - x).max() > 0.1


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_another_clock_would_not_meet_the_lasso(factor):
    problem, s = paper_instance(0), np.linspace(0.1, 8, 80)
    lasso = lasso_path(problem).at(s)
    for L in (1e3, 1e4):
        wrong = diagonal_flow(problem, factor * s, log_inverse_epsilon=L).average
        assert np.abs(wrong - lasso).max() > 0.1
        right = diagonal_flow(problem, s, log_inverse_epsilon=L).average
        assert np.abs(right - lasso).max() < 10 / L


def test_values_at_a_stated_initialisation():
    s = [0.5, 1.25, 3.0, 6.0]
    result = diagonal_flow(CHAIN, s, log_inverse_epsilon=np.log(1e5), parametrization="uu")
    expected = [[0.0031, 0.0002, 0], [0.5052, 0.0701, 0], [0.8334, 0.6668, 0.0002]]
    np.testing.assert_allclose(result.x[:3], expected, atol=6e-5)
    np.testing.assert_allclose(result.x[3], [0.9369, 0.8740, 0.3115], atol=6e-5)


# --- exact identities ----------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", [0.0, 0.3])
@pytest.mark.parametrize("L", [np.log(2), 46.0, 1e4])
def test_identities_of_both_parametrisations(L, penalty):
    problem, s = paper_instance(1), np.linspace(0, 20, 101)
    drift = penalty * s[:, None]

    uu = diagonal_flow(problem, s, log_inverse_epsilon=L, parametrization="uu", penalty=penalty)
    rho = s[:, None] * problem.r - uu.z @ problem.M
    np.testing.assert_allclose(uu.dual, uu.dual[0] - rho + drift, atol=1e-11)
    np.testing.assert_allclose(uu.x, np.exp(-L * uu.dual), rtol=1e-9)
    assert uu.residual < 1e-11

    uv = diagonal_flow(problem, s, log_inverse_epsilon=L, penalty=penalty)
    rho = s[:, None] * problem.r - uv.z @ problem.M
    np.testing.assert_allclose(uv.rho, rho, atol=1e-11)
    np.testing.assert_allclose(uv.dual[:, 0], uv.dual[0, 0] - rho + drift, atol=1e-11)
    np.testing.assert_allclose(uv.dual[:, 1], uv.dual[0, 1] + rho + drift, atol=1e-11)
    up, down = np.exp(-L * uv.dual[:, 0]), np.exp(-L * uv.dual[:, 1])
    np.testing.assert_allclose(uv.x, up - down, atol=1e-9)
    if L < 100:
        sinh = 0.5 * np.exp(-L * (1 + drift)) * np.sinh(L * uv.rho)
        np.testing.assert_allclose(uv.x, sinh, atol=1e-9)
    np.testing.assert_allclose(uv.average[1:] * s[1:, None], uv.z[1:], rtol=1e-15)
    np.testing.assert_array_equal(uv.average[0], uv.x[0])


@pytest.mark.parametrize("L", [1.0, np.log(1e5), 1e3])
def test_loss_never_increases(L):
    for index in range(4):
        problem = paper_instance(index)
        result = diagonal_flow(problem, np.linspace(0, 15, 500), log_inverse_epsilon=L)
        assert np.diff(problem.value(result.x)).max() < 1e-10


@pytest.mark.parametrize("L", [1.0, np.log(1e5), 1e3])
def test_cooperative_network_only_grows(L):
    problem = Quadratic(CHAIN.M, [1.0, 0.5, 0.1])
    result = diagonal_flow(
        problem, np.linspace(0, 8, 500), log_inverse_epsilon=L, parametrization="uu", alpha=0.3
    )
    assert np.diff(result.x, axis=0).min() > -1e-10


# --- the theorems --------------------------------------------------------------------------------


@pytest.mark.parametrize(("index", "constant"), [(0, 6.8), (3, 1.74), (4, 0.93)])
def test_average_nears_the_lasso_at_rate_one_over_L(index, constant):
    problem = paper_instance(index)
    path = lasso_path(problem)
    s = np.linspace(0, 2 * path.knots[-1] + 5, 4001)[1:]
    for L in (1e3, 1e4):
        gap = np.abs(diagonal_flow(problem, s, log_inverse_epsilon=L).average - path.at(s)).max()
        assert L * gap == pytest.approx(constant, rel=0.05)


@pytest.mark.parametrize("problem", [TOY, paper_instance(1), paper_instance(8)])
@pytest.mark.parametrize("parametrization", ["uv", "uu"])
def test_average_nears_the_limit_process_with_de_activations_too(problem, parametrization):
    limit = diagonal_limit(problem, parametrization=parametrization)
    s = np.linspace(0.1, 2 * limit.knots[-1], 300)
    gaps = [
        L
        * np.abs(
            diagonal_flow(
                problem, s, log_inverse_epsilon=L, parametrization=parametrization
            ).average
            - limit.average_at(s)
        ).max()
        for L in (300.0, 3000.0, 30_000.0)
    ]
    assert gaps[2] == pytest.approx(gaps[1], rel=0.1)
    assert gaps[1] == pytest.approx(gaps[0], rel=0.3)


def test_duals_near_those_of_the_limit():
    problem = paper_instance(8)
    s = np.linspace(0, 20, 100)
    for parametrization in ("uv", "uu"):
        finite = diagonal_flow(
            problem, s, log_inverse_epsilon=1e4, parametrization=parametrization, penalty=0.1
        )
        limit = diagonal_limit(problem, parametrization=parametrization, penalty=0.1)
        np.testing.assert_allclose(finite.dual, limit.dual_at(s), atol=2e-2)


def test_first_order_correction_of_the_average():
    problem, L = paper_instance(0), 3000.0
    limit = diagonal_limit(problem)
    for k in range(1, limit.knots.size):
        s = limit.knots[k] + 0.4 * (np.append(limit.knots, 5.0)[k + 1] - limit.knots[k])
        x = limit.plateaus[k]
        A = np.flatnonzero(x)
        log = np.sign(x[A]) * np.log(np.abs(x[A]) / 0.25)
        correction = np.linalg.solve(problem.M[np.ix_(A, A)], log) / L
        z = diagonal_flow(problem, [s], log_inverse_epsilon=L).z[0, A]
        np.testing.assert_allclose(z, limit.z_at(s)[A] - correction, atol=2e-9)


def test_ignition_times_shift_by_one_over_L():
    limit = incremental_path(CHAIN)
    alpha = np.array([0.5, 2.0, 0.7])
    L = 400.0
    for k, j in ((1, 1), (2, 2)):
        I = np.arange(j)
        x = limit.plateaus[k][I]
        weights = CHAIN.M[j, I] @ np.linalg.inv(CHAIN.M[np.ix_(I, I)])
        predicted = -(np.log(alpha[j] ** 2) + weights @ np.log(x / alpha[I] ** 2))
        predicted /= CHAIN.r[j] - CHAIN.M[j, I] @ x
        s = 0.5 * (limit.knots[k] + limit.knots[k + 1])
        result = diagonal_flow(CHAIN, [s], log_inverse_epsilon=L, parametrization="uu", alpha=alpha)
        hit = s + result.dual[0, j] / limit.rho_slopes[k][j]
        assert L * (hit - limit.knots[k + 1]) == pytest.approx(predicted, rel=1e-3)


@pytest.mark.parametrize("L", [100.0, 1e4])
def test_half_crossing_of_the_first_coordinate(L):
    r, m = 1.0, 2.0
    s = 1 / r + np.log(r / m) / (r * L) + np.linspace(-1e-3, 1e-3, 3) / L
    result = diagonal_flow(CHAIN, s, log_inverse_epsilon=L, parametrization="uu")
    assert result.x[1, 0] == pytest.approx(r / m / 2, rel=1e-5)
    # The logistic slope there, r²/(4m), in units of 1/L.
    slope = (result.x[2, 0] - result.x[0, 0]) / (2e-3)
    assert slope == pytest.approx(r**2 / (4 * m), rel=1e-2)


def test_iterate_nears_its_plateau_at_a_power_of_epsilon():
    limit = incremental_path(CHAIN)
    for k, s in ((0, 0.8), (1, 1.15), (1, 1.4), (2, 1.8), (2, 4.2), (3, 5.5)):
        x = limit.plateaus[k]
        I = np.flatnonzero(x)
        relaxation = np.linalg.eigvals(x[I, None] * CHAIN.M[np.ix_(I, I)]).real
        exponents = [*limit.dual_at(s)[x == 0], *(relaxation * (s - limit.knots[k]))]
        errors = [
            np.abs(
                diagonal_flow(
                    CHAIN, [s], log_inverse_epsilon=L, parametrization="uu", rtol=1e-11
                ).x[0]
                - x
            ).max()
            for L in (50.0, 90.0)
        ]
        rate = np.log(errors[0] / errors[1]) / 40.0
        assert rate == pytest.approx(min(exponents), rel=0.05)


def test_equal_columns_share_in_proportion_to_their_initialisations():
    problem = Quadratic([[2.0, 2.0], [2.0, 2.0]], [1.0, 1.0])
    result = diagonal_flow(
        problem, [1.5, 5.0], log_inverse_epsilon=1e3, parametrization="uu", alpha=[1.0, 2.0]
    )
    np.testing.assert_allclose(result.x, [[0.1, 0.4], [0.1, 0.4]], rtol=1e-9)


# --- symmetries ----------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", [0.0, 0.3])
def test_permutations_signs_and_the_unit_of_time(penalty):
    rng = np.random.default_rng(6)
    X, y = rng.standard_normal((4, 6)), rng.standard_normal(4)
    s, L, gamma = np.linspace(0, 9, 80), 60.0, rng.uniform(-0.9, 0.9, size=6)
    z = diagonal_flow(
        Quadratic.from_data(X, y), s, log_inverse_epsilon=L, gamma=gamma, penalty=penalty
    ).z

    order, flip = rng.permutation(6), rng.choice([-1.0, 1.0], size=6)
    image = diagonal_flow(
        Quadratic.from_data(X[:, order] * flip, y), s,
        log_inverse_epsilon=L, gamma=gamma[order] * flip, penalty=penalty,
    )  # fmt: skip
    np.testing.assert_allclose(image.z, z[:, order] * flip, atol=2e-9)

    c = 7.3
    faster = diagonal_flow(
        Quadratic.from_data(np.sqrt(c) * X, np.sqrt(c) * y), s / c,
        log_inverse_epsilon=L, gamma=gamma, penalty=c * penalty,
    )  # fmt: skip
    np.testing.assert_allclose(c * faster.z, z, atol=1e-8)


def test_exchanging_the_layers_and_scaling_the_initialisation():
    problem, s = paper_instance(10), np.linspace(0, 10, 50)
    one = diagonal_flow(problem, s, log_inverse_epsilon=30.0, beta=1.3, gamma=0.4)
    two = diagonal_flow(problem, s, log_inverse_epsilon=30.0, beta=0.4, gamma=1.3)
    np.testing.assert_allclose(one.x, two.x, atol=1e-9)
    # ε β² is all that matters, once the clocks are compared in physical time.
    shrunk = diagonal_flow(
        problem,
        s * 30 / 20,
        log_inverse_epsilon=20.0,
        beta=1.3 * np.exp(-5),
        gamma=0.4 * np.exp(-5),
    )
    np.testing.assert_allclose(shrunk.x, one.x, atol=1e-8)


# --- accuracy and cost ---------------------------------------------------------------------------


@pytest.mark.parametrize("L", [np.log(2), np.log(1e5), 230.0, 1e4])
@pytest.mark.parametrize("rtol", [1e-4, 1e-6, 1e-8])
def test_rtol_means_what_it_says(L, rtol):
    for problem in (paper_instance(1), paper_instance(8), CHAIN):
        s = np.linspace(0, 20, 501)
        reference = diagonal_flow(problem, s, log_inverse_epsilon=L, rtol=1e-12)
        result = diagonal_flow(problem, s, log_inverse_epsilon=L, rtol=rtol)
        size = np.maximum(1.0, np.abs(reference.z) * problem.M.diagonal()).max()
        error = np.abs(result.z - reference.z) * problem.M.diagonal()
        assert error.max() < rtol * size
        assert np.abs(result.rho - reference.rho).max() < 3 * rtol


def test_answers_do_not_depend_on_where_they_are_asked():
    problem, L = paper_instance(1), 200.0
    fine = diagonal_flow(problem, np.linspace(0, 15, 1501), log_inverse_epsilon=L)
    coarse = diagonal_flow(problem, np.linspace(0, 15, 4), log_inverse_epsilon=L)
    np.testing.assert_allclose(coarse.x, fine.x[::500], atol=1e-9)
    np.testing.assert_allclose(coarse.z, fine.z[::500], atol=1e-9)
    single = diagonal_flow(problem, [7.123], log_inverse_epsilon=L)
    between = diagonal_flow(problem, [3.0, 7.123, 15.0], log_inverse_epsilon=L)
    np.testing.assert_allclose(single.z[0], between.z[1], atol=1e-9)


@pytest.mark.parametrize(("n", "d"), [(3, 4), (15, 20)])
def test_cost_does_not_grow_as_epsilon_vanishes(n, d):
    rng = np.random.default_rng(0)
    problem = Quadratic.from_data(rng.standard_normal((n, d)), rng.standard_normal(n))
    steps = {
        L: diagonal_flow(problem, [20.0], log_inverse_epsilon=L).n_steps
        for L in (np.log(1e5), 230.0, 1e4, 1e6)
    }
    assert max(steps.values()) < 2 * steps[np.log(1e5)]


def test_ignitions_are_predicted_not_run_into():
    result = diagonal_flow(CHAIN, [7.0], log_inverse_epsilon=1e4, parametrization="uu")
    assert result.n_steps < 200
    assert int(result.status.split("(")[1].split()[0]) < 50


def test_plateaus_are_sharp_at_the_extreme_of_epsilon():
    problem = paper_instance(0)
    limit = diagonal_limit(problem)
    s = np.linspace(limit.knots[-1] + 0.1, 200, 500)
    result = diagonal_flow(problem, s, log_inverse_epsilon=1e6)
    np.testing.assert_allclose(result.x, limit.at(s), atol=1e-8)


def test_halving_the_tolerance_32_times_over_doubles_the_steps():
    counts = [
        diagonal_flow(CHAIN, [7.0], log_inverse_epsilon=12.0, rtol=rtol).n_steps
        for rtol in (1e-5, 1e-10)
    ]
    assert np.log(counts[1] / counts[0]) / np.log(1e5) == pytest.approx(1 / 5, abs=0.04)


def test_results_are_read_only_and_say_what_they_are():
    result = diagonal_flow(CHAIN, [7.0], log_inverse_epsilon=12.0, penalty=0.1)
    assert (result.log_inverse_epsilon, result.parametrization, result.penalty) == (12, "uv", 0.1)
    with pytest.raises(ValueError, match="read-only"):
        result.x[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        diagonal_limit(CHAIN).plateaus[0] = 1.0


def test_evaluations_and_steps_are_counted():
    result = diagonal_flow(CHAIN, [7.0], log_inverse_epsilon=12.0)
    assert result.n_evaluations == 8 * result.n_steps > 0
    assert result.status.startswith("reached s = 7 in ")


@given(
    data=st.data(),
    n=st.integers(1, 4),
    d=st.integers(1, 5),
    L=st.one_of(st.floats(1e-3, 100), st.floats(100, 1e6)),
    parametrization=st.sampled_from(["uv", "uu"]),
    penalty=st.sampled_from([0.0, 0.5, 1.0]),
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_degenerate_data_at_any_initialisation(data, n, d, L, parametrization, penalty):
    small = st.integers(-2, 2)
    X = data.draw(hnp.arrays(np.int64, (n, d), elements=small))
    y = data.draw(hnp.arrays(np.int64, (n,), elements=small))
    problem = Quadratic.from_data(X, y)
    s = np.linspace(0, 6, 40)
    result = diagonal_flow(
        problem, s, log_inverse_epsilon=L, parametrization=parametrization, penalty=penalty
    )
    for array in (result.x, result.z, result.average, result.dual):
        assert np.isfinite(array).all()
    assert result.residual < 1e-10
    penalised = problem.value(result.x) + penalty * np.abs(result.x).sum(axis=1)
    if parametrization == "uu" or penalty == 0:
        assert np.diff(penalised).max() < 1e-8 * (1 + np.abs(penalised).max())
    limit = diagonal_limit(problem, parametrization=parametrization, penalty=penalty)
    # |ρ − ρ⁰|² ≤ |M| |z − z⁰|²_M, which is O((1 + s)/L).
    assert np.abs(result.rho - limit.rho_at(s)).max() < 20 * np.sqrt((1 + 6) / L) + 1e-8


@pytest.mark.parametrize("beta", [1e-8, 30.0, 1e3])
def test_initialisations_far_from_one(beta):
    problem, s = paper_instance(0), np.linspace(0, 200, 50)
    result = diagonal_flow(problem, s, log_inverse_epsilon=1.0, beta=beta)
    assert np.isfinite(result.z).all()
    np.testing.assert_allclose(problem.gradient(result.x[-1]), 0, atol=1e-4 * max(1, beta))
    assert np.diff(problem.value(result.x)).max() <= 1e-9 * problem.value(result.x)[0]


# --- kernels -------------------------------------------------------------------------------------


@pytest.mark.parametrize("m", [1, 2, 3, 4, 5, 8, 11, 30])
def test_factor_and_solve(m):
    rng = np.random.default_rng(m)
    A = rng.standard_normal((m, m + 2))
    A = A @ A.T + np.eye(m)
    K = np.full((m + 3, m + 3), np.nan)
    K[:m, :m] = A
    _cholesky.factorise(K, m)
    np.testing.assert_allclose(np.triu(K[:m, :m]), np.linalg.cholesky(A).T, atol=1e-12)
    b = rng.standard_normal(m)
    solution = b.copy()
    _cholesky.solve(K, solution, m)
    np.testing.assert_allclose(A @ solution, b, atol=1e-10)


def test_quintic_meets_its_ends():
    ends = (0.7, -0.3, 1.1, 0.4, -2.0)
    t = np.array([0, 1e-4, 1 - 1e-4, 1])
    y = np.array([_rodas5p.hermite(theta, *ends) for theta in t])
    np.testing.assert_allclose(y[[0, 3]], [0, 0.7], atol=1e-15)
    np.testing.assert_allclose(y[1], -0.3e-4 + 0.4e-8 / 2, atol=1e-11)
    np.testing.assert_allclose(y[2], 0.7 - 1.1e-4 - 2e-8 / 2, atol=1e-11)


def test_tableau_is_stiffly_accurate_and_exact_for_constant_slopes():
    ramp = _rodas5p.RAMP
    assert _rodas5p.WEIGHTS @ ramp == pytest.approx(1, abs=1e-13)
    assert ramp[7] == pytest.approx(0, abs=1e-13)
    np.testing.assert_allclose(_rodas5p.STAGES @ ramp, _rodas5p.TIMES, atol=1e-13)
    np.testing.assert_allclose(_rodas5p.DENSE @ ramp, 0, atol=1e-12)


# --- wrong arguments -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"s": [1.0, 0.5]}, r"s must be strictly increasing, got 1.0, 0.5"),
        ({"s": [-1.0, 0.5]}, r"s must be ≥ 0, got -1.0"),
        ({"s": [0.0, np.inf]}, r"s must be finite, got inf at index \(1,\)"),
        ({"s": []}, r"s must have at least one entry"),
        ({"s": 1.0}, r"s must have 1 dimension\(s\)"),
        ({"log_inverse_epsilon": 0.0}, r"log_inverse_epsilon must be > 0, got 0.0"),
        ({"log_inverse_epsilon": -2.0}, r"log_inverse_epsilon must be > 0, got -2.0"),
        ({"log_inverse_epsilon": np.nan}, r"log_inverse_epsilon must be finite, got nan"),
        ({"log_inverse_epsilon": 1e9}, r"log_inverse_epsilon must be ≤ 1e\+06"),
        ({"parametrization": "w"}, r"parametrization must be one of 'uv', 'uu', got 'w'"),
        ({"beta": 1.0, "gamma": -1.0}, r"got beta\[0\] = 1 and gamma\[0\] = -1"),
        ({"beta": [1.0, 2.0], "gamma": [0.5, 2.0]}, r"got beta\[1\] = 2 and gamma\[1\] = 2"),
        ({"beta": 0.0, "gamma": 0.0}, r"beta must differ from gamma and -gamma"),
        ({"beta": np.ones(3)}, r"beta must be a number or have shape \(2,\), got \(3,\)"),
        ({"gamma": np.nan}, r"gamma must be finite, got nan"),
        ({"alpha": 2.0}, r"alpha does not belong to parametrization 'uv', got alpha = 2"),
        ({"parametrization": "uu", "alpha": [1.0, 0.0]}, r"got alpha\[1\] = 0"),
        ({"parametrization": "uu", "gamma": 0.5}, r"gamma does not belong to .* 'uu'"),
        ({"penalty": -0.1}, r"penalty must be ≥ 0, got -0.1"),
        ({"penalty": np.inf}, r"penalty must be finite, got inf"),
        ({"rtol": 0.0}, r"rtol must be ≥ 1e-12, got 0.0"),
        ({"rtol": 0.5}, r"rtol must be ≤ 0.01, got 0.5"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    arguments = {"s": [1.0], "log_inverse_epsilon": 10.0, **arguments}
    with pytest.raises(ValueError, match=message):
        diagonal_flow(TOY, **arguments)


def test_says_where_it_stopped(monkeypatch):
    monkeypatch.setattr(flow, "MAX_STEPS", 20)
    with pytest.raises(ConvergenceError, match=r"stopped at s = .* of 5: steps ran out after"):
        diagonal_flow(CHAIN, [5.0], log_inverse_epsilon=10.0)
