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

Source: arXiv:2106.07644, pure multiplicative noise; κ̃ is the statistical condition number of
arXiv:1704.08227.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.continuized.laws import FiniteLaw, GaussianLaw, LeastSquaresLaw, law_of_rows

# Probabilities typed as decimals, or summed by somebody else, add up to 1 this well.
TOTAL_TOLERANCE = 1e-9

Gradient = Callable[[Array, np.random.Generator], Array]


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
    return law_of_rows(differences, p, R2=2.0)


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
    return law_of_rows(vectors, w / w.max() / (w / w.max()).sum())


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
        law = law_of_rows(_checks.matrix("samples", samples), None, name="samples")
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


def _probabilities(name: str, value: ArrayLike, *, length: int | None = None) -> Array:
    """Return non-negative float64 numbers with sum 1."""
    p = _checks.vector(name, value, length=length)
    if (p < 0.0).any():
        raise ValueError(f"{name} must be ≥ 0, got {p.min()}")
    if abs(p.sum() - 1.0) > TOTAL_TOLERANCE:
        raise ValueError(f"{name} must sum to 1, got {p.sum()}")
    return p
