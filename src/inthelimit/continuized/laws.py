"""The laws of the vector a of a least-squares problem: what they know, and how they are drawn.

The system.  A stochastic gradient aaᵀ(x − x*) with H = E aaᵀ.  A law samples a, knows H with its
eigenbasis and the constants R² and κ̃ of `inthelimit.continuized.least_squares`, and computes the
part of the fourth moment E aaᵀ S aaᵀ that drives the second moments of x.

Source: arXiv:2106.07644, pure multiplicative noise.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import _checks
from inthelimit._checks import Array

# Singular values below this part of the largest, times the size, are rounding.
RANK_TOLERANCE = 8 * np.finfo(np.float64).eps
# A mixed fourth moment below this part of the largest is rounding of the sum over the law.
CLOSURE_TOLERANCE = 1e-12
# Squares of entries up to this, and of what is left of them after rounding, are float64 numbers.
LARGEST = 1e120


@dataclass(frozen=True, slots=True, eq=False)
class LeastSquaresLaw(ABC):
    """The law of the vector a of a noiseless least-squares problem, with its constants.

    Made by `gaussian_law`, `one_hot_law`, `edge_law` and `finite_law`.

    Attributes
    ----------
    covariance : ndarray, shape (d, d)
        H = E aaᵀ, in the coordinates of a.
    spectrum : ndarray, shape (d,)
        The eigenvalues of H, exactly 0 outside its range.
    eigenvectors : ndarray, shape (d, d)
        Orthonormal columns: ``covariance = eigenvectors @ diag(spectrum) @ eigenvectors.T``.
    R2 : float
        The smallest R² with E ‖a‖² aaᵀ ≼ R² H.
    kappa_tilde : float
        The smallest κ̃ with E ‖a‖²_{H⁻¹} aaᵀ ≼ κ̃ H.
    """

    covariance: Array
    spectrum: Array
    eigenvectors: Array
    R2: float
    kappa_tilde: float

    def __post_init__(self) -> None:
        for array in (self.covariance, self.spectrum, self.eigenvectors):
            array.flags.writeable = False

    @property
    def dimension(self) -> int:
        """The number d of coordinates of a."""
        return self.spectrum.size

    @property
    def rank(self) -> int:
        """The rank of H: the number of directions that a ever shows."""
        return int(np.count_nonzero(self.spectrum))

    @property
    def mu(self) -> float:
        """The smallest positive eigenvalue of H."""
        return float(self.spectrum[self.spectrum > 0.0].min())

    @property
    def kappa(self) -> float:
        """The condition number κ = R²/μ."""
        return self.R2 / self.mu

    def inverse_norm_squared(self, v: ArrayLike) -> Array:
        """Return ‖v‖²_{H⁻¹} for v of shape (d,) or (d, copies); what is outside range(H) counts 0.

        Raises
        ------
        ValueError
            If v has another shape or is not finite.
        """
        v = _state("v", v, self.dimension)
        seen = self.spectrum > 0.0
        coordinates = self.eigenvectors[:, seen].T @ v
        norm: Array = (1.0 / self.spectrum[seen]) @ coordinates**2
        return norm

    @abstractmethod
    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...] | None = None) -> Array:
        """Return independent vectors a, of shape size + (d,); a single one, (d,), without size."""

    @abstractmethod
    def has_closed_diagonal(self) -> bool:
        """Return whether E a_i² a_j a_k = 0 for all i and j ≠ k, in the eigenbasis of H.

        Then the diagonal of E aaᵀ S aaᵀ depends on the diagonal of S alone.
        """

    @abstractmethod
    def coupling(self) -> Array:
        """Return C, of shape (d, d), with diag(E aaᵀ S aaᵀ) = C diag(S) for S diagonal.

        Both diagonals are in the eigenbasis of H: C_ij = E a_i² a_j².
        """


@dataclass(frozen=True, slots=True, eq=False)
class GaussianLaw(LeastSquaresLaw):
    """The centred Gaussian law N(0, H)."""

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...] | None = None) -> Array:
        """Return independent vectors a, of shape size + (d,); a single one, (d,), without size."""
        normals = rng.standard_normal((*_shape(size), self.dimension))
        vectors: Array = (normals * np.sqrt(self.spectrum)) @ self.eigenvectors.T
        return vectors

    def has_closed_diagonal(self) -> bool:
        """Return True: the coordinates in the eigenbasis are independent and symmetric."""
        return True

    def coupling(self) -> Array:
        """Return C = 2 diag(h²) + h hᵀ, h the spectrum: the diagonal part of 2HSH + tr(HS)H."""
        h = self.spectrum
        moment: Array = 2.0 * np.diag(h * h) + np.outer(h, h)
        return moment


@dataclass(frozen=True, slots=True, eq=False)
class FiniteLaw(LeastSquaresLaw):
    """A law on finitely many vectors.

    Attributes
    ----------
    vectors : ndarray, shape (n, d)
        The values of a that have positive probability, one a row.
    weights : ndarray, shape (n,)
        Their probabilities.
    inverse_norms : ndarray, shape (n,)
        ‖a_i‖²_{H⁻¹}: the leverage scores divided by the weights, and for the differences of
        `edge_law` the effective resistances.
    """

    vectors: Array
    weights: Array
    inverse_norms: Array

    def __post_init__(self) -> None:
        super(FiniteLaw, self).__post_init__()
        for array in (self.vectors, self.weights, self.inverse_norms):
            array.flags.writeable = False

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...] | None = None) -> Array:
        """Return independent vectors a, of shape size + (d,); a single one, (d,), without size."""
        cumulative = np.cumsum(self.weights)
        uniforms = rng.random(_shape(size))
        chosen = np.searchsorted(cumulative / cumulative[-1], uniforms, side="right")
        vectors: Array = self.vectors[chosen]
        return vectors

    def has_closed_diagonal(self) -> bool:
        """Return whether E a_i² a_j a_k = 0 for all i and j ≠ k, in the eigenbasis: O(n d³)."""
        coordinates = self.vectors @ self.eigenvectors
        largest = float(np.abs(self.weights @ coordinates**4).max())
        for i in range(self.dimension):
            shown = coordinates[coordinates[:, i] != 0.0]
            weighted = self.weights[coordinates[:, i] != 0.0] * shown[:, i] ** 2
            mixed = shown.T @ (weighted[:, None] * shown)
            np.fill_diagonal(mixed, 0.0)
            if np.abs(mixed).max() > CLOSURE_TOLERANCE * largest:
                return False
        return True

    def coupling(self) -> Array:
        """Return C_ij = E a_i² a_j², in the eigenbasis of H."""
        squares = (self.vectors @ self.eigenvectors) ** 2
        moment: Array = (self.weights * squares.T) @ squares
        return moment


def law_of_rows(
    vectors: Array, weights: Array | None, *, name: str = "vectors", R2: float | None = None
) -> FiniteLaw:
    """Return the law of checked rows; an `R2` known in closed form replaces its computation."""
    w = np.full(len(vectors), 1.0 / len(vectors)) if weights is None else weights
    vectors, w = vectors[w > 0.0], w[w > 0.0]
    if not vectors.any():
        raise ValueError(f"{name} must not all be 0")
    size = np.abs(vectors).max()
    if not 1.0 / LARGEST <= size <= LARGEST:
        raise ValueError(
            f"{name} must have a largest entry between {1.0 / LARGEST:g} and {LARGEST:g}, got "
            f"{size:.3g}: rescale them"
        )
    U, s, Vt = np.linalg.svd(np.sqrt(w)[:, None] * vectors, full_matrices=False)
    rank = int(np.count_nonzero(s > RANK_TOLERANCE * max(vectors.shape) * s[0]))
    U, V = U[:, :rank], Vt[:rank].T
    spectrum = np.zeros(vectors.shape[1])
    spectrum[-rank:] = s[:rank][::-1] ** 2
    complement = np.linalg.qr(V, mode="complete")[0][:, rank:]
    inverse_norms = np.vecdot(U, U) / w
    return FiniteLaw(
        covariance=(w * vectors.T) @ vectors,
        spectrum=spectrum,
        eigenvectors=np.hstack([complement, V[:, ::-1]]),
        R2=_largest(U, np.vecdot(vectors, vectors)) if R2 is None else R2,
        kappa_tilde=_largest(U, inverse_norms),
        vectors=vectors,
        weights=w,
        inverse_norms=inverse_norms,
    )


def _largest(U: Array, scale: Array) -> float:
    """Return λ_max(Uᵀ diag(scale) U)."""
    return float(np.linalg.norm(np.sqrt(scale)[:, None] * U, ord=2) ** 2)


def _state(name: str, value: ArrayLike, dimension: int) -> Array:
    """Return a finite float64 copy of shape (dimension,) or (dimension, copies)."""
    array = _checks.real_array(name, value)
    if array.ndim not in (1, 2) or array.shape[0] != dimension:
        raise ValueError(
            f"{name} must have shape ({dimension},) or ({dimension}, copies), got {array.shape}"
        )
    return array


def _shape(size: int | tuple[int, ...] | None) -> tuple[int, ...]:
    if size is None:
        return ()
    return size if isinstance(size, tuple) else (size,)
