"""Figures as files."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from contracts.browser import chromium
from contracts.reports import VIEWS
from greenfront.errors import UsageError
from greenfront.studies.analysis.report_data import ReportData
from greenfront.studies.report.figures import figures
from greenfront.studies.report.pictures import write_pictures

FOUND = ReportData(replace(VIEWS["nasty"], steps=(), spent_by_phase={}))
"""A study with hostile names and few figures."""


def test_each_figure_is_a_file_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER_PATH", chromium())
    written = write_pictures(FOUND, tmp_path / "new" / "folder", "svg")
    assert [path.name for path in written] == [f"{name}.svg" for name in figures(FOUND)]
    for path in written:
        assert ElementTree.parse(path).getroot().tag.endswith("svg")


def test_without_kaleido_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kaleido", None)
    with pytest.raises(UsageError, match=r"--png needs kaleido.*greenfront\[pictures\]"):
        write_pictures(FOUND, tmp_path, "png")


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"--png: folder .*file.* cannot be made"):
        write_pictures(FOUND, tmp_path / "file", "png")
