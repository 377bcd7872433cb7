"""Any graph that a person may draw follows its own state evolution: both are found for it.

Graphs are drawn at random: loops, parallel edges, columns, variances, side information, functions
that read some of what they may, none of them odd.  Nothing is derived by hand.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inthelimit.amp import AMPGraph, Side, run_amp, separable, state_evolution

N_STEPS = 4
N_RUNS = 4
# The largest of some hundred normalised errors of a mean over the runs, in units of 1/√n: over 400
# graphs 1.9 in the median, 4.6 at most.
BOUND = 7.0


def random_graph(rng):
    vertices = range(int(rng.integers(1, 5)))
    pairs = [(v, w, key) for v in vertices for w in vertices if v <= w for key in (0, 1)]
    chances = {0: 0.5, 1: 0.15}
    edges = [pair for pair in pairs if rng.random() < chances[pair[2]]] or [(0, 0, 0)]
    oriented = list(dict.fromkeys(e for v, w, k in edges for e in ((v, w, k), (w, v, k))))
    dimensions = {v: int(rng.integers(500, 1200)) for v in vertices}
    columns = {e: 2 if rng.random() < 0.2 else 1 for e in oriented}
    nodes, weights = np.polynomial.hermite_e.hermegauss(9)
    law = nodes, weights / weights.sum()
    side = {v: Side(np.zeros(n), law=law) for v, n in dimensions.items() if rng.random() < 0.3}
    functions = {}
    for e in oriented:
        reads = _some_reads(rng, e, oriented, columns)
        widths = [columns[r] for r in reads]
        functions[e] = separable(
            generic_function(rng, columns[e], widths, e[0] in side), reads=reads
        )
    variances = {e: float(rng.uniform(0.5, 2.0)) for e in edges}
    return AMPGraph(dimensions, functions, columns=columns, variances=variances, side=side)


def _some_reads(rng, edge, oriented, columns):
    """The reverse edge and others, two scalars in all, which quadrature takes in its stride."""
    start, end, key = edge
    reads = [(end, start, key)]
    others = [r for r in oriented if r[1] == start and r not in reads]
    for i in rng.permutation(len(others)):
        if sum(columns[r] for r in (*reads, others[i])) <= 2:
            reads.append(others[i])
    # The reverse edge is not always the first.
    return reads[::-1] if rng.random() < 0.5 else reads


def generic_function(rng, q, widths, has_side):
    weights = rng.normal(size=(q, sum(widths)))
    weights += 0.5 * np.sign(weights)
    bias, drift = rng.uniform(0.2, 0.8, size=q), rng.uniform(-0.2, 0.2)

    def function(t, *arguments):
        scalars = []
        for x, width in zip(arguments, widths, strict=False):
            scalars += [x] if width == 1 else [x[:, c] for c in range(width)]
        known = 0.5 * arguments[-1] if has_side else 0.0
        rows = []
        for a in range(q):
            total = sum(w * x for w, x in zip(weights[a], scalars, strict=True))
            rows.append(1.5 * np.tanh(total + bias[a] + drift * t + known) + 0.3 * scalars[-1])
        return rows[0] if q == 1 else np.stack(rows, axis=1)

    return function


def one_run(graph, x0, rng, onsager):
    """Return the covariances of a run with side information and matrices of its own."""
    side = {
        v: Side(rng.normal(size=known.values.size), law=known.law)
        for v, known in graph.side.items()
    }
    own = AMPGraph(
        graph.dimensions,
        graph.functions,
        columns=graph.columns,
        variances={e: graph.variances[e] for e in graph.undirected},
        side=side,
    )
    return run_amp(own, x0, N_STEPS, rng=rng, onsager=onsager).covariances


def gap(covariances, evolution):
    """The largest |empirical covariance − κ|, relative to the standard deviations of κ."""
    gaps = []
    for e, kappa in evolution.covariances.items():
        empirical = np.mean([run[e] for run in covariances], axis=0)
        q = 1 if kappa.ndim == 2 else kappa.shape[-1]
        shape = (N_STEPS, N_STEPS, q, q)
        size = np.sqrt(np.einsum("ttaa->ta", kappa.reshape(shape)))
        difference = np.abs(empirical - kappa).reshape(shape)
        gaps.append((difference / (size[:, None, :, None] * size[None, :, None, :])).max())
    return max(gaps)


def largest_error(seed, onsager=1.0):
    """Return the gap of one graph, its runs and its state evolution, in units of 1/√n."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    x0 = {
        e: np.full((graph.dimensions[e.end],) + (graph.columns[e],) * (graph.columns[e] > 1), 0.4)
        for e in graph.edges
    }
    runs = [one_run(graph, x0, rng, onsager) for _ in range(N_RUNS)]
    evolution = state_evolution(graph, x0, N_STEPS)
    return gap(runs, evolution) * np.sqrt(min(graph.dimensions.values()))


@given(st.integers(0, 10**6))
@settings(max_examples=10, deadline=None, derandomize=True)
def test_a_graph_drawn_at_random_follows_its_state_evolution(seed):
    assert largest_error(seed) < BOUND


def test_without_onsager_terms_hardly_any_does():
    # Where the derivatives happen to cancel, little is lost.
    errors = [largest_error(seed, onsager=0.0) for seed in range(6)]
    assert sorted(errors)[1] > 2 * BOUND


@pytest.mark.slow
@given(st.integers(0, 10**6))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_many_graphs_drawn_at_random_follow_their_state_evolution(seed):
    assert largest_error(seed) < BOUND
