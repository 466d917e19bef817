"""Autoregressive models: log p(x) is the sum over pixels of log p(x_t | x_<t), exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from genlab import optim, parallel
from genlab.coding.contract import ImageCoder
from genlab.condition import UNCONDITIONAL, Condition, Spec, condition_of
from genlab.errors import UserError
from genlab.likelihoods import choose
from genlab.likelihoods.contract import PixelLikelihood, PixelPredictor
from genlab.likelihoods.grey_value import GreyValue
from genlab.likelihoods.levels import centre, dequantise, quantise
from genlab.nn import build
from genlab.nn.apply import outputs_of
from genlab.nn.pixel import PixelNetwork
from genlab.state import State, Tree
from genlab.task import PLAYER, OnePlayer
from genlab.tasks.autoregressive import coding, defaults, pictures
from genlab.tasks.autoregressive.sampling import METHODS, Sampler
from genlab.updates import Batch, Metrics

if TYPE_CHECKING:
    from genlab.data.splits import Split
    from genlab.model import Model
    from genlab.pictures.figures import Picture


@dataclass(frozen=True, kw_only=True)
class Task(OnePlayer):
    """A network of pixels, called as `genlab/nn/pixel.py` says.

    predictor: the likelihood of a pixel; a `GreyValue` only predicts it.
    binarisation: how images become two levels, see `likelihoods.choose.observe`.
    """

    network: PixelNetwork
    predictor: PixelPredictor
    binarisation: str
    condition: Condition = UNCONDITIONAL

    adjustable: ClassVar[tuple[str, ...]] = ("likelihood.binarisation",)
    methods: ClassVar[tuple[str, ...]] = METHODS
    sections: ClassVar[dict[str, type | None]] = defaults.SECTIONS
    networks: ClassVar[dict[str, frozenset[str]]] = {"model": frozenset({"outputs"})}
    units: ClassVar[dict[str, str]] = {
        "nll": "nats per image",
        "bits_per_dim": "bits per dimension",
        "mse": "squared error per pixel on [0,1]",
    }

    @classmethod
    def make(cls, config: ConfigDict, spec: Spec) -> Task:
        """See `genlab.task.Task`."""
        predictor = choose.likelihood_of(config.likelihood, spec.shape[2])
        expected = config.likelihood.binarisation == "expected"
        if not isinstance(predictor, PixelPredictor) or expected:
            raise UserError(
                f"likelihood: {config.likelihood.name} with binarisation"
                f" {config.likelihood.binarisation} is for VAEs; an autoregressive model needs"
                " categorical, bernoulli, logistic_mixture or grey_value, and levels that are"
                " drawn."
            )
        conditional = config.autoregressive.conditional
        return cls(
            network=build.build(config.model, "model", PixelNetwork, outputs=predictor.outputs),
            predictor=predictor,
            binarisation=config.likelihood.binarisation,
            optimizer=optim.make(config.optim, config.train.steps),
            ema=config.optim.ema,
            shape=spec.shape,
            condition=condition_of(conditional, spec, "autoregressive.conditional"),
        )

    @classmethod
    def smoke(cls, config: ConfigDict) -> None:
        """See `genlab.task.Task`."""
        defaults.smoke(config)

    @property
    def headline(self) -> str:
        """See `genlab.task.Task`."""
        return "mse" if isinstance(self.predictor, GreyValue) else "nll"

    @property
    def protocol(self) -> dict[str, Any]:
        """See `genlab.task.Task`."""
        if self.predictor.estimate == "none":
            kind = type(self.predictor).__name__
            return {"likelihood": f"none ({kind}: squared error per pixel on [0,1])"}
        stamp = choose.protocol(self.predictor, self.binarisation)
        return stamp | self.condition.protocol | {"estimate": self.predictor.estimate}

    def network_inputs(self, labels: jax.Array) -> tuple[Any, ...]:
        """The context of the network, from i32[B]."""
        return (self.context(labels),)

    def loss(
        self, params: Tree, state: State, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Metrics, Tree]]:
        """The mean loss per dimension."""
        values_key, dropout_key = jax.random.split(key)
        values = self._observe(batch, values_key)
        each = self._measure(params, values, batch["label"], {"dropout": dropout_key})
        means = {name: x.mean() for name, x in each.items()}
        loss = means["nll"] / math.prod(self.shape) if "nll" in means else means["mse"]
        return loss, (self.summarise(means), {})

    def evaluate(self, state: State, batch: Batch, key: jax.Array) -> Metrics:
        """{"nll": f32[B]} nats per image, exact; {"mse": f32[B]} per pixel for grey values."""
        return self._measure(state.params[PLAYER], self._observe(batch, key), batch["label"])

    def summarise(self, means: dict[str, Any]) -> dict[str, Any]:
        """Adds the bits per dimension of the mean negative log-likelihood."""
        if "nll" not in means:
            return means
        return means | {"bits_per_dim": choose.bits_per_dim(means["nll"], self.shape)}

    def log_prob(self, state: State, batch: Batch, key: jax.Array) -> jax.Array:
        """u8[B,H,W,C] -> f32[B], exact log-likelihoods in nats.

        With stochastic binarisation, they are those of one draw of the images by `key`.
        """
        if isinstance(self.predictor, GreyValue):
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
        levels = self.predictor.levels
        sampler = self.sampler(state, labels, method, temperature)
        drawn = sampler.draw(keys, quantise(images, levels), known)
        return jnp.where(known, images, dequantise(drawn, levels))

    def sampler(
        self,
        state: State,
        labels: jax.Array,
        method: str = "auto",
        temperature: float | jax.Array = 1.0,
    ) -> Sampler:
        """The sampler for images of those labels i32[B]. Raises UserError for an unknown method."""
        self.check_sample(state, method)
        return Sampler(
            network=self.network.as_sampled(patches=parallel.platform() == "cpu"),
            params=state.params[PLAYER],
            predictor=self.predictor,
            context=self.context(labels),
            temperature=temperature,
            method="cached" if method == "auto" else method,
        )

    def differences(
        self,
        state: State,
        keys: jax.Array,
        labels: jax.Array,
        first: np.ndarray,
        second: np.ndarray,
    ) -> tuple[int, int]:
        """See `genlab.task.Completes`."""
        both = (np.asarray(quantise(x, self.predictor.levels)) for x in (first, second))
        return self.sampler(state, labels).differences(keys, *both)

    def coder(self, state: State, count: int, lanes: int = 0) -> ImageCoder:
        """See `genlab.coding.contract.Compresses`."""
        if isinstance(self.predictor, GreyValue):
            raise UserError("compress: a grey_value model has no likelihood; train another one.")

        def sampler(labels: np.ndarray, exchange: coding.Exchange | None = None) -> coding.Driven:
            told = self.sampler(state, jnp.asarray(labels))
            return coding.Driven(**vars(told), exchange=exchange)

        one = np.asarray(self.condition.no_labels(1))
        chosen = lanes or coding.fitting(sampler(one), self.shape, count)
        return coding.PixelCoder(sampler, self.shape, self.predictor.levels, chosen)

    def predict(self, state: State, batch: Batch, key: jax.Array) -> jax.Array:
        """u8[B,H,W,C] -> u8[B,H,W,C]: each value's mean given the true ones before it."""
        levels = self.predictor.levels
        values = quantise(batch["image"], levels)
        params = self._apply(state.params[PLAYER], values, batch["label"])

        def mean(colour: int) -> jax.Array:
            logits = self.predictor.conditional(params, values, colour)  # f32[B,H,W,levels]
            return jax.nn.softmax(logits) @ jnp.arange(levels, dtype=jnp.float32)

        means = jnp.stack([mean(colour) for colour in range(self.shape[2])], -1)
        return jnp.round(means * (255.0 / (levels - 1))).astype(jnp.uint8)

    def side_by_side(self, state: State) -> dict[str, tuple[np.ndarray, str]]:
        """See `genlab.task.Task`."""
        return {"receptive_fields": (pictures.receptive_fields(self, state), pictures.FIELD)}

    def pictures(self, model: Model, split: Split, key: jax.Array) -> dict[str, Picture]:
        """See `genlab.task.Task`."""
        field = {"receptive_field": pictures.receptive_field(self, model.state)}
        return field | pictures.of_images(self, model, split, key)

    def context(self, labels: jax.Array) -> jax.Array | None:
        """i32[B] -> f32[B,1,1,classes], or None for an unconditional model."""
        vector = self.condition.vector(labels)
        return None if vector is None else vector[:, None, None]

    def _observe(self, batch: Batch, key: jax.Array) -> jax.Array:
        return choose.observe(self.predictor, self.binarisation, batch["image"], key)

    def _apply(
        self, params: Tree, values: jax.Array, labels: jax.Array, rngs: Any = None
    ) -> jax.Array:
        x = centre(values, self.predictor.levels)  # f32[B,H,W,C]
        context, train = self.context(labels), rngs is not None
        return outputs_of(self.network, params, x, context, train=train, rngs=rngs)

    def _measure(
        self,
        params: Tree,
        values: jax.Array,
        labels: jax.Array,
        rngs: dict[str, jax.Array] | None = None,
    ) -> Metrics:
        outputs = self._apply(params, values, labels, rngs)  # f32[B,H,W,C,outputs]
        if isinstance(self.predictor, GreyValue):
            return {"mse": self.predictor.squared_error(outputs, values).mean((1, 2, 3))}
        assert isinstance(self.predictor, PixelLikelihood)
        return {"nll": -self.predictor.log_prob(outputs, values).sum((1, 2, 3))}  # f32[B]
