from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import greenfront
from greenfront import errors

ROOT = Path(__file__).parents[1]
FOLDERS = {
    "greenfront": ROOT / "src" / "greenfront",
    **{f"greenfront.{n}": ROOT / n for n in ("objectives", "search", "spaces", "studies")},
}


def test_every_package_is_listed() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {
        ".".join([name, *path.parent.relative_to(folder).parts])
        for name, folder in FOLDERS.items()
        for path in folder.rglob("__init__.py")
    }
    assert set(listed) == found
    assert listed == sorted(listed)


def test_exported_names_exist_and_are_all_there_are() -> None:
    for name in greenfront.__all__:
        assert getattr(greenfront, name) is not None
    assert set(greenfront.__all__) == {*greenfront._HOMES, "__version__"}
    with pytest.raises(AttributeError, match="nonsense"):
        _ = greenfront.nonsense  # type: ignore[attr-defined]


def test_every_error_is_a_greenfront_error_and_in_the_tree() -> None:
    for name in (each for each in errors.__all__ if each != "first_line"):
        assert issubclass(getattr(errors, name), errors.GreenfrontError)
        assert name in (errors.__doc__ or "")


def test_importing_the_package_costs_nothing() -> None:
    code = "import sys, greenfront; print(*sorted(m for m in sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "optuna", "torch", "sqlalchemy"} & set(said.stdout.split())


def test_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == greenfront.__version__
