"""What `launch.py` can do besides training."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from clu import parameter_overview
from ml_collections import ConfigDict

from genlab import evaluate, parallel
from genlab import task as tasks
from genlab.data import splits as data
from genlab.errors import UserError
from genlab.model import restore
from genlab.modes import compare_samples as judge
from genlab.pictures import figures
from genlab.training import report


def evaluate_split(config: ConfigDict, workdir: str) -> None:
    """Metrics of `data.eval_split`, stamped with their protocol, to the terminal and eval.jsonl;
    with `eval.features`, also how samples compare with its images."""
    model = restore(workdir, config.eval.step, config.eval.weights)
    sets = data.load(config.data)
    if sets.spec.shape != tuple(model.task.shape):
        raise UserError(f"data: images are {sets.spec.shape}, the model's are {model.task.shape}.")
    features = config.eval.get("features", "")  # runs of before have no such key
    classifier = judge.extractor(model, config) if features else None
    task, state = model.task, model.state
    if hasattr(task, "for_tables"):
        task, state = task.for_tables(state, config.eval)
    replicas = parallel.replicas(config.parallel)
    run = evaluate.evaluator(
        task,
        sets.test,
        replicas,
        config.eval.batch_size,
        config.data.resident_mb,
        config.seed,
    )
    found = run(replicas.replicate(jax.device_get(state)))
    protocol = {
        "source": config.data.source,
        "split": config.data.eval_split,
        "images": len(sets.test),
        "weights": model.weights,
        **task.protocol,
    }
    remarks = task.remarks(found) if hasattr(task, "remarks") else []
    line = {"step": model.step, **found, "protocol": protocol}
    if jax.process_index() == 0:
        verdict = judge.judge(model, classifier, sets, config) if classifier else None
        if verdict:
            line |= verdict.numbers | {"samples_protocol": verdict.protocol}
            remarks += verdict.remarks
            for name, picture in verdict.pictures.items():
                figures.save(Path(workdir) / "figures" / f"{name}.png", picture)
        report.append(
            Path(workdir) / "eval.jsonl", line | ({"remarks": remarks} if remarks else {})
        )
        stamp = ", ".join(f"{key} {value}" for key, value in protocol.items())
        for name, value in found.items():
            values = value if isinstance(value, list) else [value]
            text = " ".join(f"{x:.4f}" if isinstance(x, float) else str(x) for x in values)
            print(f"{name} {text} {task.units.get(name, '')}".rstrip())
        print(f"({stamp}, step {model.step})")
        if verdict:
            print(verdict.table())
        for remark in remarks:
            print(f"Note: {remark}")


def sample(config: ConfigDict, workdir: str) -> None:
    """`sample.count` images as a PNG grid and as `images` in an .npz, under samples/."""
    model = restore(workdir, config.eval.step, config.eval.weights)
    model = model.with_config(config)
    began = time.monotonic()
    images = model.sample(jax.random.key(config.sample.seed), config.sample.count, progress=True)
    name = f"step_{model.step:08d}_seed_{config.sample.seed}"
    folder = Path(workdir) / "samples"
    figures.save_grid(folder / f"{name}.png", images)
    np.savez_compressed(folder / f"{name}.npz", images=images)
    seconds = time.monotonic() - began
    print(f"{len(images)} samples in {seconds:.1f} s, compilation included")
    print(f"grid: {folder / name}.png\nu8 array 'images': {folder / name}.npz")


def summary(config: ConfigDict, workdir: str) -> None:
    """Parameters of each player, by layer: trainable, other, total."""
    sets = data.load(config.data)
    state = tasks.abstract_state(tasks.load(config, sets.spec), sets.spec)
    sizes = report.counts(state.params, state.stats)
    for player, params in state.params.items():
        print(f"\n{player}")
        print(parameter_overview.get_parameter_overview(params, include_stats=False))
        if state.stats.get(player):
            print(
                parameter_overview.get_parameter_overview(state.stats[player], include_stats=False)
            )
        print("  ".join(f"{kind} {count:,}" for kind, count in sizes[player].items()))
    total: dict[str, Any] = {
        kind: sum(size[kind] for size in sizes.values()) for kind in ("trainable", "other", "total")
    }
    print("\nall players: " + "  ".join(f"{kind} {count:,}" for kind, count in total.items()))
