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
# # 1. An autoencoder
#
# An image goes through 32 numbers and comes back. What is lost on the way? The model comes with
# genlab (`configs/mnist_ae_dense.py`, 50 epochs, two minutes on two cores).

# %% [markdown]
# How many test images we look at.

# %% tags=["parameters"] smoke="SOURCE, COUNT = 'digits', 60"
SOURCE, COUNT = "tfds:mnist", 1000

# %% [markdown]
# The model and the test images.

# %%
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


batch = sets.test.read(np.arange(COUNT))
test, labels = batch["image"], batch["label"]
model = genlab.pretrained("mnist_ae_dense")

# %% [markdown]
# Ten test digits above what came back from their codes.

# %%
back = model.reconstruct(test)
show(test[:10], back[:10])

# %% [markdown]
# The squared error per pixel, by class: which digits are hard?

# %%
error = np.square(test / 255.0 - back / 255.0).mean((1, 2, 3))
for label in range(10):
    print(f"{label}: {error[labels == label].mean():.4f}")

# %% [markdown]
# The ten digits that suffer most, and what came back.

# %%
worst = np.argsort(-error)[:10]
show(test[worst], back[worst])

# %% [markdown]
# The codes in the plane of their two largest principal components, coloured by a class that the model never saw.

# %%
import matplotlib.pyplot as plt
from sklearn.decomposition import PCA

codes = model.encode(test)  # f32[N,32]
plane = PCA(2).fit_transform(codes)
plt.figure(figsize=(5, 4), dpi=70)
plt.scatter(*plane.T, c=labels, cmap="tab10", s=5)
plt.colorbar(label="class")
plt.show()

# %% [markdown]
# Half way between two codes: is there a digit?

# %%
ways = np.linspace(0, 1, 10)[:, None]
pairs = ((0, 1), (2, 3), (4, 5))
between = [(1 - ways) * codes[i] + ways * codes[j] for i, j in pairs]
show(*(model.decode(codes) for codes in between))

# %% [markdown]
# ## Questions
#
# 1. Which class has the smallest error? Is it the one with the fewest white pixels? Divide by them and compare.
# 2. Some codes lie far from all others. What do their digits look like?
# 3. Are the images between two digits digits? What would have to be true of the space of codes for that?

# %% [markdown]
# ## Observations
#
# What did you see? Note here what you changed, and the numbers before and after.
