"""`--mode=report`: one HTML file about a run, a sweep, or several of them."""

from __future__ import annotations

from etils import epath

from genlab.errors import UserError
from genlab.pages import folders, page
from genlab.workdir import lines, paths

NAME = "report.html"


def report(workdir: str, more: str = "", output: str = "") -> epath.Path:
    """Writes the page of all runs of a workdir, or of a folder of workdirs, and of others.

    Args:
      workdir: a run, or a folder that holds runs.
      more: others, with commas between them.
      output: the file to write, or a folder; "" is `report.html` in `workdir`.

    Raises: UserError for what holds no run, and for a place that cannot be written to.
    """
    text = page.render(folders.runs(workdir, more))
    path = paths.of(output or workdir)
    path = path if path.suffix == ".html" else path / NAME
    try:
        paths.make_folder(path.parent)
        lines.write_atomically(path, text)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); name another file with --output."
        ) from None
    print(f"report: {path} ({len(text.encode()) / 1e6:.1f} MB)")
    return path
