"""The mean-field flow: closed forms, invariants, other solvers, the orders of its method."""

from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from inthelimit import ConvergenceError
from inthelimit._rodas5p import COUPLING, GAMMA, STAGES, WEIGHTS
from inthelimit.single_index import (
    SingleIndexProblem,
    _integrator,
    gaussian_law,
    mean_field,
    mean_field_flow,
    mean_field_velocity,
    relu_coefficients,
    stage_times,
    stage_widths,
    uniform_law,
)
from inthelimit.single_index._linear_systems import (
    evaluate,
    factorised,
    linearise,
    solve,
    solve_stage,
    workspace,
)
from inthelimit.single_index._neurons import System, correlations, highest_degree

SIX = np.array([-1.0, -0.6, -0.1, 0.3, 0.7, 1.0])
CUBIC = SingleIndexProblem(phi=[1, 1, 0.5, 0.25], sigma=[1, 1, 1, 1])
QUADRATIC_RELU = SingleIndexProblem([1, -1, 2 / 3], relu_coefficients(16))


def kernel_risk(problem, a, s, weights):
    """The risk from V and U, without residuals."""
    wa = weights * a
    return (
        problem.phi @ problem.phi / 2 - wa @ problem.V(s) + wa @ problem.U(np.outer(s, s)) @ wa / 2
    )


def kernel_velocity(problem, a, s, weights, epsilon):
    """The flow from V and U: O(N²), and no residual in sight."""
    wa, pairs = weights * a, np.outer(s, s)
    fast = (problem.V(s) - problem.U(pairs) @ wa) / epsilon
    slow = a * (1 - s**2) * (problem.V_derivative(s) - problem.U_derivative(pairs) @ (wa * s))
    return fast, slow


def reference(problem, atoms, weights, epsilon, times, method="Radau", rtol=1e-10):
    """a and s by SciPy, in atanh s, from s = 0."""
    N = atoms.size

    def field(_, y):
        s = np.tanh(y[N:])
        fast, _ = kernel_velocity(problem, y[:N], s, weights, epsilon)
        pull = problem.V_derivative(s) - problem.U_derivative(np.outer(s, s)) @ (
            weights * y[:N] * s
        )
        return np.concatenate([fast, y[:N] * pull])

    path = solve_ivp(
        field,
        (0.0, times[-1]),
        np.concatenate([atoms, np.zeros(N)]),
        method=method,
        t_eval=times,
        rtol=rtol,
        atol=rtol * np.repeat([1.0, 1e-3], N),
        first_step=1e-3 * epsilon,
    )
    assert path.success
    return path.y[:N].T, np.tanh(path.y[N:].T)


# --- closed forms and invariants -----------------------------------------------------------------


@pytest.mark.parametrize("rtol", [1e-4, 1e-7, 1e-10])
def test_degree_zero_relaxes_exponentially(rtol):
    problem = SingleIndexProblem(phi=[2.0, 0.0, 3.0], sigma=[0.7, 1.0, 1.0])
    epsilon, times = 1e-7, 1e-7 * np.geomspace(0.01, 40, 30)
    flow = mean_field_flow(
        problem, [-1.0, 0.5], [0.3, 0.7], epsilon=epsilon, times=times, rtol=rtol
    )
    exact = (2.0 - 0.7 * 0.05) * np.exp(-(0.7**2) * times / epsilon)
    np.testing.assert_allclose(flow.residuals[:, 0], exact, atol=rtol)
    moved = (2.0 - 0.7 * 0.05 - exact) / 0.7
    np.testing.assert_allclose(flow.a, np.array([-1.0, 0.5]) + moved[:, None], atol=3 * rtol)
    assert not flow.s.any()  # φ_1 = 0: s = 0 stays


def test_residuals_are_accurate_beside_large_neurons():
    """An error of rtol in neurons of size 1e5 would be one of a hundredth in ρ."""
    problem = SingleIndexProblem(phi=[1.0, 0.0], sigma=[1.0, 1.0])
    times = 1e-4 * np.linspace(0, 10, 50)
    flow = mean_field_flow(problem, [-1e5, 1e5], epsilon=1e-4, times=times, rtol=1e-7)
    np.testing.assert_allclose(flow.residuals[:, 0], np.exp(-times / 1e-4), atol=1e-7)


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("epsilon", [1e-2, 1e-8])
def test_a_single_degree_conserves_a_function_of_each_neuron(degree, epsilon):
    """ε l a² + log(1 − s²) is constant: exactly, and not only while s is small."""
    coefficients = np.zeros(degree + 1)
    coefficients[degree] = 1.0
    problem = SingleIndexProblem(phi=coefficients, sigma=coefficients)
    atoms, s0 = np.array([-1.0, 0.3, 1.2]), epsilon**0.25 * np.array([0.3, -0.1, 0.9])
    flow = mean_field_flow(
        problem, atoms, epsilon=epsilon, times=np.geomspace(epsilon, 30, 20), s0=s0, rtol=1e-9
    )
    layers = epsilon * degree * flow.a**2, np.log1p(-(flow.s**2))
    constant = epsilon * degree * atoms**2 + np.log1p(-(s0**2))
    scale = max(np.abs(layer).max() for layer in layers)
    np.testing.assert_allclose(sum(layers), np.tile(constant, (20, 1)), atol=1e-7 * scale)
    assert np.ptp(layers[1], axis=0).max() > 0.1 * scale


