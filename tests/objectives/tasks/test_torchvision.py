from __future__ import annotations

import dataclasses
import inspect
import json
import socket
import sys

import numpy as np
import pytest
from PIL import Image

from contracts.own_test_split import OwnTestSplitContract
from contracts.tasks import SEED, TaskContract
from greenfront.errors import DataError
from greenfront.objectives.tasks import mnist5k, torchvision_dataset
from greenfront.objectives.tasks.load import load_task, read_raw
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.torchvision_classes import DATASETS
from greenfront.spaces.architectures.torchvision_shim import allow_torchvision


def idx(array: np.ndarray) -> bytes:
    """An array as the files of MNIST hold it: kind, axes, lengths, bytes."""
    lengths = b"".join(length.to_bytes(4, "big") for length in array.shape)
    return bytes([0, 0, 8, array.ndim]) + lengths + array.astype(np.uint8).tobytes()


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Real handwritten digits and their labels, shuffled."""
    settings = TaskSettings(kind="mnist5k")
    raw = mnist5k.read(settings, tmp_path_factory.mktemp("mnist5k"))
    order = np.random.default_rng(0).permutation(len(raw.labels))
    return raw.inputs.values[order], raw.labels[order]


def write_mnist(root, digits, name="MNIST") -> TaskSettings:
    """Writes 1000 digits to train and 300 to test."""
    pixels, labels = digits
    folder = root / name / "raw"
    folder.mkdir(parents=True)
    for prefix, rows in (("train", slice(0, 1000)), ("t10k", slice(1000, 1300))):
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(idx(pixels[rows, 0]))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(labels[rows]))
    return TaskSettings(kind=f"torchvision:{name}", path=str(root))


def write_eurosat(root, names=("AnnualCrop", "Forest", "SeaLake"), each=8) -> TaskSettings:
    """Writes one sub-folder of random images a class; there is no test split."""
    rng = np.random.default_rng(0)
    for name in names:
        (root / "eurosat" / "2750" / name).mkdir(parents=True)
        for index in range(each):
            image = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
            image.save(root / "eurosat" / "2750" / name / f"{index}.png")
    return TaskSettings(kind="torchvision:EuroSAT", path=str(root))


def write_food(root) -> TaskSettings:
    """Writes images of two sizes, listed by split and class."""
    rng = np.random.default_rng(0)
    (root / "food-101" / "meta").mkdir(parents=True)
    for split, count in (("train", 6), ("test", 3)):
        listed = {}
        for name in ("waffles", "apple_pie"):
            folder = root / "food-101" / "images" / name
            folder.mkdir(parents=True, exist_ok=True)
            listed[name] = [f"{name}/{split}{index}" for index in range(count)]
            for index in range(count):
                pixels = rng.integers(0, 256, (40 + index, 50, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{split}{index}.jpg")
        (root / "food-101" / "meta" / f"{split}.json").write_text(json.dumps(listed))
    return TaskSettings(kind="torchvision:Food101", path=str(root))


class TestMnist(OwnTestSplitContract):
    @pytest.fixture(scope="class")
    @classmethod
    def settings(cls, tmp_path_factory, digits):
        return write_mnist(tmp_path_factory.mktemp("root"), digits)

    def test_facts(self, task):
        assert task.facts.name == "MNIST"
        assert task.facts.input_shape == (1, 28, 28)
        assert task.facts.class_names[:3] == ("0 - zero", "1 - one", "2 - two")
        assert task.facts.sizes == {"train": 800, "validation": 200, "test": 300}

    def test_images_are_those_of_the_files(self, raw, digits):
        pixels, labels = digits
        np.testing.assert_array_equal(raw.inputs.values, pixels[:1300])
        assert [int(name[0]) for name in raw.labels] == labels[:1300].tolist()
        np.testing.assert_array_equal(np.flatnonzero(raw.own.is_test), np.arange(1000, 1300))


class TestEuroSat(TaskContract):
    @pytest.fixture(scope="class")
    @classmethod
    def settings(cls, tmp_path_factory):
        return write_eurosat(tmp_path_factory.mktemp("root"))

    def test_facts(self, task, raw):
        assert raw.own.is_test is None
        assert task.facts.input_shape == (3, 9, 9)
        assert task.facts.class_names == ("AnnualCrop", "Forest", "SeaLake")


class TestFood(OwnTestSplitContract):
    @pytest.fixture(scope="class")
    @classmethod
    def settings(cls, tmp_path_factory):
        return write_food(tmp_path_factory.mktemp("root"))

    def test_facts(self, task):
        assert task.facts.input_shape == (3, 32, 32)
        assert task.facts.class_names == ("apple_pie", "waffles")
        assert task.facts.sizes["test"] == 6


def test_size_and_channels_may_be_chosen(tmp_path):
    settings = dataclasses.replace(write_eurosat(tmp_path), image_size=4, channels=1)
    assert read_raw(settings, cache=tmp_path / "cache").inputs.values.shape == (24, 1, 4, 4)


def test_images_are_decoded_once_and_again_when_a_file_changes(tmp_path, monkeypatch):
    settings = write_eurosat(tmp_path)
    first = load_task(settings, cache=tmp_path / "cache", seed=SEED)
    decoded = []
    parts = torchvision_dataset._parts
    monkeypatch.setattr(
        torchvision_dataset, "_parts", lambda *keys: decoded.append(keys) or parts(*keys)
    )
    assert load_task(settings, cache=tmp_path / "cache", seed=SEED).facts == first.facts
    assert decoded == []
    image = tmp_path / "eurosat" / "2750" / "Forest" / "0.png"
    Image.new("RGB", (9, 9)).save(image)
    again = load_task(settings, cache=tmp_path / "cache", seed=SEED)
    assert again.facts.fingerprint != first.facts.fingerprint
    assert len(decoded) == 1


@pytest.mark.parametrize("name", DATASETS)
def test_torchvision_takes_what_it_is_asked_with(name):
    allow_torchvision()
    from torchvision import datasets

    described = DATASETS[name]
    keys = inspect.signature(getattr(datasets, name).__init__).parameters
    assert {"root", "download"} <= set(keys)
    for asked in (*described.train, described.test or {}):
        assert set(asked) <= set(keys)
    source = inspect.getsource(sys.modules[getattr(datasets, name).__module__])
    for word in [part for place in described.places for part in place.split("/")]:
        # Some are put together from the class's name, or from that of an archive.
        assert word in source or word in (name, name.lower(), "raw")


def test_names_of_many_words_are_joined():
    class Part:
        classes = (("tench", "Tinca tinca"), "cassette player")

    named = torchvision_dataset._named(np.array([1, 0]), Part())
    assert named.tolist() == ["cassette player", "tench, Tinca tinca"]


def test_classes_without_distinct_names_stay_numbers():
    class Part:
        classes = ("crane", "crane")

    assert torchvision_dataset._named(np.array([1, 0]), Part()).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("MNITS", r"'torchvision:MNITS' must name a class .* Did you mean 'MNIST'"),
        ("CIFAR-10", r"Did you mean 'CIFAR10'.* Choose one of: 'CIFAR10', 'CIFAR100'"),
        (
            "CocoDetection",
            "'torchvision:CocoDetection' must name a class .* one class each. Choose",
        ),
        ("os.system", "must name a class"),
    ],
)
def test_unknown_classes_are_refused(tmp_path, name, message):
    with pytest.raises(DataError, match=message):
        read_raw(TaskSettings(kind=f"torchvision:{name}"), cache=tmp_path)


def test_missing_data_are_refused(tmp_path):
    settings = TaskSettings(kind="torchvision:CIFAR10", path=str(tmp_path / "none"))
    with pytest.raises(DataError, match="none: this folder must exist, but does not: correct"):
        read_raw(settings, cache=tmp_path)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match=r"must hold cifar-10-batches-py, .* CIFAR10.* given as ro"):
        read_raw(settings, cache=tmp_path)


def test_pickles_that_are_not_the_published_ones_are_not_read(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    evil = b"cbuiltins\nopen\n(V" + str(tmp_path / "harm").encode() + b"\nVw\ntR."
    names = [f"data_batch_{number}" for number in range(1, 6)]
    for name in (*names, "test_batch", "batches.meta"):
        (folder / name).write_bytes(evil)
    settings = TaskSettings(kind="torchvision:CIFAR10", path=str(tmp_path))
    with pytest.raises(
        DataError, match=r"\(CIFAR10\): torchvision must be able .* says: .*corrupt"
    ):
        read_raw(settings, cache=tmp_path / "cache")
    assert not (tmp_path / "harm").exists()


def test_incomplete_and_damaged_data_are_refused(tmp_path, digits):
    settings = write_mnist(tmp_path, digits)
    images = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    images.write_bytes(images.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"\(MNIST\): torchvision must be able to read these data"):
        read_raw(settings, cache=tmp_path / "cache")
    images.unlink()
    with pytest.raises(DataError, match=r"says: Dataset not found.* Download them again, or leave"):
        read_raw(settings, cache=tmp_path / "cache")


def test_damaged_images_are_named(tmp_path):
    settings = write_eurosat(tmp_path)
    (tmp_path / "eurosat" / "2750" / "Forest" / "3.png").write_bytes(b"no image")
    with pytest.raises(
        DataError, match=r"\(EuroSAT\): every image must be readable, but number 12"
    ):
        read_raw(settings, cache=tmp_path / "cache")


def test_folders_without_images_are_refused(tmp_path):
    settings = write_food(tmp_path)
    for split in ("train", "test"):
        (tmp_path / "food-101" / "meta" / f"{split}.json").write_text("{}")
    with pytest.raises(DataError, match=r"\(Food101\): there must be images, but there are none"):
        read_raw(settings, cache=tmp_path / "cache")


@pytest.fixture
def silent_network(monkeypatch):
    """Every name leads to a server that takes connections and never answers."""
    server = socket.create_server(("127.0.0.1", 0))
    address = server.getsockname()
    plain = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, port, *keys, **named: plain(*address, *keys, **named)
    )
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torchvision_dataset, "_SECONDS", 0.05)
    yield
    server.close()


@pytest.mark.parametrize("name", ["MNIST", "CIFAR10"])
def test_a_silent_network_does_not_hang(tmp_path, capfd, silent_network, name):
    message = rf"data set '{name}' must be downloaded .* failed: .*timed out.* give the folder"
    with pytest.raises(DataError, match=message):
        read_raw(TaskSettings(kind=f"torchvision:{name}"), cache=tmp_path)
    assert capfd.readouterr() == ("", "")
    assert socket.getdefaulttimeout() is None


def test_what_was_downloaded_is_read_without_a_network(tmp_path, digits, silent_network):
    write_mnist(tmp_path / "torchvision", digits)
    settings = TaskSettings(kind="torchvision:MNIST")
    first = load_task(settings, cache=tmp_path, seed=0)
    assert first.facts.sizes["test"] == 300
    (tmp_path / "torchvision" / "MNIST").rename(tmp_path / "away")
    assert load_task(settings, cache=tmp_path, seed=0).facts == first.facts


def test_without_torchvision_it_says_what_to_install(tmp_path, monkeypatch, digits):
    settings = write_mnist(tmp_path, digits)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(DataError, match=r"'torchvision:MNIST' needs .* torchvision.*\[timm\]"):
        read_raw(settings, cache=tmp_path / "cache")
