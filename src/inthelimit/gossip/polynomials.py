"""The polynomials of synchronous gossip: n rounds of communication turn x⁰ into q_n(W) x⁰.

Every method here is a recurrence of three terms, in which a node adds to what its neighbours send
a multiple of what it has and of what it had:

    x¹ = a₀ W x⁰ + b₀ x⁰,    x^{k+1} = a_k W x^k + b_k x^k − c_k x^{k−1},    a_k + b_k − c_k = 1,

so that x^n = q_n(W) x⁰ with q_n of degree n and q_n(1) = 1: means are conserved.  They differ in
what they know of the network: nothing (`SimpleMethod`), its dimension d (`JacobiMethod` with
α = d/2), its spectral gap (`ShiftRegister`), both (`JacobiWithGap`), or that it looks like a tree
(`MessagePassing`).

The limit n → ∞.  For α ≥ β and α ≥ −½ Jacobi's |q_n| ≤ 1 on [−1, 1], and q_n(cos(s/n)) tends to
the Bessel function Γ(α+1)(2/s)^α J_α(s), by which the Euler–Poisson–Darboux equation propagates.

Source: arXiv:2202.10742 for the limit, arXiv:1805.08531 for the methods.
"""

import warnings
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.gossip.coefficients import Coefficients, jacobi_coefficients


@dataclass(frozen=True, slots=True)
class Method(ABC):
    """A method of synchronous gossip: polynomials q_n of degree n with q_n(1) = 1."""

    @abstractmethod
    def coefficients(self, n_steps: int) -> Coefficients:
        """Return the coefficients of the rounds 0, …, n_steps − 1."""

    @property
    def growth_exponent(self) -> float:
        """The ρ ≥ 0 such that |q_n(−1)| is of order n^ρ; 0 where it stays bounded."""
        return 0.0

    def polynomial(self, n: int, eigenvalues: ArrayLike) -> Array:
        """Return q_n(λ), of the shape of the eigenvalues λ, in O(n) operations for each."""
        return deque(self._recurrence(n, eigenvalues), maxlen=1).pop()

    def polynomials(self, n: int, eigenvalues: ArrayLike) -> Array:
        """Return q_0(λ), …, q_n(λ), of shape (n + 1, ...) for eigenvalues λ of shape (...)."""
        return np.stack(list(self._recurrence(n, eigenvalues)))

    def _recurrence(self, n: int, eigenvalues: ArrayLike) -> Iterator[Array]:
        n = _checks.integer("n", n, at_least=0)
        return self.coefficients(n).polynomials(_checks.real_array("eigenvalues", eigenvalues))


@dataclass(frozen=True, slots=True)
class SimpleMethod(Method):
    """Simple gossip, q_n(λ) = λⁿ: at each round a node takes its neighbours' weighted mean.

    Notes
    -----
    From a Dirac on Z^d the values spread as heat, to a distance of √n.  Source: arXiv:1805.08531.

    Examples
    --------
    >>> SimpleMethod().polynomial(3, [1.0, 0.5])
    array([1.   , 0.125])
    """

    def coefficients(self, n_steps: int) -> Coefficients:
        """Return a = 1, b = c = 0."""
        n = _checks.integer("n_steps", n_steps, at_least=0)
        return Coefficients(np.ones(n), np.zeros(n))


@dataclass(frozen=True, slots=True)
class JacobiMethod(Method):
    """Jacobi polynomial gossip, q_n(λ) = P_n^(α,β)(λ) / P_n^(α,β)(1).

    Parameters
    ----------
    alpha : float, > −1
        Half the dimension of the network: with α = d/2 a Dirac on Z^d spreads evenly over an
        ellipsoid whose radius grows by 1/√d a round.
    beta : float, > −1, default 0
        At most α on a bipartite network, where |q_n(−1)| is of order n^(β−α).

    Raises
    ------
    ValueError
        If α or β is not a finite number > −1.

    Notes
    -----
    Source: arXiv:1805.08531, the Jacobi polynomial iteration; arXiv:2202.10742 for its limit.

    Examples
    --------
    The kernel of (½, −½) on Z is Dirichlet's, sin((n + ½)θ) / ((2n + 1) sin(θ/2)):

    >>> method = JacobiMethod(0.5, -0.5)
    >>> theta = 1.0
    >>> error = method.polynomial(3, np.cos(theta)) - np.sin(3.5 * theta) / (7 * np.sin(0.5))
    >>> bool(abs(error) < 1e-15)
    True
    """

    alpha: float
    beta: float = 0.0

    def __post_init__(self) -> None:
        _store_exponents(self)

    @property
    def growth_exponent(self) -> float:
        """The exponent (β − α)₊ of |q_n(−1)|, which stays bounded for α ≥ β."""
        return max(0.0, self.beta - self.alpha)

    def coefficients(self, n_steps: int) -> Coefficients:
        """Return the coefficients of `jacobi_coefficients`."""
        return jacobi_coefficients(n_steps, self.alpha, self.beta)


