"""Small data sets in the formats of the ``datasets`` library."""

from __future__ import annotations

import datasets
import numpy as np
from datasets import ClassLabel, Dataset, Features, Value
from PIL import Image

from greenfront.objectives.tasks.load import read_raw
from greenfront.objectives.tasks.settings import TaskSettings

NAMES = ["sad", "glad", "none"]
TEXTS = {
    "text": [f"note {index}: NA\nü" for index in range(30)],
    "label": [index % 3 for index in range(30)],
}
MOODS = Features({"text": Value("string"), "label": ClassLabel(names=NAMES)})


def pixels(count, shape=(6, 5, 3), seed=0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(count)]


def images(count, column="image", seed=0, **keys) -> Dataset:
    found = [Image.fromarray(values) for values in pixels(count, seed=seed, **keys)]
    features = Features({column: datasets.Image(), "label": ClassLabel(names=NAMES)})
    labels = [index % 3 for index in range(count)]
    return Dataset.from_dict({column: found, "label": labels}, features=features)


def texts(rows=slice(None), features=MOODS, **columns) -> Dataset:
    return Dataset.from_dict(
        {name: values[rows] for name, values in {**TEXTS, **columns}.items()}, features=features
    )


def at(folder, **keys) -> TaskSettings:
    return TaskSettings(kind="hf-dataset:me/notes", path=str(folder), **keys)


def saved(folder, data, **keys) -> TaskSettings:
    data.save_to_disk(str(folder))
    return at(folder, **keys)


def read(settings, tmp_path):
    return read_raw(settings, cache=tmp_path / "cache")
