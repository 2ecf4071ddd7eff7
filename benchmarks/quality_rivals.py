"""Specialists' models that ``quality.py`` compares with: scikit-learn, FLAML and a LeNet.

Each is trained on the very training split of the study and judged on the same test split. What a
prediction costs is measured one example at a time, as in the study: in ONNX Runtime where a
converter knows the model, and by the library's own call, whichever is cheaper.
"""

from __future__ import annotations

import math
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from greenfront.errors import first_line
from greenfront.objectives.context import StageContext
from greenfront.objectives.stages.evaluate import inference_cost, open_artefact
from greenfront.objectives.stages.export import to_onnx
from greenfront.objectives.stages.fitted_export import fitted_to_onnx
from greenfront.objectives.stages.metered import Measuring
from greenfront.objectives.tasks.task import Task

BLOCK_SECONDS, BLOCKS = 0.2, 5
LENET_EPOCHS, LENET_BATCH, LENET_RATE = 30, 64, 3e-3


@dataclass(frozen=True)
class Rival:
    """A specialist's model.

    Attributes:
        name: Which.
        answer: From inputs ``[n, …]`` to class numbers or standardised values ``[n]``.
        training_joules: Of training it; ``None`` where it was not metered.
        inference_joules: Of one prediction in its fastest runtime; ``None`` if not metered.
    """

    name: str
    answer: Callable[[NDArray[Any]], NDArray[Any]]
    training_joules: float | None
    inference_joules: float | None


def flat(inputs: NDArray[Any]) -> NDArray[Any]:
    """Images as rows of pixels; texts and tables as they are."""
    return inputs if inputs.ndim == 1 else inputs.reshape(len(inputs), -1)


def scikit_learn(task: Task, seed: int = 0) -> dict[str, Any]:
    """Default settings, as a newcomer writes them; other benchmarks compare with these, too."""
    from sklearn.ensemble import (
        ExtraTreesClassifier,
        ExtraTreesRegressor,
        HistGradientBoostingClassifier,
        HistGradientBoostingRegressor,
    )
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if task.facts.is_text:
        return {"TF-IDF + logistic": make_pipeline(TfidfVectorizer(), LogisticRegression())}
    if task.facts.regression:
        return {
            "HistGB": HistGradientBoostingRegressor(random_state=seed),
            "ExtraTrees": ExtraTreesRegressor(200, random_state=seed),
            "ridge": make_pipeline(StandardScaler(), Ridge()),
        }
    return {
        "HistGB": HistGradientBoostingClassifier(random_state=seed),
        "ExtraTrees": ExtraTreesClassifier(200, random_state=seed),
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
    }


def rivals(
    task: Task, *, kind: str, flaml_seconds: float, context: StageContext
) -> Iterator[Rival]:
    """Trains and measures all that suit a data set, one after the other."""
    train, labels = flat(task.train.inputs), task.train.labels
    for name, model in scikit_learn(task).items():
        with context.phase("rival") as window:
            model.fit(train, labels)
        # What a prediction of these costs is measured within the study, as reference models.
        yield Rival(name, lambda x, m=model: m.predict(flat(x)), window.total.joules, None)
    if flaml_seconds and not task.facts.is_text:
        yield _flaml(task, flaml_seconds, context)
    if kind == "images":
        yield _lenet(task, context)


def _flaml(task: Task, seconds: float, context: StageContext) -> Rival:
    from greenfront.spaces.architectures.torchvision_shim import allow_torchvision

    allow_torchvision()
    regression = task.facts.regression
    warnings.simplefilter("ignore")
    from flaml import AutoML

    automl = AutoML()
    with context.phase("rival") as window:
        automl.fit(
            flat(task.train.inputs),
            task.train.labels,
            X_val=flat(task.validation.inputs),
            y_val=task.validation.labels,
            task="regression" if regression else "classification",
            metric="r2" if regression else "accuracy",
            time_budget=seconds,
            n_jobs=1,
            seed=0,
            verbose=0,
        )
    model = automl.model.estimator
    test = flat(task.test.inputs)
    costs = [_cost_of_calls(lambda i: model.predict(test[i : i + 1]), len(test), context)]
    try:
        costs.append(_cost_in_onnx_runtime(model, automl.best_estimator, test, context))
    except Exception as error:  # noqa: BLE001 - converters raise what they like
        print(f"  {automl.best_estimator} is not converted ({first_line(error)}): its own call")
    known = [cost for cost in costs if cost is not None]
    return Rival(
        f"FLAML ({automl.best_estimator})",
        lambda x: automl.predict(flat(x)),
        window.total.joules,
        min(known, default=None),
    )