def test_flipping_the_direction_flips_s():
    """φ(−x) is fitted by −u."""
    times = np.geomspace(1e-6, 1, 20)
    one = mean_field_flow(CUBIC, SIX, epsilon=1e-5, times=times)
    flipped = SingleIndexProblem(CUBIC.phi * [1, -1, 1, -1], CUBIC.sigma)
    other = mean_field_flow(flipped, SIX, epsilon=1e-5, times=times)
    np.testing.assert_allclose(other.s, -one.s, atol=1e-10)
    np.testing.assert_allclose(other.a, one.a, atol=1e-8)


def test_scaling_target_and_second_layer_scales_time():
    """(φ, a, ε, t) → (c φ, c a, ε/c², t/c²) is the same flow."""
    c, times = 30.0, np.geomspace(1e-6, 1, 20)
    one = mean_field_flow(CUBIC, SIX, epsilon=1e-4, times=times)
    large = SingleIndexProblem(c * CUBIC.phi, CUBIC.sigma)
    other = mean_field_flow(large, c * SIX, epsilon=1e-4 / c**2, times=times / c**2)
    np.testing.assert_allclose(other.s, one.s, rtol=3e-6)
    np.testing.assert_allclose(other.risks, c**2 * one.risks, rtol=1e-5, atol=c**2 * 1e-12)


def test_neurons_in_the_same_state_stay_together():
    """A neuron may be split in two, if s0 says that this is meant."""
    times = np.geomspace(1e-6, 1, 20)
    whole = mean_field_flow(CUBIC, [-1, 0.2, 1], [0.3, 0.4, 0.3], epsilon=1e-5, times=times)
    split = mean_field_flow(
        CUBIC, [1, -1, 0.2, 1], [0.1, 0.3, 0.4, 0.2], epsilon=1e-5, times=times, s0=np.zeros(4)
    )
    np.testing.assert_allclose(split.s[:, 0], split.s[:, 3], rtol=1e-12)
    np.testing.assert_allclose(split.s[:, 1:], whole.s, rtol=1e-6)
    np.testing.assert_allclose(split.residuals, whole.residuals, atol=1e-6)


@pytest.mark.parametrize("epsilon", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("problem", [CUBIC, QUADRATIC_RELU], ids=["cubic", "relu"])
def test_residuals_are_those_of_the_neurons_and_give_the_risk(problem, epsilon):
    """½ Σ ρ² = ½ |φ|² − mean(a V) + ½ mean(a a U), at every stage; sums of size a² round."""
    weights = np.array([0.1, 0.2, 0.2, 0.2, 0.2, 0.1])
    for end in epsilon ** np.array([1.0, 0.5, 0.4, 0.25, 0.2]):
        flow = mean_field_flow(problem, SIX, weights, epsilon=epsilon, times=[end])
        a, s = flow.a[0], flow.s[0]
        rounding = 3e-15 * np.abs(a).max() ** 2
        assert flow.risks[0] == pytest.approx(
            kernel_risk(problem, a, s, weights), abs=1e-12 + rounding
        )
        np.testing.assert_allclose(
            flow.residuals[0], problem.residuals(a, s, weights), atol=1e-12 + rounding
        )
        assert flow.residual < 1e-12 + rounding


@pytest.mark.parametrize("epsilon", [1e-2, 1e-5, 1e-9])
def test_the_risk_falls_as_the_formula_says(epsilon):
    """dR/dt = −ε mean(a′²) − mean(s′²/(1 − s²)): both layers descend."""
    weights = np.full(6, 1 / 6)
    for end in (epsilon, epsilon**0.5, epsilon**0.25):
        flow = mean_field_flow(CUBIC, SIX, epsilon=epsilon, times=[end])
        a, s = flow.a[0], flow.s[0]
        fast, slow = mean_field_velocity(CUBIC, a, s, epsilon=epsilon)
        descent = -epsilon * weights @ fast**2 - weights @ (slow**2 / (1 - s**2))
        assert flow.step_residuals[-1] @ flow.step_slopes[-1] == pytest.approx(descent, rel=1e-5)
        steps = (flow.step_residuals**2).sum(axis=1)
        assert (np.diff(steps) < 0).all()


def test_velocity_is_the_one_of_the_kernels():
    rng = np.random.default_rng(0)
    a, s, weights = rng.standard_normal(7), rng.uniform(-1, 1, 7), rng.dirichlet(np.ones(7))
    ours = mean_field_velocity(QUADRATIC_RELU, a, s, weights, epsilon=0.01)
    for mine, theirs in zip(
        ours, kernel_velocity(QUADRATIC_RELU, a, s, weights, 0.01), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000),
    st.floats(-14, -0.1),
    st.integers(1, 6),
    st.integers(0, 5),
    st.floats(-3, 3),
)
def test_any_flow_descends_to_the_end(seed, log_epsilon, N, degree, log_scale):
    rng = np.random.default_rng(seed)
    problem = SingleIndexProblem(rng.standard_normal(degree + 1), rng.standard_normal(degree + 1))
    atoms = 10**log_scale * rng.standard_normal(N)
    epsilon = 10**log_epsilon
    flow = mean_field_flow(
        problem,
        atoms,
        rng.dirichlet(np.ones(N)),
        epsilon=epsilon,
        times=[epsilon, 10 * epsilon**0.25],
    )
    assert np.isfinite(flow.a).all()
    assert (np.abs(flow.s) <= 1).all()
    risks = (flow.step_residuals**2).sum(axis=1)
    assert (np.diff(risks) <= 1e-6 * risks[:-1]).all()
    recomputed = problem.residuals(flow.a[-1], flow.s[-1], flow.weights)
    load = np.abs(flow.a).max() * np.abs(problem.sigma).max()
    np.testing.assert_allclose(flow.residuals[-1], recomputed, atol=1e-9 + 1e-12 * load)


