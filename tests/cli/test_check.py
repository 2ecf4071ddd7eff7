"""The gate, on folders with a small graph that is really run and metered."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from contracts.command import Command
from contracts.records import exported
from greenfront.errors import UsageError
from greenfront.objectives.stages.metered import Measuring
from greenfront.studies.export import measuring
from greenfront.studies.export.documents import write_documents
from greenfront.studies.export.folder import write_sums
from greenfront.studies.export.measuring import made_up, plain_session

PIXELS = {"preprocessing": {"shape": [3, 5, 7]}}


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks are short and few: what they say is not asked here, only which model takes more."""
    short = partial(Measuring, block_seconds=0.01, least_blocks=3, most_blocks=3)
    monkeypatch.setattr(measuring, "Measuring", short)


def graph(kind: int, shape: list[int | str], metadata: dict[str, object]) -> onnx.ModelProto:
    """A model that answers what it is given, as float."""
    given = helper.make_tensor_value_info("given", kind, shape)
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, shape)
    node = helper.make_node("Cast", ["given"], ["answer"], to=TensorProto.FLOAT)
    model = helper.make_model(
        helper.make_graph([node], "g", [given], [answer]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=10,
    )
    told = {f"greenfront.{name}": json.dumps(value) for name, value in metadata.items()}
    helper.set_model_props(model, told)
    return model


def product(size: int) -> onnx.ModelProto:
    """A model that multiplies by a matrix of so many rows and columns."""
    weights = numpy_helper.from_array(np.ones((size, size), np.float32), "w")
    nodes = [
        helper.make_node("Cast", ["values"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    values = helper.make_tensor_value_info("values", TensorProto.DOUBLE, ["n", size])
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", size])
    model = helper.make_model(
        helper.make_graph(nodes, "g", [values], [answer], [weights]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=10,
    )
    told = {"kind": "array", "outputs": ["y"], "classes": [], "preprocessing": {}}
    helper.set_model_props(model, {f"greenfront.{k}": json.dumps(v) for k, v in told.items()})
    return model


def folder(path: Path, model: onnx.ModelProto) -> Path:
    path.mkdir()
    onnx.save(model, path / "model.onnx")
    write_documents(exported(), path)
    write_sums(path)
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """``small`` and ``large``, which takes some hundred times as much."""
    root = tmp_path_factory.mktemp("check")
    folder(root / "small", product(8))
    folder(root / "large", product(1024))
    np.save(root / "rows.npy", np.ones((3, 8)))
    return Command(root)


def test_a_model_that_keeps_its_limits(models: Command) -> None:
    told = models.read_json("check", "small", "--max-joules", "1J", "--max-drop", "1%")
    assert told["passed"] is True
    assert 0 < told["joules"] < 1
    assert told["kind"] in ("measured", "modelled")
    assert told["made_up_inputs"] is True


def test_a_model_that_breaks_one_ends_with_1(models: Command) -> None:
    said = models.read("check", "small", "--max-joules", "1nJ", code=1)
    assert "NO" in said
    assert "made-up inputs" in said


def test_both_are_measured_here(models: Command) -> None:
    words = ("check", "large", "--max-increase", "50%", "--against", "small")
    said = models.read(*words, code=1)
    assert "The other: " in said
    assert models.read_json("check", "small", "--max-increase", "50%", "--against", "large")[
        "passed"
    ]


def test_examples_of_ones_own(models: Command) -> None:
    told = models.read_json("check", "small", "--max-joules", "1J", "--input", "rows.npy")
    assert told["made_up_inputs"] is False
    said = models.read("check", "large", "--max-joules", "1J", "--input", "rows.npy", code=2)
    assert "--input: rows.npy" in said


def test_a_summary_for_a_workflow(models: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    step = models.folder / "step.md"
    step.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step))
    models.read("check", "small", "--max-joules", "1J", "--markdown", "summary.md")
    summary = (models.folder / "summary.md").read_text()
    assert summary.startswith("### greenfront: digits, trial")
    assert step.read_text() == f"before\n{summary}"
    said = models.read("check", "small", "--max-joules", "1J", "--markdown", "no/where.md", code=2)
    assert "the summary cannot be written" in said


def test_a_tampered_folder_fails(tmp_path: Path) -> None:
    path = folder(tmp_path / "model", product(8))
    (path / "README.md").write_text("all is well")
    said = Command(tmp_path).read("check", "model", "--max-joules", "1J", code=1)
    assert "README.md is not what was exported" in " ".join(said.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["small"], "nothing to check"),
        (["small", "--max-joules", "much"], "--max-joules: must be a number"),
        (["small", "--max-increase", "5%"], "give --against"),
        (["nowhere", "--max-joules", "1J"], "is no exported model"),
        (["small", "--max-drop", "1%", "--against", "nowhere"], "is no exported model"),
    ],
)
def test_wrong_usage_ends_with_2(models: Command, words: list[str], message: str) -> None:
    assert message in models.read("check", *words, code=2)


def test_a_model_that_does_not_load_is_told(tmp_path: Path) -> None:
    path = folder(tmp_path / "model", product(8))
    (path / "model.onnx").write_bytes(b"no model")
    said = Command(tmp_path).read("check", "model", "--max-joules", "1J", code=2)
    assert "cannot be loaded" in said


@pytest.mark.parametrize(
    ("kind", "shape", "told", "size"),
    [
        (TensorProto.DOUBLE, ["n", 4], {}, (1, 4)),
        (
            TensorProto.UINT8,
            ["n", "h", "w", 3],
            {"preprocessing": {"shape": [3, 5, 7]}},
            (1, 5, 7, 3),
        ),
    ],
    ids=["numbers", "pixels"],
)
def test_examples_are_made_up_in_the_models_shape(
    kind: int,
    shape: list[int | str],
    told: dict[str, object],
    size: tuple[int, ...],
    tmp_path: Path,
) -> None:
    onnx.save(graph(kind, shape, told), tmp_path / "model.onnx")
    session = plain_session(tmp_path)
    first, second, *_ = made_up(session)
    assert first["given"].shape == size
    assert not (first["given"] == second["given"]).all()
    assert session.run(None, first)[0].shape == size


def test_texts_cannot_be_made_up(tmp_path: Path) -> None:
    onnx.save(graph(TensorProto.INT64, ["n", "length"], {}), tmp_path / "model.onnx")
    with pytest.raises(UsageError, match="give some by --input FILE"):
        made_up(plain_session(tmp_path))
