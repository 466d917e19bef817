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
# # 13. Colours
#
# A colour is three numbers that depend on one another. Masked groups of features let green see the
# red of its own pixel, and blue both; without them the three are drawn independently.

# %% [markdown]
# Where colour images come from (a folder of images will do: `folder:<path>`), their side, and how long we train.

# %% tags=["parameters"] smoke="SOURCE, SIDE, STEPS = 'digits', 4, 3"
import os

SOURCE = os.environ.get("LAB_COLOURS", "tfds:cifar10")
SIDE, STEPS = 4, 400

# %% [markdown]
# Tiny images: 4x4 pixels, 16 levels of each colour.

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


def config_of(groups):
    config = autoregressive.config("masked.PixelCNN", features=24, layers=2, first_kernel=3)
    config.model.colour_groups = groups
    config.likelihood.levels = 16
    config.data.update(source=SOURCE, image_size=SIDE, channels=3, upscale=True, batch_size=64)
    config.optim.update(name="muon", learning_rate=1e-2, schedule="cosine", ema=0.98)
    config.train.update(steps=STEPS, eval_every=0, figures=False)
    config.report.writers = ()
    return config


# %% [markdown]
# Real images, sixteen of them.

# %%
test = data.load(config_of(True).data).test
images = test.read(np.arange(min(400, len(test))))["image"]
show(images[:16], columns=8)

# %% [markdown]
# Training with groups and without.

# %%
models = {groups: genlab.train(config_of(groups), tempfile.mkdtemp()) for groups in (True, False)}

# %% [markdown]
# Bits per dimension of test images, and half of the interval of the difference, pair by pair.

# %%
scale = np.log(2) * SIDE * SIDE * 3
bits = {groups: -model.log_prob(images) / scale for groups, model in models.items()}
for groups, each in bits.items():
    print(f"colour groups {groups}: {each.mean():.3f} bits/dim")
each = bits[False] - bits[True]
print(f"without minus with: {each.mean():+.3f} ± {1.96 * each.std() / np.sqrt(len(each)):.3f}")

# %% [markdown]
# Samples of both, by the same noise: with groups above, without below.

# %%
show(*(model.sample(jax.random.key(0), 8) for model in models.values()), columns=8)

# %% [markdown]
# How much the colours of a pixel have to do with each other: correlations of red with green.


# %%
def correlation(images):
    red, green = images[..., 0].ravel() / 255.0, images[..., 1].ravel() / 255.0
    return np.corrcoef(red, green)[0, 1]


print(f"real {correlation(images):.2f}")
for groups, model in models.items():
    print(f"colour groups {groups}: {correlation(model.sample(jax.random.key(1), 64)):.2f}")

# %% [markdown]
# ## Questions
#
# 1. Without groups, samples have speckles of pure colours. Why?
# 2. Why is the gain in bits per dimension as large as it is? Compare with the correlation of red and green.
# 3. A mixture of logistics couples the colours by three numbers instead. When would that be enough?

# %% [markdown]
# ## Observations
#
# What did you see? Note here what you changed, and the numbers before and after.
