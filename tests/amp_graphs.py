"""Graphs that the tests of message passing share, and the test statistic of their runs."""

import numpy as np

from inthelimit.amp import AMPGraph, separable


def generic(k, *, gain=1.5, bias=0.4):
    """A function of k iterates that is neither odd nor the same in all of them."""
    weights = gain / (1.0 + np.arange(k))

    def function(t, *x):
        total = sum(w * y for w, y in zip(weights, x, strict=True))
        return 2 * np.tanh(total + bias) + 0.3 * x[0] + 0.1 * t

    return function


def drawn(dimensions, edges, **options):
    """A graph whose functions read all they may, each differently."""
    both = {e: None for v, w in edges for e in ((v, w), (w, v))}
    functions = {}
    for i, e in enumerate(both):
        reads = [r for r in both if r[1] == e[0]]
        functions[e] = separable(generic(len(reads), gain=1.2 + 0.1 * i), reads=reads)
    return AMPGraph(dimensions, functions, **options)


def start(graph, rng, **kwargs):
    shapes = {
        e: (graph.dimensions[e.end],) + (graph.columns[e],) * (graph.columns[e] > 1)
        for e in graph.edges
    }
    return {e: rng.normal(0.5, 1.0, size=shape) for e, shape in shapes.items()}


def norm_gap(graph, run):
    """The largest |⟨x^{s+1}, x^{t+1}⟩/n − J⟨m^s, m^t⟩/N|, relative to the sizes.

    State evolution says that it vanishes, whatever the functions: κ^{s+1,t+1} is what the products
    of the messages tend to.
    """
    gaps = []
    for e in graph.edges:
        m = run.messages[e].reshape(len(run.messages[e]), -1)
        target = graph.variances[e] * (m @ m.T) / graph.size
        x = run.iterates[e][1:].reshape(len(m), -1)
        size = np.sqrt(np.diag(target))
        gaps.append(np.abs(x @ x.T / graph.dimensions[e.end] - target) / np.outer(size, size))
    return np.max(gaps)
