"""Trials whose predictions are a GPU's, whose part in these tests is played by the CPU."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.bench import MLP, Bench
from contracts.card import play_card
from greenfront.errors import TrialStopped
from greenfront.objectives.pipeline import prediction_costs
from greenfront.objectives.tasks.load import load_task
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.objectives.tasks.task import Task

FEW = replace(MLP, training=replace(MLP.training, epochs=1))


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    return load_task(TaskSettings(kind="digits"), cache=tmp_path_factory.mktemp("cache"), seed=7)


@pytest.fixture
def bench(task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    play_card(monkeypatch)
    found = Bench(task, tmp_path / "store")
    found.runtime.measuring = replace(found.runtime.measuring, device="cuda")
    return found


def test_what_has_no_kernels_on_the_card_is_stopped_before_its_training(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction_costs, "left_on_cpu", lambda _session: Counter(Gemm=3))
    with pytest.raises(TrialStopped, match="no kernels there for 3 Gemm, which would run on the"):
        bench.run(FEW)
    assert bench.context.stages() == []


def test_what_else_stays_on_the_cpu_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction_costs, "left_on_cpu", lambda _session: Counter(Shape=2))
    assert bench.run(FEW).left_on_cpu == {"Shape": 2}
