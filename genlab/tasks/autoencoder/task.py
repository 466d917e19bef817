"""Autoencoders and denoising autoencoders: the image back from its code, by squared error or
binary cross-entropy; and samples from a density fitted to the codes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from genlab import optim, parallel
from genlab.condition import Spec
from genlab.errors import UserError
from genlab.metrics import images as metrics
from genlab.nn import build
from genlab.nn.apply import outputs_of
from genlab.nn.dense import CodeNetwork
from genlab.pictures import codes as code_pictures
from genlab.state import State, Tree
from genlab.task import PLAYER, OnePlayer, Restore, in_float32
from genlab.tasks.autoencoder import defaults, densities
from genlab.tasks.autoencoder.corruption import Corruption
from genlab.updates import Batch, Metrics

if TYPE_CHECKING:
    from genlab.data.splits import Data, Split
    from genlab.model import Model
    from genlab.pictures.figures import Picture

DENSITY = "density"


@dataclass(frozen=True, kw_only=True)
class Task(OnePlayer):
    """A network with a code.

    error: what is minimised, "mse" or "bce" per pixel.
    corruption: of the input, in training.
    density: the default of `sample`.
    components: of its mixture.
    fit_examples: how many codes the densities are fitted to; 0 for all.
    reference: another autoencoder to compare with; its parameters are stats["reference"].
    distances: densities whose distance from the codes is measured.
    """

    network: CodeNetwork
    error: str
    corruption: Corruption
    density: str
    components: int
    fit_examples: int
    reference: Task | None = None
    distances: tuple[str, ...] = ()

    adjustable: ClassVar[tuple[str, ...]] = ("corruption.",)
    methods: ClassVar[tuple[str, ...]] = densities.NAMES
    sections: ClassVar[dict[str, type | None]] = defaults.SECTIONS
    networks: ClassVar[dict[str, frozenset[str]]] = {
        "model": frozenset({"shape", "code_parameters", "outputs"})
    }
    units: ClassVar[dict[str, str]] = {
        **{
            f"{prefix}{name}": f"{unit}{of}"
            for prefix, of in {
                "": "",
                "denoised_": ", denoised input",
                "corrupted_": ", corrupted input as it is",
                "reference_": ", corrupted input through the reference",
            }.items()
            for name, unit in metrics.UNITS.items()
        },
        **{
            f"{name}_distance": f"squared Mahalanobis distance of codes per dimension, {name}"
            " density"
            for name in densities.NAMES
        },
        "score": metrics.UNITS["mse"],
    }

    @classmethod
    def make(cls, config: ConfigDict, spec: Spec) -> Task:
        """See `genlab.task.Task`."""
        return cls(
            network=build.build(
                config.model, "model", CodeNetwork, shape=spec.shape, code_parameters=1, outputs=1
            ),
            error=config.loss,
            corruption=Corruption(**config.corruption),
            density=config.density.name,
            components=config.density.components,
            fit_examples=config.density.examples,
            optimizer=optim.make(config.optim, config.train.steps),
            ema=config.optim.ema,
            shape=spec.shape,
        )

    @classmethod
    def smoke(cls, config: ConfigDict) -> None:
        """See `genlab.task.Task`."""
        config.density.components = 3

    @property
    def headline(self) -> str:
        """See `genlab.task.Task`."""
        return f"denoised_{self.error}" if self.corruption else self.error

    @property
    def protocol(self) -> dict[str, Any]:
        """See `genlab.task.Task`."""
        corruption = dataclasses.asdict(self.corruption)
        name = corruption["name"]
        used = {"none": [], "gaussian": ["mean", "deviation"], "salt": ["share"]}[name]
        text = " ".join([name, *(f"{key} {corruption[key]}" for key in used)])
        return {"likelihood": "none", "corruption": text}

    def initial_stats(self) -> dict[str, Tree]:
        """A density that is not fitted yet."""
        return {DENSITY: densities.empty(self.network.codes, self.components)}

    def code_size(self) -> int:
        """Numbers in a code."""
        return self.network.codes

    def loss(
        self, params: Tree, state: State, batch: Batch, key: jax.Array
    ) -> tuple[jax.Array, tuple[Metrics, Tree]]:
        """The mean error per pixel, the input corrupted anew."""
        noise_key, dropout_key = jax.random.split(key)
        x = _grey(batch)
        logits = self._logits(params, self.corruption(noise_key, x), {"dropout": dropout_key})
        prefix = "denoised_" if self.corruption else ""
        errors = {
            f"{prefix}mse": jnp.square(jax.nn.sigmoid(logits) - x).mean(),
            f"{prefix}bce": metrics.bce(logits, x).mean(),
        }
        return errors[self.headline], (errors, {})

    def evaluate(self, state: State, batch: Batch, key: jax.Array) -> Metrics:
        """Errors of the reconstruction, f32[B] each; for a denoiser also those of the denoised
        input, of the corrupted input as it is, and of the reference's output for it."""
        params, x = state.params[PLAYER], _grey(batch)
        errors = _errors("", self._logits(params, x), x)
        if self.corruption:
            corrupted = self.corruption(key, x)
            errors |= _errors("denoised_", self._logits(params, corrupted), x)
            inside = jnp.clip(corrupted, 1 / 512, 511 / 512)  # keeps the cross-entropy finite
            errors |= _errors("corrupted_", jnp.log(inside) - jnp.log1p(-inside), x)
            errors |= metrics.reconstruction_metrics(corrupted, x, "corrupted_")
            if self.reference:
                theirs = self.reference._logits(state.stats["reference"], corrupted)
                errors |= _errors("reference_", theirs, x)
        if self.distances:
            codes, fitted = self._encode(params, x), state.stats[DENSITY]
            far = {name: densities.distance(fitted, name, codes) for name in self.distances}
            errors |= {f"{name}_distance": value for name, value in far.items()}
        return errors

    def summarise(self, means: dict[str, Any]) -> dict[str, Any]:
        """Adds how many times smaller the squared error is than that of the corrupted input."""
        if not self.corruption:
            return means
        return means | {"denoising_gain": means["corrupted_mse"] / means["denoised_mse"]}

    def for_evaluation(
        self, state: State, evaluation: ConfigDict, restore: Restore
    ) -> tuple[Task, State]:
        """Measures also how far codes are from the densities that `sample` draws from, which shows
        why N(0, I) fails, and how well the model of `eval.reference` removes the noise."""
        names = densities.NAMES if _is_fitted(state) else densities.NAMES[:1]
        task = dataclasses.replace(self, distances=names)
        if not evaluation.reference:
            return task, state
        other, params = self._other(restore(evaluation.reference))
        stats = state.stats | {"reference": params}
        return dataclasses.replace(task, reference=other), state.replace(stats=stats)

    def _other(self, other: Model) -> tuple[Task, Tree]:
        """The task and parameters of another autoencoder. Raises UserError if it is none."""
        if not isinstance(other.task, Task) or other.task.shape != self.shape:
            raise UserError(
                f"eval.reference={other.workdir}: a {other.config.task} for {other.task.shape};"
                f" take the workdir of an autoencoder for {self.shape}."
            )
        if not self.corruption:
            raise UserError("eval.reference: this autoencoder is no denoiser; it has no corruption")
        return other.task, other.state.params[PLAYER]

    def finish(self, state: State, data: Data) -> State:
        """The state with densities fitted to the codes of `fit_examples` training images."""
        train, size = data.train, 256
        encode = parallel.on_one_device(in_float32(self).encode)
        count = min(self.fit_examples or len(train), len(train))
        codes = []
        for start in range(0, count, size):
            rows = np.minimum(np.arange(start, start + size), count - 1)
            codes.append(np.asarray(encode(state, train.read(rows), jax.random.key(0))))
        fitted = densities.fit(np.concatenate(codes)[:count], self.components, int(state.step))
        return state.replace(stats=state.stats | {DENSITY: fitted})

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
        predicted = jax.nn.sigmoid(self._logits(state.params[PLAYER], x))
        return metrics.reconstruction_metrics(predicted, x)["mse"]

    def sample(
        self,
        state: State,
        keys: jax.Array,
        labels: jax.Array,
        method: str = "auto",
        temperature: float | jax.Array = 1.0,
    ) -> jax.Array:
        """key[B] -> u8[B,H,W,C], decoded from codes drawn from the density `method`."""
        super().check_sample(state, method)
        name = self.density if method == "auto" else method
        fitted = state.stats[DENSITY]

        def code(key: jax.Array) -> jax.Array:
            return densities.draw_code(fitted, name, key, temperature)

        return self.decode(state, jax.vmap(code)(keys), labels)

    def check_sample(self, state: State, method: str) -> None:
        """Raises UserError for a density that was fitted to other weights."""
        super().check_sample(state, method)
        name = self.density if method == "auto" else method
        if name in densities.NAMES[1:] and not _is_fitted(state):
            raise UserError(
                f"no density is fitted to the codes of step {int(state.step)}: it was stopped on"
                " its way; train it to its end, or take sample.method=normal."
            )

    def progress(self, model: Model, batch: dict[str, np.ndarray], key: jax.Array) -> Any:
        """u8[N,H,W,C]: reconstructions of validation images, which are corrupted as in training."""
        return model.reconstruct(model.apply("corrupt", batch["image"], key=key))

    def pictures(self, model: Model, split: Split, key: jax.Array) -> dict[str, Picture]:
        """See `genlab.task.Task`."""
        denoising = code_pictures.denoising(model, split, key) if self.corruption else {}
        return {
            **code_pictures.reconstructions(model, split),
            **denoising,
            **code_pictures.maps(model, split),
            **code_pictures.walks(model, split, from_prior=False),
            **code_pictures.three_densities(model, key),
        }

    def _encode(self, params: Tree, x: jax.Array, rngs: Any = None) -> jax.Array:
        inputs = x, None, rngs is not None
        return outputs_of(self.network, params, *inputs, rngs=rngs, method="encode")

    def _decode(self, params: Tree, codes: jax.Array, rngs: Any = None) -> jax.Array:
        inputs = codes, None, rngs is not None
        logits = outputs_of(self.network, params, *inputs, rngs=rngs, method="decode")
        return logits[..., 0]  # f32[B,H,W,C]

    def _logits(self, params: Tree, x: jax.Array, rngs: Any = None) -> jax.Array:
        return self._decode(params, self._encode(params, x, rngs), rngs)


def _is_fitted(state: State) -> bool:
    return int(state.stats[DENSITY]["step"]) == int(state.step)


def _grey(batch: Batch) -> jax.Array:
    return batch["image"] / 255.0  # f32[B,H,W,C]


def _bytes(x: jax.Array) -> jax.Array:
    return jnp.round(x * 255.0).astype(jnp.uint8)


def _errors(prefix: str, logits: jax.Array, x: jax.Array) -> Metrics:
    found = metrics.reconstruction_metrics(jax.nn.sigmoid(logits), x, prefix)
    return found | {f"{prefix}bce": metrics.bce(logits, x)}
