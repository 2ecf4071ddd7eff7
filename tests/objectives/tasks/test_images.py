from __future__ import annotations

import dataclasses
import os
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from contracts.tasks import SEED, TaskContract
from greenfront.errors import DataError
from greenfront.objectives.tasks import image_decoding
from greenfront.objectives.tasks.load import load_task, read_raw
from greenfront.objectives.tasks.settings import TaskSettings


def write_folder(folder, *, shape=(6, 5, 3), each=6) -> TaskSettings:
    """Writes two classes of random images, ``shape`` being height, width (and channels)."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for index in range(each):
            pixels = rng.integers(0, 256, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")
    return TaskSettings(kind="images", path=str(folder))


def pixels_of(settings, tmp_path) -> np.ndarray:
    return read_raw(settings, cache=tmp_path / "cache").inputs.values


class TestImages(TaskContract):
    @pytest.fixture(scope="class")
    @classmethod
    def settings(cls, tmp_path_factory):
        return write_folder(tmp_path_factory.mktemp("images") / "pets")

    def test_shape(self, task):
        assert task.facts.name == "pets"
        assert task.facts.input_shape == (3, 6, 5)
        assert task.facts.class_names == ("cat", "dog")

    def test_pixels_are_those_of_the_files(self, raw, settings):
        with Image.open(f"{settings.path}/cat/0.png") as image:
            expected = np.asarray(image).transpose(2, 0, 1)
        np.testing.assert_array_equal(raw.inputs.values[0], expected)
        assert raw.labels.tolist() == ["cat"] * 6 + ["dog"] * 6


def test_images_are_decoded_once_and_again_when_a_file_changes(tmp_path, monkeypatch):
    settings = write_folder(tmp_path / "pets")
    cache = tmp_path / "cache"
    first = load_task(settings, cache=cache, seed=SEED)
    calls = []
    decode = image_decoding.values_of
    monkeypatch.setattr(
        image_decoding, "values_of", lambda *keys: calls.append(keys) or decode(*keys)
    )
    assert load_task(settings, cache=cache, seed=SEED).facts == first.facts
    assert calls == []
    image = tmp_path / "pets" / "cat" / "0.png"
    Image.fromarray(np.zeros((6, 5, 3), np.uint8)).save(image)
    os.utime(image, (1, 1))
    assert load_task(settings, cache=cache, seed=SEED).facts.fingerprint != first.facts.fingerprint
    assert len(calls) == 12
    read_raw(dataclasses.replace(settings, image_size=4), cache=cache)
    assert len(calls) == 24


def test_caches_that_cannot_be_written_are_refused(tmp_path):
    settings = write_folder(tmp_path / "pets")
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(DataError, match=r"cache file .*/cache/images-\w+ must be writable.*Mak"):
        pixels_of(settings, tmp_path)


@pytest.mark.parametrize(
    ("shape", "keys", "expected"),
    [
        ((6, 5), {}, (1, 6, 5)),
        ((6, 5, 3), {}, (3, 6, 5)),
        ((6, 5, 4), {}, (3, 6, 5)),
        ((6, 5, 3), {"channels": 1}, (1, 6, 5)),
        ((6, 5), {"channels": 3}, (3, 6, 5)),
        ((6, 5), {"image_size": 8}, (1, 8, 8)),
    ],
)
def test_sizes_and_channels(tmp_path, shape, keys, expected):
    settings = dataclasses.replace(write_folder(tmp_path / "pets", shape=shape), **keys)
    pixels = pixels_of(settings, tmp_path)
    assert pixels.shape == (12, *expected)
    assert pixels.dtype == np.uint8


def test_images_of_different_sizes_and_colours_become_32_pixels_of_colour(tmp_path):
    settings = write_folder(tmp_path / "pets", shape=(40, 50))
    Image.new("RGB", (7, 7)).save(tmp_path / "pets" / "cat" / "nested.JPG")
    (tmp_path / "pets" / "cat" / "notes.txt").write_text("passed over")
    (tmp_path / "pets" / ".hidden").mkdir()
    assert pixels_of(settings, tmp_path).shape == (13, 3, 32, 32)


def test_unusual_modes(tmp_path):
    settings = write_folder(tmp_path / "pets", shape=(2, 2), each=1)
    folder = tmp_path / "pets" / "eel"
    folder.mkdir()
    Image.fromarray(np.full((2, 2), 0x80FF, np.uint16)).save(folder / "deep.png")
    Image.new("1", (2, 2), 1).save(folder / "ink.png")
    palette = Image.new("P", (2, 2), 1)
    palette.putpalette([0, 0, 0, 9, 9, 9])
    palette.save(folder / "palette.png", transparency=b"\x00\xff")
    pixels = pixels_of(dataclasses.replace(settings, channels=1), tmp_path)
    assert pixels[2:, 0, 0, 0].tolist() == [0x80, 255, 9]


def grey_pixels(tmp_path, **images) -> list[int]:
    """Grey images of one value each as files, and the values that become of them."""
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True, exist_ok=True)
        Image.new("L", (2, 2)).save(tmp_path / "pets" / name / "0.png")
    for name, (value, kind, ending) in images.items():
        pixels = np.full((2, 2), value, kind)
        Image.fromarray(pixels).save(tmp_path / "pets" / "dog" / f"{name}.{ending}")
    return pixels_of(TaskSettings(kind="images", path=str(tmp_path / "pets")), tmp_path)[
        2:, 0, 0, 0
    ].tolist()


def test_grey_values_of_8_bits_may_be_stored_in_32(tmp_path):
    seen = grey_pixels(tmp_path, a=(200, np.int32, "tif"), b=(3, np.int32, "tif"))
    assert seen == [200, 3]


def test_one_image_of_16_bits_makes_all_of_32_bits_so(tmp_path):
    """Else a dark image would shine brighter than a light one."""
    dark, light = (200, np.int32, "tif"), (0x80FF, np.int32, "tif")
    assert grey_pixels(tmp_path, a=dark, b=light, c=dark) == [0, 255, 0]
    (tmp_path / "pets" / "dog" / "a.tif").unlink()
    assert grey_pixels(tmp_path) == [255, 0]


@pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
def test_16_bits_are_scaled_by_the_range_of_all_images(tmp_path, ending):
    """A camera of 12 bits, or a scan with values up to 200, fills a small part of 16 bits."""
    seen = grey_pixels(
        tmp_path, **{str(value): (value, np.uint16, ending) for value in (10, 110, 210)}
    )
    assert seen == [0, 128, 255]
    settings = TaskSettings(kind="images", path=str(tmp_path / "pets"))
    for _ in range(2):  # decoded, and from the cache
        (note,) = [
            note for note in read_raw(settings, cache=tmp_path / "cache").notes if "16" in note
        ]
        assert note == "grey values of 16 bits, 10 to 210 in all, are scaled to 0 … 255"


@pytest.mark.parametrize(
    ("mode", "see_through", "ink"),
    [
        ("RGBA", (0, 0, 0, 0), (0, 0, 0, 255)),
        ("LA", (0, 0), (0, 255)),
        ("P", 0, 1),
    ],
)
@pytest.mark.parametrize("background", [None, "#0000ff"])
def test_transparent_pixels_show_the_background(tmp_path, mode, see_through, ink, background):
    """A black drawing on nothing, as icons are: without the background all of it would be black."""
    settings = write_folder(tmp_path / "pets", each=1)
    settings = dataclasses.replace(settings, background=background, channels=3)
    drawn = Image.new(mode, (5, 6), see_through)
    keys = {}
    if mode == "P":
        drawn.putpalette([0, 0, 0] * 2)
        keys["transparency"] = b"\x00\xff"
    drawn.putpixel((1, 2), ink)
    drawn.save(tmp_path / "pets" / "cat" / "drawn.png", **keys)
    raw = read_raw(settings, cache=tmp_path / "cache")
    pixels = raw.inputs.values[1]
    behind = [255, 255, 255] if background is None else [0, 0, 255]
    assert pixels[:, 0, 0].tolist() == behind
    assert pixels[:, 2, 1].tolist() == [0, 0, 0]
    shown = background or "#ffffff"
    assert raw.notes == (
        f"1 of the 3 images have transparent pixels, which show the background {shown}",
    )


def test_half_transparent_pixels_are_mixed_and_opaque_ones_stay(tmp_path):
    settings = write_folder(tmp_path / "pets", shape=(6, 5, 4), each=1)
    for name, alpha in (("cat", 51), ("dog", 255)):
        Image.new("RGBA", (5, 6), (100, 0, 0, alpha)).save(tmp_path / "pets" / name / "0.png")
    raw = read_raw(settings, cache=tmp_path / "cache")
    assert raw.inputs.values[:, :, 0, 0].tolist() == [[224, 204, 204], [100, 0, 0]]
    assert raw.notes[0].startswith("1 of the 2 images have transparent pixels")


def test_what_is_lost_of_images_is_said(tmp_path):
    settings = write_folder(tmp_path / "pets", shape=(2, 2), each=0)
    frames = [Image.new("L", (2, 2), value) for value in (7, 8)]
    frames[0].save(tmp_path / "pets" / "cat" / "a.tif", save_all=True, append_images=frames[1:])
    Image.new("L", (3, 3), 7).save(tmp_path / "pets" / "dog" / "a.png")
    raw = read_raw(settings, cache=tmp_path / "cache")
    assert raw.inputs.values[:, 0, 0, 0].tolist() == [7, 7]
    assert raw.notes == (
        "images have several sizes: all are resized to 32 × 32, which image_size changes",
        "1 of the 2 images have several frames or pages, of which the first is read",
        "all pixels of all images are 7: there is nothing to learn",
    )


def test_colours_of_16_bits_are_told(tmp_path):
    settings = write_folder(tmp_path / "pets", each=1)
    deep = b"".join(
        len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        for kind, data in (
            (b"IHDR", (5).to_bytes(4, "big") + (6).to_bytes(4, "big") + b"\x10\x02\0\0\0"),
            (b"IDAT", zlib.compress((b"\0" + b"\x12\x34" * 15) * 6)),
            (b"IEND", b""),
        )
    )
    (tmp_path / "pets" / "cat" / "deep.png").write_bytes(b"\x89PNG\r\n\x1a\n" + deep)
    raw = read_raw(settings, cache=tmp_path / "cache")
    assert raw.inputs.values[1].min() == raw.inputs.values[1].max() == 0x12
    assert raw.notes == (
        "1 of the 3 images have colours of 16 bits, of which the upper 8 are read",
    )


@pytest.mark.parametrize(
    ("value", "kind", "told"),
    [
        (0.5, np.float32, "floats"),
        (200.0, np.float32, "floats"),
        (0x10000, np.int32, "values from 65536 to 65536"),
        (-1, np.int32, "values from -1 to -1"),
    ],
)
def test_images_without_a_known_white_are_refused(tmp_path, value, kind, told):
    wanted = rf"dog/a.tif: .* 8 or 16 bits, .* but this one holds {told}: store .* kind 'arrays'"
    with pytest.raises(DataError, match=wanted):
        grey_pixels(tmp_path, a=(value, kind, "tif"))


def test_photos_are_turned_upright(tmp_path):
    settings = write_folder(tmp_path / "pets", each=0)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rows are columns
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, 4:] = 255
    for name in ("cat", "dog"):
        Image.fromarray(pixels).save(tmp_path / "pets" / name / "0.png", exif=exif)
    seen = pixels_of(settings, tmp_path)
    assert seen.shape == (2, 3, 8, 4)
    assert seen[0, 0, :4].max() == 0
    assert seen[0, 0, 4:].min() == 255


def test_images_that_cannot_be_read_are_named(tmp_path):
    settings = write_folder(tmp_path / "pets")
    broken = tmp_path / "pets" / "dog" / "3.png"
    content = broken.read_bytes()
    for damaged in (b"", b"no image", content[: len(content) // 2]):
        broken.write_bytes(damaged)
        with pytest.raises(DataError, match=r"pets/dog/3.png: every image must be .* replace or"):
            pixels_of(settings, tmp_path)
    assert list((tmp_path / "cache").glob("*.npy")) == []


def test_without_pillow_it_says_what_to_install(tmp_path, monkeypatch):
    settings = write_folder(tmp_path / "pets")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DataError, match=r"'images' .* Pillow.*greenfront\[images\]"):
        pixels_of(settings, tmp_path)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        ([], "pets: there must be one sub-folder a class, but there is none: make one"),
        (["cat"], r"pets/cat: the folder of a class must hold images \(.bmp.* holds none: add"),
    ],
)
def test_bad_folders_are_refused(tmp_path, folders, message):
    (tmp_path / "pets").mkdir()
    for name in folders:
        (tmp_path / "pets" / name).mkdir()
    with pytest.raises(DataError, match=message):
        pixels_of(TaskSettings(kind="images", path=str(tmp_path / "pets")), tmp_path)


def test_missing_folders_and_files_are_refused(tmp_path):
    settings = TaskSettings(kind="images", path=str(tmp_path / "pets"))
    with pytest.raises(DataError, match="pets: this folder must exist, but does not: correct"):
        pixels_of(settings, tmp_path)
    (tmp_path / "pets").write_text("")
    with pytest.raises(DataError, match="'images' needs a folder, but this is a file: name"):
        pixels_of(settings, tmp_path)


def test_too_few_images_are_refused(tmp_path):
    settings = write_folder(tmp_path / "pets", each=2)
    with pytest.raises(DataError, match=r"pets: .* only 2 in class 'cat', 2 in class 'dog': add"):
        load_task(settings, cache=tmp_path / "cache", seed=0)
