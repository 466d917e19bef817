"""Autoregressive models: log p(x) is the sum over pixels of log p(x_t | x_<t), exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from genlab import optim, updates
from genlab.errors import UserError
from genlab.likelihoods import choose as likelihoods
from genlab.likelihoods.choose import Likelihood
from genlab.likelihoods.levels import centre, dequantise, quantise
from genlab.pictures.figures import Rows
from genlab.state import State, Tree
from genlab.task import Spec
from genlab.tasks.autoregressive import sampling
from genlab.workdir import configs

PLAYER = "model"
FIELD = "White: read by the yellow pixel. Red: before it, but never read. Black: after it."
Batch = updates.Batch


@dataclass(frozen=True)
class Task:
    """network: called as `genlab/nn/pixel.py` says.  shape: (H, W, C) of its images.
    classes: of a conditional model, else 0."""

    network: nn.Module
    likelihood: Likelihood
    binarisation: str
    optimizer: optax.GradientTransformation
    ema: float
    shape: tuple[int, int, int]
    classes: int = 0

    units: ClassVar[dict[str, str]] = {
        "nll": "nats per image",
        "bits_per_dim": "bits per dimension",
        "mse": "squared error per pixel on [0,1]",
    }

    def init(self, key: jax.Array, batch: Batch) -> State:
        """A fresh state. Shapes come from batch["image"] u8[B,H,W,C]."""
        x = jnp.zeros((1, *batch["image"].shape[1:]), jnp.float32)
        params = self.network.init(key, x, self._context(batch["label"][:1]))["params"]
        averaged = (PLAYER,) if self.ema else ()
        return State.create({PLAYER: params}, {PLAYER: self.optimizer}, averaged=averaged)

    def step(self, state: State, batch: Batch, key: jax.Array) -> tuple[State, updates.Metrics]:
        """One descent on the mean loss per dimension."""
        return updates.descend(PLAYER, self.optimizer, self._loss, self.ema)(state, batch, key)

    def _loss(self, params: Tree, state: State, batch: Batch, key: jax.Array) -> Any:
        values_key, dropout_key = jax.random.split(key)
        values = self._observe(batch, values_key)
        found = self._measure(params, values, batch["label"], {"dropout": dropout_key})
        means = {name: x.mean() for name, x in found.items()}
        loss = means["nll"] / math.prod(self.shape) if "nll" in means else means["mse"]
        return loss, (self.summarise(means), {})

    def evaluate(self, state: State, batch: Batch, key: jax.Array) -> dict[str, jax.Array]:
        """{"nll": f32[B]} nats per image, exact; {"mse": f32[B]} per pixel for grey values."""
        return self._measure(state.params[PLAYER], self._observe(batch, key), batch["label"])

    def summarise(self, means: dict[str, Any]) -> dict[str, Any]:
        """Adds the bits per dimension of the mean negative log-likelihood."""
        if "nll" not in means:
            return means
        return means | {"bits_per_dim": likelihoods.bits_per_dim(means["nll"], self.shape)}

    @property
    def headline(self) -> str:
        """The metric of the loss curve."""
        return "nll" if self.likelihood.exact else "mse"

    @property
    def protocol(self) -> dict[str, Any]:
        """What the likelihood is a likelihood of."""
        if not self.likelihood.exact:
            kind = type(self.likelihood).__name__
            return {"likelihood": f"none ({kind}: squared error per pixel on [0,1])"}
        return likelihoods.protocol(self.likelihood, self.binarisation) | {"estimate": "exact"}

    def log_prob(self, state: State, batch: Batch, key: jax.Array) -> jax.Array:
        """u8[B,H,W,C] -> f32[B], exact log-likelihoods in nats (of stochastically binarised
        images: of one draw of them by `key`)."""
        if not self.likelihood.exact:
            raise UserError("log_prob: a grey_value model has no likelihood; train another one.")
        return -self.evaluate(state, batch, key)["nll"]

    def sample(
        self,
        state: State,
        keys: jax.Array,
        labels: jax.Array,
        method: str = "auto",
        temperature: float | jax.Array = 1.0,
    ) -> jax.Array:
        """key[B] -> u8[B,H,W,C], drawn from a blank image pixel by pixel."""
        images = jnp.zeros((keys.shape[0], *self.shape), jnp.uint8)
        known = jnp.zeros(images.shape, bool)
        return self.complete(state, keys, labels, images, known, method, temperature)

    def complete(
        self,
        state: State,
        keys: jax.Array,
        labels: jax.Array,
        images: jax.Array,
        known: jax.Array,
        method: str = "auto",
        temperature: float | jax.Array = 1.0,
    ) -> jax.Array:
        """Draws the pixels that are not known given those before them.

        Args: images u8[B,H,W,C], known bool[B,H,W,C].
        Returns: u8[B,H,W,C]; known pixels are those of `images`, untouched.
        """
        network, method = sampling.prepare(self.network, method)
        levels = self.likelihood.levels
        given = quantise(images, levels)
        params = state.params[PLAYER]
        context = self._context(labels)
        drawn = sampling.draw(
            network, params, self.likelihood, keys, given, known, context, method, temperature
        )
        return jnp.where(known, images, dequantise(drawn, levels))

    def differences(
        self,
        state: State,
        keys: jax.Array,
        labels: jax.Array,
        first: np.ndarray,
        second: np.ndarray,
    ) -> tuple[int, int]:
        """How many of two samplers' images u8[B,H,W,C] by the same keys differ, and how many of
        those by more than rounding explains."""
        network, _ = sampling.prepare(self.network, "naive")
        both = (np.asarray(quantise(x, self.likelihood.levels)) for x in (first, second))
        context = self._context(labels)
        params = state.params[PLAYER]
        return sampling.differences(network, params, self.likelihood, keys, *both, context)

    def predict(self, state: State, batch: Batch, key: jax.Array) -> jax.Array:
        """u8[B,H,W,C] -> u8[B,H,W,C]: each value's mean given the true ones before it."""
        levels = self.likelihood.levels
        values = quantise(batch["image"], levels)
        params = self._apply(state.params[PLAYER], values, batch["label"])

        def mean(colour: int) -> jax.Array:
            logits = self.likelihood.conditional(params, values, colour)  # f32[B,H,W,levels]
            return jax.nn.softmax(logits) @ jnp.arange(levels, dtype=jnp.float32)

        means = jnp.stack([mean(colour) for colour in range(self.shape[2])], -1)
        return jnp.round(means * (255.0 / (levels - 1))).astype(jnp.uint8)

    def receptive_fields(self, state: State) -> np.ndarray:
        """u8[3,H,W,3]: which pixels the distributions of three pixels of the middle row depend on,
        by gradients at random images: white are read, red come before and are not, black after."""
        height, width, _ = self.shape
        keys = jax.random.split(jax.random.key(0))
        x = jax.random.normal(keys[0], (4, *self.shape))
        context = self._context(jnp.zeros(4, jnp.int32))
        order = np.arange(height * width).reshape(height, width, 1)
        rank = np.argsort(sampling.order(self.network, order))

        @jax.jit
        def slope(params: Tree, x: jax.Array, row: int, column: int) -> jax.Array:
            def told(x: jax.Array) -> jax.Array:
                found = self.network.apply({"params": params}, x, context)
                found = found[:, row, column]
                return (found * jax.random.normal(keys[1], found.shape)).sum()

            return jax.grad(told)(x)

        def field(row: int, column: int) -> np.ndarray:
            found = slope(state.params[PLAYER], x, row, column)
            read = np.abs(found).max((0, 3)) > 0  # bool[H,W]
            picture = np.zeros((height, width, 3), np.uint8)
            picture[(rank < rank[row * width + column]).reshape(height, width)] = (190, 40, 40)
            picture[read] = 255
            picture[row, column] = (250, 200, 0)
            return picture

        return np.stack([field(height // 2, width * part // 4) for part in (1, 2, 3)])

    def compared(self, state: State) -> dict[str, tuple[np.ndarray, str]]:
        """What a sweep puts side by side beside samples."""
        return {"receptive_fields": (self.receptive_fields(state), FIELD)}

    def pictures(self, model: Any, split: Any, key: jax.Array) -> dict[str, Any]:
        """The figures of the family, by name: prediction in one pass, and completions."""
        levels = self.likelihood.levels
        batch = split.read(np.arange(min(8, len(split))))
        images, labels = batch["image"], batch["label"]
        shown = np.asarray(dequantise(quantise(images, levels), levels))
        upper = np.arange(self.shape[0])[:, None, None] < self.shape[0] // 2  # bool[H,1,1]
        drawn = [
            (
                f"completion {i + 1}",
                model.complete(jax.random.fold_in(key, i), shown, upper, labels=labels),
            )
            for i in range(3)
        ]
        return {
            "receptive_field": Rows(
                [("receptive\nfield", self.receptive_fields(model.state))], FIELD
            ),
            "one_step_prediction": Rows(
                [
                    ("original", shown),
                    ("one-step\nprediction", model.apply("predict", shown, labels)),
                ],
                "Each pixel's mean given the true pixels before it: prediction, not generation.",
            ),
            "completions": Rows(
                [("original", shown), ("given", np.where(upper, shown, 64)), *drawn],
                "The upper half is given; the lower half is drawn pixel by pixel.",
            ),
        }

    def _observe(self, batch: Batch, key: jax.Array) -> jax.Array:
        return likelihoods.observe(self.likelihood, self.binarisation, batch["image"], key)

    def _context(self, labels: jax.Array) -> jax.Array | None:
        """i32[B] -> f32[B,1,1,classes], or None for a model of no class."""
        return jax.nn.one_hot(labels, self.classes)[:, None, None] if self.classes else None

    def _apply(
        self, params: Tree, values: jax.Array, labels: jax.Array, rngs: Any = None
    ) -> jax.Array:
        x = centre(values, self.likelihood.levels)  # f32[B,H,W,C]
        return self.network.apply(
            {"params": params}, x, self._context(labels), train=rngs is not None, rngs=rngs
        )

    def _measure(
        self,
        params: Tree,
        values: jax.Array,
        labels: jax.Array,
        rngs: dict[str, jax.Array] | None = None,
    ) -> dict[str, jax.Array]:
        found = self._apply(params, values, labels, rngs)  # f32[B,H,W,C,outputs]
        if not self.likelihood.exact:
            return {"mse": self.likelihood.squared_error(found, values).mean((1, 2, 3))}
        return {"nll": -self.likelihood.log_prob(found, values).sum((1, 2, 3))}  # f32[B]


def make(config: ConfigDict, spec: Spec) -> Task:
    """The task of a config, for images of that shape."""
    likelihood = likelihoods.make(config.likelihood, spec.shape[2])
    if not hasattr(likelihood, "conditional") or config.likelihood.binarisation == "expected":
        raise UserError(
            f"likelihood: {config.likelihood.name} with binarisation"
            f" {config.likelihood.binarisation} is for VAEs; an autoregressive model needs"
            " categorical, bernoulli, logistic_mixture or grey_value, and levels that are drawn."
        )
    conditional = config.autoregressive.conditional
    if conditional and not spec.classes:
        raise UserError("autoregressive.conditional: this data has no labels; set it to False.")
    return Task(
        network=configs.build(config.model, "model", outputs=likelihood.outputs),
        likelihood=likelihood,
        binarisation=config.likelihood.binarisation,
        optimizer=optim.make(config.optim, config.train.steps),
        ema=config.optim.ema,
        shape=spec.shape,
        classes=len(spec.classes) if conditional else 0,
    )
