"""The dense GAN and the DCGAN in PyTorch: an update of the discriminator, one of the generator."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from ml_collections import ConfigDict
from torch import Tensor, nn

from benchmarks.theirs import Player

Shape = tuple[int, int, int]
EPSILON = 1e-3  # of batch normalisation, as in Keras


def leaky() -> nn.Module:
    """LeakyReLU with the slope 0.2."""
    return nn.LeakyReLU(0.2, inplace=True)


def dense_generator(model: ConfigDict, shape: Shape) -> nn.Sequential:
    """`gan.DenseGenerator`."""
    layers: list[nn.Module] = []
    for c_in, c_out in pairwise((model.latent, *model.hidden)):
        norm = nn.BatchNorm1d(c_out, EPSILON, 1.0 - model.momentum)
        layers += [nn.Linear(c_in, c_out), leaky(), norm]
    last = nn.Linear(model.hidden[-1], math.prod(shape))
    return nn.Sequential(*layers, last, nn.Tanh(), nn.Unflatten(1, (shape[2], *shape[:2])))


def dense_discriminator(model: ConfigDict, shape: Shape) -> nn.Sequential:
    """`gan.DenseDiscriminator` without dropout."""
    layers: list[nn.Module] = [nn.Flatten()]
    for c_in, c_out in pairwise((math.prod(shape), *model.hidden)):
        layers += [nn.Linear(c_in, c_out), leaky()]
    return nn.Sequential(*layers, nn.Linear(model.hidden[-1], 1), nn.Flatten(0))


def resize_generator(model: ConfigDict, shape: Shape) -> nn.Sequential:
    """`gan.ResizeGenerator`."""
    sides = [shape[0]]
    for _ in range(len(model.features) + 1):
        sides.insert(0, -(-sides[0] // 2))
    start, k = (model.start, sides[0], sides[0]), model.kernel
    layers: list[nn.Module] = [nn.Linear(model.latent, math.prod(start)), nn.Unflatten(1, start)]
    widths = (model.start, *model.features, shape[2])
    for (c_in, c_out), (side, larger) in zip(pairwise(widths), pairwise(sides), strict=True):
        norm = nn.BatchNorm2d(c_in, EPSILON, 1.0 - model.momentum)
        grow = nn.ConvTranspose2d(c_in, c_out, k, 2, k // 2, 1)
        layers += [norm, leaky(), nn.Dropout(model.dropout), grow]
        layers += [nn.Upsample((larger, larger))] if larger != 2 * side else []
    return nn.Sequential(*layers, nn.Tanh())


def strided_discriminator(model: ConfigDict, shape: Shape) -> nn.Sequential:
    """`gan.StridedDiscriminator`."""
    layers: list[nn.Module] = []
    (side, _, c_in), k = shape, model.kernel
    for index, c_out in enumerate(model.features):
        layers += [nn.Conv2d(c_in, c_out, k, 2, k // 2), leaky(), nn.Dropout(model.dropout)]
        layers += [nn.BatchNorm2d(c_out, EPSILON, 1.0 - model.momentum)] if index else []
        c_in, side = c_out, -(-side // 2)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(side * side * c_in, 1), nn.Flatten(0))


def _players(generator: nn.Module, discriminator: nn.Module, config: ConfigDict) -> list[Player]:
    def draw(pixels: Tensor) -> Tensor:
        size = len(pixels), config.model.generator.latent
        return generator(torch.randn(size, device=pixels.device))

    def discriminate(pixels: Tensor) -> Tensor:
        with torch.no_grad():
            fake = draw(pixels)
        of_real, of_fake = discriminator(2.0 * pixels - 1.0), discriminator(fake)
        return (F.softplus(-of_real) + F.softplus(of_fake)).mean()

    def generate(pixels: Tensor) -> Tensor:
        return F.softplus(-discriminator(draw(pixels))).mean()

    return [
        Player(discriminator, config.optim.discriminator, discriminate),
        Player(generator, config.optim.generator, generate),
    ]


def dense(config: ConfigDict, shape: Shape) -> list[Player]:
    """The dense GAN."""
    generator = dense_generator(config.model.generator, shape)
    return _players(generator, dense_discriminator(config.model.discriminator, shape), config)


def dcgan(config: ConfigDict, shape: Shape) -> list[Player]:
    """The GAN of strided convolutions."""
    generator = resize_generator(config.model.generator, shape)
    return _players(generator, strided_discriminator(config.model.discriminator, shape), config)
