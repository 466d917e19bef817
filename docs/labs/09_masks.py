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
# # 9. Masks, and what a network of pixels sees
#
# A network of pixels may look at pixels before the one that it predicts, and at no other. Masks see
# to that: mask A in the first layer hides the pixel itself, mask B later shows its own features.

# %% [markdown]
# The side of the images whose networks we look at.

# %% tags=["parameters"] smoke="SIDE = 7"
SIDE = 15

# %% [markdown]
# No training is needed: what a network sees is a matter of its gradients, which random weights have too.

# %%
import jax
import numpy as np
from PIL import Image

import genlab
from genlab import config as configs
from genlab import task as tasks
from genlab.condition import Spec
from genlab.pictures.files import grid
from genlab.tasks import autoregressive
from genlab.tasks.autoregressive.pictures import receptive_fields


def show(*rows, columns=10):
    """Rows of u8[N,H,W,C] as one picture."""
    return Image.fromarray(grid(np.concatenate(rows), columns))


def fields(network, shape=(SIDE, SIDE, 1), **changes):
    """What three pixels of the middle row depend on, u8[3,H,W,3]."""
    config = autoregressive.config(network, features=8, head=8, **changes)
    configs.complete(config)
    task = tasks.load(config.lock(), Spec(shape))
    batch = {"image": np.zeros((1, *shape), np.uint8), "label": np.zeros(1, np.int32)}
    return receptive_fields(task, task.init(jax.random.key(0), batch))


# %% [markdown]
# White is read, red comes before the pixel (yellow) and is never read, black comes after. One layer, then two, then four: the field grows.


# %%
def large(*rows):
    return show(*rows, columns=3)


large(*(fields("masked.PixelCNN", layers=n, first_kernel=5) for n in (1, 2, 4)))

# %% [markdown]
# By hand: a convolution of 3x3 with mask A, and with mask B. The pixels come row by row.

# %%
a = np.array([[1, 1, 1], [1, 0, 0], [0, 0, 0]])
b = np.array([[1, 1, 1], [1, 1, 0], [0, 0, 0]])
print(a, b, sep="\n\n")

# %% [markdown]
# The law, tested: change pixels *after* a place, and the model's distribution there must not change at all.

# %%
model = genlab.pretrained("digits_pixelcnn")
images = model.sample(jax.random.key(0), 2)
changed = images.copy()
changed[:, 5:] = 255 - changed[:, 5:]  # rows 5 to 7
before, after = (model.apply("predict", x)[:, :5] for x in (images, changed))
print("largest change above row 5:", np.abs(before.astype(int) - after.astype(int)).max())

# %% [markdown]
# ## Questions
#
# 1. What would the model learn if mask A were B by mistake? How low would its loss fall?
# 2. How many layers of 3x3 does the field need to reach the upper edge of a 28x28 image from the middle?
# 3. The red wedge at the upper right is the blind spot. Which pixels does it hide, and why? (Exercise 10.)

# %% [markdown]
# ## Observations
#
# What did you see? Note here what you changed, and the numbers before and after.
