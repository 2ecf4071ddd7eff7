"""Names of what makes a channel worth keeping, and what they need."""

from __future__ import annotations

import importlib.util

from greenfront.spaces.architectures.nni_import import INSTALL

__all__ = ["IMPORTANCES", "importance_objection", "is_of_nni"]

IMPORTANCES = (
    "magnitude",
    "taylor",
    "fpgm",
    "random",
    "nni:l1",
    "nni:fpgm",
    "nni:taylor",
    "nni:movement",
)
"""Those with a prefix are scores of NNI's pruners."""


def is_of_nni(name: str) -> bool:
    """Whether an importance is one of NNI's."""
    return name.startswith("nni:")


def importance_objection(name: str) -> str | None:
    """Why an importance cannot be had here, in words; imports nothing."""
    if is_of_nni(name) and importlib.util.find_spec("nni") is None:
        return f"{name!r} needs the package 'nni', which is not installed: {INSTALL}"
    return None
