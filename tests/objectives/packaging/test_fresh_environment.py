"""Exported folders of every kind where nothing but their own requirements is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from contracts.shipped import Shipped, images, shipped, table, texts
from contracts.texts import saved_model
from greenfront.objectives.metric_scores import decided
from greenfront.objectives.packaging.shipped import open_shipped, said
from greenfront.objectives.pipeline.answers import load_answers
from greenfront.objectives.tasks.settings import TaskSettings

PIP_SECONDS = 240.0


def of_encoder(prefix: str) -> Callable[[Path], Shipped]:
    """A pretrained encoder of the hub's form, in a folder."""

    def made(folder: Path) -> Shipped:
        return shipped(texts(folder), f"{prefix}:{saved_model(folder / 'encoder')}", folder)

    return made


KINDS: dict[str, Callable[[Path], Shipped]] = {
    "table": lambda folder: shipped(table(folder), "mlp", folder),
    "numbers": lambda folder: shipped(table(folder, number=True), "mlp", folder),
    "trees": lambda folder: shipped(table(folder), "sklearn:extra_trees", folder),
    "images": lambda folder: shipped(images(folder), "cnn", folder),
    "digits": lambda folder: shipped(TaskSettings("digits"), "mlp", folder),
    "bag": lambda folder: shipped(texts(folder), "bag", folder),
    "tfidf": lambda folder: shipped(texts(folder), "sklearn:tfidf_logistic", folder),
    "hf": of_encoder("hf"),
    "frozen": of_encoder("frozen"),
    "cascade": lambda folder: shipped(table(folder), "mlp", folder, cascade=0.8),
    "cascade of images": lambda folder: shipped(images(folder), "cnn", folder, cascade=0.8),
}


def printed(python: str, model: Shipped, folder: Path) -> Sequence[dict[str, object]]:
    """What ``predict.py`` says of all raw examples, in the order of the data."""
    source = model.settings.path
    if source is None:
        raw, source = model.raw(), folder / "all.npy"
        (values,) = raw.feed(np.arange(len(raw.inputs))).values()
        np.save(source, values)
    done = subprocess.run(
        [python, "-I", "-W", "error", str(model.folder / "predict.py"), str(source), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def equals_what_was_judged(model: Shipped, python: str, folder: Path) -> None:
    """The validation figures, from raw input, one by one."""
    told, rows = printed(python, model, folder), model.raw().rows("validation")
    kept = load_answers(model.core.parent / "answers.npz")
    assert kept is not None
    answers, labels = kept[0], model.packaged.labels
    if not labels.classes:
        values = np.array([told[row]["value"] for row in rows], dtype=np.float32)
        np.testing.assert_array_equal(values, answers[:, 0])
        return
    wanted = [labels.classes[i] for i in decided(answers, labels.threshold, labels.positive)]
    assert [told[row]["label"] for row in rows] == wanted
    given, shares = said(open_shipped(model.folder / "model.onnx", 1), model.raw(), "validation")
    assert given.tolist() == wanted
    assert shares is not None
    found = [list(told[row]["probabilities"].values()) for row in rows]  # type: ignore[attr-defined]
    np.testing.assert_allclose(np.array(found, dtype=np.float32), shares, atol=1e-6)


@pytest.mark.parametrize("kind", ["hf", "frozen", "tfidf"])
def test_texts_of_every_family_say_what_was_judged(kind: str, tmp_path: Path) -> None:
    """Here with this environment's packages; where nothing else is, below."""
    equals_what_was_judged(KINDS[kind](tmp_path), sys.executable, tmp_path)


def test_every_kind_runs_where_only_its_requirements_are(tmp_path: Path) -> None:
    models = {}
    for kind, made in KINDS.items():
        (tmp_path / kind).mkdir()
        models[kind] = made(tmp_path / kind)
    wanted = {
        line
        for model in models.values()
        for line in (model.folder / "requirements.txt").read_text().split()
    }
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    done = subprocess.run(
        [*pip, "install", "-q", "--retries", "1", *sorted(wanted)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PIP_SECONDS,
    )
    if done.returncode and "CI" not in os.environ and "No matching distribution" in done.stderr:
        pytest.skip("no package index can be reached from here")
    assert done.returncode == 0, done.stderr
    frozen = subprocess.run([*pip, "freeze"], capture_output=True, text=True, check=True).stdout
    assert wanted <= set(frozen.split())
    for forbidden in ("greenfront", "torch", "onnx==", "scikit", "transformers", "pandas"):
        assert forbidden not in frozen
    for kind, model in models.items():
        equals_what_was_judged(model, python, tmp_path / kind)
