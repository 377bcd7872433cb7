"""Kernels of gossip on Z^d, against the rounds themselves and against exact identities."""

import itertools
import tracemalloc

import numpy as np
import pytest
from scipy.special import eval_jacobi, gammaln
from scipy.stats import norm

from inthelimit import ConvergenceError
from inthelimit.gossip import (
    Coefficients,
    JacobiMethod,
    JacobiWithGap,
    MessagePassing,
    Method,
    ShiftRegister,
    SimpleMethod,
    gossip_kernel,
    kernel_coordinates,
    kernel_covariance,
    radial_cdf,
    radial_distance,
)
from inthelimit.graphs import Lattice, square_lattice, triangular_lattice


def symmetric(half, weights, at_zero=0.0):
    """A lattice from one offset of each pair and its weight."""
    offsets = [*half, *(tuple(-x for x in u) for u in half)]
    both = [*weights, *weights]
    if at_zero:
        offsets, both = [*offsets, (0,) * len(half[0])], [*both, at_zero]
    return Lattice(offsets, both)


# Every symmetry the kernel may use, each with and without: flips of axes, swaps of the last two.
LATTICES = {
    "line": square_lattice(1),
    "line with long steps": symmetric([(1,), (3,)], [0.3, 0.15], at_zero=0.1),
    "square": square_lattice(2),
    "lazy square": square_lattice(2).lazy(),
    "rectangular": symmetric([(1, 0), (0, 1)], [0.3, 0.2]),
    "unequal reach": symmetric([(1, 0), (0, 2), (0, 1)], [0.3, 0.1, 0.1]),
    "king": symmetric([(1, 0), (0, 1), (1, 1), (1, -1)], [0.2, 0.2, 0.05, 0.05]),
    "triangular": triangular_lattice(),
    "anisotropic": symmetric([(1, 0), (0, 1), (1, 1)], [0.3, 0.1, 0.1]),
    "knight": symmetric([(1, 0), (2, 1)], [0.3, 0.2]),
    "cubic": square_lattice(3),
    "cubic, last two alike": symmetric([(1, 0, 0), (0, 1, 0), (0, 0, 1)], [0.3, 0.1, 0.1]),
    "cubic, first two alike": symmetric([(1, 0, 0), (0, 1, 0), (0, 0, 1)], [0.1, 0.1, 0.3]),
    "skew cubic": symmetric([(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, -1)], [0.1, 0.15, 0.2, 0.05]),
}
METHODS = {
    "simple": SimpleMethod(),
    "Jacobi": JacobiMethod(1.0),
    "Jacobi (0.7, −0.3)": JacobiMethod(0.7, -0.3),
    "Chebyshev": JacobiMethod(-0.5, -0.5),
    "Jacobi with gap": JacobiWithGap(1.0, gap=0.1),
    "shift register": ShiftRegister(1.6),
    "message passing": MessagePassing(4),
}


def rounds(lattice, n, method):
    """Do the n rounds on the box, by shifted copies."""
    coefficients = method.coefficients(n)
    reach = n * np.abs(lattice.offsets).max(axis=0)
    before, now = np.zeros(2 * reach + 1), np.zeros(2 * reach + 1)
    now[tuple(reach)] = 1.0
    for a, b, c in zip(coefficients.a, coefficients.b, coefficients.c, strict=True):
        # Nothing has left the box by round n, so that wrapping around does no harm.
        mixed = sum(
            w * np.roll(now, tuple(u), axis=tuple(range(lattice.dimension)))
            for u, w in zip(lattice.offsets, lattice.weights, strict=True)
        )
        before, now = now, a * mixed + b * now - c * before
    return now


# ---------------------------------------------------------------- the kernel


@pytest.mark.parametrize("n", [0, 1, 2, 7, 8])
@pytest.mark.parametrize("lattice", LATTICES.values(), ids=LATTICES.keys())
def test_kernel_is_what_the_rounds_make_of_a_dirac(lattice, n):
    kernel = gossip_kernel(lattice, n, JacobiMethod(lattice.dimension / 2))
    assert np.abs(kernel - rounds(lattice, n, JacobiMethod(lattice.dimension / 2))).max() < 1e-14


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
@pytest.mark.parametrize("name", ["line with long steps", "square", "anisotropic", "skew cubic"])
def test_every_method_s_kernel_is_what_its_rounds_make_of_a_dirac(name, method):
    n = 31 if name != "skew cubic" else 9
    expected = rounds(LATTICES[name], n, method)
    kernel = gossip_kernel(LATTICES[name], n, method)
    assert kernel.shape == expected.shape
    assert np.abs(kernel - expected).max() < 1e-14 * max(1.0, np.abs(expected).max())


