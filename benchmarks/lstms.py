"""Row LSTM and Diagonal BiLSTM in PyTorch: the input's part of all gates at once, then a loop over
rows or diagonals. When compiled, the body of the loop is."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from ml_collections import ConfigDict
from torch import Tensor, nn

from benchmarks.pixels import MaskedConv, PixelCNN, trained_alone
from benchmarks.theirs import Player


class Cell(nn.Module):
    """A step of an LSTM whose states see several others: `around` them.

    groups: of states that have a kernel of their own.
    """

    def __init__(self, groups: int, seen: int, h: int) -> None:
        super().__init__()
        bound = (6.0 / ((seen + 4) * h)) ** 0.5
        self.kernel = nn.Parameter(torch.empty(groups, seen * h, 4 * h).uniform_(-bound, bound))

    def forward(self, drive: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """[G,B,N,4h] and the states [G,B,N,h] -> the new states."""
        seen = self.around(h).flatten(1, 2)
        gates = torch.baddbmm(drive.flatten(1, 2), seen, self.kernel).view_as(drive)
        o, f, i, content = gates.chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(content)
        return torch.sigmoid(o) * torch.tanh(c), c

    def around(self, h: Tensor) -> Tensor:
        """[G,B,N,h] -> [G,B,N,seen*h]."""
        raise NotImplementedError

    def scan(self, drive: Tensor, h: Tensor, c: Tensor) -> Tensor:
        """[T,G,B,N,4h] and the first states -> the states h [T,G,B,N,h]."""
        states = []
        for now in drive.unbind(0):
            h, c = self(now, h, c)
            states.append(h)
        return torch.stack(states)


class RowCell(Cell):
    """Sees the three states above."""

    def around(self, h: Tensor) -> Tensor:
        padded = F.pad(h, (0, 0, 1, 1))
        return torch.cat([padded[..., :-2, :], h, padded[..., 2:, :]], -1)


class DiagonalCell(Cell):
    """Sees the state beside and the one above."""

    def around(self, h: Tensor) -> Tensor:
        return torch.cat([h, F.pad(h, (0, 0, 1, 0))[..., :-1, :]], -1)


class RowLSTMLayer(nn.Module):
    """States pass from row to row."""

    def __init__(self, h: int) -> None:
        super().__init__()
        self.drive = MaskedConv(2 * h, 4 * h, 3, rows=0)
        self.cell = RowCell(1, 3, h)
        self.initial = nn.Parameter(torch.zeros(2, h))
        self.out = nn.Conv2d(h, 2 * h, 1)

    def forward(self, x: Tensor) -> Tensor:
        b, _, _, width = x.shape
        drive = self.drive(x).permute(2, 0, 3, 1)[:, None].contiguous()  # [H,1,B,W,4h]
        h, c = (s.expand(1, b, width, -1) for s in self.initial)
        states = self.cell.scan(drive, h, c)[:, 0]  # [H,B,W,h]
        return self.out(states.permute(1, 3, 0, 2))


def skew(x: Tensor) -> Tensor:
    """[...,H,W,F] -> [...,H,H+W-1,F]: row i is moved right by i."""
    *lead, height, width, size = x.shape
    x = F.pad(x, (0, 0, 0, height)).reshape(*lead, height * (height + width), size)
    return x[..., : height * (height + width - 1), :].reshape(*lead, height, -1, size)


def unskew(x: Tensor, width: int) -> Tensor:
    """The inverse of `skew`."""
    *lead, height, columns, size = x.shape
    x = F.pad(x.reshape(*lead, height * columns, size), (0, 0, 0, height))
    return x.reshape(*lead, height, columns + 1, size)[..., :width, :]


class DiagonalBiLSTMLayer(nn.Module):
    """States pass along diagonals, both directions in one loop. A row that has not begun is given
    a drive of zeros."""

    def __init__(self, h: int) -> None:
        super().__init__()
        self.drive = nn.Conv2d(2 * h, 8 * h, 1)
        self.cell = DiagonalCell(2, 2, h)
        self.initial = nn.Parameter(torch.zeros(2, 2, h))
        self.out = nn.Conv2d(h, 2 * h, 1)

    def forward(self, x: Tensor) -> Tensor:
        b, _, height, width = x.shape
        left, right = self.drive(x).permute(0, 2, 3, 1).chunk(2, -1)  # [B,H,W,4h] each
        drive = skew(torch.stack([left, right.flip(2)]))  # [2,B,H,H+W-1,4h]
        h, c = (s[:, None, None].expand(2, b, height, -1) for s in self.initial)
        states = self.cell.scan(drive.permute(3, 0, 1, 2, 4).contiguous(), h, c)
        left, right = unskew(states.permute(1, 2, 3, 0, 4), width)
        lowered = F.pad(right.flip(2), (0, 0, 0, 0, 1, 0))[:, :-1]
        return self.out((left + lowered).permute(0, 3, 1, 2))


class WithMargin(PixelCNN):
    """Layers work on one more column than the image has."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (0, 1)))[..., : x.shape[3]]


def row_lstm(config: ConfigDict, _: tuple[int, int, int]) -> list[Player]:
    """`recurrent.RowLSTM`."""
    layers = [RowLSTMLayer(config.model.features) for _ in range(config.model.layers)]
    network = PixelCNN(config.model, list(layers))
    return trained_alone(network, config, *(layer.cell for layer in layers))


def diagonal_bilstm(config: ConfigDict, _: tuple[int, int, int]) -> list[Player]:
    """`recurrent.DiagonalBiLSTM`."""
    layers = [DiagonalBiLSTMLayer(config.model.features) for _ in range(config.model.layers)]
    network = WithMargin(config.model, list(layers))
    return trained_alone(network, config, *(layer.cell for layer in layers))
