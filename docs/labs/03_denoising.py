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
# # 3. Denoising
#
# An autoencoder that sees noisy digits and is asked for clean ones. We train a small one for seconds;
# `configs/mnist_dae_salt.py` is the real thing (8 minutes, squared error cut by 24).

# %% [markdown]
# How long we train, and on how many images we measure.

# %% tags=["parameters"] smoke="SOURCE, STEPS, COUNT = 'digits', 4, 40"
SOURCE, STEPS, COUNT = "tfds:mnist", 800, 500

# %% [markdown]
# A dense autoencoder whose input loses 30 % of its pixels to white.

# %%
import numpy as np
from PIL import Image

import genlab
from genlab import data
from genlab.pictures.files import grid
from genlab.tasks import autoencoder
from genlab.workdir.lines import read_lines


def show(*rows, columns=10):
    """Rows of u8[N,H,W,C] as one picture."""
    return Image.fromarray(grid(np.concatenate(rows), columns))


config = autoencoder.config("dense.Autoencoder")
config.loss = "mse"
config.corruption.name = "salt"
config.data.update(source=SOURCE, image_size=28, channels=1, upscale=True, batch_size=128)
config.optim.update(learning_rate=2e-3, schedule="cosine")
config.train.update(steps=STEPS, log_every=50, eval_every=0, figures=False)
config.report.writers = ()

# %% [markdown]
# Training; run the cell again and it says that there is nothing to train.

# %%
import tempfile
from pathlib import Path

workdir = tempfile.mkdtemp()
model = genlab.train(config, workdir)
lines = read_lines(Path(workdir) / "metrics.jsonl")
headline = model.task.headline
errors = [line[headline] for line in lines if headline in line]
print(f"{headline} {errors[0]:.4f}, in the end {errors[-1]:.4f}")

# %% [markdown]
# Test digits, what the noise makes of them, and what the model makes of that.

# %%
test = data.load(config.data).test.read(np.arange(COUNT))["image"]
white = np.random.default_rng(0).random(test.shape) < 0.3
noisy = np.where(white, 255, test).astype(np.uint8)
clean = model.denoise(noisy)
show(test[:10], noisy[:10], clean[:10])

# %% [markdown]
# Squared errors per pixel: of the noisy input as it is, of the denoised, and of an autoencoder that has only seen clean digits.

# %%
reference = genlab.pretrained("mnist_ae_dense").reconstruct(noisy)
for name, images in {"noisy": noisy, "denoised": clean, "clean-trained": reference}.items():
    print(f"{name:14} {np.square(images / 255.0 - test / 255.0).mean():.4f}")
show(reference[:10])

# %% [markdown]
# ## Questions
#
# 1. Why does the autoencoder that knows only clean digits fail, although it knows what digits look like?
# 2. Give the model 50 % white pixels, then 10 %. Where does it fail first?
# 3. What does it make of an image without noise? Of pure noise?

# %% [markdown]
# ## Observations
#
# What did you see? Note here what you changed, and the numbers before and after.
