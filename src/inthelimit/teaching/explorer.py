"""A figure that its reader moves: ``explore(draw, epsilon=[...], n=[...])``.

One function, two faces.  With a live kernel (a Jupyter server started it) the sliders
take any value between the smallest and the largest, and ``draw`` runs at each move.
Without one, on a page, the sliders choose among pictures drawn beforehand, one for each
combination of the values: plain HTML and some thirty lines of JavaScript, no server, no
widget library, the same bytes on every run.
"""

from __future__ import annotations

import base64
import html
import io
import itertools
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from inthelimit.teaching._pictures import palette_image

MAX_FRAMES = 100
"""A reader waits for every frame of a page, and an author for every drawing of it."""

MAX_BYTES = 2_000_000
"""Two thirds of a page's budget of 3 MB, so that its text, figures and maths fit beside."""

COLORS_KEPT = 128
"""A drawing of lines has few colours; keeping 128 halves a frame, and no eye sees it."""

Value = int | float | str
Drawing = Callable[..., Figure | tuple[Figure, str]]

_STYLE = """
.explorer{max-width:720px;margin:1.5rem 0;padding:.75rem;border:1px solid #8886;border-radius:.5rem}
.explorer img{display:block;width:100%;height:auto;margin:.5rem auto}
.explorer .controls{display:flex;flex-wrap:wrap;gap:.4rem 1.25rem;align-items:center}
.explorer label{display:flex;flex:1 1 15rem;gap:.6rem;align-items:center;margin:0}
.explorer input{flex:1 1 6rem;min-width:6rem;height:1.5rem;margin:0;accent-color:#0072B2}
.explorer output{min-width:4.2em;font-variant-numeric:tabular-nums}
.explorer button{min-width:2.6rem;min-height:2rem;border:1px solid #8888;border-radius:.3rem;
background:none;color:inherit;font:inherit}
.explorer figcaption{margin:.25rem 0 0;min-height:3em;font-size:.95em;color:inherit;
text-align:left}
html[data-theme=dark] .explorer img{filter:invert(.93) hue-rotate(180deg);background:none}
@media (prefers-reduced-motion:reduce){.explorer button{display:none}}
@media print{.explorer .controls{display:none}}
"""

_SCRIPT = """
for (const figure of document.querySelectorAll("figure.explorer:not([data-ready])")) {
  figure.dataset.ready = "";
  const frames = JSON.parse(figure.querySelector("script").textContent);
  const image = figure.querySelector("img"), caption = figure.querySelector("figcaption");
  const sliders = [...figure.querySelectorAll("input")], button = figure.querySelector("button");
  const texts = sliders.map(slider => JSON.parse(slider.dataset.texts));
  const show = () => {
    let k = 0;
    sliders.forEach((slider, i) => {
      k = k * texts[i].length + Number(slider.value);
      const text = texts[i][slider.value];
      slider.setAttribute("aria-valuetext", text);
      slider.nextElementSibling.value = text;
    });
    [image.src, image.alt, caption.textContent] = frames[k];
  };
  let timer = 0;
  const play = on => {
    clearInterval(timer);
    timer = on ? setInterval(() => {
      sliders[0].value = (Number(sliders[0].value) + 1) % texts[0].length;
      show();
    }, Number(button.dataset.interval)) : 0;
    caption.setAttribute("aria-live", on ? "off" : "polite");
    if (button) {
      button.textContent = on ? "⏸" : "▶";
      button.setAttribute("aria-label", on ? "Pause" : "Play");
    }
  };
  figure.addEventListener("input", () => { play(false); show(); });
  if (button) button.addEventListener("click", () => play(!timer));
  figure.querySelector(".controls").hidden = false;
  show();
}
"""


def has_live_kernel() -> bool:
    """Whether a Jupyter server started this kernel, so that a slider's moves reach it."""
    return "JPY_SESSION_NAME" in os.environ


