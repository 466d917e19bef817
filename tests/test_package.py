"""The package: one list for each kind of dependency, one version, every folder of it."""

from __future__ import annotations

import ast
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import genlab
from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LISTS = {p.stem: p for p in (ROOT / "requirements").glob("*.txt")}
OWN = {"genlab", "configs", "tests", "launch", "__future__"}


def requirements(path: Path) -> list[Requirement]:
    lines = (line.strip() for line in path.read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def included(path: Path) -> set[str]:
    lines = path.read_text().splitlines()
    return {line.removeprefix("-r ") for line in lines if line and not line.startswith("#")}


def top_level_imports(*roots: Path) -> set[str]:
    """Packages that the files beneath name in an import, at the top or inside a function."""
    names: set[str] = set()
    for path in (p for root in roots for p in root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names) - OWN


def normal(name: str) -> str:
    return name.lower().replace("_", "-")


def test_pyproject_takes_every_list_and_holds_none():
    dynamic = PROJECT["tool"]["setuptools"]["dynamic"]
    extras = dynamic["optional-dependencies"]
    assert set(LISTS) == {"genlab", *extras}
    taken = {"genlab": dynamic["dependencies"], **extras}
    assert taken == {name: {"file": [f"requirements/{name}.txt"]} for name in LISTS}
    assert not {"dependencies", "optional-dependencies", "version"} & PROJECT["project"].keys()


def test_development_installs_the_lists_and_nothing_of_its_own():
    assert (
        {f"requirements/{name}.txt" for name in ("genlab", "tensorflow", "dev")}
        <= included(ROOT / "requirements.txt")
        <= {f"requirements/{name}.txt" for name in LISTS}
    )


@pytest.mark.parametrize("name", sorted(LISTS))
def test_a_dependency_has_a_lower_bound_and_what_is_installed_keeps_it(name):
    for requirement in requirements(LISTS[name]):
        assert any(s.operator == ">=" for s in requirement.specifier), requirement
        if requirement.marker is None or requirement.marker.evaluate():
            try:
                found = metadata.version(requirement.name)
            except metadata.PackageNotFoundError:
                continue  # another extra's
            assert requirement.specifier.contains(found, prereleases=True), (requirement, found)


def test_what_the_code_imports_is_in_a_list():
    """A package that only comes along with another one may stay away with its next version."""
    packages = metadata.packages_distributions()
    needed = {
        name: {normal(d) for d in packages[name]}
        for name in top_level_imports(ROOT / "genlab", ROOT / "configs", ROOT / "experiments")
        if name in packages
    }
    listed = {normal(r.name) for path in LISTS.values() for r in requirements(path)}
    missing = {name for name, dists in needed.items() if not dists & listed}
    assert not missing
    assert {"jax", "numpy", "etils"} & set(needed), "no imports were found"


def test_the_version_has_one_source():
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {
        "attr": "genlab.version.__version__"
    }
    citation = (ROOT / "CITATION.cff").read_text().splitlines()
    assert f"version: {genlab.__version__}" in citation


def test_every_folder_of_modules_is_a_package():
    """A folder without __init__.py would be missing from the wheel, and only there."""
    folders = {p.parent for p in (ROOT / "genlab").rglob("*.py")}
    assert not [f for f in folders if not (f / "__init__.py").exists()]
    assert (ROOT / "genlab" / "py.typed").exists()


def test_the_licence_is_whole():
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text and text.rstrip().endswith("limitations under the License.")
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert PROJECT["project"]["authors"] == [{"name": "The genlab authors"}]
