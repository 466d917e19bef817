"""Networks with a code: exact sizes, equal convolutions, densities that bear dead units."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from genlab import config as configs
from genlab import data, task
from genlab.metrics import images as metrics
from genlab.nn import conv
from genlab.parallel import on_one_device
from genlab.tasks.autoencoder import densities
from genlab.tasks.autoencoder.corruption import Corruption
from genlab.workdir.runs import counts
from tests.conftest import ROOT
from tests.helpers import code_config

# Trainable parameters of the encoder and the decoder, as the sources print them.
SIZES = {
    "mnist_ae_dense": (110_816, 111_568),
    "mnist_ae_deep": (576_480, 577_232),
    "mnist_ae_conv": (1_904, 2_481),
    "mnist_dae_conv": (69_008, 108_993),
    "mnist_dae_salt": (69_008, 108_993),
    "mnist_dae_upsample": (14_192, 16_497),
    "mnist_vae": (494_244, 56_385),
    "mnist_vae_small": (69_076, 65_089),
    "binarized_mnist_vae": (217_300, 207_984),
}
TOTALS = {
    "mnist_ae_dense": 222_384,
    "mnist_ae_deep": 1_153_712,
    "mnist_ae_conv": 4_385,
    "mnist_dae_conv": 178_001,
    "mnist_dae_salt": 178_001,
    "mnist_dae_upsample": 30_689,
    "mnist_vae": 550_629,
    "mnist_vae_small": 134_165,
    "binarized_mnist_vae": 425_284,
}


@pytest.mark.parametrize("name", SIZES)
def test_a_network_has_its_sources_number_of_parameters(name):
    config = configs.load(f"{ROOT}/configs/{name}.py")
    spec = task.Spec((28, 28, 1))
    state = task.abstract_state(task.load(config, spec), spec)
    params = state.params["model"]
    found = counts({k: params[k] for k in ("encoder", "decoder")}, {})
    assert tuple(found[k]["total"] for k in ("encoder", "decoder")) == SIZES[name]
    whole = counts(state.params, state.stats)["model"]
    assert whole == {"trainable": TOTALS[name], "other": 0, "total": TOTALS[name]}


@pytest.mark.parametrize(
    ("kernel", "stride"), [(3, 2), (4, 2), (5, 2), (3, 1), (2, 3), (1, 2), (5, 3)]
)
def test_a_transposed_convolution_equals_jaxs(kernel, stride):
    x = jax.random.normal(jax.random.key(0), (2, 4, 5, 3))
    layer = conv.ConvTranspose(2, kernel, stride)
    params = layer.init(jax.random.key(1), x)
    wanted = jax.lax.conv_transpose(
        x, params["params"]["kernel"], (stride, stride), "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip
    np.testing.assert_allclose(layer.apply(params, x), wanted, atol=1e-5)


@pytest.mark.parametrize("side", [4, 7])
def test_pooling_takes_the_largest_and_upsampling_returns_to_every_side(side):
    x = np.random.default_rng(0).normal(size=(1, side, side, 2)).astype(np.float32)
    found = conv.max_pool(jnp.asarray(x))
    for i, j in np.ndindex(found.shape[1:3]):
        block = x[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        np.testing.assert_array_equal(found[:, i, j], block.max((1, 2)))
    for shape in ((28, 28, 1), (9, 14, 3)):
        for cls in (conv.PooledAutoencoder, conv.StridedAutoencoder):
            net = cls(shape=shape, code_parameters=1, outputs=2)
            made = jax.eval_shape(net.init_with_output, jax.random.key(0), jnp.zeros((3, *shape)))
            assert made[0].shape == (3, *shape, 2)


def test_ssim_and_psnr_are_the_known_ones():
    rng = np.random.default_rng(0)
    a = rng.random((3, 28, 28, 1), np.float32)
    b = np.clip(a + rng.normal(0, 0.1, a.shape), 0, 1).astype(np.float32)
    found = metrics.reconstruction_metrics(a, b)
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    for i in range(3):
        wanted = structural_similarity(a[i, ..., 0], b[i, ..., 0], data_range=1, **settings)
        assert float(found["ssim"][i]) == pytest.approx(wanted, abs=1e-4)
        mse = np.mean((a[i] - b[i]) ** 2)
        assert float(found["psnr"][i]) == pytest.approx(10 * np.log10(1 / mse), rel=1e-5)


def test_codes_with_dead_units_get_densities_that_draw_and_measure():
    """Codes in a plane of a 5-d space, two units dead: their covariance is singular."""
    rng = np.random.default_rng(0)
    inner = np.concatenate([rng.normal(-4, 1, (400, 2)), rng.normal(4, 1, (400, 2))])
    codes = np.maximum(np.c_[inner, inner.sum(1), np.zeros((800, 2))] + 20, 0)
    codes[:, 3:] = 0.0
    fitted = densities.fit(codes, components=2, step=7)
    shapes = lambda tree: jax.tree.map(lambda x: (np.shape(x), np.asarray(x).dtype), tree)  # noqa: E731
    assert shapes(fitted) == shapes(jax.device_get(densities.empty(5, 2)))
    keys = jax.random.split(jax.random.key(0), 4000)
    draw = jax.jit(densities.draw_code, static_argnums=1)
    for name in ("gaussian", "mixture"):
        drawn = np.asarray(jax.vmap(lambda k, n=name: draw(fitted, n, k, 1.0))(keys))
        np.testing.assert_allclose(drawn.mean(0), codes.mean(0), atol=0.35)
        np.testing.assert_allclose(np.cov(drawn.T), np.cov(codes.T), atol=3.0)
        assert np.abs(drawn[:, 3:]).max() < 1e-2
        far = densities.distance(fitted, name, codes.astype(np.float32))
        assert float(far.mean()) == pytest.approx(1.0, abs=0.05)
    assert float(densities.distance(fitted, "normal", codes.astype(np.float32)).mean()) > 100


def test_a_mixture_of_fewer_examples_than_components_is_fitted():
    codes = np.random.default_rng(0).normal(size=(3, 2))
    fitted = densities.fit(codes, components=5, step=0)
    assert (fitted["mixture"]["weights"] > 0).sum() <= 3
    drawn = densities.draw_code(fitted, "mixture", jax.random.key(0), 1.0)
    assert bool(jnp.isfinite(drawn).all())


def test_corruption_is_what_it_says_and_each_examples_own():
    x = jnp.full((64, 28, 28, 1), 0.25)
    call = on_one_device(lambda c: [each(jax.random.key(3), c) for each in kinds])
    kinds = [Corruption(), Corruption("gaussian", 0.1, 0.05), Corruption("salt", share=0.3)]
    clean, gaussian, salt = call(x)
    np.testing.assert_array_equal(clean, x)
    assert float(gaussian.mean()) == pytest.approx(0.35, abs=1e-3)
    assert float(gaussian.std()) == pytest.approx(0.05, abs=1e-3)
    assert float((salt == 1.0).mean()) == pytest.approx(0.3, abs=0.01)
    assert bool(jnp.all((salt == 1.0) | (salt == 0.25)))
    assert not bool(jnp.array_equal(salt[0], salt[1]))


def test_salt_whitens_whole_pixels():
    (found,) = on_one_device(lambda x: [Corruption("salt", share=0.5)(jax.random.key(0), x)])(
        jnp.zeros((2, 8, 8, 3))
    )
    assert bool(jnp.all(found.min(-1) == found.max(-1)))


def test_a_split_too_small_for_its_settings_still_finishes():
    config = code_config("mnist_ae_dense", density={"components": 50})
    sets = data.load(config.data)
    made = task.load(config, sets.spec)
    state = on_one_device(made.init)(jax.random.key(0), sets.train.read(np.arange(1)))
    done = made.finish(jax.device_get(state), sets)
    assert int(done.stats["density"]["step"]) == 0
    assert np.isfinite(done.stats["density"]["mixture"]["factors"]).all()
