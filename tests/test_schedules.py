"""The schedules solve their equations: between jumps, in the bound, in the Lyapunov function."""

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad, solve_ivp

from inthelimit.continuized import (
    constant_schedule,
    convex_schedule,
    least_squares_schedule,
    strongly_convex_schedule,
    uniform_schedule,
)

THEOREMS = {
    "convex": convex_schedule(2.0),
    "exponential": strongly_convex_schedule(2.0, 0.02),
    "uniform": uniform_schedule(2.0, 0.02),
    "uniform, mu = L": uniform_schedule(3.0, 3.0),
    "uniform, small mu": uniform_schedule(2.0, 1e-9),
    "least squares": least_squares_schedule(2.0, 7.0),
    "least squares, mu > 0": least_squares_schedule(2.0, 7.0, mu=0.05),
}
ALL = THEOREMS | {
    "constant": constant_schedule(0.3, 0.7, 0.5, 2.0),
    "no mixing of z": constant_schedule(0.3, 0.0, 0.5, 2.0),
    "no mixing of x": constant_schedule(0.0, 0.3, 0.5, 2.0),
    "no mixing": constant_schedule(0.0, 0.0, 0.5, 0.0),
}
theorems = pytest.mark.parametrize("schedule", THEOREMS.values(), ids=THEOREMS)
every_schedule = pytest.mark.parametrize("schedule", ALL.values(), ids=ALL)
times = st.floats(0.0, 1e3)


def coefficients(schedule, t0, t1):
    """τ, τ'' and τ' of one interval."""
    (minus_y,), (z,) = schedule.mix([-1.0], [0.0], t0, t1)
    step = schedule.step(t0, t1)
    assert minus_y + 1.0 == pytest.approx(step.tau, rel=1e-12, abs=1e-15)
    return float(step.tau), float(-z), float(step.tau_prime)


# ---------------------------------------------------------------- between jumps


@every_schedule
@pytest.mark.parametrize(
    ("t0", "t1"), [(0.01, 0.02), (0.1, 3.0), (5.0, 5.001), (10.0, 80.0), (900.0, 907.0)]
)
def test_mix_solves_the_equation_without_jumps(schedule, t0, t1):
    def velocity(t, state):
        x, z = state
        p = schedule.parameters(t)
        return p.eta * (z - x), p.eta_prime * (x - z)

    start = np.array([0.3, -1.1])
    solution = solve_ivp(velocity, (t0, t1), start, method="DOP853", rtol=1e-12, atol=1e-14)
    x, z = schedule.mix(start[:1], start[1:], t0, t1)
    np.testing.assert_allclose([x[0], z[0]], solution.y[:, -1], rtol=1e-10, atol=1e-11)


@every_schedule
def test_step_is_mix_written_for_y(schedule):
    rng = np.random.default_rng(0)
    t0 = np.concatenate([[0.0, 0.0], rng.exponential(10.0, size=30)])
    t1 = t0 + rng.exponential(3.0, size=32)
    x, z = rng.normal(size=(2, 32))
    step = schedule.step(t0, t1)
    y = x + step.tau * (z - x)
    mixed_x, mixed_z = schedule.mix(x, z, t0, t1)
    np.testing.assert_allclose(y, mixed_x, rtol=0, atol=1e-14)
    np.testing.assert_allclose(z + step.tau_prime * (y - z), mixed_z, rtol=0, atol=1e-13)
    at_jump = schedule.parameters(t1)
    np.testing.assert_array_equal(step.gamma, at_jump.gamma)
    np.testing.assert_array_equal(step.gamma_prime, at_jump.gamma_prime)
    assert (step.tau >= 0).all()
    assert (step.tau <= 1).all()
    assert (step.tau_prime >= 0).all()
    assert (step.tau_prime < 1).all()


@every_schedule
@settings(max_examples=60, deadline=None)
@given(a=times, b=times, c=times)
def test_two_intervals_in_a_row_are_one(schedule, a, b, c):
    a, b, c = sorted((a, b, c))
    x, z = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    whole = schedule.mix(x, z, a, c)
    parts = schedule.mix(*schedule.mix(x, z, a, b), b, c)
    np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(schedule.mix(x, z, b, b), (x, z))


