"""What must be true of the built site; each failure is one sentence that says where."""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import unquote, urlparse

from bs4 import BeautifulSoup

MAX_PAGE_BYTES = 3_000_000
"""A page with its own pictures; scripts, styles and fonts are shared by all and cached."""


class Page:
    """One HTML file, parsed once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text(encoding="utf-8")
        self.soup = BeautifulSoup(self.text, "html.parser")
        self.anchors = {tag["id"] for tag in self.soup.find_all(id=True)}
        self.anchors |= {tag["name"] for tag in self.soup.find_all("a", attrs={"name": True})}


def check_site(site: Path, documents: list[str]) -> str:
    """Check every page of the site, and exit with a list of what is wrong.

    Parameters
    ----------
    site
        Folder of the built site.
    documents
        Names of the documents that must be there.

    Returns
    -------
    str
        A sentence that counts what was checked.
    """
    pages = {path.resolve(): Page(path) for path in sorted(site.rglob("*.html"))
             if "_static" not in path.parts}  # fmt: skip
    problems = [
        f"{document}: in the table of contents, but no page was written"
        for document in documents
        if (site / f"{document}.html").resolve() not in pages
    ]
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        problems += [f"{name}: {problem}" for problem in _problems(page, pages, site)]
    if problems:
        sys.exit("the site has faults:\n" + "\n".join(problems))
    heaviest = max(pages.values(), key=lambda page: weight(page))
    return (
        f"checked {len(pages)} pages, the heaviest {heaviest.path.stem} "
        f"({weight(heaviest) / 1e6:.2f} MB)"
    )


def weight(page: Page) -> int:
    """Bytes of a page and of the pictures that only it shows."""
    pictures = {image["src"] for image in page.soup.find_all("img", src=True)}
    files = [page.path.parent / unquote(src) for src in pictures if not src.startswith("data:")]
    return len(page.text.encode()) + sum(file.stat().st_size for file in files if file.exists())


def _problems(page: Page, pages: dict[Path, Page], site: Path) -> list[str]:
    found = []
    if "Traceback (most recent call last)" in page.soup.get_text():
        found.append("shows a traceback")
    for image in page.soup.find_all("img"):
        alt = (image.get("alt") or "").strip()
        if not alt and image.get("role") != "presentation":
            found.append(f"an image has no alt text: {image.get('src', '')[:80]}")
        elif alt.startswith(("../_images/", "_images/")):
            found.append(f"an image's alt text is its path, set mystnb.image.alt: {alt}")
    if weight(page) > MAX_PAGE_BYTES:
        found.append(f"weighs {weight(page):,} bytes, at most {MAX_PAGE_BYTES:,} are allowed")
    if "<head>" in page.text and "Content-Security-Policy" not in page.text:
        found.append("has no Content-Security-Policy")
    for tag, attribute in (("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src")):
        for element in page.soup.find_all(tag, attrs={attribute: True}):
            address = urlparse(element[attribute])
            if element.get("rel") == ["canonical"] or address.scheme == "data":
                continue
            if address.netloc:
                found.append(f"asks another host for {element[attribute]}")
            elif address.path and not (page.path.parent / unquote(address.path)).exists():
                found.append(f"{element[attribute]} does not exist")
    for link in page.soup.find_all("a", href=True):
        address = urlparse(link["href"])
        if address.scheme or address.netloc or not link["href"].strip("#"):
            continue
        target = (page.path.parent / unquote(address.path)).resolve() if address.path else page.path
        target = target.resolve()
        if not target.exists():
            found.append(f"links to {link['href']}, which does not exist")
        elif (
            address.fragment
            and target in pages
            and unquote(address.fragment) not in pages[target].anchors
        ):
            found.append(f"links to {link['href']}, but that page has no such anchor")
    return found
