"""Claims pass when they should, and above all fail when they should."""

import numpy as np
import pytest

from inthelimit.teaching.claims import ClaimFailed, Ledger, fitted_slope


@pytest.fixture
def ledger():
    return Ledger("test", source="arXiv:0000.00000")


def at_most(ledger, **changes):
    numbers = {"measured": 1.0, "bound": 2.0, "contrast": 3.0, "because": "wrong clock"}
    return ledger.at_most("Theorem 1", "x", **(numbers | changes))


def test_a_true_claim_with_a_false_contrast_passes(ledger):
    claim = at_most(ledger)
    assert claim.passed
    assert claim.verdict == "holds"
    assert "Theorem 1" in repr(ledger.table())


def test_a_false_claim_fails_the_table_with_its_numbers(ledger):
    at_most(ledger, measured=2.5)
    with pytest.raises(ClaimFailed, match=r"1 of 1 claims.*\n\[FALSE\] Theorem 1.*2\.5.*≤ 2"):
        ledger.table()


def test_a_contrast_that_passes_fails_the_table(ledger):
    at_most(ledger)
    at_most(ledger, contrast=1.9)
    with pytest.raises(ClaimFailed, match=r"1 of 2 claims.*\n\[EMPTY"):
        ledger.table()


@pytest.mark.parametrize("bad", [np.nan, [1.0, np.nan]])
def test_nan_never_passes(ledger, bad):
    assert not at_most(ledger, measured=bad).holds
    assert not at_most(ledger, contrast=bad if np.ndim(bad) == 0 else np.nan).rejects


def test_a_diverging_contrast_is_rejected_by_an_upper_bound(ledger):
    assert at_most(ledger, contrast=np.inf).passed


def test_every_size_must_hold_and_one_counter_example_rejects(ledger):
    assert not at_most(ledger, measured=[1.0, 2.5, 1.0]).holds
    assert at_most(ledger, measured=[1, 1, 1], contrast=[1, 1, 3]).passed
    assert not at_most(ledger, measured=[1, 1, 1], contrast=[1, 1, 1]).rejects


def test_at_least_is_the_mirror_image(ledger):
    claim = ledger.at_least("P", "x", measured=3, bound=2, contrast=1, because="other")
    assert claim.passed
    assert not ledger.at_least("P", "x", measured=1, bound=2, contrast=1, because="other").holds


def test_equality_is_within_the_tolerance(ledger):
    options = {"expected": 1.0, "tolerance": 0.1, "because": "other"}
    assert ledger.equals("P", "x", measured=1.09, contrast=2, **options).passed
    assert not ledger.equals("P", "x", measured=1.11, contrast=2, **options).holds
    assert not ledger.equals("P", "x", measured=1.0, contrast=1.05, **options).rejects


def test_slope_of_a_power_law_is_exact_and_its_error_zero():
    sizes = np.array([1.0, 0.1, 0.01])
    slope, error = fitted_slope(sizes, 3 * sizes**1.5)
    assert slope == pytest.approx(1.5, abs=1e-12)
    assert error == pytest.approx(0, abs=1e-12)


def test_standard_error_of_the_slope_covers_the_truth():
    rng = np.random.default_rng(1)
    sizes = np.geomspace(1, 1e-3, 12)
    inside = 0
    for _ in range(400):
        slope, error = fitted_slope(sizes, sizes * np.exp(0.1 * rng.standard_normal(12)))
        inside += abs(slope - 1) < 2.228 * error  # Student's 95 % with ten degrees of freedom
    assert abs(inside / 400 - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 400)


def test_rate_rejects_a_wrong_exponent_and_a_wrong_system(ledger):
    sizes = np.array([1.0, 0.1, 0.01, 0.001])
    options = {"sizes": sizes, "exponent": 1, "tolerance": 0.05, "because": "other"}
    assert ledger.rate("T", "x", errors=sizes, contrast=0.5, **options).passed
    assert ledger.rate("T", "x", errors=sizes, contrast=np.ones(4), **options).passed
    assert not ledger.rate("T", "x", errors=sizes**0.9, contrast=0.5, **options).holds
    assert not ledger.rate("T", "x", errors=sizes, contrast=1.04, **options).rejects
    assert not ledger.rate("T", "x", errors=sizes, contrast=2 * sizes, **options).rejects
    # 1.08 is not the theorem's exponent, but a slope of 1.04 would not tell them apart.
    assert not ledger.rate("T", "x", errors=sizes**1.04, contrast=1.08, **options).rejects


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"measured": []}, "measured must be a number or a non-empty list"),
        ({"measured": [[1.0]]}, r"measured must be .* got shape \(1, 1\)"),
        ({"bound": np.nan}, "bound and tolerance must be finite"),
        ({"measured": [1, 1, 1], "bound": [1, 1]}, "bound must have 1 or 3 numbers"),
        ({"measured": [1, 1, 1], "contrast": [1, 1]}, "contrast must have 1 or 3 numbers"),
        ({"because": " "}, "because must say"),
    ],
)
def test_bad_input_is_named(ledger, changes, message):
    with pytest.raises(ValueError, match=message):
        at_most(ledger, **changes)


@pytest.mark.parametrize(
    ("sizes", "errors", "message"),
    [
        ([1, 2], [1, 2], "at least three sizes"),
        ([1, 2, 3], [1, 2], "one error for each"),
        ([1, 2, 3], [1, 0, 1], "errors must be positive"),
        ([1, 1, 1], [1, 2, 3], "sizes must differ"),
    ],
)
def test_a_slope_needs_a_line(sizes, errors, message):
    with pytest.raises(ValueError, match=message):
        fitted_slope(sizes, errors)


def test_an_empty_ledger_is_an_error(ledger):
    with pytest.raises(ValueError, match="'test' has no claims"):
        ledger.table()


def test_the_table_is_glued_and_escaped(ledger):
    at_most(ledger, because="a < b")
    data, metadata = ledger.table()._repr_mimebundle_()
    assert metadata == {"scrapbook": {"name": "ledger-test", "mime_prefix": ""}}
    assert "a &lt; b" in data["text/html"]
    assert ledger.verdicts() == "Theorem 1: holds"
