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
# # 2. Generating from codes, and why it fails
#
# A decoder makes an image of any 32 numbers. Which numbers should it be given? Three densities of
# codes, and a judge for each. No training: the autoencoder of exercise 1.

# %% [markdown]
# How many samples of each density.

# %% tags=["parameters"] smoke="SOURCE, COUNT = 'digits', 40"
SOURCE, COUNT = "tfds:mnist", 500

# %% [markdown]
# The model, test images, and training images.

# %%
import jax
import numpy as np
from PIL import Image

import genlab
from genlab import config as configs
from genlab import data
from genlab.pictures.files import grid

section = configs.base().data
section.update(source=SOURCE, image_size=28, channels=1, upscale=True)
sets = data.load(section)


def show(*rows, columns=10):
    """Rows of u8[N,H,W,C] as one picture."""
    return Image.fromarray(grid(np.concatenate(rows), columns))


test = sets.test.read(np.arange(COUNT))["image"]
training = sets.train.read(np.arange(4 * COUNT))["image"]
model = genlab.pretrained("mnist_ae_dense")

# %% [markdown]
# Codes drawn from N(0, I), from a Gaussian with the mean and covariance of the training codes, and from a mixture of Gaussians fitted to them: a row each, none chosen.

# %%
methods = ("normal", "gaussian", "mixture")
sets_of = {m: model.sample(jax.random.key(0), COUNT, method=m) for m in methods}
show(*(images[:10] for images in sets_of.values()))

# %% [markdown]
# Why? How far test codes lie from N(0, I) and from the Gaussian: the mean squared Mahalanobis distance per dimension, 1 for a density that fits.

# %%
codes = {name: model.encode(x).astype(float) for name, x in (("train", training), ("test", test))}
mean, covariance = codes["train"].mean(0), np.cov(codes["train"].T) + 1e-6 * np.eye(32)
away = codes["test"] - mean
print(f"N(0, I)   {np.square(codes['test']).mean():8.2f}")
print(f"Gaussian  {(away @ np.linalg.inv(covariance) * away).mean():8.2f}")

# %% [markdown]
# The judge's view, without intervals, which would take most of the time.

# %%
genlab.judge(sets_of, test, training, intervals=False)

# %% [markdown]
# ## Questions
#
# 1. Nothing in training pulled codes towards N(0, I). What could? (Exercise 5.)
# 2. Look at precision and at clipped density of `normal`. Which of the two would you print in a paper, and why?
# 3. The mixture has the best samples. How many components would copy the training set, and which number in the table would tell?

# %% [markdown]
# ## Observations
#
# What did you see? Note here what you changed, and the numbers before and after.
