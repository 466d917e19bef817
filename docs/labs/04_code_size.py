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
# # 4. How large must a code be?
#
# The same autoencoder with codes of 2, 8 and 32 numbers. `experiments/latent_size.py` does it with six
# sizes, two seeds and 15 epochs.

# %% [markdown]
# The sizes, and how long each is trained.

# %% tags=["parameters"] smoke="SOURCE, STEPS, COUNT = 'digits', 4, 40\nSIZES = (2, 8, 32)"
SOURCE, STEPS, COUNT = "tfds:mnist", 400, 500
SIZES = (2, 8, 32)

# %% [markdown]
# One config for each size.

# %%
import numpy as np
from PIL import Image

import genlab
from genlab import data
from genlab.pictures.files import grid
from genlab.tasks import autoencoder


def show(*rows, columns=10):
    """Rows of u8[N,H,W,C] as one picture."""
    return Image.fromarray(grid(np.concatenate(rows), columns))


def config_of(size):
    config = autoencoder.config("dense.Autoencoder", code=size)
    config.data.update(source=SOURCE, image_size=28, channels=1, upscale=True, batch_size=128)
    config.optim.update(learning_rate=2e-3, schedule="cosine")
    config.train.update(steps=STEPS, eval_every=0, figures=False)
    config.report.writers = ()
    return config


# %% [markdown]
# We train them one after the other.

# %%
import tempfile

models = {size: genlab.train(config_of(size), tempfile.mkdtemp()) for size in SIZES}

# %% [markdown]
# The test digits, and what each size of code keeps of them.

# %%
test = data.load(config_of(2).data).test.read(np.arange(COUNT))["image"]
back = {size: model.reconstruct(test) for size, model in models.items()}
show(test[:10], *(images[:10] for images in back.values()))

# %% [markdown]
# The squared error per pixel, with half of its 95 % interval over images.

# %%
for size, images in back.items():
    each = np.square(images / 255.0 - test / 255.0).mean((1, 2, 3))
    half = 1.96 * each.std(ddof=1) / np.sqrt(len(each))
    print(f"code {size:3}: {each.mean():.4f} ± {half:.4f}")

# %% [markdown]
# The same for principal components, which are the best *linear* code of that size.

# %%
from sklearn.decomposition import PCA

flat = lambda images: images.reshape(len(images), -1) / 255.0
training = data.load(config_of(2).data).train.read(np.arange(4 * COUNT))["image"]
for size in SIZES:
    pca = PCA(size).fit(flat(training))
    linear = pca.inverse_transform(pca.transform(flat(test)))
    print(f"linear code {size:3}: {np.square(linear - flat(test)).mean():.4f}")

# %% [markdown]
# ## Questions
#
# 1. By how much does the error fall from 2 to 8 numbers, and from 8 to 32? Where would you stop?
# 2. Where is the network better than principal components, and by how much? Where is it not, and what would longer training change?
# 3. Does the smallest error make the best samples? (Exercise 2.)

# %% [markdown]
# ## Observations
#
# What did you see? Note here what you changed, and the numbers before and after.
