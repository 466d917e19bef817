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
# # Ten minutes
#
# Restore a trained model, sample from it, let it complete images, and judge samples beside real ones.
# Everything here comes with genlab; only the MNIST images of the last step are read through TFDS
# (`TFDS_DATA_DIR` names a prepared copy, otherwise the first run downloads them).

# %% [markdown]
# ## Restore
#
# How many images we look at, and where they come from. A student with time makes `COUNT` larger.

# %% tags=["parameters"] smoke="SOURCE, COUNT = 'digits', 40"
SOURCE, COUNT = "tfds:mnist", 500

# %% [markdown]
# The models that come with genlab, with the number that each was measured at.

# %%
import jax
import numpy as np
from PIL import Image

import genlab
from genlab.pictures.files import grid, rendered


def show(*rows, columns=10):
    """Rows of u8[N,H,W,C] as one picture."""
    return Image.fromarray(grid(np.concatenate(rows), columns))


genlab.pretrained()

# %% [markdown]
# We take a PixelCNN of 8x8 digits. Your own run is restored in the same way: `genlab.restore("runs/pixelcnn")`.

# %%
model = genlab.pretrained("digits_pixelcnn")
print(f"{model.config.model.name}, step {model.step}, images {model.spec.shape}")

# %% [markdown]
# ## Sample
#
# The first twenty images by one random key. The same key gives the same images, anywhere.

# %%
samples = model.sample(jax.random.key(0), 20)
show(samples)

# %% [markdown]
# An autoregressive model says how likely an image is: here samples, real test digits, and noise, in nats.

# %%
from genlab import data

digits = data.load(model.config.data).test.read(np.arange(20))["image"]
noise = np.random.default_rng(0).integers(0, 17, digits.shape) * 15
for name, images in {"samples": samples, "digits": digits, "noise": noise}.items():
    print(f"{name:8} {model.log_prob(images).mean():8.1f} nats")

# %% [markdown]
# ## Complete
#
# We keep the upper half of ten test digits and let the model draw the rest, three times. Below: the original digits.

# %%
known = np.zeros(digits[:10].shape, bool)
known[:, :4] = True
drawn = [model.complete(jax.random.key(i), digits[:10], known) for i in range(3)]
show(*drawn, digits[:10])

# %% [markdown]
# ## Judge
#
# Are samples like real images? We take another model, an autoencoder of MNIST, whose codes are drawn from a mixture of Gaussians, and read as many test and training images.

# %%
from genlab import config as configs
from genlab import data

section = configs.base().data
section.update(source=SOURCE, image_size=28, channels=1, upscale=True)
sets = data.load(section)
test = sets.test.read(np.arange(COUNT))["image"]  # u8[N,28,28,1]
training = sets.train.read(np.arange(4 * COUNT))["image"]
autoencoder = genlab.pretrained("mnist_ae_dense")
drawn = autoencoder.sample(jax.random.key(0), COUNT, method="mixture")
show(drawn[:20])

# %% [markdown]
# A classifier's features compare the sets. Each number has a floor (real training images) and a ceiling (noise) beside it, and half of its 95 % interval.

# %%
judgement = genlab.judge({"autoencoder": drawn}, test, training)
judgement

# %% [markdown]
# Are the samples copies? Below each, the nearest training image, in pixels and in the classifier's features.

# %%
rendered(judgement.pictures()["neighbours"])

# %% [markdown]
# ## Questions
#
# 1. Precision of noise is near 1, yet nobody would call it a digit. What do clipped density and the Fréchet distance say, and why do they differ?
# 2. The completions differ most in some digits. In which, and why there?
# 3. Which of the numbers in the table change most if you double `COUNT`? Which interval shrinks, and by how much?

# %% [markdown]
# ## Observations
#
# What did you see? Note here what you changed, and the numbers before and after.
