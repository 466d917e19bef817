"""VAEs: bounds against closed forms, their order, stability, classes, collapse."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from genlab import data, restore, task
from genlab.errors import UserError
from genlab.likelihoods import choose as likelihoods
from genlab.likelihoods.choose import Bernoulli, Gaussian
from genlab.likelihoods.logistic import Logistic
from genlab.parallel import on_one_device
from genlab.tasks.vae import bounds
from genlab.training import loop as train
from tests.helpers import code_config


def test_the_kl_equals_its_monte_carlo_estimate():
    mean = jnp.array([0.0, 1.5, -0.3, 0.0])
    log_variance = jnp.array([0.0, -2.0, 1.0, -6.0])
    z = mean + jnp.exp(0.5 * log_variance) * jax.random.normal(jax.random.key(0), (400_000, 4))
    log_q = -0.5 * (z - mean) ** 2 / jnp.exp(log_variance) - 0.5 * log_variance
    estimate = (log_q + 0.5 * z**2).mean(0)
    exact = bounds.kl_from_standard_normal(mean, log_variance)
    np.testing.assert_allclose(exact, estimate, atol=5e-3)
    assert float(exact[0]) == 0.0


@pytest.fixture(scope="module")
def linear():
    """A VAE whose decoder is linear and Gaussian, with columns at right angles so that its exact
    posterior is diagonal, and an encoder that computes that posterior."""
    config = code_config("mnist_vae_small", likelihood={"deviation": 0.2}).unlock()
    config.likelihood.update(name="gaussian", levels=256, binarisation="fixed")
    config.data.image_size, config.model.hidden, config.model.code = 3, (), 2
    config.data.upscale = True
    sets = data.load(config.data)
    made = task.load(config, sets.spec)
    batch = sets.train.read(np.arange(4))
    state = jax.device_get(on_one_device(made.init)(jax.random.key(0), batch))
    columns, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(9, 2)))
    weight = (columns * [0.5, 0.3]).astype(np.float32)  # f32[9,2]
    bias, deviation = np.full(9, 0.4, np.float32), 0.2
    precision = 1.0 + (weight**2).sum(0) / deviation**2  # f32[2]
    towards = weight / deviation**2 / precision
    encoder = {"kernel": np.c_[towards, np.zeros((9, 2))].astype(np.float32)}
    encoder["bias"] = np.r_[-bias @ towards, -np.log(precision)].astype(np.float32)
    decoder = {"kernel": np.ascontiguousarray(weight.T), "bias": bias}
    params = {"encoder": {"Dense_0": encoder}, "decoder": {"Dense_0": decoder}}
    shapes = lambda tree: jax.tree.map(np.shape, tree)  # noqa: E731
    assert shapes(params) == shapes(state.params["model"])
    covariance = weight @ weight.T + deviation**2 * np.eye(9)
    return (
        made,
        state.replace(params={"model": params}),
        batch,
        multivariate_normal(bias, covariance),
    )


def evaluated(made, state, batch, key, k=1, chunk=1):
    made = dataclasses.replace(made, importance_samples=k, chunk=chunk)
    return on_one_device(made.evaluate)(state, batch, key)


def test_a_linear_gaussian_vae_meets_the_exact_marginal_likelihood(linear):
    """With the exact posterior every weight is p(x), so the bound is it for any K."""
    made, state, batch, marginal = linear
    key = jax.random.key(5)
    values_key, _ = jax.random.split(key)
    observe = on_one_device(lambda x: likelihoods.observe(made.likelihood, "fixed", x, values_key))
    values = np.asarray(observe(batch["image"])).reshape(4, -1)
    exact = -marginal.logpdf(values) + 9 * math.log(256)
    for k, chunk in ((2, 2), (7, 3)):
        found = evaluated(made, state, batch, key, k, chunk)
        np.testing.assert_allclose(found["neg_iwae"], exact, rtol=2e-5)
    many = evaluated(made, state, batch, key, 20_000, 5_000)
    np.testing.assert_allclose(many["neg_elbo"], exact, atol=0.05)


def test_the_iwae_bound_rises_with_k_and_at_1_is_the_elbo(linear):
    made, state, batch, _ = linear
    wide = jax.tree.map(np.copy, state.params)  # a posterior that is wrong: both bounds are loose
    wide["model"]["encoder"]["Dense_0"]["bias"] += np.array([0.3, -0.2, 1.0, 1.0], np.float32)
    state = state.replace(params=wide)
    means = []
    for k in (2, 8, 64):
        made_k = dataclasses.replace(made, importance_samples=k, chunk=k)
        run = on_one_device(made_k.evaluate)
        draws = [run(state, batch, jax.random.key(i)) for i in range(60)]
        means.append(float(np.mean([d["neg_iwae"] for d in draws])))
    assert means[0] > means[1] > means[2]
    one = lambda i: bounds_of_one(made, state, batch, jax.random.key(i))  # noqa: E731
    pairs = np.array([one(i) for i in range(3)])
    np.testing.assert_allclose(pairs[:, 0].mean(), pairs[:, 1].mean(), rtol=0.01)
    assert pairs[:, 0].mean() > means[0]


def bounds_of_one(made, state, batch, key):
    """Mean ELBO with its exact KL, and mean log weight of one draw: both of 4 x 4,000 draws."""
    big = {name: np.repeat(x, 4000, 0) for name, x in batch.items()}

    def both(state, batch):
        values = likelihoods.observe(made.likelihood, "fixed", batch["image"], key)
        posterior = made._posterior(state.params["model"], values, None)
        terms = lambda eps: made._terms(state.params["model"], values, None, posterior, eps)  # noqa: E731
        mean, bound = bounds.importance_weighted(terms, key, (values.shape[0], 2), 1, 1)
        kl = bounds.kl_from_standard_normal(*posterior).sum(-1)
        return (kl - mean).mean(), -bound.mean()

    return [float(x) for x in on_one_device(both)(state, big)]


def test_chunks_do_not_change_the_bound():
    """A last chunk that is cut counts no draw twice: the weights of K = 5 are those of 3 and 2."""

    def terms(eps):
        weights = jnp.arange(1.0, 1.0 + eps.shape[1])[:, None] * jnp.ones((1, eps.shape[0]))
        return weights, jnp.zeros_like(weights)

    run = on_one_device(lambda k: bounds.importance_weighted(terms, k, (2, 1), 5, 3))
    total, log_total = run(jax.random.key(0))
    values = np.array([1, 2, 3, 1, 2])
    np.testing.assert_allclose(total, values.mean(), rtol=1e-6)
    np.testing.assert_allclose(log_total, np.log(np.exp(values).mean()), rtol=1e-6)


@pytest.mark.parametrize("likelihood", [Bernoulli(), Logistic(), Logistic(4)])
def test_a_discrete_likelihood_sums_to_one(likelihood):
    params = 2 * jax.random.normal(jax.random.key(0), (50, likelihood.outputs))
    values = jnp.arange(likelihood.levels)[:, None].repeat(50, 1)
    total = jax.nn.logsumexp(likelihood.log_prob(params[None], values), axis=0)
    np.testing.assert_allclose(total, 0.0, atol=2e-5)


def test_a_gaussian_likelihood_integrates_to_one_level_each():
    """Over its levels' bins the density times 1/256 sums to 1."""
    for likelihood in (Gaussian(256, 0.05), Gaussian(256, 0.0)):
        params = jnp.array([0.5, -2.5])[: likelihood.outputs]
        grid = (jnp.arange(-256, 512) + 0.5) / 256
        total = jnp.exp(likelihood.log_prob(params, grid)).sum()
        assert float(total) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("likelihood", [Bernoulli(), Logistic(), Gaussian(256, 0.0)])
