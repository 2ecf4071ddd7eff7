"""Joining a study that was begun elsewhere, on whatever machine this is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from greenfront.errors import DataError, StorageError, StudyError, UsageError
from greenfront.search.session import Session, open_session
from greenfront.studies.config.own_code import require_named_here
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.storage import Storage
from greenfront.studies.store.study import Study

__all__ = ["joined_file", "open_joined"]


def joined_file(storage: Storage, name: str, here: StudyFile | None = None) -> StudyFile:
    """The study as it was begun, with the places of this machine.

    Args:
        storage: That holds it.
        name: Of the study.
        here: A study file of this machine: where its data, its trace and its cache are counts.

    Raises:
        StudyError: There is no such study, or only the database names code to run.
        UsageError: It was begun from Python.
    """
    study = Study.open(storage, name)
    if study.facts is None:
        raise UsageError(f"study {name!r} was begun from Python: go on there")
    file = StudyFile.from_stored(study.configuration)
    require_named_here(file, f"study {name!r}", here)
    if here is None:
        return file
    data, own = file.to_json(), here.to_json()
    data["task"] = own["task"]
    data["study"]["cache"] = own["study"]["cache"]
    data["carbon"]["trace"] = own["carbon"]["trace"]
    return StudyFile.from_stored(data)


@contextlib.contextmanager
def open_joined(storage: Storage, file: StudyFile) -> Iterator[Session]:
    """Loads the data of a study that has begun, for one more run of it.

    Args:
        storage: That holds it.
        file: See :func:`joined_file`.

    Raises:
        StudyError: The data here are others.
        DataError: They are not here.
        MeterError: This machine's instruments are others than those of the study.
    """
    with contextlib.ExitStack() as stack:
        try:
            session = stack.enter_context(open_session(file, new_in=storage))
        except (StudyError, StorageError):
            raise
        except UsageError as error:
            raise DataError(
                f"{error}. Each worker reads data, trace and code of your own by itself: have them "
                "under the same paths on this machine, such as in a shared folder (a module in "
                "the working directory or on PYTHONPATH), or name a study file that says where "
                "they are here, with --file study.toml"
            ) from error
        yield session
