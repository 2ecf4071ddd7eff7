"""Names of files that come from what is stored, which may not lead out of their folder."""

from __future__ import annotations

from pathlib import PurePath

__all__ = ["is_below"]


def is_below(name: str) -> bool:
    """Whether a path stays below the folder that it is joined to."""
    path = PurePath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts
