"""One trial at a time on a GPU, across all searches of a machine."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from greenfront.errors import MeterError

__all__ = ["GpuLease"]

RETRY_SECONDS = 0.25


class GpuLease:
    """The right to use some GPUs, held through files in the system's temporary folder.

    The energy counter is that of the whole card: two trials on it at once would each be charged
    both. The lease ends with its holder's process. All searches of a machine must agree on the
    folder.
    """

    def __init__(self, uuids: Sequence[str], folder: Path | None = None) -> None:
        place = Path(tempfile.gettempdir()) if folder is None else folder
        # In the same order everywhere, so that two searches never wait for each other in a ring.
        self._paths = [place / f"greenfront-{uuid}.lock" for uuid in sorted(set(uuids))]

    @contextlib.contextmanager
    def held(
        self,
        say: Callable[[str], None] = lambda _message: None,
        check: Callable[[], None] = lambda: None,
    ) -> Iterator[None]:
        """Keeps the GPUs once they are free; ``say`` hears of a wait, ``check`` may end it.

        Raises:
            MeterError: A lock file cannot be used.
        """
        with contextlib.ExitStack() as locks:
            for path in self._paths:
                lock = FileLock(path, mode=0o666, thread_local=False, is_singleton=False)
                _wait(lock, path, say, check)
                locks.callback(lock.release)
            yield


def _wait(
    lock: BaseFileLock, path: Path, say: Callable[[str], None], check: Callable[[], None]
) -> None:
    told = False
    while True:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            if not told:
                uuid = path.name.removeprefix("greenfront-").removesuffix(".lock")
                say(f"waits for GPU {uuid}, which another trial uses")
                told = True
            check()
            time.sleep(RETRY_SECONDS)
        except OSError as error:
            raise MeterError(
                f"GPU lease {path}: must be a file that everybody may write, but opening it failed "
                f"({error}); have its owner delete it, or set TMPDIR to a folder of your own"
            ) from None
        else:
            return
