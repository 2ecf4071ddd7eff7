"""URLs of databases: read as people write them, shown without their passwords."""

from __future__ import annotations

import re
from importlib.util import find_spec
from urllib.parse import unquote

import sqlalchemy as sa

from greenfront.errors import StorageError
from greenfront.studies.store.passwords import HIDDEN, without_passwords

__all__ = ["DEFAULT_URL", "parsed_url", "shown_url"]

DEFAULT_URL = "sqlite:///greenfront.db"

_POSTGRES = ("postgresql", "postgres")
_HOST = re.compile(r"[\w.-]*|[0-9a-fA-F:.]+")
_SECRET_KEY = re.compile(r"pass|secret|token|pwd", re.IGNORECASE)


def parsed_url(url: str) -> sa.URL:
    """Reads a URL; a password may hold ``@``, ``/``, ``#`` and ``:`` as they are.

    What looks like percent-encoding is decoded, as in every URL. PostgreSQL is spoken to by psycopg
    where the URL names no driver and psycopg2, which SQLAlchemy would take, is not there.

    Raises:
        StorageError: It is none.
    """
    found = _read(url)
    if found is not None and found.get_backend_name() == "sqlite":
        # A file has neither server nor password: two slashes were meant to be three.
        found = None if found.host or any(map(_is_secret, found.query)) else found
    if found is not None and found.drivername in _POSTGRES and find_spec("psycopg2") is None:
        return found.set(drivername="postgresql+psycopg")
    if found is None:
        raise StorageError(
            f"storage {shown_url(url)!r} is no SQLAlchemy URL: give one such as {DEFAULT_URL} or "
            "postgresql+psycopg://user:password@host/name"
        )
    return found


def shown_url(url: str) -> str:
    """The same URL with *** for the password and other secrets, for messages and commands."""
    found = _read(url)
    if found is not None and found.password is None and not any(map(_is_secret, found.query)):
        return url
    scheme, colon, rest = url.partition("://") if "://" in url else ("", "", url)
    before, at, place = rest.rpartition("@")
    if found is None or ("@" in before and "@" not in (found.password or "")):
        # Whatever it is: what stands before the last @ may be a part of a password, and without
        # one what follows a colon.
        host = _parsed(f"postgresql://{place}")
        if at:
            is_host = host is not None and _is_plausible(host)
            return f"{scheme}{colon}{HIDDEN}" + (f"@{place}" if is_host else "")
        first, stop, _ = rest.partition(":")
        shown = f"{scheme}{colon}{first}{stop}{HIDDEN}" if colon and stop else url
        return without_passwords(shown)
    hidden = {key: HIDDEN for key in found.query if _is_secret(key)}
    shown = found.update_query_dict(hidden).render_as_string(hide_password=True)
    return shown.replace("%2A%2A%2A", HIDDEN)


def _read(url: str) -> sa.URL | None:
    found = _parsed(url)
    if found is not None and _is_plausible(found):
        return found
    # The last @ ends user and password, whatever they hold.
    scheme, colon, rest = url.partition("://")
    login, at, place = rest.rpartition("@")
    again = _parsed(f"{scheme}://{place}") if colon and at else None
    if again is None or not _is_plausible(again):
        return None
    user, stop, password = login.partition(":")
    return again.set(username=unquote(user), password=unquote(password) if stop else None)


def _is_secret(key: str) -> bool:
    return _SECRET_KEY.search(key) is not None


def _parsed(url: str) -> sa.URL | None:
    try:
        return sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):  # the latter for a port that is no number
        return None


def _is_plausible(url: sa.URL) -> bool:
    """Whether a password cannot have run into host or database."""
    if url.drivername.startswith("sqlite"):
        return True
    return _HOST.fullmatch(url.host or "") is not None and "@" not in (url.database or "")
