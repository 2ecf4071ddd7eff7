"""Whether a database file is still the one that was opened."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import sqlalchemy as sa

from greenfront.errors import StorageLost
from greenfront.studies.store.sqlite import is_damage, result_code

__all__ = ["DatabaseFile"]

HEADER_BYTES = 100


class DatabaseFile:
    """An SQLite file under a live process.

    Who holds it open goes on with it after it was deleted, and all that is written is lost.

    Args:
        path: Of the file, which exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        found = self.path.stat()
        self._known = (found.st_dev, found.st_ino)

    def objection(self) -> str | None:
        """What has happened to it, in words; ``None`` while nothing has."""
        # It is not opened to look into it: closing it would take SQLite's locks away.
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return "was deleted"
        except OSError as error:
            return f"cannot be read any more ({error.strerror})"
        if (found.st_dev, found.st_ino) != self._known:
            # SQLite makes an empty file where it finds none.
            return "was replaced by another file" if found.st_size else "was deleted"
        return "was truncated" if found.st_size < HEADER_BYTES else None

    def require(self) -> None:
        """Checks that nothing has happened to it.

        Raises:
            StorageLost: Something has.
        """
        objection = self.objection()
        if objection is not None:
            raise StorageLost(f"the database {self.path} {objection}")

    def damage(self, error: BaseException | None) -> str | None:
        """The same, by an error: SQLite finds that pages are missing or make no sense."""
        while error is not None:
            if isinstance(error, sa.exc.DBAPIError):
                lost = result_code(error.orig) == sqlite3.SQLITE_IOERR
                if lost or is_damage(error.orig):
                    return f"is damaged ({error.orig})"
            error = error.__cause__
        return self.objection()
