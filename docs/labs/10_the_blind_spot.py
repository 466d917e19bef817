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
# # 10. The blind spot, and rows against diagonals
#
# Four networks of pixels, and what each of them can see. What that is worth in nats, after a short
# training of each, is in `experiments/README.md`.

# %% [markdown]
# The side of the images, and how long the two networks of digits are trained.

# %% tags=["parameters"] smoke="SIDE, STEPS = 7, 3"
SIDE, STEPS = 15, 200

# %% [markdown]
# The fields by gradients, as in exercise 9.

# %%
import jax
import numpy as np
from PIL import Image

import genlab
from genlab import config as configs
from genlab import data
from genlab import task as tasks
from genlab.condition import Spec
from genlab.pictures.files import grid
from genlab.tasks import autoregressive
from genlab.tasks.autoregressive.pictures import receptive_fields


def show(*rows, columns=10):
    """Rows of u8[N,H,W,C] as one picture."""
    return Image.fromarray(grid(np.concatenate(rows), columns))


def fields(network):
    """What three pixels of the middle row depend on, u8[3,H,W,3]."""
    small = {"features": 8, "head": 8, "layers": 2, "first_kernel": 5}
    config = autoregressive.config(network, **small)
    configs.complete(config)
    shape = (SIDE, SIDE, 1)
    task = tasks.load(config.lock(), Spec(shape))
    batch = {"image": np.zeros((1, *shape), np.uint8), "label": np.zeros(1, np.int32)}
    return receptive_fields(task, task.init(jax.random.key(0), batch))


# %% [markdown]
# A row each: PixelCNN, Gated PixelCNN, Row LSTM, Diagonal BiLSTM, two layers of each. White is read, red never.

# %%
names = ("masked.PixelCNN", "gated.GatedPixelCNN", "recurrent.RowLSTM", "recurrent.DiagonalBiLSTM")
show(*(fields(name) for name in names), columns=3)

# %% [markdown]
# Is a wider view worth its price? Two of them on 8x8 digits, for seconds.

# %%
import tempfile
import time


def config_of(network):
    config = autoregressive.config(network, features=16, layers=2, first_kernel=3)
    config.data.update(source="digits", batch_size=32)
    config.likelihood.levels = 17
    config.optim.update(learning_rate=2e-3, schedule="cosine", ema=0.98)
    config.train.update(steps=STEPS, eval_every=0, figures=False)
    config.report.writers = ()
    return config


# %% [markdown]
# Test nats (lower is better), and the time of training, compilation included.

# %%
for name in names[:2]:
    began = time.monotonic()
    model = genlab.train(config_of(name), tempfile.mkdtemp())
    seconds = time.monotonic() - began
    test = data.load(model.config.data).test
    nats = -model.log_prob(test.read(np.arange(len(test)))["image"])
    half = 1.96 * nats.std() / np.sqrt(len(nats))
    print(f"{name:22} {nats.mean():6.1f} ± {half:.1f} nats, {seconds:.0f} s")

# %% [markdown]
# ## Questions
#
# 1. Follow the blind spot pixel by pixel: through which layers would its influence have to go, and which mask cuts it off?
# 2. How do the two stacks of a Gated PixelCNN see what one stack cannot?
# 3. A Diagonal BiLSTM sees everything in its first layer. Why does anybody still use convolutions?

# %% [markdown]
# ## Observations
#
# What did you see? Note here what you changed, and the numbers before and after.
