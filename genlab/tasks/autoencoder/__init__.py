"""Autoencoders and denoising autoencoders."""

from genlab.tasks.autoencoder.defaults import config

__all__ = ["config"]
