"""`--mode=summary`: layers, shapes and parameters of each player."""

from __future__ import annotations

from typing import Any

from clu import parameter_overview
from ml_collections import ConfigDict

from genlab import task as tasks
from genlab.condition import Spec
from genlab.data import splits
from genlab.state import Tree
from genlab.workdir import runs

CLASSES = 10  # assumed where data is not read


def summary(config: ConfigDict, workdir: str) -> None:
    """Prints the parameters of each player, by layer: trainable, other, total."""
    spec = spec_of(config)
    state = tasks.abstract_state(tasks.load(config, spec), spec)
    sizes = runs.counts(state.params, state.stats)
    for player, params in state.params.items():
        print(f"\n{player}")
        for tree in (params, state.stats.get(player)):
            if tree:
                print(_overview(tree))
        print("  ".join(f"{kind} {count:,}" for kind, count in sizes[player].items()))
    total: dict[str, Any] = {
        kind: sum(size[kind] for size in sizes.values()) for kind in ("trainable", "other", "total")
    }
    print("\nall players: " + "  ".join(f"{kind} {count:,}" for kind, count in total.items()))


def spec_of(config: ConfigDict) -> Spec:
    """The shape and classes of a config's images.

    They come from the config where it gives size and channels, so that no data is needed, otherwise
    from the data.
    """
    size, channels = config.data.image_size, config.data.channels
    if not (size and channels):
        return splits.load(config.data).spec
    return Spec((size, size, channels), tuple(map(str, range(CLASSES))))


def _overview(tree: Tree) -> str:
    return parameter_overview.get_parameter_overview(tree, include_stats=False)
