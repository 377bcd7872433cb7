"""The drawing: which edges feed which, what is refused, and how drawings are glued."""

import numpy as np
import pytest

from inthelimit.amp import (
    AMPGraph,
    OrientedEdge,
    Side,
    Spike,
    draw_matrices,
    glue,
    nonseparable,
    run_amp,
    separable,
)

f = separable(lambda t, x: np.tanh(x))
PAIR = {("v", "w"): f, ("w", "v"): f}
SIZES = {"v": 4, "w": 3}


def chain():
    """a — b — c with a loop at c; what leaves b reads both sides."""
    onward = separable(lambda t, x, y: np.tanh(x + y), reads=[("a", "b"), ("c", "b")])
    at_c = separable(lambda t, x, y: np.tanh(x - y), reads=[("b", "c"), ("c", "c")])
    functions = {
        ("a", "b"): f,
        ("b", "a"): onward,
        ("b", "c"): onward,
        ("c", "b"): at_c,
        ("c", "c"): at_c,
    }
    return AMPGraph({"a": 30, "b": 40, "c": 50}, functions)


# ---------------------------------------------------------------- edges


def test_a_chain_of_three_has_the_next_edge_relation_of_the_exercise():
    edges = [(0, 1), (1, 0), (1, 2), (2, 1)]
    graph = AMPGraph({0: 5, 1: 6, 2: 7}, dict.fromkeys(edges, f))
    feeding = {e[:2]: [x[:2] for x in graph.feeding(e)] for e in graph.edges}
    assert feeding == {
        (0, 1): [(1, 0)],
        (1, 0): [(0, 1), (2, 1)],
        (1, 2): [(0, 1), (2, 1)],
        (2, 1): [(1, 2)],
    }
    assert graph.size == 18
    assert graph.vertices == (0, 1, 2)
    assert [e[:2] for e in graph.undirected] == [(0, 1), (1, 2)]


def test_a_loop_is_its_own_reverse_and_feeds_itself():
    graph = AMPGraph({"v": 5}, {("v", "v"): f})
    (loop,) = graph.edges
    assert loop.reverse == loop
    assert loop.is_loop
    assert graph.feeding(loop) == graph.reads(loop) == graph.undirected == (loop,)


def test_parallel_edges_are_told_apart_by_keys():
    edges = [("v", "w", k) for k in ("red", "blue")] + [("w", "v", k) for k in ("red", "blue")]
    graph = AMPGraph(SIZES, dict.fromkeys(edges, f), variances={("v", "w", "blue"): 2.0})
    assert [str(e) for e in graph.feeding(("v", "w", "red"))] == ["w→v (red)", "w→v (blue)"]
    assert [str(e) for e in graph.reads(("v", "w", "red"))] == ["w→v (red)"]
    assert graph.variances["w", "v", "blue"] == 2.0
    assert graph.variances["w", "v", "red"] == 1.0


def test_functions_read_what_they_name_in_that_order():
    graph = chain()
    assert [e[:2] for e in graph.reads(("b", "c"))] == [("a", "b"), ("c", "b")]
    assert [e[:2] for e in graph.reads(("c", "c"))] == [("b", "c"), ("c", "c")]
    assert [e[:2] for e in graph.reads(("a", "b"))] == [("b", "a")]


def test_data_of_an_edge_serve_both_directions_and_the_short_name():
    spike = Spike(2.0, left=np.arange(3.0), right=np.arange(4.0))
    graph = AMPGraph(
        SIZES,
        PAIR,
        columns={("w", "v"): 3},
        hidden={("w", "v"): [2, 0]},
        variances={("w", "v"): 0.5},
        spikes={("v", "w"): spike},
    )
    assert graph.columns == {("v", "w", 0): 1, ("w", "v", 0): 3}
    assert graph.hidden["w", "v"] == (0, 2)
    assert graph.visible(("w", "v")) == (1,)
    assert graph.visible(("v", "w")) == (0,)
    assert graph.variances["v", "w"] == graph.variances["w", "v"] == 0.5
    np.testing.assert_array_equal(graph.spikes["w", "v"].left, np.arange(4.0))
    with pytest.raises(KeyError):
        graph.columns["v", "x"]


