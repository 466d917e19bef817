"""Generative adversarial networks: a discriminator and a generator, updated in turn.

Goodfellow et al., arXiv 1406.2661 (algorithm 1). Losses and regularisers are in
`genlab/tasks/gan/losses.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from genlab import noise, optim, updates
from genlab.condition import UNCONDITIONAL, Condition, Spec, condition_of
from genlab.errors import UserError
from genlab.nn import build
from genlab.nn.apply import outputs_and_variables
from genlab.nn.gan import Discriminator, Generator
from genlab.state import State, Tree
from genlab.task import Task as BaseTask
from genlab.tasks.gan import defaults, losses, moments, pictures
from genlab.updates import Batch, Metrics

if TYPE_CHECKING:
    from genlab.data.splits import Split
    from genlab.model import Model
    from genlab.pictures.figures import Picture

GENERATOR, DISCRIMINATOR = "generator", "discriminator"


@dataclass(frozen=True, kw_only=True)
class Task(BaseTask):
    """Two players.

    discriminator_steps: updates of the discriminator before one of the generator, each on its own
      share of the batch.
    prior: of latents: "normal", or "uniform" on [-1,1].
    ema: decay of the generator's averaged weights, 0 for none.
    """

    generator: Generator
    discriminator: Discriminator
    objective: losses.Objective
    discriminator_steps: int
    prior: str
    generator_optimizer: optax.GradientTransformation
    discriminator_optimizer: optax.GradientTransformation
    ema: float
    shape: tuple[int, int, int]
    condition: Condition = UNCONDITIONAL

    sections: ClassVar[dict[str, type | None]] = defaults.SECTIONS
    networks: ClassVar[dict[str, frozenset[str]]] = {
        "model.generator": frozenset({"shape"}),
        "model.discriminator": frozenset({"shape"}),
    }
    headline: ClassVar[str] = "feature_distance"
    units: ClassVar[dict[str, str]] = {
        "accuracy_real": "share of real images that the discriminator takes for real",
        "accuracy_fake": "share of generated images that it does not",
        "logit_gap": "mean logit of real minus that of generated images",
        "sample_diversity": "variance of generated images over that of real ones, 1 is equal",
        "score": "negative logit of the discriminator",
        "feature_distance": "Fréchet distance, features of a random convolution",
    }

    @classmethod
    def make(cls, config: ConfigDict, spec: Spec) -> Task:
        gan, steps, size = config.gan, config.gan.discriminator_steps, config.data.batch_size
        if size % steps:
            raise UserError(f"gan.discriminator_steps={steps} must divide data.batch_size={size}.")
        networks, total = config.model, config.train.steps
        return cls(
            generator=build.build(
                networks.generator, "model.generator", Generator, shape=spec.shape
            ),
            discriminator=build.build(
                networks.discriminator, "model.discriminator", Discriminator, shape=spec.shape
            ),
            generator_optimizer=optim.make(config.optim.generator, total, "optim.generator"),
            discriminator_optimizer=optim.make(
                config.optim.discriminator, total, "optim.discriminator"
            ),
            objective=losses.objective(gan),
            discriminator_steps=steps,
            prior=config.model.prior,
            condition=condition_of(gan.conditional, spec, "gan.conditional"),
            ema=config.optim[GENERATOR].ema,
            shape=spec.shape,
        )

    @property
    def protocol(self) -> dict[str, Any]:
        """See `genlab.task.Task`."""
        return {"likelihood": "none", "loss": self.objective.name, "prior": self.prior}

    def init(self, key: jax.Array, batch: Batch) -> State:
        """A fresh state. Shapes come from batch["image"] u8[B,H,W,C]."""
        generator_key, discriminator_key = jax.random.split(key)
        condition = self.condition.vector(self.condition.no_labels(1))
        z, x = jnp.zeros((1, self.generator.latent)), jnp.zeros((1, *batch["image"].shape[1:]))
        variables = {
            GENERATOR: self.generator.init(generator_key, z, condition, False),
            DISCRIMINATOR: self.discriminator.init(discriminator_key, x, condition, False),
        }
        return State.create(
            {player: collections["params"] for player, collections in variables.items()},
            {GENERATOR: self.generator_optimizer, DISCRIMINATOR: self.discriminator_optimizer},
            stats={
                player: collections["batch_stats"]
                for player, collections in variables.items()
                if "batch_stats" in collections
            },
            averaged=(GENERATOR,) if self.ema else (),
        )

    def step(self, state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        """`discriminator_steps` updates of the discriminator, then one of the generator."""
        discriminate = updates.descend(
            DISCRIMINATOR, self.discriminator_optimizer, self._discriminator_loss
        )
        generate = updates.descend(
            GENERATOR, self.generator_optimizer, self._generator_loss, self.ema
        )
        return updates.chain(updates.repeat(self.discriminator_steps, discriminate), generate)(
            state, batch, key
        )

    def _discriminator_loss(
        self, params: Tree, state: State, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Metrics, Tree]]:
        latent_key, dropout_key, penalty_key = jax.random.split(key, 3)
        condition = self.condition.vector(batch["label"])
        real = self._pixels(batch["image"])
        z = self._latents(noise.row_keys(latent_key, real.shape[0]))
        fake, _ = self._generate(state, state.params[GENERATOR], z, condition, dropout_key)

        def logits(x: jax.Array, number: int, stats: Tree) -> tuple[jax.Array, Tree]:
            key = jax.random.fold_in(dropout_key, number)
            return self._discriminate(params, stats, x, condition, key)

        of_real, stats = logits(real, 1, state.stats.get(DISCRIMINATOR, {}))
        of_fake, stats = logits(fake, 2, stats)
        total = self.objective.discriminator(of_real, of_fake)
        judged = {name: x.mean() for name, x in self._judged(of_real, of_fake).items()}

        def score(x: jax.Array) -> jax.Array:
            return logits(x, 3, state.stats.get(DISCRIMINATOR, {}))[0]

        more, penalties = self.objective.penalties(score, real, fake, penalty_key)
        metrics = {"discriminator_loss": total} | judged | penalties
        return total + more, (metrics, stats)

    def _generator_loss(
        self, params: Tree, state: State, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Metrics, Tree]]:
        latent_key, label_key, dropout_key = jax.random.split(key, 3)
        keys = noise.row_keys(latent_key, batch["image"].shape[0] // self.discriminator_steps)
        labels = self._labels_to_generate(batch["label"], noise.row_keys(label_key, len(keys)))
        condition = self.condition.vector(labels)
        fake, stats = self._generate(state, params, self._latents(keys), condition, dropout_key)
        logits, _ = self._discriminate(
            state.params[DISCRIMINATOR],
            state.stats.get(DISCRIMINATOR, {}),
            fake,
            condition,
            jax.random.fold_in(dropout_key, 1),
        )
        total = self.objective.loss.generator(logits).mean()
        return total, ({"generator_loss": total}, stats)

    def _labels_to_generate(self, real: jax.Array, keys: jax.Array) -> jax.Array:
        """A class drawn by each key[B], all equally likely; of attributes, which hang together,
        those of as many real images."""
        if self.condition.attributes:
            return real[: len(keys)]
        classes = max(self.condition.size, 1)
        return jax.vmap(lambda key: jax.random.randint(key, (), 0, classes))(keys)

    def evaluate(self, state: State, batch: Batch, key: jax.Array) -> Metrics:
        """How the discriminator judges real and generated images, f32[B], and moments of the pixels
        and features of both. The latents are the same at every evaluation."""
        condition, real = self.condition.vector(batch["label"]), self._pixels(batch["image"])
        z = self._latents(noise.row_keys(key, real.shape[0]))
        fake, _ = self._generate(state, state.params[GENERATOR], z, condition)
        params, stats = state.params[DISCRIMINATOR], state.stats.get(DISCRIMINATOR, {})
        of_real, of_fake = (
            self._discriminate(params, stats, x, condition)[0] for x in (real, fake)
        )
        metrics = self._judged(of_real, of_fake)
        low, scale = self._range
        for name, x in (("real", real), ("fake", fake)):
            metrics |= moments.of_images((x - low) * (scale / 255.0), name)
        return metrics

    def summarise(self, means: dict[str, Any]) -> dict[str, Any]:
        """Diversity of the samples, and a distance between the features of both."""
        names = ("accuracy_real", "accuracy_fake", "logit_gap")
        return {name: means[name] for name in names} | moments.distances(means)

    def sample(
        self,
        state: State,
        keys: jax.Array,
        labels: jax.Array,
        method: str = "auto",
        temperature: float | jax.Array = 1.0,
    ) -> jax.Array:
        """key[B] -> u8[B,H,W,C], from latents of the prior times the temperature."""
        self.check_sample(state, method)
        return self.decode(state, self._latents(keys) * temperature, labels)

    def decode(self, state: State, codes: jax.Array, labels: jax.Array) -> jax.Array:
        """f32[B,latent] -> u8[B,H,W,C]."""
        condition = self.condition.vector(labels)
        x, _ = self._generate(state, state.params[GENERATOR], codes, condition)
        low, scale = self._range
        return jnp.round((x - low) * scale).astype(jnp.uint8)

    def score(self, state: State, batch: Batch, key: jax.Array) -> jax.Array:
        """u8[B,H,W,C] -> f32[B], the negative logit: large where the discriminator says fake."""
        condition, x = self.condition.vector(batch["label"]), self._pixels(batch["image"])
        params, stats = state.params[DISCRIMINATOR], state.stats.get(DISCRIMINATOR, {})
        return -self._discriminate(params, stats, x, condition)[0]

    def pictures(self, model: Model, split: Split, key: jax.Array) -> dict[str, Picture]:
        """See `genlab.task.Task`."""
        ends = self.draw_latents(key, (8, self.code_size()))
        return pictures.of_run(model, ends, on_sphere=self.prior == "normal")

    def code_size(self) -> int:
        """Numbers in a latent."""
        return self.generator.latent

    def draw_latents(self, key: jax.Array, size: tuple[int, ...]) -> jax.Array:
        """f32[size] of the prior."""
        if self.prior == "uniform":
            return jax.random.uniform(key, size, minval=-1.0)
        return jax.random.normal(key, size)

    def _latents(self, keys: jax.Array) -> jax.Array:
        """key[B] -> f32[B,latent]."""
        return jax.vmap(lambda key: self.draw_latents(key, (self.code_size(),)))(keys)

    @property
    def _range(self) -> tuple[float, float]:
        """(smallest pixel, grey levels per unit) of the generator's output."""
        return (-1.0, 127.5) if self.generator.output == "tanh" else (0.0, 255.0)

    def _pixels(self, images: jax.Array) -> jax.Array:
        low, scale = self._range
        return images / scale + low  # f32[B,H,W,C]

    def _judged(self, of_real: jax.Array, of_fake: jax.Array) -> dict[str, jax.Array]:
        boundary = self.objective.loss.boundary
        return {
            "accuracy_real": (of_real > boundary).astype(jnp.float32),
            "accuracy_fake": (of_fake <= boundary).astype(jnp.float32),
            "logit_gap": of_real - of_fake,
        }

    def _generate(
        self,
        state: State,
        params: Tree,
        z: jax.Array,
        condition: jax.Array | None,
        key: jax.Array | None = None,
    ) -> tuple[jax.Array, Tree]:
        """f32[B,H,W,C], and the new statistics. A key turns training on."""
        return _applied(self.generator, params, state.stats.get(GENERATOR, {}), z, condition, key)

    def _discriminate(
        self,
        params: Tree,
        stats: Tree,
        x: jax.Array,
        condition: jax.Array | None,
        key: jax.Array | None = None,
    ) -> tuple[jax.Array, Tree]:
        """f32[B], and the new statistics. A key turns training on."""
        return _applied(self.discriminator, params, stats, x, condition, key)


def _applied(
    network: nn.Module,
    params: Tree,
    stats: Tree,
    x: jax.Array,
    condition: jax.Array | None,
    key: jax.Array | None,
) -> tuple[jax.Array, Tree]:
    inputs, rngs = (x, condition, key is not None), {"dropout": key} if key is not None else None
    return outputs_and_variables(network, params, "batch_stats", stats, *inputs, rngs=rngs)
