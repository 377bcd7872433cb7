"""SGD against a plain loop, its exact gradient and flow, and the paper's own experiments."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from inthelimit.two_timescale import (
    PiecewiseConstant,
    StepNetwork,
    _runs,
    gradient,
    kick_ratio,
    loss,
    sgd,
)

PAPER = PiecewiseConstant([0.2, 0.35, 0.5, 0.65, 0.8], [1.0, 5.0, 1.0, 3.0, 1.0, 5.0])
SMALL = PiecewiseConstant([0.4, 0.7], [0.0, 1.0, -1.0])
WIDE = PiecewiseConstant([0.5], [4.0, -1.0])
U0, A0 = np.array([0.2, 0.8, 0.5]), np.array([0.3, -0.5, 0.7, 1.1])
OPTIONS = {"epsilon": 0.1, "eta": 0.02, "step": 1e-3, "n_steps": 1000}


def run(target=SMALL, u0=U0, seed=0, **options):
    return sgd(target, u0, rng=np.random.default_rng(seed), **{**OPTIONS, **options})


def stream(seed):
    """Return the samples of the only copy that `run` takes from this seed."""
    seeds = np.random.default_rng(seed).integers(2**63, size=(1, 4))
    return np.random.Generator(np.random.SFC64(seeds[0]))


def plain_sgd(target, u, a, rng, *, epsilon, eta, step, noise, n_steps, derivative):
    """Evaluate every neuron at every sample, as the docstring says it."""
    u, a = u.copy(), a.copy()
    for _ in range(n_steps):
        x = rng.random()
        y = target(x) + noise * (2.0 * rng.random() - 1.0)
        depth = np.maximum(0.5 - abs(x - u) / eta, 0.0)
        s = np.where(x > u, 1.0 - 4.0 * depth**3, 4.0 * depth**3)
        slope = 12.0 * depth**2 if derivative == "cubic" else (depth > 0.0).astype(float)
        r = y - a[0] - a[1:] @ s
        u -= 2.0 * step * epsilon * r * a[1:] * slope / eta
        a += 2.0 * step * r * np.append(1.0, s)
    return u, a


# ---------------------------------------------------------------- one step


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    m=st.integers(1, 12),
    eta=st.sampled_from([1e-3, 0.05, 0.5]),
    epsilon=st.sampled_from([1e-3, 0.3, 3.0]),
    derivative=st.sampled_from(["cubic", "box"]),
)
def test_the_staircase_takes_the_steps_of_the_plain_formula(seed, m, eta, epsilon, derivative):
    rng = np.random.default_rng(seed)
    u, a = rng.random(m), rng.normal(size=m + 1)
    # Kicks below η: larger ones amplify rounding at every sample in a transition.
    step = min(0.02, 0.01 * eta**2 / epsilon)
    options = {"epsilon": epsilon, "eta": eta, "step": step, "noise": 0.5, "n_steps": 300}
    expected = plain_sgd(WIDE, u, a, stream(seed), derivative=derivative, **options)
    found = run(WIDE, u, seed, a0=a, derivative=derivative, **options)
    np.testing.assert_allclose(found.positions[-1], expected[0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.outer[-1], expected[1], rtol=0, atol=1e-9)


def test_neurons_kicked_past_one_another_keep_their_names():
    u0 = np.random.default_rng(5).random(10)
    options = {"step": 0.01, "epsilon": 0.2, "eta": 0.4, "n_steps": 500, "noise": 1.0}
    found = run(WIDE, u0, **options)
    u, a = plain_sgd(WIDE, u0, np.zeros(11), stream(0), derivative="cubic", **options)
    assert np.count_nonzero(np.argsort(u) != np.argsort(u0)) >= 4
    np.testing.assert_allclose(found.positions[-1], u, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.outer[-1], a, rtol=0, atol=1e-9)


@pytest.mark.parametrize("derivative", ["cubic", "box"])
def test_a_step_is_on_average_minus_the_gradient_of_the_population_loss(derivative):
    # With steps this small the network stays where it is, and 10⁶ of them average.
    options = {"epsilon": 1e-3, "eta": 0.01, "step": 1e-9, "n_steps": 10**6, "a0": A0}
    found = run(derivative=derivative, **options)
    by_a, by_u = gradient(SMALL, StepNetwork(A0, U0, 0.01))
    for states, by, rate in ((found.outer, by_a, 1e-5), (found.positions, by_u, 1e-8)):
        means = np.diff(states, axis=0) / rate
        error = means.std(axis=0) / np.sqrt(100)
        assert (abs(means.mean(axis=0) + by) <= 4.0 * error).all()
        assert (abs(by) > 8.0 * error).sum() >= 2


def test_labels_have_uniform_noise_of_the_size_asked_for():
    target = PiecewiseConstant([0.5], [0.0, 1e-9])
    found = run(target, [1.0], n_copies=5_000, noise=3.0, n_steps=1, step=0.5)
    noise = found.outer[-1, 0]
    assert abs(noise).max() <= 3.0 + 1e-8
    assert abs(noise.mean()) <= 4.0 * np.sqrt(3.0 / 5_000)
    # The variance of noise² is 81 (1/5 − 1/9).
    assert abs((noise**2).mean() - 3.0) <= 4.0 * np.sqrt(7.2 / 5_000)


# ---------------------------------------------------------------- the flow


def test_sgd_tends_to_the_gradient_flow_like_the_root_of_the_step():
    times = np.linspace(0.0, 0.5, 6)

    def downhill(_, state):
        by_a, by_u = gradient(SMALL, StepNetwork(state[:4], state[4:], 0.05))
        return np.concatenate([-by_a / 0.1, -by_u])

    start = np.concatenate([np.zeros(4), U0])
    flow = solve_ivp(downhill, (0.0, 0.5), start, "LSODA", times, rtol=1e-7, atol=1e-9).y[4:].T
    steps = [1e-2, 1e-3, 1e-4]
    gaps = []
    for step in steps:
        options = {"epsilon": 0.1, "eta": 0.05, "step": step}
        found = run(n_steps=round(5.0 / step), record=5, n_copies=20, **options)
        np.testing.assert_allclose(found.times, times, atol=1e-12)
        square = (found.positions - flow[..., None]) ** 2
        gaps.append(np.sqrt(square.mean()))
    slopes = np.diff(np.log(gaps)) / np.diff(np.log(steps))
    assert (abs(slopes - 0.5) < 0.15).all()


# ---------------------------------------------------------------- streams and readings


def test_a_copy_does_not_depend_on_how_many_there_are():
    few, many = run(n_copies=2), run(n_copies=5)
    np.testing.assert_array_equal(few.positions, many.positions[..., :2])
    np.testing.assert_array_equal(few.losses, many.losses[..., :2])
    assert len({float(x) for x in many.outer[-1, 0]}) == 5


def test_a_copy_does_not_depend_on_the_number_of_processors(monkeypatch):
    found = []
    for count in (1, 3):
        monkeypatch.setattr(_runs.os, "cpu_count", lambda count=count: count)
        found.append(run(n_copies=7))
    np.testing.assert_array_equal(found[0].positions, found[1].positions)
    np.testing.assert_array_equal(found[0].outer, found[1].outer)


def test_readings_do_not_change_the_run():
    fine, coarse = run(record=1000), run(record=[0, 1, 255, 256, 257, 999])
    np.testing.assert_array_equal(fine.outer[coarse.steps], coarse.outer)
    np.testing.assert_array_equal(fine.positions[coarse.steps], coarse.positions)
    assert coarse.largest_kick == fine.largest_kick
    np.testing.assert_allclose(fine.times, 1e-4 * np.arange(1001), rtol=1e-12)


def test_the_order_of_the_neurons_is_only_a_matter_of_names():
    shuffled = np.array([2, 0, 1])
    plain, other = run(), run(u0=U0[shuffled])
    np.testing.assert_array_equal(plain.positions[:, shuffled], other.positions)
    np.testing.assert_array_equal(plain.outer[:, 1:][:, shuffled], other.outer[:, 1:])


def test_copies_may_start_apart():
    starts = np.random.default_rng(1).random((3, 4))
    together = run(u0=starts, a0=np.outer(A0, [1.0, 2.0, 3.0, 4.0]))
    assert together.positions.shape == (101, 3, 4)
    assert together.outer.shape == (101, 4, 4)
    assert together.losses.shape == (101, 4)
    np.testing.assert_array_equal(together.positions[0], starts)
    first = run(u0=starts[:, 0], a0=A0)
    np.testing.assert_array_equal(first.positions, together.positions[..., 0])
    assert run(u0=starts[:, :1]).positions.shape == (101, 3, 1)


def test_losses_are_those_of_the_networks_read():
    for found, copy in ((run(), 0), (run(n_copies=3), 2)):
        network = found.network(40, copy)
        expected = found.losses[40] if copy == 0 else found.losses[40, copy]
        assert loss(SMALL, network) == pytest.approx(float(expected), rel=1e-12)
    assert run().network().a == pytest.approx(run().outer[-1])
    assert run().losses[0] == pytest.approx(0.3 + 0.3, rel=1e-12)


def test_captured_jumps_are_those_with_a_neuron_near():
    for found in (run(), run(n_copies=3)):
        captured = found.captured(0.1)
        assert captured.shape == (101, 2, *found.positions.shape[2:])
        near = abs(
            found.positions[:, None] - SMALL.breakpoints.reshape(2, 1, *[1] * (captured.ndim - 2))
        )
        np.testing.assert_array_equal(captured, (near <= 0.1).any(axis=2))
        np.testing.assert_array_equal(found.captured(), found.captured(0.01))
        assert captured[0].any()
        assert not captured[0].all()


# ---------------------------------------------------------------- kicks and divergence


@pytest.mark.parametrize(("derivative", "peak"), [("cubic", 3.0), ("box", 1.0)])
def test_the_largest_kick_is_that_of_the_formula(derivative, peak):
    options = {"epsilon": 0.1, "eta": 0.05, "step": 1e-3, "n_steps": 20_000, "record": 20_000}
    found = run(derivative=derivative, **options)
    moves = abs(np.diff(found.positions, axis=0)) / 0.05
    assert found.largest_kick == pytest.approx(moves.max(), rel=1e-9)
    largest = abs(found.outer[:, 1:]).max()
    constants = {key: options[key] for key in ("epsilon", "eta", "step")}
    # |r| is at most the spread of the labels and the network.
    bound = peak * kick_ratio(**constants, residual=2.0 + 4.0 * largest, weight=largest)
    assert 0.05 * bound < found.largest_kick <= bound


def test_a_step_that_is_too_large_is_said_to_diverge_where_it_does():
    found = run(n_copies=3, step=1.5, record=1000)
    assert (found.steps_taken < 1000).all()
    first = found.steps_taken.argmin()
    assert f"3 of 3 copies diverged, the first (copy {first})" in found.status
    assert f"at step {found.steps_taken[first]}" in found.status
    assert "smaller step" in found.status
    for array in (found.positions, found.outer, found.losses, found.largest_kick):
        assert np.isfinite(array).all()
    for copy, taken in enumerate(found.steps_taken):
        late = found.outer[found.steps >= taken, :, copy]
        np.testing.assert_array_equal(late, np.broadcast_to(late[0], late.shape))
        assert abs(found.outer[taken - 1, :, copy]).max() > 1e3


@pytest.mark.parametrize("step", [1e6, 1e3, 3.0])
@pytest.mark.parametrize("epsilon", [1e6, 1e-6])
def test_extreme_rates_leave_nothing_but_finite_numbers(step, epsilon):
    found = run(step=step, epsilon=epsilon, eta=1e-12 if step == 3.0 else 0.1)
    assert "diverged" in found.status
    for array in (found.positions, found.outer, found.losses, found.largest_kick):
        assert np.isfinite(array).all()


def test_without_noise_a_step_below_one_over_the_features_contracts_residuals():
    m = 20
    # Each step multiplies its own residual by 1 − 2h (1 + Σ s²), within ±1 for h ≤ 1/(m + 1).
    for step, status in ((1.0 / (m + 1), "ok"), (2.0, "diverged")):
        found = run(PAPER, np.linspace(0.0, 0.2, m), step=step, epsilon=1e-9, noise=0.0)
        assert status in found.status


# ---------------------------------------------------------------- the paper's experiments


def good_starts(n, seed=0, m=20):
    """Draw starts with two neurons or more in each piece, as the paper asks for."""
    rng = np.random.default_rng(seed)
    starts = []
    while len(starts) < n:
        u = np.sort(rng.random(m))
        if (np.histogram(u, PAPER.edges)[0] >= 2).all():
            starts.append(u)
    return np.array(starts).T


def finds_all_jumps(found, within):
    return found.captured(within)[-1].all(axis=0)


@pytest.mark.slow
def test_two_time_scales_find_the_jumps_that_one_misses():
    starts = good_starts(20)
    options = {"eta": 4e-3, "step": 1e-5}
    apart = run(PAPER, starts, epsilon=0.01, n_steps=5_000_000, **options)
    alike = run(PAPER, starts, epsilon=1.0, n_steps=300_000, **options)
    assert finds_all_jumps(apart, 4e-3).mean() >= 0.95
    assert finds_all_jumps(alike, 4e-3).mean() <= 0.3
    # The floor (η/28) Σ J² = 0.008 and what the noise adds, against the jumps missed.
    assert 0.008 < np.median(apart.losses[-1]) < 0.016
    assert np.median(alike.losses[-1]) > 0.4


@pytest.mark.slow
def test_the_quick_setting_of_the_paper_ends_near_the_floor():
    u0 = np.sort(np.random.RandomState(42).rand(20))
    options = {"epsilon": 2e-5, "eta": 4e-3, "step": 1e-3, "n_copies": 20}
    found = run(PAPER, u0, n_steps=1_750_000, record=[0, 1_055_000, 1_750_000], **options)
    assert finds_all_jumps(found, 4e-3).all()
    before, end = np.median(found.losses[1:], axis=1)
    assert before == pytest.approx(0.0655, rel=0.1)
    assert 0.008 < end < 0.016


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"u0": [0.2, 1.5]}, r"u0 must be in \[0, 1\], got 1.5"),
        ({"u0": [-0.1, 0.5]}, r"u0 must be in \[0, 1\], got -0.1"),
        ({"u0": []}, "u0 must have shape"),
        ({"u0": [[[0.5]]]}, "u0 must have shape"),
        ({"u0": [0.2, np.nan]}, "u0 must be finite"),
        ({"u0": [[0.1, 0.2], [0.3, 0.4]], "n_copies": 3}, "one column for each of 3 copies"),
        ({"epsilon": 0.0}, "epsilon must be > 0"),
        ({"epsilon": 1e7}, "epsilon must be ≤ 1e"),
        ({"eta": 0.0}, "eta must be ≥ 1e-12"),
        ({"eta": 0.31}, "eta must be ≤ 0.3, got 0.31"),
        ({"step": -1e-3}, "step must be > 0"),
        ({"n_steps": 0}, "n_steps must be ≥ 1"),
        ({"n_steps": 10.0}, "n_steps must be an integer"),
        ({"noise": -1.0}, "noise must be ≥ 0"),
        ({"n_copies": 0}, "n_copies must be ≥ 1"),
        ({"derivative": "linear"}, "derivative must be one of 'cubic', 'box'"),
        ({"record": 0}, "record must be ≥ 1"),
        ({"record": [0, 2000]}, "record must be ≤ n_steps = 1000, got 2000"),
        ({"record": [5, 5]}, "record must be strictly increasing"),
        ({"record": [0.5, 1.0]}, "record must be integers"),
        ({"a0": [0.0, 1.0]}, r"a0 must have shape \(4,\)"),
        ({"a0": [1e40, 0.0, 0.0, 0.0]}, "a0 must be within"),
    ],
)
def test_bad_input_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        run(**options)


def test_a_seed_is_no_generator():
    with pytest.raises(ValueError, match=r"rng must be a numpy.random.Generator"):
        sgd(SMALL, U0, rng=0, **OPTIONS)


@pytest.mark.parametrize("name", ["epsilon", "eta", "step"])
def test_kick_ratio_refuses_what_is_not_positive(name):
    options = {"epsilon": 1.0, "eta": 0.1, "step": 0.1, "residual": 1.0, "weight": 1.0, name: 0.0}
    with pytest.raises(ValueError, match=f"{name} must be > 0"):
        kick_ratio(**options)
