from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts.waiting import PATIENCE_SECONDS
from greenfront.objectives.outcome import Outcome
from greenfront.objectives.readings import JOULES_PER_KWH, Reading
from greenfront.objectives.tasks.task import TaskFacts
from greenfront.studies.config.facts import StudyFacts

PROCESSES = Path(__file__).with_name("processes.py")


@pytest.fixture
def script() -> Path:
    return PROCESSES


@pytest.fixture
def in_processes() -> Callable[..., Any]:
    """Runs ``processes.py`` and gives what it printed."""

    def run(*arguments: object) -> Any:
        command = [sys.executable, str(PROCESSES), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def make_outcome() -> Callable[..., Outcome]:
    """A trial's measurements, by its kWh of training and joules a prediction."""

    def make(accuracy: float, training_kwh: float, inference_joules: float | None) -> Outcome:
        train = training_kwh * JOULES_PER_KWH
        told = inference_joules is not None
        return Outcome(
            score=accuracy,
            phases={
                "train": Reading(train, 0.5 * train, 2 * train, "modelled", "model", 10.0, 9.0)
            },
            inference=Reading(
                inference_joules,
                inference_joules / 2 if told else None,
                inference_joules * 2 if told else None,
                "modelled" if told else "unavailable",
                "model",
                0.001,
                0.002,
            ),
            latency_seconds=0.002,
            parameters=1000,
            flops=2000,
            artefact_bytes=4096,
            pruned_ratio=0.25,
            epochs=7,
            peak_memory_bytes=None,
            artefact="ab/model.onnx",
        )

    return make


@pytest.fixture
def image_facts() -> StudyFacts:
    task = TaskFacts("digits", (1, 8, 8), ("0", "1"), {"train": 60, "validation": 20}, 0.5, "f00d")
    return StudyFacts(task, "cpu", mixed_precision=False)


@pytest.fixture
def table_facts() -> StudyFacts:
    task = TaskFacts("wine", (13,), ("a", "b"), {"train": 60, "validation": 20}, 0.5, "beef")
    return StudyFacts(task, "cpu", mixed_precision=False)
