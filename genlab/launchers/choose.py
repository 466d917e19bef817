"""The launcher that a command names."""

from __future__ import annotations

import jax
from etils import epath
from ml_collections import ConfigDict

from genlab.errors import UserError
from genlab.launchers.local import Local
from genlab.sweeps.launcher import Launcher

NAMES = ("local", "slurm")


def choose(name: str, settings: ConfigDict, workdir: epath.Path) -> Launcher:
    """The launcher of a sweep in `workdir`; settings: the config's section `sweep`.

    Raises: UserError for several processes that would each start processes of their own,
      and for runs of one program in several processes.
    """
    own_processes = name == "slurm" or settings.parallel > 1
    if own_processes and jax.process_count() > 1:
        raise UserError(
            "a sweep that starts processes of its own is started without --coordinator."
        )
    if own_processes and settings.population > 1:
        raise UserError(
            "sweep.population: its runs share one process; leave out --launcher=slurm and"
            " sweep.parallel."
        )
    if name == "slurm":
        from genlab.launchers.slurm import Slurm  # needs an extra

        return Slurm(settings.slurm, workdir)
    return Local(settings, workdir)
