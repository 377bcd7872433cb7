"""The stages of learning as ε → 0: formulas, one degree alone, held degrees, the timetable."""

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp

from inthelimit import ConvergenceError
from inthelimit.single_index import (
    SingleIndexProblem,
    canonical_exponents,
    canonical_stage_times,
    constant_stage_time,
    constrained_stage_flow,
    leading_share,
    linear_growth_slope,
    linear_stage_curve,
    linear_stage_end,
    linear_stage_time,
    mean_field_flow,
    simplified_blow_up,
    simplified_stage_flow,
    stage_times,
    uniform_law,
)
from inthelimit.single_index._projected_ascent import Neurons, ProjectedAscent

ONES = np.ones(4)
SIX_ATOMS = np.array([-1.0, -0.6, -0.1, 0.3, 0.7, 1.0])
FOUR_ATOMS = np.array([-1.0, -0.4, 0.3, 1.1])


@pytest.fixture
def problem():
    return SingleIndexProblem([1.0, 1.0, 0.5, 0.25], ONES)


def learned(problem, atoms, epsilon, last, weights=None):
    """Times at which the mean-field flow halves its residuals, up to the degree `last`."""
    horizon = 40 * epsilon ** (1 / (2 * last))
    flow = mean_field_flow(problem, atoms, weights, epsilon=epsilon, times=[horizon], rtol=1e-7)
    return stage_times(flow)[: last + 1]


def graded_law():
    """Gauss points on [−1, 1] whose panels halve towards 1, down to a distance of 1e-13."""
    points, masses = np.polynomial.legendre.leggauss(4)
    edges = np.append(2.0 ** -np.arange(45), 0.0)
    widths = -np.diff(edges)
    distance = (edges[1:, None] + widths[:, None] * (points + 1) / 2).ravel()
    weights = (widths[:, None] * masses / 2).ravel()
    return 1 - 2 * distance, weights / weights.sum()


# Exponents


@pytest.mark.parametrize("degree", [1, 2, 3, 7])
def test_exponents_balance_where_degree_l_is_learned_and_where_the_next_stage_starts(degree):
    e, following = canonical_exponents(degree), canonical_exponents(degree + 1)
    assert e.a + degree * e.s == pytest.approx(0)  # a s^l ~ 1
    assert 1 + 2 * e.a == pytest.approx(2 * e.s)  # ε a² ~ s²
    assert e.window == pytest.approx(e.s - (e.a + (degree - 1) * e.s))  # s/s′, s′ ~ a s^{l−1}
    assert following.time == pytest.approx(e.s - (e.a + degree * e.s))


@pytest.mark.parametrize("degree", [0, -1, 2.0])
def test_exponents_need_a_degree(degree):
    with pytest.raises(ValueError, match="degree must be"):
        canonical_exponents(degree)


# Degree 0


@pytest.mark.parametrize("fraction", [0.9, 0.5, 0.1])
def test_the_constant_is_learned_at_the_formula_time(fraction):
    problem = SingleIndexProblem([1.0, 1.0, 0.5, 0.25], [0.7, 1.0, 1.0, 1.0])
    flow = mean_field_flow(problem, SIX_ATOMS, epsilon=1e-8, times=[1e-6], rtol=1e-8)
    formula = constant_stage_time(problem, SIX_ATOMS, epsilon=1e-8, fraction=fraction)
    assert stage_times(flow, fraction=fraction)[0] / formula == pytest.approx(1, rel=1e-5)


def test_a_constant_that_is_almost_fitted_takes_no_time(problem):
    assert constant_stage_time(problem, [0.8, 1.0], epsilon=1e-4) == 0.0


# Degree 1


@pytest.mark.parametrize("first", [1.0, -1.0])
@pytest.mark.parametrize(
    ("epsilon", "gap"), [(1e-4, 0.04), (1e-6, 0.004), (1e-8, 4e-4), (1e-12, 4e-5)]
)
def test_degree_one_is_learned_at_the_sharp_time(epsilon, gap, first):
    problem = SingleIndexProblem([1.0, first, 0.5, 0.25], ONES)
    time = learned(problem, SIX_ATOMS, epsilon, 2)[1]
    formula = linear_stage_time(problem, SIX_ATOMS, epsilon=epsilon)
    assert formula / time == pytest.approx(1, rel=gap)


