"""Lattices: gossip on Z^d that is the same seen from every node.

The system.  Node v ∈ Z^d takes (Wx)_v = Σ_u w_u x_{v−u}, with weights w_u = w_{−u} > 0 on finitely
many offsets u and Σ_u w_u = 1.  Plane waves e^{iv·ξ} are eigenvectors; the eigenvalue is the symbol

    w(ξ) = Σ_u w_u cos(u·ξ) = 1 − ½ ξᵀΛξ + O(|ξ|⁴),        Λ = Σ_u w_u u uᵀ.

The limit.  On large scales only the covariance Λ is left of W: it is the diffusivity of the heat
equation and the speed of the wave.  Source: arXiv:2202.10742.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import fsum
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.graphs._inputs import side_lengths
from inthelimit.graphs._returns import return_evenly

Integers = NDArray[np.int64]

# Weights such as 1/6 or 0.1 add up to one, and to one another, within a few roundings.
WEIGHT_TOLERANCE = 1e-12
# An eigenvalue below this of Λ scaled to unit diagonal is rounding.
SINGULARITY_TOLERANCE = 1e-12
# Up to here integer products of offsets are exact in float64.
LARGEST_OFFSET = 1e6


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """A translation-invariant symmetric gossip matrix on Z^d: (Wx)_v = Σ_u w_u x_{v−u}.

    Parameters
    ----------
    offsets : array_like of int, shape (m, d), d ≥ 1
        The neighbours u of the origin, each once, and −u with every u; 0 is allowed.
    weights : array_like, shape (m,)
        w_u = w_{−u} > 0, of sum 1.

    Attributes
    ----------
    offsets : ndarray of int64, shape (m, d)
        In lexicographic order.
    weights : ndarray, shape (m,)
        In the order of `offsets`; rounding in their sum and symmetry is removed.
    covariance : ndarray, shape (d, d)
        Λ = Σ_u w_u u uᵀ, positive definite.

    Raises
    ------
    ValueError
        If the offsets are no integers, repeat, or lack the opposite of one of them; if the weights
        are not positive, not symmetric, or do not sum to one; if Λ is singular, so that gossip
        never leaves a subspace.

    Notes
    -----
    The arrays are read-only; equal lattices compare and hash equal.  Source: arXiv:2202.10742.

    Examples
    --------
    >>> lattice = Lattice([[1], [-1], [0]], [0.25, 0.25, 0.5])
    >>> lattice.covariance, lattice.is_bipartite
    (array([[0.5]]), False)
    >>> lattice == square_lattice(1).lazy()
    True
    """

    offsets: Integers
    weights: Array
    covariance: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        offsets = _integer_offsets(self.offsets)
        weights = _checks.vector("weights", self.weights, length=len(offsets))
        order = np.lexsort(offsets.T[::-1])
        offsets, weights = offsets[order], weights[order]
        _check_weights(offsets, weights)
        # In lexicographic order the opposite of each offset stands at the mirrored place.
        weights = weights / 2 + weights[::-1] / 2
        weights /= fsum(weights)
        covariance = (weights * offsets.T) @ offsets
        _check_regular(covariance)
        for name, array in (
            ("offsets", offsets),
            ("weights", weights),
            ("covariance", covariance),
        ):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __repr__(self) -> str:
        return f"Lattice(offsets={self.offsets.tolist()}, weights={self.weights.tolist()})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Lattice):
            return NotImplemented
        return np.array_equal(self.offsets, other.offsets) and np.array_equal(
            self.weights, other.weights
        )

    def __hash__(self) -> int:
        return hash((self.dimension, self.offsets.tobytes(), self.weights.tobytes()))

    @property
    def dimension(self) -> int:
        """The dimension d."""
        return int(self.offsets.shape[1])

    @property
    def reach(self) -> Integers:
        """How far one round goes along each axis, max |u_i|, of shape (d,)."""
        reach: Integers = np.abs(self.offsets).max(axis=0)
        return reach

    @property
    def is_bipartite(self) -> bool:
        """Whether the symbol attains −1, that is, whether −1 is in the spectrum of W.

        It does where cos(u·ξ) = −1 for all offsets at once.  Such a ξ exists exactly if no odd
        number of steps leads back to the origin, which is decided in integers.
        """
        return return_evenly(self.offsets)

    def is_bipartite_on(self, shape: Sequence[int]) -> bool:
        """Return whether −1 is an eigenvalue on the torus of these sides.

        Parameters
        ----------
        shape : sequence of d ints, ≥ 1

        Returns
        -------
        bool
            As `is_bipartite`, with steps around the torus counted as returns.
        """
        sides = side_lengths("shape", shape, dimension=self.dimension)
        return return_evenly(self.offsets, np.diag(sides))

    def symbol(self, xi: ArrayLike) -> Array:
        """Return the eigenvalue w(ξ) = Σ_u w_u cos(u·ξ) of W at the plane wave e^{iv·ξ}.

        Parameters
        ----------
        xi : array_like, shape (..., d)

        Returns
        -------
        ndarray, shape (...)
        """
        # A whole turn less changes nothing, and far out there is no infinite phase.
        xi = np.fmod(_checks.points("xi", xi, dimension=self.dimension), 2 * np.pi)
        return np.asarray(self._symbol_at([xi[..., i] for i in range(self.dimension)]))

    def lazy(self) -> Self:
        """Return the lattice of (I + W)/2, which is never bipartite and has Λ/2."""
        origin = np.zeros((1, self.dimension), dtype=np.int64)
        moving = self.offsets.any(axis=1)
        staying = 0.5 + 0.5 * fsum(self.weights[~moving])
        return type(self)(
            np.concatenate([self.offsets[moving], origin]),
            np.append(self.weights[moving] / 2, staying),
        )

    def _symbol_at(self, xi: Sequence[Array]) -> Array:
        """Return the symbol at arrays of coordinates ξ_i that broadcast against one another."""
        symbol: Array = np.ones(np.broadcast_shapes(*(x.shape for x in xi)))
        # Half of the offsets; 1 − Σ 2w sin² is 1 at ξ = 0 whatever the rounding of the weights.
        for k in range(len(self.offsets) // 2):
            phase = sum(u * x for u, x in zip(self.offsets[k].tolist(), xi, strict=True) if u)
            symbol -= 4.0 * self.weights[k] * np.sin(0.5 * phase) ** 2
        return symbol


def square_lattice(dimension: int) -> Lattice:
    """Return Z^d with weight 1/(2d) on each of the 2d nearest neighbours.

    Parameters
    ----------
    dimension : int, ≥ 1
        The dimension d.

    Returns
    -------
    Lattice
        Of covariance I/d; bipartite.

    Raises
    ------
    ValueError
        If the dimension is no integer ≥ 1.

    Notes
    -----
    Source: arXiv:2202.10742.

    Examples
    --------
    >>> square_lattice(2).covariance
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    d = _checks.integer("dimension", dimension, at_least=1)
    steps = np.eye(d, dtype=np.int64)
    return Lattice(np.concatenate([steps, -steps]), np.full(2 * d, 1 / (2 * d)))


