"""Autoregressive models: PixelCNNs and PixelRNNs."""