def test_without_a_constant_in_the_activation_the_second_moment_sets_the_clock():
    problem = SingleIndexProblem([0.0, 1.0, 0.5], [0.0, 1.0, 1.0])
    time = learned(problem, [1.0, 2.0, 4.0], 1e-10, 2)[1]
    # With the variance in its place the time would be 10 % longer.
    formula = linear_stage_time(problem, [1.0, 2.0, 4.0], epsilon=1e-10)
    assert formula == pytest.approx(time, rel=2e-3)


def test_the_logistic_curve_is_the_flow_of_degree_one(problem):
    half = linear_stage_time(problem, SIX_ATOMS, epsilon=1e-10)
    times = half * np.linspace(0.5, 1.5, 21)
    flow = mean_field_flow(problem, SIX_ATOMS, epsilon=1e-10, times=times, rtol=1e-8)
    curve = linear_stage_curve(problem, SIX_ATOMS, epsilon=1e-10, times=times)
    np.testing.assert_allclose(flow.residuals[:, 1], 1 - curve, atol=5e-4)


def test_time_and_curve_of_degree_one_are_inverse_to_one_another(problem):
    for fraction in (0.9, 0.3, 1e-3):
        time = linear_stage_time(problem, SIX_ATOMS, epsilon=1e-6, fraction=fraction)
        curve = linear_stage_curve(problem, SIX_ATOMS, epsilon=1e-6, times=[time])
        assert 1 - curve[0] == pytest.approx(fraction, rel=1e-9)


@pytest.mark.parametrize("first", [1.0, -2.0])
def test_neurons_leave_stage_one_along_the_growing_direction(first):
    problem = SingleIndexProblem([1.0, first, 0.5, 0.25], ONES)
    epsilon = 1e-12
    a, s = linear_stage_end(problem, SIX_ATOMS, epsilon=epsilon)
    assert (a * s).mean() == pytest.approx(first)
    time = 1.6 * linear_stage_time(problem, SIX_ATOMS, epsilon=epsilon)
    flow = mean_field_flow(problem, SIX_ATOMS, epsilon=epsilon, times=[time], rtol=1e-8)
    np.testing.assert_allclose(flow.a[0], a, atol=0.02 * np.abs(a).max())
    np.testing.assert_allclose(flow.s[0], s, atol=0.02 * np.abs(s).max())


def test_one_atom_learns_no_degree_one_unless_its_mean_is_free(problem):
    with pytest.raises(ValueError, match="at least 2 distinct values for degree 1, got 1"):
        linear_stage_time(problem, [1.0, 1.0], epsilon=1e-4)
    free = SingleIndexProblem([0.0, 1.0], [0.0, 1.0])
    assert linear_stage_time(free, [1.0, 1.0], epsilon=1e-4) > 0.0
    with pytest.raises(ValueError, match="other than 0"):
        linear_stage_time(free, [0.0], epsilon=1e-4)


# One degree alone


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_each_neuron_conserves_its_invariant(degree):
    rng = np.random.default_rng(degree)
    a, s = 3 * rng.standard_normal(5), 0.1 * rng.standard_normal(5)
    problem = SingleIndexProblem([0, 1, 1, -1, 1], [0, 1, 1, 1, -1])
    flow = simplified_stage_flow(
        problem, degree, a, s, epsilon=1e-3, times=np.linspace(0, 3, 30), rtol=1e-11
    )
    assert flow.drift().max() < 1e-8
    assert np.ptp(flow.a, axis=0).max() > 1e-3  # they do move


@pytest.mark.parametrize(("degree", "phi"), [(1, 0.5), (2, 0.5), (2, -0.5), (3, 0.5), (3, -0.7)])
def test_one_degree_alone_agrees_with_a_general_solver(degree, phi):
    a0, s0 = np.array([30.0, -30.0, 10.0]), np.array([0.2, -0.2, 0.15])
    weights, epsilon, sigma = np.array([0.5, 0.3, 0.2]), 1e-4, 0.8
    problem = SingleIndexProblem(np.eye(4)[degree] * phi, np.eye(4)[degree] * sigma)

    def velocity(_, u):
        a, s = u[:3], u[3:]
        force = sigma * (phi - sigma * weights @ (a * s**degree))
        return np.concatenate([force * s**degree / epsilon, degree * force * a * s ** (degree - 1)])

    times = np.array([0.0, 1e-3, 5e-3, 2e-2])
    peer = solve_ivp(
        velocity, (0, times[-1]), np.append(a0, s0), "Radau", times, rtol=1e-10, atol=1e-12
    )
    flow = simplified_stage_flow(problem, degree, a0, s0, weights, epsilon=epsilon, times=times)
    np.testing.assert_allclose(flow.a, peer.y[:3].T, rtol=1e-6)
    np.testing.assert_allclose(flow.s, peer.y[3:].T, rtol=1e-6)
    rho = phi - sigma * (flow.a * flow.s**degree) @ weights
    np.testing.assert_allclose(flow.residuals, rho, atol=1e-9)


