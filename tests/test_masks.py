"""Laws of masked networks: normalisation, causality both ways, and equal implementations."""

from __future__ import annotations

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genlab.likelihoods.choose import Bernoulli, Categorical
from genlab.likelihoods.levels import centre
from genlab.likelihoods.logistic import LogisticMixture
from genlab.nn import masked_conv
from tests.helpers import NETWORKS, measured_field, network, outputs, weights


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
    layer = masked_conv.MaskedConv(c_out, kernel, kind, colours)
    x = jax.random.normal(jax.random.key(seed), (2, 4, 6, c_in))
    params = jax.jit(layer.init)(jax.random.key(seed + 1), x)["params"]
    mask = masked_conv.colour_mask(kind, c_in, c_out, colours) if colours > 1 else 1.0
    full = jax.jit(functools.partial(full_kernel_conv, kernel=kernel, colour_mask=mask))
    wanted = full(x, params["kernel"]) + params["bias"]
    direct = outputs(layer, params, x)
    patches = outputs(layer.clone(patches=True), params, x)
    np.testing.assert_allclose(direct, wanted, atol=1e-5)
    np.testing.assert_allclose(patches, wanted, atol=1e-5)


BINARY = {1: (Bernoulli(), Categorical(2)), 3: (Categorical(2), LogisticMixture(2, 2, 3))}


@pytest.mark.parametrize("shape", [(3, 3, 1), (2, 2, 3)])
@pytest.mark.parametrize("name", NETWORKS)
def test_probabilities_of_all_images_sum_to_one(name, shape):
    """With colour groups and, as PixelCNN++ has it, with none and a mixture that couples."""
    for likelihood in BINARY[shape[2]]:
        net = network(name, likelihood.outputs, colour_groups=likelihood is BINARY[shape[2]][0])
        params, n = weights(net, shape), math.prod(shape)

        def total(first, net=net, params=params, likelihood=likelihood, n=n):
            bits = (first + jnp.arange(2**9))[:, None] >> jnp.arange(n) & 1
            values = bits.reshape(-1, *shape)
            found = net.apply({"params": params}, centre(values, 2))
            log_prob = likelihood.log_prob(found, values).sum((1, 2, 3))
            return jax.nn.logsumexp(log_prob), log_prob.max()

        parts, largest = jax.jit(functools.partial(jax.lax.map, total))(jnp.arange(0, 2**n, 2**9))
        assert abs(float(jax.nn.logsumexp(parts))) < 1e-5
        assert float(largest.max()) + n * math.log(2) > 0.1  # not merely the uniform distribution


@pytest.mark.parametrize("likelihood", [Categorical(256), LogisticMixture(256, 3, 3)])
def test_each_conditional_of_many_levels_sums_to_one(likelihood):
    """And its logits, which samplers draw from, are the probabilities that are reported."""
    shape, n = (2, 3, 3), likelihood.levels
    params = jax.random.normal(jax.random.key(0), (*shape, likelihood.outputs))
    values = jax.random.randint(jax.random.key(1), shape, 0, n)
    for colour in range(3):
        every = jnp.stack([values.at[..., colour].set(level) for level in range(n)])
        reported = jax.jit(jax.vmap(likelihood.log_prob, (None, 0)))(params, every)[..., colour]
        np.testing.assert_allclose(jnp.exp(reported).sum(0), 1.0, atol=1e-5)
        logits = jax.jit(likelihood.conditional, static_argnums=2)(params, values, colour)
        drawn = jax.nn.log_softmax(logits)
        np.testing.assert_allclose(jnp.moveaxis(drawn, -1, 0), reported, rtol=1e-4, atol=1e-4)


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


def row_lstm_reach(shape) -> np.ndarray:
    """The same of a Row LSTM layer: what its input-to-state reads, there and, through states, at
    the three places above, and so on up."""
    height, width, colours = shape
    n = math.prod(shape)
    reads = np.zeros((height, width, colours, n), bool)
    here = layer_reach((1, width, colours), 3, "B").reshape(width, colours, width * colours)
    for i in range(height):
        reads[i, :, :, i * width * colours : (i + 1) * width * colours] = here
        for j in range(width if i else 0):
            above = reads[i - 1, max(j - 1, 0) : j + 2].any((0, 1))
            reads[i, j] |= above
    return reads.reshape(n, n)


