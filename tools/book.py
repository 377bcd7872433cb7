"""Build the book: run the notebooks that changed, let Sphinx write the pages, check them.

``python tools/book.py`` is what ``make book`` calls.  A notebook runs again when its code,
a module of the package that it imports (however indirectly), or the lock has changed, and
only then: Jupyter Book's own cache looks at the notebook alone.
"""

from __future__ import annotations

import ast
import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import yaml
from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor

from site_checks import check_site

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
PACKAGE = "inthelimit"
SITE = ROOT / "_build" / "html"
CACHE = ROOT / "_build" / ".jupyter_cache"
KEYS = CACHE / "keys.json"
TOC_STAMP = ROOT / "_build" / "toc.sha256"
CELL_TIMEOUT = 300


def pages() -> list[str]:
    """Every document in the table of contents, in order, without its suffix."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    return [toc["root"], *chapters]


def notebooks() -> list[Path]:
    """The notebooks in the table of contents."""
    paths = [ROOT / f"{page}.ipynb" for page in pages() if page.startswith("notebooks/")]
    for path in paths:
        if not path.exists():
            sys.exit(f"_toc.yml names {path.relative_to(ROOT)}, which does not exist")
    return paths


def imported_modules(code: str, package: str = "") -> set[str]:
    """Names that the code imports from the book's package, candidates for modules included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base]).rstrip(".")
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return {name for name in names if name.split(".")[0] == PACKAGE}


def dependencies(code: str) -> set[Path]:
    """Files of the package on which the code depends, directly or not."""
    found: set[Path] = set()
    waiting = imported_modules(code)
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if "." in name:
            waiting.add(name.rpartition(".")[0])
        stem = SOURCE / name.replace(".", "/")
        for path, package in (
            (stem.with_suffix(".py"), name.rpartition(".")[0]),
            (stem / "__init__.py", name),
        ):
            if path.exists():
                found.add(path)
                waiting |= imported_modules(path.read_text(encoding="utf-8"), package)
    return found


def code_of(notebook: nbformat.NotebookNode) -> str:
    """All code of a notebook, in order."""
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")


def key(notebook: nbformat.NotebookNode) -> str:
    """What a notebook's outputs depend on, as a hash."""
    code = code_of(notebook)
    parts = [code, (ROOT / "requirements.lock").read_text(encoding="utf-8"), sys.version]
    parts += [path.read_text(encoding="utf-8") for path in sorted(dependencies(code))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def execute() -> list[Path]:
    """Run the notebooks whose key has changed, in parallel; return them.

    The keys of those that ran are stored even when others fail, so that nothing runs twice.
    """
    cache = get_cache(str(CACHE))
    cache.change_cache_limit(1000)
    keys = json.loads(KEYS.read_text()) if KEYS.exists() else {}
    current, stale = {}, []
    for path in notebooks():
        notebook = nbformat.read(path, as_version=4)
        name = path.stem
        current[name] = key(notebook)
        try:
            record = cache.match_cache_notebook(notebook)
        except KeyError:
            record = None
        if record is not None and keys.get(name) != current[name]:
            cache.remove_cache(record.pk)
            record = None
        if record is None:
            stale.append(path)
    for record in cache.list_project_records():
        cache.remove_nb_from_project(record.pk)
    if stale:
        for path in stale:
            cache.add_nb_to_project(str(path))
        executor = load_executor("local-parallel", cache)
        result = executor.run_and_cache(timeout=CELL_TIMEOUT)
        done = {Path(uri).stem for uri in result.succeeded}
        keys |= {name: value for name, value in current.items() if name in done}
        KEYS.write_text(json.dumps(keys, indent=1, sort_keys=True))
        failed = [record for record in cache.list_project_records() if record.traceback]
        for record in failed:
            print(record.traceback, file=sys.stderr)
        broken = sorted({path.stem for path in stale} - done)
        if broken:
            sys.exit(f"these notebooks failed, see above: {', '.join(broken)}")
    return stale


def write_pages(changed: list[Path]) -> str:
    """Let Jupyter Book write the site, any warning an error; return a hash of `_toc.yml`."""
    for path in changed:
        # Sphinx looks at a notebook's date, which a change in src/ leaves as it was.
        doctree = (
            ROOT / "_build" / ".doctrees" / f"{path.relative_to(ROOT).with_suffix('')}.doctree"
        )
        doctree.unlink(missing_ok=True)
    documents = {(SITE / f"{page}.html").resolve() for page in pages()}
    for folder in ("book", "notebooks"):
        for path in (SITE / folder).rglob("*.html"):
            if path.resolve() not in documents:
                path.unlink()
    # Every page shows the table of contents, and Sphinx does not know that it depends on it.
    toc = hashlib.sha256((ROOT / "_toc.yml").read_bytes()).hexdigest()
    same_toc = TOC_STAMP.exists() and TOC_STAMP.read_text() == toc
    # What a build that fails leaves behind need not fit together: the next one writes all pages.
    TOC_STAMP.unlink(missing_ok=True)
    command = [
        str(Path(sys.executable).with_name("jupyter-book")), "build", str(ROOT),
        "--warningiserror", "--nitpick", "--keep-going", "--quiet",
        *([] if same_toc else ["--all"]),
    ]  # fmt: skip
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        sys.exit("the pages could not be written, see the warnings above")
    return toc


def main() -> None:
    """Execute, write, check; say how long each took."""
    start = time.perf_counter()
    changed = execute()
    executed = time.perf_counter()
    toc = write_pages(changed)
    written = time.perf_counter()
    report = check_site(SITE, pages())
    TOC_STAMP.write_text(toc)
    print(
        f"ran {len(changed)} notebooks in {executed - start:.0f} s, wrote the pages in "
        f"{written - executed:.0f} s; {report}"
    )
    print(f"open {SITE / 'index.html'}, or `make serve`")


if __name__ == "__main__":
    main()
