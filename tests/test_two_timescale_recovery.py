"""Chances of a good start, and the law of the hit times, against exact sums and simulation."""

from fractions import Fraction
from itertools import product
from math import comb, factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, kstest

from inthelimit.two_timescale import (
    PiecewiseConstant,
    hit_time,
    hit_time_law,
    limit_flow,
    neurons_needed,
    recovery_probability,
    scaled_hit_time_cdf,
)

STAIRCASE = PiecewiseConstant([0.2, 0.35, 0.5, 0.65, 0.8], [1, 5, 1, 3, 1, 5])
TWENTIETHS = (4, 3, 3, 3, 3, 4)


def even(n):
    """Return a staircase of n equal pieces."""
    return PiecewiseConstant(np.arange(1, n) / n, np.arange(n) % 2)


def exact_probability(lengths, needed, m):
    """Return m! [x^m] Π_i Σ_(k ≥ r_i) (ℓ_i x)^k/k! in rational numbers."""
    series = [Fraction(1)] + [Fraction(0)] * m
    for length, least in zip(lengths, needed, strict=True):
        fresh = [Fraction(0)] * (m + 1)
        for j, k in product(range(m + 1), repeat=2):
            if k >= least and j + k <= m:
                fresh[j + k] += series[j] * Fraction(length) ** k / factorial(k)
        series = fresh
    return series[m] * factorial(m)


def probability_by_binomials(lengths, needed, m):
    """Return the same, piece after piece: each takes a binomial share of the neurons left."""
    left = np.zeros(m + 1)
    left[m] = 1.0
    rest = 1.0
    for length, least in zip(lengths[:-1], needed[:-1], strict=True):
        fresh = np.zeros(m + 1)
        for total in np.flatnonzero(left):
            taken = np.arange(least, total + 1)
            fresh[total - taken] += left[total] * binom.pmf(taken, total, length / rest)
        left, rest = fresh, rest - length
    return left[needed[-1] :].sum()


def good_hit_times(target, m, draws, rng):
    """Return hit times (k, n − 1) of the good ones among so many random starts."""
    u = np.sort(rng.random((draws, m)), axis=1)
    counts = np.stack(
        [
            ((u > low) & (u <= high)).sum(axis=1)
            for low, high in zip(target.edges[:-1], target.edges[1:], strict=True)
        ],
        axis=1,
    )
    needed = np.r_[1, [2] * (target.n_pieces - 2), 1]
    away = u[(counts >= needed).all(axis=1)][:, :, None] - target.breakpoints
    p = np.where(away <= 0.0, -away, np.inf).min(axis=1)
    q = np.where(away > 0.0, away, np.inf).min(axis=1)
    return hit_time(p, q, target.jumps)


# The chance of a good start


@pytest.mark.parametrize("m", [9, 10, 11, 12, 20, 40])
@pytest.mark.parametrize(("interior", "ends"), [(2, 1), (2, 2), (1, 0), (0, 3), (0, 0)])
def test_exact_probability_is_the_rational_one(m, interior, ends):
    needed = [ends, *[interior] * 4, ends]
    expected = exact_probability([Fraction(k, 20) for k in TWENTIETHS], needed, m)
    chance = recovery_probability(STAIRCASE, m, interior=interior, ends=ends)
    assert chance.exact == pytest.approx(float(expected), rel=1e-12, abs=0.0)


def test_exact_probability_is_inclusion_and_exclusion_over_empty_pieces():
    lengths = np.diff(STAIRCASE.edges)
    expected = sum(
        (-1) ** sum(empty) * (1.0 - lengths[list(map(bool, empty))].sum()) ** 30
        for empty in product((0, 1), repeat=6)
    )
    chance = recovery_probability(STAIRCASE, 30, interior=1, ends=1)
    assert chance.exact == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("m", [198, 199, 210, 250])
