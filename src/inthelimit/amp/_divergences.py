"""The sum of the derivatives of an edge function, Σ_i ∂f_ia/∂x_ib, by every way it can be found.

Here arrays have all their axes: iterates (n, columns, copies), sums (q, r, copies), with q the
columns of the edge and r the visible columns of its reverse.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from inthelimit._checks import Array
from inthelimit.amp._values import checked_value
from inthelimit.amp.graph import AMPGraph, OrientedEdge

# Where truncation, of order h², and rounding, of order 1e-16/h, of a central difference balance.
STEP = float(np.cbrt(np.finfo(np.float64).eps))

Call = Callable[[Array], Array]


class Reading(NamedTuple):
    """What the function of an edge reads at one step."""

    graph: AMPGraph
    edge: OrientedEdge
    t: int
    inputs: tuple[Array, ...]
    side: Array | None
    copies: int | None

    def message(self) -> Array:
        """Return f_e of the inputs, of shape (n, q, copies)."""
        return self._call(self.inputs)

    def along(self, x: Array) -> Array:
        """Return f_e with the iterate of the reverse edge replaced by x."""
        position = self.graph.reads(self.edge).index(self.edge.reverse)
        return self._call((*self.inputs[:position], x, *self.inputs[position + 1 :]))

    @property
    def reverse_input(self) -> Array:
        """The iterate of the reverse edge."""
        return self.inputs[self.graph.reads(self.edge).index(self.edge.reverse)]

    def arguments(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Return the arrays in the shapes that users' functions get them in."""
        return tuple(short(x, self.copies) for x in inputs)

    def _call(self, inputs: Sequence[Array]) -> Array:
        n, q = self.graph.dimensions[self.edge.start], self.graph.columns[self.edge]
        value = self.graph.evaluate(
            self.edge,
            self.t,
            self.arguments(inputs),
            self.side,
            rows=n,
            copies=self.copies,
        )
        return value.reshape(n, q, -1)


def short(x: Array, copies: int | None) -> Array:
    """Return x without the axis of a single column and, without copies, that of copies.

    It can't be written to: a function that works in place would change the run.
    """
    columns = x.shape[1:2] if x.shape[1] > 1 else ()
    view = x.reshape(len(x), *columns, *(() if copies is None else (copies,)))
    view.flags.writeable = False
    return view


def sum_of_derivatives(
    reading: Reading, message: Array, known: Sequence[Array], rng: np.random.Generator | None
) -> tuple[Array, Array | None]:
    """Return Σ_i ∂f_ia/∂x_ib over the reverse edge, 0 in hidden columns, and its standard error.

    `known` are the vectors along which the iterates read have a mean; `rng` draws probes.
    """
    graph, edge = reading.graph, reading.edge
    function, visible = graph.functions[edge], graph.visible(edge.reverse)
    sums = np.zeros((message.shape[1], graph.columns[edge.reverse], message.shape[2]))
    errors = None
    if function.divergence == "hutchinson":
        assert rng is not None
        errors = np.zeros_like(sums)
        sums[:, visible], errors[:, visible] = _by_probes(
            reading.along, reading.reverse_input, visible, function.probes, rng
        )
    elif function.divergence == "difference":
        sums[:, visible] = _by_difference(reading.along, reading.reverse_input, visible)
    elif function.divergence == "stein":
        position = graph.reads(edge).index(edge.reverse)
        first = sum(x.shape[1] for x in reading.inputs[:position])
        columns = [first + c for c in visible]
        sums[:, visible] = by_stein(message, [*reading.inputs, *known])[:, columns]
    else:
        sums[:, visible] = _by_formula(reading, message.shape[1], len(visible))
    return sums, errors


def by_stein(message: Array, regressors: Sequence[Array]) -> Array:
    """Return n times the coefficients of the regression of f on all that it reads.

    For Gaussian x and known vectors s, f(x + s) has E ∂f = E[f xᵀ] Cov(x)⁻¹, which is the
    coefficient of x in the regression on x and s together.  Where x is degenerate the least one
    is taken.
    """
    n, q, copies = message.shape
    ones = np.ones((n, 1, 1))
    full = [np.broadcast_to(x, (*x.shape[:2], copies)) for x in (*regressors, ones)]
    design = np.concatenate(full, axis=1)
    sums = np.empty((q, design.shape[1], copies))
    for c in range(copies):
        scale = np.linalg.norm(design[..., c], axis=0)
        scale[scale == 0.0] = 1.0
        coefficients = np.linalg.lstsq(design[..., c] / scale, message[..., c])[0]
        sums[..., c] = n * (coefficients / scale[:, None]).T
    return sums


def _by_formula(reading: Reading, q: int, r: int) -> Array:
    graph, edge = reading.graph, reading.edge
    function, n = graph.functions[edge], graph.dimensions[edge.start]
    assert function.derivative is not None
    known = () if edge.start not in graph.side else (reading.side,)
    with np.errstate(all="ignore"):
        value = function.derivative(reading.t, *reading.arguments(reading.inputs), *known)
    matrix = () if q == r == 1 else (q, r)
    if function.divergence == "formula":
        name = f"the divergence of edge {edge} at step {reading.t}"
        return checked_value(name, value, matrix, reading.copies).reshape(q, r, -1)
    name = f"the derivative of edge {edge} at step {reading.t}"
    rows = checked_value(name, value, (n, *matrix), reading.copies)
    sums: Array = rows.reshape(n, q, r, -1).sum(axis=0)
    return sums


def _by_difference(call: Call, x: Array, columns: Sequence[int]) -> Array:
    slopes = []
    for b in columns:
        up, down = x.copy(), x.copy()
        h = _step(x[:, b])
        up[:, b] += h
        down[:, b] -= h
        # The difference of what was rounded, and not 2h.
        width = (up[:, b] - down[:, b])[:, None]
        slopes.append(((call(up) - call(down)) / width).sum(axis=0))
    return np.stack(slopes, axis=1) if slopes else np.zeros((1, 0, 1))


def _by_probes(
    call: Call, x: Array, columns: Sequence[int], probes: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    means, errors = [], []
    for b in columns:
        h = _step(x[:, b])
        samples = []
        for _ in range(probes):
            signs = rng.choice((-1.0, 1.0), size=x[:, b].shape)
            up, down = x.copy(), x.copy()
            up[:, b] += h * signs
            down[:, b] -= h * signs
            change = call(up) - call(down)
            samples.append((change * signs[:, None]).sum(axis=0) / (2.0 * h))
        means.append(np.mean(samples, axis=0))
        errors.append(np.std(samples, axis=0, ddof=1) / np.sqrt(probes))
    if not means:
        return np.zeros((1, 0, 1)), np.zeros((1, 0, 1))
    return np.stack(means, axis=1), np.stack(errors, axis=1)


def _step(x: Array) -> Array:
    """Return the width of a difference for each copy, in units of the size of x."""
    size = np.sqrt(np.mean(x * x, axis=0))
    return STEP * np.where(size > 0.0, size, 1.0)