def test_vertices_may_be_tuples():
    grid = {(0, 0): 4, (0, 1): 3}
    a, b = grid
    graph = AMPGraph(grid, {(a, b): f, (b, a): f})
    assert graph.edges[0] == OrientedEdge((0, 0), (0, 1))
    assert str(graph.edges[0]) == "(0, 0)→(0, 1)"


# ---------------------------------------------------------------- refusals


def read(*edges):
    return separable(lambda t, *x: x[0], reads=edges)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (({"v": 0}, {("v", "v"): f}), r"dimensions\['v'\] must be ≥ 1, got 0"),
        (({"v": 2.5}, {("v", "v"): f}), r"dimensions\['v'\] must be an integer, got 2.5"),
        (({}, {("v", "v"): f}), "dimensions must have at least one vertex"),
        ((SIZES, {}), "functions must have at least one edge"),
        ((SIZES, {("v", "w"): f}), "functions must hold the reverse w→v of v→w"),
        (
            (SIZES, {("v", "w", 1): f, ("w", "v"): f}),
            r"functions must hold the reverse w→v \(1\) of v→w \(1\)",
        ),
        ((SIZES, {("v", "x"): f, ("x", "v"): f}), "got 'x' in v→x"),
        ((SIZES, {"vw": f}), r"keys of functions must be \(start, end\) or .*, got 'vw'"),
        ((SIZES, {**PAIR, ("v", "w"): np.tanh}), r"functions\[v→w\] must be made by separable"),
        ((SIZES, {**PAIR, ("v", "w", 0): f}), "functions must name an edge once, got v→w twice"),
        (
            (SIZES, {**PAIR, ("v", "w"): read(("v", "w"))}),
            r"reads of v→w must be edges that end at v \(w→v\), got v→w",
        ),
        ((SIZES, {**PAIR, ("v", "w"): read(("x", "v"))}), r"reads of v→w .* got x→v"),
        ((SIZES, {**PAIR, ("v", "w"): read("w")}), r"reads of v→w must be \(start, end\)"),
        (
            (SIZES, {**PAIR, ("v", "w"): read(("w", "v"), ("w", "v"))}),
            "reads of v→w must name an edge once, got w→v, w→v",
        ),
    ],
)
def test_a_drawing_that_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        AMPGraph(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": {("v", "w"): 0}}, r"columns\[v→w\] must be ≥ 1, got 0"),
        ({"columns": {("v", "x"): 1}}, r"keys of columns must be an edge of the graph .* got v→x"),
        ({"columns": {("v", "w"): 1, ("v", "w", 0): 1}}, "columns must name an edge once"),
        ({"variances": {("v", "w"): 0.0}}, r"variances\[v→w\] must be > 0, got 0.0"),
        ({"variances": {("v", "w"): 1.0, ("w", "v"): 1.0}}, "one entry for both directions of v→w"),
        ({"hidden": {("v", "w"): [1]}}, r"hidden\[v→w\] must hold columns 0, …, 0, got 1"),
        ({"hidden": {("v", "w"): [-1]}}, r"hidden\[v→w\] must be ≥ 0, got -1"),
        ({"side": {"x": Side([1.0])}}, r"keys of side must be of \['v', 'w'\], got 'x'"),
        ({"side": {"v": Side([1.0])}}, r"side\['v'\] must have 4 rows, got 1"),
        ({"side": {"v": np.ones(4)}}, r"side\['v'\] must be a Side"),
        ({"spikes": {("v", "w"): 1.0}}, r"spikes\[v→w\] must be a Spike, got 1.0"),
        (
            {"spikes": {("v", "w"): Spike(1.0, np.ones(4), np.ones(3))}},
            r"spikes\[v→w\].left must have shape \(3,\), got \(4,\)",
        ),
    ],
)
def test_data_that_do_not_fit_the_drawing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        AMPGraph(SIZES, PAIR, **options)


def test_the_spike_of_a_loop_is_symmetric():
    with pytest.raises(ValueError, match=r"spikes\[v→v\] must have left = right"):
        AMPGraph({"v": 2}, {("v", "v"): f}, spikes={("v", "v"): Spike(1.0, [1.0, 2.0], [1.0, 1.0])})


