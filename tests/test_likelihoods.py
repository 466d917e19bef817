"""Likelihoods: stability, equivalence, exact bins, units."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genlab.likelihoods import choose as likelihoods
from genlab.likelihoods.choose import Bernoulli, Categorical
from genlab.likelihoods.levels import dequantise, quantise


def test_levels_survive_the_way_to_bytes_and_back():
    for levels in range(2, 257):
        values = jnp.minimum(jnp.arange(256), levels - 1)  # one shape: compiled once
        there = dequantise(values, levels)
        assert there[0] == 0 and there[-1] == 255
        np.testing.assert_array_equal(quantise(there, levels), values)


@pytest.mark.parametrize("logit", [1e4, -1e4, 104.0])
def test_bernoulli_is_finite_at_large_logits(logit):
    params = jnp.full((1, 1), logit)
    for value in (0, 1):
        found, slope = jax.value_and_grad(
            lambda p, v=value: Bernoulli().log_prob(p, jnp.array([v])).sum()
        )(params)
        assert math.isfinite(found) and bool(jnp.isfinite(slope).all())
    assert float(Bernoulli().log_prob(params, jnp.array([int(logit > 0)]))[0]) == 0.0


@pytest.mark.parametrize("value", [0.0, 0.25, 1.0])
def test_the_slope_of_bernoulli_is_the_value_minus_the_probability(value):
    """At 0 too, where its maximum and absolute value have a corner."""
    logits = jnp.array([-200.0, -3.0, -1e-3, 0.0, 1e-3, 3.0, 200.0])
    slope = jax.grad(lambda x: Bernoulli().log_prob(x[:, None], value).sum())(logits)
    np.testing.assert_allclose(slope, value - jax.nn.sigmoid(logits), atol=1e-6)
    curve = jax.vmap(jax.grad(jax.grad(lambda x: Bernoulli().log_prob(x[None], value))))(logits)
    p = jax.nn.sigmoid(logits)
    np.testing.assert_allclose(curve, -p * (1 - p), atol=1e-6)


def test_bernoulli_is_a_categorical_of_two():
    params = jax.random.normal(jax.random.key(0), (50, 1)) * 5
    values = jax.random.bernoulli(jax.random.key(1), 0.5, (50,)).astype(jnp.int32)
    two = Categorical(2).log_prob(Bernoulli().logits(params), values)
    np.testing.assert_allclose(Bernoulli().log_prob(params, values), two, atol=1e-6)


def test_a_uniform_model_costs_log_levels_bits():
    shape = (4, 4, 3)
    nll = -Categorical(256).log_prob(jnp.zeros((*shape, 256)), jnp.zeros(shape, jnp.int32)).sum()
    assert math.isclose(likelihoods.bits_per_dim(float(nll), shape), 8.0, rel_tol=1e-6)
