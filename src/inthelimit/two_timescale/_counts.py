"""Counts of uniform points in pieces: Poisson counts, given their sum and their smallest values.

Counts (N_1, …, N_n) of m uniform points in pieces of lengths ℓ_i are independent Poisson counts of
means λℓ_i, given that they sum to m, for any λ.  So for needs r_i

    P(N_i ≥ r_i for all i) = Π P(N_i ≥ r_i) · P(Σ N_i = m | N_i ≥ r_i) / P(Poisson(λ) = m),

and with the λ for which the sum, given the needs, has mean m, no factor loses digits.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from scipy.optimize import brentq
from scipy.special import gammainc, gammaln, hyp1f1, xlogy

from inthelimit._checks import Array

Counts = NDArray[np.int64]

# A sum of counts is within this many standard deviations, and this many more, of its mean.
DEVIATIONS = 12.0
EXTRA = 40


def probability_of_needs(lengths: Array, needed: Counts, m: int) -> float:
    """Return P(N_i ≥ needed_i for all i) for multinomial counts of sum m."""
    spare = m - int(needed.sum())
    if spare < 0:
        return 0.0
    if spare == 0:
        return float(np.exp(gammaln(m + 1) + (xlogy(needed, lengths) - gammaln(needed + 1)).sum()))
    if not needed.any():
        return 1.0
    rate = matching_rate(lengths, needed, m)
    means = rate * lengths
    law = wrapped_law_of_sum(means, needed, rate)
    together = max(0.0, law[m % law.size])
    log_each = log_at_least(means, needed).sum()
    return min(1.0, float(together * np.exp(log_each - log_poisson(m, rate))))


def matching_rate(lengths: Array, needed: Counts, m: int) -> float:
    """Return the λ for which Poisson counts of means λℓ_i, each at least needed_i, have mean sum m.

    Given N ≥ r, a count of mean μ has its mean between max(r, μ) and r + μ.  No λ > 0 does where
    m = Σ needed; there any serves.
    """

    def excess(rate: float) -> float:
        mean = rate * lengths
        fewer = log_at_least(mean, np.maximum(needed - 1, 0)) - log_at_least(mean, needed)
        return float(np.where(needed > 0, mean * np.exp(fewer), mean).sum()) - m

    lowest = float(m - needed.sum())
    if lowest == 0.0:
        return 1.0
    if excess(lowest) >= 0.0:
        return lowest
    return float(brentq(excess, lowest, float(m), rtol=1e-9)) if excess(float(m)) > 0.0 else m


def wrapped_law_of_sum(means: Array, needed: Counts, rate: float) -> Array:
    """Return the law of a sum of Poisson counts, given that each is at least needed_i.

    Entry k is the probability of k modulo the size, which exceeds the spread of the sum so much
    that only one k counts.  Σ means ≤ rate.
    """
    size = next_fast_len(4 * int(DEVIATIONS * np.sqrt(rate) + EXTRA), real=True)
    product = np.ones(size // 2 + 1, dtype=complex)
    for mean, least in zip(means, needed, strict=True):
        counts = likely_counts(mean, least)
        wrapped = np.bincount(counts % size, count_law(counts, mean, least), minlength=size)
        product *= np.fft.rfft(wrapped)
    law: Array = np.fft.irfft(product, size)
    return law


def likely_counts(mean: float, least: int) -> Counts:
    """Return the counts ≥ least that a Poisson law of this mean can have, in float64."""
    reach = DEVIATIONS * np.sqrt(mean) + EXTRA
    low = max(int(least), int(mean - reach))
    return np.arange(low, int(max(low, mean) + reach) + 1)


def count_law(counts: Counts, mean: float, least: int) -> Array:
    """Return the probabilities of Poisson counts, given that they are at least `least`."""
    logs = counts * np.log(mean) - mean - gammaln(counts + 1)
    law: Array = np.exp(logs - log_at_least(np.array(mean), np.array(least)))
    return law


def log_at_least(mean: Array, least: Counts) -> Array:
    """Return log P(N ≥ least) for a Poisson count N."""
    order = np.maximum(least, 1)
    rare = mean < order
    # P(N ≥ r) = P(N = r) ₁F₁(1; r + 1; mean) does not vanish in float64 as its value may.
    tail = np.log(hyp1f1(1.0, order + 1.0, np.where(rare, mean, 0.0)))
    logs = np.where(
        rare,
        order * np.log(mean) - mean - gammaln(order + 1) + tail,
        np.log(gammainc(order, np.where(rare, order, mean))),
    )
    chance: Array = np.where(least > 0, logs, 0.0)
    return chance


def log_poisson(m: int, rate: float) -> float:
    """Return log P(N = m) for m ≥ 1, without the cancellation of m log m against log m!."""
    shift = (rate - m) / m
    if m < 50:
        stirling = gammaln(m + 1) - (m + 0.5) * np.log(m) + m - np.log(2 * np.pi) / 2
    else:
        stirling = 1 / (12 * m) - 1 / (360 * m**3) + 1 / (1260 * m**5)
    return float(-m * (shift - np.log1p(shift)) - np.log(2 * np.pi * m) / 2 - stirling)