def explore(
    draw: Drawing,
    *,
    alt: str,
    labels: Mapping[str, str] | None = None,
    start: Mapping[str, Value] | None = None,
    play: int | None = None,
    **grid: Sequence[Value],
) -> Explorer | Any:
    """Show a figure with one slider for each keyword.

    Parameters
    ----------
    draw
        ``draw(**parameters)`` returns a Matplotlib figure, or the figure and a caption with
        the numbers that it shows (so that it can be followed without being seen).
    alt
        What the picture shows, in words; each frame adds its values.
    labels
        The name to show for a parameter, in Unicode: ``{"epsilon": "ε"}``.
    start
        The values shown first; the middle one of each list unless said.
    play
        Milliseconds a step: adds a button that moves the first slider by itself.
    **grid
        For each parameter the values that the page offers, in order.

    Returns
    -------
    Explorer or ipywidgets.VBox
        What a notebook displays: the first without a live kernel, the second with one.

    Raises
    ------
    ValueError
        If there is no parameter, a list is empty or repeats a value, a label or start names
        no parameter, or the frames exceed ``MAX_FRAMES`` or ``MAX_BYTES``.
    Exception
        Whatever ``draw`` raises: a broken explorer must not be published.
    """
    choices = _checked_grid(grid)
    names = _checked_keys("labels", labels or {}, choices)
    first = {name: values[len(values) // 2] for name, values in choices.items()}
    first |= _checked_keys("start", start or {}, choices)
    for name, value in first.items():
        if value not in choices[name]:
            raise ValueError(f"start[{name!r}] must be one of {choices[name]}, got {value!r}")
    if play is not None and play < 50:
        raise ValueError(f"play must be at least 50 milliseconds a step, got {play}")
    shown = {name: names.get(name, name) for name in choices}
    if has_live_kernel():
        return _live(draw, choices, shown, first)
    return _drawn(draw, choices, shown, first, alt, play)


def text_of(value: Value) -> str:
    """Write a value as a reader would: three digits, and powers of ten as powers."""
    if not isinstance(value, float):
        return str(value)
    if value == 0 or 1e-2 <= abs(value) < 1e4:
        return f"{float(f'{value:.3g}'):g}"
    digits, _, exponent = f"{value:.2e}".partition("e")
    mantissa = f"{float(digits):g}"
    power = "10" + str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return {"1": power, "-1": f"-{power}"}.get(mantissa, f"{mantissa}·{power}")


def _checked_grid(grid: Mapping[str, Sequence[Value]]) -> dict[str, list[Value]]:
    if not grid:
        raise ValueError("explore needs at least one parameter, such as epsilon=[0.1, 0.01]")
    choices: dict[str, list[Value]] = {}
    for name, given in grid.items():
        # NumPy scalars become Python's, so that they print and serialise as what they are.
        values = [value.item() if hasattr(value, "item") else value for value in given]
        if not values:
            raise ValueError(f"{name} must offer at least one value, got an empty list")
        if len(set(values)) < len(values):
            raise ValueError(f"{name} must not repeat a value, got {values}")
        choices[name] = values
    frames = math.prod(map(len, choices.values()))
    if frames > MAX_FRAMES:
        sizes = " × ".join(f"{name}: {len(values)}" for name, values in choices.items())
        raise ValueError(
            f"the explorer would draw {frames} frames ({sizes}); at most {MAX_FRAMES}: offer fewer"
        )
    return choices


def _checked_keys(
    option: str, given: Mapping[str, Any], choices: Mapping[str, Any]
) -> Mapping[str, Any]:
    for name in given:
        if name not in choices:
            raise ValueError(f"{option} names {name!r}, but the parameters are {list(choices)}")
    return given


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture: the bytes of a WebP file, its size in page pixels, and its caption."""

    picture: bytes
    width: int
    height: int
    caption: str


def _frame(draw: Drawing, parameters: Mapping[str, Value]) -> Frame:
    drawn = draw(**parameters)
    figure, caption = drawn if isinstance(drawn, tuple) else (drawn, "")
    if not isinstance(figure, Figure):
        raise TypeError(
            f"draw must return a Matplotlib figure, or one and a caption, got {type(figure)}"
        )
    image, width, height = palette_image(figure, colors=COLORS_KEPT, dpi=100)
    plt.close(figure)
    file = io.BytesIO()
    image.convert("RGB").save(file, format="webp", lossless=True, method=3)
    return Frame(file.getvalue(), width, height, caption)


def _png(frame: Frame) -> bytes:
    file = io.BytesIO()
    Image.open(io.BytesIO(frame.picture)).save(file, format="png", optimize=True)
    return file.getvalue()


def _values(shown: Mapping[str, str], parameters: Mapping[str, Value]) -> str:
    return ", ".join(f"{shown[name]} = {text_of(value)}" for name, value in parameters.items())


class Explorer:
    """The sliders and all their pictures, in HTML that needs nothing else.

    Attributes
    ----------
    html : str
        The whole, ready to stand in a page.
    n_frames : int
        How many pictures it holds.
    """

    def __init__(self, page: str, first: Frame, summary: str, n_frames: int) -> None:
        self.html = page
        self.n_frames = n_frames
        self._first = first
        self._summary = summary

    def __repr__(self) -> str:
        return self._summary

    def _repr_html_(self) -> str:
        return self.html

    def _repr_png_(self) -> bytes:
        # What a printed book, or a viewer that runs no script, shows.
        return _png(self._first)


def _drawn(
    draw: Drawing,
    choices: Mapping[str, list[Value]],
    shown: Mapping[str, str],
    first: Mapping[str, Value],
    alt: str,
    play: int | None,
) -> Explorer:
    combinations = [
        dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())
    ]
    frames = [_frame(draw, combination) for combination in combinations]
    texts = [f"{alt} Here {_values(shown, combination)}." for combination in combinations]
    start = combinations.index(dict(first))
    opening = frames[start]

    def url(frame: Frame) -> str:
        return "data:image/webp;base64," + base64.b64encode(frame.picture).decode()

    entries = [[url(f), text, f.caption] for f, text in zip(frames, texts, strict=True)]
    # "</" would end the script element, whatever it stands in.
    data = json.dumps(entries, ensure_ascii=False).replace("</", "<\\/")

    def slider(name: str, values: list[Value]) -> str:
        written = html.escape(json.dumps([text_of(value) for value in values], ensure_ascii=False))
        position = values.index(first[name])
        return (
            f"<label>{html.escape(shown[name])}"
            f'<input type="range" name="{html.escape(name)}" min="0" max="{len(values) - 1}" '
            f'value="{position}" autocomplete="off" data-texts="{written}">'
            f"<output>{html.escape(text_of(first[name]))}</output></label>"
        )

    button = (
        f'<button type="button" aria-label="Play" data-interval="{play}">▶</button>' if play else ""
    )
    sliders = "".join(slider(name, values) for name, values in choices.items() if len(values) > 1)
    page = (
        f"<style>{_STYLE}</style>"
        f'<figure class="explorer"><div class="controls" hidden>{button}{sliders}</div>'
        f'<img src="{url(opening)}" alt="{html.escape(texts[start])}" '
        f'width="{opening.width}" height="{opening.height}">'
        f'<figcaption aria-live="polite">{html.escape(opening.caption)}</figcaption>'
        f"<noscript>The sliders need JavaScript; the picture shows "
        f"{html.escape(_values(shown, first))}.</noscript>"
        f'<script type="application/json">{data}</script></figure>'
        f"<script>{_SCRIPT}</script>"
    )
    size = len(page.encode())
    if size > MAX_BYTES:
        raise ValueError(
            f"the explorer's {len(frames)} frames take {size:,} bytes, about "
            f"{size // len(frames):,} each; at most {MAX_BYTES:,}: offer fewer or draw less"
        )
    summary = f"Explorer of {len(frames)} frames: " + ", ".join(
        f"{shown[name]} from {text_of(values[0])} to {text_of(values[-1])}"
        for name, values in choices.items()
    )
    return Explorer(page, opening, summary, len(frames))


def _live(
    draw: Drawing,
    choices: Mapping[str, list[Value]],
    shown: Mapping[str, str],
    first: Mapping[str, Value],
) -> Any:
    import ipywidgets

    def slider(name: str, values: list[Value]) -> Any:
        options: dict[str, Any] = {"description": shown[name], "continuous_update": False}
        options["style"] = {"description_width": "initial"}
        numbers = [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
        if len(numbers) < len(values) or len(values) < 2:
            return ipywidgets.SelectionSlider(value=first[name], options=values, **options)
        low, high = min(numbers), max(numbers)
        if all(isinstance(v, int) for v in numbers):
            return ipywidgets.IntSlider(first[name], min=low, max=high, **options)
        if low > 0 and high / low > 50:
            # Values over orders of magnitude are asked for by their logarithm.
            span = {"min": math.log10(low), "max": math.log10(high)}
            return ipywidgets.FloatLogSlider(first[name], **span, readout_format=".1e", **options)
        return ipywidgets.FloatSlider(
            first[name], min=low, max=high, step=(high - low) / 500, readout_format=".3g", **options
        )

    sliders = {name: slider(name, values) for name, values in choices.items()}
    image = ipywidgets.Image(format="webp", layout=ipywidgets.Layout(max_width="640px"))
    caption = ipywidgets.HTML()

    def redraw(_: object = None) -> None:
        parameters = {name: control.value for name, control in sliders.items()}
        try:
            frame = _frame(draw, parameters)
        except Exception as error:
            # Jupyter logs what a callback raises where no reader looks.
            caption.value = f"<strong>{html.escape(f'{type(error).__name__}: {error}')}</strong>"
            raise
        image.value, caption.value = frame.picture, html.escape(frame.caption)

    for control in sliders.values():
        control.observe(redraw, "value")
    redraw()
    return ipywidgets.VBox([*sliders.values(), image, caption])
