"""The notebooks of docs/labs: both halves of a pair agree, outputs are there and small, and each
runs to its end in its smoke form."""

from __future__ import annotations

import re

import pytest

from tests import labs
from tests.conftest import ROOT

LARGEST = 3_000_000  # bytes of the folder


def read(name):
    import nbformat

    return nbformat.read(labs.LABS / f"{name}.ipynb", 4)


def test_every_exercise_of_the_page_has_a_notebook():
    page = (ROOT / "docs" / "labs.md").read_text()
    numbers = [int(n) for n in re.findall(r"^## (\d+)\. ", page, re.MULTILINE)]
    assert [int(name[:2]) for name in labs.names()] == [0, *numbers]
    for name in labs.names():
        assert f"labs/{name}.ipynb" in page, name


@pytest.mark.parametrize("name", labs.names())
def test_a_notebook_is_its_source_executed(name):
    """The same cells in both, an output wherever one is shown, no error, questions at the end."""
    pair, shown = labs.source(name), read(name)
    cells = lambda notebook: [(c.cell_type, c.source.strip()) for c in notebook.cells]  # noqa: E731
    assert cells(pair) == cells(shown)
    outputs = [o for c in shown.cells if c.cell_type == "code" for o in c.outputs]
    assert outputs and not any(o.output_type == "error" for o in outputs)
    assert any("image/png" in o.get("data", {}) for o in outputs)
    assert "## Questions" in pair.cells[-2].source
    assert "## Observations" in pair.cells[-1].source
    before = zip(shown.cells, shown.cells[1:], strict=False)
    assert all(a.cell_type == "markdown" for a, b in before if b.cell_type == "code")
    assert str(ROOT.parent) not in (labs.LABS / f"{name}.ipynb").read_text()


def test_the_notebooks_stay_small():
    assert sum(p.stat().st_size for p in labs.LABS.iterdir() if p.is_file()) < LARGEST


@pytest.mark.notebooks
@pytest.mark.parametrize("name", labs.names())
def test_a_notebook_runs_in_its_smoke_form(name, tmp_path):
    """Offline, on digits enlarged to MNIST's size, with a few steps, in a folder of its own."""
    ran = labs.execute(labs.smoke(labs.source(name)), str(tmp_path))
    assert all(c.execution_count for c in ran.cells if c.cell_type == "code")
