"""Pixels: every mode, depth, orientation and transparency is read as its format means it."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from genlab.data import pixels
from genlab.data.examples import Unreadable
from tests.encoded_pictures import encoded, png, read

RNG = np.random.default_rng(0)
RAMP = np.array([[0, 16384, 32768, 65535]], np.uint16)
BYTES = [0, 64, 128, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("size", [(3, 2), (5, 8)])
def test_a_photo_is_turned_as_its_exif_orientation_says(kind, orientation, size):
    exif = Image.Exif()
    exif[0x0112] = orientation
    values = RNG.integers(0, 256, (size[1], size[0], 3), np.uint8)
    data = encoded(Image.fromarray(values), kind, exif=exif.tobytes())
    with Image.open(io.BytesIO(data)) as image:
        wanted = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    found = read(data)
    assert found.shape[:2] == (size[::-1] if orientation < 5 else size)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", None])
def test_a_turned_tiff_is_turned_once(compression):
    values = RNG.integers(0, 256, (2, 3), np.uint8)
    data = encoded(Image.fromarray(values), "TIFF", tiffinfo={274: 6}, compression=compression)
    np.testing.assert_array_equal(read(data)[..., 0], np.rot90(values, -1))


def test_a_damaged_description_does_not_damage_the_picture():
    values = RNG.integers(0, 256, (2, 3, 3), np.uint8)
    data = encoded(Image.fromarray(values), "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01")
    np.testing.assert_array_equal(read(data), values)


DEEP = {
    "PNG, I;16": encoded(Image.fromarray(RAMP), "PNG"),
    "TIFF, I;16": encoded(Image.fromarray(RAMP), "TIFF"),
    "TIFF, I;16B": encoded(Image.frombytes("I;16B", (4, 1), RAMP.astype(">u2").tobytes()), "TIFF"),
    "TIFF, I;16, lzw": encoded(Image.fromarray(RAMP), "TIFF", compression="tiff_lzw"),
    "PGM, I;16": encoded(Image.fromarray(RAMP), "PPM"),
    "PGM, I": encoded(Image.fromarray(RAMP.astype(np.int32)), "PPM"),
    "JPEG 2000": encoded(Image.fromarray(RAMP), "JPEG2000", irreversible=False),
}


@pytest.mark.parametrize("name", DEEP)
def test_sixteen_bit_greys_give_their_high_byte(name):
    assert read(DEEP[name]).tolist() == [[[b] for b in BYTES]]


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B", "I;16N"])
def test_byte_orders_of_sixteen_bits_are_one(mode):
    order = ">" if mode == "I;16B" else "<"
    image = Image.frombytes(mode, (4, 1), RAMP.astype(f"{order}u2").tobytes())
    assert pixels.from_image(image).ravel().tolist() == BYTES


def test_greys_of_twelve_bits_are_read_on_their_own_scale():
    data = encoded(Image.fromarray(RAMP), "TIFF")
    packed = data.replace(
        RAMP.tobytes(), bytes([0x00, 0x04, 0x00, 0x80, 0x0F, 0xFF]).ljust(8, b"\0")
    )
    bits = packed.replace(
        struct.pack("<HHIHH", 258, 3, 1, 16, 0), struct.pack("<HHIHH", 258, 3, 1, 12, 0)
    )
    assert bits != packed
    assert read(bits).ravel().tolist() == [0, 64, 128, 255]


def test_a_grey_scale_that_begins_with_white_is_turned_round():
    data = encoded(Image.fromarray(RAMP), "TIFF")
    black, white = (struct.pack("<HHIHH", 262, 3, 1, kind, 0) for kind in (1, 0))
    assert read(data.replace(black, white)).ravel().tolist() == [255, 191, 127, 0]


@pytest.mark.parametrize("kind", ["signed", "wide"])
def test_integers_whose_white_is_not_known_are_refused(kind):
    wide = encoded(Image.fromarray(RAMP.astype(np.int32)), "TIFF")
    sixteen = encoded(Image.fromarray(RAMP), "TIFF", tiffinfo={339: 2})
    with pytest.raises(Unreadable, match="whose white is not known"):
        read(wide if kind == "wide" else sixteen)


@pytest.mark.parametrize("kind", ["TIFF", "PPM"])
def test_floats_on_the_unit_interval_are_scaled(kind):
    image = Image.fromarray(np.array([[0.0, 0.25, 0.5, 1.0]], np.float32))
    assert read(encoded(image, kind)).ravel().tolist() == [0, 64, 128, 255]


@pytest.mark.parametrize("values", [[0.0, 255.0], [-0.1, 1.0], [np.nan, 0.5], [np.inf, 0.0]])
def test_other_floats_are_refused(values):
    data = encoded(Image.fromarray(np.array([values], np.float32)), "TIFF")
    with pytest.raises(Unreadable, match=r"picture: cannot be read \(its floats reach from"):
        read(data)


def test_other_modes_stay_right():
    rgb = RNG.integers(0, 256, (4, 5, 3), np.uint8)
    image = Image.fromarray(rgb)
    np.testing.assert_array_equal(read(encoded(image, "PNG")), rgb)
    deep = png(16, 2, 5, [row.astype(">u2").tobytes() for row in rgb.astype(np.uint16) * 257])
    np.testing.assert_array_equal(read(deep), rgb)
    cmyk = image.convert("CMYK")
    np.testing.assert_array_equal(read(encoded(cmyk, "TIFF")), np.asarray(cmyk.convert("RGB")))
    bits = Image.fromarray(rgb[..., 0] > 128)
    np.testing.assert_array_equal(read(encoded(bits, "PNG"))[..., 0], (rgb[..., 0] > 128) * 255)
    same = Image.fromarray(np.repeat(rgb[..., :1], 3, -1))
    assert read(encoded(same, "PNG")).shape == (4, 5, 3)  # RGB that is grey stays RGB


def test_lab_is_read_as_colours():
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    red = Image.new("RGB", (2, 2), (200, 30, 40))
    image = ImageCms.profileToProfile(red, srgb, lab, outputMode="LAB")
    assert np.abs(read(encoded(image, "TIFF")).astype(int) - [200, 30, 40]).max() <= 3


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animated_picture_is_its_first_frame(kind):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((250, 0, 0), (0, 0, 250))]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert np.abs(read(data).astype(int) - [250, 0, 0]).max() <= 3


def test_a_picture_too_large_to_decode_safely_is_unreadable(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(Unreadable, match="too large to decode safely, over 200 pixels"):
        read(encoded(Image.new("L", (20, 20)), "PNG"))


def test_a_huge_text_chunk_is_unreadable_not_a_crash():
    info = PngImagePlugin.PngInfo()
    info.add_text("a", "b" * (2 << 20), zip=True)
    with pytest.raises(Unreadable):
        read(encoded(Image.new("L", (2, 2)), "PNG", pnginfo=info))


MODES = {"1": 1, "L": 1, "LA": 1, "P": 1, "I;16": 1, "RGB": 3, "RGBA": 3, "CMYK": 3, "YCbCr": 3}


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(sorted(MODES)),
    st.sampled_from(["PNG", "TIFF", "GIF", "WEBP", "BMP", "JPEG", "JPEG2000", "PPM", "TGA", "SGI"]),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(0, 255),
)
def test_whatever_pillow_writes_is_read_in_its_shape(mode, kind, width, height, background):
    noise = np.random.default_rng(width * 16 + height).integers(
        0, 256, (height, width, 4), np.uint8
    )
    image = Image.fromarray(noise, "RGBA")
    image = image.convert("L").convert(mode) if MODES[mode] == 1 else image.convert(mode)
    try:
        data = encoded(image, kind)
    except (OSError, ValueError, SystemError):  # the format does not hold the mode
        return
    found = read(data, background)
    assert found.shape[:2] == (height, width)
    with Image.open(io.BytesIO(data)) as stored:
        if stored.mode in MODES:  # WebP knows colours only
            assert found.shape[-1] == MODES[stored.mode] or stored.mode == "P"


@settings(deadline=None)
@given(st.sampled_from([np.uint8, np.int16, np.int64, np.uint16]), st.integers(0, 3))
def test_arrays_of_integers_are_bytes(dtype, channels):
    values = RNG.integers(0, 256, (3, 4, channels + 1)[: 2 + bool(channels)]).astype(dtype)
    found = pixels.from_array(values, 10)
    assert found.dtype == np.uint8 and found.shape == (3, 4, 3 if channels >= 2 else 1)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.array([[256]]), "beyond 0..255"),
        (np.array([[-1]]), "beyond 0..255"),
        (np.array([[2.0]]), "beyond"),
        (np.zeros((2, 2, 5), np.uint8), "shape"),
        (np.zeros(4, np.uint8), "shape"),
        (np.zeros((0, 3), np.uint8), "shape"),
        (np.array([["a"]]), "values are <U1"),
        (np.array([[1j]]), "values are complex128"),
    ],
)
def test_other_arrays_are_refused(values, told):
    with pytest.raises(ValueError, match=told):
        pixels.from_array(values)


def test_booleans_are_black_and_white_and_floats_are_scaled():
    assert pixels.from_array(np.array([[True, False]])).ravel().tolist() == [255, 0]
    assert pixels.from_array(np.array([[0.5, 1.0]], np.float16)).ravel().tolist() == [128, 255]
