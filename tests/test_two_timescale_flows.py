"""The joint and the reduced flow against SciPy, against each other, and against their limits."""

import re

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from inthelimit import ConvergenceError
from inthelimit.two_timescale import (
    PiecewiseConstant,
    StepNetwork,
    _rosenbrock,
    flows,
    gradient,
    gradient_flow,
    lag,
    limit_flow,
    loss,
    optimal_outer_layer,
    reduced_flow,
)

TARGET = PiecewiseConstant([0.2, 0.35, 0.5, 0.65, 0.8], [1, 5, 1, 3, 1, 5])
SMALL = PiecewiseConstant([0.3, 0.6], [0.0, 2.0, 1.0])
ETA = 4e-3
HORIZON = 0.035


def paper_start(seed=42, m=20):
    """The start of the paper's experiments is that of seed 42."""
    return np.sort(np.random.RandomState(seed).rand(m))


def good_starts(number, m=20):
    """The first seeds with two neurons in every piece."""
    starts, seed = [], 0
    while len(starts) < number:
        u = paper_start(seed, m)
        if (
            np.bincount(TARGET(u).astype(int) * 0 + np.searchsorted(TARGET.breakpoints, u)).min()
            > 1
        ):
            starts.append(u)
        seed += 1
    return starts


def spread_start(seed, m=20):
    """Neurons on a jittered grid: the Gram matrix is far from singular."""
    return (np.arange(m) + 0.5 + 0.5 * (np.random.default_rng(seed).random(m) - 0.5)) / m


def by_scipy(velocity, start, times):
    """Radau on what the public gradient says, with tolerances well below those tested."""
    solution = solve_ivp(
        lambda _, x: velocity(x),
        (0, times[-1]),
        start,
        "Radau",
        t_eval=times,
        rtol=1e-9,
        atol=1e-11,
    )
    return solution.y.T


def slope(x, y):
    return np.polyfit(np.log(x), np.log(y), 1)[0]


# ---------------------------------------------------------------------------- against other methods


@pytest.mark.parametrize("epsilon", [1e-3, 0.05, 2.0])
def test_the_joint_flow_is_what_a_general_solver_finds_from_the_gradient(epsilon):
    m, eta = 6, 0.03
    rng = np.random.default_rng(4)
    u0, a0 = rng.random(m), rng.standard_normal(m + 1)
    times = np.linspace(0, 0.2, 9)

    def velocity(x):
        of_a, of_u = gradient(SMALL, StepNetwork(x[: m + 1], x[m + 1 :], eta))
        return -np.concatenate([of_a / epsilon, of_u])

    x = by_scipy(velocity, np.concatenate([a0, u0]), times)
    flow = gradient_flow(SMALL, u0, epsilon=epsilon, eta=eta, times=times, a0=a0, rtol=1e-10)
    np.testing.assert_allclose(flow.outer, x[:, : m + 1], atol=1e-7)
    np.testing.assert_allclose(flow.positions, x[:, m + 1 :], atol=1e-7)
    np.testing.assert_array_equal(flow.positions[0], u0)
    np.testing.assert_array_equal(flow.outer[0], a0)
    ends = [loss(SMALL, flow.network(k)) for k in range(9)]
    np.testing.assert_allclose(flow.losses, ends, rtol=1e-13)


@pytest.mark.parametrize("seed", [1, 4])
def test_the_reduced_flow_is_what_a_general_solver_finds_with_the_best_outer_layer(seed):
    u0, eta = np.random.default_rng(seed).random(6), 0.03
    times = np.linspace(0, 0.2, 9)

    def velocity(u):
        best = optimal_outer_layer(SMALL, u, eta=eta)
        return -gradient(SMALL, StepNetwork(best, u, eta))[1]

    flow = reduced_flow(SMALL, u0, eta=eta, times=times, rtol=1e-10)
    np.testing.assert_allclose(flow.positions, by_scipy(velocity, u0, times), atol=1e-7)
    for k in range(9):
        best = optimal_outer_layer(SMALL, flow.positions[k], eta=eta)
        np.testing.assert_array_equal(flow.outer[k], best)
    assert np.isinf(flow.fast_time[1:]).all()
    assert flow.fast_time[0] == 0


