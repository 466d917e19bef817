"""PixelCNN and Gated PixelCNN in PyTorch, for one colour of two levels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from ml_collections import ConfigDict
from torch import Tensor, nn

from benchmarks.theirs import Player


class MaskedConv(nn.Module):
    """A convolution over the rows and columns that a mask shows, as few of them as can be.

    rows: above the pixel's own; None for half the kernel.
    """

    mask: Tensor

    def __init__(
        self, c_in: int, c_out: int, kernel: int = 3, kind: str = "B", rows: int | None = None
    ) -> None:
        super().__init__()
        above, side = kernel // 2 if rows is None else rows, kernel // 2
        own = side + (kind == "B")  # columns of the pixel's own row
        shown = torch.arange((above + 1) * kernel) < above * kernel + own
        mask = shown.float().view(1, 1, above + 1, kernel)
        self.register_buffer("mask", mask if above else mask[..., :own])
        weight = torch.empty(c_out, c_in, *self.mask.shape[2:])
        self.weight = nn.Parameter(nn.init.xavier_uniform_(weight))
        self.bias = nn.Parameter(torch.zeros(c_out))
        self.padding, self.hides = (above, side), bool((self.mask == 0).any())

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight * self.mask if self.hides else self.weight
        y = F.conv2d(x, weight, self.bias, padding=self.padding)
        return y[:, :, : x.shape[2], : x.shape[3]]


def head(c_in: int, maps: int, outputs: int) -> nn.Sequential:
    """Twice ReLU and a 1x1 convolution."""
    first, last = nn.Conv2d(c_in, maps, 1), nn.Conv2d(maps, outputs, 1)
    return nn.Sequential(nn.ReLU(), first, nn.ReLU(), last)


class PixelCNN(nn.Module):
    """A first masked convolution, layers, and a head.

    layers: (f32[B,2h,H,W]) -> f32[B,2h,H,W] each.
    """

    def __init__(self, config: ConfigDict, layers: list[nn.Module]) -> None:
        super().__init__()
        self.first = MaskedConv(1, 2 * config.features, config.first_kernel, "A")
        self.layers = nn.ModuleList(layers)
        self.head = head(2 * config.features, config.head, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        for layer in self.layers:
            y = y + layer(y)
        return self.head(y)


def conv_layer(h: int, kernel: int) -> nn.Sequential:
    """ReLU, 1x1 to h, ReLU, masked, ReLU, 1x1 to 2h."""
    narrow, wide = nn.Conv2d(2 * h, h, 1), nn.Conv2d(h, 2 * h, 1)
    masked = MaskedConv(h, h, kernel)
    return nn.Sequential(nn.ReLU(), narrow, nn.ReLU(), masked, nn.ReLU(), wide)


def gate(x: Tensor) -> Tensor:
    """[B,2p,H,W] -> [B,p,H,W]."""
    value, opening = x.chunk(2, 1)
    return torch.tanh(value) * torch.sigmoid(opening)


class GatedLayer(nn.Module):
    """One layer of both stacks; `rows` are those of the vertical kernel."""

    def __init__(self, c_in: int, p: int, kernel: int, kind: str, rows: int) -> None:
        super().__init__()
        padding = (rows - 1, kernel // 2)
        self.vertical = nn.Conv2d(c_in, 2 * p, (rows, kernel), padding=padding)
        self.link = nn.Conv2d(2 * p, 2 * p, 1, bias=False)
        self.across = MaskedConv(c_in, 2 * p, kernel, kind, rows=0)
        self.out = nn.Conv2d(p, p, 1)
        self.residual = kind == "B"

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        gates = self.vertical(v)[:, :, : v.shape[2]]
        out = self.out(gate(self.across(h) + self.link(gates)))
        return gate(gates), h + out if self.residual else out


class GatedPixelCNN(nn.Module):
    """Two stacks, and no blind spot."""

    def __init__(self, config: ConfigDict) -> None:
        super().__init__()
        p, first, kernel = config.features, config.first_kernel, config.kernel
        self.layers = nn.ModuleList(
            [GatedLayer(1, p, first, "A", first // 2)]
            + [GatedLayer(p, p, kernel, "B", kernel // 2 + 1) for _ in range(config.layers)]
        )
        self.head = head(p, config.head, 1)

    def forward(self, x: Tensor) -> Tensor:
        v, h = F.pad(x, (0, 0, 1, 0))[:, :, :-1], x
        for layer in self.layers:
            v, h = layer(v, h)
        return self.head(h)


def trained_alone(network: nn.Module, config: ConfigDict, *cells: nn.Module) -> list[Player]:
    """A network of pixels with two levels, and its negative log-likelihood per dimension."""

    def loss(pixels: Tensor) -> Tensor:
        values = (pixels > 0.5).float()
        logits = network(2.0 * values - 1.0)
        return F.binary_cross_entropy_with_logits(logits, values)

    return [Player(network, config.optim, loss, cells)]


def pixelcnn(config: ConfigDict, _: tuple[int, int, int]) -> list[Player]:
    """`masked.PixelCNN`."""
    model = config.model
    layers = [conv_layer(model.features, model.kernel) for _ in range(model.layers)]
    return trained_alone(PixelCNN(model, layers), config)


def gated_pixelcnn(config: ConfigDict, _: tuple[int, int, int]) -> list[Player]:
    """`gated.GatedPixelCNN`."""
    return trained_alone(GatedPixelCNN(config.model), config)
