# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 14. A small image first
#
# A Diagonal BiLSTM draws every second pixel of every second row; a Gated PixelCNN draws the others,
# given those. The likelihood is that of the whole image, exactly: every pixel is modelled once.

# %% [markdown]
# How long we train.

# %% tags=["parameters"] smoke="STEPS = 3"
STEPS = 250

# %% [markdown]
# Two networks in one, on 8x8 digits: 4x4 first, then the rest.

# %%
import tempfile

import jax
import numpy as np
from PIL import Image

import genlab
from genlab import data
from genlab.pictures.files import grid
from genlab.tasks import autoregressive


def show(*rows, columns=10):
    """Rows of u8[N,H,W,C] as one picture."""
    return Image.fromarray(grid(np.concatenate(rows), columns))


small = {"name": "recurrent.DiagonalBiLSTM", "features": 12, "layers": 2, "first_kernel": 3}
large = {"name": "gated.GatedPixelCNN", "features": 12, "layers": 2, "first_kernel": 3}
config = autoregressive.config("multiscale.MultiScale", factor=2, small=small, large=large)
config.data.update(source="digits", batch_size=32)
config.likelihood.levels = 17
config.optim.update(learning_rate=2e-3, schedule="cosine", ema=0.98)
config.train.update(steps=STEPS, eval_every=0, figures=False)
config.report.writers = ()

# %% [markdown]
# Training, and test nats beside those of the PixelCNN that comes with genlab and was trained for 2,000 steps.

# %%
model = genlab.train(config, tempfile.mkdtemp())
plain = genlab.pretrained("digits_pixelcnn")
test = data.load(config.data).test
digits = test.read(np.arange(len(test)))["image"]
for name, one in {"small image first": model, "row by row": plain}.items():
    print(f"{name:18} {-one.log_prob(digits).mean():6.1f} nats")

# %% [markdown]
# Samples: above of this model, below of the plain one.

# %%
show(*(one.sample(jax.random.key(0), 10) for one in (model, plain)))

# %% [markdown]
# The small image is known first. We give it, and have the rest drawn three times. Every digit's small image, and what becomes of it.

# %%
known = np.zeros(digits[:10].shape, bool)
known[:, ::2, ::2] = True
given = np.where(known, digits[:10], 0).astype(np.uint8)
drawn = [model.complete(jax.random.key(i), digits[:10], known) for i in range(3)]
show(given, *drawn, digits[:10])

# %% [markdown]
# Fixed small image, many large ones: where do they differ? The deviation over 32 draws, brighter is more.

# %%
one = np.repeat(digits[:10], 32, 0)
many = model.complete(jax.random.key(5), one, np.repeat(known, 32, 0))
spread = many.reshape(10, 32, 8, 8, 1).std(1)
show(np.clip(2 * spread, 0, 255).astype(np.uint8))

# %% [markdown]
# ## Questions
#
# 1. Sixteen pixels of 64 are drawn first. Do they settle which digit it is?
# 2. Where is the spread largest, on strokes, on their edges or in the background?
# 3. What would `factor=4` change: in the first image, in the time of sampling, in the nats?

# %% [markdown]
# ## Observations
#
# What did you see? Note here what you changed, and the numbers before and after.
