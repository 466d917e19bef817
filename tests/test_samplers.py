"""Samplers draw from the model, all the same images, and leave what is known alone."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genlab import likelihoods, sampling
from genlab.likelihoods import Bernoulli, Categorical, GreyValue
from tests.test_masks import network, weights


def draw(net, params, likelihood, keys, given, known, method, temperature=1.0):
    net, method = sampling.prepare(net, method)
    run = jax.jit(
        lambda keys, given, known: sampling.raster(
            net, params, likelihood, keys, given, known, method, temperature
        )
    )
    return np.asarray(run(keys, given, known))


@pytest.mark.parametrize("shape", [(6, 5, 1), (4, 4, 3)])
def test_cached_outputs_equal_the_full_pass(shape):
    net = network(8, dtype="float32")
    params = weights(net, shape)
    x = jax.random.uniform(jax.random.key(3), (5, *shape), minval=-1)
    full = net.apply({"params": params}, x)
    cached = jax.jit(lambda x: sampling.cached_params(net, params, x))(x)
    worst = jnp.max(jnp.abs(full - cached) / jnp.maximum(1.0, jnp.abs(full)))
    assert worst < 1e-5


@pytest.mark.parametrize("shape", [(6, 5, 1), (3, 4, 3)])
@pytest.mark.parametrize("likelihood", [Bernoulli(), Categorical(5)])
def test_cached_and_naive_draw_the_same_images(shape, likelihood):
    """Equal, but where the first differing value was decided by less than rounding."""
    net = network(likelihood.outputs)
    params = weights(net, shape)
    keys = jax.random.split(jax.random.key(0), 32)
    blank = jnp.zeros((32, *shape), jnp.int32)
    nothing = jnp.zeros(blank.shape, bool)
    naive = draw(net, params, likelihood, keys, blank, nothing, "naive")
    cached = draw(net, params, likelihood, keys, blank, nothing, "cached")
    differing = [i for i in range(32) if (naive[i] != cached[i]).any()]
    for i in differing:
        t = int(np.argmax(naive[i].ravel() != cached[i].ravel()))
        x = likelihoods.centre(jnp.asarray(naive[i : i + 1]), likelihood.levels)
        logits = likelihood.logits(net.apply({"params": params}, x)).reshape(-1, likelihood.levels)[
            t
        ]
        noise = jax.random.gumbel(jax.random.fold_in(keys[i], t), (likelihood.levels,))
        best, second = np.sort(np.asarray(logits + noise))[[-1, -2]]
        assert best - second < 1e-5 * max(1.0, float(jnp.abs(logits).max()))
    assert len(differing) <= 1
    assert len(np.unique(naive.reshape(32, -1), axis=0)) > 16  # they are not one image


def test_samples_follow_the_model():
    """Frequencies of all 16 binary 2x2 images against their probabilities (chi-square)."""
    from scipy.stats import chisquare

    likelihood, shape, n = Bernoulli(), (2, 2, 1), 4000
    net = network(1)
    params = weights(net, shape, seed=5)
    every = np.array([[(i >> b) & 1 for b in range(4)] for i in range(16)]).reshape(16, 2, 2, 1)
    found = net.apply({"params": params}, likelihoods.centre(every, 2))
    log_prob = likelihood.log_prob(found, jnp.asarray(every)).sum((1, 2, 3))
    probability = np.exp(np.asarray(log_prob, np.float64))
    keys = jax.random.split(jax.random.key(1), n)
    blank = jnp.zeros((n, *shape), jnp.int32)
    drawn = draw(net, params, likelihood, keys, blank, blank > 0, "cached")
    counts = np.bincount(drawn.reshape(n, 4) @ (1 << np.arange(4)), minlength=16)
    expected = probability / probability.sum() * n
    assert chisquare(counts, expected).pvalue > 1e-3


@pytest.mark.parametrize("method", ["naive", "cached"])
def test_known_values_survive_and_steer(method):
    likelihood, shape = Categorical(4), (5, 5, 1)
    net = network(4)
    params = weights(net, shape)
    keys = jnp.stack([jax.random.key(0)] * 8)  # one noise for all: only what is given differs
    given = jax.random.randint(jax.random.key(1), (8, *shape), 0, 4)
    known = jax.random.bernoulli(jax.random.key(2), 0.4, given.shape)
    drawn = draw(net, params, likelihood, keys, given, known, method)
    np.testing.assert_array_equal(drawn[known], np.asarray(given)[known])
    assert len(np.unique(drawn.reshape(8, -1), axis=0)) == 8


def test_low_temperature_takes_the_likeliest_value():
    likelihood, shape = Categorical(4), (3, 3, 1)
    net = network(4)
    params = weights(net, shape)
    blank = jnp.zeros((2, *shape), jnp.int32)
    keys = jax.random.split(jax.random.key(0), 2)
    drawn = draw(net, params, likelihood, keys, blank, blank > 0, "cached", 1e-6)
    found = net.apply({"params": params}, likelihoods.centre(jnp.asarray(drawn), 4))
    np.testing.assert_array_equal(drawn, np.argmax(found, -1))


def test_a_grey_value_model_draws_its_rounded_prediction():
    likelihood, shape = GreyValue(9), (3, 3, 1)
    net = network(1)
    params = weights(net, shape)
    blank = jnp.zeros((2, *shape), jnp.int32)
    keys = jax.random.split(jax.random.key(0), 2)
    drawn = draw(net, params, likelihood, keys, blank, blank > 0, "cached")
    found = net.apply({"params": params}, likelihoods.centre(jnp.asarray(drawn), 9))
    np.testing.assert_array_equal(drawn, np.round(likelihood.mean(found)))
