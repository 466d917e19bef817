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
from genlab.condition import Spec, condition_of
from genlab.errors import UserError
from genlab.likelihoods import choose
from genlab.likelihoods.contract import ImageLikelihood
from genlab.nn import build
from genlab.nn.dense import CodeNetwork
from genlab.pictures import codes as code_pictures
from genlab.state import State, Tree
from genlab.task import PLAYER, Restore
from genlab.tasks.vae import bounds, coding, defaults
from genlab.tasks.vae.latent import LatentVariable
from genlab.updates import Batch, Metrics

if TYPE_CHECKING:
    from genlab.data.splits import Split
    from genlab.model import Model
    from genlab.pictures.figures import Picture

ACTIVE = 1e-2  # a unit is active if its posterior mean varies by more than this over the data


@dataclass(frozen=True, kw_only=True)
class Task(LatentVariable):
    """A latent-variable model trained on a bound of its likelihood.

    objective: "elbo", or "iwae" of `samples` draws.
    beta: weight of the KL, reached after `warmup_steps`.
    importance_samples: K of an evaluation's bound, computed `chunk` at a time.
    """

    objective: str
    samples: int
    beta: float
    warmup_steps: int
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
        "score": "nats per image, the negative ELBO of one draw",
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
        return loss / math.prod(self.shape), (with_bits(means, self.shape), {})

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
        return with_bits(means, self.shape) | {"active_units": (variance > ACTIVE).sum()}

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

    def pictures(self, model: Model, split: Split, key: jax.Array) -> dict[str, Picture]:
        """See `genlab.task.Task`."""
        return {
            **code_pictures.reconstructions(model, split),
            **code_pictures.posterior_samples(model, split, key),
            **code_pictures.maps(model, split),
            **code_pictures.walks(model, split, from_prior=True),
            **code_pictures.usage(model, split),
        }


def with_bits(means: dict[str, Any], shape: tuple[int, int, int]) -> dict[str, Any]:
    """Adds the bits per dimension of each bound."""
    names = {"neg_elbo": "bits_per_dim", "neg_iwae": "iwae_bits_per_dim"}
    known = {bits: means[name] for name, bits in names.items() if name in means}
    return means | {bits: choose.bits_per_dim(nats, shape) for bits, nats in known.items()}
