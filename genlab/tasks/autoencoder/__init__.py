"""Autoencoders and denoising autoencoders."""
