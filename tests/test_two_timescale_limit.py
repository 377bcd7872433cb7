"""The limit flow: closed forms, its equation by other routes, and starts without a theorem."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad, solve_ivp

from inthelimit import ConvergenceError
from inthelimit.two_timescale import (
    PiecewiseConstant,
    _coupled,
    hit_time,
    limit_flow,
    limit_loss,
    reduced_flow,
)
from inthelimit.two_timescale.limit import _coupled_flow

STAIRCASE = PiecewiseConstant([0.2, 0.35, 0.5, 0.65, 0.8], [1, 5, 1, 3, 1, 5])


def published_start():
    """Return the 20 sorted positions with which the paper's code begins."""
    return np.sort(np.random.RandomState(42).rand(20))


def good_start(seed, m=30):
    rng = np.random.default_rng(seed)
    while True:
        u = rng.random(m)
        if limit_flow(STAIRCASE, u, [0.0]).status == "ok":
            return u


def hit_integral(p, q):
    """Return ∫_0^r (1 + ρ/(c+ρ³)^⅓)² dρ by adaptive quadrature on doubling panels."""
    r, R = min(p, q), max(p, q)
    c = (R - r) * (R * R + R * r + r * r)
    ends = np.unique(np.minimum(r, np.append(0.0, np.cbrt(c) * 2.0 ** np.arange(-10, 50))))
    ends = np.unique(np.append(ends, r))
    return sum(
        quad(lambda x: (1 + x / np.cbrt(c + x**3)) ** 2, a, b, epsabs=0.0, epsrel=3e-14)[0]
        for a, b in pairwise(ends)
    )


def speeds(target, u):
    """Return −∇V(u) for sorted u, by means of f* from its primitive."""
    primitive = np.append(0.0, np.cumsum(np.diff(target.edges) * target.values))
    ends = np.concatenate([[0.0], u, [1.0]])
    widths = np.maximum(np.diff(ends), 1e-300)
    means = np.diff(np.interp(ends, target.edges, primitive)) / widths
    f = target(u)
    return (f - means[1:]) ** 2 - (f - means[:-1]) ** 2


def euler(target, u0, times, step):
    """Follow the flow with no notion of an event: neurons chatter about the jumps they are on."""
    u, done, path = np.sort(u0), 0, []
    for time in times:
        while done * step < time - step / 2:
            u = np.sort(np.clip(u + step * speeds(target, u), 0.0, 1.0))
            done += 1
        path.append(u)
    return np.array(path)


# The hit time


def test_hit_time_is_its_integral_also_where_the_distances_nearly_agree():
    rng = np.random.default_rng(0)
    p = 10.0 ** rng.uniform(-4, -0.3, 40)
    q = np.where(np.arange(40) < 20, p * (1 + 10.0 ** rng.uniform(-13, 0, 40)), rng.random(40))
    expected = [hit_integral(a, b) for a, b in zip(p, q, strict=True)]
    assert hit_time(p, q, 1.0) == pytest.approx(expected, rel=1e-13, abs=0.0)


def test_hit_time_is_when_the_nearer_neighbour_arrives_in_its_differential_equation():
    p, q, jump = 0.031, 0.012, 2.0

    run = solve_ivp(
        lambda _, y: -(jump**2) * np.array([y[1], y[0]]) ** 2 / (y[0] + y[1]) ** 2,
        (0.0, 0.006),
        [p, q],
        events=lambda _, y: min(y[0], y[1]),
        rtol=1e-12,
        atol=1e-15,
        method="DOP853",
    )
    assert run.t_events[0][0] == pytest.approx(float(hit_time(p, q, jump)), abs=1e-12)
    assert float(hit_time(p, q, jump)) == pytest.approx(0.004328006232764, abs=1e-14)


def test_hit_time_at_its_ends():
    assert hit_time([0.0, 0.3, 0.0], [0.2, 0.0, 0.0], 3.0).tolist() == [0.0, 0.0, 0.0]
    assert float(hit_time(0.01, 0.01, 2.0)) == pytest.approx(0.01, rel=1e-15)
    # (1 + r/R)² = 1 + O(r/R) when the other neighbour is far away.
    assert float(hit_time(1e-9, 0.5, 2.0)) == pytest.approx(0.25e-9, rel=1e-8)


