from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import zipfile

import pytest

from greenfront.errors import DataError
from greenfront.objectives.tasks.tables.files import read_cells

TEXT = "x,kind\n1,a\n2,b\n"


def zipped(**members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        gzip.compress(TEXT.encode()),
        bz2.compress(TEXT.encode()),
        lzma.compress(TEXT.encode()),
        zipped(data=TEXT),
        gzip.compress(TEXT.encode("utf-16")),
    ],
    ids=["plain", "gzip", "bzip2", "xz", "zip", "gzip of UTF-16"],
)
def test_what_a_file_begins_with_decides(tmp_path, content):
    path = tmp_path / "data.bin"
    path.write_bytes(content)
    cells = read_cells(path, target="kind")
    assert cells.names == ["x", "kind"]
    assert cells.column("x").cells() == ["1", "2"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (gzip.compress(TEXT.encode())[:-9], "it cannot be unpacked: Compressed file ended"),
        (b"\x1f\x8b\x08 no", "it cannot be unpacked"),
        (zipped(one=TEXT, two=TEXT), "it holds 2 files instead of one"),
        (zipped(**{"xl/workbook.xml": "", "xl/styles.xml": ""}), "a spreadsheet: save it as CSV"),
        (b"\xff\xfex\x00,", "it is not utf-16"),
        (b"\x00\x01\x02", "bytes of 0, as no text does"),
        (b"", "it is empty"),
        (b" \n\n", "it is empty"),
    ],
    ids=[
        "cut off",
        "no gzip",
        "two files",
        "spreadsheet",
        "half of UTF-16",
        "binary",
        "empty",
        "blank",
    ],
)
def test_what_cannot_be_read_is_said(tmp_path, content, told):
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"data.csv: this must be a .*{told}"):
        read_cells(path)


def test_another_encoding_than_the_stated_one(tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes("x,kind\n1,süß\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"data.csv: .*it is not utf-8: .*, or write"):
        read_cells(path, encoding="utf-8")


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    path = tmp_path / "data.parquet"
    path.write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"pip install 'greenfront\[parquet\]', or write .* CSV"):
        read_cells(path)


def test_parquet_with_lists_in_cells(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "data.parquet"
    parquet.write_table(pyarrow.table({"x": [[1], [2]], "kind": ["a", "b"]}), path)
    with pytest.raises(DataError, match="column 'x' must hold one value a cell, but is of type"):
        read_cells(path)
    parquet.write_table(
        pyarrow.table(
            {
                "n": pyarrow.array([1, None]),
                "t": pyarrow.array(["a", "b"]).dictionary_encode(),
                "b": [True, False],
                "f": [0.1, float("nan")],
            }
        ),
        path,
    )
    cells = read_cells(path)
    assert [column.cells() for column in cells.columns] == [
        *(["1", None], ["a", "b"], ["True", "False"], ["0.1", None])
    ]


def test_a_folder_is_no_table(tmp_path):
    with pytest.raises(DataError, match="this file cannot be read: Is a directory"):
        read_cells(tmp_path)
