"""Figures as pixels: sharp on dense screens, and light enough for a page that holds many."""

import io

from matplotlib.figure import Figure
from PIL import Image

DENSITY = 2
"""Pixels of a picture for each pixel of the page: sharp on the dense screens of today."""


def palette_image(
    figure: Figure, *, colors: int, dpi: float, bbox_inches: str | None = None
) -> tuple[Image.Image, int, int]:
    """Return a drawing in a palette, which looks the same and weighs less, and its page size."""
    raw = io.BytesIO()
    figure.savefig(
        raw,
        format="png",
        dpi=DENSITY * dpi,
        bbox_inches=bbox_inches,
        pil_kwargs={"compress_level": 0},
    )
    image = Image.open(raw).convert("RGB")
    palette = image.quantize(colors, method=Image.Quantize.FASTOCTREE)
    return palette, image.width // DENSITY, image.height // DENSITY
