"""What the site needs of Sphinx beyond configuration.

It copies MathJax beside the pages, gives every page a Content-Security-Policy that allows
the site itself and nothing else, makes the canonical address from the repository's, and
rewrites the ledger page whenever a chapter has run again.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from importlib.resources import as_file, files
from pathlib import Path
from urllib.parse import urlparse

from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError

POLICY_META = '<meta http-equiv="Content-Security-Policy"'


def set_base_url(app: Sphinx, config: object) -> None:
    """Derive the site's address from the repository's: GitHub Pages' rule."""
    address = urlparse(app.config.html_theme_options["repository_url"])
    owner, _, name = address.path.strip("/").partition("/")
    app.config.html_baseurl = f"https://{owner}.github.io/{name}/"


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Copy MathJax's bundle, fonts and TeX extensions from the installed package."""
    if error or app.builder.format != "html":
        return
    target = Path(app.outdir, "_static", "vendor", "mathjax")
    if (target / "tex-mml-chtml.js").exists():
        return
    try:
        source = files("mathjax") / "static" / "mathjax" / "es5"
    except ModuleNotFoundError:
        raise ExtensionError(
            "MathJax is missing: install django-static-mathjax, as `make book` does from the lock"
        ) from None
    with as_file(source) as folder:
        for part in ("output/chtml/fonts/woff-v2", "input/tex/extensions"):
            shutil.copytree(folder / part, target / part, dirs_exist_ok=True)
        shutil.copy(folder / "tex-mml-chtml.js", target)


def digest(code: str) -> str:
    """Name a script or handler by its hash, as a policy does."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"


def handlers(soup: BeautifulSoup) -> set[str]:
    """Hashes of the event handlers written into a page's elements."""
    return {
        digest(value)
        for element in soup.find_all(True)
        for name, value in element.attrs.items()
        if name.startswith("on")
    }


def policy(soup: BeautifulSoup, allowed_handlers: set[str]) -> str:
    """The strictest policy under which a page's own scripts run, each named by its hash."""
    inline = {
        digest(script.string or "")
        for script in soup.find_all("script", src=False)
        if script.get("type", "text/javascript") in ("text/javascript", "module")
    }
    scripts = ["'self'", *sorted(inline)]
    if allowed_handlers:
        scripts += ["'unsafe-hashes'", *sorted(allowed_handlers)]
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(scripts)}",
            "style-src 'self' 'unsafe-inline'",  # MathJax writes its metrics into style elements
            "img-src 'self' data:",
            "font-src 'self'",
            "connect-src 'self'",
            "base-uri 'self'",
            "form-action 'self'",
        ]
    )


def write_policies(app: Sphinx, error: Exception | None) -> None:
    """Put its policy at the top of each page's head, in place of one that stands there."""
    if error or app.builder.format != "html":
        return
    pages = {path: path.read_text(encoding="utf-8") for path in Path(app.outdir).rglob("*.html")}
    soups = {path: BeautifulSoup(page, "html.parser") for path, page in pages.items()}
    # The search page parses the pages that it finds, and their handlers with them.
    everywhere = set().union(*(handlers(soup) for soup in soups.values()))
    for path, page in pages.items():
        if "<head>" in page:
            page = re.sub(POLICY_META + r".*?>\n", "", page)
            meta = f'{POLICY_META} content="{policy(soups[path], everywhere)}">\n'
            path.write_text(page.replace("<head>\n", f"<head>\n{meta}", 1), encoding="utf-8")


def escape_bars(
    app: Sphinx, kind: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Let docstrings write |x| as mathematics does, where reStructuredText sees substitutions."""
    literal: int | None = None
    for i, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if literal is not None and line.strip() and indent <= literal:
            literal = None
        if literal is None and not line.lstrip().startswith(">>>"):
            lines[i] = line.replace("|", "\\|")
            if line.rstrip().endswith("::"):
                literal = indent


def rewrite_ledger(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """The ledger pastes what the chapters measured, so it is as old as the oldest of them."""
    return [name for name in ("book/ledger",) if name in env.found_docs]


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("config-inited", set_base_url)
    app.connect("autodoc-process-docstring", escape_bars)
    app.connect("env-updated", rewrite_ledger)
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", write_policies)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