def _cost_in_onnx_runtime(
    model: Any, kind: str, test: NDArray[Any], context: StageContext
) -> float | None:
    from onnxmltools import convert_lightgbm, convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType as LearnedTensor

    width = [None, test.shape[1]]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rival.onnx"
        if kind == "lgbm":
            types = [("x", LearnedTensor(width))]
            path.write_bytes(convert_lightgbm(model, initial_types=types).SerializeToString())
        elif kind.startswith("xgb"):
            types = [("x", LearnedTensor(width))]
            path.write_bytes(convert_xgboost(model, initial_types=types).SerializeToString())
        else:
            fitted_to_onnx(model, test.shape[1:], int(getattr(model, "n_classes_", 1)), path)
        session = open_artefact(path, threads=1)
    rows = test.astype(np.float32)
    name = session.get_inputs()[0].name
    call = lambda i: session.run(None, {name: rows[i : i + 1]})  # noqa: E731
    return _cost_of_calls(call, len(rows), context)


def _cost_of_calls(
    call: Callable[[int], object], examples: int, context: StageContext
) -> float | None:
    """Median joules of one call over blocks of equal length."""
    call(0)
    begin = time.perf_counter()
    call(0)
    calls = max(1, math.ceil(BLOCK_SECONDS / (time.perf_counter() - begin)))
    blocks = []
    for _ in range(BLOCKS):
        with context.phase("rival") as window:
            for index in range(calls):
                call(index % examples)
        blocks.append(window.total.joules)
    known = [joules / calls for joules in blocks if joules is not None]
    return statistics.median(known) if len(known) == BLOCKS else None


def _lenet(task: Task, context: StageContext) -> Rival:
    """A LeNet of about 29,000 weights on 28×28, with shifts, turns and scales: 30 epochs."""
    channels, height, width = task.facts.input_shape
    classes = len(task.facts.class_names)
    torch.manual_seed(0)
    small = min(height, width) < 16
    model = nn.Sequential(
        nn.Conv2d(channels, 6, 3 if small else 5, padding=1 if small else 2), nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 3 if small else 5, padding=1 if small else 0), nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.LazyLinear(64), nn.ReLU(), nn.Linear(64, classes),
    )  # fmt: skip
    inputs, labels = torch.from_numpy(task.train.inputs), torch.from_numpy(task.train.labels)
    model(inputs[:1])
    optimizer = torch.optim.AdamW(model.parameters(), LENET_RATE, weight_decay=1e-2)
    steps = LENET_EPOCHS * math.ceil(len(inputs) / LENET_BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LENET_RATE, total_steps=steps)
    with context.phase("rival") as window:
        for _ in range(LENET_EPOCHS):
            for rows in torch.randperm(len(inputs)).split(LENET_BATCH):
                loss = functional.cross_entropy(model(_moved(inputs[rows])), labels[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    model.eval()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lenet.onnx"
        to_onnx(model, inputs[:1], path)
        session = open_artefact(path, threads=1)
        cost = inference_cost(
            session, task.validation.inputs, context, phase="rival", measuring=Measuring()
        )

    def answer(images: NDArray[Any]) -> NDArray[Any]:
        with torch.no_grad():
            return model(torch.from_numpy(images)).argmax(1).numpy()

    return Rival("LeNet", answer, window.total.joules, cost.reading.joules)


def _moved(images: Tensor) -> Tensor:
    """Each image turned by up to 15°, scaled by up to 10 % and shifted by up to 8 %."""
    count = len(images)
    angle = (torch.rand(count) - 0.5) * math.radians(30)
    scale = 1 + (torch.rand(count) - 0.5) * 0.2
    shift = (torch.rand(count, 2) - 0.5) * 0.32
    turn = torch.stack([torch.cos(angle), -torch.sin(angle), torch.sin(angle), torch.cos(angle)], 1)
    matrix = torch.cat([turn.view(-1, 2, 2) * scale.view(-1, 1, 1), shift.unsqueeze(2)], 2)
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    # Outside of an image is what it shows at its edge: inputs are standardised, zero is no black.
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
