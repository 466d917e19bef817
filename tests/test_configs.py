"""Every config trains in :smoke, through the contract that all tasks share."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from genlab import config as configs
from genlab import data, evaluate, restore, task
from genlab.capabilities import Samples
from genlab.errors import UserError
from genlab.modes import plan
from genlab.nn import build, masked
from genlab.nn.dense import CodeNetwork
from genlab.nn.pixel import PixelNetwork
from genlab.parallel import on_one_device
from genlab.state import State
from genlab.training import loop as train
from genlab.workdir import configs as run_configs
from tests.conftest import ROOT, give_back_memory

CONFIGS = sorted(p.stem for p in (ROOT / "configs").glob("*_*.py") if p.stem[0] != "_")
# Extra arguments that a config takes beside :smoke.
VARIANTS = {"mnist_pixelcnn": ["smoke,lab"]}


def loaded(name: str) -> ConfigDict:
    file, _, argument = name.partition(":")
    return configs.load(f"{ROOT}/configs/{file}.py:{argument}")


# Those that take the longest to compile are with the thorough tests, as is every config whose
# task and networks another has too.
SLOW = ("cifar10", "celeba", "lfw", "mnist_multiscale", "mnist_dcgan")


def all_arguments() -> list:
    names, seen = [f"{n}:{a}" for n in CONFIGS for a in ["smoke", *VARIANTS.get(n, [])]], set()
    found = []
    for name in names:
        config = loaded(name)
        kind = (
            config.task,
            *(v for k, v in configs.flat(config).items() if k.endswith(".name") and "." in v),
        )
        again = name.startswith(SLOW) or kind in seen
        seen |= set() if again else {kind}
        found.append(pytest.param(name, marks=pytest.mark.thorough) if again else name)
    return found


@pytest.fixture
def _memory_is_given_back_at_once():
    """Each config compiles programs of its own."""
    yield
    give_back_memory()


@pytest.mark.usefixtures("_memory_is_given_back_at_once")
@pytest.mark.parametrize("name", all_arguments())
def test_a_config_trains_and_restores_in_smoke(name, tmp_path):
    found = loaded(name)
    train.train(found, str(tmp_path))
    model = restore(str(tmp_path))
    assert model.step == found.train.steps
    if isinstance(model.task, Samples):
        images = model.sample(jax.random.key(0), 2)
        assert images.shape == (2, *model.task.shape) and images.dtype == np.uint8
    assert Path(tmp_path / "figures" / "loss.png").exists()


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_is_locked_and_survives_json(name):
    found = loaded(name)
    assert found.is_locked and run_configs.from_json(run_configs.to_json(found)) == found
    assert set(found) >= {"seed", "task", "parallel", "data", "model", "train", "sample"}


IN_EARNEST = [n for n in CONFIGS if "accelerators(" in (ROOT / f"configs/{n}.py").read_text()]


@pytest.mark.parametrize("variant", ["tpu", "gpu"])
@pytest.mark.parametrize("name", IN_EARNEST)
def test_a_variant_for_accelerators_can_be_trained_there(name, variant):
    """Its fields hold together, its batch divides over a host of chips, and its header names it."""
    plain, found = loaded(name), loaded(f"{name}:{variant}")
    configs.check_values(found)
    task.load(found, plan.spec_of(found))
    assert found.data.batch_size % 16 == 0 and found.data.batch_size > plain.data.batch_size
    assert found.train.steps_per_call > 1 and found.train.eval_every <= found.train.steps // 4
    assert ":tpu" in (ROOT / f"configs/{name}.py").read_text().partition('"""\n')[0]


def test_a_variant_keeps_the_share_of_the_run_that_weights_are_averaged_over():
    """The average's memory, in steps, over the steps of the run."""
    plain, found = loaded("mnist_classifier"), loaded("mnist_classifier:tpu")
    memory = [1 / (1 - c.optim.ema) / c.train.steps for c in (plain, found)]
    assert memory[1] == pytest.approx(memory[0], rel=0.01)
    warm = [c.optim.warmup_steps / c.train.steps for c in (plain, found)]
    assert warm[1] == pytest.approx(warm[0], rel=0.01)


def test_whoever_trains_in_earnest_has_variants_for_accelerators():
    """All but toys, and autoencoders that are trained in minutes anywhere."""
    small = ("digits_", "mnist_ae", "mnist_dae", "lfw_ae", "mnist_vae_small")
    assert {n for n in CONFIGS if not n.startswith(small)} == set(IN_EARNEST)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_task_keeps_the_contract(name):
    """Names, shapes and dtypes only: nothing is computed."""
    found = loaded(f"{name}:smoke")
    sets = data.load(found.data)
    made = task.load(found, sets.spec)
    batch = sets.train.read(np.arange(4))
    key = jax.random.key(0)
    state = jax.eval_shape(on_one_device(made.init), key, batch)
    assert isinstance(state, State) and set(state.opt) == set(state.params)
    after, metrics = jax.eval_shape(on_one_device(made.step), state, batch, key)
    shapes = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)  # noqa: E731
    assert shapes(after) == shapes(state)
    assert all(x.shape == () for x in metrics.values())
    per_example = jax.eval_shape(on_one_device(made.evaluate), state, batch, key)
    assert all(x.shape[0] == 4 for x in per_example.values())
    reported = evaluate.metric_names(made, sets.spec)
    assert {made.headline, found.train.best_metric or made.headline} <= reported
    assert made.headline in made.units and made.protocol


def section(**changes):
    return ConfigDict({"name": "masked.PixelCNN", "features": 4, **changes})


def test_a_section_builds_its_network():
    net = build.build(section(dropout=0), "model", PixelNetwork, outputs=2)
    assert net == masked.PixelCNN(outputs=2, features=4, dropout=0)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "masked.PixelCN"}, r"model.name: no network .* Did you mean 'masked.PixelCNN'"),
        ({"name": "maskd.PixelCNN"}, "Did you mean 'masked.PixelCNN'"),
        ({"name": "PixelCNN"}, "model.name"),
        ({"feature": 4}, "model.feature: .* Did you mean 'features'"),
        ({"outputs": 4}, "model.outputs: "),
        ({"features": "4"}, "model.features: '4' is not int"),
        ({"features": True}, "model.features: True is not int"),
        ({"patches": 1}, "model.patches: 1 is not bool"),
    ],
)
def test_a_section_with_a_mistake_is_one_line(changes, told):
    with pytest.raises(UserError, match=told):
        build.build(section(**changes), "model", PixelNetwork, outputs=2)


def test_a_network_of_another_kind_than_the_task_needs_is_one_line():
    given = {"shape": (8, 8, 1), "code_parameters": 1, "outputs": 2}
    with pytest.raises(UserError, match=r"model.name: masked.PixelCNN .* dense.Autoencoder"):
        build.build(section(), "model", CodeNetwork, **given)


def test_the_inner_networks_of_a_network_are_checked_for_their_kind():
    scales = ConfigDict({"name": "multiscale.MultiScale", "small": section(), "large": section()})
    assert build.build(scales, "model", PixelNetwork, outputs=2).large == masked.PixelCNN(
        outputs=2, features=4
    )
    scales.large = ConfigDict({"name": "gan.DenseDiscriminator"})
    with pytest.raises(UserError, match=r"model\.large\.name: gan\.DenseDiscriminator"):
        build.build(scales, "model", PixelNetwork, outputs=2)
