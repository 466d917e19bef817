"""Autoregressive models: PixelCNNs and PixelRNNs."""

from genlab.tasks.autoregressive.defaults import config, likelihood_training, wide

__all__ = ["config", "likelihood_training", "wide"]
