"""Images whose labels stand in a table: numbers, or classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from greenfront.errors import DataError
from greenfront.objectives.tasks.load import load_task, read_raw
from greenfront.objectives.tasks.settings import TaskSettings


def written(folder: Path, table: str | None = None, count: int = 24) -> TaskSettings:
    """Grey images that are as bright as their number says."""
    (folder / "shots").mkdir()
    for index in range(count):
        Image.new("L", (4, 4), 10 * index).save(folder / "shots" / f"{index}.png")
    rows = [f"shots/{index}.png,{index / 2 + 0.25},{'ab'[index % 2]}" for index in range(count)]
    default = "\n".join(["file,weight,class", *reversed(rows)])
    (folder / "labels.csv").write_text(table if table is not None else default)
    return TaskSettings(kind="images", path=str(folder), target="weight")


def test_numbers_stand_beside_their_images(tmp_path: Path) -> None:
    settings = written(tmp_path)
    raw = read_raw(settings, cache=tmp_path / "cache")
    pixels = raw.inputs.values[:, 0, 0, 0]  # type: ignore[attr-defined]
    np.testing.assert_array_equal(pixels, 20 * (raw.labels - 0.25))
    task = load_task(settings, cache=tmp_path / "cache", seed=0)
    assert task.facts.regression
    assert task.facts.predicted == "a number, 'weight'"
    assert task.facts.input_shape == (1, 4, 4)


def test_classes_may_stand_there_too(tmp_path: Path) -> None:
    written(tmp_path)
    settings = TaskSettings(kind="images", path=str(tmp_path), target="class")
    task = load_task(settings, cache=tmp_path / "cache", seed=0)
    assert task.facts.class_names == ("a", "b")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("name,weight\n1.png,2.5\n", "the table must name a column, but there is no column 'file'"),
        ("file,mass\nshots/1.png,2.5\n", "target must name a column, .* no column 'weight'"),
        ("file,weight\nshots/99.png,2.5\n", r"'file' must name a file below .* 'shots/99.png'"),
        ("file,weight\n../outside.png,2.5\n", r"'file' must name a file below .*outside.png'"),
        ("file,weight\nshots/1.png,\n", "every row needs a target"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path: Path, table: str, message: str) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "outside.png")
    settings = written(folder, table)
    with pytest.raises(DataError, match=message):
        read_raw(settings, cache=tmp_path / "cache")


def test_a_missing_table_is_explained(tmp_path: Path) -> None:
    settings = written(tmp_path)
    (tmp_path / "labels.csv").unlink()
    with pytest.raises(DataError, match=r"labels.csv: target = 'weight' needs this table.*write"):
        read_raw(settings, cache=tmp_path / "cache")