def test_a_derivative_needs_its_variable_among_what_is_read():
    blind = separable(lambda t, x: x, reads=[("c", "b")], derivative=lambda t, x: np.ones_like(x))
    functions = dict.fromkeys([("a", "b"), ("b", "c"), ("c", "b")], f) | {("b", "a"): blind}
    with pytest.raises(ValueError, match="reads of b→a must hold a→b, along which a derivative"):
        AMPGraph({"a": 2, "b": 2, "c": 2}, functions)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: separable(3.0), "function must be callable, got 3.0"),
        (lambda: separable(np.tanh, derivative=1.0), "derivative must be callable"),
        (lambda: separable(np.tanh, divergence="exact"), "must be one of 'derivative'"),
        (
            lambda: separable(np.tanh, divergence="derivative"),
            "exactly where a derivative",
        ),
        (
            lambda: separable(np.tanh, derivative=np.cos, divergence="stein"),
            "exactly where a derivative is given, got 'stein'",
        ),
        (lambda: nonseparable(None), "function must be callable, got None"),
        (
            lambda: nonseparable(np.sort, divergence="stein"),
            "must be one of 'hutchinson'",
        ),
        (lambda: nonseparable(np.sort, divergence=2.0), "divergence must be callable, got 2.0"),
        (lambda: nonseparable(np.sort, probes=1), "probes must be ≥ 2, got 1"),
        (lambda: Side(np.ones((2, 2, 2, 2))), r"values must have shape \(n,\), \(n, k\)"),
        (lambda: Side([np.nan]), "values must be finite"),
        (lambda: Side([1.0], law=[1.0]), r"law must be a pair \(nodes, weights\)"),
        (lambda: Side([1.0], law=([1.0, 2.0], [0.5])), r"nodes of law must have shape \(1,\)"),
        (
            lambda: Side(np.ones((3, 2)), law=([1.0], [1.0])),
            r"nodes of law must have shape \(1, 2\), got \(1,\)",
        ),
        (
            lambda: Side([1.0], law=([1.0, 2.0], [0.7, 0.7])),
            "weights .* be ≥ 0 with sum 1",
        ),
        (lambda: Side([1.0], law=([1.0, 2.0], [1.5, -0.5])), "weights of law must be ≥ 0"),
        (lambda: Spike(np.inf, [1.0], [1.0]), "strength must be finite"),
        (lambda: Spike(1.0, [[1.0]], [1.0]), "left must have 1 dimension"),
    ],
)
def test_parts_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_questions_about_what_is_not_there_are_refused():
    graph = chain()
    with pytest.raises(ValueError, match=r"edge must be an edge of the graph .* got a→c"):
        graph.feeding(("a", "c"))
    with pytest.raises(ValueError, match="vertex must be one of"):
        graph.incoming("d")


def test_without_a_law_side_information_has_its_empirical_one():
    nodes, weights = Side(np.arange(4.0)).distribution()
    np.testing.assert_array_equal(nodes, np.arange(4.0))
    np.testing.assert_array_equal(weights, np.full(4, 0.25))
    # With copies, the law is that of the rows of all of them.
    values = np.arange(24.0).reshape(3, 2, 4)
    nodes, weights = Side(values).distribution()
    assert nodes.shape == (12, 2)
    assert {tuple(row) for row in nodes} == {
        tuple(values[i, :, c]) for i in range(3) for c in range(4)
    }
    np.testing.assert_allclose(weights, 1 / 12)


# ---------------------------------------------------------------- glueing


def test_gluing_keeps_dimensions_reads_and_data():
    g = separable(lambda t, x, s: x + s)
    tail = AMPGraph(
        {"x": 50, "y": 7},
        {("x", "y"): f, ("y", "x"): g},
        columns={("x", "y"): 1},
        side={"y": Side(np.ones(7))},
        spikes={("y", "x"): Spike(3.0, np.ones(50), np.ones(7))},
        variances={("x", "y"): 2.0},
    )
    whole = glue(chain(), tail, at={"c": "x"})
    assert whole.dimensions == {"a": 30, "b": 40, "c": 50, "y": 7}
    assert [e[:2] for e in whole.reads(("y", "c"))] == [("c", "y")]
    assert set(whole.side) == {"y"}
    assert whole.variances["y", "c"] == pytest.approx(2.0 * 127 / 57)
    assert whole.variances["b", "c"] == pytest.approx(127 / 120)
    # Strengths are divided by N, too.
    assert whole.spikes["y", "c"].strength / whole.size == pytest.approx(3.0 / tail.size)
    assert whole.spikes["c", "y"].left.shape == (7,)


