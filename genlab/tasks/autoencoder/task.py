"""Autoencoders and denoising autoencoders: the image back from its code, by squared error or
binary cross-entropy; and samples from a density fitted to the codes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from genlab import optim, parallel, updates
from genlab.errors import UserError, hint
from genlab.metrics import images as metrics
from genlab.pictures import codes as latents
from genlab.state import State, Tree
from genlab.task import Spec
from genlab.tasks.autoencoder import corruption as corruptions
from genlab.tasks.autoencoder import densities
from genlab.tasks.autoencoder.corruption import Corruption
from genlab.workdir import configs

PLAYER, DENSITY = "model", "density"
LOSSES = ("mse", "bce")
Batch = updates.Batch


@dataclass(frozen=True)
class Task:
    """network: with `encode` and `decode`, one head.  loss: "mse" or "bce" per pixel.
    density: the default of `sample`; components: of its mixture; fit_examples: codes it is fitted
    to.  reference: another autoencoder to compare with; its parameters are stats["reference"].
    distances: densities whose distance from the codes is measured."""

    network: nn.Module
    loss: str
    corruption: Corruption
    density: str
    components: int
    fit_examples: int
    optimizer: optax.GradientTransformation
    ema: float
    shape: tuple[int, int, int]
    reference: Task | None = None
    distances: tuple[str, ...] = ()

    units: ClassVar[dict[str, str]] = {
        f"{prefix}{name}": f"{unit}{of}"
        for prefix, of in {
            "": "",
            "denoised_": ", denoised input",
            "corrupted_": ", corrupted input as it is",
            "reference_": ", corrupted input through the reference",
        }.items()
        for name, unit in metrics.UNITS.items()
    } | {
        f"{name}_distance": f"squared Mahalanobis distance of codes per dimension, {name} density"
        for name in densities.NAMES
    }

    @property
    def headline(self) -> str:
        """The metric of the loss curve."""
        return f"denoised_{self.loss}" if self.corruption else self.loss

    @property
    def protocol(self) -> dict[str, Any]:
        """What the errors are measured on; an autoencoder has no likelihood."""
        taken = dataclasses.asdict(self.corruption) if self.corruption else {"name": "none"}
        used = {"none": [], "gaussian": ["mean", "deviation"], "salt": ["share"]}[taken["name"]]
        said = " ".join([taken["name"], *(f"{key} {taken[key]}" for key in used)])
        return {"likelihood": "none", "corruption": said}

    def init(self, key: jax.Array, batch: Batch) -> State:
        """A fresh state. Shapes come from batch["image"] u8[B,H,W,C]."""
        x = jnp.zeros((1, *batch["image"].shape[1:]), jnp.float32)
        params = self.network.init(key, x)["params"]
        return State.create(
            {PLAYER: params},
            {PLAYER: self.optimizer},
            stats={DENSITY: densities.empty(self.network.codes, self.components)},
            averaged=(PLAYER,) if self.ema else (),
        )

    def step(self, state: State, batch: Batch, key: jax.Array) -> tuple[State, updates.Metrics]:
        """One descent on the mean error per pixel, the input corrupted anew."""
        return updates.descend(PLAYER, self.optimizer, self._loss, self.ema)(state, batch, key)

    def _loss(self, params: Tree, state: State, batch: Batch, key: jax.Array) -> Any:
        noise_key, dropout_key = jax.random.split(key)
        x = _grey(batch)
        logits = self._logits(params, self.corruption(noise_key, x), {"dropout": dropout_key})
        prefix = "denoised_" if self.corruption else ""
        found = {
            f"{prefix}mse": jnp.square(jax.nn.sigmoid(logits) - x).mean(),
            f"{prefix}bce": metrics.bce(logits, x).mean(),
        }
        return found[self.headline], (found, {})

    def evaluate(self, state: State, batch: Batch, key: jax.Array) -> dict[str, jax.Array]:
        """Errors of the reconstruction, and for a denoiser of the denoised input, of the corrupted
        input as it is, and of what the reference makes of it: f32[B] each."""
        params, x = state.params[PLAYER], _grey(batch)
        found = _errors("", self._logits(params, x), x)
        if self.corruption:
            corrupted = self.corruption(key, x)
            found |= _errors("denoised_", self._logits(params, corrupted), x)
            inside = jnp.clip(corrupted, 1 / 512, 511 / 512)  # else its cross-entropy is infinite
            found |= _errors("corrupted_", jnp.log(inside) - jnp.log1p(-inside), x)
            found |= metrics.compare(corrupted, x, "corrupted_")
            if self.reference:
                theirs = self.reference._logits(state.stats["reference"], corrupted)
                found |= _errors("reference_", theirs, x)
        if self.distances:
            codes, fitted = self._encode(params, x), state.stats[DENSITY]
            far = {name: densities.distance(fitted, name, codes) for name in self.distances}
            found |= {f"{name}_distance": value for name, value in far.items()}
        return found

    def summarise(self, means: dict[str, Any]) -> dict[str, Any]:
        """Adds by what the corrupted input's squared error was divided."""
        if not self.corruption:
            return means
        return means | {"denoising_gain": means["corrupted_mse"] / means["denoised_mse"]}

    def for_tables(self, state: State, evaluation: ConfigDict) -> tuple[Task, State]:
        """The task and state that `--mode=eval` measures: also how far codes lie from the densities
        that `sample` draws from (why N(0, I) fails), and what `eval.reference` makes of noise."""
        names = densities.NAMES if _is_fitted(state) else densities.NAMES[:1]
        task = dataclasses.replace(self, distances=names)
        if not evaluation.reference:
            return task, state
        from genlab.model import restore  # it imports tasks by name

        other = restore(evaluation.reference)
        if not isinstance(other.task, Task) or other.task.shape != self.shape:
            raise UserError(
                f"eval.reference={evaluation.reference}: a {other.config.task} for"
                f" {other.task.shape}; take the workdir of an autoencoder for {self.shape}."
            )
        if not self.corruption:
            raise UserError("eval.reference: this autoencoder is no denoiser; it has no corruption")
        stats = state.stats | {"reference": other.state.params[PLAYER]}
        return dataclasses.replace(task, reference=other.task), state.replace(stats=stats)

    def finish(self, state: State, data: Any) -> State:
        """The state with densities fitted to the codes of `fit_examples` training images."""
        train, size = data.train, 256
        encode = parallel.on_one_device(self.encode)
        count = min(self.fit_examples or len(train), len(train))
        codes = []
        for start in range(0, count, size):
            rows = np.minimum(np.arange(start, start + size), count - 1)
            codes.append(np.asarray(encode(state, train.read(rows), jax.random.key(0))))
        found = densities.fit(np.concatenate(codes)[:count], self.components, int(state.step))
        return state.replace(stats=state.stats | {DENSITY: found})

    def encode(self, state: State, batch: Batch, key: jax.Array) -> jax.Array:
        """u8[B,H,W,C] -> f32[B,codes]."""
        return self._encode(state.params[PLAYER], _grey(batch))

    def decode(self, state: State, codes: jax.Array, labels: jax.Array) -> jax.Array:
        """f32[B,codes] -> u8[B,H,W,C]."""
        return _bytes(jax.nn.sigmoid(self._decode(state.params[PLAYER], codes)))

    def reconstruct(self, state: State, batch: Batch, key: jax.Array) -> jax.Array:
        """u8[B,H,W,C] -> u8[B,H,W,C], through the code."""
        return _bytes(jax.nn.sigmoid(self._logits(state.params[PLAYER], _grey(batch))))

    def denoise(self, state: State, batch: Batch, key: jax.Array) -> jax.Array:
        """Corrupted u8[B,H,W,C] -> u8[B,H,W,C]."""
        return self.reconstruct(state, batch, key)

    def corrupt(self, state: State, batch: Batch, key: jax.Array) -> jax.Array:
        """u8[B,H,W,C] -> u8[B,H,W,C], as in training."""
        return _bytes(self.corruption(key, _grey(batch)))

    def score(self, state: State, batch: Batch, key: jax.Array) -> jax.Array:
        """u8[B,H,W,C] -> f32[B], the reconstruction's squared error per pixel."""
        x = _grey(batch)
        return metrics.compare(jax.nn.sigmoid(self._logits(state.params[PLAYER], x)), x)["mse"]

    def sample(
        self,
        state: State,
        keys: jax.Array,
        labels: jax.Array,
        method: str = "auto",
        temperature: float | jax.Array = 1.0,
    ) -> jax.Array:
        """key[B] -> u8[B,H,W,C], decoded from codes drawn from the density `method`."""
        name = self.density if method == "auto" else method
        if name not in densities.NAMES:
            raise UserError(f"sample.method: no density {name!r}.{hint(name, densities.NAMES)}")
        fitted = state.stats[DENSITY]
        draw = lambda key: densities.draw(fitted, name, key, temperature)  # noqa: E731
        return self.decode(state, jax.vmap(draw)(keys), labels)

    def check_sample(self, state: State, method: str) -> None:
        """Raises UserError where a density is asked for that was fitted to other weights."""
        name = self.density if method == "auto" else method
        if name in densities.NAMES[1:] and not _is_fitted(state):
            raise UserError(
                f"no density is fitted to the codes of step {int(state.step)}: it was stopped on"
                " its way; train it to its end, or take sample.method=normal."
            )

    def progress(self, model: Any, batch: dict[str, np.ndarray], key: jax.Array) -> np.ndarray:
        """u8[N,H,W,C]: what the model makes of validation images, corrupted as in training."""
        return model.reconstruct(model.apply("corrupt", batch["image"], key=key))

    def pictures(self, model: Any, split: Any, key: jax.Array) -> dict[str, Any]:
        """The figures of the family, by name."""
        found = latents.reconstructions(model, split)
        if self.corruption:
            found |= latents.denoising(model, split, key)
        found |= latents.maps(model, split)
        found |= latents.walks(model, split, from_prior=False)
        return found | latents.three_densities(model, key)

    def _encode(self, params: Tree, x: jax.Array, rngs: Any = None) -> jax.Array:
        call = {"params": params}, x, None, rngs is not None
        return self.network.apply(*call, rngs=rngs, method="encode")

    def _decode(self, params: Tree, codes: jax.Array, rngs: Any = None) -> jax.Array:
        call = {"params": params}, codes, None, rngs is not None
        return self.network.apply(*call, rngs=rngs, method="decode")[..., 0]  # f32[B,H,W,C]

    def _logits(self, params: Tree, x: jax.Array, rngs: Any = None) -> jax.Array:
        return self._decode(params, self._encode(params, x, rngs), rngs)


