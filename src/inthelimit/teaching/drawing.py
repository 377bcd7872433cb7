"""Pictures of oriented graphs, drawn from the very objects that are run.

Any object with `vertices` and `edges`, each edge a tuple (start, end) or (start, end, key), can be
drawn; nothing else of it is used, so that these pictures know no solver.  Every orientation is an
arrow of its own, bent to its right, so that the two ways of an edge lie side by side.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch
from matplotlib.path import Path
from numpy.typing import NDArray

Point = NDArray[np.float64]

RADIUS = 0.18
"""Of a vertex."""

ON_LINE, ON_CIRCLE, FROM_HUB = 1.0, 1.5, 1.25
"""Distances of neighbours, where no positions are given."""

BEND, MORE_BEND = 0.16, 0.2
"""How far the middle of an arrow is from the straight line, and each parallel one further."""

LOOP_REACH, LOOP_ANGLE = 0.75, 0.6
"""How far a loop's handles are from its vertex, and the angle between them and its axis."""

BERNSTEIN = {3: np.array([1, 2, 1]) / 4, 4: np.array([1, 3, 3, 1]) / 8}
"""Weights of the points of a curve at its middle, by their number."""

GREY = "#4D4D4D"
CENTRED: Any = {"ha": "center", "va": "center"}


class OrientedGraph(Protocol):
    """What is drawn: vertices, and oriented edges as (start, end) or (start, end, key)."""

    @property
    def vertices(self) -> Iterable[Hashable]:
        """The vertices."""
        ...

    @property
    def edges(self) -> Iterable[tuple[Any, ...]]:
        """Every oriented edge once."""
        ...


def draw(
    graph: OrientedGraph,
    axes: Axes,
    *,
    positions: Mapping[Any, Sequence[float]] | None = None,
    labels: Mapping[Any, str] | None = None,
    names: Mapping[Any, str] | None = None,
    colors: Mapping[Any, str] | None = None,
    window: tuple[float, float] | None = None,
) -> None:
    """Draw vertices, and every oriented edge as an arrow: loops, parallel edges and all.

    Parameters
    ----------
    graph
        An object with `vertices` and `edges`.
    axes
        Where to draw; its frame and ticks are taken away, its aspect made equal.
    positions
        Coordinates of every vertex, neighbours about 1 apart.  By default a path is drawn as a
        line, a star around its centre, anything else on a circle.
    labels
        What to write on oriented edges, by (start, end) or (start, end, key).
    names
        What to write in vertices, if not their label.
    colors
        Colours of oriented edges; the others are dark grey.
    window
        Width and height of what the axes show, around the middle of the picture, so that several
        pictures have one scale.  By default it just fits.

    Raises
    ------
    ValueError
        If a vertex has no position, or an edge joins vertices that the graph lacks.
    """
    vertices = list(graph.vertices)
    edges = [(*edge, 0)[:3] for edge in graph.edges]
    for start, end, _ in edges:
        for v in (start, end):
            if v not in vertices:
                raise ValueError(f"edges must join vertices {vertices}, got {v!r}")
    places = _layout(vertices, edges) if positions is None else _checked(positions, vertices)
    middle = np.mean(list(places.values()), axis=0)
    texts, paints = _by_edge(labels), _by_edge(colors)
    corners = [places[v] + side * 1.3 * RADIUS for v in vertices for side in (-1, 1)]
    for edge in edges:
        color = paints.get(edge, GREY)
        if edge[0] == edge[1]:
            points = _loop(edge, edges, places, middle)
        else:
            points = _arrow(edge, edges, places)
        # Matplotlib's codes: 1 begins a curve, 3 and 4 are those with one and two handles.
        path = Path(points, np.array([1, 3, 3] if len(points) == 3 else [1, 4, 4, 4]))
        axes.add_patch(
            FancyArrowPatch(
                path=path, arrowstyle="-|>", mutation_scale=11, linewidth=1.3, color=color
            )
        )
        # Curves stay inside the hull of their handles.
        corners.extend(points)
        if edge in texts:
            weights = BERNSTEIN[len(points)]
            x, y = (weights @ points).tolist()
            box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
            axes.text(x, y, texts[edge], color=color, fontsize=10, zorder=2, bbox=box, **CENTRED)
    for v in vertices:
        axes.add_patch(
            Circle(tuple(places[v]), RADIUS, facecolor="white", edgecolor="black", zorder=3)
        )
        name = str(v) if names is None else names.get(v, str(v))
        x, y = places[v].tolist()
        axes.text(x, y, name, zorder=4, **CENTRED)
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    if window is not None:
        centre, half = (low + high) / 2, np.asarray(window) / 2
        low, high = centre - half, centre + half
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    axes.axis("off")


