"""Sweeps: every run once, resumable, a table over seeds."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from genlab.errors import Preempted, RunStopped, UserError
from genlab.modes import evaluate as modes
from genlab.pictures import figures
from genlab.sweeps import books, pictures, points, table
from genlab.sweeps.points import name
from genlab.training import loop as train
from genlab.workdir import lines as json_lines
from genlab.workdir import lock
from tests.sweeps import experiment, swept

RUNS = [{"optim.learning_rate": rate, "seed": seed} for rate in (1e-3, 1e-2) for seed in (0, 1)]


@pytest.fixture
def counted(monkeypatch):
    """Training and evaluation replaced by their books: what was run, and a made-up metric."""
    done = []

    def evaluate(config, folder):
        value = 100 * config.optim.learning_rate + config.seed
        line = {"step": config.train.steps, "nll": value, "kl_per_dim": [1.0], "protocol": {}}
        json_lines.append(Path(folder) / "eval.jsonl", line)

    def run(config, folder):
        done.append((Path(folder).name, config.train.steps))
        if config.optim.learning_rate == 0.5:
            raise RunStopped("nll is nan at step 3; lower optim.learning_rate")
        if config.optim.learning_rate == 0.25:
            raise ValueError("a bug")
        line = {"step": config.train.steps, "split": "valid", "nll": config.optim.learning_rate}
        json_lines.append(Path(folder) / "metrics.jsonl", line)

    monkeypatch.setattr(train, "train", run)
    monkeypatch.setattr(modes, "evaluate_run", evaluate)
    monkeypatch.setattr(pictures, "draw_samples", lambda workdir, results: None)
    return done


def names(counted):
    return [name for name, _ in counted]


def test_a_table_has_means_and_deviations_over_seeds(tmp_path, counted):
    swept(experiment(), str(tmp_path), RUNS, ())
    assert names(counted) == [name(point) for point in RUNS]
    text = (tmp_path / "table.md").read_text().splitlines()
    assert text[0] == "| optim.learning_rate | runs | nll |"
    assert text[2:] == ["| 0.001 | 2 | 0.6 ± 0.71 |", "| 0.01 | 2 | 1.5 ± 0.71 |"]
    rows = list(csv.DictReader((tmp_path / "table.csv").open()))
    assert [float(r["nll"]) for r in rows] == pytest.approx([0.6, 1.5])
    assert [float(r["nll_deviation"]) for r in rows] == pytest.approx([0.5**0.5] * 2)
    assert (tmp_path / "figures" / "sweep.png").exists()


def test_a_metric_that_one_family_lacks_leaves_a_gap(tmp_path):
    results = [
        table.Result({"config": "gan"}, {"frechet": 2.0}),
        table.Result({"config": "vae"}, {"frechet": 3.0, "kl": 4.0}),
    ]
    table.write(tmp_path, results, ("frechet", "kl"))
    text = (tmp_path / "table.md").read_text().splitlines()
    assert text[2:] == ["| gan | 1 | 2 |  |", "| vae | 1 | 3 | 4 |"]


def test_a_point_may_name_its_config_and_keeps_what_the_command_line_says(tmp_path, counted):
    own = experiment()
    own.eval.classifier = "runs/judge"
    runs = [{"config": name} for name in ("mnist_gan", "binarized_mnist_pixelcnn:wide")]
    gan, wide = (points.configured(own, point) for point in runs)
    assert gan.task == "gan" and wide.model.first_kernel == 21
    assert gan.eval.classifier == wide.eval.classifier == "runs/judge"
    assert gan.data.source == "tfds:mnist"
    with pytest.raises(UserError, match=r"mnist_gam.py: no such file.*mnist_gan"):
        points.configured(own, {"config": "mnist_gam"})


def test_runs_of_different_lengths_are_each_trained_to_their_own_end(tmp_path, counted):
    runs = [{"train.steps": steps} for steps in (6, 9, 3)]
    swept(experiment(), str(tmp_path), runs, ())
    assert counted == [(f"train.steps={steps}", steps) for steps in (6, 9, 3)]
    rows = list(csv.DictReader((tmp_path / "table.csv").open()))
    assert [row["train.steps"] for row in rows] == ["6", "9", "3"]


def test_a_finished_run_is_not_repeated(tmp_path, counted):
    swept(experiment(), str(tmp_path), RUNS[:3], ())
    swept(experiment(), str(tmp_path), RUNS, ())
    assert names(counted) == [name(point) for point in RUNS]


def test_a_run_that_diverges_is_told_and_the_others_go_on(tmp_path, counted):
    runs = [{"optim.learning_rate": rate} for rate in (0.5, 1e-3)]
    with pytest.raises(RunStopped, match="1 of 2 done, 1 failed"):
        swept(experiment(), str(tmp_path), runs, ("nll",))
    text = (tmp_path / "table.md").read_text()
    assert "| 0.5 | 0 | stopped |" in text and "| 0.001 | 1 | 0.1 |" in text
    assert "optim.learning_rate=0.5: nll is nan at step 3" in text


def test_the_real_thing_runs_and_goes_on(tmp_path, capsys):
    """One tiny run, trained and evaluated; a second start only reads."""
    runs = [{"seed": 0}]
    swept(experiment(), str(tmp_path), runs, ())
    first = capsys.readouterr().out
    assert (tmp_path / "figures" / "samples.png").exists()
    before = (tmp_path / "seed=0" / "eval.jsonl").read_text()
    swept(experiment(), str(tmp_path), runs, ())
    assert (tmp_path / "seed=0" / "eval.jsonl").read_text() == before
    assert first.endswith(capsys.readouterr().out) and "bits_per_dim" in first
    changed = experiment()
    changed.optim.learning_rate = 0.5
    with pytest.raises(UserError, match=r"optim\.learning_rate: 0\.001 -> 0\.5"):
        swept(changed, str(tmp_path), runs, ())


@pytest.mark.parametrize(
    ("added", "told"),
    [
        ([], "added no run"),
        ([{"seed": 1}, {"seed": 1}], "adds seed=1 twice"),
        ([{"seed": 1}, {"optim.ema": 0.5}], "differ in their keys"),
    ],
)
def test_an_experiment_that_makes_no_sense_is_one_line(added, told):
    with pytest.raises(UserError, match=told):
        points.points(lambda add: [add(point) for point in added])


@pytest.mark.parametrize(
    ("point", "told"),
    [
        ({"model.feature": 8}, "model.feature: no such key. Did you mean 'model.features'"),
        ({"model.features": "many"}, "model.features='many' is not int"),
    ],
)
def test_a_run_that_the_config_cannot_be_is_refused_before_any_starts(
    tmp_path, counted, point, told
):
    with pytest.raises(UserError, match=told):
        swept(experiment(), str(tmp_path), [{"model.features": 4}, point], ())
    assert counted == []


def test_lines_of_a_comparison_are_the_other_keys():
    results = [
        table.Result({"model.code": code, "loss": loss, "seed": 0}, {"mse": 1.0 / code})
        for code in (2, 16)
        for loss in ("mse", "bce")
    ]
    groups = table.grouped(results)
    assert [point for point, _ in groups][:2] == [
        {"model.code": 2, "loss": "mse"},
        {"model.code": 2, "loss": "bce"},
    ]
    points = {"mse": {"a": [(2, 0.5, 0.1), (16, 0.1, 0.0)], "b": [("x", 1.0, 0.0)]}}
    axes = figures.Comparison(points, "model.code", {}).draw().axes
    assert axes[0].get_xlabel() == "model.code" and len(axes[0].get_legend().texts) == 2


def test_pictures_name_only_what_differs(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(pictures, "_compare", lambda lines, x, path: drawn.append((lines, x)))
    results = [
        table.Result({"train.steps": 9, "model.code": code, "loss": loss, "seed": seed}, {"mse": 1})
        for code in (2, 16)
        for loss in ("mse", "bce")
        for seed in (0, 1)
    ]
    pictures.draw_metrics(tmp_path, results, ())
    pictures.draw_metrics(tmp_path, results[:2], ())
    (lines, x), (alone, all_of_it) = drawn
    assert x == "model.code" and list(lines["mse"]) == ["loss=mse", "loss=bce"]
    assert all_of_it == "train.steps" and list(alone["mse"]) == ["model.code=2, loss=mse"]


def test_a_mistake_in_a_run_is_on_disk_and_the_rest_runs(tmp_path, counted, capsys):
    """Whoever looks later sees it; it is tried again when asked for, or when its config changed."""
    runs = [{"optim.learning_rate": rate} for rate in (1e-3, 0.25, 1e-2)]
    for _ in range(2):
        with pytest.raises(RunStopped, match="2 of 3 done, 1 failed") as stopped:
            swept(experiment(), str(tmp_path), runs, ("nll",))
        shown = capsys.readouterr().out
        assert "failed     ValueError: a bug; log: " in shown and stopped.value.exit_code == 1
    assert names(counted) == [name(point) for point in runs]
    assert "Traceback" in (tmp_path / name(runs[1]) / books.TRACEBACK).read_text()
    with pytest.raises(RunStopped):
        swept(experiment(retry=True), str(tmp_path), runs, ("nll",))
    mended = experiment()
    mended.seed = 5
    with pytest.raises(RunStopped):
        swept(mended, str(tmp_path), runs, ("nll",))
    assert names(counted)[3:] == 2 * [name(runs[1])]


def test_who_only_looks_starts_nothing_and_is_told_with_75(tmp_path, counted, capsys):
    with pytest.raises(Preempted, match="0 of 4 done, 4 to do"):
        swept(experiment(wait=False), str(tmp_path), RUNS, ())
    assert counted == [] and "| " not in capsys.readouterr().out
    swept(experiment(), str(tmp_path), RUNS[:2], ())
    with pytest.raises(Preempted, match="2 of 4 done, 2 to do"):
        swept(experiment(wait=False), str(tmp_path), RUNS, ())
    assert "| 0.001 | 2 | 0.6 ± 0.71 |" in capsys.readouterr().out


def test_a_run_that_another_process_is_at_is_shown_and_not_run_twice(tmp_path, counted, capsys):
    held = tmp_path / name(RUNS[1])
    held.mkdir()
    with lock.held(held, "run.lock"), pytest.raises(Preempted, match="1 running"):
        swept(experiment(wait=False), str(tmp_path), RUNS, ())
    assert "running    step 0 of 6, process " in capsys.readouterr().out
    with lock.held(held, "run.lock"):
        swept(experiment(only=name(RUNS[1])), str(tmp_path), RUNS, ())
    assert counted == []


def test_one_run_alone_for_a_launcher(tmp_path, counted):
    swept(experiment(only=name(RUNS[2])), str(tmp_path), RUNS, ())
    assert names(counted) == [name(RUNS[2])] and not (tmp_path / "table.md").exists()
    with pytest.raises(UserError, match=r"sweep\.only=seed=9: no such run"):
        swept(experiment(only="seed=9"), str(tmp_path), RUNS, ())


def test_halving_stops_the_worse_half_at_each_rung(tmp_path, counted, capsys):
    runs = [{"optim.learning_rate": rate} for rate in (0.04, 0.03, 0.02, 0.5, 0.01)]
    config = experiment(halve_from=2, metric="nll")
    for _ in range(2):
        with pytest.raises(RunStopped, match="2 of 5 done, 1 failed, 2 stopped"):
            swept(config, str(tmp_path), runs, ("nll",))
        shown = capsys.readouterr().out
        assert "stopped    at step 2: nll 0.04, number 4 of 5" in shown
        assert "stopped    at step 4: nll 0.03, number 3 of 3" in shown
    reached = {}
    for run, steps in counted:
        reached.setdefault(run, []).append(steps)
    assert list(reached.values()) == [[2], [2, 4], [2, 4, 6], [2], [2, 4, 6]]


@pytest.mark.parametrize(
    ("settings", "changes", "told"),
    [
        ({"halve_from": 2}, {}, "needs sweep.metric"),
        ({"halve_from": 2, "metric": "nll"}, {"schedule": "cosine"}, "depends on train.steps"),
        ({"halve_from": 6, "metric": "nll"}, {}, "take less than train.steps=6"),
    ],
)
def test_runs_that_cannot_grow_are_refused_in_one_line(tmp_path, counted, settings, changes, told):
    config = experiment(**settings)
    config.optim.update(**changes)
    with pytest.raises(UserError, match=told):
        swept(config, str(tmp_path), RUNS, ())
    assert counted == []
