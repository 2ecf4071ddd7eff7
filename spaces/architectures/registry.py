"""Families by name."""

from __future__ import annotations

from difflib import get_close_matches

from greenfront.errors import UsageError
from greenfront.spaces.architectures.architecture import Architecture
from greenfront.spaces.architectures.cnn import CNN
from greenfront.spaces.architectures.mlp import MLP

__all__ = ["architecture", "architecture_names"]

_FAMILIES: dict[str, type[Architecture]] = {family.name: family for family in (MLP, CNN)}


def architecture_names() -> tuple[str, ...]:
    """Every family that a study file may name."""
    return tuple(_FAMILIES)


def architecture(name: str) -> Architecture:
    """The family of this name.

    Raises:
        UsageError: There is none; the message lists the nearest names.
    """
    if name not in _FAMILIES:
        near = get_close_matches(name, _FAMILIES, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise UsageError(
            f"architecture {name!r} is unknown{hint}: take one of {', '.join(_FAMILIES)}"
        )
    return _FAMILIES[name]()
