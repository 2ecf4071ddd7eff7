"""What happens to a folder where something goes wrong, and what other versions have written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from contracts.records import exported
from greenfront.errors import DataError, ExportError, UsageError
from greenfront.objectives.packaging.claims import CLAIMS, read_claims
from greenfront.studies.export import folder as folders
from greenfront.studies.export.documents import write_documents
from greenfront.studies.export.forms import spdx_identifier
from greenfront.studies.export.predict_tables import table_batches
from greenfront.studies.export.record import RECORD, read_record


def full(_folder: Path) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("replaced", [False, True])
def test_a_full_disk_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    place = tmp_path / "model"
    if replaced:
        with folders.drafted(place, force=False) as draft:
            (draft / "model.onnx").write_bytes(b"former")
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr(folders, "write_sums", full)
    told = r"cannot be written \(No space left on device\): nothing was left behind"
    with pytest.raises(ExportError, match=told), folders.drafted(place, force=True) as draft:
        (draft / "model.onnx").write_bytes(b"new")
    assert sorted(tmp_path.rglob("*")) == before
    assert not replaced or (place / "model.onnx").read_bytes() == b"former"


def test_a_record_and_claims_of_a_later_version(tmp_path: Path) -> None:
    write_documents(exported(), tmp_path)
    held = json.loads((tmp_path / RECORD).read_text())
    (tmp_path / RECORD).write_text(json.dumps({**held, "version": 99}))
    with pytest.raises(DataError, match=r"written in version 99 of the form.*update greenfront"):
        read_record(tmp_path)
    (tmp_path / CLAIMS).write_text('{"version": 99}')
    with pytest.raises(DataError, match=r"later version of greenfront \(form 99.*update"):
        read_claims(tmp_path)


def test_what_is_no_identifier_of_a_licence() -> None:
    assert spdx_identifier("Apache-2.0") == "Apache-2.0"
    for wrong in ("", "my own", "MIT\n"):
        with pytest.raises(UsageError, match="must be one identifier of SPDX"):
            spdx_identifier(wrong)


def test_models_of_before_take_each_column_by_itself() -> None:
    """Of folders whose metadata name an input a column."""
    reading = {"kind": "number", "style": "point", "form": "", "parts": []}
    number = {"column": "size", "reading": reading}
    steps: list[dict[str, object]] = [number, {"column": "hue", "levels": ["red"]}]

    def fed(told: list[dict[str, object]]) -> dict[str, object]:
        ((names, feed),) = table_batches(told, "size,hue\n1.5, red\n2,\n", "a table")
        assert names == ["1", "2"]
        return {name: values.tolist() for name, values in feed.items()}

    assert fed(steps) == {"numbers": [[1.5], [2.0]], "texts": [["red"], [""]]}
    former: list[dict[str, object]] = [{"step": step, "inputs": [step["column"]]} for step in steps]
    assert fed(former) == {"size": [[1.5], [2.0]], "hue": [["red"], [""]]}
    assert np.asarray(fed(former)["size"]).shape == (2, 1)