@pytest.mark.parametrize("epsilon", [0.0, 2e-5, 1e-2, 0.1])
def test_errors_follow_rtol(epsilon):
    times = np.linspace(0, HORIZON, 30)

    def run(rtol):
        if epsilon == 0:
            return reduced_flow(TARGET, paper_start(), eta=ETA, times=times, rtol=rtol)
        return gradient_flow(
            TARGET, paper_start(), epsilon=epsilon, eta=ETA, times=times, rtol=rtol
        )

    exact = run(1e-12)
    for rtol in (1e-5, 1e-7, 1e-9):
        error = np.abs(run(rtol).positions - exact.positions).max()
        assert 1e-4 * rtol < error < 10 * rtol


def test_readings_between_steps_are_as_good_as_at_their_ends():
    times = np.linspace(0, HORIZON, 997)
    fine = reduced_flow(TARGET, paper_start(), eta=ETA, times=times)
    exact = reduced_flow(TARGET, paper_start(), eta=ETA, times=times, rtol=1e-11)
    assert np.abs(fine.positions - exact.positions).max() < 1e-6


# ------------------------------------------------------------------------------------ what flows do


@pytest.mark.parametrize("epsilon", [2e-5, 1e-2, 1.0])
def test_the_loss_falls_at_the_rate_of_the_squared_gradients(epsilon):
    times = np.linspace(0.01, 0.01 + 1e-5, 3)
    flow = gradient_flow(TARGET, paper_start(), epsilon=epsilon, eta=ETA, times=times, rtol=1e-10)
    of_a, of_u = gradient(TARGET, flow.network(1))
    expected = -(of_a @ of_a / epsilon + of_u @ of_u)
    rate = (flow.losses[2] - flow.losses[0]) / (times[2] - times[0])
    assert rate == pytest.approx(expected, rel=1e-3)
    long = gradient_flow(
        TARGET, paper_start(), epsilon=epsilon, eta=ETA, times=np.linspace(0, 1, 200)
    )
    assert (np.diff(long.losses) < 1e-9).all()


def test_naming_the_neurons_otherwise_names_the_flow_otherwise():
    u0 = np.random.default_rng(0).random(12)
    shuffle = np.random.default_rng(1).permutation(12)
    options = {"epsilon": 0.3, "eta": 0.02, "times": [0.01, 0.3], "rtol": 1e-9}
    flow = gradient_flow(TARGET, u0, **options)
    shuffled = gradient_flow(TARGET, u0[shuffle], **options)
    np.testing.assert_allclose(shuffled.positions, flow.positions[:, shuffle], atol=1e-7)
    np.testing.assert_allclose(shuffled.outer[:, 1:], flow.outer[:, 1:][:, shuffle], atol=1e-6)


def test_neurons_may_pass_one_another_and_keep_their_names():
    """Two weights of opposite sign pull their neurons through each other."""
    target = PiecewiseConstant([0.5], [0.0, 2.0])
    options = {"epsilon": 5.0, "eta": 0.05, "times": np.linspace(0, 0.1, 40)}
    a0, u0 = np.array([0.0, 1.0, -1.0]), np.array([0.3, 0.35])
    flow = gradient_flow(target, u0, a0=a0, rtol=1e-9, **options)
    order = np.sign(flow.positions[:, 0] - flow.positions[:, 1])
    assert order[0] == -1
    assert order[-1] == 1
    assert flow.n_evaluations < 8 * 100
    other = gradient_flow(target, u0[::-1], a0=a0[[0, 2, 1]], rtol=1e-9, **options)
    np.testing.assert_allclose(other.positions, flow.positions[:, ::-1], atol=1e-8)


def test_the_force_of_a_stage_is_that_of_its_network_in_whatever_order_its_neurons_are():
    m, eta = 7, 0.05
    rng = np.random.default_rng(8)
    u, y, copies = rng.random(m), rng.standard_normal(m + 1), rng.integers(1, 4, m) * 1.0
    assert (np.diff(u) < 0).any()
    x, force = np.empty(2 * m + 1), np.empty(2 * m + 1)
    x[::2], x[1::2] = y, u
    problem = _rosenbrock.Problem(SMALL.edges, SMALL.values, eta, 0.1, 0.3, copies, 1.0, 1.0)
    _rosenbrock.write_force(problem, x, copies, force)
    a = np.diff(y, prepend=0)
    of_a, of_u = gradient(SMALL, StepNetwork(a, u, eta))
    of_a += 2 * 0.3 * a / np.concatenate([[1], copies])
    np.testing.assert_allclose(force[1::2], -of_u, rtol=1e-12)
    # y_k moves a_k up and the next weight down.
    np.testing.assert_allclose(force[::2], np.diff(of_a, append=0), rtol=1e-12)


