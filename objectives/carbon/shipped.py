"""The tables that CodeCarbon ships, found without importing it.

Importing the package would load its trackers and pandas; its tables are plain CSV and JSON.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from greenfront.errors import UsageError

__all__ = ["codecarbon_file", "codecarbon_version"]


@lru_cache(maxsize=1)
def codecarbon_version() -> str:
    """The installed version, for the sources of numbers."""
    return version("codecarbon")


def codecarbon_file(name: str) -> Path:
    """The path of a table in CodeCarbon's ``data`` folder, such as ``hardware/cpu_power.csv``.

    Raises:
        UsageError: CodeCarbon is not installed, or its version has no such table.
    """
    spec = find_spec("codecarbon")
    roots = list(spec.submodule_search_locations or ()) if spec else []
    path = Path(roots[0], "data", name) if roots else None
    if path is None or not path.is_file():
        found = (
            f"version {codecarbon_version()} has no data/{name}" if roots else "none is installed"
        )
        raise UsageError(
            f"codecarbon: greenfront reads its table data/{name}, but {found}; "
            "install the version that greenfront was tested with: pip install codecarbon==3.3.2"
        )
    return path
