"""Recurrences of three terms, the rounds of synchronous gossip.

    x^{k+1} = a_k W x^k + b_k x^k − c_k x^{k−1},      a_k + b_k − c_k = 1,  c₀ = 0,

makes x^n = q_n(W) x⁰ with a polynomial q_n of degree n and q_n(1) = 1.  Source: arXiv:1805.08531.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from inthelimit import _checks
from inthelimit._checks import Array


@dataclass(frozen=True, slots=True, eq=False)
class Coefficients:
    """The coefficients of a method's first rounds: x^{k+1} = a_k W x^k + b_k x^k − c_k x^{k−1}.

    Parameters
    ----------
    a, b : ndarray, shape (n_steps,)
        For k = 0, b₀ = 1 − a₀ whatever is given.

    Attributes
    ----------
    a, b, c : ndarray, shape (n_steps,)
        Read-only.  c_k is computed as a_k + b_k − 1, with c₀ = 0: by its own formula and rounding
        it would let the mean drift by some n² roundings in n rounds.
    """

    a: Array
    b: Array
    c: Array = field(init=False)

    def __post_init__(self) -> None:
        a, b = self.a.copy(), self.b.copy()
        b[:1] = 1.0 - a[:1]
        for name, array in (("a", a), ("b", b), ("c", a + b - 1.0)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @classmethod
    def normalised(cls, a: Array, b: Array, c: Array) -> Self:
        """Return those of p_k(λ)/p_k(1), where p_{k+1} = (a_k λ + b_k) p_k − c_k p_{k−1}.

        Only the ratios p_{k+1}(1)/p_k(1) are formed, as the values themselves may overflow.
        """
        ratio = np.ones(a.size + 1)
        for k, (at_one, past) in enumerate(zip((a + b).tolist(), c.tolist(), strict=True)):
            ratio[k + 1] = at_one - past / ratio[k]
        return cls(a / ratio[1:], b / ratio[1:])

    @property
    def n_steps(self) -> int:
        """The number of rounds."""
        return self.a.size

    def __iter__(self) -> Iterator[tuple[float, float, float]]:
        """Yield (a_k, b_k, c_k) for each round."""
        return zip(self.a.tolist(), self.b.tolist(), self.c.tolist(), strict=True)

    def polynomials(self, eigenvalues: Array) -> Iterator[Array]:
        """Yield q_0, …, q_{n_steps} at the eigenvalues, each a fresh array of their shape."""
        before, now = np.zeros_like(eigenvalues), np.ones_like(eigenvalues)
        yield now.copy()
        for a, b, c in self:
            before, now = now, (a * eigenvalues + b) * now - c * before
            yield now.copy()


def jacobi_coefficients(n_steps: int, alpha: float, beta: float = 0.0) -> Coefficients:
    """Return the coefficients of Jacobi polynomials that are normalised to be 1 at λ = 1.

    With s = α + β, a₀ = (s+2)/(2(1+α)) and b₀ = (α−β)/(2(1+α)), and for k ≥ 1

        a_k = (2k+s+1)(2k+s+2) / (2(k+1+s)(k+1+α)),
        b_k = (2k+s+1) s (α−β) / (2(k+1+s)(2k+s)(k+1+α)),
        c_k = k(k+β)(2k+s+2) / ((k+1+s)(2k+s)(k+1+α)).

    Parameters
    ----------
    n_steps : int, ≥ 0
        The number of rounds.
    alpha, beta : float, > −1
        The exponents of the weight (1−λ)^α (1+λ)^β.

    Returns
    -------
    Coefficients
        a, b and c, of shape (n_steps,).

    Raises
    ------
    ValueError
        If `n_steps` is negative, or α or β is not a finite number > −1.

    Notes
    -----
    c_k = 1 − (2α+1)/k + O(k⁻²) is the friction (2α+1)/t of the Euler–Poisson–Darboux equation.
    Source: arXiv:1805.08531, the recurrence of the Jacobi polynomial iteration.

    Examples
    --------
    >>> coefficients = jacobi_coefficients(3, alpha=1.0)
    >>> (coefficients.a + coefficients.b - coefficients.c).round(15)
    array([1., 1., 1.])
    """
    n_steps = _checks.integer("n_steps", n_steps, at_least=0)
    alpha = _checks.number("alpha", alpha, above=-1.0)
    beta = _checks.number("beta", beta, above=-1.0)
    s = alpha + beta
    # In ratios, so that no product overflows however large α and β are.
    k = np.arange(1.0, n_steps)
    half_a = (2 * k + s + 1) / (k + 1 + s) / (2 * (k + 1 + alpha))
    a, b = np.empty(n_steps), np.empty(n_steps)
    a[:1], b[:1] = (s + 2) / (2 * (1 + alpha)), (alpha - beta) / (2 * (1 + alpha))
    a[1:], b[1:] = half_a * (2 * k + s + 2), half_a * (alpha - beta) * (s / (2 * k + s))
    return Coefficients(a, b)
