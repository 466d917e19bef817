"""Any sets of images beside real ones, by `--mode=judge`, `genlab.judge` and `--mode=eval`: what is
read, what is refused, and what the table says."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import genlab
from genlab import data
from genlab.errors import UserError
from genlab.judging import scores
from genlab.modes import compare_samples, evaluate
from genlab.modes import judge as mode
from genlab.training import loop as train
from genlab.workdir import configs
from tests.helpers import classifier_config, code_config


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Workdirs of a classifier and of an autoencoder, both of 8x8 digits."""
    found = {}
    autoencoder = code_config("mnist_ae_dense", train={"figures": False})
    for name, config in (("tiny", classifier_config()), ("ae", autoencoder)):
        found[name] = str(tmp_path_factory.mktemp("runs") / name)
        train.train(config, found[name])
    return found


@pytest.fixture(scope="module")
def digits():
    sets = data.load(classifier_config().data)
    read = lambda split, n: split.read(np.arange(n))["image"]  # noqa: E731
    return {"train": read(sets.train, 64), "test": read(sets.test, 32), "sets": sets}


@pytest.fixture
def quick(monkeypatch):
    """Few replicates: here it matters that there are intervals, not how good they are."""
    monkeypatch.setattr(scores, "BOOTSTRAPS", 2)
    monkeypatch.setattr(scores, "SUBSETS", 2)


def config_of(runs, **changes):
    config = configs.read(runs["tiny"]).unlock()
    for section, values in changes.items():
        config[section].update(values)
    return config


def ask(runs, samples, against="", output="", **changes):
    mode.judge(config_of(runs, **changes), runs["tiny"], samples, against, output)


def test_sets_of_all_kinds_are_in_one_table(runs, digits, tmp_path, quick, capsys):
    """A run, a foreign npz, a folder of PNGs that are grey in three channels: a column each."""
    np.savez(tmp_path / "foreign.npz", images=digits["test"])
    folder = tmp_path / "pngs"
    folder.mkdir()
    for i, image in enumerate(digits["train"][:24]):
        Image.fromarray(image[..., 0]).convert("RGB").save(folder / f"{i:02}.png")
    asked = f"{runs['ae']},{tmp_path}/foreign.npz,{folder}"
    ask(runs, asked, output=str(tmp_path / "out"))
    told = capsys.readouterr().out
    head = next(line for line in told.splitlines() if "ceiling" in line)
    assert head.split() == ["ae", "foreign", "pngs", "floor", "ceiling"]
    assert "24 images of each set are compared: pngs has no more." in told and "±" in told
    lines = [json.loads(x) for x in (tmp_path / "out" / "judge.jsonl").read_text().splitlines()]
    assert [line["samples"] for line in lines] == ["ae", "foreign", "pngs"]
    for line in lines:
        assert line["protocol"]["images"] == 24 and line["protocol"]["split"] == "test[:32]"
        assert line["frechet_floor"] < line["frechet_ceiling"]
        assert line["standard_error"].keys() <= line.keys()
        assert {"clipped_density", "frechet_infinity", "memorisation_p_features"} <= line.keys()
    # The test images themselves are the nearest to what test images should be.
    assert lines[1]["frechet"] < min(lines[0]["frechet"], lines[2]["frechet"])
    # Training images are copies, in pixels and in features, as no test image is.
    assert lines[2]["nearest_training"] == lines[2]["nearest_training_features"] == 0.0
    assert lines[2]["memorisation_p"] < 1e-4 < lines[1]["memorisation_p"]
    figures = {p.name for p in (tmp_path / "out" / "figures").iterdir()}
    assert figures == {"labels.png", *(f"neighbours_{n}.png" for n in ("ae", "foreign", "pngs"))}


