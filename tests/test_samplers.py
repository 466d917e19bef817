"""Samplers draw from the model, all the same images, and leave what is known alone."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genlab import parallel
from genlab.likelihoods.choose import Bernoulli, Categorical, GreyValue
from genlab.likelihoods.levels import centre
from genlab.likelihoods.logistic import LogisticMixture
from genlab.nn.pixel import PixelNetwork
from genlab.tasks.autoregressive import stepping
from genlab.tasks.autoregressive.sampling import METHODS, Sampler
from tests.helpers import NETWORKS, network, outputs, weights


def draw(net, params, likelihood, keys, given, known, method, temperature=1.0, context=None):
    patched = net.as_sampled(patches=method != "fixed_point")
    sampler = Sampler(patched, params, likelihood, context, temperature, method)
    return np.asarray(jax.jit(sampler.draw)(keys, given, known))


LIKELIHOODS = {1: (Bernoulli(), Categorical(5)), 3: (Categorical(4), LogisticMixture(8, 2, 3))}


@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_all_samplers_draw_the_same_images(name, colours):
    """Equal, but where the first differing value was decided by less than rounding; on the class
    or, given some values, on none."""
    shape, n = (5, 4, colours), 24
    likelihood = LIKELIHOODS[colours][name in ("gated", "multiscale")]
    net = network(name, likelihood.outputs)
    context = jax.random.normal(jax.random.key(7), (n, 1, 1, 3)) if name != "plain" else None
    params = weights(net, shape, context=context)
    keys = jax.random.split(jax.random.key(0), n)
    given = jax.random.randint(jax.random.key(1), (n, *shape), 0, likelihood.levels)
    known = jax.random.bernoulli(jax.random.key(2), 0.2, given.shape)
    drawn = [
        draw(net, params, likelihood, keys, given, known, method, 1.0, context)
        for method in METHODS
    ]
    for other in drawn[1:]:
        sampler = Sampler(net, params, likelihood, context)
        differ, beyond = sampler.differences(keys, drawn[0], other)
        assert differ <= 1 and beyond == 0
    np.testing.assert_array_equal(drawn[0][known], np.asarray(given)[known])
    assert len(np.unique(drawn[0].reshape(n, -1), axis=0)) > n // 2  # they are not one image


def test_a_difference_that_is_not_rounding_is_found():
    net, likelihood, shape = network("plain", 1), Bernoulli(), (3, 3, 1)
    params, keys = weights(net, shape), jax.random.split(jax.random.key(0), 8)
    blank = jnp.zeros((8, *shape), jnp.int32)
    drawn = draw(net, params, likelihood, keys, blank, blank > 0, "naive")
    other = drawn.copy()
    other[3, 1, 1, 0] = 1 - other[3, 1, 1, 0]
    found = Sampler(net, params, likelihood).differences(keys, drawn, other)
    assert found == (1, 1)


@pytest.mark.parametrize("shape", [(6, 5, 1), (4, 4, 3)])
@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "multiscale"])
def test_cached_outputs_equal_the_full_pass(name, shape):
    net = network(name, 8)
    context = jax.random.normal(jax.random.key(7), (5, *shape[:2], 3))
    params = weights(net, shape, context=context)
    x = jax.random.uniform(jax.random.key(3), (5, *shape), minval=-1)
    full = outputs(net, params, x, context)
    patches = outputs(net.clone(patches=True), params, x, context)
    cached = jax.jit(lambda x: stepping.cached_params(net, params, x, context))(x)
    for other in (cached, patches):
        worst = jnp.max(jnp.abs(full - other) / jnp.maximum(1.0, jnp.abs(full)))
        assert worst < 1e-5


def test_samples_follow_the_model():
    """Frequencies of all 16 binary 2x2 images against their probabilities (chi-square)."""
    from scipy.stats import chisquare

    likelihood, shape, n = Bernoulli(), (2, 2, 1), 4000
    net = network("plain", 1)
    params = weights(net, shape, seed=5)
    every = np.array([[(i >> b) & 1 for b in range(4)] for i in range(16)]).reshape(16, 2, 2, 1)
    found = outputs(net, params, centre(every, 2))
    log_prob = likelihood.log_prob(found, jnp.asarray(every)).sum((1, 2, 3))
    probability = np.exp(np.asarray(log_prob, np.float64))
    keys = jax.random.split(jax.random.key(1), n)
    blank = jnp.zeros((n, *shape), jnp.int32)
    drawn = draw(net, params, likelihood, keys, blank, blank > 0, "cached")
    counts = np.bincount(drawn.reshape(n, 4) @ (1 << np.arange(4)), minlength=16)
    expected = probability / probability.sum() * n
    assert chisquare(counts, expected).pvalue > 1e-3


@pytest.mark.parametrize("method", METHODS)
def test_known_values_survive_and_steer(method):
    likelihood, shape = Categorical(4), (5, 5, 1)
    net = network("plain", 4)
    params = weights(net, shape)
    keys = jnp.stack([jax.random.key(0)] * 8)  # one noise for all: only what is given differs
    given = jax.random.randint(jax.random.key(1), (8, *shape), 0, 4)
    known = jax.random.bernoulli(jax.random.key(2), 0.4, given.shape)
    drawn = draw(net, params, likelihood, keys, given, known, method)
    np.testing.assert_array_equal(drawn[known], np.asarray(given)[known])
    assert len(np.unique(drawn.reshape(8, -1), axis=0)) == 8


def test_low_temperature_takes_the_likeliest_value():
    likelihood, shape = Categorical(4), (3, 3, 1)
    net = network("plain", 4)
    params = weights(net, shape)
    blank = jnp.zeros((2, *shape), jnp.int32)
    keys = jax.random.split(jax.random.key(0), 2)
    drawn = draw(net, params, likelihood, keys, blank, blank > 0, "cached", 1e-6)
    found = outputs(net, params, centre(jnp.asarray(drawn), 4))
    np.testing.assert_array_equal(drawn, np.argmax(found, -1))


def test_a_grey_value_model_draws_its_rounded_prediction():
    likelihood, shape = GreyValue(9), (3, 3, 1)
    net = network("plain", 1)
    params = weights(net, shape)
    blank = jnp.zeros((2, *shape), jnp.int32)
    keys = jax.random.split(jax.random.key(0), 2)
    drawn = draw(net, params, likelihood, keys, blank, blank > 0, "cached")
    found = outputs(net, params, centre(jnp.asarray(drawn), 9))
    np.testing.assert_array_equal(drawn, np.round(likelihood.mean(found)))


@pytest.mark.parametrize("passes", [1, 28])
def test_auto_draws_the_same_images_on_any_platform(monkeypatch, passes):
    """Elsewhere than on a CPU it draws by fixed points, and from a cache if they do not settle."""
    net, likelihood, shape = network("gated", 4), Categorical(4), (4, 3, 1)
    params, keys = weights(net, shape), jax.random.split(jax.random.key(0), 6)
    blank = jnp.zeros((6, *shape), jnp.int32)
    cached = draw(net, params, likelihood, keys, blank, blank > 0, "auto")
    monkeypatch.setattr(parallel, "platform", lambda: "tpu")
    monkeypatch.setattr(PixelNetwork, "passes_of_a_cached_draw", passes)
    sampler = Sampler(net.as_sampled(False), params, likelihood, method="auto")
    program = jax.make_jaxpr(sampler.draw)(keys, blank, blank > 0)
    assert "while" in str(program) and "cond" in str(program)
    other = np.asarray(jax.jit(sampler.draw)(keys, blank, blank > 0))
    assert sampler.differences(keys, cached, other)[1] == 0


@pytest.mark.parametrize("name", ["plain", "gated", "row", "diagonal"])
def test_weights_of_colours_come_cut_and_are_the_same_as_those_cut_at_the_pixel(name):
    net, shape = network(name, 4), (2, 4, 3, 3)
    params, x = weights(net, shape[1:]), jax.random.normal(jax.random.key(1), shape)
    stepper = stepping.Cached(net, params, None, shape)
    cache = jax.jit(stepper.row)(stepper.start(), x, jnp.int32(0))

    @jax.jit
    def colour(cut):
        variables = {"params": params, "cache": cache} | cut
        return net.apply(variables, x, None, at=(0, 0, 1), mutable=["cache"])[0]

    np.testing.assert_allclose(colour(stepper.cut), colour({}), rtol=1e-6, atol=1e-6)
    nothing = jax.tree.map(jnp.zeros_like, stepper.cut)
    assert not np.allclose(colour(nothing), colour({}), atol=1e-3)
