"""Texts without the passwords in them, for whatever is shown: needs no parser of URLs."""

from __future__ import annotations

import re

__all__ = ["HIDDEN", "without_passwords"]

HIDDEN = "***"

_BEFORE = r"([a-z][\w+.-]*:/{0,2}[^\s:@/'\"]*:)"
"""A URL up to its password: scheme and user."""

_IN_TEXT = re.compile(_BEFORE + r"\S+@", re.IGNORECASE)
"""The last @ of the word ends user and password."""

_IN_WORD = re.compile(_BEFORE + r".+@", re.IGNORECASE | re.DOTALL)

_UNFINISHED = re.compile(r"(://[^\s/:@\[]*:)(?!\d+\b)[^\s/:@'\"]+")
"""A user and no host: what is no port was meant to be a password."""

_BY_NAME = re.compile(
    r"((?:pass(?:word|wd|phrase)?|pwd)\s*=\s*)('[^']*'|[^\s&'\",;)]+)", re.IGNORECASE
)
"""As libpq's connection strings and the queries of URLs name one."""


def without_passwords(text: str, *, one_word: bool = False) -> str:
    """The same text with *** for what stands where passwords stand in URLs and in what libpq reads.

    A net below :func:`~greenfront.studies.store.urls.shown_url`, for texts of which nobody knows
    whether there is a URL in them, such as words of other libraries: it may hide too much.

    Args:
        text: What is shown.
        one_word: Whether it is an argument of a command: a password in it may hold spaces.
    """
    url = _IN_WORD if one_word else _IN_TEXT
    shown = _UNFINISHED.sub(rf"\1{HIDDEN}", url.sub(rf"\1{HIDDEN}@", text))
    return _BY_NAME.sub(rf"\1{HIDDEN}", shown)
