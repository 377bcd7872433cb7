"""Take the README's picture of the book: ``python tools/picture.py``, after ``make book``."""

from __future__ import annotations

import io

from PIL import Image

from book import ROOT, SITE
from browser import chromium, served

PICTURE = ROOT / "book" / "images" / "chapter.png"


def main() -> None:
    """Open the first chapter at its hero, and store what a reader sees in few colours."""
    with served(SITE) as address, chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 960})
        page.goto(f"{address}notebooks/01-incremental-learning.html")
        page.wait_for_load_state("networkidle")
        page.evaluate("document.fonts.ready.then(() => 0)")
        shot = page.screenshot()
    PICTURE.parent.mkdir(exist_ok=True)
    Image.open(io.BytesIO(shot)).convert("RGB").quantize(
        256, method=Image.Quantize.FASTOCTREE
    ).save(PICTURE, optimize=True)
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
