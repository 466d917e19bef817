"""The pictures of models with a code: what a code keeps of an image, and how codes are spread.

Each function takes a trained model and a split and returns {name: picture}.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from scipy.special import ndtri

from genlab.pictures.figures import Bars, ImageRows, Manifold, Scatter

SHOWN = 10  # images in a row
EMBEDDED = 2000  # points of a t-SNE, which takes seconds
SCATTERED = 10_000
SIDE = 15  # of a manifold's grid


def _first(split: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    batch = split.read(np.arange(min(count, len(split))))
    return batch["image"], batch["label"]


def reconstructions(model: Any, split: Any) -> dict[str, Any]:
    """Test images and what comes back from their codes."""
    images, labels = _first(split, SHOWN)
    again = model.reconstruct(images, labels)
    note = f"Images of {split.name}, and their reconstructions."
    return {"reconstructions": ImageRows([("original", images), ("reconstruction", again)], note)}


def denoising(model: Any, split: Any, key: jax.Array) -> dict[str, Any]:
    """Test images, the same corrupted as in training, and denoised again."""
    images, labels = _first(split, SHOWN)
    corrupted = model.apply("corrupt", images, labels, key)
    rows = [("original", images), ("corrupted", corrupted), ("denoised", model.denoise(corrupted))]
    taken = model.task.protocol["corruption"]
    return {"denoising": ImageRows(rows, f"Images of {split.name}; corruption: {taken}.")}


def posterior_samples(model: Any, split: Any, key: jax.Array) -> dict[str, Any]:
    """Test images, and what several draws of each one's posterior decode to."""
    images, labels = _first(split, SHOWN)
    rows = [("original", images)]
    for i in range(4):
        codes = model.apply("posterior_sample", images, labels, jax.random.fold_in(key, i))
        rows.append((f"draw {i + 1}", model.decode(codes, labels)))
    note = "Below each image, what four draws of its posterior decode to."
    return {"posterior_samples": ImageRows(rows, note)}


