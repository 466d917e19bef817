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
# # 12. Is adding layers always helpful?
#
# Networks of one, three and six layers on 8x8 digits. The whole experiment, with seeds, is
# `experiments/layers.py`; `experiments/connections.py` asks what residual connections do.

# %% [markdown]
# The depths, and how long each is trained.

# %% tags=["parameters"] smoke="STEPS = 3\nDEPTHS = (1, 2)"
STEPS = 200
DEPTHS = (1, 3, 6)

# %% [markdown]
# A PixelCNN of some depth.

# %%
import tempfile
import time

import numpy as np

import genlab
from genlab import data
from genlab.tasks import autoregressive


def config_of(layers):
    config = autoregressive.config("masked.PixelCNN", features=16, layers=layers, first_kernel=5)
    config.data.update(source="digits", batch_size=32)
    config.likelihood.levels = 17
    config.optim.update(learning_rate=2e-3, schedule="cosine", ema=0.98)
    config.train.update(steps=STEPS, eval_every=0, figures=False)
    config.report.writers = ()
    return config


# %% [markdown]
# Training each, and the likelihood of all test digits.

# %%
found = {}
for layers in DEPTHS:
    began = time.monotonic()
    model = genlab.train(config_of(layers), tempfile.mkdtemp())
    seconds = time.monotonic() - began
    sets = data.load(model.config.data)
    read = lambda split, n: split.read(np.arange(min(n, len(split))))["image"]
    nats = [-model.log_prob(read(split, 400)) for split in (sets.train, sets.test)]
    found[layers] = nats
    print(
        f"{layers} layers: train {nats[0].mean():.1f}, test {nats[1].mean():.1f} nats, {seconds:.0f} s"
    )

# %% [markdown]
# On the same images, pair by pair, the interval of a difference is far narrower than those of the two means.

# %%
first = found[DEPTHS[0]][1]
for layers in DEPTHS[1:]:
    each = found[layers][1] - first
    half = 1.96 * each.std() / np.sqrt(len(each))
    print(f"{layers} layers minus {DEPTHS[0]}: {each.mean():+.2f} ± {half:.2f} nats")

# %% [markdown]
# The curve.

# %%
import matplotlib.pyplot as plt

plt.figure(figsize=(5, 3), dpi=70)
for place, name in enumerate(("train", "test")):
    plt.plot(DEPTHS, [found[n][place].mean() for n in DEPTHS], "o-", label=name)
plt.xlabel("layers")
plt.ylabel("nats per image")
plt.legend()
plt.show()

# %% [markdown]
# ## Questions
#
# 1. Does the training likelihood improve with every layer? The test likelihood?
# 2. At equal *time* instead of equal steps, which depth wins?
# 3. One seed is one draw. How many would you need to tell 3 layers from 6, if seeds differ by half a nat?

# %% [markdown]
# ## Observations
#
# What did you see? Note here what you changed, and the numbers before and after.