@theorems
def test_from_time_zero_is_the_limit_of_a_small_time(schedule):
    zero, small = coefficients(schedule, 0.0, 2.0), coefficients(schedule, 1e-9, 2.0)
    np.testing.assert_allclose(zero[:2], small[:2], atol=1e-7)
    if not schedule.is_constant:
        assert zero == (1.0, 0.0, 0.0)


def exact_convex(t0, t1):
    return 1 - (Fraction(t0) / Fraction(t1)) ** 2, Fraction(0), Fraction(0)


def exact_exponential(schedule, t0, t1):
    c = (Decimal(schedule.mu) / Decimal(schedule.L) / Decimal(schedule.kappa_tilde)).sqrt()
    tau = (1 - (-2 * c * (Decimal(t1) - Decimal(t0))).exp()) / 2
    return tau, tau, tau / (1 - tau)


def exact_uniform(schedule, t0, t1):
    """The closed form in A = sinh²(ct/2), which cancels, so in hundreds of digits."""
    c = (Decimal(schedule.mu) / Decimal(schedule.L)).sqrt()
    halves = ((c * Decimal(t) / 2).exp() for t in (t0, t1))
    A0, A1 = (((e - 1 / e) / 2) ** 2 for e in halves)
    logarithm = ((1 + A0) / A0 * A1 / (1 + A1)).ln()
    tau = (1 + A0) * (1 - A0 / A1) - A0 * (1 + A0) * logarithm
    tau_second = 1 - tau - A0 * (1 + A0) / (A1 * (1 + A1))
    return tau, tau_second, tau_second / (1 - tau)


