"""The zoo: an entry is what the run was, and is found again from the package alone."""

from __future__ import annotations

import pickle
import shutil
import sys

import jax
import numpy as np
import pytest
from etils import epath

import genlab
from genlab.errors import UserError
from genlab.publishing import add, cards, check, history
from genlab.training import loop as train
from genlab.workdir import places
from genlab.workdir.lines import read_lines
from genlab.zoo import entries
from tests.conftest import tiny_config


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """A zoo of its own with two tiny models and their mixture; its folder, and the workdirs."""
    root = tmp_path_factory.mktemp("zoo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(places, "ENTRIES", epath.Path(root / "models"))
        patch.setattr(cards, "DOCS", root / "docs")
        (root / "docs").mkdir()
        names = []
        for seed in (0, 1):
            config = tiny_config()
            config.seed = seed
            names.append(str(root / f"run{seed}"))
            train.train(config, names[-1])
            add.add(names[-1], f"tiny{seed}", "A tiny PixelCNN.", "1 core, seconds")
        add.add("mixture:pretrained:tiny0,pretrained:tiny1", "tiny_both", "Both.", "")
        yield root, names


def test_an_entry_is_the_run_with_averaged_weights(zoo):
    root, (workdir, _) = zoo
    run, model = genlab.restore(workdir), genlab.pretrained("tiny0")
    for a, b in zip(*(jax.tree.leaves(m.state.params) for m in (run, model)), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not model.state.opt and not model.state.ema and model.weights == "ema"
    images = model.sample(jax.random.key(1), 3)
    np.testing.assert_array_equal(images, run.sample(jax.random.key(1), 3))
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(model)).log_prob(images), run.log_prob(images)
    )
    assert (root / "models" / "tiny0" / "weights.safetensors").exists()


def test_what_was_recorded_is_found_again(zoo):
    """Likelihoods of the bundled images and the digest of samples, of models and mixtures."""
    for entry in entries.every():
        model = genlab.pretrained(entry.name)
        found = check.differences(entry.folder, model)
        assert found and max(found.values()) < 1e-5
        images, again = check.sampled(model)
        assert again == entry.about["samples"] and len(images) == 16


def test_a_mixture_entry_names_its_members_and_keeps_no_weights(zoo):
    root, _ = zoo
    model = genlab.pretrained("tiny_both")
    assert model.task.members == ("pretrained:tiny0", "pretrained:tiny1")
    assert not (root / "models" / "tiny_both" / "weights.safetensors").exists()
    other = genlab.mixture(["pretrained:tiny0", "pretrained:tiny1"])
    images = model.sample(jax.random.key(0), 2)
    np.testing.assert_array_equal(model.log_prob(images), other.log_prob(images))


