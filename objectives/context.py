"""What the stages of a trial see of whoever meters them.

In a search the context is the supervisor at the other end of a pipe; in a script or a test it can
be the same process (:class:`LocalContext`).
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Protocol

from greenfront.errors import GreenfrontError
from greenfront.objectives.metering.instruments import Instruments
from greenfront.objectives.metering.stopwatch import CARRIED, Stopwatch
from greenfront.objectives.outcome import Sizing
from greenfront.objectives.readings import Component, Reading, total

__all__ = ["Frames", "LocalContext", "StageContext", "Window", "synchronize"]


def synchronize() -> None:
    """Waits until the GPUs have done what this process gave them to do.

    Work on a GPU is queued: without this, a window would end before its work does. Where CUDA was
    never used it does nothing, and it loads nothing.
    """
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        for device in range(torch.cuda.device_count()):
            torch.cuda.synchronize(device)


@dataclass(slots=True)
class Window:
    """A named span of work; its readings are there once the span has ended.

    Attributes:
        phase: Its name.
        readings: By component; a component whose counter could not tell so short a span is absent.
        cancelled: Whether its readings are unwanted.
    """

    phase: str
    readings: dict[Component, Reading] = field(default_factory=dict)
    cancelled: bool = False

    def cancel(self) -> None:
        """Drops the readings, now and at the end; what was spent is charged all the same."""
        self.cancelled = True
        self.readings.clear()

    @property
    def total(self) -> Reading:
        """All components together.

        The components run side by side: their joules add up, their seconds do not.

        Raises:
            GreenfrontError: No instrument could tell, or the window is open or cancelled.
        """
        if not self.readings:
            why = (
                "it was cancelled"
                if self.cancelled
                else "it is still open, or too short for the instruments"
            )
            raise GreenfrontError(f"window {self.phase!r} has no reading: {why}")
        parts = self.readings.values()
        wall_seconds, cpu_seconds = max((part.wall_seconds, part.cpu_seconds) for part in parts)
        return replace(
            total(parts),
            cpu_seconds=cpu_seconds,
            wall_seconds=wall_seconds,
            throttled_seconds=max(part.throttled_seconds for part in parts),
        )


class StageContext(Protocol):
    """Meters phases and hears how a trial goes."""

    def phase(self, name: str) -> AbstractContextManager[Window]:
        """Opens a metered window.

        Windows may nest: the outer one's readings hold the inner ones', while each moment is
        charged to the innermost. Both ends wait for the GPU.
        """
        ...

    def progress(self, message: str) -> None:
        """Takes a short line for people, such as ``epoch 3 of 10``; may take its time, to pause."""
        ...

    def sized(self, sizing: Sizing) -> None:
        """Hears what is known before training.

        Raises:
            TrialStopped: No accuracy could make this candidate worth its training.
        """
        ...


class Frames:
    """The open windows of one process, the innermost last."""

    def __init__(self) -> None:
        self._open: list[tuple[str, dict[Component, Reading]]] = []

    @property
    def depth(self) -> int:
        """How many are open."""
        return len(self._open)

    def innermost(self, otherwise: str) -> str:
        """The name of the innermost one; ``otherwise`` where none is open."""
        return self._open[-1][0] if self._open else otherwise

    def begin(self, phase: str) -> None:
        """Opens one."""
        self._open.append((phase, {}))

    def add(self, laps: dict[Component, Reading]) -> None:
        """Adds a lap to every open window, as far as it could be told."""
        for _, parts in self._open:
            for component, lap in laps.items():
                if CARRIED not in lap.flags:
                    earlier = [parts[component]] if component in parts else []
                    parts[component] = total([*earlier, lap])

    def end(self, depth: int | None = None) -> dict[Component, Reading]:
        """Closes the innermost one, or all down to a depth, and returns the last one's readings."""
        keep = self.depth - 1 if depth is None else depth
        readings: dict[Component, Reading] = {}
        while self.depth > max(keep, 0):
            _, readings = self._open.pop()
        return readings


class LocalContext:
    """Meters this very process; stops nothing.

    Args:
        instruments: What to meter with.
    """

    def __init__(self, instruments: Instruments) -> None:
        self._stopwatch = Stopwatch(instruments, os.getpid())
        self._frames = Frames()

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[Window]:
        """See :meth:`StageContext.phase`."""
        window, depth = Window(name), self._frames.depth
        synchronize()
        self._frames.add(self._stopwatch.lap())
        self._frames.begin(name)
        try:
            yield window
            synchronize()
        finally:
            self._frames.add(self._stopwatch.lap())
            while pause_seconds := self._stopwatch.pause_seconds:
                time.sleep(pause_seconds)
                self._frames.add(self._stopwatch.lap())
            readings = self._frames.end(depth)
        if not window.cancelled:
            window.readings |= readings

    def progress(self, message: str) -> None:
        """See :meth:`StageContext.progress`."""

    def sized(self, sizing: Sizing) -> None:
        """See :meth:`StageContext.sized`."""
