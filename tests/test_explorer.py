"""The static face of an explorer, its errors, and its live face (the browser has its own test)."""

import base64
import io
import itertools
import json
import re

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from inthelimit.teaching import explorer, style
from inthelimit.teaching._pictures import DENSITY
from inthelimit.teaching.explorer import explore, text_of


@pytest.fixture(autouse=True)
def no_kernel(monkeypatch):
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    yield
    assert not plt.get_fignums(), "an explorer must close the figures that it draws"


def draw(a=0, b=0):
    figure, axes = plt.subplots(figsize=(2, 1))
    axes.plot([0, 1], [a, b])
    return figure, f"a is {a}, b is {b}"


def frames_of(page):
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', page.html)[1])


def test_one_frame_for_each_combination_in_the_order_of_the_sliders():
    page = explore(draw, alt="A line.", a=[1, 2, 3], b=[0.1, 10.0])
    frames = frames_of(page)
    assert page.n_frames == len(frames) == 6
    pairs = itertools.product([1, 2, 3], [0.1, 10.0])
    assert [caption for _, _, caption in frames] == [f"a is {a}, b is {b}" for a, b in pairs]
    assert frames[0][1] == "A line. Here a = 1, b = 0.1."
    assert len({picture for picture, _, _ in frames}) == 6


def test_frames_are_sharp_webp_of_the_size_that_the_page_reserves():
    page = explore(draw, alt="A line.", a=[1, 2])
    picture = base64.b64decode(frames_of(page)[0][0].partition(",")[2])
    image = Image.open(io.BytesIO(picture))
    assert image.format == "WEBP"
    assert image.size == (200 * DENSITY, 100 * DENSITY)
    assert 'width="200" height="100"' in page.html


@pytest.mark.parametrize("prepare", [lambda: None, style.use])
def test_colours_survive_the_palette_and_the_house_style(prepare):
    prepare()

    def red(a):
        figure = plt.figure(figsize=(2, 1), facecolor="#D55E00")
        return figure

    picture = base64.b64decode(
        frames_of(explore(red, alt="Red.", a=[1, 2]))[0][0].partition(",")[2]
    )
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).reshape(-1, 3)
    assert np.abs(np.median(pixels, axis=0) - [0xD5, 0x5E, 0x00]).max() <= 4


def test_the_same_call_gives_the_same_bytes():
    calls = [explore(draw, alt="A line.", a=[1, 2], play=200).html for _ in range(2)]
    assert calls[0] == calls[1]


def test_the_first_frame_is_the_middle_one_unless_said():
    assert 'value="1" autocomplete' in explore(draw, alt="A line.", a=[1, 2, 3]).html
    page = explore(draw, alt="A line.", a=[1, 2, 3], start={"a": 1})
    assert 'value="0" autocomplete' in page.html
    assert '<figcaption aria-live="polite">a is 1, b is 0</figcaption>' in page.html


def test_text_is_escaped_and_cannot_end_the_script():
    page = explore(
        lambda a: (draw(a)[0], "</script><b>"), alt='"<i>', labels={"a": "<a>"}, a=[1, 2]
    )
    assert "</script><b>" not in page.html
    assert "&lt;a&gt;" in page.html
    assert frames_of(page)[0][2] == "</script><b>"


def test_what_stands_without_script_is_the_picture_its_caption_and_a_word():
    page = explore(draw, alt="A line.", a=[1, 2])
    assert '<div class="controls" hidden>' in page.html
    assert "<noscript>The sliders need JavaScript; the picture shows a = 2.</noscript>" in page.html
    assert Image.open(io.BytesIO(page._repr_png_())).format == "PNG"
    assert repr(page) == "Explorer of 2 frames: a from 1 to 2"


def test_errors_of_draw_propagate():
    def broken(a):
        raise ZeroDivisionError("at a = 2")

    with pytest.raises(ZeroDivisionError, match="at a = 2"):
        explore(broken, alt="Nothing.", a=[1, 2])
    with pytest.raises(TypeError, match="draw must return a Matplotlib figure"):
        explore(lambda a: None, alt="Nothing.", a=[1, 2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "at least one parameter"),
        ({"a": []}, "a must offer at least one value"),
        ({"a": [1, 1]}, "a must not repeat a value"),
        ({"a": [1, 2], "labels": {"c": "ε"}}, r"labels names 'c', but the parameters are \['a'\]"),
        ({"a": [1, 2], "start": {"a": 3}}, r"start\['a'\] must be one of \[1, 2\], got 3"),
        ({"a": [1, 2], "play": 10}, "play must be at least 50 milliseconds"),
        (
            {"a": range(11), "b": range(10)},
            r"would draw 110 frames \(a: 11 × b: 10\); at most 100",
        ),
    ],
)
def test_bad_input_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        explore(draw, alt="A line.", **options)


def test_a_page_too_heavy_says_how_heavy(monkeypatch):
    monkeypatch.setattr(explorer, "MAX_BYTES", 5_000)
    with pytest.raises(
        ValueError, match=r"2 frames take [\d,]+ bytes, about [\d,]+ each; at most 5,000"
    ):
        explore(draw, alt="A line.", a=[1, 2])


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1, "0.1"), (1e-5, "10⁻⁵"), (2.5e-7, "2.5·10⁻⁷"), (1e20, "10²⁰"), (1e-300, "10⁻³⁰⁰"),
     (3, "3"), ("path", "path"), (0.0, "0"), (-1e-5, "-10⁻⁵"), (-0.5, "-0.5"), (1000.0, "1000"),
     (9.9999e-4, "10⁻³"), (12345.0, "1.23·10⁴")],
)  # fmt: skip
def test_numbers_are_written_as_a_reader_would(value, text):
    assert text_of(value) == text


def test_numpy_values_are_written_as_python_values():
    page = explore(draw, alt="A line.", a=np.array([1, 2]), b=np.array([0.5, 1.5]))
    assert "a = 1, b = 0.5" in page.html


class TestLive:
    @pytest.fixture(autouse=True)
    def kernel(self, monkeypatch):
        monkeypatch.setenv("JPY_SESSION_NAME", "chapter.ipynb")

    def test_any_value_between_the_ends_is_drawn(self):
        box = explore(draw, alt="A line.", labels={"a": "α"}, a=[1, 5, 9], b=[0.0, 0.5, 1.0])
        a, b, image, caption = box.children
        before = image.value
        assert (a.description, a.min, a.max, a.value) == ("α", 1, 9, 5)
        a.value, b.value = 4, 0.25
        assert image.value != before
        assert caption.value == "a is 4, b is 0.25"

    def test_orders_of_magnitude_get_a_logarithmic_slider(self):
        box = explore(draw, alt="A line.", a=[1e-4, 1e-2, 1.0])
        assert (box.children[0].min, box.children[0].max) == (-4, 0)

    def test_words_are_chosen_from_a_list(self):
        box = explore(draw, alt="A line.", a=[1, 2], b=[3])
        assert list(box.children[1].options) == [3]

    def test_errors_are_shown_and_raised(self):
        def broken(a):
            if a == 2:
                raise ZeroDivisionError("at a = 2")
            return draw(a)

        box = explore(broken, alt="A line.", start={"a": 1}, a=[1, 2])
        with pytest.raises(ZeroDivisionError):
            box.children[0].value = 2
        assert "ZeroDivisionError: at a = 2" in box.children[-1].value
