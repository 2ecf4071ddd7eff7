"""One worker of a study on a node of a cluster: a run of its own, with its own evaluator.

Nothing here needs Ray: the driver makes an actor of the class.
"""

from __future__ import annotations

import os
import platform
import threading
from dataclasses import dataclass, field
from typing import Any

from greenfront.errors import GreenfrontError, SearchAborted, UsageError
from greenfront.search.joining import open_joined
from greenfront.search.runs.quota import Quota
from greenfront.search.session import PeakMemory, Session
from greenfront.studies.config.study_file import StudyFile
from greenfront.studies.store.storage import Storage

__all__ = ["Ended", "Errand", "RayWorker"]


@dataclass(frozen=True, slots=True)
class Errand:
    """What a worker is sent out for.

    Attributes:
        folder: The working directory, under the same path on every node.
        storage: URL of the database.
        file: The study, as :meth:`StudyFile.to_json` tells it.
    """

    folder: str
    storage: str = field(repr=False)  # it may hold a password
    file: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a worker ended by itself.

    Attributes:
        reason: Why, in words.
        failed: Whether it could not go on, for which the reason is an error's message.
        usage: Whether that was an error of the user's, who has to mend something.
        hopeless: Whether no other worker would do better.
        peak: Highest resident memory; ``None`` where it did not begin.
    """

    reason: str
    failed: bool = False
    usage: bool = False
    hopeless: bool = False
    peak: PeakMemory | None = None


class RayWorker:
    """Works on one study until it is over; its methods are called at the same time.

    Args:
        errand: What it is to do.
    """

    def __init__(self, errand: Errand) -> None:
        self._errand = errand
        self._quota = Quota(workers=1)
        self._settled = threading.Event()
        self._joined: str | None = None

    def joined(self) -> str | None:
        """Where it works and what meters it, once it does; ``None`` if it could not join."""
        self._settled.wait()
        return self._joined

    def stop(self) -> None:
        """Has it end: what it is at is queued again."""
        self._quota.stop.set()

    def work(self) -> Ended:
        """Works until the study is over."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            return self._work()
        except UsageError as error:
            return Ended(str(error), failed=True, usage=True)
        except SearchAborted as error:
            return Ended(str(error), failed=True, hopeless=True)
        except GreenfrontError as error:
            return Ended(str(error), failed=True)
        finally:
            self._settled.set()

    def _work(self) -> Ended:
        try:
            os.chdir(self._errand.folder)
        except OSError as error:
            raise UsageError(
                f"the folder {self._errand.folder!r} cannot be entered here ({error.strerror}): "
                "each node needs the folder of the study under the same path, such as a shared one"
            ) from error
        file = StudyFile.from_stored(self._errand.file)
        storage = Storage(self._errand.storage, create=False)
        try:
            with open_joined(storage, file) as session:
                self._joined = f"{platform.node()}, process {os.getpid()}: {_metered(session)}"
                self._settled.set()
                result = session.search(storage, quota=self._quota)
                return Ended(result.reason, peak=session.peak_memory())
        finally:
            storage.close()


def _metered(session: Session) -> str:
    """What meters this node, component by component."""
    told = [f"{m.component} {m.kind} ({m.source})" for m in session.instruments.meters]
    return ", ".join(told) or "no instrument"
