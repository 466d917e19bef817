"""What is restored is what was saved, or nothing is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genlab import restore
from genlab.errors import UserError
from genlab.state import State, digest
from genlab.workdir.checkpoint import Checkpoints


def state(step: int, width: int = 3, dtype=np.float32) -> State:
    params = {"model": {"w": np.arange(width, dtype=dtype) + step}}
    return State(np.array(step, np.int32), np.array(0, np.int32), params, {"model": ()}, {}, {})


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Steps 1 to 5, of which 2 is the best by nll."""
    checkpoints = Checkpoints(str(tmp_path), "nll", "min", keep=1, write=True)
    for step, nll in [(1, 5.0), (2, 3.0), (3, None), (4, 4.0), (5, None)]:
        checkpoints.save(state(step), {"note": step}, nll and {"nll": nll})
    checkpoints.wait()
    checkpoints.close()
    return tmp_path


def reader(folder: Path) -> Checkpoints:
    return Checkpoints(str(folder), "nll", "min")


def test_the_newest_and_the_best_are_kept(saved):
    found = reader(saved)
    assert found.manager.all_steps() == [2, 5]
    assert (found.choose("latest"), found.choose("best"), found.choose(2)) == (5, 2, 2)
    assert found.about(2)["note"] == 2
    np.testing.assert_array_equal(found.restore(2, state(0)).params["model"]["w"], [2, 3, 4])


def test_a_checkpoint_that_is_not_kept_is_one_line(saved):
    with pytest.raises(UserError, match="no checkpoint 3; there are 'latest', 'best' and 2, 5"):
        reader(saved).choose(3)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (state(0, width=4), r"params\.model\.w is float32\[3\] there, float32\[4\] here"),
        (state(0, dtype=np.float16), r"float32\[3\] there, float16\[3\] here"),
        (state(0).replace(ema={"model": {"v": np.zeros(2)}}), "absent there"),
    ],
)
def test_a_foreign_checkpoint_is_refused_by_name(saved, target, told):
    with pytest.raises(UserError, match=told):
        reader(saved).restore(5, target)


def harmed(data: bytes, other: bytes, harm: str) -> bytes:
    """A file's bytes, cut, emptied, flipped in one bit, or those of another checkpoint."""
    middle = len(data) // 2
    return {
        "empty": b"",
        "cut": data[:middle],
        "flip": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        "swap": other,
    }[harm]


def outcome(folder: Path, which: str | int) -> tuple:
    """(step, state, about), or what was told instead."""
    try:
        found = reader(folder)
        step = found.choose(which)
        return step, found.restore(step, state(0)).params["model"]["w"].tolist(), found.about(step)
    except UserError as error:
        return (str(error),)


@pytest.mark.parametrize("harm", ["empty", "cut", "flip", "swap"])
@pytest.mark.parametrize("step", [2, 5])
def test_a_checkpoint_with_any_file_damaged_is_whole_or_one_line(saved, step, harm, caplog, capfd):
    """Some files only repeat what others hold; then what is restored is what was saved."""
    kinds = ("latest", "best")
    before, told = {which: outcome(saved, which) for which in kinds}, set()
    capfd.readouterr()
    for file in sorted(p for p in (saved / f"checkpoints/{step}").rglob("*") if p.is_file()):
        twin = saved / f"checkpoints/{7 - step}" / file.relative_to(saved / f"checkpoints/{step}")
        data = file.read_bytes()
        file.write_bytes(harmed(data, twin.read_bytes() if twin.exists() else b"?", harm))
        for which in kinds:
            found = outcome(saved, which)
            if found != before[which]:
                assert f"checkpoints/{step} is damaged" in found[0], (file, found)
                assert f"the others are {7 - step}" in found[0] and "\n" not in found[0]
                told.add(file.parent.name)
        file.write_bytes(data)
    assert {"about", "d"} <= told or harm == "swap"
    assert "Traceback" not in capfd.readouterr().err and not caplog.records


@pytest.mark.parametrize("part", ["about", "state"])
def test_a_checkpoint_with_a_part_removed_is_one_line(saved, part):
    shutil.rmtree(saved / "checkpoints/5" / part)
    with pytest.raises(UserError, match="checkpoints/5 is damaged"):
        reader(saved).restore(5, state(0))