@given(
    # No smaller, so that nothing on the way is subnormal.
    st.just(0.0) | st.floats(1e-150, 1),
    st.just(0.0) | st.floats(1e-150, 1),
    st.floats(0.1, 10),
    st.integers(-300, 300),
)
def test_hit_time_keeps_its_bounds_its_symmetry_and_its_scaling(p, q, jump, exponent):
    # Powers of two, since where p and q nearly agree the hit time feels their rounding.
    scale = 2.0**exponent
    time, r = float(hit_time(p, q, jump)), min(p, q)
    bounds = r / jump**2, min(4 * r, 2 * (p + q)) / jump**2
    assert bounds[0] * (1 - 1e-14) <= time <= bounds[1] * (1 + 1e-14)
    assert float(hit_time(q, p, -jump)) == time
    scaled = float(hit_time(p * scale, q * scale, jump))
    assert scaled == pytest.approx(scale * time, rel=1e-13, abs=0.0)


# The loss


@pytest.mark.parametrize("seed", range(5))
def test_limit_loss_is_the_least_squares_fit_of_steps(seed):
    rng = np.random.default_rng(seed)
    cells, m = 60, 5
    cuts = np.sort(rng.choice(np.arange(1, cells), 4, replace=False))
    target = PiecewiseConstant(cuts / cells, rng.normal(size=5))
    u = rng.integers(0, cells + 1, m) / cells
    middle = (np.arange(cells) + 0.5) / cells
    features = np.column_stack([np.ones(cells), middle[:, None] > u])
    heights = np.linalg.lstsq(features, target(middle), rcond=None)[0]
    expected = np.mean((target(middle) - features @ heights) ** 2)
    assert float(limit_loss(target, u)) == pytest.approx(expected, abs=1e-13)


def test_limit_loss_has_the_shape_of_a_stack_and_ignores_order_and_neurons_outside():
    u = np.random.default_rng(1).random((2, 3, 7))
    losses = limit_loss(STAIRCASE, u)
    assert losses.shape == (2, 3)
    assert limit_loss(STAIRCASE, u[..., ::-1]).tolist() == losses.tolist()
    outside = np.concatenate([u, np.full((2, 3, 1), -0.5), np.full((2, 3, 1), 1.5)], axis=-1)
    assert limit_loss(STAIRCASE, outside) == pytest.approx(losses, abs=1e-15)
    assert float(limit_loss(STAIRCASE, u[0, 0])) == losses[0, 0]


def test_limit_loss_is_exactly_zero_with_a_neuron_on_each_jump_and_the_variance_with_none():
    assert float(limit_loss(STAIRCASE, np.append(STAIRCASE.breakpoints, 0.41))) == 0.0
    mean = np.diff(STAIRCASE.edges) @ STAIRCASE.values
    variance = np.diff(STAIRCASE.edges) @ (STAIRCASE.values - mean) ** 2
    assert float(limit_loss(STAIRCASE, [-1.0])) == pytest.approx(variance, rel=1e-14)


def test_one_jump_costs_the_harmonic_form_of_its_distances():
    target = PiecewiseConstant([0.4], [1.0, -2.0])
    p, q = 0.13, 0.07
    assert float(limit_loss(target, [0.4 - p, 0.4 + q, 0.9])) == pytest.approx(
        9 * p * q / (p + q), rel=1e-14
    )


# The flow on a good subdivision


def test_published_start_gives_the_known_hits_and_losses():
    times = np.linspace(0.0, 0.035, 101)
    flow = limit_flow(STAIRCASE, published_start(), times)
    assert flow.status == "ok"
    assert flow.hit_times == pytest.approx([0.00157, 0.00254, 0.00874, 0.02814, 0.00318], abs=1e-5)
    assert flow.losses[[0, 14, 29, 57]] == pytest.approx([0.899, 0.1387, 0.0841, 0.0571], abs=1e-4)
    assert flow.losses[100] == 0.0


@pytest.mark.parametrize("seed", range(3))
def test_flow_solves_its_differential_equation(seed):
    u0 = np.sort(good_start(seed))
    end = 0.9 * limit_flow(STAIRCASE, u0, [0.0]).hit_times.min()
    times = np.linspace(0.0, end, 11)
    run = solve_ivp(
        lambda _, u: speeds(STAIRCASE, u),
        (0.0, end),
        u0,
        t_eval=times,
        rtol=1e-12,
        atol=1e-14,
        method="DOP853",
    )
    assert limit_flow(STAIRCASE, u0, times).positions == pytest.approx(run.y.T, abs=1e-11)


def test_speed_is_minus_the_gradient_of_the_loss():
    u0, step = good_start(5), 1e-6
    slope = np.array(
        [
            (limit_loss(STAIRCASE, u0 + e) - limit_loss(STAIRCASE, u0 - e)) / (2 * step)
            for e in step * np.eye(u0.size)
        ]
    )
    flow = limit_flow(STAIRCASE, u0, [0.0, 1e-6])
    assert (flow.positions[1] - flow.positions[0]) / 1e-6 == pytest.approx(-slope, abs=2e-2)
    assert np.count_nonzero(np.abs(slope) > 1e-6) == 10


