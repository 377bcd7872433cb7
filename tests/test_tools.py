"""The tools that build the book notice what they must notice."""

import copy
import json
import shutil
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import book
import notebooks
import site_checks
import site_extension

ROOT = Path(__file__).resolve().parent.parent


class TestWhatANotebookDependsOn:
    def names(self, code):
        return {str(path.relative_to(book.SOURCE)) for path in book.dependencies(code)}

    def test_direct_and_indirect_modules(self):
        found = self.names("from inthelimit.lasso import lasso_path")
        assert {"inthelimit/__init__.py", "inthelimit/lasso.py", "inthelimit/quadratic.py"} <= found
        assert not any("teaching" in name or "diagonal" in name for name in found)

    def test_modules_of_a_package_and_relative_imports(self):
        found = self.names("import numpy as np\nfrom inthelimit.teaching import prose")
        assert found == {
            "inthelimit/__init__.py",
            "inthelimit/teaching/__init__.py",
            "inthelimit/teaching/prose.py",
        }
        assert book.imported_modules("from .limit import f", "inthelimit.diagonal") == {
            "inthelimit.diagonal.limit",
            "inthelimit.diagonal.limit.f",
        }
        assert "inthelimit._checks" in book.imported_modules(
            "from .._checks import f", "inthelimit.diagonal"
        )

    def test_the_key_follows_code_modules_and_lock_but_not_prose(self, tmp_path, monkeypatch):
        for name in ("src", "requirements.lock"):
            source, target = ROOT / name, tmp_path / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
        monkeypatch.setattr(book, "ROOT", tmp_path)
        monkeypatch.setattr(book, "SOURCE", tmp_path / "src")
        notebook = new_notebook(cells=[new_code_cell("from inthelimit.lasso import lasso_path")])
        before = book.key(notebook)

        prose = copy.deepcopy(notebook)
        prose.cells.append(new_markdown_cell("More words."))
        assert book.key(prose) == before

        def appended(name):
            path = tmp_path / name
            old = path.read_text()
            path.write_text(old + "\n# changed\n")
            changed = book.key(notebook)
            path.write_text(old)
            return changed != before

        assert appended("src/inthelimit/lasso.py")
        assert appended("src/inthelimit/quadratic.py")
        assert appended("requirements.lock")
        assert not appended("src/inthelimit/teaching/claims.py")
        code = copy.deepcopy(notebook)
        code.cells.append(new_code_cell("1 + 1"))
        assert book.key(code) != before


PAGE = """<!DOCTYPE html><html><head><meta http-equiv="Content-Security-Policy" content="x"></head>
<body><h1 id="top">Title</h1>{}</body></html>"""


class TestSiteChecks:
    @pytest.fixture
    def site(self, tmp_path):
        (tmp_path / "index.html").write_text(PAGE.format('<a href="other.html#top">other</a>'))
        (tmp_path / "other.html").write_text(PAGE.format('<img src="a.png" alt="A picture">'))
        (tmp_path / "a.png").write_bytes(b"\0" * 1000)
        return tmp_path

    def test_a_sound_site_passes_and_is_weighed(self, site):
        assert "2 pages, the heaviest other" in site_checks.check_site(site, ["index", "other"])

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ("<pre>Traceback (most recent call last):</pre>", "index.html: shows a traceback"),
            ('<img src="a.png" alt="">', "index.html: an image has no alt text: a.png"),
            ('<img src="a.png">', "no alt text"),
            ('<img src="a.png" alt="_images/3f.png">', "alt text is its path"),
            ('<a href="none.html">x</a>', "links to none.html, which does not exist"),
            ('<a href="other.html#none">x</a>', "no such anchor"),
            ('<a href="#none">x</a>', "no such anchor"),
            ('<script src="https://cdn.test/x.js"></script>', "asks another host for https://cdn"),
            ('<script src="gone.js"></script>', "gone.js does not exist"),
            ("<!--" + "x" * 3_000_000 + "-->", "weighs 3,000,"),
        ],
    )
    def test_a_fault_is_one_sentence_that_says_where(self, site, body, message):
        (site / "index.html").write_text(PAGE.format(body))
        with pytest.raises(SystemExit) as error:
            site_checks.check_site(site, ["index", "other"])
        assert message in str(error.value)

    def test_a_page_of_the_table_of_contents_must_exist(self, site):
        with pytest.raises(SystemExit, match="book/map: in the table of contents"):
            site_checks.check_site(site, ["index", "book/map"])

    def test_a_page_without_policy_is_a_fault(self, site):
        (site / "index.html").write_text("<html><head></head><body></body></html>")
        with pytest.raises(SystemExit, match=r"index\.html: has no Content-Security-Policy"):
            site_checks.check_site(site, ["index"])


