"""What every VAE is: an image given its latent, and a Gaussian posterior of the latent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from genlab.condition import UNCONDITIONAL, Condition
from genlab.likelihoods import choose
from genlab.likelihoods.contract import ImageLikelihood
from genlab.likelihoods.gaussian import Gaussian
from genlab.likelihoods.levels import quantise
from genlab.nn.apply import outputs_of
from genlab.nn.dense import CodeNetwork
from genlab.state import State, Tree
from genlab.task import PLAYER, OnePlayer
from genlab.updates import Batch


@dataclass(frozen=True, kw_only=True)
class LatentVariable(OnePlayer):
    """A network whose code is a mean and a log variance.

    likelihood: of an image, given its latent.
    binarisation: how images become two levels, see `likelihoods.choose.observe`.
    """

    network: CodeNetwork
    likelihood: ImageLikelihood
    binarisation: str
    condition: Condition = UNCONDITIONAL

    def network_inputs(self, labels: jax.Array) -> tuple[Any, ...]:
        """The condition of the network, from i32[B]."""
        return (self.condition.vector(labels),)

    def code_size(self) -> int:
        """Numbers in a latent."""
        return self.network.codes

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
        values = values.reshape(b, -1)  # flat: XLA's CPU code for axes of length 1 is slow
        log_p = self.likelihood.log_prob(outputs.reshape(k, *values.shape, -1), values)
        ratio = 0.5 * (eps**2 + log_variance - z**2).sum(-1)  # the normalising constants cancel
        return log_p.sum(-1), ratio

    def _bytes(self, levels: jax.Array) -> jax.Array:
        return jnp.round(levels * (255.0 / (self.likelihood.levels - 1))).astype(jnp.uint8)
