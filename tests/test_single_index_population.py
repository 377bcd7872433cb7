"""The closed flow of m neurons: against gradients, vectors and the mean field; its invariants."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.stats import kstest

from inthelimit import ConvergenceError
from inthelimit.single_index import (
    SingleIndexProblem,
    _extrapolation,
    population_flow,
    population_risk,
    population_start,
    population_velocity,
)

STAIRS = SingleIndexProblem([1.0, 1.0, 0.5, 0.25], [1.0, 1.0, 1.0, 1.0])
RELU = SingleIndexProblem.of([1.0, -1.0, 2 / 3], "relu")
ERF = SingleIndexProblem.of([0.0, 1.0, 0.0, 0.5], "erf", scale=1.5)
SIX = [-1.0, -0.6, -0.1, 0.3, 0.7, 1.0]
problems = pytest.mark.parametrize("problem", [STAIRS, RELU, ERF], ids=["stairs", "relu", "erf"])


def neurons(m, d, seed):
    """A second layer and unit vectors; u* is the first axis."""
    rng = np.random.default_rng(seed)
    u = rng.standard_normal((m, d))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    return rng.standard_normal(m), u


def overlaps(u):
    r = u @ u.T
    np.fill_diagonal(r, 1.0)
    return u[:, 0], r


def risk_of_vectors(problem, a, u):
    """The risk as a function of vectors that need not be on the sphere, where they must be."""
    u = u / np.linalg.norm(u, axis=1, keepdims=True)
    m = a.size
    V = np.vander(u[:, 0], problem.phi.size, increasing=True) @ (problem.phi * problem.sigma)
    U = problem.U(np.clip(u @ u.T, -1, 1))
    return problem.phi @ problem.phi / 2 - a @ V / m + a @ U @ a / (2 * m * m)


def gradient(function, x, h=1e-6):
    slopes = np.empty_like(x)
    for index in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[index] += h
        down[index] -= h
        slopes[index] = (function(up) - function(down)) / (2 * h)
    return slopes


def vector_velocity(problem, a, u, epsilon):
    """(a′, u′) from the projected gradients, in vectors."""
    m = a.size
    s, r = u[:, 0], u @ u.T
    push = problem.V_derivative(np.clip(s, -1, 1))
    pull = problem.U_derivative(np.clip(r, -1, 1)) * a / m
    free = a[:, None] * (push[:, None] * np.eye(1, u.shape[1]) - pull @ u)
    tangent = free - (free * u).sum(axis=1)[:, None] * u
    second = (problem.V(np.clip(s, -1, 1)) - problem.U(np.clip(r, -1, 1)) @ a / m) / epsilon
    return second, tangent


def vector_flow(problem, a, u, epsilon, times):
    """The flow in R^(m + md), by an explicit method."""
    m, d = u.shape

    def field(_, y):
        second, tangent = vector_velocity(problem, y[:m], y[m:].reshape(m, d), epsilon)
        return np.concatenate([second, tangent.ravel()])

    start = np.concatenate([a, u.ravel()])
    path = solve_ivp(
        field, (0, times[-1]), start, method="DOP853", t_eval=times, rtol=1e-11, atol=1e-12
    ).y.T
    return path[:, :m], path[:, m:].reshape(-1, m, d)


# --- the closed equations ------------------------------------------------------------------------


@problems
def test_velocities_are_the_projected_gradients_of_the_risk(problem):
    a, u = neurons(4, 5, 1)
    epsilon, m = 0.07, 4
    # Off the sphere the risk is extended by a constant along rays, so its gradient is tangent.
    u_velocity = -m * gradient(lambda x: risk_of_vectors(problem, a, x), u)
    a_velocity = -m / epsilon * gradient(lambda x: risk_of_vectors(problem, x, u), a)
    velocity = population_velocity(problem, a, *overlaps(u), epsilon)
    np.testing.assert_allclose(velocity.a, a_velocity, atol=1e-6)
    np.testing.assert_allclose(velocity.s, u_velocity[:, 0], atol=1e-8)
    towards = u_velocity @ u.T
    np.testing.assert_allclose(velocity.r, towards + towards.T, atol=1e-8)


@problems
def test_risk_is_that_of_the_data(problem):
    a, u = neurons(3, 4, 2)
    x = np.random.default_rng(3).standard_normal((200_000, 4))
    sigma = problem.activation.value if problem.activation else None
    basis = np.polynomial.hermite_e.hermevander

    def series(c, z):
        return basis(z, c.size - 1) @ (c / np.sqrt(np.cumprod([1, *range(1, c.size)], dtype=float)))

    features = sigma(x @ u.T) if sigma else series(problem.sigma, x @ u.T)
    losses = (series(problem.phi, x[:, 0]) - features @ a / 3) ** 2 / 2
    error = losses.std() / np.sqrt(losses.size)
    assert abs(population_risk(problem, a, *overlaps(u)) - losses.mean()) < 4 * error < 0.1


@problems
def test_risk_falls_at_the_rate_of_a_gradient_flow(problem):
    a, u = neurons(5, 6, 4)
    epsilon, h = 0.05, 1e-7
    s, r = overlaps(u)
    second, tangent = vector_velocity(problem, a, u, epsilon)
    rate = -epsilon * np.mean(second**2) - np.mean((tangent**2).sum(axis=1))
    # The same rate from the closed system, along its velocity.
    v = population_velocity(problem, a, s, r, epsilon)
    m, force = 5, problem.V(s) - problem.U(r) @ a / 5
    pull = problem.U_derivative(r) * np.outer(a, a) / m**2
    along = -force @ v.a / m - a * problem.V_derivative(s) @ v.s / m + (pull * v.r).sum() / 2
    assert along == pytest.approx(rate, rel=1e-10)
    flow = population_flow(problem, a, s, r, epsilon=epsilon, times=[0, h], rtol=1e-10)
    assert (flow.risks[1] - flow.risks[0]) / h == pytest.approx(rate, rel=1e-4)


@problems
@pytest.mark.parametrize(("m", "d"), [(1, 1), (1, 3), (5, 4), (6, 20)])
def test_flow_is_that_of_the_vectors(problem, m, d):
    a, u = neurons(m, d, 5)
    times = np.array([0.0, 0.003, 0.1, 1.0])
    flow = population_flow(problem, a, *overlaps(u), epsilon=0.03, times=times, rtol=1e-8)
    expected_a, expected_u = vector_flow(problem, a, u, 0.03, times)
    np.testing.assert_allclose(flow.a, expected_a, atol=2e-6 * np.abs(expected_a).max())
    np.testing.assert_allclose(flow.s, expected_u[:, :, 0], atol=2e-6)
    np.testing.assert_allclose(flow.r, expected_u[-1] @ expected_u[-1].T, atol=2e-6)


def test_rtol_means_what_it_says():
    start = population_start(20, 50, atoms=SIX, rng=np.random.default_rng(6))
    arguments = {"epsilon": 1e-3, "times": [0.01, 0.1, 1.0]}
    reference = population_flow(STAIRS, *start, **arguments, rtol=1e-10)
    for rtol in (1e-3, 1e-5, 1e-7):
        flow = population_flow(STAIRS, *start, **arguments, rtol=rtol)
        assert np.abs(flow.a - reference.a).max() < 20 * rtol * np.abs(reference.a).max()
        assert np.abs(flow.s - reference.s).max() < 20 * rtol
        assert np.abs(flow.r - reference.r).max() < 20 * rtol


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 5])
def test_each_column_of_extrapolation_raises_the_order_by_one(columns, monkeypatch):
    a, u = neurons(4, 5, 7)
    s, r = overlaps(u)
    system = _extrapolation.ClosedSystem(STAIRS, 4, 0.5)
    state = np.concatenate([a, s, r.ravel()])
    exact = population_flow(STAIRS, a, s, r, epsilon=0.5, times=[0.4], rtol=1e-10)
    target = np.concatenate([exact.a[0], exact.s[0], exact.r.ravel()])
    monkeypatch.setattr(_extrapolation, "MOST_COLUMNS", columns)
    monkeypatch.setattr(_extrapolation, "FEWEST_COLUMNS", 99)
    errors = []
    for n in (16, 32):
        y = state
        for _ in range(n):
            y = _extrapolation.extrapolated_step(system, y, 0.4 / n, 1.0).state
        errors.append(np.abs(y - target).max())
    assert np.log2(errors[0] / errors[1]) == pytest.approx(columns, abs=0.3)


def test_cost_does_not_grow_as_the_second_layer_gets_faster():
    # An explicit method takes T U(1)/(3 ε) steps: a million and more at the last of these.
    start = population_start(24, np.inf, atoms=SIX, rng=np.random.default_rng(0))
    steps = {
        epsilon: population_flow(STAIRS, *start, epsilon=epsilon, times=[1.0]).n_steps
        for epsilon in (1e-2, 1e-4, 1e-6)
    }
    assert max(steps.values()) < 4 * steps[1e-2] < 200


def test_stiff_flow_is_that_of_the_vectors():
    a, u = neurons(6, 8, 8)
    times = np.array([1e-4, 0.01, 0.2])
    flow = population_flow(STAIRS, a, *overlaps(u), epsilon=1e-4, times=times, rtol=1e-8)
    expected_a, expected_u = vector_flow(STAIRS, a, u, 1e-4, times)
    np.testing.assert_allclose(flow.a, expected_a, atol=1e-6 * np.abs(expected_a).max())
    np.testing.assert_allclose(flow.s, expected_u[:, :, 0], atol=1e-6)


# --- invariants ----------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[STAIRS, RELU, ERF], ids=["stairs", "relu", "erf"])
def long_flow(request):
    start = population_start(30, 100, atoms=SIX, rng=np.random.default_rng(9))
    times = np.concatenate([[0.0], np.geomspace(1e-4, 5.0, 60)])
    return start, population_flow(request.param, *start, epsilon=1e-2, times=times)


def test_neurons_stay_on_the_sphere(long_flow):
    _, flow = long_flow
    np.testing.assert_array_equal(flow.r.diagonal(), 1.0)
    np.testing.assert_array_equal(flow.r, flow.r.T)
    assert np.abs(flow.s).max() <= 1.0
    gram = np.block([[np.ones((1, 1)), flow.s[-1:]], [flow.s[-1:].T, flow.r]])
    assert np.linalg.eigvalsh(gram)[0] > -1e-5


def test_risk_never_rises(long_flow):
    _, flow = long_flow
    assert np.diff(flow.risks).max() <= 1e-7
    assert flow.risks[-1] < 0.3 * flow.risks[0]


def test_risk_is_the_mean_field_risk_and_what_neurons_add(long_flow):
    start, flow = long_flow
    for i, r in ((0, start.r), (-1, flow.r)):
        excess = flow.risks[i] - flow.problem.risk_of(flow.residuals[i])
        # The terms of all pairs, which would be 0 if r_ij were s_i s_j; among them i = j.
        a, s = flow.a[i], flow.s[i]
        series = SingleIndexProblem(flow.problem.phi, flow.problem.sigma)
        pairs = flow.problem.U(np.clip(r, -1, 1)) - series.U(np.outer(s, s))
        assert excess == pytest.approx(a @ pairs @ a / (2 * a.size**2), abs=1e-12)
        own = flow.problem.U(1.0) - flow.problem.U(s**2)
        assert flow.self_risks[i] == pytest.approx(a**2 @ own / (2 * a.size**2), abs=1e-14)


def test_neurons_have_no_order():
    a, u = neurons(6, 7, 10)
    order = np.random.default_rng(0).permutation(6)
    arguments = {"epsilon": 0.02, "times": [0.05, 1.0], "rtol": 1e-9}
    flow = population_flow(RELU, a, *overlaps(u), **arguments)
    image = population_flow(RELU, a[order], *overlaps(u[order]), **arguments)
    np.testing.assert_allclose(image.a, flow.a[:, order], rtol=1e-7)
    np.testing.assert_allclose(image.r, flow.r[np.ix_(order, order)], atol=1e-7)


def test_reflecting_the_target_reflects_the_overlaps():
    a, u = neurons(6, 7, 11)
    s, r = overlaps(u)
    reflected = SingleIndexProblem(STAIRS.phi * [1, -1, 1, -1], STAIRS.sigma)
    arguments = {"epsilon": 0.02, "times": [0.05, 1.0], "rtol": 1e-9}
    flow = population_flow(STAIRS, a, s, r, **arguments)
    image = population_flow(reflected, a, -s, r, **arguments)
    np.testing.assert_allclose(image.s, -flow.s, atol=1e-7)
    np.testing.assert_allclose(image.a, flow.a, rtol=1e-7)
    np.testing.assert_allclose(image.risks, flow.risks, atol=1e-8)


def test_changing_the_signs_of_target_and_second_layer_changes_nothing_else():
    a, u = neurons(6, 7, 12)
    opposite = SingleIndexProblem(-STAIRS.phi, STAIRS.sigma)
    arguments = {"epsilon": 0.02, "times": [0.05, 1.0], "rtol": 1e-9}
    flow = population_flow(STAIRS, a, *overlaps(u), **arguments)
    image = population_flow(opposite, -a, *overlaps(u), **arguments)
    np.testing.assert_allclose(image.a, -flow.a, rtol=1e-7)
    np.testing.assert_allclose(image.s, flow.s, atol=1e-7)


def test_two_equal_neurons_are_one_counted_twice():
    a, u = neurons(3, 5, 13)
    s, r = overlaps(u)
    twice = np.repeat(np.arange(3), 2)
    arguments = {"epsilon": 0.02, "times": [0.05, 1.0], "rtol": 1e-9}
    flow = population_flow(STAIRS, a, s, r, **arguments)
    double = population_flow(STAIRS, a[twice], s[twice], r[np.ix_(twice, twice)], **arguments)
    np.testing.assert_allclose(double.a, flow.a[:, twice], rtol=1e-7)
    np.testing.assert_allclose(double.risks, flow.risks, atol=1e-8)


def test_answers_do_not_depend_on_where_they_are_asked(long_flow):
    start, flow = long_flow
    single = population_flow(flow.problem, *start, epsilon=1e-2, times=[5.0])
    np.testing.assert_allclose(single.a[-1], flow.a[-1], atol=2e-5 * np.abs(flow.a[-1]).max())
    half = population_flow(flow.problem, *start, epsilon=1e-2, times=flow.times[:31])
    rest = population_flow(
        flow.problem, half.a[-1], half.s[-1], half.r,
        epsilon=1e-2, times=[5.0 - flow.times[30]],
    )  # fmt: skip
    np.testing.assert_allclose(rest.s[-1], flow.s[-1], atol=2e-5)


def test_results_are_read_only(long_flow):
    _, flow = long_flow
    for name in ("times", "a", "s", "r", "risks", "residuals", "self_risks"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(flow, name)[...] = 0.0


# --- the mean field ------------------------------------------------------------------------------


def mean_field(problem, atoms, epsilon, times):
    """(a, s) of the mean-field flow of equally weighted atoms from s = 0, by LSODA."""
    n, k = len(atoms), np.arange(problem.phi.size)

    def field(_, y):
        a, s = y[:n], y[n:]
        powers = np.vander(s, k.size, increasing=True)
        c = problem.sigma * (problem.phi - problem.sigma * (a @ powers) / n)
        slopes = powers[:, :-1] @ (c * k)[1:]
        return np.concatenate([powers @ c / epsilon, a * (1 - s**2) * slopes])

    start = np.concatenate([atoms, np.zeros(n)])
    path = solve_ivp(field, (0, times[-1]), start, "LSODA", times, rtol=1e-10, atol=1e-12).y.T
    return path[:, :n], path[:, n:]


@pytest.mark.parametrize("problem", [STAIRS, ERF], ids=["stairs", "erf"])
def test_many_neurons_follow_the_mean_field_at_rate_one_over_m(problem):
    times, epsilon = np.array([0.01, 0.1, 0.3]), 0.1
    a, s = mean_field(problem, SIX, epsilon, times)
    gaps, counts = [], np.array([48, 96, 192])
    for m in counts:
        start = population_start(m, np.inf, atoms=SIX, rng=np.random.default_rng(0))
        flow = population_flow(problem, *start, epsilon=epsilon, times=times)
        each = m // 6
        # Neurons of one atom start alike, orthogonal to one another, and stay alike.
        np.testing.assert_allclose(flow.s[:, ::each], flow.s[:, each - 1 :: each], atol=1e-6)
        gaps.append(max(np.abs(flow.a[:, ::each] - a).max(), np.abs(flow.s[:, ::each] - s).max()))
    slope = np.polyfit(np.log(counts), np.log(gaps), 1)[0]
    assert slope == pytest.approx(-1.0, abs=0.1)
    assert gaps[-1] < 0.15


def test_in_one_dimension_there_is_only_the_second_layer():
    # s_i = ±1 and r_ij = s_i s_j exactly: the mean-field equations hold, and s does not move.
    start = population_start(8, 1, atoms=SIX, rng=np.random.default_rng(3))
    np.testing.assert_array_equal(start.r, np.outer(start.s, start.s))
    flow = population_flow(STAIRS, *start, epsilon=0.1, times=[0.0, 0.05, 1.0])
    np.testing.assert_allclose(flow.s, np.tile(start.s, (3, 1)), atol=1e-10)
    np.testing.assert_allclose(flow.risks, STAIRS.risk_of(flow.residuals), atol=1e-10)
    np.testing.assert_allclose(flow.self_risks, 0.0, atol=1e-10)


# --- the start -----------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [2, 3, 10])
def test_overlaps_at_the_start_have_their_law(d):
    # (1 + s)/2 is Beta((d − 1)/2, (d − 1)/2); so is (1 + r_ij)/2, and rows are independent enough.
    rng = np.random.default_rng(14)
    starts = [population_start(4, d, atoms=SIX, rng=rng) for _ in range(1500)]
    half = (d - 1) / 2
    for sample in ([x.s[0] for x in starts], [x.s[3] for x in starts], [x.r[1, 3] for x in starts]):
        assert kstest((1 + np.array(sample)) / 2, "beta", args=(half, half)).pvalue > 1e-3
    third = [x.r[0, 1] * x.r[1, 2] * x.r[0, 2] for x in starts]
    # E r_01 r_12 r_02 = E ⟨u_0, u_2⟩²/d = 1/d².
    error = np.std(third) / np.sqrt(1500)
    assert abs(np.mean(third) - d**-2.0) < 4 * error


@pytest.mark.parametrize(("m", "d"), [(6, 3), (6, 7), (6, 50)])
def test_overlaps_at_the_start_are_those_of_vectors_in_that_dimension(m, d):
    a, s, r = population_start(m, d, atoms=SIX, rng=np.random.default_rng(15))
    gram = np.block([[np.ones((1, 1)), s[None]], [s[:, None], r]])
    eigenvalues = np.linalg.eigvalsh(gram)
    assert eigenvalues[0] > -1e-12
    assert np.sum(eigenvalues > 1e-10) == min(m + 1, d)
    np.testing.assert_array_equal(r.diagonal(), 1.0)
    assert a.shape == (m,)


def test_overlaps_at_the_start_shrink_with_the_dimension():
    for d in (1e4, 1e8, 1e15):
        s = population_start(2000, d, atoms=SIX, rng=np.random.default_rng(16)).s
        assert np.mean(s**2) * d == pytest.approx(1.0, abs=4 * np.sqrt(2 / 2000))
    _, s, r = population_start(5, np.inf, atoms=SIX, rng=np.random.default_rng(16))
    np.testing.assert_array_equal(s, 0.0)
    np.testing.assert_array_equal(r, np.eye(5))


def test_second_layer_by_quantiles_has_the_weights():
    rng = np.random.default_rng(17)
    a = population_start(8, 5, atoms=[2.0, -1.0], weights=[0.25, 0.75], rng=rng).a
    np.testing.assert_array_equal(a, [-1.0] * 6 + [2.0] * 2)
    np.testing.assert_array_equal(population_start(6, 5, atoms=SIX, rng=rng).a, SIX)


def test_second_layer_drawn_independently_has_the_weights_on_average():
    rng = np.random.default_rng(18)
    a = population_start(
        1000, 5, atoms=[2.0, -1.0], weights=[0.25, 0.75], second_layer="independent", rng=rng
    ).a
    assert abs(np.mean(a == 2.0) - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 1000)
    assert np.mean(a == 2.0) != 0.25


def test_a_seed_fixes_the_start():
    one, two = (
        population_start(9, 30, atoms=SIX, second_layer="independent", rng=np.random.default_rng(1))
        for _ in range(2)
    )
    for x, y in zip(one, two, strict=True):
        np.testing.assert_array_equal(x, y)


# --- what can go wrong ---------------------------------------------------------------------------


def test_status_says_whether_m_and_d_are_large_enough():
    def status(m, d):
        start = population_start(m, d, atoms=SIX, rng=np.random.default_rng(19))
        return population_flow(STAIRS, *start, epsilon=0.02, times=[0.5], rtol=1e-3).status

    few = status(12, np.inf)
    assert "The 12 neurons do not make up a continuum" in few
    assert "the last plateau is at 0.0312" in few
    assert "overlaps s(0)" not in few
    low = status(12, 100)
    assert "The overlaps s(0) have size 0.0843, as in dimension 141" in low
    assert "needs them ≪ √ε = 0.141" in low
    start = population_start(300, 1e6, atoms=[-0.1, 0.1], rng=np.random.default_rng(19))
    early = population_flow(STAIRS, *start, epsilon=0.02, times=[1e-4]).status
    assert early.startswith("Reached t = 0.0001 in ")
    assert early.endswith("steps at rtol = 1e-06.")


def test_says_where_it_stopped(monkeypatch):
    monkeypatch.setattr(_extrapolation, "MAX_STEPS", 5)
    start = population_start(6, 10, atoms=SIX, rng=np.random.default_rng(0))
    with pytest.raises(ConvergenceError, match=r"stopped at t = .* of 1 after 5 steps, the next"):
        population_flow(STAIRS, *start, epsilon=0.1, times=[1.0])


@pytest.mark.parametrize("size", [1e3, 1e30])
def test_a_second_layer_that_is_too_large_is_an_error_not_a_wrong_answer(size, monkeypatch):
    monkeypatch.setattr(_extrapolation, "MAX_STEPS", 300)
    start = population_start(6, 10, atoms=[-size, size], rng=np.random.default_rng(0))
    with pytest.raises(ConvergenceError, match="start from a smaller second layer"):
        population_flow(STAIRS, *start, epsilon=0.1, times=[10.0])


coefficient_lists = st.lists(st.sampled_from([-1.0, 0.0, 0.3, 2.0]), min_size=1, max_size=4)


@given(
    phi=coefficient_lists,
    sigma=coefficient_lists,
    m=st.integers(1, 5),
    d=st.sampled_from([1, 2, 7, 1e6, np.inf]),
    epsilon=st.sampled_from([1e-12, 1e-4, 0.1, 0.9]),
)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_degenerate_problems_have_finite_falling_risks(phi, sigma, m, d, epsilon):
    problem = SingleIndexProblem(phi, sigma)
    start = population_start(m, d, atoms=[-1.0, 0.0, 1.0], rng=np.random.default_rng(m))
    flow = population_flow(problem, *start, epsilon=epsilon, times=[0.0, epsilon, 1.0], rtol=1e-5)
    for array in (flow.a, flow.s, flow.r, flow.risks, flow.residuals):
        assert np.isfinite(array).all()
    assert np.diff(flow.risks).max() <= 1e-4 * (1 + flow.risks[0])
    assert flow.risks.min() > -1e-5 * (1 + flow.risks[0])


BAD_R = [[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epsilon": 0.0}, r"epsilon must be > 0, got 0.0"),
        ({"epsilon": 1.0}, r"epsilon must be < 1, got 1.0"),
        ({"epsilon": np.nan}, r"epsilon must be finite"),
        ({"times": [0.1, 0.1]}, r"times must be strictly increasing"),
        ({"times": [-0.1]}, r"times must be ≥ 0"),
        ({"rtol": 0.1}, r"rtol must be ≤ 0.001"),
        ({"rtol": 1e-12}, r"rtol must be ≥ 1e-10"),
        ({"a0": [1e60, 0.0, 0.0]}, r"a must be within ±1e\+50, got a value of size 1e\+60"),
        ({"a0": []}, r"a must have at least one entry"),
        ({"s0": [0.0, 0.0]}, r"s must have shape \(3,\), got \(2,\)"),
        ({"r0": np.eye(2)}, r"r must have shape \(3, 3\), got \(2, 2\)"),
        ({"r0": 2 * np.eye(3)}, r"ones on its diagonal, got r\[0, 0\] = 2"),
        ({"r0": np.eye(3) + np.eye(3, k=1) / 2}, r"r must be symmetric, got r\[0, 1\] = 0.5 and 0"),
        ({"r0": BAD_R}, r"overlaps of unit vectors .* but their matrix has the eigenvalue -0.8"),
        ({"s0": [0.9, 0.9, 0.0]}, r"overlaps of unit vectors with one another and with u\*"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    start = {"a0": [1.0, 0.0, -1.0], "s0": np.zeros(3), "r0": np.eye(3)}
    with pytest.raises(ValueError, match=message):
        population_flow(STAIRS, **(start | {"epsilon": 0.1, "times": [1.0]} | arguments))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"m": 0}, r"m must be ≥ 1, got 0"),
        ({"d": 0}, r"d must be ≥ 1, got 0"),
        ({"d": 2.5}, r"d must be an integer or inf, got 2.5"),
        ({"d": np.nan}, r"d must be finite, got nan"),
        ({"weights": [0.5, 0.6]}, r"weights must sum to one, got a sum of 1.1"),
        ({"weights": [1.5, -0.5]}, r"weights must be > 0, got -0.5 at index 1"),
        ({"weights": [1.0]}, r"weights must have shape \(2,\)"),
        ({"second_layer": "random"}, r"second_layer must be one of 'quantiles', 'independent'"),
        ({"rng": 3}, r"rng must be a numpy.random.Generator, got 3"),
    ],
)
def test_wrong_starts_are_named(arguments, message):
    good = {"m": 4, "d": 5, "atoms": [-1.0, 1.0], "rng": np.random.default_rng(0)}
    arguments = good | arguments
    with pytest.raises(ValueError, match=message):
        population_start(arguments.pop("m"), arguments.pop("d"), **arguments)
