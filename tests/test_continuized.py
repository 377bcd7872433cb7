"""The continuized iteration is the jump process, obeys its bounds, and meets its relatives."""

import subprocess
import sys
from itertools import islice

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import jv

from inthelimit import ConvergenceError
from inthelimit.continuized import (
    accelerated_flow,
    constant_schedule,
    continuized_nesterov,
    continuized_steps,
    convex_schedule,
    gradient_descent,
    least_squares_schedule,
    nesterov,
    stochastic_gradient_descent,
    strongly_convex_schedule,
    uniform_schedule,
)
from inthelimit.lasso import lasso_path
from inthelimit.quadratic import Quadratic

SCHEDULES = {
    "convex": convex_schedule(1.0),
    "exponential": strongly_convex_schedule(1.0, 0.01),
    "uniform": uniform_schedule(1.0, 0.01),
    "multiplicative": least_squares_schedule(1.0, 5.0),
    "constant": constant_schedule(0.2, 0.05, 0.8, 3.0),
}
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
H = np.geomspace(0.01, 1.0, 5)


def gradient(x):
    return (H * x.T).T


def value(x):
    """½ Σ h x² of x (..., d, copies)."""
    return 0.5 * np.einsum("i,...ij->...j", H, x**2)


def soft_threshold(v, step, weight=0.02):
    return np.sign(v) * np.maximum(np.abs(v) - weight * step, 0.0)


def seeded(seed=0):
    return np.random.default_rng(seed)


def standard_errors(samples):
    return samples.mean(axis=-1), samples.std(axis=-1) / np.sqrt(samples.shape[-1])


# ---------------------------------------------------------------- the process itself