def test_large_kernels_are_right_where_threads_share_the_work():
    lattice, n, method = square_lattice(2), 300, JacobiMethod(1.0)
    kernel = gossip_kernel(lattice, n, method)
    assert np.abs(kernel - rounds(lattice, n, method)).max() < 1e-14 * kernel.max() * n


def test_transform_of_the_kernel_is_the_polynomial_at_the_symbol():
    lattice, n = LATTICES["anisotropic"], 200
    kernel = gossip_kernel(lattice, n, JacobiMethod(1.0, 0.5))
    x, y = (grid.ravel() for grid in kernel_coordinates(kernel))
    for xi in ([0.0, 0.0], [0.01, -0.02], [1.0, 2.0], [np.pi, 0.0], [3.0, -2.5]):
        transform = np.cos(xi[0] * x) @ kernel @ np.cos(xi[1] * y)
        transform -= np.sin(xi[0] * x) @ kernel @ np.sin(xi[1] * y)
        expected = eval_jacobi(n, 1.0, 0.5, lattice.symbol(xi)) / eval_jacobi(n, 1.0, 0.5, 1.0)
        assert abs(transform - expected) < 1e-12


def test_zero_rounds_leave_a_dirac():
    assert gossip_kernel(square_lattice(3), 0, SimpleMethod()) == pytest.approx(1.0, abs=1e-15)


def test_simple_gossip_on_a_lazy_line_is_binomial():
    n = 500
    v = np.arange(-n, n + 1)
    log_binomial = gammaln(2 * n + 1) - gammaln(n + v + 1) - gammaln(n - v + 1)
    kernel = gossip_kernel(square_lattice(1).lazy(), n, SimpleMethod())
    assert np.abs(kernel - np.exp(log_binomial - 2 * n * np.log(2))).max() < 1e-13


# ---------------------------------------------------------------- exact identities


@pytest.mark.parametrize("n", [1, 5, 1000, 100_000])
def test_dirichlet_s_kernel_is_uniform(n):
    kernel = gossip_kernel(square_lattice(1), n, JacobiMethod(0.5, -0.5))
    assert np.abs(kernel * (2 * n + 1) - 1.0).max() < 1e-12 * max(1.0, np.sqrt(n))


@pytest.mark.parametrize("n", [1, 5, 1000, 20_000])
def test_chebyshev_s_kernel_is_two_atoms(n):
    kernel = gossip_kernel(square_lattice(1), n, JacobiMethod(-0.5, -0.5))
    expected = np.zeros(2 * n + 1)
    expected[[0, -1]] = 0.5
    assert np.abs(kernel - expected).max() < 1e-12


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.0), (0.3, -0.6), (3.0, 1.0), (-0.4, -0.5)])
@pytest.mark.parametrize("lattice", LATTICES.values(), ids=LATTICES.keys())
def test_mass_is_one_and_second_moments_are_those_of_the_jacobi_equation(lattice, alpha, beta):
    n = {1: 400, 2: 60, 3: 14}[lattice.dimension]
    kernel = gossip_kernel(lattice, n, JacobiMethod(alpha, beta))
    factor = n * (n + alpha + beta + 1) / (2 * (alpha + 1))
    assert abs(kernel.sum() - 1.0) < 1e-12
    covariance = kernel_covariance(kernel)
    assert np.abs(covariance / factor - lattice.covariance).max() < 1e-12


@pytest.mark.parametrize("name", ["square", "triangular", "anisotropic"])
def test_moments_keep_their_digits_at_a_thousand_rounds(name):
    # Second moments from rounded eigenvalues would be off by n² rounding errors, 2e-10.
    n, lattice = 1000, LATTICES[name]
    kernel = gossip_kernel(lattice, n, JacobiMethod(1.0))
    assert abs(kernel.sum() - 1.0) < 1e-13
    assert np.abs(kernel_covariance(kernel) / (n * (n + 2) / 4) - lattice.covariance).max() < 2e-14


