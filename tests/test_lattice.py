"""The symbol of a lattice against what its gossip does, and its door against what is no lattice."""

import dataclasses
from itertools import combinations, product
from math import gcd

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from inthelimit.graphs import Lattice, square_lattice, torus_spectrum, triangular_lattice

ANISOTROPIC = Lattice(
    [[1, 0], [-1, 0], [0, 1], [0, -1], [1, 1], [-1, -1]], [0.3, 0.3, 0.1, 0.1, 0.1, 0.1]
)
LONG = Lattice([[0], [1], [-1], [4], [-4]], [0.1, 0.25, 0.25, 0.2, 0.2])
SKEWED = Lattice(
    [[2, 1, 0], [-2, -1, 0], [0, 1, 1], [0, -1, -1], [1, 0, 3], [-1, 0, -3]],
    [0.05, 0.05, 0.2, 0.2, 0.25, 0.25],
)
LATTICES = [
    square_lattice(1),
    square_lattice(2),
    square_lattice(3),
    square_lattice(2).lazy(),
    triangular_lattice(),
    ANISOTROPIC,
    LONG,
    SKEWED,
]


def from_half(half, weights=None, origin=0.0):
    """The lattice with offsets ±u for u in half, and the weight of staying."""
    half = np.array(half)
    weights = np.ones(len(half)) if weights is None else np.asarray(weights, dtype=float)
    weights = weights / weights.sum() * (1.0 - origin) / 2
    offsets = np.concatenate([half, -half])
    weights = np.concatenate([weights, weights])
    if origin:
        offsets = np.concatenate([offsets, np.zeros((1, half.shape[1]), dtype=int)])
        weights = np.append(weights, origin)
    return Lattice(offsets, weights)


def index_of(half):
    """How many cosets the span of the offsets has in Z^d, 0 if it is not of full rank."""
    d = len(half[0])
    return gcd(*(round(np.linalg.det(np.array(rows))) for rows in combinations(half, d)))


@st.composite
def halves(draw, dimensions=(1, 2, 3), largest=3):
    """Offsets, none of them 0 or the opposite of another, that span R^d."""
    d = draw(st.sampled_from(dimensions))
    vectors = st.tuples(*[st.integers(-largest, largest)] * d)
    found = draw(st.lists(vectors.filter(any), min_size=d, max_size=d + 2))
    half = {max(u, tuple(-i for i in u)) for u in found}
    assume(len(half) >= d)
    assume(index_of(sorted(half)))
    return sorted(half)


def gossip(lattice, x):
    """One round on a torus, offset by offset."""
    axes = tuple(range(lattice.dimension))
    return sum(
        w * np.roll(x, tuple(u), axes)
        for u, w in zip(lattice.offsets.tolist(), lattice.weights, strict=True)
    )


# ---------------------------------------------------------------- symbol and covariance


@pytest.mark.parametrize("lattice", LATTICES, ids=repr)
def test_plane_waves_are_multiplied_by_the_symbol(lattice):
    rng = np.random.default_rng(0)
    shape = (7, 6, 5)[: lattice.dimension]
    nodes = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    for _ in range(5):
        xi = 2 * np.pi * rng.integers(-9, 9, size=len(shape)) / shape
        wave = np.exp(1j * nodes @ xi)
        np.testing.assert_allclose(gossip(lattice, wave), lattice.symbol(xi) * wave, atol=1e-13)


@settings(deadline=None)
@given(halves(), st.floats(0.0, 0.9), st.integers(0, 2**32))
def test_the_symbol_is_the_mean_of_the_cosines(half, origin, seed):
    rng = np.random.default_rng(seed)
    lattice = from_half(half, rng.uniform(0.1, 1.0, len(half)), origin)
    xi = rng.uniform(-10.0, 10.0, (4, 3, lattice.dimension))
    expected = (lattice.weights * np.exp(1j * xi @ lattice.offsets.T)).sum(axis=-1)
    assert lattice.symbol(xi).shape == (4, 3)
    np.testing.assert_allclose(lattice.symbol(xi), expected.real, atol=1e-13)
    assert abs(expected.imag).max() < 1e-14
    assert lattice.symbol(np.zeros(lattice.dimension)) == 1.0
    assert lattice.symbol(np.zeros((0, lattice.dimension))).shape == (0,)


