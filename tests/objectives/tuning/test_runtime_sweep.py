"""What a sweep recommends follows from what was measured, and from nothing that is not clear."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from greenfront.objectives.context import LocalContext
from greenfront.objectives.metering.cpu_model import CpuModelMeter, WattsPerThread
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.runtime_options import RuntimeAdvice, RuntimeOptions, TriedRuntime
from greenfront.objectives.stages.metered import Measuring
from greenfront.objectives.stages.session import session_options
from greenfront.objectives.tuning import runtime_sweep
from greenfront.objectives.tuning.runtime_sweep import Sweep, runtime_advice

Way = tuple[RuntimeOptions, int]


def advised(
    monkeypatch: pytest.MonkeyPatch, joules: Callable[[RuntimeOptions, int], float], spread: float
) -> RuntimeAdvice:
    def measured(_sweep: Sweep, ways: Sequence[Way]) -> list[TriedRuntime]:
        taken = [joules(*way) for way in ways]
        ratios = [each / taken[0] for each in taken]
        return [
            TriedRuntime(*way, each, 1.0, ratio, ratio - spread, ratio + spread)
            for way, each, ratio in zip(ways, taken, ratios, strict=True)
        ]

    monkeypatch.setattr(runtime_sweep, "_measured", measured)
    instruments = Instruments((CpuModelMeter(WattsPerThread(4, 2, 8, "test")),))
    inputs = np.zeros((40, 2), dtype=np.float32)
    return runtime_advice(
        Sweep(Path("no.onnx"), inputs, None, LocalContext(instruments), Measuring(), Path("no"))
    )


def test_what_saves_alone_is_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    def joules(options: RuntimeOptions, batch: int) -> float:
        saved = 0.2 * (not options.prepacking) + 0.1 * (options.optimization == "basic")
        return (1.0 - saved) / batch**0.5

    found = advised(monkeypatch, joules, 0.01)
    assert found.options == RuntimeOptions(1, optimization="basic", prepacking=False)
    assert found.best is not None
    assert found.best.ratio == pytest.approx(0.7)
    assert found.batched is not None
    assert (found.batched.batch, found.batched.options) == (32, found.options)
    assert found.tried[0].describe() == "1 thread"


def test_joules_are_those_of_the_usual_way_times_the_ratio(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where the machine was slower by half when winners were looked at again."""
    rounds: list[float] = []

    def joules(options: RuntimeOptions, batch: int) -> float:
        if (options, batch) == (RuntimeOptions(1), 1):  # each round begins with the usual way
            rounds.append(1.0 + 0.5 * len(rounds))
        return rounds[-1] * (0.8 if not options.prepacking else 1.0) / batch

    found = advised(monkeypatch, joules, 0.01)
    usual = found.tried[0]
    assert usual.joules == 1.0
    for way in found.tried[1:]:
        assert way.joules == pytest.approx(way.ratio)
    ways = [(way.options, way.batch) for way in found.tried]
    assert len(set(ways)) == len(ways)
    assert found.best is not None
    assert found.best in found.tried
    assert found.batched in found.tried


def test_what_is_not_clear_is_not_recommended(monkeypatch: pytest.MonkeyPatch) -> None:
    found = advised(monkeypatch, lambda options, _batch: 1.0 - 0.1 * options.parallel, 0.2)
    assert (found.options, found.best, found.batched) == (RuntimeOptions(1), None, None)


def test_options_are_those_of_the_session() -> None:
    chosen = RuntimeOptions(2, "basic", parallel=True, prepacking=False)
    options = session_options(chosen)
    assert options.intra_op_num_threads == 2
    assert options.execution_mode == onnxruntime.ExecutionMode.ORT_PARALLEL
    basic = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    assert options.graph_optimization_level == basic
    assert options.get_session_config_entry("session.disable_prepacking") == "1"
    usual = session_options(1)
    assert usual.execution_mode == onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    assert usual.graph_optimization_level == onnxruntime.SessionOptions().graph_optimization_level
    assert chosen.describe() == (
        "2 threads, basic graph optimization, operators side by side, weights not prepacked"
    )
