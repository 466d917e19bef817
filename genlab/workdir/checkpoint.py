"""Saving and restoring through Orbax, with checks that Orbax leaves to us.

A checkpoint is one composite: `state`, and `about` (the state's SHA-256, the config, versions and
what else a resumed run needs, under a seal of its own). Orbax restores a flipped bit or another
dtype without a word, so every restored state is compared with its target and with its digest.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging as logs
import os
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging
from orbax.checkpoint import checkpoint_managers as policies

from genlab.errors import RunStopped, UserError
from genlab.state import Tree, digest
from genlab.workdir import digests, paths
from genlab.workdir.digests import shapes


class Checkpoints:
    """The checkpoints of a workdir: the newest `keep`, and the best by one metric.

    Readers (`write=False`) change nothing on disk.
    """

    def __init__(
        self, workdir: str, metric: str = "", mode: str = "min", keep: int = 1, write: bool = False
    ):
        self.workdir, self.metric = workdir, metric
        self.folder = folder = paths.absolute(paths.of(workdir)) / "checkpoints"
        common = {"best_fn": lambda m: m[metric], "best_mode": mode} if metric else {}
        if write:
            kept: list[Any] = [policies.LatestN(keep)]
            if metric:
                sign = -1.0 if mode == "min" else 1.0
                kept.append(
                    policies.BestN(
                        get_metric_fn=lambda m: sign * m[metric],
                        n=1,
                        keep_checkpoints_without_metrics=False,
                    )
                )
            options = ocp.CheckpointManagerOptions(
                preservation_policy=policies.AnyPreservationPolicy(kept),
                cleanup_tmp_directories=True,  # left by a run that was killed while saving
                **common,
            )
        else:
            with _quiet():
                options = ocp.CheckpointManagerOptions(read_only=True, **common)
        self._check_metrics()
        handlers = {"state": ocp.StandardCheckpointHandler(), "about": ocp.JsonCheckpointHandler()}
        try:
            with _quiet(logging.FATAL):
                self.manager = ocp.CheckpointManager(
                    folder, options=options, item_handlers=handlers
                )
        except FileNotFoundError:
            raise UserError(f"{workdir}: no checkpoint there; train it first.") from None

    def save(self, state: Tree, about: dict[str, Any], metrics: dict[str, float] | None) -> None:
        """Starts writing a host state; returns before it is on disk.

        metrics: those of an evaluation at this very step, if there was one.
        """
        step = int(state.step)
        if step in self.manager.all_steps():
            return
        about = digests.sealed(about | {"sha256": digest(state), "metrics": metrics or {}})
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(_as_dict(state)), about=ocp.args.JsonSave(about)
        )
        with _quiet(), self._writing():
            self._make_sure_of_room(state)
            self.manager.save(step, args=items, metrics=metrics)

    def _make_sure_of_room(self, state: Tree) -> None:
        """Raises OSError on a full or read-only disk, before Orbax's threads meet it."""
        wanted = sum(np.asarray(x).nbytes for x in jax.tree.leaves(state)) + 2**16
        if jax.process_index() == 0 and paths.is_local(self.folder):
            with tempfile.TemporaryFile(dir=self.folder) as file:
                os.posix_fallocate(file.fileno(), 0, wanted)

    def choose(self, which: str | int) -> int:
        """The step meant by "latest", "best" or a number. Raises UserError if it is not there."""
        steps = self.manager.all_steps()
        if not steps:
            raise UserError(f"{self.workdir}: no checkpoint there; train it first.")
        if which == "latest":
            return max(steps)
        if which == "best":
            found = self.manager.best_step()
            if found is None:
                raise UserError(
                    f"{self.workdir}: no checkpoint has {self.metric!r}; take step='latest'."
                )
            return found
        if str(which).isdigit() and int(which) in steps:
            return int(which)
        raise UserError(
            f"{self.workdir}: no checkpoint {which!r}; there are 'latest', 'best' and "
            f"{', '.join(map(str, sorted(steps)))}."
        )

    def about(self, step: int) -> dict[str, Any]:
        """What was written beside the state of that step."""
        about = self._read(step, about=ocp.args.JsonRestore()).about
        if not isinstance(about, dict) or "sha256" not in about or not digests.intact(about):
            raise UserError(self._damaged(step, "what is said about it has changed"))
        return about

    def restore(self, step: int, target: Tree) -> Tree:
        """The state of that step as host arrays, in the structure of `target`.

        Raises: UserError if it is damaged, or of another model.
        """
        blank = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), target)
        wanted, found = shapes(_as_dict(blank)), shapes(self._tree(step))
        if wanted != found:
            name = sorted(k for k in wanted.keys() | found.keys() if wanted.get(k) != found.get(k))
            raise UserError(
                f"{self.workdir}: checkpoint {step} is of another model: {name[0]} is"
                f" {found.get(name[0], 'absent')} there, {wanted.get(name[0], 'absent')} here."
            )
        items = self._read(step, state=ocp.args.StandardRestore(_as_dict(blank)))
        state = type(target)(**items.state)
        if digest(state) != self.about(step)["sha256"]:
            raise UserError(self._damaged(step, "its digest does not match"))
        return state

    def _check_metrics(self) -> None:
        """Raises UserError for metrics that do not say what was saved: Orbax reads them to find
        the best, and takes whatever it finds."""
        for file in self.folder.glob("[0-9]*/metrics/metrics"):
            step = file.parent.parent
            try:
                metrics = json.loads(file.read_text())
                about = json.loads((step / "about" / "metadata").read_text())
                whole = about.get("metrics", metrics) == metrics
            except (OSError, ValueError, AttributeError):
                whole = False
            if not whole and step.name.isdigit():
                raise UserError(self._damaged(int(step.name), "its metrics do not match"))

    def _tree(self, step: int) -> Tree:
        try:
            with _silent():
                return self.manager.item_metadata(step).state.tree
        except Exception as error:  # Orbax and TensorStore raise many kinds
            raise UserError(self._damaged(step, type(error).__name__)) from error

    def _read(self, step: int, **items: Any) -> Any:
        try:
            with _silent():
                return self.manager.restore(step, args=ocp.args.Composite(**items))
        except Exception as error:
            raise UserError(self._damaged(step, type(error).__name__)) from error

    def _damaged(self, step: int, why: str) -> str:
        steps = sorted(int(p.name) for p in self.folder.glob("[0-9]*") if p.name.isdigit())
        others = [str(s) for s in steps if s != step]
        rest = f"the others are {', '.join(others)}" if others else "there is no other"
        return (
            f"{self.workdir}/checkpoints/{step} is damaged ({why}); move it away to go on from"
            f" an older one ({rest})."
        )

    def reached_preemption(self, step: int) -> bool:
        """Whether the hosts have agreed to stop at this step; only under `jax.distributed`."""
        return self.manager.reached_preemption(step)

    def wait(self) -> None:
        """Returns when everything saved is on disk."""
        with self._writing():
            self.manager.wait_until_finished()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Raises RunStopped, in one line, for whatever keeps a checkpoint from the disk."""
        try:
            yield
        except Exception as error:  # Orbax and TensorStore raise many kinds
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
            raise RunStopped(
                f"{self.workdir}: a checkpoint could not be written ({reason}); free some space"
                " or make it writable, and run the same command again."
            ) from error

    def close(self) -> None:
        """Waits for Orbax's threads and ends them."""
        self.manager.close()


@contextlib.contextmanager
def _quiet(least: int = logging.ERROR) -> Iterator[None]:
    """Orbax warns, at length, of what its options imply."""
    loudness = logging.get_verbosity()
    logging.set_verbosity(min(least, loudness))  # the quieter one: levels of absl are negative
    try:
        yield
    finally:
        logging.set_verbosity(loudness)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """As `_quiet`; and of many arrays that cannot be read only the first is told, by its
    exception: TensorStore's threads print what they find after it."""
    with _quiet(logging.FATAL), contextlib.redirect_stderr(io.StringIO()):
        try:
            yield
        except Exception:
            time.sleep(0.2)  # for reads under way, whose threads print
            # asyncio tells of the others when it forgets them, whenever that is.
            logs.getLogger("asyncio").addFilter(_is_no_read)
            raise


def _is_no_read(record: logs.LogRecord) -> bool:
    """Whether a record of asyncio is about something else than an array that cannot be read."""
    error = record.exc_info[1] if record.exc_info else None
    return "tensorstore" not in str(error)


def _as_dict(state: Tree) -> dict[str, Tree]:
    return {name: getattr(state, name) for name in state.__dataclass_fields__}
