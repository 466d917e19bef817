"""The sections of experiments: how `--mode=sweep` goes about its runs. No run depends on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from genlab.sections.fields import Count, Natural, NonNegative, OneOf


@dataclass(frozen=True)
class Sweep:
    """What holds for all launchers."""

    wait: bool = True  # False: look, with --launcher=slurm also submit, and return at once
    retry: bool = False  # whether runs that failed are tried again
    parallel: Count = 1  # runs at once, with --launcher=local
    population: Count = 1  # runs, next to each other, that one program trains together; see docs
    halve_from: Natural = 0  # steps at which the worse half stops, and at twice as many; 0 is off
    metric: str = ""  # of the validation split: which half is worse, what a search looks for
    metric_mode: Annotated[str, OneOf(("min", "max"))] = "min"
    trials: Count = 20  # of an experiment that suggests its runs one by one
    trials_at_once: Count = 1  # asked for together, before any of them has ended
    only: str = ""  # the name of one run, which is trained and evaluated here; launchers use it
    until: Natural = 0  # where that run ends for now; 0 is train.steps


@dataclass(frozen=True)
class Slurm:
    """What `--launcher=slurm` asks for each run; "" and 0 leave it to the site."""

    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""
    minutes: Count = 60  # the time limit; a run that is not done by then is requeued
    requeues: Natural = 100  # how often
    save_seconds: Count = 120  # before the time limit a run is told to save
    nodes: Count = 1
    tasks: Count = 1  # processes on each node
    gpus: Natural = 0  # on each node
    cpus: Natural = 0  # for each task
    memory_gb: NonNegative = 0.0  # on each node
    parallelism: Count = 256  # runs at once
    setup: tuple[str, ...] = ()  # lines of shell before a run, such as ("module load cuda",)
    directives: tuple[str, ...] = ()  # more of sbatch's options, such as ("mail-type=END",)
    folder: str = ""  # for logs, on a disk that all nodes share; "" is slurm/ in the workdir


SWEEPING: dict[str, type] = {"sweep": Sweep, "sweep.slurm": Slurm}
