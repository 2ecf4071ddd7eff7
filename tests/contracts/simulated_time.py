"""Time of a search that no load of the machine and no stop of the process can stretch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import count

import pytest

from contracts.waiting import PATIENCE_SECONDS
from greenfront.search.engine.workers import Workers
from greenfront.studies.store import runs

__all__ = ["SimulatedTime"]


class SimulatedTime:
    """A discrete-event simulation: while all workers sleep, it is at once when the first one wakes.

    What they do takes no time. Each worker of the search says when it ends.

    Args:
        monkeypatch: Puts it in the place of the clocks of this process.
        elapse: Called before time goes on.
    """

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, elapse: Callable[[], None] = lambda: None
    ) -> None:
        self.now = time.time()
        self.workers = 0
        self._elapse = elapse
        self._due: dict[int, float] = {}
        self._tickets = count()
        self._woken = threading.Condition()
        for clock in (time, "time"), (time, "monotonic"), (runs, "monotonic"):
            monkeypatch.setattr(*clock, lambda: self.now)
        monkeypatch.setattr(Workers, "await_end", self._await_end)

    def sleep(self, seconds: float) -> None:
        """Of a worker."""
        with self._woken:
            ticket = next(self._tickets)
            self._due[ticket] = self.now + seconds
            self._go_on()
            assert self._woken.wait_for(lambda: ticket not in self._due, PATIENCE_SECONDS)

    def leave(self) -> None:
        """A worker has ended."""
        with self._woken:
            self.workers -= 1
            self._go_on()

    def _await_end(self, ends: int, seconds: float) -> bool:
        """Of a worker without work, in the place of the search's own; sleeps the whole time."""
        self.sleep(seconds)
        return False

    def _go_on(self) -> None:
        if self._due and len(self._due) == self.workers:
            self._elapse()
            self.now = min(self._due.values())
            self._due = {ticket: due for ticket, due in self._due.items() if due > self.now}
            self._woken.notify_all()


class SimulatedEvent(threading.Event):
    """An event that is waited for in simulated time."""

    def __init__(self, clock: SimulatedTime) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        """Of a worker; sleeps the whole time-out, which must be given."""
        assert timeout is not None
        if not self.is_set():
            self._clock.sleep(timeout)
        return self.is_set()