def test_a_script_judges_arrays_as_the_mode_judges_files(runs, digits, tmp_path, quick):
    """The same numbers by `genlab.judge`, of a set that both see whole."""
    np.savez(tmp_path / "mine.npz", images=digits["train"][:32])
    ask(runs, f"{tmp_path}/mine.npz", output=str(tmp_path / "out"))
    line = json.loads((tmp_path / "out" / "judge.jsonl").read_text())
    sets = digits["sets"]
    every = sets.train.read(np.arange(len(sets.train)))["image"]
    real = sets.test.read(np.arange(len(sets.test)))["image"]
    found = genlab.judge({"mine": digits["train"][:32]}, real, every, runs["tiny"])
    for name, value in found.numbers("mine").items():
        assert value == pytest.approx(line[name]), name
    assert "mine" in str(found) and str(found) == repr(found)


def test_the_order_of_a_set_makes_no_difference_to_what_is_compared(runs, digits, monkeypatch):
    """Sorted by class, the first few would be of one class, and tests of a few see only those."""
    monkeypatch.setattr(scores, "TESTED", 16)
    real = digits["train"]
    ordered = real[np.argsort(real.reshape(len(real), -1).sum(1))]  # from dark to bright
    options = {"classifier": runs["tiny"], "intervals": False}
    found = genlab.judge({"sorted": ordered}, real, **options).numbers("sorted")
    assert found["discriminator"] < 0.8 and found["frechet"] == pytest.approx(0.0, abs=1e-6)


def test_a_split_that_was_trained_on_is_not_searched_for_copies(runs, quick, capsys):
    ask(runs, "test[:20]", "train[:40]")
    told = capsys.readouterr().out
    assert "no copies are searched for" in told and "floor" not in told.split("Note")[0]
    assert "memorisation" not in told and "Against train[:40]" in told


@pytest.fixture
def wrong(runs, digits, tmp_path):
    """{what to ask for: what is answered}."""
    images = digits["test"]
    arrays = {
        "large": np.zeros((20, 9, 9, 1), np.uint8) + 7,
        "colour": np.stack([images[..., 0], images[..., 0], 255 - images[..., 0]], -1),
        "few": images[:5],
        "floats": images / 255.0,
        "bits": images // 255,
        "flat": images.reshape(32, -1),
    }
    for name, array in arrays.items():
        np.savez(tmp_path / f"{name}.npz", images=array)
    np.savez(tmp_path / "none.npz", other=images)
    np.savez(tmp_path / "two.npz", train_image=images, test_image=images)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.npz").write_text("no archive")
    return {
        "large.npz": "images of 9x9x1, but tiny judges those of 8x8x1; nothing is resized",
        "colour.npz": "images in colour, but the classifier sees grey ones",
        "few.npz": "few: 5 images; 16 or more of each are needed",
        "floats.npz": "multiply by 255 and round",
        "bits.npz": "no value of .* is above 1",
        "flat.npz": "reshape its rows to images",
        "none.npz": "no array 'image' or 'images'",
        "two.npz": "it has train, test; name one",
        "two.npz:valid": "valid",
        "empty": "no image in .*empty",
        "text.npz": "text.npz",
        "nowhere.npz": "neither a workdir, a folder, an .npz, pretrained:NAME nor a split of d",
        "few.npz,nowhere": "--samples=.*nowhere: neither",
    }


def test_what_cannot_be_judged_is_one_line(runs, wrong, tmp_path, monkeypatch):
    for asked, told in wrong.items():
        named = ",".join(f"{tmp_path}/{part}" for part in asked.split(","))
        with pytest.raises(UserError, match=told) as caught:
            ask(runs, named)
        assert "\n" not in str(caught.value), asked
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test").mkdir()
    cases = {
        "test": "test is a folder here, and a split of digits; write ./test",
        "": "needs --samples",
        "pretrained:nobody": "no such pretrained model",
        runs["tiny"]: "classifier has no sample",
        f"{runs['ae']}:77": "77",
        "test[:4]": "16 or more",
    }
    for asked, told in cases.items():
        with pytest.raises(UserError, match=told):
            ask(runs, asked)
    with pytest.raises(UserError, match="--mode=judge does not read it"):
        ask(runs, "test", train={"steps": 77})
    with pytest.raises(UserError, match="no classifier of 8x8x1 images comes with genlab"):
        genlab.judge({"a": np.zeros((20, 8, 8, 1), np.uint8)}, np.zeros((20, 8, 8, 1), np.uint8))


