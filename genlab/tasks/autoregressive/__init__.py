"""Autoregressive models: PixelCNNs and PixelRNNs."""

from genlab.tasks.autoregressive.defaults import config, deep, likelihood_training, wide

__all__ = ["config", "deep", "likelihood_training", "wide"]
