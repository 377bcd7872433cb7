"""Numbers for sentences: what a cell computes, the text around it shows."""

from __future__ import annotations

import math


def keep(name: str, value: float) -> None:
    """Keep a number under a name, for the text to show as ``{glue:text}`name:.2f```.

    Parameters
    ----------
    name
        Unique in the book: begin with the chapter's name if it is a common word.
    value
        Any real number; NumPy's are turned into Python's, which a format can round.

    Raises
    ------
    ValueError
        If the value is not finite: a sentence with "nan" in it helps nobody.
    """
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite to stand in a sentence, got {number}")
    from myst_nb import glue  # the book's, not the solvers': imported where it is needed

    glue(name, number, display=False)