def test_a_likelihood_and_its_gradient_are_finite_at_outputs_of_1e4(likelihood):
    for size in (1e4, -1e4):
        params = jnp.full((3, likelihood.outputs), size)
        values = jnp.array([0, 1, likelihood.levels - 1])
        value, slope = jax.value_and_grad(lambda p, v=values: likelihood.log_prob(p, v).sum())(
            params
        )
        assert bool(jnp.isfinite(value)) and bool(jnp.isfinite(slope).all())


def test_grey_values_get_the_expected_log_likelihood():
    logit = jnp.linspace(-30, 30, 7)[:, None]
    grey = jnp.full(7, 0.3)
    two = [Bernoulli().log_prob(logit, jnp.full(7, v)) for v in (0, 1)]
    wanted = 0.7 * two[0] + 0.3 * two[1]
    np.testing.assert_allclose(Bernoulli().log_prob(logit, grey), wanted, rtol=1e-5)
    slope = jax.grad(lambda p: Bernoulli().log_prob(p, grey[:1]).sum())(jnp.zeros((1, 1)))
    assert float(slope[0, 0]) == pytest.approx(-0.2)  # x - s(0)


def test_an_elbo_is_finite_when_the_networks_outputs_are_1e4():
    config = code_config("mnist_vae_small")
    sets = data.load(config.data)
    made = task.load(config, sets.spec)
    batch = sets.train.read(np.arange(4))
    state = on_one_device(made.init)(jax.random.key(0), batch)
    large = jax.tree.map(lambda x: 1e4 * jnp.ones_like(x), state.params)
    after, metrics = on_one_device(made.step)(state.replace(params=large), batch, jax.random.key(0))
    found = evaluated(made, after, batch, jax.random.key(1), 4, 2)
    for x in jax.tree.leaves((after.params, metrics, found)):
        assert bool(jnp.isfinite(x).all())


