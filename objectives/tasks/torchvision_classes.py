"""The data sets of torchvision that are images with one class each, and their arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["DATASETS", "Dataset"]

Keys = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Dataset:
    """One class of ``torchvision.datasets``.

    Attributes:
        places: The files and folders below ``root`` that hold it.
        train: The arguments that give its training examples, in parts.
        test: The arguments that give its test split; ``None`` where it has none.
    """

    places: tuple[str, ...]
    train: tuple[Keys, ...] = ({"train": True},)
    test: Keys | None = field(default_factory=lambda: {"train": False})


def _in_splits(place: str, *train: str, test: str = "test") -> Dataset:
    return Dataset((place,), tuple({"split": name} for name in train), {"split": test})


# Where a validation split is set apart, it is trained on: greenfront sets its own apart.
DATASETS: dict[str, Dataset] = {
    "CIFAR10": Dataset(("cifar-10-batches-py",)),
    "CIFAR100": Dataset(("cifar-100-python",)),
    "Caltech101": Dataset(("caltech101",), ({},), None),
    "Country211": _in_splits("country211", "train", "valid"),
    "DTD": _in_splits("dtd", "train", "val"),
    "EuroSAT": Dataset(("eurosat",), ({},), None),
    "FGVCAircraft": _in_splits("fgvc-aircraft-2013b", "trainval"),
    "FashionMNIST": Dataset(("FashionMNIST/raw",)),
    "Flowers102": _in_splits("flowers-102", "train", "val"),
    "Food101": _in_splits("food-101", "train"),
    "GTSRB": _in_splits("gtsrb", "train"),
    "Imagenette": _in_splits("imagenette2", "train", test="val"),
    "KMNIST": Dataset(("KMNIST/raw",)),
    "MNIST": Dataset(("MNIST/raw",)),
    "OxfordIIITPet": _in_splits("oxford-iiit-pet", "trainval"),
    "RenderedSST2": _in_splits("rendered-sst2", "train", "val"),
    "STL10": _in_splits("stl10_binary", "train"),
    "SVHN": Dataset(
        ("train_32x32.mat", "test_32x32.mat"), ({"split": "train"},), {"split": "test"}
    ),
    "USPS": Dataset(("usps.bz2", "usps.t.bz2")),
}