def test_larger_jumps_only_make_time_run_faster():
    u0 = paper_start()
    times = np.linspace(0, HORIZON, 5)
    taller = PiecewiseConstant(TARGET.breakpoints, 10 * TARGET.values)
    flow = reduced_flow(TARGET, u0, eta=ETA, times=times)
    faster = reduced_flow(taller, u0, eta=ETA, times=times / 100)
    np.testing.assert_allclose(faster.positions, flow.positions, atol=1e-6)
    np.testing.assert_allclose(faster.losses, 100 * flow.losses, rtol=1e-5)


def test_the_reduced_flow_knows_no_left_and_right():
    u0 = paper_start()
    times = np.linspace(0, HORIZON, 5)
    mirror = PiecewiseConstant(1 - TARGET.breakpoints[::-1], TARGET.values[::-1])
    flow = reduced_flow(TARGET, u0, eta=ETA, times=times)
    mirrored = reduced_flow(mirror, 1 - u0, eta=ETA, times=times)
    np.testing.assert_allclose(1 - mirrored.positions, flow.positions, atol=1e-6)


def test_a_level_added_to_the_target_leaves_the_reduced_flow_as_it_is():
    u0 = paper_start()
    times = np.linspace(0, HORIZON, 5)
    raised = PiecewiseConstant(TARGET.breakpoints, TARGET.values - 7)
    flow = reduced_flow(TARGET, u0, eta=ETA, times=times)
    np.testing.assert_allclose(
        reduced_flow(raised, u0, eta=ETA, times=times).positions, flow.positions, atol=1e-6
    )


@pytest.mark.parametrize("epsilon", [None, 1e-6, 1e-3, 0.5])
def test_neurons_that_start_together_stay_together(epsilon):
    u0 = np.array([0.25, 0.1, 0.25, 0.55, 0.8])
    options = {"eta": 0.02, "times": [0.0, 0.05, 0.2]}
    if epsilon is None:
        flow = reduced_flow(SMALL, u0, **options)
    else:
        flow = gradient_flow(SMALL, u0, epsilon=epsilon, **options)
    np.testing.assert_array_equal(flow.positions[:, 0], flow.positions[:, 2])
    np.testing.assert_allclose(flow.outer[:, 1], flow.outer[:, 3], atol=1e-12)
    assert np.abs(flow.positions[-1, 0] - 0.25) > 1e-2


def test_neurons_that_start_together_move_as_a_general_solver_says():
    """Two neurons alike share their weight and its gradient, and so move at half the speed."""
    u0, a0, epsilon, eta = np.array([0.2, 0.45, 0.2]), np.array([0.0, 1.0, 0.3, 1.0]), 0.02, 0.05
    times = np.linspace(0, 0.1, 5)

    def velocity(x):
        of_a, of_u = gradient(SMALL, StepNetwork(x[:4], x[4:], eta))
        return -np.concatenate([of_a / epsilon, of_u])

    x = by_scipy(velocity, np.concatenate([a0, u0]), times)
    flow = gradient_flow(SMALL, u0, epsilon=epsilon, eta=eta, times=times, a0=a0, rtol=1e-10)
    np.testing.assert_allclose(flow.positions, x[:, 4:], atol=1e-7)
    np.testing.assert_allclose(flow.outer, x[:, :4], atol=1e-6)
    apart = gradient_flow(SMALL, u0, epsilon=epsilon, eta=eta, times=times, a0=[0, 1, 0.3, 0.5])
    assert np.abs(apart.positions[:, 0] - apart.positions[:, 2]).max() > 1e-3


