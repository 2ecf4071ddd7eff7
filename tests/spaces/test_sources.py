from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from greenfront.spaces.sources import sources_hash

NAME = "greenfront_test_sources"

Import = Callable[[str], ModuleType]


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Import]:
    """Imports modules of the test's folder anew, as another process would."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def forget() -> None:
        for name in [name for name in sys.modules if name.startswith(NAME)]:
            del sys.modules[name]

    def load(name: str) -> ModuleType:
        forget()
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield load
    forget()


def write(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        file = folder / f"{NAME}{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)


@pytest.mark.parametrize(
    ("statement", "helper"),
    [
        (f"import {NAME}_help", "_help"),
        (f"from {NAME}_help import WIDTH", "_help"),
        (f"def build():\n    from {NAME}_help import WIDTH", "_help"),
        (f"import {NAME}_middle", "_help"),
        (f"import {NAME}_package.inner", "_package/inner"),
        (f"import {NAME}_package.inner", "_package/__init__"),
        (f"from {NAME}_package import inner", "_package/inner"),
        (f"import {NAME}_package.outer", "_package/inner"),
        (f"from {NAME}_folder import alone", "_folder/alone"),
    ],
)
def test_what_a_module_imports_belongs_to_it(
    tmp_path: Path, fresh: Import, statement: str, helper: str
) -> None:
    write(
        tmp_path,
        {
            "": statement,
            "_help": "WIDTH = 16",
            "_middle": f"import {NAME}_help",
            "_package/__init__": "",
            "_package/inner": "WIDTH = 16",
            "_package/outer": "from . import inner\nfrom .inner import WIDTH",
            "_folder/alone": "",
            "_other": "WIDTH = 16",
        },
    )
    before = sources_hash(fresh(NAME))
    assert sources_hash(fresh(NAME)) == before
    write(tmp_path, {"_other": "WIDTH = 32"})
    fresh(f"{NAME}_other")
    importlib.import_module(NAME)
    assert sources_hash(sys.modules[NAME]) == before
    write(tmp_path, {helper: "WIDTH = 32"})
    assert sources_hash(fresh(NAME)) != before


def test_a_helper_counts_as_it_was_imported(tmp_path: Path, fresh: Import) -> None:
    """Also for a module that is imported after the helper's file has changed."""
    write(tmp_path, {"_help": "WIDTH = 16", "": f"import {NAME}_help", "_two": ""})
    first = sources_hash(fresh(NAME))
    write(tmp_path, {"_two": f"import {NAME}_help  # with a comment"})
    importlib.invalidate_caches()
    with_old = sources_hash(importlib.import_module(f"{NAME}_two"))
    sys.modules.pop(f"{NAME}_two")
    write(tmp_path, {"_help": "WIDTH = 32"})
    assert sources_hash(importlib.import_module(f"{NAME}_two")) == with_old
    assert sources_hash(sys.modules[NAME]) == first
    assert sources_hash(fresh(f"{NAME}_two")) != with_old


def test_modules_within_packages_belong_to_these(tmp_path: Path, fresh: Import) -> None:
    write(tmp_path, {"_package/__init__": "", "_package/inner": "from ..beyond import nothing"})
    (tmp_path / f"{NAME}_package" / "inner.py").write_text(
        "def never():\n    from ..beyond import nothing\n"
    )
    before = sources_hash(fresh(f"{NAME}_package.inner"))
    write(tmp_path, {"_package/__init__": "WIDTH = 3"})
    assert sources_hash(fresh(f"{NAME}_package.inner")) != before


def test_what_is_beside_the_working_directory_counts_too(
    tmp_path: Path, fresh: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path / "elsewhere"))
    seen = []
    for width in (16, 32):
        write(tmp_path / "elsewhere", {"": f"import {NAME}_help"})
        write(tmp_path, {"_help": f"WIDTH = {width}"})
        seen.append(sources_hash(fresh(NAME)))
    assert len(set(seen)) == 2


def test_sources_that_are_never_run_may_be_broken(tmp_path: Path, fresh: Import) -> None:
    write(tmp_path, {"": f"def never():\n    import {NAME}_help", "_help": "WIDTH ="})
    before = sources_hash(fresh(NAME))
    write(tmp_path, {"_help": "WIDTH = '\\d"})
    assert sources_hash(fresh(NAME)) != before


def test_libraries_are_hashed_alone_and_what_has_no_file_not_at_all() -> None:
    import functools

    assert len({sources_hash(module) for module in (functools, pytest)}) == 2
    assert sources_hash(sys) == ""
