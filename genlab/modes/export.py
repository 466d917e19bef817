"""`--mode=export`: a trained model as StableHLO, for programs that do not have genlab."""

from __future__ import annotations

import time

from ml_collections import ConfigDict

from genlab.exporting import artefact
from genlab.model import restore_for
from genlab.modes.output import Output
from genlab.task import Task
from genlab.workdir import paths, places


def export(config: ConfigDict, workdir: str, output: str = "") -> None:
    """Writes what the model does to a folder, `export` in the workdir by default; docs/export.md
    says how it is read.

    output: the folder.
    """
    model = restore_for(config, workdir, "export")
    Task.check_sample(model.task, model.state, config.sample.method)  # for a name that is none
    folder = paths.of(output) if output else paths.of(places.output(workdir)) / "export"
    Output(str(folder)).check()
    began = time.monotonic()
    manifest = artefact.write(model, folder)
    seconds = time.monotonic() - began
    for name, program in manifest["programs"].items():
        given = ", ".join(f"{n} {_spelled(x)}" for n, x in program["inputs"].items())
        print(f"{name}({given}) -> {_spelled(program['output'])}, {program['output']['is']}")
    for name, reason in manifest["left_out"].items():
        print(f"no {name}: {reason}")
    size = sum(path.stat().length for path in folder.iterdir()) / 1e6
    print(f"{folder}: {size:.2f} MB in {seconds:.1f} s; reader.py in it reads it")


def _spelled(array: dict[str, object]) -> str:
    shape = array["shape"]
    assert isinstance(shape, list)
    return f"{array['dtype']}[{','.join(map(str, shape))}]"
