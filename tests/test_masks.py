"""Laws of masked networks: normalisation, causality both ways, and equal implementations."""

from __future__ import annotations

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genlab import likelihoods
from genlab.likelihoods import Bernoulli, Categorical
from genlab.nn import masked


def network(outputs: int, **fields) -> masked.PixelCNN:
    return masked.PixelCNN(
        outputs, **{"features": 6, "blocks": 2, "first_kernel": 5, "head": 6} | fields
    )


def weights(net: masked.PixelCNN, shape: tuple[int, ...], seed: int = 0):
    """Parameters with biases drawn too, so that no ReLU is symmetric."""
    params = net.init(jax.random.key(seed), jnp.zeros((1, *shape)))["params"]
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(seed + 1), len(leaves))
    noisy = [x + 0.3 * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys, strict=True)]
    return jax.tree.unflatten(tree, noisy)


def full_kernel_conv(x, weights, kernel: int, colour_mask):
    """A k x k convolution with the mask written out: what the compact kernel must equal."""
    c_in, c_out = x.shape[-1], weights.shape[-1]
    weights = weights.reshape(-1, c_in, c_out)
    taps = len(weights)
    full = jnp.zeros((kernel * kernel, c_in, c_out)).at[:taps].set(weights)
    full = full.at[taps - 1].multiply(colour_mask)
    return jax.lax.conv_general_dilated(
        x,
        full.reshape(kernel, kernel, c_in, c_out),
        (1, 1),
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


@settings(max_examples=12, deadline=None)
@given(
    kernel=st.sampled_from([1, 3, 5, 7]),
    kind=st.sampled_from("AB"),
    colours=st.sampled_from([1, 3]),
    c_in=st.integers(3, 5),
    c_out=st.integers(3, 7),
    seed=st.integers(0, 99),
)
def test_compact_kernel_equals_masked_full_kernel(kernel, kind, colours, c_in, c_out, seed):
    if kernel == 1 and kind == "A" and colours == 1:
        return  # a 1x1 mask A sees nothing at all
    layer = masked.MaskedConv(c_out, kernel, kind, colours)
    x = jax.random.normal(jax.random.key(seed), (2, 4, 6, c_in))
    params = layer.init(jax.random.key(seed + 1), x)["params"]
    mask = masked.colour_mask(kind, c_in, c_out, colours) if colours > 1 else 1.0
    wanted = full_kernel_conv(x, params["kernel"], kernel, mask) + params["bias"]
    direct = layer.apply({"params": params}, x)
    patches = layer.clone(patches=True).apply({"params": params}, x)
    np.testing.assert_allclose(direct, wanted, atol=1e-5)
    np.testing.assert_allclose(patches, wanted, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 3, 1), (2, 2, 3)])
@pytest.mark.parametrize("likelihood", [Bernoulli(), Categorical(2)])
def test_probabilities_of_all_images_sum_to_one(shape, likelihood):
    net = network(likelihood.outputs)
    params = weights(net, shape)
    values = np.array(list(itertools.product([0, 1], repeat=math.prod(shape)))).reshape(-1, *shape)
    found = net.apply({"params": params}, likelihoods.centre(values, 2))
    log_prob = likelihood.log_prob(found, jnp.asarray(values)).sum((1, 2, 3))
    assert abs(float(jnp.exp(log_prob).sum()) - 1.0) < 1e-5
    assert float(log_prob.std()) > 0.1  # not merely the uniform distribution


def test_each_conditional_of_many_levels_sums_to_one():
    likelihood = Categorical(256)
    net = network(256)
    x = jax.random.uniform(jax.random.key(0), (2, 4, 4, 1), minval=-1)
    found = net.apply({"params": weights(net, (4, 4, 1))}, x)
    every = jnp.broadcast_to(jnp.arange(256), (2, 4, 4, 1, 256))
    log_prob = jax.vmap(likelihood.log_prob, (None, -1), -1)(found, every)
    np.testing.assert_allclose(jnp.exp(log_prob).sum(-1), 1.0, atol=1e-5)


def layer_reach(shape, kernel: int, kind: str) -> np.ndarray:
    """bool[out,in] over (row, column, colour): which values one masked layer reads, by its rule."""
    height, width, colours = shape
    places = list(itertools.product(range(height), range(width), range(colours)))
    half = kernel // 2

    def reads(out, into) -> bool:
        (i, j, c), (p, q, d) = out, into
        if (p, q) == (i, j):
            return d < c if kind == "A" else d <= c
        before = p < i or (p == i and q < j)
        return before and i - p <= half and abs(j - q) <= half

    return np.array([[reads(out, into) for into in places] for out in places])


def theoretical_field(shape, net: masked.PixelCNN) -> np.ndarray:
    field = layer_reach(shape, net.first_kernel, "A").astype(int)
    for _ in range(net.blocks):
        field = layer_reach(shape, net.kernel, "B").astype(int) @ field > 0
        field = field.astype(int)
    return layer_reach(shape, 1, "B").astype(int) @ field > 0


def measured_field(shape, net: masked.PixelCNN, tries: int = 6) -> np.ndarray:
    """bool[out,in]: whether an output's gradient with respect to a value is ever non-zero."""
    n = math.prod(shape)
    params = weights(net, shape)
    outputs = lambda x: net.apply({"params": params}, x)[0].reshape(n, -1)  # noqa: E731
    jacobian = jax.jit(jax.jacobian(outputs))
    found = np.zeros((n, n), bool)
    for seed in range(tries):
        x = jax.random.normal(jax.random.key(seed), (1, *shape))
        found |= np.abs(jacobian(x)).max(1).reshape(n, n) > 0
    return found


@pytest.mark.parametrize("shape", [(7, 6, 1), (4, 4, 3)])
def test_gradients_reach_the_field_of_the_masks_and_nothing_else(shape):
    net = network(3, features=9, head=9)
    measured, wanted = measured_field(shape, net), theoretical_field(shape, net)
    assert not np.triu(measured).any(), "a value sees itself or a later one"
    np.testing.assert_array_equal(measured, wanted)


def test_the_plain_pixelcnn_has_its_blind_spot():
    """Earlier pixels that it never sees, to the upper right: the reason for gated stacks."""
    shape = (9, 9, 1)
    net = network(1, first_kernel=3, blocks=1)
    measured = measured_field(shape, net)
    legal = np.tril(np.ones((81, 81), bool), -1)
    blind = legal & ~measured
    row, column = 4, 4
    seen = measured[row * 9 + column].reshape(9, 9)
    assert seen[3, 5] and not seen[3, 7] and blind.any()


def test_dropout_is_off_outside_training_and_on_inside():
    net = network(1, dropout=0.5)
    x = jnp.ones((2, 4, 4, 1))
    params = weights(net, (4, 4, 1))
    calm = net.apply({"params": params}, x)
    np.testing.assert_array_equal(calm, net.apply({"params": params}, x))

    def noisy(key):
        return net.apply({"params": params}, x, train=True, rngs={"dropout": key})

    from genlab.parallel import on_one_device

    found = on_one_device(noisy)(jax.random.key(0))
    assert not np.allclose(found, calm)
    assert not np.allclose(found[0], found[1]), "examples share their noise"