def test_the_symbol_is_periodic_and_finite_wherever_it_is_asked():
    xi = np.random.default_rng(0).uniform(-3.0, 3.0, (10, 2))
    turned = xi + 2 * np.pi * np.array([3, -5])
    lattice = triangular_lattice()
    np.testing.assert_allclose(lattice.symbol(turned), lattice.symbol(xi), atol=1e-13)
    assert (abs(lattice.symbol([[1e308, -1e308], [1e17, 3.0]])) <= 1.0).all()


@pytest.mark.parametrize("lattice", LATTICES, ids=repr)
def test_the_covariance_is_minus_the_hessian_of_the_symbol_at_the_origin(lattice):
    step, d = 1e-3, lattice.dimension
    hessian = np.empty((d, d))
    for i, j in product(range(d), repeat=2):
        e, f = step * np.eye(d)[i], step * np.eye(d)[j]
        ends = lattice.symbol(np.stack([e + f, -e - f, e - f, f - e]))
        hessian[i, j] = (ends[0] + ends[1] - ends[2] - ends[3]) / (4 * step**2)
    # The fourth derivative times step², and rounding over step².
    fourth = 4 * float(lattice.weights @ (abs(lattice.offsets).sum(axis=1) ** 4))
    np.testing.assert_allclose(hessian, -lattice.covariance, atol=fourth * step**2 + 1e-9)


def test_covariances_of_the_named_lattices():
    for d in (1, 2, 3, 5):
        np.testing.assert_allclose(square_lattice(d).covariance, np.eye(d) / d, rtol=1e-15)
    np.testing.assert_allclose(
        triangular_lattice().covariance, np.array([[2, -1], [-1, 2]]) / 3, rtol=1e-15
    )
    np.testing.assert_allclose(ANISOTROPIC.covariance, [[0.8, 0.2], [0.2, 0.4]], rtol=1e-15)


def test_the_triangular_lattice_is_isotropic_in_the_plane():
    # Node v at v₁ (1, 0) + v₂ (½, √3/2): six neighbours at distance one, covariance I/2.
    basis = np.array([[1.0, 0.0], [0.5, np.sqrt(3) / 2]])
    lattice = triangular_lattice()
    places = lattice.offsets @ basis
    np.testing.assert_allclose(np.linalg.norm(places, axis=1), 1.0, rtol=1e-15)
    np.testing.assert_allclose(basis.T @ lattice.covariance @ basis, np.eye(2) / 2, atol=1e-15)


# ---------------------------------------------------------------- lazy, reach


@pytest.mark.parametrize("lattice", LATTICES, ids=repr)
def test_lazy_is_half_the_identity_and_half_the_lattice(lattice):
    lazy = lattice.lazy()
    xi = np.random.default_rng(0).uniform(-3.0, 3.0, (20, lattice.dimension))
    np.testing.assert_allclose(lazy.symbol(xi), (1.0 + lattice.symbol(xi)) / 2, atol=1e-14)
    np.testing.assert_allclose(lazy.covariance, lattice.covariance / 2, rtol=1e-14)
    assert (lazy.reach == lattice.reach).all()
    assert not lazy.is_bipartite


def test_reach_is_the_farthest_neighbour_along_each_axis():
    assert SKEWED.reach.tolist() == [2, 1, 3]
    assert LONG.reach.tolist() == [4]
    assert triangular_lattice().reach.tolist() == [1, 1]


# ---------------------------------------------------------------- bipartite


@pytest.mark.parametrize(
    ("lattice", "bipartite"),
    [
        (square_lattice(1), True),
        (square_lattice(4), True),
        (triangular_lattice(), False),
        (ANISOTROPIC, False),
        (LONG, False),
        (from_half([[1], [3]]), True),
        (from_half([[1], [2]]), False),
        # On a sublattice the symbol reaches −1 away from {0, π}^d: here at π/2.
        (from_half([[2]]), True),
        (from_half([[2], [6]]), True),
        (from_half([[2], [4]]), False),
        # Two steps of 6 are three of 4: an odd number in all.
        (from_half([[4], [6]]), False),
        (from_half([[6], [10]]), True),
        (from_half([[1, 1], [1, -1]]), True),
        (from_half([[1, 0], [0, 1], [2, 1]]), True),
        (from_half([[1, 0], [0, 1], [1, 2], [3, 1]]), False),
        (from_half([[1, 0], [0, 1], [1, 1]]), False),
        (from_half([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]), True),
    ],
    ids=repr,
)
def test_bipartite_lattices(lattice, bipartite):
    assert lattice.is_bipartite is bipartite