@pytest.mark.parametrize("dimension", [1, 2, 3])
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.0), (0.5, -0.5), (0.7, 0.7)])
def test_parity_classes_balance_by_the_polynomial_at_minus_one(dimension, alpha, beta):
    n = {1: 300, 2: 50, 3: 15}[dimension]
    kernel = gossip_kernel(square_lattice(dimension), n, JacobiMethod(alpha, beta))
    signs = (-1.0) ** (n + sum(kernel_coordinates(kernel)))
    k = np.arange(1, n + 1)
    expected = np.prod((k + beta) / (k + alpha))
    # Near −1 the polynomial's slope is of order n² times its value there, and so is rounding.
    assert (signs * kernel).sum() == pytest.approx(expected, rel=n**2 * 1e-16, abs=1e-12)


def test_parity_classes_drift_apart_where_beta_exceeds_alpha_and_a_warning_says_so():
    n, beta = 200, 0.7
    with pytest.warns(RuntimeWarning, match=r"of order n\^0\.7: take beta ≤ alpha"):
        kernel = gossip_kernel(square_lattice(2), n, JacobiMethod(0.0, beta))
    balance = ((-1.0) ** (n + sum(kernel_coordinates(kernel))) * kernel).sum()
    k = np.arange(1, n + 1)
    assert balance == pytest.approx(np.prod((k + beta) / k), rel=n**2 * 1e-16)


@pytest.mark.parametrize("lattice", [square_lattice(2).lazy(), triangular_lattice()])
def test_without_parity_no_balance_is_lost_and_no_warning_comes(lattice):
    method = JacobiMethod(0.0, 0.7)
    kernel = gossip_kernel(lattice, 60, method)
    x, y = kernel_coordinates(kernel)
    for corner in ((1, 1), (1, 0), (0, 1)):
        balance = ((-1.0) ** (corner[0] * x + corner[1] * y) * kernel).sum()
        expected = method.polynomial(60, lattice.symbol(np.pi * np.array(corner)))
        assert balance == pytest.approx(float(expected), abs=1e-12)
        assert abs(balance) < 0.2


@pytest.mark.parametrize("n", [20, 21])
def test_equal_exponents_keep_to_one_parity_class(n):
    kernel = gossip_kernel(square_lattice(2), n, JacobiMethod(0.8, 0.8))
    other = (n + sum(kernel_coordinates(kernel))) % 2 == 1
    assert np.abs(kernel[other]).max() < 1e-15
    assert kernel[~other].sum() == pytest.approx(1.0, abs=1e-12)


def test_kernel_vanishes_beyond_n_rounds():
    for dimension, n in ((2, 60), (3, 15)):
        kernel = gossip_kernel(square_lattice(dimension), n, JacobiMethod(dimension / 2))
        distance = sum(abs(v) for v in kernel_coordinates(kernel))
        assert np.abs(kernel[distance > n]).max() < 1e-15


@pytest.mark.parametrize("name", ["square", "anisotropic", "skew cubic"])
def test_kernel_is_even(name):
    kernel = gossip_kernel(LATTICES[name], 10, JacobiMethod(1.0))
    assert np.abs(kernel - np.flip(kernel)).max() < 1e-16


# ---------------------------------------------------------------- published numbers


def test_energy_of_the_kernel_at_four_hundred_rounds():
    kernel = gossip_kernel(square_lattice(2), 400, JacobiMethod(1.0))
    assert 400**2 * (kernel**2).sum() == pytest.approx(0.6343, abs=5e-5)


def test_energy_of_simple_gossip_at_four_hundred_rounds():
    kernel = gossip_kernel(square_lattice(2), 400, SimpleMethod())
    assert (kernel**2).sum() == pytest.approx(7.953e-4, abs=5e-8)


def test_front_from_a_dirac_overshoots_by_the_root_of_two():
    kernel = gossip_kernel(square_lattice(1), 1000, JacobiMethod(0.5))
    assert kernel[0] * 2001 == pytest.approx(1.4132, abs=2e-3)


def uniform_in_a_ball(dimension):
    return lambda rho: np.minimum(rho, 1.0) ** dimension


def distance_to_the_ball(n, dimension):
    lattice = square_lattice(dimension)
    kernel = gossip_kernel(lattice, n, JacobiMethod(dimension / 2))
    return radial_distance(
        kernel,
        uniform_in_a_ball(dimension),
        covariance=lattice.covariance,
        radius=n + (dimension / 2 + 1) / 2,
    )