def theoretical_field(name, shape, net) -> np.ndarray:
    n = math.prod(shape)
    if name in ("gated", "diagonal"):
        return np.tril(np.ones((n, n), bool), -1)  # all that comes before
    field = layer_reach(shape, net.first_kernel, "A").astype(int)
    layer = row_lstm_reach(shape) if name == "row" else layer_reach(shape, net.kernel, "B")
    for _ in range(net.layers):
        field = (layer.astype(int) @ field > 0).astype(int)
    return layer_reach(shape, 1, "B").astype(int) @ field > 0


@pytest.mark.parametrize("shape", [(7, 6, 1), (4, 5, 3)])
@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "multiscale"])
def test_gradients_reach_the_field_of_the_theory_and_nothing_else(name, shape):
    """Gated PixelCNN and Diagonal BiLSTM: all that comes before. The others: what masks let."""
    net = network(name, 3, features=9, head=24, layers=6 if name == "gated" else 2)
    measured = measured_field(shape, net)
    assert not np.triu(measured).any(), "a value sees itself or a later one"
    np.testing.assert_array_equal(measured, theoretical_field(name, shape, net))


@pytest.mark.parametrize("shape", [(6, 5, 1), (4, 5, 3)])
def test_a_multiscale_network_sees_what_it_has_modelled_before_and_no_more(shape):
    """All that comes before in raster order but is not of the small image, and the small image
    around, below and right too; the small image by its own network's field."""
    net, n = network("multiscale", 2, features=9, head=24, layers=6), math.prod(shape)
    numbers = np.arange(n).reshape(shape)
    rank = np.argsort(net.order(numbers))
    small = np.isin(np.arange(n), net.reduced(numbers[None]))
    measured = measured_field(shape, net)
    assert not measured[rank[:, None] <= rank[None, :]].any()
    before = np.tril(np.ones((n, n), bool), -1) & ~small[:, None]
    assert measured[before].all()
    ahead = np.triu(np.ones((n, n), bool), 1) & ~small[:, None] & small
    assert measured[ahead].mean() > 0.5
    part = net.reduced(numbers[None]).shape[1:]
    found = measured[np.ix_(small, small)]
    np.testing.assert_array_equal(found, theoretical_field("row", part, net.small))


@pytest.mark.parametrize("name", ["plain", "gated", "row", "diagonal"])
def test_without_colour_groups_the_colours_of_a_pixel_do_not_see_each_other(name):
    shape = (3, 4, 3)
    measured = measured_field(shape, network(name, 2, colour_groups=False, layers=3, head=24))
    pixel = np.arange(36) // 3
    assert not measured[pixel[:, None] <= pixel[None, :]].any()
    beside = (pixel[:, None] == pixel[None, :] + 1) & (pixel[:, None] % 4 > 0)
    assert measured[beside].all()


def test_the_last_pixel_of_a_row_is_seen_below_it():
    """Through the column that a Diagonal BiLSTM has right of the image, whatever its depth."""
    shape = (3, 9, 1)
    measured = measured_field(shape, network("diagonal", 1, first_kernel=3, layers=1))
    assert measured[9:, 8].all()


def test_the_plain_pixelcnn_has_its_blind_spot():
    """Earlier pixels that it never sees, to the upper right: the reason for gated stacks."""
    shape = (9, 9, 1)
    net = network("plain", 1, first_kernel=3, layers=1)
    measured = measured_field(shape, net)
    legal = np.tril(np.ones((81, 81), bool), -1)
    blind = legal & ~measured
    row, column = 4, 4
    seen = measured[row * 9 + column].reshape(9, 9)
    assert seen[3, 5] and not seen[3, 7] and blind.any()


@pytest.mark.parametrize("name", ["row", "diagonal"])
def test_residual_and_skip_connections_are_switches(name):
    x = jax.random.normal(jax.random.key(0), (1, 4, 4, 1))
    found = []
    for residual, skip in ((True, False), (False, False), (True, True), (False, True)):
        net = network(name, 1, residual=residual, skip=skip)
        params = weights(net, (4, 4, 1))
        found.append(float(outputs(net, params, x).sum()))
    assert len(set(found)) == 4


@pytest.mark.parametrize("name", ["plain", "gated", "row", "diagonal"])
def test_dropout_is_off_outside_training_and_on_inside(name):
    net = network(name, 1, dropout=0.5)
    x = jnp.ones((2, 4, 4, 1))
    params = weights(net, (4, 4, 1))
    calm = outputs(net, params, x)
    np.testing.assert_array_equal(calm, outputs(net, params, x))

    def noisy(key):
        return net.apply({"params": params}, x, train=True, rngs={"dropout": key})

    from genlab.parallel import on_one_device

    found = on_one_device(noisy)(jax.random.key(0))
    assert not np.allclose(found, calm)
    assert not np.allclose(found[0], found[1]), "examples share their noise"