def test_with_nothing_to_learn_a_degree_shrinks_the_second_layer():
    problem = SingleIndexProblem([0, 0, 0], [0, 0, 1.0])
    flow = simplified_stage_flow(
        problem, 2, [3.0, 2.0, -1.0], [0.3, 0.2, -0.2], epsilon=1e-3, times=np.linspace(0, 0.5, 9)
    )
    assert (np.diff((flow.a**2).mean(axis=1)) < 0).all()
    rates = np.gradient((flow.a**2).mean(axis=1), flow.times)
    assert rates[0] < 0
    assert abs(flow.residuals[-1]) < abs(flow.residuals[0])


@pytest.mark.parametrize(
    ("a", "s"), [([1.0, 2.0], [0.0, 0.0]), ([0.0, 0.0], [0.0, 0.0]), ([2.0, 2.0], [0.5, 0.5])]
)
def test_neurons_at_zero_and_fitted_neurons_stand_still(problem, a, s):
    flow = simplified_stage_flow(problem, 2, a, s, epsilon=0.1, times=[0, 9])
    assert (flow.a == a).all()
    assert (flow.s == s).all()
    assert (flow.residuals == 0.5 - 2 * s[0] ** 2).all()
    assert (flow.drift() == 0).all()


@pytest.mark.parametrize("degree", [2, 3, 4, 5])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_blow_up_is_the_integral_along_the_invariant(degree, sign):
    problem = SingleIndexProblem(np.full(6, sign * 0.7), np.full(6, 0.9))
    epsilon, c = 1e-4, 0.63
    a0, s0 = np.array([5.0, 50.0, 9.0, -3.0, -50.0]), np.array([0.1, 0.1, -0.2, 0.2, 0.1])
    times = simplified_blow_up(problem, degree, a0, s0, epsilon=epsilon)
    for a, s, time in zip(a0, s0, times, strict=True):
        alpha = sign * np.sign(s) ** degree * np.sqrt(epsilon * degree) * a
        energy = alpha**2 - s**2

        def flight(start, energy=energy):
            # s = start/(1 − v²) takes the square root out of a start from rest.
            def slowness(v):
                x = start / (1 - v**2)
                return (
                    2 * v * start / (1 - v**2) ** 2 / (x ** (degree - 1) * np.sqrt(x**2 + energy))
                )

            return quad(slowness, 0, 1, epsabs=0, epsrel=1e-10, limit=200)[0]

        if alpha < 0 and energy >= 0:
            expected = np.inf
        elif alpha < 0:
            turn = np.sqrt(-energy) * (1 + 1e-15)
            expected = 2 * flight(turn) - flight(abs(s))
        else:
            expected = flight(abs(s))
        assert time == pytest.approx(expected * np.sqrt(epsilon / degree) / c, rel=1e-6)


def test_after_stage_one_blow_up_of_the_quadratic_is_an_inverse_hyperbolic_sine():
    problem = SingleIndexProblem([1, -0.5, 2 / 3], [1, 2, 3.0])
    for epsilon in (1e-4, 1e-12):
        a, s = linear_stage_end(problem, SIX_ATOMS, epsilon=epsilon)
        times = simplified_blow_up(problem, 2, a, s, epsilon=epsilon)
        S = s * epsilon**-0.25
        expected = np.arcsinh(1) / (np.sqrt(2) * 2 * np.abs(S))
        dies = 2 * a * s**2 < 0
        np.testing.assert_allclose(times[~dies], expected[~dies] * epsilon**0.25, rtol=1e-9)
        assert np.isinf(times[dies]).all()
        assert dies.any()


