"""Generative adversarial networks."""

from genlab.tasks.gan.defaults import config, dcgan

__all__ = ["config", "dcgan"]
