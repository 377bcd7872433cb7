"""Exact moments agree with simulation, quadrature and other solvers, and obey the theorems."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from inthelimit import ConvergenceError
from inthelimit.continuized.least_squares import edge_law, finite_law, gaussian_law, one_hot_law
from inthelimit.continuized.moments import (
    jump_moments,
    least_squares_log_rate,
    log_rate,
    log_rate_per_iteration,
    second_moments,
)
from inthelimit.continuized.schedules import (
    constant_schedule,
    convex_schedule,
    least_squares_schedule,
    strongly_convex_schedule,
    uniform_schedule,
)

LAGUERRE_NODES, LAGUERRE_WEIGHTS = np.polynomial.laguerre.laggauss(60)


def gradient_jump(gamma, gamma_prime, h):
    """The matrix of (x, z) → (x − γ h x, z − γ' h x)."""
    return np.array([[1.0 - gamma * h, 0.0], [-gamma_prime * h, 1.0]])


def mixing(eta, eta_prime, gap):
    """The exact matrix of dx = η(z − x)dt, dz = η'(x − z)dt over a gap."""
    s = eta + eta_prime
    left = (1.0 - np.exp(-s * gap)) / s if s > 0 else gap
    return np.eye(2) + left * np.array([[-eta, eta], [eta_prime, -eta_prime]])


def kronecker_map(schedule, h):
    """E (JK)⊗(JK), 4 × 4, over the gap, by quadrature."""
    p = schedule.parameters(1.0)
    jump = gradient_jump(p.gamma, p.gamma_prime, h)
    steps = [jump @ mixing(p.eta, p.eta_prime, gap) for gap in LAGUERRE_NODES]
    return sum(w * np.kron(M, M) for w, M in zip(LAGUERRE_WEIGHTS, steps, strict=True))


def kronecker_generator(p, h):
    """The 4 × 4 matrix of the ODE of E (x, z)⊗(x, z)."""
    rotation, identity = np.array([[-p.eta, p.eta], [p.eta_prime, -p.eta_prime]]), np.eye(2)
    jump = gradient_jump(p.gamma, p.gamma_prime, h)
    mix = np.kron(rotation, identity) + np.kron(identity, rotation)
    return mix + np.kron(jump, jump) - np.eye(4)


def simulate(schedule, gradient, x0, z0, times, copies, rng):
    """Plain continuized process: x at `times`, of shape (T, d, copies), for independent copies."""
    d, last = len(x0), times[-1]
    x, z = np.repeat(x0[:, None], copies, axis=1), np.repeat(z0[:, None], copies, axis=1)
    read = np.empty((2, len(times), d, copies))
    t = np.zeros(copies)
    while (t <= last).any():
        after = t + rng.exponential(size=copies)
        for i, instant in enumerate(times):
            now = (t <= instant) & (instant < after)
            read[0, i, :, now], read[1, i, :, now] = (
                v.T for v in schedule.mix(x[:, now], z[:, now], t[now], instant)
            )
        x, z = schedule.mix(x, z, t, after)
        p = schedule.parameters(after)
        g = gradient(x, rng)
        x, z, t = x - p.gamma * g, z - p.gamma_prime * g, after
    return read


def assert_means(samples, exact):
    """Sample means over the last axis are within 4 standard errors of the exact means."""
    error = samples.std(axis=-1) / np.sqrt(samples.shape[-1])
    assert (np.abs(samples.mean(axis=-1) - exact) <= 4 * error + 1e-12).all()


# ---------------------------------------------------------------- independent references


@pytest.mark.parametrize(
    "schedule",
    [
        strongly_convex_schedule(1.0, 0.01),
        constant_schedule(0.3, 0.1, 0.9, 2.0),
        constant_schedule(0.3, 0.0, 0.9, 2.0),
        constant_schedule(0.0, 0.2, 0.9, 2.0),
        constant_schedule(0.0, 0.0, 0.9, 2.0),
    ],
)
def test_jump_moments_are_those_of_gauss_laguerre(schedule):
    h = np.array([0.01, 0.3, 1.0])
    moments = jump_moments(h, schedule, 20, x0=1.0, z0=-2.0)
    for i in range(3):
        state = np.array([1.0, -2.0, -2.0, 4.0])
        for k in range(21):
            found = moments.xx[k, i], moments.xz[k, i], moments.xz[k, i], moments.zz[k, i]
            assert np.allclose(found, state, rtol=1e-9, atol=1e-12)
            state = kronecker_map(schedule, h[i]) @ state
    assert (moments.times == np.arange(21)).all()


def test_log_rate_per_iteration_is_the_spectral_radius_of_the_kronecker_map():
    schedule = strongly_convex_schedule(2.0, 0.02)
    h = np.geomspace(0.02, 2.0, 9)
    radii = [np.abs(np.linalg.eigvals(kronecker_map(schedule, x))).max() for x in h]
    assert np.allclose(log_rate_per_iteration(h, schedule), -np.log(radii), rtol=1e-8)


@pytest.mark.parametrize(
    "schedule",
    [
        convex_schedule(1.0),
        uniform_schedule(1.0, 0.05),
        strongly_convex_schedule(1.0, 0.01),
        constant_schedule(0.3, 0.1, 1.7, 0.0),
    ],
)
def test_second_moments_are_those_of_another_solver(schedule):
    times = np.array([1.0, 2.5, 10.0, 40.0])
    for h in (0.003, 1.0):
        first = second_moments([h], schedule, times, z0=-0.5)
        start = np.array([[first.xx[0], first.xz[0], first.xz[0], first.zz[0]]]).ravel()
        reference = solve_ivp(
            lambda t, y, h=h: kronecker_generator(schedule.parameters(t), h) @ y,
            (1.0, 40.0), start, "Radau", times, rtol=1e-10, atol=1e-22,
        )  # fmt: skip
        found = np.stack([first.xx, first.xz, first.xz, first.zz])[..., 0]
        scale = np.maximum(first.xx, first.zz * h)[:, 0]
        assert (np.abs(found - reference.y) <= 1e-6 * np.maximum(scale, np.abs(found))).all()


SCHEDULES = [
    convex_schedule(1.0),
    uniform_schedule(1.0, 0.1),
    strongly_convex_schedule(1.0, 0.1),
    constant_schedule(0.0, 0.0, 0.6, 0.0),
]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_second_moments_are_those_of_a_simulation_with_additive_noise(schedule):
    h, s = np.array([0.1, 1.0]), np.array([0.5, 0.2])
    x0, z0, times = np.array([1.0, -0.5]), np.array([0.5, 1.0]), np.array([0.0, 0.5, 3.0, 8.0])
    exact = second_moments(h, schedule, times, x0=x0, z0=z0, noise_variance=s**2)

    def gradient(x, rng):
        return h[:, None] * x + s[:, None] * rng.normal(size=x.shape)

    x, z = simulate(schedule, gradient, x0, z0, times, 20_000, np.random.default_rng(4))
    assert_means(x * x, exact.xx)
    assert_means(x * z, exact.xz)
    assert_means(z * z, exact.zz)
    assert_means(x, exact.mean_x)
    assert_means(z, exact.mean_z)
    assert_means((h[:, None] * x * x).sum(axis=1) / 2, exact.value())
    assert_means((x * x).sum(axis=1), exact.distance_squared())


@pytest.mark.parametrize("law", [gaussian_law([0.2, 1.0, 0.5]), one_hot_law([0.2, 0.5, 0.3])])
@pytest.mark.parametrize("kind", ["convex", "exponential", "descent"])
def test_second_moments_are_those_of_a_simulation_with_multiplicative_noise(law, kind):
    schedule = {
        "convex": least_squares_schedule(law.R2, law.kappa_tilde),
        "exponential": least_squares_schedule(law.R2, law.kappa_tilde, law.mu),
        "descent": constant_schedule(0.0, 0.0, 1.0 / law.R2, 0.0),
    }[kind]
    x0, times = np.array([1.0, -0.5, 0.8]), np.array([0.5, 3.0, 8.0])
    exact = second_moments(law.spectrum, schedule, times, x0=x0, law=law, noise_variance=0.01)

    def gradient(x, rng):
        a = law.sample(rng, x.shape[1]).T
        return a * (a * x).sum(axis=0) + 0.1 * rng.normal(size=x.shape)

    x, z = simulate(schedule, gradient, x0, x0, times, 20_000, np.random.default_rng(5))
    assert_means(x * x, exact.xx)
    assert_means(x * z, exact.xz)
    assert_means(z * z, exact.zz)
    assert_means(x, exact.mean_x)


def test_jump_moments_are_those_of_a_simulation_with_both_noises():
    law = gaussian_law([0.2, 1.0])
    schedule = least_squares_schedule(law.R2, law.kappa_tilde, law.mu)
    exact = jump_moments(law.spectrum, schedule, 6, x0=[1.0, 2.0], noise_variance=0.04, law=law)
    rng = np.random.default_rng(6)
    copies = 20_000
    x = z = np.repeat([[1.0], [2.0]], copies, axis=1)
    t = np.zeros(copies)
    for k in range(1, 7):
        after = t + rng.exponential(size=copies)
        x, z = schedule.mix(x, z, t, after)
        a = law.sample(rng, copies).T
        g = a * (a * x).sum(axis=0) + 0.2 * rng.normal(size=x.shape)
        p = schedule.parameters(after)
        x, z, t = x - p.gamma * g, z - p.gamma_prime * g, after
        assert_means(x * x, exact.xx[k])
        assert_means(x * z, exact.xz[k])
        assert_means(z * z, exact.zz[k])
        assert_means(z, exact.mean_z[k])


def full_matrix_moments(law, p, times, x0):
    """E xx' for a finite law by the ODE of the whole (2d × 2d) matrix, in the eigenbasis."""
    d = law.dimension
    a = law.vectors @ law.eigenvectors
    identity = np.eye(d)
    mix = np.kron([[-p.eta, p.eta], [p.eta_prime, -p.eta_prime]], identity)
    u = np.concatenate([p.gamma * a, p.gamma_prime * a], axis=1)

    def slope(_, y):
        S = y.reshape(2 * d, 2 * d)
        pull = u.T @ (law.weights[:, None] * (a @ S[:d]))
        square = u.T @ ((law.weights * np.einsum("ni,ij,nj->n", a, S[:d, :d], a))[:, None] * u)
        return (mix @ S + S @ mix.T - pull - pull.T + square).ravel()

    start = np.kron(np.ones((2, 2)), np.outer(x0, x0)).ravel()
    solution = solve_ivp(slope, (0, times[-1]), start, "DOP853", times, rtol=1e-10, atol=1e-14)
    return solution.y.T.reshape(-1, 2 * d, 2 * d)


@pytest.mark.parametrize(
    "law",
    [
        finite_law(np.array(list(itertools.product([-1, 1], repeat=3))) * [1.0, 0.5, 0.2]),
        one_hot_law([0.2, 0.5, 0.3]),
        one_hot_law([0.2, 0.0, 0.8]),
    ],
)
def test_diagonal_of_a_finite_law_is_that_of_its_whole_matrix(law):
    schedule = least_squares_schedule(law.R2, law.kappa_tilde, law.mu)
    times, x0 = np.array([0.0, 1.0, 5.0, 20.0]), np.array([1.0, -2.0, 0.5])
    exact = second_moments(law.spectrum, schedule, times, x0=x0, law=law)
    whole = full_matrix_moments(law, schedule.parameters(1.0), times, x0)
    assert np.allclose(exact.xx, np.einsum("tii->ti", whole[:, :3, :3]), rtol=1e-7, atol=1e-12)
    assert np.allclose(exact.xz, np.einsum("tii->ti", whole[:, :3, 3:]), rtol=1e-7, atol=1e-12)
    assert np.allclose(exact.zz, np.einsum("tii->ti", whole[:, 3:, 3:]), rtol=1e-7, atol=1e-12)


# ---------------------------------------------------------------- closed forms


def test_plain_steps_at_random_times_have_a_closed_form():
    h, s2, gamma = np.array([0.2, 1.0]), np.array([0.0, 0.3]), 0.7
    times = np.array([0.0, 0.1, 2.0, 30.0])
    moments = second_moments(
        h, constant_schedule(0.0, 0.0, gamma, 0.0), times, x0=2.0, z0=5.0, noise_variance=s2
    )
    rate = 1.0 - (1.0 - gamma * h) ** 2
    decay = np.exp(-rate * times[:, None])
    expected = 4.0 * decay + gamma**2 * s2 / rate * (1.0 - decay)
    assert np.allclose(moments.xx, expected, rtol=1e-12)
    assert np.allclose(moments.mean_x, 2.0 * np.exp(-gamma * h * times[:, None]), rtol=1e-12)
    assert (moments.zz == 25.0).all()


def test_one_hot_descent_solves_a_coordinate_when_it_is_seen():
    law = one_hot_law([0.1, 0.9])
    times = np.linspace(0.0, 20.0, 41)
    descent = constant_schedule(0.0, 0.0, 1.0 / law.R2, 0.0)
    moments = second_moments(law.spectrum, descent, times, law=law)
    assert np.allclose(moments.xx, np.exp(-law.spectrum * times[:, None]), rtol=1e-12)
    assert np.isclose(least_squares_log_rate(law, descent), 0.1, rtol=1e-12)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_flat_direction_is_only_mixed(schedule):
    moments = second_moments([0.0], schedule, [0.0, 1e-3, 50.0], x0=2.0, z0=-1.0)
    expected = [schedule.mix([2.0], [-1.0], 0.0, t) for t in moments.times]
    x, z = (np.array(column) for column in zip(*expected, strict=True))
    for found, exact in ((moments.xx, x * x), (moments.xz, x * z), (moments.zz, z * z)):
        assert np.allclose(found, exact, rtol=1e-10)


@pytest.mark.parametrize("schedule", [convex_schedule(2.0), uniform_schedule(2.0, 0.01)])
@pytest.mark.parametrize("t", [1e-7, 1e-5])
def test_the_first_jump_is_seen_at_small_times(schedule, t):
    # One jump, at a uniform part v of [0, t]: x(t) = z0 (1 − γ h v²), z = z0 (1 − γ' h).
    z0, h, gamma, s2 = 3.0, np.array([0.5, 2.0]), 0.5, 0.04
    moments = second_moments(h, schedule, [t], x0=7.0, z0=z0, noise_variance=s2)
    growth = z0**2 * (-2 * gamma * h / 3 + gamma**2 * h**2 / 5) + gamma**2 * s2 / 5
    assert np.allclose((moments.xx[0] - z0**2) / t, growth, rtol=10 * t, atol=1e-14 / t)
    assert np.allclose(
        (moments.mean_x[0] - z0) / t, -gamma * h * z0 / 3, rtol=10 * t, atol=1e-14 / t
    )
    assert np.allclose(moments.zz[0], z0**2, rtol=1e-9)


def test_singular_schedules_forget_x0_at_once():
    times = np.array([0.0, 1e-3, 1.0])
    near, far = (second_moments([0.5], convex_schedule(1.0), times, x0=x, z0=1.0) for x in (1, 9))
    assert far.xx[0, 0] == 81.0
    assert far.xz[0, 0] == 9.0
    assert far.mean_x[0, 0] == 9.0
    assert (far.xx[1:] == near.xx[1:]).all()


def test_where_the_integration_starts_does_not_matter(monkeypatch):
    def moments():
        return second_moments([0.01, 1.0], convex_schedule(1.0), [0.01, 1.0, 30.0])

    early = moments()
    monkeypatch.setattr("inthelimit.continuized._moment_equations.FIRST_TIME", 1e-4)
    late = moments()
    for name in ("xx", "xz", "zz", "mean_x", "mean_z"):
        assert np.allclose(getattr(early, name), getattr(late, name), rtol=1e-8)
    monkeypatch.setattr("inthelimit.continuized._moment_equations.FIRST_TIME", 0.1)
    assert not np.allclose(early.zz, moments().zz, rtol=1e-7)


def test_times_in_any_spacing_give_the_same_moments():
    for schedule in (strongly_convex_schedule(1.0, 0.01), convex_schedule(1.0)):
        even = second_moments([0.01, 0.5], schedule, np.linspace(0.0, 100.0, 301), x0=[1.0, 2.0])
        picked = second_moments([0.01, 0.5], schedule, even.times[[5, 6, 170, 300]], x0=[1.0, 2.0])
        for name in ("xx", "xz", "zz", "mean_x", "mean_z"):
            found, reference = getattr(picked, name), getattr(even, name)[[5, 6, 170, 300]]
            assert np.allclose(found, reference, rtol=1e-8, atol=1e-12 * even.xx[300].max())


# ---------------------------------------------------------------- what moments must satisfy


@settings(max_examples=60, deadline=None)
@given(
    eta=st.floats(0.0, 3.0),
    eta_prime=st.floats(0.0, 3.0),
    gamma=st.floats(0.1, 1.9),
    gamma_prime=st.floats(0.0, 5.0),
    z0=st.floats(-3.0, 3.0),
    noise=st.floats(0.0, 2.0),
)
def test_moments_are_those_of_a_random_vector(eta, eta_prime, gamma, gamma_prime, z0, noise):
    schedule = constant_schedule(eta, eta_prime, gamma, gamma_prime)
    h = [0.0, 0.1, 1.0]
    for moments in (
        second_moments(h, schedule, [0.0, 0.1, 1.0, 4.0], z0=z0, noise_variance=noise),
        jump_moments(h, schedule, 4, z0=z0, noise_variance=noise),
    ):
        x = moments.xx - moments.mean_x**2
        z = moments.zz - moments.mean_z**2
        xz = moments.xz - moments.mean_x * moments.mean_z
        size = np.maximum.accumulate(np.maximum(moments.xx, moments.zz))
        assert (x >= -1e-11 * size).all()
        assert (z >= -1e-11 * size).all()
        assert (xz**2 <= x * z + 1e-10 * size**2).all()


def test_rates_are_those_of_late_times():
    schedule, h = strongly_convex_schedule(1.0, 0.05), [0.05, 0.3, 1.0]
    late = second_moments(h, schedule, [300.0, 310.0])
    assert np.allclose(np.log(late.xx[0] / late.xx[1]) / 10.0, log_rate(h, schedule), rtol=1e-3)
    steps = jump_moments(h, schedule, 200)
    assert not steps.xx[1:, 2].any()  # at h = L a jump solves x, and only z remembers
    slope = np.log(steps.zz[150] / steps.zz[200]) / 50.0
    assert np.allclose(slope, log_rate_per_iteration(h, schedule), rtol=1e-3)


def test_rates_without_mixing_are_those_of_x_alone():
    descent = constant_schedule(0.0, 0.0, 0.5, 0.0)
    h = np.array([0.0, 0.1, 1.0, 4.0, 5.0])
    contraction = (1.0 - 0.5 * h) ** 2
    assert np.allclose(log_rate(h, descent), 1.0 - contraction, rtol=1e-14)
    assert np.allclose(log_rate_per_iteration(h, descent), -np.log(contraction), rtol=1e-14)
    assert log_rate_per_iteration([2.0], descent) == np.inf


# ---------------------------------------------------------------- the theorems


@pytest.mark.parametrize(
    ("mu", "rate"), [(0.1, 0.5097), (0.01, 0.1670), (1e-3, 0.0552), (1e-4, 0.0181)]
)
def test_worst_rate_per_iteration(mu, rate):
    rates = log_rate_per_iteration(np.geomspace(mu, 1.0, 200), strongly_convex_schedule(1.0, mu))
    assert abs(rates.min() - rate) < 6e-5
    assert rates.argmin() == 0
    assert rates.min() >= np.log1p(np.sqrt(mu))


def test_rate_in_time():
    c = 0.1
    rates = log_rate(np.geomspace(0.01, 1.0, 50), strongly_convex_schedule(1.0, 0.01))
    assert abs(rates[0] - 0.1500) < 5e-5
    assert rates.min() >= c
    wrong = log_rate([0.01], constant_schedule(c, c, 1.0, 0.5 / c))
    assert wrong[0] < 1.3 * c  # γ' too short by a factor 20


def test_convex_bound_and_potential():
    L, h = 1.0, np.geomspace(1e-4, 1.0, 25)
    times = np.linspace(0.0, 300.0, 601)
    schedule = convex_schedule(L)
    moments = second_moments(h, schedule, times)
    value = 0.5 * h * moments.xx
    ratio = (value[1:] * times[1:, None] ** 2 / (2 * L)).max(axis=0)
    assert abs(ratio.max() - 0.335) < 1e-3  # at the smallest h
    assert abs(ratio.min() - 0.227) < 1e-3  # at h = 0.46
    potential = times[:, None] ** 2 / (4 * L) * value + 0.5 * moments.zz
    assert np.diff(potential, axis=0).max() <= 1e-9
    shrunk = constant_schedule(0.0, 0.0, 1.0 / L, 0.0)  # plain descent breaks the bound
    slow = second_moments(h, shrunk, times).xx * 0.5 * h
    assert (slow[1:] * times[1:, None] ** 2 / (2 * L)).max() > 2.0


def test_uniform_bound():
    h, times = np.geomspace(0.01, 1.0, 9), np.linspace(1.0, 300.0, 100)
    schedule = uniform_schedule(1.0, 0.01)
    value = 0.5 * h * second_moments(h, schedule, times).xx
    bound = schedule.bound(times, gap=0.0, distance_squared=1.0)
    assert (value <= bound[:, None]).all()
    assert value[-1, 0] < 1e-9 * 0.5 / times[-1] ** 2


def test_strongly_convex_bound():
    L, mu = 1.0, 0.01
    h, times = np.geomspace(mu, L, 15), np.linspace(0.5, 300.0, 600)
    moments = second_moments(h, strongly_convex_schedule(L, mu), times)
    ratio = 0.5 * h * moments.xx / (0.5 * (h + mu)) * np.exp(0.1 * times[:, None])
    assert ratio.max() < 0.995
    assert ratio.max(axis=0).min() > 0.63


def test_additive_noise():
    times, h = np.linspace(0.5, 400.0, 800), np.array([0.01, 0.1, 1.0])
    convex = second_moments(h, convex_schedule(1.0), times, x0=0.0, noise_variance=1.0)
    ratio = 0.5 * h * convex.xx / (times[:, None] / 3.0)
    assert abs(ratio.max() - 0.464) < 1e-3
    h = np.array([0.01, 0.03, 0.1, 1.0])
    schedule = strongly_convex_schedule(1.0, 0.01)
    late = second_moments(h, schedule, [4000.0], x0=0.0, noise_variance=1.0)
    stationary = 0.5 * h * late.xx[0] * np.sqrt(0.01)
    assert np.allclose(stationary, [0.136, 0.133, 0.125, 0.350], rtol=0, atol=6e-4)
    after_jump = jump_moments(h, schedule, 3000, x0=0.0, noise_variance=1.0)
    assert (0.5 * h * after_jump.xx[-1] * np.sqrt(0.01) < 1.0).all()


LAW = gaussian_law(np.logspace(-3, 0, 20))


def test_multiplicative_noise_constants_and_rates():
    assert np.isclose(LAW.R2, 5.278, atol=5e-4)
    assert LAW.kappa_tilde == 22.0
    accelerated = least_squares_schedule(LAW.R2, LAW.kappa_tilde, LAW.mu)
    descent = constant_schedule(0.0, 0.0, 1.0 / LAW.R2, 0.0)
    assert np.isclose(least_squares_log_rate(LAW, accelerated), 5.06e-3, rtol=2e-3)
    assert np.isclose(least_squares_log_rate(LAW, descent), 3.79e-4, rtol=2e-3)
    assert least_squares_log_rate(LAW, accelerated) > 1 / np.sqrt(LAW.kappa * LAW.kappa_tilde)
    assert least_squares_log_rate(LAW, descent) > 1 / LAW.kappa
    ignored = least_squares_schedule(LAW.R2, 1.0, LAW.mu)
    assert least_squares_log_rate(LAW, ignored) < -0.1


def test_multiplicative_noise_bounds():
    start = 20.0, float(LAW.inverse_norm_squared(np.ones(20)))
    times = np.geomspace(1.0, 3000.0, 30)
    for mu, largest in ((0.0, 0.244), (LAW.mu, 0.9)):
        schedule = least_squares_schedule(LAW.R2, LAW.kappa_tilde, mu)
        half = 0.5 * second_moments(LAW.spectrum, schedule, times, law=LAW).distance_squared()
        bound = schedule.bound(times, gap=0.5 * start[0], distance_squared=start[1])
        assert (half / bound).max() < largest
    descent = constant_schedule(0.0, 0.0, 1.0 / LAW.R2, 0.0)
    distance = second_moments(LAW.spectrum, descent, times, law=LAW).distance_squared()
    assert (distance <= 20.0 * np.exp(-times / LAW.kappa)).all()
    ignored = least_squares_schedule(LAW.R2, 1.0, LAW.mu)
    half = 0.5 * second_moments(LAW.spectrum, ignored, [50.0], law=LAW).distance_squared()
    assert half[0] > 5e6


def test_late_rate_of_multiplicative_noise():
    schedule = least_squares_schedule(LAW.R2, LAW.kappa_tilde, LAW.mu)
    late = second_moments(LAW.spectrum, schedule, [8000.0, 9000.0], law=LAW).distance_squared()
    assert np.isclose(
        np.log(late[0] / late[1]) / 1000.0, least_squares_log_rate(LAW, schedule), rtol=1e-3
    )


def test_one_hot_law_gains_nothing():
    law = one_hot_law([0.01, 0.09, 0.9])
    accelerated = least_squares_schedule(law.R2, law.kappa_tilde, law.mu)
    descent = constant_schedule(0.0, 0.0, 1.0, 0.0)
    gain = least_squares_log_rate(law, accelerated) / least_squares_log_rate(law, descent)
    assert gain < 1.0 + 1e-9


def test_rate_is_that_of_the_range():
    schedule = constant_schedule(0.1, 0.1, 0.2, 0.5)
    full, padded = gaussian_law([1.0, 0.1]), gaussian_law([1.0, 0.0, 0.1])
    assert np.isclose(
        least_squares_log_rate(padded, schedule), least_squares_log_rate(full, schedule)
    )


# ---------------------------------------------------------------- extreme and bad input


@pytest.mark.parametrize("schedule", [convex_schedule(0.3), strongly_convex_schedule(0.3, 0.01)])
def test_divergence_is_followed_and_overflow_says_so(schedule):
    grown = second_moments([1.0], schedule, [1.0, 10.0])
    assert grown.xx[1, 0] > 1e6 * grown.xx[0, 0]
    with pytest.raises(ConvergenceError, match="ask for earlier times"):
        second_moments([1.0], schedule, [1.0, 1e4])


def test_overflow_at_jumps_says_so():
    with pytest.raises(ConvergenceError, match="ask for earlier times"):
        jump_moments([1.0], strongly_convex_schedule(0.01, 0.001), 400)


def test_nothing_stays_nothing():
    for schedule in SCHEDULES:
        assert not second_moments([1.0], schedule, [0.0, 5.0], x0=0.0).xx.any()


def test_solved_coordinates_are_small_and_not_an_error():
    exponential = second_moments([1.0], strongly_convex_schedule(1.0, 0.1), [1.0, 2e3])
    assert abs(exponential.xx[1, 0]) < 1e-200
    convex = second_moments([0.1, 1e-4], convex_schedule(1.0), [1.0, 2e3])
    assert abs(convex.xx[1, 0]) < 1e-38
    assert convex.xx[1, 1] > 1e-5


def test_relative_accuracy_survives_300_e_folds():
    schedule = strongly_convex_schedule(1.0, 0.01)
    moments = second_moments([0.01, 1.0], schedule, [1000.0, 2000.0])
    rates = np.log(moments.xx[0] / moments.xx[1]) / 1000.0
    assert np.allclose(rates, log_rate([0.01, 1.0], schedule), rtol=1e-6)


def test_an_extreme_condition_number():
    # Far from the end, a tiny curvature is nearly flat: E x² = x0² (1 + O(√(μ/L) t)).
    schedule = strongly_convex_schedule(1.0, 1e-12)
    moments = second_moments([1e-12, 1.0], schedule, [1.0, 1e7])
    assert np.isclose(moments.xx[0, 0], 1.0, rtol=1e-5)
    late = moments.xx[1, 0]
    same = second_moments([1e-6], strongly_convex_schedule(1.0, 1e-6), [1e4]).xx[0, 0]
    assert np.isclose(late, same, rtol=1e-2)


CONVEX = convex_schedule(1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: second_moments([-1.0], CONVEX, [1.0]), "spectrum must be ≥ 0, got -1"),
        (lambda: second_moments([], CONVEX, [1.0]), "spectrum must have at least one entry"),
        (lambda: second_moments([1.0], CONVEX, [-1.0]), "times must be ≥ 0"),
        (lambda: second_moments([1.0], CONVEX, [1.0, 1.0]), "times must be strictly increasing"),
        (lambda: second_moments([1.0], CONVEX, [np.inf]), "times must be finite"),
        (lambda: second_moments([1.0], CONVEX, [1.0], x0=[1.0, 2.0]), r"x0 must be a scalar or"),
        (lambda: second_moments([1.0], CONVEX, [1.0], z0=[[1.0]]), r"z0 must be a scalar or have"),
        (
            lambda: second_moments([1.0], CONVEX, [1.0], noise_variance=-1.0),
            "noise_variance must be ≥ 0, got -1",
        ),
        (lambda: second_moments([1.0], CONVEX, [1.0], law=LAW), "spectrum must be law.spectrum"),
        (
            lambda: second_moments(
                edge_law([[0, 1], [1, 2]], [0.9, 0.1]).spectrum,
                CONVEX,
                [1.0],
                law=edge_law([[0, 1], [1, 2]], [0.9, 0.1]),
            ),
            "law must have a fourth moment .* as gaussian_law and one_hot_law have",
        ),
        (lambda: jump_moments([1.0], CONVEX, 3), "schedule must have constant coefficients"),
        (lambda: jump_moments([1.0], SCHEDULES[2], -1), "n_steps must be ≥ 0, got -1"),
        (lambda: jump_moments([1.0], SCHEDULES[2], 1.5), "n_steps must be an integer"),
        (lambda: log_rate([1.0], CONVEX), "schedule must have constant coefficients"),
        (lambda: log_rate_per_iteration([1.0], CONVEX), "schedule must have constant"),
        (lambda: least_squares_log_rate(LAW, CONVEX), "schedule must have constant coefficients"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
