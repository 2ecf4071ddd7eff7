"""Waiting for a database server that is away, and going on when it is back."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import threading
from collections.abc import Callable, Iterator
from time import monotonic
from typing import TypeVar

import sqlalchemy as sa

from greenfront.errors import first_line
from greenfront.studies.store.passwords import without_passwords
from greenfront.studies.store.sqlite import REPAIR, is_damage, result_code

__all__ = ["PATIENCE_MINUTES", "Patience", "failure_words", "is_away"]

PATIENCE_MINUTES = 10.0
"""So long, by default, a search waits for its database."""

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 3.0

DEFINITE = ("authentication failed", "does not exist", "no pg_hba.conf entry", "permission denied")
"""A server that refuses for one of these reasons is there: waiting would not help."""

DISK_FULL = "53100"
"""PostgreSQL's state for it."""

RECONNECT = "8s2b"
"""SQLAlchemy's code for "Can't reconnect until invalid transaction is rolled back"."""

T = TypeVar("T")


def _silent(_message: str) -> None:
    """Tells nobody."""


class Patience:
    """How long the calls of one storage wait for its server; thread-safe.

    None at all until :meth:`begin`: who types a wrong name shall be told so at once.

    Attributes:
        losses: How many calls were cut off and made again.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._note: Callable[[str], None] = _silent
        self._given_up = threading.Event()
        self._lock = threading.Lock()
        self._since: float | None = None
        self.losses = 0

    def begin(self, minutes: float, note: Callable[[str], None] = _silent) -> None:
        """From now on calls wait.

        Args:
            minutes: Longest outage that is waited for.
            note: Is told when the waiting begins, and when it is over.
        """
        self._seconds, self._note = 60 * minutes, note
        self._given_up = threading.Event()

    @contextlib.contextmanager
    def until(self, stop: threading.Event) -> Iterator[None]:
        """Inside, nothing waits any longer once an event is set; nor does it after a failure."""
        self._given_up = stop
        yield
        self._given_up = threading.Event()

    def outlast(self, work: Callable[[bool], T]) -> T:
        """Repeats some work until the server has answered.

        Args:
            work: Is told whether it was tried before: then it may have been done, and only the
                answer was lost.

        Raises:
            Exception: That of ``work``, when it is no outage or patience is over.
        """
        began, pause = monotonic(), 0.0
        while True:
            try:
                result = work(pause > 0)
            except Exception as error:
                if not is_away(error):
                    raise
                if pause == 0:  # a single lost connection: the next one may do
                    began, pause = monotonic(), FIRST_PAUSE_SECONDS
                    if self._seconds:
                        continue
                if monotonic() - began >= self._seconds or self._given_up.is_set():
                    raise
                self._away(began, error)
                if self._given_up.wait(pause * random.uniform(0.5, 1.0)):
                    raise
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                if pause:
                    self.losses += 1
                if self._since is not None:
                    self._back()
                return result

    def _away(self, began: float, error: Exception) -> None:
        with self._lock:
            if self._since is not None:
                return
            self._since = began
            self._note(
                f"the database does not answer ({_cause(error)}): waiting for it, up to "
                f"{self._seconds / 60:g} minutes; nothing is lost"
            )

    def _back(self) -> None:
        with self._lock:
            if self._since is None:
                return
            seconds, self._since = monotonic() - self._since, None
            self._note(f"the database answers again after {seconds:.0f} s: the search goes on")


def is_away(error: BaseException) -> bool:
    """Whether an error says that a database server was lost, cannot be reached, or begins anew.

    SQLite has no server: a file that is locked or gone is another matter.
    """
    found = _database_error(error)
    if found is None:
        # Of who goes on with a connection that was lost, as a fallback of Optuna's does.
        pending = error.__cause__ or error
        return isinstance(pending, sa.exc.PendingRollbackError) and pending.code == RECONNECT
    cause = found.orig
    if type(cause).__module__.startswith("sqlite3"):
        return False
    if found.connection_invalidated:
        return True
    # Without a code: there was no connection that could have told one.
    if not isinstance(found, sa.exc.OperationalError | sa.exc.InterfaceError):
        return False
    code = _code(cause)
    if code is not None:
        # Class 57P: the server is shut down, has crashed or begins; 08: no connection; 53300: more
        # connections than it takes.
        return code.startswith(("57P", "08")) or code == "53300"
    return not any(reason in str(cause) for reason in DEFINITE)


def failure_words(error: BaseException) -> str:
    """What to say to people of a database's error that has ended a command."""
    found = getattr(_database_error(error), "orig", None)
    if is_damage(found):
        return f"the database is damaged ({_cause(error)}); {REPAIR}"
    if result_code(found) == sqlite3.SQLITE_FULL or _code(found) == DISK_FULL:
        return (
            f"the disk of the database is full ({_cause(error)}); what was finished is kept: make "
            "room, then greenfront resume goes on"
        )
    return (
        f"the database did not answer ({_cause(error)}); what was finished is kept: when it is "
        "back, greenfront resume goes on"
    )


def _cause(error: BaseException) -> str:
    cause = getattr(_database_error(error), "orig", None) or error
    return without_passwords(first_line(cause))


def _code(cause: object) -> str | None:
    """The state that a server has told: psycopg and psycopg2 name it differently."""
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)


def _database_error(error: BaseException | None) -> sa.exc.DBAPIError | None:
    """The driver's error in another one, such as Optuna's."""
    while error is not None:
        if isinstance(error, sa.exc.DBAPIError):
            return error
        error = error.__cause__
    return None