def test_one_degree_alone_is_learned_when_the_first_neuron_would_blow_up():
    problem = SingleIndexProblem([1, 1, 2 / 3], [1, 1, 1.0])
    gaps = []
    for epsilon in (1e-6, 1e-12, 1e-24):
        a, s = linear_stage_end(problem, SIX_ATOMS, epsilon=epsilon)
        blow_up = simplified_blow_up(problem, 2, a, s, epsilon=epsilon).min()
        times = blow_up * np.linspace(0.6, 1.0, 201)
        flow = simplified_stage_flow(problem, 2, a, s, epsilon=epsilon, times=times)
        half = np.interp(-1 / 3, -flow.residuals, times)
        gaps.append(1 - half / blow_up)
    # The window is ε^(1/12) of the time: its part falls by √10 and by 10.
    assert gaps[0] / gaps[1] == pytest.approx(np.sqrt(10), rel=0.15)
    assert gaps[1] / gaps[2] == pytest.approx(10, rel=0.15)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2, [1.0], [1.5]), "s0 must be within ±1"),
        ((2, [1.0, 2.0], [0.5]), r"s0 must have shape \(2,\)"),
        ((4, [1.0], [0.5]), "degree must be within the expansion's 3"),
    ],
)
def test_one_degree_alone_refuses_bad_starts(problem, arguments, message):
    with pytest.raises(ValueError, match=message):
        simplified_stage_flow(problem, *arguments, epsilon=0.1, times=[1.0])
    with pytest.raises(ValueError, match=message):
        simplified_blow_up(problem, *arguments, epsilon=0.1)


def test_a_degree_that_the_network_or_the_target_lacks_has_no_blow_up():
    with pytest.raises(ValueError, match=r"stage 2 can't happen: sigma\[2\] = 0"):
        simplified_stage_flow(
            SingleIndexProblem([1, 1, 1], [1, 1, 0]), 2, [1.0], [0.1], epsilon=0.1, times=[1.0]
        )
    with pytest.raises(ValueError, match=r"stage 2 can't happen: phi\[2\] = 0"):
        simplified_blow_up(SingleIndexProblem([1, 1, 0], [1, 1, 1]), 2, [1.0], [0.1], epsilon=0.1)


# A degree with the lower ones held


@pytest.mark.parametrize(("atoms", "constant"), [(SIX_ATOMS, 2.4067), (FOUR_ATOMS, 2.8497)])
def test_blow_up_of_stage_two_has_the_constants_found_by_stepping_far(problem, atoms, constant):
    # The two constants were found by integrating up to |S| = 1e4, which is 2e-4 short.
    assert constrained_stage_flow(problem, 2, atoms).blow_up == pytest.approx(constant, abs=3e-4)


def test_blow_up_of_stage_two_for_a_uniform_law():
    problem = SingleIndexProblem([1, -1, 2 / 3, 0.5], ONES)
    constants = [
        constrained_stage_flow(problem, 2, *uniform_law(n)).blow_up for n in (100, 200, 400)
    ]
    assert constants[2] == pytest.approx(0.9204, abs=1.5e-3)
    # The last node has a mass ~ n^−2 and blows up first: an error ~ n^(−2/q), q = 1.3079.
    ratio = (constants[0] - constants[1]) / (constants[1] - constants[2])
    assert np.log2(ratio) == pytest.approx(2 / 1.3079, abs=0.05)


def multiplier_velocity(degree, constant, held, weights):
    """The constrained flow in its own variables, by the Gram matrix of the held moments."""
    k = np.arange(degree + 1)

    def velocity(_, u):
        A, S = np.split(u, 2)
        powers = S[:, None] ** k
        slopes = A[:, None] * k * S[:, None] ** np.maximum(k - 1, 0)
        gram = powers.T @ (weights[:, None] * powers) + slopes.T @ (weights[:, None] * slopes)
        polynomial = np.zeros(degree + 1)
        polynomial[degree] = constant
        polynomial[held] = np.linalg.solve(gram[np.ix_(held, held)], -constant * gram[held, degree])
        return np.concatenate([powers @ polynomial, slopes @ polynomial])

    return velocity


