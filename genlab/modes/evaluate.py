"""`--mode=eval`: measures a run on its evaluation split, and stamps the numbers."""

from __future__ import annotations

import hashlib
import json
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
from genlab.evaluate import PerImage
from genlab.judging.judgement import Judgement
from genlab.metrics import paired
from genlab.model import Model, restore, restore_for
from genlab.modes import compare_samples
from genlab.modes.output import Output
from genlab.task import Task
from genlab.workdir.evaluations import VALUES


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    metrics: {name: a number, or a list of them}.
    protocol: what they were measured on.
    remarks: what a reader must know.
    comparison: of samples with the split's images, if that was asked for.
    each: {metric: f32[N]}, the values of each image, where a metric is their mean.
    """

    step: int
    metrics: dict[str, Any]
    protocol: dict[str, Any]
    remarks: list[str]
    comparison: Judgement | None
    each: PerImage

    @property
    def errors(self) -> dict[str, float]:
        """{metric: standard error of its mean over images}."""
        names = [name for name in self.metrics if name in self.each]
        return {name: paired.standard_error(self.each[name]) for name in names}

    @property
    def values(self) -> str:
        """The file with the values of each image: one a step and protocol."""
        asked = json.dumps(self.protocol, sort_keys=True).encode()
        return f"eval/step_{self.step:08d}_{hashlib.sha256(asked).hexdigest()[:8]}.npz"

    def line(self) -> dict[str, Any]:
        """The line of eval.jsonl."""
        line = {"step": self.step, **self.metrics, "protocol": self.protocol}
        errors = self.errors
        if self.comparison:
            line |= self.comparison.numbers(compare_samples.NAME)
            line |= {"samples_protocol": self.comparison.protocol}
            errors = errors | self.comparison.sets[compare_samples.NAME].errors
        line |= {"standard_error": errors, VALUES: self.values}
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
    """The split as the model knows it: classes and attributes by name, where they matter.

    Raises: UserError for images of another shape, and for labels that the model cannot use.
    """
    task, spec = model.task, split.spec
    if spec.shape != tuple(task.shape):
        raise UserError(f"data: images are {spec.shape}, the model's are {task.shape}.")
    if not task.needs_labels:
        return split
    if task.condition.attributes:
        return split.with_attributes(model.spec.attributes)
    require_labels(spec, f"evaluating this {model.config.task}")
    return split.matched(model.classes)


def measure(model: Model, sets: Data, split: Split, config: ConfigDict) -> Evaluation:
    """The metrics of a model on the evaluation split."""
    extractor = compare_samples.extractor(model, config) if config.eval.classifier else None
    task, state = model.task.for_evaluation(model.state, config.eval, restore)
    replicas = parallel.replicas(config.parallel)
    run = evaluate.evaluator_of_images(
        task, split, replicas, config.eval.batch_size, config.data.resident_mb, config.seed
    )
    metrics, each = run(replicas.replicate(jax.device_get(state)))
    comparison, remarks = None, task.remarks(metrics)
    if extractor and jax.process_index() == 0:
        comparison = compare_samples.compare_model(model, extractor, sets, config)
        remarks = remarks + comparison.remarks
    protocol = stamp(model, task, sets, config)
    return Evaluation(model.step, metrics, protocol, remarks, comparison, each)


def stamp(model: Model, task: Task, sets: Data, config: ConfigDict) -> dict[str, Any]:
    """What the numbers of an evaluation were measured on."""
    return {
        "source": config.data.source,
        "split": config.data.eval_split,
        "images": len(sets.test),
        "weights": model.weights,
        **task.protocol,
        "precision": f"float32, products {parallel.EXACT}",
    }


def write(evaluation: Evaluation, output: Output) -> None:
    """Keeps an evaluation: its line, the values of each image, the pictures of its comparison."""
    output.array(evaluation.values, **evaluation.each)
    output.line("eval.jsonl", evaluation.line())
    pictures = evaluation.comparison.pictures() if evaluation.comparison else {}
    for name, picture in pictures.items():
        output.picture(f"figures/{name}.png", picture)


def interval(evaluation: Evaluation, name: str) -> str:
    """ ", ± 0.35 (95 %)" of a mean over images, else nothing."""
    if name not in evaluation.errors:
        return ""
    half = paired.half_width(evaluation.errors[name], len(evaluation.each[name]))
    return f", ± {half:.2g} (95 %)"


def show(evaluation: Evaluation, task: Task) -> None:
    """Prints an evaluation."""
    for name, value in evaluation.metrics.items():
        values = value if isinstance(value, list) else [value]
        text = " ".join(f"{x:.4f}" if isinstance(x, float) else str(x) for x in values)
        print(f"{name} {text} {task.units.get(name, '')}".rstrip() + interval(evaluation, name))
    protocol = ", ".join(f"{key} {value}" for key, value in evaluation.protocol.items())
    print(f"({protocol}, step {evaluation.step})")
    if evaluation.comparison:
        print(evaluation.comparison.table())
    for remark in evaluation.remarks:
        print(f"Note: {remark}")
