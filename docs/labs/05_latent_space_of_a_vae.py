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
# # 5. The latent space of a VAE
#
# With two latent numbers everything can be seen. `configs/mnist_vae_small.py` trains longer and on
# convolutions.

# %% [markdown]
# How long we train.

# %% tags=["parameters"] smoke="SOURCE, STEPS, COUNT = 'digits', 4, 40"
SOURCE, STEPS, COUNT = "tfds:mnist", 1000, 500

# %% [markdown]
# A VAE with a dense network and a code of two numbers.

# %%
import jax
import numpy as np
from PIL import Image

import genlab
from genlab import data
from genlab.pictures.files import grid
from genlab.tasks import vae


def show(*rows, columns=10):
    """Rows of u8[N,H,W,C] as one picture."""
    return Image.fromarray(grid(np.concatenate(rows), columns))


config = vae.config("dense.Autoencoder", code=2)
config.data.update(source=SOURCE, image_size=28, channels=1, upscale=True, batch_size=128)
config.optim.update(learning_rate=2e-3, schedule="cosine")
config.train.update(steps=STEPS, eval_every=0, figures=False)
config.report.writers = ()

# %% [markdown]
# Training.

# %%
import tempfile

model = genlab.train(config, tempfile.mkdtemp())
batch = data.load(config.data).test.read(np.arange(COUNT))
test, labels = batch["image"], batch["label"]
bound = model.log_prob(test, jax.random.key(0), samples=20)
print(f"importance-weighted bound of 20 draws: {bound.mean():.1f} nats")

# %% [markdown]
# The posterior means of test digits in the plane, coloured by class. The prior is N(0, I): most of it lies within two units of the origin.

# %%
import matplotlib.pyplot as plt

codes = model.encode(test)
plt.figure(figsize=(5, 4), dpi=70)
plt.scatter(*codes.T, c=labels, cmap="tab10", s=5)
plt.colorbar(label="class")
plt.show()

# %% [markdown]
# The plane decoded, at equal steps of the prior's probability.

# %%
from scipy.stats import norm

steps = norm.ppf(np.linspace(0.05, 0.95, 10))
plane = np.array([(x, y) for y in steps[::-1] for x in steps], np.float32)
show(model.decode(plane))

# %% [markdown]
# Unlike an autoencoder (exercise 2), drawing codes from N(0, I) works: the KL term has pulled them there.

# %%
show(model.sample(jax.random.key(0), 20))

# %% [markdown]
# ## Questions
#
# 1. Which classes overlap in the plane? Do they look alike?
# 2. Walk from a 0 to a 1 in the plane. What lies between?
# 3. Samples are blurred. What would a code of 20 numbers do to them, and to this picture of the plane?

# %% [markdown]
# ## Observations
#
# What did you see? Note here what you changed, and the numbers before and after.
