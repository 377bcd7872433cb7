"""Pictures of graphs: every orientation an arrow from rim to rim, all of it in the picture."""

from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.patches import Circle, FancyArrowPatch

from inthelimit.teaching.drawing import RADIUS, draw


def graph_of(*pairs):
    """A graph with both orientations of each edge."""
    both = [e for v, w, *key in pairs for e in ((v, w, *key), (w, v, *key))]
    edges = list(dict.fromkeys(both))
    return SimpleNamespace(
        vertices=list(dict.fromkeys(v for e in edges for v in e[:2])), edges=edges
    )


GRAPHS = {
    "loop": graph_of("aa"),
    "two loops": graph_of(("a", "a", 0), ("a", "a", 1)),
    "edge": graph_of("ab"),
    "parallel": graph_of(("a", "b", 0), ("a", "b", 1)),
    "chain": graph_of("ab", "bc", "cd"),
    "chain and loop": graph_of("aa", "ab", "bc"),
    "triangle": graph_of("ab", "bc", "ca", "aa"),
    "star": graph_of("ha", "hb", "hc", "hd"),
    "apart": graph_of("ab", "cd"),
}


@pytest.fixture
def axes():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def arrows(axes):
    return [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]


def curve(arrow):
    """41 points of an arrow's curve, in its direction."""
    _, line = (bezier for bezier, _ in arrow._path_original.iter_bezier())
    return line(np.linspace(0, 1, 41))


@pytest.mark.parametrize("name", GRAPHS)
def test_every_orientation_is_an_arrow_between_the_rims_of_its_vertices(name, axes):
    graph = GRAPHS[name]
    draw(graph, axes)
    drawn = [patch for patch in axes.patches if isinstance(patch, Circle)]
    circles = dict(zip(graph.vertices, drawn, strict=True))
    assert len(arrows(axes)) == len(graph.edges)
    for edge, arrow in zip(graph.edges, arrows(axes), strict=True):
        points = curve(arrow)
        for v, point in ((edge[0], points[0]), (edge[1], points[-1])):
            gap = np.hypot(*(point - circles[v].center)) - RADIUS
            assert 0 < gap < 0.1 * RADIUS
        for circle in circles.values():
            assert np.hypot(*(points - circle.center).T).min() > RADIUS


@pytest.mark.parametrize("name", GRAPHS)
def test_arrows_do_not_coincide_and_stay_in_the_picture(name, axes):
    draw(GRAPHS[name], axes)
    curves = [curve(arrow) for arrow in arrows(axes)]
    middles = np.array([points[20] for points in curves])
    apart = np.hypot(*(middles[:, None] - middles[None]).transpose(2, 0, 1))
    assert (apart[~np.eye(len(middles), dtype=bool)] > 0.1).all()
    for points in curves:
        low, high = np.transpose([axes.get_xlim(), axes.get_ylim()])
        assert (points >= low).all()
        assert (points <= high).all()


def test_a_window_sets_the_scale_and_keeps_the_middle(axes):
    draw(GRAPHS["chain"], axes)
    middles = [np.mean(axes.get_xlim()), np.mean(axes.get_ylim())]
    draw(GRAPHS["chain"], axes, window=(6.0, 4.0))
    np.testing.assert_allclose(np.diff(axes.get_xlim()), 6.0)
    np.testing.assert_allclose(np.diff(axes.get_ylim()), 4.0)
    np.testing.assert_allclose([np.mean(axes.get_xlim()), np.mean(axes.get_ylim())], middles)


def test_texts_stand_on_their_arrows(axes):
    draw(
        GRAPHS["edge"], axes, labels={("a", "b"): "there", ("b", "a", 0): "back"}, names={"a": "A"}
    )
    texts = {text.get_text(): text.get_position() for text in axes.texts}
    assert set(texts) == {"there", "back", "A", "b"}
    for label, arrow in zip(("there", "back"), arrows(axes), strict=True):
        assert np.hypot(*(curve(arrow) - texts[label]).T).min() < 1e-9


def test_colours_are_those_asked_for(axes):
    draw(GRAPHS["edge"], axes, colors={("b", "a"): "#ff0000"})
    assert [arrow.get_edgecolor()[0] == 1.0 for arrow in arrows(axes)] == [False, True]


@pytest.mark.parametrize(
    ("graph", "options", "message"),
    [
        (graph_of("ab"), {"positions": {"a": (0, 0)}}, r"positions must hold every vertex, .*'b'"),
        (SimpleNamespace(vertices=["a"], edges=[("a", "b")]), {}, r"edges must join .*got 'b'"),
    ],
)
def test_bad_input_is_named(graph, options, message, axes):
    with pytest.raises(ValueError, match=message):
        draw(graph, axes, **options)