def _is_fitted(state: State) -> bool:
    return int(state.stats[DENSITY]["step"]) == int(state.step)


def _grey(batch: Batch) -> jax.Array:
    return batch["image"] / 255.0  # f32[B,H,W,C]


def _bytes(x: jax.Array) -> jax.Array:
    return jnp.round(x * 255.0).astype(jnp.uint8)


def _errors(prefix: str, logits: jax.Array, x: jax.Array) -> dict[str, jax.Array]:
    found = metrics.compare(jax.nn.sigmoid(logits), x, prefix)
    return found | {f"{prefix}bce": metrics.bce(logits, x)}


def make(config: ConfigDict, spec: Spec) -> Task:
    """The task of a config, for images of that shape."""
    if config.loss not in LOSSES:
        raise UserError(f"config.loss: {config.loss!r}?{hint(config.loss, LOSSES)}")
    if config.density.name not in densities.NAMES:
        near = hint(config.density.name, densities.NAMES)
        raise UserError(f"density.name: no density {config.density.name!r}.{near}")
    if config.density.components < 1:
        raise UserError(f"density.components={config.density.components}: take 1 or more.")
    return Task(
        network=configs.build(config.model, "model", shape=spec.shape, heads=1, outputs=1),
        loss=config.loss,
        corruption=corruptions.make(config.corruption),
        density=config.density.name,
        components=config.density.components,
        fit_examples=config.density.examples,
        optimizer=optim.make(config.optim, config.train.steps),
        ema=config.optim.ema,
        shape=spec.shape,
    )
