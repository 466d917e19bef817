"""Classifiers, whose features judge samples."""

from genlab.tasks.classifier.defaults import config

__all__ = ["config"]
