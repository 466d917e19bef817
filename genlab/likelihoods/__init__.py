"""Distributions of pixels given a network's outputs, in nats."""