@settings(deadline=None)
@given(halves(dimensions=(1, 2), largest=3))
@example([(2,)])
@example([(2,), (6,)])
@example([(2, 0), (0, 2), (3, 3)])
def test_bipartite_exactly_if_the_symbol_attains_minus_one(half):
    # A character of the offsets' span with values ±1 takes roots of unity of order 2 · index on
    # Z^d, so that it is among the plane waves of a torus with these sides.
    lattice = from_half(half)
    spectrum = torus_spectrum(lattice, (2 * index_of(half),) * lattice.dimension)
    assert lattice.is_bipartite == bool(spectrum.min() < -1.0 + 1e-12)


@settings(deadline=None)
@given(halves(dimensions=(1, 2), largest=3), st.tuples(st.integers(1, 9), st.integers(1, 9)))
@example([(1,)], (5, 1))
@example([(1, 0), (0, 1)], (4, 6))
@example([(1, 0), (0, 1)], (4, 5))
@example([(2,)], (6, 1))
@example([(2,)], (8, 1))
def test_bipartite_on_a_torus_exactly_if_minus_one_is_an_eigenvalue(half, sides):
    lattice = from_half(half)
    shape = sides[: lattice.dimension]
    spectrum = torus_spectrum(lattice, shape)
    assert lattice.is_bipartite_on(shape) == bool(spectrum.min() < -1.0 + 1e-12)


def test_bipartite_is_decided_where_no_grid_of_frequencies_would_find_out():
    # 999,999 steps of one are one long step: an even number in all, while 10⁶ + 1 is odd.
    assert from_half([[999_999], [1]]).is_bipartite
    assert not from_half([[1_000_000], [1]]).is_bipartite
    # All first coordinates are odd; and a sum of two steps that is a third one.
    u, v = np.array([99_983, 1]), np.array([1, 99_978])
    assert from_half([u, v, u + 2 * v]).is_bipartite
    assert not from_half([u, v, u + v]).is_bipartite


# ---------------------------------------------------------------- the object


def test_the_order_of_offsets_does_not_matter():
    order = np.random.default_rng(0).permutation(6)
    again = Lattice(ANISOTROPIC.offsets[order], ANISOTROPIC.weights[order])
    assert again == ANISOTROPIC
    assert hash(again) == hash(ANISOTROPIC)
    assert len({again, ANISOTROPIC, square_lattice(2)}) == 2


def test_equality_sees_offsets_and_weights():
    lattice = from_half([[1], [2]], [0.5, 0.5])
    assert lattice != from_half([[1], [3]], [0.5, 0.5])
    assert lattice != from_half([[1], [2]], [0.4, 0.6])
    assert square_lattice(2) != square_lattice(3)
    assert lattice != "lattice"


@pytest.mark.parametrize("lattice", LATTICES, ids=repr)
def test_the_repr_makes_the_lattice_again(lattice):
    assert eval(repr(lattice)) == lattice