# --- other solvers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "epsilon", "method"),
    [
        (CUBIC, 1e-2, "Radau"),
        (QUADRATIC_RELU, 1e-2, "Radau"),
        (CUBIC, 1e-3, "BDF"),
        (CUBIC, 1e-5, "BDF"),
        (QUADRATIC_RELU, 1e-4, "BDF"),
    ],
)
def test_other_solvers_agree(problem, epsilon, method):
    weights = np.array([0.1, 0.2, 0.2, 0.2, 0.2, 0.1])
    times = np.geomspace(0.1 * epsilon, 1.0, 25)
    rtol = 1e-10 if method == "Radau" else 1e-9
    a, s = reference(problem, SIX, weights, epsilon, times, method, rtol)
    flow = mean_field_flow(problem, SIX, weights, epsilon=epsilon, times=times, rtol=1e-8)
    tolerance = 1e-7 if method == "Radau" else 1e-6
    np.testing.assert_allclose(flow.a, a, atol=tolerance * np.abs(a).max())
    np.testing.assert_allclose(flow.s, s, atol=tolerance * np.abs(s).max())
    rho = [problem.residuals(*state, weights) for state in zip(a, s, strict=True)]
    np.testing.assert_allclose(flow.residuals, rho, atol=10 * tolerance)


def test_neurons_come_back_from_the_targets_direction():
    """Neurons of the tail reach s = 1 to rounding, and leave it again when the force turns."""
    atoms, weights = gaussian_law(20)
    times = np.geomspace(1e-8, 0.1, 40)
    _, s = reference(CUBIC, atoms, weights, 1e-7, times, "BDF", 1e-9)
    flow = mean_field_flow(CUBIC, atoms, weights, epsilon=1e-7, times=times, rtol=1e-8)
    returned = (np.abs(s).max(axis=0) > 1 - 1e-12) & (np.abs(s[-1]) < 0.9)
    assert returned.any()
    np.testing.assert_allclose(flow.s, s, atol=2e-5)


@pytest.mark.parametrize(("epsilon", "stalls"), [(1e-3, True), (1e-4, True), (1e-5, False)])
def test_alternating_signs_stall_at_moderate_epsilon(epsilon, stalls):
    atoms, weights = uniform_law(60)
    alternating = SingleIndexProblem(phi=[1, -1, 2 / 3, 0.5], sigma=[1, 1, 1, 1])
    flow = mean_field_flow(alternating, atoms, weights, epsilon=epsilon, times=[1000.0])
    if stalls:
        np.testing.assert_allclose(
            np.abs(flow.residuals[-1]), [0.003, 0.056, 0.319, 0.59], atol=0.006
        )
        # The neurons have gathered at two values of s.
        assert np.unique(flow.s[-1].round(2)).size == 2
    else:
        assert flow.risks[-1] < 1e-20
    same_signs = SingleIndexProblem(phi=[1, 1, 2 / 3, 0.5], sigma=[1, 1, 1, 1])
    assert (
        mean_field_flow(same_signs, atoms, weights, epsilon=epsilon, times=[1000.0]).risks[-1]
        < 1e-20
    )


