"""GANs: exact sizes, losses in closed form, isolated players, and every mode of a ring."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genlab import config as configs
from genlab import restore, task, updates
from genlab.errors import UserError
from genlab.parallel import on_one_device
from genlab.tasks.gan import losses as adversarial
from genlab.tasks.gan import task as gan
from genlab.training import loop as train
from genlab.workdir.runs import counts
from tests.conftest import ROOT

# (trainable, total) of the generator and the discriminator, as the sources print them.
SIZES = {
    ("mnist_gan", 1): ((1_489_936, 1_493_520), (533_505, 533_505)),
    ("mnist_gan_dropout", 1): ((1_486_352, 1_486_352), (1_460_225, 1_460_225)),
    ("mnist_dcgan", 1): ((684_129, 685_121), (102_833, 102_833)),
    ("mnist_dcgan:listing", 1): ((684_129, 685_121), (102_835, 102_835)),
    ("mnist_dcgan_resize", 1): ((4_928_769, 4_930_561), (1_030_913, 1_031_681)),
    ("celeba_dcgan", 3): ((4_935_171, 4_936_963), (1_034_113, 1_034_881)),
}
KEY = jax.random.key(0)


def tiny(name: str = "mnist_gan", **changes):
    """A smoke config with networks of a few units, for 8x8 digits."""
    config = configs.load(f"{ROOT}/configs/{name}.py:smoke").unlock()
    config.data.image_size = 8
    few = {"hidden": (6,), "latent": 3, "features": (4, 4), "decoder_features": (4,), "start": 4}
    for section in config.model.values():
        if hasattr(section, "name"):
            section.update({key: few[key] for key in few if key in section})
    config.train.watch = type(config)()
    for key, value in changes.items():
        config.gan[key] = value
    return config


def built(config, classes=("0", "1")):
    side = config.data.image_size
    made = task.load(config, task.Spec((side, side, 1), classes))
    size = config.data.batch_size
    images = np.random.default_rng(0).integers(0, 256, (size, side, side, 1), np.uint8)
    batch = {"image": images, "label": np.arange(size, dtype=np.int32) % 2}
    return made, on_one_device(made.init)(KEY, batch), batch


def checked_and_built(config):
    """As every mode does it: fields first, then what they mean together."""
    configs.check_values(config)
    return built(config)


def same(a, b) -> bool:
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


@pytest.mark.parametrize(("name", "channels"), SIZES)
def test_players_have_their_sources_number_of_parameters(name, channels):
    file, _, argument = name.partition(":")
    config = configs.load(f"{ROOT}/configs/{file}.py:{argument}")
    spec = task.Spec((28, 28, channels))
    state = task.abstract_state(task.load(config, spec), spec)
    found = counts(state.params, state.stats)
    players = (found[player] for player in (gan.GENERATOR, gan.DISCRIMINATOR))
    assert tuple((p["trainable"], p["total"]) for p in players) == SIZES[name, channels]


@pytest.mark.parametrize("name", ["mnist_gan", "mnist_dcgan", "mnist_dcgan_resize"])
@pytest.mark.parametrize(("side", "channels"), [(28, 3), (32, 1), (64, 3)])
def test_every_network_makes_every_shape_in_range(name, side, channels):
    config = configs.load(f"{ROOT}/configs/{name}.py").unlock()
    spec = task.Spec((side, side, channels))
    made = task.load(config, spec)
    state = task.abstract_state(made, spec)
    keys = jax.eval_shape(lambda: jax.random.split(KEY, 2))
    labels = jax.ShapeDtypeStruct((2,), jnp.int32)
    call = on_one_device(lambda s, k, y: made.sample(s, k, y))
    found = jax.eval_shape(call, state, keys, labels)
    assert (found.shape, found.dtype) == ((2, side, side, channels), jnp.uint8)


def test_losses_are_their_papers():
    r, f = np.array([-3.0, 0.2, 5.0]), np.array([1.5, -2.0, 0.3])
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    wanted = {
        "minimax": (-np.log(sigmoid(r)), -np.log(1 - sigmoid(f)), np.log(1 - sigmoid(f))),
        "non_saturating": (-np.log(sigmoid(r)), -np.log(1 - sigmoid(f)), -np.log(sigmoid(f))),
        "least_squares": ((r - 1) ** 2 / 2, f**2 / 2, (f - 1) ** 2 / 2),
        "hinge": (np.maximum(0, 1 - r), np.maximum(0, 1 + f), -f),
        "wasserstein": (-r, f, -f),
    }
    assert wanted.keys() == adversarial.LOSSES.keys()
    for name, (real, fake, generator) in wanted.items():
        loss = adversarial.LOSSES[name]
        np.testing.assert_allclose(loss.real(r), real, rtol=1e-5)
        np.testing.assert_allclose(loss.fake(f), fake, rtol=1e-5)
        np.testing.assert_allclose(loss.generator(f), generator, rtol=1e-5)
        far = jnp.array([-1e4, 1e4])
        for act in (loss.real, loss.fake, loss.generator):
            assert bool(jnp.isfinite(jax.vmap(jax.grad(act))(far)).all())


def test_smoothing_is_cross_entropy_with_a_softer_label_on_real_images_only():
    r, f = jnp.array([2.0, -1.0]), jnp.array([0.5, -0.5])
    found = adversarial.Objective(label_smoothing=0.1).discriminator(r, f)
    p, q = jax.nn.sigmoid(r), jax.nn.sigmoid(f)
    wanted = -(0.9 * jnp.log(p) + 0.1 * jnp.log(1 - p)) - jnp.log(1 - q)
    np.testing.assert_allclose(found, wanted.mean(), rtol=1e-6)


def test_penalties_of_a_linear_critic_are_known():
    x, w = np.zeros((2, 4, 4, 3), np.float32), np.full((4, 4, 3), 0.5, np.float32)
    score = lambda image: (image * w).sum((1, 2, 3))  # noqa: E731
    norm = np.sqrt((w**2).sum())
    objective = adversarial.Objective(gradient_penalty=3.0, r1=2.0)
    call = on_one_device(lambda a, b: objective.penalties(score, a, b, KEY))
    total, found = call(x, x + 1.0)
    np.testing.assert_allclose(found["gradient_penalty"], (norm - 1) ** 2, rtol=1e-5)
    np.testing.assert_allclose(found["r1"], norm**2, rtol=1e-5)
    np.testing.assert_allclose(total, 3 * (norm - 1) ** 2 + norm**2, rtol=1e-5)


@pytest.mark.parametrize("name", ["mnist_gan", "mnist_dcgan_resize"])
def test_a_players_update_leaves_the_other_untouched(name):
    """Batch normalisation in one, or in both: parameters, optimiser state and statistics."""
    made, state, batch = built(tiny(name))
    losses = {
        gan.DISCRIMINATOR: (made.discriminator_optimizer, made._discriminator_loss),
        gan.GENERATOR: (made.generator_optimizer, made._generator_loss),
    }
    for player, other in itertools.permutations(losses):
        step = updates.descend(player, *losses[player])
        after, _ = on_one_device(step)(state, batch, KEY)
        for field in ("params", "opt", "stats"):
            before, now = getattr(state, field), getattr(after, field)
            assert same(before.get(other), now.get(other)), (player, field)
            if player in before:
                assert not same(before[player], now[player]), (player, field)


def test_a_step_is_k_discriminator_updates_and_one_of_the_generator_that_sees_them():
    made, state, batch = built(tiny(discriminator_steps=2, gradient_penalty=1.0, conditional=True))
    found, _ = on_one_device(made.step)(state, batch, KEY)
    each = updates.descend(
        gan.DISCRIMINATOR, made.discriminator_optimizer, made._discriminator_loss
    )
    outer = jax.random.fold_in(KEY, 0)
    for i in range(2):
        half = {name: x[4 * i : 4 * i + 4] for name, x in batch.items()}
        state, _ = on_one_device(each)(state, half, jax.random.fold_in(outer, i))
    last = updates.descend(gan.GENERATOR, made.generator_optimizer, made._generator_loss)
    state, _ = on_one_device(last)(state, batch, jax.random.fold_in(KEY, 1))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(state), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)  # compiled as one, it may round another way


@pytest.mark.parametrize("output", ["tanh", "sigmoid"])
def test_pixels_follow_the_generators_range_and_back(output):
    config = tiny()
    config.model.generator.output = output
    made, _, _ = built(config)
    levels = np.arange(256, dtype=np.uint8)
    x = made._pixels(levels)
    low, scale = made._range
    assert float(x.min()) == {"tanh": -1.0, "sigmoid": 0.0}[output] and float(x.max()) == 1.0
    np.testing.assert_array_equal(np.round((x - low) * scale), levels)


@pytest.mark.parametrize("prior", ["normal", "uniform"])
def test_latents_follow_the_prior_and_an_image_its_key_alone(prior):
    config = tiny()
    config.model.prior = prior
    made, state, _ = built(config)
    z = np.asarray(made._latents(jax.random.split(KEY, 4000)))
    deviation = {"normal": 1.0, "uniform": 3**-0.5}[prior]
    assert abs(z.mean()) < 0.03 and z.std() == pytest.approx(deviation, rel=0.03)
    assert (np.abs(z).max() <= 1.0) == (prior == "uniform")
    draw, keys = on_one_device(made.sample), jax.random.split(KEY, 8)
    all_of_them = draw(state, keys, np.zeros(8, np.int32))
    np.testing.assert_array_equal(draw(state, keys[3:4], np.zeros(1, np.int32))[0], all_of_them[3])


def test_a_conditional_gan_draws_another_image_for_another_class():
    made, state, _ = built(tiny(conditional=True))
    draw, keys = on_one_device(made.sample), jax.random.split(KEY, 1)
    a, b = (draw(state, keys, np.full(1, label, np.int32)) for label in (0, 1))
    assert not np.array_equal(a, b)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("gan.loss", "hing", "gan.loss: 'hing' is not known.*hinge"),
        ("gan.loss", "wasserstein", "needs gan.gradient_penalty"),
        ("gan.label_smoothing", 1.0, "gan.label_smoothing=1.0: take 0 or more, below 1"),
        ("gan.r1", -1.0, "gan.r1=-1.0: take 0 or more"),
        ("gan.discriminator_steps", 3, "must divide data.batch_size=8"),
        ("model.prior", "gauss", "model.prior: 'gauss'"),
        ("model.generator.output", "relu", "model.generator.output: 'relu'"),
        ("optim.generator.name", "adan2", "optim.generator.name"),
        ("optim.discriminator.schedule", "cosin", "optim.discriminator.schedule.*cosine"),
    ],
)
def test_a_mistake_in_the_sections_of_a_gan_is_one_line(key, value, told):
    config = tiny()
    section, _, last = key.rpartition(".")
    target = config
    for part in section.split("."):
        target = target[part]
    target[last] = value
    with pytest.raises(UserError, match=told) as caught:
        checked_and_built(config)
    assert "\n" not in str(caught.value)


def test_a_run_stopped_after_every_step_ends_as_one_that_was_not(tmp_path):
    config = tiny()
    config.optim.generator.ema = 0.9
    config.train.update(eval_every=0, checkpoint_every=1)
    for name, steps in (("whole", (3,)), ("parts", (1, 2, 3))):
        for config.train.steps in steps:
            train.train(config, str(tmp_path / name))
    whole, parts = (restore(str(tmp_path / n), weights="raw") for n in ("whole", "parts"))
    assert same(whole.state, parts.state)


@pytest.mark.thorough
def test_a_step_is_the_same_on_four_devices_as_on_one():
    """Batch statistics are taken over all replicas: see gan_run.py."""
    flags = {"PYTHONPATH": str(ROOT), "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.gan_run"],
        cwd=ROOT,
        env=os.environ | flags,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["devices"] == 4 and found["arrays"] > 30 and found["largest"] < 1e-4, found


def ring(count: int) -> np.ndarray:
    """u8[count,1,2,1]: eight Gaussians on a circle of radius 3/4, deviation 0.02."""
    rng = np.random.default_rng(0)
    angles = 2 * np.pi * rng.integers(0, 8, count) / 8
    points = 0.75 * np.stack([np.cos(angles), np.sin(angles)], -1)
    points += rng.normal(0.0, 0.02, points.shape)
    return np.round((points + 1.0) * 127.5).astype(np.uint8)[:, None, :, None]


@pytest.mark.thorough
def test_all_eight_gaussians_of_a_ring_are_covered():
    """Non-saturating, with a gradient penalty of 0.1, 4,000 steps."""
    config = configs.load(f"{ROOT}/configs/mnist_gan.py").unlock()
    config.model.generator.update(latent=8, hidden=(64, 64), normalise=False)
    config.model.discriminator.hidden = (64, 64)
    config.gan.gradient_penalty = 0.1
    for player in config.optim:
        config.optim[player].learning_rate = 1e-3
    made, data = task.load(config, task.Spec((1, 2, 1))), ring(20_000)

    def trained(key, data):
        def one(state, step):
            key_of_step = jax.random.fold_in(key, step)
            rows = jax.random.randint(jax.random.fold_in(key_of_step, 9), (256,), 0, len(data))
            batch = {"image": data[rows], "label": jnp.full(256, -1)}
            return dataclasses.replace(made.step(state, batch, key_of_step)[0], step=step), None

        state, _ = jax.lax.scan(one, made.init(key, {"image": data}), jnp.arange(4000))
        return made.sample(state, jax.random.split(key, 2000), jnp.zeros(2000, jnp.int32))

    drawn = np.asarray(on_one_device(trained)(KEY, data))[:, 0, :, 0] / 127.5 - 1.0
    angles = 2 * np.pi * np.arange(8) / 8
    far = np.linalg.norm(
        drawn[:, None] - 0.75 * np.stack([np.cos(angles), np.sin(angles)], -1), 2, -1
    )
    near = far.min(1) < 0.1
    share = np.bincount(far.argmin(1)[near], minlength=8) / len(drawn)
    assert near.mean() > 0.6 and share.min() > 0.03, share
