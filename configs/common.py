"""What all configs share, and the strict parsing of a config's argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from genlab.errors import UserError, hint


def base() -> ConfigDict:
    """Every key with its default; a config file changes what differs."""
    config = ConfigDict()
    config.seed = 0
    config.task = ""
    config.parallel = "jit"  # or pmap

    config.data = data = ConfigDict()
    data.source = "digits"  # tfds:<name>, folder:<path>
    data.data_dir = ""  # of TFDS; "" is TFDS_DATA_DIR or TFDS's own default
    data.download = True  # whether TFDS may download
    data.image_size = 0  # side after resizing and centre-cropping; 0 keeps the native size
    data.channels = 0  # 1 grey, 3 RGB, 0 native
    data.upscale = False  # whether images smaller than image_size are enlarged or refused
    data.on_broken = "stop"  # what a file that cannot be read does: stop or skip
    data.batch_size = 32
    data.train_split = "train"
    data.valid_split = ""  # "" is `validation`, or one in ten held out of train_split
    data.eval_split = "test"
    data.resident_mb = 1024  # sets up to this size live on the device, larger ones stream

    config.optim = optim = ConfigDict()
    optim.name = "adam"  # any of Optax or optax.contrib; further keys of this section go to it
    optim.learning_rate = 1e-3
    optim.schedule = "constant"  # cosine, linear, exponential
    optim.warmup_steps = 0
    optim.decay_steps = 0  # 0 is until train.steps
    optim.end_scale = 0.0  # last learning rate over the first
    optim.clip_norm = 0.0  # 0 is off
    optim.ema = 0.0  # decay of averaged weights, 0 is off

    config.train = train = ConfigDict()
    train.steps = 1000
    train.steps_per_call = 1  # steps in one lax.scan: large on GPU and TPU, 1 on CPU
    train.log_every = 50
    train.eval_every = 500  # 0 is at the end only, likewise below
    train.checkpoint_every = 500
    train.sample_every = 0
    train.keep = 1  # newest checkpoints kept, besides the best
    train.best_metric = ""  # of the validation split
    train.best_mode = "min"
    train.init_from = ""  # a workdir whose parameters to start from
    train.tensorboard = True
    # Metrics of the validation split (or of `split: "train"`) with bounds, and what to do when one
    # has been outside for `patience` lines on end: {"low": 0.2, "high": 0.9, "patience": 1,
    # "action": "warn"}; or stop; or rollback, to the best checkpoint, with other random numbers.
    train.watch = ConfigDict()
    train.max_attempts = 3  # rollbacks before the run stops

    config.eval = evaluation = ConfigDict()
    evaluation.batch_size = 256
    evaluation.weights = "ema"  # where kept; or raw
    evaluation.step = "latest"  # or best, or a number
    evaluation.features = ""  # workdir of a classifier: --mode=eval then compares sets of samples
    evaluation.images = 10_000  # samples drawn for that, and as many test images, if there are

    config.sample = sample = ConfigDict()
    sample.count = 64
    sample.batch_size = 64  # images drawn at once
    sample.method = "auto"
    sample.temperature = 1.0
    sample.seed = 0
    return config


def variants(config: ConfigDict, arg: str, **known: Callable[[ConfigDict], None]) -> ConfigDict:
    """The config as changed by the variants that its argument names, `a` or `a,b`.

    Raises: UserError for a name that the config does not have.
    """
    names = [name for name in (arg or "").split(",") if name]
    for name in names:
        if name not in known:
            raise UserError(f"config argument {name!r} is unknown.{hint(name, known)}")
    for name in sorted(names, key=lambda name: name == "smoke"):  # it cuts down what others set
        known[name](config)
    return config


def smoke(config: ConfigDict) -> None:
    """Seconds on one core: real digits resized to the config's size and channels, few steps."""
    config.data.update(
        source="digits",
        train_split="train[:256]",
        valid_split="train[256:288]",
        eval_split="test[:32]",
        upscale=True,
        batch_size=8,
    )
    config.train.update(
        steps=6 * config.train.steps_per_call,
        log_every=2 * config.train.steps_per_call,
        eval_every=3 * config.train.steps_per_call,
        checkpoint_every=3 * config.train.steps_per_call,
        sample_every=0,
        tensorboard=False,
    )
    config.eval.update(batch_size=16, images=32)
    config.sample.update(count=4, batch_size=16)
    if "density" in config:
        config.density.components = 3
    if config.task == "autoregressive":
        config.likelihood.update(components=2, levels=min(config.likelihood.levels, 16))
        for network in (config.model, config.model.get("small"), config.model.get("large")):
            if network and "layers" in network:
                network.update(features=9, layers=1, head=9)
    if config.task == "vae":
        config.eval.update(samples=6, chunk=4)