def test_a_classifier_must_be_one_and_of_the_shape(runs, launch):
    ended = launch("--mode=judge", "--samples=test", f"--features={runs['ae']}")
    assert ended.returncode == 2 and "its task is autoencoder" in ended.stderr
    ended = launch("--mode=judge", "--samples=test", f"--workdir={runs['ae']}")
    assert ended.returncode == 2 and "classifier by --features" in ended.stderr
    assert all(len(x.stderr.strip().splitlines()) == 1 for x in (ended,))


def test_the_mode_runs_from_the_command_line(runs, tmp_path, launch):
    where = Path(tmp_path) / "out"
    ended = launch(
        "--mode=judge", f"--samples={runs['ae']}", "--against=test[:20]",
        f"--features={runs['tiny']}", f"--output={where}",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "Against test[:20], tiny features, 20 of each" in ended.stdout
    assert len((where / "judge.jsonl").read_text().splitlines()) == 1


def evaluated(runs, of="ae", **changes):
    """The config of a run as an evaluation gets it, with a classifier to judge by."""
    config = configs.read(runs[of]).unlock()
    config.eval.classifier = runs["tiny"]
    for section, values in changes.items():
        config[section].update(values)
    return config


def test_an_evaluation_with_features_judges_samples(runs, quick, capsys):
    """Floors, ceilings and a stamp beside every score; only samples depend on how drawn."""
    for method in ("normal", "gaussian"):
        evaluate.evaluate_run(evaluated(runs, sample={"seed": 3, "method": method}), runs["ae"])
    told = capsys.readouterr().out
    lines = [json.loads(x) for x in (Path(runs["ae"]) / "eval.jsonl").read_text().splitlines()]
    fixed = [{k: v for k, v in x.items() if k.endswith(("_floor", "_ceiling"))} for x in lines]
    assert fixed[0] == fixed[1] and len(fixed[0]) == 34
    assert lines[0]["frechet"] != lines[1]["frechet"]
    assert lines[0]["frechet_floor"] < lines[0]["frechet_ceiling"]
    stamp = lines[0]["samples_protocol"]
    assert stamp["images"] == 32 and stamp["features"] == "tiny" and stamp["sample_seed"] == 3
    assert stamp["sample_method"] == "normal" and stamp["training_images"] == 256
    assert "mse" in lines[0] and "source" in lines[0]["protocol"]
    assert all(np.isfinite(x) for x in lines[0].values() if isinstance(x, float))
    assert "tiny features, 32 of each" in told and re.search("samples +floor +ceiling", told)
    assert lines[0]["standard_error"]["frechet"] > 0 and "mse" in lines[0]["standard_error"]
    assert "FID" not in told
    for name in ("neighbours", "labels"):
        assert (Path(runs["ae"]) / "figures" / f"{name}.png").exists()


def test_what_an_evaluation_cannot_judge_is_one_line(runs):
    cases = (
        (
            {"classifier": runs["ae"]},
            "ae",
            "its task is autoencoder; take the workdir of a cl",
        ),
        ({"classifier": "nowhere"}, "ae", "no config.json there"),
        ({"images": 5}, "ae", "16 or more of each are needed"),
        ({}, "tiny", "classifier has no sample; families that have it: autoencoder"),
    )
    for changes, of, told in cases:
        with pytest.raises(UserError, match=told) as caught:
            evaluate.evaluate_run(evaluated(runs, of, eval=changes), runs[of])
        assert "\n" not in str(caught.value)


def test_a_classifier_of_another_shape_is_refused(runs):
    model = genlab.restore(runs["ae"])
    larger = dataclasses.replace(model, task=dataclasses.replace(model.task, shape=(9, 9, 1)))
    with pytest.raises(UserError, match=r"a classifier of 8x8x1 images, but these are 9x9x1"):
        compare_samples.extractor(larger, evaluated(runs))
