"""Recurrences of three terms, the rounds of synchronous gossip.

    x^{k+1} = a_k W x^k + b_k x^k − c_k x^{k−1},      a_k + b_k − c_k = 1,  c₀ = 0,

makes x^n = q_n(W) x⁰ with a polynomial q_n of degree n and q_n(1) = 1.  Source: arXiv:1805.08531.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from inthelimit import _checks
from inthelimit._checks import Array


@dataclass(frozen=True, slots=True, eq=False)
class Coefficients:
    """The coefficients of a method's first rounds: x^{k+1} = a_k W x^k + b_k x^k − c_k x^{k−1}.

    Attributes
    ----------
    a, b, c : ndarray, shape (n_steps,)
        Read-only, and rounded so that a_k + b_k − c_k = 1 without any error: rounding each by
        itself would make the mean drift by some n² roundings in n rounds.  c₀ = 0.
    """

    a: Array
    b: Array
    c: Array

    def __post_init__(self) -> None:
        # Sums of multiples of this unit, of this size, are exact.
        unit = 4.0 * np.spacing(np.maximum(1.0, np.maximum(np.abs(self.a), np.abs(self.b))))
        a, b = (np.rint(array / unit) * unit for array in (self.a, self.b))
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
        now, before = ratio[1:], ratio[:-1]
        return cls(a / now, b / now, c / (now * before))

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
    k = np.arange(1.0, n_steps)
    norm = (k + 1 + s) * (k + 1 + alpha)
    a = (2 * k + s + 1) * (2 * k + s + 2) / (2 * norm)
    b = (2 * k + s + 1) * s * (alpha - beta) / (2 * norm * (2 * k + s))
    c = k * (k + beta) * (2 * k + s + 2) / (norm * (2 * k + s))
    first = ((s + 2) / (2 * (1 + alpha)), (alpha - beta) / (2 * (1 + alpha)), 0.0)
    return Coefficients(
        *(
            np.concatenate([[value], later])[:n_steps]
            for value, later in zip(first, (a, b, c), strict=True)
        )
    )
