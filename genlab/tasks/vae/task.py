"""Variational autoencoders: a bound on log p(x) through a Gaussian posterior of a latent z.

Kingma and Welling, arXiv 1312.6114 (the ELBO, section 2.2, and its closed-form KL, appendix B);
Burda et al., arXiv 1509.00519 (the K-sample importance-weighted bound, section 3, and active
units, section 5.2).
"""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from genlab import noise, optim
from genlab.coding.contract import ImageCoder
from genlab.condition import UNCONDITIONAL, Condition, Spec, condition_of
from genlab.errors import UserError
from genlab.likelihoods import choose
from genlab.likelihoods.contract import ImageLikelihood
from genlab.likelihoods.gaussian import Gaussian
from genlab.likelihoods.levels import quantise
from genlab.nn import build
from genlab.nn.apply import outputs_of
from genlab.nn.dense import CodeNetwork
from genlab.pictures import codes as code_pictures
from genlab.state import State, Tree
from genlab.task import PLAYER, OnePlayer, Restore
from genlab.tasks.vae import bounds, coding, defaults
from genlab.updates import Batch, Metrics

if TYPE_CHECKING:
    from genlab.data.splits import Split
    from genlab.model import Model
    from genlab.pictures.figures import Picture

ACTIVE = 1e-2  # a unit is active if its posterior mean varies by more than this over the data