@pytest.mark.parametrize(
    ("dimension", "sizes", "on_a_grid"),
    [
        (1, [200, 800], [0.0026, 0.0006]),
        (2, [25, 50, 100, 200, 400], [0.0270, 0.0145, 0.0077, 0.0050, 0.0033]),
        (3, [20, 40, 60], [0.056, 0.026, 0.020]),
    ],
)
def test_radial_law_tends_to_that_of_the_ball(dimension, sizes, on_a_grid):
    # The numbers known beforehand are differences at the radii 0, 0.005, 0.010, …
    lattice, grid = square_lattice(dimension), np.arange(301) / 200
    distances = []
    for n, known in zip(sizes, on_a_grid, strict=True):
        kernel = gossip_kernel(lattice, n, JacobiMethod(dimension / 2))
        radius = n + (dimension / 2 + 1) / 2
        within = radial_cdf(kernel, grid * radius, covariance=lattice.covariance)
        difference = np.abs(within - uniform_in_a_ball(dimension)(grid)).max()
        assert difference == pytest.approx(known, abs=5e-5 if dimension < 3 else 5e-4)
        distances.append(distance_to_the_ball(n, dimension))
        assert difference - 1e-12 <= distances[-1] <= 1.5 * difference
    assert (np.diff(distances) < 0.0).all()


# ---------------------------------------------------------------- what compares kernels


def test_coordinates_are_open_grids_with_the_origin_in_the_middle():
    x, y = kernel_coordinates(np.zeros((5, 3)))
    assert x.shape == (5, 1)
    assert y.shape == (1, 3)
    assert x.ravel().tolist() == [-2, -1, 0, 1, 2]
    assert y.ravel().tolist() == [-1, 0, 1]


def test_covariance_of_a_kernel_is_its_weighted_sum_of_outer_products():
    kernel = np.random.default_rng(0).normal(size=(3, 7, 5))
    expected = np.zeros((3, 3))
    for index in itertools.product(range(3), range(7), range(5)):
        v = np.array(index) - [1, 3, 2]
        expected += kernel[index] * np.outer(v, v)
    assert np.allclose(kernel_covariance(kernel), expected, rtol=1e-13)


def test_radial_masses_are_sums_over_ellipsoids():
    kernel = np.random.default_rng(1).normal(size=(7, 9))
    covariance = np.array([[0.8, 0.2], [0.2, 0.4]])
    radii = np.linspace(0.0, 9.0, 37)
    expected = np.zeros(37)
    for i, j in itertools.product(range(7), range(9)):
        v = np.array([i - 3, j - 4])
        expected += kernel[i, j] * (np.sqrt(v @ np.linalg.solve(covariance, v)) <= radii)
    assert np.allclose(radial_cdf(kernel, radii, covariance=covariance), expected, atol=1e-13)


def test_spheres_that_differ_by_rounding_are_one():
    covariance = np.array([[0.8, 0.2], [0.2, 0.4]])
    # On one sphere: x² − xy + 2y² = 16.  In floating point it is two.
    x, y = np.array([[4, 0], [2, -2], [4, 2], [2, 3]]).T
    kernel = np.zeros((9, 9))
    kernel[4, 4], kernel[4 + x, 4 + y] = 1.0, [10.0, -10.0, 20.0, -20.0]
    ones = lambda rho: np.ones_like(rho)  # noqa: E731
    # 1 is what the laws differ by before the origin; parts of the sphere would differ by more.
    assert radial_distance(kernel, ones, covariance=covariance, radius=1.0) == 1.0
    kernel[4 + x, 4 + y] = 1.0
    radii = np.sqrt(16.0 * (0.4 / 0.28)) * (1.0 + np.array([-1e-9, -1e-15, 0.0, 1e-15]))
    assert radial_cdf(kernel, radii, covariance=covariance).tolist() == [1.0, 5.0, 5.0, 5.0]


def test_distance_of_radial_laws_sees_both_sides_of_a_jump():
    # All mass at radius 1: the other law has 0.3 within it, or 0.7.
    kernel = [0.5, 0.0, 0.5]
    for inside in (0.3, 0.7):
        law = lambda rho, inside=inside: np.minimum(rho * inside, 1.0)  # noqa: E731
        assert radial_distance(kernel, law, covariance=[[1.0]], radius=1.0) == pytest.approx(0.7)


