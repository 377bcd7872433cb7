"""What the iterations of this chapter share: when to read them, and copies on all processors."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inthelimit import _checks, _compiled

Result = TypeVar("Result")


def in_threads(run: Callable[[int], Result], n: int) -> list[Result]:
    """Return `run` of 0, …, n − 1; only compiled kernels let threads run side by side."""
    workers = min(os.cpu_count() or 1, n) if _compiled.njit is not None else 1
    if workers == 1:
        return [run(i) for i in range(n)]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(run, range(n)))


def copies_last(results: NDArray[Any], single: bool) -> NDArray[Any]:
    """Return results with their first axis, of copies, moved to the end, or taken off."""
    return results[0] if single else np.moveaxis(results, 0, -1)


def readings(record: int | ArrayLike, length: int, name: str) -> NDArray[np.int64]:
    """Return after how many iterations of a run to read it: `length` is called `name`."""
    if np.ndim(record) == 0:
        parts = _checks.integer("record", record, at_least=1)  # type: ignore[arg-type]
        return np.unique(np.linspace(0, length, parts + 1).round().astype(np.int64))
    reads = np.asarray(record)
    if reads.dtype.kind not in "iu":
        raise ValueError(f"record must be integers, got dtype {reads.dtype}")
    _checks.increasing("record", reads, at_least=0.0)
    if reads[-1] > length:
        raise ValueError(f"record must be ≤ {name} = {length}, got {reads[-1]}")
    return reads.astype(np.int64)