def test_a_target_without_jumps_is_fitted_by_the_bias_and_moves_nothing_in_the_limit():
    constant = PiecewiseConstant([], [3.0])
    flow = reduced_flow(constant, [0.2, 0.7], eta=0.1, times=[0.0, 10.0])
    np.testing.assert_allclose(flow.positions, [[0.2, 0.7], [0.2, 0.7]], atol=1e-12)
    assert flow.losses.max() < 1e-20
    assert flow.captured().shape == (2, 0)
    nothing = gradient_flow(PiecewiseConstant([], [0.0]), [0.2], epsilon=0.1, eta=0.1, times=[1.0])
    assert nothing.losses[0] == 0


def test_fast_time_is_what_descent_pays_for():
    flow = gradient_flow(SMALL, [0.2, 0.5], epsilon=1e-3, eta=0.05, times=[0, 0.1, 0.3])
    np.testing.assert_allclose(flow.fast_time, [0, 100, 300])


def test_a_jump_is_captured_when_a_transition_reaches_it():
    flow = gradient_flow(
        TARGET, paper_start(), epsilon=2e-5, eta=ETA, times=np.linspace(0, HORIZON, 4001)
    )
    distances = np.abs(flow.positions[:, :, None] - TARGET.breakpoints).min(axis=1)
    np.testing.assert_array_equal(flow.captured(), distances <= ETA / 2)
    np.testing.assert_array_equal(flow.captured(within=ETA / 4), distances <= ETA / 4)
    assert (flow.captured() != flow.captured(within=0.4 * ETA)).any()


def test_a_reading_at_the_start_alone_is_the_start():
    for epsilon in (0.1, lambda lag: 0.1):
        flow = gradient_flow(SMALL, [0.7, 0.2], epsilon=epsilon, eta=0.05, times=[0.0])
        np.testing.assert_array_equal(flow.positions, [[0.7, 0.2]])
        np.testing.assert_array_equal(flow.outer, np.zeros((1, 3)))
    flow = reduced_flow(SMALL, [0.7, 0.2], eta=0.05, times=[0.0])
    np.testing.assert_array_equal(flow.positions, [[0.7, 0.2]])
    assert flow.network().eta == 0.05


# --------------------------------------------------------------------------------------- the limits


@pytest.mark.parametrize("start", ["best", "zero"])
def test_the_joint_flow_tends_to_the_reduced_one_at_order_one(start):
    u0 = spread_start(0)
    a0 = optimal_outer_layer(TARGET, u0, eta=ETA) if start == "best" else None
    times = np.unique(
        np.concatenate([np.geomspace(1e-6, HORIZON, 60), np.linspace(0, HORIZON, 99)])
    )
    reduced = reduced_flow(TARGET, u0, eta=ETA, times=times, rtol=1e-11)
    epsilon = 10.0 ** -np.array([7, 8, 9])
    gaps = [
        np.abs(
            gradient_flow(
                TARGET, u0, epsilon=ratio, eta=ETA, times=times, a0=a0, rtol=1e-11
            ).positions
            - reduced.positions
        ).max()
        for ratio in epsilon
    ]
    # What is left of the pre-asymptotic range at 1e-7 bends the slope by 1 %.
    assert slope(epsilon, gaps) == pytest.approx(1, abs=0.02)


def test_the_reduced_flow_tends_to_the_limit_flow_at_order_one_in_the_width():
    times = np.linspace(0, HORIZON, 150)
    limit = limit_flow(TARGET, paper_start(), times)
    eta = 10.0 ** -np.array([3, 4, 5])
    runs = [reduced_flow(TARGET, paper_start(), eta=width, times=times) for width in eta]
    gaps = [np.abs(run.positions - limit.positions).max() for run in runs]
    assert slope(eta, gaps) == pytest.approx(1, abs=0.05)
    losses = [np.abs(run.losses - limit.losses).max() for run in runs]
    assert slope(eta, losses) == pytest.approx(1, abs=0.02)


def test_at_a_ratio_of_1e_12_the_joint_flow_is_the_reduced_flow():
    times = np.linspace(1e-3, HORIZON, 20)
    reduced = reduced_flow(TARGET, paper_start(), eta=ETA, times=times)
    joint = gradient_flow(TARGET, paper_start(), epsilon=1e-12, eta=ETA, times=times)
    np.testing.assert_allclose(joint.positions, reduced.positions, atol=1e-6)
    assert joint.n_evaluations < 8 * 400


# -------------------------------------------------------------------------- the paper's experiment


def test_the_paper_s_run_goes_as_the_theorem_says():
    times = np.linspace(0, HORIZON, 101)
    shown = [0, 14, 29, 57, 100]
    reduced = reduced_flow(TARGET, paper_start(), eta=ETA, times=times)
    np.testing.assert_allclose(
        reduced.losses[shown], [0.8876, 0.1436, 0.0908, 0.0637, 0.0080], atol=1e-4
    )
    joint = gradient_flow(TARGET, paper_start(), epsilon=2e-5, eta=ETA, times=times)
    assert joint.captured()[-1].all()
    assert not joint.captured()[0].any()
    # The floor, (η/28) ΣJ² = 2η.
    assert joint.losses[-1] == pytest.approx(2 * ETA, rel=0.01)
    assert joint.losses[0] == pytest.approx(10.6, abs=1e-12)
    # Forty times slower steps would have to be taken if stiffness limited them.
    assert joint.n_evaluations < 8 * 400


@pytest.mark.parametrize(
    ("epsilon", "expected"), [(1e-4, 0.0085), (1e-3, 0.079), (1e-2, 0.78), (0.1, 2.41)]
)
def test_the_paper_s_horizon_is_too_short_for_larger_ratios(epsilon, expected):
    flow = gradient_flow(TARGET, paper_start(), epsilon=epsilon, eta=ETA, times=[HORIZON])
    assert flow.losses[0] == pytest.approx(expected, rel=0.01)


def test_with_one_time_scale_a_jump_is_abandoned():
    flow = gradient_flow(TARGET, paper_start(), epsilon=1, eta=ETA, times=[10.0, 100.0])
    for captured in flow.captured():
        np.testing.assert_array_equal(captured, [True, True, False, True, True])
    assert flow.losses[0] == pytest.approx(0.3325, abs=5e-4)
    assert flow.losses[1] > 0.3
    # With neurons out of order the Hessian would be wrong, and steps a hundred times shorter.
    assert flow.n_evaluations < 8 * 1500
    crowd = np.abs(flow.positions[-1][:, None] - TARGET.breakpoints) < ETA / 2
    assert crowd.sum(axis=0).max() >= 5


def test_two_neurons_merge_into_a_steeper_step():
    """In the reduced flow a pair beside a jump closes up, with weights that grow without bound."""
    u0 = paper_start(1)
    flow = reduced_flow(TARGET, u0, eta=ETA, times=[0.07, 0.075, 0.1])
    gaps = np.diff(np.sort(flow.positions, axis=1), axis=1).min(axis=1)
    assert gaps[2] < 1e-5 < gaps[0]
    assert np.abs(flow.outer[2]).max() > 100
    assert flow.losses[2] < 2 * ETA * 0.95
    assert lag(TARGET, flow.network()) < 1e-9


@pytest.mark.parametrize(("epsilon", "share"), [(0.01, 1.0), (1.0, 0.23)])
def test_small_ratios_find_every_jump_and_large_ones_do_not(epsilon, share):
    starts = good_starts(30)
    found = [
        gradient_flow(TARGET, u, epsilon=epsilon, eta=ETA, times=[3.0]).captured().all()
        for u in starts
    ]
    # Four standard errors of a share of 30, and one start in 30 for the share of 1.
    error = 4 * np.sqrt(share * (1 - share) / 30) + 1 / 30
    assert abs(np.mean(found) - share) <= error


@pytest.mark.slow
@pytest.mark.parametrize(
    ("epsilon", "share", "median"),
    [(1.0, 0.23, 0.70), (0.1, 0.975, 0.0083), (0.01, 0.995, 0.00798), (1e-3, 1.0, 0.00798)],
)
def test_the_share_of_starts_that_find_every_jump(epsilon, share, median):
    runs = [
        gradient_flow(TARGET, u, epsilon=epsilon, eta=ETA, times=[3.0]) for u in good_starts(200)
    ]
    found = np.mean([run.captured().all() for run in runs])
    assert abs(found - share) <= 4 * np.sqrt(share * (1 - share) / 200) + 1 / 200
    assert np.median([run.losses[0] for run in runs]) == pytest.approx(median, rel=0.05)