@dataclass(frozen=True, slots=True)
class JacobiWithGap(Method):
    """Jacobi polynomial gossip for a network with a known spectral gap, by a change of variable.

    With g the gap, q_n(λ) = P_n(μ(λ)) / P_n(μ(1)) for μ(λ) = (λ + g/2)/(1 − g/2), which takes
    [−1, 1 − g] to [−1, 1]: first the decay of Jacobi gossip, then a geometric one.

    Parameters
    ----------
    alpha : float, > −1
        Half the dimension of the network.
    beta : float, > −1, default 0
        At most α on a bipartite network.
    gap : float, 0 ≤ gap < 2
        g = 1 − λ₂, with λ₂ the largest eigenvalue of W other than 1.

    Raises
    ------
    ValueError
        If α or β is not a finite number > −1, or the gap is outside [0, 2).

    Notes
    -----
    The rate is (1 − √(g/2))/(1 + √(g/2)) a round, to leading order in g that of the shift register
    of best rate.  The recurrence is kept in ratios of P_n(μ(1)), so nothing overflows.
    Source: arXiv:1805.08531, Jacobi polynomial iteration with spectral gap.

    Examples
    --------
    >>> with_gap, without = JacobiWithGap(1.0, gap=0.1), JacobiMethod(1.0)
    >>> f"{with_gap.polynomial(100, 0.9):.1e}, {without.polynomial(100, 0.9):.1e}"
    '4.5e-18, 3.8e-03'
    """

    alpha: float
    beta: float = 0.0
    gap: float = field(kw_only=True)

    def __post_init__(self) -> None:
        _store_exponents(self)
        gap = _checks.number("gap", self.gap, at_least=0.0, below=2.0)
        object.__setattr__(self, "gap", gap)

    @property
    def growth_exponent(self) -> float:
        """The exponent (β − α)₊ of |q_n(−1)|, up to n of order 1/√gap."""
        return max(0.0, self.beta - self.alpha)

    def coefficients(self, n_steps: int) -> Coefficients:
        """Return the coefficients of Jacobi in μ(λ), normalised at λ = 1."""
        jacobi = jacobi_coefficients(n_steps, self.alpha, self.beta)
        scale = 1.0 - self.gap / 2
        return Coefficients.normalised(
            jacobi.a / scale, jacobi.b + jacobi.a * (self.gap / 2) / scale, jacobi.c
        )


@dataclass(frozen=True, slots=True)
class ShiftRegister(Method):
    """Shift-register gossip, x^{k+1} = ω W x^k + (1 − ω) x^{k−1} after x¹ = W x⁰.

    Parameters
    ----------
    omega : float, 0 < ω < 2
        `from_gap` gives the best for a known gap; ω = 1 is simple gossip.

    Raises
    ------
    ValueError
        If ω is outside (0, 2), where the recurrence is unstable.

    Notes
    -----
    Source: arXiv:1805.08531, which compares with this method of Cao, Spielman and Yeh (2006).

    Examples
    --------
    >>> ShiftRegister.from_gap(0.2).omega
    1.25
    """

    omega: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "omega", _checks.number("omega", self.omega, above=0.0, below=2.0))

    @classmethod
    def from_gap(cls, gap: float) -> Self:
        """Return the method of best rate, ω = 2/(1 + √(1 − r²)) with r = 1 − gap, 0 < gap ≤ 1.

        r is the largest |λ| among the eigenvalues other than 1.  The experiments published with
        arXiv:1805.08531 take the ω of the lazy matrix (I + W)/2, which is that of half the gap.
        """
        gap = _checks.number("gap", gap, above=0.0, at_most=1.0)
        # 1 − (1 − g)² without cancellation.
        return cls(2.0 / (1.0 + float(np.sqrt(gap * (2.0 - gap)))))

    def coefficients(self, n_steps: int) -> Coefficients:
        """Return a = ω, b = 0, c = ω − 1, after a first round of simple gossip."""
        n = _checks.integer("n_steps", n_steps, at_least=0)
        a = np.full(n, self.omega)
        a[:1] = 1.0
        return Coefficients(a, np.zeros(n))


@dataclass(frozen=True, slots=True)
class MessagePassing(Method):
    """Message-passing gossip: the mean over the ball of radius n, on a regular tree exactly.

    With A = degree · W the adjacency matrix, the balls of the tree are
    B₀ = I, B₁ = I + A, B_{n+1} = A B_n − (degree − 1) B_{n−1}, and q_n is B_n over its row sums.

    Parameters
    ----------
    degree : int, ≥ 2
        The degree of the tree; 2 for a line.

    Raises
    ------
    ValueError
        If the degree is not an integer ≥ 2.

    Notes
    -----
    q_n are the orthogonal polynomials of (1 − λ) dσ(λ), σ the law of Kesten and McKay.
    Source: arXiv:1805.08531, message passing gossip.

    Examples
    --------
    On a line, the mean of 2n + 1 values, by Dirichlet's kernel:

    >>> bool(np.isclose(MessagePassing(2).polynomial(3, -1.0), -1 / 7))
    True
    """

    degree: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "degree", _checks.integer("degree", self.degree, at_least=2))

    def coefficients(self, n_steps: int) -> Coefficients:
        """Return the coefficients of the balls' recurrence, normalised at λ = 1."""
        n = _checks.integer("n_steps", n_steps, at_least=0)
        b, c = np.zeros(n), np.full(n, self.degree - 1.0)
        b[:1], c[:1] = 1.0, 0.0
        return Coefficients.normalised(np.full(n, float(self.degree)), b, c)


def warn_of_growth(method: Method, *, stacklevel: int) -> None:
    """Warn that the method's polynomials grow on a bipartite W; 1 is the caller's own line."""
    warnings.warn(
        f"W has the eigenvalue −1, where {method} is of order n^{method.growth_exponent:.3g}: "
        "take beta ≤ alpha, or the lazy matrix (I + W)/2",
        RuntimeWarning,
        stacklevel=stacklevel + 1,
    )


def _store_exponents(method: JacobiMethod | JacobiWithGap) -> None:
    for name in ("alpha", "beta"):
        value = _checks.number(name, getattr(method, name), above=-1.0)
        object.__setattr__(method, name, value)