def test_exact_probability_keeps_its_digits_with_a_hundred_pieces(m):
    target, needed = even(100), [1] + [2] * 98 + [1]
    if m == 198:
        expected = float(Fraction(factorial(198), 2**98 * 100**198))
    elif m == 199:
        # One count is larger by one.
        one_more = Fraction(2, 2) + Fraction(98, 3)
        expected = float(Fraction(factorial(199), 2**98 * 100**199) * one_more)
    else:
        expected = probability_by_binomials(np.full(100, 0.01), needed, m)
    assert recovery_probability(target, m).exact == pytest.approx(expected, rel=1e-11, abs=0.0)


def test_ten_thousand_neurons_find_a_hundred_pieces_almost_surely():
    chance = recovery_probability(even(100), 10_000)
    assert chance.exact == pytest.approx(1.0, abs=1e-10)
    assert chance.bound == pytest.approx(1.0, abs=1e-10)


def test_chances_of_the_published_setting():
    # Two neurons in every piece, as the paper's code asks, and what the limit flow needs.
    stricter = [recovery_probability(STAIRCASE, m, ends=2).exact for m in (20, 40, 60)]
    assert stricter == pytest.approx([0.3362, 0.9490, 0.9973], abs=1e-4)
    assert recovery_probability(STAIRCASE, 20).exact == pytest.approx(0.4056, abs=1e-4)


def test_chance_is_the_share_of_starts_that_the_limit_flow_calls_good():
    rng, draws = np.random.default_rng(4), 2000
    good = sum(limit_flow(STAIRCASE, rng.random(24), [0.0]).status == "ok" for _ in range(draws))
    exact = recovery_probability(STAIRCASE, 24).exact
    assert good / draws == pytest.approx(exact, abs=3.5 * np.sqrt(exact * (1 - exact) / draws))


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 7), st.integers(0, 90), st.integers(0, 4), st.integers(0, 3), st.integers(0))
def test_bounds_stay_below_and_chances_grow_with_neurons(n, m, interior, ends, seed):
    cuts = np.sort(np.random.default_rng(seed).random(n - 1))
    target = PiecewiseConstant(cuts, np.arange(n))
    chances = [recovery_probability(target, k, interior=interior, ends=ends) for k in (m, m + 1)]
    for chance in chances:
        assert 0.0 <= chance.bound_by_shortest <= chance.bound + 1e-13
        assert chance.bound <= chance.exact + 1e-12
        assert chance.exact <= 1.0
    assert chances[0].exact <= chances[1].exact * (1 + 1e-11)


def test_bounds_are_the_sums_of_binomial_risks():
    m, n, shortest = 60, 6, 0.15
    crude = 1 - n * (1 + (m - 1) * shortest) * (1 - shortest) ** (m - 1)
    both_ends = 2 * 0.8**m
    inner = 4 * (0.85**m + m * 0.15 * 0.85 ** (m - 1))
    chance = recovery_probability(STAIRCASE, m)
    assert chance.bound_by_shortest == pytest.approx(crude, rel=1e-12)
    assert chance.bound == pytest.approx(1 - both_ends - inner, rel=1e-12)
    open_ends = recovery_probability(STAIRCASE, m, ends=0)
    assert open_ends.bound == pytest.approx(1 - inner, rel=1e-12)
    assert recovery_probability(STAIRCASE, 12).bound == 0.0


def test_too_few_neurons_have_no_chance():
    chance = recovery_probability(STAIRCASE, 9)
    assert (chance.exact, chance.bound, chance.bound_by_shortest) == (0.0, 0.0, 0.0)
    assert recovery_probability(STAIRCASE, 0).exact == 0.0
    assert recovery_probability(STAIRCASE, 0, interior=0, ends=0).exact == 1.0


def test_one_piece_needs_what_an_end_needs():
    assert recovery_probability(PiecewiseConstant([], [1.0]), 1).exact == pytest.approx(1.0)


