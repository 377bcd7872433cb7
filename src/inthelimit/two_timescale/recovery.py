"""How likely random positions are a good start: enough neurons in every piece.

The limit flow finds every jump if each interior piece of f* holds two neurons, and the first and
the last piece one.  For m independent uniform positions and pieces of lengths ℓ_i, which need r_i
neurons, that has the probability

    P_m = P(N_i ≥ r_i for all i),     (N_1, …, N_n) multinomial(m; ℓ_1, …, ℓ_n),

exactly, and at least 1 − Σ_i P(Binomial(m, ℓ_i) < r_i), the union bound of the theorem's proof.

Source: arXiv:2304.09576, the condition on the number of neurons; the exact value is worked out
here.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.two_timescale._counts import Counts, probability_of_needs
from inthelimit.two_timescale.target import PiecewiseConstant

# A probability nearer to 1 than this is not told from 1.
SMALLEST_RISK = 1e-10


@dataclass(frozen=True, slots=True)
class RecoveryProbability:
    """The probability that random positions are a good start.

    Attributes
    ----------
    exact : float
        P_m, to 1e-11 of itself.
    bound : float
        The union bound 1 − Σ_i P(Binomial(m, ℓ_i) < r_i), or 0 if that is negative.
    bound_by_shortest : float
        The same with every ℓ_i replaced by the shortest, Δv, and every r_i by the largest: with
        two neurons a piece, 1 − n (1 + (m−1)Δv)(1 − Δv)^(m−1), or 0.
    """

    exact: float
    bound: float
    bound_by_shortest: float


def recovery_probability(
    target: PiecewiseConstant, n_neurons: int, *, interior: int = 2, ends: int = 1
) -> RecoveryProbability:
    """Return the probability that i.i.d. uniform positions put enough neurons in every piece.

    Parameters
    ----------
    target : PiecewiseConstant
        The staircase f*; only the lengths of its pieces matter.
    n_neurons : int
        m ≥ 0.
    interior, ends : int
        Neurons ≥ 0 that an interior piece needs, and that the first and the last need.  The limit
        flow needs 2 and 1.

    Returns
    -------
    RecoveryProbability

    Raises
    ------
    ValueError
        If a count is not an integer ≥ 0.

    Notes
    -----
    P_m is a conditional law: independent Poisson counts of means λℓ_i, given that they sum to m.
    So P_m = Π P(N_i ≥ r_i) · P(Σ N_i = m | N_i ≥ r_i) / P(Poisson(λ) = m) for any λ; with the λ for
    which the middle sum has mean m, no factor loses digits, however small P_m is.  That sum's law
    is a product of characteristic functions: O(n √m log m) in all.
    Source: arXiv:2304.09576, the condition on the number of neurons.

    Examples
    --------
    >>> staircase = PiecewiseConstant([0.2, 0.35, 0.5, 0.65, 0.8], [1, 5, 1, 3, 1, 5])
    >>> chance = recovery_probability(staircase, 20)
    >>> round(chance.exact, 4), round(chance.bound, 4)
    (0.4056, 0.2747)
    """
    m = _checks.integer("n_neurons", n_neurons, at_least=0)
    needed = needs(target, interior=interior, ends=ends)
    lengths = np.diff(target.edges)
    shortest, most = np.full_like(lengths, lengths.min()), np.full_like(needed, needed.max())
    return RecoveryProbability(
        exact=probability_of_needs(lengths, needed, m),
        bound=_union_bound(lengths, needed, m),
        bound_by_shortest=_union_bound(shortest, most, m),
    )


def neurons_needed(
    target: PiecewiseConstant, probability: float, *, interior: int = 2, ends: int = 1
) -> int:
    """Return the smallest number of neurons that are a good start with the given probability.

    Parameters
    ----------
    target : PiecewiseConstant
        The staircase f*.
    probability : float
        From 0 to 1 − 1e-10.
    interior, ends : int
        Neurons that an interior piece needs, and that the first and the last need.

    Returns
    -------
    int
        The smallest m with P_m ≥ probability, by bisection: P_m grows with m.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> staircase = PiecewiseConstant([0.2, 0.35, 0.5, 0.65, 0.8], [1, 5, 1, 3, 1, 5])
    >>> [neurons_needed(staircase, p) for p in (0.5, 0.9, 0.99)]
    [22, 35, 52]
    """
    wish = _checks.number("probability", probability, at_least=0.0, at_most=1.0 - SMALLEST_RISK)
    needed = needs(target, interior=interior, ends=ends)
    lengths = np.diff(target.edges)
    enough = int(needed.sum())
    too_few = enough - 1
    while probability_of_needs(lengths, needed, enough) < wish:
        too_few, enough = enough, 2 * enough
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if probability_of_needs(lengths, needed, middle) < wish:
            too_few = middle
        else:
            enough = middle
    return enough


def needs(target: PiecewiseConstant, *, interior: int, ends: int) -> Counts:
    """Return the number of neurons that each piece needs, shape (n,)."""
    needed = np.full(target.n_pieces, _checks.integer("interior", interior, at_least=0))
    needed[[0, -1]] = _checks.integer("ends", ends, at_least=0)
    return needed


def _union_bound(lengths: Array, needed: Counts, m: int) -> float:
    if (needed > m).any():
        return 0.0
    risks = bdtr(np.maximum(needed - 1.0, 0.0), m, lengths)
    return max(0.0, float(1.0 - risks[needed > 0].sum()))
