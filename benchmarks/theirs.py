"""PyTorch's side: players with their losses, Adam, and a training step, eager or compiled."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from ml_collections import ConfigDict
from torch import Tensor, nn

LAYOUTS = {"NCHW": torch.contiguous_format, "NHWC": torch.channels_last}


@dataclass(frozen=True)
class Player:
    """Who moves.

    optim: the section of the config.
    loss: of pixels f32[B,C,H,W] on [0,1]; a scalar.
    cells: modules that loops call; compiled in the whole network's stead, because a compiler would
      unroll such a loop.
    """

    network: nn.Module
    optim: ConfigDict
    loss: Callable[[Tensor], Tensor]
    cells: tuple[nn.Module, ...] = ()


def players(name: str, config: ConfigDict, shape: tuple[int, int, int]) -> list[Player]:
    """What `file.function` in benchmarks/ builds of our config, for images of that (H, W, C)."""
    file, _, function = name.partition(".")
    torch.manual_seed(0)
    return getattr(importlib.import_module(f"benchmarks.{file}"), function)(config, shape)


def parameters(every: list[Player]) -> int:
    """How many numbers are trained; of a masked kernel those that the mask shows."""
    return sum(_parameters(player.network) for player in every)


def _parameters(network: nn.Module) -> int:
    counted = sum(p.numel() for p in network.parameters())
    for module in network.modules():
        if isinstance(mask := getattr(module, "mask", None), Tensor):
            weight = module.get_parameter("weight")
            counted -= int((mask == 0).sum()) * weight.shape[0] * weight.shape[1]
    return counted


def step(
    every: list[Player], images: np.ndarray, layout: str, compiled: bool
) -> Callable[[], None]:
    """Trains one step of all players at each call, and waits for it.

    Args:
      images: u8[B,H,W,C].
      layout: of LAYOUTS.
      compiled: by `torch.compile`.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    batch = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().to(device)
    updates = [_update(player, every, device, layout, compiled) for player in every]

    def run() -> None:
        for update in updates:
            update(batch)
        if device == "cuda":
            torch.cuda.synchronize()

    return run


def _update(
    player: Player, every: list[Player], device: str, layout: str, compiled: bool
) -> Callable[[Tensor], None]:
    network = player.network.to(device).to(memory_format=LAYOUTS[layout])
    others = [other.network for other in every if other is not player]
    rate, b1, eps = (player.optim[key] for key in ("learning_rate", "b1", "eps"))
    adam = torch.optim.Adam(network.parameters(), rate, (b1, 0.999), eps, fused=True)

    def loss(batch: Tensor) -> Tensor:
        pixels = batch.to(memory_format=LAYOUTS[layout]).float() / 255.0
        return player.loss(pixels)

    for cell in player.cells if compiled else ():
        cell.compile(dynamic=False)
    if compiled and not player.cells:
        loss = torch.compile(loss, dynamic=False)

    def update(batch: Tensor) -> None:
        for other in others:  # no gradients of those who do not move
            other.requires_grad_(False)
        network.requires_grad_(True)
        adam.zero_grad(set_to_none=True)
        loss(batch).backward()
        adam.step()

    return update