@dataclass(frozen=True, kw_only=True)
class Task(OnePlayer):
    """A network whose code is a mean and a log variance.

    likelihood: of an image, given its latent.
    binarisation: how images become two levels, see `likelihoods.choose.observe`.
    objective: "elbo", or "iwae" of `samples` draws.
    beta: weight of the KL, reached after `warmup_steps`.
    importance_samples: K of an evaluation's bound, computed `chunk` at a time.
    """

    network: CodeNetwork
    likelihood: ImageLikelihood
    binarisation: str
    objective: str
    samples: int
    beta: float
    warmup_steps: int
    condition: Condition = UNCONDITIONAL
    importance_samples: int = 1
    chunk: int = 1

    adjustable: ClassVar[tuple[str, ...]] = ("likelihood.binarisation",)
    methods: ClassVar[tuple[str, ...]] = ("mean", "draw")
    sections: ClassVar[dict[str, type | None]] = defaults.SECTIONS
    networks: ClassVar[dict[str, frozenset[str]]] = {
        "model": frozenset({"shape", "code_parameters", "outputs"})
    }
    headline: ClassVar[str] = "neg_elbo"
    units: ClassVar[dict[str, str]] = {
        "neg_elbo": "nats per image, upper bound on the NLL",
        "neg_iwae": "nats per image, upper bound on the NLL",
        "reconstruction": "nats per image",
        "kl": "nats per image",
        "bits_per_dim": "bits per dimension, of the ELBO",
        "iwae_bits_per_dim": "bits per dimension, of the IWAE bound",
        "active_units": "latent dimensions",
        "kl_per_dim": "nats",
    }

    @classmethod
    def make(cls, config: ConfigDict, spec: Spec) -> Task:
        """See `genlab.task.Task`."""
        vae = config.vae
        likelihood = choose.likelihood_of(config.likelihood, spec.shape[2])
        if not isinstance(likelihood, ImageLikelihood):
            name = config.likelihood.name
            raise UserError(f"likelihood.name={name}: a VAE needs one that draws.")
        given = {"shape": spec.shape, "code_parameters": 2, "outputs": likelihood.outputs}
        return cls(
            network=build.build(config.model, "model", CodeNetwork, **given),
            likelihood=likelihood,
            binarisation=config.likelihood.binarisation,
            objective=vae.objective,
            samples=vae.samples,
            beta=vae.beta,
            warmup_steps=vae.warmup_steps,
            condition=condition_of(vae.conditional, spec, "vae.conditional"),
            optimizer=optim.make(config.optim, config.train.steps),
            ema=config.optim.ema,
            shape=spec.shape,
        )

    @classmethod
    def smoke(cls, config: ConfigDict) -> None:
        """See `genlab.task.Task`."""
        config.eval.update(samples=6, chunk=4)

    @property
    def protocol(self) -> dict[str, Any]:
        """See `genlab.task.Task`."""
        k = self.importance_samples
        bound = f"bound: ELBO of {k} draws" + (f", IWAE K={k}" if k > 1 else "")
        given = self.condition.protocol
        stamp = choose.protocol(self.likelihood, self.binarisation)
        return stamp | given | {"estimate": bound}

    def network_inputs(self, labels: jax.Array) -> tuple[Any, ...]:
        """The condition of the network, from i32[B]."""
        return (self.condition.vector(labels),)

    def loss(
        self, params: Tree, state: State, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Metrics, Tree]]:
        """The mean loss per dimension."""
        values_key, latent_key, dropout_key = jax.random.split(key, 3)
        values = choose.observe(self.likelihood, self.binarisation, batch["image"], values_key)
        rngs, condition = {"dropout": dropout_key}, self.condition.vector(batch["label"])
        posterior = self._posterior(params, values, condition, rngs)
        eps = noise.normal(latent_key, (values.shape[0], self.samples, self.network.codes))
        log_p, ratio = self._terms(params, values, condition, posterior, eps, rngs)  # f32[K,B]
        kl = bounds.kl_from_standard_normal(*posterior)  # f32[B,d]
        means = {"reconstruction": -log_p.mean(), "kl": kl.sum(-1).mean()}
        means["neg_elbo"] = means["reconstruction"] + means["kl"]
        weight = jnp.float32(self.beta)
        if self.warmup_steps:
            weight *= jnp.minimum(1.0, (state.step + 1.0) / self.warmup_steps)
        if self.objective == "iwae":
            bound = jax.nn.logsumexp(log_p + weight * ratio, axis=0) - math.log(self.samples)
            loss = means["neg_iwae"] = -bound.mean()
        else:
            loss = means["reconstruction"] + weight * means["kl"]
        return loss / math.prod(self.shape), (self._with_bits(means), {})

    def evaluate(self, state: State, batch: Batch, key: jax.Array) -> Metrics:
        """The bounds and their parts, f32[B] in nats per image, whatever weights training used; and
        for each latent dimension, KL and moments of the posterior mean, f32[B,d]."""
        values_key, latent_key = jax.random.split(key)
        params, condition = state.params[PLAYER], self.condition.vector(batch["label"])
        values = choose.observe(self.likelihood, self.binarisation, batch["image"], values_key)
        posterior = self._posterior(params, values, condition)
        terms = functools.partial(self._terms, params, values, condition, posterior)
        size = (values.shape[0], self.network.codes)
        log_p, bound = bounds.importance_weighted(
            terms, latent_key, size, self.importance_samples, self.chunk
        )
        kl = bounds.kl_from_standard_normal(*posterior)  # f32[B,d]
        out = {"reconstruction": -log_p, "kl": kl.sum(-1), "neg_elbo": kl.sum(-1) - log_p}
        if self.importance_samples > 1:
            out["neg_iwae"] = -bound
        mean = posterior[0]
        return out | {"kl_per_dim": kl, "mean": mean, "square": mean**2}

    def summarise(self, means: dict[str, Any]) -> dict[str, Any]:
        """Bits per dimension, and how many units are active: those whose posterior mean varies
        over the data by more than 0.01 (Burda et al., section 5.2)."""
        means = dict(means)
        variance = means.pop("square") - means.pop("mean") ** 2  # f[d]
        return self._with_bits(means) | {"active_units": (variance > ACTIVE).sum()}

    def remarks(self, metrics: dict[str, Any]) -> list[str]:
        """See `genlab.task.Task`."""
        if metrics["active_units"] > 0:
            return []
        return [
            "the latent has collapsed: 0 active units, the decoder ignores its code. Lower"
            " vae.beta, raise vae.warmup_steps, or take a weaker decoder."
        ]

    def for_evaluation(
        self, state: State, evaluation: ConfigDict, restore: Restore
    ) -> tuple[Task, State]:
        """The bound of `eval.samples` draws."""
        chunk = min(evaluation.chunk, evaluation.samples)
        return dataclasses.replace(self, importance_samples=evaluation.samples, chunk=chunk), state

    def log_prob(self, state: State, batch: Batch, key: jax.Array, samples: int = 0) -> jax.Array:
        """u8[B,H,W,C] -> f32[B], nats: the bound of that many draws, or with 0 of as many as in an
        evaluation."""
        task = self
        if samples:
            task = dataclasses.replace(self, importance_samples=samples, chunk=min(samples, 64))
        metrics = task.evaluate(state, batch, key)
        return -metrics["neg_iwae" if task.importance_samples > 1 else "neg_elbo"]

    def encode(self, state: State, batch: Batch, key: jax.Array) -> jax.Array:
        """u8[B,H,W,C] -> f32[B,d], the posterior mean."""
        return self._encoded(state, batch, key)[0]

    def posterior_sample(self, state: State, batch: Batch, key: jax.Array) -> jax.Array:
        """u8[B,H,W,C] -> f32[B,d], a draw of the posterior."""
        mean, log_variance = self._encoded(state, batch, key)
        eps = noise.normal(jax.random.fold_in(key, 1), mean.shape)
        return mean + jnp.exp(0.5 * log_variance) * eps

    def decode(self, state: State, codes: jax.Array, labels: jax.Array) -> jax.Array:
        """f32[B,d] -> u8[B,H,W,C], the mean of the likelihood."""
        params = self._decode(state.params[PLAYER], codes, self.condition.vector(labels))
        return self._bytes(self.likelihood.mean(params))

    def reconstruct(self, state: State, batch: Batch, key: jax.Array) -> jax.Array:
        """u8[B,H,W,C] -> u8[B,H,W,C], decoded from the posterior mean."""
        return self.decode(state, self.encode(state, batch, key), batch["label"])

    def kl_per_dim(self, state: State, batch: Batch, key: jax.Array) -> jax.Array:
        """u8[B,H,W,C] -> f32[B,d], nats."""
        return bounds.kl_from_standard_normal(*self._encoded(state, batch, key))

    def score(self, state: State, batch: Batch, key: jax.Array) -> jax.Array:
        """u8[B,H,W,C] -> f32[B], the negative ELBO of one draw, nats."""
        return self.evaluate(state, batch, key)["neg_elbo"]

    def sample(
        self,
        state: State,
        keys: jax.Array,
        labels: jax.Array,
        method: str = "auto",
        temperature: float | jax.Array = 1.0,
    ) -> jax.Array:
        """key[B] -> u8[B,H,W,C], from latents of the prior times the temperature.

        method: "mean" (auto) gives each value's mean, "draw" draws it from the likelihood.
        """
        self.check_sample(state, method)
        size = (self.network.codes,)
        z = jax.vmap(lambda key: jax.random.normal(key, size))(keys) * temperature  # f32[B,d]
        if method != "draw":
            return self.decode(state, z, labels)
        params = self._decode(state.params[PLAYER], z, self.condition.vector(labels))

        def levels(key: jax.Array, params: jax.Array) -> jax.Array:
            return self.likelihood.draw(jax.random.fold_in(key, 1), params)

        return self._bytes(jax.vmap(levels)(keys, params))

    def coder(self, state: State, count: int, lanes: int = 0) -> ImageCoder:
        """See `genlab.coding.contract.Compresses`."""
        return coding.coder(self, state.params[PLAYER], count, lanes)

    def coded_posterior(
        self, params: Tree, images: jax.Array, labels: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """u8[B,H,W,C], i32[B] -> mean and deviation f32[B,d] of the posterior that images are coded
        by: of the levels, not of noise between them."""
        values = quantise(images, self.likelihood.levels)
        if isinstance(self.likelihood, Gaussian):
            values = (values + 0.5) / self.likelihood.levels
        mean, log_variance = self._posterior(params, values, self.condition.vector(labels))
        return mean, jnp.exp(0.5 * log_variance)

    def coded_pixels(self, params: Tree, z: jax.Array, labels: jax.Array) -> jax.Array:
        """f32[B,d], i32[B] -> f32[B,H,W,C,levels], probabilities."""
        outputs = self._decode(params, z, self.condition.vector(labels))
        return jax.nn.softmax(self.likelihood.logits(outputs))

    def pictures(self, model: Model, split: Split, key: jax.Array) -> dict[str, Picture]:
        """See `genlab.task.Task`."""
        return {
            **code_pictures.reconstructions(model, split),
            **code_pictures.posterior_samples(model, split, key),
            **code_pictures.maps(model, split),
            **code_pictures.walks(model, split, from_prior=True),
            **code_pictures.usage(model, split),
        }

    def code_size(self) -> int:
        """Numbers in a latent."""
        return self.network.codes

    def _posterior(
        self, params: Tree, values: jax.Array, condition: jax.Array | None, rngs: Any = None
    ) -> tuple[jax.Array, jax.Array]:
        """f32[B,d] each: mean and log variance, which is clipped to keep its exponential finite."""
        scale = 1 if jnp.issubdtype(values.dtype, jnp.floating) else self.likelihood.levels - 1
        inputs = values / scale, condition, rngs is not None
        encoded = outputs_of(self.network, params, *inputs, rngs=rngs, method="encode")  # f32[B,2d]
        mean, log_variance = jnp.split(encoded, 2, axis=-1)
        return mean, jnp.clip(log_variance, -20.0, 20.0)

    def _encoded(self, state: State, batch: Batch, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        values = choose.observe(self.likelihood, self.binarisation, batch["image"], key)
        condition = self.condition.vector(batch["label"])
        return self._posterior(state.params[PLAYER], values, condition)

    def _decode(
        self, params: Tree, z: jax.Array, condition: jax.Array | None, rngs: Any = None
    ) -> jax.Array:
        inputs = z, condition, rngs is not None  # -> f32[B,H,W,C,outputs]
        return outputs_of(self.network, params, *inputs, rngs=rngs, method="decode")

    def _terms(
        self,
        params: Tree,
        values: jax.Array,
        condition: jax.Array | None,
        posterior: tuple[jax.Array, jax.Array],
        eps: jax.Array,
        rngs: Any = None,
    ) -> tuple[jax.Array, jax.Array]:
        """For eps f32[B,K,d]: log p(x|z) and log p(z) - log q(z|x), f32[K,B] each."""
        eps = eps.swapaxes(0, 1)  # f32[K,B,d]
        mean, log_variance = posterior
        z = mean + jnp.exp(0.5 * log_variance) * eps
        k, b, _ = z.shape
        if condition is not None:
            condition = jnp.tile(condition, (k, 1))
        outputs = self._decode(params, z.reshape(k * b, -1), condition, rngs)
        log_p = self.likelihood.log_prob(outputs.reshape(k, *values.shape, -1), values)
        ratio = 0.5 * (eps**2 + log_variance - z**2).sum(-1)  # the normalising constants cancel
        return log_p.sum((2, 3, 4)), ratio

    def _bytes(self, levels: jax.Array) -> jax.Array:
        return jnp.round(levels * (255.0 / (self.likelihood.levels - 1))).astype(jnp.uint8)

    def _with_bits(self, means: dict[str, Any]) -> dict[str, Any]:
        names = {"neg_elbo": "bits_per_dim", "neg_iwae": "iwae_bits_per_dim"}
        bits = {
            bits: choose.bits_per_dim(means[name], self.shape)
            for name, bits in names.items()
            if name in means
        }
        return means | bits
