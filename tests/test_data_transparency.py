"""Transparency: alpha, palettes and transparent colours are composed over the background."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from genlab.data.examples import Unreadable
from tests.encoded_pictures import encoded, png, read

HALF = np.array([[[200, 100, 50, 0], [200, 100, 50, 128], [200, 100, 50, 255]]], np.uint8)


@pytest.mark.parametrize("background", [0, 80, 255])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "TGA", "ICO"])
def test_alpha_is_composed_over_the_background(kind, background):
    """Colours that alpha hides do not appear, whatever they are."""
    options = {"WEBP": {"lossless": True, "exact": True}, "ICO": {"sizes": [(16, 16)]}}
    values = np.repeat(np.repeat(HALF, 16, 0), 6, 1)[:16, 1:17]
    image = Image.fromarray(values, "RGBA")
    found = read(encoded(image, kind, **options.get(kind, {})), background)
    cover = values[..., 3:] / 255
    wanted = values[..., :3] * cover + background * (1 - cover)
    assert found.shape == (16, 16, 3) and np.abs(found - wanted).max() <= 0.5


@pytest.mark.parametrize("background", [0, 200])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG2000"])
def test_grey_with_alpha_is_one_channel(kind, background):
    values = np.array([[[90, 0], [90, 255]]], np.uint8).repeat(8, 0).repeat(4, 1)
    found = read(encoded(Image.fromarray(values, "LA"), kind), background)
    assert found.shape == (8, 8, 1)
    assert found[0, :4].max() == background and found[0, 4:].min() == 90


def test_sixteen_bit_grey_with_alpha_is_one_channel():
    row = np.array([40000, 0, 40000, 65535], ">u2").tobytes()
    assert read(png(16, 4, 2, [row]), 7).ravel().tolist() == [7, 40000 >> 8]


def palette_image(colours: list[tuple[int, int, int]], indices: list[int]) -> Image.Image:
    image = Image.frombytes("P", (len(indices), 1), bytes(indices))
    image.putpalette([value for colour in colours for value in colour])
    return image


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "TIFF"])
def test_a_palette_of_greys_is_one_channel_and_one_of_colours_is_three(kind):
    greys = palette_image([(9, 9, 9), (200, 200, 200), (70, 70, 70)], [1, 0, 2])
    assert read(encoded(greys, kind)).tolist() == [[[200], [9], [70]]]
    colours = palette_image([(9, 9, 9), (200, 0, 200)], [0, 1])
    assert read(encoded(colours, kind)).tolist() == [[[9, 9, 9], [200, 0, 200]]]


@pytest.mark.parametrize("how", [{}, {"palette": Image.Palette.ADAPTIVE, "colors": 16}])
def test_greys_quantised_to_a_palette_stay_one_channel(how):
    grey = Image.fromarray(np.tile(np.arange(0, 256, 16, np.uint8), (4, 1)))
    image = grey.convert("P") if not how else grey.convert("RGB").convert("P", **how)
    np.testing.assert_array_equal(read(encoded(image, "PNG"))[..., 0], np.asarray(grey))


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
@pytest.mark.parametrize("background", [0, 33])
def test_a_transparent_entry_of_a_palette_is_background(kind, background):
    image = palette_image([(255, 0, 255), (10, 20, 30)], [0, 1])
    data = encoded(image, kind, transparency=0)
    assert read(data, background).tolist() == [[[background] * 3, [10, 20, 30]]]
    greys = palette_image([(255, 0, 255), (30, 30, 30)], [0, 1])
    assert read(encoded(greys, kind, transparency=0), background).tolist() == [[[background], [30]]]


def test_entries_of_a_palette_may_be_half_transparent():
    image = palette_image([(100, 50, 0), (10, 20, 30)], [0, 1])
    data = encoded(image, "PNG", transparency=bytes([51, 255]))
    assert read(data, 200).tolist() == [[[180, 170, 160], [10, 20, 30]]]


@pytest.mark.parametrize(
    ("depth", "row", "key", "wanted"),
    [
        (1, bytes([0b01000000]), 1, [0, 50]),
        (2, bytes([0b01100000]), 1, [50, 170]),
        (4, bytes([0x5A]), 5, [50, 170]),
        (8, bytes([7, 90]), 7, [50, 90]),
        (16, struct.pack(">HH", 0x1234, 0x1235), 0x1234, [50, 0x12]),
    ],
)
def test_one_transparent_grey_is_told_from_others_at_every_depth(depth, row, key, wanted):
    data = png(depth, 0, 2, [row], (b"tRNS", struct.pack(">H", key)))
    assert read(data, 50).ravel().tolist() == wanted


def test_one_transparent_colour_is_background():
    image = Image.fromarray(np.array([[[1, 2, 3], [1, 2, 4]]], np.uint8))
    data = encoded(image, "PNG", transparency=(1, 2, 3))
    assert read(data, 9).tolist() == [[[9, 9, 9], [1, 2, 4]]]


def test_a_transparent_colour_that_bytes_cannot_tell_is_refused():
    row = struct.pack(">6H", 1, 2, 3, 256, 2, 3)
    data = png(16, 2, 2, [row], (b"tRNS", struct.pack(">3H", 1, 2, 3)))
    with pytest.raises(Unreadable, match="transparent colour has 16 bits"):
        read(data)
