"""Plans: what is read from a compiled program, what follows from it, and what is refused."""

from __future__ import annotations

import json
import math
from importlib import util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genlab import config as configs
from genlab.errors import UserError
from genlab.modes import plan
from genlab.planning import chips, cost, estimate, hlo, largest, programs, tell, topologies
from tests.conftest import ROOT

# The form of what the TPU compiler prints: a loop of 24 passes, one without end, a collective.
PROGRAM = """HloModule jit_one, is_scheduled=true

%reads (p0: f32[24,8,128], p1: s32[]) -> f32[8,128] {
  %p0 = f32[24,8,128]{2,1,0:T(8,128)} parameter(0)
  %p1 = s32[]{:T(128)} parameter(1)
  %zero = s32[]{:T(128)} constant(0)
  ROOT %slice = f32[1,8,128]{2,1,0:T(8,128)S(1)} dynamic-slice(%p0, %p1, %zero, %zero), dynamic_slice_sizes={1,8,128}
}

%body (b: (s32[], f32[24,8,128])) -> (s32[], f32[24,8,128]) {
  %b = (s32[]{:T(128)}, f32[24,8,128]{2,1,0:T(8,128)}) parameter(0)
  %i = s32[]{:T(128)} get-tuple-element(%b), index=0
  %drive = f32[24,8,128]{2,1,0:T(8,128)} get-tuple-element(%b), index=1
  %read = f32[8,128]{1,0:T(8,128)S(1)} fusion(%drive, %i), kind=kLoop, calls=%reads, metadata={op_name="jit(one)/shard_map/Layer_3/slice"}, backend_config={"window_config":{"estimated_cycles":"100"}}
  ROOT %next = (s32[]{:T(128)}, f32[24,8,128]{2,1,0:T(8,128)}) tuple(%i, %drive)
}

%condition (c: (s32[], f32[24,8,128])) -> pred[] {
  %c = (s32[]{:T(128)}, f32[24,8,128]{2,1,0:T(8,128)}) parameter(0)
  %at = s32[]{:T(128)} get-tuple-element(%c), index=0
  %bound = s32[]{:T(128)} constant(24)
  ROOT %less = pred[]{:T(512)} compare(%at, %bound), direction=LT
}

%waits (w: (s32[], f32[24,8,128])) -> pred[] {
  %w = (s32[]{:T(128)}, f32[24,8,128]{2,1,0:T(8,128)}) parameter(0)
  ROOT %flag = pred[]{:T(512)} get-tuple-element(%w), index=0
}

ENTRY %main (x: f32[24,8,128], y: f32[5,100]) -> f32[5,100] {
  %x = f32[24,8,128]{2,1,0:T(8,128)} parameter(0)
  %y = f32[5,100]{1,0:T(8,128)} parameter(1)
  %start = (s32[]{:T(128)}, f32[24,8,128]{2,1,0:T(8,128)}) tuple(%x, %x)
  %loop = (s32[]{:T(128)}, f32[24,8,128]{2,1,0:T(8,128)}) while(%start), condition=%condition, body=%body
  %open = (s32[]{:T(128)}, f32[24,8,128]{2,1,0:T(8,128)}) while(%loop), condition=%waits, body=%body
  %copy = f32[5,100]{1,0:T(8,128)} copy(%y), metadata={op_name="jit(one)/shared"}, backend_config={"window_config":{"estimated_cycles":"600"}}
  ROOT %sum = f32[5,100]{1,0:T(8,128)} all-reduce(%copy), to_apply=%reads
}
"""  # noqa: E501
TILE = 8 * 128 * 4  # bytes


def test_a_loop_costs_its_body_as_often_as_it_runs():
    found = cost.cost(PROGRAM)
    assert found.cycles == 24 * 100 + 100 + 600
    assert found.loop_steps == 24 + 1 and found.endless == 1
    assert found.largest(1) == [("fusion f32[8,128] Layer_*/slice", 2500 / 3100)]


def test_traffic_is_of_padded_tiles_and_of_slices_alone():
    """5x100 floats lie in one tile of 8x128; a pass reads its slice of 24 tiles into VMEM."""
    found = cost.cost(PROGRAM)
    index = 4  # the loop's counter
    assert found.hbm_bytes == 25 * (TILE + index) + 2 * TILE + 2 * TILE  # loops, copy, sum
    assert found.reduced_bytes == 5 * 100 * 4 and found.collectives == 1


def test_what_a_program_needs_is_read_from_its_refusal():
    used = "RESOURCE_EXHAUSTED: Used 212.21G of 15.75G hbm. Exceeded hbm capacity by 196.46G."
    other = "RESOURCE_EXHAUSTED: TPU program needs 512.5M exceeds available HBM"
    assert estimate.needs(used) == pytest.approx(212.21 * 2**30)
    assert estimate.needs(other) == pytest.approx(512.5 * 2**20)
    third = "RESOURCE_EXHAUSTED: total memory required (215.79G) exceeds available HBM (31.25G)."
    assert estimate.needs(third) == pytest.approx(215.79 * 2**30)
    assert estimate.needs("INVALID_ARGUMENT: no") is None


CHIP = chips.Chip("a chip", 1000.0, 1.0, 1.0, 1.0)


