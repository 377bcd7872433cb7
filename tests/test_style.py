"""Figures reach a page sharp and light."""

import base64
import io

import matplotlib
import numpy as np
import pytest
from PIL import Image

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from inthelimit.teaching import style


@pytest.fixture
def drawing():
    figure, (axes,) = style.panels(width=4.0, height=3.0)
    for k in range(4):
        axes.plot(np.sin(np.linspace(0, 9, 200) + k))
    yield figure
    plt.close(figure)


def test_a_figure_has_two_pixels_for_each_of_the_page(drawing):
    data, size = style._light_png(drawing)
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert image.width // 2 == size["width"]
    assert image.height // 2 == size["height"]
    assert size["width"] == pytest.approx(4.0 * drawing.dpi, rel=0.1)


def test_a_figure_weighs_at_most_half_and_looks_the_same(drawing):
    file = io.BytesIO()
    drawing.savefig(file, format="png", dpi=2 * drawing.dpi, bbox_inches="tight")
    data, _ = style._light_png(drawing)
    light = base64.b64decode(data)
    assert len(light) < len(file.getvalue()) / 2
    before, after = (
        np.asarray(Image.open(io.BytesIO(raw)).convert("RGB"), dtype=float)
        for raw in (file.getvalue(), light)
    )
    assert np.abs(before - after).mean() < 2.0  # of 255; white becomes 254


def test_an_empty_figure_shows_nothing():
    figure = plt.figure()
    assert style._light_png(figure) is None
    plt.close(figure)
