"""The package's shape: who may import whom, what importing costs, what docstrings say."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
from numpydoc.validate import validate

import inthelimit

SOURCE = Path(inthelimit.__file__).parent
MODULES = sorted(
    module.name for module in pkgutil.walk_packages(inthelimit.__path__, "inthelimit.")
)
SOLVERS = [name for name in MODULES if not name.startswith("inthelimit.teaching")]
PUBLIC = [name for name in MODULES if not any(part.startswith("_") for part in name.split("."))]

# Solvers may lean on one another only along these arrows.
ARROWS = {
    "quadratic": set(),
    "lasso": {"quadratic"},
    "diagonal": {"quadratic"},
    "two_timescale": set(),
    "single_index": set(),
    "continuized": set(),
    "graphs": set(),
    "gossip": {"graphs", "continuized"},
    "waves": {"graphs"},
    "amp": set(),
}
# numpydoc's codes for what this project asks of a docstring: a one-line summary with a full
# stop, every parameter described under its own name, returns where there are any.  Types of
# parameters stand in the signature; a class documents its attributes instead.
CODES = {"GL03", "GL08", "SS01", "SS05", "PR01", "PR02", "RT01"}


def imports_of(name: str) -> set[str]:
    """Absolute names of the modules that a module imports."""
    module = importlib.import_module(name)
    package = module.__package__
    found = set()
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("name", SOLVERS)
def test_solvers_import_no_plotting_no_widgets_and_no_teaching(name):
    roots = {module.split(".")[0] for module in imports_of(name)}
    assert not roots & {"matplotlib", "ipywidgets", "IPython", "PIL", "sklearn"}
    assert not any(module.startswith("inthelimit.teaching") for module in imports_of(name))


@pytest.mark.parametrize("name", SOLVERS)
def test_solvers_lean_on_one_another_only_along_the_arrows(name):
    part = name.split(".")[1]
    if part.startswith("_"):
        return
    used = {m.split(".")[1] for m in imports_of(name) if m.startswith("inthelimit.")}
    used = {m for m in used if (SOURCE / m).exists() or (SOURCE / f"{m}.py").exists()}
    assert {m for m in used if not m.startswith("_")} - {part} <= ARROWS[part]


@pytest.mark.parametrize("name", [name for name in MODULES if name not in SOLVERS])
def test_teaching_knows_no_solver(name):
    inside = {module for module in imports_of(name) if module.startswith("inthelimit")}
    assert all(module.startswith("inthelimit.teaching") for module in inside)


def test_importing_the_package_imports_no_module_of_it():
    code = (
        "import inthelimit, sys;"
        "print([m for m in sys.modules if m.split('.')[0] in "
        "('numpy', 'scipy', 'numba', 'matplotlib') or m.startswith('inthelimit.')])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    result = doctest.testmod(
        importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert result.failed == 0


def public_objects() -> list[str]:
    """Dotted names of the public functions, classes and methods defined in the package."""
    found = []
    for name in PUBLIC:
        module = importlib.import_module(name)
        for key, value in vars(module).items():
            if key.startswith("_") or getattr(value, "__module__", None) != name:
                continue
            if inspect.isclass(value):
                found.append(f"{name}.{key}")
                found += [
                    f"{name}.{key}.{method}"
                    for method, body in vars(value).items()
                    if not method.startswith("_")
                    and isinstance(body, (staticmethod, classmethod, property, type(validate)))
                ]
            elif inspect.isfunction(value):
                found.append(f"{name}.{key}")
    return found


@pytest.mark.parametrize("name", public_objects())
def test_docstrings_are_complete(name):
    report = validate(name)
    # Methods are questions to a documented object, and some functions a line says whole.
    one_line = "\n" not in (report["docstring"] or "").strip()
    prose = one_line or report["type"] in ("type", "ABCMeta") or name.split(".")[-2][0].isupper()
    excused = {"PR01", "RT01"} if prose else set()
    errors = [error for error in report["errors"] if error[0] in CODES - excused]
    assert not errors


@pytest.mark.parametrize("name", PUBLIC)
def test_solver_modules_name_their_source(name):
    if name in SOLVERS and importlib.import_module(name).__name__.count(".") == 1:
        assert "arXiv:" in importlib.import_module(name).__doc__


@pytest.mark.parametrize("name", ["README.md", "book/solvers.md"])
def test_examples_of_the_pages_run(name):
    text = (SOURCE.parent.parent / name).read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    for block in blocks:
        exec(block, {})


@pytest.mark.parametrize("name", [name for name in PUBLIC if name in SOLVERS])
def test_every_public_module_is_on_the_page_of_solvers(name):
    page = (SOURCE.parents[1] / "book" / "solvers.md").read_text()
    assert re.search(rf"^\.\. automodule:: {re.escape(name)}$", page, re.MULTILINE)
