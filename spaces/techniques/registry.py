"""The techniques by discovery: every module of this package that has a ``TECHNIQUE``."""

from __future__ import annotations

import functools
import pkgutil
from importlib import import_module
from typing import Any, Literal

from pydantic import create_model

from greenfront.spaces import techniques as package
from greenfront.spaces.table import Table
from greenfront.spaces.techniques.technique import Technique

__all__ = ["table_of_options", "techniques"]


@functools.cache
def techniques() -> tuple[Technique[Any, Any], ...]:
    """All techniques, in their order."""
    modules = [
        import_module(f"{package.__name__}.{found.name}")
        for found in pkgutil.iter_modules(package.__path__)
    ]
    found = [module.TECHNIQUE for module in modules if hasattr(module, "TECHNIQUE")]
    return tuple(sorted(found, key=lambda technique: technique.order))


def table_of_options(table: Literal["space", "training"], *others: type[Table]) -> type[Table]:
    """One table with ``others`` and the keys of all techniques that add to it."""
    parts = dict.fromkeys([*others, *(t.options for t in techniques() if t.table == table)])
    # Fields are inherited from the last base to the first.
    return create_model(f"{table.title()}Table", __base__=tuple(reversed(list(parts))))
