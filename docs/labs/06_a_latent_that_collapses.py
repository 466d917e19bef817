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
# # 6. A latent that collapses
#
# If the KL term weighs too much, the posterior becomes the prior, and the decoder ignores its code.
# We train the VAE of exercise 5 twice: with `beta` of 1, and of 50.

# %% [markdown]
# How long each is trained.

# %% tags=["parameters"] smoke="SOURCE, STEPS, COUNT = 'digits', 4, 40"
SOURCE, STEPS, COUNT = "tfds:mnist", 300, 200

# %% [markdown]
# Two configs that differ in one number.

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


def config_of(beta):
    config = vae.config("dense.Autoencoder", code=2)
    config.vae.beta = beta
    config.data.update(source=SOURCE, image_size=28, channels=1, upscale=True, batch_size=128)
    config.data.update(train_split="train[:20%]", valid_split="train[90%:]")
    config.optim.update(learning_rate=2e-3, schedule="cosine")
    config.train.update(steps=STEPS, eval_every=0, figures=False)
    config.report.writers = ()
    config.eval.samples = 10
    return config


# %% [markdown]
# Training both.

# %%
import tempfile

models = {beta: genlab.train(config_of(beta), tempfile.mkdtemp()) for beta in (1.0, 50.0)}

# %% [markdown]
# The evaluation: the bound is the ELBO itself, whatever weight the training used.

# %%
from genlab.modes.evaluate import measure

for beta, model in models.items():
    model.config.unlock().data.eval_split = f"test[:{COUNT}]"
    sets = data.load(model.config.data)
    found = measure(model, sets, sets.test, model.config)
    wanted = ("neg_elbo", "kl", "kl_per_dim", "active_units")
    shown = {
        name: np.round(found.metrics[name], 2).tolist() for name in wanted if name in found.metrics
    }
    print(beta, shown, *found.remarks, sep="\n  ")

# %% [markdown]
# Test digits, their reconstructions by the two, and samples of the two.

# %%
test = sets.test.read(np.arange(10))["image"]
rows = [model.reconstruct(test) for model in models.values()]
rows += [model.sample(jax.random.key(0), 10) for model in models.values()]
show(test, *rows)

# %% [markdown]
# ## Questions
#
# 1. What does a collapsed model draw? Compare with the mean of the training images.
# 2. At which `beta` does the first unit die, at which the second?
# 3. Let the weight grow slowly (`config.vae.warmup_steps`). Does that save the latent at 50? At 5?

# %% [markdown]
# ## Observations
#
# What did you see? Note here what you changed, and the numbers before and after.
