"""What code of the user's is made of: a module and what it imports from beside it."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import json
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

__all__ = ["sources_hash"]

_LIBRARIES = frozenset({"site-packages", "dist-packages"})


@functools.cache
def sources_hash(module: ModuleType) -> str:
    """Hash of a module's source and, through all imports, of those beside it; empty without a file.

    Beside it is what lies in the folder that it was found in, or in the working directory. What
    is installed counts as a library, and is left out. Imports are read and not run, so that those
    within functions count as well, and those of other modules do not.

    Taken once for as long as the process keeps the module: files may change later, but what was
    imported does not. So ask right after the import.
    """
    if _file_of(module) is None:
        return ""
    roots = _roots(module)
    waiting = list(_with_packages(module.__name__))
    digests: dict[str, str] = {}
    while waiting:
        name = waiting.pop()
        file = _file_of(module) if name == module.__name__ else _found(name, roots)
        if name in digests or file is None:
            continue
        content = _content(name, file)
        digests[name] = hashlib.sha256(content).hexdigest()
        if file.suffix == ".py" and not _is_library(file):
            waiting += _imported(content, name, is_package=file.stem == "__init__")
    return hashlib.sha256(json.dumps(sorted(digests.items())).encode()).hexdigest()


def _file_of(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).absolute() if file and Path(file).is_file() else None


def _is_library(file: Path) -> bool:
    own = sysconfig.get_path("stdlib")
    return file.is_relative_to(own) or not _LIBRARIES.isdisjoint(file.parts)


def _roots(module: ModuleType) -> tuple[Path, ...]:
    """The folder on the import path that a module was found in, and the working directory."""
    depth = module.__name__.count(".")
    file = _file_of(module)
    roots = [Path.cwd()]
    if file is not None:
        roots.insert(0, file.parents[depth + (file.stem == "__init__")])
    return tuple(root for root in roots if not _is_library(root))


def _found(name: str, roots: tuple[Path, ...]) -> Path | None:
    for root in roots:
        place = root.joinpath(*name.split("."))
        for file in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if file.is_file():
                return file
    return None


def _content(name: str, file: Path) -> bytes:
    module = sys.modules.get(name)
    loaded = None if module is None else _file_of(module)
    if module is None or loaded is None or loaded.resolve() != file.resolve():
        return file.read_bytes()
    return _as_imported(module, loaded)


@functools.cache
def _as_imported(module: ModuleType, file: Path) -> bytes:  # noqa: ARG001 - part of the key
    """What a file held when it was first asked for, that is, soon after the import."""
    return file.read_bytes()


def _imported(content: bytes, name: str, *, is_package: bool) -> Iterator[str]:
    """Names of modules, and of what may be one, that a source imports, with their packages."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # told when it was imported
            tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return  # imported within a function that was never called
    package = name if is_package else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            wanted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            try:
                base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            except ImportError:
                continue  # beyond the outermost package
            wanted = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for whole in wanted:
            yield from _with_packages(whole)


def _with_packages(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[: count + 1]) for count in range(len(parts)))
