"""The user's wish to stop, as an exception that is no fault."""

from __future__ import annotations

from greenfront.errors import GreenfrontError

__all__ = ["Interrupted"]


class Interrupted(GreenfrontError):  # noqa: N818 - a wish, not an error
    """The trial was cut short because the user wants to stop; it is queued again."""