@pytest.mark.parametrize("seed", range(5))
def test_cubes_of_the_distances_keep_their_difference_until_the_hit(seed):
    times = np.linspace(0.0, 0.2, 200)
    flow = limit_flow(STAIRCASE, good_start(seed), times)
    p, q = np.moveaxis(flow.distances(), -1, 0)
    drift = p**3 - q**3 - flow.invariants
    assert np.abs(drift / flow.invariants).max() < 1e-11
    before = times[:, None] < flow.hit_times
    assert (np.minimum(p, q)[before] > 0.0).all()
    assert (np.minimum(p, q)[~before] == 0.0).all()


@pytest.mark.parametrize("seed", range(5))
def test_the_nearer_neighbour_hits_within_the_bound_and_the_loss_is_zero_from_then_on(seed):
    flow = limit_flow(STAIRCASE, good_start(seed), [0.0])
    p, q = flow.distances()[0].T
    assert (flow.hitters == np.where(p < q, flow.flanks[:, 0], flow.flanks[:, 1])).all()
    assert flow.hit_times.max() <= 2 / STAIRCASE.smallest_jump**2
    last = flow.hit_times.max()
    after = limit_flow(STAIRCASE, flow.start, [0.0, last * (1 - 1e-9), last, 2 * last])
    assert after.losses[1] > 0.0
    assert after.losses[2:].tolist() == [0.0, 0.0]
    assert (after.positions[-1][flow.hitters] == STAIRCASE.breakpoints).all()
    assert after.captured().all()
    assert not flow.captured().any()


def test_what_is_left_of_the_way_takes_what_is_left_of_the_time():
    flow = limit_flow(STAIRCASE, good_start(7), [0.0])
    for time in flow.hit_times.min() * np.array([0.1, 0.7, 0.999999]):
        later = limit_flow(STAIRCASE, flow.at(time), [0.0])
        assert later.hit_times == pytest.approx(flow.hit_times - time, abs=1e-15)


def test_at_time_zero_the_positions_are_the_start_to_the_last_digit():
    u0 = [0.05, 0.3]
    assert 0.25 - (0.25 - u0[0]) != u0[0]
    flow = limit_flow(PiecewiseConstant([0.25], [0.0, 1.0]), u0, [0.0, 0.1])
    assert flow.status == "ok"
    assert flow.positions[0].tolist() == u0
    assert flow.at(0.0).tolist() == u0


def test_only_flanks_move_in_the_order_given_and_the_loss_falls():
    u0 = good_start(3)
    times = np.linspace(0, 0.1, 50)
    flow = limit_flow(STAIRCASE, u0, times)
    others = np.setdiff1d(np.arange(u0.size), flow.flanks)
    assert (flow.positions[:, others] == u0[others]).all()
    assert (np.diff(flow.losses) <= 0.0).all()
    assert limit_loss(STAIRCASE, flow.positions) == pytest.approx(flow.losses, abs=1e-14)
    assert flow.at(times[::-1].reshape(5, 10)) == pytest.approx(
        flow.positions[::-1].reshape(5, 10, -1), abs=0.0
    )


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_times_scale_with_the_inverse_square_of_heights(factor):
    scaled = PiecewiseConstant(STAIRCASE.breakpoints, factor * STAIRCASE.values)
    times = np.linspace(0, 0.3, 7)
    for u0 in (good_start(2), np.random.default_rng(2).random(6)):
        flow, other = (
            limit_flow(STAIRCASE, u0, times),
            limit_flow(scaled, u0, times / factor**2),
        )
        assert other.positions == pytest.approx(flow.positions, abs=1e-11)
        assert other.hit_times * factor**2 == pytest.approx(flow.hit_times, abs=1e-11)


# The flow from any start


@pytest.mark.parametrize("seed", range(20))
def test_coupled_flow_is_the_closed_form_on_good_subdivisions(seed):
    u0 = good_start(seed)
    times = np.linspace(0.0, 0.3, 20)
    flow = limit_flow(STAIRCASE, u0, times)
    positions, hit_times, hitters = _coupled_flow(STAIRCASE, u0, times)
    assert positions == pytest.approx(flow.positions, abs=1e-11)
    assert hit_times == pytest.approx(flow.hit_times, abs=1e-11)
    assert (hitters == flow.hitters).all()


def crowded_start(seed):
    rng = np.random.default_rng(seed)
    return np.sort(rng.random(rng.integers(3, 9)))


# In the last one a neuron that is on a jump is let go.
BAD_STARTS = [(STAIRCASE, crowded_start(seed)) for seed in range(6)] + [
    (
        PiecewiseConstant([0.15, 0.303, 0.451, 0.852], [2.0, -1.9, 2.2, 4.3, 2.4]),
        np.array([0.01993104, 0.5363676]),
    )
]


@pytest.mark.parametrize(("target", "u0"), BAD_STARTS)
def test_coupled_flow_is_the_limit_of_steps_that_know_of_no_event(target, u0):
    times = np.linspace(0.01, 0.2, 20)
    flow = limit_flow(target, u0, times)
    assert flow.status.startswith("bad subdivision")
    gaps = [np.abs(euler(target, u0, times, step) - flow.positions).max() for step in (1e-4, 2e-5)]
    # First order in the step: less than 200 steps' worth, and a fifth with a fifth of the step.
    assert gaps[1] < 200 * 2e-5
    assert gaps[1] < gaps[0] / 3


@pytest.mark.parametrize(("target", "u0"), [(STAIRCASE, published_start()), *BAD_STARTS])
def test_smoothed_steps_with_the_best_heights_tend_to_it_at_order_one(target, u0):
    times = np.linspace(0.02, 0.2, 10)
    flow = limit_flow(target, u0, times)
    gaps = [
        np.abs(reduced_flow(target, u0, eta=eta, times=times).positions - flow.positions).max()
        for eta in (1e-3, 2.5e-4)
    ]
    assert gaps[1] < 20 * 2.5e-4
    assert gaps[1] < gaps[0] / 3.5


def test_a_neuron_with_a_wall_for_a_neighbour_hits_in_closed_form():
    target, p = PiecewiseConstant([0.4], [0.0, 3.0]), 0.3
    q = 0.6
    expected = ((p + q) ** 3 - q**3) / (3 * q**2 * 9)
    flow = limit_flow(target, [0.4 - p], [0.0, 1.0])
    assert flow.hit_times[0] == pytest.approx(expected, abs=1e-12)
    assert flow.flanks.tolist() == [[0, -1]]
    assert flow.distances()[0, 0].tolist() == pytest.approx([p, q])
    assert flow.hitters.tolist() == [0]


def test_a_lone_neuron_crosses_a_jump_that_is_too_low_to_hold_it():
    target, start = PiecewiseConstant([0.3, 0.5], [0.0, 1.0, 5.0]), 0.1
    speed = lambda u: float(speeds(target, np.array([u]))[0])  # noqa: E731
    passage = quad(lambda u: 1 / speed(u), start, 0.3, epsabs=1e-13)[0]
    arrival = passage + quad(lambda u: 1 / speed(u), 0.3, 0.5, epsabs=1e-13)[0]
    flow = limit_flow(target, [start], [0.0, passage, arrival, 2.0])
    assert flow.positions[:, 0] == pytest.approx([start, 0.3, 0.5, 0.5], abs=1e-11)
    assert flow.hit_times == pytest.approx([np.inf, arrival], abs=1e-11)
    assert flow.hitters.tolist() == [-1, 0]
    assert flow.losses[-1] == pytest.approx(0.3 * 0.2 / 0.5, abs=1e-12)


def test_a_neuron_on_a_jump_is_let_go_when_the_pull_turns():
    target, u0 = BAD_STARTS[-1]
    times = np.linspace(0.0, 3.0, 301)
    flow = limit_flow(target, u0, times)
    on = flow.positions[:, :, None] == target.breakpoints
    assert (on[:-1] & ~on[1:]).any()
    assert flow.hit_times.tolist()[2:] == [np.inf, np.inf]
    assert (flow.positions[-1][flow.hitters[:2]] == target.breakpoints[:2]).all()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6))
@example(59)
def test_the_loss_never_rises_and_a_jump_that_is_hit_has_its_neuron(seed):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(2, 7), rng.integers(1, 9)
    cuts = np.sort(rng.choice(np.arange(1, 40), n - 1, replace=False)) / 40
    target = PiecewiseConstant(cuts, rng.permutation(n) - rng.random(n) / 2)
    u0 = np.where(rng.random(m) < 0.2, rng.choice(cuts, m), rng.random(m).round(2))
    flow = limit_flow(target, u0, np.linspace(0.0, 2.0, 21))
    assert (np.diff(flow.losses) <= 1e-13).all()
    assert ((flow.positions >= 0.0) & (flow.positions <= 1.0)).all()
    taken = np.isfinite(flow.hit_times) & (flow.hit_times <= 2.0)
    assert (flow.positions[-1][flow.hitters[taken]] == target.breakpoints[taken]).all()
    order = np.argsort(u0, kind="stable")
    assert (np.diff(flow.positions[:, order], axis=1) >= 0.0).all()


def test_of_two_neurons_on_a_jump_the_outer_one_leaves():
    for values, mirrored in (([0.0, 1.0, 5.0], False), ([5.0, 1.0, 0.0], True)):
        cuts, u0 = np.array([0.3, 0.6]), np.array([0.1, 0.3, 0.3])
        if mirrored:
            cuts, u0 = np.sort(1 - cuts), np.sort(1 - u0)
        flow = limit_flow(PiecewiseConstant(cuts, values), u0, [0.0, 0.01, 2.0])
        moved = np.abs(flow.positions[1] - u0) > 0.0
        assert moved.tolist() == ([True, False, False] if mirrored else [False, False, True])
        assert flow.hit_times[1 if mirrored else 0] == 0.0
        assert flow.losses[-1] == pytest.approx(0.0, abs=1e-15)


def test_status_names_the_short_pieces_and_what_it_means():
    target = PiecewiseConstant([0.25, 0.5], [0.0, 1.0, 0.0])
    status = limit_flow(target, [0.1, 0.3], [0.0]).status
    assert "(0.25, 0.5) has 1 of 2 neurons" in status
    assert "(0.5, 1) has 0 of 1 neurons" in status
    assert "the theorem promises nothing" in status
    assert limit_flow(target, [0.1, 0.3, 0.4, 0.9], [0.0]).status == "ok"


def test_at_follows_a_bad_start_beyond_the_times_asked_for():
    target, u0 = BAD_STARTS[0]
    flow = limit_flow(target, u0, [0.0, 0.01])
    longer = limit_flow(target, u0, [0.0, 0.01, 0.3])
    assert flow.at([0.3, 0.01]) == pytest.approx(longer.positions[[2, 1]], abs=1e-12)
    assert (flow.hit_times[flow.hit_times <= 0.01] <= 0.01).all()


def test_a_constant_target_moves_nothing():
    flow = limit_flow(PiecewiseConstant([], [2.0]), [0.3, 0.1], [0.0, 1.0])
    assert flow.status == "ok"
    assert flow.positions.tolist() == [[0.3, 0.1]] * 2
    assert flow.losses.tolist() == [0.0, 0.0]
    assert flow.hit_times.shape == (0,)


@pytest.mark.parametrize("u0", [[0.5, 0.5], [0.5], [0.2, 0.2, 0.2], [0.0, 1.0], [0.5, 0.7, 0.5]])
def test_neurons_on_a_jump_at_one_place_or_at_the_ends_are_no_trouble(u0):
    target = PiecewiseConstant([0.5], [0.0, 2.0])
    flow = limit_flow(target, u0, [0.0, 0.6])
    assert np.isfinite(flow.positions).all()
    assert flow.losses[-1] == pytest.approx(0.0, abs=1e-15)


# Bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hit_time(-0.1, 0.2, 1.0), "p must be ≥ 0, got -0.1"),
        (lambda: hit_time(0.1, [0.2, -3.0], 1.0), "q must be ≥ 0, got -3.0"),
        (lambda: hit_time(0.1, 0.2, [1.0, 0.0]), "jump must be .*got one of size 0.0"),
        (lambda: hit_time(0.1, np.nan, 1.0), "q must be finite"),
        (lambda: limit_loss(STAIRCASE, 0.3), r"u must have shape \(\.\.\., m\)"),
        (lambda: limit_flow(STAIRCASE, [0.2, 1.2], [0.0]), r"u0 must be within \[0, 1\], got 1.2"),
        (lambda: limit_flow(STAIRCASE, [], [0.0]), "u0 must have at least one entry"),
        (lambda: limit_flow(STAIRCASE, [0.5], [0.1, 0.1]), "times must be strictly increasing"),
        (lambda: limit_flow(STAIRCASE, [0.5], [-0.1]), "times must be ≥ 0"),
        (lambda: limit_flow(STAIRCASE, [0.5], [0.0]).at(-1.0), "times must be ≥ 0, got -1.0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_flow_that_cannot_be_followed_says_where_it_stopped(monkeypatch):
    monkeypatch.setattr(_coupled, "MOST_STEPS", 20)
    with pytest.raises(ConvergenceError, match=r"stopped at time 0\.\d+ of 0.5.*Move the starting"):
        limit_flow(STAIRCASE, [0.1, 0.4, 0.6], [0.5])
