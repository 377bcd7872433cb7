"""Least squares seen one equation at a time, and the constants that govern it.

The system.  With a ∈ R^d random, H = E aaᵀ and an x* with ⟨a, x*⟩ = b for every (a, b) drawn,

    f(x) = ½ E ⟨a, x − x*⟩² = ½⟨x − x*, H(x − x*)⟩,      g = aaᵀ(x − x*),      E g = ∇f(x).

The noise of g is multiplicative: it vanishes at x*.  Two constants say how strong it is,

    R² smallest with  E ‖a‖² aaᵀ ≼ R² H,      κ̃ smallest with  E ‖a‖²_{H⁻¹} aaᵀ ≼ κ̃ H,

the pseudo-inverse standing for H⁻¹ where H is singular.  With μ the smallest positive eigenvalue of
H and κ = R²/μ,

    rank H ≤ κ̃ ≤ κ.

The rates.  Plain stochastic gradient descent with step 1/R² decays like exp(−t/κ); the continuized
acceleration like exp(−t/√(κκ̃)), so the gain is all in κ̃ being smaller than κ.  R² does not change
when a is rotated; κ̃ does not change under any invertible linear map of a.

Source: arXiv:2106.07644, section on pure multiplicative noise (Theorem 5 of the conference
version); κ̃ is the statistical condition number of Jain et al., COLT 2018.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import _checks
from inthelimit._checks import Array

# Singular values below this part of the largest, times the size, are rounding.
RANK_TOLERANCE = 8 * np.finfo(np.float64).eps
# Probabilities typed as decimals, or summed by somebody else, add up to 1 this well.
TOTAL_TOLERANCE = 1e-9
# A mixed fourth moment below this part of the largest is rounding of the sum over the law.
CLOSURE_TOLERANCE = 1e-12
# Squares of entries up to this, and of what is left of them after rounding, are float64 numbers.
LARGEST = 1e120

Gradient = Callable[[Array, np.random.Generator], Array]


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
        """Return independent vectors a, of shape (*size, d); a single one, (d,), without size."""

    @abstractmethod
    def has_closed_diagonal(self) -> bool:
        """Return whether E a_i² a_j a_k = 0 for all i and j ≠ k, in the eigenbasis of H.

        Then the diagonal of E aaᵀ S aaᵀ depends on the diagonal of S alone.
        """

    @abstractmethod
    def fourth_moment(self, second: Array) -> Array:
        """Return the diagonal of E aaᵀ S aaᵀ for S = diag(second), in the eigenbasis of H."""


@dataclass(frozen=True, slots=True, eq=False)
class GaussianLaw(LeastSquaresLaw):
    """The centred Gaussian law N(0, H)."""

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...] | None = None) -> Array:
        """Return independent vectors a, of shape (*size, d); a single one, (d,), without size."""
        normals = rng.standard_normal((*_shape(size), self.dimension))
        vectors: Array = (normals * np.sqrt(self.spectrum)) @ self.eigenvectors.T
        return vectors

    def has_closed_diagonal(self) -> bool:
        """Return True: the coordinates in the eigenbasis are independent and symmetric."""
        return True

    def fourth_moment(self, second: Array) -> Array:
        """Return the diagonal of 2HSH + tr(HS)H for S = diag(second) in the eigenbasis."""
        moment: Array = self.spectrum * (2.0 * self.spectrum * second + self.spectrum @ second)
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
        """Return independent vectors a, of shape (*size, d); a single one, (d,), without size."""
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
            weighted = self.weights * coordinates[:, i] ** 2
            mixed = coordinates.T @ (weighted[:, None] * coordinates)
            np.fill_diagonal(mixed, 0.0)
            if np.abs(mixed).max() > CLOSURE_TOLERANCE * largest:
                return False
        return True

    def fourth_moment(self, second: Array) -> Array:
        """Return the diagonal of E aaᵀ S aaᵀ for S = diag(second), in the eigenbasis of H."""
        squares = (self.vectors @ self.eigenvectors) ** 2
        moment: Array = (self.weights * (squares @ second)) @ squares
        return moment


@dataclass(frozen=True, slots=True)
class LeastSquaresConstants:
    """The four constants of a least-squares law.

    Attributes
    ----------
    R2 : float
        The smallest R² with E ‖a‖² aaᵀ ≼ R² H.
    kappa_tilde : float
        The smallest κ̃ with E ‖a‖²_{H⁻¹} aaᵀ ≼ κ̃ H.
    mu : float
        The smallest positive eigenvalue of H.
    kappa : float
        R²/μ.
    """

    R2: float
    kappa_tilde: float
    mu: float
    kappa: float


def gaussian_law(spectrum: ArrayLike) -> GaussianLaw:
    """Return the law N(0, diag(spectrum)): R² = tr H + 2 λ_max(H) and κ̃ = rank(H) + 2.

    Parameters
    ----------
    spectrum : array_like, shape (d,)
        The variances of the coordinates, ≥ 0 and not all 0.

    Returns
    -------
    GaussianLaw

    Raises
    ------
    ValueError
        If `spectrum` is not a finite vector, has a negative entry or is 0.

    Notes
    -----
    By Wick's formula E aaᵀSaaᵀ = 2HSH + tr(HS) H; S = I and S = H⁻¹ give the two constants.
    Source: arXiv:2106.07644, examples of multiplicative noise.

    Examples
    --------
    >>> law = gaussian_law([1.0, 0.01])
    >>> law.R2, law.kappa_tilde, round(law.kappa)
    (3.01, 4.0, 301)
    """
    spectrum = _checks.vector("spectrum", spectrum)
    if (spectrum < 0.0).any() or not spectrum.any():
        raise ValueError(f"spectrum must be ≥ 0 and not all 0, got smallest entry {spectrum.min()}")
    return GaussianLaw(
        covariance=np.diag(spectrum),
        spectrum=spectrum,
        eigenvectors=np.eye(spectrum.size),
        R2=float(spectrum.sum() + 2.0 * spectrum.max()),
        kappa_tilde=float(np.count_nonzero(spectrum) + 2),
    )


def one_hot_law(probabilities: ArrayLike) -> FiniteLaw:
    """Return the law of a = e_i with probability p_i: R² = 1 and κ̃ = κ = 1/p_min.

    Here acceleration gains nothing: each coordinate is solved the first time it is seen, and no
    method can see it sooner.

    Parameters
    ----------
    probabilities : array_like, shape (d,)
        Non-negative, with sum 1.

    Returns
    -------
    FiniteLaw

    Raises
    ------
    ValueError
        If `probabilities` is not a finite vector, has a negative entry or another sum.

    Notes
    -----
    Source: arXiv:2106.07644, examples of multiplicative noise.

    Examples
    --------
    >>> law = one_hot_law([0.75, 0.25])
    >>> law.R2, law.kappa_tilde, law.kappa
    (1.0, 4.0, 4.0)
    """
    p = _probabilities("probabilities", probabilities)
    seen = p > 0.0
    return FiniteLaw(
        covariance=np.diag(p),
        spectrum=p,
        eigenvectors=np.eye(p.size),
        R2=1.0,
        kappa_tilde=float(1.0 / p[seen].min()),
        vectors=np.eye(p.size)[seen],
        weights=p[seen],
        inverse_norms=1.0 / p[seen],
    )


def edge_law(edges: ArrayLike, probabilities: ArrayLike) -> FiniteLaw:
    """Return the law of a = e_v − e_w for a random edge {v, w}: the least squares of gossip.

    Parameters
    ----------
    edges : array_like of integers, shape (E, 2)
        The two ends of each edge; the nodes are 0, …, largest end.
    probabilities : array_like, shape (E,)
        Non-negative, with sum 1.

    Returns
    -------
    FiniteLaw
        With H the Laplacian L_P, R² = 2, and `inverse_norms` the effective resistances.

    Raises
    ------
    ValueError
        If an edge is a self-loop or has a negative or non-integer end, if `probabilities` has
        another length, a negative entry or another sum.

    Notes
    -----
    The theorem of gossip uses the largest effective resistance R_max, an upper bound of κ̃ since
    Σ P R aaᵀ ≼ R_max L_P.  It is κ̃ itself exactly when the graph falls apart without its edges of
    largest resistance, as trees, rings and complete graphs do: a direction along which the two
    forms agree must be constant across every other edge.  Elsewhere κ̃ is smaller.  Cost: a dense
    singular value decomposition, O(E n²); `inthelimit.graphs` has a sparse way to R_max.
    Source: arXiv:2106.07644, section on gossip.

    Examples
    --------
    >>> path = edge_law([[0, 1], [1, 2]], [0.5, 0.5])
    >>> path.R2, round(path.kappa_tilde, 12), round(path.mu, 12)
    (2.0, 2.0, 0.5)
    """
    ends = np.asarray(edges)
    if ends.dtype.kind not in "iu" or ends.ndim != 2 or ends.shape[1] != 2 or ends.size == 0:
        raise ValueError(
            f"edges must be integers of shape (E ≥ 1, 2), got dtype {ends.dtype}, "
            f"shape {ends.shape}"
        )
    if ends.min() < 0:
        raise ValueError(f"edges must have ends ≥ 0, got {ends.min()}")
    loops = np.flatnonzero(ends[:, 0] == ends[:, 1])
    if loops.size:
        raise ValueError(f"edges must join two nodes, but edge {loops[0]} is {ends[loops[0]]}")
    p = _probabilities("probabilities", probabilities, length=len(ends))
    differences = np.zeros((len(ends), int(ends.max()) + 1))
    rows = np.arange(len(ends))
    differences[rows, ends[:, 0]] = 1.0
    differences[rows, ends[:, 1]] = -1.0
    return _finite_law(differences, p, R2=2.0)


def finite_law(vectors: ArrayLike, weights: ArrayLike | None = None) -> FiniteLaw:
    """Return the law of a that takes the values a_i with probabilities proportional to w_i.

    Parameters
    ----------
    vectors : array_like, shape (n, d)
        One value of a per row, not all 0.
    weights : array_like, shape (n,), optional
        Non-negative, not all 0; equal by default, which makes a sample its empirical law.

    Returns
    -------
    FiniteLaw

    Raises
    ------
    ValueError
        If an argument has the wrong shape or is not finite, if all vectors of positive weight are
        0, if a weight is negative or all are 0.

    Notes
    -----
    With √w_i a_i = Σ_j U_ij s_j v_j the singular value decomposition of the weighted rows, cut at
    their rank, ℓ_i = ‖U_i‖² are the leverage scores, ‖a_i‖²_{H⁻¹} = ℓ_i/w_i, and

        R² = λ_max(Uᵀ diag(‖a_i‖²) U),        κ̃ = λ_max(Uᵀ diag(ℓ_i/w_i) U),

    which solves both generalised eigenvalue problems on range(H) without squaring the condition
    number.  Cost: O(n d min(n, d)).  Source: arXiv:2106.07644, definitions of R² and κ̃.

    Examples
    --------
    >>> law = finite_law([[2.0, 0.0], [0.0, 1.0]])
    >>> round(law.R2, 12), round(law.kappa_tilde, 12), round(law.kappa, 12)
    (4.0, 2.0, 8.0)
    """
    vectors = _checks.matrix("vectors", vectors)
    if weights is None:
        w = np.full(len(vectors), 1.0)
    else:
        w = _checks.vector("weights", weights, length=len(vectors))
    if (w < 0.0).any() or not w.any():
        raise ValueError(f"weights must be ≥ 0 and not all 0, got smallest {w.min()}")
    return _finite_law(vectors, w / w.max() / (w / w.max()).sum())


def least_squares_constants(samples: ArrayLike | LeastSquaresLaw) -> LeastSquaresConstants:
    """Return R², κ̃, μ and κ of a law, or of the empirical law of a sample.

    Parameters
    ----------
    samples : LeastSquaresLaw or array_like, shape (n, d)
        A law, or vectors drawn from one, a row each.

    Returns
    -------
    LeastSquaresConstants

    Raises
    ------
    ValueError
        If `samples` is neither a law nor a finite matrix with a row that is not 0.

    Notes
    -----
    Cost: O(n d min(n, d)) for a sample; see `finite_law`.  The empirical κ̃ is at least the rank of
    the sample and tends to that of the law; it says little while n is not large against d.
    Source: arXiv:2106.07644, definitions of R² and κ̃.

    Examples
    --------
    >>> least_squares_constants(gaussian_law([1.0, 0.5]))
    LeastSquaresConstants(R2=3.5, kappa_tilde=4.0, mu=0.5, kappa=7.0)
    """
    if isinstance(samples, LeastSquaresLaw):
        law: LeastSquaresLaw = samples
    else:
        law = _finite_law(_checks.matrix("samples", samples), None, name="samples")
    return LeastSquaresConstants(law.R2, law.kappa_tilde, law.mu, law.kappa)


def least_squares_gradient(law: LeastSquaresLaw, x_star: ArrayLike) -> Gradient:
    """Return the stochastic gradient (x, rng) ↦ aaᵀ(x − x*), with one fresh a for each copy.

    Parameters
    ----------
    law : LeastSquaresLaw
        The law of a.
    x_star : array_like, shape (d,)
        The solution x*.

    Returns
    -------
    callable
        ``gradient(x, rng)`` for x of shape (d,) or (d, copies), of the same shape; its expectation
        is H(x − x*).

    Raises
    ------
    ValueError
        If `x_star` has another shape or is not finite; the callable, if x does not have d rows.

    Notes
    -----
    Cost per call: `copies` draws of a and 4 d flops for each.  Source: arXiv:2106.07644, the
    stochastic gradient of pure multiplicative noise.

    Examples
    --------
    >>> gradient = least_squares_gradient(one_hot_law([1.0]), [2.0])
    >>> gradient(np.array([5.0]), np.random.default_rng(0))
    array([3.])
    """
    solution = _checks.vector("x_star", x_star, length=law.dimension)

    def gradient(x: Array, rng: np.random.Generator) -> Array:
        if x.ndim not in (1, 2) or x.shape[0] != law.dimension:
            raise ValueError(
                f"x must have shape ({law.dimension},) or ({law.dimension}, copies), got {x.shape}"
            )
        a = law.sample(rng, x.shape[1:]).T
        error = x - (solution if x.ndim == 1 else solution[:, None])
        g: Array = a * (a * error).sum(axis=0)
        return g

    return gradient


def _finite_law(
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


def _probabilities(name: str, value: ArrayLike, *, length: int | None = None) -> Array:
    """Return non-negative float64 numbers with sum 1."""
    p = _checks.vector(name, value, length=length)
    if (p < 0.0).any():
        raise ValueError(f"{name} must be ≥ 0, got {p.min()}")
    if abs(p.sum() - 1.0) > TOTAL_TOLERANCE:
        raise ValueError(f"{name} must sum to 1, got {p.sum()}")
    return p


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
