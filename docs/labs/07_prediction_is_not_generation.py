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
# # 7. Prediction is not generation
#
# A network of pixels predicts each pixel from the *true* ones before it. Such predictions look like
# perfect copies, and say nothing of what the model draws by itself. The model comes with genlab.

# %% [markdown]
# How many digits we look at.

# %% tags=["parameters"] smoke="COUNT = 3"
COUNT = 10

# %% [markdown]
# The model and real test digits.

# %%
import jax
import numpy as np
from PIL import Image

import genlab
from genlab import data
from genlab.pictures.files import grid


def show(*rows, columns=10):
    """Rows of u8[N,H,W,C] as one picture."""
    return Image.fromarray(grid(np.concatenate(rows), columns))


model = genlab.pretrained("digits_pixelcnn")
digits = data.load(model.config.data).test.read(np.arange(COUNT))["image"]

# %% [markdown]
# Each pixel's mean, given the true pixels before it: one pass of the network.

# %%
predicted = model.apply("predict", digits)
show(digits, predicted)

# %% [markdown]
# The same for noise, which the network was never shown: predictions that are sure, and wrong.

# %%
noise = np.random.default_rng(0).integers(0, 17, digits.shape).astype(np.uint8) * 15
show(noise, model.apply("predict", noise))

# %% [markdown]
# Generation: every pixel is drawn given the ones *drawn* before. This is what the model knows of digits.

# %%
show(model.sample(jax.random.key(0), COUNT))

# %% [markdown]
# Between the two: the first rows are given, the rest is drawn. Rows of the picture: 2, 4 and 6 of 8 given.

# %%
rows = []
for given in (2, 4, 6):
    known = np.zeros(digits.shape, bool)
    known[:, :given] = True
    rows.append(model.complete(jax.random.key(1), digits, known))
show(digits, *rows)

# %% [markdown]
# And in numbers: nats of each image, which is the sum over its pixels.

# %%
for name, images in {"digits": digits, "noise": noise}.items():
    nats = -model.log_prob(images).mean()
    print(f"{name:8} {nats:7.1f} nats, {nats / np.log(2) / 64:.2f} bits a pixel")

# %% [markdown]
# ## Questions
#
# 1. Why is the prediction of a white pixel beside a black one rarely wrong by much?
# 2. A paper shows a row of images and below it nearly the same row, and calls it generation. What would you ask its authors?
# 3. 17 levels cost log2(17) = 4.09 bits a pixel if all are equally likely. Why does noise cost *more* than that under this model?

# %% [markdown]
# ## Observations
#
# What did you see? Note here what you changed, and the numbers before and after.