def mnist(config: ConfigDict, batch_size: int, epochs: int) -> None:
    """MNIST, 5,000 training images held out for validation; evaluation, checkpoint and progress
    sheet after each epoch."""
    config.data.update(source="tfds:mnist", image_size=28, channels=1, batch_size=batch_size)
    config.data.update(train_split="train[:55000]", valid_split="train[55000:]")
    in_epochs(config, 55_000 // batch_size, epochs)


def in_epochs(config: ConfigDict, steps_per_epoch: int, epochs: int, every: int = 1) -> None:
    """Steps for that many epochs; evaluation, checkpoint and progress sheet every so many."""
    config.train.update(steps=epochs * steps_per_epoch, log_every=steps_per_epoch // 4 or 1)
    config.train.eval_every = config.train.checkpoint_every = every * steps_per_epoch
    config.train.sample_every = every * steps_per_epoch


def flat_folder(config: ConfigDict) -> None:
    """For `--config.data.source=folder:<path>` of images without splits: one in ten is for
    evaluation."""
    config.data.update(train_split="train[:90%]", valid_split="", eval_split="train[90%:]")


def autoencoder(config: ConfigDict, **model: Any) -> None:
    """The task and the sections that every autoencoder starts from; `model` is its network."""
    config.task = "autoencoder"
    config.loss = "bce"  # or mse
    config.model = ConfigDict(model)
    config.corruption = ConfigDict({"name": "none", "mean": 0.0, "deviation": 0.5, "share": 0.3})
    # Of the codes, to sample from: normal, gaussian, mixture. examples: fitted to, 0 for all.
    config.density = ConfigDict({"name": "mixture", "components": 20, "examples": 20_000})
    config.eval.reference = ""  # a workdir to compare a denoiser with


def vae(config: ConfigDict, **model: Any) -> None:
    """The task and the sections that every VAE starts from; `model` is its network."""
    config.task = "vae"
    config.model = ConfigDict(model)
    config.likelihood = ConfigDict({"name": "bernoulli", "levels": 2, "binarisation": "expected"})
    config.likelihood.deviation = 0.1  # of the gaussian likelihood; 0 learns one for each value
    config.vae = section = ConfigDict()
    section.objective = "elbo"  # or iwae
    section.samples = 1  # draws of the posterior in a training step
    section.beta = 1.0  # weight of the KL in training; evaluations report the bound itself
    section.warmup_steps = 0  # over which the weight grows to beta
    section.conditional = False  # on the class
    config.eval.samples = 100  # K of the importance-weighted bound in --mode=eval
    config.eval.chunk = 50  # of them at once
    config.train.best_metric = "neg_elbo"


def classifier(config: ConfigDict, **model: Any) -> None:
    """The task and the sections that every classifier starts from; `model` is its network."""
    config.task = "classifier"
    config.model = ConfigDict(model)
    config.classifier = ConfigDict({"shift": 2})  # pixels at most, in training


def gan(
    config: ConfigDict,
    generator: dict[str, Any],
    discriminator: dict[str, Any],
    **optim: Any,
) -> None:
    """The task and the sections that every GAN starts from: a network and an optimiser for each
    player; `optim` is what both optimisers change."""
    config.task = "gan"
    players = {"generator": generator, "discriminator": discriminator}
    config.model = ConfigDict({"prior": "normal"} | players)  # or uniform, on [-1,1]
    shared = config.optim.to_dict() | optim
    config.optim = ConfigDict({player: dict(shared) for player in players})
    del config.optim.discriminator["ema"]  # only what draws samples is averaged
    config.gan = section = ConfigDict()
    section.loss = "non_saturating"  # minimax, least_squares, hinge, wasserstein
    section.discriminator_steps = 1  # for each of the generator; they share data.batch_size
    section.label_smoothing = 0.0  # real images are labelled 1 minus this
    section.gradient_penalty = 0.0  # weight, 0 is off
    section.r1 = 0.0  # weight, 0 is off
    section.conditional = False  # on the class
    config.train.best_metric = "feature_distance"
    config.train.watch = ConfigDict(
        {
            "accuracy_real": {"high": 0.999, "patience": 5},  # the discriminator has won
            "sample_diversity": {"low": 0.2, "patience": 2},  # one image for every latent
        }
    )


def dcgan(config: ConfigDict, start: int, features: tuple[int, ...], down: tuple[int, ...]) -> None:
    """A GAN of strided convolutions: features of the generator's maps, and of the way down."""
    generator = {"name": "gan.ResizeGenerator", "latent": 100, "start": start}
    discriminator = {"name": "gan.StridedDiscriminator", "features": down}
    common = {"kernel": 5, "dropout": 0.1, "momentum": 0.99}
    generator |= common | {"features": features, "output": "tanh"}
    gan(config, generator, discriminator | common, learning_rate=2e-4, b1=0.5)


def of_pixels(name: str, **model: Any) -> ConfigDict:
    """The section of a network of pixels, with the fields that all have; `model` are others."""
    network = ConfigDict({"name": name, "features": 32, "layers": 7, "first_kernel": 7})
    network.update(head=32, dropout=0.0, residual=True, skip=False, colour_groups=True)
    network.update(patches=False, dtype="float32", **model)
    return network


def autoregressive(config: ConfigDict, network: ConfigDict) -> None:
    """The task and the sections that every autoregressive model starts from."""
    config.task = "autoregressive"
    config.autoregressive = ConfigDict({"conditional": False})  # on the class
    config.model = network
    config.likelihood = ConfigDict({"name": "categorical", "levels": 256, "binarisation": "fixed"})
    config.likelihood.components = 10  # of a logistic_mixture
    config.train.best_metric = "nll"


def binarized_mnist(config: ConfigDict, steps: int) -> None:
    """The fixed binarised MNIST (Larochelle's files), for that many steps."""
    config.data.update(source="tfds:binarized_mnist", image_size=28, channels=1, batch_size=16)
    config.likelihood.update(name="bernoulli", levels=2)
    likelihood_training(config, steps)


def wide(config: ConfigDict) -> None:
    """A 21x21 first mask: with a 7x7 one, seven 3x3 layers see 10 rows up, half a digit."""
    config.model.first_kernel = 21


def grey_mnist(config: ConfigDict, steps: int) -> None:
    """MNIST at 256 levels, 10,000 training images held out, for that many steps."""
    config.data.update(source="tfds:mnist", image_size=28, channels=1, batch_size=16)
    config.data.update(train_split="train[:50000]", valid_split="train[50000:]")
    likelihood_training(config, steps)


def cifar10(config: ConfigDict, steps: int) -> None:
    """CIFAR-10 at 256 levels, for that many steps."""
    config.data.update(source="tfds:cifar10", image_size=32, channels=3, batch_size=16)
    likelihood_training(config, steps)
    config.eval.batch_size = 64
    config.sample.update(count=16, batch_size=16)


def likelihood_training(config: ConfigDict, steps: int) -> None:
    """Muon and averaged weights; what is measured and drawn four times on the way."""
    config.optim.update(name="muon", learning_rate=1e-2, schedule="cosine", ema=0.999)
    config.train.update(steps=steps, log_every=100, checkpoint_every=500)
    config.train.eval_every = config.train.sample_every = steps // 4