# ------------------------------------------------------------------------------ ε chosen on the way


def test_a_callable_that_returns_one_ratio_is_that_ratio():
    times = np.linspace(0, 0.1, 6)
    fixed = gradient_flow(SMALL, [0.45, 0.2, 0.7], epsilon=1e-2, eta=0.05, times=times, rtol=1e-9)
    chosen = gradient_flow(
        SMALL, [0.45, 0.2, 0.7], epsilon=lambda lag: 1e-2, eta=0.05, times=times, rtol=1e-9
    )
    np.testing.assert_allclose(chosen.positions, fixed.positions, atol=1e-7)
    np.testing.assert_allclose(chosen.outer, fixed.outer, atol=1e-6)
    np.testing.assert_allclose(chosen.fast_time, fixed.fast_time, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(chosen.losses, fixed.losses, atol=1e-7)


def test_a_ratio_that_falls_with_the_lag_is_asked_with_the_lag():
    asked = []

    def epsilon(behind):
        asked.append(behind)
        return 1e-2 / (1 + 100 * behind)

    times = np.linspace(0, 0.1, 4)
    flow = gradient_flow(SMALL, [0.2, 0.45, 0.7], epsilon=epsilon, eta=0.05, times=times)
    first = StepNetwork(np.zeros(4), [0.2, 0.45, 0.7], 0.05)
    assert asked[0] == pytest.approx(lag(SMALL, first), rel=1e-12)
    # ∫ dτ/ε lies between those at the least and the largest lag that were met.
    assert (np.diff(flow.fast_time) > 100 * np.diff(times)).all()
    assert flow.fast_time[-1] < 100 * 0.1 * (1 + 100 * max(asked))


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_a_callable_must_return_a_ratio(value):
    with pytest.raises(ValueError, match="epsilon must return a number > 0, got"):
        gradient_flow(SMALL, [0.2], epsilon=lambda lag: value, eta=0.05, times=[0.1])


# ---------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"u0": [0.5, 1.1]}, "u0 must be within [0, 1], got 1.1"),
        ({"u0": [-0.1]}, "u0 must be within [0, 1], got -0.1"),
        ({"u0": []}, "u0 must have at least one entry"),
        ({"eta": 0.0}, "eta must be > 0, got 0.0"),
        ({"eta": 0.31}, "eta must be at most the length of the shortest piece of the target, 0.3"),
        ({"times": [0.2, 0.1]}, "times must be strictly increasing"),
        ({"times": [-0.1, 0.1]}, "times must be ≥ 0"),
        ({"rtol": 1e-13}, "rtol must be ≥ 1e-12"),
        ({"rtol": 0.1}, "rtol must be ≤ 0.01"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"u0": [0.2, 0.5], "eta": 0.05, "times": [0.1]} | change
    u0 = arguments.pop("u0")
    with pytest.raises(ValueError, match=re.escape(message)):
        reduced_flow(SMALL, u0, **arguments)
    with pytest.raises(ValueError, match=re.escape(message)):
        gradient_flow(SMALL, u0, epsilon=0.1, **arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epsilon": 0.0}, "epsilon must be > 0, got 0.0"),
        ({"epsilon": -1}, "epsilon must be > 0, got -1.0"),
        ({"epsilon": "small"}, "epsilon must be a real number, got 'small'"),
        ({"a0": [1.0, 2.0]}, "a0 must have shape (3,), the bias and one entry for each neuron"),
        ({"a0": [1.0, 2.0, np.nan]}, "a0 must be finite"),
    ],
)
def test_bad_input_of_the_joint_flow_is_named(change, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        gradient_flow(SMALL, [0.2, 0.5], **({"epsilon": 0.1, "eta": 0.05, "times": [1]} | change))


def test_steps_that_run_out_are_an_error_that_says_where(monkeypatch):
    monkeypatch.setattr(flows, "MAX_STEPS", 10)
    with pytest.raises(
        ConvergenceError, match=r"the flow stopped at time .* of 0\.3: steps ran out"
    ):
        gradient_flow(SMALL, [0.2, 0.5], epsilon=0.1, eta=0.05, times=[0.3])