def test_a_training_weight_changes_no_report():
    """The same parameters under beta 0 and beta 4 have the same bound; the gradients differ."""
    found, norms = [], []
    for beta in (0.0, 4.0):
        config = code_config("mnist_vae_small", vae={"beta": beta})
        sets = data.load(config.data)
        made = task.load(config, sets.spec)
        batch = sets.train.read(np.arange(4))
        state = on_one_device(made.init)(jax.random.key(0), batch)
        found.append(evaluated(made, state, batch, jax.random.key(1), 2, 2))
        norms.append(on_one_device(made.step)(state, batch, jax.random.key(0))[1])
    jax.tree.map(np.testing.assert_array_equal, *found)
    assert norms[0]["model/grad_norm"] != norms[1]["model/grad_norm"]
    assert norms[0]["neg_elbo"] == norms[1]["neg_elbo"]


def test_the_weight_warms_up():
    config = code_config("mnist_vae_small", vae={"beta": 4.0, "warmup_steps": 4})
    sets = data.load(config.data)
    warm = task.load(config, sets.spec)
    batch, key = sets.train.read(np.arange(4)), jax.random.key(0)
    state = on_one_device(warm.init)(key, batch)
    run = on_one_device(warm.step)
    norm = [float(run(state.replace(step=jnp.int32(s)), batch, key)[1]["model/grad_norm"])
            for s in (0, 3, 9)]  # fmt: skip
    assert norm[0] != norm[1] and norm[1] == norm[2]


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    workdir = str(tmp_path_factory.mktemp("conditional"))
    config = code_config("mnist_vae_small", vae={"conditional": True, "objective": "iwae"})
    config.vae.samples = 3
    config.train.update(steps=2, eval_every=2, checkpoint_every=2)
    train.train(config, workdir)
    return restore(workdir)


def test_a_conditional_vae_draws_the_class_that_is_asked_for(conditional):
    key = jax.random.key(0)
    turn = conditional.sample(key, 4)
    np.testing.assert_array_equal(turn, conditional.sample(key, 4, labels=[0, 1, 2, 3]))
    assert not np.array_equal(turn, conditional.sample(key, 4, labels=[3, 2, 1, 0]))
    images = np.zeros((2, 8, 8, 1), np.uint8)
    with pytest.raises(UserError, match="give labels"):
        conditional.encode(images)
    with pytest.raises(UserError, match="from 0 to 9"):
        conditional.encode(images, [3, 10])
    codes = conditional.encode(images, [3, 4])
    assert codes.shape == (2, 3) and not np.array_equal(codes[0], codes[1])
    assert conditional.decode(codes, [3, 4]).dtype == np.uint8


def test_a_bound_of_more_draws_is_asked_for_by_scripts(conditional):
    images, labels = np.zeros((3, 8, 8, 1), np.uint8), [1, 2, 3]
    one = conditional.log_prob(images, jax.random.key(0), labels=labels)
    many = conditional.log_prob(images, jax.random.key(0), samples=500, labels=labels)
    assert one.shape == many.shape == (3,) and np.isfinite(many).all()
    assert many.mean() > one.mean()


def test_a_conditional_model_needs_labels():
    config = code_config("mnist_vae_small", vae={"conditional": True})
    with pytest.raises(UserError, match=r"vae\.conditional: this data has no labels"):
        task.load(config, task.Spec((8, 8, 1)))


def test_a_draw_is_of_levels_and_a_mean_is_grey(conditional):
    drawn = conditional.sample(jax.random.key(1), 4, method="draw")
    assert set(np.unique(drawn)) <= {0, 255}
    mean = conditional.sample(jax.random.key(1), 4, method="mean")
    assert len(np.unique(mean)) > 2
    with pytest.raises(UserError, match=r"sample.method: no method 'naive'"):
        conditional.sample(jax.random.key(1), 4, method="naive")


def test_a_collapsed_latent_is_said(conditional):
    made = conditional.task
    means = {"neg_elbo": 5.0, "square": np.array([0.25, 1.0]), "mean": np.array([0.5, 0.0])}
    found = made.summarise(means)
    assert found["active_units"] == 1 and made.remarks(found) == []
    means["square"] = np.array([0.25, 0.0])
    (told,) = made.remarks(made.summarise(means))
    assert "0 active units" in told and "beta" in told
