"""Classifiers, whose features judge samples."""
