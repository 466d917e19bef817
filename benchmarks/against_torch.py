"""Our training steps beside PyTorch's, eager and compiled, in turn within one run.

pip install -r benchmarks/requirements.txt
python -m benchmarks.against_torch
python -m benchmarks.against_torch --only=pixelcnn,vae --steps=25

Prints a table in Markdown as it goes, then one JSON line. A ratio is PyTorch's time, in the better
of its ways, over ours: above 1, ours is faster.
"""

from __future__ import annotations

import datetime
import importlib.util
import itertools
import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from absl import app, flags

from benchmarks.cases import Case, chosen
from genlab.errors import UserError

PAUSE = 0.02  # seconds before each turn: threads of the turn before may still spin
TURN = 5  # steps in a row, as in a training: weights and moments stay in the caches
WARM = 3  # steps that do not count: they compile, and let allocators grow
SHAPE = (28, 28, 1)
LAYOUTS = ("NCHW", "NHWC")  # of PyTorch; ours is NHWC
COLUMNS = ("", "batch", "parameters", "ours, ms", "eager, ms", "compiled, ms", "ratio")
FLAGS = flags.FLAGS
flags.DEFINE_list("only", [], "Cases by a part of their name or config; all by default.")
flags.DEFINE_integer("steps", 25, "Steps of which the best counts.", lower_bound=1)


def best(runs: dict[Any, Callable[[], Any]], steps: int) -> dict[Any, float]:
    """The shortest time of a step of each, in seconds, when all take some steps in turn."""
    found = dict.fromkeys(runs, float("inf"))
    for turn in range(math.ceil((WARM + steps) / TURN)):
        for name, run in runs.items():
            time.sleep(PAUSE)
            for number in range(turn * TURN, min((turn + 1) * TURN, WARM + steps)):
                began = time.perf_counter()
                run()
                took = time.perf_counter() - began
                found[name] = min(found[name], took) if number >= WARM else found[name]
    return found


def compare(case: Case, steps: int) -> dict[str, Any]:
    """The best times of all ways to train a case. Raises ValueError where its network in PyTorch
    has another number of parameters than ours."""
    import numpy as np

    from benchmarks import ours, theirs
    from genlab.condition import Spec

    config, spec = case.load(), Spec(SHAPE)
    count = ours.parameters(config, spec)
    size = config.data.batch_size
    images = np.random.default_rng(0).integers(0, 256, (size, *SHAPE), np.uint8)
    runs: dict[Any, Callable[[], Any]] = {"ours": ours.step(config, spec, images)}
    for layout, compiled in itertools.product(LAYOUTS, (False, True)):
        players = theirs.players(case.theirs, config, SHAPE)
        if theirs.parameters(players) != count:
            raise ValueError(f"{case.name}: {theirs.parameters(players)}, ours {count} parameters")
        runs[layout, compiled] = theirs.step(players, images, layout, compiled)
    times = best(runs, steps)
    eager, compiled = (
        min((times[layout, way], layout) for layout in LAYOUTS) for way in (False, True)
    )
    return {
        "case": case.name,
        "config": case.config,
        "batch": size,
        "parameters": count,
        "ours_ms": times["ours"] * 1e3,
        "eager_ms": eager[0] * 1e3,
        "eager_layout": eager[1],
        "compiled_ms": compiled[0] * 1e3,
        "compiled_layout": compiled[1],
        "ratio": min(eager[0], compiled[0]) / times["ours"],
    }


def row(found: dict[str, Any]) -> str:
    """A line of the table."""
    cells = (
        found["case"],
        found["batch"],
        f"{found['parameters']:,}",
        f"{found['ours_ms']:.1f}",
        f"{found['eager_ms']:.1f} {found['eager_layout']}",
        f"{found['compiled_ms']:.1f} {found['compiled_layout']}",
        f"{found['ratio']:.2f}",
    )
    return f"| {' | '.join(map(str, cells))} |"


def about() -> dict[str, Any]:
    """Versions, and what both sides ran on."""
    import jax
    import torch

    cuda = torch.cuda.is_available()
    return {
        "jax": jax.__version__,
        "torch": torch.__version__,
        "cores": len(os.sched_getaffinity(0)),
        "torch_threads": torch.get_num_threads(),
        "our_device": jax.devices()[0].device_kind,
        "torch_device": torch.cuda.get_device_name() if cuda else "cpu",
        "date": datetime.date.today().isoformat(),
    }


def run(only: list[str], steps: int) -> None:
    """Compares the cases, and prints the table. Raises UserError without PyTorch."""
    cases = chosen(only)
    if importlib.util.find_spec("torch") is None:
        command = "pip install -r benchmarks/requirements.txt"
        raise UserError(f"PyTorch is not installed here; {command} installs it.")
    from genlab import parallel

    parallel.keep_freed_memory()
    stamp = about()
    print(", ".join(f"{name} {value}" for name, value in stamp.items()), f", best of {steps}\n")
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    rows = []
    for case in cases:
        rows.append(compare(case, steps))
        print(row(rows[-1]), flush=True)
    print(json.dumps(stamp | {"steps": steps, "rows": rows}))


def main(_: Sequence[str]) -> None:
    """See the top of this file."""
    try:
        run(FLAGS.only, FLAGS.steps)
    except UserError as error:
        print(f"against_torch: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    app.run(main)
