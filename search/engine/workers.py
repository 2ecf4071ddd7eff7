"""The threads of one search: what they are doing, and why they ended."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

from greenfront.errors import Interrupted
from greenfront.search.runs.quota import STOPPED

__all__ = ["Workers"]


class Workers:
    """Work in threads until one of them knows why to end; thread-safe.

    Args:
        count: Number of threads.
        changed: Called whenever one of them begins something else.
        stop: Set when all of them shall end, by themselves or from outside.

    Attributes:
        ends: Number of threads that have ended.
    """

    def __init__(self, count: int, changed: Callable[[], None], stop: threading.Event) -> None:
        self.stop = stop
        self._count = count
        self._changed = changed
        self._lock = threading.Lock()
        self._ended = threading.Condition(self._lock)
        self.ends = 0
        self._doing: dict[int, str] = {}
        self._failure: BaseException | None = None
        self._reason: str | None = None

    def run(self, work: Callable[[int], str], interrupted: Callable[[], str | None]) -> str:
        """Runs all threads to their ends.

        Args:
            work: What the thread of a number does, which returns why it ended, in words.
            interrupted: Why a thread was interrupted; ``None``: by the user.

        Returns:
            The first reason that was told.

        Raises:
            BaseException: Of the first thread that failed; the others were stopped in order.
            KeyboardInterrupt: The user stopped it; all threads have ended.
        """

        def guarded(index: int) -> None:
            try:
                self._end(work(index))
            except Interrupted:
                self._end(interrupted())
            except BaseException as failure:  # noqa: BLE001 - raised by the main thread
                self.fail(failure)

        with ThreadPoolExecutor(self._count, thread_name_prefix="worker") as pool:
            working = [pool.submit(guarded, index) for index in range(self._count)]
            # Not Thread.join: interrupted by Ctrl-C it takes a running thread for ended (CPython up
            # to 3.12, bpo-45274), and the storage would be closed under a worker that still writes.
            try:
                wait(working)
            finally:
                # Reached early only by an interrupt: let the workers stop in order.
                self._stop()
                wait(working)
        if self._failure is not None:
            raise self._failure
        return self._reason or STOPPED

    def fail(self, failure: BaseException) -> None:
        """Stops all threads in order; :meth:`run` then raises the first failure."""
        with self._lock:
            self._failure = self._failure or failure
        self._stop()

    def _stop(self) -> None:
        self.stop.set()
        with self._ended:
            self._ended.notify_all()

    def _end(self, reason: str | None) -> None:
        with self._ended:
            self._reason = self._reason or reason
            self.ends += 1
            self._ended.notify_all()

    def say(self, index: int, message: str) -> None:
        """Shows what a worker is doing."""
        with self._lock:
            self._doing[index] = message
        self._changed()

    def doing(self) -> dict[int, str]:
        """What each worker is doing, by its number."""
        with self._lock:
            return dict(self._doing)

    def await_end(self, ends: int, seconds: float) -> bool:
        """Waits until more than so many have ended, or shall; returns whether that is so.

        Args:
            ends: That had ended before it was looked whether there is anything to do.
            seconds: Longest wait.
        """
        with self._ended:
            return self._ended.wait_for(lambda: self.ends > ends or self.stop.is_set(), seconds)

    def rest(self, seconds: float) -> None:
        """Lets a worker wait.

        Raises:
            Interrupted: All shall end.
        """
        if self.stop.wait(seconds):
            raise Interrupted("the search was stopped")
