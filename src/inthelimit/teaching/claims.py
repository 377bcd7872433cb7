"""Sentences of a theorem, turned into numbers that the notebook computes and judges.

A claim names its source, says what is true, gives the measured value and the bound, and
a *contrast*: the same quantity for the nearest wrong statement.  The bound must accept
the first and reject the second; if it accepts both, the check could not have failed,
and that is an error too.  Example::

    ledger = Ledger("lasso-path", source="arXiv:2509.18766")
    ledger.at_most("Theorem 2.1", r"\\sup_s|\\bar x^\\varepsilon(s) - x(s)|",
                   measured=gap, bound=7 / L, contrast=gap_with_wrong_clock,
                   because="the clock is 2t/log(1/ε), not 4t/log(1/ε)")
    ledger.table()
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

Relation = Literal["≤", "≥", "=", "slope"]


class ClaimFailed(AssertionError):
    """A claim is false, or its contrast passes the same test and so the claim says nothing."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence of a theorem, measured.

    Attributes
    ----------
    source
        Where the sentence stands, e.g. ``"Theorem 2.1"``.
    statement
        The quantity, in TeX without dollars.
    relation
        ``"≤"``, ``"≥"``, ``"="`` (within the tolerance) or ``"slope"`` (a fitted exponent).
    measured, bound, contrast
        Numbers, one for each size at which the claim was measured.
    tolerance
        Half-width of what counts as equal; 0 for inequalities.
    because
        What the contrast changes, in words.
    holds, rejects
        Whether the measured numbers satisfy the relation, and whether the contrast violates it.
    """

    source: str
    statement: str
    relation: Relation
    measured: tuple[float, ...]
    bound: tuple[float, ...]
    contrast: tuple[float, ...]
    tolerance: tuple[float, ...]
    because: str
    holds: bool
    rejects: bool

    @property
    def passed(self) -> bool:
        """Whether the claim holds and its contrast is rejected."""
        return self.holds and self.rejects

    @property
    def verdict(self) -> str:
        """What happened, in words."""
        if not self.holds:
            return "FALSE"
        return "holds" if self.rejects else "EMPTY: the contrast passes too"


def _numbers(name: str, value: ArrayLike) -> np.ndarray:
    numbers = np.atleast_1d(np.asarray(value, dtype=float))
    if numbers.ndim != 1 or numbers.size == 0:
        raise ValueError(
            f"{name} must be a number or a non-empty list of numbers, got shape {numbers.shape}"
        )
    return numbers


def _show(numbers: tuple[float, ...]) -> str:
    return ", ".join(f"{number:.3g}" for number in numbers)


def fitted_slope(sizes: ArrayLike, errors: ArrayLike) -> tuple[float, float]:
    """Fit errors ~ sizes ** slope by least squares in logarithms.

    Parameters
    ----------
    sizes, errors : arrays of shape (k,), k ≥ 3, positive
        The parameter and the gap measured there.

    Returns
    -------
    slope, standard_error : float

    Raises
    ------
    ValueError
        If there are fewer than three points, or one is not positive and finite.
    """
    sizes, errors = _numbers("sizes", sizes), _numbers("errors", errors)
    if sizes.size < 3 or sizes.size != errors.size:
        raise ValueError(
            "a rate needs at least three sizes and one error for each, "
            f"got {sizes.size} sizes and {errors.size} errors"
        )
    for name, numbers in (("sizes", sizes), ("errors", errors)):
        if not (np.isfinite(numbers).all() and (numbers > 0).all()):
            raise ValueError(f"{name} must be positive and finite, got {numbers.tolist()}")
    x, y = np.log(sizes), np.log(errors)
    x = x - x.mean()
    if not x.any():
        raise ValueError(f"sizes must differ, got {sizes.tolist()}")
    slope = float(x @ y / (x @ x))
    residual = y - y.mean() - slope * x
    return slope, float(np.sqrt(residual @ residual / (sizes.size - 2) / (x @ x)))


class Ledger:
    """The claims of one chapter.

    Parameters
    ----------
    chapter
        Short name, e.g. ``"lasso-path"``; the book's ledger page finds the table by it.
    source
        The paper, e.g. ``"arXiv:2509.18766"``.

    Attributes
    ----------
    claims : list of Claim
    """

    def __init__(self, chapter: str, source: str) -> None:
        self.chapter = chapter
        self.source = source
        self.claims: list[Claim] = []

    def at_most(
        self, source: str, statement: str, *,
        measured: ArrayLike, bound: ArrayLike, contrast: ArrayLike, because: str,
    ) -> Claim:  # fmt: skip
        """Claim that measured ≤ bound, at every size given.

        Parameters
        ----------
        source, statement, because
            As in :class:`Claim`.
        measured, bound, contrast : float or array of shape (k,)
            Compared element by element; a single bound serves all.  The contrast is
            rejected when it breaks the bound somewhere, as one counter-example does.
        """
        return self._judge(source, statement, "≤", measured, bound, contrast, 0.0, because)

    def at_least(
        self, source: str, statement: str, *,
        measured: ArrayLike, bound: ArrayLike, contrast: ArrayLike, because: str,
    ) -> Claim:  # fmt: skip
        """Claim that measured ≥ bound, at every size given; see :meth:`at_most`."""
        return self._judge(source, statement, "≥", measured, bound, contrast, 0.0, because)

    def equals(
        self, source: str, statement: str, *,
        measured: ArrayLike, expected: ArrayLike, tolerance: ArrayLike,
        contrast: ArrayLike, because: str,
    ) -> Claim:  # fmt: skip
        """Claim that abs(measured - expected) ≤ tolerance, at every size given.

        The tolerance comes from the theorem's rate, from rounding, or from three standard
        errors of a Monte Carlo mean; see :meth:`at_most` for the rest.
        """
        return self._judge(source, statement, "=", measured, expected, contrast, tolerance, because)

    def rate(
        self, source: str, statement: str, *,
        sizes: ArrayLike, errors: ArrayLike, exponent: float,
        contrast: ArrayLike, because: str, tolerance: float | None = None,
    ) -> Claim:  # fmt: skip
        """Claim that errors ~ sizes ** exponent.

        Parameters
        ----------
        source, statement, because
            As in :class:`Claim`.
        sizes, errors : arrays of shape (k,), k ≥ 3
            Measured gaps; their slope is fitted in logarithms.
        exponent
            The theorem's.
        contrast : float or array of shape (k,)
            Either a wrong exponent, which the measured slope must not match, or the gaps of
            the nearest wrong system, whose slope must not match the theorem's exponent.
        tolerance
            Allowed distance from the exponent; by default three standard errors of the fit.
            Give it when the points follow a known curve rather than scatter about a line.
        """
        slope, error = fitted_slope(sizes, errors)
        width = 3 * error if tolerance is None else tolerance
        other = _numbers("contrast", contrast)
        wrong = other[0] if other.size == 1 else fitted_slope(sizes, other)[0]
        # A wrong exponent must be told apart from the slope measured, not only from the right one.
        distinct = other.size > 1 or bool(abs(wrong - slope) > width)
        return self._judge(
            source, statement, "slope", slope, exponent, wrong, width, because, distinct
        )

    def _judge(
        self, source: str, statement: str, relation: Relation,
        measured: ArrayLike, bound: ArrayLike, contrast: ArrayLike,
        tolerance: ArrayLike, because: str, distinct: bool = True,
    ) -> Claim:  # fmt: skip
        if not because.strip():
            raise ValueError("because must say what the contrast changes, got an empty text")
        value, limit = _numbers("measured", measured), _numbers("bound", bound)
        other, width = _numbers("contrast", contrast), _numbers("tolerance", tolerance)
        if not (np.isfinite(limit).all() and np.isfinite(width).all() and (width >= 0).all()):
            raise ValueError(
                "bound and tolerance must be finite, tolerance ≥ 0, "
                f"got {limit.tolist()} and {width.tolist()}"
            )
        for name, numbers in (("bound", limit), ("tolerance", width)):
            if numbers.size not in (1, value.size):
                raise ValueError(
                    f"{name} must have 1 or {value.size} numbers like measured, got {numbers.size}"
                )
        if other.size not in (1, value.size):
            raise ValueError(
                f"contrast must have 1 or {value.size} numbers like measured, got {other.size}"
            )

        def satisfied(numbers: np.ndarray) -> bool:
            # Written so that NaN never satisfies: a comparison with NaN is false.
            if relation == "≤":
                return bool((numbers <= limit).all())
            if relation == "≥":
                return bool((numbers >= limit).all())
            return bool((np.abs(numbers - limit) <= width).all())

        claim = Claim(
            source, statement, relation, tuple(value.tolist()), tuple(limit.tolist()),
            tuple(other.tolist()), tuple(width.tolist()), because,
            holds=satisfied(value),
            rejects=distinct and not np.isnan(other).any() and not satisfied(other),
        )  # fmt: skip
        self.claims.append(claim)
        return claim

    def verdicts(self) -> str:
        """One line per claim, source and verdict: short enough to be stored and compared."""
        return "\n".join(f"{claim.source}: {claim.verdict}" for claim in self.claims)

    def table(self) -> LedgerTable:
        """The table of all claims.

        Raises
        ------
        ClaimFailed
            If a claim is false or empty; the message lists each such claim with its numbers.
        ValueError
            If there is no claim.
        """
        if not self.claims:
            raise ValueError(f"the ledger {self.chapter!r} has no claims")
        failed = [claim for claim in self.claims if not claim.passed]
        if failed:
            raise ClaimFailed(
                f"{len(failed)} of {len(self.claims)} claims of {self.chapter!r} fail:\n"
                + "\n".join(_line(claim) for claim in failed)
            )
        return LedgerTable(self)


def _relation(claim: Claim) -> str:
    if claim.relation == "=":
        return f"{_show(claim.bound)} ± {_show(claim.tolerance)}"
    if claim.relation == "slope":
        return f"slope {_show(claim.bound)} ± {_show(claim.tolerance)}"
    return f"{claim.relation} {_show(claim.bound)}"


def _line(claim: Claim) -> str:
    return (
        f"[{claim.verdict}] {claim.source}: {claim.statement}: measured {_show(claim.measured)}, "
        f"expected {_relation(claim)}; contrast {_show(claim.contrast)} ({claim.because})"
    )


class LedgerTable:
    """How a ledger is shown: HTML in a notebook or page, plain text elsewhere.

    Displaying it also stores it under the name ``ledger-<chapter>``, which the book's
    ledger page pastes: the output carries the metadata that glue looks for.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def __repr__(self) -> str:
        return "\n".join(_line(claim) for claim in self._ledger.claims)

    def _html(self) -> str:
        rows = "".join(
            "<tr>"
            f'<th scope="row">{html.escape(claim.source)}'
            f'<div class="tex2jax_process">\\({html.escape(claim.statement)}\\)</div></th>'
            f"<td>{_show(claim.measured)}</td><td>{html.escape(_relation(claim))}</td>"
            f"<td>{_show(claim.contrast)}<br><small>{html.escape(claim.because)}</small></td>"
            f"<td>✓ {claim.verdict}</td></tr>"
            for claim in self._ledger.claims
        )
        return (
            '<div class="ledger" tabindex="0" role="region" '
            f'aria-label="Claims: {html.escape(self._ledger.chapter)}">'
            "<table><thead><tr>"
            + "".join(
                f'<th scope="col">{name}</th>'
                for name in ("Claim", "Measured", "Expected", "Contrast", "Verdict")
            )
            + f"</tr></thead><tbody>{rows}</tbody></table></div>"
        )

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, str], dict[str, object]]:
        data = {"text/plain": repr(self), "text/html": self._html()}
        name = f"ledger-{self._ledger.chapter}"
        return data, {"scrapbook": {"name": name, "mime_prefix": ""}}