@pytest.mark.parametrize("fixed, each", [(100.0, 3.0), (10.0, 0.5), (990.0, 1.0), (0.0, 40.0)])
@pytest.mark.parametrize("size", [8, 64])
def test_the_largest_batch_fits_and_twice_as_many_would_not(fixed, each, size):
    def at(images: int) -> estimate.Estimate:
        program = programs.Planned("train", jnp.sin, (), 1, images, 4, False)
        peak = fixed + each * images
        return estimate.Estimate(program, CHIP, peak <= CHIP.memory, peak, 0.0, 0.0, None)

    found = largest.largest_batch(at(size), size, at)
    assert found % 4 == 0
    assert at(found).fits if found else not at(4).fits
    assert not at(found + max(found // 8, 64)).fits


def test_a_size_that_is_refused_without_a_word_of_memory_is_not_the_end_of_the_search():
    """Small batches promise too much, and of large ones it is not said what they would need."""

    def at(images: int) -> estimate.Estimate:
        program = programs.Planned("train", jnp.sin, (), 1, images, 4, False)
        peak = 10 + 0.001 * images if images < 100 else images
        fits = peak <= CHIP.memory
        return estimate.Estimate(program, CHIP, fits, peak if fits else math.nan, 0.0, 0.0, None)

    assert 200 < largest.largest_batch(at(16), 16, at) <= 1000


def test_peaks_are_those_of_the_makers():
    known = {"TPU v5 lite": (197e12, 16e9), "TPU v4": (137.5e12, 16e9), "TPU v5": (459e12, 95e9)}
    for kind, (flops, memory) in known.items():
        chip = chips.chip_of(type("Device", (), {"device_kind": kind}))
        assert chip.products == pytest.approx(flops, rel=0.01)
        assert chip.memory == pytest.approx(memory, rel=0.1)
        assert chip.peak(exact=True) == pytest.approx(chip.products / 6)
    assert chips.chip_of(jax.devices()[0]) is None


@pytest.mark.parametrize(
    "topology, said",
    [
        ("v9:2x2", "no such chip"),
        ("v5e", "not a layout of chips"),
        ("v5e:0x2", "not a layout of chips"),
        ("h100:2x2", "not a number of cards"),
    ],
)
def test_a_topology_that_is_none_is_refused_with_those_known(topology, said):
    with pytest.raises(UserError, match=f"{topology}.*{said}.*v5e:4x4.*h100:8"):
        topologies.devices(topology)


@pytest.mark.parametrize("topology, extra", [("v5e:2x2", "tpu"), ("h100:8", "cuda13")])
def test_what_compiles_for_a_chip_is_asked_for_in_the_version_that_fits(
    monkeypatch, topology, extra
):
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=rf'pip install "jax\[{extra}\]=={jax.__version__}"'):
        topologies.devices(topology)


@pytest.mark.parametrize(
    "split, count",
    [("train", 60_000), ("train[:50000]", 50_000), ("train[10%:90%]", 48_000), ("test", 50_000)],
)
def test_examples_are_those_of_the_training_split(split, count):
    config = configs.base()
    config.data.update(source="tfds:mnist", train_split=split)
    assert programs.examples_of(config) == (count, split != "test")


def test_a_program_is_planned_from_shapes_alone(monkeypatch):
    """On this machine's own device: no data is read, and all programs of a config are lowered."""
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("data",))
    replicas = topologies.Described("jit", mesh)
    config = configs.load(f"{ROOT}/configs/cifar10_pixelcnn.py:smoke")
    config.data.source = "folder:/nowhere"
    spec = plan.spec_of(config)
    found = list(programs.programs(config, spec, replicas, 1000, programs.KINDS))
    assert [p.name for p in found] == [
        "train", "evaluate", "sample: cached", "sample: fixed_point",
    ]  # fmt: skip
    told = {"train": estimate.estimate(found[0], CHIP).told()}
    assert told["train"]["memory_mb"] > 0 and told["train"]["gflop"] > 0
    text = tell.table([{"config": "a", "programs": told}, {"config": "b", "programs": {}}])
    assert "memory of a chip, MB" in text and "estimated" not in text  # a CPU estimates nothing


@pytest.mark.libtpu
def test_a_tpu_that_is_not_there_is_planned_for(capsys, monkeypatch):
    monkeypatch.setattr(jax.config, "update", lambda *_: None)  # tests go on with their cache
    config = configs.load(f"{ROOT}/configs/mnist_ae_dense.py:smoke")
    plan.plan({"smoke": config}, "v5e:2x2", ("train",), 100, search=False)
    table, _, line = capsys.readouterr().out.strip().rpartition("\n")
    train = json.loads(line)["plans"][0]["programs"]["train"]
    assert train["fits"] and train["estimated_ms"] > 0 and train["reduced_mb"] > 0
    assert 0 < max(train["floor_products_ms"], train["floor_hbm_ms"]) < train["estimated_ms"]
    assert "estimated most expensive operations" in table


def test_hlo_types_have_the_bytes_of_their_layout():
    tiled, plain = hlo.shapes("(f32[5,100]{1,0:T(8,128)}, bf16[3]{0})")
    assert (tiled.bytes, tiled.padded) == (2000, TILE) and (plain.bytes, plain.padded) == (6, 6)
    assert tiled.in_hbm and not hlo.shapes("f32[8]{0:T(128)S(1)}")[0].in_hbm
