"""What goes into a .glz file comes out of it, at the size of the likelihood."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import numpy as np
import pytest

from genlab.coding import codec
from genlab.likelihoods.gaussian import Gaussian
from genlab.likelihoods.logistic import Logistic
from genlab.tasks.autoregressive import coding as pixel_coding
from genlab.tasks.vae import coding as vae_coding
from tests.coded import message_bits, pixel_model, sampled, vae_model

pytestmark = pytest.mark.thorough

KINDS = {
    "plain": lambda: pixel_model("masked.PixelCNN", levels=5),
    "gated": lambda: pixel_model("gated.GatedPixelCNN", name="bernoulli"),
    "gated, told a class": lambda: pixel_model("gated.GatedPixelCNN", classes=3, levels=4),
    "row": lambda: pixel_model("recurrent.RowLSTM", levels=256),
    "diagonal": lambda: pixel_model("recurrent.DiagonalBiLSTM", levels=3),
    "multi-scale": lambda: pixel_model("multiscale.MultiScale", classes=2, levels=4),
    "plain, coloured": lambda: pixel_model("masked.PixelCNN", 3, levels=4),
    "mixture, coloured": lambda: pixel_model(
        "gated.GatedPixelCNN", 3, levels=256, name="logistic_mixture", components=2
    ),
    "row, coloured": lambda: pixel_model("recurrent.RowLSTM", 3, classes=2),
    "diagonal, coloured": lambda: pixel_model("recurrent.DiagonalBiLSTM", 3),
    "multi-scale, coloured": lambda: pixel_model("multiscale.MultiScale", 3),
}


@pytest.fixture
def _programs_are_dropped() -> Iterator[None]:
    """Of each kind of network there are some, of no use to the next."""
    yield
    pixel_coding.programs.cache_clear()
    vae_coding.programs.cache_clear()
    jax.clear_caches()


@pytest.mark.usefixtures("_programs_are_dropped")
@pytest.mark.parametrize("kind", KINDS)
def test_coding_is_the_identity_at_the_size_of_the_likelihood(kind):
    """Of 21 images in three batches of lanes, the last one not full; labels are stored."""
    made, count = KINDS[kind](), 21
    classes = made.task.condition.size
    labels = np.arange(count) % classes if classes else None
    images = sampled(made, count, labels)
    data = b"".join(codec.compress(made, images, labels, verify=False, lanes=8))
    found, told = codec.decompress(made, data)
    np.testing.assert_array_equal(found, images)
    if classes:
        np.testing.assert_array_equal(told, labels)
    wanted = -made.log_prob(images, labels=labels).sum() / np.log(2)
    wanted += count * np.log2(classes) if classes else 0
    assert abs(message_bits(data) - wanted) < 0.001 * wanted + 64


VAES = {
    "bernoulli": lambda: vae_model(name="bernoulli", levels=2),
    "told a class": lambda: vae_model(3, name="categorical", levels=4),
    "logistic": lambda: vae_model(name="logistic", levels=256),
    "gaussian": lambda: vae_model(name="gaussian", levels=16, deviation=0.0),
}


@pytest.mark.usefixtures("_programs_are_dropped")
@pytest.mark.parametrize("kind", VAES)
def test_bits_back_is_the_identity_at_the_size_of_the_bound(kind):
    """The size is the negative ELBO; a Gaussian's is less, as the bound on its levels is loose.
    Batches are of 1 image to 8.

    It may be some per cent more here: latents are popped from the bits of earlier latents, which
    are no fair coins where the posteriors together are not the prior, as in an untrained model.
    """
    made, count = VAES[kind](), 300
    classes = made.task.condition.size
    labels = np.arange(count) % classes if classes else None
    images = sampled(made, count, labels)
    data = b"".join(codec.compress(made, images, labels, verify=False, lanes=8))
    found, told = codec.decompress(made, data)
    np.testing.assert_array_equal(found, images)
    if classes:
        np.testing.assert_array_equal(told, labels)
    bound = -made.log_prob(images, labels=labels, samples=1).sum() / np.log(2)
    bound += count * np.log2(classes) if classes else 0
    assert message_bits(data) < 1.07 * bound + 64 + 3 * 32
    assert message_bits(data) > 0.97 * bound or kind == "gaussian"


@pytest.mark.parametrize("likelihood", [Logistic(), Logistic(4), Gaussian(16), Gaussian(16, 0.0)])
def test_all_levels_of_a_likelihood_that_decodes_sum_to_one(likelihood):
    outputs = 2.0 * jax.random.normal(jax.random.key(0), (50, likelihood.outputs))
    total = jax.nn.logsumexp(likelihood.logits(outputs), -1)
    np.testing.assert_allclose(total, 0.0, atol=2e-4)