def maps(model: Any, split: Any) -> dict[str, Any]:
    """The codes of a split in the plane, coloured by class. Codes of more than two numbers are
    shown by PCA and t-SNE."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    images, labels = _first(split, SCATTERED)
    codes, classes = model.encode(images, labels), model.classes
    if codes.shape[1] < 2:
        return {}
    if codes.shape[1] == 2:
        panels = [("latent space", codes, ("$z_1$", "$z_2$"))]
        note = f"Codes of {len(codes)} images of {split.name}."
        return {"latent_map": Scatter(panels, labels, classes, note)}
    few = codes[:EMBEDDED]
    if len(few) < 4:
        return {}
    pca = PCA(2, random_state=0).fit(codes)
    share = 100.0 * pca.explained_variance_ratio_
    names = (f"component 1 ({share[0]:.0f} % of variance)", f"component 2 ({share[1]:.0f} %)")
    perplexity = min(30.0, (len(few) - 1) / 3.0)
    embedded = TSNE(2, perplexity=perplexity, init="pca", random_state=0).fit_transform(few)
    panels = [
        ("PCA", pca.transform(few), names),
        (f"t-SNE, perplexity {perplexity:.0f}", embedded, ("t-SNE 1", "t-SNE 2")),
    ]
    note = f"{codes.shape[1]}-dimensional codes of {len(few)} images of {split.name}."
    return {"latent_map": Scatter(panels, labels[: len(few)], classes, note)}


def walks(model: Any, split: Any, from_prior: bool) -> dict[str, Any]:
    """Images decoded along lines between the codes of test images and along single dimensions; of
    a code of two numbers, also over the plane."""
    images, labels = _first(split, SCATTERED)
    codes = model.encode(images, labels)
    low, high = np.quantile(codes, [0.01, 0.99], axis=0)  # f32[d] each
    pictures: dict[str, Any] = {}
    rows = []
    share = np.linspace(0.0, 1.0, SHOWN - 2, dtype=np.float32)[:, None]
    for i in range(min(4, len(images) // 2)):
        a, b = 2 * i, 2 * i + 1
        between = (1 - share) * codes[a] + share * codes[b]
        middle = model.decode(between, np.repeat(labels[a : a + 1], len(share), 0))
        rows.append((f"pair {i + 1}", np.concatenate([images[a : a + 1], middle, images[b:][:1]])))
    note = "First and last: test images. Between them: decoded from the line between their codes."
    pictures["interpolations"] = ImageRows(rows, note)
    widest = np.argsort(-codes.var(0), kind="stable")[:8]
    rows = []
    for d in widest:
        along = np.repeat(codes[:1], SHOWN, 0)
        along[:, d] = np.linspace(low[d], high[d], SHOWN)
        rows.append((f"$z_{{{d + 1}}}$", model.decode(along, np.repeat(labels[:1], SHOWN, 0))))
    note = "One dimension moved from its 1 % to its 99 % quantile, the rest as for a test image."
    pictures["traversals"] = ImageRows(rows, note)
    if codes.shape[1] == 2:
        pictures["manifold"] = _manifold(model, labels[:1], low, high, from_prior)
    return pictures


def between(model: Any, ends: np.ndarray, on_sphere: bool) -> dict[str, Any]:
    """Images decoded between pairs of latents f32[2P,d], along the straight line or along a great
    circle: latents of a Gaussian prior lie near a sphere."""
    share, rows = np.linspace(0.0, 1.0, SHOWN, dtype=np.float32)[:, None], []
    for i, (a, b) in enumerate(zip(ends[::2], ends[1::2], strict=True)):
        way = (1 - share) * a + share * b
        if on_sphere:  # Shoemake, SIGGRAPH 1985
            cosine = a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
            angle = np.arccos(np.clip(cosine, -0.9999, 0.9999))
            way = (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)
        label = np.repeat(model.labels_in_turn(i + 1)[i:], SHOWN, 0)
        rows.append((f"pair {i + 1}", model.decode(way.astype(np.float32), label)))
    kind = "great circle" if on_sphere else "line"
    note = f"Generated along the {kind} between two latents each."
    return {"interpolations": ImageRows(rows, note)}


def _manifold(
    model: Any, label: np.ndarray, low: np.ndarray, high: np.ndarray, from_prior: bool
) -> Manifold:
    """Images decoded over the plane, all with one label [1,...], at equal steps of the prior's
    probability or of the codes' range."""
    if from_prior:
        x = y = ndtri(np.linspace(0.02, 0.98, SIDE))
        note = "Decoded at equal steps of the prior's cumulative probability, 2 % to 98 %."
    else:
        x, y = (np.linspace(low[d], high[d], SIDE) for d in (0, 1))
        note = "Decoded at equal steps from the 1 % to the 99 % quantile of test codes."
    y = y[::-1]  # the largest on top, as on a plot
    codes = np.stack(np.broadcast_arrays(x[None, :], y[:, None]), -1).reshape(-1, 2)
    images = model.decode(codes.astype(np.float32), np.repeat(label, SIDE**2, 0))
    return Manifold(images.reshape(SIDE, SIDE, *images.shape[1:]), y, x, note)


def three_densities(model: Any, key: jax.Array) -> dict[str, Any]:
    """Samples whose codes come from N(0, I), and from a Gaussian and a mixture fitted to the codes
    of training images; the noise is the same in all three rows."""
    names = {
        "normal": "N(0, I)",
        "gaussian": "Gaussian fitted\nto the codes",
        "mixture": "mixture fitted\nto the codes",
    }
    rows = [(t, model.sample(key, SHOWN, method=name)) for name, t in names.items()]
    return {"densities": ImageRows(rows, "Decoded from codes drawn from three densities.")}


def usage(model: Any, split: Any) -> dict[str, Any]:
    """The KL from the prior of each latent dimension, in nats: how much of the code it carries."""
    images, labels = _first(split, EMBEDDED)
    kl = model.apply("kl_per_dim", images, labels).mean(0)  # f32[d]
    order = np.argsort(-kl, kind="stable")
    note = f"Mean over {len(images)} images of {split.name}; largest first."
    name = "latent dimension, by rank"
    return {"kl_per_dim": Bars(kl[order], name, "KL from the prior (nats)", note)}
