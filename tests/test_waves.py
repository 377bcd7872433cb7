"""Heat and the Euler–Poisson–Darboux wave against closed forms, quadrature and their equations."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import erf, hyp0f1, roots_gegenbauer, roots_jacobi, roots_legendre, spherical_jn

from inthelimit.waves import (
    dirichlet_energy,
    epd_covariance,
    epd_fundamental_solution,
    epd_propagate,
    epd_radial_cdf,
    epd_residual,
    heat_kernel,
    heat_propagate,
    kernel_energy_limit,
    normalised_bessel,
    spherical_mean,
)

COVARIANCES = {
    1: [[0.7]],
    2: [[0.8, 0.2], [0.2, 0.4]],
    3: [[0.5, 0.1, -0.2], [0.1, 0.4, 0.05], [-0.2, 0.05, 0.6]],
}


def slope(x, y):
    return np.polyfit(np.log(x), np.log(y), 1)[0]


def directions(dimension):
    """Points and weights of a mean over the unit sphere, for smooth functions."""
    if dimension == 1:
        return np.array([[-1.0], [1.0]]), np.full(2, 0.5)
    angle = 2 * np.pi * np.arange(48) / 48
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    if dimension == 2:
        return circle, np.full(48, 1 / 48)
    z, weight = roots_legendre(24)
    points = np.concatenate(
        [np.column_stack([np.sqrt(1 - h * h) * circle, np.full(48, h)]) for h in z]
    )
    return points, np.repeat(weight / 96, 48)


def shells(dimension):
    """Radii ρ < 1 and weights of ∫ f(ρ) dx over the unit ball, also for f singular at the front."""
    node, weight = roots_legendre(120)
    root = (node + 1) / 2
    rho = 1 - root**3
    area = {1: 2.0, 2: 2 * np.pi, 3: 4 * np.pi}[dimension]
    return rho, weight / 2 * 3 * root**2 * area * rho ** (dimension - 1)


def ellipsoid(dimension, t):
    """Points (k, d) and weights (k,) of ∫ dx over the ellipsoid xᵀΛ⁻¹x < t²."""
    factor = np.linalg.cholesky(COVARIANCES[dimension])
    omega, mean = directions(dimension)
    rho, weight = shells(dimension)
    points = t * (rho[:, None, None] * omega) @ factor.T
    weights = np.outer(weight, mean) * t**dimension * np.linalg.det(factor)
    return points.reshape(-1, dimension), weights.ravel()


def smooth(*x):
    """A periodic function of period 2π along each axis."""
    phase = sum((k + 1) * y for k, y in enumerate(x))
    return np.exp(np.cos(phase) + 0.5 * np.sin(x[0])) + np.cos(x[-1] - 1)


def torus(*shape):
    axes = [2 * np.pi * np.arange(n) / n for n in shape]
    return np.meshgrid(*axes, indexing="ij"), [2 * np.pi / n for n in shape]


# ---------------------------------------------------------------- the normalised Bessel function

# ₀F₁ or Hankel's expansion, with 40 digits.
REFERENCE = [
    (-0.9, 3.0, -5.3679955929822355),
    (-0.9, 50.0, 18.146692080362535),
    (-0.6, 20000.0, 2.2386454998029105),
    (-0.3, 12.0, 0.32315803718090839),
    (-0.3, 1000000.0, 0.041547746168505934),
    (-0.4, 11.1, -0.040100960194964662),
    (-0.4, 2e8, -0.11089113480503362),
    (-0.4, 1e15, -0.010610496291006145),
    (-0.4, 1e17, -0.017020683194416056),
    (0.0, 7.5, 0.2663396578803784),
    (0.0, 1000000.0, 0.00033104301373987374),
    (0.3, 0.9, 0.85094937888358843),
    (0.75, 300.0, -0.00090421352079242562),
    (1.0, 100000.0, 3.6935151257651354e-8),
    (1.7, 11.0, 0.0038904353837647259),
    (2.3, 6.0, -0.031468103915481257),
    (5.0, 20.0, 0.00018140372157887397),
    (12.4, 13.0, 0.025881787904536148),
    (12.4, 40.0, -1.1975239483375195e-8),
    (30.0, 25.0, 0.0038776960837909237),
    (50.0, 0.5, 0.99877524598698502),
    (50.0, 36.0, 0.0010896790391313044),
    (50.0, 37.0, 0.00071667451879217402),
    (400.0, 60.0, 0.10532533209122667),
    (10000.0, 150.0, 0.56980586106250326),
]


@pytest.mark.parametrize(("alpha", "s", "value"), REFERENCE)
def test_bessel_has_the_values_computed_with_many_digits(alpha, s, value):
    tolerance = 1e-14 if alpha >= 0 else 2e-14 if alpha >= -0.5 else 1e-13 * max(1.0, abs(value))
    assert normalised_bessel(alpha, s) == pytest.approx(value, rel=0, abs=tolerance)


def test_bessel_is_a_cosine_at_minus_half():
    s = np.concatenate([np.linspace(0, 50, 1001), np.geomspace(50, 1e12, 1001)])
    np.testing.assert_allclose(normalised_bessel(-0.5, s), np.cos(s), rtol=0, atol=1e-15)


@pytest.mark.parametrize("order", [0, 1, 2, 5, 12, 30, 49])
def test_bessel_is_elementary_at_half_integers(order):
    s = np.concatenate([np.linspace(0.01, 60, 601), np.geomspace(60, 1e6, 601)])
    odd_factorial = np.cumprod(np.arange(1.0, 2 * order + 2, 2))[-1]
    exact = odd_factorial * spherical_jn(order, s) / s**order
    # The power in the reference loses a digit.
    tolerance = 1e-15 * (10 + order)
    np.testing.assert_allclose(normalised_bessel(order + 0.5, s), exact, rtol=0, atol=tolerance)


@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0, 3.7, 20.0, 50.0, 120.0])
def test_bessel_is_poissons_integral(alpha):
    node, weight = roots_gegenbauer(70, alpha)
    s = np.linspace(0, 60, 977)
    exact = np.cos(np.outer(s, node)) @ weight / weight.sum()
    np.testing.assert_allclose(normalised_bessel(alpha, s), exact, rtol=0, atol=2e-14)


@pytest.mark.parametrize("alpha", [0.01, 0.5, 0.6, 1.0, 2.6, 17.0, 50.0, 200.0, 3000.0])
def test_bessel_functions_of_neighbouring_orders_are_consistent(alpha):
    s = np.concatenate([np.linspace(0, 4 * alpha + 20, 801), np.geomspace(1, 1e6, 801)])
    lower, middle, upper = (normalised_bessel(alpha + k, s) for k in (-1, 0, 1))
    climb = s / (2 * alpha) * (s / (2 * (alpha + 1)))
    gap = np.abs(lower - (middle - climb * upper))
    assert (gap <= 4e-14 * (1 + np.abs(lower) + climb * np.abs(upper))).all()


@pytest.mark.parametrize("alpha", [-0.999, -0.9, -0.7, -0.51])
def test_bessel_is_a_hypergeometric_series_below_minus_half(alpha):
    s = np.linspace(0, 8, 201)
    exact = hyp0f1(alpha + 1, -s * s / 4)
    # The reference has lost some digits by then.
    largest = np.maximum.accumulate(np.abs(exact))
    assert (np.abs(normalised_bessel(alpha, s) - exact) <= 5e-12 * largest).all()


@pytest.mark.parametrize("alpha", [1e3, 1e5, 1e8, 1e14])
def test_bessel_of_large_order_is_nearly_a_gaussian_and_never_overflows(alpha):
    y = np.array([0.0, 1e-3, 0.5, 2.0, 10.0, 100.0, 1e10])
    value = normalised_bessel(alpha, 2 * np.sqrt((alpha + 1) * y))
    second = np.exp(-y) * (1 - y * y / (2 * alpha))
    assert np.abs(value - second).max() <= 3 / alpha**2 + 1e-14


@given(
    alpha=st.one_of(st.floats(-0.5, 60), st.floats(60, 1e9)),
    s=st.one_of(st.floats(0, 100), st.floats(0, 1e300), st.floats(0, 1e-3)),
)
@settings(deadline=None, max_examples=300)
def test_bessel_is_even_finite_and_at_most_one(alpha, s):
    value = float(normalised_bessel(alpha, s))
    assert value == float(normalised_bessel(alpha, -s))
    assert abs(value) <= 1.0 + 1e-13


def test_bessel_starts_at_one_keeps_the_shape_and_has_no_seam():
    assert normalised_bessel(0.3, np.zeros((2, 0, 3))).shape == (2, 0, 3)
    assert normalised_bessel(-0.99, 0.0) == 1.0
    for alpha in (-0.9, 0.2, 3.0, 40.0):
        seam = np.sqrt((alpha + 1) * (alpha + 2) / 2)
        left, right = normalised_bessel(alpha, [seam * (1 - 1e-14), seam * (1 + 1e-14)])
        assert abs(left - right) <= 1e-13
    for alpha in (-0.4, 0.0):
        below, above = normalised_bessel(alpha, [1e8, 1e8 + 1.5e-8])
        assert abs(below - above) <= 3e-8 * 1e8 ** (-alpha - 0.5)


# ---------------------------------------------------------------- propagators


def propagated_term_by_term(u0, spacing, symbol):
    """Move every plane wave of the interpolant that halves end frequencies, and its energy."""
    covariance = np.array(COVARIANCES[u0.ndim])
    transform = np.fft.fftn(u0) / u0.size
    places = np.meshgrid(
        *[h * np.arange(n) for n, h in zip(u0.shape, spacing, strict=True)], indexing="ij"
    )
    moved, energy = np.zeros(u0.shape, dtype=complex), 0.0
    for index in product(*[range(-(n // 2), n // 2 + 1) for n in u0.shape]):
        ends = sum(2 * abs(k) == n for k, n in zip(index, u0.shape, strict=True))
        xi = 2 * np.pi * np.array(index) / (np.array(u0.shape) * spacing)
        squared = xi @ covariance @ xi
        part = transform[tuple(np.mod(index, u0.shape))] / 2**ends
        wave = np.exp(1j * sum(x * y for x, y in zip(xi, places, strict=True)))
        moved += part * symbol(np.sqrt(squared)) * wave
        energy += 0.5 * abs(part) ** 2 * squared
    assert np.abs(moved.imag).max() < 1e-13
    return moved.real, energy * u0.size * np.prod(spacing)


@pytest.mark.parametrize("shape", [(1,), (2,), (7,), (8,), (5, 6), (6, 8), (6, 5), (2, 4, 6)])
def test_propagators_move_every_plane_wave_of_the_interpolant(shape):
    rng = np.random.default_rng(len(shape))
    u0, spacing = rng.normal(size=shape), rng.uniform(0.5, 1.5, size=len(shape))
    law = {"covariance": COVARIANCES[len(shape)], "spacing": spacing}

    wave, energy = propagated_term_by_term(
        u0, spacing, lambda kappa: float(normalised_bessel(0.3, 0.7 * kappa))
    )
    np.testing.assert_allclose(epd_propagate(u0, 0.7, alpha=0.3, **law), wave, atol=1e-13)
    assert dirichlet_energy(u0, **law) == pytest.approx(energy, rel=1e-12)
    heat, _ = propagated_term_by_term(u0, spacing, lambda kappa: np.exp(-0.5 * 0.3 * kappa**2))
    np.testing.assert_allclose(heat_propagate(u0, 0.3, **law), heat, atol=1e-13)


@pytest.mark.parametrize("n", [15, 16])
def test_wave_at_minus_half_is_dalemberts_formula(n):
    u0 = np.random.default_rng(n).normal(size=n)
    for steps in (0, 1, 4, 11, 40):
        u = epd_propagate(u0, 0.5 * steps, alpha=-0.5, covariance=[[4.0]], spacing=1.0)
        exact = (np.roll(u0, steps) + np.roll(u0, -steps)) / 2
        np.testing.assert_allclose(u, exact, rtol=0, atol=1e-13)


def test_wave_at_half_is_the_mean_over_an_interval():
    x = np.linspace(-6, 6, 400, endpoint=False)
    sigma, t = 0.3, 1.7
    u = epd_propagate(
        np.exp(-0.5 * (x / sigma) ** 2), t, alpha=0.5, covariance=[[1.0]], spacing=0.03
    )
    primitive = [erf((x + sign * t) / (sigma * np.sqrt(2))) for sign in (1, -1)]
    exact = sigma * np.sqrt(np.pi / 2) * (primitive[0] - primitive[1]) / (2 * t)
    np.testing.assert_allclose(u, exact, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("alpha", "shape"), [(1.0, (40, 54)), (0.6, (40, 54)), (2.5, (40, 54)), (1.5, (32, 36, 40))]
)
def test_wave_is_the_mean_against_the_fundamental_solution(alpha, shape):
    d, t = len(shape), 0.8
    grid, spacing = torus(*shape)
    u = epd_propagate(smooth(*grid), t, alpha=alpha, covariance=COVARIANCES[d], spacing=spacing)
    y, weight = ellipsoid(d, t)
    weight = weight * epd_fundamental_solution(y, t, alpha=alpha, covariance=COVARIANCES[d])
    for index in [(0,) * d, (7, 20, 3)[:d], (30, 1, 31)[:d]]:
        x = np.array([g[index] for g in grid])
        assert u[index] == pytest.approx(weight @ smooth(*(x - y).T), rel=1e-7)


@pytest.mark.parametrize("shape", [(64,), (40, 54), (32, 36, 40)])
def test_spherical_mean_is_the_mean_over_the_surface(shape):
    d, radius = len(shape), 0.8
    grid, spacing = torus(*shape)
    law = {"covariance": COVARIANCES[d], "spacing": spacing}
    mean = spherical_mean(smooth(*grid), radius, **law)
    omega, weight = directions(d)
    y = radius * omega @ np.linalg.cholesky(COVARIANCES[d]).T
    for index in [(0,) * d, (7, 20, 3)[:d]]:
        x = np.array([g[index] for g in grid])
        assert mean[index] == pytest.approx(weight @ smooth(*(x - y).T), rel=1e-7)


@pytest.mark.parametrize(("alpha", "shape"), [(0.2, (64,)), (0.4, (30, 33)), (3.0, (16, 18, 20))])
def test_wave_is_the_mean_of_spherical_means_over_the_radial_law(alpha, shape):
    d, t = len(shape), 1.3
    grid, spacing = torus(*shape)
    law = {"covariance": COVARIANCES[d], "spacing": spacing}
    node, weight = roots_jacobi(30, alpha - d / 2, d / 2 - 1)
    means = spherical_mean(smooth(*grid), t * np.sqrt((node + 1) / 2), **law)
    mixed = np.tensordot(weight / weight.sum(), means, axes=1)
    np.testing.assert_allclose(
        epd_propagate(smooth(*grid), t, alpha=alpha, **law), mixed, atol=1e-12
    )


@pytest.mark.parametrize("shape", [(120,), (60, 66)])
def test_heat_is_convolution_with_the_gaussian(shape):
    d, t = len(shape), 0.3
    grid, spacing = torus(*shape)
    u = heat_propagate(smooth(*grid), t, covariance=COVARIANCES[d], spacing=spacing)
    # The trapezoidal rule of the convolution, over the periods that the Gaussian reaches.
    periods = 2 * np.pi * np.array(list(product((-1, 0, 1), repeat=d)))
    x = np.stack([((g + np.pi) % (2 * np.pi)) - np.pi for g in grid], axis=-1)
    kernel = sum(heat_kernel(x + p, t, covariance=COVARIANCES[d]) for p in periods)
    transforms = np.fft.fftn(kernel) * np.fft.fftn(smooth(*grid)) * np.prod(spacing)
    np.testing.assert_allclose(u, np.fft.ifftn(transforms).real, rtol=0, atol=1e-11)


@pytest.mark.parametrize("shape", [(9,), (6, 7), (4, 5, 6)])
def test_propagators_keep_the_mass_and_start_from_u0(shape):
    u0 = np.random.default_rng(0).normal(size=shape)
    law = {"covariance": COVARIANCES[len(shape)], "spacing": 0.3}
    for move in (heat_propagate, lambda *a, **k: epd_propagate(*a, alpha=1.2, **k)):
        u = move(u0, [5.0, 0.0, 0.7], **law)
        assert u.shape == (3, *shape)
        np.testing.assert_allclose(u.reshape(3, -1).sum(axis=1), u0.sum(), atol=1e-12)
        np.testing.assert_allclose(u[1], u0, atol=1e-14)
        np.testing.assert_array_equal(u[2], move(u0, 0.7, **law))
        assert move(u0, [], **law).shape == (0, *shape)


def test_heat_is_a_semigroup_and_the_wave_is_not():
    # An odd grid: an even one would read the sines of the end frequencies as nothing.
    u0 = np.random.default_rng(1).normal(size=(7, 9))
    law = {"covariance": COVARIANCES[2], "spacing": 1.0}
    twice = heat_propagate(heat_propagate(u0, 0.4, **law), 0.7, **law)
    np.testing.assert_allclose(twice, heat_propagate(u0, 1.1, **law), atol=1e-14)
    law["alpha"] = 1.0
    twice = epd_propagate(epd_propagate(u0, 0.4, **law), 0.7, **law)
    assert np.abs(twice - epd_propagate(u0, 1.1, **law)).max() > 0.05


@pytest.mark.parametrize("alpha", [-0.5, 0.0, 1.0, 8.0])
def test_wave_never_gains_norm(alpha):
    u0 = np.random.default_rng(2).normal(size=(12, 13))
    u = epd_propagate(
        u0, np.geomspace(0.1, 100, 40), alpha=alpha, covariance=COVARIANCES[2], spacing=1.0
    )
    assert (np.square(u).sum(axis=(1, 2)) <= np.square(u0).sum() * (1 + 1e-13)).all()


def test_wave_tends_to_heat_at_rate_one_over_alpha():
    grid, spacing = torus(64, 60)
    law = {"covariance": COVARIANCES[2], "spacing": spacing}
    tau, alphas = 0.4, np.array([10.0, 20.0, 40.0, 80.0, 1e3, 1e5])
    heat = heat_propagate(smooth(*grid), tau, **law)
    gaps = [
        np.abs(
            epd_propagate(smooth(*grid), np.sqrt(2 * (a + 1) * tau), alpha=a, **law) - heat
        ).max()
        for a in alphas
    ]
    assert slope(alphas[1:], gaps[1:]) == pytest.approx(-1.0, abs=0.02)


@pytest.mark.parametrize("shape", [(33,), (24, 26)])
@pytest.mark.parametrize("alpha", [-0.3, 0.5, 1.0, 4.0])
def test_residual_is_of_second_order_in_the_step_and_large_for_another_alpha(shape, alpha):
    d = len(shape)
    grid, spacing = torus(*shape)
    law = {"covariance": COVARIANCES[d], "spacing": spacing}

    def wave(t):
        return epd_propagate(smooth(*grid), t, alpha=alpha, **law)

    steps = np.array([0.08, 0.04, 0.02, 0.01])
    residuals = [epd_residual(wave, 0.9, alpha=alpha, step=h, **law) for h in steps]
    assert slope(steps, residuals) == pytest.approx(2.0, abs=0.05)
    assert residuals[-1] < 2e-4
    assert epd_residual(wave, 0.9, alpha=alpha + 0.25, step=0.01, **law) > 0.02
    other = {**law, "covariance": 1.1 * np.array(COVARIANCES[d])}
    assert epd_residual(wave, 0.9, alpha=alpha, step=0.01, **other) > 0.02


def test_residual_of_a_solution_made_without_bessel_functions_is_small():
    x = np.linspace(-6, 6, 400, endpoint=False)

    def interval_mean(t):
        return 0.3 * np.sqrt(np.pi / 2) * (erf((x + t) / 0.6) - erf((x - t) / 0.6)) / (2 * t)

    law = {"covariance": [[0.5 * 0.36 / 0.18]], "spacing": 0.03, "step": 1e-3}
    assert epd_residual(interval_mean, 1.0, alpha=0.5, **law) < 1e-5
    assert epd_residual(interval_mean, 1.0, alpha=0.4, **law) > 1e-2


def test_residual_of_a_constant_is_zero():
    residual = epd_residual(
        lambda t: np.zeros((4, 4)), 1.0, alpha=1.0, covariance=np.eye(2), spacing=1.0, step=0.1
    )
    assert residual == 0.0


def test_units_of_length_cancel():
    u0 = np.random.default_rng(3).normal(size=(6, 8))
    covariance = np.array(COVARIANCES[2])
    scale = np.array([3.0, 0.2])
    other = {"covariance": covariance * np.outer(scale, scale), "spacing": scale}
    one = {"covariance": covariance, "spacing": 1.0}
    for move in (heat_propagate, lambda *a, **k: epd_propagate(*a, alpha=0.7, **k)):
        np.testing.assert_allclose(move(u0, 1.9, **one), move(u0, 1.9, **other), atol=1e-13)


def test_shearing_the_torus_shears_the_covariance():
    n = 30
    grid, _ = torus(n, n)
    u0 = np.cos(2 * grid[0] - grid[1]) + np.sin(grid[0] + 2 * grid[1]) + np.cos(3 * grid[1] + 1)
    covariance, shear = np.array(COVARIANCES[2]), np.array([[1, 2], [0, 1]])
    i, j = np.meshgrid(np.arange(n), np.arange(n), indexing="ij")
    at = (i + 2 * j) % n, j  # the grid point shear @ (i, j)
    sheared = np.linalg.inv(shear) @ covariance @ np.linalg.inv(shear).T
    for alpha in (0.5, 1.0):
        plain = epd_propagate(u0, 3.0, alpha=alpha, covariance=covariance, spacing=1.0)
        moved = epd_propagate(u0[at], 3.0, alpha=alpha, covariance=sheared, spacing=1.0)
        np.testing.assert_allclose(moved, plain[at], atol=1e-13)


def test_swapping_and_turning_axes_does_the_same_to_the_covariance():
    u0 = np.random.default_rng(4).normal(size=(6, 8))
    covariance = np.array(COVARIANCES[2])
    u = epd_propagate(u0, 2.0, alpha=1.0, covariance=covariance, spacing=[1.0, 2.0])
    swapped = epd_propagate(
        u0.T, 2.0, alpha=1.0, covariance=covariance[::-1, ::-1], spacing=[2.0, 1.0]
    )
    np.testing.assert_allclose(swapped, u.T, atol=1e-13)
    turned = epd_propagate(
        u0[::-1], 2.0, alpha=1.0, covariance=covariance * [[1, -1], [-1, 1]], spacing=[1.0, 2.0]
    )
    np.testing.assert_allclose(turned, u[::-1], atol=1e-13)
    # and a sign that is forgotten is seen
    assert (
        np.abs(
            epd_propagate(u0[::-1], 2.0, alpha=1.0, covariance=covariance, spacing=[1.0, 2.0])
            - u[::-1]
        ).max()
        > 0.05
    )


# ---------------------------------------------------------------- the fundamental solution

ORDERS = [(d, alpha) for d in (1, 2, 3) for alpha in (d / 2 - 0.3, d / 2, d / 2 + 0.7, 5.0)]


@pytest.mark.parametrize(("d", "alpha"), ORDERS)
def test_fundamental_solution_has_mass_one_and_its_covariance(d, alpha):
    t = 1.7
    x, weight = ellipsoid(d, t)
    density = epd_fundamental_solution(x, t, alpha=alpha, covariance=COVARIANCES[d])
    assert (density > 0).all()
    assert weight @ density == pytest.approx(1.0, rel=1e-8)
    covariance = np.einsum("k,ki,kj->ij", weight * density, x, x)
    exact = epd_covariance(t, alpha=alpha, covariance=COVARIANCES[d])
    np.testing.assert_allclose(covariance, exact, rtol=0, atol=1e-7)
    np.testing.assert_allclose(exact, t**2 / (2 * alpha + 2) * np.array(COVARIANCES[d]), rtol=1e-14)


@pytest.mark.parametrize(("d", "alpha"), ORDERS)
def test_fundamental_solution_has_the_bessel_function_as_fourier_transform(d, alpha):
    t = 1.7
    x, weight = ellipsoid(d, t)
    mass = weight * epd_fundamental_solution(x, t, alpha=alpha, covariance=COVARIANCES[d])
    for xi in np.random.default_rng(d).normal(size=(5, d)) * 2:
        exact = normalised_bessel(alpha, t * np.sqrt(xi @ COVARIANCES[d] @ xi))
        assert mass @ np.cos(x @ xi) == pytest.approx(float(exact), abs=1e-7)


@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_fundamental_solution_at_half_the_dimension_is_uniform_on_the_ellipsoid(d):
    rng = np.random.default_rng(d)
    root = rng.normal(size=(d, d))
    covariance, t = root @ root.T + np.eye(d), 2.5
    x = rng.normal(size=(200, d)) * 4
    inside = np.einsum("ki,ij,kj->k", x, np.linalg.inv(covariance), x) <= t**2
    assert 5 < inside.sum() < 195
    ball = {1: 2.0, 2: np.pi, 3: 4 * np.pi / 3, 4: np.pi**2 / 2}[d]
    volume = ball * t**d * np.sqrt(np.linalg.det(covariance))
    density = epd_fundamental_solution(x, t, alpha=d / 2, covariance=covariance)
    np.testing.assert_allclose(density, inside / volume, rtol=1e-12)


def test_density_on_the_front_is_infinite_flat_or_zero():
    on, out = [[2.0], [-2.0]], [[2.0 + 1e-12]]
    for alpha, value in ((0.2, np.inf), (0.5, 0.25), (0.8, 0.0)):
        density = epd_fundamental_solution(on, 2.0, alpha=alpha, covariance=[[1.0]])
        np.testing.assert_allclose(density, [value, value])
        assert epd_fundamental_solution(out, 2.0, alpha=alpha, covariance=[[1.0]]) == 0.0


@pytest.mark.parametrize("d", [1, 2, 3])
def test_fundamental_solution_tends_to_the_heat_kernel_at_rate_one_over_alpha(d):
    x = np.random.default_rng(d).normal(size=(50, d)) * 0.5
    heat = heat_kernel(x, 0.6, covariance=COVARIANCES[d])
    alphas = np.array([50.0, 100.0, 1e3, 1e6])
    gaps = [
        np.abs(
            epd_fundamental_solution(
                x, np.sqrt(2 * (a + 1) * 0.6), alpha=a, covariance=COVARIANCES[d]
            )
            - heat
        ).max()
        for a in alphas
    ]
    assert slope(alphas, gaps) == pytest.approx(-1.0, abs=0.03)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_heat_kernel_is_the_gaussian_of_covariance_t_times_lambda(d):
    covariance, t = np.array(COVARIANCES[d]), 0.6
    x = np.random.default_rng(d).normal(size=(20, d))
    quadratic = np.einsum("ki,ij,kj->k", x, np.linalg.inv(t * covariance), x)
    exact = np.exp(-quadratic / 2) / np.sqrt(np.linalg.det(2 * np.pi * t * covariance))
    np.testing.assert_allclose(heat_kernel(x, t, covariance=covariance), exact, rtol=1e-12)


@pytest.mark.parametrize(("d", "alpha"), ORDERS)
def test_radial_law_is_the_mass_of_the_density_within(d, alpha):
    factor = np.linalg.cholesky(COVARIANCES[d])
    area = {1: 2.0, 2: 2 * np.pi, 3: 4 * np.pi}[d] * np.linalg.det(factor)
    direction = factor[:, 0]

    def shell(rho):
        point = [rho * direction]
        value = epd_fundamental_solution(point, 1.0, alpha=alpha, covariance=COVARIANCES[d])
        return float(value[0]) * area * rho ** (d - 1)

    radii = [0.2, 0.6, 0.95]
    mass = [quad(shell, 0, rho, epsabs=1e-12)[0] for rho in radii]
    np.testing.assert_allclose(epd_radial_cdf(radii, alpha=alpha, dimension=d), mass, rtol=1e-9)


def test_radial_law_is_a_power_at_half_the_dimension_and_a_step_on_the_sphere():
    rho = np.array([0.0, 0.3, 0.999, 1.0, 1.5])
    for d in (1, 2, 3, 6):
        exact = np.minimum(rho, 1.0) ** d
        np.testing.assert_allclose(epd_radial_cdf(rho, alpha=d / 2, dimension=d), exact, rtol=1e-13)
        step = epd_radial_cdf(rho, alpha=d / 2 - 1, dimension=d)
        np.testing.assert_array_equal(step, [0, 0, 0, 1, 1])
        near = epd_radial_cdf(rho, alpha=d / 2 - 1 + 1e-9, dimension=d)
        np.testing.assert_allclose(near, step, atol=1e-7)


# ---------------------------------------------------------------- energies


@pytest.mark.parametrize(("d", "alpha"), [(d, a) for d, a in ORDERS if a >= d / 2])
def test_energy_constant_is_the_integral_of_the_square(d, alpha):
    t = 1.7
    x, weight = ellipsoid(d, t)
    density = epd_fundamental_solution(x, t, alpha=alpha, covariance=COVARIANCES[d])
    scale = t**d * np.sqrt(np.linalg.det(COVARIANCES[d]))
    assert scale * weight @ density**2 == pytest.approx(kernel_energy_limit(alpha, d), rel=1e-6)


def test_energy_constant_on_a_front_that_is_infinite():
    peak = float(epd_fundamental_solution([[0.0]], 1.0, alpha=0.25, covariance=[[1.0]])[0])
    square, _ = quad(lambda x: peak**2 * (1 + x) ** -0.5, 0, 1, weight="alg", wvar=(0, -0.5))
    assert kernel_energy_limit(0.25, 1) == pytest.approx(2 * square, rel=1e-10)


@pytest.mark.parametrize("d", [1, 2, 3, 4, 5])
def test_energy_constant_is_least_at_half_the_dimension(d):
    least = kernel_energy_limit(d / 2, d)
    ball = {1: 2.0, 2: np.pi, 3: 4 * np.pi / 3, 4: np.pi**2 / 2, 5: 8 * np.pi**2 / 15}[d]
    assert least == pytest.approx(1 / ball, rel=1e-14)
    for gap in (-0.49, -0.1, -1e-3, 1e-3, 0.1, 1.0, 100.0):
        assert kernel_energy_limit(d / 2 + gap, d) > least
    assert kernel_energy_limit((d - 1) / 2 + 1e-7, d) > 1e4


@pytest.mark.parametrize("d", [1, 2, 3])
def test_energy_constant_of_large_alpha_is_that_of_the_gaussian(d):
    for alpha in (1e6, 1e12):
        gaussian = (alpha / (2 * np.pi)) ** (d / 2)
        assert kernel_energy_limit(alpha, d) == pytest.approx(gaussian, rel=3 * d * d / alpha)


@pytest.mark.parametrize("alpha", [1.0, 1.5, 4.0])
def test_energy_of_the_wave_stays_below_nesterovs_bound(alpha):
    u0 = np.random.default_rng(5).normal(size=(12, 14))
    law = {"covariance": COVARIANCES[2], "spacing": 0.5}
    times = np.geomspace(0.05, 300, 60)
    waves = epd_propagate(u0, times, alpha=alpha, **law)
    scaled = times**2 * [dirichlet_energy(u, **law) for u in waves]
    distance = np.square(u0 - u0.mean()).sum() * 0.25
    assert (scaled <= 2 * alpha**2 * distance).all()
    # The plain wave has no such bound: its energy does not decay.
    plain = epd_propagate(u0, times, alpha=-0.5, **law)
    assert times[-1] ** 2 * dirichlet_energy(plain[-1], **law) > 2 * alpha**2 * distance


def test_energy_decreases_at_the_rate_of_friction():
    grid, spacing = torus(40, 42)
    law = {"covariance": COVARIANCES[2], "spacing": spacing}
    alpha, t, h = 1.0, 1.1, 1e-3
    u = epd_propagate(smooth(*grid), [t - h, t, t + h], alpha=alpha, **law)
    velocity = (u[2] - u[0]) / (2 * h)
    earlier, later = (
        0.5 * np.square(w).sum() * np.prod(spacing) for w in ((u[1] - u[0]) / h, (u[2] - u[1]) / h)
    )
    middle = [dirichlet_energy((u[k] + u[k + 1]) / 2, **law) for k in (0, 1)]
    change = (later + middle[1] - earlier - middle[0]) / h
    friction = -(2 * alpha + 1) / t * np.square(velocity).sum() * np.prod(spacing)
    assert change == pytest.approx(friction, rel=1e-4)


def test_dirichlet_energy_is_the_integral_of_the_gradient():
    grid, spacing = torus(48, 50)
    x, y = grid
    u = np.sin(x + 2 * y) + 0.5 * np.cos(3 * x - y)
    gradient = np.stack(
        [
            np.cos(x + 2 * y) - 1.5 * np.sin(3 * x - y),
            2 * np.cos(x + 2 * y) + 0.5 * np.sin(3 * x - y),
        ]
    )
    density = np.einsum("i...,ij,j...->...", gradient, np.array(COVARIANCES[2]), gradient)
    exact = 0.5 * density.mean() * 4 * np.pi**2
    energy = dirichlet_energy(u, covariance=COVARIANCES[2], spacing=spacing)
    assert energy == pytest.approx(exact, rel=1e-12)


# ---------------------------------------------------------------- bad input

GRID = {"covariance": np.eye(2), "spacing": 1.0}
BAD_GRIDS = [
    ({"u0": 1.0}, r"u0 must be a grid"),
    ({"u0": np.ones((2, 0))}, r"u0 must be a grid of one or more points, got \(2, 0\)"),
    ({"u0": np.ones((2, 2), dtype=complex)}, r"u0 must be an array of real numbers"),
    ({"u0": [[1.0, np.nan], [0.0, 0.0]]}, r"u0 must be finite, got nan at index \(0, 1\)"),
    ({"u0": [[1e60, 1.0]]}, r"u0 must be within ±1e\+50"),
    ({"t": -1.0}, r"t must be ≥ 0 and ≤ 1e\+30, got -1.0"),
    ({"t": [0.0, -2.0]}, r"t must be ≥ 0 and ≤ 1e\+30, got -2.0"),
    ({"t": 1e31}, r"t must be ≥ 0 and ≤ 1e\+30, got 1e\+31"),
    ({"t": [[1.0]]}, r"t must be a number or have shape \(T,\), got shape \(1, 1\)"),
    ({"t": np.inf}, r"t must be finite"),
    ({"covariance": np.eye(3)}, r"covariance must have shape \(2, 2\), got \(3, 3\)"),
    ({"covariance": 1.0}, r"covariance must have 2 dimension"),
    ({"covariance": [[1.0, 1.0], [1.0, 1.0]]}, r"covariance must be positive definite"),
    ({"covariance": [[1.0, 0.0], [0.0, -1.0]]}, r"eigenvalues from -1 to 1"),
    ({"covariance": [[1.0, 0.0], [0.0, 1e-14]]}, r"condition number below 1e\+13"),
    (
        {"covariance": [[1.0, 0.5], [0.0, 1.0]]},
        r"covariance must be symmetric, got \[0, 1\] = 0.5",
    ),
    ({"covariance": [[np.nan, 0.0], [0.0, 1.0]]}, r"covariance must be finite"),
    ({"covariance": np.zeros((2, 2))}, r"covariance must be positive definite"),
    ({"spacing": 0.0}, r"spacing must be > 0, within 1e-30 and 1e\+30, got 0.0"),
    ({"spacing": [1.0, -2.0]}, r"spacing must be > 0, within 1e-30 and 1e\+30, got -2.0"),
    ({"spacing": [1.0, 1.0, 1.0]}, r"spacing must be a number or have shape \(2,\), got \(3,\)"),
    ({"spacing": np.inf}, r"spacing must be finite"),
]


@pytest.mark.parametrize(("change", "message"), BAD_GRIDS)
def test_propagators_say_what_is_wrong(change, message):
    arguments = {"u0": np.ones((2, 3)), "t": 1.0, **GRID, **change}
    with pytest.raises(ValueError, match=message):
        heat_propagate(**arguments)
    with pytest.raises(ValueError, match=message):
        epd_propagate(**arguments, alpha=1.0)
    arguments["radius"] = arguments.pop("t")
    with pytest.raises(
        ValueError,
        match=message.replace("t must", "radius must", 1) if message.startswith("t ") else message,
    ):
        spherical_mean(**arguments)


@pytest.mark.parametrize("alpha", [-1.0, -1.5, np.nan, np.inf])
def test_alpha_must_be_above_minus_one(alpha):
    message = "alpha must be (> -1|finite)"
    with pytest.raises(ValueError, match=message):
        epd_propagate(np.ones(3), 1.0, alpha=alpha, covariance=[[1.0]], spacing=1.0)
    with pytest.raises(ValueError, match=message):
        normalised_bessel(alpha, 1.0)
    with pytest.raises(ValueError, match=message):
        epd_covariance(1.0, alpha=alpha, covariance=[[1.0]])
    with pytest.raises(ValueError, match=message):
        epd_residual(
            lambda t: np.ones(3), 1.0, alpha=alpha, covariance=[[1.0]], spacing=1.0, step=0.1
        )


@pytest.mark.parametrize("d", [1, 2, 3])
def test_density_and_its_laws_need_alpha_above_their_thresholds(d):
    x, covariance = np.zeros((1, d)), np.eye(d)
    for alpha in (d / 2 - 1, d / 2 - 1.2):
        with pytest.raises(ValueError, match=f"alpha must be > {d / 2 - 1:g}"):
            epd_fundamental_solution(x, 1.0, alpha=alpha, covariance=covariance)
    with pytest.raises(ValueError, match=f"alpha must be ≥ {d / 2 - 1:g}"):
        epd_radial_cdf(0.5, alpha=d / 2 - 1.01, dimension=d)
    with pytest.raises(ValueError, match=f"alpha must be > {(d - 1) / 2:g}"):
        kernel_energy_limit((d - 1) / 2, d)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: normalised_bessel(1.0, np.inf), "s must be finite"),
        (lambda: normalised_bessel(1.0, 1j), "s must be an array of real numbers"),
        (lambda: heat_kernel([[0.0]], 0.0, covariance=[[1.0]]), "t must be ≥ 1e-30, got 0.0"),
        (lambda: heat_kernel([0.0, 1.0], 1.0, covariance=[[1.0]]), r"x must have shape \(..., 1\)"),
        (lambda: heat_kernel([[np.nan]], 1.0, covariance=[[1.0]]), "x must be finite"),
        (lambda: heat_kernel([[1e40]], 1.0, covariance=[[1.0]]), r"x must be within ±1e\+30"),
        (
            lambda: epd_fundamental_solution([[0.0]], -1.0, alpha=1.0, covariance=[[1.0]]),
            "t must be ≥ 1e-30, got -1.0",
        ),
        (
            lambda: epd_fundamental_solution([[0.0]], 1.0, alpha=1.0, covariance=[[0.0]]),
            "covariance must be positive definite",
        ),
        (
            lambda: epd_fundamental_solution([[0.0]], 1.0, alpha=1.0, covariance=[[1.0, 0.0]]),
            r"covariance must have shape \(1, 1\), got \(1, 2\)",
        ),
        (lambda: epd_covariance(-1.0, alpha=1.0, covariance=[[1.0]]), "t must be ≥ 0, got -1.0"),
        (lambda: epd_radial_cdf(-0.1, alpha=1.0, dimension=2), "rho must be ≥ 0, got -0.1"),
        (lambda: epd_radial_cdf(0.1, alpha=1.0, dimension=0), "dimension must be ≥ 1, got 0"),
        (lambda: kernel_energy_limit(1.0, 1.5), "dimension must be an integer, got 1.5"),
        (lambda: dirichlet_energy(3.0, **GRID), "u must be a grid"),
    ],
)
def test_the_other_functions_say_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t": 0.1}, "t must be > 0.1, got 0.1"),
        ({"step": 0.0}, "step must be > 0, got 0.0"),
        ({"solution": lambda t: np.ones((2, 2)) * np.nan}, r"solution\(t\) must be finite"),
        (
            {"solution": lambda t: np.ones((2, 2 if t == 1.0 else 3))},
            r"solution\(t - step\) must have the shape \(2, 2\) of solution\(t\), got \(2, 3\)",
        ),
        ({"covariance": np.eye(3)}, r"covariance must have shape \(2, 2\)"),
    ],
)
def test_residual_says_what_is_wrong(change, message):
    arguments = {"solution": lambda t: np.ones((2, 2)), "t": 1.0, "alpha": 1.0, "step": 0.1, **GRID}
    arguments |= change
    with pytest.raises(ValueError, match=message):
        epd_residual(arguments.pop("solution"), arguments.pop("t"), **arguments)


def test_inputs_at_the_ends_of_the_range_stay_finite():
    for spacing, time, size in product((1e-30, 1e30), (0.0, 1e-30, 1e30), (1e-30, 1e30)):
        law = {"covariance": [[size, 0.0], [0.0, size]], "spacing": spacing}
        u0 = np.array([[1e50, -1e50], [3.0, 0.0]])
        assert np.isfinite(epd_propagate(u0, time, alpha=1.0, **law)).all()
        assert np.isfinite(heat_propagate(u0, time, **law)).all()
        assert np.isfinite(dirichlet_energy(u0, **law))
        if time > 0.0:
            x = [[0.0, 0.0], [1e30, 1e30]]
            law.pop("spacing")
            assert np.isfinite(heat_kernel(x, time, **law)).all()
            assert np.isfinite(epd_fundamental_solution(x, time, alpha=3.0, **law)).all()