def triangular_lattice() -> Lattice:
    """Return the triangular lattice, ±(1, 0), ±(0, 1), ±(1, −1) with weight 1/6 each.

    Returns
    -------
    Lattice
        Of covariance ⅓ [[2, −1], [−1, 2]]; not bipartite.

    Notes
    -----
    Node v stands at v₁ (1, 0) + v₂ (½, √3/2) in the plane of equilateral triangles of side 1; in
    these coordinates the covariance is I/2.  Source: arXiv:2202.10742.

    Examples
    --------
    >>> triangular_lattice().symbol([[0.0, 0.0], [2 * np.pi / 3, -2 * np.pi / 3]]).round(12)
    array([ 1. , -0.5])
    """
    steps = np.array([[1, 0], [0, 1], [1, -1]])
    return Lattice(np.concatenate([steps, -steps]), np.full(6, 1 / 6))


def _integer_offsets(value: ArrayLike) -> Integers:
    offsets = _checks.matrix("offsets", value)
    kind = np.asarray(value).dtype.kind
    if kind not in "iu":
        raise ValueError(f"offsets must be integers, got dtype {np.asarray(value).dtype}")
    return _checks.moderate("offsets", offsets, largest=LARGEST_OFFSET).astype(np.int64)


def _check_weights(offsets: Integers, weights: Array) -> None:
    """Check weights and offsets that are in lexicographic order of the offsets."""
    repeated = np.flatnonzero((np.diff(offsets, axis=0) == 0).all(axis=1))
    if repeated.size:
        raise ValueError(f"offsets must be distinct, got {offsets[repeated[0]].tolist()} twice")
    lonely = _first_without_opposite(offsets)
    if lonely is not None:
        raise ValueError(f"offsets must be symmetric, got {lonely} without {[-u for u in lonely]}")
    if not weights.min() > 0.0:
        k = int(np.argmin(weights))
        raise ValueError(f"weights must be > 0, got {weights[k]} at offset {offsets[k].tolist()}")
    total = fsum(weights)
    if abs(total - 1.0) > WEIGHT_TOLERANCE:
        raise ValueError(f"weights must sum to 1, got {total}")
    uneven = np.flatnonzero(np.abs(weights - weights[::-1]) > WEIGHT_TOLERANCE * weights)
    if uneven.size:
        k = int(uneven[0])
        u = offsets[k].tolist()
        raise ValueError(
            f"weights must be equal on opposite offsets, got {weights[k]} at {u} and "
            f"{weights[-1 - k]} at {[-i for i in u]}"
        )


def _first_without_opposite(offsets: Integers) -> list[int] | None:
    rows: list[list[int]] = offsets.tolist()
    present = {tuple(u) for u in rows}
    return next((u for u in rows if tuple(-i for i in u) not in present), None)


def _check_regular(covariance: Array) -> None:
    scale = np.sqrt(covariance.diagonal())
    still = np.flatnonzero(scale == 0.0)
    if still.size:
        raise ValueError(
            f"offsets must span all directions, got none with a component along axis {still[0]}: "
            "the covariance Λ is singular"
        )
    smallest = np.linalg.eigvalsh(covariance / np.outer(scale, scale))[0]
    if not smallest > SINGULARITY_TOLERANCE:
        raise ValueError(
            "offsets must span all directions with weights that differ by less than 1e12, got a "
            f"covariance Λ = {covariance.tolist()}, which is singular"
        )
