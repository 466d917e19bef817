"""Lossless coding of images by a model's likelihood: an entropy coder, and the `.glz` file."""