def _by_edge(values: Mapping[Any, str] | None) -> dict[tuple[Any, ...], str]:
    return {(*edge, 0)[:3]: value for edge, value in (values or {}).items()}


def _checked(
    positions: Mapping[Any, Sequence[float]], vertices: Sequence[Hashable]
) -> dict[Hashable, Point]:
    missing = [v for v in vertices if v not in positions]
    if missing:
        raise ValueError(f"positions must hold every vertex, got none for {missing}")
    return {v: np.asarray(positions[v], dtype=float) for v in vertices}


def _layout(
    vertices: Sequence[Hashable], edges: Sequence[tuple[Any, ...]]
) -> dict[Hashable, Point]:
    """Place a path on a line, a star around its centre, other graphs on a circle."""
    near = {v: {b for a, b, _ in edges if a == v and b != v} for v in vertices}
    ends = [v for v in vertices if len(near[v]) == 1]
    if len(vertices) == 1 or (len(ends) == 2 and all(len(near[v]) <= 2 for v in vertices)):
        order = [ends[0] if ends else vertices[0]]
        while step := [v for v in near[order[-1]] if v not in order]:
            order.append(step[0])
        if len(order) == len(vertices):
            return {v: np.array([ON_LINE * k, 0.0]) for k, v in enumerate(order)}
    hubs = [v for v in vertices if len(near[v]) == len(vertices) - 1 == len(ends)]
    around = [v for v in vertices if v not in hubs]
    size = FROM_HUB if hubs else ON_CIRCLE / 2 / math.sin(math.pi / len(around))
    angles = math.pi / 2 - 2 * math.pi * np.arange(len(around)) / len(around)
    circle = {
        v: size * np.array([math.cos(a), math.sin(a)]) for v, a in zip(around, angles, strict=True)
    }
    return circle | {v: np.zeros(2) for v in hubs}


def _arrow(
    edge: tuple[Any, ...], edges: Sequence[tuple[Any, ...]], places: Mapping[Hashable, Point]
) -> Point:
    """Return end, handle, end of the curve of an edge between two vertices."""
    start, end, _ = edge
    parallel = [key for a, b, key in edges if (a, b) == (start, end)]
    bend = BEND + MORE_BEND * parallel.index(edge[2])
    step = places[end] - places[start]
    length = float(np.hypot(*step))
    right = np.array([step[1], -step[0]]) / length
    middle = (places[start] + places[end]) / 2 + bend * right
    # The handle of a parabola is twice as far out as its middle.
    handle = middle + bend * right
    first, last = (_towards(places[v], handle) for v in (start, end))
    return np.array([first, handle, last])


def _loop(
    edge: tuple[Any, ...],
    edges: Sequence[tuple[Any, ...]],
    places: Mapping[Hashable, Point],
    middle: Point,
) -> Point:
    """Return end, two handles, end of the curve of a loop, on the free side of its vertex."""
    v, _, key = edge
    loops = [k for a, b, k in edges if a == b == v]
    steps = [places[b] - places[v] for a, b, _ in edges if a == v and b != v]
    crowd = np.sum([s / np.hypot(*s) for s in steps], axis=0) if steps else places[v] - middle
    # Where neighbours balance one another, up is free.
    axis = math.atan2(-crowd[1], -crowd[0]) if np.hypot(*crowd) > 0.2 else math.pi / 2
    axis += 1.4 * (loops.index(key) - (len(loops) - 1) / 2)
    handles = [
        places[v] + LOOP_REACH * np.array([math.cos(a), math.sin(a)])
        for a in (axis - LOOP_ANGLE, axis + LOOP_ANGLE)
    ]
    first, last = (_towards(places[v], handle) for handle in handles)
    return np.array([first, *handles, last])


def _towards(place: Point, handle: Point) -> Point:
    """Return the point of a vertex's rim nearest to a handle."""
    step = handle - place
    rim: Point = place + 1.05 * RADIUS * step / np.hypot(*step)
    return rim