@pytest.mark.parametrize(("degree", "held"), [(2, [0, 1]), (2, [1]), (3, [0, 1, 2]), (3, [1, 2])])
def test_the_stage_is_the_flow_with_multipliers(degree, held):
    sigma = np.array([float(0 in held), -1.5, 0.7, 2.0])
    problem = SingleIndexProblem([1.0, 1.0, -0.5, 0.25 if 0 in held else -0.25], sigma)
    weights = np.array([0.1, 0.1, 0.2, 0.2, 0.15, 0.25])
    stage = constrained_stage_flow(problem, degree, SIX_ATOMS, weights, epsilon=1e-12)
    times = stage.blow_up * np.array([0.0, 0.3, 0.6, 0.9])
    stage = constrained_stage_flow(problem, degree, SIX_ATOMS, weights, epsilon=1e-12, times=times)
    velocity = multiplier_velocity(degree, sigma[degree] * problem.phi[degree], held, weights)
    start = np.concatenate([stage.A[0], stage.S[0]])
    peer = solve_ivp(velocity, (0, times[-1]), start, "DOP853", times, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(np.hstack([stage.A, stage.S]), peer.y.T, rtol=1e-6, atol=1e-6)
    for i in range(times.size):
        A, S = stage.A[i], stage.S[i]
        polynomial = np.append(stage.multipliers[i], sigma[degree] * problem.phi[degree])
        field = np.polynomial.polynomial.polyval(S, polynomial)
        np.testing.assert_allclose(field, velocity(0, np.append(A, S))[:6], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("degree", [2, 3, 4])
def test_lower_moments_are_held_and_the_objective_ascends(degree):
    problem = SingleIndexProblem([1.0, -1.0, 0.5, 0.25, 0.125], np.ones(5))
    epsilon = 1e-40
    stage = constrained_stage_flow(problem, degree, SIX_ATOMS, epsilon=epsilon)
    sizes = (np.abs(stage.A) * np.abs(stage.S) ** (degree - 1)).mean(axis=1)
    held = (stage.A * stage.S ** (degree - 1)).mean(axis=1)
    np.testing.assert_allclose(held - problem.phi[degree - 1], 0, atol=1e-7 * sizes.max())
    for k in range(degree - 1):
        fitted = (stage.A * stage.S**k).mean(axis=1) / np.abs(stage.A * stage.S**k).mean(axis=1)
        assert np.abs(fitted).max() < 2 * epsilon ** (1 / (2 * (degree - 1) * degree))
    assert (np.diff(np.sign(problem.phi[degree]) * stage.objective) > 0).all()


def test_the_time_left_to_the_blow_up_falls_like_the_inverse_size(problem):
    stage = constrained_stage_flow(problem, 2, SIX_ATOMS)
    left = stage.blow_up - stage.times[-40:]
    sizes = np.sqrt((stage.A[-40:] ** 2 + stage.S[-40:] ** 2).mean(axis=1))
    slope = np.polyfit(np.log(left), np.log(sizes), 1)[0]
    assert slope == pytest.approx(-1, abs=0.01)


@pytest.mark.parametrize("n", [4, 6, 9])
def test_stage_two_ends_with_two_neurons_and_one_cluster(problem, n):
    atoms = np.random.default_rng(n).standard_normal(n)
    stage = constrained_stage_flow(problem, 2, atoms)
    winners = np.argsort(-np.abs(stage.direction_S))[:2]
    rest = np.setdiff1d(np.arange(n), winners)
    y, x = stage.direction_A, stage.direction_S
    # The critical point in closed form: equal winners at ±x, the others at 0 with what is left.
    np.testing.assert_allclose(y[winners], np.sqrt((n - 2) / 6), atol=1e-6)
    np.testing.assert_allclose(np.abs(x[winners]), np.sqrt(n / 3), atol=1e-6)
    np.testing.assert_allclose(y[rest], -2 * y[winners[0]] / (n - 2), atol=1e-6)
    np.testing.assert_allclose(x[rest], 0, atol=1e-6)
    assert leading_share(y, x, 2, part=0.999) == pytest.approx(0.999 * 2 / n, rel=1e-4)


@pytest.mark.parametrize("epsilon", [1e-8, 1e-12, 1e-16, 1e-24, 1e-40])
def test_the_timetable_is_that_of_the_flow(problem, epsilon):
    flow = learned(problem, SIX_ATOMS, epsilon, 3)
    table = canonical_stage_times(problem, 3, SIX_ATOMS, epsilon=epsilon)
    gap = np.abs(table / flow - 1)
    # Stage 2 is cut off where it is ε^(1/4) from its limit, stage 3 where the window of stage 2
    # is ε^(1/6) of it; the factors in front are measured.
    assert gap[0] < 1e-4
    assert gap[1] < 0.01 * epsilon**0.25 + 1e-4
    assert gap[2] < 5 * epsilon**0.25 + 1e-6
    assert gap[3] < 5 * epsilon ** (1 / 6) + 1e-6


@pytest.mark.parametrize(("epsilon", "gap"), [(1e-16, 0.02), (1e-24, 3e-3), (1e-40, 1e-4)])
def test_the_timetable_reaches_degree_four(epsilon, gap):
    problem = SingleIndexProblem([1.0, 1.0, 0.5, 0.25, 0.125], np.ones(5))
    flow = learned(problem, SIX_ATOMS, epsilon, 4)
    table = canonical_stage_times(problem, 4, SIX_ATOMS, epsilon=epsilon)
    np.testing.assert_allclose(table, flow, rtol=gap)


def test_learning_time_of_stage_two_tends_to_the_blow_up(problem):
    stage = constrained_stage_flow(problem, 2, SIX_ATOMS)
    gaps = np.array([1 - stage.learning_time(10.0**-e) / stage.blow_up for e in (24, 36, 48)])
    # Over twelve decades ε^(1/12) falls by ten.
    np.testing.assert_allclose(gaps[:-1] / gaps[1:], 10, rtol=0.03)


def test_the_quadratic_is_learned_at_the_blow_up_for_any_smaller_epsilon(problem):
    time = canonical_stage_times(problem, 2, SIX_ATOMS, epsilon=1e-250)[2]
    assert time / 1e-250**0.25 == pytest.approx(2.406883269647, rel=1e-10)


def test_stage_three_takes_longer_and_longer_in_its_own_unit(problem):
    # Clusters of S come together like ε^(1/12) and split at a rate that grows like T.
    constants = [
        constrained_stage_flow(problem, 3, SIX_ATOMS, epsilon=10.0**-e).blow_up
        for e in (20, 40, 80, 120)
    ]
    assert (np.diff(constants) > 1.5).all()
    slope = np.polyfit(np.log([40, 80, 120]), np.log(constants[1:]), 1)[0]
    assert 0.5 < slope < 0.7


def test_two_neurons_of_a_cluster_come_together_like_the_twelfth_root_of_epsilon(problem):
    spreads = []
    for e in (36, 48, 60):
        stage = constrained_stage_flow(problem, 3, SIX_ATOMS, epsilon=10.0**-e, times=[0.0])
        cluster = np.argsort(np.abs(stage.S[0]))[:4]
        spreads.append(np.ptp(stage.A[0, cluster]))
    np.testing.assert_allclose(np.array(spreads[:-1]) / spreads[1:], 10, rtol=0.05)


@pytest.mark.parametrize(
    ("degree", "atoms", "sigma_0", "message"),
    [
        (2, [-1.0, 1.0], 1.0, "at least 3 distinct values for degree 2, got 2: a law with N atoms"),
        (3, [-1.0, 0.0, 0.0, 1.0], 1.0, "at least 4 distinct values for degree 3, got 3"),
        (3, [-1.0, 0.0, 1.0], 0.0, "at least 3 distinct values other than 0 .* got 2"),
    ],
)
def test_a_law_with_too_few_atoms_is_refused(degree, atoms, sigma_0, message):
    problem = SingleIndexProblem([1.0, 1.0, 0.5, 0.25], [sigma_0, 1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match=message):
        constrained_stage_flow(problem, degree, atoms, epsilon=1e-8)
    with pytest.raises(ValueError, match=message):
        canonical_stage_times(problem, degree, atoms, epsilon=1e-8)


def test_without_a_constant_in_the_activation_two_atoms_learn_degree_two():
    problem = SingleIndexProblem([0.0, 1.0, 0.5], [0.0, 1.0, 1.0])
    table = canonical_stage_times(problem, 2, [-1.0, 1.5], epsilon=1e-30)
    np.testing.assert_allclose(table[1:], learned(problem, [-1.0, 1.5], 1e-30, 2)[1:], rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"degree": 1}, "degree must be ≥ 2"),
        ({"degree": 3}, "epsilon must be given for degree 3"),
        ({"degree": 3, "epsilon": 1.0}, "epsilon must be < 1"),
        ({"degree": 4}, "l must be within the expansion's degree 3"),
        ({"times": [0.0, 3.0]}, "times must be below the blow-up at 2.40688"),
        ({"times": [1.0, 0.5]}, "times must be strictly increasing"),
        ({"rtol": 1e-16}, "rtol must be ≥ 1e-13"),
        ({"weights": np.full(6, 0.2)}, "weights must sum to one"),
    ],
)
def test_the_stage_refuses_bad_arguments(problem, changes, message):
    arguments = {"degree": 2, "atoms": SIX_ATOMS} | changes
    with pytest.raises(ValueError, match=message):
        constrained_stage_flow(problem, **arguments)


