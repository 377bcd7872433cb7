"""Whether walks on a lattice return to their start in even numbers of steps only, in integers.

If they do, steps give the points that a walk reaches a sign, (−1)^steps, which is a character of
the group of these points and extends to one of Z^d: a ξ with u·ξ ≡ π mod 2π for all offsets u.
Conversely such a ξ tells even from odd.
"""

from collections.abc import Iterable
from math import gcd

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


def return_evenly(offsets: Integers, identified: Iterable[Integers] = ()) -> bool:
    """Return whether all sums of offsets that are 0, up to `identified` points, have even length.

    The sums of offsets, with their lengths, are the integer combinations of the rows (u, 1) and
    (p, 0) for identified p.  Euclid's algorithm along the columns leaves rows (0, k) that generate
    the lengths of the returns.  As (u, 1) + (−u, 1) = (0, 2), only whether one is odd is open.
    """
    rows = [[*u, 1] for u in offsets.tolist()] + [[*p.tolist(), 0] for p in identified]
    for column in range(offsets.shape[1]):
        rows = _eliminated(rows, column)
    return gcd(*(row[-1] for row in rows)) % 2 == 0


def _eliminated(rows: list[list[int]], column: int) -> list[list[int]]:
    """Return generators of those integer combinations of rows that have 0 in the column."""
    kept = [row for row in rows if row[column] == 0]
    rest = [row for row in rows if row[column] != 0]
    while len(rest) > 1:
        pivot = min(rest, key=lambda row: abs(row[column]))
        rest.remove(pivot)
        reduced = [_minus(row, row[column] // pivot[column], pivot) for row in rest]
        kept += [row for row in reduced if row[column] == 0]
        rest = [pivot] + [row for row in reduced if row[column] != 0]
    return kept


def _minus(row: list[int], factor: int, pivot: list[int]) -> list[int]:
    return [x - factor * y for x, y in zip(row, pivot, strict=True)]