def test_a_metric_that_was_changed_does_not_make_another_checkpoint_the_best(saved):
    file = saved / "checkpoints/2/metrics/metrics"
    file.write_text(file.read_text().replace("3.0", "9.0"))
    with pytest.raises(UserError, match=r"checkpoints/2 is damaged.*metrics"):
        reader(saved)


def test_other_bits_are_noticed(saved):
    """Orbax restores them without a word; the digest does not, nor does the seal of the rest."""
    about = saved / "checkpoints/5/about/metadata"
    found = json.loads(about.read_text())
    assert found["sha256"] == digest(state(5))
    for changed in ({"sha256": digest(state(4))}, {"note": 6}):
        about.write_text(json.dumps(found | changed))
        with pytest.raises(UserError, match="what is said about it has changed"):
            reader(saved).restore(5, state(0))
    old = {key: value for key, value in found.items() if key not in ("seal", "metrics")}
    about.write_text(json.dumps(old | {"sha256": digest(state(4))}))
    with pytest.raises(UserError, match="its digest does not match"):
        reader(saved).restore(5, state(0))
    about.write_text(json.dumps(old))  # as older versions wrote it
    assert reader(saved).restore(5, state(0)).step == 5


def test_64_bits_are_refused_by_name(trained):
    with jax.enable_x64(True), pytest.raises(UserError, match="JAX_ENABLE_X64"):
        restore(trained)


def test_a_digest_sees_bits_names_shapes_and_dtypes():
    changed = [
        state(5).replace(params={"model": {"w": np.array([5, 6, np.nextafter(np.float32(7), 8)])}}),
        state(5).replace(params={"model": {"v": np.arange(3, dtype=np.float32) + 5}}),
        state(5).replace(params={"model": {"w": (np.arange(3, dtype=np.float32) + 5)[None]}}),
        state(5, dtype=np.float16),
        state(6),
    ]
    assert len({digest(s) for s in [state(5), *changed]}) == 6


def test_restore_gives_samples_and_likelihoods(trained):
    """The interface that scripts rely on."""
    model = restore(trained)
    images = model.sample(jax.random.key(0), 6)
    assert images.shape == (6, 8, 8, 1) and images.dtype == np.uint8
    np.testing.assert_array_equal(images[:2], model.sample(jax.random.key(0), 2))
    assert not np.array_equal(images, model.sample(jax.random.key(1), 6))
    logp = model.log_prob(images)
    assert logp.shape == (6,) and logp.dtype == np.float32 and (logp < 0).all()
    np.testing.assert_allclose(logp[4:], model.log_prob(images[4:]), rtol=1e-6)
    assert model.step == 6 and model.config.task == "autoregressive" and model.weights == "ema"
    known = np.zeros(images.shape, bool)
    known[:, :4] = True
    completed = model.complete(jax.random.key(2), images, known)
    np.testing.assert_array_equal(completed[known], images[known])


def test_restore_offers_raw_weights_and_the_best_step(trained):
    ema, raw = restore(trained), restore(trained, weights="raw")
    same = jax.tree.map(jnp.array_equal, ema.state.params, raw.state.params)
    assert not all(jax.tree.leaves(same))
    assert restore(trained, step="best").step in (3, 6)


def test_what_a_family_cannot_do_names_those_that_can(trained):
    with pytest.raises(UserError, match="autoregressive has no encode; families that have it:"):
        restore(trained).function("encode")


def test_a_workdir_without_a_run_is_one_line(tmp_path, trained):
    with pytest.raises(UserError, match=r"no config\.json there"):
        restore(str(tmp_path))
    shutil.copy(Path(trained) / "config.json", tmp_path)
    with pytest.raises(UserError, match="no checkpoint there"):
        restore(str(tmp_path))


def test_reading_leaves_a_workdir_as_it_is(trained):
    def listing() -> dict[str, int]:
        return {str(p): p.stat().st_mtime_ns for p in Path(trained).rglob("*")}

    before = listing()
    restore(trained).log_prob(np.zeros((1, 8, 8, 1), np.uint8))
    assert listing() == before


def test_parameters_are_plain_flax_variables(trained):
    """A script may go on with the pure parts."""
    model = restore(trained)
    x = jnp.zeros((1, 8, 8, 1))
    out = model.task.network.apply({"params": model.state.params["model"]}, x)
    assert out.shape == (1, 8, 8, 1, 4)
    assert flax.traverse_util.flatten_dict(model.state.params["model"])
