"""The convolutional VAE and the dense IWAE in PyTorch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from ml_collections import ConfigDict
from torch import Tensor, nn

from benchmarks.theirs import Player

Shape = tuple[int, int, int]
TERMS = {"reduction": "none"}


def conv_encoder(model: ConfigDict, shape: Shape) -> nn.Sequential:
    """`conv.StridedEncoder` with ReLU, f32[B,C,H,W] -> f32[B,2d]."""
    (side, _, c_in), half = shape, model.kernel // 2
    layers: list[nn.Module] = []
    for features, stride in zip(model.features, model.strides, strict=True):
        layers += [nn.Conv2d(c_in, features, model.kernel, stride, half), nn.ReLU()]
        c_in, side = features, -(-side // stride)
    dense = nn.Linear(side * side * c_in, model.hidden), nn.ReLU()
    return nn.Sequential(*layers, nn.Flatten(), *dense, nn.Linear(model.hidden, 2 * model.code))


def conv_decoder(model: ConfigDict, shape: Shape) -> nn.Sequential:
    """`conv.StridedDecoder` with ReLU, f32[B,d] -> f32[B,C,H,W]."""
    side = shape[0] // math.prod(model.decoder_strides)
    c_in, half = model.start, model.kernel // 2
    start = nn.Linear(model.code, side * side * c_in), nn.ReLU()
    layers: list[nn.Module] = [*start, nn.Unflatten(1, (c_in, side, side))]
    for features, stride in zip(model.decoder_features, model.decoder_strides, strict=True):
        grown = nn.ConvTranspose2d(c_in, features, model.kernel, stride, half, stride - 1)
        layers, c_in = [*layers, grown, nn.ReLU()], features
    return nn.Sequential(*layers, nn.Conv2d(c_in, shape[2], model.kernel, padding=half))


def dense_layers(sizes: Sequence[int]) -> nn.Sequential:
    """Dense layers with tanh between them."""
    layers: list[nn.Module] = []
    for c_in, c_out in pairwise(sizes):
        layers += [nn.Linear(c_in, c_out), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def posterior(encoded: Tensor) -> tuple[Tensor, Tensor]:
    """f32[B,2d] -> mean and log variance f32[B,d]."""
    mean, log_variance = encoded.chunk(2, 1)
    return mean, log_variance.clamp(-20.0, 20.0)


def conv_vae(config: ConfigDict, shape: Shape) -> list[Player]:
    """`conv.StridedAutoencoder`, on the weighted ELBO of one draw, grey values as probabilities."""
    encoder, decoder = conv_encoder(config.model, shape), conv_decoder(config.model, shape)

    def loss(pixels: Tensor) -> Tensor:
        mean, log_variance = posterior(encoder(pixels))
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        terms = F.binary_cross_entropy_with_logits(decoder(z), pixels, **TERMS)
        kl = 0.5 * (torch.expm1(log_variance) - log_variance + mean**2).sum(1)
        return (terms.sum((1, 2, 3)) + config.vae.beta * kl).mean() / math.prod(shape)

    return [Player(nn.ModuleList([encoder, decoder]), config.optim, loss)]


def iwae(config: ConfigDict, shape: Shape) -> list[Player]:
    """`dense.Autoencoder`, on the bound of several draws."""
    model, k = config.model, config.vae.samples
    encoder = dense_layers((math.prod(shape), *model.hidden, 2 * model.code))
    decoder = dense_layers((model.code, *model.hidden[::-1], math.prod(shape)))

    def loss(pixels: Tensor) -> Tensor:
        values = (pixels > 0.5).float().flatten(1)  # f32[B,N]
        mean, log_variance = posterior(encoder(values))
        eps = torch.randn(k, *mean.shape, device=mean.device)
        z = mean + torch.exp(0.5 * log_variance) * eps  # f32[K,B,d]
        logits = decoder(z.flatten(0, 1)).view(k, *values.shape)
        terms = F.binary_cross_entropy_with_logits(logits, values.expand_as(logits), **TERMS)
        ratio = 0.5 * (eps**2 + log_variance - z**2).sum(-1)
        bound = torch.logsumexp(ratio - terms.sum(-1), 0) - math.log(k)
        return -bound.mean() / math.prod(shape)

    return [Player(nn.ModuleList([encoder, decoder]), config.optim, loss)]