def test_a_stage_that_cannot_happen_is_named():
    with pytest.raises(ValueError, match=r"stage 3 can't happen: phi\[2\] = 0"):
        canonical_stage_times(SingleIndexProblem([1, 1, 0, 1], ONES), 3, SIX_ATOMS, epsilon=1e-4)


def test_learning_time_belongs_to_the_epsilon_of_the_stage(problem):
    stage = constrained_stage_flow(problem, 3, SIX_ATOMS, epsilon=1e-12)
    assert stage.learning_time() == stage.learning_time(1e-12)
    with pytest.raises(ValueError, match="epsilon must be 1e-12, for which"):
        stage.learning_time(1e-13)
    with pytest.raises(ValueError, match="epsilon must be given"):
        constrained_stage_flow(problem, 2, SIX_ATOMS).learning_time()


# One atom too few


def test_two_opposite_atoms_grow_linearly():
    problem = SingleIndexProblem([1, 1, 2 / 3], [1, 1, 1.0])
    velocity = multiplier_velocity(2, 2 / 3, [0, 1], np.array([0.5, 0.5]))
    path = solve_ivp(
        velocity, (0, 20), [-1.0, 1.0, -1.0, 1.0], "DOP853", np.linspace(0, 20, 6), rtol=1e-11
    )
    objective = (path.y[:2] * path.y[2:] ** 2).mean(axis=0)
    slope = linear_growth_slope(problem, [-1.0, 1.0])
    assert slope == pytest.approx(8 / 3)
    np.testing.assert_allclose(objective, slope * path.t, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("weights", [[0.2, 0.8], [0.05, 0.95]])
def test_two_unequal_atoms_grow_no_faster_than_the_bound(weights):
    weights = np.array(weights)
    problem = SingleIndexProblem([1, 2, -0.5], [1, 1, 1.0])
    atoms = np.array([-1.0, 1.0])
    g = (atoms - weights @ atoms) / np.sqrt(weights @ (atoms - weights @ atoms) ** 2)
    start = np.sqrt(2) * np.append(g, g)
    path = solve_ivp(
        multiplier_velocity(2, -0.5, [0, 1], weights), (0, 9), start, "DOP853",
        np.linspace(0, 9, 91), rtol=1e-10,
    )  # fmt: skip
    slopes = np.abs(np.diff(weights @ (path.y[:2] * path.y[2:] ** 2)) / np.diff(path.t))
    bound = linear_growth_slope(problem, atoms, weights)
    assert 0.5 * bound < slopes.max() <= bound * (1 + 1e-6)


@pytest.mark.parametrize("epsilon", [1e-8, 1e-12, 1e-16])
def test_the_flow_from_opposite_atoms_learns_degree_two_at_times_of_order_one(epsilon):
    problem = SingleIndexProblem([1, 1, 2 / 3], [1, 1, 1.0])
    times = np.array([0.01, 0.011])
    flow = mean_field_flow(problem, [-1.0, 1.0], epsilon=epsilon, times=times, rtol=1e-8)
    slope = -np.diff(flow.residuals[:, 2])[0] / 0.001
    # Saturation by then: ρ_2/φ_2 = 1 − 4 t.
    assert slope == pytest.approx(linear_growth_slope(problem, [-1.0, 1.0]), rel=0.06)
    assert flow.residuals[-1, 2] > 0.6


def test_the_slope_is_that_of_a_law_of_distinct_atoms(problem):
    with pytest.raises(ValueError, match="atoms must be distinct"):
        linear_growth_slope(problem, [1.0, 1.0])
    with pytest.raises(ValueError, match="atoms must be at least two"):
        linear_growth_slope(problem, [1.0])
    with pytest.raises(ValueError, match="l must be within the expansion's degree 3"):
        linear_growth_slope(problem, FOUR_ATOMS)


def test_a_degree_whose_neurons_die_out_is_an_error_and_stalls_the_flow():
    weights = np.array([0.1, 0.1, 0.2, 0.2, 0.15, 0.25])
    problem = SingleIndexProblem([0.0, 1.0, -0.5, 0.25], [0.0, -1.5, 0.7, 2.0])
    with pytest.raises(ConvergenceError, match=r"stage 3 doesn't happen: .* the overlaps S die"):
        constrained_stage_flow(problem, 3, SIX_ATOMS, weights, epsilon=1e-12, rtol=1e-6)
    # Ten thousand times as long as stage 3 would take, the flow still has all of ρ_3, and more.
    flow = mean_field_flow(problem, SIX_ATOMS, weights, epsilon=1e-24, times=[1.0])
    assert flow.residuals[0, 3] > 0.25
    assert abs(flow.residuals[0, 2]) < 1e-3


def test_an_ascent_that_only_grows_linearly_is_an_error():
    weights = np.array([0.5, 0.5])
    start = Neurons.of(np.array([-1.0, 1.0]), np.array([-1.0, 1.0]), weights)
    with pytest.raises(ConvergenceError, match="stage 2 doesn't blow up: at T"):
        ProjectedAscent(2, 2 / 3, start, weights, held=[0, 1], rtol=1e-4)


@pytest.mark.parametrize("epsilon", [1e-165, 1e-200, 1e-300])
def test_neurons_closer_than_rounding_are_an_error_and_not_a_guess(problem, epsilon):
    with pytest.raises(ConvergenceError, match=r"stage 2 goes on, .* try a larger epsilon"):
        canonical_stage_times(problem, 3, SIX_ATOMS, epsilon=epsilon)


def test_clusters_too_close_for_rounding_are_told_before_stage_four_as_well():
    problem = SingleIndexProblem([1.0, 1.0, 0.5, 0.25, 0.125], np.ones(5))
    with pytest.raises(ConvergenceError, match=r"stage 3 goes on, .* try a larger epsilon"):
        constrained_stage_flow(problem, 4, SIX_ATOMS, epsilon=1e-150)


# Who learns


def test_the_share_is_the_least_mass_that_carries_the_part():
    assert leading_share([1, 1, 1, 1], [1, 1, 1, 1], 3) == pytest.approx(0.9)
    assert leading_share([1, 1], [1, 0], 1, [0.1, 0.9], part=1.0) == pytest.approx(0.1)
    assert leading_share([2, 1], [1, 1], 0, part=0.5) == pytest.approx(0.375)


def test_the_share_has_no_unit():
    rng = np.random.default_rng(3)
    a, s = rng.standard_normal(50), rng.standard_normal(50)
    share = leading_share(a, s, 2)
    assert leading_share(1e9 * a, 1e-100 * s, 2) == pytest.approx(share, rel=1e-12)


def test_neurons_that_work_against_the_others_make_the_share_smaller():
    alone = leading_share([1.0, 1.0], [1.0, 1.0], 1, part=0.5)
    against = leading_share([1.0, 1.0, -1.0], [1.0, 1.0, 1.0], 1, [0.4, 0.4, 0.2], part=0.5)
    assert against == pytest.approx(0.3)
    assert alone == pytest.approx(0.5)


def test_a_share_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"mean\(a s\^2\) must not be 0"):
        leading_share([1.0, -1.0], [1.0, 1.0], 2)
    with pytest.raises(ValueError, match="part must be ≤ 1"):
        leading_share([1.0], [1.0], 2, part=1.5)


def test_a_law_with_an_edge_learns_with_a_vanishing_share_of_its_neurons(problem):
    # Formal exponents of a density that is positive at the edge: with q = 1.307882 the share is
    # ε^(q/(4(3−q))), the largest overlap ε^(1/4 − 1/(4(3−q))), and t_3 − t_2 ~ √ε/s².
    atoms, weights = graded_law()
    rows = []
    for epsilon in (1e-20, 1e-28):
        times = learned(problem, atoms, epsilon, 2, weights)
        later = learned(problem, atoms, epsilon, 3, weights)[3] - times[2]
        flow = mean_field_flow(problem, atoms, weights, epsilon=epsilon, times=times[2:])
        share = leading_share(flow.a[0], flow.s[0], 2, weights, part=0.5)
        rows.append([share, np.abs(flow.s).max(), later])
    slopes = np.log(np.array(rows[0]) / rows[1]) / np.log(1e8)
    np.testing.assert_allclose(slopes, [0.19323, 0.10226, 0.29549], rtol=0.02)