# --- the method ----------------------------------------------------------------------------------


def field(system, y):
    """(a′, ξ′, ρ′) for real or complex y, as the module's docstring defines it."""
    N, K = system.weights.size, system.phi.size - 1
    a, s, rho = y[:N], np.tanh(y[N : 2 * N]), y[2 * N :]
    k = np.arange(K + 1)
    powers = s[:, None] ** k
    slopes = np.zeros_like(powers)
    slopes[:, 1:] = k[1:] * powers[:, :-1]
    fast = powers @ (system.sigma * rho) / system.epsilon
    slow = a * (slopes @ (system.sigma * rho))
    moved = powers * fast[:, None] + slopes * (a * (1 - s**2) * slow)[:, None]
    return np.concatenate([fast, slow, -system.sigma * (system.weights @ moved)])


def a_system(problem, N, epsilon, rng, tolerance=1e-6):
    weights = rng.dirichlet(np.ones(N))
    return System(problem.phi, problem.sigma, weights, epsilon, 1.0, tolerance, 1e-12)


@pytest.mark.parametrize("epsilon", [0.5, 1e-3])
@pytest.mark.parametrize("problem", [CUBIC, QUADRATIC_RELU], ids=["cubic", "relu"])
def test_linear_systems_are_those_of_the_jacobian(problem, epsilon):
    rng = np.random.default_rng(1)
    N, size = 7, problem.phi.size
    system = a_system(problem, N, epsilon, rng)
    y = rng.standard_normal(2 * N + size)
    h = 0.3 * epsilon
    at = workspace(N, size)
    top = evaluate(system, y, at)
    np.testing.assert_allclose(at.velocity, field(system, y), rtol=1e-11, atol=1e-11)
    assert linearise(system, y, h, top, at)
    step = 1e-200
    directions = np.eye(y.size)
    J = np.array([field(system, y + 1j * step * e).imag / step for e in directions]).T
    right, out = rng.standard_normal(y.size), np.zeros(y.size)
    solve_stage(system, top, at, right, out)
    exact = np.linalg.solve(np.eye(y.size) - GAMMA * h * J, right)
    np.testing.assert_allclose(out, exact, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(
    ("a", "s", "degree"),
    [
        (1.0, 0.5, 16),
        (1.0, 1.0, 16),
        (1.0, 1e-20, 6),
        (1.0, 1e-200, 1),
        (1.0, 0.0, 1),
        (1e150, 0.5, -1),
        (np.nan, 0.5, -1),
        (1.0, np.nan, -1),
    ],
)
def test_degrees_beyond_rounding_are_left_out_and_absurd_states_have_none(a, s, degree):
    system = a_system(QUADRATIC_RELU, 1, 0.1, np.random.default_rng(0))
    assert highest_degree(system, np.array([a]), np.array([s])) == degree


def test_a_step_is_too_long_when_a_neuron_alone_would_have_grown_as_fast():
    """At the start of stage 1 neurons grow at the rate |σ_1 φ_1|/√ε."""
    system = System(CUBIC.phi, CUBIC.sigma, np.full(6, 1 / 6), 1e-8, 1.0, 1e-6, 1e-12)
    y = np.concatenate([SIX, np.zeros(6), CUBIC.residuals(SIX, np.zeros(6))])
    at = workspace(6, 4)
    top = evaluate(system, y, at)
    assert linearise(system, y, 0.95e-4 / GAMMA, top, at)
    for h in (0.99e-4, 1.05e-4, 1e-3):
        assert not linearise(system, y, h / GAMMA, top, at)


def test_matrices_are_factorised_if_they_are_positive():
    rng = np.random.default_rng(3)
    good = np.eye(5) + 0.1 * rng.standard_normal((5, 5))
    C, b = good.copy(), rng.standard_normal(5)
    assert factorised(C, 4)
    x = b.copy()
    solve(C, x, 4)
    np.testing.assert_allclose(good[:4, :4] @ x[:4], b[:4], rtol=1e-12)
    assert x[4] == b[4]
    good[2, 2] = -1.0
    assert not factorised(good, 4)


def march(system, y, h, n):
    """n steps of size h, with no control of the error."""
    N, size = system.weights.size, system.phi.size
    at, U = workspace(N, size), np.zeros((8, y.size))
    new, inner = np.zeros_like(y), np.zeros_like(y)
    for _ in range(n):
        top = evaluate(system, y, at)
        assert _integrator.try_step(system, y, h, top, at, inner, U, new) < np.inf
        y, new = new.copy(), new
    return y


@pytest.mark.parametrize(
    ("epsilon", "h", "order"), [(0.3, 0.2, 4.7), (1e-6, 4e-3, 4.0), (1e-12, 1.2e-4, 3.7)]
)
def test_the_order_is_five_and_near_four_where_the_flow_is_stiff(epsilon, h, order):
    """From h to h/8, for h ≫ ε in the last two."""
    system = System(CUBIC.phi, CUBIC.sigma, np.full(6, 1 / 6), epsilon, 1.0, 1e-6, 1e-12)
    begin = 0.4 * min(1.0, epsilon) ** 0.25  # within stage 2
    flow = mean_field_flow(CUBIC, SIX, epsilon=epsilon, times=[begin], rtol=1e-11)
    y = np.concatenate([flow.a[0], np.arctanh(flow.s[0]), flow.residuals[0]])
    y = march(system, y, h / 64, 64)  # what is fast has relaxed
    exact = march(system, y, h / 128, 512)
    scale = np.repeat([np.abs(exact[:6]).max(), np.abs(exact[6:12]).max(), 1.0], [6, 6, 4])
    errors = [np.abs((march(system, y, h / n, 4 * n) - exact) / scale).max() for n in (1, 8)]
    assert errors[1] > 1e-12
    assert np.log(errors[0] / errors[1]) / np.log(8) > order


def test_residuals_as_variables_keep_the_error_from_growing_as_epsilon_falls():
    """The same method on (a, ξ) alone, with the exact Jacobian, errs a thousand times more."""
    epsilon, h = 1e-12, 6e-5
    system = System(CUBIC.phi, CUBIC.sigma, np.full(6, 1 / 6), epsilon, 1.0, 1e-6, 1e-12)
    flow = mean_field_flow(CUBIC, SIX, epsilon=epsilon, times=[0.4 * epsilon**0.25], rtol=1e-11)
    y = np.concatenate([flow.a[0], np.arctanh(flow.s[0]), flow.residuals[0]])
    y = march(system, y, h / 64, 64)

    def alone(neurons):
        powers = np.tanh(neurons[6:, None]) ** np.arange(4)
        rho = CUBIC.phi - CUBIC.sigma * ((system.weights * neurons[:6]) @ powers)
        return field(system, np.concatenate([neurons, rho]))[:12]

    neurons = y[:12]
    for _ in range(4):
        J = np.array([alone(neurons + 1e-200j * e).imag / 1e-200 for e in np.eye(12)]).T
        matrix, U = np.eye(12) - GAMMA * h * J, np.zeros((8, 12))
        for i in range(8):
            right = h * alone(neurons + STAGES[i, :i] @ U[:i]) + COUPLING[i, :i] @ U[:i]
            U[i] = np.linalg.solve(matrix, GAMMA * right)
        neurons = neurons + WEIGHTS @ U
    exact = march(system, y, h / 64, 256)[:6]
    ours = np.abs(march(system, y, h, 4)[:6] - exact).max()
    assert ours < 1e-6 * np.abs(exact).max()
    assert np.abs(neurons[:6] - exact).max() > 1e3 * ours


@pytest.mark.parametrize("epsilon", [1e-2, 1e-6, 1e-12, 1e-16])
def test_rtol_is_what_it_says(epsilon):
    times = np.geomspace(0.3 * epsilon, 3 * epsilon**0.2, 40)
    exact = mean_field_flow(CUBIC, SIX, epsilon=epsilon, times=times, rtol=1e-11)
    for rtol in (1e-4, 1e-6, 1e-8):
        flow = mean_field_flow(CUBIC, SIX, epsilon=epsilon, times=times, rtol=rtol)
        for ours, theirs in ((flow.a, exact.a), (flow.s, exact.s)):
            error = np.abs(ours - theirs).max(axis=1) / np.abs(theirs).max(axis=1)
            assert error.max() < 2 * rtol
        assert np.abs(flow.residuals - exact.residuals).max() < rtol


@pytest.mark.parametrize("problem", [CUBIC, QUADRATIC_RELU], ids=["cubic", "relu"])
def test_steps_grow_no_faster_than_the_logarithm(problem):
    """Per decade of ε no more steps than from 1e-4 to 1e-6, and few in all."""
    atoms, weights = uniform_law(20)
    flows = [
        mean_field_flow(problem, atoms, weights, epsilon=10.0**-k, times=[1.0])
        for k in (4, 6, 8, 10, 12, 14, 16)
    ]
    steps = [flow.n_steps for flow in flows]
    assert max(steps) < 700
    assert steps[-1] - steps[1] < 5 * max(30, steps[1] - steps[0]) * 1.5
    assert sum(flow.n_rejected for flow in flows) < 0.05 * sum(steps)


def test_smallest_epsilon_takes_less_than_three_seconds():
    mean_field_flow(CUBIC, SIX, epsilon=0.1, times=[0.1])  # compiles
    start = perf_counter()
    flow = mean_field_flow(CUBIC, SIX, epsilon=1e-16, times=[1.0])
    assert perf_counter() - start < 3.0
    assert flow.risks[0] < 1e-20


def test_times_do_not_change_the_flow():
    few = mean_field_flow(CUBIC, SIX, epsilon=1e-6, times=[1.0])
    many = mean_field_flow(CUBIC, SIX, epsilon=1e-6, times=np.linspace(0, 1, 301))
    np.testing.assert_array_equal(few.step_times, many.step_times)
    np.testing.assert_array_equal(many.a[0], SIX)
    np.testing.assert_allclose(few.risks[0], many.risks[-1], rtol=1e-12)


def test_nothing_left_to_learn_is_the_end():
    flow = mean_field_flow(CUBIC, SIX, epsilon=1e-6, times=[1.0, 1e3, 1e9])
    assert flow.status.startswith("nothing is left to learn after t = ")
    assert flow.step_times[-1] < 1e3
    np.testing.assert_array_equal(flow.a[1], flow.a[2])
    assert (np.abs(flow.residuals[1:]) < 1e-12).all()


def test_tanh_is_exact_to_rounding():
    xi = np.concatenate([[0.0], np.geomspace(1e-300, 400, 4001)])
    s = np.zeros_like(xi)
    correlations(xi, s)
    np.testing.assert_allclose(s, np.tanh(xi), rtol=5e-16, atol=0)


# --- stages --------------------------------------------------------------------------------------

# Of the chapter's reference: ε, t_1, t_2, t_3, the risk halfway between (in log t).
TABLE = [
    (1e-4, 0.03276, 0.0921, 0.151, (0.654, 0.089, 0.034)),
    (1e-6, 0.0044962, 0.0627, 0.0891, (0.6562, 0.1313, 0.0269)),
    (1e-7, 0.0016058, 0.0388, 0.1585, (0.6562, 0.1442, 0.0114)),
    (1e-8, 5.6555e-4, 0.02233, 0.2001, (0.6562, 0.1508, 0.0157)),
    (1e-10, 6.807e-5, 7.213e-3, 0.1133, (0.6562, 0.1552, 0.0238)),
]


@pytest.mark.parametrize(("epsilon", "t1", "t2", "t3", "risks"), TABLE)
def test_stage_times_and_plateaus_of_the_reference(epsilon, t1, t2, t3, risks):
    flow = mean_field_flow(CUBIC, SIX, epsilon=epsilon, times=[1.0])
    t = stage_times(flow)
    # The table's last digit.
    np.testing.assert_allclose(t[1:], [t1, t2, t3], rtol=3e-3)
    assert t[1] == pytest.approx(t1, rel=2e-4)
    assert t[0] / epsilon == pytest.approx(np.log(2 * 0.95), rel=3e-5 + 2 * epsilon)
    middles = np.sqrt(t[:-1] * t[1:])
    seen = mean_field_flow(CUBIC, SIX, epsilon=epsilon, times=middles).risks
    np.testing.assert_allclose(seen, risks, atol=6e-4)


def test_learning_degree_one_takes_the_time_of_the_formula():
    """t_1 = √ε/(2|σ_1 φ_1|) [½ log(1/ε) + log(4|φ_1|/(|σ_1| Var P_A))], up to O(√ε)."""
    atoms, weights = uniform_law(40)
    problem = SingleIndexProblem(phi=[1, 1, 2 / 3, 0.5], sigma=[1, 1, 1, 1])
    ratios = []
    for epsilon in (1e-4, 1e-6, 1e-8):
        formula = np.sqrt(epsilon) / 2 * (np.log(1 / epsilon) / 2 + np.log(4 * 3))
        flow = mean_field_flow(problem, atoms, weights, epsilon=epsilon, times=[1.0])
        ratios.append(stage_times(flow)[1] / formula)
    assert abs(ratios[2] - 1) < 1e-3
    gaps = np.abs(np.array(ratios) - 1)
    assert (gaps[1:] < gaps[:-1] / 5).all()


def test_learning_degree_two_takes_longer_and_longer_in_its_unit():
    """t_2/ε^¼ grows to the blow-up time 2.4067 of the constrained flow."""
    scaled = [
        stage_times(mean_field_flow(CUBIC, SIX, epsilon=epsilon, times=[1.0]))[2] / epsilon**0.25
        for epsilon in (1e-8, 1e-10, 1e-12, 1e-14, 1e-16)
    ]
    np.testing.assert_allclose(scaled, [2.233, 2.281, 2.315, 2.341, 2.360], atol=6e-4)


@pytest.mark.parametrize("epsilon", [1e-3, 1e-8, 1e-16])
def test_crossings_are_as_accurate_as_the_flow(epsilon):
    exact = mean_field_flow(CUBIC, SIX, epsilon=epsilon, times=[1.0], rtol=1e-11)
    flow = mean_field_flow(CUBIC, SIX, epsilon=epsilon, times=[1.0])
    for fraction in (0.9, 0.5, 0.1):
        np.testing.assert_allclose(
            stage_times(flow, fraction=fraction), stage_times(exact, fraction=fraction), rtol=1e-6
        )
    t = stage_times(exact, fraction=0.3)
    there = mean_field_flow(CUBIC, SIX, epsilon=epsilon, times=np.sort(t), rtol=1e-11)
    at = np.diagonal(there.residuals[np.argsort(np.argsort(t))])
    np.testing.assert_allclose(np.abs(at), 0.3 * CUBIC.phi, atol=1e-8)


def test_widths_are_differences_of_crossings():
    flow = mean_field_flow(CUBIC, SIX, epsilon=1e-8, times=[1.0])
    expected = stage_times(flow, fraction=0.2) - stage_times(flow, fraction=0.6)
    np.testing.assert_array_equal(stage_widths(flow, fractions=(0.6, 0.2)), expected)
    # Degree 0 relaxes exponentially; degree 1 follows the logistic curve of rate 2/√ε.
    assert stage_widths(flow)[0] / 1e-8 == pytest.approx(np.log(9), rel=1e-5)
    assert stage_widths(flow)[1] / 1e-4 == pytest.approx(np.log(81) / 2, rel=3e-3)


def test_what_is_not_learned_is_never_learned():
    blocked = SingleIndexProblem(phi=[1, 0, 0.5, 0.25], sigma=[1, 1, 1, 1])
    flow = mean_field_flow(blocked, SIX, epsilon=1e-4, times=[10.0])
    np.testing.assert_array_equal(stage_times(flow)[1:], [0.0, np.inf, np.inf])
    np.testing.assert_array_equal(stage_widths(flow)[1:], [0.0, np.inf, np.inf])
    assert flow.risks[0] == pytest.approx((0.5**2 + 0.25**2) / 2, rel=1e-10)
    early = mean_field_flow(CUBIC, SIX, epsilon=1e-8, times=[1e-3])
    assert np.isfinite(stage_times(early)[:2]).all()
    assert np.isinf(stage_times(early)[2:]).all()
    assert np.isinf(stage_widths(early)[2:]).all()


def test_what_is_known_at_the_start_is_learned_at_zero():
    flow = mean_field_flow(CUBIC, [0.8, 1.4], epsilon=1e-4, times=[1.0])  # mean 1.1, ρ_0 = −0.1
    assert stage_times(flow)[0] == 0.0
    assert stage_times(flow, fraction=0.05)[0] > 0.0


def test_two_atoms_do_not_learn_degree_two_in_its_time():
    """Mean(a s²) grows at the rate 4 σ_2 φ_2 (φ_1/σ_1)² of order one, as ε → 0."""
    for epsilon, tolerance in ((1e-8, 0.05), (1e-12, 0.01)):
        times = np.array([0.002, 0.004]) + 3 * epsilon**0.25
        flow = mean_field_flow(CUBIC, [-1, 1], epsilon=epsilon, times=times)
        learned = CUBIC.phi[2] - flow.residuals[:, 2]
        slope = np.diff(learned)[0] / 0.002
        assert slope == pytest.approx(4 * 0.5, rel=tolerance + 0.03)
        assert "2 atoms learn no degree beyond 1 in its turn" in flow.status


@pytest.mark.parametrize(
    ("problem", "atoms", "words"),
    [
        (([1, 0, 0.5], [1, 1, 1]), SIX, "stage 1 can't happen: phi[1] = 0"),
        (([1, 1, 0.5, 1], [1, 1, 0, 1]), SIX, "stage 2 can't happen: sigma[2] = 0"),
        (([1, 1, 0.5], [1, 1, 1]), [0.0, 1.0], "2 atoms learn no degree beyond 1 in its turn"),
    ],
)
def test_status_names_the_stage_that_cannot_happen(problem, atoms, words):
    flow = mean_field_flow(SingleIndexProblem(*problem), atoms, epsilon=1e-3, times=[1e-3])
    assert words in flow.status


def test_status_has_no_remark_where_all_can_be_learned():
    flow = mean_field_flow(CUBIC, SIX, epsilon=1e-3, times=[1e-3])
    assert (
        flow.status == f"reached t = 0.001: {flow.n_steps} steps ({flow.n_rejected} more refused)"
    )
    odd = SingleIndexProblem(phi=[0, 1, 0.5], sigma=[0, 1, 1])  # nothing to fit at degree 0
    assert ";" not in mean_field_flow(odd, [-1, 1], epsilon=1e-3, times=[1e-3]).status


# --- laws ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 7, 60])
def test_laws_have_the_moments_of_their_densities(n):
    for law, moment in (
        (uniform_law, lambda k: 1 / (k + 1)),
        (gaussian_law, lambda k: np.prod(np.arange(1, k, 2))),
    ):
        atoms, weights = law(n)
        assert atoms.shape == weights.shape == (n,)
        assert (np.diff(atoms) > 0).all()
        assert (weights > 0).all()
        for k in range(min(2 * n, 20)):
            expected = 0.0 if k % 2 else moment(k)
            scale = moment(k + k % 2)
            assert weights @ atoms**k == pytest.approx(expected, abs=1e-12 * scale)


def test_the_largest_gaussian_law_has_positive_weights():
    atoms, weights = gaussian_law(350)
    assert (weights > 0).all()
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    mean_field_flow(CUBIC, atoms, weights, epsilon=1e-3, times=[1.0])


# --- wrong arguments -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epsilon": 0.0}, r"epsilon must be > 0, got 0.0"),
        ({"epsilon": 1.0}, r"epsilon must be < 1, got 1.0"),
        ({"epsilon": np.nan}, r"epsilon must be finite, got nan"),
        ({"times": [1.0, 1.0]}, r"times must be strictly increasing, got 1.0, 1.0"),
        ({"times": [-1.0]}, r"times must be ≥ 0, got -1.0"),
        ({"rtol": 1e-12}, r"rtol must be ≥ 1e-11, got 1e-12"),
        ({"rtol": 0.1}, r"rtol must be ≤ 0.01, got 0.1"),
        ({"atoms": [0.5, 1.0, 0.5]}, r"atoms must differ from one another, got 0.5 more than once"),
        ({"atoms": [[1.0]]}, r"atoms must have 1 dimension\(s\), got shape \(1, 1\)"),
        ({"weights": [0.5, 0.5, 0.5]}, r"weights must sum to one, got a sum of 1.5"),
        ({"weights": [0.5, 0.5]}, r"weights must have shape \(3,\), got \(2,\)"),
        ({"weights": [1.5, 0.5, -1.0]}, r"weights must be > 0, got -1.0 at index 2"),
        ({"s0": [0.0, 0.0]}, r"s0 must have shape \(3,\), got \(2,\)"),
        ({"s0": [0.0, 0.0, 1.5]}, r"s0 must be within \[−1, 1\], got a value of size 1.5"),
        ({"s0": [0.0, 0.0, -1.0]}, r"s0 must be within \(−1, 1\): at ±1 a neuron would never move"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    good = {"atoms": [-1.0, 0.2, 1.0], "weights": None, "epsilon": 0.01, "times": [1.0]}
    with pytest.raises(ValueError, match=message):
        mean_field_flow(CUBIC, **(good | arguments))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: stage_times(f, fraction=0.0), r"fraction must be > 0, got 0.0"),
        (lambda f: stage_times(f, fraction=1.0), r"fraction must be < 1, got 1.0"),
        (lambda f: stage_widths(f, fractions=(0.1, 0.9)), r"fractions must decrease within"),
        (lambda f: stage_widths(f, fractions=(0.5,)), r"fractions must have shape \(2,\)"),
        (lambda _: uniform_law(0), r"n must be ≥ 1, got 0"),
        (lambda _: gaussian_law(351), r"n must be ≤ 350, where weights underflow, got 351"),
        (
            lambda _: mean_field_velocity(CUBIC, [1.0], [1.1], epsilon=0.1),
            r"s must be within \[−1, 1\], got a value of size 1.1",
        ),
    ],
)
def test_wrong_questions_are_named(call, message):
    flow = mean_field_flow(CUBIC, SIX, epsilon=0.01, times=[1e-3])
    with pytest.raises(ValueError, match=message):
        call(flow)


def test_running_out_of_steps_is_an_error_that_says_where(monkeypatch):
    monkeypatch.setattr(mean_field, "MAX_STEPS", 50)
    with pytest.raises(ConvergenceError, match=r"stopped at t = .* of 1: steps ran out after"):
        mean_field_flow(CUBIC, SIX, epsilon=1e-6, times=[1.0])


def test_an_accuracy_beyond_rounding_is_an_error(monkeypatch):
    monkeypatch.setattr(mean_field, "STEP_SHARE", 1e-12)
    with pytest.raises(
        ConvergenceError, match=r"the step underflowed .* try rtol larger than 1e-11"
    ):
        mean_field_flow(CUBIC, SIX, epsilon=1e-6, times=[1.0], rtol=1e-11)


def test_results_are_read_only():
    flow = mean_field_flow(CUBIC, SIX, epsilon=0.01, times=[1e-3])
    for name in ("a", "s", "residuals", "times", "step_times", "step_residuals"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(flow, name)[:] = 0.0
