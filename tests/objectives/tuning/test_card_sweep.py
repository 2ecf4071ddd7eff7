"""Ways to run a file on a GPU, whose part in these tests is played by the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from contracts.bench import ListeningContext
from contracts.card import play_card, play_tensorrt
from greenfront.errors import UsageError
from greenfront.objectives.runtime_options import RuntimeOptions
from greenfront.objectives.stages.export import INPUT, OUTPUT, to_onnx
from greenfront.objectives.stages.metered import Measuring
from greenfront.objectives.stages.session import open_session, session_options
from greenfront.objectives.stages.tensorrt import Engine, open_tensorrt
from greenfront.objectives.tuning import runtime_sweep
from greenfront.objectives.tuning.runtime_sweep import Sweep, runtime_advice

INPUTS = np.random.default_rng(0).standard_normal((40, 4)).astype(np.float32)
LEVELS = [RuntimeOptions(optimization=level) for level in ("extended", "basic", "none")]
COMPILED = RuntimeOptions(tensorrt=True)


def written(path: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    to_onnx(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), (4,), path)
    return path


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    measuring = Measuring(block_seconds=0.002, device="cuda")
    path, engines = written(tmp_path / "model.onnx", 0), tmp_path / "engines"
    return Sweep(path, INPUTS, None, ListeningContext(), measuring, engines)


def lines(sweep: Sweep) -> list[str]:
    assert isinstance(sweep.context, ListeningContext)
    return [line for line in sweep.context.lines if line.startswith("without TensorRT: ")]


def test_graph_levels_tensorrt_and_batches_are_tried(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    play_tensorrt(monkeypatch)
    tried = [(way.options, way.batch) for way in runtime_advice(sweep).tried]
    one_by_one = [RuntimeOptions(), *LEVELS, COMPILED]
    assert tried[:5] == [(options, 1) for options in one_by_one]
    assert [batch for _, batch in tried if batch > 1] == [8, 32]
    assert lines(sweep) == []
    assert COMPILED.describe() == "1 thread, TensorRT"


def test_an_engine_belongs_to_one_file_and_one_batch(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Networks of one structure would share it, whatever their weights."""
    given = play_tensorrt(monkeypatch)
    for path in (sweep.path, written(tmp_path / "other.onnx", 1)):
        for batch in (1, 128):
            open_tensorrt(path, session_options(), Engine(sweep.engines, batch, (4,), False))
    assert len({told["trt_engine_cache_path"] for told in given}) == 4
    assert {Path(told["trt_engine_cache_path"]) for told in given} == set(sweep.engines.iterdir())
    shapes = [
        [told[f"trt_profile_{name}_shapes"] for name in ("min", "opt", "max")] for told in given
    ]
    assert shapes[0] == ["input:1x4", "input:1x4", "input:64x4"]
    assert shapes[1] == ["input:1x4", "input:128x4", "input:128x4"]
    texts = Engine(tmp_path, 8, (50,), texts=True).options(sweep.path)
    assert texts["trt_profile_min_shapes"] == "input:1x1"
    assert texts["trt_profile_max_shapes"] == "input:64x50"


def test_it_is_not_tried_where_it_answers_otherwise(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play_tensorrt(monkeypatch, written(tmp_path / "other.onnx", 1))
    assert runtime_sweep._alternatives(sweep, RuntimeOptions()) == LEVELS
    (told,) = lines(sweep)
    assert " its answers are off by " in told


def test_it_is_not_tried_where_it_is_not_installed(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    play_card(monkeypatch)
    assert runtime_sweep._alternatives(sweep, RuntimeOptions()) == LEVELS
    assert lines(sweep) == ["without TensorRT: this ONNX Runtime has no TensorrtExecutionProvider"]


def test_a_session_that_goes_on_without_it_is_refused(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ONNX Runtime does where its libraries are missing, or take no part of the graph."""
    play_tensorrt(monkeypatch)
    engine = Engine(sweep.engines, 1, (4,), texts=False)
    there = open_session(sweep.path, session_options(), "cuda")
    monkeypatch.setattr(type(there), "get_provider_graph_assignment_info", lambda _self: [])
    with pytest.raises(UsageError, match="is not installed here, or computes nothing of this"):
        open_tensorrt(sweep.path, session_options(), engine)


def test_a_file_that_it_does_not_take_is_told(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = [
        helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n", 4])
        for name in (INPUT, OUTPUT)
    ]
    node = helper.make_node("Acos", [INPUT], [OUTPUT])  # of which there is no kernel
    graph = helper.make_graph([node], "none", ends[:1], ends[1:])
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), tmp_path / "none.onnx")
    play_tensorrt(monkeypatch, tmp_path / "none.onnx")
    assert runtime_sweep._alternatives(sweep, RuntimeOptions()) == LEVELS
    (told,) = lines(sweep)
    assert told.startswith("without TensorRT: TensorRT does not take this file: ")
