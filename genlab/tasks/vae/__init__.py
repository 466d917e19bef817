"""Variational autoencoders."""

from genlab.tasks.vae.defaults import config

__all__ = ["config"]
