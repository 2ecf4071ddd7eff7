"""Models of every kind of data, packaged, and run from raw input where nothing of ours is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from contracts.shipped import Shipped, alone, images, predictions, shipped, table, texts
from greenfront.objectives.metric_scores import decided
from greenfront.objectives.packaging.shipped import open_shipped, said
from greenfront.objectives.pipeline.answers import load_answers
from greenfront.objectives.stages.evaluate import answers_of, open_artefact
from greenfront.objectives.tasks.settings import TaskSettings
from greenfront.spaces.techniques.precision import Precision


@pytest.fixture(scope="module")
def of_table(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    folder = tmp_path_factory.mktemp("table")
    return shipped(table(folder), "mlp", folder, precision=Precision(4), threshold=0.3)


@pytest.fixture(scope="module")
def of_numbers(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    folder = tmp_path_factory.mktemp("numbers")
    return shipped(table(folder, number=True), "mlp", folder)


@pytest.fixture(scope="module")
def of_images(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    folder = tmp_path_factory.mktemp("images")
    return shipped(images(folder), "cnn", folder)


@pytest.fixture(scope="module")
def of_texts(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    folder = tmp_path_factory.mktemp("texts")
    return shipped(texts(folder), "bag", folder)


@pytest.fixture(scope="module")
def of_arrays(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    return shipped(TaskSettings("digits"), "mlp", tmp_path_factory.mktemp("digits"))


@pytest.fixture(params=["of_table", "of_numbers", "of_images", "of_texts", "of_arrays"])
def model(request: pytest.FixtureRequest) -> Shipped:
    found: Shipped = request.getfixturevalue(request.param)
    return found


def judged_answers(model: Shipped) -> np.ndarray:
    kept = load_answers(model.core.parent / "answers.npz")
    assert kept is not None
    return kept[0]


def test_from_raw_rows_it_says_what_was_judged(model: Shipped) -> None:
    given, shares = said(open_shipped(model.folder / "model.onnx", 1), model.raw(), "validation")
    answers, labels = judged_answers(model), model.packaged.labels
    if shares is None:
        np.testing.assert_array_equal(given, answers[:, 0])
        return
    indices = decided(answers, labels.threshold, labels.positive)
    assert given.tolist() == [labels.classes[index] for index in indices]
    powers = np.exp(answers.astype(np.float64) - answers.max(1, keepdims=True))
    np.testing.assert_allclose(shares, powers / powers.sum(1, keepdims=True), atol=1e-6)


def test_what_it_says_of_itself(model: Shipped) -> None:
    packaged = model.packaged
    assert packaged.file_bytes == (model.folder / "model.onnx").stat().st_size
    assert (model.folder / "model.safetensors").is_file()
    assert packaged.cost.energy.joules is not None
    assert packaged.plain_cost.energy.joules is not None
    assert packaged.max_error is not None
    assert packaged.validation.examples == len(judged_answers(model))
    assert sum(packaged.operators.values()) > 2
    if packaged.labels.classes:
        assert packaged.agreement is not None
        assert packaged.agreement >= 0.9  # with weights of 4 bits


THREADS = """
import os, sys
import onnxruntime
before = len(os.listdir("/proc/self/task"))
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
print(len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads as Linux shows them")
def test_the_runtime_can_read_its_threads_from_the_file(of_images: Shipped) -> None:
    path = of_images.folder / "model.onnx"
    (told,) = [p.value for p in onnx.load(path).metadata_props if p.key == "ort_config"]
    assert json.loads(told)["session_options"]["intra_op_num_threads"] == 1
    done = subprocess.run(
        [sys.executable, "-c", THREADS, str(path)],
        env={**os.environ, "ORT_LOAD_CONFIG_FROM_MODEL": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "0"


def test_what_a_prediction_takes_is_told_beside_what_is_counted(of_arrays: Shipped) -> None:
    parts = of_arrays.packaged.parts
    assert parts is not None
    assert parts.own is not None
    assert parts.over_counted is not None
    assert parts.own_over_counted is not None
    assert parts.plain_over_own is not None
    assert min(parts.own_over_counted.low, parts.over_counted.low, parts.plain_over_own.low) > 0


def test_a_table_is_read_as_it_was(of_table: Shipped) -> None:
    """Blanks, quotes, thousands, missing cells, dates, another order of columns."""
    printed = predictions(alone(of_table.folder, str(of_table.settings.path), "--json"))
    given, shares = said(
        open_shipped(of_table.folder / "model.onnx", 1), of_table.raw(), "validation"
    )
    rows = of_table.raw().rows("validation")
    assert [printed[row]["label"] for row in rows] == given.tolist()
    assert shares is not None
    found = [list(printed[row]["probabilities"].values()) for row in rows]  # type: ignore[attr-defined]
    np.testing.assert_array_equal(np.array(found, dtype=np.float32), shares)
    lines = Path(str(of_table.settings.path)).read_text().splitlines()
    csv = alone(of_table.folder, "-", said="\n".join([lines[0], *lines[7:9]]))
    wanted = [f"{each['label']},{each['probability']:.6f}" for each in printed[6:8]]
    assert csv.splitlines() == ["input,label,probability", f"1,{wanted[0]}", f"2,{wanted[1]}"]


def test_unknown_and_missing_cells(of_table: Shipped) -> None:
    """A category that was never seen and a cell that is no number count as the data say."""
    session = onnxruntime.InferenceSession(of_table.folder / "model.onnx")
    names = {each.name: each.type for each in session.get_inputs()}
    assert names == {"numbers": "tensor(double)", "texts": "tensor(string)"}
    told = json.loads(session.get_modelmeta().custom_metadata_map["greenfront.inputs"])
    assert told["texts"] == ["colour"]
    assert told["numbers"][:2] == ["label", "when: month"]
    header = "label;when;colour;size;flag\n"
    empty = alone(of_table.folder, "-", "--json", said=header + ";;;;\n")
    strange = alone(of_table.folder, "-", "--json", said=header + "x;then;;n/a;maybe\n")
    assert predictions(empty) == predictions(strange)


def test_what_a_table_lacks_is_told(of_table: Shipped) -> None:
    told = alone(of_table.folder, "-", said="label,when,colour,flag\n1,,,\n", code=1)
    assert "lacks 'size'; its header names 'label', 'when', 'colour', 'flag'" in told
    told = alone(of_table.folder, "nowhere.csv", code=1)
    assert "nowhere.csv: this cannot be read (No such file or directory)" in told


def test_numbers_are_in_the_unit_of_the_target(of_numbers: Shipped) -> None:
    printed = alone(of_numbers.folder, str(of_numbers.settings.path))
    assert printed.splitlines()[0] == "input,goal"
    values = np.array([line.partition(",")[2] for line in printed.splitlines()[1:]], np.float32)
    rows = of_numbers.raw().rows("validation")
    np.testing.assert_array_equal(values[rows], judged_answers(of_numbers)[:, 0])


def test_images_of_any_size(of_images: Shipped, tmp_path: Path) -> None:
    """Resized to the very pixels that the search has seen."""
    from PIL import Image

    folder = Path(str(of_images.settings.path))
    printed = predictions(alone(of_images.folder, str(folder), "--json"))
    files = sorted(str(path) for path in folder.rglob("*.png"))
    assert [each["input"] for each in printed] == files
    rows = of_images.raw().rows("validation")
    answers = judged_answers(of_images)
    powers = np.exp(answers - answers.max(1, keepdims=True))
    wanted = powers / powers.sum(1, keepdims=True)
    found = [list(printed[row]["probabilities"].values()) for row in rows]  # type: ignore[attr-defined]
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    Image.fromarray(np.full((9, 9), 5000, dtype=np.uint16)).save(tmp_path / "deep.png")
    told = alone(of_images.folder, str(tmp_path / "deep.png"), code=1)
    assert "an image must have 8 bits, as all that the model learnt from, but has 16" in told


def test_grey_images_of_16_bits(tmp_path: Path) -> None:
    """Scaled by the range of all the study's images, as the search has seen them."""
    from PIL import Image

    random = np.random.default_rng(5)
    for name, shade in (("dark", 9000), ("light", 41000)):
        place = tmp_path / "images" / name
        place.mkdir(parents=True)
        for number in range(12):
            values = np.clip(random.normal(shade, 4000, (12, 12)), 0, 65535).astype(np.uint16)
            Image.fromarray(values).save(place / f"{number}.png")
    model = shipped(TaskSettings("images", path=str(tmp_path / "images")), "mlp", tmp_path)
    printed = predictions(alone(model.folder, str(model.settings.path), "--json"))
    answers, rows = judged_answers(model), model.raw().rows("validation")
    powers = np.exp(answers - answers.max(1, keepdims=True))
    found = [list(printed[row]["probabilities"].values()) for row in rows]  # type: ignore[attr-defined]
    np.testing.assert_allclose(found, powers / powers.sum(1, keepdims=True), atol=1e-6)
    assert len({each["label"] for each in printed}) == 2


def test_texts_by_the_tokenizer_beside_it(of_texts: Shipped, tmp_path: Path) -> None:
    printed = predictions(alone(of_texts.folder, str(of_texts.settings.path), "--json"))
    rows = of_texts.raw().rows("validation")
    given, _ = said(open_shipped(of_texts.folder / "model.onnx", 1), of_texts.raw(), "validation")
    assert [printed[row]["label"] for row in rows] == given.tolist()
    (tmp_path / "one.txt").write_text("rainy, worse\nno", encoding="utf-8")
    (tmp_path / "rows.jsonl").write_text('{"text": "rainy, worse\\nno"}\n', encoding="utf-8")
    one, two = predictions(
        alone(of_texts.folder, str(tmp_path / "one.txt"), str(tmp_path / "rows.jsonl"), "--json")
    )
    assert one["probabilities"] == two["probabilities"]
    assert len(alone(of_texts.folder, "-", said="a line\nanother\n").splitlines()) == 3


def test_arrays(of_arrays: Shipped, tmp_path: Path) -> None:
    raw = of_arrays.raw()
    feed = raw.feed(raw.rows("validation"))
    np.save(tmp_path / "some.npy", feed["values"])
    printed = predictions(alone(of_arrays.folder, str(tmp_path / "some.npy"), "--json"))
    answers = judged_answers(of_arrays)
    assert [each["label"] for each in printed] == [str(i) for i in answers.argmax(1)]
    told = alone(of_arrays.folder, "-", said="1,2,3\n", code=1)
    assert "it must hold numbers of examples, a table without a header, but cannot reshape" in told


def test_a_file_that_is_gone_is_made_again(of_numbers: Shipped) -> None:
    runner, core = of_numbers.runner, of_numbers.core
    held, answered = core.read_bytes(), judged_answers(of_numbers)
    core.unlink()
    delivered = runner.delivered(of_numbers.candidate, of_numbers.artefact)
    assert delivered.notes == ("the file was gone and was made again from its weights",)
    assert delivered.path == core
    session = open_artefact(delivered.path, 1)
    inputs = runner.runtime.models.task.validation.inputs
    assert core.read_bytes() == held
    np.testing.assert_array_equal(answers_of(session, inputs), answered)
