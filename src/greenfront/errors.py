"""The exceptions of greenfront: one tree, each with one meaning.

    GreenfrontError
    ├── UsageError              the user's input is wrong; nothing was written (exit code 2)
    │   ├── StudyFileError      a key of the study file breaks a rule
    │   ├── DataError           the user's data cannot be used as they are
    │   ├── StorageError        the storage cannot be opened
    │   └── StudyError          the named study does not exist, or is another study
    ├── MeterError              an instrument is missing, or differs from the pinned one
    ├── TrialFailed             one trial failed; the study goes on
    ├── TrialStopped            one trial was ended early on purpose; the study goes on
    ├── Interrupted             the user wants to stop; the trial is queued again
    ├── SearchAborted           the study cannot go on
    │   └── StorageLost         its database was deleted or damaged while it ran
    └── ExportError             a model cannot be exported, or the exported one cannot be used

Every message names the thing, the rule it breaks, the value given and the way out.
"""

from __future__ import annotations

__all__ = [
    "DataError",
    "ExportError",
    "GreenfrontError",
    "Interrupted",
    "MeterError",
    "SearchAborted",
    "StorageError",
    "StorageLost",
    "StudyError",
    "StudyFileError",
    "TrialFailed",
    "TrialStopped",
    "UsageError",
    "first_line",
]


class GreenfrontError(Exception):
    """Base of every exception that greenfront raises on purpose."""


class UsageError(GreenfrontError):
    """The input is wrong and nothing was written; the command line exits with 2."""


class StudyFileError(UsageError):
    """A key of the study file breaks a rule."""


class DataError(UsageError):
    """The user's data cannot be used as they are."""


class StorageError(UsageError):
    """The storage cannot be opened."""


class StudyError(UsageError):
    """The named study does not exist, or it exists with other settings."""


class MeterError(GreenfrontError):
    """An instrument is missing here, or differs from the one the study is pinned to."""


class TrialFailed(GreenfrontError):  # noqa: N818 - an outcome of a trial, told by raising
    """One trial failed; its energy is charged and the study goes on.

    Args:
        cause: Short and stable name, the same for failures of the same kind
            (``"diverged"``, ``"out of memory"``, ``"crashed"``, ``"timed out"``, ``"error"``).
        reason: What happened, for people.
    """

    def __init__(self, cause: str, reason: str) -> None:
        super().__init__(f"{cause}: {reason}")
        self.cause = cause
        self.reason = reason


class TrialStopped(GreenfrontError):  # noqa: N818 - an outcome of a trial, told by raising
    """One trial was ended early because no result of it could matter.

    Args:
        reason: Why it was ended, for people.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Interrupted(GreenfrontError):  # noqa: N818 - a wish, not an error
    """The trial was cut short because the user wants to stop; it is queued again."""


class SearchAborted(GreenfrontError):  # noqa: N818 - the study's end, not a fault of the caller
    """The study cannot go on, for example after three failures in a row of the same cause."""


class StorageLost(SearchAborted):
    """The database was deleted or damaged under a live run."""


class ExportError(GreenfrontError):
    """A model cannot be exported, or an exported one cannot be used; nothing half-written stays."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message; the name of its class where it has none."""
    return str(error).strip().partition("\n")[0].rstrip() or type(error).__name__
