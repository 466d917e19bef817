"""`--mode=plan`: what a config would need and do on chips that are not there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import jax
from ml_collections import ConfigDict

from genlab.condition import Spec
from genlab.errors import UserError, hint, log
from genlab.modes.summary import spec_of
from genlab.planning import estimate, largest, programs, tell, topologies
from genlab.planning.chips import Chip, chip_of

NOTE = (
    "Times are sums of the compiler's estimates of each operation, not measured on a chip;"
    " collectives have none. docs/accelerators.md says what they are worth."
)


def plan(
    configs: dict[str, ConfigDict],
    topology: str,
    kinds: Sequence[str] = programs.KINDS,
    examples: int = 0,
    search: bool = True,
) -> None:
    """Prints a table with a column for each config, and one JSON line.

    Args:
      configs: by name.
      topology: "v5e:4x4", "h100:8".
      kinds: which programs, of `programs.KINDS`.
      examples: of the training split; 0 is what the config says.
      search: whether to look for the largest batch, which compiles the step three times more.
    """
    for kind in kinds:
        if kind not in programs.KINDS:
            raise UserError(f"--programs: no program {kind!r}.{hint(kind, programs.KINDS)}")
    jax.config.update("jax_platforms", "cpu")  # the chips of this machine, if any, are not needed
    jax.config.update("jax_enable_compilation_cache", False)  # it cannot keep what does not run
    replicas = topologies.replicas(topology)
    chip = chip_of(replicas.mesh.devices.flat[0])
    assert chip  # of each that `topologies` knows
    for config in configs.values():
        replicas.check(config.data.batch_size)
    plans = [
        {"config": name} | _planned(config, replicas, chip, tuple(kinds), examples, search)
        for name, config in configs.items()
    ]
    print(f"{topology}: {replicas.count} x {chip.kind}. {NOTE}\n")
    print(tell.table(plans))
    said = {"topology": topology, "chip": chip.kind, "chips": replicas.count, "plans": plans}
    print(json.dumps(said))


def _planned(
    config: ConfigDict,
    replicas: topologies.Described,
    chip: Chip,
    kinds: tuple[str, ...],
    examples: int,
    search: bool,
) -> dict[str, Any]:
    known, sure = programs.examples_of(config)
    if not examples and not sure:
        log.info("the set is taken to have %d training examples; --examples says another", known)
    spec, found = spec_of(config), {}
    for program in programs.programs(config, spec, replicas, examples or known, kinds):
        log.info("compiling %s", program.name)
        told = estimate.estimate(program, chip)
        found[program.name] = told.told()
        if not told.fits:
            log.warning("%s does not fit: %.2f GB of %.2f GB a chip%s.", program.name,
                        told.peak_bytes / 2**30, chip.memory / 2**30, _advice(program.name)
            )  # fmt: skip
        if program.name == "train" and search:
            found["train"]["largest_batch"] = _largest(
                config, spec, replicas, examples or known, told
            )
    return {"examples": examples or known, "batch_size": config.data.batch_size, "programs": found}


def _advice(name: str) -> str:
    key = {"train": "data.batch_size", "evaluate": "eval.batch_size"}.get(name, "sample.batch_size")
    more = ", or set model.remat or train.accumulate" if name == "train" else ""
    return f"; lower {key}{more}"


def _largest(
    config: ConfigDict,
    spec: Spec,
    replicas: topologies.Described,
    examples: int,
    first: estimate.Estimate,
) -> int:
    def at(size: int) -> estimate.Estimate:
        log.info("compiling train with data.batch_size=%d", size)
        changed = config.copy_and_resolve_references()
        changed.data.batch_size = size
        (program,) = programs.programs(changed, spec, replicas, examples, ("train",))
        return estimate.estimate(program, first.chip)

    return largest.largest_batch(first, config.data.batch_size, at)
