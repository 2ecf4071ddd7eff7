"""What an exported model takes of tables and folders, and what it says of what it does not know."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from greenfront.studies.export.bundle import bundled
from greenfront.studies.export.predict import Model, batches
from greenfront.studies.export.predict_tables import InputError, table_batches
from greenfront.studies.export.script import MODULES

NUMBER = {"kind": "number", "style": "point", "form": "", "parts": []}
DATE = {"kind": "date", "style": "point", "form": "%d.%m.%Y", "parts": ["year", "month"]}
COLUMNS = [
    {"column": "day", "reading": DATE},
    {"column": "age", "reading": NUMBER},
    {"column": "city", "levels": ["Oslo", "Rome"]},
]


def test_what_it_understands_is_not_talked_about(capsys: pytest.CaptureFixture[str]) -> None:
    text = "city;age;day\nRome;4;31.01.2026\n;n/a;\n"
    ((names, feed),) = table_batches(COLUMNS, text, "new.csv")
    assert names == ["1", "2"]
    np.testing.assert_array_equal(feed["numbers"][0], [2026, 1, 4])
    assert np.isnan(feed["numbers"][1]).all()
    assert feed["texts"][:, 0].tolist() == ["Rome", ""]
    assert capsys.readouterr().err == ""


def test_cells_that_mean_nothing_to_it_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    rows = ["2026-01-31,old,Rome", *["31.01.2026,4,Atlantis"] * 70, "31.01.2026,4,Mu"]
    batches = list(table_batches(COLUMNS, "\n".join(["day,age,city", *rows]), "new.csv"))
    assert [len(names) for names, _ in batches] == [64, 8]
    assert capsys.readouterr().err.splitlines() == [
        "new.csv: 1 cell of 'day' counts as missing: '2026-01-31' is no date of the form %d.%m.%Y",
        "new.csv: 1 cell of 'age' counts as missing: 'old' is no number",
        "new.csv: 71 cells of 'city' count as missing: the model has no input for 'Atlantis'",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [("day,age\n", "lacks 'city'; its header names 'day', 'age'"), ("", "'city'; it is empty")],
)
def test_a_table_must_have_its_columns(text: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        list(table_batches(COLUMNS, text, "new.csv"))


def test_images_that_are_none_are_called_so(tmp_path: Path) -> None:
    about = {"preprocessing": {"shape": [1, 8, 8]}, "background": "#ffffff"}
    model = cast(Model, SimpleNamespace(kind="image", about=about))
    (tmp_path / "bad.png").write_text("hello")
    with pytest.raises(InputError, match=r"bad\.png: this is no image of a known format$"):
        list(batches(model, [str(tmp_path / "bad.png")]))
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match=r"none: there are no images \(\.bmp, .*\) in this folder"):
        list(batches(model, [str(tmp_path / "none")]))


def test_the_script_imports_each_module_once() -> None:
    lines = bundled(MODULES).splitlines()
    imported = [line.split()[1] for line in lines if line.startswith(("from ", "import "))]
    assert "collections.abc" in imported
    assert sorted(set(imported)) == sorted(imported)
    assert not any(name.startswith("greenfront") for name in imported)