def test_simple_gossip_s_radial_law_tends_to_the_gaussian_s():
    distances = []
    for n in (100, 400):
        kernel = gossip_kernel(square_lattice(1).lazy(), n, SimpleMethod())
        gauss = lambda rho: 2.0 * norm.cdf(rho) - 1.0  # noqa: E731
        distances.append(
            radial_distance(kernel, gauss, covariance=[[0.5]], radius=float(np.sqrt(n)))
        )
    # Half a jump at each of ±v: twice the Gaussian density times half a step of √(2/n).
    assert distances[0] == pytest.approx(2 * norm.pdf(0.0) * np.sqrt(2 / 100) / 2, rel=0.05)
    assert distances[0] / distances[1] == pytest.approx(2.0, rel=0.02)


# ---------------------------------------------------------------- what is refused


class Idle(Method):
    """Never communicates."""

    def coefficients(self, n_steps):
        return Coefficients(np.zeros(n_steps), np.ones(n_steps))


class Explosive(Method):
    """Keeps the mean and multiplies the rest."""

    def coefficients(self, n_steps):
        return Coefficients(np.full(n_steps, 1e9), np.full(n_steps, 1.0 - 1e9))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((square_lattice(1), -1, SimpleMethod()), "n must be ≥ 0, got -1"),
        ((square_lattice(1), 2.0, SimpleMethod()), "n must be an integer, got 2.0"),
        ((np.eye(2), 2, SimpleMethod()), "lattice must be a Lattice, got ndarray"),
        ((square_lattice(1), 2, "jacobi"), "method must be a gossip Method, got str"),
        ((square_lattice(1), 2, Idle()), "method must communicate, a > 0"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        gossip_kernel(*arguments)


def test_kernels_that_would_not_fit_are_refused_with_their_size():
    message = r"memory_limit must be ≥ 68\.\d GiB for a kernel of 2001 × 2001 × 2001 nodes, got 4"
    with pytest.raises(ValueError, match=message):
        gossip_kernel(square_lattice(3), 1000, JacobiMethod(1.5))
    with pytest.raises(ValueError, match="memory_limit must be > 0"):
        gossip_kernel(square_lattice(1), 1, JacobiMethod(0.5), memory_limit=0.0)


@pytest.mark.parametrize("name", ["square", "rectangular", "anisotropic", "cubic", "skew cubic"])
def test_memory_is_within_what_the_guard_says_and_not_far_below(name):
    lattice = LATTICES[name]
    n = 200 if lattice.dimension == 2 else 30
    with pytest.raises(ValueError, match="GiB") as refusal:
        gossip_kernel(lattice, n, JacobiMethod(1.0), memory_limit=1e-9)
    said = float(str(refusal.value).split("≥ ")[1].split(" GiB")[0])
    gossip_kernel(lattice, n, JacobiMethod(1.0), memory_limit=said)
    with pytest.raises(ValueError, match="GiB"):
        gossip_kernel(lattice, n, JacobiMethod(1.0), memory_limit=0.98 * said)
    tracemalloc.start()
    gossip_kernel(lattice, n, JacobiMethod(1.0))
    peak = tracemalloc.get_traced_memory()[1] / 2**30
    tracemalloc.stop()
    assert 0.8 * said < peak < said


def test_overflow_is_an_error_and_not_a_kernel_of_nan():
    with pytest.raises(ConvergenceError, match="take fewer rounds"):
        gossip_kernel(square_lattice(1), 100, Explosive())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kernel_covariance(np.ones((3, 4))), r"odd lengths.*got shape \(3, 4\)"),
        (lambda: kernel_coordinates(1.0), "odd lengths"),
        (lambda: radial_cdf(np.ones(3), [-1.0], covariance=[[1.0]]), "radii must be ≥ 0, got -1"),
        (lambda: radial_cdf(np.ones(3), 1.0, covariance=np.eye(2)), r"must have shape \(1, 1\)"),
        (
            lambda: radial_cdf(np.ones((3, 3)), 1.0, covariance=[[1.0, 2.0], [2.0, 1.0]]),
            "covariance must be positive definite",
        ),
        (
            lambda: radial_distance(np.ones(3), np.sqrt, covariance=[[1.0]], radius=0.0),
            "radius must be > 0",
        ),
        (
            lambda: radial_distance(np.ones(3), np.sum, covariance=[[1.0]], radius=1.0),
            "law must have",
        ),
    ],
)
def test_what_compares_kernels_refuses_what_it_cannot_judge(call, message):
    with pytest.raises(ValueError, match=message):
        call()