@pytest.mark.parametrize("gap", [1e-12, 1e-6, 1e-2, 0.7, 30.0])
@pytest.mark.parametrize("t0", [1e-100, 1e-6, 0.01, 1.0, 17.0, 300.0, 1e4])
@pytest.mark.parametrize("name", ["convex", "exponential", "uniform", "uniform, small mu"])
def test_coefficients_have_twelve_digits_at_any_gap(name, t0, gap):
    schedule, t1 = THEOREMS[name], t0 + gap
    if t1 == t0:
        pytest.skip("the gap is below the spacing of float64")
    with localcontext() as context:
        # sinh⁴(ct/2) of digits cancel, and 1 − τ of t0 = 1e-100 starts at the 200th.
        context.prec = 300 + int(schedule.rate * t1)
        if name == "convex":
            exact = exact_convex(t0, t1)
        elif name == "exponential":
            exact = exact_exponential(schedule, t0, t1)
        else:
            exact = exact_uniform(schedule, t0, t1)
        exact = [float(value) for value in exact]
    np.testing.assert_allclose(coefficients(schedule, t0, t1), exact, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("gap", [1e-12, 1e-3, 1.0, 100.0])
def test_constant_coefficients_have_twelve_digits(gap):
    eta, eta_prime = 0.3, 0.7
    with localcontext() as context:
        context.prec = 60
        total = Decimal(eta) + Decimal(eta_prime)
        mixed = (1 - (-total * Decimal(gap)).exp()) / total
        tau, tau_second = Decimal(eta) * mixed, Decimal(eta_prime) * mixed
        exact = [float(v) for v in (tau, tau_second, tau_second / (1 - tau))]
    schedule = constant_schedule(eta, eta_prime, 1.0, 1.0)
    np.testing.assert_allclose(coefficients(schedule, 0.0, gap), exact, rtol=1e-12)


@pytest.mark.parametrize("t0", [1e9, 1e100, 1e300])
@theorems
def test_huge_times_are_harmless(schedule, t0):
    t1 = 2 * t0
    tau, tau_second, _ = coefficients(schedule, t0, t1)
    kept = 0.75 if isinstance(schedule, type(THEOREMS["convex"])) else 0.5
    assert tau == pytest.approx(kept, rel=1e-12)
    assert tau_second <= 0.5
    p = schedule.parameters(t0)
    assert np.isfinite([p.eta, p.eta_prime, p.gamma, p.gamma_prime]).all()
    assert schedule.bound(t0, gap=1.0, distance_squared=1.0) >= 0.0


# ---------------------------------------------------------------- the equations of the proof


@theorems
def test_weights_match_the_coefficients(schedule):
    """A' = Aη = Bγ', A/L = κ̃Bγ'², B' = Bη', Bη' = μA'."""
    t = np.geomspace(1e-2, 100.0, 40)
    step = 1e-4 * np.minimum(t, 1.0)
    p = schedule.parameters(t)
    A, B = schedule.weights(t)
    ahead, behind = schedule.weights(t + step), schedule.weights(t - step)
    A_slope, B_slope = ((a - b) / (2 * step) for a, b in zip(ahead, behind, strict=True))
    np.testing.assert_allclose(A_slope, A * p.eta, rtol=1e-7)
    np.testing.assert_allclose(A * p.eta, B * p.gamma_prime, rtol=1e-13)
    np.testing.assert_allclose(
        A / schedule.L, schedule.kappa_tilde * B * p.gamma_prime**2, rtol=1e-13
    )
    np.testing.assert_allclose(B_slope, B * p.eta_prime, rtol=1e-6, atol=1e-10)
    np.testing.assert_allclose(B * p.eta_prime, schedule.mu * A * p.eta, rtol=1e-13)
    np.testing.assert_array_equal(p.gamma, 1 / schedule.L)


@theorems
def test_bound_is_the_start_and_the_noise_over_the_last_weight(schedule):
    gap, distance = 0.7, 1.9
    noise = 0.3 if schedule.kappa_tilde == 1.0 else 0.0
    start = float(schedule.potential(0.0, gap, distance))
    for t in (1e-3, 0.3, 2.0, 11.0, 60.0):
        integral, _ = quad(lambda s: float(schedule.weights(s)[0]), 0.0, t, epsabs=0, epsrel=1e-12)
        expected = (start + noise / schedule.L * integral) / schedule.weights(t)[0]
        bound = schedule.bound(t, gap=gap, distance_squared=distance, noise_variance=noise)
        assert bound == pytest.approx(expected, rel=1e-11)


def test_bounds_are_those_of_the_theorems():
    t = np.array([0.5, 3.0, 40.0])
    L, mu, D, noise = 2.0, 0.02, 1.9, 0.3
    convex = convex_schedule(L).bound(t, gap=9.0, distance_squared=D, noise_variance=noise)
    np.testing.assert_allclose(convex, 2 * L * D / t**2 + noise * t / (3 * L), rtol=1e-14)
    exponential = strongly_convex_schedule(L, mu)
    bound = exponential.bound(t, gap=0.7, distance_squared=D)
    c = np.sqrt(mu / L)
    np.testing.assert_allclose(bound, (0.7 + mu / 2 * D) * np.exp(-c * t), rtol=1e-14)
    late = exponential.bound(1e6, gap=0.7, distance_squared=D, noise_variance=noise)
    assert late == pytest.approx(noise / np.sqrt(mu * L), rel=1e-14)
    uniform = uniform_schedule(L, mu)
    bound = uniform.bound(t, gap=9.0, distance_squared=D)
    np.testing.assert_allclose(bound, mu / 2 * D / np.sinh(c * t / 2) ** 2, rtol=1e-13)
    late = uniform.bound(1e6, gap=9.0, distance_squared=D, noise_variance=noise)
    assert late == pytest.approx(noise / np.sqrt(mu * L), rel=1e-12)
    least = least_squares_schedule(L, 7.0).bound(t, gap=9.0, distance_squared=D)
    np.testing.assert_allclose(least, 2 * L * 7.0 * D / t**2, rtol=1e-14)
    least = least_squares_schedule(L, 7.0, mu).bound(t, gap=0.7, distance_squared=D)
    np.testing.assert_allclose(
        least, (0.7 + mu / 2 * D) * np.exp(-t / np.sqrt(L / mu * 7.0)), rtol=1e-14
    )


def test_uniform_bound_is_below_the_convex_one_and_as_fast_as_the_exponential_one():
    t = np.geomspace(1e-3, 1e3, 200)
    for mu in (1e-12, 1e-3, 0.3, 1.0):
        options = {"gap": 0.5, "distance_squared": 1.0, "noise_variance": 0.2}
        bound = uniform_schedule(1.0, mu).bound(t, **options)
        assert (bound <= convex_schedule(1.0).bound(t, **options) * (1 + 1e-13)).all()
        bound = uniform_schedule(1.0, mu).bound(t, gap=0.5, distance_squared=1.0)
        late = 2 * mu * np.exp(-np.sqrt(mu) * t)
        np.testing.assert_allclose(bound, late / np.expm1(-np.sqrt(mu) * t) ** 2, rtol=1e-12)


@pytest.mark.parametrize("mu", [1e-12, 1e-200, 5e-324])
def test_uniform_tends_to_convex_as_mu_vanishes(mu):
    assert uniform_schedule(2.0, 0.0) == convex_schedule(2.0)
    uniform, convex = uniform_schedule(2.0, mu), convex_schedule(2.0)
    t = np.array([0.1, 1.0, 9.0])
    ours, theirs = uniform.parameters(t), convex.parameters(t)
    np.testing.assert_allclose(ours.eta, theirs.eta, rtol=1e-10)
    np.testing.assert_allclose(ours.gamma_prime, theirs.gamma_prime, rtol=1e-10)
    np.testing.assert_allclose(ours.eta_prime, 0.0, atol=1e-10)
    np.testing.assert_allclose(uniform.weights(t), convex.weights(t), rtol=1e-10)
    np.testing.assert_allclose(uniform.step(t, t + 1).tau, convex.step(t, t + 1).tau, rtol=1e-10)
    options = {"gap": 1.0, "distance_squared": 1.0, "noise_variance": 1.0}
    np.testing.assert_allclose(uniform.bound(t, **options), convex.bound(t, **options), rtol=1e-10)


def test_uniform_is_the_exponential_one_in_the_end():
    uniform, exponential = uniform_schedule(2.0, 0.02), strongly_convex_schedule(2.0, 0.02)
    ours, theirs = uniform.parameters(500.0), exponential.parameters(500.0)
    for name in ("eta", "eta_prime", "gamma", "gamma_prime"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-14)
    assert uniform.step(500.0, 503.0).tau == pytest.approx(exponential.step(500.0, 503.0).tau)


# ---------------------------------------------------------------- the Lyapunov function


def quadratic(rng, d, L, mu):
    h = np.concatenate([[mu, L], rng.uniform(mu, L, size=d - 2)])
    return (lambda x: 0.5 * h @ x**2), (lambda x: h * x), np.zeros(d)


def regularised_logistic(rng, d, L, mu):
    """μ/2 ‖x‖² + Σ log(1 + exp a_i·x) with data symmetric in sign, so that x* = 0."""
    half = rng.normal(size=(6, d))
    A = np.vstack([half, -half])
    A *= np.sqrt(4 * (L - mu)) / np.linalg.norm(A, 2)
    value = lambda x: mu / 2 * x @ x + np.logaddexp(0, A @ x).sum() - len(A) * np.log(2)  # noqa: E731
    gradient = lambda x: mu * x + A.T @ (0.5 + 0.5 * np.tanh(A @ x / 2))  # noqa: E731
    return value, gradient, np.zeros(d)


def drift(schedule, t, x, z, f, gradient, minimiser, factor=1.0):
    """The expected slope of φ at (t, x, z), with γ' multiplied by `factor`."""
    p = schedule.parameters(t)
    A, B = schedule.weights(t)
    g, to_z = gradient(x), z - minimiser
    kicked = to_z - factor * p.gamma_prime * g
    return (
        A * p.eta * f(x)
        + A * p.eta * g @ (z - x)
        + B * p.eta_prime / 2 * to_z @ to_z
        + B * p.eta_prime * to_z @ (x - z)
        + A * (f(x - p.gamma * g) - f(x))
        + B / 2 * (kicked @ kicked - to_z @ to_z)
    ) / (A * p.eta)


@pytest.mark.parametrize("make", [quadratic, regularised_logistic])
@pytest.mark.parametrize("name", ["convex", "exponential", "uniform", "uniform, mu = L"])
def test_the_lyapunov_function_decreases_on_average_at_any_point(name, make):
    schedule, rng, doubled = THEOREMS[name], np.random.default_rng(1), []
    for _ in range(300):
        f, gradient, minimiser = make(rng, 5, schedule.L, schedule.mu)
        x, z = rng.normal(size=(2, 5)) * 10.0 ** rng.uniform(-2, 2, size=(2, 1))
        t = 10.0 ** rng.uniform(-1, 1.5)
        problem = (f, gradient, minimiser)
        scale = f(x) + schedule.L * (x @ x + z @ z)
        assert drift(schedule, t, x, z, *problem) <= 1e-12 * scale
        x_star = rng.normal(size=5)
        doubled.append(drift(schedule, t, x_star, x_star, *problem, factor=2.0))
    if make is quadratic and name != "uniform, mu = L":
        assert max(doubled) > 0.0


@pytest.mark.parametrize("name", ["least squares", "least squares, mu > 0"])
def test_the_lyapunov_function_of_least_squares_decreases_too(name):
    """One of six rows at a time, with R² and κ̃ the smallest that the theorem allows."""
    rng, tight = np.random.default_rng(2), []
    for _ in range(100):
        rows = rng.normal(size=(6, 3)) * rng.uniform(0.2, 2.0, size=(6, 1))
        H = rows.T @ rows / 6
        inverse = np.linalg.inv(H)
        root = np.linalg.cholesky(inverse)
        whitened = rows @ root
        squares = {"R2": (rows**2).sum(1), "kappa": (whitened**2).sum(1)}
        R2, kappa_tilde = (
            np.linalg.eigvalsh((whitened * square[:, None]).T @ whitened / 6)[-1]
            for square in squares.values()
        )
        mu = np.linalg.eigvalsh(H)[0] if "mu" in name else 0.0
        schedule = least_squares_schedule(R2, kappa_tilde, mu)
        x, z = rng.normal(size=(2, 3)) * 10.0 ** rng.uniform(-1, 1, size=(2, 1))
        t = 10.0 ** rng.uniform(-1, 1.5)
        p = schedule.parameters(t)
        A, B = schedule.weights(t)
        g = rows * (rows @ x)[:, None]
        jump_x = 0.5 * ((x - p.gamma * g) ** 2).sum(1).mean() - 0.5 * x @ x
        kicked = z - p.gamma_prime * g
        jump_z = 0.5 * np.vecdot(kicked @ inverse, kicked).mean() - 0.5 * z @ inverse @ z
        slope = (
            A * p.eta * (0.5 * x @ x + x @ (z - x))
            + B * p.eta_prime * (0.5 * z @ inverse @ z + z @ inverse @ (x - z))
            + A * jump_x
            + B * jump_z
        )
        scale = A * p.eta * (x @ x + z @ inverse @ z * R2)
        assert slope <= 1e-12 * scale
        tight.append(slope / scale)
    assert max(tight) > -0.5


# ---------------------------------------------------------------- the clock


@pytest.mark.parametrize("k", [1, 4, 20])
def test_mean_extrapolation_is_the_weight_of_nesterov(k):
    """T_k/T_{k+1} is Beta(k, 1), so E τ_k = 2/(k + 2)."""
    rng = np.random.default_rng(3)
    t0 = rng.gamma(k, size=40_000)
    tau = convex_schedule(1.0).step(t0, t0 + rng.exponential(size=t0.size)).tau
    error = tau.std() / np.sqrt(tau.size)
    assert abs(tau.mean() - 2 / (k + 2)) < 4 * error


# ---------------------------------------------------------------- shapes and the door


@every_schedule
def test_answers_have_the_shape_of_the_times(schedule):
    t = np.linspace(1.0, 2.0, 6).reshape(2, 3)
    p, step = schedule.parameters(t), schedule.step(t, t + 1)
    for array in (p.eta, p.eta_prime, p.gamma, p.gamma_prime):
        assert array.shape == (2, 3)
    for array in (step.tau, step.tau_prime, step.gamma, step.gamma_prime):
        assert array.shape == (2, 3)
    for value in (schedule.parameters(1.0).eta, schedule.step(0.0, 1.0).gamma_prime):
        assert isinstance(float(value), float)
        assert np.ndim(value) == 0
    x, z = schedule.mix(np.ones((4, 3)), np.zeros((4, 3)), 1.0, [1.0, 2.0, 3.0])
    assert x.shape == z.shape == (4, 3)
    np.testing.assert_array_equal(x[:, 0], 1.0)


@theorems
def test_weights_potential_and_bound_broadcast(schedule):
    t = np.linspace(0.0, 2.0, 6).reshape(2, 3)
    A, B = schedule.weights(t)
    np.testing.assert_array_equal(schedule.potential(t, 2.0, 3.0), 2 * A + 1.5 * B)
    bound = schedule.bound(t, gap=1.0, distance_squared=0.0)
    assert bound.shape == (2, 3)
    assert bound[0, 0] == (1.0 if schedule.is_constant else np.inf)


def test_experiments_have_no_theorem():
    schedule = ALL["constant"]
    assert schedule.is_constant
    with pytest.raises(ValueError, match="schedule must be one of a theorem to have weights"):
        schedule.weights(1.0)
    with pytest.raises(ValueError, match="schedule must be one of a theorem to have a bound"):
        schedule.bound(1.0, gap=1.0, distance_squared=1.0)


def test_equality_in_the_condition_number_is_allowed():
    assert least_squares_schedule(1.0, 3.0, 1 / 3).rate == pytest.approx(1 / 3)
    assert strongly_convex_schedule(2.0, 2.0).rate == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: convex_schedule(0.0), "L must be > 0, got 0.0"),
        (lambda: convex_schedule(np.inf), "L must be finite, got inf"),
        (lambda: strongly_convex_schedule(1.0, 0.0), "mu must be > 0, got 0.0"),
        (lambda: strongly_convex_schedule(1.0, 2.0), "mu must be ≤ L = 1, got 2.0"),
        (lambda: uniform_schedule(1.0, -0.1), "mu must be ≥ 0, got -0.1"),
        (lambda: uniform_schedule(1.0, 1.1), "mu must be ≤ L = 1, got 1.1"),
        (lambda: least_squares_schedule(1.0, 0.5), "kappa_tilde must be ≥ 1, got 0.5"),
        (lambda: least_squares_schedule(-1.0, 2.0), "R2 must be > 0, got -1.0"),
        (lambda: least_squares_schedule(1.0, 2.0, 0.6), "mu must be ≤ R2/kappa_tilde = 0.5"),
        (lambda: least_squares_schedule(1.0, 2.0, np.nan), "mu must be finite, got nan"),
        (lambda: constant_schedule(-1.0, 0.0, 1.0, 0.0), "eta must be ≥ 0, got -1.0"),
        (lambda: constant_schedule(0.0, 0.0, 0.0, 0.0), "gamma must be > 0, got 0.0"),
        (lambda: ALL["convex"].parameters(0.0), "t must be > 0, got 0.0"),
        (lambda: ALL["uniform"].parameters([1.0, -1.0]), "t must be ≥ 0, got -1.0"),
        (lambda: ALL["uniform"].parameters(np.nan), "t must be finite, got nan"),
        (lambda: ALL["convex"].step(2.0, 1.0), "t1 must be ≥ t0, got t0 = 2.0, t1 = 1.0"),
        (lambda: ALL["convex"].step(2.0, 2.0), "t1 must be > t0, got t1 = t0"),
        (lambda: ALL["convex"].step(-1.0, 2.0), "t0 must be ≥ 0, got -1.0"),
        (lambda: ALL["convex"].mix([1.0], [1.0, 2.0], 0.0, 1.0), "z must have the shape"),
        (lambda: ALL["uniform, mu = L"].weights(1e4), "t must have weights below 1e308"),
        (lambda: ALL["exponential"].potential(1e4, 1.0, 1.0), "t must have weights below 1e308"),
        (lambda: ALL["convex"].potential(1.0, np.nan, 1.0), "gap must be finite"),
        (
            lambda: ALL["convex"].bound(1.0, gap=-1.0, distance_squared=1.0),
            "gap must be ≥ 0, got -1.0",
        ),
        (
            lambda: ALL["least squares"].bound(
                1.0, gap=1.0, distance_squared=1.0, noise_variance=1.0
            ),
            "noise_variance must be 0 for kappa_tilde > 1, got 1.0",
        ),
    ],
)
def test_bad_arguments_are_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@settings(max_examples=200, deadline=None)
@given(
    L=st.floats(1e-8, 1e8),
    ratio=st.floats(1e-12, 1.0),
    t0=st.floats(0.0, 1e8),
    gap=st.floats(1e-12, 1e8),
)
def test_no_schedule_ever_leaves_the_interval(L, ratio, t0, gap):
    assume(t0 + gap > t0)
    for schedule in (convex_schedule(L), uniform_schedule(L, ratio * L)):
        step = schedule.step(t0, t0 + gap)
        rounding = 1e-15
        assert 0.0 < step.tau <= 1.0 + rounding
        assert 0.0 <= step.tau_prime <= 1.0 + rounding
        assert np.isfinite(schedule.bound(t0 + gap, gap=1.0, distance_squared=1.0))
