"""Executes the notebooks of docs/labs: `python -m tests.labs [name ...]` writes them with outputs.

A notebook is a pair: `<name>.py` (py:percent of jupytext) is edited, `<name>.ipynb` is executed.
The cell tagged `parameters` carries the parameters of its smoke form as metadata.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LABS = ROOT / "docs" / "labs"
HANG = 3600  # seconds for a cell: ends what would never end


def names() -> list[str]:
    """Of all notebooks, in their order."""
    return sorted(path.stem for path in LABS.glob("[0-9]*.py"))


def source(name: str) -> Any:
    """The notebook that a .py is, without outputs."""
    import jupytext

    return jupytext.read(LABS / f"{name}.py")


def smoke(notebook: Any) -> Any:
    """The same with the parameters of its smoke form."""
    (cell,) = (c for c in notebook.cells if "parameters" in c.metadata.get("tags", ()))
    cell.source = cell.metadata["smoke"].replace("\\n", "\n")
    return notebook


def execute(notebook: Any, folder: str) -> Any:
    """Runs all cells in a folder. Raises nbclient's CellExecutionError for the first that fails."""
    from nbclient import NotebookClient

    resources = {"metadata": {"path": folder}}
    client = NotebookClient(notebook, timeout=HANG, resources=resources)
    return client.execute(env=os.environ | {"PYTHONPATH": str(ROOT)})


def tidied(notebook: Any) -> Any:
    """Without progress bars, warnings and times of day, so that diffs show what changed."""
    for place, cell in enumerate(notebook.cells):
        cell.id = f"cell-{place}"
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
            for output in cell.outputs:
                output.get("data", {}).pop("image/jpeg", None)  # beside the PNG
    notebook.metadata.pop("language_info", None)
    return notebook


def main(chosen: list[str]) -> None:
    """Executes and writes the notebooks named, or all."""
    import nbformat

    for name in chosen or names():
        began = time.monotonic()
        notebook = tidied(execute(source(name), str(LABS)))
        nbformat.write(notebook, LABS / f"{name}.ipynb")
        size = (LABS / f"{name}.ipynb").stat().st_size
        print(f"{name}: {time.monotonic() - began:.0f} s, {size / 1e3:.0f} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
