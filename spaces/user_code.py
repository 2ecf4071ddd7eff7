"""Code of the user's, named ``module:function`` in a study file: found and imported in one way."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from greenfront.errors import UsageError

__all__ = ["FAULTS", "import_module", "is_function_name", "working_directory_first"]

FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)
"""What code of the user's may raise; whatever else it raises is its own and goes through."""


def is_function_name(name: str) -> bool:
    """Whether a name reads ``package.module:function``."""
    module_name, _, function_name = name.partition(":")
    return all(part.isidentifier() for part in (*module_name.split("."), function_name))


@contextmanager
def working_directory_first() -> Iterator[None]:
    """Lets modules be found in the working directory before anywhere else."""
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(folder)


def import_module(name: str, source: str, refusal: type[UsageError]) -> ModuleType:
    """Imports a module of the user's; messages call ``source`` what names it.

    Raises:
        UsageError: As ``refusal``: it cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except FAULTS as error:
        raise refusal(
            f"{source}: module {name!r} must be importable, but importing it from "
            f"{Path.cwd()} failed ({type(error).__name__}: {error}): correct the name, the module, "
            "or the directory you start from"
        ) from error
