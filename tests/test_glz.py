"""A .glz file is read by who can read it, or refused: damages, other models, other processes."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest
from PIL import Image

from genlab import UserError, restore
from genlab.coding import codec, glz
from genlab.modes import exact_images
from genlab.tasks.autoregressive import coding as pixel_coding
from tests.coded import drawn, pixel_model
from tests.conftest import ROOT

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def small():
    """A model, images, and their file of three streams."""
    made = pixel_model("masked.PixelCNN", levels=4)
    images = drawn(made, 5)
    header = dataclasses.replace(header_of(made.compress(images)), chunk=2)
    coder = dataclasses.replace(made.task.coder(made.state, 5, header.lanes), chunk=2)
    labels = np.full(5, -1, np.int32)
    streams = codec._streams(header, coder, made, images, labels, True, False)
    return made, images, b"".join(glz.pack(header, streams))


def header_of(data: bytes) -> glz.Header:
    return glz.unpack(data)[0]


def test_streams_are_decoded_each(small, monkeypatch):
    made, images, data = small
    original = type(made.task).coder

    def in_twos(self, *args):
        return dataclasses.replace(original(self, *args), chunk=2)

    monkeypatch.setattr(type(made.task), "coder", in_twos)
    np.testing.assert_array_equal(made.decompress(data), images)
    assert len(glz.unpack(data)[1]) == 3


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """The file with a bit flipped, some bytes overwritten, cut, moved, repeated or added."""
    place, size = int(rng.integers(len(data))), int(rng.integers(1, 9))
    other = int(rng.integers(len(data)))
    flipped = bytes([data[place] ^ 1 << int(rng.integers(8))])
    return [
        data[:place] + flipped + data[place + 1 :],
        data[:place] + rng.bytes(size) + data[place + size :],
        data[:place],
        data[:place] + data[place + size :],
        data[:place] + data[other : other + size] + data[place:],
        data + rng.bytes(size),
        data[:place] + bytes(size) + data[place + size :],
    ][int(rng.integers(7))]


def test_damages_are_detected(small):
    """None of 1,000 random damages is decoded."""
    _, _, data = small
    rng, tried = np.random.default_rng(0), 0
    while tried < 1000:
        broken = damage(data, rng)
        if broken == data:
            continue
        tried += 1
        with pytest.raises(UserError, match=r"damaged|no \.glz file|of format"):
            glz.unpack(broken)


def test_a_stream_whose_checksum_was_forged_is_not_decoded_wrong(small):
    """Who rewrites a stream with its checksum meets the checksum of its images."""
    made, images, _ = small
    header, streams = glz.unpack(made.compress(images))
    rng = np.random.default_rng(1)
    for _ in range(20):
        broken = bytearray(streams[0].data)
        broken[int(rng.integers(len(broken)))] ^= 1 << int(rng.integers(8))
        forged = dataclasses.replace(streams[0], data=bytes(broken))
        with pytest.raises(UserError, match="a stream is whole, but"):
            made.decompress(b"".join(glz.pack(header, [forged])))
    wrong = dataclasses.replace(header, pixels="0" * 64)
    with pytest.raises(UserError, match="damaged"):
        made.decompress(b"".join(glz.pack(wrong, streams)))


FORGED = {
    "another model": ({"model": "0" * 64, "step": 12}, "another model .step 12, raw"),
    "another version": ({"versions": {"genlab": "9.9"}}, "with flax none, here is flax"),
    "another platform": ({"platform": "gpu X"}, "on gpu X, this is cpu"),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_file_for_another_process_is_refused_in_one_line(small, name):
    made, images, _ = small
    changes, told = FORGED[name]
    header, streams = glz.unpack(made.compress(images))
    forged = dataclasses.replace(header, **changes)
    with pytest.raises(UserError, match=told) as error:
        made.decompress(b"".join(glz.pack(forged, streams)))
    assert "\n" not in str(error.value)


def test_a_forged_header_asks_for_no_memory(small):
    """Sizes beyond what the file can hold."""
    made, images, _ = small
    header, streams = glz.unpack(made.compress(images))
    for changes in ({"count": 10**15, "chunk": 1}, {"lanes": 10**9}, {"chunk": 10**15}):
        forged = dataclasses.replace(header, **changes)
        with pytest.raises(UserError, match="damaged"):
            made.decompress(b"".join(glz.pack(forged, streams)))


def test_a_file_of_other_weights_is_refused(small):
    made, images, _ = small
    params = jax.tree.map(lambda x: x * (1 + 1e-6), made.state.params)
    other = dataclasses.replace(made, state=made.state.replace(params=params))
    with pytest.raises(UserError, match="another model"):
        made.decompress(other.compress(images))


def test_another_format_and_another_file_are_refused(small):
    made, images, _ = small
    data = made.compress(images)
    earlier, own = glz.VERSION - 1, glz.VERSION
    with pytest.raises(UserError, match=f"of format {earlier}; this genlab reads format {own}"):
        made.decompress(data[:4] + bytes([earlier]) + data[5:])
    with pytest.raises(UserError, match=r"no \.glz file"):
        made.decompress(b"PK" + data)


def test_an_encoder_that_cannot_be_decoded_says_so(small, monkeypatch):
    """Verification compares what went in with what comes out."""
    made, images, _ = small
    monkeypatch.setattr(pixel_coding.PixelCoder, "pop", lambda self, stack, labels: 0 * images)
    with pytest.raises(UserError, match="other probabilities"):
        made.compress(images)
    made.compress(images, verify=False)


def test_bytes_that_the_levels_cannot_say_are_refused(small):
    made = small[0]
    images = np.zeros((2, *made.spec.shape), np.uint8)
    images[1, 2, 3] = 17
    with pytest.raises(UserError, match=r"byte 17 is none of the 4 levels of this model \(0, 85"):
        made.compress(images)


def test_no_image_is_a_file_too(small):
    made = small[0]
    none = np.zeros((0, *made.spec.shape), np.uint8)
    assert made.decompress(made.compress(none)).shape == none.shape


def test_labels_are_given_again_where_they_are_not_stored():
    made = pixel_model("gated.GatedPixelCNN", classes=3, levels=4)
    images, labels = drawn(made, 4), np.array([2, 0, 1, 1])
    with pytest.raises(UserError, match="give labels"):
        made.compress(images)
    data = made.compress(images, labels, store_labels=False)
    assert len(data) <= len(made.compress(images, labels))
    np.testing.assert_array_equal(made.decompress(data, labels), images)
    with pytest.raises(UserError, match="holds no labels"):
        made.decompress(data)
    with pytest.raises(UserError, match="other probabilities"):
        made.decompress(data, labels[::-1])


def test_who_has_no_likelihood_does_not_compress():
    made = pixel_model("masked.PixelCNN", name="grey_value")
    with pytest.raises(UserError, match="grey_value"):
        made.compress(np.zeros((1, 6, 6, 1), np.uint8))


def test_files_are_read_as_they_are_or_refused(small, tmp_path):
    made, images, _ = small
    exact_images.write(str(tmp_path / "flat"), exact_images.Images(images, None), made)
    np.testing.assert_array_equal(exact_images.read(str(tmp_path / "flat"), made).images, images)
    np.savez(tmp_path / "a.npz", images=images)
    np.testing.assert_array_equal(exact_images.read(str(tmp_path / "a.npz"), made).images, images)
    colour = Image.fromarray(np.zeros((6, 6, 3), np.uint8))
    for name, image in {"colour": colour, "large": Image.new("L", (7, 6))}.items():
        (tmp_path / name).mkdir()
        image.save(tmp_path / name / "x.png")
        with pytest.raises(UserError, match="nothing is converted"):
            exact_images.read(str(tmp_path / name), made)
    (tmp_path / "flat" / "zz.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"zz\.png: cannot be read"):
        exact_images.read(str(tmp_path / "flat"), made)


def test_classes_are_folders(tmp_path):
    """Both ways."""
    made = pixel_model("gated.GatedPixelCNN", classes=3, levels=4)
    images, labels = drawn(made, 4), np.array([2, 0, 1, 1], np.int32)
    exact_images.write(str(tmp_path / "x"), exact_images.Images(images, labels), made)
    found = exact_images.read(str(tmp_path / "x"), made)
    order = np.argsort(labels, kind="stable")
    np.testing.assert_array_equal(found.labels, labels[order])
    np.testing.assert_array_equal(found.images, images[order])


def test_a_run_compresses_and_another_process_decompresses(launch, trained, tmp_path):
    """From the command line: a split to a file, and the file to the same images."""
    made = restore(trained)
    images = drawn(made, 12)
    np.savez(tmp_path / "in.npz", images=images)
    file, out = tmp_path / "x.glz", tmp_path / "out.npz"
    common = (f"--workdir={trained}",)
    done = launch(*common, "--mode=compress", f"--input={tmp_path}/in.npz", f"--output={file}")
    assert done.returncode == 0, done.stderr
    for word in ("12 images of 8x8x1, 4 levels", "bits/dim", "PNG, each", "xz", "compared"):
        assert word in done.stdout
    assert file.stat().st_size < 12 * 64
    done = launch(*common, "--mode=decompress", f"--input={file}", f"--output={out}")
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(out)["images"], images)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.npz", "out.npz", "x.glz"]
    file.write_bytes(file.read_bytes()[:-1])
    done = launch(*common, "--mode=decompress", f"--input={file}", f"--output={out}")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "damaged" in done.stderr.strip().splitlines()[-1]


def test_a_kill_leaves_no_half_file(tmp_path):
    """SIGKILL while streams are still coming."""
    script = (
        "import time; from etils import epath; from genlab.modes.compress import whole\n"
        "def pieces():\n"
        "    yield b'x' * 100000\n"
        "    print('now', flush=True); time.sleep(600)\n"
        f"whole(epath.Path({str(tmp_path / 'x.glz')!r}), pieces())"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"now\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "x.glz").exists()
