"""Autoregressive models: log p(x) is the sum over pixels of log p(x_t | x_<t), exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
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
from genlab.tasks.autoregressive import coding, defaults, mixing, pictures
from genlab.tasks.autoregressive.orders import NAMES, RASTER, Orders
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
    orders: in which pixels are modelled; of several, the likelihood is their mixture's.
    members: names of the models whose mixture this is; () of a single one.
    """

    network: PixelNetwork
    predictor: PixelPredictor
    binarisation: str
    condition: Condition = UNCONDITIONAL
    orders: Orders = RASTER
    members: tuple[str, ...] = ()

    adjustable: ClassVar[tuple[str, ...]] = ("likelihood.binarisation",)
    methods: ClassVar[tuple[str, ...]] = METHODS
    sections: ClassVar[dict[str, type | None]] = defaults.SECTIONS
    networks: ClassVar[dict[str, frozenset[str]]] = {"model": frozenset({"outputs"})}
    units: ClassVar[dict[str, str]] = {
        "nll": "nats per image",
        "bits_per_dim": "bits per dimension",
        "mse": "squared error per pixel on [0,1]",
        **{f"nll_{order}": "nats per image" for order in NAMES},
        **{f"mse_{order}": "squared error per pixel on [0,1]" for order in NAMES},
    }

    @classmethod
    def make(cls, config: ConfigDict, spec: Spec) -> Task:
        predictor = choose.likelihood_of(config.likelihood, spec.shape[2])
        binarisation = config.likelihood.binarisation
        if not isinstance(predictor, PixelPredictor) or binarisation == "expected":
            raise UserError(
                f"likelihood: {config.likelihood.name} with binarisation {binarisation} is for"
                " VAEs; an autoregressive model needs categorical, bernoulli, logistic_mixture or"
                " grey_value, and levels that are drawn."
            )
        conditional = config.autoregressive.conditional
        orders = Orders(config.autoregressive.orders)
        orders.check(spec.shape)
        network = build.build(config.model, "model", PixelNetwork, outputs=predictor.outputs)
        return cls(
            network=network,
            predictor=predictor,
            binarisation=binarisation,
            optimizer=optim.make(config.optim, config.train.steps, outer=network.outer()),
            ema=config.optim.ema,
            shape=spec.shape,
            condition=condition_of(conditional, spec, "autoregressive.conditional"),
            orders=orders,
        )

    @classmethod
    def smoke(cls, config: ConfigDict) -> None:
        defaults.smoke(config)

    @property
    def headline(self) -> str:
        return "mse" if isinstance(self.predictor, GreyValue) else "nll"

    @property
    def protocol(self) -> dict[str, Any]:
        if self.predictor.estimate == "none":
            kind = type(self.predictor).__name__
            return {"likelihood": f"none ({kind}: squared error per pixel on [0,1])"}
        stamp = choose.protocol(self.predictor, self.binarisation)
        stamp |= self.condition.protocol | {"estimate": self.predictor.estimate}
        if self.orders != RASTER:
            stamp["orders"] = " ".join(self.orders.names)
        if self.members:
            stamp["members"] = " ".join(self.members)
        return stamp

    def network_inputs(self, labels: jax.Array) -> tuple[Any, ...]:
        """The context of the network, from i32[B]."""
        return (self.context(labels),)

    def loss(
        self, params: Tree, state: State, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Metrics, Tree]]:
        """The mean loss per dimension."""
        values_key, dropout_key = jax.random.split(key)
        values = choose.observe(self.predictor, self.binarisation, batch["image"], values_key)
        chosen = self.orders.for_rows(jax.random.fold_in(key, 2), len(values))
        each = self._measure(params, values, batch["label"], chosen, {"dropout": dropout_key})
        means = {name: x.mean() for name, x in each.items()}
        loss = means["nll"] / math.prod(self.shape) if "nll" in means else means["mse"]
        return loss, (self.summarise(means), {})

    def evaluate(self, state: State, batch: Batch, key: jax.Array) -> Metrics:
        """{"nll": f32[B]} nats per image, exact; {"mse": f32[B]} per pixel for grey values; with
        several orders the same by each, such as "nll_rotate180"."""
        values = choose.observe(self.predictor, self.binarisation, batch["image"], key)
        each = []
        for number in range(len(self.orders.names)):  # unrolled: a loop would be slow on CPU
            network, params = self.network.of_order(number, state.params[PLAYER])
            task = replace(self, network=network)
            chosen = jnp.full(values.shape[0], number)  # not len: exports have symbolic batches
            each.append(task._measure(params, values, batch["label"], chosen))
        return self.orders.mixture(each)

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
        """key[B] -> u8[B,H,W,C], drawn from a blank image pixel by pixel; with several orders each
        image by one that its key draws."""
        blank = jnp.zeros((keys.shape[0], *self.shape), jnp.uint8)
        return self.complete(state, keys, labels, blank, blank > 0, method, temperature)

    def complete(
        self,
        state: State,
        keys: jax.Array,
        labels: jax.Array,
        images: jax.Array,
        known: jax.Array,
        method: str = "auto",
        temperature: float | jax.Array = 1.0,
        order: str | None = None,
    ) -> jax.Array:
        """Draws the pixels that are not known given those before them.

        Args:
          images: u8[B,H,W,C].
          known: bool[B,H,W,C].
          order: of all images; by default `Orders.usual` for those of which something is known,
            and one drawn by its key for each blank one.
        Returns: u8[B,H,W,C]; known pixels are those of `images`, untouched.
        """
        levels, orders = self.predictor.levels, self.orders
        chosen = jnp.full(images.shape[0], orders.place(order))
        if order is None:
            chosen = jnp.where(known.any((1, 2, 3)), chosen, orders.for_samples(keys, self.shape))
        sampler = self.sampler(state, labels, method, temperature, chosen)
        given = orders.apply(quantise(images, levels), chosen)
        drawn = orders.undo(sampler.draw(keys, given, orders.apply(known, chosen)), chosen)
        return jnp.where(known, images, dequantise(drawn, levels))

    def sampler(
        self,
        state: State,
        labels: jax.Array,
        method: str = "auto",
        temperature: float | jax.Array = 1.0,
        chosen: jax.Array | None = None,
    ) -> Sampler:
        """The sampler for images of those labels i32[B], as the orders `chosen` i32[B] see them (by
        default the usual one). Raises UserError for an unknown method."""
        self.check_sample(state, method)
        network, params = self.network, state.params[PLAYER]
        if chosen is None:
            network, params = network.of_order(self.orders.place(None), params)
        return Sampler(
            network=network.as_sampled(patches=parallel.platform() == "cpu"),
            params=params,
            predictor=self.predictor,
            context=self.context(labels, chosen),
            temperature=temperature,
            method=method,
        )

    def differences(
        self,
        state: State,
        keys: jax.Array,
        labels: jax.Array,
        first: np.ndarray,
        second: np.ndarray,
    ) -> tuple[int, int]:
        """See `genlab.capabilities.Completes`."""
        chosen = self.orders.for_samples(keys, self.shape)
        both = (
            np.asarray(self.orders.apply(quantise(jnp.asarray(x), self.predictor.levels), chosen))
            for x in (first, second)
        )
        return self.sampler(state, labels, chosen=chosen).differences(keys, *both)

    def mix(self, models: dict[str, tuple[Task, State]]) -> tuple[Task, State]:
        """The mean of probabilities, exact; see `mixing.mix`."""
        return mixing.mix(models)

    def coder(self, state: State, count: int, lanes: int = 0) -> ImageCoder:
        """See `genlab.coding.contract.Compresses`."""
        return coding.coder(self, state, count, lanes)

    def predict(self, state: State, batch: Batch, key: jax.Array) -> jax.Array:
        """u8[B,H,W,C] -> u8[B,H,W,C]: each value's mean given the true ones before it."""
        levels = self.predictor.levels
        values = self.orders.symmetry.apply(quantise(batch["image"], levels))
        params = self._apply(state.params[PLAYER], values, batch["label"])

        def mean(colour: int) -> jax.Array:
            logits = self.predictor.conditional(params, values, colour)  # f32[B,H,W,levels]
            return jax.nn.softmax(logits) @ jnp.arange(levels, dtype=jnp.float32)

        means = jnp.stack([mean(colour) for colour in range(self.shape[2])], -1)
        means = self.orders.symmetry.undo(means)
        return jnp.round(means * (255.0 / (levels - 1))).astype(jnp.uint8)

    def side_by_side(self, state: State) -> dict[str, tuple[np.ndarray, str]]:
        return {"receptive_fields": (pictures.receptive_fields(self, state), pictures.FIELD)}

    def pictures(self, model: Model, split: Split, key: jax.Array) -> dict[str, Picture]:
        field = {"receptive_field": pictures.receptive_field(self, model.state)}
        return field | pictures.of_images(self, model, split, key)

    def context(self, labels: jax.Array, chosen: jax.Array | None = None) -> jax.Array | None:
        """What the network is told: labels and i32[B] numbers of orders (by default the usual one)
        -> f32[B,1,1,classes+orders], or None where there is nothing to tell."""
        if chosen is None:
            chosen = jnp.full(labels.shape[0], self.orders.place(None))
        vectors = [self.condition.vector(labels), self.orders.vector(chosen)]
        told = [vector for vector in vectors if vector is not None]
        return jnp.concatenate(told, -1)[:, None, None] if told else None

    def _apply(
        self,
        params: Tree,
        values: jax.Array,
        labels: jax.Array,
        chosen: jax.Array | None = None,
        rngs: Any = None,
    ) -> jax.Array:
        x = centre(values, self.predictor.levels)  # f32[B,H,W,C]
        context, train = self.context(labels, chosen), rngs is not None
        return outputs_of(self.network, params, x, context, train=train, rngs=rngs)

    def _measure(
        self,
        params: Tree,
        values: jax.Array,
        labels: jax.Array,
        chosen: jax.Array,
        rngs: dict[str, jax.Array] | None = None,
    ) -> Metrics:
        values = self.orders.apply(values, chosen)
        outputs = self._apply(params, values, labels, chosen, rngs)  # f32[B,H,W,C,outputs]
        if isinstance(self.predictor, GreyValue):
            return {"mse": self.predictor.squared_error(outputs, values).mean((1, 2, 3))}
        assert isinstance(self.predictor, PixelLikelihood)
        return {"nll": -self.predictor.log_prob(outputs, values).sum((1, 2, 3))}  # f32[B]
