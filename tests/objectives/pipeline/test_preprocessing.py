"""Preprocessing is metered once for each task and encoder, apart from the model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from contracts.lives import toy_task
from greenfront.errors import TrialFailed
from greenfront.objectives.context import LocalContext, Window
from greenfront.objectives.metering.cpu_model import CpuModelMeter, WattsPerThread
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.pipeline.lineage import LineageStore
from greenfront.objectives.pipeline.model_factory import ModelFactory
from greenfront.objectives.pipeline.preprocessing import preprocessing_cost
from greenfront.objectives.pipeline.runtime import Runtime
from greenfront.objectives.readings import Reading
from greenfront.objectives.stages.metered import Measuring
from greenfront.objectives.tasks.preparation import Preparation
from greenfront.objectives.tasks.raw import ArrayInputs
from greenfront.objectives.tasks.recipe import recipe_of
from greenfront.objectives.tasks.task import Task
from greenfront.spaces.architectures.registry import architecture
from greenfront.spaces.candidate import ArchitectureChoice, Candidate
from greenfront.spaces.techniques.precision import Precision


def runtime_of(task: Task, root: Path) -> Runtime:
    meter = CpuModelMeter(WattsPerThread(4, 2, 8, "test"))
    return Runtime(
        ModelFactory(task, "cpu"),
        LineageStore(root),
        LocalContext(Instruments((meter,))),
        seed=0,
        measuring=Measuring(block_seconds=0.01, least_blocks=3, most_blocks=3),
    )


def candidate(family: str, **shape: int) -> Candidate:
    settings = {**architecture(family).baseline(), **shape}
    return Candidate(ArchitectureChoice(family, tuple(sorted(settings.items()))))


def stored(root: Path) -> list[Path]:
    return sorted(root.rglob("about.json"))


def joules(reading: Reading | None) -> float:
    assert reading is not None
    assert reading.joules is not None
    assert reading.joules > 0
    return reading.joules


def test_standardising_is_measured_once_a_task(tmp_path: Path) -> None:
    task = toy_task((1, 8, 8))
    raw = np.random.default_rng(0).integers(0, 255, (24, 1, 8, 8)).astype(np.uint8)
    rows = np.arange(24)
    inputs = ArrayInputs("toy", raw)
    recipe = recipe_of(inputs, rows)
    assert recipe is not None
    task = replace(task, preparation=Preparation(recipe, recipe.raw(inputs, rows)))
    runtime = runtime_of(task, tmp_path)
    first = preprocessing_cost(runtime, candidate("mlp"))
    assert 1e-7 < joules(first) < 1e-2
    assert preprocessing_cost(runtime, candidate("cnn")) == first
    eight = replace(candidate("mlp"), precision=Precision(8))
    assert preprocessing_cost(runtime, eight) == first
    assert len(stored(tmp_path)) == 1
    # In another store, which is another machine's, it is measured anew.
    again = preprocessing_cost(runtime_of(task, tmp_path / "other"), candidate("mlp"))
    assert joules(again) != joules(first)


def test_what_needs_no_preprocessing_has_none(tmp_path: Path) -> None:
    runtime = runtime_of(toy_task((1, 8, 8)), tmp_path)
    assert preprocessing_cost(runtime, candidate("mlp")) is None
    assert stored(tmp_path) == []


def test_tokenising_is_measured_once_an_encoder(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    runtime = runtime_of(toy_task(()), tmp_path)
    short, long = candidate("bert", length=64), candidate("bert", length=128)
    first = preprocessing_cost(runtime, short)
    joules(first)
    wider = candidate("bert", length=64, hidden=256)
    assert preprocessing_cost(runtime, wider) == first
    assert len(stored(tmp_path)) == 1
    joules(preprocessing_cost(runtime, long))
    assert len(stored(tmp_path)) == 2


class Blind(LocalContext):
    """A context whose instruments cannot tell anything."""

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[Window]:
        with super().phase(name) as window:
            yield window
        unknown = {"joules": None, "low_joules": None, "high_joules": None, "kind": "unavailable"}
        window.readings["cpu"] = replace(window.readings["cpu"], flags=("blind",), **unknown)


def test_what_no_instrument_could_tell_is_not_kept(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    runtime = runtime_of(toy_task(()), tmp_path)
    sighted = runtime.context
    runtime.context = Blind(Instruments((CpuModelMeter(WattsPerThread(4, 2, 8, "test")),)))
    with pytest.raises(TrialFailed, match=r"preprocessing an example costs \(blind\)"):
        preprocessing_cost(runtime, candidate("bag"))
    assert stored(tmp_path) == []
    runtime.context = sighted
    joules(preprocessing_cost(runtime, candidate("bag")))
