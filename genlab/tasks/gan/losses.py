"""What a discriminator and a generator minimise, and what keeps the discriminator smooth.

Logits are f32[B]: large where the discriminator takes an image for real.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from genlab import noise
from genlab.errors import UserError

softplus = jax.nn.softplus  # softplus(-l) = -log sigmoid(l), finite at logits of any size


@dataclass(frozen=True)
class Loss:
    """A pair of losses; all act value by value on logits.

    real: the discriminator's loss of a real image's logit.
    fake: the discriminator's loss of a generated image's logit.
    generator: the generator's loss of a generated image's logit.
    boundary: the logit above which an image counts as taken for real.
    """

    real: Callable[[jax.Array], jax.Array]
    fake: Callable[[jax.Array], jax.Array]
    generator: Callable[[jax.Array], jax.Array]
    boundary: float = 0.0


LOSSES = {
    # Goodfellow et al., arXiv 1406.2661, equation 1, and section 3 for the non-saturating form.
    "minimax": Loss(lambda r: softplus(-r), softplus, lambda f: -softplus(f)),
    "non_saturating": Loss(lambda r: softplus(-r), softplus, lambda f: softplus(-f)),
    # Mao et al., arXiv 1611.04076, equation 9, with b = c = 1 and a = 0.
    "least_squares": Loss(
        lambda r: 0.5 * (r - 1.0) ** 2, lambda f: 0.5 * f**2, lambda f: 0.5 * (f - 1.0) ** 2, 0.5
    ),
    # Lim and Ye, arXiv 1705.02894, section 2.
    "hinge": Loss(lambda r: jax.nn.relu(1.0 - r), lambda f: jax.nn.relu(1.0 + f), lambda f: -f),
    # Arjovsky et al., arXiv 1701.07875, equation 3; needs a gradient penalty.
    "wasserstein": Loss(lambda r: -r, lambda f: f, lambda f: -f),
}


def gradient_penalty(
    score: Callable[[jax.Array], jax.Array], real: jax.Array, fake: jax.Array, key: jax.Array
) -> jax.Array:
    """f32[B]: (|gradient| - 1)^2 at a random point between each real and generated image.

    Source: Gulrajani et al., arXiv 1704.00028, section 4.

    Args: score: f32[B,H,W,C] -> f32[B].
    """
    share = noise.uniform(key, (real.shape[0], *[1] * (real.ndim - 1)))
    slope = jax.grad(lambda x: score(x).sum())(share * real + (1.0 - share) * fake)
    squares = jnp.square(slope).reshape(real.shape[0], -1).sum(-1)
    return jnp.square(jnp.sqrt(squares + 1e-12) - 1.0)  # the root has no slope at 0


def r1(score: Callable[[jax.Array], jax.Array], real: jax.Array) -> jax.Array:
    """f32[B]: |gradient|^2 at real images (Mescheder et al., arXiv 1801.04406, section 4.1)."""
    slope = jax.grad(lambda x: score(x).sum())(real)
    return jnp.square(slope).reshape(real.shape[0], -1).sum(-1)


@dataclass(frozen=True)
class Objective:
    """What both players minimise.

    name: one of LOSSES.
    label_smoothing: how far the label of real images is below 1.
    gradient_penalty: weight of that penalty, 0 for none.
    r1: weight of that penalty, 0 for none.
    """

    name: str = "non_saturating"
    label_smoothing: float = 0.0
    gradient_penalty: float = 0.0
    r1: float = 0.0

    @property
    def loss(self) -> Loss:
        """The pair of losses that `name` names."""
        return LOSSES[self.name]

    def discriminator(self, of_real: jax.Array, of_fake: jax.Array) -> jax.Array:
        """f32[]: the loss of logits f32[B], real images labelled 1 - label_smoothing and generated
        ones 0 (one-sided: Salimans et al., arXiv 1606.03498, section 3.4)."""
        real = (1.0 - self.label_smoothing) * self.loss.real(of_real)
        if self.label_smoothing:
            real += self.label_smoothing * self.loss.fake(of_real)
        return (real + self.loss.fake(of_fake)).mean()

    def penalties(
        self,
        score: Callable[[jax.Array], jax.Array],
        real: jax.Array,
        fake: jax.Array,
        key: jax.Array,
    ) -> tuple[jax.Array | float, dict[str, jax.Array]]:
        """f32[], the weighted sum of the penalties in use, and each of them by name."""
        total: jax.Array | float = 0.0
        penalties: dict[str, jax.Array] = {}
        if self.gradient_penalty:
            penalties["gradient_penalty"] = gradient_penalty(score, real, fake, key).mean()
            total += self.gradient_penalty * penalties["gradient_penalty"]
        if self.r1:
            penalties["r1"] = r1(score, real).mean()
            total += 0.5 * self.r1 * penalties["r1"]
        return total, penalties


def objective(section: ConfigDict) -> Objective:
    """The objective of `config.gan`. Raises UserError for a loss that lacks what it needs."""
    if section.loss == "wasserstein" and not section.gradient_penalty:
        raise UserError("gan.loss=wasserstein needs gan.gradient_penalty (10 in its paper).")
    return Objective(section.loss, section.label_smoothing, section.gradient_penalty, section.r1)