def test_very_short_pieces_have_a_chance_that_is_not_lost():
    target = PiecewiseConstant([0.5, 0.5 + 2**-50], [0.0, 1.0, 0.0])
    # Two of four in the middle, one on each side.
    expected = 12 * (2.0**-50) ** 2 / 4 * 1.0
    assert recovery_probability(target, 4).exact == pytest.approx(expected, rel=1e-10)
    assert recovery_probability(target, 5).exact == pytest.approx(
        comb(5, 2) * (2.0**-50) ** 2 * 2 * (1 / 8) * 3, rel=1e-10
    )


def test_many_needed_in_a_piece_are_counted():
    target = PiecewiseConstant([0.5], [0.0, 1.0])
    for m, least in ((900, 440), (900, 450), (1999, 950), (2000, 1000)):
        counts = np.arange(least, m - least + 1)
        expected = binom.pmf(counts, m, 0.5).sum()
        chance = recovery_probability(target, m, ends=least).exact
        assert chance == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("probability", [0.0, 0.01, 0.5, 0.9, 0.999, 1 - 1e-8])
def test_neurons_needed_is_the_smallest_number(probability):
    m = neurons_needed(STAIRCASE, probability)
    assert recovery_probability(STAIRCASE, m).exact >= probability
    if probability > 0.0:
        assert recovery_probability(STAIRCASE, m - 1).exact < probability
    assert recovery_probability(STAIRCASE, m).exact > 0.0


# The law of the hit times


@pytest.mark.parametrize(("m", "draws"), [(12, 200_000), (20, 20_000), (60, 10_000)])
def test_hit_times_of_random_good_starts_have_the_law(m, draws):
    law = hit_time_law(STAIRCASE, m)
    sample = good_hit_times(STAIRCASE, m, draws, np.random.default_rng(m))
    assert len(sample) > 4000
    grid = law.latest.max() * np.linspace(0.0, 1.0, 400) ** 2
    for times, cdf in zip(sample.T, law.cdf(grid).T, strict=True):
        result = kstest(times, lambda t, cdf=cdf: np.interp(t, grid, cdf))
        # Fifteen tests, so 3.5 standard errors in all are about this level.
        assert result.pvalue > 1e-4
    error = sample.std(axis=0) / np.sqrt(len(sample))
    assert (np.abs(sample.mean(axis=0) - law.mean) < 4 * error).all()


def test_law_of_the_first_hits_of_the_limit_flow_itself():
    rng, law = np.random.default_rng(9), hit_time_law(STAIRCASE, 30)
    flows = [limit_flow(STAIRCASE, rng.random(30), [0.0]) for _ in range(1500)]
    times = np.array([flow.hit_times for flow in flows if flow.status == "ok"])
    below = (times <= law.quantile(0.3)).mean(axis=0)
    assert (np.abs(below - 0.3) < 4 * np.sqrt(0.3 * 0.7 / len(times))).all()
    over = (times.max(axis=1) <= law.quantile_of_last(0.8)).mean()
    assert abs(over - 0.8) < 4 * np.sqrt(0.8 * 0.2 / len(times))


