"""What is compared: a config of ours, and the name of its network in PyTorch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ml_collections import ConfigDict

from genlab import config as configs
from genlab.errors import UserError, hint
from genlab.sections.fields import fields_of
from genlab.sections.shared import AveragedOptim, Optim


@dataclass(frozen=True)
class Case:
    """A training to compare.

    config: the stem of a file in configs/.
    theirs: `file.function` in benchmarks/, which builds the players in PyTorch.
    changes: of the config.
    """

    name: str
    config: str
    theirs: str
    changes: dict[str, Any] = field(default_factory=dict)

    def load(self) -> ConfigDict:
        """The config with the changes, and plain Adam at a constant rate in place of its own
        optimizers and averages, so that both sides do the same work."""
        config = configs.load(f"configs/{self.config}.py").copy_and_resolve_references().unlock()
        for path, section in configs.sections(config.task).items():
            if issubclass(section, Optim):
                _plain_adam(configs.at(config, path))
        config.update_from_flattened_dict(self.changes)
        return config


def _plain_adam(optim: ConfigDict) -> None:
    usual = {"name": "adam", "learning_rate": 1e-3, "b1": 0.9, "eps": 1e-8}
    kept = {key: optim[key] for key in usual if optim.name == "adam" and key in optim}
    fresh = {name: field.default for name, field in fields_of(AveragedOptim).items()}
    for key in list(optim):
        del optim[key]
    optim.update(fresh | usual | kept)


_LARGE = {"model.layers": 15, "model.features": 64, "data.batch_size": 64}
CASES = (
    Case("PixelCNN, 7 x h=32", "binarized_mnist_pixelcnn", "pixels.pixelcnn"),
    Case("PixelCNN, 15 x h=64", "binarized_mnist_pixelcnn", "pixels.pixelcnn", _LARGE),
    Case("Gated PixelCNN", "binarized_mnist_gated_pixelcnn", "pixels.gated_pixelcnn"),
    Case("Row LSTM", "binarized_mnist_row_lstm", "lstms.row_lstm"),
    Case("Diagonal BiLSTM", "binarized_mnist_diagonal_bilstm", "lstms.diagonal_bilstm"),
    Case("conv VAE", "mnist_vae", "codes.conv_vae"),
    Case("IWAE", "binarized_mnist_vae", "codes.iwae"),
    Case("dense GAN", "mnist_gan", "gans.dense"),
    Case("DCGAN", "mnist_dcgan_resize", "gans.dcgan"),
)


def chosen(names: list[str]) -> list[Case]:
    """The cases whose names or configs hold one of these; all for none. Raises UserError."""
    for name in names:
        if not _named(name):
            known = {case.config for case in CASES}
            raise UserError(f"--only={name}: no such case.{hint(name, known)}")
    return [case for case in CASES if not names or any(case in _named(name) for name in names)]


def _named(name: str) -> list[Case]:
    return [case for case in CASES if name.lower() in f"{case.name} {case.config}".lower()]
