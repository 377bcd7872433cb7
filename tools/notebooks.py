"""Keep the notebooks as the book wants them: made, stored and checked the same way.

``new``    a chapter with every slot, one working explorer and its claims
``store``  run notebooks, and keep of their outputs only what nbval compares
``check``  say what is wrong with a stored notebook, one sentence each
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "tools" / "chapter_template.ipynb"
COMPARED = "nbval-check-output"
TAGS = {COMPARED, "hide-input", "hide-output", "hide-cell", "remove-input", "remove-cell"}
HIDDEN = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
MAX_VISIBLE_CELLS = 20
MAX_CELL_LINES = 25
SLOTS = (
    "The question",
    "Setting",
    "The theorem",
    "Why it is true",
    "The finite system",
    "The limit",
    "The gap",
    "The paper's figures",
    "Break it",
    "Beyond the paper",
    "Exercises",
    "Check yourself",
    "Take-away",
    "Where it leads",
    "References",
)


def read(path: Path) -> nbformat.NotebookNode:
    """Read a notebook in the current format."""
    return nbformat.read(path, as_version=4)


def chapters() -> list[Path]:
    """All notebooks, in order."""
    return sorted((ROOT / "notebooks").glob("*.ipynb"))


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Keep only compared text outputs, count the cells, name them in order."""
    count = 0
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:03d}"
        if cell.cell_type != "code":
            continue
        count += 1
        cell.execution_count = count
        kept = cell.outputs if COMPARED in cell.metadata.get("tags", []) else []
        for output in kept:
            if "execution_count" in output:
                output.execution_count = count
        cell.outputs = kept
        cell.metadata.pop("execution", None)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}


def store(path: Path) -> None:
    """Run a notebook in its folder and store it."""
    notebook = read(path)
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    ).execute()
    tidy(notebook)
    nbformat.write(notebook, path)


def _source(cell: nbformat.NotebookNode) -> str:
    return cell.source if isinstance(cell.source, str) else "".join(cell.source)


def faults(path: Path) -> list[str]:
    """Say what is wrong with a stored chapter."""
    # nbformat mends missing and double ids as it reads, so they are read as they stand.
    notebook = nbformat.from_dict(json.loads(path.read_text(encoding="utf-8")))
    found = []
    if "widgets" in notebook.metadata:
        found.append("widget state is stored")
    ids = [cell.get("id") for cell in notebook.cells]
    if None in ids or len(set(ids)) < len(ids):
        found.append("cells need ids, each its own")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        found.append("execution counts must be 1, 2, 3, …: run `make store`")
    for number, cell in enumerate(code, start=1):
        tags = set(cell.metadata.get("tags", []))
        if tags - TAGS:
            found.append(f"code cell {number}: unknown tags {sorted(tags - TAGS)}")
        if cell.outputs and COMPARED not in tags:
            found.append(f"code cell {number}: outputs are stored, but nothing compares them")
        if COMPARED in tags and not cell.outputs:
            found.append(f"code cell {number}: tagged {COMPARED}, but no output is stored")
        for output in cell.outputs:
            kinds = set(output.get("data", {})) - {"text/plain"}
            if kinds:
                found.append(f"code cell {number}: stores {sorted(kinds)}, only text may be")
        lines = _source(cell).count("\n") + 1
        if not tags & HIDDEN and lines > MAX_CELL_LINES:
            found.append(f"code cell {number}: {lines} visible lines, at most {MAX_CELL_LINES}")
    visible = sum(not set(cell.metadata.get("tags", [])) & HIDDEN for cell in code)
    if visible > MAX_VISIBLE_CELLS:
        found.append(f"{visible} visible code cells, at most {MAX_VISIBLE_CELLS}")
    text = "\n".join(_source(cell) for cell in notebook.cells)
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    slots = [next((slot for slot in SLOTS if h.startswith(slot)), None) for h in headings]
    present = [slot for slot in slots if slot]
    if present != list(SLOTS):
        missing = [slot for slot in SLOTS if slot not in present]
        found.append(
            f"slots are missing: {', '.join(missing)}"
            if missing
            else f"slots must stand once and in this order: {', '.join(SLOTS)}"
        )
    for needed in (
        "{prf:theorem}",
        "{prf:proof}",
        "explore(",
        "contrast=",
        "{solution",
        "{dropdown}",
    ):
        if needed not in text:
            found.append(f"no {needed} found")
    if re.search(r"\{\{(title|slug|number)\}\}", text):
        found.append("a template's name is left unfilled")
    return found


def new(name: str) -> Path:
    """Make a chapter from the template, and list it in the table of contents and the ledger."""
    match = re.fullmatch(r"(\d\d)-([a-z0-9]+(?:-[a-z0-9]+)*)", name)
    if not match:
        sys.exit(f"name must look like 03-minimal-degree, got {name!r}")
    path = ROOT / "notebooks" / f"{name}.ipynb"
    if path.exists():
        sys.exit(f"{path.relative_to(ROOT)} exists already")
    toc_path = ROOT / "_toc.yml"
    lines = toc_path.read_text(encoding="utf-8").splitlines()
    entry = next((i for i, line in enumerate(lines) if line.endswith(f"notebooks/{name}")), None)
    if entry is None:
        sys.exit(f"_toc.yml plans no notebooks/{name}: add a line for it first")
    part = max(i for i in range(entry) if "- caption:" in lines[i])
    for i in (*range(part, part + 3), entry):
        lines[i] = lines[i].removeprefix("#")
    slug = match[2]
    filled = {
        "{{title}}": slug.replace("-", " ").capitalize(),
        "{{slug}}": slug,
        "{{number}}": str(int(match[1])),
    }
    notebook = read(TEMPLATE)
    for cell in notebook.cells:
        for token, value in filled.items():
            cell.source = cell.source.replace(token, value)
            figure = cell.metadata.get("mystnb", {}).get("figure", {})
            if "name" in figure:
                figure["name"] = figure["name"].replace(token, value)
    nbformat.write(notebook, path)
    store(path)
    toc_path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    ledger = ROOT / "book" / "ledger.md"
    section = (
        f"\n## Chapter {int(match[1])}\n\n{{doc}}`../notebooks/{name}`\n\n"
        f"```{{glue:}} ledger-{slug}\n:doc: ../notebooks/{name}.ipynb\n```\n"
    )
    ledger.write_text(ledger.read_text(encoding="utf-8") + section, encoding="utf-8")
    return path


def main() -> None:
    """Run one of the three commands."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("command", choices=["new", "store", "check"])
    parser.add_argument("names", nargs="*", help="chapters, e.g. 02-lasso-path; all if none")
    arguments = parser.parse_args()
    if arguments.command == "new":
        for name in arguments.names or sys.exit("which name? make new-chapter name=03-..."):
            print(f"made {new(name).relative_to(ROOT)}")
        return
    paths = [ROOT / "notebooks" / f"{name}.ipynb" for name in arguments.names] or chapters()
    if arguments.command == "store":
        for path in paths:
            store(path)
            print(f"stored {path.relative_to(ROOT)}")
        return
    problems = [f"{path.name}: {fault}" for path in paths for fault in faults(path)]
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(paths)} notebooks are as they should be")


if __name__ == "__main__":
    main()
