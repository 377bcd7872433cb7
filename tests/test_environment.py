"""pyproject.toml, requirements.lock, environment.yml and what is installed say the same."""

import re
import subprocess
import tomllib
from importlib.metadata import distribution, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())


def locked() -> list[tuple[Requirement, int]]:
    """Each pin of the lock with the number of its hashes."""
    pins = []
    for block in re.split(r"\n(?=\S)", LOCK):
        lines = [
            line.strip(" \\") for line in block.splitlines() if not line.strip().startswith("#")
        ]
        if lines and lines[0]:
            pins.append((Requirement(lines[0]), sum(line.startswith("--hash=") for line in lines)))
    return pins


def pins_here() -> dict[str, str]:
    """The versions that the lock asks for on this Python and platform."""
    return {
        canonicalize_name(pin.name): next(iter(pin.specifier)).version
        for pin, _ in locked()
        if pin.marker is None or pin.marker.evaluate()
    }


def requirements(extra: str) -> list[Requirement]:
    """What the extra asks for, the extras that it includes opened up."""
    found = []
    for line in PROJECT["optional-dependencies"][extra]:
        requirement = Requirement(line)
        if requirement.name == PROJECT["name"]:
            found += [r for name in requirement.extras for r in requirements(name)]
        else:
            found.append(requirement)
    return found


DECLARED = [Requirement(line) for line in PROJECT["dependencies"]] + requirements("dev")


@pytest.mark.parametrize("requirement", DECLARED, ids=lambda requirement: requirement.name)
def test_the_lock_satisfies_what_the_project_declares(requirement):
    pins = [pin for pin, _ in locked()
            if canonicalize_name(pin.name) == canonicalize_name(requirement.name)]  # fmt: skip
    assert pins, f"{requirement.name} is declared but not locked: run `make lock`"
    for pin in pins:
        assert requirement.specifier.contains(next(iter(pin.specifier)).version)


def test_every_pin_is_exact_and_hashed():
    pins = locked()
    assert len(pins) > 100
    for pin, hashes in pins:
        assert [part.operator for part in pin.specifier] == ["=="], pin
        assert hashes, f"{pin} has no hash"


def test_the_lock_names_no_host():
    assert not re.search(r"https?://|--(index|extra-index|find-links)|@\s*file:", LOCK)


def test_what_is_installed_is_what_is_locked():
    pins = pins_here()
    waiting = [canonicalize_name(requirement.name) for requirement in DECLARED]
    seen = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        assert version(name) == pins[name], f"{name}: run `make book`, which installs the lock"
        for line in distribution(name).requires or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(canonicalize_name(requirement.name))


def test_jupyter_book_reads_config_yml():
    assert version("jupyter-book") in SpecifierSet("<2"), "Jupyter Book 2 ignores _config.yml"
    assert pins_here()["jupyter-book"] == version("jupyter-book")


def test_binder_and_conda_install_the_lock_and_the_package():
    conda = [item for item in ENVIRONMENT["dependencies"] if isinstance(item, str)]
    (pip,) = [item["pip"] for item in ENVIRONMENT["dependencies"] if isinstance(item, dict)]
    assert pip == ["-r requirements.lock"]
    (python,) = [item for item in conda if item.startswith("python=")]
    assert python.removeprefix("python=") in SpecifierSet(PROJECT["requires-python"])
    assert set(conda) == {python, "pip"}, "versions of packages belong in the lock"
    post_build = ROOT / "postBuild"
    assert "--no-deps --no-build-isolation --editable ." in post_build.read_text()
    assert post_build.stat().st_mode & 0o100, "Binder runs postBuild only if it may be executed"


def test_nothing_in_the_repository_is_ignored_yet_tracked():
    tracked = subprocess.run(
        ["git", "ls-files", "--ignored", "--cached", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert tracked == ""
