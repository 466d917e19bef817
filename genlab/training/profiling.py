"""`train.profile`: a trace of a few steps, for xprof and for Perfetto."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
from etils import epath

from genlab.errors import UserError, log


@dataclass
class Profiler:
    """Traces the calls from step `first` on, until step `last` is done.

    folder: where the trace goes: `plugins/profile/<time>/` in it holds `*.xplane.pb` for xprof and
      `perfetto_trace.json.gz` for ui.perfetto.dev.
    """

    first: int
    last: int
    folder: epath.Path
    running: bool = False

    def before(self, step: int) -> None:
        """To be called before each call of the compiled step, with the steps that are done."""
        if not self.running and self.first <= step < self.last:
            self.running = True
            jax.profiler.start_trace(str(self.folder), create_perfetto_trace=True)

    def after(self, step: int, results: Any) -> None:
        """To be called after each, with the steps that are done by then and what the last gave."""
        if self.running and step >= self.last:
            jax.block_until_ready(results)
            self.close()

    def close(self) -> None:
        """Writes the trace, if one is being taken: a run may end before its last step."""
        if self.running:
            self.running = False
            self.first = self.last  # a rollback does not take it again
            jax.profiler.stop_trace()
            log.info("%s holds the trace: xprof --logdir=%s, or ui.perfetto.dev.",
                     self.folder, self.folder)  # fmt: skip


def profiler(steps: tuple[int, ...], workdir: epath.Path) -> Profiler:
    """The profiler of `train.profile`. Raises UserError unless it is () or (first, last)."""
    if not steps:
        return Profiler(0, 0, workdir)
    if len(steps) != 2 or steps[0] >= steps[1]:
        raise UserError(f"train.profile={steps}: take (first, last), such as (100,110), or ().")
    return Profiler(steps[0], steps[1], workdir / "profile")
