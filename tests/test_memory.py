"""What saves memory, or uses more devices, changes no number beyond rounding."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from etils import epath

from genlab import config as configs
from genlab import parallel, updates
from genlab import task as tasks
from genlab.condition import Spec
from genlab.errors import UserError
from genlab.tasks import autoregressive, gan, vae
from genlab.training import profiling
from tests import launcher
from tests.helpers import NETWORKS

pytestmark = pytest.mark.thorough


def made(config, **likelihood):
    configs.complete(config)
    config.optim.update(name="sgd", learning_rate=0.5) if "name" in config.optim else None
    if likelihood:
        config.likelihood.update(**likelihood)
    spec = Spec((6, 6, 1), ("a", "b"))
    task = tasks.load(config, spec)
    images = np.random.default_rng(0).integers(0, 256, (8, 6, 6, 1))
    batch = {"image": jnp.asarray(images, jnp.uint8), "label": jnp.arange(8) % 2}
    return task, batch, parallel.on_one_device(task.init)(jax.random.key(0), batch)


def pixels(**fields):
    config = autoregressive.config(
        "masked.PixelCNN", features=5, layers=2, first_kernel=3, head=4, dropout=0.3, **fields
    )
    return made(config, name="bernoulli", levels=2, binarisation="stochastic")


def codes():
    return made(vae.config("dense.Autoencoder", hidden=(7,), code=3))


def players():
    generator = {"name": "gan.DenseGenerator", "hidden": (6,), "normalise": False, "latent": 4}
    discriminator = {"name": "gan.DenseDiscriminator", "hidden": (6,), "dropout": 0.3}
    return made(gan.config(generator, discriminator, name="sgd", learning_rate=0.5))


def stepped(task, state, batch, parts):
    def step(state, batch, key):
        with updates.in_micro_batches(parts):
            return task.step(state, batch, key)

    return jax.device_get(parallel.on_one_device(step)(state, batch, jax.random.key(1)))


@pytest.mark.parametrize("family", [pixels, codes, players])
def test_micro_batches_make_the_step_of_the_whole_batch(family):
    """With dropout, drawn binarisation and latents: the noise of a row is the row's own."""
    task, batch, state = family()
    whole, parts = (stepped(task, state, batch, count) for count in (1, 4))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-5, 1e-6), whole, parts)


def test_micro_batches_that_do_not_divide_the_batch_are_refused():
    task, batch, state = codes()
    with pytest.raises(UserError, match=r"train\.accumulate=3 does not divide the 8 images"):
        stepped(task, state, batch, 3)


NAMES = {"plain": "masked.PixelCNN", "gated": "gated.GatedPixelCNN",
         "row": "recurrent.RowLSTM", "diagonal": "recurrent.DiagonalBiLSTM"}  # fmt: skip


@pytest.mark.parametrize("name", [n for n in NETWORKS if n in NAMES])
def test_what_is_computed_again_is_the_same_step_with_the_same_names(name):
    def of(remat):
        config = autoregressive.config(
            NAMES[name], features=4, layers=2, first_kernel=3, head=4, dropout=0.3, remat=remat
        )
        task, batch, state = made(config, name="bernoulli", levels=2)
        return stepped(task, state, batch, 1)

    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-5, 1e-6), of(False), of(True))


def test_what_is_measured_and_drawn_has_exact_products_and_float32():
    config = vae.config("dense.Autoencoder", hidden=(7,), code=3, dtype="bfloat16")
    task, batch, state = made(config)
    assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(state.params))

    def products(fn, *given):
        return str(fn.trace(*given).jaxpr)

    key = jax.random.split(jax.random.key(0), 1)
    exact = parallel.on_one_device(tasks.in_float32(task).log_prob)
    text = products(exact, state, batch, key[0])
    assert "HIGHEST" in text and "bf16" not in text
    train = parallel.replicas("jit", jax.devices()[:1]).compile(task.step, "default")
    text = products(train, state, batch, key)
    assert "bf16" in text and "HIGHEST" not in text


def test_images_on_eight_devices_are_those_of_one():
    flags = "--xla_force_host_platform_device_count="
    runs = [
        launcher.fork("tests.devices_run:run", environment={"XLA_FLAGS": f"{flags}{devices}"})
        for devices in (1, 8)
    ]
    ends = [run.wait() for run in runs]
    assert ends == [0, 0], runs[1].stderr
    found = [json.loads(run.stdout.splitlines()[-1]) for run in runs]
    assert [f.pop("devices") for f in found] == [1, 8]
    assert found[0] == found[1] and len(set(found[0].values())) == len(found[0])


def test_a_trace_is_of_the_steps_asked_for_and_opens_in_both_viewers(tmp_path):
    trace = profiling.profiler((2, 4), epath.Path(tmp_path))
    trace.before(0)
    trace.after(2, None)
    assert not trace.running
    trace.before(2)
    assert trace.running
    trace.after(3, jnp.ones(3) @ jnp.ones(3))
    trace.after(4, jnp.ones(3))
    assert not trace.running
    names = {path.name for path in (tmp_path / "profile").rglob("*") if path.is_file()}
    assert "perfetto_trace.json.gz" in names and any(n.endswith(".xplane.pb") for n in names)
    trace.before(2)  # after a rollback
    assert not trace.running


@pytest.mark.parametrize("steps", [(3,), (4, 4), (1, 2, 3)])
def test_a_trace_of_no_steps_is_refused(steps):
    with pytest.raises(UserError, match=r"take \(first, last\)"):
        profiling.profiler(steps, epath.Path("/nowhere"))