@pytest.mark.parametrize(("m", "draws"), [(12, 1_000_000), (20, 100_000), (60, 50_000)])
def test_last_hits_of_random_good_starts_have_their_law_and_are_not_independent(m, draws):
    law, rng = hit_time_law(STAIRCASE, m), np.random.default_rng(m + 1)
    sample = np.concatenate(
        [good_hit_times(STAIRCASE, m, draws // 10, rng) for _ in range(10)]
    ).max(axis=1)
    times = np.array([0.3, 1.0, 2.0, 5.0]) * np.median(sample)
    exact = law.cdf_of_last(times)
    error = np.sqrt(exact * (1 - exact) / len(sample))
    share = (sample <= times[:, None]).mean(axis=1)
    assert (np.abs(share - exact) < 4 * error).all()
    if m == 20:
        independent = np.prod(law.cdf(times), axis=1)
        assert (np.abs(share - independent) > 5 * error).any()


def test_law_of_the_last_is_that_of_the_only_one():
    times = np.array([0.003, 0.01, 0.05, 0.1, 0.2])
    for m in (2, 3, 8, 90):
        law = hit_time_law(PiecewiseConstant([0.4], [0.0, 2.0]), m)
        assert law.cdf_of_last(times) == pytest.approx(law.cdf(times)[:, 0], abs=1e-7)
        assert law.quantile_of_last(0.4) == pytest.approx(law.quantile(0.4)[0], rel=1e-6)


@pytest.mark.parametrize("m", [198, 199, 220, 400])
def test_law_of_the_last_keeps_its_digits_where_a_good_start_has_no_chance(m):
    law = hit_time_law(even(100), m)
    assert law.cdf_of_last(law.latest.max() * (1 - 1e-12)) == pytest.approx(1.0, abs=1e-8)
    assert 0.0 < law.cdf_of_last(law.latest.max() / 4) < 1.0


@pytest.mark.parametrize("m", [10, 11, 20, 400])
def test_law_of_the_last_keeps_within_what_any_dependence_allows(m):
    law = hit_time_law(STAIRCASE, m)
    # Nobody is later than the latest possible: the chain gives back the chance of a good start.
    assert law.cdf_of_last(law.latest.max() * (1 - 1e-12)) == pytest.approx(1.0, abs=1e-9)
    times = np.linspace(0.0, 0.1, 12)
    each, last = law.cdf(times), law.cdf_of_last(times)
    assert (last <= each.min(axis=1) + 1e-6).all()
    assert (last >= 1 - (1 - each).sum(axis=1) - 1e-6).all()
    assert (np.diff(last) >= -1e-6).all()
    assert law.cdf_of_last([-1.0, 0.0, 1.0]).tolist() == [0.0, 0.0, 1.0]


def test_law_with_one_neuron_on_either_side_is_two_uniform_distances():
    # p = q = r uniform: T > t means both nearer than … an integral done by a fine midpoint rule.
    target, k = PiecewiseConstant([0.4], [0.0, 2.0]), 800
    p, q = 0.4 * (np.arange(k) + 0.5) / k, 0.6 * (np.arange(k) + 0.5) / k
    times = hit_time(p[:, None], q, 2.0)
    law = hit_time_law(target, 2)
    assert law.good_start == pytest.approx(2 * 0.4 * 0.6, rel=1e-12)
    for t in (0.01, 0.05, 0.1, 0.15, 0.3):
        assert law.cdf(t)[0] == pytest.approx((times <= t).mean(), abs=2e-4)
    assert law.mean[0] == pytest.approx(times.mean(), abs=1e-5)


@pytest.mark.parametrize("m", [10, 20, 300])
def test_cdf_rises_from_zero_to_one_and_quantiles_invert_it(m):
    law = hit_time_law(STAIRCASE, m)
    grid = np.linspace(-0.01, 1.01 * law.latest.max(), 60)
    cdf = law.cdf(grid)
    assert cdf.shape == (60, 5)
    assert (cdf[grid <= 0.0] == 0.0).all()
    assert (np.diff(cdf, axis=0) >= -1e-12).all()
    assert (cdf[-1] == 1.0).all()
    for level in (0.05, 0.5, 0.999):
        times = law.quantile(level)
        assert np.diagonal(law.cdf(times)) == pytest.approx(np.full(5, level), abs=1e-9)
    assert (law.quantile(0.0) == 0.0).all()
    assert (law.quantile(1.0) == law.latest).all()


def test_quadrature_of_the_law_has_converged(monkeypatch):
    grid = np.array([1e-5, 1e-3, 0.02, 0.1])
    coarse = {m: hit_time_law(STAIRCASE, m) for m in (10, 50)}
    values = {m: (law.cdf(grid), law.mean) for m, law in coarse.items()}
    last = coarse[10].cdf_of_last(grid)
    monkeypatch.setattr("inthelimit.two_timescale.hit_laws.NODES", 24)
    monkeypatch.setattr("inthelimit.two_timescale._last_hit.NODES", 24)
    assert coarse[10].cdf_of_last(grid) == pytest.approx(last, abs=1e-6)
    for m, (cdf, mean) in values.items():
        assert coarse[m].cdf(grid) == pytest.approx(cdf, abs=1e-9)
        assert coarse[m].mean == pytest.approx(mean, rel=1e-7)


def test_joint_counts_are_the_multinomial_ones_given_a_good_start():
    m, lengths = 13, [Fraction(k, 20) for k in TWENTIETHS]
    needed = [1, 2, 2, 2, 2, 1]
    law = hit_time_law(STAIRCASE, m)
    whole = exact_probability(lengths, needed, m)
    for k, kk in ((2, 2), (3, 2), (4, 3)):
        others = [length for i, length in enumerate(lengths) if i not in (1, 2)]
        rest = exact_probability(others, [1, 2, 2, 1], m - k - kk)
        ways = Fraction(factorial(m), factorial(k) * factorial(kk) * factorial(m - k - kk))
        expected = ways * lengths[1] ** k * lengths[2] ** kk * rest / whole
        assert law.counts[1][k, kk] == pytest.approx(float(expected), rel=1e-11)
    assert all(counts.sum() == pytest.approx(1.0, abs=1e-12) for counts in law.counts)
    assert law.counts[1][:2].max() == 0.0


def test_scaled_law_is_that_of_two_exponential_distances():
    rng, draws = np.random.default_rng(11), 100_000
    sample = hit_time(*rng.exponential(size=(2, draws)), 1.0)
    grid = np.linspace(0.0, 40.0, 2000)
    cdf = scaled_hit_time_cdf(grid)
    assert kstest(sample, lambda s: np.interp(s, grid, cdf)).pvalue > 1e-3
    assert ((1 - cdf[1:]) + (1 - cdf[:-1])).sum() * grid[1] / 2 == pytest.approx(0.89056, abs=1e-4)
    assert scaled_hit_time_cdf([-1.0, 0.0, 1e9]).tolist() == [0.0, 0.0, 1.0]


def test_law_tends_to_the_scaled_one_at_rate_one_over_m():
    s = np.array([0.2, 1.0, 3.0])
    limit = scaled_hit_time_cdf(s)
    sizes, gaps = np.array([100, 200, 400, 800]), []
    for m in sizes:
        law = hit_time_law(STAIRCASE, int(m))
        times = s[:, None] / m / STAIRCASE.jumps**2
        cdf = np.array([[law.cdf(t)[i] for i, t in enumerate(row)] for row in times])
        gaps.append(np.abs(cdf - limit[:, None]).max())
    slope = np.polyfit(np.log(sizes), np.log(gaps), 1)[0]
    assert slope == pytest.approx(-1.0, abs=0.1)


# Bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: recovery_probability(STAIRCASE, 2.5), "n_neurons must be an integer, got 2.5"),
        (lambda: recovery_probability(STAIRCASE, -1), "n_neurons must be ≥ 0, got -1"),
        (lambda: recovery_probability(STAIRCASE, 9, interior=-1), "interior must be ≥ 0, got -1"),
        (lambda: recovery_probability(STAIRCASE, 9, ends=1.0), "ends must be an integer, got 1.0"),
        (lambda: neurons_needed(STAIRCASE, 1.0), "probability must be ≤ 1, got 1.0"),
        (lambda: neurons_needed(STAIRCASE, -0.1), "probability must be ≥ 0, got -0.1"),
        (lambda: hit_time_law(STAIRCASE, 9), "n_neurons must be ≥ 10, .* got 9"),
        (lambda: hit_time_law(PiecewiseConstant([], [1.0]), 9), "target must have a jump"),
        (lambda: hit_time_law(STAIRCASE, 10).quantile(1.5), "probability must be ≤ 1, got 1.5"),
        (lambda: hit_time_law(STAIRCASE, 10).cdf(np.inf), "times must be finite"),
        (lambda: hit_time_law(STAIRCASE, 10).cdf_of_last(np.nan), "times must be finite"),
        (lambda: hit_time_law(STAIRCASE, 10).quantile_of_last(-1), "probability must be ≥ 0"),
        (lambda: scaled_hit_time_cdf(np.nan), "s must be finite"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
