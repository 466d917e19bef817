"""`--mode=eval`: measures a run on its evaluation split, and stamps the numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
from ml_collections import ConfigDict

from genlab import evaluate, parallel
from genlab.data import splits
from genlab.data.classes import require_labels
from genlab.data.split import Split
from genlab.data.splits import Data
from genlab.errors import UserError
from genlab.model import Model, restore, restore_for
from genlab.modes import compare_samples
from genlab.modes.compare_samples import Comparison
from genlab.modes.output import Output
from genlab.task import Task


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    metrics: {name: a number, or a list of them}.
    protocol: what they were measured on.
    remarks: what a reader must know.
    comparison: of samples with the split's images, if that was asked for.
    """

    step: int
    metrics: dict[str, Any]
    protocol: dict[str, Any]
    remarks: list[str]
    comparison: Comparison | None

    def line(self) -> dict[str, Any]:
        """The line of eval.jsonl."""
        line = {"step": self.step, **self.metrics, "protocol": self.protocol}
        if self.comparison:
            line |= self.comparison.numbers | {"samples_protocol": self.comparison.protocol}
        return line | ({"remarks": self.remarks} if self.remarks else {})


def evaluate_run(config: ConfigDict, workdir: str, output: str = "") -> None:
    """Metrics of `data.eval_split`, to the terminal and eval.jsonl; with `eval.classifier`, also
    how samples compare with its images.

    output: a folder to write to in the workdir's stead.
    """
    model = restore_for(config, workdir, "eval")
    sets = splits.load(config.data)
    evaluation = measure(model, sets, fitting(sets.test, model), config)
    if jax.process_index() == 0:
        show(evaluation, model.task)
        write(evaluation, Output(workdir, output))


def fitting(split: Split, model: Model) -> Split:
    """The split as the model knows it: its classes matched by name where they matter.

    Raises: UserError for images of another shape, and for labels that the model cannot use.
    """
    task, spec = model.task, split.spec
    if spec.shape != tuple(task.shape):
        raise UserError(f"data: images are {spec.shape}, the model's are {task.shape}.")
    if not task.needs_labels:
        return split
    if task.condition.attributes:
        if spec.attributes != model.spec.attributes:
            raise UserError(
                f"data: attributes are {spec.attributes}, the model's are {model.spec.attributes}."
            )
        return split
    require_labels(spec, f"evaluating this {model.config.task}")
    return split.matched(model.classes)


def measure(model: Model, sets: Data, split: Split, config: ConfigDict) -> Evaluation:
    """The metrics of a model on the evaluation split."""
    extractor = compare_samples.extractor(model, config) if config.eval.classifier else None
    task, state = model.task.for_evaluation(model.state, config.eval, restore)
    replicas = parallel.replicas(config.parallel)
    run = evaluate.evaluator(
        task, split, replicas, config.eval.batch_size, config.data.resident_mb, config.seed
    )
    metrics = run(replicas.replicate(jax.device_get(state)))
    comparison, remarks = None, task.remarks(metrics)
    if extractor and jax.process_index() == 0:
        comparison = compare_samples.compare_model(model, extractor, sets, config)
        remarks = remarks + comparison.remarks
    return Evaluation(model.step, metrics, stamp(model, task, sets, config), remarks, comparison)


def stamp(model: Model, task: Task, sets: Data, config: ConfigDict) -> dict[str, Any]:
    """What the numbers of an evaluation were measured on."""
    return {
        "source": config.data.source,
        "split": config.data.eval_split,
        "images": len(sets.test),
        "weights": model.weights,
        **task.protocol,
    }


def write(evaluation: Evaluation, output: Output) -> None:
    """Keeps an evaluation: its line, and the pictures of its comparison."""
    output.line("eval.jsonl", evaluation.line())
    pictures = evaluation.comparison.pictures if evaluation.comparison else {}
    for name, picture in pictures.items():
        output.picture(f"figures/{name}.png", picture)


def show(evaluation: Evaluation, task: Task) -> None:
    """Prints an evaluation."""
    for name, value in evaluation.metrics.items():
        values = value if isinstance(value, list) else [value]
        text = " ".join(f"{x:.4f}" if isinstance(x, float) else str(x) for x in values)
        print(f"{name} {text} {task.units.get(name, '')}".rstrip())
    protocol = ", ".join(f"{key} {value}" for key, value in evaluation.protocol.items())
    print(f"({protocol}, step {evaluation.step})")
    if evaluation.comparison:
        print(evaluation.comparison.table())
    for remark in evaluation.remarks:
        print(f"Note: {remark}")
