"""The law of the hit times over random starts.

Given a good start, how long does the limit flow take to find a jump?  The k neurons of a piece of
length ℓ are independent and uniform in it, so the neighbours of a jump have distances with

    P(p > r) = (1 − r/ℓ)^k,      P(q > r) = (1 − r/ℓ')^k',

independent given the counts k, k' of the two pieces beside the jump, whose joint law, given that
every piece has enough, is exact (`inthelimit.two_timescale.recovery`).  T > t says that the nearer
distance exceeds ρ, where ρ φ = J² t at the farther distance R; so with either side as the farther,

    P(T > t | k, k') = Σ over both sides ∫ P(ρ(R) < nearer < R) P(farther ∈ dR),    R > J² t/4.

As m → ∞, m p and m q tend to independent exponential variables, so m J² T tends in law to the hit
time of two such distances at a jump of 1 (`scaled_hit_time_cdf`): the same for every target.

Source: arXiv:2304.09576 (the flow); the laws are worked out here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from inthelimit import _checks
from inthelimit._checks import Array
from inthelimit.two_timescale._counts import (
    Counts,
    count_law,
    likely_counts,
    log_at_least,
    matching_rate,
    wrapped_law_of_sum,
)
from inthelimit.two_timescale._last_hit import chance_of_all
from inthelimit.two_timescale._one_jump import farther_distance, nearer_distance
from inthelimit.two_timescale._panels import panel_points, panel_weights
from inthelimit.two_timescale.recovery import needs, recovery_probability
from inthelimit.two_timescale.target import PiecewiseConstant

# Gauss nodes on each of the panels, whose lengths double: integrals are good to 1e-10.
NODES = 14
# Counts with a smaller share than this of the likeliest ones' probability are left out.
NEGLIGIBLE = 1e-17
# Beyond this many mean distances, exponential distances are not found in float64.
FARTHEST = 800.0


@dataclass(frozen=True, slots=True, eq=False)
class HitTimeLaw:
    """The law of each hit time, given a good start of m i.i.d. uniform neurons.

    Attributes
    ----------
    target : PiecewiseConstant
        The staircase f*, of n pieces.
    n_neurons : int
        m.
    good_start : float
        The probability P_m of what is given.
    latest : ndarray, shape (n - 1,)
        No T_i exceeds 4 min(ℓ_i, ℓ_(i+1))/J_i².
    counts : tuple of ndarray
        For each jump, the joint law of how many neurons the piece on its left and the piece on its
        right hold, given a good start; entry (k, k').
    """

    target: PiecewiseConstant
    n_neurons: int
    good_start: float
    latest: Array
    counts: tuple[Array, ...]

    def cdf(self, times: ArrayLike) -> Array:
        """Return P(T_i ≤ t | good start) for t of any shape; shape (..., n - 1)."""
        t = _checks.real_array("times", times)
        each = [self._survivals(i, t.ravel()).reshape(t.shape) for i in range(self.latest.size)]
        return 1.0 - np.stack(each, axis=-1)

    def cdf_of_last(self, times: ArrayLike) -> Array:
        """Return P(max T_i ≤ t | good start), of the shape of t: when training is over.

        To 1e-6.  The T_i depend on one another: their neighbours share the neurons.
        """
        t = _checks.real_array("times", times)
        return np.array([self._all_by(float(instant)) for instant in t.ravel()]).reshape(t.shape)

    def quantile_of_last(self, probability: float) -> float:
        """Return the time by which all jumps are found with this probability, from 0 to 1."""
        level = _checks.number("probability", probability, at_least=0.0, at_most=1.0)
        end = float(self.latest.max())
        if level in (0.0, 1.0):
            return level * end
        return float(brentq(lambda t: self._all_by(t) - level, 0.0, end, rtol=1e-9))

    def quantile(self, probability: float) -> Array:
        """Return the times at which each cdf is `probability`, from 0 to 1, shape (n - 1,)."""
        level = _checks.number("probability", probability, at_least=0.0, at_most=1.0)
        return np.array([self._quantile(i, level) for i in range(self.latest.size)])

    @property
    def mean(self) -> Array:
        """The expectation of each T_i given a good start, shape (n - 1,)."""
        spacing = 1.0 / self.n_neurons / self.target.jumps**2
        return np.array(
            [
                _integral(partial(self._survivals, i), 0.0, self.latest[i], [spacing[i]])
                for i in range(self.latest.size)
            ]
        )

    def _survivals(self, jump: int, times: Array) -> Array:
        return np.array([self._survival(jump, float(t)) for t in times])

    def _survival(self, jump: int, time: float) -> float:
        """Return P(T > time)."""
        if time <= 0.0 or time >= self.latest[jump]:
            return float(time <= 0.0)
        way = float(self.target.jumps[jump] ** 2 * time)
        lengths = np.diff(self.target.edges)[jump : jump + 2]
        law = self.counts[jump]
        spacing = 1.0 / self.n_neurons
        return _one_side(way, law, lengths[0], lengths[1], spacing) + _one_side(
            way, law.T, lengths[1], lengths[0], spacing
        )

    def _all_by(self, time: float) -> float:
        """Return P(max T_i ≤ time)."""
        if time <= 0.0 or time >= self.latest.max():
            return float(time > 0.0)
        lengths, needed = np.diff(self.target.edges), needs(self.target, interior=2, ends=1)
        rate = matching_rate(lengths, needed, self.n_neurons)
        means = rate * lengths
        together = chance_of_all(
            lengths,
            self.target.jumps**2 * time,
            rate,
            self.n_neurons,
            log_at_least(means, needed),
        )
        law_of_sum = wrapped_law_of_sum(means, needed, rate)
        chance = together / float(law_of_sum[self.n_neurons % law_of_sum.size])
        return min(1.0, max(0.0, chance))

    def _quantile(self, jump: int, level: float) -> float:
        end = float(self.latest[jump])
        if level in (0.0, 1.0):
            return level * end
        return float(brentq(lambda t: 1.0 - self._survival(jump, t) - level, 0.0, end, rtol=1e-12))


def hit_time_law(target: PiecewiseConstant, n_neurons: int) -> HitTimeLaw:
    """Return the law of each hit time of the limit flow, given a good start at random.

    Parameters
    ----------
    target : PiecewiseConstant
        The staircase f*, with a jump at least.
    n_neurons : int
        m, enough for a good start: at least two for each interior piece, and two.

    Returns
    -------
    HitTimeLaw

    Raises
    ------
    ValueError
        If there is no jump, or m is too small for a good start.

    Notes
    -----
    Positions are i.i.d. uniform on [0, 1], given that each interior piece holds two neurons or more
    and the first and the last one or more.  The law is then exact, to 1e-9; one value costs a
    quadrature of about 300 nodes times the likely counts.
    Source: worked out here for the limit flow of arXiv:2304.09576.

    Examples
    --------
    >>> law = hit_time_law(PiecewiseConstant([0.5], [0.0, 1.0]), 20)
    >>> law.cdf([0.01, 0.04, 0.16]).ravel().round(4)
    array([0.2737, 0.6473, 0.9616])
    """
    m = _checks.integer("n_neurons", n_neurons, at_least=1)
    needed = needs(target, interior=2, ends=1)
    if target.n_pieces < 2:
        raise ValueError(f"target must have a jump, got {target.n_pieces} piece")
    if m < needed.sum():
        raise ValueError(
            f"n_neurons must be ≥ {needed.sum()}, two for each interior piece and one for each "
            f"end, got {m}"
        )
    lengths = np.diff(target.edges)
    rate = matching_rate(lengths, needed, m)
    return HitTimeLaw(
        target=target,
        n_neurons=m,
        good_start=recovery_probability(target, m).exact,
        latest=4 * np.minimum(lengths[:-1], lengths[1:]) / target.jumps**2,
        counts=tuple(
            _joint_counts(rate * lengths, needed, rate, m, i) for i in range(target.n_pieces - 1)
        ),
    )


def scaled_hit_time_cdf(s: ArrayLike) -> Array:
    """Return lim P(m J² T ≤ s) as m → ∞: the law of the hit time far from the ends of pieces.

    Parameters
    ----------
    s : array_like
        Scaled times, of any shape.

    Returns
    -------
    ndarray, shape of `s`
        1 − 2 ∫_{s/4}^∞ e^{−R} (e^{−ρ} − e^{−R}) dR, where ρ φ = s at the farther distance R.

    Raises
    ------
    ValueError
        If some s is not finite.

    Notes
    -----
    Hit times of different jumps are independent in the limit.  The mean of the law is
    4 ∫_0^1 x φ/(1+x)³ dx = 0.89056.  Source: worked out here for the limit flow of
    arXiv:2304.09576.

    Examples
    --------
    >>> scaled_hit_time_cdf([0.0, 0.5, 1.0, 4.0]).round(4)
    array([0.    , 0.4996, 0.7053, 0.9749])
    """
    scaled = _checks.real_array("s", s)
    return np.array([1.0 - _scaled_survival(float(way)) for way in scaled.ravel()]).reshape(
        scaled.shape
    )


def _scaled_survival(way: float) -> float:
    if way <= 0.0 or way >= 4 * FARTHEST:
        return float(way <= 0.0)

    def density(far: Array) -> Array:
        near = nearer_distance(way, far)
        value: Array = 2 * np.exp(-far) * (np.exp(-near) - np.exp(-far))
        return value

    return _integral(density, way / 4, FARTHEST, [1.0, way / 4])


def _joint_counts(means: Array, needed: Counts, rate: float, m: int, jump: int) -> Array:
    """Return the law of the counts on both sides of a jump, given a good start."""
    others = np.ones(means.size, dtype=bool)
    others[jump : jump + 2] = False
    law_of_rest = wrapped_law_of_sum(means[others], needed[others], rate)
    sides = [likely_counts(means[i], needed[i]) for i in (jump, jump + 1)]
    laws = [count_law(c, means[i], needed[i]) for c, i in zip(sides, (jump, jump + 1), strict=True)]
    rest = m - sides[0][:, None] - sides[1]
    joint = np.multiply.outer(*laws) * law_of_rest[rest % law_of_rest.size]
    joint[(rest < needed[others].sum()) | (joint < NEGLIGIBLE * joint.max())] = 0.0
    law = np.zeros((sides[0][-1] + 1, sides[1][-1] + 1))
    law[sides[0][0] :, sides[1][0] :] = joint / joint.sum()
    highest = np.argwhere(law > 0.0).max(axis=0)
    return law[: highest[0] + 1, : highest[1] + 1]


def _one_side(way: float, law: Array, near_length: float, far_length: float, unit: float) -> float:
    """Return P(T > t, the farther neighbour is on the far side), way = J² t."""
    begin = way / 4
    if begin >= far_length:
        return 0.0
    rows, columns = law.shape
    # Entry (k, j) weighs (1 − near/ℓ)^k (1 − far/ℓ')^j in the density of the farther distance.
    weights = law[:, 1:] * np.arange(1, columns) / far_length

    def density(far: Array) -> Array:
        near = nearer_distance(way, far)
        powers = _powers(1.0 - near / near_length, rows) - _powers(1.0 - far / near_length, rows)
        value: Array = ((powers @ weights) * _powers(1.0 - far / far_length, columns - 1)).sum(1)
        return value

    kinks = [near_length]
    if near_length > begin:
        kinks.append(float(farther_distance(way, np.array(near_length))))
    return _integral(density, begin, far_length, [unit, begin], kinks)


def _powers(base: Array, count: int) -> Array:
    """Return base^k for k < count, shape (..., count); negative bases count as 0."""
    return np.vander(np.maximum(base, 0.0), count, increasing=True)


def _integral(
    function: Callable[[Array], Array],
    begin: float,
    end: float,
    scales: Sequence[float],
    kinks: Sequence[float] = (),
) -> float:
    """Return ∫ over [begin, end] by Gauss's rule on panels that double from each of the scales."""
    panels = [np.array([begin, end, *kinks])]
    for scale in scales:
        doublings = np.arange(-2.0, np.ceil(np.log2((end - begin) / scale)) + 1)
        panels.append(begin + scale * 2.0**doublings)
    edges = np.unique(np.clip(np.concatenate(panels), begin, end))
    return float(panel_weights(NODES, edges) @ function(panel_points(NODES, edges)))