def test_the_policy_names_each_inline_script_and_handler_and_no_other():
    page = '<head></head><script>alert(1)</script><a onclick="go()">x</a>'
    page += '<script type="application/json">{}</script><script src="a.js"></script>'
    soup = BeautifulSoup(page, "html.parser")
    policy = site_extension.policy(soup, site_extension.handlers(soup))
    assert policy.count("'sha256-") == 2
    # openssl dgst -sha256 -binary | base64 says the same of alert(1).
    assert "'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='" in policy
    assert "'unsafe-hashes'" in policy
    assert "script-src 'self' 'unsafe-inline'" not in policy
    assert "unsafe-hashes" not in site_extension.policy(soup, set())


class TestNotebookHygiene:
    @pytest.fixture
    def path(self, tmp_path):
        path = tmp_path / "chapter.ipynb"
        notebook = notebooks.read(notebooks.TEMPLATE)
        for cell in notebook.cells:
            cell.source = cell.source.replace("{{title}}", "T").replace("{{number}}", "1")
            cell.source = cell.source.replace("{{slug}}", "t")
            if notebooks.COMPARED in cell.metadata.get("tags", []):
                cell.outputs = [new_output("stream", text="Theorem: holds\n")]
        notebooks.tidy(notebook)
        nbformat.write(notebook, path)
        return path

    def test_the_template_is_a_sound_chapter(self, path):
        assert notebooks.faults(path) == []

    def first_code(self, notebook):
        return next(cell for cell in notebook.cells if cell.cell_type == "code")

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda nb, c: nb.metadata.update(widgets={"x": {}}), "widget state is stored"),
            (lambda nb, c: c.update(execution_count=7), "execution counts must be"),
            (lambda nb, c: c.metadata.update(tags=["hide-imput"]), "unknown tags ['hide-imput']"),
            (
                lambda nb, c: c.update(outputs=[new_output("stream", text="x")]),
                "outputs are stored, but nothing compares them",
            ),
            (
                lambda nb, c: c.update(
                    metadata={"tags": ["nbval-check-output"]},
                    outputs=[new_output("display_data", data={"image/png": "aaaa"})],
                ),
                "stores ['image/png'], only text may be",
            ),
            (
                lambda nb, c: c.update(metadata={"tags": ["nbval-check-output"]}),
                "no output is stored",
            ),
            (lambda nb, c: c.update(source="\n" * 30, metadata={}), "31 visible lines"),
            (
                lambda nb, c: nb.cells.extend(new_code_cell("1") for _ in range(21)),
                "visible code cells, at most 20",
            ),
            (
                lambda nb, c: [cell.update(source=cell.source.replace("## Break it", "## Other"))
                               for cell in nb.cells],
                "slots are missing: Break it",
            ),
            (lambda nb, c: nb.cells[-1].update(id=nb.cells[0].id), "cells need ids, each its own"),
            (
                lambda nb, c: nb.cells.append(new_markdown_cell("## Setting")),
                "slots must stand once and in this order",
            ),
            (lambda nb, c: nb.cells[0].update(source="# {{title}}"), "left unfilled"),
        ],
    )  # fmt: skip
    def test_each_fault_is_named(self, path, spoil, message):
        notebook = notebooks.read(path)
        spoil(notebook, self.first_code(notebook))
        path.write_text(json.dumps(notebook))
        assert any(message in fault for fault in notebooks.faults(path)), notebooks.faults(path)


@pytest.mark.parametrize("path", notebooks.chapters(), ids=lambda path: path.stem)
def test_every_chapter_is_stored_as_it_should_be(path):
    assert notebooks.faults(path) == []


def test_every_notebook_is_planned_and_every_listed_one_exists():
    assert book.notebooks() == notebooks.chapters()
    toc = (ROOT / "_toc.yml").read_text()
    assert toc.count("notebooks/") == 10


def test_a_new_chapter_passes_every_check(tmp_path, monkeypatch):
    """make new-chapter, in a copy of the tree."""
    for name in ("_toc.yml", "book", "tools"):
        source, target = ROOT / name, tmp_path / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    plan = (tmp_path / "_toc.yml").read_text()
    name = next(line.partition("notebooks/")[2] for line in plan.splitlines()
                if line.startswith("#") and "notebooks/" in line)  # fmt: skip
    path = notebooks.new(name)
    assert notebooks.faults(path) == []
    assert f"      - file: notebooks/{name}\n" in (tmp_path / "_toc.yml").read_text()
    assert f"ledger-{name[3:]}" in (tmp_path / "book" / "ledger.md").read_text()
    with pytest.raises(SystemExit, match="exists already"):
        notebooks.new(name)
    with pytest.raises(SystemExit, match="plans no notebooks/99-other"):
        notebooks.new("99-other")
    with pytest.raises(SystemExit, match="name must look like"):
        notebooks.new("Other")
