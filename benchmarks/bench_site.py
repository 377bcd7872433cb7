"""What a reader waits for: pages, explorer steps, the import, a build with nothing changed.

Each row gives a measured value beside the budget that the design sets for it; the site must
have been built.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from book import ROOT, SITE
from browser import chromium, served
from site_checks import Page, weight

# A step is over when the browser has decoded the new picture and painted it.
STEP = """async slider => {
  const image = slider.closest("figure").querySelector("img"), times = [];
  for (let k = 0; k < 40; k++) {
    slider.value = (Number(slider.value) + 1) % (Number(slider.max) + 1);
    const start = performance.now();
    slider.dispatchEvent(new Event("input", {bubbles: true}));
    await image.decode();
    await new Promise(requestAnimationFrame);
    times.push(performance.now() - start);
  }
  return times;
}"""


def run(quick: bool = False) -> list[dict[str, object]]:
    """Return one row for each measurement; `quick` repeats less."""
    rows = [_import(3 if quick else 15), _build(), *_pages(1 if quick else 5)]
    return rows


def _row(what: str, value: float, unit: str, budget: float) -> dict[str, object]:
    return {"what": what, "value": value, "unit": unit, "budget": budget, "kept": value <= budget}


def _import(repeats: int) -> dict[str, object]:
    code = "import time; t = time.perf_counter(); import inthelimit; print(time.perf_counter() - t)"
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(repeats)
    ]
    return _row("import inthelimit", 1e3 * statistics.median(times), "ms", 100)


def _build() -> dict[str, object]:
    command = [sys.executable, str(ROOT / "tools" / "book.py")]
    subprocess.run(command, check=True, capture_output=True)
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return _row("make book, nothing changed", time.perf_counter() - start, "s", 20)


def _pages(repeats: int) -> list[dict[str, object]]:
    rows = []
    with served(SITE) as site, chromium() as browser:
        for path in sorted((SITE / "notebooks").glob("*.html")):
            address = f"{site}notebooks/{path.name}"
            ready = []
            for _ in range(repeats):
                page = browser.new_page(viewport={"width": 1440, "height": 900})
                page.goto(address)
                page.wait_for_function("!window.MathJax?.startup || MathJax.startup.promise")
                page.evaluate("window.MathJax ? MathJax.startup.promise.then(() => 0) : 0")
                ready.append(page.evaluate("performance.now()") / 1e3)
                steps = [
                    moment
                    for slider in page.locator("figure.explorer input[type=range]").all()
                    for moment in slider.evaluate(STEP)
                ]
                page.close()
            rows += [
                _row(f"{path.stem}: maths set, sliders live", statistics.median(ready), "s", 2),
                _row(f"{path.stem}: a step, median", statistics.median(steps), "ms", 50),
                _row(
                    f"{path.stem}: a step, slowest in 20",
                    sorted(steps)[-len(steps) // 20],
                    "ms",
                    50,
                ),
                _row(f"{path.stem}: weight of the page", weight(Page(path)) / 1e6, "MB", 3),
            ]
    return rows


if __name__ == "__main__":
    for row in run():
        print(row)