def test_lattices_are_frozen():
    lattice = square_lattice(2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        lattice.weights = np.ones(4)
    for array in (lattice.offsets, lattice.weights, lattice.covariance):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_the_caller_keeps_its_arrays():
    offsets, weights = np.array([[1], [-1]]), np.array([0.5, 0.5])
    lattice = Lattice(offsets, weights)
    offsets[0, 0], weights[0] = 7, 9.0
    assert lattice == square_lattice(1)


def test_rounding_of_the_weights_is_removed():
    lattice = Lattice([[1], [-1], [0]], [0.1 + 1e-14, 0.1, 0.8 - 3e-14])
    assert lattice.weights[0] == lattice.weights[2]
    assert abs(np.sum(lattice.weights) - 1.0) < 3e-16


# ---------------------------------------------------------------- the door


@pytest.mark.parametrize(
    ("offsets", "weights", "message"),
    [
        ([[1], [-1], [2]], [0.25, 0.25, 0.5], r"offsets must be symmetric, got \[2\] without"),
        (
            [[1, 0], [0, -1], [0, 1], [-1, 1]],
            [0.25] * 4,
            r"offsets must be symmetric, got \[-1, 1\] without \[1, -1\]",
        ),
        ([[1], [-1], [1], [-1]], [0.25] * 4, r"offsets must be distinct, got \[-1\] twice"),
        ([[1], [-1]], [0.5, 0.4], r"weights must sum to 1, got 0.9"),
        ([[1], [-1]], [1.0, 1.0], r"weights must sum to 1, got 2.0"),
        ([[1], [-1]], [0.5, 0.5 + 1e-9], r"weights must sum to 1, got 1.000000001"),
        ([[1], [-1]], [0.6, 0.4], r"equal on opposite offsets, got 0.4 at \[-1\] and 0.6 at \[1\]"),
        ([[1], [-1], [0]], [0.6, 0.6, -0.2], r"weights must be > 0, got -0.2 at offset \[0\]"),
        ([[1], [-1], [0]], [0.5, 0.5, 0.0], r"weights must be > 0, got 0.0 at offset \[0\]"),
        ([[1], [-1]], [0.5, np.nan], "weights must be finite, got nan at index"),
        ([[1], [-1]], [np.inf, np.inf], "weights must be finite, got inf"),
        ([[1], [-1]], [1.0], r"weights must have shape \(2,\), got \(1,\)"),
        ([[1], [-1]], [[0.5], [0.5]], r"weights must have 1 dimension\(s\)"),
        ([[1], [-1]], ["a", "b"], "weights must be an array of real numbers"),
        ([[0]], [1.0], "Λ is singular"),
        ([[1, 0], [-1, 0]], [0.5, 0.5], "none with a component along axis 1: .*singular"),
        ([[1, 1], [-1, -1]], [0.5, 0.5], "span all directions .* which is singular"),
        ([[3, -5], [-3, 5], [6, -10], [-6, 10]], [0.25] * 4, "which is singular"),
        (
            [[1, 1, 0], [-1, -1, 0], [0, 1, 1], [0, -1, -1], [1, 0, -1], [-1, 0, 1]],
            [1 / 6] * 6,
            "which is singular",
        ),
        (
            [[1, 1], [-1, -1], [1, 0], [-1, 0]],
            [0.5 - 1e-14, 0.5 - 1e-14, 1e-14, 1e-14],
            "which is singular",
        ),
        ([[1.0], [-1.0]], [0.5, 0.5], "offsets must be integers, got dtype float64"),
        ([[0.5], [-0.5]], [0.5, 0.5], "offsets must be integers, got dtype float64"),
        ([[True], [False]], [0.5, 0.5], "offsets must be integers, got dtype bool"),
        ([["1"], ["-1"]], [0.5, 0.5], "offsets must be an array of real numbers"),
        ([[np.nan], [-1]], [0.5, 0.5], "offsets must be finite"),
        ([1, -1], [0.5, 0.5], r"offsets must have 2 dimension\(s\), got shape \(2,\)"),
        ([[1], [-1, 0]], [0.5, 0.5], "offsets must be a rectangular array"),
        (np.zeros((0, 2), dtype=int), [], "offsets must have at least one row"),
        ([[10**7], [-(10**7)]], [0.5, 0.5], r"offsets must be within ±1e\+06"),
    ],
)
def test_what_is_no_lattice_is_refused(offsets, weights, message):
    with pytest.raises(ValueError, match=message):
        Lattice(offsets, weights)


def test_weights_of_very_different_sizes_are_no_error_where_the_covariance_has_digits():
    lattice = from_half([[1, 0], [0, 1]], [1.0, 1e-20])
    np.testing.assert_allclose(lattice.covariance, np.diag([1.0, 1e-20]), rtol=1e-15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: square_lattice(0), "dimension must be ≥ 1, got 0"),
        (lambda: square_lattice(2.0), "dimension must be an integer, got 2.0"),
        (lambda: square_lattice(2).symbol([1.0]), r"xi must have shape \(..., 2\), got \(1,\)"),
        (lambda: square_lattice(1).symbol(0.0), r"xi must have shape \(..., 1\), got \(\)"),
        (lambda: square_lattice(1).symbol([np.inf]), "xi must be finite, got inf"),
        (lambda: square_lattice(1).symbol([1j]), "xi must be an array of real numbers"),
        (lambda: square_lattice(2).is_bipartite_on((4,)), r"shape must have 2 side length\(s\)"),
        (lambda: square_lattice(1).is_bipartite_on((0,)), r"shape\[0\] must be ≥ 1, got 0"),
        (lambda: square_lattice(1).is_bipartite_on(4), "shape must be a sequence of side lengths"),
    ],
)
def test_questions_that_make_no_sense_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
