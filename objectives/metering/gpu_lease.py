"""One GPU for each evaluator, and one trial at a time on it, across all searches of a machine."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from greenfront.errors import MeterError

__all__ = ["GpuLease", "GpuSeat"]

RETRY_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class GpuSeat:
    """The one GPU that an evaluator sees as long as it lives.

    CUDA binds a process to its cards when it begins, so the choice is made before. It falls on a
    card with the fewest evaluators: none shares one while another has nobody. Held through a file
    in the system's temporary folder, it ends with its holder's process. Which of the evaluators of
    a card may work says :class:`GpuLease`.

    Attributes:
        uuid: Of the GPU.
        lock: Of the file.
    """

    uuid: str
    lock: BaseFileLock

    @classmethod
    def take(cls, uuids: Sequence[str], folder: Path | None = None) -> GpuSeat | None:
        """Takes a seat; ``None`` where there is no GPU.

        Args:
            uuids: Of the GPUs to choose from.
            folder: Of the files; all searches of a machine must agree on it.

        Raises:
            MeterError: A lock file cannot be used.
        """
        for row in itertools.count() if uuids else ():
            for uuid in uuids:
                lock, path = _file(f"{uuid}.seat-{row}", folder)
                if _acquired(lock, path):
                    return cls(uuid, lock)
        return None

    def release(self) -> None:
        """Gives it back."""
        self.lock.release()


class GpuLease:
    """The right to use a GPU, held through a file in the system's temporary folder.

    The energy counter is that of the whole card: two trials on it at once would each be charged
    both. The lease ends with its holder's process.

    Args:
        uuid: Of the GPU; ``None`` needs no lease.
        folder: Of the file; all searches of a machine must agree on it.
    """

    def __init__(self, uuid: str | None, folder: Path | None = None) -> None:
        self._uuid = uuid
        self._folder = folder

    @contextlib.contextmanager
    def held(
        self,
        say: Callable[[str], None] = lambda _message: None,
        check: Callable[[], None] = lambda: None,
    ) -> Iterator[None]:
        """Keeps the GPU once it is free; ``say`` hears of a wait, ``check`` may end it.

        Raises:
            MeterError: The lock file cannot be used.
        """
        if self._uuid is None:
            yield
            return
        lock, path = _file(self._uuid, self._folder)
        told = False
        while not _acquired(lock, path):
            if not told:
                say(f"waits for GPU {self._uuid}, which another trial uses")
                told = True
            check()
            time.sleep(RETRY_SECONDS)
        try:
            yield
        finally:
            lock.release()


def _file(name: str, folder: Path | None) -> tuple[BaseFileLock, Path]:
    path = (Path(tempfile.gettempdir()) if folder is None else folder) / f"greenfront-{name}.lock"
    return FileLock(path, mode=0o666, thread_local=False, is_singleton=False), path


def _acquired(lock: BaseFileLock, path: Path) -> bool:
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    except OSError as error:
        raise MeterError(
            f"GPU lease {path}: must be a file that everybody may write, but opening it failed "
            f"({error}); have its owner delete it, or set TMPDIR to a folder of your own"
        ) from None
    return True