@every_schedule
@pytest.mark.parametrize(
    "proximal", [None, lambda v, step: np.sign(v) * np.maximum(abs(v) - step / 50, 0)]
)
def test_each_iteration_is_that_of_the_theorem(schedule, proximal):
    """Against a plain loop over copies, written from the statement."""
    rng = seeded(1)
    times = rng.exponential(size=(30, 4)).cumsum(axis=0)
    start = rng.normal(size=(2, 5, 4))
    run = continuized_nesterov(
        gradient, start[0], schedule, z0=start[1], n_steps=30, rng=rng, clock=times,
        proximal=proximal,
    )  # fmt: skip
    for copy in range(4):
        x, z, previous = *start[:, :, copy], 0.0
        for k, time in enumerate(times[:, copy]):
            step = schedule.step(previous, time)
            y = x + step.tau * (z - x)
            x = y - step.gamma * gradient(y)
            if proximal is not None:
                x = proximal(x, step.gamma)
            z = z + step.tau_prime * (y - z) - step.gamma_prime / step.gamma * (y - x)
            previous = time
            np.testing.assert_allclose(run.y[k, :, copy], y, rtol=0, atol=1e-13)
            np.testing.assert_allclose(run.x[k + 1, :, copy], x, rtol=0, atol=1e-13)
            np.testing.assert_allclose(run.z[k + 1, :, copy], z, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(run.times[1:], times)
    np.testing.assert_array_equal(run.times[0], 0.0)


@pytest.mark.parametrize("name", ["convex", "uniform", "multiplicative"])
def test_the_kick_of_a_jump_is_that_of_its_own_time(name):
    """From x_0 = z_0, z_1 = z_0 − γ'(T_1) ∇f(z_0); with T_0 for T_1 it would not move at all."""
    run = continuized_nesterov(
        gradient, np.ones(5), SCHEDULES[name], n_steps=1, n_copies=50, rng=seeded()
    )
    kick = SCHEDULES[name].parameters(run.times[1]).gamma_prime
    np.testing.assert_allclose(run.z[1], 1.0 - kick * H[:, None], rtol=1e-13)
    assert (kick > 0.0).all()


@every_schedule
def test_second_moments_at_fixed_times_obey_their_equation(schedule):
    """d = 1, f = ½hx²: (E x², E xz, E z²) by its 3×3 equation, against 20,000 copies."""
    h, times = 0.7, np.array([0.5, 1.5, 4.0, 8.0])

    def velocity(t, moments):
        a, b, c = moments
        p = schedule.parameters(t)
        kept, kick = 1 - p.gamma * h, p.gamma_prime * h
        return (
            2 * p.eta * (b - a) + (kept**2 - 1) * a,
            p.eta * (c - b) + p.eta_prime * (a - b) - (1 - kept) * b - kick * kept * a,
            2 * p.eta_prime * (b - c) - 2 * kick * b + kick**2 * a,
        )

    exact = solve_ivp(
        velocity, (1e-6, 8.0), np.ones(3), method="Radau", t_eval=times, rtol=1e-8, atol=1e-10
    ).y
    run = continuized_nesterov(
        lambda x: h * x, [1.0], schedule, n_steps=35, n_copies=20_000, rng=seeded(2)
    )
    x, z = (points[:, 0] for points in run.between(times))
    for samples, moment in zip((x * x, x * z, z * z), exact, strict=True):
        mean, error = standard_errors(samples)
        assert (abs(mean - moment) <= 4 * error).all()


@pytest.mark.parametrize("clock", ["poisson", "regular"])
@every_schedule
def test_between_jumps_the_state_solves_the_equation(schedule, clock):
    run = continuized_nesterov(
        gradient, np.ones(5), schedule, z0=-np.ones(5), n_steps=6, rng=seeded(3), clock=clock
    )

    def velocity(t, state):
        x, z = state.reshape(2, 5)
        p = schedule.parameters(t)
        return np.concatenate([p.eta * (z - x), p.eta_prime * (x - z)])

    for k in range(1, 6):
        inside = np.linspace(run.times[k], run.times[k + 1], 5)
        start = np.concatenate([run.x[k], run.z[k]])
        path = solve_ivp(
            velocity, inside[[0, -1]], start, t_eval=inside, method="DOP853", rtol=1e-11, atol=1e-12
        ).y.T
        x, z = run.between(inside[:-1])
        np.testing.assert_allclose(np.hstack([x, z]), path[:-1], atol=1e-9)
        np.testing.assert_allclose(path[-1, :5], run.y[k], atol=1e-9)
    x, z = run.between(0.0)
    np.testing.assert_array_equal(x, 1.0)
    np.testing.assert_array_equal(z, -1.0)


def test_between_is_right_continuous_for_every_copy():
    schedule = SCHEDULES["exponential"]
    run = continuized_nesterov(
        gradient, np.ones(5), schedule, n_steps=40, n_copies=3, rng=seeded(4)
    )
    end = run.times[-1].min()
    for copy in range(3):
        at = run.times[run.times[:, copy] <= end, copy]
        x, z = run.between(at)
        assert x.shape == z.shape == (at.size, 5, 3)
        np.testing.assert_array_equal(x[:, :, copy], run.x[: at.size, :, copy])
        np.testing.assert_array_equal(z[:, :, copy], run.z[: at.size, :, copy])
        before, _ = run.between(at[1:] * (1 - 1e-14))
        np.testing.assert_allclose(before[:, :, copy], run.y[: at.size - 1, :, copy], atol=1e-12)
        assert abs(x[1:, :, copy] - before[:, :, copy]).max() > 0.1
    one, _ = run.between(end)
    assert one.shape == (5, 3)
    with pytest.raises(ValueError, match=r"t must be in \[0, .*\], the last jump"):
        run.between([0.0, end * 1.001])
    with pytest.raises(ValueError, match=r"t must be in \[0, "):
        run.between(-1.0)
    with pytest.raises(ValueError, match="t must be a number or have shape"):
        run.between([[0.0]])


# ---------------------------------------------------------------- the bounds


@pytest.mark.parametrize("name", ["convex", "exponential", "uniform"])
def test_the_mean_stays_below_the_bound_of_the_theorem(name):
    schedule = SCHEDULES[name]
    run = continuized_nesterov(
        gradient, np.ones(5), schedule, n_steps=100, n_copies=4000, rng=seeded(5)
    )
    times = np.linspace(0.5, run.times[-1].min(), 25)
    mean, error = standard_errors(value(run.between(times)[0]))
    bound = schedule.bound(times, gap=value(np.ones((5, 1)))[0], distance_squared=5.0)
    assert (mean <= bound + 3 * error).all()
    # The potential of the jump chain is a supermartingale, from φ_0 on.
    potential = schedule.potential(run.times, value(run.x), (run.z**2).sum(axis=1))
    change, error = standard_errors(np.diff(potential, axis=0))
    assert (change <= 4 * error).all()


def test_the_scaled_means_are_those_known():
    """E T_k² f(x_k)/(2L‖x_0‖²) for h = logspace(−4, 0), from a program of its own."""
    h, x0 = np.logspace(-4, 0, 100)[:, None], seeded(1).normal(size=100)
    states = continuized_steps(
        lambda x: h * x, x0, convex_schedule(1.0), rng=seeded(6), n_copies=2000, every=10
    )
    scaled = np.stack(
        [
            state.time**2 * (0.5 * h * state.x**2).sum(axis=0) / (2 * x0 @ x0)
            for state in islice(states, 31)
            if state.step in (30, 100, 300)
        ]
    )
    mean, error = standard_errors(scaled)
    known, digit = np.array([0.111, 0.056, 0.016]), 0.0005
    # The known values are means of 2000 runs too, so the error of the difference is √2 of ours.
    assert (abs(mean - known) <= 4 * np.sqrt(2) * error + digit).all()
    assert (error < 0.03 * mean).all()


def test_with_additive_noise_the_mean_stays_below_the_bound():
    schedules = {name: SCHEDULES[name] for name in ("convex", "exponential", "uniform")}
    sigma = 0.5
    ratios = {}
    for name, schedule in schedules.items():
        run = continuized_nesterov(
            lambda x, rng: gradient(x) + sigma * rng.normal(size=x.shape),
            np.zeros(5),
            schedule,
            n_steps=150,
            n_copies=2000,
            rng=seeded(7),
        )
        times = np.array([20.0, 60.0, 100.0])
        mean, error = standard_errors(value(run.between(times)[0]))
        noise = 5 * sigma**2
        bound = schedule.bound(times, gap=0.0, distance_squared=0.0, noise_variance=noise)
        assert (mean <= bound + 3 * error).all()
        ratios[name] = mean / bound
    # Not by orders of magnitude: a variance per coordinate in place of the sum would fail.
    assert min(ratio.max() for ratio in ratios.values()) > 0.1


def test_multiplicative_noise_with_the_parameters_of_the_deterministic_case_diverges():
    """Gaussian rows, d = 20: R² = tr H + 2 max h, κ̃ = d + 2."""
    h = np.logspace(-3, 0, 20)
    root, R2 = np.sqrt(h)[:, None], h.sum() + 2.0

    def one_row(x, rng):
        a = root * rng.normal(size=x.shape)
        return a * (a * x).sum(axis=0)

    def final(schedule):
        run = continuized_nesterov(
            one_row, np.ones(20), schedule, n_steps=100, n_copies=500, rng=seeded(8)
        )
        times = np.array([30.0, 60.0])
        mean, error = standard_errors(0.5 * (run.between(times)[0] ** 2).sum(axis=1))
        return mean, error, schedule.bound(times, gap=10.0, distance_squared=(1 / h).sum())

    mean, error, bound = final(least_squares_schedule(R2, 22.0))
    assert (mean <= bound + 3 * error).all()
    mean, _, _ = final(convex_schedule(R2))
    assert mean[-1] > 1e3


def test_the_proximal_jump_solves_a_lasso():
    rng = seeded(9)
    A, b, weight = rng.normal(size=(60, 100)) / np.sqrt(60), rng.normal(size=60), 0.1
    L = np.linalg.norm(A, 2) ** 2
    schedule = convex_schedule(L)

    def smooth(x):
        return A.T @ (A @ x - b[:, None])

    def soft(v, step):
        return soft_threshold(v, step, weight)

    def objective(x):
        return 0.5 * ((A @ x - b[:, None]) ** 2).sum(axis=0) + weight * np.abs(x).sum(axis=0)

    best = lasso_path(Quadratic.from_data(A, b)).at(1 / weight)
    distance = best @ best
    worst = 0.0
    for state in continuized_steps(
        smooth, np.zeros(100), schedule, rng=rng, n_copies=40, proximal=soft, every=5
    ):
        gap = objective(state.x) - objective(best[:, None])
        assert gap.min() > -1e-10
        worst = max(worst, (state.time**2 * gap).mean() / (2 * L * distance))
        if state.step == 250:
            break
    assert 0.1 < worst < 0.4
    assert gap.mean() < 1e-4 * objective(best[:, None])
    # The prox itself, not a difference that loses its zeros.
    assert 0.2 < (state.x == 0.0).mean() < 0.9


def test_the_trivial_proximal_map_changes_nothing():
    runs = [
        continuized_nesterov(
            gradient,
            np.ones(5),
            SCHEDULES["uniform"],
            n_steps=40,
            rng=seeded(10),
            proximal=prox,
        )
        for prox in (None, lambda v, step: v)
    ]
    np.testing.assert_allclose(runs[0].x, runs[1].x, atol=1e-14)
    np.testing.assert_allclose(runs[0].z, runs[1].z, atol=1e-12)


# ---------------------------------------------------------------- clocks, copies, generators


def test_the_clock_is_a_poisson_process_for_each_copy():
    run = continuized_nesterov(
        gradient, np.ones(5), SCHEDULES["convex"], n_steps=50, n_copies=2000, rng=seeded(11)
    )
    gaps = np.diff(run.times, axis=0)
    n = gaps.size
    assert abs(gaps.mean() - 1) < 4 / np.sqrt(n)
    assert abs((gaps < 0.5).mean() - (1 - np.exp(-0.5))) < 4 * 0.5 / np.sqrt(n)
    assert abs(np.corrcoef(gaps[:-1].ravel(), gaps[1:].ravel())[0, 1]) < 4 / np.sqrt(n)
    assert abs(np.corrcoef(gaps[:, 0], gaps[:, 1])[0, 1]) < 0.6


def test_a_gap_drawn_as_zero_is_harmless():
    class Zeros(np.random.Generator):
        def exponential(self, size):
            return np.zeros(size)

    for schedule in SCHEDULES.values():
        run = continuized_nesterov(
            gradient, np.ones(5), schedule, n_steps=3, rng=Zeros(np.random.PCG64())
        )
        assert np.isfinite(run.z).all()
        assert run.times[1] > 0.0


def test_the_regular_clock_is_much_like_nesterov():
    schedule = convex_schedule(1.0)
    run = continuized_nesterov(
        gradient, np.ones(5), schedule, n_steps=60, rng=seeded(), clock="regular"
    )
    np.testing.assert_array_equal(run.times, np.arange(61.0))
    other = continuized_nesterov(
        gradient, np.ones(5), schedule, n_steps=60, rng=seeded(99), clock="regular"
    )
    np.testing.assert_array_equal(run.x, other.x)
    classical = nesterov(gradient, np.ones(5), L=1.0, n_steps=60)
    ours, theirs = value(run.x[:, :, None])[:, 0], value(classical[:, :, None])[:, 0]
    bound = 2 * 5.0 / (np.arange(60) + 2.0) ** 2
    assert (ours[1:] <= bound).all()
    # Averages over ten steps, since both oscillate.
    ratio = ours[1:].reshape(6, 10).mean(axis=1) / theirs[1:].reshape(6, 10).mean(axis=1)
    assert (0.3 < ratio).all()
    assert (ratio < 3.0).all()


def test_a_run_is_its_seed_and_a_prefix_of_a_longer_one():
    def noisy(x, rng):
        return gradient(x) + rng.normal(size=x.shape)

    options = {"n_copies": 3, "schedule": SCHEDULES["uniform"]}
    long = continuized_nesterov(noisy, np.ones(5), n_steps=20, rng=seeded(12), **options)
    short = continuized_nesterov(noisy, np.ones(5), n_steps=8, rng=seeded(12), **options)
    np.testing.assert_array_equal(short.x, long.x[:9])
    # The gaps of a step come first, and then its noise.
    rng = seeded(12)
    for k in range(3):
        gap = rng.exponential(size=3)
        np.testing.assert_allclose(np.diff(long.times, axis=0)[k], gap, rtol=1e-12)
        noise = rng.normal(size=(5, 3))
        kicked = long.y[k] - (gradient(long.y[k]) + noise)
        np.testing.assert_allclose(long.x[k + 1], kicked, atol=1e-13)


@pytest.mark.parametrize("proximal", [None, soft_threshold])
@pytest.mark.parametrize("name", ["exponential", "uniform"])
def test_steps_yield_what_a_run_keeps_all_of_them_or_some(name, proximal):
    def noisy(x, rng):
        return gradient(x) + rng.normal(size=x.shape)

    options = {"n_copies": 2, "proximal": proximal}

    def kept(n, every):
        states = continuized_steps(
            noisy, np.ones(5), SCHEDULES[name], rng=seeded(13), every=every, **options
        )
        return list(islice(states, n))

    run = continuized_nesterov(
        noisy, np.ones(5), SCHEDULES[name], n_steps=12, rng=seeded(13), **options
    )
    states, thinned = kept(13, every=1), kept(4, every=4)
    assert [state.step for state in states] == list(range(13))
    assert [state.step for state in thinned] == [0, 4, 8, 12]
    for state in (*states, *thinned):
        y = run.y[state.step - 1] if state.step else run.x[0]
        np.testing.assert_array_equal(state.time, run.times[state.step])
        np.testing.assert_allclose(state.x, run.x[state.step], rtol=0, atol=1e-12)
        np.testing.assert_allclose(state.z, run.z[state.step], rtol=0, atol=1e-11)
        np.testing.assert_allclose(state.y, y, rtol=0, atol=1e-12)
        for array in (state.x, state.z, state.y, run.x, run.y, run.z, run.times):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1.0


def test_jumps_that_nobody_reads_are_checked_too():
    def unread(gradient, schedule):
        return list(
            islice(continuized_steps(gradient, np.ones(5), schedule, rng=seeded(), every=1000), 2)
        )

    with pytest.raises(ValueError, match=r"gradient must return finite numbers, got nan .* step 7"):
        unread(nan_from_step(7), SCHEDULES["convex"])
    with pytest.raises(ConvergenceError, match=r"diverged: .* at step \d+\. Take a larger L"):
        unread(gradient, convex_schedule(0.2))


def test_a_given_clock_ends_the_steps():
    clock = [0.5, 0.75, 4.0]
    states = list(
        continuized_steps(gradient, np.ones(5), SCHEDULES["convex"], rng=seeded(), clock=clock)
    )
    assert [float(state.time) for state in states] == [0.0, *clock]
    run = continuized_nesterov(
        gradient, np.ones(5), SCHEDULES["convex"], n_steps=2, rng=seeded(), clock=clock
    )
    np.testing.assert_array_equal(run.times, [0.0, 0.5, 0.75])


def test_shapes_of_one_run_of_copies_and_of_no_step():
    one = continuized_nesterov(gradient, np.ones(5), SCHEDULES["convex"], n_steps=4, rng=seeded())
    assert one.times.shape == (5,)
    assert one.x.shape == one.z.shape == (5, 5)
    assert one.y.shape == (4, 5)
    many = continuized_nesterov(
        gradient, np.ones((5, 3)), SCHEDULES["convex"], n_steps=0, rng=seeded(), z0=np.zeros(5)
    )
    assert many.times.shape == (1, 3)
    assert many.x.shape == many.z.shape == (1, 5, 3)
    assert many.y.shape == (0, 5, 3)
    assert not many.z.any()
    state = next(continuized_steps(gradient, np.ones(5), SCHEDULES["convex"], rng=seeded()))
    assert state.time == 0.0
    assert state.x.shape == (5,)


def test_gradients_of_any_kind_of_array_will_do():
    reference = continuized_nesterov(
        gradient, np.ones(5), SCHEDULES["uniform"], n_steps=10, n_copies=3, rng=seeded(14)
    )
    kinds = {
        "Fortran order": lambda x: np.asfortranarray(gradient(x)),
        "read-only": lambda x: np.broadcast_to(gradient(x), x.shape),
        "list": lambda x: gradient(x).tolist(),
        "keyword": lambda x, *, scale=1.0: scale * gradient(x),
        "default": lambda x, scale=1.0: scale * gradient(x),
    }
    for kind in kinds.values():
        run = continuized_nesterov(
            kind, np.ones(5), SCHEDULES["uniform"], n_steps=10, n_copies=3, rng=seeded(14)
        )
        np.testing.assert_array_equal(run.x, reference.x)
    # The identity, whose result is the argument itself, and a function without a signature.
    for identity in (lambda x: x, np.positive):
        run = continuized_nesterov(
            identity, [1.0], strongly_convex_schedule(2.0, 1.0), n_steps=3, rng=seeded()
        )
        np.testing.assert_allclose(run.x[1], 0.5 * run.y[0], rtol=1e-15)


def test_plain_python_gives_the_same_run():
    code = """
import sys
sys.modules["numba"] = None
import numpy as np
from inthelimit.continuized import continuized_nesterov, uniform_schedule
run = continuized_nesterov(lambda x: x, np.ones(3), uniform_schedule(2.0, 0.5), n_steps=20,
                           n_copies=2, rng=np.random.default_rng(15))
print(repr(float(run.x[10].sum())), repr(float(run.z[10].sum())))
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    run = continuized_nesterov(
        lambda x: x, np.ones(3), uniform_schedule(2.0, 0.5), n_steps=20, n_copies=2, rng=seeded(15)
    )
    x, z = map(float, out.stdout.split())
    assert x == pytest.approx(run.x[10].sum(), rel=1e-12)
    assert z == pytest.approx(run.z[10].sum(), rel=1e-12)


# ---------------------------------------------------------------- the methods compared with


def test_gradient_descent_is_its_closed_form_and_below_its_bound():
    x = gradient_descent(gradient, np.ones(5), step=0.5, n_steps=50)
    np.testing.assert_allclose(x, (1 - 0.5 * H) ** np.arange(51)[:, None], rtol=1e-13)
    x = gradient_descent(gradient, np.ones((5, 2)), step=1.0, n_steps=50)
    assert x.shape == (51, 5, 2)
    k = np.arange(1, 51)[:, None]
    assert (value(x)[1:] <= 5.0 / (2 * k)).all()


def test_nesterov_is_the_recursion_and_below_its_bounds():
    """Per eigenvalue, x_{k+1} = (1 − h)((1 + β) x_k − β x_{k−1}); at β = 0 it is descent."""
    q = np.sqrt(0.01)
    for mu, weight in ((0.0, lambda k: (k - 1) / (k + 2)), (0.01, lambda k: (1 - q) / (1 + q))):
        x = nesterov(gradient, np.ones(5), L=1.0, mu=mu, n_steps=50)
        previous, current = np.ones(5), (1 - H) * np.ones(5)
        for k in range(1, 50):
            np.testing.assert_allclose(x[k], current, atol=1e-14)
            beta = weight(k)
            previous, current = current, (1 - H) * ((1 + beta) * current - beta * previous)
    x = nesterov(gradient, np.ones(5), L=1.0, n_steps=200)
    k = np.arange(201)
    values = value(x[:, :, None])[:, 0]
    assert (values <= 2 * 5.0 / (k + 1) ** 2).all()
    x = nesterov(gradient, np.ones(5), L=1.0, mu=0.01, n_steps=200)
    values = value(x[:, :, None])[:, 0]
    assert (values <= 0.9**k * (values[0] + 0.005 * 5.0) * (1 + 1e-12)).all()
    assert values[-1] < 1e-10
    slow = value(gradient_descent(gradient, np.ones(5), step=1.0, n_steps=200)[:, :, None])[:, 0]
    assert values[-1] < 1e-6 * slow[-1]


def test_stochastic_gradient_descent_contracts_at_its_rate():
    """One-hot rows e_i: the coordinate drawn is solved, so each survives with (1 − 1/d)^k."""

    def one_hot(x, rng):
        chosen = rng.integers(x.shape[0], size=x.shape[1])
        return np.where(np.arange(x.shape[0])[:, None] == chosen, x, 0.0)

    x = stochastic_gradient_descent(
        one_hot, np.ones((4, 20_000)), step=1.0, n_steps=8, rng=seeded(16)
    )
    assert x.shape == (9, 4, 20_000)
    mean, error = standard_errors((x**2).sum(axis=1))
    assert (abs(mean - 4 * 0.75 ** np.arange(9)) <= 4 * error + 1e-12).all()


def test_accelerated_flow_is_the_bessel_function():
    h = np.array([1e-4, 0.3, 1.0, 50.0])
    s = np.concatenate([np.geomspace(1e-6, 1.0, 20), np.linspace(1.5, 40.0, 60)])
    flow = accelerated_flow(lambda x: h * x, np.ones(4), s)
    u = np.sqrt(h) * s[:, None]
    exact = 2 * jv(1, u) / u
    np.testing.assert_allclose(flow, exact, atol=1e-10)
    early = s <= 1e-4
    np.testing.assert_allclose(flow[early] - 1, -(u[early] ** 2) / 8, rtol=1e-4, atol=1e-16)
    value_bound = 2 * 4.0 / s**2
    assert (0.5 * flow**2 @ h <= value_bound).all()


def test_the_flow_starts_with_two_terms_of_its_series_and_their_slopes():
    """x = 1 − s²/8 + s⁴/192 − …; what the fourth power says is 1e-11 and more here."""
    for times in ([0.008], [0.012]):
        s = times[0]
        exact = 1 - s**2 / 8 + s**4 / 192
        assert accelerated_flow(lambda x: x, [1.0], times)[0, 0] == pytest.approx(exact, abs=1e-14)


def test_accelerated_flow_of_a_nonlinear_gradient_agrees_with_another_start():
    """In w = s³ x', the equation has no singular term: w' = −s³ ∇f, x' = w/s³."""

    def pull(x):
        return np.tanh(x) + x**3

    x0, start = np.array([1.5, -0.2]), 1e-3
    first = np.concatenate([x0 - start**2 / 8 * pull(x0), -(start**4) / 4 * pull(x0)])
    s = np.array([0.5, 2.0, 7.0])
    reference = solve_ivp(
        lambda s, state: np.concatenate([state[2:] / s**3, -(s**3) * pull(state[:2])]),
        (start, 7.0), first, t_eval=s, method="Radau", rtol=1e-10, atol=1e-13,
    )  # fmt: skip
    flow = accelerated_flow(pull, x0, s)
    np.testing.assert_allclose(flow, reference.y[:2].T, atol=1e-7)


def test_nesterov_and_the_continuized_mean_tend_to_the_flow():
    """As L grows, x_k at k = s√L and E x_t at t = s√L tend to the flow, at first order in 1/√L."""
    s, gaps = 2.0, {"nesterov": [], "continuized": []}
    limit = accelerated_flow(lambda x: x, [1.0], [s])[0, 0]
    roots = np.array([20, 40, 80])
    for root in roots:
        k = round(s * root)
        x = nesterov(lambda x: x, [1.0], L=float(root**2), n_steps=k)
        gaps["nesterov"].append(abs(x[-1, 0] - limit))
        run = continuized_nesterov(
            lambda x: x, [1.0], convex_schedule(float(root**2)), n_steps=k, rng=seeded(),
            clock="regular",
        )  # fmt: skip
        gaps["continuized"].append(abs(run.x[-1, 0] - limit))
    for name, gap in gaps.items():
        slope = np.polyfit(np.log(roots), np.log(gap), 1)[0]
        assert -1.3 < slope < -0.7, name


def test_at_rest_and_at_time_zero_the_flow_stays():
    np.testing.assert_array_equal(accelerated_flow(gradient, np.zeros(5), [0.0, 3.0]), 0.0)
    np.testing.assert_array_equal(accelerated_flow(gradient, np.ones(5), [0.0]), np.ones((1, 5)))
    np.testing.assert_array_equal(accelerated_flow(gradient, np.ones(5), [0.0, 3.0])[0], 1.0)
    np.testing.assert_array_equal(accelerated_flow(gradient, np.ones(5), [1e-12]), np.ones((1, 5)))


def test_the_flow_starts_where_its_first_guess_would_overflow():
    flow = accelerated_flow(np.sinh, [3.0], [1.0, 50.0])
    near = accelerated_flow(np.sinh, [3.0], [1.0])
    np.testing.assert_allclose(flow[0], near[0], rtol=1e-9)
    assert 2 * 9.0 / 50.0**2 >= np.cosh(flow[1, 0]) - 1


# ---------------------------------------------------------------- the door, and failures


def nan_from_step(k):
    calls = iter(range(1, 1000))
    return lambda x: np.where(next(calls) >= k, np.nan, 1.0) * x


@pytest.mark.parametrize(
    "run",
    [
        lambda gradient: continuized_nesterov(
            gradient, np.ones(5), SCHEDULES["convex"], n_steps=20, n_copies=3, rng=seeded()
        ),
        lambda gradient: continuized_nesterov(
            gradient, np.ones(5), SCHEDULES["uniform"], n_steps=20, rng=seeded(),
            proximal=lambda v, step: v,
        ),
        lambda gradient: list(
            islice(continuized_steps(gradient, np.ones(5), SCHEDULES["convex"], rng=seeded()), 20)
        ),
        lambda gradient: gradient_descent(gradient, np.ones(5), step=0.1, n_steps=20),
        lambda gradient: nesterov(gradient, np.ones(5), L=1.0, n_steps=20),
        lambda gradient: stochastic_gradient_descent(
            lambda x, rng: gradient(x), np.ones(5), step=0.1, n_steps=20, rng=seeded()
        ),
    ],
)  # fmt: skip
def test_a_bad_gradient_is_refused_and_its_step_named(run):
    with pytest.raises(ValueError, match=r"gradient must return finite numbers, got nan .* step 7"):
        run(nan_from_step(7))
    with pytest.raises(ValueError, match=r"gradient must return the shape .* got \(2,\) at step 1"):
        run(lambda x: np.ones(2))
    with pytest.raises(ValueError, match="gradient must return real numbers, got dtype complex"):
        run(lambda x: 1j * x)
    with pytest.raises(ValueError, match="read-only"):
        run(lambda x: np.multiply(x, 2.0, out=x))


@pytest.mark.parametrize(
    "run",
    [
        lambda: continuized_nesterov(
            gradient, np.ones(5), convex_schedule(0.2), n_steps=3000, rng=seeded()
        ),
        lambda: continuized_nesterov(
            gradient, np.ones(5), constant_schedule(1.0, 1.0, 1.0, 100.0), n_steps=3000,
            n_copies=2, rng=seeded(),
        ),
        lambda: gradient_descent(gradient, np.ones(5), step=3.0, n_steps=3000),
        lambda: nesterov(gradient, np.ones(5), L=0.2, n_steps=3000),
    ],
)  # fmt: skip
def test_divergence_is_an_error_that_says_when(run):
    with pytest.raises(ConvergenceError, match=r"diverged: .* at step \d+\. Take a larger L"):
        run()


def steps(**options):
    arguments = {"gradient": gradient, "x0": np.ones(5), "schedule": SCHEDULES["convex"]}
    return continuized_steps(**(arguments | {"rng": seeded()} | options))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: steps(x0=np.ones((1, 2, 3))), r"x0 must have shape \(d,\) or \(d, copies\)"),
        (lambda: steps(x0=np.ones((5, 0))), r"x0 must have shape \(d,\) or \(d, copies\)"),
        (lambda: steps(x0=[1.0, np.nan]), "x0 must be finite, got nan"),
        (lambda: steps(z0=np.ones(4)), r"z0 must have the shape \(5,\) of x0, got \(4,\)"),
        (lambda: steps(z0=np.ones((5, 2))), r"z0 must have the shape \(5,\) of x0"),
        (lambda: steps(n_copies=0), "n_copies must be ≥ 1, got 0"),
        (lambda: steps(x0=np.ones((5, 2)), n_copies=3), "n_copies must be the 2 columns of x0"),
        (lambda: steps(schedule=2.0), "schedule must be a Schedule, got 2.0"),
        (lambda: steps(rng=0), "rng must be a numpy.random.Generator, got 0"),
        (lambda: steps(gradient=3.0), "gradient must be callable, got 3.0"),
        (lambda: steps(proximal=3.0), "proximal must be callable, got 3.0"),
        (lambda: steps(every=0), "every must be ≥ 1, got 0"),
        (lambda: steps(clock="atomic"), "clock must be one of 'poisson', 'regular', got 'atomic'"),
        (lambda: steps(clock=[1.0, 1.0]), "clock must be positive and increasing.* index 1"),
        (lambda: steps(clock=[0.0, 1.0]), "clock must be positive and increasing.* index 0"),
        (lambda: steps(clock=[[1.0, 2.0]]), r"clock must have shape \(K,\), got \(1, 2\)"),
        (
            lambda: steps(clock=np.ones((1, 2)), n_copies=3),
            r"clock must have shape \(K,\) or \(K, 3\), got \(1, 2\)",
        ),
        (
            lambda: continuized_nesterov(
                gradient, np.ones(5), SCHEDULES["convex"], n_steps=3, rng=seeded(), clock=[1.0]
            ),
            "clock must have n_steps = 3 times, got 1",
        ),
        (
            lambda: continuized_nesterov(
                gradient, np.ones(5), SCHEDULES["convex"], n_steps=-1, rng=seeded()
            ),
            "n_steps must be ≥ 0, got -1",
        ),
        (
            lambda: list(steps(clock=[1.0], proximal=lambda v, step: v[:2])),
            r"proximal must return finite numbers in the shape \(5,\) .* at step 1",
        ),
        (
            lambda: list(steps(clock=[1.0], proximal=lambda v, step: v * np.nan)),
            "proximal must return finite numbers",
        ),
        (lambda: gradient_descent(gradient, [1.0], step=0.0, n_steps=1), "step must be > 0"),
        (lambda: nesterov(gradient, [1.0], L=1.0, mu=2.0, n_steps=1), "mu must be ≤ L = 1"),
        (lambda: nesterov(gradient, [1.0], L=0.0, n_steps=1), "L must be > 0, got 0.0"),
        (
            lambda: stochastic_gradient_descent(
                gradient, [1.0], step=1.0, n_steps=1, rng=np.random
            ),
            "rng must be a numpy.random.Generator",
        ),
        (lambda: accelerated_flow(gradient, np.ones(5), [-1.0]), "times must be ≥ 0, got -1.0"),
        (
            lambda: accelerated_flow(gradient, np.ones(5), [1.0, 1.0]),
            "times must be strictly increasing",
        ),
        (
            lambda: accelerated_flow(lambda x: x[:1], np.ones(5), [1.0]),
            "gradient must return the shape .* at s = 0",
        ),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_gradient_without_a_limit_at_the_start_is_an_error():
    with pytest.raises(ConvergenceError, match="accelerated_flow cannot start"):
        accelerated_flow(lambda x: np.where(x == 1.0, 1.0, -1.0) * x, [1.0], [1.0])
