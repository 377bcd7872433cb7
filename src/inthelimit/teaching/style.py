"""One house style for every figure of the book.

The same three words look the same everywhere: the **finite** system is a solid line,
the **limit** a dashed black one, a theorem's **bound** a dotted grey one.  Colours are
those of Okabe and Ito, told apart by readers with any colour vision and, by lightness,
in grey print; a marker or a label always says the same thing again.
"""

from __future__ import annotations

import base64
import io
import itertools
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from inthelimit.teaching._pictures import palette_image

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F4F24", "#4D4D4D")
"""Okabe and Ito's palette: yellow, unreadable on white, gives way to brown, black to dark grey."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

FINITE = {"linestyle": "-", "linewidth": 1.8}
LIMIT = {"linestyle": (0, (5, 2.5)), "linewidth": 1.4, "color": "black"}
BOUND = {"linestyle": ":", "linewidth": 1.6, "color": "#4D4D4D"}
EVENT = {"linestyle": "-", "linewidth": 0.7, "color": "#BFBFBF", "zorder": 0}

COLORS_KEPT = 256
"""What a palette holds; a drawing looks the same with it, and weighs a quarter."""

LINE_HEIGHT = 0.17
"""Inches from one line of a figure's text to the next."""

_SETTINGS: Any = {
    "figure.figsize": (6.4, 4.0),
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "axes.prop_cycle": cycler(color=COLORS),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "font.size": 10.5,
    "axes.titlesize": 10.5,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "lines.markersize": 5,
    "mathtext.fontset": "cm",
}


def use() -> None:
    """Make the house style the default of this kernel, figures sharp and light."""
    plt.rcParams.update(_SETTINGS)
    try:
        from IPython.core.getipython import get_ipython
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:  # outside a notebook figures are shown by others
        return
    # Loads the inline backend, which would register its own way of showing figures later.
    set_matplotlib_formats("retina")  # type: ignore[no-untyped-call]
    shell = get_ipython()
    if shell is not None and shell.display_formatter is not None:
        shell.display_formatter.formatters["image/png"].for_type(Figure, _light_png)


def _light_png(figure: Figure) -> tuple[str, dict[str, int]] | None:
    """Return a figure as a notebook shows it, in base64, and its size on the page."""
    if not figure.axes:
        return None
    image, width, height = palette_image(
        figure, colors=COLORS_KEPT, dpi=figure.dpi, bbox_inches="tight"
    )
    file = io.BytesIO()
    image.save(file, format="png", optimize=True)
    return base64.b64encode(file.getvalue()).decode(), {"width": width, "height": height}


def panels(
    rows: int = 1, columns: int = 1, *, width: float = 6.4, height: float = 4.0, **options: Any
) -> tuple[Figure, np.ndarray]:
    """Make a figure with a grid of axes, always as an array so that loops need no special case.

    Parameters
    ----------
    rows, columns
        Shape of the grid, at least 1 each.
    width, height
        Size of the whole figure in inches; at most 8 wide, so that a phone can show it.
    **options
        Passed to :func:`matplotlib.pyplot.subplots` (``sharex``, ``gridspec_kw``, ...).

    Returns
    -------
    figure : Figure
    axes : array of Axes, shape (rows * columns,)
    """
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(width, height),
        squeeze=False,
        **options,
    )
    return figure, axes.ravel()


def label_ends(axes: Axes, x: float, values: ArrayLike, labels: Sequence[str]) -> None:
    """Write each curve's name at its right end, so that colour is never the only key.

    Names that would overlap are moved apart just enough to be read.

    Parameters
    ----------
    axes
        Where the curves are; its limits must be set already.
    x
        Abscissa of the ends.
    values : array of shape (k,)
        Ordinates of the ends.
    labels
        One name per curve; each takes the colour of its rank in the palette.
    """
    bottom, top = axes.get_ylim()
    inches = axes.get_window_extent().height / axes.figure.dpi
    heights = np.asarray(values, dtype=float)
    spacing = (top - bottom) * LINE_HEIGHT / inches
    order = np.argsort(heights, kind="stable")
    placed = heights.copy()
    for below, above in itertools.pairwise(order):
        placed[above] = max(placed[above], placed[below] + spacing)
    for i, (height, name) in enumerate(zip(placed, labels, strict=True)):
        axes.annotate(
            name,
            (x, height),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=COLORS[i % len(COLORS)],
            annotation_clip=False,
        )


def loglog_rate(
    axes: Axes, sizes: ArrayLike, errors: ArrayLike, *, exponent: float, label: str, index: int = 0
) -> None:
    """Draw errors against sizes on log-log axes, with the slope that the theorem gives.

    Parameters
    ----------
    axes
        Where to draw.
    sizes, errors : arrays of shape (k,), positive
        The small (or large) parameter and the gap measured there.
    exponent
        The theorem's: errors ~ sizes ** exponent.  Drawn at half the height, to be seen beside.
    label
        Name of the measured curve.
    index
        Which colour and marker of the house style to take.
    """
    sizes, errors = np.asarray(sizes, dtype=float), np.asarray(errors, dtype=float)
    color, marker = COLORS[index % len(COLORS)], MARKERS[index % len(MARKERS)]
    axes.loglog(sizes, errors, **FINITE, color=color, marker=marker, label=label)
    axes.loglog(
        sizes,
        errors[-1] / 2 * (sizes / sizes[-1]) ** exponent,
        **BOUND,
        label=f"slope {exponent:g}",
    )
