"""Train, evaluate, compare, sample, judge, compress, export, report, sweep: the command line.

python launch.py --config=configs/mnist_pixelcnn.py --workdir=runs/pixelcnn
python launch.py --workdir=runs/pixelcnn --mode=eval
python launch.py --workdir=runs/pixelcnn --mode=sample --config.sample.count=64
python launch.py --workdir=runs/pixelcnn --mode=compress --input=test --output=test.glz
python launch.py --workdir=runs/a --against=runs/b --mode=compare
python launch.py --samples=runs/a,images.npz,folder --against=test --mode=judge
python launch.py --workdir=runs/a --against=runs/b,runs/latent --mode=report
python launch.py --pretrained=NAME --mode=sample
python launch.py --mixture=runs/a,runs/b:500 --mode=eval
python launch.py --config=experiments/latent_size.py --workdir=runs/latent --mode=sweep
"""

from __future__ import annotations

import functools
import signal
from collections.abc import Sequence

EARLY: list[int] = []  # signals that came while modules were imported, which takes seconds


def note_early() -> None:
    """Notes signals until `hosts/stops.py` heeds them."""
    for own in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(own, lambda number, _: EARLY.append(number))


if __name__ == "__main__":
    note_early()

from absl import app, flags
from ml_collections import ConfigDict

from genlab import cli, parallel
from genlab import config as configs
from genlab.errors import Preempted, UserError
from genlab.hosts import (
    board,
    compilation_cache,
    join,
    parent,
    place,
    slurm,
    stops,
    supervisor,
    watchdog,
)
from genlab.launchers import choose as launchers
from genlab.modes import (
    benchmark,
    compare,
    compress,
    evaluate,
    export,
    judge,
    plan,
    report,
    sample,
    summary,
)
from genlab.planning import programs, topologies
from genlab.sweeps import sweep
from genlab.training import loop as train


def run_sweep(config: ConfigDict, workdir: str) -> None:
    """All runs of the experiment that --config names."""
    cli.choice("launcher", FLAGS.launcher, launchers.NAMES)
    source, metrics = cli.load_sweep(FLAGS.config_file, config, workdir)
    launcher = functools.partial(launchers.choose, FLAGS.launcher)
    sweep.sweep(config, workdir, source, metrics, launcher)


def run_eval(config: ConfigDict, workdir: str) -> None:
    """The metrics of a trained run."""
    evaluate.evaluate_run(config, workdir, FLAGS.output)


def run_sample(config: ConfigDict, workdir: str) -> None:
    """Images of a trained run."""
    sample.sample(config, workdir, FLAGS.output)


def run_compress(config: ConfigDict, workdir: str) -> None:
    """Images to a .glz file."""
    compress.compress(config, workdir, FLAGS.input, FLAGS.output, FLAGS.verify)


def run_decompress(config: ConfigDict, workdir: str) -> None:
    """A .glz file to images."""
    compress.decompress(config, workdir, FLAGS.input, FLAGS.output)


def run_export(config: ConfigDict, workdir: str) -> None:
    """A trained run as StableHLO."""
    export.export(config, workdir, FLAGS.output)


def run_compare(config: ConfigDict, workdir: str) -> None:
    """The metrics of two evaluated runs on the same images, pair by pair."""
    compare.compare(workdir, FLAGS.against)


def run_judge(config: ConfigDict, features: str) -> None:
    """Sets of images beside a split of real ones."""
    judge.judge(config, features, FLAGS.samples, FLAGS.against or "", FLAGS.output)


def run_report(_: ConfigDict, workdir: str) -> None:
    """A page about a run, or about all runs in a folder, beside those of --against."""
    report.report(workdir, FLAGS.against, FLAGS.output)


def run_plan(config: ConfigDict, _: str) -> None:
    """The config on the chips of --topology, beside those of --against."""
    against = [name for name in (FLAGS.against or "").split(",") if name]
    named = {FLAGS.config_file or FLAGS.workdir: config} | {n: configs.load(n) for n in against}
    plan.plan(named, FLAGS.topology, FLAGS.programs, FLAGS.examples, FLAGS.largest_batch)


MODES = {
    "train": train.train,
    "eval": run_eval,
    "compare": run_compare,
    "sample": run_sample,
    "summary": summary.summary,
    "sweep": run_sweep,
    "benchmark": benchmark.benchmark,
    "compress": run_compress,
    "decompress": run_decompress,
    "export": run_export,
    "judge": run_judge,
    "plan": run_plan,
    "report": run_report,
}
NEED_A_WORKDIR = (
    *("train", "eval", "compare", "sample", "sweep", "compress", "decompress", "export", "report"),
)
OF_A_MIXTURE = ("eval", "compare", "sample", "compress", "decompress", "export")
OF_A_PRETRAINED = (*OF_A_MIXTURE, "summary", "judge")

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", "", "Where a run lives: checkpoints, metrics, samples, figures.")
flags.DEFINE_string("pretrained", "", "A model that comes with genlab, in a workdir's stead.")
flags.DEFINE_string("mixture", "", "Workdirs whose probabilities are averaged: a,b:step,...")
flags.DEFINE_string(
    "against",
    "",
    "Another workdir, of compare; workdirs, of report; a split, of judge; configs, of plan.",
)
flags.DEFINE_string("output", "", "Where eval, sample, judge, export, report write.")
flags.DEFINE_string(
    "input", "", "Of compress: a folder, an .npz or a split; of decompress: a .glz."
)
flags.DEFINE_string(
    "samples", "", "Of judge: workdirs, folders, .npz files or splits, with commas."
)
flags.DEFINE_string("features", "", "Of judge: the workdir of a classifier, or pretrained:NAME.")
flags.DEFINE_bool("verify", True, "Whether compress decodes what it has coded, and compares.")
flags.DEFINE_string("mode", "train", f"One of {', '.join(MODES)}.")
flags.DEFINE_string("compilation_cache", "", "Where compiled programs are kept; 'off' keeps none.")
flags.DEFINE_string("topology", "v5e:2x2", f"Chips for --mode=plan: {topologies.EXAMPLES}.")
flags.DEFINE_list("programs", list(programs.KINDS), "What --mode=plan compiles.")
flags.DEFINE_integer("examples", 0, "Training examples, for --mode=plan; 0 is of the config.")
flags.DEFINE_bool("largest_batch", True, "Whether --mode=plan looks for the largest batch.")
flags.DEFINE_string("coordinator", "", "host:port of process 0, or 'auto' on SLURM and TPU pods.")
flags.DEFINE_integer("processes", None, "Processes that train together; with --coordinator.")
flags.DEFINE_integer("process", None, "Which of them this one is; with --coordinator.")
flags.DEFINE_float("join_timeout", 300, "Seconds that processes wait for each other at the start.")
flags.DEFINE_float("lost_timeout", 60, "Seconds after which a process that is lost ends the rest.")
flags.DEFINE_string("launcher", "local", "Who starts a sweep's runs: local or slurm.")
flags.DEFINE_bool("requeue", False, "After a preemption, puts its Slurm job back into the queue.")


def _requeue() -> None:
    """If --requeue says so, puts the Slurm job back into the queue: once for all of its tasks."""
    if FLAGS.requeue and slurm.task() == 0:
        cli.in_one_line(slurm.requeue)


def _join() -> None:
    """Makes this process one of several, if the flags say so."""
    board.begin()
    own = place.place(FLAGS.coordinator, FLAGS.processes, FLAGS.process)
    if own is None:
        stops.heed(EARLY, _requeue)
        parent.heed()
        return
    supervisor.supervise(FLAGS.workdir, _requeue)
    stops.heed(EARLY)
    wanted = join.wish(FLAGS.config, FLAGS.workdir, FLAGS.mode)
    join.join(own, wanted, FLAGS.join_timeout, FLAGS.lost_timeout)


def main(_: Sequence[str]) -> None:
    """Runs the mode that the flags name."""

    def act() -> None:
        cli.choice("mode", FLAGS.mode, MODES)
        if FLAGS.mode in NEED_A_WORKDIR and not FLAGS.workdir:
            raise UserError(f"--mode={FLAGS.mode} needs --workdir.")
        cli.trained(FLAGS.mode, FLAGS.workdir, OF_A_PRETRAINED, OF_A_MIXTURE)
        if FLAGS.requeue:
            slurm.check_requeue()
        parallel.keep_freed_memory()  # before the first thread, which would get memory of its own
        _join()
        compilation_cache.start(FLAGS.compilation_cache)
        with watchdog.watched(FLAGS.workdir, FLAGS.lost_timeout):
            MODES[FLAGS.mode](FLAGS.config, FLAGS.workdir)

    try:
        cli.in_one_line(act)
    except SystemExit as end:
        if end.code == Preempted.exit_code and not FLAGS.coordinator:  # else its parent does
            stops.ignore()  # those of Slurm's own requeue
            _requeue()
        raise


if __name__ == "__main__":
    app.run(main, flags_parser=cli.parse)