def test_weights_at_16_bits_are_the_rounded_ones_that_were_measured(zoo):
    """At half the size; a second time they are no longer rounded."""
    root, (workdir, _) = zoo
    add.add(workdir, "tiny_half", "Rounded.", "", half=True)
    try:
        whole, half = genlab.pretrained("tiny0"), genlab.pretrained("tiny_half")
        for a, b in zip(*(jax.tree.leaves(m.state.params) for m in (whole, half)), strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(np.asarray(a).astype(np.float16).astype(a.dtype), b)
        entry = entries.read("tiny_half")
        assert entry.evaluation["nll"] != entries.read("tiny0").evaluation["nll"]
        assert max(check.differences(entry.folder, half).values()) < 1e-5
        weights = [e.folder / "weights.safetensors" for e in (entries.read("tiny0"), entry)]
        arrays = sum(x.nbytes for x in jax.tree.leaves(half.state.params))
        saved = weights[0].stat().length - weights[1].stat().length
        assert 0.4 * arrays < saved < 0.6 * arrays
        assert "at 16 bits" in cards.card(entry, picture=False)
        add.add("pretrained:tiny_half", "tiny_half", "Rounded.", "", half=True)
        again = entries.read("tiny_half").about
        assert (again["sha256"], again["curve"]) == (entry.about["sha256"], entry.about["curve"])
    finally:
        shutil.rmtree(root / "models" / "tiny_half")
        (root / "docs" / "zoo.md").write_text(cards.page(root / "docs"))


def test_a_weight_that_16_bits_do_not_hold_is_refused(zoo):
    state = genlab.pretrained("tiny0").state
    large = state.replace(params=jax.tree.map(lambda x: x + 1e6, state.params))
    with pytest.raises(UserError, match="too large for 16 bits"):
        entries.rounded(large)


def test_all_are_listed_and_have_a_card(zoo):
    root, _ = zoo
    text = repr(genlab.pretrained())
    assert [line.split()[0] for line in text.splitlines()] == ["tiny0", "tiny1", "tiny_both"]
    assert "nats per image ± " in text and "MB" in text and "split test[:20]" in text
    page = (root / "docs" / "zoo.md").read_text()
    assert page == cards.page(root / "docs")
    for entry in entries.every():
        assert f"## {entry.name}" in page and f"{entry.name}.png)" in page
    assert str(root) not in page


def test_an_entry_keeps_its_validation_curve_and_those_that_compare_are_drawn(zoo):
    root, (workdir, _) = zoo
    lines = read_lines(epath.Path(workdir) / "metrics.jsonl")
    measured = [[line["epoch"], line["nll"]] for line in lines if line["split"] == "valid"]
    assert entries.read("tiny0").about["curve"] == {"nll": measured} and measured
    assert entries.read("tiny_both").about["curve"] == {}
    ((panel, drawn),) = cards.curves().items()
    assert panel == "nll, digits (validation)" and list(drawn) == ["tiny0", "tiny1"]
    assert (root / "docs" / cards.CURVES).exists()
    assert cards.CURVES in (root / "docs" / "zoo.md").read_text()


def test_training_starts_from_an_entry(zoo, tmp_path):
    config = tiny_config()
    config.train.update(init_from="pretrained:tiny0", steps=1, eval_every=0, checkpoint_every=1)
    config.optim.learning_rate = 0.0
    train.train(config, str(tmp_path))
    started = genlab.restore(str(tmp_path), weights="raw").state.params
    entry = genlab.pretrained("tiny0").state.params
    for a, b in zip(*map(jax.tree.leaves, (started, entry)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_starts_from_the_step_of_a_run_that_is_asked_for(tmp_path):
    """The newest, or the one behind the colon; the commands of the run say which."""
    config = tiny_config()
    config.train.update(steps=2, checkpoint_every=1, eval_every=0, keep=2)
    train.train(config, str(tmp_path / "first"))
    first = str(tmp_path / "first")
    for named, step in ((first, 2), (f"{first}:1", 1), (f"{first}:latest", 2)):
        on = tiny_config()
        on.train.update(init_from=named, steps=1, eval_every=0, checkpoint_every=1)
        on.optim.learning_rate = 0.0
        workdir = str(tmp_path / named.rpartition("/")[2].replace(":", "_")) + "_on"
        train.train(on, workdir)
        kept = genlab.restore(first, step, "raw").state.params
        began = genlab.restore(workdir, weights="raw").state.params
        for a, b in zip(*map(jax.tree.leaves, (kept, began)), strict=True):
            np.testing.assert_array_equal(a, b)
        assert f"init_from=runs/{named.rpartition('/')[2]} " in history.commands(workdir)[1]
    on.train.init_from = f"{first}:7"
    with pytest.raises(UserError, match="7"):
        train.train(on, str(tmp_path / "none"))


def test_a_run_that_was_trained_on_has_the_commands_of_all_before_it(zoo, tmp_path, monkeypatch):
    """With names of workdirs that mean the same on every machine."""
    _, (first, _) = zoo
    starts = {"pretrained": "pretrained:tiny0", "second": first, "third": str(tmp_path / "second")}
    for name, source in starts.items():
        words = ["launch.py", "--x=1", f"--config.train.init_from={source}", "--workdir", name]
        monkeypatch.setattr(sys, "argv", words)
        config = tiny_config()
        config.train.update(init_from=source, steps=1, eval_every=0, checkpoint_every=1)
        train.train(config, str(tmp_path / name))
    *before, own = history.commands(str(tmp_path / "pretrained"))
    assert before == history.commands(first) == entries.read("tiny0").about["commands"]
    told = "python launch.py --x=1 --config.train.init_from=runs/run0 "
    assert own == told + "--workdir=runs/pretrained"
    found = history.commands(str(tmp_path / "third"))
    assert [words.split()[-1] for words in found] == [
        "--workdir=runs/run0",
        "--workdir=runs/second",
        "--workdir=runs/third",
    ]
    assert "init_from=runs/second " in found[2] and str(tmp_path) not in str(found)
    shutil.rmtree(tmp_path / "second")
    with pytest.raises(UserError, match="second, which is gone"):
        history.commands(str(tmp_path / "third"))


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (lambda: genlab.pretrained("tiny3"), "no such pretrained model. Did you mean 'tiny"),
        (lambda: genlab.restore("pretrained:tiny0", step=3), "step 3 asked for; it is of step 6"),
        (lambda: genlab.restore("pretrained:tiny0", weights="raw"), "raw weights asked for"),
        (lambda: add.add("x", "No Name", "", ""), "small letters"),
        (lambda: add.add("mixture:pretrained:tiny0", "x", "", "", half=True), "to its members"),
        (
            lambda: add.add("pretrained:tiny0", "x", "", "", evaluated="no"),
            "no evaluation of step 6",
        ),
        (lambda: add.add("pretrained:tiny0", "x", "", "", metric="nl"), "Did you mean 'nll'"),
    ],
)
def test_what_is_not_there_is_one_line(zoo, act, told):
    with pytest.raises(UserError, match=told):
        act()


@pytest.mark.parametrize("damage", ["flip", "cut", "absent"])
def test_damaged_weights_are_one_line(zoo, damage):
    root, _ = zoo
    path = root / "models" / "tiny1" / "weights.safetensors"
    whole = path.read_bytes()
    try:
        if damage == "absent":
            path.unlink()
        else:
            flipped = whole[:-1] + bytes([whole[-1] ^ 1])
            path.write_bytes(flipped if damage == "flip" else whole[:-9])
        with pytest.raises(UserError, match="pretrained:tiny1 is damaged"):
            genlab.pretrained("tiny1")
    finally:
        path.write_bytes(whole)
