"""The sections that every config has. What a family adds is in its own `defaults.py`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from genlab.sections.fields import Count, Natural, NonNegative, OneOf, Range, Rate, Share

TRACKERS = ("tensorboard", "wandb", "mlflow", "trackio")  # `genlab/trackers` has a file for each


@dataclass(frozen=True)
class Run:
    """The keys outside all sections."""

    seed: int = 0
    task: str = ""
    parallel: Annotated[str, OneOf(("jit", "pmap"))] = "jit"


@dataclass(frozen=True)
class Data:
    """Where images come from, and how they are prepared."""

    source: str = "digits"  # tfds:<name>, folder:<path>, npz:<path>
    label: str = ""  # the feature or array that labels images, "" is `label`; CelebA: attributes
    data_dir: str = ""  # of TFDS; "" is TFDS_DATA_DIR or TFDS's own default
    download: bool = True  # whether TFDS may download
    image_size: Natural = 0  # side after resizing and centre-cropping; 0 keeps the native size
    channels: Annotated[int, Range(0, 3)] = 0  # 1 grey, 3 RGB, 0 native
    background: Annotated[int, Range(0, 255)] = 0  # the grey that shows through transparent pixels
    upscale: bool = False  # whether images smaller than image_size are enlarged or refused
    on_broken: Annotated[str, OneOf(("stop", "skip"))] = "stop"  # what to do with unreadable files
    changed: Annotated[str, OneOf(("refuse", "allow"))] = "refuse"  # a resume on a set that grew
    batch_size: Count = 32
    train_split: str = "train"
    valid_split: str = ""  # "" is `validation`, or one in ten held out of train_split
    eval_split: str = "test"
    resident_mb: Natural = 1024  # sets up to this size live on the device, larger ones stream


@dataclass(frozen=True)
class Optim:
    """An optimizer of Optax or optax.contrib; its own parameters (b1, eps) are fields too."""

    name: str = "adam"
    learning_rate: NonNegative = 1e-3
    schedule: Annotated[str, OneOf(("constant", "cosine", "linear", "exponential"))] = "constant"
    warmup_steps: Natural = 0
    decay_steps: Natural = 0  # 0 is until train.steps
    end_scale: Share = 0.0  # last learning rate over the first
    clip_norm: NonNegative = 0.0  # 0 is off
    outer: str = ""  # optimizer of the first layer, the head and vectors; "" is `name` for all
    outer_rate: NonNegative = 1e-3  # its learning rate, by the same schedule
    matrix_decay: NonNegative = 0.0  # decoupled weight decay, of matrices alone; 0 is off


@dataclass(frozen=True)
class AveragedOptim(Optim):
    """The optimizer of a player whose weights are averaged."""

    ema: Rate = 0.0  # decay of averaged weights, 0 is off


@dataclass(frozen=True)
class Train:
    """How long, and what happens on the way."""

    steps: Count = 1000
    steps_per_call: Count = 1  # steps in one lax.scan: large on GPU and TPU, 1 on CPU
    precision: Annotated[str, OneOf(("default", "high", "highest"))] = "default"  # of products
    accumulate: Count = 1  # micro-batches that an update goes through: saves memory
    profile: tuple[Natural, ...] = ()  # (first, last): a trace of those steps, in profile/
    log_every: Count = 50
    eval_every: Natural = 500  # 0 is at the end only, likewise below
    checkpoint_every: Natural = 500
    sample_every: Natural = 0
    figures: bool = True  # whether a training ends with the figures of its family
    keep: Count = 1  # newest checkpoints kept, besides the best
    best_metric: str = ""  # of the validation split
    best_mode: Annotated[str, OneOf(("min", "max"))] = "min"
    patience: Natural = 0  # evaluations without a better best_metric that end the run; 0 is off
    init_from: str = ""  # whose parameters to start from: a workdir, runs/a:best, pretrained:NAME
    max_attempts: Natural = 3  # rollbacks before the run stops


@dataclass(frozen=True)
class Limit:
    """`train.watch.<metric>`: the range in which a metric should stay.

    `action` follows when it has been outside for `patience` lines in a row: "warn"; "stop"; or
    "rollback", which goes back to the best checkpoint and goes on with other random numbers.
    """

    low: Annotated[float, Range()] = -math.inf
    high: Annotated[float, Range()] = math.inf
    patience: Count = 1
    action: Annotated[str, OneOf(("warn", "stop", "rollback"))] = "warn"
    split: Annotated[str, OneOf(("valid", "train"))] = "valid"


@dataclass(frozen=True)
class Eval:
    """What `--mode=eval` measures; the weights are those of pictures and samples too."""

    batch_size: Count = 256
    weights: Annotated[str, OneOf(("ema", "raw"))] = "ema"  # averaged where kept; or raw
    step: str = "latest"  # or best, or a number
    classifier: str = ""  # a workdir; --mode=eval then compares samples by its features
    images: Count = 10_000  # samples drawn for that, and test images to compare them with


@dataclass(frozen=True)
class Sample:
    """What `--mode=sample` draws."""

    count: Count = 64
    batch_size: Count = 64  # images drawn at once
    method: str = "auto"
    temperature: Annotated[float, Range(0.0, above=True)] = 1.0
    seed: Natural = 0


@dataclass(frozen=True)
class Report:
    """Where the numbers and pictures of a training go beside its workdir: see docs/trackers.md."""

    writers: tuple[Annotated[str, OneOf(TRACKERS)], ...] = ("tensorboard",)
    project: str = "genlab"  # under which a tracker keeps the run


SHARED: dict[str, type] = {
    "": Run,
    "data": Data,
    "optim": AveragedOptim,
    "train": Train,
    "eval": Eval,
    "sample": Sample,
    "report": Report,
}