def test_parts_glued_without_new_functions_run_as_they_did():
    first = chain()
    other = separable(lambda t, x, s: np.cos(x + s))
    two = separable(lambda t, x, y, s: np.cos(x * y + s), reads=[("q", "p"), ("p", "p")])
    second = AMPGraph(
        {"p": 40, "q": 25},
        {("p", "q"): two, ("q", "p"): f, ("p", "p"): other},
        side={"p": Side(np.linspace(-1.0, 1.0, 40))},
        variances={("p", "q"): 1.7},
    )
    rng = np.random.default_rng(3)
    starts = [{e: rng.normal(size=g.dimensions[e.end]) for e in g.edges} for g in (first, second)]
    matrices = [draw_matrices(g, rng=rng) for g in (first, second)]
    runs = [
        run_amp(g, x0, 5, matrices=A)
        for g, x0, A in zip((first, second), starts, matrices, strict=True)
    ]

    def renamed(mapping):
        names = {"p": "b"}
        return {(names.get(v, v), names.get(w, w), k): x for (v, w, k), x in mapping.items()}

    whole = glue(first, second, at={"b": "p"})
    run = run_amp(
        whole, starts[0] | renamed(starts[1]), 5, matrices=matrices[0] | renamed(matrices[1])
    )
    expected = runs[0].iterates | renamed(runs[1].iterates)
    assert len(expected) == len(whole.edges) == 8
    for e, x in expected.items():
        np.testing.assert_allclose(run.iterates[e], x, rtol=1e-11, atol=1e-11)


def test_functions_at_the_seam_read_both_parts():
    loop = AMPGraph({"v": 20}, {("v", "v"): f})
    pair = AMPGraph({"v": 20, "w": 30}, {("v", "w"): f, ("w", "v"): f})
    both = separable(lambda t, x, y: x * y, reads=[("v", "v"), ("w", "v")])
    whole = glue(loop, pair, at={"v": "v"}, functions={("v", "w"): both, ("v", "v", 0): both})
    assert [e[:2] for e in whole.reads(("v", "w"))] == [("v", "v"), ("w", "v")]
    assert whole.functions["v", "v"] is both
    assert whole.functions["w", "v"].function is f.function


@pytest.mark.parametrize(
    ("second", "options", "message"),
    [
        (AMPGraph({"x": 9}, {("x", "x"): f}), {"at": {"c": "x"}}, "got 50 at 'c' and 9 at 'x'"),
        (AMPGraph({"x": 9}, {("x", "x"): f}), {"at": {"d": "x"}}, "got 'd', which first lacks"),
        (AMPGraph({"x": 9}, {("x", "x"): f}), {"at": {"c": "y"}}, "got 'y', which second lacks"),
        (AMPGraph({"a": 9}, {("a", "a"): f}), {"at": {}}, "share labels outside at, got 'a'"),
        (AMPGraph({"x": 50}, {("x", "x"): f}), {"at": {"c": "x"}}, "no edge in common, got c→c"),
        (
            AMPGraph({"x": 50}, {("x", "x", 1): f}),
            {"at": {"c": "x"}, "functions": {("x", "x"): f}},
            "functions must be of edges of the glued graph",
        ),
        (
            AMPGraph({"x": 50, "y": 50}, {("x", "y"): f, ("y", "x"): f}),
            {"at": {"c": "x", "b": "x"}},
            "at must be one to one",
        ),
    ],
)
def test_what_can_not_be_glued_is_refused(second, options, message):
    with pytest.raises(ValueError, match=message):
        glue(chain(), second, **options)


def test_side_information_at_a_seam_is_given_once():
    g = separable(lambda t, x, s: x + s)
    parts = [AMPGraph({v: 3}, {(v, v, v): g}, side={v: Side([1.0, 2.0, 3.0])}) for v in ("x", "y")]
    with pytest.raises(ValueError, match="side must be given once at a seam, got two at 'x'"):
        glue(*parts, at={"x": "y"})
