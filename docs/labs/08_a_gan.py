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
# # 8. A GAN, and what to believe of its samples
#
# Two players: a generator, and a discriminator that tells its samples from digits. We train for a
# minute; `configs/mnist_gan.py` goes on for 40 epochs (11 CPU-minutes), so do not expect beauty.

# %% [markdown]
# How long we train, and how many samples are judged.

# %% tags=["parameters"] smoke="SOURCE, STEPS, COUNT = 'digits', 20, 40"
SOURCE, STEPS, COUNT = "tfds:mnist", 1000, 500

# %% [markdown]
# Both networks are dense. The learning rate is that of the config, times three.

# %%
import jax
import numpy as np
from PIL import Image

import genlab
from genlab import data
from genlab.pictures.files import grid, rendered
from genlab.tasks import gan
from genlab.workdir.lines import read_lines


def show(*rows, columns=10):
    """Rows of u8[N,H,W,C] as one picture."""
    return Image.fromarray(grid(np.concatenate(rows), columns))


players = {"name": "gan.DenseGenerator"}, {"name": "gan.DenseDiscriminator"}
config = gan.config(*players, learning_rate=6e-4, b1=0.5)
config.data.update(source=SOURCE, image_size=28, channels=1, upscale=True, batch_size=64)
config.train.update(steps=STEPS, log_every=20, eval_every=0, figures=False)
config.report.writers = ()

# %% [markdown]
# Training.

# %%
import tempfile
from pathlib import Path

workdir = tempfile.mkdtemp()
model = genlab.train(config, workdir)

# %% [markdown]
# How the two players fare: the shares of real and of generated images that the discriminator gets right.

# %%
import matplotlib.pyplot as plt

lines = [x for x in read_lines(Path(workdir) / "metrics.jsonl") if x["split"] == "train"]
plt.figure(figsize=(6, 3), dpi=70)
for name in [name for name in lines[0] if name.startswith("accuracy")]:
    plt.plot([x["step"] for x in lines], [x[name] for x in lines], label=name)
plt.xlabel("step")
plt.legend()
plt.show()

# %% [markdown]
# Samples, and ways between two latents: each row goes from one to another.

# %%
samples = model.sample(jax.random.key(0), COUNT)
rng = np.random.default_rng(0)
latents = rng.normal(size=(6, model.task.code_size())).astype(np.float32)
ways = np.linspace(0, 1, 10, dtype=np.float32)[:, None]
between = [model.decode((1 - ways) * latents[i] + ways * latents[i + 3]) for i in range(3)]
show(samples[:20], *between)

# %% [markdown]
# The judge, beside samples of the autoencoder of exercise 2. Without intervals, for time's sake.

# %%
sets = data.load(config.data)
test = sets.test.read(np.arange(COUNT))["image"]
training = sets.train.read(np.arange(4 * COUNT))["image"]
rival = genlab.pretrained("mnist_ae_dense").sample(jax.random.key(0), COUNT, method="mixture")
judgement = genlab.judge({"gan": samples, "autoencoder": rival}, test, training, intervals=False)
judgement

# %% [markdown]
# Are all ten digits drawn?

# %%
rendered(judgement.pictures()["labels"])

# %% [markdown]
# ## Questions
#
# 1. The discriminator's accuracy says nothing of the samples' quality. Why?
# 2. Which digits are drawn too often? Name the number in the table that says so, and its floor.
# 3. Train for ten times as many steps. Which numbers improve, and which get worse?

# %% [markdown]
# ## Observations
#
# What did you see? Note here what you changed, and the numbers before and after.
