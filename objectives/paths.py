"""Names of files that come from what is stored, which may not lead out of their folder."""

from __future__ import annotations

import re
from pathlib import PurePath

__all__ = ["is_below"]


PLAIN = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*", re.ASCII)
"""As ours are written: a study has thousands, and parsing them takes a third of reading it."""


def is_below(name: str) -> bool:
    """Whether a path stays below the folder that it is joined to."""
    if PLAIN.fullmatch(name):
        return True
    path = PurePath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts
