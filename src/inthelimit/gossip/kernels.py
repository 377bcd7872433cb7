"""Kernels of synchronous gossip: what a Dirac has become after n rounds on a lattice of Z^d.

The finite system.  K_n = q_n(W) δ₀, for the polynomial q_n of a method and a translation-invariant
W with weights w_u.  Plane waves diagonalise W, with the symbol λ(ξ) = Σ_u w_u cos(u·ξ), so

    K_n(v) = (2π)^{−d} ∫ q_n(λ(ξ)) cos(v·ξ) dξ,    K_n(v) = 0 beyond n rounds' reach,

and as q_n∘λ is a trigonometric polynomial, the sum over a grid of frequencies is the integral.

The limit.  For Jacobi's polynomials K_n, seen from afar, is the fundamental solution of the
Euler–Poisson–Darboux equation ∂_tt u + ((2α+1)/t) ∂_t u = div(Λ∇u), where Λ = Σ_u w_u u uᵀ: for
α = d/2 the uniform law of an ellipsoid.  The convergence is weak: near the front, and by parity,
K_n differs from its limit by a factor.  So `inthelimit.gossip.spread` compares moments and masses.

The rate.  Σ_v K_n(v) v vᵀ = n(n+α+β+1)/(2(α+1)) Λ exactly, so the clock of the limit is
t = n + (α+β+1)/2 up to O(1/n).

Source: arXiv:2202.10742, of which the abstract was read; the identities are derived anew.
"""

from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from inthelimit import ConvergenceError, _checks
from inthelimit._checks import Array
from inthelimit.gossip._symbol import Grid, polynomial_at_symbol
from inthelimit.gossip.coefficients import Coefficients
from inthelimit.gossip.polynomials import Method, warn_of_growth
from inthelimit.graphs import Lattice

# Weights that are equal up to rounding make a symmetry.
SYMMETRY_TOLERANCE = 1e-15


def gossip_kernel(lattice: Lattice, n: int, method: Method, *, memory_limit: float = 4.0) -> Array:
    """Return K_n = q_n(W) δ₀, the values after n rounds from 1 at the origin and 0 elsewhere.

    Parameters
    ----------
    lattice : Lattice
        The gossip matrix on Z^d; let its offsets reach R in each axis.
    n : int, ≥ 0
        The number of rounds.
    method : Method
        `SimpleMethod()`, `JacobiMethod(alpha, beta)` and so on.
    memory_limit : float, > 0, default 4
        How many GiB the computation may take.

    Returns
    -------
    ndarray, shape (2 n R_1 + 1, ..., 2 n R_d + 1)
        K_n on the box −nR … nR, with the origin in the middle.

    Raises
    ------
    ValueError
        If an argument is out of range, or the kernel would take more than `memory_limit`.
    ConvergenceError
        If q_n overflows.

    Warns
    -----
    RuntimeWarning
        If β > α on a bipartite lattice, so that the parity classes drift apart as n grows.

    Notes
    -----
    n rounds on the symbol at the frequencies of half a torus, or of an orthant where λ is even in
    each axis, or of half an orthant where the last two axes may be swapped; then a Fourier or a
    cosine transform.  For N nodes that is O(N n) operations in cache and O(N log N) out of it; the
    rounds themselves take O(N n) out of cache.  Memory: 2.5 times the kernel; 1 + 2^(−d) times
    where λ is even in each axis.  Exact up to rounding, which all nodes share: q_n is right to some
    n 10⁻¹⁶, and near λ = −1 to n² 10⁻¹⁶ of itself, by which sums that alternate may be off.
    Source: arXiv:2202.10742, plane waves as eigenvectors.

    Examples
    --------
    Dirichlet's kernel, exactly uniform:

    >>> from inthelimit.gossip import JacobiMethod
    >>> from inthelimit.graphs import square_lattice
    >>> gossip_kernel(square_lattice(1), 2, JacobiMethod(0.5, -0.5)).round(12)
    array([0.2, 0.2, 0.2, 0.2, 0.2])
    """
    if not isinstance(lattice, Lattice):
        raise ValueError(f"lattice must be a Lattice, got {type(lattice).__name__}")
    n = _checks.integer("n", n, at_least=0)
    limit = _checks.number("memory_limit", memory_limit, above=0.0)
    reach = [n * int(r) for r in lattice.reach]
    # Cosine transforms of this length, and Fourier transforms of twice it, know v from −v.
    lengths = [fft.next_fast_len(r + 1, real=True) for r in reach]
    periods = tuple(2 * m for m in lengths)
    even = _is_invariant(lattice, _flips(lattice.dimension))
    _check_memory(periods, reach, even, limit)
    coefficients = _checked_coefficients(method, n)
    if method.growth_exponent > 0.0 and lattice.is_bipartite:
        warn_of_growth(method, stacklevel=2)
    if even:
        orthant = Grid(periods, tuple(m + 1 for m in lengths))
        symmetric = lattice.dimension > 1 and _is_invariant(lattice, [_swap(lattice.dimension)])
        values = polynomial_at_symbol(lattice, orthant, coefficients, symmetric=symmetric)
        _check_finite(values)
        kernel = fft.dctn(values, type=1, norm="forward", overwrite_x=True, workers=-1)
        return _mirrored(kernel, reach)
    half = Grid(periods, (*periods[:-1], lengths[-1] + 1))
    values = polynomial_at_symbol(lattice, half, coefficients, symmetric=False)
    _check_finite(values)
    return _centred(fft.irfftn(values, s=periods, workers=-1), reach)


# ---------------------------------------------------------------- at the door


def _checked_coefficients(method: Method, n: int) -> Coefficients:
    if not isinstance(method, Method):
        raise ValueError(f"method must be a gossip Method, got {type(method).__name__}")
    coefficients = method.coefficients(n)
    if not (coefficients.a > 0.0).all():
        raise ValueError(f"method must communicate, a > 0, at every round, got {method}")
    return coefficients


def _check_memory(periods: tuple[int, ...], reach: list[int], even: bool, limit: float) -> None:
    """Refuse a kernel that would take more than `limit` GiB."""
    kernel = prod(2 * r + 1 for r in reach)
    orthant = prod(period // 2 + 1 for period in periods)
    half = prod(periods[:-1]) * (periods[-1] // 2 + 1)
    # An orthant beside the kernel; half a torus beside two copies of it in complex numbers.
    numbers = orthant + max(kernel, orthant) if even else 5 * half
    needed = 8 * numbers / 2**30
    if needed > limit:
        box = " × ".join(str(2 * r + 1) for r in reach)
        enough = 1.006 * needed  # rounded to three digits, still enough
        raise ValueError(
            f"memory_limit must be ≥ {enough:.3g} GiB for a kernel of {box} nodes, got {limit:g}: "
            "allow more, or take fewer rounds"
        )


def _check_finite(values: Array) -> None:
    if not np.isfinite(values).all():
        raise ConvergenceError(
            "the method's polynomial overflows on the lattice's spectrum: take fewer rounds, or "
            "β ≤ α"
        )


# ---------------------------------------------------------------- symmetries


def _flips(d: int) -> list[NDArray[np.int64]]:
    return [np.diag([-1 if i == axis else 1 for i in range(d)]) for axis in range(d)]


def _swap(d: int) -> NDArray[np.int64]:
    """Return the map that swaps the last two axes."""
    return np.eye(d, dtype=np.int64)[[*range(d - 2), d - 1, d - 2]]


def _is_invariant(lattice: Lattice, maps: list[NDArray[np.int64]]) -> bool:
    """Tell whether the offsets, with their weights, are permuted by every one of the maps."""
    offsets, weights = _sorted(lattice.offsets, lattice.weights)
    for transform in maps:
        images, moved = _sorted(offsets @ transform, weights)
        if not np.array_equal(images, offsets):
            return False
        if not np.allclose(moved, weights, rtol=SYMMETRY_TOLERANCE, atol=0.0):
            return False
    return True


def _sorted(offsets: NDArray[np.int64], weights: Array) -> tuple[NDArray[np.int64], Array]:
    order = np.lexsort(offsets.T)
    return offsets[order], weights[order]


# ---------------------------------------------------------------- boxes


def _mirrored(orthant: Array, reach: list[int]) -> Array:
    """Extend values at v ≥ 0 evenly to the box −reach … reach."""
    whole = np.empty([2 * r + 1 for r in reach])
    d = len(reach)
    corner = orthant[tuple(slice(0, r + 1) for r in reach)]
    for signs in np.ndindex((2,) * d):
        target = tuple(
            slice(None, r + 1) if sign else slice(r, None)
            for r, sign in zip(reach, signs, strict=True)
        )
        whole[target] = np.flip(corner, tuple(axis for axis in range(d) if signs[axis]))
    return whole


def _centred(torus: Array, reach: list[int]) -> Array:
    """Cut the box −reach … reach out of a torus on which it starts at −reach, modulo its size."""
    whole = np.empty([2 * r + 1 for r in reach])
    for wraps in np.ndindex((2,) * len(reach)):
        target = tuple(
            slice(None, r) if wrap else slice(r, None) for r, wrap in zip(reach, wraps, strict=True)
        )
        source = tuple(
            slice(length - r, None) if wrap else slice(None, r + 1)
            for r, wrap, length in zip(reach, wraps, torus.shape, strict=True)
        )
        whole[target] = torus[source]
    return whole
